/* Rules 1 to 4 of core/store.h: callbacks, order, ids, and that what was acknowledged is there. */
#include "store/conformance.h"

#include "base/alloc.h"
#include "base/error.h"
#include "core/id.h"

#define ROOM "app/room"

static void ids_increase_over_both_lists(void **state)
{
    struct harness *h = *state;
    uint64_t last = 0;

    harness_create(h, ROOM);
    for (int i = 0; i < 40; i++) {
        uint64_t id = harness_send(h, ROOM, i % 3 == 0 ? LIST_HIGH : LIST_NORMAL, "1");
        assert_true(id > last);
        assert_true(id_ms(id) >= START_MS);
        last = id;
        if (i % 7 == 0) h->now_ms += 3;
    }
}

static void each_list_is_a_chain(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    for (int i = 0; i < 30; i++) harness_send(h, ROOM, i % 3 == 0 ? LIST_HIGH : LIST_NORMAL, "1");
    for (int list = 0; list < LIST_KINDS; list++) {
        struct harness_range range = harness_read_all(h, ROOM, list);
        assert_int_equal(range.count, list == LIST_HIGH ? 10 : 20);
        assert_int_equal(range.messages[0].m.prev, 0);
        assert_int_equal(range.messages[0].m.ordinal, 1);
        harness_check_chain(&range);
        harness_range_free(&range);
    }
}

static void the_answer_holds_prev_and_ordinal(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct store_appended first, second;

    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, &first), 0);
    assert_int_equal(first.prev, 0);
    assert_int_equal(first.ordinal, 1);
    harness_send(h, ROOM, LIST_HIGH, "1"); /* of the other list: not in this chain */
    assert_int_equal(harness_append(h, &a, &second), 0);
    assert_int_equal(second.prev, first.id);
    assert_int_equal(second.ordinal, 2);
}

static void ids_increase_when_the_clock_steps_back(void **state)
{
    struct harness *h = *state;
    uint64_t last = 0;

    harness_create(h, ROOM);
    for (int i = 0; i < 20; i++) {
        h->now_ms -= 1000 * (i % 4);
        uint64_t id = harness_send(h, ROOM, LIST_NORMAL, "1");
        assert_true(id > last);
        last = id;
    }
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    harness_check_chain(&range);
    harness_range_free(&range);
}

/* --- many under way -------------------------------------------------------------------------- */

#define BATCH 500

struct batch;

struct batch_append {
    struct batch *batch;
    size_t number;
    int err;
    bool is_started, is_done;
    struct store_appended out;
};

struct batch {
    struct batch_append appends[BATCH];
    size_t done;
    size_t last_done; /* number of the last that completed */
    uint64_t last_id;
};

static void on_batch(void *arg, int err, const struct store_appended *appended)
{
    struct batch_append *a = arg;

    assert_false(a->is_done);
    assert_true(a->batch->done == 0 ||
                a->number > a->batch->last_done); /* in the order of the calls */
    a->batch->last_done = a->number;
    a->batch->done++;
    a->is_done = true;
    a->err = err;
    a->out = *appended;
    if (err != 0) return;
    assert_true(appended->id > a->batch->last_id);
    a->batch->last_id = appended->id;
}

static size_t start_batch(struct harness *h, struct batch *batch)
{
    size_t started = 0;

    for (size_t i = 0; i < BATCH; i++) {
        struct batch_append *a = &batch->appends[i];
        char body[32], key[32];
        snprintf(body, sizeof(body), "%zu", i);
        snprintf(key, sizeof(key), "key-%zu", i);
        struct harness_append what = {.room = ROOM, .list = LIST_NORMAL, .body = body, .key = key};
        struct store_append append = harness_append_of(h, &what);
        a->batch = batch;
        a->number = i;
        a->is_started = store_append(h->store, &append, on_batch, a) == 0;
        assert_false(a->is_done); /* never before the call returns */
        if (a->is_started) started++;
        memset(body, 'x', sizeof(body)); /* borrowed for the time of the call alone */
        memset(key, 'x', sizeof(key));
    }
    return started;
}

