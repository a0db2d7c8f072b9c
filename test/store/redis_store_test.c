/* The Redis store beyond the contract: news between nodes, batches, a server that has lost everything, a
 * slot that moves, a master that dies. Counting is in redis_counting_test.c. */
#include "store/redis_pair.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "store/redis_slots.h"
#include "store/redis_urls.h"

#define ROOM "app/room"

/* --- news ------------------------------------------------------------------------------------ */

/* A subscription says nothing when it begins; a message tells. */
static void hear(struct harness *from, struct harness *at)
{
    store_watch(at->store, STR(ROOM));
    for (int i = 0; i < 1000 && at->news_count == 0; i++) {
        harness_send(from, ROOM, LIST_NORMAL, "\"hello\"");
        harness_ping(at);
    }
    assert_true(at->news_count > 0);
}

static void await_news(struct harness *h, size_t count)
{
    for (int i = 0; i < 2000 && h->news_count < count; i++) harness_ping(h);
    assert_int_equal(h->news_count, count);
}

static void nodes_hear_of_each_other(void **state)
{
    struct redis_pair *pair = *state;
    char body[16];

    harness_create(pair->a, ROOM);
    hear(pair->a, pair->b);
    hear(pair->b, pair->a);
    for (int i = 0; i < 200; i++) assert_int_equal(harness_ping(pair->b), 0);
    pair->a->news_count = pair->b->news_count = 0;
    for (int i = 0; i < 50; i++) {
        snprintf(body, sizeof(body), "%d", i);
        harness_send(i % 2 == 0 ? pair->a : pair->b, ROOM, i % 5 == 0 ? LIST_HIGH : LIST_NORMAL,
                     body);
    }
    await_news(pair->a, 50);
    await_news(pair->b, 50);
    for (int list = 0; list < LIST_KINDS; list++) {
        struct harness_range range = harness_read_all(pair->a, ROOM, list);
        uint64_t last = 0;
        for (size_t i = 0; i < 50; i++) {
            const struct harness_news *news = &pair->b->news[i];
            if (news->list != (enum list_kind)list) continue;
            assert_true(news->id > last);
            if (last != 0) assert_int_equal(news->prev, last);
            last = news->id;
        }
        assert_int_equal(last, range.tail);
        harness_range_free(&range);
    }
}

/* --- appends --------------------------------------------------------------------------------- */

struct stored {
    int err;
    struct store_appended appended;
    size_t *left;
    bool is_done;
};

static void on_stored(void *arg, int err, const struct store_appended *appended)
{
    struct stored *stored = arg;

    stored->err = err;
    stored->appended = *appended;
    stored->is_done = true;
    if (stored->left != NULL) --*stored->left;
}

#define BURST 1000

static void what_waits_leaves_together(void **state)
{
    struct redis_pair *pair = *state;
    struct harness *h = pair->a;
    static struct stored stored[BURST];
    size_t left = BURST;

    harness_create(h, ROOM);
    uint64_t before = counter_get(&store_stats(h->store)->commits);
    for (size_t i = 0; i < BURST; i++) {
        const struct store_append append = {
            .room = STR(ROOM),
            .message = {.list = LIST_NORMAL, .type = STR("text"), .body = STR("1")},
            .now_ms = h->now_ms};
        stored[i] = (struct stored){.left = &left};
        assert_int_equal(store_append(h->store, &append, on_stored, &stored[i]), 0);
    }
    while (left > 0) harness_turn(h);
    for (size_t i = 0; i < BURST; i++) assert_int_equal(stored[i].appended.ordinal, i + 1);
    uint64_t calls = counter_get(&store_stats(h->store)->commits) - before;
    assert_in_range(calls, 2, 10);
}

static struct store_append keyed(struct harness *h, const char *body)
{
    return (struct store_append){
        .room = STR(ROOM),
        .message = {.list = LIST_HIGH, .type = STR("text"), .body = str_of(body)},
        .key = str_of(body),
        .now_ms = h->now_ms,
    };
}

static bool append_once(struct harness *h, int number, struct store_appended *ret)
{
    char body[16];
    struct stored stored = {0};

    snprintf(body, sizeof(body), "%d", number);
    const struct store_append append = keyed(h, body);
    assert_int_equal(store_append(h->store, &append, on_stored, &stored), 0);
    harness_wait(h, &stored.is_done);
    if (stored.err != ERR_STORE_UNAVAILABLE) assert_int_equal(stored.err, 0);
    *ret = stored.appended;
    return stored.err == 0;
}

