/* base/log.c as its reader sees it, and what ends the process with a line in it: assert.c, alloc.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

#define OUTPUT_MAX 8192

struct outcome {
    bool has_finished;
    int signal; /* that ended it; 0: none */
    char output[OUTPUT_MAX];
};

/* Runs the function in a process of its own and keeps what that wrote to stderr. */
static struct outcome run_apart(void (*function)(void))
{
    struct outcome outcome = {0};
    int ends[2], status;
    size_t len = 0;
    ssize_t got;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka has a handler of its own */
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        dup2(ends[1], STDERR_FILENO);
        function();
        _exit(0);
    }
    close(ends[1]);
    while ((got = read(ends[0], outcome.output + len, OUTPUT_MAX - 1 - len)) > 0)
        len += (size_t)got;
    close(ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    outcome.has_finished = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return outcome;
}

static void log_a_plain_line(void)
{
    log_info("hub", "room %s has %d readers", "a/b", 3);
}

static void log_line_is_logfmt_with_a_time(void **state)
{
    struct outcome outcome = run_apart(log_a_plain_line);
    int year, millisecond;
    assert_true(outcome.has_finished);
    assert_int_equal(sscanf(outcome.output, "time=%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%3dZ level=info",
                            &year, &millisecond),
                     2);
    assert_true(year >= 2024);
    const char *rest = strstr(outcome.output, " level=");
    assert_string_equal(rest, " level=info part=hub text=\"room a/b has 3 readers\"\n");
}

static void log_hostile_text(void)
{
    log_warn("http", "path %s", "\"\\\n\t\x7f level=error \xc3\xa4");
}

/* Who chooses a path must not be able to write lines of his own. */
static void log_text_cannot_leave_its_quotes(void **state)
{
    struct outcome outcome = run_apart(log_hostile_text);
    assert_non_null(
        strstr(outcome.output, "text=\"path \\\"\\\\\\x0a\\x09\\x7f level=error \xc3\xa4\"\n"));
}

static void log_too_much(void)
{
    static char text[5000];
    memset(text, '\x01', sizeof(text) - 1);
    log_error("part-with-a-name-that-is-too-long", "%s", text);
}

static void log_line_has_a_greatest_length(void **state)
{
    struct outcome outcome = run_apart(log_too_much);
    size_t len = strlen(outcome.output);
    assert_in_range(len, 4000, 4300);
    assert_string_equal(outcome.output + len - 6, "\\x01\"\n");
}

static void log_at_each_level(void)
{
    log_set_level(LOG_WARN);
    log_debug("x", "no");
    log_info("x", "no");
    log_warn("x", "yes");
    log_error("x", "yes");
    log_set_level(LOG_DEBUG);
    log_debug("x", "yes");
}

static void log_keeps_to_its_level(void **state)
{
    struct outcome outcome = run_apart(log_at_each_level);
    assert_null(strstr(outcome.output, "\"no\""));
    int lines = 0;
    for (const char *c = outcome.output; *c != '\0'; c++) lines += *c == '\n';
    assert_int_equal(lines, 3);
}

static void log_parses_the_names_of_levels(void **state)
{
    enum log_level level = LOG_WARN;
    assert_true(log_parse_level("debug", &level));
    assert_int_equal(level, LOG_DEBUG);
    assert_true(log_parse_level("error", &level));
    assert_int_equal(level, LOG_ERROR);
    assert_false(log_parse_level("", &level));
    assert_false(log_parse_level("ERROR", &level));
    assert_false(log_parse_level("warning", &level));
    assert_int_equal(level, LOG_ERROR);
}

static void break_an_invariant(void)
{
    int readers = -1;
    ASSERT(readers >= 0);
}

static void assert_aborts_and_says_where(void **state)
{
    struct outcome outcome = run_apart(break_an_invariant);
    assert_int_equal(outcome.signal, SIGABRT);
    assert_non_null(strstr(outcome.output, "level=error part=assert"));
    assert_non_null(strstr(outcome.output, "base_log_test.c:"));
    assert_non_null(strstr(outcome.output, "readers >= 0"));
}

static void ask_for_too_much(void)
{
    volatile size_t half = SIZE_MAX / 2;
    free(xcalloc(half, 4)); /* the product does not fit into a size_t */
}

static void alloc_aborts_when_memory_runs_out(void **state)
{
    struct outcome outcome = run_apart(ask_for_too_much);
    assert_false(outcome.has_finished);
    /* Under a sanitizer it is that which gives up, in its own way. */
    if (outcome.signal == SIGABRT) assert_non_null(strstr(outcome.output, "text=\"out of memory"));
}

static void alloc_of_nothing_is_something(void **state)
{
    void *ptr = xmalloc(0);
    assert_non_null(ptr);
    ptr = xrealloc(ptr, 0);
    assert_non_null(ptr);
    free(ptr);
    ptr = xcalloc(0, 8);
    assert_non_null(ptr);
    free(ptr);
    char *text = xstrdup("text");
    assert_string_equal(text, "text");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_line_is_logfmt_with_a_time),
        cmocka_unit_test(log_text_cannot_leave_its_quotes),
        cmocka_unit_test(log_line_has_a_greatest_length),
        cmocka_unit_test(log_keeps_to_its_level),
        cmocka_unit_test(log_parses_the_names_of_levels),
        cmocka_unit_test(assert_aborts_and_says_where),
        cmocka_unit_test(alloc_aborts_when_memory_runs_out),
        cmocka_unit_test(alloc_of_nothing_is_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
