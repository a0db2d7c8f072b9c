/* http/json_read.c: what is refused, what the getters say, and what comes out again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/limit.h"
#include "http/json_read.h"

static int init_error(struct str body)
{
    struct json_reader r;
    int err = json_reader_init(&r, body);

    if (err == 0) json_reader_deinit(&r);
    if (err != 0) assert_true(r.why[0] != '\0');
    return err;
}

static void objects_are_read(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        "",
        "{}",
        " {\r\n\t} ",
        "{\"a\":1}",
        "{\"a\":{\"a\":1}}",
        "{\"\":0}",
        "{\"a\":9223372036854775807,\"b\":-9223372036854775808}",
        "{\"a\":1e308}",
        "{\"a\":\"\\ud83d\\ude00\"}",
        "{\"a\":\"{[{[\"}",
    };

    for (size_t i = 0; i < sizeof(BODIES) / sizeof(BODIES[0]); i++)
        assert_int_equal(init_error(str_of(BODIES[i])), 0);
}

static void other_bodies_are_refused(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        " ",
        "{",
        "}",
        "[]",
        "1",
        "null",
        "\"a\"",
        "{} x",
        "{}{}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":tru}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":1,\"a\":1}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"b\":{\"a\":1,\"a\":2}}",
        "{\"a\":\"\\u0000\"}",
        "{\"\\u0000\":1}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":9223372036854775808}",
        "{\"a\":-9223372036854775809}",
        "{\"a\":1e400}",
        "/**/{}",
        "\xef\xbb\xbf{}",
    };

    for (size_t i = 0; i < sizeof(BODIES) / sizeof(BODIES[0]); i++)
        assert_int_equal(init_error(str_of(BODIES[i])), ERR_BAD_JSON);
    assert_int_equal(init_error(str_make("{\"a\":\"\0\"}", 9)), ERR_BAD_JSON);
    assert_int_equal(init_error(str_make("{}\0", 3)), ERR_BAD_JSON);
}

static void bad_utf8_is_an_error_of_its_own(void **state)
{
    (void)state;
    static const char *const TEXTS[] = {
        "{\"a\":\"\xff\"}",         "{\"a\":\"\xc3\"}",     "{\"a\":\"\xc0\xaf\"}",
        "{\"a\":\"\xed\xa0\x80\"}", "{\"\xe2\x82\":\"a\"}", "{\"a\":\"\xf4\x90\x80\x80\"}",
    };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++)
        assert_int_equal(init_error(str_of(TEXTS[i])), ERR_BAD_UTF8);
}

/* {"a":[[…]]} with this many brackets of both kinds in all. */
static struct buf nested(size_t depth)
{
    struct buf b = {0};

    buf_add_lit(&b, "{\"a\":");
    for (size_t i = 1; i < depth; i++) buf_add_char(&b, '[');
    for (size_t i = 1; i < depth; i++) buf_add_char(&b, ']');
    buf_add_char(&b, '}');
    return b;
}

static void nesting_has_a_limit(void **state)
{
    (void)state;
    struct buf fits = nested(LIMIT_JSON_DEPTH);
    struct buf too_deep = nested(LIMIT_JSON_DEPTH + 1);
    struct buf wide = {0};

    assert_int_equal(init_error(buf_str(&fits)), 0);
    assert_int_equal(init_error(buf_str(&too_deep)), ERR_BAD_JSON);
    /* Siblings and brackets in strings are no depth. */
    buf_add_lit(&wide, "{\"\\\"[[\":[");
    for (int i = 0; i < 1000; i++) buf_add_lit(&wide, "[],\"[{\\\\\",");
    buf_add_lit(&wide, "{}]}");
    assert_int_equal(init_error(buf_str(&wide)), 0);
    buf_deinit(&fits);
    buf_deinit(&too_deep);
    buf_deinit(&wide);
}