/* As a client does it: with the same key, until it is told. */
static struct store_appended append_surely(struct harness *h, int number)
{
    struct store_appended appended;

    for (int i = 0; i < 50; i++)
        if (append_once(h, number, &appended)) return appended;
    fail_msg("the store stays away");
    return appended;
}

/* The list has 0 to count - 1, each once, in order. */
static void check_list(struct harness *h, size_t count)
{
    struct harness_range range = harness_read_all(h, ROOM, LIST_HIGH);

    assert_int_equal(range.count, count);
    harness_check_chain(&range);
    for (size_t i = 0; i < count; i++) {
        uint64_t number;
        assert_true(str_parse_u64(str_of(range.messages[i].body), &number));
        assert_int_equal(number, i);
    }
    harness_range_free(&range);
}

/* While Redis does not answer: how many start until one is refused. Each has its answer then: there
 * is no such room. */
static size_t start_until_refused(struct harness *h, struct str body)
{
    struct store_append append = keyed(h, "1");
    size_t left = LIMIT_REDIS_JOBS + 1;
    struct stored stored = {.left = &left};
    size_t started = 0;
    int err;

    append.message.body = body;
    redis_fleet_pause(&redis_pair_single, 0);
    do {
        err = store_append(h->store, &append, on_stored, &stored);
        if (err == 0) started++;
    } while (err == 0 && started <= LIMIT_REDIS_JOBS);
    redis_fleet_resume(&redis_pair_single, 0);
    assert_int_equal(err, ERR_OVERLOADED);
    assert_int_equal(counter_get(&store_stats(h->store)->overloads), 1);
    while (left > LIMIT_REDIS_JOBS + 1 - started) harness_turn(h);
    assert_int_equal(harness_ping(h), 0);
    return started;
}

static void more_calls_than_a_store_takes_are_refused(void **state)
{
    struct redis_pair *pair = *state;

    assert_int_equal(start_until_refused(pair->a, STR("1")), LIMIT_REDIS_JOBS);
}

static void more_bytes_than_a_store_takes_are_refused(void **state)
{
    struct redis_pair *pair = *state;
    char *body = xmalloc(LIMIT_MESSAGE_BODY);
    const size_t most = LIMIT_REDIS_JOB_BYTES / LIMIT_MESSAGE_BODY;

    memset(body, '1', LIMIT_MESSAGE_BODY);
    size_t started = start_until_refused(pair->a, str_make(body, LIMIT_MESSAGE_BODY));
    assert_in_range(started, most - most / 10, most);
    free(body);
}

/* --- news that wait -------------------------------------------------------------------------- */

static void add_number(struct buf *b, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) buf_add_char(b, (char)(value >> 8 * i & 0xff));
}

/* As another node's: a message of the high list without a text, with an id behind all others. */
static void add_news(struct buf *b, uint64_t n)
{
    add_number(b, LIST_HIGH, 1);
    add_number(b, START_MS * UINT64_C(2), 8);
    add_number(b, n, 4);
    add_number(b, 0, 8);
    add_number(b, 0, 4);
    add_number(b, n, 8);
    add_number(b, 0, 6); /* four empty strings */
    add_number(b, 0, 4);
}

static bool is_stored(size_t master)
{
    redisReply *len = redis_fleet_ask(&redis_pair_cluster, master, "XLEN {" ROOM "}:h");
    bool is_stored = len->integer > 0;

    freeReplyObject(len);
    return is_stored;
}

/* With the replica of its master hanging, an own message has no acknowledgement, and what comes behind
 * it waits. */
