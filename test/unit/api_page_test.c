/* api/page.c: what is written is read again, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "api/page.h"
#include "base/error.h"

#define SECRET STR("what all nodes know")
#define SCOPE  STR("dev/lobby")

static void assert_refused(struct str secret, struct str scope, struct str token)
{
    struct buf name = {0};
    assert_int_equal(page_read(secret, scope, token, &name), ERR_BAD_REQUEST);
    assert_int_equal(name.len, 0);
    buf_deinit(&name);
}

static void a_name_of_any_length_comes_back(void **state)
{
    char longest[PAGE_NAME_MAX];
    memset(longest, 'u', sizeof longest);
    for (size_t len = 1; len <= PAGE_NAME_MAX; len++) {
        struct buf token = {0}, name = {0};
        page_write(SECRET, SCOPE, str_make(longest, len), &token);
        assert_int_equal(page_read(SECRET, SCOPE, buf_str(&token), &name), OK);
        assert_true(str_eq(buf_str(&name), str_make(longest, len)));
        buf_deinit(&token);
        buf_deinit(&name);
    }
}

static void a_token_is_good_for_its_list_and_secret_alone(void **state)
{
    struct buf token = {0};
    page_write(SECRET, SCOPE, STR("alice"), &token);
    assert_refused(SECRET, STR("dev/lobby2"), buf_str(&token));
    assert_refused(STR("what all nodes knew"), SCOPE, buf_str(&token));
    buf_deinit(&token);
}

static void a_token_that_was_changed_anywhere_is_refused(void **state)
{
    struct buf token = {0};
    page_write(SECRET, SCOPE, STR("alice"), &token);
    for (size_t i = 0; i < token.len; i++) {
        char was = token.ptr[i];
        for (int c = 1; c < 256; c++) {
            token.ptr[i] = (char)c;
            if (token.ptr[i] != was) assert_refused(SECRET, SCOPE, buf_str(&token));
        }
        token.ptr[i] = was;
    }
    for (size_t len = 0; len < token.len; len++)
        assert_refused(SECRET, SCOPE, str_make(token.ptr, len));
    buf_add_char(&token, 'A');
    assert_refused(SECRET, SCOPE, buf_str(&token));
    buf_deinit(&token);
}

/* Else a room "a" with a user "b\n…" could stand for another room. */
static void scope_and_name_do_not_run_into_each_other(void **state)
{
    struct buf token = {0};
    page_write(SECRET, STR("dev/ab"), STR("c"), &token);
    assert_refused(SECRET, STR("dev/a"), buf_str(&token));
    buf_deinit(&token);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_of_any_length_comes_back),
        cmocka_unit_test(a_token_is_good_for_its_list_and_secret_alone),
        cmocka_unit_test(a_token_that_was_changed_anywhere_is_refused),
        cmocka_unit_test(scope_and_name_do_not_run_into_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
