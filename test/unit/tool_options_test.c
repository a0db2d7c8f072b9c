/* tool/options.c, nearest.c, host_port.c, url.c, process_stat.c: what people type, and what is told
 * them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/config.h"
#include "tool/host_port.h"
#include "tool/nearest.h"
#include "tool/options.h"
#include "tool/process_stat.h"
#include "tool/url.h"

struct sample {
    bool fast;
    char name[8];
    char listen[32];
    uint32_t count;
    double speed;
    char tags[3][8];
};

#define FIELD(member, flag_name) OPTION_FIELD(struct sample, member), .flag = flag_name

static const struct option sample_options[] = {
    {FIELD(fast, "fast"), .kind = OPTION_BOOL, .help = "h"},
    {FIELD(name, "name"), .kind = OPTION_TEXT, .value = "NAME", .fallback = "bob", .help = "h"},
    {FIELD(listen, "listen-at"), .kind = OPTION_ADDRESS, .value = "HOST:PORT", .help = "h",
     .has_env = true},
    {FIELD(count, "count_n"), .kind = OPTION_U32, .min = 1, .max = 9, .value = "N", .help = "h",
     .fallback = "3"},
    {FIELD(speed, "speed"), .kind = OPTION_REAL, .min = 0.5, .max = 10, .value = "X", .help = "h"},
    {FIELD(tags, "tag"), .kind = OPTION_LIST, .item_bytes = 8, .value = "TAG", .help = "h"},
};

static const struct command sample = {
    .synopsis = "sample", .about = "a", .options = sample_options, .count = 6, .positional = 1};

/* Space-separated arguments. */
static enum options_result parse(const char *line, struct sample *ret, const char **ret_positional,
                                 struct buf *why)
{
    static char text[256];
    char *argv[16] = {text};
    int argc = 1;
    snprintf(text, sizeof(text), "x %s", line);
    for (char *c = strchr(text, ' '); c != NULL; c = strchr(c, ' ')) {
        *c++ = '\0';
        if (*c != '\0') argv[argc++] = c;
    }
    options_default(&sample, ret, sizeof(*ret));
    return options_args(&sample, argc, argv, ret, ret_positional, why);
}

static void flags_fill_their_fields(void **state)
{
    struct sample s;
    struct buf why = {0};
    const char *file = NULL;
    assert_int_equal(parse("--fast in.txt --name eve --listen-at [::1]:80 --count_n=9 --speed 2.5 "
                           "--tag a,b --tag c",
                           &s, &file, &why),
                     OPTIONS_OK);
    assert_true(s.fast);
    assert_string_equal(s.name, "eve");
    assert_string_equal(s.listen, "[::1]:80");
    assert_int_equal(s.count, 9);
    assert_true(s.speed > 2.49 && s.speed < 2.51);
    assert_string_equal(s.tags[1], "b");
    assert_string_equal(s.tags[2], "c");
    assert_string_equal(file, "in.txt");
    buf_deinit(&why);
}

static void fallbacks_hold_without_flags(void **state)
{
    struct sample s;
    struct buf why = {0};
    const char *file;
    assert_int_equal(parse("f --fast=no", &s, &file, &why), OPTIONS_OK);
    assert_false(s.fast);
    assert_string_equal(s.name, "bob");
    assert_int_equal(s.count, 3);
    buf_deinit(&why);
}

static void dash_and_underscore_are_the_same(void **state)
{
    struct sample s;
    struct buf why = {0};
    const char *file;
    assert_int_equal(parse("f --count-n 4 --listen_at a:1", &s, &file, &why), OPTIONS_OK);
    assert_int_equal(s.count, 4);
    assert_string_equal(s.listen, "a:1");
    buf_deinit(&why);
}

