/* base/str.c: comparing, splitting, numbers at their limits, and UTF-8 by the book. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/str.h"

static void str_none_and_empty_are_equal(void **state)
{
    assert_null(str_of(NULL).ptr);
    assert_true(str_eq(STR_NONE, STR("")));
    assert_int_equal(str_compare(STR_NONE, STR("")), 0);
    assert_true(str_starts(STR("x"), STR_NONE));
    assert_int_equal(str_trim(STR_NONE).len, 0);
    assert_true(str_is_utf8(STR_NONE));
    assert_false(str_has_control(STR_NONE));
}

static void str_eq_looks_at_every_byte(void **state)
{
    assert_true(str_eq(STR("room"), str_of("room")));
    assert_false(str_eq(STR("room"), STR("rooms")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_true(str_eq_secret(STR("secret"), STR("secret")));
    assert_false(str_eq_secret(STR("secret"), STR("Secret")));
    assert_false(str_eq_secret(STR("secret"), STR("secreT")));
    assert_false(str_eq_secret(STR("secret"), STR("secret ")));
}

static void str_eq_nocase_folds_ascii_letters_alone(void **state)
{
    assert_true(str_eq_nocase(STR("Content-Length"), STR("content-lengtH")));
    assert_false(str_eq_nocase(STR("a"), STR("aa")));
    /* Each pair is one bit apart, as upper and lower case are. */
    assert_false(str_eq_nocase(STR("@"), STR("`")));
    assert_false(str_eq_nocase(STR("["), STR("{")));
    assert_false(str_eq_nocase(STR("\xc3\x84"), STR("\xc3\xa4")));
}

static void str_compare_orders_like_a_dictionary(void **state)
{
    static const char *const sorted[] = {"", "a", "aa", "ab", "b", "\xff"};
    for (int i = 0; i < 6; i++) {
        for (int j = 0; j < 6; j++) {
            int order = str_compare(str_of(sorted[i]), str_of(sorted[j]));
            assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
        }
    }
}

static void str_starts_needs_the_whole_prefix(void **state)
{
    assert_true(str_starts(STR("redis://host"), STR("redis://")));
    assert_true(str_starts(STR("redis://"), STR("redis://")));
    assert_false(str_starts(STR("redis:"), STR("redis://")));
    assert_false(str_starts(STR("sqlite:x"), STR("redis://")));
}

static void str_trim_takes_blanks_and_tabs_only(void **state)
{
    assert_true(str_eq(str_trim(STR(" \t a b\t ")), STR("a b")));
    assert_true(str_eq(str_trim(STR(" \t ")), STR("")));
    assert_true(str_eq(str_trim(STR("\na\r")), STR("\na\r")));
}

static void str_split_walks_a_list(void **state)
{
    struct str rest = STR("a,,b,");
    assert_true(str_eq(str_split(rest, ',', &rest), STR("a")));
    assert_true(str_eq(str_split(rest, ',', &rest), STR("")));
    assert_true(str_eq(str_split(rest, ',', &rest), STR("b")));
    assert_non_null(rest.ptr); /* there was a separator, so there is one more, empty */
    assert_true(str_eq(str_split(rest, ',', &rest), STR("")));
    assert_null(rest.ptr);
    assert_int_equal(str_split(STR_NONE, ',', &rest).len, 0);
}

static void str_parse_u64_takes_the_whole_range(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
    } good[] = {
        {"0", 0},
        {"7", 7},
        {"007", 7},
        {"18446744073709551610", UINT64_MAX - 5},
        {"18446744073709551615", UINT64_MAX},
        {"000000000000000000000018446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint64_t value = 1;
        assert_true(str_parse_u64(str_of(good[i].text), &value));
        assert_true(value == good[i].value);
    }
}

static void str_parse_u64_refuses_all_else(void **state)
{
    static const char *const bad[] = {
        "",
        " 1",
        "1 ",
        "+1",
        "-1",
        "1.0",
        "0x1",
        "1e3",
        "1_0",
        "\xd9\xa1", /* an Arabic 1 */
        "/",
        ":",
        "18446744073709551616", /* 2^64 */
        "18446744073709551620", /* overflows in the last digit's tens */
        "184467440737095516150",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        uint64_t value = 42;
        assert_false(str_parse_u64(str_of(bad[i]), &value));
        assert_int_equal(value, 42);
    }
    uint64_t value;
    assert_false(str_parse_u64(STR("1\0"), &value));
}

