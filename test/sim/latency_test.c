/* How long a message takes to a reader that waits for it, when nothing tells the nodes of news. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sim/sim.h"

#define SEEDS 200

/* A fallback poll comes within 1,000 ms, the turns of hub and worker within a few more. */
#define WITHIN_MS (HUB_POLL_MS + 30)

static void every_notification_is_lost(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 12,
                                    .senders = 4,
                                    .news_odds = {.lose = 1},
                                    .disconnect = 0.05,
                                    .pause = 0.05,
                                    .max_pause_ms = 2000,
                                    .max_timeout_ms = 5000,
                                    .max_quiet_ms = 500,
                                    .high = 0.3,
                                    .rules = {.latency_ms = WITHIN_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.fallback_messages > 0);
}

static void some_notifications_are_lost_or_late(void **state)
{
    const struct sim_setup setup = {
        .run_ms = 20000,
        .nodes = 2,
        .workers = 2,
        .rooms = 2,
        .readers = 12,
        .senders = 4,
        .news_odds = {.lose = 0.3, .twice = 0.2, .delay = 0.5, .max_delay_ms = 3000},
        .disconnect = 0.05,
        .pause = 0.05,
        .max_pause_ms = 2000,
        .max_timeout_ms = 5000,
        .max_quiet_ms = 500,
        .high = 0.3,
        .rules = {.latency_ms = WITHIN_MS}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.holes > 0);
    assert_true(tally.fallback_messages > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_notification_is_lost),
        cmocka_unit_test(some_notifications_are_lost_or_late),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
