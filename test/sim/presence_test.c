/* Who is here: after the last change, the count that readers are told becomes the number of users
 * in the room; and who was here, where that is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "sim/sim.h"

#define SEEDS 200

static void users_come_and_go(void **state)
{
    const struct sim_setup setup = {.run_ms = 30000,
                                    .nodes = 2,
                                    .workers = 3,
                                    .rooms = 3,
                                    .readers = 24,
                                    .senders = 2,
                                    .disconnect = 0.3,
                                    .lose_answer = 0.1,
                                    .move = 0.3,
                                    .pause = 0.2,
                                    .max_pause_ms = 10000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 1000,
                                    .high = 0.3};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.timed_out > 0);
}

/* Users with many devices, more than may wait at once; some say that they leave, and queues are so
 * full that it cannot be passed on. */
static void users_share_names_and_leave(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 1,
                                    .workers = 2,
                                    .rooms = 1,
                                    .readers = 24,
                                    .users = 2,
                                    .senders = 2,
                                    .disconnect = 0.1,
                                    .move = 0.3,
                                    .leave = 0.1,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 500,
                                    .high = 0.3,
                                    .stall = 0.03,
                                    .max_stall_ms = 1000,
                                    .rules = {.empty_before_timeout = true}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.evicted > 0);
    assert_true(tally.deferred > 0);
}

/* Readers move between nodes that share a store, which fails now and then. */
static void users_come_and_go_over_nodes(void **state)
{
    const struct sim_setup setup = {.run_ms = 30000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 2,
                                    .readers = 24,
                                    .users = 20,
                                    .senders = 2,
                                    .odds = SIM_BAD_STORE(200),
                                    .counting = true,
                                    .is_shared = true,
                                    .disconnect = 0.3,
                                    .move = 0.3,
                                    .pause = 0.2,
                                    .max_pause_ms = 8000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 1000,
                                    .high = 0.3};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.timed_out > 0);
}

/* They say that they leave, with one device of two, or come back by the other node at once. */
static void users_leave_over_nodes(void **state)
{
    const struct sim_setup setup = {.run_ms = 20000,
                                    .nodes = 2,
                                    .workers = 2,
                                    .rooms = 1,
                                    .readers = 16,
                                    .users = 10,
                                    .senders = 1,
                                    .odds = SIM_BAD_STORE(200),
                                    .is_shared = true,
                                    .disconnect = 0.2,
                                    .move = 0.4,
                                    .leave = 0.1,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 1000,
                                    .high = 0.3,
                                    .rules = {.empty_before_timeout = true}};
    SIM_RUN_SEEDS(&setup, SEEDS / 2);
}

static void who_was_here_is_counted(void **state)
{
    const struct sim_setup setup = {.run_ms = 30000,
                                    .nodes = 1,
                                    .workers = 3,
                                    .rooms = 3,
                                    .readers = 24,
                                    .users = 18,
                                    .senders = 2,
                                    .odds = {.refuse = 0.05,
                                             .lose = 0.1,
                                             .lie = 0.1,
                                             .fail_read = 0.05,
                                             .delay = 0.3,
                                             .max_delay_ms = 300},
                                    .counting = true,
                                    .disconnect = 0.3,
                                    .lose_answer = 0.1,
                                    .move = 0.3,
                                    .max_pause_ms = 4000,
                                    .max_timeout_ms = 3000,
                                    .max_quiet_ms = 1000,
                                    .high = 0.3};
    SIM_RUN_SEEDS(&setup, SEEDS);
}

/* A rush for fewer places than there are users, who come by all workers at once. */
static void a_full_room_takes_no_more(void **state)
{
    const struct sim_setup setup = {.run_ms = 30000,
                                    .nodes = 1,
                                    .workers = 3,
                                    .rooms = 2,
                                    .readers = 24,
                                    .senders = 2,
                                    .counting = true,
                                    .max_online = 5,
                                    .disconnect = 0.3,
                                    .move = 0.3,
                                    .leave = 0.05,
                                    .max_pause_ms = 6000,
                                    .max_timeout_ms = 2000,
                                    .max_quiet_ms = 1000,
                                    .high = 0.3,
                                    .stall = 0.02,
                                    .max_stall_ms = 500,
                                    .rules = {.empty_before_timeout = true}};
    struct sim_tally tally = SIM_RUN_SEEDS(&setup, SEEDS);
    assert_true(tally.full > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(users_come_and_go),
        cmocka_unit_test(users_share_names_and_leave),
        cmocka_unit_test(users_come_and_go_over_nodes),
        cmocka_unit_test(users_leave_over_nodes),
        cmocka_unit_test(who_was_here_is_counted),
        cmocka_unit_test(a_full_room_takes_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
