/* tool/config.c, config_file.c: flags over environment over file over defaults; errors that say
 * where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>
#include <cmocka.h>

#include "tool/config.h"

#define KEY    "0123456789abcdef"
#define SECRET KEY KEY
#define APP    "[app \"shop\"]\nkey = " KEY "\n"

static char path[64];

static int make_path(void **state)
{
    snprintf(path, sizeof(path), "/tmp/stoa-config-%d.ini", (int)getpid());
    return 0;
}

static int remove_file(void **state)
{
    unlink(path);
    return 0;
}

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void load_file(const char *text, struct config *ret)
{
    struct buf why = {0};
    write_file(text);
    if (config_load_file(path, 7, ret, &why) != 0) fail_msg("%.*s", STR_ARG(buf_str(&why)));
    buf_deinit(&why);
}

/* The error that the text gives, without the file's name. */
static void expect_error(const char *text, const char *expected)
{
    struct config config;
    struct buf why = {0};
    write_file(text);
    assert_int_equal(config_load_file(path, 7, &config, &why), -1);
    buf_add_char(&why, '\0');
    assert_memory_equal(why.ptr, path, strlen(path));
    assert_string_equal(why.ptr + strlen(path), expected);
    buf_deinit(&why);
}

static enum options_result load_args(struct config *ret, struct buf *why, int argc, ...)
{
    char *argv[16] = {(char *)(uintptr_t) "serve"};
    va_list args;
    va_start(args, argc);
    for (int i = 1; i <= argc; i++) argv[i] = va_arg(args, char *);
    va_end(args);
    return config_load(argc + 1, argv, 7, ret, why);
}

static void defaults_hold(void **state)
{
    struct config c;
    load_file(APP, &c);
    assert_false(c.dev);
    assert_true(c.console);
    assert_string_equal(c.listen, "127.0.0.1:8080");
    assert_string_equal(c.ops_listen, "");
    assert_string_equal(c.store, "sqlite:stoa.db");
    assert_int_equal(c.workers, 0);
    assert_int_equal(c.linger_s, 10);
    assert_int_equal(c.drain_s, 2);
    assert_int_equal(c.retention_normal_age_s, 86400);
    assert_int_equal(c.retention_high_age_s, 7 * 86400);
    assert_int_equal(c.retention_normal_count, 10000);
    assert_int_equal(c.apps->count, 1);
    assert_int_equal(c.apps->generation, 7);
    config_deinit(&c);
}

static void apps_are_read(void **state)
{
    struct config c;
    load_file("# first\n[app \"a\"]\nkey = " KEY "1, " KEY "2\nkey=" KEY "3 ; third\n"
              "secret=" SECRET "\norigins = https://a.example, http://b:8080\nauto_create = yes\n"
              "user_per_s = 10\nuser_burst = 20\n"
              "[server]\nworkers = 3\n[app \"b.c:d_e-f\"]\norigins=*\nsecret=" SECRET "\n"
              "[server]\nlog_level = warn\n",
              &c);
    assert_int_equal(c.apps->count, 2);
    const struct app *a = apps_by_name(c.apps, STR("a"));
    assert_non_null(a);
    assert_string_equal(a->keys[0], KEY "1");
    assert_string_equal(a->keys[1], KEY "2");
    assert_string_equal(a->keys[2], KEY "3");
    assert_string_equal(a->keys[3], "");
    assert_string_equal(a->secret, SECRET);
    assert_string_equal(a->origins[1], "http://b:8080");
    assert_true(a->auto_create);
    assert_false(a->anonymous);
    assert_int_equal(a->user_per_s, 10);
    assert_int_equal(a->user_burst, 20);
    const struct app *b = apps_by_name(c.apps, STR("b.c:d_e-f"));
    assert_non_null(b);
    assert_false(b->auto_create);
    assert_int_equal(b->user_per_s, 2);
    assert_int_equal(b->user_burst, 5);
    assert_int_equal(c.workers, 3);
    assert_string_equal(c.log_level, "warn");
    config_deinit(&c);
}

static void long_app_names_are_kept_whole(void **state)
{
    struct config c;
    char text[256], name[LIMIT_APP_NAME + 1];
    memset(name, 'n', LIMIT_APP_NAME);
    name[LIMIT_APP_NAME] = '\0';
    snprintf(text, sizeof(text), "[app \"%s\"]\nkey=" KEY "\n", name);
    load_file(text, &c);
    assert_string_equal(c.apps->app[0].name, name);
    config_deinit(&c);
}

