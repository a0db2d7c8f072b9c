/* api/apps.c */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "api/apps.h"

static struct apps *three_apps(void)
{
    struct apps *apps = apps_new(3, 7);
    static const char *const NAMES[] = {"one", "two", "three"};

    for (size_t i = 0; i < 3; i++)
        str_copy(str_of(NAMES[i]), apps->app[i].name, sizeof(apps->app[i].name));
    str_copy(STR("key-1"), apps->app[0].keys[0], LIMIT_SECRET + 1);
    str_copy(STR("key-2"), apps->app[1].keys[0], LIMIT_SECRET + 1);
    str_copy(STR("key-2-next"), apps->app[1].keys[LIMIT_APP_KEYS - 1], LIMIT_SECRET + 1);
    return apps;
}

static void new_apps_are_empty_but_for_the_rates(void **state)
{
    (void)state;
    struct apps *apps = apps_new(2, 9);

    assert_int_equal(apps->count, 2);
    assert_int_equal(apps->generation, 9);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(apps->app[i].user_per_s, 2);
        assert_int_equal(apps->app[i].user_burst, 5);
        assert_int_equal(apps->app[i].name[0], '\0');
        assert_false(apps->app[i].anonymous);
    }
    apps_unref(apps);
    apps_unref(NULL);
}

static void snapshot_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct apps *apps = three_apps();

    assert_ptr_equal(apps_ref(apps), apps);
    apps_unref(apps);
    assert_non_null(apps_by_name(apps, STR("two")));
    apps_unref(apps);
}

static void apps_are_found_by_name(void **state)
{
    (void)state;
    struct apps *apps = three_apps();

    assert_ptr_equal(apps_by_name(apps, STR("one")), &apps->app[0]);
    assert_ptr_equal(apps_by_name(apps, STR("three")), &apps->app[2]);
    assert_null(apps_by_name(apps, STR("thre")));
    assert_null(apps_by_name(apps, STR("One")));
    assert_null(apps_by_name(apps, STR("four")));
    apps_unref(apps);
}

static void apps_are_found_by_each_of_their_keys(void **state)
{
    (void)state;
    struct apps *apps = three_apps();

    assert_ptr_equal(apps_by_key(apps, STR("key-1")), &apps->app[0]);
    assert_ptr_equal(apps_by_key(apps, STR("key-2")), &apps->app[1]);
    assert_ptr_equal(apps_by_key(apps, STR("key-2-next")), &apps->app[1]);
    assert_null(apps_by_key(apps, STR("key-3")));
    assert_null(apps_by_key(apps, STR("key-")));
    assert_null(apps_by_key(apps, STR("key-11")));
    apps_unref(apps);
}

static void no_key_fits_an_unused_one(void **state)
{
    (void)state;
    struct apps *apps = three_apps();

    assert_null(apps_by_key(apps, STR("")));
    assert_null(apps_by_key(apps, STR_NONE));
    assert_null(apps_by_key(apps, str_make("\0", 1)));
    apps_unref(apps);
}

static void dev_is_one_app_open_to_all(void **state)
{
    (void)state;
    struct apps *apps = apps_new_dev(1);
    const struct app *dev = apps_by_key(apps, STR("dev"));

    assert_int_equal(apps->count, 1);
    assert_ptr_equal(dev, apps_by_name(apps, STR("dev")));
    assert_string_equal(dev->secret, "dev");
    assert_string_equal(dev->origins[0], "*");
    assert_true(dev->auto_create);
    assert_true(dev->anonymous);
    assert_int_equal(dev->user_per_s, 2);
    apps_unref(apps);
}

static void what_nodes_share_is_the_secret_or_the_first_key(void **state)
{
    (void)state;
    struct apps *apps = three_apps();

    assert_true(str_eq(app_shared_secret(&apps->app[1]), STR("key-2")));
    str_copy(STR("secret-2"), apps->app[1].secret, LIMIT_SECRET + 1);
    assert_true(str_eq(app_shared_secret(&apps->app[1]), STR("secret-2")));
    apps_unref(apps);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_apps_are_empty_but_for_the_rates),
        cmocka_unit_test(snapshot_lives_until_its_last_reference),
        cmocka_unit_test(apps_are_found_by_name),
        cmocka_unit_test(apps_are_found_by_each_of_their_keys),
        cmocka_unit_test(no_key_fits_an_unused_one),
        cmocka_unit_test(dev_is_one_app_open_to_all),
        cmocka_unit_test(what_nodes_share_is_the_secret_or_the_first_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
