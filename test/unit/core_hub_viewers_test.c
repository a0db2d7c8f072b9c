/* core/hub_viewers.c: who comes is counted once per bucket, in batches, whatever the store does. */
#include <stdlib.h>

#include "core/hub_counting.h"
#include "unit/core_hub_fixture.h"

#define BUCKET_MS (FIXTURE_START_MS - FIXTURE_START_MS % VIEWERS_BUCKET_MS)
#define NEXT_MS   (BUCKET_MS + VIEWERS_BUCKET_MS)
#define MINUTE_MS (60 * 1000)

static int setup(void **state)
{
    int err = hub_fixture_setup_counting(state);
    if (err != 0) return err;
    hub_create_room(*state);
    hub_subscribe(*state, 0);
    return 0;
}

static struct viewers_count count(struct hub_fixture *f, int64_t from_ms, int64_t to_ms)
{
    struct call *call = hub_make_call(CALL_VIEWERS, 0);
    call->from_ms = from_ms;
    call->to_ms = to_ms;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    struct viewers_count result = call->viewers;
    call_free(call);
    return result;
}

static uint64_t life(struct hub_fixture *f)
{
    return count(f, 0, 0).unique;
}

static uint64_t bucket(struct hub_fixture *f, int64_t at_ms)
{
    return count(f, at_ms, at_ms + VIEWERS_BUCKET_MS).unique;
}

/* To a time, in one step but the last second. */
static void pass_to(struct hub_fixture *f, int64_t at_ms)
{
    assert_true(at_ms >= f->now_ms);
    if (at_ms > f->now_ms + 1000) f->now_ms = at_ms - 1000;
    hub_pass(f, at_ms - f->now_ms);
}

static void who_comes_is_counted_soon_and_once(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    hub_tell_presence(f, true, "bob");
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 1);
    assert_int_equal(life(f), 2);
    assert_int_equal(bucket(f, BUCKET_MS), 2);
    hub_tell_presence(f, false, "alice");
    hub_tell_presence(f, true, "alice");
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(life(f), 2);
    assert_true(count(f, 0, 0).exact);
}

static void a_room_has_one_batch_in_five_seconds(void **state)
{
    struct hub_fixture *f = *state;

    for (int i = 0; i < 100; i++) { /* one in 200 ms, for 20 s */
        hub_come(f, i, i + 1);
        hub_pass(f, 200);
    }
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(life(f), 100);
    assert_in_range(f->stub->adds, 4, 6);
}

static void who_stays_enters_each_new_bucket(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 10);
    pass_to(f, BUCKET_MS + 2 * MINUTE_MS);
    hub_tell_presence(f, false, "u0");
    hub_tell_presence(f, false, "u1");
    for (int i = 1; i <= 4; i++) {
        pass_to(f, BUCKET_MS + i * VIEWERS_BUCKET_MS + HUB_VIEWERS_FLUSH_MS);
        assert_int_equal(bucket(f, BUCKET_MS + i * VIEWERS_BUCKET_MS), 8);
    }
    assert_int_equal(bucket(f, BUCKET_MS), 10);
    assert_int_equal(life(f), 10);
}

/* They were here when it began, whatever is looked at first. */
static void who_leaves_as_a_bucket_begins_was_in_it(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 3);
    pass_to(f, NEXT_MS - 1);
    f->now_ms = NEXT_MS + 50; /* no tick between */
    hub_tell_presence(f, false, "u0");
    pass_to(f, NEXT_MS + HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(bucket(f, NEXT_MS), 3);
}

static void who_comes_as_a_bucket_begins_is_in_that_one_alone(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 3);
    pass_to(f, NEXT_MS - 1);
    f->now_ms = NEXT_MS + 50;
    hub_come(f, 5, 6);
    pass_to(f, NEXT_MS + HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(bucket(f, BUCKET_MS), 3);
    assert_int_equal(bucket(f, NEXT_MS), 4);
}

/* More than the hub walks over in one turn, and some leave between two turns. */
static void a_large_room_goes_over_in_turns(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 9500);
    pass_to(f, NEXT_MS - 1);
    while (f->now_ms < NEXT_MS + HUB_SPREAD_MS + 2) {
        f->now_ms++;
        hub_tick(f->hub, f->now_ms);
        char user[16];
        snprintf(user, sizeof user, "u%d", (int)(f->now_ms - NEXT_MS));
        hub_tell_presence(f, false, user);
    }
    pass_to(f, NEXT_MS + 2 * HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(bucket(f, BUCKET_MS), 9500);
    assert_int_equal(bucket(f, NEXT_MS), 9500);
}

