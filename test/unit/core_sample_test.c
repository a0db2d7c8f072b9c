/* core/sample.c: samples add up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/sample.h"

static void a_merge_adds_what_adds_up_and_keeps_the_larger(void **state)
{
    struct sample a = {60000, 60000, 100, 5, 2, {1, 10}, 7},
                  b = {120000, 30000, 50, 8, 1, {2, 3}, 6};
    (void)state;

    sample_merge(&a, &b);
    assert_int_equal(a.at_ms, 60000);
    assert_int_equal(a.span_ms, 90000);
    assert_int_equal(a.online_ms, 150);
    assert_int_equal(a.online_peak, 8);
    assert_int_equal(a.joins, 3);
    assert_int_equal(a.messages[LIST_HIGH], 3);
    assert_int_equal(a.messages[LIST_NORMAL], 13);
    assert_int_equal(a.unique, 7);
}

static void the_span_is_from_the_first_to_the_last(void **state)
{
    struct sample hour = {.at_ms = 0, .span_ms = SAMPLE_THIN_MS};
    struct sample minute = {.at_ms = 120000, .span_ms = 60000};
    (void)state;

    sample_merge(&minute, &(struct sample){.at_ms = 60000, .span_ms = 60000});
    assert_int_equal(minute.at_ms, 60000);
    assert_int_equal(minute.span_ms, 120000);
    sample_merge(&hour, &minute);
    assert_int_equal(hour.at_ms, 0);
    assert_int_equal(hour.span_ms, SAMPLE_THIN_MS);
}

static void one_is_empty_when_nothing_happened(void **state)
{
    struct sample sample = {.at_ms = 60000, .span_ms = 60000, .unique = 5};
    (void)state;

    assert_true(sample_is_empty(&sample));
    sample.messages[LIST_HIGH] = 1;
    assert_false(sample_is_empty(&sample));
    sample = (struct sample){.online_peak = 1};
    assert_false(sample_is_empty(&sample));
}

static void a_step_begins_at_its_multiple(void **state)
{
    (void)state;

    assert_int_equal(sample_step(0, 60000), 0);
    assert_int_equal(sample_step(59999, 60000), 0);
    assert_int_equal(sample_step(60000, 60000), 60000);
    assert_int_equal(sample_step(1732441234567, SAMPLE_THIN_MS), 1732438800000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_merge_adds_what_adds_up_and_keeps_the_larger),
        cmocka_unit_test(the_span_is_from_the_first_to_the_last),
        cmocka_unit_test(one_is_empty_when_nothing_happened),
        cmocka_unit_test(a_step_begins_at_its_multiple),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
