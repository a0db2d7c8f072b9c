/* core/viewers.c: exact up to the bound, and what is known for certain beyond it; unions in every
 * combination of exact and not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "core/viewers.h"
#include "unit/viewer_ids.h"

#define KEY ((struct hash_key){1, 2})

static bool add_number(struct viewers *v, uint64_t number)
{
    struct viewer_id id;
    viewer_id_make(&id, 0, number);
    return viewers_add(v, viewer_id_str(&id));
}

/* Users first .. end-1. */
static struct viewers range(uint64_t first, uint64_t end)
{
    struct viewers v;
    viewers_init(&v, KEY);
    for (uint64_t i = first; i < end; i++) add_number(&v, i);
    return v;
}

static void assert_exact(const struct viewers *v, uint64_t unique)
{
    struct viewers_count count = viewers_count(v);
    assert_true(count.exact);
    assert_true(count.standard_error == 0);
    assert_int_equal(count.unique, unique);
}

static void assert_near(const struct viewers *v, uint64_t unique)
{
    struct viewers_count count = viewers_count(v);
    assert_false(count.exact);
    assert_true(count.standard_error == HLL_STANDARD_ERROR);
    assert_in_range(count.unique, unique - unique / 25, unique + unique / 25);
}

static void viewers_are_exact_to_the_bound(void **state)
{
    struct viewers v = range(0, 0);
    assert_exact(&v, 0);
    for (uint64_t i = 0; i < VIEWERS_EXACT_MAX; i++) {
        assert_true(add_number(&v, i));
        assert_false(add_number(&v, i / 3));
        assert_int_equal(viewers_count(&v).unique, i + 1);
    }
    assert_exact(&v, VIEWERS_EXACT_MAX);
    assert_false(add_number(&v, VIEWERS_EXACT_MAX - 1)); /* at the bound, whom it knows */
    assert_exact(&v, VIEWERS_EXACT_MAX);
    assert_true(add_number(&v, VIEWERS_EXACT_MAX));
    assert_near(&v, VIEWERS_EXACT_MAX + 1);
    viewers_deinit(&v);
    assert_exact(&v, 0);
}

/* A sketch errs to both sides, but that they are more than the bound is known. */
static void viewers_beyond_the_bound_are_never_told_as_fewer(void **state)
{
    bool is_below = false;
    for (uint64_t run = 0; run < 20; run++) {
        uint64_t first = run * 20000;
        struct viewers v = range(first, first + VIEWERS_EXACT_MAX + 1);
        is_below |= hll_count(&v.sketch) <= VIEWERS_EXACT_MAX;
        assert_false(viewers_count(&v).exact);
        assert_true(viewers_count(&v).unique > VIEWERS_EXACT_MAX);
        viewers_deinit(&v);
    }
    assert_true(is_below); /* or the test has not seen what it is about */
}

static void viewers_sketch_is_right_from_the_first_user_on(void **state)
{
    struct viewers v = range(0, 12000);
    struct hll sketch = {0};
    uint8_t bytes[HLL_DENSE_BYTES], wanted[HLL_DENSE_BYTES];
    struct viewer_id id;
    for (uint64_t i = 0; i < 12000; i++) {
        viewer_id_make(&id, 0, i);
        hll_add(&sketch, viewer_id_str(&id));
    }
    hll_write(&v.sketch, bytes);
    hll_write(&sketch, wanted);
    assert_memory_equal(bytes, wanted, sizeof(wanted));
    hll_deinit(&sketch);
    viewers_deinit(&v);
}

static void viewers_give_up_the_names_beyond_the_bound(void **state)
{
    struct viewers v = range(0, VIEWERS_EXACT_MAX);
    assert_true(viewers_memory_bytes(&v) > 100000);
    add_number(&v, VIEWERS_EXACT_MAX);
    assert_int_equal(viewers_memory_bytes(&v), HLL_DENSE_BYTES);
    for (uint64_t i = 0; i < 100000; i++) add_number(&v, i);
    assert_int_equal(viewers_memory_bytes(&v), HLL_DENSE_BYTES);
    viewers_deinit(&v);
    assert_int_equal(viewers_memory_bytes(&v), 0);
}