static void a_batch_that_is_late_goes_into_its_own_bucket(void **state)
{
    struct hub_fixture *f = *state;

    pass_to(f, NEXT_MS - 50); /* not gathered yet when the bucket ends */
    hub_tell_presence(f, true, "alice");
    hub_tell_presence(f, false, "alice");
    pass_to(f, NEXT_MS + HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(bucket(f, BUCKET_MS), 1);
    assert_int_equal(bucket(f, NEXT_MS), 0);
}

static void a_room_without_anybody_costs_nothing(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    hub_tell_presence(f, false, "alice");
    pass_to(f, NEXT_MS + 2 * MINUTE_MS);
    uint64_t adds = f->stub->adds;
    for (int i = 2; i < 10; i++) pass_to(f, BUCKET_MS + i * VIEWERS_BUCKET_MS);
    assert_int_equal(f->stub->adds, adds);
    assert_int_equal(bucket(f, NEXT_MS + VIEWERS_BUCKET_MS), 0);
}

static void many_are_named_in_parts(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 3000);
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 10);
    assert_int_equal(life(f), 3000);
    assert_int_equal(f->stub->adds, 3);
    assert_int_equal(f->stub->merges, 0);
}

static void too_many_to_name_go_as_a_sketch(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 20000);
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 10);
    assert_int_equal(f->stub->adds, 0);
    assert_int_equal(f->stub->merges, 1);
    assert_false(count(f, 0, 0).exact);
    assert_in_range(life(f), 19200, 20800);
    pass_to(f, NEXT_MS + HUB_VIEWERS_FLUSH_MS);
    assert_in_range(bucket(f, NEXT_MS), 19200, 20800);
}

/* --- a store that fails ----------------------------------------------------------------------- */

static void what_the_store_fails_is_given_again(void **state)
{
    struct hub_fixture *f = *state;

    f->stub->is_down = true;
    hub_come(f, 0, 2000);
    hub_pass(f, 3 * HUB_COUNTING_RETRY_MS);
    assert_true(counter_get(&hub_metrics(f->hub)->viewers_failed_total) >= 2);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_total), 0);
    hub_come(f, 2000, 2010);
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_waiting), 1); /* the next gathers */
    f->stub->is_down = false;
    hub_pass(f, HUB_COUNTING_RETRY_MS + HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(life(f), 2010);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_total), 2010);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_waiting), 0);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_dropped_total), 0);
}

static void a_call_that_does_not_start_is_made_again(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    f->stub->refuse_call = f->stub->calls + 1;
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 1);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_failed_total), 1);
    hub_pass(f, HUB_COUNTING_RETRY_MS);
    assert_int_equal(life(f), 1);
}

static void a_part_that_fails_is_given_again_alone(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 3000);
    f->stub->fail_call = f->stub->calls + 2;
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 10);
    hub_pass(f, HUB_COUNTING_RETRY_MS + 10);
    assert_int_equal(f->stub->adds, 4);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_total), 3000);
    assert_int_equal(life(f), 3000);
}

static void a_store_that_stays_away_is_given_up_on(void **state)
{
    struct hub_fixture *f = *state;

    f->stub->is_stalled = true;
    hub_come(f, 0, 9000);
    for (int i = 1; i < 1000; i++) { /* a batch for each bucket */
        if (counter_get(&hub_metrics(f->hub)->viewers_dropped_total) > 0) break;
        f->now_ms += VIEWERS_BUCKET_MS;
        hub_pass(f, 4);
    }
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_dropped_total), 9000);
    f->stub->is_stalled = false;
    hub_pass(f, 10 * HUB_VIEWERS_FLUSH_MS);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_waiting), 0);
    assert_int_equal(life(f), 9000);
    assert_int_equal(bucket(f, viewers_bucket(f->now_ms)), 9000);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void what_has_gathered_outlives_its_room(void **state)
{
    struct hub_fixture *f = *state;

    hub_tell_presence(f, true, "alice");
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    f->stub->is_down = true;
    hub_tell_presence(f, true, "bob");
    hub_pass(f, HUB_VIEWERS_FLUSH_MS);
    hub_tell_presence(f, false, "alice");
    hub_tell_presence(f, false, "bob");
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, HUB_IDLE_MS + HUB_POLL_IDLE_MS + 1);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->rooms_active), 0);
    f->stub->is_down = false;
    hub_pass(f, HUB_COUNTING_RETRY_MS);
    assert_int_equal(life(f), 2);
}

