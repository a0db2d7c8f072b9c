/* core/hub_samples.c: what happened in a minute is in its sample, and in no other. */
#include <stdlib.h>

#include "core/hub_counting.h"
#include "unit/core_hub_fixture.h"

#define MINUTE(n) (FIXTURE_START_MS - FIXTURE_START_MS % SAMPLE_MS + (n) * (int64_t)SAMPLE_MS)
#define LATEST_MS (HUB_SPREAD_MS + 1) /* behind a minute's end */

/* At the beginning of minute 1. */
static int setup(void **state)
{
    int err = hub_fixture_setup_counting(state);
    if (err != 0) return err;
    struct hub_fixture *f = *state;
    f->now_ms = MINUTE(1);
    hub_create_room(f);
    hub_subscribe(f, 0);
    f->now_ms = MINUTE(1);
    return 0;
}

struct history {
    struct sample samples[64];
    uint32_t count;
};

static struct history history(struct hub_fixture *f)
{
    struct call *call = hub_make_call(CALL_SAMPLES, 0);
    struct history history = {0};
    call->from_ms = MINUTE(0);
    call->to_ms = MINUTE(1000);
    call->step_ms = SAMPLE_MS;
    call->limit = 64;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    history.count = call->sample_count;
    for (uint32_t i = 0; i < call->sample_count; i++) history.samples[i] = call->samples[i];
    call_free(call);
    return history;
}

static void at(struct hub_fixture *f, int64_t at_ms)
{
    assert_true(at_ms >= f->now_ms);
    hub_pass(f, at_ms - f->now_ms);
}

static void a_minute_is_summed_up(void **state)
{
    struct hub_fixture *f = *state;

    at(f, MINUTE(1) + 10000);
    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(1) + 20000);
    hub_tell_presence(f, true, "bob");
    at(f, MINUTE(1) + 30000);
    hub_tell_presence(f, false, "alice");
    hub_tell_presence(f, false, "bob");
    at(f, MINUTE(1) + 50000);
    hub_tell_presence(f, true, "alice");
    assert_int_equal(history(f).count, 0); /* not before it is over */
    at(f, MINUTE(2) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.samples[0].at_ms, MINUTE(1) + 10000);
    assert_int_equal(h.samples[0].span_ms, 50000);
    assert_int_equal(h.samples[0].online_ms, 10000 + 2 * 10000 + 10000);
    assert_int_equal(h.samples[0].online_peak, 2);
    assert_int_equal(h.samples[0].joins, 3);
    assert_int_equal(h.samples[0].unique, 2);
    assert_int_equal(h.samples[0].messages[LIST_NORMAL], 0);
}

static void messages_are_counted_by_list(void **state)
{
    struct hub_fixture *f = *state;

    hub_append(f, LIST_HIGH);
    for (int i = 0; i < 5; i++) hub_append(f, LIST_NORMAL);
    at(f, MINUTE(2) + 100);
    hub_append(f, LIST_NORMAL);
    at(f, MINUTE(3) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.samples[0].messages[LIST_HIGH], 1);
    assert_int_equal(h.samples[0].messages[LIST_NORMAL], 5);
    assert_int_equal(h.samples[0].online_ms, 0);
    assert_int_equal(h.samples[1].messages[LIST_HIGH], 0);
    assert_int_equal(h.samples[1].messages[LIST_NORMAL], 1);
}

static void messages_found_by_a_pull_are_counted_too(void **state)
{
    struct hub_fixture *f = *state;

    f->stub->drops_news = true;
    for (int i = 0; i < 3; i++) hub_append_elsewhere(f, LIST_NORMAL);
    at(f, MINUTE(2) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 1);
    assert_int_equal(h.samples[0].messages[LIST_NORMAL], 3);
}

static void who_stays_is_in_every_minute(void **state)
{
    struct hub_fixture *f = *state;

    at(f, MINUTE(1) + 30000);
    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(4) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(h.samples[i].at_ms, i == 0 ? MINUTE(1) + 30000 : MINUTE(1 + i));
        assert_int_equal(h.samples[i].online_ms, i == 0 ? 30000 : 60000);
        assert_int_equal(h.samples[i].online_peak, 1);
        assert_int_equal(h.samples[i].joins, i == 0 ? 1 : 0);
        assert_int_equal(h.samples[i].unique, 1);
    }
}

