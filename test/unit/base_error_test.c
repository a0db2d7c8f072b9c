/* base/error.h: the list is public protocol, so what every entry must be is checked here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static void error_numbers_are_negative_and_distinct(void **state)
{
    assert_int_equal(OK, 0);
    assert_int_equal(ERR_BAD_REQUEST, -1);
    assert_int_equal(ERR_HTTP_VERSION, -ERROR_COUNT);
}

static void error_number_finds_its_own_entry(void **state)
{
#define X(name, status, code, title, advice)                                                       \
    assert_int_equal(error_status(name), status);                                                  \
    assert_string_equal(error_code(name), code);                                                   \
    assert_string_equal(error_title(name), title);                                                 \
    assert_string_equal(error_advice(name), advice);
    ERROR_LIST(X)
#undef X
}

static void error_codes_are_words_and_unique(void **state)
{
    for (int err = -1; err >= -ERROR_COUNT; err--) {
        const char *code = error_code(err);
        assert_true(strlen(code) > 0);
        assert_int_equal(strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(code));
        for (int other = -1; other > err; other--) assert_string_not_equal(code, error_code(other));
    }
}

/* They are put into JSON and into HTTP as they are. */
static void error_entries_are_fit_for_the_wire(void **state)
{
    for (int err = -1; err >= -ERROR_COUNT; err--) {
        assert_in_range(error_status(err), 400, 599);
        assert_true(strlen(error_title(err)) > 0);
        assert_null(strpbrk(error_title(err), "\"\\\r\n"));
        assert_null(strpbrk(error_advice(err), "\"\\\r\n"));
        assert_int_equal(error_advice(err)[strlen(error_advice(err)) - 1], '.');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_numbers_are_negative_and_distinct),
        cmocka_unit_test(error_number_finds_its_own_entry),
        cmocka_unit_test(error_codes_are_words_and_unique),
        cmocka_unit_test(error_entries_are_fit_for_the_wire),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
