/* The pace, whatever readers do: nobody is answered sooner than it allows, nobody waits longer than it and the time-out, no
 * high message waits for it (sim/pace.h, sim/check.h); and with all that every reader gets what it is promised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sim/sim.h"

#define SEEDS 40

/* A hold ends in the turn of its worker behind it. */
#define SLACK_MS 20

/* Of a high message, when nothing is lost: the gap, and the turns of hub and workers. */
#define HIGH_WITHIN_MS (PACE_HIGH_GAP_MS + 40)

/* A room of two is an audience, and one of twenty a large one. */
#define SMALL_TABLE "2:300 6:800 20:2000"

static void honest_readers_come_go_and_move(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 20000,
        .nodes = 2,
        .workers = 2,
        .rooms = 2,
        .readers = 24,
        .senders = 4,
        .disconnect = 0.1,
        .move = 0.3,
        .pause = 0.2,
        .max_pause_ms = 5000,
        .max_timeout_ms = 3000,
        .max_quiet_ms = 200,
        .high = 0.1,
        .pace_table = SMALL_TABLE,
        .rules = {.high_latency_ms = HIGH_WITHIN_MS, .pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.held > 0);
    assert_true(tally.broken > 0);
    assert_true(tally.timed_out > 0);
}

static void cheats_gain_nothing(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 20000,
        .nodes = 2,
        .workers = 2,
        .rooms = 2,
        .readers = 24,
        .senders = 4,
        .disconnect = 0.1,
        .move = 0.1,
        .pause = 0.05,
        .max_pause_ms = 8000,
        .max_timeout_ms = 3000,
        .max_quiet_ms = 200,
        .cheat = 0.7,
        .high = 0.1,
        .pace_table = SMALL_TABLE,
        .rules = {.high_latency_ms = HIGH_WITHIN_MS, .pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.held > 0);
    assert_true(tally.broken > 0);
}

/* More high messages than the gap lets through one by one; intervals below, at and above the gap. */
static void high_messages_without_end(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 10000,
        .nodes = 1,
        .workers = 2,
        .rooms = 4,
        .readers = 24,
        .senders = 4,
        .no_quotas = true,
        .move = 0.1,
        .pause = 0.1,
        .max_pause_ms = 500,
        .max_timeout_ms = 1000,
        .max_quiet_ms = 40,
        .cheat = 0.3,
        .high = 0.9,
        .pace_table = "1:100 4:200 5:201 9:5000",
        .rules = {.high_latency_ms = HIGH_WITHIN_MS, .pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 2);
    assert_true(tally.broken > 0);
}

static void answers_that_are_lost(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 16,
                                    .senders = 4,
                                    .disconnect = 0.1,
                                    .lose_answer = 0.2,
                                    .move = 0.1,
                                    .max_pause_ms = 1000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .cheat = 0.3,
                                    .high = 0.3,
                                    .pace_table = SMALL_TABLE,
                                    .rules = {.pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.held > 0);
}

/* Without a pace these workers would be busy twice over. */
static void a_load_that_longer_holds_make_bearable(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 30000,
        .nodes = 1,
        .workers = 2,
        .rooms = 2,
        .readers = 24,
        .senders = 4,
        .move = 0.05,
        .pause = 0.05,
        .max_pause_ms = 2000,
        .max_timeout_ms = 5000,
        .max_quiet_ms = 150,
        .cheat = 0.5,
        .high = 0.05,
        .pace_table = "1000:1000",
        .answer_cost_us = 8000,
        .rules = {.high_latency_ms = HIGH_WITHIN_MS, .pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 2);
    assert_true(tally.held > 0);
    assert_true(tally.longest_load_ms >= PACE_LOAD_FIRST_MS);
}

/* An answer takes longer than there are seconds between them: polls are refused, until the load goes. */
static void a_load_beyond_all_holds(void **state)
{
    const struct sim_setup setup = {.run_ms = 60000,
                                    .nodes = 1,
                                    .workers = 1,
                                    .rooms = 2,
                                    .readers = 24,
                                    .senders = 2,
                                    .max_timeout_ms = 8000,
                                    .max_quiet_ms = 200,
                                    .cheat = 0.5,
                                    .high = 0.3,
                                    .pace_table = "1000:1000",
                                    .answer_cost_us = 1500000,
                                    .rules = {.pace_slack_ms = SLACK_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 5);
    assert_true(tally.shed > 0);
    assert_true(tally.longest_load_ms >= PACE_LOAD_MAX_MS);
}

/* Several readers of one name, more than may wait at once, who also leave: judged by what they receive. */
static void tabs_that_come_and_leave(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 2,
                                    .rooms = 1,
                                    .readers = 20,
                                    .users = 2,
                                    .senders = 2,
                                    .disconnect = 0.1,
                                    .move = 0.2,
                                    .leave = 0.1,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 300,
                                    .high = 0.3,
                                    .pace_table = "1:500",
                                    .rules = {.empty_before_timeout = true}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 2);
    assert_true(tally.evicted > 0);
    assert_true(tally.held > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(honest_readers_come_go_and_move),
        cmocka_unit_test(cheats_gain_nothing),
        cmocka_unit_test(high_messages_without_end),
        cmocka_unit_test(answers_that_are_lost),
        cmocka_unit_test(a_load_that_longer_holds_make_bearable),
        cmocka_unit_test(a_load_beyond_all_holds),
        cmocka_unit_test(tabs_that_come_and_leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
