/* store/redis_bytes.c: what a room's channel says is read, and nothing beyond its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/redis_bytes.h"

static void add_number(struct buf *b, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) buf_add_char(b, (char)(value >> 8 * i & 0xff));
}

static void add_str(struct buf *b, struct str s, size_t size_bytes)
{
    add_number(b, s.len, size_bytes);
    buf_add_str(b, s);
}

static struct buf some_message(void)
{
    struct buf b = {0};

    add_number(&b, LIST_NORMAL, 1);
    add_number(&b, 1732441234567, 8);
    add_number(&b, 1048575, 4);
    add_number(&b, 1732441234566, 8);
    add_number(&b, 3, 4);
    add_number(&b, 77, 8);
    add_str(&b, STR("text"), 2);
    add_str(&b, STR("ann"), 2);
    add_str(&b, STR(""), 2);
    add_str(&b, STR("{\"a\":1}"), 4);
    return b;
}

static void a_message_is_read(void **state)
{
    struct buf b = some_message();
    struct redis_bytes bytes = {buf_str(&b), false};
    struct message m = bytes_message(&bytes);

    assert_false(bytes.is_broken);
    assert_int_equal(bytes.rest.len, 0);
    assert_int_equal(m.list, LIST_NORMAL);
    assert_int_equal(m.id, UINT64_C(1732441234567) << 20 | 1048575);
    assert_int_equal(m.prev, UINT64_C(1732441234566) << 20 | 3);
    assert_int_equal(m.ordinal, 77);
    assert_true(str_eq(m.type, STR("text")) && str_eq(m.from, STR("ann")));
    assert_true(str_eq(m.body, STR("{\"a\":1}")));
    buf_deinit(&b);
}

static void one_that_is_cut_is_broken(void **state)
{
    struct buf b = some_message();

    for (size_t len = 0; len < b.len; len++) {
        char *copy = malloc(len + 1); /* so that a sanitizer sees a read behind its end */
        memcpy(copy, b.ptr, len);
        struct redis_bytes bytes = {str_make(copy, len), false};
        bytes_message(&bytes);
        assert_true(bytes.is_broken);
        free(copy);
    }
    buf_deinit(&b);
}

static void a_list_that_is_none_is_broken(void **state)
{
    struct buf b = some_message();
    struct redis_bytes bytes = {buf_str(&b), false};

    b.ptr[0] = LIST_KINDS;
    bytes_message(&bytes);
    assert_true(bytes.is_broken);
    buf_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_read),
        cmocka_unit_test(one_that_is_cut_is_broken),
        cmocka_unit_test(a_list_that_is_none_is_broken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