static void on_inner_count(void *arg, int err, const struct viewers_count *count)
{
    assert_int_equal(err, OK);
    *(struct viewers_count *)arg = *count;
}

/* As the store has it that is being closed. */
static uint64_t stored(struct hub_fixture *f)
{
    const struct store_viewers_count whole = {.room = ROOM};
    struct viewers_count result = {0};
    f->stub->is_closing = true;
    assert_int_equal(store_viewers_count(f->stub->inner, &whole, on_inner_count, &result), OK);
    store_dispatch(f->stub->inner, f->now_ms);
    return result.unique;
}

static void a_stop_gives_the_store_all_that_there_is(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 5000);
    hub_pass(f, HUB_VIEWERS_GATHER_MS - 1);
    f->stub->is_stalled = true; /* some of it is under way */
    hub_pass(f, 10);
    hub_come(f, 5000, 5010);
    hub_flush(f->hub, f->now_ms);
    assert_int_equal(f->stub->adds, 6);
    assert_int_equal(stored(f), 5010);
}

static void a_stop_with_calls_under_way_leaks_nothing(void **state)
{
    struct hub_fixture *f = *state;

    hub_come(f, 0, 5000);
    f->stub->is_stalled = true;
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 1);
    hub_come(f, 0, 20);
    hub_flush(f->hub, f->now_ms);
}

/* --- what is told ----------------------------------------------------------------------------- */

static uint64_t unique_of_room(struct hub_fixture *f)
{
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
    uint64_t unique = call->record.unique;
    assert_int_equal(call->err, OK);
    assert_true(call->is_counted);
    call_free(call);
    return unique;
}

static void a_room_tells_how_many_it_has_had(void **state)
{
    struct hub_fixture *f = *state;

    assert_int_equal(unique_of_room(f), 0);
    hub_come(f, 0, 3);
    assert_int_equal(unique_of_room(f), 3); /* whoever is here was here */
    hub_pass(f, HUB_VIEWERS_GATHER_MS + 1);
    hub_tell_presence(f, false, "u0");
    assert_int_equal(unique_of_room(f), 3);
}

static void a_room_that_is_not_there_has_no_count(void **state)
{
    struct hub_fixture *f = *state;
    struct call *call = call_new(CALL_VIEWERS, STR("dev/nowhere"));

    assert_int_equal(hub_do(f, call), ERR_ROOM_NOT_FOUND);
}

static void with_counting_off_nothing_is_gathered_nor_told(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_come(f, 0, 3);
    hub_append(f, LIST_NORMAL);
    pass_to(f, NEXT_MS + MINUTE_MS);
    hub_flush(f->hub, f->now_ms);
    assert_int_equal(f->stub->adds + f->stub->merges + f->stub->puts, 0);
    assert_int_equal(hub_do(f, hub_make_call(CALL_VIEWERS, 0)), ERR_COUNTING_OFF);
    assert_int_equal(hub_do(f, hub_make_call(CALL_SAMPLES, 0)), ERR_COUNTING_OFF);
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
    assert_false(call->is_counted);
    assert_int_equal(call->online, 3);
    call_free(call);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, hub_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_comes_is_counted_soon_and_once),
        TEST(a_room_has_one_batch_in_five_seconds),
        TEST(who_stays_enters_each_new_bucket),
        TEST(who_leaves_as_a_bucket_begins_was_in_it),
        TEST(who_comes_as_a_bucket_begins_is_in_that_one_alone),
        TEST(a_large_room_goes_over_in_turns),
        TEST(a_batch_that_is_late_goes_into_its_own_bucket),
        TEST(a_room_without_anybody_costs_nothing),
        TEST(many_are_named_in_parts),
        TEST(too_many_to_name_go_as_a_sketch),
        TEST(what_the_store_fails_is_given_again),
        TEST(a_call_that_does_not_start_is_made_again),
        TEST(a_part_that_fails_is_given_again_alone),
        TEST(a_store_that_stays_away_is_given_up_on),
        TEST(what_has_gathered_outlives_its_room),
        TEST(a_stop_gives_the_store_all_that_there_is),
        TEST(a_stop_with_calls_under_way_leaks_nothing),
        TEST(a_room_tells_how_many_it_has_had),
        TEST(a_room_that_is_not_there_has_no_count),
        cmocka_unit_test_setup_teardown(with_counting_off_nothing_is_gathered_nor_told,
                                        hub_fixture_setup, hub_fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