static void news_wait_for_an_acknowledgement(void **state)
{
    struct redis_pair *pair = *state;
    struct harness *h = pair->a;
    struct buf news = {0};
    struct stored stored = {0};

    harness_create(h, ROOM);
    hear(pair->b, h);
    size_t master = redis_fleet_owner(&redis_pair_cluster, 0, redis_slot_of(STR("{" ROOM "}")));
    redis_fleet_pause(&redis_pair_cluster, redis_fleet_replica_of(master));
    const struct store_append append = keyed(h, "\"own\"");
    assert_int_equal(store_append(h->store, &append, on_stored, &stored), 0);
    while (!is_stored(master)) {
        store_dispatch(h->store, h->now_ms);
        uv_run(&h->loop, UV_RUN_NOWAIT);
    }
    buf_add(&news, "somebody else's.", 16);
    for (uint64_t i = 0; i < LIMIT_REDIS_HELD + 100; i++) add_news(&news, i);
    redis_fleet_tell(&redis_pair_cluster, master, "SPUBLISH {" ROOM "} %b", news.ptr, news.len);
    h->news_count = 0;
    for (int i = 0; i < 200 && !stored.is_done; i++) {
        store_dispatch(h->store, h->now_ms);
        uv_run(&h->loop, UV_RUN_NOWAIT);
        if (!stored.is_done) assert_int_equal(h->news_count, 0);
    }
    redis_fleet_resume(&redis_pair_cluster, redis_fleet_replica_of(master));
    harness_wait(h, &stored.is_done);
    for (int i = 0; i < 2000 && h->news_count < LIMIT_REDIS_HELD; i++) harness_ping(h);
    assert_int_equal(h->news_count, LIMIT_REDIS_HELD);
    assert_string_equal(h->news[0].body, "\"own\"");
    assert_int_equal(counter_get(&store_stats(h->store)->news_dropped), 101);
    buf_deinit(&news);
}

/* --- a server that has lost everything ------------------------------------------------------- */

struct room_answer {
    int err;
    bool created, is_done;
};

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    (void)record;
    *(struct room_answer *)arg = (struct room_answer){err, created, true};
}

static void a_lost_room_begins_behind_what_is_known(void **state)
{
    struct redis_pair *pair = *state;
    struct harness *h = pair->a;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct room_answer answer = {0};
    struct store_appended last, next;

    harness_create(h, ROOM);
    for (int i = 0; i < 10; i++) assert_int_equal(harness_append(h, &a, &last), 0);
    redis_empty(
        &redis_pair_single); /* its functions, too, were those of a server that was started anew */
    redis_fleet_tell(&redis_pair_single, 0, "FUNCTION FLUSH");
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_NOT_FOUND);
    struct store_room_put put = {.room = STR(ROOM),
                                 .only_new = true,
                                 .settings = room_settings_default(),
                                 .now_ms = h->now_ms - 100000};
    put.known[LIST_NORMAL] = (struct store_tail){.id = last.id, .ordinal = last.ordinal};
    assert_int_equal(store_room_put(h->store, &put, on_room, &answer), 0);
    harness_wait(h, &answer.is_done);
    assert_int_equal(answer.err, 0);
    assert_true(answer.created);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 0);
    assert_int_equal(range.trimmed, last.id);
    assert_int_equal(range.tail_ordinal, last.ordinal);
    harness_range_free(&range);
    h->now_ms -= 100000; /* the clock is no help */
    assert_int_equal(harness_append(h, &a, &next), 0);
    assert_true(next.id > last.id);
    assert_int_equal(next.prev, last.id);
    assert_int_equal(next.ordinal, last.ordinal + 1);
    range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.trimmed, last.id);
    harness_check_chain(&range);
    harness_range_free(&range);
    struct harness_page page = harness_list(h, "app", NULL, 10);
    assert_int_equal(page.count, 1);
}

/* --- a slot moves ---------------------------------------------------------------------------- */

/* Appends go on between the steps of the move, each of which takes a key of the room to the other master,
 * in this order. */
static void move_room(struct harness *h, const char *const *keys, int *number)
{
    unsigned slot = redis_slot_of(STR("{" ROOM "}"));
    size_t from = redis_fleet_owner(&redis_pair_cluster, 0, slot), to = (from + 1) % FLEET_MASTERS;
    struct stored stored = {.is_done = true};
    char body[16];

    redis_fleet_migrate_begin(&redis_pair_cluster, slot, from, to);
    for (; *keys != NULL; keys++) {
        if (stored.is_done && stored.err == 0) {
            snprintf(body, sizeof(body), "%d", *number);
            const struct store_append append = keyed(h, body);
            stored = (struct stored){0};
            assert_int_equal(store_append(h->store, &append, on_stored, &stored), 0);
        }
        for (int i = 0; i < 20 && !stored.is_done; i++) {
            store_dispatch(h->store, h->now_ms);
            uv_run(&h->loop, UV_RUN_NOWAIT);
        }
        redis_fleet_migrate_key(&redis_pair_cluster, *keys, from, to);
        if (stored.is_done && stored.err == 0) ++*number;
    }
    redis_fleet_migrate_end(&redis_pair_cluster, slot, from, to);
    if (!stored.is_done) harness_wait(h, &stored.is_done);
    append_surely(h, *number); /* what may have been stored is known by its key */
    for (int i = 1; i < 20; i++) append_surely(h, *number + i);
    *number += 20;
}