static void str_is_utf8_takes_the_first_and_last_of_each_length(void **state)
{
    static const char *const good[] = {
        "\x01",
        "\x7f", /* one byte */
        "\xc2\x80",
        "\xdf\xbf", /* two */
        "\xe0\xa0\x80",
        "\xef\xbf\xbf", /* three */
        "\xed\x9f\xbf",
        "\xee\x80\x80", /* around the surrogates */
        "\xf0\x90\x80\x80",
        "\xf4\x8f\xbf\xbf", /* four */
        "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x8e\x81z",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        assert_true(str_is_utf8(str_of(good[i])));
    }
    assert_true(str_is_utf8(STR("a\0b")));
}

static void str_is_utf8_refuses_what_rfc_3629_does(void **state)
{
    static const char *const bad[] = {
        "\x80",
        "\xbf",
        "a\x80", /* continuation alone */
        "\xc0\x80",
        "\xc1\xbf", /* overlong, two bytes */
        "\xe0\x80\x80",
        "\xe0\x9f\xbf", /* overlong, three */
        "\xf0\x80\x80\x80",
        "\xf0\x8f\xbf\xbf", /* overlong, four */
        "\xed\xa0\x80",
        "\xed\xbf\xbf",             /* surrogates */
        "\xed\xa0\xbd\xed\xb8\x80", /* a surrogate pair (CESU-8) */
        "\xf4\x90\x80\x80",
        "\xf5\x80\x80\x80", /* past U+10FFFF */
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff", /* no such lead byte */
        "\xc3(",
        "\xe2\x82(",
        "\xe2(\xa1",
        "\xf0\x9f\x8e(", /* broken off by another */
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(str_is_utf8(str_of(bad[i])));
    }
}

static void str_is_utf8_refuses_a_sequence_cut_at_the_end(void **state)
{
    static const char *const whole[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x8e\x81"};
    for (size_t i = 0; i < 3; i++) {
        struct str s = str_of(whole[i]);
        for (size_t len = 1; len < s.len; len++) assert_false(str_is_utf8(str_make(s.ptr, len)));
    }
}

/* Every code point, encoded by the definition, is taken, but for the surrogates. */
static void str_is_utf8_agrees_with_the_definition(void **state)
{
    for (unsigned long c = 0x800; c < 0x120000; c += c < 0x11000 ? 1 : 37) {
        char text[4];
        size_t len = c < 0x10000 ? 3 : 4;
        for (size_t i = len; i-- > 1;) text[i] = (char)(0x80 | (c >> 6 * (len - 1 - i) & 0x3f));
        text[0] = (char)((len == 3 ? 0xe0 : 0xf0) | c >> 6 * (len - 1));
        bool valid = (c < 0xd800 || c > 0xdfff) && c <= 0x10ffff;
        assert_int_equal(str_is_utf8(str_make(text, len)), valid);
    }
}

static void str_has_control_finds_c0_del_and_c1(void **state)
{
    assert_false(str_has_control(STR(" a~\xc2\xa0\xc3\x80\xe2\x80\xa8")));
    assert_true(str_has_control(STR("a\0")));
    assert_true(str_has_control(STR("a\x1f")));
    assert_true(str_has_control(STR("\x7f")));
    assert_true(str_has_control(STR("a\xc2\x80")));
    assert_true(str_has_control(STR("\xc2\x9f")));
    assert_false(str_has_control(STR("\xc2"))); /* not UTF-8, but not a control character either */
}

static void str_copy_fits_or_leaves_nothing(void **state)
{
    char dst[4] = "xxx";
    assert_true(str_copy(STR("abc"), dst, sizeof(dst)));
    assert_string_equal(dst, "abc");
    assert_false(str_copy(STR("abcd"), dst, sizeof(dst)));
    assert_string_equal(dst, "");
    assert_true(str_copy(STR_NONE, dst, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str_none_and_empty_are_equal),
        cmocka_unit_test(str_eq_looks_at_every_byte),
        cmocka_unit_test(str_eq_nocase_folds_ascii_letters_alone),
        cmocka_unit_test(str_compare_orders_like_a_dictionary),
        cmocka_unit_test(str_starts_needs_the_whole_prefix),
        cmocka_unit_test(str_trim_takes_blanks_and_tabs_only),
        cmocka_unit_test(str_split_walks_a_list),
        cmocka_unit_test(str_parse_u64_takes_the_whole_range),
        cmocka_unit_test(str_parse_u64_refuses_all_else),
        cmocka_unit_test(str_is_utf8_takes_the_first_and_last_of_each_length),
        cmocka_unit_test(str_is_utf8_refuses_what_rfc_3629_does),
        cmocka_unit_test(str_is_utf8_refuses_a_sequence_cut_at_the_end),
        cmocka_unit_test(str_is_utf8_agrees_with_the_definition),
        cmocka_unit_test(str_has_control_finds_c0_del_and_c1),
        cmocka_unit_test(str_copy_fits_or_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
