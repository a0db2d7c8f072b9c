/* Counting over nodes with the Redis store: unique viewers, and a crowd who are spread over shards. */
#include "store/redis_pair.h"

#include "store/harness_counting.h"

#define ROOM "app/room"

/* --- history and viewers --------------------------------------------------------------------- */

struct done {
    int err;
    bool is_done;
};

static void on_done(void *arg, int err)
{
    *(struct done *)arg = (struct done){err, true};
}

static void viewers_of_two_nodes_are_a_union(void **state)
{
    struct redis_pair *pair = *state;

    harness_create(pair->a, ROOM);
    harness_came(pair->a, ROOM, BUCKET_MS, 0, 600);
    assert_int_equal(harness_came(pair->b, ROOM, BUCKET_MS, 400, 900).unique, 900);
    assert_int_equal(harness_count(pair->a, ROOM, BUCKET_MS, BUCKET_MS + 1).unique, 900);
}

/* --- presence -------------------------------------------------------------------------------- */

#define CROWD 20000 /* more than one shard takes */

static void name_crowd(struct harness *h, const char *node, int from, int to, bool is_gone)
{
    static char names[STORE_PRESENCE_MAX][16];
    static struct store_present users[STORE_PRESENCE_MAX];

    for (int at = from; at < to; at += STORE_PRESENCE_MAX) {
        size_t count = (size_t)(to - at < STORE_PRESENCE_MAX ? to - at : STORE_PRESENCE_MAX);
        const struct store_presence_put put = {.room = STR(ROOM),
                                               .node = str_of(node),
                                               .users = users,
                                               .count = count,
                                               .now_ms = h->now_ms};
        struct done done = {0};
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof(names[i]), "u%d", at + (int)i);
            users[i] = (struct store_present){.user = str_of(names[i]),
                                              .since_ms = h->now_ms,
                                              .seen_ms = h->now_ms,
                                              .is_gone = is_gone};
        }
        assert_int_equal(store_presence_put(h->store, &put, on_done, &done), 0);
        harness_wait(h, &done.is_done);
        assert_int_equal(done.err, 0);
    }
}

struct counted {
    uint64_t online;
    int64_t as_of_ms;
    bool is_done;
};

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    assert_int_equal(err, 0);
    *(struct counted *)arg = (struct counted){online, as_of_ms, true};
}

static struct counted count_once(struct harness *h)
{
    struct counted counted = {0};

    assert_int_equal(store_presence_count(h->store, STR(ROOM), h->now_ms, on_count, &counted), 0);
    harness_wait(h, &counted.is_done);
    return counted;
}

/* Some seconds pass, in which both nodes ask as hubs do. */
static uint64_t count_later(struct redis_pair *pair, struct harness *h)
{
    for (int i = 0; i < 4; i++) {
        pair->a->now_ms += 1500;
        pair->b->now_ms += 1500;
        count_once(pair->a);
        count_once(pair->b);
        for (int k = 0; k < 100; k++) harness_ping(pair->a); /* a sum is not waited for */
        for (int k = 0; k < 100; k++) harness_ping(pair->b);
    }
    struct counted counted = count_once(h);
    assert_true(h->now_ms - counted.as_of_ms <= 3500);
    return counted.online;
}

struct listed {
    uint8_t times[CROWD];
    size_t count;
    char last[LIMIT_USER_ID + 1];
    bool more, is_done;
};

static void on_page(void *arg, int err, const struct store_presence_page *page)
{
    struct listed *listed = arg;
    uint64_t number;

    assert_int_equal(err, 0);
    for (size_t i = 0; i < page->count; i++) {
        struct str user = page->users[i].user;
        assert_true(str_parse_u64(str_make(user.ptr + 1, user.len - 1), &number));
        listed->times[number]++;
    }
    listed->count += page->count;
    listed->more = page->more;
    str_copy(page->last, listed->last, sizeof(listed->last));
    listed->is_done = true;
}

static void everybody_is_listed_once(struct harness *h, int from, int to)
{
    struct listed *listed = calloc(1, sizeof(*listed));

    do {
        const struct store_presence_query query = {
            .room = STR(ROOM), .after = str_of(listed->last), .limit = 1000, .now_ms = h->now_ms};
        listed->is_done = false;
        assert_int_equal(store_presence_page(h->store, &query, on_page, listed), 0);
        harness_wait(h, &listed->is_done);
    } while (listed->more);
    assert_int_equal(listed->count, to - from);
    for (int i = from; i < to; i++) assert_int_equal(listed->times[i], 1);
    free(listed);
}

static void a_crowd_is_spread_over_shards(void **state)
{
    struct redis_pair *pair = *state;

    name_crowd(pair->a, "a", 0, 12000, false);
    name_crowd(pair->b, "b", 10000, CROWD, false);
    assert_int_equal(count_later(pair, pair->b), CROWD); /* there are more shards now, */
    name_crowd(pair->a, "a", 0, 12000, false);           /* and users move there */
    name_crowd(pair->b, "b", 10000, CROWD, false);
    assert_int_equal(count_later(pair, pair->a), CROWD);
    everybody_is_listed_once(pair->a, 0, CROWD);
    harness_reopen(pair->b); /* a node that is new to the room finds its shards, */
    everybody_is_listed_once(pair->b, 0, CROWD);
    harness_reopen(pair->a); /* to list and to name */
    name_crowd(pair->a, "a", 0, 12000, true);
    assert_int_equal(count_later(pair, pair->b), CROWD - 10000);
    everybody_is_listed_once(pair->b, 10000, CROWD);
    pair->a->now_ms += STORE_PRESENCE_TTL_MS; /* b has died */
    pair->b->now_ms += STORE_PRESENCE_TTL_MS;
    assert_int_equal(count_later(pair, pair->a), 0);
}

int main(void)
{
    const struct CMUnitTest on_single[] = {
        ON(single, viewers_of_two_nodes_are_a_union),
        ON(single, a_crowd_is_spread_over_shards),
    };
    const struct CMUnitTest on_cluster[] = {
        ON(cluster, a_crowd_is_spread_over_shards),
    };

    return RUN_ON(single, on_single) + RUN_ON(cluster, on_cluster);
}
