/* core/worker_hold.c: nobody is answered sooner than the pace allows, whatever they send; nobody waits longer than the
 * pace and their time-out; and a high message waits for neither. */
#include <stdlib.h>

#include "core/worker_internal.h"
#include "unit/core_worker_fixture.h"

#define INTERVAL_MS 1000

static struct worker_fixture *paced(void **state, uint64_t *ret_sub)
{
    struct worker_fixture *f = *state;
    worker_fixture_pace(f, "1:1000 2:1000");
    worker_fixture_poll(f, EXCHANGES - 1, "", NULL);
    *ret_sub = worker_fixture_ready(f, 5, 5);
    worker_fixture_turn(f);
    struct note online = {.kind = NOTE_ONLINE, .sub = *ret_sub, .count = 100};
    worker_fixture_note(f, &online);
    worker_fixture_turn(f);
    return f;
}

/* One who has just been told of everything up to these numbers. */
static struct cursor just_told(struct worker_fixture *f, uint64_t high, uint64_t normal)
{
    struct cursor cursor = worker_fixture_cursor(ROOM, high, normal);
    cursor.at_ms = f->now_ms;
    return cursor;
}

/* Polls and waits for the answer; how long it took. */
static int64_t time_to_answer(struct worker_fixture *f, uint64_t exchange, const char *user,
                              const struct cursor *since)
{
    int64_t began_ms = f->now_ms;
    worker_fixture_poll(f, exchange, user, since);
    while (worker_fixture_outcome(f, exchange) == 0 && f->now_ms < began_ms + 60000)
        worker_fixture_pass(f, 1);
    return f->now_ms - began_ms;
}

static const struct told *told(const struct worker_fixture *f, uint64_t exchange)
{
    assert_int_equal(worker_fixture_outcome(f, exchange), 1);
    return &f->outcome[exchange].told;
}

static uint64_t held(const struct worker_fixture *f)
{
    return counter_get(&worker_metrics(f->worker)->polls_held);
}

static void a_reader_is_held_for_the_interval_and_gets_all_that_came(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    worker_fixture_poll(f, 1, "alice", &cursor);
    for (uint64_t n = 6; n <= 8; n++) {
        worker_fixture_pass(f, 100);
        worker_fixture_news(f, sub, LIST_NORMAL, n);
    }
    worker_fixture_pass(f, INTERVAL_MS - 301);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    assert_int_equal(held(f), 1);
    worker_fixture_pass(f, 1);
    assert_int_equal(told(f, 1)->count, 3);
    assert_int_equal(held(f), 0);
}

static void a_reader_who_has_rested_is_answered_at_once(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    worker_fixture_poll(f, 1, "alice", &cursor);
    worker_fixture_pass(f, 5000);
    worker_fixture_news(f, sub, LIST_NORMAL, 6);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
}

static void a_high_message_breaks_the_hold_but_not_within_200_ms(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    worker_fixture_poll(f, 1, "alice", &cursor);
    worker_fixture_pass(f, 50);
    worker_fixture_news(f, sub, LIST_HIGH, 6);
    worker_fixture_pass(f, PACE_HIGH_GAP_MS - 51);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_pass(f, 1);
    assert_int_equal(told(f, 1)->count, 1);
    cursor = just_told(f, 6, 5);
    worker_fixture_pass(f, 300);
    worker_fixture_poll(f, 2, "bob", &cursor);
    worker_fixture_news(f, sub, LIST_HIGH, 7);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 2)->count, 1);
    assert_in_range(counter_get(&worker_metrics(f->worker)->holds_broken_total), 2, 2);
}

static void a_high_message_that_is_there_already_shortens_the_hold(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 4, 5);
    assert_in_range(time_to_answer(f, 1, "alice", &cursor), PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 1);
    assert_int_equal(told(f, 1)->count, 1);
}

/* What a client may write into its cursor, or leave out: none of it makes the next answer come sooner. */
static void cheating_gains_nothing(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor old = worker_fixture_cursor(ROOM, 5, 3), zero = old, future = old;
    zero.at_ms = 0;
    future.at_ms = f->now_ms + 1000000;
    const struct cursor *tricks[] = {&old, &zero, NULL, &future, &old, NULL, &zero};
    assert_in_range(time_to_answer(f, 1, "mallory", &zero), 0, 1);
    for (uint64_t i = 0; i < sizeof tricks / sizeof tricks[0]; i++)
        assert_in_range(time_to_answer(f, 2 + i, "mallory", tricks[i]), INTERVAL_MS - 1,
                        INTERVAL_MS + 1);
}

static void several_polls_of_a_user_have_the_pace_of_so_many_readers(void **state)
{
    enum { POLLS = 4, ROUNDS_MS = 10000 };
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor old = worker_fixture_cursor(ROOM, 5, 3);
    uint64_t exchange[POLLS], next = 1, answers = 0;
    for (int i = 0; i < POLLS; i++) worker_fixture_poll(f, exchange[i] = next++, "many", &old);
    for (int64_t ms = 0; ms < ROUNDS_MS; ms++) {
        worker_fixture_pass(f, 1);
        for (int i = 0; i < POLLS; i++) {
            if (worker_fixture_outcome(f, exchange[i]) == 0) continue;
            answers++;
            worker_fixture_poll(f, exchange[i] = next++, "many", &old);
        }
    }
    assert_in_range(answers, POLLS * ROUNDS_MS / INTERVAL_MS - POLLS,
                    POLLS * ROUNDS_MS / INTERVAL_MS + POLLS);
}

