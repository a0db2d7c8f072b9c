/* The faulty store: each fault does what it says, alone, and the same seed gives the same run. */
#include "store/harness.h"

#include "base/alloc.h"
#include "base/error.h"

#define ROOM "app/room"

static void set_odds(struct harness *h, struct faulty_odds odds)
{
    faulty_set_odds(h->store, &odds);
}

struct outcome {
    int err;
    bool is_done;
};

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct outcome *outcome = arg;

    (void)appended;
    outcome->err = err;
    outcome->is_done = true;
}

static int append_once(struct harness *h)
{
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct store_append append = harness_append_of(h, &a);
    struct outcome outcome = {0};
    int err = store_append(h->store, &append, on_appended, &outcome);

    if (err != 0) return err;
    harness_wait(h, &outcome.is_done);
    return outcome.err;
}

static size_t count_stored(struct harness *h)
{
    set_odds(h, (struct faulty_odds){0});
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    size_t count = range.count;
    harness_range_free(&range);
    return count;
}

static void refused_calls_do_not_start(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    set_odds(h, (struct faulty_odds){.refuse = 1});
    assert_int_equal(append_once(h), ERR_OVERLOADED);
    assert_int_equal(store_ping(h->store, NULL, NULL), ERR_OVERLOADED);
    assert_int_equal(count_stored(h), 0);
}

static void lost_appends_are_not_stored(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    set_odds(h, (struct faulty_odds){.lose = 1});
    assert_int_equal(append_once(h), ERR_STORE_UNAVAILABLE);
    assert_int_equal(count_stored(h), 0);
}

static void lies_are_stored(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    set_odds(h, (struct faulty_odds){.lie = 1});
    assert_int_equal(append_once(h), ERR_STORE_UNAVAILABLE);
    assert_int_equal(count_stored(h), 1);
}

static void on_read(void *arg, int err, const struct store_range *range)
{
    struct outcome *outcome = arg;

    assert_null(range);
    outcome->err = err;
    outcome->is_done = true;
}

static void failed_reads_say_so(void **state)
{
    struct harness *h = *state;
    const struct store_read read = {.room = STR(ROOM), .limit = 1};
    struct outcome outcome = {0};

    set_odds(h, (struct faulty_odds){.fail_read = 1});
    assert_int_equal(store_read(h->store, &read, on_read, &outcome), 0);
    harness_wait(h, &outcome.is_done);
    assert_int_equal(outcome.err, ERR_STORE_UNAVAILABLE);
}

static void delays_last_as_long_as_they_may(void **state)
{
    struct harness *h = *state;
    struct outcome outcomes[50] = {0};
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    size_t at_once = 0;

    harness_create(h, ROOM);
    set_odds(h, (struct faulty_odds){.delay = 1, .max_delay_ms = 100});
    for (int i = 0; i < 50; i++) {
        struct store_append append = harness_append_of(h, &a);
        assert_int_equal(store_append(h->store, &append, on_appended, &outcomes[i]), 0);
    }
    assert_true(store_dispatch(h->store, h->now_ms) <= h->now_ms + 100);
    for (int i = 0; i < 50; i++) at_once += outcomes[i].is_done;
    assert_true(at_once < 50);
    assert_true(store_dispatch(h->store, h->now_ms + 100) > h->now_ms + 100);
    for (int i = 0; i < 50; i++) assert_true(outcomes[i].is_done);
}

static void news_are_lost_or_doubled(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    set_odds(h, (struct faulty_odds){.news_lose = 1});
    assert_int_equal(append_once(h), 0);
    store_dispatch(h->store, h->now_ms);
    assert_int_equal(h->news_count, 0);
    set_odds(h, (struct faulty_odds){.news_double = 1});
    assert_int_equal(append_once(h), 0);
    store_dispatch(h->store, h->now_ms);
    assert_int_equal(h->news_count, 2);
    assert_int_equal(h->news[0].id, h->news[1].id);
}

