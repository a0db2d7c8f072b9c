/* http/query.c and http/target.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "http/query.h"
#include "http/target.h"

static void decode_gives(const char *text, bool plus, const char *want)
{
    struct buf b = {0};

    buf_add_lit(&b, "before ");
    bool ok = percent_decode(str_of(text), plus, &b);
    assert_int_equal(ok, want != NULL);
    struct str decoded = str_make(b.ptr + 7, b.len - 7);
    assert_true(str_eq(decoded, want != NULL ? str_of(want) : STR("")));
    buf_deinit(&b);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    decode_gives("", true, "");
    decode_gives("abc-._~/", true, "abc-._~/");
    decode_gives("%41%4a%4A", true, "AJJ");
    decode_gives("%e4%BD%A0", true, "你");
    decode_gives("%2F%25%2B", true, "/%+");
    decode_gives("%2541", true, "%41"); /* once, not twice */
    decode_gives("%ff%01", true, "\xff\x01");
    decode_gives("a+b", true, "a b");
    decode_gives("a+b", false, "a+b");
}

static void bad_escapes_leave_the_buffer_as_it_was(void **state)
{
    (void)state;
    decode_gives("a%", true, NULL);
    decode_gives("a%4", true, NULL);
    decode_gives("a%4g", true, NULL);
    decode_gives("a%g4", true, NULL);
    decode_gives("%%41", true, NULL);
    decode_gives("% 41", true, NULL);
    decode_gives("a%00", true, NULL);
    decode_gives("%-1", true, NULL);
}

static void escape_is_not_read_beyond_the_end(void **state)
{
    (void)state;
    struct buf b = {0};

    assert_false(percent_decode(str_make("%41", 2), true, &b));
    assert_false(percent_decode(str_make("%41", 1), true, &b));
    buf_deinit(&b);
}

static void query_gives(const char *query, const char *name, int err, const char *want)
{
    struct buf b = {0};

    assert_int_equal(query_get(str_of(query), str_of(name), &b), err);
    assert_true(str_eq(buf_str(&b), str_of(want)));
    buf_deinit(&b);
}

static void first_value_of_a_name_is_found(void **state)
{
    (void)state;
    query_gives("a=1&b=2", "a", 0, "1");
    query_gives("a=1&b=2", "b", 0, "2");
    query_gives("a=1&a=2", "a", 0, "1");
    query_gives("b=x%20y+z", "b", 0, "x y z");
    query_gives("a=b=c", "a", 0, "b=c");
    query_gives("a", "a", 0, "");
    query_gives("a=", "a", 0, "");
    query_gives("&&a=1&", "a", 0, "1");
    query_gives("ab=1", "a", ERR_NOT_FOUND, "");
    query_gives("b=a", "a", ERR_NOT_FOUND, "");
    query_gives("A=1", "a", ERR_NOT_FOUND, "");
    query_gives("", "a", ERR_NOT_FOUND, "");
    query_gives(NULL, "a", ERR_NOT_FOUND, "");
    query_gives("a=%zz", "a", ERR_BAD_REQUEST, "");
    query_gives("b=%zz&a=1", "a", 0, "1"); /* of no matter to this one */
}

static void number_gives(const char *query, int err, uint64_t want)
{
    uint64_t value = 7;

    assert_int_equal(query_get_u64(str_of(query), STR("n"), 1, 60, &value), err);
    assert_int_equal(value, want);
}

static void numbers_have_a_range(void **state)
{
    (void)state;
    number_gives("n=1", 0, 1);
    number_gives("n=60", 0, 60);
    number_gives("n=%31%30", 0, 10);
    number_gives("", 0, 7);
    number_gives("m=5", 0, 7);
    number_gives("n=0", ERR_BAD_REQUEST, 7);
    number_gives("n=61", ERR_BAD_REQUEST, 7);
    number_gives("n=", ERR_BAD_REQUEST, 7);
    number_gives("n", ERR_BAD_REQUEST, 7);
    number_gives("n=-1", ERR_BAD_REQUEST, 7);
    number_gives("n=+1", ERR_BAD_REQUEST, 7);
    number_gives("n=1.0", ERR_BAD_REQUEST, 7);
    number_gives("n=1x", ERR_BAD_REQUEST, 7);
    number_gives("n=%", ERR_BAD_REQUEST, 7);
    number_gives("n=18446744073709551617", ERR_BAD_REQUEST, 7);
}

static void target_gives(const char *text, const char *authority, const char *path,
                         const char *query)
{
    struct http_target t = {0};

    assert_int_equal(http_target_parse(str_of(text), &t), path != NULL);
    assert_true(str_eq(t.authority, str_of(authority)));
    assert_true(str_eq(t.path, str_of(path)));
    assert_true(str_eq(t.query, str_of(query)));
}

static void targets_are_taken_apart(void **state)
{
    (void)state;
    target_gives("/", NULL, "/", NULL);
    target_gives("//a", NULL, "//a", NULL);
    target_gives("/a?b?c", NULL, "/a", "b?c");
    target_gives("*", NULL, "*", NULL);
    target_gives("http://h", "h", "/", NULL);
    target_gives("hTTp://h:80/a?b", "h:80", "/a", "b");
    target_gives("https://h?b", "h", "/", "b");
    target_gives("/http://h/", NULL, "/http://h/", NULL);
    target_gives("", NULL, NULL, NULL);
    target_gives(NULL, NULL, NULL, NULL);
    target_gives("a", NULL, NULL, NULL);
    target_gives("?a", NULL, NULL, NULL);
    target_gives("http://", NULL, NULL, NULL);
    target_gives("http:///a", NULL, NULL, NULL);
    target_gives("http://u:p@h/", NULL, NULL, NULL);
    target_gives("http://h#f", NULL, NULL, NULL);
    target_gives("http://h*", "h*", "/", NULL);
    target_gives("ws://h/", NULL, NULL, NULL);
    target_gives("/a#f", NULL, NULL, NULL);
    target_gives("*a", NULL, NULL, NULL);
    target_gives("h:80", NULL, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(bad_escapes_leave_the_buffer_as_it_was),
        cmocka_unit_test(escape_is_not_read_beyond_the_end),
        cmocka_unit_test(first_value_of_a_name_is_found),
        cmocka_unit_test(numbers_have_a_range),
        cmocka_unit_test(targets_are_taken_apart),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