static void a_time_out_shorter_than_the_hold_ends_with_the_hold(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&cursor, text);
    struct poll poll = {.room = ROOM,
                        .user = STR("hasty"),
                        .since = str_make(text, sizeof text),
                        .limit = 50,
                        .timeout_ms = 0,
                        .exchange = 1};
    worker_fixture_poll_as(f, &poll);
    worker_fixture_pass(f, INTERVAL_MS - 1);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_pass(f, 1);
    assert_int_equal(told(f, 1)->count, 0);
}

static void a_poll_waits_for_its_time_out_behind_the_hold(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    assert_in_range(time_to_answer(f, 1, "alice", &cursor), 25000, 25001);
}

static void held_polls_end_as_others_do(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor cursor = just_told(f, 5, 5);
    uint64_t waiter = worker_fixture_poll(f, 1, "gone", &cursor);
    worker_fixture_poll(f, 2, "left", &cursor);
    worker_fixture_poll(f, 3, "stays", &cursor);
    assert_int_equal(held(f), 3);
    worker_cancel(f->worker, waiter, f->now_ms);
    struct note leave = {.kind = NOTE_LEAVE, .sub = sub, .user = strdup("left")};
    worker_fixture_note(f, &leave);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 2)->count, 0);
    worker_drain(f->worker, 2000, f->now_ms);
    assert_in_range(told(f, 3)->poll_after_ms, 0, 2000);
    assert_int_equal(held(f), 0);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
}

static void the_load_lengthens_the_hold(void **state)
{
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    uint64_t busy_us = 0;
    for (int i = 0; i < 200; i++) { /* 50 s, always busy */
        worker_set_busy(f->worker, busy_us, f->now_ms);
        worker_fixture_pass(f, PACE_STEP_MS);
        busy_us += PACE_STEP_MS * 1000;
    }
    assert_int_equal(counter_get(&worker_metrics(f->worker)->pace_load_ms), PACE_LOAD_MAX_MS);
    assert_true(worker_sheds_sends(f->worker));
    struct cursor cursor = just_told(f, 5, 4);
    worker_fixture_poll(f, 1, "late", &cursor);
    assert_int_equal(f->outcome[1].err, ERR_OVERLOADED);
    assert_in_range(f->outcome[1].retry_after_ms, 1000, 10000);
    for (int i = 0; i < 100; i++) { /* and then hardly */
        worker_fixture_pass(f, PACE_STEP_MS);
        busy_us += PACE_STEP_MS * 10;
        worker_set_busy(f->worker, busy_us, f->now_ms);
    }
    assert_false(worker_sheds_sends(f->worker));
    assert_int_equal(counter_get(&worker_metrics(f->worker)->pace_load_ms), 0);
}

/* 600 readers and a capacity of 200 answers a second: they are told within three seconds, and another room at once. */
static void a_fan_out_beyond_a_seconds_capacity_is_spread(void **state)
{
    enum { READERS = 600, CAPACITY = 200 };
    uint64_t sub;
    struct worker_fixture *f = paced(state, &sub);
    struct cursor rested = worker_fixture_cursor(ROOM, 5, 5);
    rested.at_ms = 0;
    for (uint64_t i = 0; i < READERS; i++) worker_fixture_poll(f, 1 + i, "", &rested);
    f->worker->capacity = CAPACITY;
    f->worker->allowance = (struct bucket){0};
    worker_fixture_news(f, sub, LIST_NORMAL, 6);
    uint64_t before = counter_get(&worker_metrics(f->worker)->answers_total);
    worker_fixture_pass(f, 100);
    uint64_t first = counter_get(&worker_metrics(f->worker)->answers_total) - before;
    assert_in_range(first, CAPACITY, CAPACITY + CAPACITY / 5);
    worker_fixture_pass(f, 3000);
    assert_int_equal(counter_get(&worker_metrics(f->worker)->answers_total) - before, READERS);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_reader_is_held_for_the_interval_and_gets_all_that_came),
        TEST(a_reader_who_has_rested_is_answered_at_once),
        TEST(a_high_message_breaks_the_hold_but_not_within_200_ms),
        TEST(a_high_message_that_is_there_already_shortens_the_hold),
        TEST(cheating_gains_nothing),
        TEST(several_polls_of_a_user_have_the_pace_of_so_many_readers),
        TEST(a_time_out_shorter_than_the_hold_ends_with_the_hold),
        TEST(a_poll_waits_for_its_time_out_behind_the_hold),
        TEST(held_polls_end_as_others_do),
        TEST(the_load_lengthens_the_hold),
        TEST(a_fan_out_beyond_a_seconds_capacity_is_spread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