static void appends_go_on_while_a_slot_moves(void **state)
{
    struct redis_pair *pair = *state;
    struct harness *h = pair->a;
    const char *const streams_first[] = {"{" ROOM "}:h", "{" ROOM "}:k0", "{" ROOM "}:k1",
                                         "{" ROOM "}", NULL};
    const char *const hash_first[] = {"{" ROOM "}", "{" ROOM "}:k1", "{" ROOM "}:k0",
                                      "{" ROOM "}:h", NULL};
    int number = 0;

    harness_create(h, ROOM);
    for (; number < 20; number++) append_surely(h, number);
    move_room(h, streams_first, &number);
    check_list(h, (size_t)number);
    move_room(h, hash_first, &number);
    check_list(h, (size_t)number);
    check_list(pair->b, (size_t)number);
}

/* --- a master dies --------------------------------------------------------------------------- */

static void mend(size_t at)
{
    if (redis_pair_cluster.servers[at].pid == 0) redis_fleet_restart(&redis_pair_cluster, at, true);
    if (redis_pair_cluster.servers[at].is_paused) redis_fleet_resume(&redis_pair_cluster, at);
}

/* By what server `by` says, which is none of those that are hit. */
static size_t master_of_room(size_t by)
{
    return redis_fleet_owner(&redis_pair_cluster, by, redis_slot_of(STR("{" ROOM "}")));
}

/* With one replica per master, `high` waits for the master that was hit to come back as one. */
static void appends_survive(struct redis_pair *pair, void (*hit)(struct redis_fleet *, size_t))
{
    struct store_appended acknowledged[60];
    size_t first = master_of_room(0), by = (first + 1) % FLEET_MASTERS;
    size_t second = first < FLEET_MASTERS ? redis_fleet_replica_of(first) : first - FLEET_MASTERS;
    int number = 0;

    harness_create(pair->a, ROOM);
    for (; number < 20; number++) acknowledged[number] = append_surely(pair->a, number);
    hit(&redis_pair_cluster, first);
    while (number < 40 && master_of_room(by) == first)
        if (append_once(pair->a, number, &acknowledged[number])) number++;
    redis_fleet_wait_owner(&redis_pair_cluster, by, redis_slot_of(STR("{" ROOM "}")), second);
    mend(first);
    for (; number < 60; number++)
        acknowledged[number] = append_surely(number % 2 == 0 ? pair->a : pair->b, number);
    check_list(pair->b, 60);
    struct harness_range range = harness_read_all(pair->b, ROOM, LIST_HIGH);
    for (size_t i = 0; i < 60; i++) assert_int_equal(range.messages[i].m.id, acknowledged[i].id);
    harness_range_free(&range);
}

static void appends_survive_a_master(void **state)
{
    appends_survive(*state, redis_fleet_kill);
    redis_fleet_wait_whole(&redis_pair_cluster);
}

static void appends_survive_a_master_that_hangs(void **state)
{
    appends_survive(*state, redis_fleet_pause);
    redis_fleet_wait_whole(&redis_pair_cluster);
    check_list(((struct redis_pair *)*state)->a, 60); /* and after it has come back */
}

int main(void)
{
    const struct CMUnitTest on_single[] = {
        ON(single, nodes_hear_of_each_other),
        ON(single, what_waits_leaves_together),
        ON(single, more_calls_than_a_store_takes_are_refused),
        ON(single, more_bytes_than_a_store_takes_are_refused),
        ON(single, a_lost_room_begins_behind_what_is_known),
    };
    const struct CMUnitTest on_cluster[] = {
        ON(cluster, nodes_hear_of_each_other),
        ON(losing, news_wait_for_an_acknowledgement),
        ON(cluster, appends_go_on_while_a_slot_moves),
        ON(losing, appends_survive_a_master),
        ON(losing, appends_survive_a_master_that_hangs),
    };

    return RUN_ON(single, on_single) + RUN_ON(cluster, on_cluster);
}