static void check_batch_is_stored_once(struct harness *h)
{
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    bool *seen = xcalloc(BATCH, sizeof(*seen));

    assert_int_equal(range.count, BATCH);
    harness_check_chain(&range);
    for (size_t i = 0; i < range.count; i++) {
        uint64_t number;
        assert_true(str_parse_u64(str_of(range.messages[i].body), &number));
        assert_true(number < BATCH && !seen[number]);
        if (harness_is_plain(h)) assert_int_equal(number, i);
        seen[number] = true;
    }
    free(seen);
    harness_range_free(&range);
}

static void repeat_failed(struct harness *h, const struct batch *batch)
{
    for (size_t i = 0; i < BATCH; i++) {
        char body[32], key[32];
        if (batch->appends[i].is_started && batch->appends[i].err == 0) continue;
        assert_false(harness_is_plain(h));
        snprintf(body, sizeof(body), "%zu", i);
        snprintf(key, sizeof(key), "key-%zu", i);
        struct harness_append what = {.room = ROOM, .list = LIST_NORMAL, .body = body, .key = key};
        assert_int_equal(harness_append(h, &what, NULL), 0);
    }
}

static void appends_complete_once_and_in_order(void **state)
{
    struct harness *h = *state;
    struct batch *batch = xcalloc(1, sizeof(*batch));

    harness_create(h, ROOM);
    size_t started = start_batch(h, batch);
    while (batch->done < started) harness_turn(h);
    for (int i = 0; i < 5; i++)
        store_dispatch(h->store, h->now_ms); /* would find one that fires twice */
    assert_int_equal(batch->done, started);
    repeat_failed(h, batch);
    check_batch_is_stored_once(h);
    free(batch);
}

/* --- calls from callbacks -------------------------------------------------------------------- */

struct relay {
    struct harness *h;
    int left, stored;
    bool is_done;
};

static void send_next(struct relay *relay);

static void on_relayed(void *arg, int err, const struct store_appended *appended)
{
    struct relay *relay = arg;

    (void)appended;
    if (err == 0) relay->stored++;
    send_next(relay);
}

static void send_next(struct relay *relay)
{
    struct harness_append what = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct store_append append = harness_append_of(relay->h, &what);

    while (relay->left-- > 0) {
        if (store_append(relay->h->store, &append, on_relayed, relay) == 0) return;
    }
    relay->is_done = true;
}

static void callbacks_may_call(void **state)
{
    struct harness *h = *state;
    struct relay relay = {.h = h, .left = 100};

    harness_create(h, ROOM);
    send_next(&relay);
    harness_wait(h, &relay.is_done);
    if (harness_is_plain(h)) assert_int_equal(relay.stored, 100);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_true(range.count >= (size_t)relay.stored);
    harness_check_chain(&range);
    harness_range_free(&range);
}

struct sight {
    struct harness *h;
    uint64_t id; /* acknowledged; to be seen */
    int seen;
    bool is_done, is_failed;
};

static void on_sight(void *arg, int err, const struct store_range *range)
{
    struct sight *sight = arg;

    sight->is_done = true;
    sight->is_failed = err != 0;
    if (err != 0) return;
    assert_int_equal(range->count, 1);
    assert_int_equal(range->messages[0].id, sight->id);
    assert_int_equal(range->tail, sight->id);
    sight->seen++;
}

static void on_stored(void *arg, int err, const struct store_appended *appended)
{
    struct sight *sight = arg;
    const struct store_read newest = {.room = STR(ROOM),
                                      .list = LIST_NORMAL,
                                      .direction = STORE_BEFORE,
                                      .from = UINT64_MAX,
                                      .limit = 1};

    sight->id = appended->id;
    sight->is_failed = err != 0 || store_read(sight->h->store, &newest, on_sight, sight) != 0;
    sight->is_done = sight->is_failed;
}

static void a_read_sees_what_was_acknowledged(void **state)
{
    struct harness *h = *state;
    struct harness_append what = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct sight sight = {.h = h};

    harness_create(h, ROOM);
    for (int i = 0; i < 200; i++) {
        struct store_append append = harness_append_of(h, &what);
        sight.is_done = false;
        if (store_append(h->store, &append, on_stored, &sight) != 0) continue;
        harness_wait(h, &sight.is_done);
        if (harness_is_plain(h)) assert_false(sight.is_failed);
    }
    assert_true(sight.seen > 10);
    if (harness_is_plain(h)) assert_int_equal(sight.seen, 200);
}