/* A counter that took them for brackets would be led below the real depth. */
static void closing_brackets_in_strings_do_not_lessen_the_depth(void **state)
{
    (void)state;
    struct buf b = {0};

    buf_add_lit(&b, "{\"a\":");
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++) buf_add_lit(&b, "[\"}]\",");
    for (int i = 0; i < LIMIT_JSON_DEPTH; i++) buf_add_str(&b, i == 0 ? STR("0]") : STR("]"));
    buf_add_char(&b, '}');
    assert_int_equal(init_error(buf_str(&b)), ERR_BAD_JSON);
    buf_deinit(&b);
}

static void reader_of(struct json_reader *r, const char *body)
{
    assert_int_equal(json_reader_init(r, str_of(body)), 0);
}

static void expect_why(struct json_reader *r, const char *why)
{
    assert_int_equal(json_reader_error(r), ERR_BAD_REQUEST);
    assert_string_equal(r->why, why);
    json_reader_deinit(r);
}

static void strings_are_borrowed_and_bounded(void **state)
{
    (void)state;
    struct json_reader r;
    struct str value = STR("default");

    reader_of(&r, "{\"a\":\"12345\",\"n\":null}");
    json_get_str(&r, "absent", 5, &value);
    assert_true(str_eq(value, STR("default")));
    json_get_str(&r, "a", 5, &value);
    assert_true(str_eq(value, STR("12345")));
    json_get_str_or_null(&r, "absent", 5, &value);
    assert_true(str_eq(value, STR("12345")));
    json_get_str_or_null(&r, "n", 5, &value);
    assert_int_equal(value.len, 0);
    json_get_str_or_null(&r, "a", 5, &value);
    assert_int_equal(value.len, 5);
    assert_int_equal(json_reader_error(&r), 0);
    json_get_str(&r, "a", 4, &value);
    expect_why(&r, "a must not be longer than 4 bytes.");
}

static void wrong_types_of_strings_are_noted(void **state)
{
    (void)state;
    static const char *const BODIES[] = {"{\"a\":1}", "{\"a\":{}}", "{\"a\":[\"x\"]}",
                                         "{\"a\":true}"};
    struct json_reader r;
    struct str value = STR("default");

    for (size_t i = 0; i < 4; i++) {
        reader_of(&r, BODIES[i]);
        json_get_str_or_null(&r, "a", 5, &value);
        expect_why(&r, "a must be a string.");
    }
    reader_of(&r, "{\"a\":null}");
    json_get_str(&r, "a", 5, &value);
    expect_why(&r, "a must be a string.");
    assert_true(str_eq(value, STR("default")));
}

static void numbers_are_whole_and_in_range(void **state)
{
    (void)state;
    static const char *const WRONG[] = {"{\"a\":61}",   "{\"a\":-1}",    "{\"a\":1.0}",
                                        "{\"a\":1e1}",  "{\"a\":\"1\"}", "{\"a\":null}",
                                        "{\"a\":true}", "{\"a\":[1]}"};
    struct json_reader r;
    uint32_t value = 7;

    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        reader_of(&r, WRONG[i]);
        json_get_u32(&r, "a", 60, &value);
        expect_why(&r, "a must be a whole number from 0 to 60.");
        assert_int_equal(value, 7);
    }
    reader_of(&r, "{\"a\":60,\"b\":4294967295,\"c\":4294967296,\"d\":9223372036854775807}");
    json_get_u32(&r, "absent", 60, &value);
    assert_int_equal(value, 7);
    json_get_u32(&r, "a", 60, &value);
    assert_int_equal(value, 60);
    json_get_u32(&r, "b", UINT32_MAX, &value);
    assert_int_equal(value, UINT32_MAX);
    int64_t large = 0;
    json_get_i64(&r, "d", INT64_MAX, &large);
    assert_int_equal(large, INT64_MAX);
    json_get_u32(&r, "c", UINT32_MAX, &value);
    expect_why(&r, "c must be a whole number from 0 to 4294967295.");
}

