/* store/sketch.c: what is packed comes back, and what is no sketch does not come in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "store/sketch.h"

static struct hll sketch_of(int users)
{
    struct hll sketch = {0};
    char user[24];

    for (int i = 0; i < users; i++) {
        snprintf(user, sizeof(user), "user-%d", i);
        hll_add(&sketch, str_of(user));
    }
    return sketch;
}

static void what_is_packed_comes_back(void **state)
{
    const int sizes[] = {0, 1, 2, 100, 1500, 2500, 20000};
    uint8_t before[HLL_DENSE_BYTES], after[HLL_DENSE_BYTES];
    struct buf packed = {0};
    (void)state;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct hll sketch = sketch_of(sizes[i]), back = {0};
        sketch_pack(&sketch, &packed);
        assert_true(sketch_unpack(buf_str(&packed), &back));
        hll_write(&sketch, before);
        hll_write(&back, after);
        assert_memory_equal(before, after, HLL_DENSE_BYTES);
        assert_int_equal(hll_count(&back), hll_count(&sketch));
        hll_add(&sketch, STR("one more"));
        hll_add(&back, STR("one more")); /* it grows on like the first */
        assert_int_equal(hll_count(&back), hll_count(&sketch));
        hll_deinit(&sketch);
        hll_deinit(&back);
    }
    buf_deinit(&packed);
}

static void few_viewers_are_few_bytes(void **state)
{
    struct hll sketch = sketch_of(10);
    struct buf packed = {0};
    (void)state;

    sketch_pack(&sketch, &packed);
    assert_in_range(packed.len, 4 * 9, 4 * 10);
    hll_deinit(&sketch);
    sketch = sketch_of(20000);
    sketch_pack(&sketch, &packed);
    assert_int_equal(packed.len, HLL_DENSE_BYTES);
    assert_memory_equal(packed.ptr, "HYLL", 4);
    hll_deinit(&sketch);
    buf_deinit(&packed);
}

static void what_is_no_sketch_is_refused(void **state)
{
    static char dense[HLL_DENSE_BYTES], list[4 * 2049];
    const struct str bad[] = {
        STR("abc"),                              /* not whole members */
        STR("\x01\x05\x00\x00\x01\x05\x00\x00"), /* one twice */
        STR("\x01\x06\x00\x00\x01\x05\x00\x00"), /* out of order */
        STR("\x00\x05\x00\x00"),                 /* no rank */
        STR("\x40\x05\x00\x00"),                 /* no such rank */
        STR("\x01\x00\x40\x00"),                 /* no such register */
        {dense, sizeof(dense)},                  /* not Redis's */
        {list, sizeof(list)},                    /* more than a list has */
    };
    (void)state;

    for (int i = 0; i < 2049; i++) {
        list[4 * i] = 1;
        list[4 * i + 1] = (char)(i & 0xff);
        list[4 * i + 2] = (char)(i >> 8);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct hll sketch = {0};
        assert_false(sketch_unpack(bad[i], &sketch));
        assert_null(sketch.dense);
        assert_null(sketch.sparse);
    }
    struct hll most = {0};
    assert_true(sketch_unpack(str_make(list, 4 * 2048), &most));
    hll_deinit(&most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_comes_back),
        cmocka_unit_test(few_viewers_are_few_bytes),
        cmocka_unit_test(what_is_no_sketch_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
