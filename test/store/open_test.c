/* store_open(): which URLs name a store, and what is said of those that do not. */
#include "store/harness.h"

#include "base/error.h"
#include "store/open.h"

static void check(const char *url, int expected, const char *reason)
{
    const struct store_config config = {0};
    struct store *store = NULL;
    char why[256] = "";

    assert_int_equal(store_open(url, &config, &store, why, sizeof(why)), expected);
    assert_int_equal(store != NULL, expected == 0);
    if (strstr(why, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, reason);
    store_close(store);
}

static void memory_opens(void **state)
{
    check("memory:", 0, "");
    check("memory:x", ERR_BAD_REQUEST, "takes nothing behind it");
}

static void check_redis(const char *url, int expected, const char *reason)
{
    uv_loop_t loop;
    const struct store_config config = {.env = {.loop = &loop}};
    struct store *store = NULL;
    char why[256] = "";

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(store_open(url, &config, &store, why, sizeof(why)), expected);
    if (strstr(why, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, reason);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void redis_that_cannot_be_opened_says_why(void **state)
{
    check_redis("redis://127.0.0.1:1", ERR_STORE_UNAVAILABLE, "127.0.0.1:1");
    check_redis("redis://127.0.0.1?colour=red", ERR_BAD_REQUEST, "colour");
    check_redis("rediss://127.0.0.1:1?ca=/nowhere", ERR_BAD_REQUEST, "/nowhere");
}

/* Of link:// more in link_test.c. */
static void a_link_needs_a_secret(void **state)
{
    check("link://127.0.0.1:7000", ERR_BAD_REQUEST, "STOA_LINK_SECRET");
}

static void anything_else_is_unknown(void **state)
{
    check("", ERR_BAD_REQUEST, "unknown");
    check("memory", ERR_BAD_REQUEST, "unknown");
    check("/var/lib/stoa.db", ERR_BAD_REQUEST,
          "use memory:, sqlite:PATH, redis://HOST or link://HOST:PORT");
    check("SQLITE:x", ERR_BAD_REQUEST, "unknown");
}

static void check_shown(const char *url, const char *expected)
{
    char shown[64];

    store_url_show(url, shown, sizeof(shown));
    assert_string_equal(shown, expected);
}

static void a_password_is_not_shown(void **state)
{
    check_shown("redis://ann:secret@host:1,other/2?replicas=1",
                "redis://…@host:1,other/2?replicas=1");
    check_shown("rediss://:p@ss@host", "rediss://…@host");
    check_shown("redis:/ann:secret@host", "…@host");
    check_shown("sqlite:/var/lib/stoa.db", "sqlite:/var/lib/stoa.db");
    check("redis:/:secret@host", ERR_BAD_REQUEST, "\"…@host\"");
}

static void a_reason_that_is_too_long_is_cut(void **state)
{
    const struct store_config config = {0};
    struct store *store = NULL;
    char why[8];

    assert_int_equal(store_open("sqlite:/nowhere/at/all.db", &config, &store, why, sizeof(why)),
                     ERR_STORE_UNAVAILABLE);
    assert_string_equal(why, "/nowher");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_opens),
        cmocka_unit_test(redis_that_cannot_be_opened_says_why),
        cmocka_unit_test(a_link_needs_a_secret),
        cmocka_unit_test(anything_else_is_unknown),
        cmocka_unit_test(a_password_is_not_shown),
        cmocka_unit_test(a_reason_that_is_too_long_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
