/* net/clock.c: time goes on, evenly, whatever is done to the wall clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "net/clock.h"

#define START_US INT64_C(1700000000000000)

/* The wall clock is off by step_us from now on; how long the clock takes to agree again, in seconds. */
static int64_t seconds_to_follow(int64_t step_us)
{
    struct clock c = {.offset_us = START_US, .last_us = 0};
    int64_t before_ms = clock_read(&c, START_US, 0);
    for (int64_t us = 100000;; us += 100000) {
        int64_t now_ms = clock_read(&c, START_US + us + step_us, us);
        int64_t passed_ms = now_ms - before_ms;
        assert_in_range(passed_ms, 100 - 100 / CLOCK_SLEW - 1,
                        100 + 100 / CLOCK_SLEW + 1); /* never steps */
        before_ms = now_ms;
        if (now_ms == (START_US + us + step_us) / 1000) return us / 1000000;
    }
}

static void a_clock_that_is_right_is_followed_to_the_millisecond(void **state)
{
    assert_int_equal(seconds_to_follow(0), 0);
}

static void a_step_is_made_up_for_slowly(void **state)
{
    assert_in_range(seconds_to_follow(1000000), 19, 21);
    assert_in_range(seconds_to_follow(-1000000), 19, 21);
    assert_in_range(seconds_to_follow(INT64_C(3600) * 1000000), 71000, 73000);
}

static void it_begins_at_the_wall_clock(void **state)
{
    struct clock c;
    clock_init(&c);
    int64_t first_ms = clock_now_ms(&c), second_ms = clock_now_ms(&c);
    assert_true(first_ms > START_US / 1000);
    assert_true(second_ms >= first_ms);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_is_right_is_followed_to_the_millisecond),
        cmocka_unit_test(a_step_is_made_up_for_slowly),
        cmocka_unit_test(it_begins_at_the_wall_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