static void flags_win_over_environment_over_file(void **state)
{
    struct config c;
    struct buf why = {0};
    write_file("[server]\nworkers=1\nlisten=127.0.0.1:1\ndrain_s=1\n[store]\nurl=memory:\n" APP);
    setenv("STOA_WORKERS", "2", 1);
    setenv("STOA_LISTEN", "127.0.0.1:2", 1);
    assert_int_equal(load_args(&c, &why, 4, "--config", path, "--listen", "127.0.0.1:3"),
                     OPTIONS_OK);
    assert_string_equal(c.listen, "127.0.0.1:3"); /* flag */
    assert_int_equal(c.workers, 2);               /* environment */
    assert_int_equal(c.drain_s, 1);               /* file */
    assert_string_equal(c.store, "memory:");
    assert_int_equal(c.linger_s, 10); /* default */
    assert_string_equal(c.config, path);
    config_deinit(&c);

    setenv("STOA_CONFIG", path, 1);
    assert_int_equal(load_args(&c, &why, 0), OPTIONS_OK);
    assert_string_equal(c.listen, "127.0.0.1:2");
    config_deinit(&c);

    setenv("STOA_WORKERS", "none", 1);
    assert_int_equal(load_args(&c, &why, 0), OPTIONS_FAILED);
    assert_true(str_starts(buf_str(&why), STR("environment STOA_WORKERS must be")));
    unsetenv("STOA_CONFIG");
    unsetenv("STOA_WORKERS");
    unsetenv("STOA_LISTEN");
    buf_deinit(&why);
}

static void check_config_looks_at_the_file_alone(void **state)
{
    struct config c;
    setenv("STOA_WORKERS", "2", 1);
    load_file(APP, &c);
    assert_int_equal(c.workers, 0);
    unsetenv("STOA_WORKERS");
    config_deinit(&c);
}

static void dev_has_its_own_app(void **state)
{
    struct config c;
    struct buf why = {0};
    assert_int_equal(load_args(&c, &why, 1, "--dev"), OPTIONS_OK);
    assert_true(c.dev);
    assert_int_equal(c.apps->count, 1);
    assert_string_equal(c.apps->app[0].name, "dev");
    assert_true(c.apps->app[0].anonymous);
    config_deinit(&c);
    buf_deinit(&why);
}

static void dev_serves_loopback_only(void **state)
{
    static const char *const wrong[] = {"0.0.0.0:80", "[::]:80", "192.168.0.1:80",
                                        "example.org:80"};
    struct config c;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct buf why = {0};
        assert_int_equal(load_args(&c, &why, 3, "--dev", "--listen", wrong[i]), OPTIONS_FAILED);
        assert_true(str_starts(buf_str(&why), STR("--dev lets anybody in")));
        buf_clear(&why);
        assert_int_equal(load_args(&c, &why, 3, "--dev", "--ops-listen", wrong[i]), OPTIONS_FAILED);
        buf_deinit(&why);
    }
    struct buf why = {0};
    assert_int_equal(load_args(&c, &why, 3, "--dev", "--listen", "[::1]:0"), OPTIONS_OK);
    config_deinit(&c);
    buf_deinit(&why);
}

static void without_dev_an_app_is_needed(void **state)
{
    struct config c;
    struct buf why = {0};
    assert_int_equal(load_args(&c, &why, 0), OPTIONS_FAILED);
    assert_true(str_starts(buf_str(&why), STR("there is no app to serve: try --dev")));
    buf_deinit(&why);
    expect_error("[server]\nworkers=1\n",
                 ": there is no app to serve: add a section [app \"NAME\"]");
}

static void errors_in_the_file_say_where_and_what(void **state)
{
    expect_error("[servr]\n", ":1: unknown section [servr]: did you mean [server]?");
    expect_error("\n[nodes]\n", ":2: unknown section [nodes]: there are [server], [pace], [store], "
                                "[link], [switch] and [app \"NAME\"]");
    expect_error("[server]\nwokers=1\n",
                 ":2: [server] unknown key 'wokers': did you mean 'workers'?");
    expect_error("[server]\nurl=memory:\n", ":2: [server] has no key 'url': it belongs to [store]");
    expect_error("[server]\n\nworkers=65\n",
                 ":3: [server] workers: must be a whole number from 0 to 64");
    expect_error("[server]\nworkers=1\n[store]\n[server]\nworkers=2\n",
                 ":5: [server] workers: is given twice: keep one");
    expect_error("workers=1\n", ":1: 'workers' comes before any [section]");
    expect_error("[server]\nwhat is this\n",
                 ":2: is neither a [section], nor key = value, nor a comment");
    expect_error("[server\n", ":1: the ] of a section is missing");
    expect_error("[server]\nlisten=\"127.0.0.1:80\"\n",
                 ":2: [server] listen: write the value without quotes");
    expect_error(APP "orgins=*\n",
                 ":3: [app \"shop\"] unknown key 'orgins': did you mean 'origins'?");
}