static void a_minute_ends_where_it_ends_however_late_the_hub(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(1) + 1000);
    f->now_ms = MINUTE(3) + 20000; /* no turn between */
    hub_tell_presence(f, true, "bob");
    hub_append(f, LIST_NORMAL);
    at(f, MINUTE(4) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 3);
    assert_int_equal(h.samples[0].online_ms, 60000);
    assert_int_equal(h.samples[1].online_ms, 60000);
    assert_int_equal(h.samples[1].online_peak, 1);
    assert_int_equal(h.samples[1].messages[LIST_NORMAL], 0);
    assert_int_equal(h.samples[2].online_ms, 60000 + 40000);
    assert_int_equal(h.samples[2].online_peak, 2);
    assert_int_equal(h.samples[2].messages[LIST_NORMAL], 1);
}

static void a_room_without_anybody_makes_no_samples(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(1) + 30000);
    hub_tell_presence(f, false, "alice");
    at(f, MINUTE(10));
    assert_int_equal(history(f).count, 1);
    assert_int_equal(f->stub->puts, 1);
}

static void one_who_flickers_joins_each_time(void **state)
{
    struct hub_fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        hub_tell_presence(f, true, "alice");
        hub_pass(f, 100);
        hub_tell_presence(f, false, "alice");
    }
    at(f, MINUTE(2) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.samples[0].joins, 10);
    assert_int_equal(h.samples[0].online_ms, 1000);
    assert_int_equal(h.samples[0].unique, 1);
}

static void unique_goes_on_over_a_rest(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    hub_tell_presence(f, true, "bob");
    at(f, MINUTE(1) + 10000);
    hub_tell_presence(f, false, "alice");
    hub_tell_presence(f, false, "bob");
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    at(f, MINUTE(4));
    assert_int_equal(counter_get(&hub_metrics(f->hub)->rooms_active), 0);
    hub_append(f, LIST_NORMAL);
    at(f, MINUTE(5) + LATEST_MS);
    struct history h = history(f);
    assert_int_equal(h.count, 2);
    assert_int_equal(h.samples[1].unique, 2);
}

static void what_the_store_fails_is_given_again(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(1) + 30000);
    f->stub->is_down = true;
    at(f, MINUTE(3) + 30000);
    assert_true(counter_get(&hub_metrics(f->hub)->samples_failed_total) > 2);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->samples_waiting), 2);
    f->stub->is_down = false;
    hub_pass(f, HUB_COUNTING_RETRY_MS + 1);
    assert_int_equal(history(f).count, 2);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->samples_total), 2);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->samples_waiting), 0);
}

static void a_store_that_stays_away_is_given_up_on(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    f->stub->is_stalled = true;
    for (int i = 0; i <= LIMIT_SAMPLES_WAITING; i++) {
        f->now_ms += SAMPLE_MS;
        hub_pass(f, 0);
    }
    hub_pass(f, LATEST_MS);
    assert_in_range(counter_get(&hub_metrics(f->hub)->samples_dropped_total), 1, 2);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->samples_waiting), LIMIT_SAMPLES_WAITING);
}

static void on_inner_samples(void *arg, int err, const struct sample *samples, size_t count,
                             bool more)
{
    assert_int_equal(err, OK);
    assert_int_equal(count, 1);
    *(struct sample *)arg = samples[0];
}

static void a_stop_keeps_the_minute_under_way(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    at(f, MINUTE(1) + 15000);
    hub_flush(f->hub, f->now_ms);
    f->stub->is_closing = true;
    const struct store_sample_range all = {
        .room = ROOM, .to_ms = INT64_MAX, .step_ms = SAMPLE_MS, .limit = 64};
    struct sample sample = {0};
    assert_int_equal(store_sample_range(f->stub->inner, &all, on_inner_samples, &sample), OK);
    store_dispatch(f->stub->inner, f->now_ms);
    assert_int_equal(sample.online_ms, 15000);
    assert_int_equal(sample.span_ms, 15000);
}

static void a_stop_with_calls_under_way_leaks_nothing(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    f->stub->is_stalled = true;
    at(f, MINUTE(3));
    hub_flush(f->hub, f->now_ms);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, hub_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_minute_is_summed_up),
        TEST(messages_are_counted_by_list),
        TEST(messages_found_by_a_pull_are_counted_too),
        TEST(who_stays_is_in_every_minute),
        TEST(a_minute_ends_where_it_ends_however_late_the_hub),
        TEST(a_room_without_anybody_makes_no_samples),
        TEST(one_who_flickers_joins_each_time),
        TEST(unique_goes_on_over_a_rest),
        TEST(what_the_store_fails_is_given_again),
        TEST(a_store_that_stays_away_is_given_up_on),
        TEST(a_stop_keeps_the_minute_under_way),
        TEST(a_stop_with_calls_under_way_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
