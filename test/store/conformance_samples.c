/* History: samples come back in order and add up over steps; the old ones are thinned, then go. */
#include "store/harness_counting.h"
#include "store/conformance.h"

#include <stdio.h>

#include "base/error.h"

#define ROOM    "app/room"
#define HOUR_MS (START_MS - START_MS % SAMPLE_THIN_MS)

static struct sample sample_of(int minute)
{
    return (struct sample){
        .at_ms = HOUR_MS + minute * (int64_t)SAMPLE_MS,
        .span_ms = SAMPLE_MS,
        .online_ms = 1000 + (uint64_t)minute,
        .online_peak = 10 + (uint64_t)minute,
        .joins = 2,
        .messages = {[LIST_HIGH] = 1, [LIST_NORMAL] = 3},
        .unique = 100 + (uint64_t)minute,
    };
}

static void put_minutes(struct harness *h, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct sample sample = sample_of(i);
        assert_int_equal(harness_sample_put(h, ROOM, &sample), 0);
    }
}

static void put_by(struct harness *h, const char *node, struct sample sample)
{
    assert_int_equal(harness_sample_put_by(h, ROOM, node, &sample), 0);
}

static struct harness_samples range(struct harness *h, int from, int to, int64_t step_ms)
{
    const struct store_sample_range in = {.room = STR(ROOM),
                                          .from_ms = HOUR_MS + from * (int64_t)SAMPLE_MS,
                                          .to_ms = HOUR_MS + to * (int64_t)SAMPLE_MS,
                                          .step_ms = step_ms,
                                          .limit = 64};
    struct harness_samples samples = harness_sample_range(h, &in);
    assert_int_equal(samples.err, 0);
    return samples;
}

static void check_sample(const struct sample *a, const struct sample *b)
{
    assert_int_equal(a->at_ms, b->at_ms);
    assert_int_equal(a->span_ms, b->span_ms);
    assert_int_equal(a->online_ms, b->online_ms);
    assert_int_equal(a->online_peak, b->online_peak);
    assert_int_equal(a->joins, b->joins);
    assert_int_equal(a->messages[LIST_HIGH], b->messages[LIST_HIGH]);
    assert_int_equal(a->messages[LIST_NORMAL], b->messages[LIST_NORMAL]);
    assert_int_equal(a->unique, b->unique);
}

static void a_room_that_is_not_there_has_no_history(void **state)
{
    struct harness *h = *state;
    const struct store_sample_range in = {.room = STR(ROOM), .to_ms = 1, .step_ms = 1, .limit = 1};
    struct sample sample = sample_of(0);

    assert_int_equal(harness_sample_range(h, &in).err, ERR_ROOM_NOT_FOUND);
    assert_int_equal(harness_sample_put(h, ROOM, &sample), ERR_ROOM_NOT_FOUND);
}

static void samples_come_back_in_order(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, "app/other");
    assert_int_equal(range(h, 0, 60, SAMPLE_MS).count, 0);
    put_minutes(h, 10, 20);
    put_minutes(h, 0, 10);
    struct sample elsewhere = sample_of(5);
    elsewhere.joins = 77;
    assert_int_equal(harness_sample_put(h, "app/other", &elsewhere), 0);
    struct harness_samples samples = range(h, 0, 60, SAMPLE_MS);
    assert_int_equal(samples.count, 20);
    assert_false(samples.more);
    for (int i = 0; i < 20; i++) {
        struct sample sample = sample_of(i);
        check_sample(&samples.samples[i], &sample);
    }
    samples = range(h, 5, 8, SAMPLE_MS);
    assert_int_equal(samples.count, 3);
    assert_int_equal(samples.samples[0].at_ms, sample_of(5).at_ms);
}

static void a_sample_replaces_one_of_its_time(void **state)
{
    struct harness *h = *state;
    struct sample sample = sample_of(3);

    harness_create(h, ROOM);
    put_minutes(h, 0, 5);
    sample.joins = 50;
    assert_int_equal(harness_sample_put(h, ROOM, &sample), 0);
    struct harness_samples samples = range(h, 0, 60, SAMPLE_MS);
    assert_int_equal(samples.count, 5);
    check_sample(&samples.samples[3], &sample);
}

