#include "tool/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>

#include "base/assert.h"
#include "tool/host_port.h"
#include "tool/nearest.h"

static void *field_of(const struct option *option, void *values)
{
    return (char *)values + option->offset;
}

static const struct option *option_by_flag(const struct command *command, struct str flag)
{
    for (size_t i = 0; i < command->count; i++) {
        const char *name = command->options[i].flag;
        if (name != NULL && nearest_distance(str_of(name), flag) == 0) return &command->options[i];
    }
    return NULL;
}

/* ---- values ------------------------------------------------------------------------ */

static int set_bool(const struct option *option, void *values, struct str text, struct buf *why)
{
    static const char *const yes[] = {"true", "yes", "on", "1"};
    static const char *const no[] = {"false", "no", "off", "0"};
    bool *field = field_of(option, values);
    for (size_t i = 0; i < 4; i++) {
        bool is_yes = str_eq_nocase(text, str_of(yes[i]));
        if (!is_yes && !str_eq_nocase(text, str_of(no[i]))) continue;
        *field = is_yes;
        return 0;
    }
    buf_printf(why, "must be true or false");
    return -1;
}

static int set_text(const struct option *option, void *values, struct str text, struct buf *why)
{
    if (text.len < option->size && str_copy(text, field_of(option, values), option->size)) return 0;
    buf_printf(why, "is too long: at most %zu bytes", option->size - 1);
    return -1;
}

static int set_address(const struct option *option, void *values, struct str text, struct buf *why)
{
    struct str host;
    uint16_t port;
    if (host_port_split(text, &host, &port)) return set_text(option, values, text, why);
    buf_printf(why, "must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080");
    return -1;
}

static int set_u32(const struct option *option, void *values, struct str text, struct buf *why)
{
    uint64_t number;
    uint32_t *field = field_of(option, values);
    if (str_parse_u64(text, &number) && (double)number >= option->min &&
        (double)number <= option->max) {
        *field = (uint32_t)number;
        return 0;
    }
    buf_printf(why, "must be a whole number from %.0f to %.0f", option->min, option->max);
    return -1;
}

static int set_real(const struct option *option, void *values, const char *text, struct buf *why)
{
    char *end;
    double number = strtod(text, &end);
    double *field = field_of(option, values);
    if (end != text && *end == '\0' && isfinite(number) && number >= option->min &&
        number <= option->max) {
        *field = number;
        return 0;
    }
    buf_printf(why, "must be a number from %g to %g", option->min, option->max);
    return -1;
}

static int list_add(const struct option *option, char *items, struct str item, struct buf *why)
{
    size_t count = option->size / option->item_bytes, used = 0;
    while (used < count && items[used * option->item_bytes] != '\0') used++;
    if (used == count) {
        buf_printf(why, "is given too often: at most %zu", count);
        return -1;
    }
    if (str_copy(item, items + used * option->item_bytes, option->item_bytes)) return 0;
    buf_printf(why, "is too long: at most %zu bytes each", option->item_bytes - 1);
    return -1;
}

static int set_list(const struct option *option, void *values, struct str text, struct buf *why)
{
    struct str rest = text;
    while (rest.ptr != NULL) {
        struct str item = str_trim(str_split(rest, ',', &rest));
        if (item.len == 0) {
            buf_printf(why, "has an empty item: write a,b,c");
            return -1;
        }
        if (list_add(option, field_of(option, values), item, why) != 0) return -1;
    }
    return 0;
}

int option_set(const struct option *option, void *values, const char *text, struct buf *why)
{
    switch (option->kind) {
    case OPTION_BOOL: return set_bool(option, values, str_of(text), why);
    case OPTION_TEXT: return set_text(option, values, str_of(text), why);
    case OPTION_ADDRESS: return set_address(option, values, str_of(text), why);
    case OPTION_U32: return set_u32(option, values, str_of(text), why);
    case OPTION_REAL: return set_real(option, values, text, why);
    case OPTION_LIST: return set_list(option, values, str_of(text), why);
    }
    UNREACHABLE();
}

bool option_is_same(const struct option *option, const void *a, const void *b)
{
    return memcmp((const char *)a + option->offset, (const char *)b + option->offset,
                  option->size) == 0;
}

/* ---- sources ----------------------------------------------------------------------- */

void options_default(const struct command *command, void *ret_values, size_t size_bytes)
{
    struct buf why = {0};
    if (size_bytes > 0) memset(ret_values, 0, size_bytes);
    for (size_t i = 0; i < command->count; i++) {
        const struct option *option = &command->options[i];
        ASSERT(option->offset + option->size <= size_bytes);
        if (option->fallback == NULL) continue;
        ASSERT(option_set(option, ret_values, option->fallback, &why) == 0);
    }
    buf_deinit(&why);
}

void option_env_name(const struct option *option, struct buf *ret)
{
    if (!option->has_env) return;
    buf_add_lit(ret, "STOA_");
    for (const char *c = option->flag; *c != '\0'; c++)
        buf_add_char(ret, *c == '-' ? '_' : (char)toupper((unsigned char)*c));
}