/* What no single line is to blame for. */
static void expect_whole_error(const char *text, const char *expected)
{
    struct config config;
    struct buf why = {0};
    struct buf all = {0};
    buf_printf(&all, "%s" APP, text);
    buf_add_char(&all, '\0');
    write_file(all.ptr);
    assert_int_equal(config_load_file(path, 7, &config, &why), -1);
    buf_add_char(&why, '\0');
    if (strstr(why.ptr, expected) != why.ptr) fail_msg("%s", why.ptr);
    buf_deinit(&why);
    buf_deinit(&all);
}

static void a_node_in_a_sect_says_where_it_is(void **state)
{
    struct config c;
    load_file("[link]\nsect=vip-1\nvip=true\nadvertise=10.0.0.5:7000\n" APP, &c);
    assert_string_equal(c.sect, "vip-1");
    assert_true(c.vip);
    assert_string_equal(c.advertise, "10.0.0.5:7000");
    config_deinit(&c);
    load_file("[link]\nsect=a\nlisten=10.0.0.5:7001\nsecret=0123456789abcdef0123456789abcdef\n" APP,
              &c);
    assert_string_equal(config_advertise(&c), "10.0.0.5:7001"); /* where nothing else is said */
    config_deinit(&c);
    load_file("[link]\nlisten=10.0.0.5:7001\nsecret=0123456789abcdef0123456789abcdef\n" APP, &c);
    assert_string_equal(config_advertise(&c), ""); /* only nodes in a sect are found by edges */
    config_deinit(&c);
    expect_whole_error("[link]\nsect=a\nlisten=0.0.0.0:7000\n"
                       "secret=0123456789abcdef0123456789abcdef\n",
                       "[link] advertise: must be an address");
    expect_whole_error("[link]\nvip=true\n", "[link] vip: ");
    expect_whole_error("[link]\nsect=a\n", "[link] sect: edges could not reach this node");
    expect_whole_error("[link]\nsect=a b\nadvertise=h:1\n", "[link] sect: must be 1-64 of");
    expect_whole_error("[link]\nadvertise=10.0.0.5:0\n", "[link] advertise: must name the port");
    expect_whole_error("[link]\nadvertise=0.0.0.0:7000\n", "[link] advertise: must be an address");
    expect_whole_error("[link]\nadvertise=[::]:7000\n", "[link] advertise: must be an address");
    expect_error("[link]\nadvertise=a-name.of-65.bytes.which-is.more-than.a-node.can-have."
                 "here.too:70\n",
                 ":2: [link] advertise: is too long: at most 64 bytes");
}

static void thresholds_of_the_switch_leave_room_between_them(void **state)
{
    struct config c;
    load_file("[switch]\nup_online=10\ndown_online=9\ndry_run=true\n" APP, &c);
    assert_int_equal(c.switch_up_online, 10);
    assert_int_equal(c.switch_up_deliveries, 1000000);
    assert_true(c.switch_dry_run);
    config_deinit(&c);
    load_file("[switch]\nup_online=0\nup_deliveries_per_s=0\n" APP, &c); /* off */
    config_deinit(&c);
    expect_whole_error("[switch]\nup_online=10\ndown_online=10\n",
                       "[switch] down_online: must be below up_online (10)");
    expect_whole_error("[switch]\nup_deliveries_per_s=500000\n",
                       "[switch] down_deliveries_per_s: must be below");
}

static void errors_in_apps_say_where_and_what(void **state)
{
    expect_error("[app shop]\n", ":1: unknown section [app shop]: did you mean [app \"NAME\"]?");
    expect_error("[app \"a b\"]\n", ":1: app name \"a b\": must be 1-64 of A-Z a-z 0-9 _ . : -");
    expect_error(APP APP, ":3: [app \"shop\"] is there twice: keep one");
    expect_error("[app \"a\"]\n",
                 ":1: [app \"a\"] has neither key nor secret, so nobody could use it: add one");
    expect_error("[app \"a\"]\nkey=0123456789abcde\n",
                 ":1: [app \"a\"] key: is too short, at least 16 bytes: openssl rand -hex 16");
    expect_error("[app \"a\"]\nsecret=0123456789012345678901234567890\n",
                 ":1: [app \"a\"] secret: is too short, at least 32 bytes: openssl rand -hex 32");
    expect_error(APP "\n[app \"b\"]\nkey=" KEY "\n",
                 ":4: [app \"b\"] key: another app has the same one: make a new one");
    expect_error(
        APP "origins=a.example\n",
        ":1: [app \"shop\"] origins: write them as https://host[:port] without a path, or *");
}

