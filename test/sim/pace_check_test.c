/* sim/pace.c can fail: a history that keeps all the rules, and for each rule the same history with that one broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "sim/pace.h"

#define SLACK_MS 10

/* Worker 1 answers at 0 and, 1,000 ms apart, at 1,000; there is a high message at 1,200; the reader moves to worker 2 and is
 * held there until 2,200; that answer is lost, and worker 2 holds the next until 3,200. */
static int setup(void **state)
{
    struct pace_reader *reader = xcalloc(1, sizeof *reader);
    const struct pace_turn turns[] = {
        {.worker = 1, .answered_ms = 0, .high = 1, .brings_high = true},
        {.worker = 1, .polled_ms = 0, .answered_ms = 1000, .high = 1, .is_honest = true},
        {.worker = 1,
         .polled_ms = 1000,
         .answered_ms = 1200,
         .high = 2,
         .brings_high = true,
         .is_honest = true},
        {.worker = 2, .polled_ms = 1200, .answered_ms = 2200, .high = 2, .is_honest = true},
        {.worker = 2, .polled_ms = 2250, .answered_ms = 3200, .high = 2, .is_honest = true},
    };
    for (size_t i = 0; i < sizeof turns / sizeof *turns; i++) {
        pace_reader_add(reader, &turns[i]);
        struct pace_turn *turn = &reader->turns[i];
        turn->pace_ms = turn->longest_ms = 1000;
        turn->timeout_ms = 300;
    }
    reader->turns[3].is_lost = true;
    *state = reader;
    return 0;
}

static int teardown(void **state)
{
    struct pace_reader *reader = *state;
    pace_reader_deinit(reader);
    free(reader);
    return 0;
}

static void assert_right(const struct pace_reader *reader)
{
    size_t where;
    assert_null(pace_check(reader, SLACK_MS, &where));
}

static void assert_wrong(const struct pace_reader *reader, const char *what, size_t where)
{
    size_t turn = 99;
    const char *wrong = pace_check(reader, SLACK_MS, &turn);
    assert_non_null(wrong);
    assert_string_equal(wrong, what);
    assert_int_equal(turn, where);
}

#define SOONER        "a reader was answered sooner than the pace allows"
#define CURSOR_SOONER "a cursor was answered sooner than the pace allows"

static void the_whole_history_is_right(void **state)
{
    assert_right(*state);
}

static void an_answer_too_soon_is_seen(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[1].answered_ms = 999;
    assert_wrong(reader, SOONER, 1);
}

static void a_cheater_answered_too_soon_is_seen(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[1].answered_ms = 999;
    reader->turns[1].is_honest = false;
    assert_wrong(reader, SOONER, 1);
}

static void the_shorter_of_two_intervals_counts_for_a_cheater(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[1].is_honest = false;
    reader->turns[0].pace_ms = 5000;
    assert_right(reader);
    reader->turns[0].pace_ms = 900;
    reader->turns[1].answered_ms = 900;
    assert_right(reader);
    reader->turns[1].answered_ms = 899;
    assert_wrong(reader, SOONER, 1);
}

static void a_high_message_within_the_gap_is_seen(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[2].answered_ms = 1199;
    assert_wrong(reader, SOONER, 2);
}

static void a_high_message_that_was_told_is_no_reason(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[2].high = 1;
    assert_wrong(reader, SOONER, 2);
}

static void a_high_message_that_is_not_in_the_answer_is_no_reason(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[2].brings_high = false;
    assert_wrong(reader, SOONER, 2);
}

static void an_answer_too_soon_from_another_worker_is_seen(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[3].answered_ms = 2200 - PACE_SHARED_MS;
    assert_right(reader);
    reader->turns[3].answered_ms--;
    assert_wrong(reader, CURSOR_SOONER, 3);
}

static void who_moves_and_cheats_is_new_there(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[3].answered_ms = 1300;
    reader->turns[3].is_honest = false;
    assert_right(reader);
}

static void a_lost_answer_counts_for_its_worker(void **state)
{
    struct pace_reader *reader = *state;
    reader->turns[4].answered_ms = 3199;
    assert_wrong(reader, SOONER, 4);
}

static void a_wait_that_is_too_long_is_seen(void **state)
{
    struct pace_reader *reader = *state;
    struct pace_turn *turn = &reader->turns[4];
    turn->answered_ms = turn->polled_ms + 1300 + SLACK_MS;
    assert_right(reader);
    turn->answered_ms++;
    assert_wrong(reader, "a poll waited longer than its pace and its time-out", 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_whole_history_is_right),
        TEST(an_answer_too_soon_is_seen),
        TEST(a_cheater_answered_too_soon_is_seen),
        TEST(the_shorter_of_two_intervals_counts_for_a_cheater),
        TEST(a_high_message_within_the_gap_is_seen),
        TEST(a_high_message_that_was_told_is_no_reason),
        TEST(a_high_message_that_is_not_in_the_answer_is_no_reason),
        TEST(an_answer_too_soon_from_another_worker_is_seen),
        TEST(who_moves_and_cheats_is_new_there),
        TEST(a_lost_answer_counts_for_its_worker),
        TEST(a_wait_that_is_too_long_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
