/* What readers get while everything goes wrong: every high message once and in order, normal ones
 * or the truth about them, and never a silent hole. Each test is a world of its own kind, run with
 * many seeds (sim/sim.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sim/sim.h"

#define SEEDS 200

#define BAD_NEWS                                                                                   \
    {                                                                                              \
        .lose = 0.2, .twice = 0.1, .delay = 0.2, .max_delay_ms = 500                               \
    }

static void a_calm_day(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 12,
                                    .senders = 4,
                                    .max_timeout_ms = 5000,
                                    .max_quiet_ms = 400,
                                    .high = 0.3,
                                    .rules = {.latency_ms = 20}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.shared_answers > 0);
    assert_true(tally.timed_out > 0);
}

static void bad_connections(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 3,
                                    .rooms = 3,
                                    .readers = 20,
                                    .senders = 4,
                                    .disconnect = 0.2,
                                    .lose_answer = 0.2,
                                    .move = 0.3,
                                    .pause = 0.2,
                                    .max_pause_ms = 3000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .high = 0.3};
    SIM_RUN_SEEDS(&setup, SEEDS);
}

static void a_bad_store(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 12,
                                    .senders = 6,
                                    .odds = SIM_BAD_STORE(300),
                                    .news_odds = BAD_NEWS,
                                    .move = 0.1,
                                    .max_pause_ms = 1000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .high = 0.3,
                                    .impatient = 0.2,
                                    .keyless = 0.1};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.holes > 0);
    assert_true(tally.fallback_messages > 0);
    assert_true(tally.failed_pulls > 0);
    assert_true(tally.failed_appends > 0);
    assert_true(tally.duplicates > 0);
}

static void a_row_of_two_nodes(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 16,
                                    .senders = 6,
                                    .odds = SIM_BAD_STORE(300),
                                    .news_odds = BAD_NEWS,
                                    .disconnect = 0.1,
                                    .move = 0.5,
                                    .pause = 0.1,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .high = 0.3,
                                    .impatient = 0.1};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.cold_polls > 0);
    assert_true(tally.fallback_messages > 0);
    assert_true(tally.duplicates > 0);
}

/* Readers that stay away until what they have not read is gone from memory and from the store. */
static void long_absences_and_short_retention(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 30000,
        .nodes = 2,
        .workers = 2,
        .rooms = 2,
        .readers = 12,
        .senders = 4,
        .retention = {{.max_count = 40, .max_age_ms = 15000}, {.max_count = 60}},
        .news_odds = BAD_NEWS,
        .disconnect = 0.1,
        .move = 0.3,
        .pause = 0.2,
        .max_pause_ms = 25000,
        .max_timeout_ms = 2000,
        .max_quiet_ms = 300,
        .burst = 0.01,
        .high = 0.4};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.gaps > 0);
    assert_true(tally.skipped > 0);
    assert_true(tally.cold_polls > 0);
}

/* All promises hold when answers are held: by a small table, so that two readers are an audience. */
static void the_pace_holds_and_nothing_is_lost(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 20,
                                    .senders = 4,
                                    .odds = SIM_BAD_STORE(300),
                                    .news_odds = BAD_NEWS,
                                    .disconnect = 0.1,
                                    .lose_answer = 0.1,
                                    .move = 0.2,
                                    .pause = 0.2,
                                    .max_pause_ms = 3000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .high = 0.2,
                                    .pace_table = "1:0 2:400 8:1200"};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.held > 0);
    assert_true(tally.broken > 0);
}

/* Bursts larger than an answer, and than the copies in memory; workers that stand still. */
static void floods_and_full_queues(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 3,
                                    .rooms = 2,
                                    .readers = 12,
                                    .senders = 6,
                                    .news_odds = {.lose = 0.1},
                                    .disconnect = 0.1,
                                    .move = 0.2,
                                    .pause = 0.2,
                                    .max_pause_ms = 8000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 200,
                                    .burst = 0.05,
                                    .high = 0.5,
                                    .stall = 0.01,
                                    .max_stall_ms = 1000};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.deferred > 0);
    assert_true(tally.cold_polls > 0);
    assert_true(tally.skipped > 0);
}