/* A set of common users; what each has on top of them. */
static void check_union(uint64_t common, uint64_t left, uint64_t right)
{
    struct viewers a = range(0, common + left), b = range(left, common + left + right);
    uint64_t all = common + left + right;
    viewers_merge(&a, &b);
    if (all <= VIEWERS_EXACT_MAX)
        assert_exact(&a, all);
    else
        assert_near(&a, all);
    assert_true(all <= VIEWERS_EXACT_MAX || viewers_count(&a).unique > VIEWERS_EXACT_MAX);
    struct viewers whole = range(0, all);
    uint8_t merged[HLL_DENSE_BYTES], wanted[HLL_DENSE_BYTES];
    hll_write(&a.sketch, merged);
    hll_write(&whole.sketch, wanted);
    assert_memory_equal(merged, wanted, sizeof(wanted));
    viewers_deinit(&a);
    viewers_deinit(&b);
    viewers_deinit(&whole);
}

static void viewers_merge_is_the_union(void **state)
{
    check_union(0, 0, 0);
    check_union(0, 1, 0);
    check_union(0, 0, 1);
    check_union(100, 10, 20);
    check_union(5000, 2500, 2500);
    check_union(0, 5000, 5000);
    check_union(5000, 2500, 2501);
    check_union(10000, 0, 0);
    check_union(10000, 0, 1);
    check_union(10000, 1, 0);
    check_union(0, 10000, 10000);
    check_union(1000, 20000, 100);
    check_union(1000, 100, 20000);
    check_union(10000, 40000, 50000);
}

static void viewers_merge_with_themselves_change_nothing(void **state)
{
    struct viewers few = range(0, 77), many = range(0, 20000);
    uint64_t before = viewers_count(&many).unique;
    viewers_merge(&few, &few);
    assert_exact(&few, 77);
    viewers_merge(&many, &many);
    assert_int_equal(viewers_count(&many).unique, before);
    viewers_deinit(&few);
    viewers_deinit(&many);
}

/* Without names, so that nobody can say whether two are the same user. */
static void viewers_with_a_sketch_from_elsewhere_are_not_exact(void **state)
{
    struct viewers here = range(0, 60), there = range(50, 100);
    viewers_merge_sketch(&here, &there.sketch);
    assert_near(&here, 100);
    assert_false(add_number(&here, 3));
    assert_true(add_number(&here, 1000));
    assert_near(&here, 101);
    struct viewers_count count = viewers_count(&here);
    assert_true(count.unique >= 60 && count.unique < VIEWERS_EXACT_MAX);
    viewers_merge(&there, &here);
    assert_near(&there, 101);
    viewers_deinit(&here);
    viewers_deinit(&there);
}

static void viewers_expect_what_is_known(void **state)
{
    struct viewers v = range(0, 60), kept = range(0, 100);
    viewers_expect(&v, 1000);
    assert_exact(&v, 60);
    viewers_merge_sketch(&v, &kept.sketch);
    viewers_expect(&v, 5000);
    assert_int_equal(viewers_count(&v).unique, 5000);
    viewers_expect(&v, 20);
    assert_int_equal(viewers_count(&v).unique, 5000);
    viewers_merge(&kept, &v);
    assert_int_equal(viewers_count(&kept).unique, 5000);
    viewers_deinit(&v);
    viewers_deinit(&kept);
}

static void viewers_bucket_is_its_five_minutes(void **state)
{
    const int64_t at = 1732441200000; /* 09:40:00 */
    assert_int_equal(viewers_bucket(at), at);
    assert_int_equal(viewers_bucket(at + 299999), at);
    assert_int_equal(viewers_bucket(at + 300000), at + 300000);
    assert_int_equal(viewers_bucket(at - 1), at - 300000);
    assert_int_equal(viewers_bucket(0), 0);
    assert_int_equal(viewers_bucket(-1), -300000);
    assert_int_equal(viewers_bucket(-300000), -300000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(viewers_are_exact_to_the_bound),
        cmocka_unit_test(viewers_beyond_the_bound_are_never_told_as_fewer),
        cmocka_unit_test(viewers_sketch_is_right_from_the_first_user_on),
        cmocka_unit_test(viewers_give_up_the_names_beyond_the_bound),
        cmocka_unit_test(viewers_merge_is_the_union),
        cmocka_unit_test(viewers_merge_with_themselves_change_nothing),
        cmocka_unit_test(viewers_with_a_sketch_from_elsewhere_are_not_exact),
        cmocka_unit_test(viewers_expect_what_is_known),
        cmocka_unit_test(viewers_bucket_is_its_five_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