static void samples_of_a_step_come_as_one(void **state)
{
    struct harness *h = *state;
    struct sample part = sample_of(1);

    harness_create(h, ROOM);
    put_minutes(h, 0, 10);
    part.at_ms += 30000; /* the server was started anew within the minute */
    part.span_ms = 30000;
    assert_int_equal(harness_sample_put(h, ROOM, &part), 0);
    struct harness_samples samples = range(h, 0, 60, SAMPLE_MS);
    assert_int_equal(samples.count, 10);
    assert_int_equal(samples.samples[1].joins, 4);
    assert_int_equal(samples.samples[1].online_ms, 2002);
    assert_int_equal(samples.samples[1].span_ms, SAMPLE_MS);

    samples = range(h, 0, 60, 5 * (int64_t)SAMPLE_MS);
    assert_int_equal(samples.count, 2);
    assert_int_equal(samples.samples[0].at_ms, HOUR_MS);
    assert_int_equal(samples.samples[0].joins, 12);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 18);
    assert_int_equal(samples.samples[0].online_ms, 5000 + 0 + 1 + 2 + 3 + 4 + 1001);
    assert_int_equal(samples.samples[0].online_peak, 14);
    assert_int_equal(samples.samples[0].unique, 104);
    assert_int_equal(samples.samples[1].at_ms, HOUR_MS + 5 * SAMPLE_MS);
    assert_int_equal(samples.samples[1].joins, 10);
}

static void a_range_says_when_there_is_more(void **state)
{
    struct harness *h = *state;
    struct store_sample_range in = {
        .room = STR(ROOM), .to_ms = INT64_MAX, .step_ms = SAMPLE_MS, .limit = 4};

    harness_create(h, ROOM);
    put_minutes(h, 0, 5);
    struct harness_samples samples = harness_sample_range(h, &in);
    assert_int_equal(samples.count, 4);
    assert_true(samples.more);
    in.limit = 5;
    samples = harness_sample_range(h, &in);
    assert_int_equal(samples.count, 5);
    assert_false(samples.more);
}

static void history_is_there_after_reopening(void **state)
{
    struct harness *h = *state;

    if (!h->fixture->is_durable) skip();
    harness_create(h, ROOM);
    put_minutes(h, 0, 5);
    harness_reopen(h);
    assert_int_equal(range(h, 0, 60, SAMPLE_MS).count, 5);
}

/* --- several nodes --------------------------------------------------------------------------- */

static void what_two_nodes_saw_is_one_sample(void **state)
{
    struct harness *h = *state;
    struct sample of_a = sample_of(1), of_b = sample_of(1);

    of_b.joins = 5;
    of_b.online_ms = 7000;
    of_b.messages[LIST_HIGH] = 0;
    harness_create(h, ROOM);
    put_minutes(h, 0, 1);
    put_by(h, "a", of_a);
    put_by(h, "b", of_b);
    put_by(h, "a", of_a); /* again: counts once */
    put_by(h, "b", sample_of(2));
    struct harness_samples samples = range(h, 0, 60, SAMPLE_MS);
    assert_int_equal(samples.count, 3);
    struct sample both = of_b;
    both.joins = 7;
    both.messages[LIST_HIGH] = 1;
    check_sample(&samples.samples[1], &both);
    samples = range(h, 0, 60, 5 * (int64_t)SAMPLE_MS);
    assert_int_equal(samples.count, 1);
    assert_int_equal(samples.samples[0].joins, 11);
    assert_int_equal(samples.samples[0].online_ms, 1000 + 7000 + 1002);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 9);
}

/* A server that was started anew has another name. */
static void what_one_node_saw_after_another_adds_up(void **state)
{
    struct harness *h = *state;
    struct sample before = sample_of(1), after = sample_of(1);

    before.span_ms = 20000;
    after.at_ms += 25000;
    after.span_ms = 35000;
    harness_create(h, ROOM);
    put_by(h, "z", before);
    put_by(h, "a", after);
    struct harness_samples samples = range(h, 0, 60, SAMPLE_MS);
    assert_int_equal(samples.count, 1);
    assert_int_equal(samples.samples[0].at_ms, before.at_ms);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_MS);
    assert_int_equal(samples.samples[0].online_ms, 2002);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 6);
    assert_int_equal(samples.samples[0].joins, 4);
}

/* A limit is of minutes, however many nodes have seen them. */
static void nodes_take_no_place_in_an_answer(void **state)
{
    struct harness *h = *state;
    char node[16];

    harness_create(h, ROOM);
    for (int minute = 0; minute < 5; minute++) {
        for (int i = 0; i < 20; i++) {
            snprintf(node, sizeof(node), "n%d", i);
            put_by(h, node, sample_of(minute));
        }
    }
    const struct store_sample_range in = {.room = STR(ROOM),
                                          .from_ms = HOUR_MS,
                                          .to_ms = HOUR_MS + 10 * SAMPLE_MS,
                                          .step_ms = SAMPLE_MS,
                                          .limit = 4};
    struct harness_samples samples = harness_sample_range(h, &in);
    assert_int_equal(samples.count, 4);
    assert_true(samples.more);
    assert_int_equal(samples.samples[3].joins, 40);
    assert_int_equal(samples.samples[3].online_ms, 1003);
}

/* --- age ------------------------------------------------------------------------------------- */

static void set_history(struct harness *h, int64_t thin_age_ms, int64_t max_age_ms)
{
    h->history = (struct store_history){.max_age_ms = max_age_ms, .thin_age_ms = thin_age_ms};
    harness_reopen(h);
    harness_create(h, ROOM);
}