/* More than the copies in memory hold, between two polls of a reader and in one stall of a
 * worker. */
static void floods_larger_than_the_copies(void **state)
{
    const struct sim_setup setup = {.run_ms = 12000,
                                    .nodes = 1,
                                    .workers = 2,
                                    .rooms = 1,
                                    .readers = 8,
                                    .senders = 6,
                                    .no_quotas = true,
                                    .news_odds = {.lose = 0.01},
                                    .disconnect = 0.1,
                                    .move = 0.2,
                                    .pause = 0.1,
                                    .max_pause_ms = 8000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 200,
                                    .burst = 0.3,
                                    .high = 0.5,
                                    .stall = 0.001,
                                    .max_stall_ms = 5000};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 10);
    assert_true(tally.deferred > 0);
    assert_true(tally.cold_polls > 0);
}

static void floods_that_no_news_tell_of(void **state)
{
    const struct sim_setup setup = {.run_ms = 8000,
                                    .nodes = 2,
                                    .workers = 1,
                                    .rooms = 1,
                                    .readers = 6,
                                    .senders = 6,
                                    .no_quotas = true,
                                    .news_odds = {.lose = 1},
                                    .pause = 0.1,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 300,
                                    .burst = 0.1,
                                    .high = 0.5,
                                    .rules = {.latency_ms = HUB_POLL_MS + 300}}; /* several reads */
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS / 10);
    assert_true(tally.fallback_messages > 0);
}

/* Copies are let go by workers and hubs, and made anew, while readers are away. */
static void rooms_that_fall_asleep(void **state)
{
    const struct sim_setup setup = {.run_ms = 600000,
                                    .nodes = 2,
                                    .workers = 1,
                                    .rooms = 4,
                                    .readers = 5,
                                    .senders = 4,
                                    .retention = {{.max_age_ms = 100000}, {.max_age_ms = 60000}},
                                    .odds = SIM_BAD_STORE(300),
                                    .news_odds = BAD_NEWS,
                                    .disconnect = 0.3,
                                    .move = 0.3,
                                    .pause = 0.7,
                                    .max_pause_ms = 150000,
                                    .max_timeout_ms = 5000,
                                    .max_quiet_ms = 30000,
                                    .burst = 0.03,
                                    .high = 0.5};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.cold_polls > 0);
    assert_true(tally.gaps > 0);
    assert_true(tally.skipped > 0);
}

/* Rooms that are in use survive the loss of the store: the copies are all that readers need who are
 * not further behind, and nobody misses anything, or gets it twice. */
static void a_store_that_is_emptied(void **state)
{
    const struct sim_setup setup = {.run_ms = 30000,
                                    .nodes = 1,
                                    .workers = 3,
                                    .rooms = 2,
                                    .readers = 16,
                                    .senders = 4,
                                    .losses = 5,
                                    .is_shared = true,
                                    .disconnect = 0.1,
                                    .move = 0.3,
                                    .pause = 0.2,
                                    .max_pause_ms = 3000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 300,
                                    .high = 0.4};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.revived > 0);
    bool were_all = tally.revived < UINT32_MAX; /* seeds; else the tally says that all happened */
    if (were_all) assert_int_equal(tally.gaps, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_calm_day),
        cmocka_unit_test(bad_connections),
        cmocka_unit_test(a_bad_store),
        cmocka_unit_test(a_row_of_two_nodes),
        cmocka_unit_test(long_absences_and_short_retention),
        cmocka_unit_test(the_pace_holds_and_nothing_is_lost),
        cmocka_unit_test(floods_and_full_queues),
        cmocka_unit_test(floods_larger_than_the_copies),
        cmocka_unit_test(floods_that_no_news_tell_of),
        cmocka_unit_test(rooms_that_fall_asleep),
        cmocka_unit_test(a_store_that_is_emptied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
