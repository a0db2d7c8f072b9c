/* core/quota.c: the bucket gives its burst, then its rate, exactly, and survives odd clocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/quota.h"

#define NOW_MS 1732441234567

static int take_all(struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms)
{
    int64_t wait_ms = 0;
    int taken = 0;

    while (bucket_take(b, per_s, burst, now_ms, &wait_ms)) taken++;
    return taken;
}

static void bucket_starts_full(void **state)
{
    (void)state;
    struct bucket b = {0};

    assert_true(bucket_is_full(&b, 2, 5, NOW_MS));
    assert_int_equal(take_all(&b, 2, 5, NOW_MS), 5);
    assert_false(bucket_is_full(&b, 2, 5, NOW_MS));
}

static void bucket_tells_how_long_to_wait(void **state)
{
    (void)state;
    const uint32_t rates[] = {1, 2, 3, 7, 50, 200, 999, 1000, 5000};

    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        struct bucket b = {0};
        int64_t wait_ms = 0, again_ms = 0;
        take_all(&b, rates[i], 1, NOW_MS);
        assert_false(bucket_take(&b, rates[i], 1, NOW_MS, &wait_ms));
        assert_true(wait_ms >= 1);
        assert_int_equal(wait_ms, (1000 + rates[i] - 1) / rates[i]);
        if (wait_ms > 1) {
            assert_false(bucket_take(&b, rates[i], 1, NOW_MS + wait_ms - 1, &again_ms));
            assert_int_equal(again_ms, 1);
        }
        assert_true(bucket_take(&b, rates[i], 1, NOW_MS + wait_ms, &again_ms));
    }
}

static void bucket_keeps_its_rate_over_time(void **state)
{
    (void)state;
    struct bucket b = {0};
    int taken = 0;

    for (int64_t t = 0; t < 60000; t += 7) taken += take_all(&b, 30, 10, NOW_MS + t);
    assert_in_range(taken, 30 * 60 + 10 - 1, 30 * 60 + 10);
}

static void bucket_never_holds_more_than_its_burst(void **state)
{
    (void)state;
    struct bucket b = {0};

    take_all(&b, 5, 5, NOW_MS);
    assert_int_equal(take_all(&b, 5, 5, NOW_MS + 3600000), 5);
    take_all(&b, 5, 5, NOW_MS + 3600000);
    assert_int_equal(take_all(&b, 5, 5, INT64_MAX), 5); /* no overflow either */
}

static void bucket_refills_nothing_when_the_clock_steps_back(void **state)
{
    (void)state;
    struct bucket b = {0};

    take_all(&b, 10, 10, NOW_MS);
    assert_int_equal(take_all(&b, 10, 10, NOW_MS - 3600000), 0);
    /* … and goes on from there, without waiting for the clock to catch up. */
    assert_int_equal(take_all(&b, 10, 10, NOW_MS - 3600000 + 1000), 10);
}

static void bucket_follows_a_changed_rate(void **state)
{
    (void)state;
    struct bucket b = {0};
    int64_t wait_ms = 0;

    assert_true(bucket_take(&b, 100, 100, NOW_MS, &wait_ms));
    assert_int_equal(take_all(&b, 3, 3, NOW_MS), 3);
}

static void bucket_without_a_rate_is_no_quota(void **state)
{
    (void)state;
    struct bucket b = {0};
    int64_t wait_ms = 0;

    for (int i = 0; i < 1000; i++) assert_true(bucket_take(&b, 0, 0, NOW_MS, &wait_ms));
    assert_true(bucket_is_full(&b, 0, 0, NOW_MS));
}

static void bucket_with_a_rate_gives_even_without_a_burst(void **state)
{
    (void)state;
    struct bucket b = {0};

    assert_int_equal(take_all(&b, 1, 0, NOW_MS), 1);
}

static void bucket_is_full_again_when_it_has_refilled(void **state)
{
    (void)state;
    struct bucket b = {0};
    int64_t wait_ms = 0;

    assert_true(bucket_take(&b, 4, 4, NOW_MS, &wait_ms));
    assert_false(bucket_is_full(&b, 4, 4, NOW_MS + 249));
    assert_true(bucket_is_full(&b, 4, 4, NOW_MS + 250));
}

static void bucket_works_from_time_zero(void **state)
{
    (void)state;
    struct bucket b = {0};

    assert_int_equal(take_all(&b, 2, 2, 0), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_starts_full),
        cmocka_unit_test(bucket_tells_how_long_to_wait),
        cmocka_unit_test(bucket_keeps_its_rate_over_time),
        cmocka_unit_test(bucket_never_holds_more_than_its_burst),
        cmocka_unit_test(bucket_refills_nothing_when_the_clock_steps_back),
        cmocka_unit_test(bucket_follows_a_changed_rate),
        cmocka_unit_test(bucket_without_a_rate_is_no_quota),
        cmocka_unit_test(bucket_with_a_rate_gives_even_without_a_burst),
        cmocka_unit_test(bucket_is_full_again_when_it_has_refilled),
        cmocka_unit_test(bucket_works_from_time_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