/* In the background; how long that takes is not laid down, but it ends. A store that is another process
 * takes its own time, while that of the harness stands still. */
static struct harness_samples range_when(struct harness *h, size_t count)
{
    struct harness_samples samples = range(h, -600, 600, SAMPLE_MS);

    for (int i = 0; i < 20000 && samples.count > count; i++) {
        if (i < 200) harness_tick(h);
        samples = range(h, -600, 600, SAMPLE_MS);
    }
    assert_int_equal(samples.count, count);
    return samples;
}

static void old_minutes_become_hours(void **state)
{
    struct harness *h = *state;

    set_history(h, 2 * SAMPLE_THIN_MS, 0);
    put_minutes(h, -5, 30);
    /* Only the hour before, for as long as range_when() may let pass. */
    h->now_ms = HOUR_MS + 3 * SAMPLE_THIN_MS - 600 * 1000;
    struct harness_samples samples = range_when(h, 31);
    assert_int_equal(samples.samples[0].at_ms, HOUR_MS - SAMPLE_THIN_MS);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_THIN_MS);
    assert_int_equal(samples.samples[0].joins, 10);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 15);
    assert_int_equal(samples.samples[1].span_ms, SAMPLE_MS);

    h->now_ms = HOUR_MS + 3 * (int64_t)SAMPLE_THIN_MS;
    samples = range_when(h, 2);
    assert_int_equal(samples.samples[1].at_ms, HOUR_MS);
    assert_int_equal(samples.samples[1].joins, 60);
    assert_int_equal(samples.samples[1].online_ms, 30 * 1000 + 29 * 30 / 2);
    assert_int_equal(samples.samples[1].online_peak, 39);
    assert_int_equal(samples.samples[1].unique, 129);
}

static void minutes_of_two_nodes_become_one_hour(void **state)
{
    struct harness *h = *state;

    set_history(h, SAMPLE_THIN_MS, 0);
    put_minutes(h, 0, 10);
    for (int i = 5; i < 15; i++) put_by(h, "other", sample_of(i));
    h->now_ms = HOUR_MS + 3 * (int64_t)SAMPLE_THIN_MS;
    struct harness_samples samples = range_when(h, 1);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_THIN_MS);
    assert_int_equal(samples.samples[0].joins, 40);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 45);
    assert_int_equal(samples.samples[0].online_ms, 15 * 1000 + 14 * 15 / 2);
}

static void one_that_comes_late_goes_into_its_hour(void **state)
{
    struct harness *h = *state;

    set_history(h, SAMPLE_THIN_MS, 0);
    put_minutes(h, 0, 3);
    h->now_ms = HOUR_MS + 3 * (int64_t)SAMPLE_THIN_MS;
    range_when(h, 1);
    put_minutes(h, 5, 6);
    put_by(h, "other", sample_of(0)); /* at the time that is the hour's, too */
    struct harness_samples samples = range_when(h, 1);
    assert_int_equal(samples.samples[0].joins, 10);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 15);
    assert_int_equal(samples.samples[0].online_ms, 5 * 1000 + 1 + 2 + 5);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_THIN_MS);
}

static void the_oldest_go(void **state)
{
    struct harness *h = *state;

    set_history(h, 0, SAMPLE_THIN_MS);
    put_minutes(h, 0, 60);
    h->now_ms = HOUR_MS + SAMPLE_THIN_MS + 40 * SAMPLE_MS - 50000;
    struct harness_samples samples = range_when(h, 20);
    assert_int_equal(samples.samples[0].at_ms, sample_of(40).at_ms);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_MS);

    set_history(h, SAMPLE_THIN_MS, 5 * (int64_t)SAMPLE_THIN_MS);
    put_minutes(h, 40, 60);
    h->now_ms = HOUR_MS + 4 * (int64_t)SAMPLE_THIN_MS;
    range_when(h, 1);
    h->now_ms = HOUR_MS + 6 * (int64_t)SAMPLE_THIN_MS;
    range_when(h, 0);
}

size_t conformance_samples(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_that_is_not_there_has_no_history),
        cmocka_unit_test(samples_come_back_in_order),
        cmocka_unit_test(a_sample_replaces_one_of_its_time),
        cmocka_unit_test(samples_of_a_step_come_as_one),
        cmocka_unit_test(a_range_says_when_there_is_more),
        cmocka_unit_test(history_is_there_after_reopening),
        cmocka_unit_test(what_two_nodes_saw_is_one_sample),
        cmocka_unit_test(what_one_node_saw_after_another_adds_up),
        cmocka_unit_test(nodes_take_no_place_in_an_answer),
        cmocka_unit_test(old_minutes_become_hours),
        cmocka_unit_test(minutes_of_two_nodes_become_one_hour),
        cmocka_unit_test(one_that_comes_late_goes_into_its_hour),
        cmocka_unit_test(the_oldest_go),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