static void wrong_arguments_are_explained(void **state)
{
    static const struct {
        const char *line, *why;
    } wrong[] = {
        {"f --nane x", "unknown flag --nane: did you mean --name?"},
        {"f --zzzzzz x", "unknown flag --zzzzzz"},
        {"f --name", "--name needs a value: --name NAME"},
        {"f --name 12345678", "--name is too long: at most 7 bytes"},
        {"f --count_n 0", "--count_n must be a whole number from 1 to 9"},
        {"f --count_n 10", "--count_n must be a whole number from 1 to 9"},
        {"f --count_n 1x", "--count_n must be a whole number from 1 to 9"},
        {"f --count_n -1", "--count_n must be a whole number from 1 to 9"},
        {"f --speed nan", "--speed must be a number from 0.5 to 10"},
        {"f --speed 0.4", "--speed must be a number from 0.5 to 10"},
        {"f --listen-at 80", "--listen-at must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"},
        {"f --fast=maybe", "--fast must be true or false"},
        {"f --tag a,,b", "--tag has an empty item: write a,b,c"},
        {"f --tag a,b,c,d", "--tag is given too often: at most 3"},
        {"f g", "'g' is one argument too many"},
        {"--fast", "an argument is missing"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct sample s;
        struct buf why = {0};
        const char *file;
        assert_int_equal(parse(wrong[i].line, &s, &file, &why), OPTIONS_FAILED);
        buf_add_char(&why, '\0');
        assert_string_equal(why.ptr, wrong[i].why);
        buf_deinit(&why);
    }
}

static void help_wins_over_everything(void **state)
{
    struct sample s;
    struct buf why = {0};
    const char *file;
    assert_int_equal(parse("--nonsense --help", &s, &file, &why), OPTIONS_HELP);
    assert_int_equal(parse("-h", &s, &file, &why), OPTIONS_HELP);
}

static void environment_fills_what_has_a_name_there(void **state)
{
    struct sample s;
    struct buf why = {0};
    options_default(&sample, &s, sizeof(s));
    setenv("STOA_LISTEN_AT", "h:5", 1);
    setenv("STOA_NAME", "no", 1);
    assert_int_equal(options_env(&sample, &s, &why), 0);
    assert_string_equal(s.listen, "h:5");
    assert_string_equal(s.name, "bob");
    setenv("STOA_LISTEN_AT", "h", 1);
    assert_int_equal(options_env(&sample, &s, &why), -1);
    assert_true(str_starts(buf_str(&why), STR("environment STOA_LISTEN_AT must be HOST:PORT")));
    unsetenv("STOA_LISTEN_AT");
    unsetenv("STOA_NAME");
    buf_deinit(&why);
}

/* The table of serve is what flags, environment, file and help have in common: it has to be sound.
 */
static void options_of_serve_are_complete(void **state)
{
    for (size_t i = 0; i < config_command.count; i++) {
        const struct option *option = &config_command.options[i];
        assert_non_null(option->flag);
        assert_non_null(option->help);
        assert_true(option->has_env);
        assert_true((option->section == NULL) == (option->key == NULL));
        assert_true(option->kind == OPTION_BOOL || option->value != NULL);
        for (size_t j = 0; j < i; j++) {
            const struct option *other = &config_command.options[j];
            assert_string_not_equal(option->flag, other->flag);
            assert_true(option->offset != other->offset);
        }
    }
}

static void nearest_name_is_found(void **state)
{
    struct nearest n;
    assert_int_equal(nearest_distance(STR("listen"), STR("listen")), 0);
    assert_int_equal(nearest_distance(STR("listen"), STR("lisetn")), 1);
    assert_int_equal(nearest_distance(STR("listen"), STR("listn")), 1);
    assert_int_equal(nearest_distance(STR(""), STR("abc")), 3);
    assert_int_equal(nearest_distance(STR("a-b"), STR("a_b")), 0);
    nearest_init(&n, STR("wokers"));
    nearest_try(&n, "workers");
    nearest_try(&n, "linger_s");
    assert_string_equal(n.best, "workers");
    nearest_init(&n, STR("xyz"));
    nearest_try(&n, "workers");
    assert_null(n.best);
}

static void host_port_is_split(void **state)
{
    struct str host;
    uint16_t port;
    assert_true(host_port_split(STR("127.0.0.1:8080"), &host, &port));
    assert_true(str_eq(host, STR("127.0.0.1")) && port == 8080);
    assert_true(host_port_split(STR("[::1]:0"), &host, &port));
    assert_true(str_eq(host, STR("::1")) && port == 0);
    assert_false(host_port_split(STR("::1:80"), &host, &port));
    assert_false(host_port_split(STR("[::1:80"), &host, &port));
    assert_false(host_port_split(STR(":80"), &host, &port));
    assert_false(host_port_split(STR("[]:80"), &host, &port));
    assert_false(host_port_split(STR("a:65536"), &host, &port));
    assert_false(host_port_split(STR("a:"), &host, &port));
    assert_false(host_port_split(STR(""), &host, &port));
}

static void loopback_is_known(void **state)
{
    assert_true(host_port_is_loopback(STR("127.0.0.1")));
    assert_true(host_port_is_loopback(STR("127.9.9.9")));
    assert_true(host_port_is_loopback(STR("::1")));
    assert_true(host_port_is_loopback(STR("LocalHost")));
    assert_false(host_port_is_loopback(STR("0.0.0.0")));
    assert_false(host_port_is_loopback(STR("::")));
    assert_false(host_port_is_loopback(STR("127.0.0.1.example")));
    assert_false(host_port_is_loopback(STR("10.0.0.1")));
}

static void urls_are_read(void **state)
{
    static struct urls urls;
    struct buf why = {0};
    assert_int_equal(urls_parse(STR("http://127.0.0.1:8080, http://[::1]:81/"), &urls, &why), 0);
    assert_int_equal(urls.count, 2);
    assert_string_equal(urls.url[0].authority, "127.0.0.1:8080");
    assert_true(urls.url[0].is_loopback);
    assert_false(urls.url[1].is_loopback);
    static const char *const wrong[] = {"",
                                        "127.0.0.1:80",
                                        "https://a",
                                        "http://",
                                        "http://a:b/",
                                        "http://127.0.0.1:80/path",
                                        "http://127.0.0.1:80,"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (urls_parse(str_of(wrong[i]), &urls, &why) == 0) fail_msg("taken: %s", wrong[i]);
    buf_deinit(&why);
}

static void url_text_is_encoded(void **state)
{
    struct buf out = {0};
    url_encode(&out, STR("aZ0-._~ /+=\xc3\xbc"));
    assert_true(str_eq(buf_str(&out), STR("aZ0-._~%20%2F%2B%3D%C3%BC")));
    buf_deinit(&out);
}

static void proc_files_are_read(void **state)
{
    uint64_t value = 0;
    assert_int_equal(
        process_parse_stat(STR("7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 120 34 0 0 20"), &value), 0);
    assert_int_equal(value, 154);
    assert_int_equal(process_parse_stat(STR("7 (a) S 1 2"), &value), -1);
    assert_int_equal(process_parse_rollup(STR("00400000-7ff [rollup]\nRss:  99 kB\n"
                                              "Pss:              1234 kB\nPss_Dirty: 5 kB\n"),
                                          &value),
                     0);
    assert_int_equal(value, 1234);
    assert_int_equal(process_parse_rollup(STR("Rss: 1 kB\n"), &value), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_fill_their_fields),
        cmocka_unit_test(fallbacks_hold_without_flags),
        cmocka_unit_test(dash_and_underscore_are_the_same),
        cmocka_unit_test(wrong_arguments_are_explained),
        cmocka_unit_test(help_wins_over_everything),
        cmocka_unit_test(environment_fills_what_has_a_name_there),
        cmocka_unit_test(options_of_serve_are_complete),
        cmocka_unit_test(nearest_name_is_found),
        cmocka_unit_test(host_port_is_split),
        cmocka_unit_test(loopback_is_known),
        cmocka_unit_test(urls_are_read),
        cmocka_unit_test(url_text_is_encoded),
        cmocka_unit_test(proc_files_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