static void too_many_keys_and_too_long_lines_are_refused(void **state)
{
    struct buf text = {0};
    buf_add_lit(&text, "[app \"a\"]\n");
    for (int i = 0; i <= LIMIT_APP_KEYS; i++) buf_printf(&text, "key=" KEY "%d\n", i);
    buf_add_char(&text, '\0');
    expect_error(text.ptr, ":10: [app \"a\"] key: is given too often: at most 8");
    buf_clear(&text);
    buf_add_lit(&text, "[server]\nlisten=");
    for (int i = 0; i < 5000; i++) buf_add_char(&text, 'x');
    buf_add_char(&text, '\0');
    expect_error(text.ptr, ":2: the line is too long: at most 4096 bytes");
    buf_deinit(&text);
}

static void secrets_are_never_told(void **state)
{
    struct config c;
    struct buf why = {0};
    char text[LIMIT_SECRET + 64];
    int len = snprintf(text, sizeof(text), "[app \"a\"]\nsecret=");
    memset(text + len, 's', LIMIT_SECRET + 1);
    text[len + LIMIT_SECRET + 1] = '\0';
    write_file(text);
    assert_int_equal(config_load_file(path, 7, &c, &why), -1);
    buf_add_char(&why, '\0');
    assert_null(strstr(why.ptr, "ssssss"));
    buf_deinit(&why);
}

static void file_that_is_not_there_is_an_error(void **state)
{
    struct config c;
    struct buf why = {0};
    assert_int_equal(config_load_file("/nonexistent.ini", 7, &c, &why), -1);
    assert_true(str_starts(buf_str(&why), STR("/nonexistent.ini: cannot be opened: ")));
    buf_deinit(&why);
}

static void example_is_right_and_names_every_option(void **state)
{
    struct config c;
    struct buf why = {0};
    char text[16384];
    FILE *file = fopen("stoa.example.ini", "re");
    if (file == NULL) skip(); /* not run from the root of the sources */
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    assert_int_equal(config_load_file("stoa.example.ini", 7, &c, &why), 0);
    config_deinit(&c);
    buf_deinit(&why);
    for (size_t i = 0; i < config_command.count; i++) {
        char line[96];
        if (config_command.options[i].key == NULL) continue;
        snprintf(line, sizeof(line), "\n;%s = ", config_command.options[i].key);
        if (strstr(text, line) == NULL) fail_msg("missing: %s", line);
    }
}

static void stale_options_are_those_a_restart_takes(void **state)
{
    struct config a, b;
    size_t at = 0;
    load_file("[server]\nlog_level=info\nworkers=1\n" APP, &a);
    load_file("[server]\nlog_level=warn\nworkers=2\n" APP, &b);
    const struct option *stale = config_next_stale(&a, &b, &at);
    assert_non_null(stale);
    assert_string_equal(stale->flag, "workers");
    assert_null(config_next_stale(&a, &b, &at));
    config_deinit(&a);
    config_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_hold),
        cmocka_unit_test(apps_are_read),
        cmocka_unit_test(long_app_names_are_kept_whole),
        cmocka_unit_test(flags_win_over_environment_over_file),
        cmocka_unit_test(check_config_looks_at_the_file_alone),
        cmocka_unit_test(dev_has_its_own_app),
        cmocka_unit_test(dev_serves_loopback_only),
        cmocka_unit_test(without_dev_an_app_is_needed),
        cmocka_unit_test(errors_in_the_file_say_where_and_what),
        cmocka_unit_test(a_node_in_a_sect_says_where_it_is),
        cmocka_unit_test(thresholds_of_the_switch_leave_room_between_them),
        cmocka_unit_test(errors_in_apps_say_where_and_what),
        cmocka_unit_test(too_many_keys_and_too_long_lines_are_refused),
        cmocka_unit_test(secrets_are_never_told),
        cmocka_unit_test(file_that_is_not_there_is_an_error),
        cmocka_unit_test(example_is_right_and_names_every_option),
        cmocka_unit_test(stale_options_are_those_a_restart_takes),
    };
    return cmocka_run_group_tests(tests, make_path, remove_file);
}