static void first_error_is_the_one_told(void **state)
{
    (void)state;
    struct json_reader r;
    uint32_t value = 0;

    reader_of(&r, "{\"a\":\"x\",\"b\":\"y\",\"c\":3}");
    json_get_u32(&r, "a", 1, &value);
    json_get_u32(&r, "b", 1, &value);
    json_get_u32(&r, "c", 3, &value);
    assert_int_equal(value, 3);
    expect_why(&r, "a must be a whole number from 0 to 1.");
}

static void presence_is_told_whatever_the_value(void **state)
{
    (void)state;
    struct json_reader r;

    reader_of(&r, "{\"a\":null}");
    assert_true(json_reader_has(&r, "a"));
    assert_false(json_reader_has(&r, "b"));
    json_reader_deinit(&r);
}

static void any_gives(const char *value, const char *want)
{
    struct json_reader r;
    struct buf body = {0}, out = {0};

    buf_printf(&body, "{\"v\":%s}", value);
    assert_int_equal(json_reader_init(&r, buf_str(&body)), 0);
    assert_false(json_get_any(&r, "absent", &out));
    assert_int_equal(out.len, 0);
    assert_true(json_get_any(&r, "v", &out));
    buf_add_char(&out, '\0');
    assert_string_equal(out.ptr, want);
    json_reader_deinit(&r);
    buf_deinit(&body);
    buf_deinit(&out);
}

static void any_value_comes_out_compact(void **state)
{
    (void)state;
    any_gives("null", "null");
    any_gives(" [ true , false ] ", "[true,false]");
    any_gives("{ \"b\" : 1, \"a\" : { } }", "{\"b\":1,\"a\":{}}"); /* in the order sent */
    any_gives("\"\\u4f60\\n\\\"\\/\"", "\"你\\n\\\"/\"");
    any_gives("\"\"", "\"\"");
    any_gives("[]", "[]");
    any_gives("-9223372036854775808", "-9223372036854775808");
    any_gives("-0", "0");
    any_gives("{\"k\\n\":[[{}]]}", "{\"k\\n\":[[{}]]}");
}

static void reals_come_out_as_the_same_number(void **state)
{
    (void)state;
    any_gives("0.1", "0.1");
    any_gives("1.0", "1.0");
    any_gives("1e2", "100.0");
    any_gives("0.30000000000000004", "0.30000000000000004");
    any_gives("1e300", "1e+300");
    any_gives("5e-324", "4.94065645841247e-324");
    any_gives("1.7976931348623157e308", "1.7976931348623157e+308");
    any_gives("-0.0", "-0.0");
}

static void what_comes_out_can_be_read_in_again(void **state)
{
    (void)state;
    struct buf deep = nested(LIMIT_JSON_DEPTH - 1), again = {0};
    struct json_reader r;

    assert_int_equal(json_reader_init(&r, buf_str(&deep)), 0);
    buf_add_lit(&again, "{\"a\":");
    assert_true(json_get_any(&r, "a", &again));
    buf_add_char(&again, '}');
    assert_true(str_eq(buf_str(&again), buf_str(&deep)));
    json_reader_deinit(&r);
    buf_deinit(&deep);
    buf_deinit(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_read),
        cmocka_unit_test(other_bodies_are_refused),
        cmocka_unit_test(bad_utf8_is_an_error_of_its_own),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(closing_brackets_in_strings_do_not_lessen_the_depth),
        cmocka_unit_test(strings_are_borrowed_and_bounded),
        cmocka_unit_test(wrong_types_of_strings_are_noted),
        cmocka_unit_test(numbers_are_whole_and_in_range),
        cmocka_unit_test(first_error_is_the_one_told),
        cmocka_unit_test(presence_is_told_whatever_the_value),
        cmocka_unit_test(any_value_comes_out_compact),
        cmocka_unit_test(reals_come_out_as_the_same_number),
        cmocka_unit_test(what_comes_out_can_be_read_in_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
