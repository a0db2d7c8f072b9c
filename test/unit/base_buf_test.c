/* base/buf.c, and what writes into a buffer or is made from one: json_write.c, blob.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/blob.h"
#include "base/buf.h"
#include "base/json_write.h"

static void assert_holds(const struct buf *b, const char *want)
{
    assert_int_equal(b->len, strlen(want));
    if (b->len > 0) assert_memory_equal(b->ptr, want, b->len);
}

static void buf_zeroed_is_empty(void **state)
{
    struct buf b = {0};
    buf_clear(&b);
    buf_drop_front(&b, 0);
    buf_add(&b, NULL, 0);
    buf_add_str(&b, STR_NONE);
    assert_int_equal(buf_str(&b).len, 0);
    buf_deinit(&b);
    buf_deinit(&b);
}

static void buf_grows_and_keeps_what_it_holds(void **state)
{
    struct buf b = {0};
    for (int i = 0; i < 10000; i++) buf_add_char(&b, (char)('a' + i % 26));
    assert_int_equal(b.len, 10000);
    for (int i = 0; i < 10000; i++) assert_int_equal(b.ptr[i], 'a' + i % 26);
    buf_deinit(&b);
    assert_null(b.ptr);
}

static void buf_clear_keeps_the_memory(void **state)
{
    struct buf b = {0};
    buf_reserve(&b, 1000);
    const char *ptr = b.ptr;
    buf_add_lit(&b, "something");
    buf_clear(&b);
    buf_add_lit(&b, "else");
    assert_ptr_equal(b.ptr, ptr);
    assert_holds(&b, "else");
    buf_deinit(&b);
}

static void buf_writes_numbers_at_their_limits(void **state)
{
    struct buf b = {0};
    buf_add_u64(&b, 0);
    buf_add_char(&b, ' ');
    buf_add_u64(&b, UINT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, -1);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, INT64_MAX);
    buf_add_char(&b, ' ');
    buf_add_i64(&b, INT64_MIN);
    assert_holds(&b, "0 18446744073709551615 -1 9223372036854775807 -9223372036854775808");
    buf_deinit(&b);
}

/* Lengths around the room that is left, where the first attempt is just enough, or just not. */
static void buf_printf_grows_at_every_length(void **state)
{
    static const char text[] = "0123456789012345678901234567890123456789"
                               "0123456789012345678901234567890123456789";
    for (int len = 0; len <= 80; len++) {
        struct buf b = {0};
        buf_printf(&b, "%.*s", len, text);
        buf_printf(&b, "<%d>", len);
        assert_true(str_starts(buf_str(&b), str_make(text, (size_t)len)));
        assert_int_equal(b.ptr[len], '<');
        assert_int_equal(b.ptr[b.len - 1], '>');
        buf_deinit(&b);
    }
}

static void buf_drop_front_moves_the_rest(void **state)
{
    struct buf b = {0};
    buf_add_lit(&b, "GET / HTTP/1.1");
    buf_drop_front(&b, 4);
    assert_holds(&b, "/ HTTP/1.1");
    buf_drop_front(&b, b.len);
    assert_holds(&b, "");
    buf_deinit(&b);
}

static void json_string_escapes_what_it_must(void **state)
{
    struct buf b = {0};
    json_write_string(&b, STR("a\"b\\c/\b\f\n\r\t\x01\x1f\x7f"));
    assert_holds(&b, "\"a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\"");
    buf_clear(&b);
    json_write_string(&b, STR("\0"));
    assert_holds(&b, "\"\\u0000\"");
    buf_deinit(&b);
}

static void json_string_leaves_utf8_alone(void **state)
{
    struct buf b = {0};
    json_write_string(&b, STR("\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x8e\x81 \xe2\x80\xa8"));
    assert_holds(&b, "\"\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x8e\x81 \xe2\x80\xa8\"");
    buf_clear(&b);
    json_write_string(&b, STR_NONE);
    json_write_bool(&b, true);
    json_write_bool(&b, false);
    assert_holds(&b, "\"\"truefalse");
    buf_deinit(&b);
}

static void blob_lives_until_the_last_reference(void **state)
{
    char bytes[] = "frame";
    struct blob *blob = blob_new(str_of(bytes));
    bytes[0] = 'x';
    assert_ptr_equal(blob_ref(blob), blob);
    blob_unref(blob);
    assert_int_equal(blob->len, 5);
    assert_memory_equal(blob->bytes, "frame", 5);
    blob_unref(blob);
    blob_unref(NULL);
    blob_unref(blob_new(STR_NONE));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_zeroed_is_empty),
        cmocka_unit_test(buf_grows_and_keeps_what_it_holds),
        cmocka_unit_test(buf_clear_keeps_the_memory),
        cmocka_unit_test(buf_writes_numbers_at_their_limits),
        cmocka_unit_test(buf_printf_grows_at_every_length),
        cmocka_unit_test(buf_drop_front_moves_the_rest),
        cmocka_unit_test(json_string_escapes_what_it_must),
        cmocka_unit_test(json_string_leaves_utf8_alone),
        cmocka_unit_test(blob_lives_until_the_last_reference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