/* --- what is stored -------------------------------------------------------------------------- */

static void a_message_comes_back_as_it_was(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {
        .room = "app/\xd9\x85:room-1", /* the store takes any key: what a room is called is not its
                                          business */
        .list = LIST_HIGH,
        .type = "gift.big_1",
        .from = "user 1",
        .name = "\xe5\xbe\xae\xe4\xbf\xa1 \"quoted\" ' \\ %s",
        .body = "{\"a\":[1,\"\\u0000\",\"\xf0\x9f\x8e\x81'\"]}",
    };
    struct store_appended appended;

    harness_create(h, a.room);
    assert_int_equal(harness_append(h, &a, &appended), 0);
    struct harness_range range = harness_read_all(h, a.room, LIST_HIGH);
    assert_int_equal(range.count, 1);
    const struct harness_message *back = &range.messages[0];
    assert_int_equal(back->m.id, appended.id);
    assert_int_equal(back->m.list, LIST_HIGH);
    assert_string_equal(back->type, a.type);
    assert_string_equal(back->from, a.from);
    assert_string_equal(back->name, a.name);
    assert_string_equal(back->body, a.body);
    harness_range_free(&range);
}

static void sender_and_name_may_be_empty(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_send(h, ROOM, LIST_NORMAL, "0");
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_string_equal(range.messages[0].from, "");
    assert_string_equal(range.messages[0].name, "");
    harness_range_free(&range);
}

static void what_was_acknowledged_is_there_after_reopening(void **state)
{
    struct harness *h = *state;
    uint64_t last = 0;

    if (!h->fixture->is_durable) skip();
    harness_create(h, ROOM);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 10; i++) last = harness_send(h, ROOM, LIST_NORMAL, "1");
        h->now_ms -= 60000; /* the clock of the next run is behind */
        harness_reopen(h);
        assert_true(harness_send(h, ROOM, LIST_HIGH, "1") > last); /* over both lists */
    }
    for (int list = 0; list < LIST_KINDS; list++) {
        struct harness_range range = harness_read_all(h, ROOM, list);
        assert_int_equal(range.count, list == LIST_HIGH ? 3 : 30);
        harness_check_chain(&range);
        harness_range_free(&range);
    }
}

static void nothing_fires_after_closing(void **state)
{
    struct harness *h = *state;
    struct batch *batch = xcalloc(1, sizeof(*batch));

    harness_create(h, ROOM);
    start_batch(h, batch);
    harness_reopen(h);
    for (int i = 0; i < 5; i++) store_dispatch(h->store, h->now_ms);
    assert_int_equal(batch->done, 0);
    free(batch);
}

static void ping_answers(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 5; i++) assert_int_equal(harness_ping(h), 0);
}

static void a_driver_counts(void **state)
{
    struct harness *h = *state;
    const struct store_stats *stats = store_stats(h->store);
    struct harness_append a = {
        .room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k", .per_s = 1};

    if (stats == NULL || !harness_is_plain(h)) skip();
    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    a.key = NULL;
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    harness_range_free(&range);
    assert_int_equal(counter_get(&stats->appends), 1);
    assert_int_equal(counter_get(&stats->duplicates), 1);
    assert_int_equal(counter_get(&stats->refused), 1);
    assert_int_equal(counter_get(&stats->failures), 0);
    assert_int_equal(counter_get(&stats->reads), 1);
}

size_t conformance_appends(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_increase_over_both_lists),
        cmocka_unit_test(each_list_is_a_chain),
        cmocka_unit_test(the_answer_holds_prev_and_ordinal),
        cmocka_unit_test(ids_increase_when_the_clock_steps_back),
        cmocka_unit_test(appends_complete_once_and_in_order),
        cmocka_unit_test(callbacks_may_call),
        cmocka_unit_test(a_read_sees_what_was_acknowledged),
        cmocka_unit_test(a_message_comes_back_as_it_was),
        cmocka_unit_test(sender_and_name_may_be_empty),
        cmocka_unit_test(what_was_acknowledged_is_there_after_reopening),
        cmocka_unit_test(nothing_fires_after_closing),
        cmocka_unit_test(ping_answers),
        cmocka_unit_test(a_driver_counts),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
