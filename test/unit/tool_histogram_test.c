/* tool/histogram.c: quantiles within 1 part in 128 of the truth, whatever the size of the values.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "tool/histogram.h"

static void empty_histogram_has_quantile_zero(void **state)
{
    static struct histogram h;
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_int_equal(histogram_quantile(&h, 1), 0);
}

static void small_values_are_exact(void **state)
{
    static struct histogram h;
    for (int64_t v = 1; v <= 100; v++) histogram_add(&h, v);
    assert_int_equal(histogram_quantile(&h, 0.5), 50);
    assert_int_equal(histogram_quantile(&h, 0.99), 99);
    assert_int_equal(histogram_quantile(&h, 1), 100);
    assert_int_equal(histogram_quantile(&h, 0), 1);
    assert_int_equal(h.sum, 5050);
}

static void one_value_is_every_quantile(void **state)
{
    static struct histogram h;
    histogram_add(&h, 123456789);
    assert_int_equal(histogram_quantile(&h, 0.001), 123456789);
    assert_int_equal(histogram_quantile(&h, 0.999), 123456789);
}

static void any_value_is_known_to_one_part_in_128(void **state)
{
    struct rng rng;
    rng_init(&rng, 1);
    for (int i = 0; i < 3000; i++) {
        static struct histogram h;
        h = (struct histogram){0};
        uint64_t value = rng_next(&rng) >> (28 + rng_below(&rng, 36));
        histogram_add(&h, (int64_t)value);
        h.max = UINT64_MAX; /* lets the bucket's own end show */
        uint64_t told = histogram_quantile(&h, 0.5);
        assert_true(told >= value);
        assert_true(told - value <= value / HISTOGRAM_SUB);
    }
}

static void values_out_of_range_are_clamped(void **state)
{
    static struct histogram h;
    histogram_add(&h, -5);
    histogram_add(&h, INT64_MAX);
    assert_int_equal(histogram_quantile(&h, 0.5), 0);
    assert_int_equal(h.max, (UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1);
}

static void merging_is_adding_all(void **state)
{
    static struct histogram a, b, both;
    for (int64_t v = 0; v < 5000; v++) {
        histogram_add(v % 3 == 0 ? &a : &b, v * v);
        histogram_add(&both, v * v);
    }
    histogram_merge(&a, &b);
    assert_memory_equal(&a, &both, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_histogram_has_quantile_zero),
        cmocka_unit_test(small_values_are_exact),
        cmocka_unit_test(one_value_is_every_quantile),
        cmocka_unit_test(any_value_is_known_to_one_part_in_128),
        cmocka_unit_test(values_out_of_range_are_clamped),
        cmocka_unit_test(merging_is_adding_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
