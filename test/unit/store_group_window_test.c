/* The commit window, with a writer and senders that are simulated in microseconds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/group_window.h"

#define COMMIT_US 300

struct run {
    struct group_window window;
    uint64_t now_us;
    size_t groups, jobs;
};

/* One group: waits as long as it is told to, or until the quorum is there. next_us(): when job n comes. */
static void one_group(struct run *r, uint64_t (*next_us)(const struct run *r, size_t n))
{
    uint64_t first_us = next_us(r, 1);
    if (first_us > r->now_us) r->now_us = first_us;
    size_t waiting = 1;
    while (next_us(r, waiting + 1) <= r->now_us) waiting++;
    uint64_t wait_us = group_window_wait(&r->window, waiting, r->now_us),
             end_us = r->now_us + wait_us;
    while (wait_us > 0 && waiting < group_window_quorum(&r->window)) {
        uint64_t at_us = next_us(r, waiting + 1);
        if (at_us > end_us) {
            r->now_us = end_us;
            break;
        }
        r->now_us = at_us > r->now_us ? at_us : r->now_us;
        waiting++;
    }
    group_window_begin(&r->window, waiting, r->now_us);
    r->now_us += COMMIT_US;
    r->jobs += waiting;
    r->groups++;
}

/* A thousand a second, whatever the writer does. */
static uint64_t steady(const struct run *r, size_t n)
{
    return (r->jobs + n) * 1000;
}

/* Each sends again as soon as they are answered. */
static uint64_t closed_loop(const struct run *r, size_t n, size_t senders)
{
    uint64_t answered_us = r->groups == 0 ? 0 : r->window.began_us + COMMIT_US;
    return n <= senders ? answered_us + 50 * n : UINT64_MAX;
}

static uint64_t one_sender(const struct run *r, size_t n)
{
    return closed_loop(r, n, 1);
}

static uint64_t four_senders(const struct run *r, size_t n)
{
    return closed_loop(r, n, 4);
}

static uint64_t many_senders(const struct run *r, size_t n)
{
    return closed_loop(r, n, 64);
}

static void run_for(struct run *r, uint64_t us, uint64_t (*next_us)(const struct run *r, size_t n))
{
    uint64_t end_us = r->now_us + us;
    while (r->now_us < end_us) one_group(r, next_us);
}

static void test_a_steady_stream_makes_groups(void **state)
{
    struct run r = {0};
    run_for(&r, 10000000, steady);
    assert_true(r.jobs >= 9990);
    assert_true((double)r.jobs / (double)r.groups > 4);
}

static void test_what_is_slower_than_the_window_never_waits(void **state)
{
    struct group_window w = {0};
    for (uint64_t now_us = 1000000; now_us < 2000000; now_us += GROUP_WINDOW_US) {
        assert_int_equal(group_window_wait(&w, 1, now_us), 0);
        group_window_begin(&w, 1, now_us);
    }
}

/* Who waits for each answer before sending again is hardly held up: 350 us a round, and one window in 16. */
static void test_senders_in_turn_are_not_held_up(void **state)
{
    struct run one = {0}, four = {0}, many = {0};
    run_for(&one, 1000000, one_sender);
    run_for(&four, 1000000, four_senders);
    run_for(&many, 1000000, many_senders);
    assert_true(one.jobs > 1000000 / (350 + GROUP_WINDOW_US / 12));
    assert_true(four.jobs > 4 * 1000000 / (500 + GROUP_WINDOW_US / 12));
    assert_true(many.jobs > 14 * 1000000 / (350 + 50 * 16));
}

static void test_nobody_waits_longer_than_the_window(void **state)
{
    struct group_window w = {.expected = 100};
    group_window_begin(&w, 1, 1000000);
    assert_int_equal(group_window_wait(&w, 1, 1000000), GROUP_WINDOW_US);
    assert_int_equal(group_window_wait(&w, GROUP_ENOUGH, 1000000), 0);
    assert_int_equal(group_window_wait(&w, 1, 1000000 + GROUP_WINDOW_US), 0);
    assert_int_equal(group_window_wait(&w, 1, 999999),
                     GROUP_WINDOW_US); /* a clock that steps back */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_steady_stream_makes_groups),
        cmocka_unit_test(test_what_is_slower_than_the_window_never_waits),
        cmocka_unit_test(test_senders_in_turn_are_not_held_up),
        cmocka_unit_test(test_nobody_waits_longer_than_the_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