static int set_from_env(const struct option *option, void *values, struct buf *why)
{
    struct buf name = {0};
    int err = 0;
    option_env_name(option, &name);
    buf_add_char(&name, '\0');
    const char *text = getenv(name.ptr);
    if (text != NULL) {
        size_t start = why->len;
        buf_printf(why, "environment %s ", name.ptr);
        err = option_set(option, values, text, why);
        if (err == 0) why->len = start;
    }
    buf_deinit(&name);
    return err;
}

int options_env(const struct command *command, void *values, struct buf *why)
{
    for (size_t i = 0; i < command->count; i++) {
        const struct option *option = &command->options[i];
        if (option->has_env && set_from_env(option, values, why) != 0) return -1;
    }
    return 0;
}

static void explain_unknown_flag(const struct command *command, struct str flag, struct buf *why)
{
    struct nearest nearest;
    nearest_init(&nearest, flag);
    for (size_t i = 0; i < command->count; i++)
        if (command->options[i].flag != NULL) nearest_try(&nearest, command->options[i].flag);
    buf_printf(why, "unknown flag --%.*s", STR_ARG(flag));
    if (nearest.best != NULL) buf_printf(why, ": did you mean --%s?", nearest.best);
}

/* One flag at argv[*at], with its value there ("--x=1") or in the next argument. */
static int take_flag(const struct command *command, int argc, char **argv, int *at, void *values,
                     struct buf *why)
{
    struct str inline_value;
    struct str flag = str_split(str_of(argv[*at] + 2), '=', &inline_value);
    const struct option *option = option_by_flag(command, flag);
    if (option == NULL) {
        explain_unknown_flag(command, flag, why);
        return -1;
    }
    if (option->is_secret) {
        buf_printf(why, "--%s is not taken: whoever is on this machine sees flags. Give it as ",
                   option->flag);
        option_env_name(option, why);
        buf_printf(why, " or in the configuration file");
        return -1;
    }
    const char *text = inline_value.ptr; /* ends where the argument ends */
    if (text == NULL && option->kind == OPTION_BOOL) text = "true";
    if (text == NULL && *at + 1 < argc) text = argv[++*at];
    size_t start = why->len;
    buf_printf(why, "--%s ", option->flag);
    if (text == NULL) {
        buf_printf(why, "needs a value: --%s %s", option->flag, option->value);
        return -1;
    }
    if (option_set(option, values, text, why) != 0) return -1;
    why->len = start;
    return 0;
}

static bool is_help(const char *arg)
{
    return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0;
}

enum options_result options_args(const struct command *command, int argc, char **argv, void *values,
                                 const char **ret_positional, struct buf *why)
{
    size_t positional = 0;
    for (int i = 1; i < argc; i++)
        if (is_help(argv[i])) return OPTIONS_HELP;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0) {
            if (take_flag(command, argc, argv, &i, values, why) != 0) return OPTIONS_FAILED;
        } else if (positional < command->positional) {
            ret_positional[positional++] = argv[i];
        } else {
            buf_printf(why, "'%s' is one argument too many", argv[i]);
            return OPTIONS_FAILED;
        }
    }
    if (positional == command->positional) return OPTIONS_OK;
    buf_printf(why, "an argument is missing");
    return OPTIONS_FAILED;
}

/* ---- help -------------------------------------------------------------------------- */

static void help_line(const struct option *option, FILE *out)
{
    struct buf head = {0}, env = {0};
    if (option->is_secret)
        buf_printf(&head, "  (no flag)");
    else
        buf_printf(&head, "  --%s%s%s", option->flag, option->value != NULL ? " " : "",
                   option->value != NULL ? option->value : "");
    fprintf(out, "%.*s\n      %s", STR_ARG(buf_str(&head)), option->help);
    if (option->fallback != NULL) fprintf(out, " (default %s)", option->fallback);
    option_env_name(option, &env);
    if (option->section != NULL || env.len > 0) fprintf(out, "\n      ");
    if (option->section != NULL) fprintf(out, "[%s] %s  ", option->section, option->key);
    fprintf(out, "%.*s\n", STR_ARG(buf_str(&env)));
    buf_deinit(&head);
    buf_deinit(&env);
}

void options_help(const struct command *command, FILE *out)
{
    fprintf(out, "usage: %s\n\n%s\n\n", command->synopsis, command->about);
    for (size_t i = 0; i < command->count; i++)
        if (command->options[i].flag != NULL) help_line(&command->options[i], out);
}

int options_start(const struct command *command, int argc, char **argv, void *ret_values,
                  size_t size_bytes, const char **ret_positional)
{
    struct buf why = {0};
    int status = -1;
    options_default(command, ret_values, size_bytes);
    enum options_result result = OPTIONS_OK;
    if (command->reads_env && options_env(command, ret_values, &why) != 0) result = OPTIONS_FAILED;
    if (result == OPTIONS_OK)
        result = options_args(command, argc, argv, ret_values, ret_positional, &why);
    switch (result) {
    case OPTIONS_OK: break;
    case OPTIONS_HELP:
        options_help(command, stdout);
        status = 0;
        break;
    case OPTIONS_FAILED:
        fprintf(stderr, "stoa %s: %.*s\nusage: %s\n", argv[0], STR_ARG(buf_str(&why)),
                command->synopsis);
        status = 2;
        break;
    }
    buf_deinit(&why);
    return status;
}