static void news_come_while_sends_go_on(void **state)
{
    struct harness *h = *state;
    struct outcome outcomes[100] = {0};
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};

    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    set_odds(h, (struct faulty_odds){.delay = 1, .max_delay_ms = 5});
    for (int i = 0; i < 100; i++) { /* one more is always under way */
        struct store_append append = harness_append_of(h, &a);
        assert_int_equal(store_append(h->store, &append, on_appended, &outcomes[i]), 0);
        store_dispatch(h->store, h->now_ms++);
    }
    assert_true(h->news_count > 50);
    for (int i = 0; i < 6; i++) store_dispatch(h->store, h->now_ms++);
    assert_true(outcomes[99].is_done);
}

/* --- determinism ----------------------------------------------------------------------------- */

struct trace {
    struct harness *h;
    struct buf text;
};

static void on_traced(void *arg, int err, const struct store_appended *appended)
{
    struct trace *trace = arg;

    buf_printf(&trace->text, "%lld %d %llu\n", (long long)trace->h->now_ms, err,
               (unsigned long long)appended->id);
}

/* What 200 appends in three rooms come to. */
static struct buf run_with_seed(struct harness *h, uint64_t seed)
{
    static const char *const ROOMS[] = {"app/a", "app/b", "app/c"};
    struct trace trace = {.h = h};

    h->seed = seed;
    h->now_ms = START_MS;
    h->news_count = 0;
    harness_reopen(h);
    for (int i = 0; i < 3; i++) harness_create(h, ROOMS[i]);
    store_watch(h->store, STR("app/a"));
    for (int i = 0; i < 200; i++) {
        struct harness_append a = {.room = ROOMS[i % 3], .list = LIST_NORMAL, .body = "1"};
        struct store_append append = harness_append_of(h, &a);
        int err = store_append(h->store, &append, on_traced, &trace);
        if (err != 0) buf_printf(&trace.text, "%d\n", err);
        if (i % 4 == 0) store_dispatch(h->store, h->now_ms++);
    }
    for (int i = 0; i < 10; i++) store_dispatch(h->store, h->now_ms++);
    for (size_t i = 0; i < h->news_count; i++)
        buf_printf(&trace.text, "news %llu\n", (unsigned long long)h->news[i].id);
    return trace.text;
}

static void the_same_seed_gives_the_same_run(void **state)
{
    struct harness *h = *state;
    struct buf first = run_with_seed(h, 42);
    struct buf again = run_with_seed(h, 42);
    struct buf other = run_with_seed(h, 43);

    assert_true(first.len > 200);
    assert_true(str_eq(buf_str(&first), buf_str(&again)));
    assert_false(str_eq(buf_str(&first), buf_str(&other)));
    buf_deinit(&first);
    buf_deinit(&again);
    buf_deinit(&other);
}

int main(void)
{
    static const struct faulty_odds ODDS = {.refuse = 0.1,
                                            .lose = 0.1,
                                            .lie = 0.1,
                                            .delay = 0.5,
                                            .news_lose = 0.2,
                                            .news_delay = 0.5,
                                            .max_delay_ms = 5};
    static const struct faulty_odds NONE = {0};
    struct store_fixture quiet = {.name = "faulty", .scheme = "memory:", .odds = &NONE};
    struct store_fixture seeded = {.name = "faulty", .scheme = "memory:", .odds = &ODDS};
#define TEST(test, fixture)                                                                        \
    cmocka_unit_test_prestate_setup_teardown(test, harness_setup, harness_teardown, fixture)
    const struct CMUnitTest tests[] = {
        TEST(refused_calls_do_not_start, &quiet),
        TEST(lost_appends_are_not_stored, &quiet),
        TEST(lies_are_stored, &quiet),
        TEST(failed_reads_say_so, &quiet),
        TEST(delays_last_as_long_as_they_may, &quiet),
        TEST(news_are_lost_or_doubled, &quiet),
        TEST(news_come_while_sends_go_on, &quiet),
        TEST(the_same_seed_gives_the_same_run, &seeded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
