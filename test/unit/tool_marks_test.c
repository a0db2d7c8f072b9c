/* tool/marks.c: the time from a mark to what each viewer is given next. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/marks.h"

static void without_a_mark_nothing_is_counted(void **state)
{
    struct marks marks;
    struct buf out = {0};
    marks_init(&marks, 2);
    marks_saw(&marks, 0, 10, 20);
    marks_take_up(&marks, 30);
    marks_write_json(&marks, 0, &out);
    assert_true(str_eq(buf_str(&out), STR("[]")));
    buf_deinit(&out);
    marks_deinit(&marks);
}

static void each_viewer_counts_once_with_what_was_sent_since(void **state)
{
    struct marks marks;
    marks_init(&marks, 3);
    assert_true(marks_set(&marks, 1000));
    marks_saw(&marks, 0, 999, 1500); /* was sent before */
    assert_int_equal(marks.mark[0].reached.count, 0);
    marks_saw(&marks, 0, 1000, 1600);
    marks_saw(&marks, 0, 1700, 1800);
    marks_saw(&marks, 2, 1700, 1900);
    assert_int_equal(marks.mark[0].reached.count, 2);
    assert_int_equal(marks.mark[0].first_us, 600);
    assert_int_equal(marks.mark[0].reached.max, 900);
    marks_deinit(&marks);
}

static void the_next_mark_begins_anew_for_everybody(void **state)
{
    struct marks marks;
    marks_init(&marks, 2);
    assert_true(marks_set(&marks, 1000));
    marks_saw(&marks, 0, 1100, 1200);
    assert_true(marks_set(&marks, 2000));
    marks_saw(&marks, 0, 2100, 2200);
    marks_saw(&marks, 1, 1900, 2200); /* between the two: neither */
    marks_saw(&marks, 1, 2150, 2300);
    assert_int_equal(marks.mark[0].reached.count, 1);
    assert_int_equal(marks.mark[1].reached.count, 2);
    marks_deinit(&marks);
}

static void there_is_a_limit(void **state)
{
    struct marks marks;
    marks_init(&marks, 1);
    for (int i = 0; i < MARKS_MAX; i++) assert_true(marks_set(&marks, i));
    assert_false(marks_set(&marks, MARKS_MAX));
    marks_saw(&marks, 0, MARKS_MAX, MARKS_MAX);
    assert_int_equal(marks.mark[MARKS_MAX - 1].reached.count, 1);
    marks_deinit(&marks);
}

static void a_signal_is_a_mark(void **state)
{
    struct marks marks;
    marks_init(&marks, 1);
    raise(SIGUSR1);
    marks_take_up(&marks, 77);
    marks_take_up(&marks, 78);
    assert_int_equal(marks.count, 1);
    assert_int_equal(marks.mark[0].at_us, 77);
    marks_deinit(&marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_mark_nothing_is_counted),
        cmocka_unit_test(each_viewer_counts_once_with_what_was_sent_since),
        cmocka_unit_test(the_next_mark_begins_anew_for_everybody),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(a_signal_is_a_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
