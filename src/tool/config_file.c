/* Why there is a reader of lines of its own here: inih tells its handler neither line numbers nor
 * empty sections, and cuts section names at 49 bytes. So our reader, which sees every line before
 * inih does, counts them and takes the section headers; inih does the rest of the syntax. */
#include "tool/config_file.h"

#include <ini.h>
#include <stdarg.h>

#include "base/alloc.h"
#include "core/room.h"
#include "tool/nearest.h"

struct file_reader {
    FILE *file;
    const char *path;
    int line;
    bool failed; /* `why` is written: whatever comes after is not looked at */
    struct buf *why;

    const struct command *section; /* the table of the section's keys; NULL before the first one */
    void *values;                  /* what they fill: the config, or the app */
    char name[16];                 /* "server" */
    char label[LIMIT_APP_NAME + 16]; /* for messages: the whole of it */
    uint64_t seen;                   /* keys given in this section, by their index in the table */

    struct config *config;
    uint64_t config_seen; /* as `seen`: [server] may be closed and opened again */
    struct config_apps *apps;
};

__attribute__((format(printf, 2, 3))) static int fail(struct file_reader *r, const char *format,
                                                      ...)
{
    char text[512];
    va_list args;
    if (r->failed) return -1;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_printf(r->why, "%s:%d: %s", r->path, r->line, text);
    r->failed = true;
    return -1;
}

/* ---- sections ---------------------------------------------------------------------- */

static bool config_has_section(struct str name)
{
    for (size_t i = 0; i < config_command.count; i++) {
        const char *section = config_command.options[i].section;
        if (section != NULL && str_eq(str_of(section), name)) return true;
    }
    return false;
}

static void fail_unknown_section(struct file_reader *r, struct str name)
{
    struct nearest nearest;
    nearest_init(&nearest, name);
    nearest_try(&nearest, "app \"NAME\"");
    if (str_starts(name, STR("app"))) nearest.best = "app \"NAME\"";
    for (size_t i = 0; nearest.best_distance > 0 && i < config_command.count; i++)
        if (config_command.options[i].section != NULL)
            nearest_try(&nearest, config_command.options[i].section);
    if (nearest.best != NULL)
        fail(r, "unknown section [%.*s]: did you mean [%s]?", STR_ARG(name), nearest.best);
    else
        fail(r,
             "unknown section [%.*s]: there are [server], [pace], [store], [link], [switch] and "
             "[app \"NAME\"]",
             STR_ARG(name));
}

/* `app "shop"` -> shop; false if it is not of this form. */
static bool app_section_name(struct str section, struct str *ret_name)
{
    struct str rest;
    if (!str_eq(str_split(section, '"', &rest), STR("app "))) return false;
    if (rest.len < 1 || rest.ptr[rest.len - 1] != '"') return false;
    *ret_name = str_make(rest.ptr, rest.len - 1);
    return true;
}

static struct app *apps_add(struct config_apps *apps, int line)
{
    apps->list = xrealloc(apps->list, (apps->count + 1) * sizeof(*apps->list));
    struct config_app *added = &apps->list[apps->count++];
    options_default(&config_app_command, &added->app, sizeof(added->app));
    added->line = line;
    return &added->app;
}

static void app_section_open(struct file_reader *r, struct str name)
{
    if (!room_id_is_valid(name)) {
        fail(r, "app name \"%.*s\": must be 1-64 of A-Z a-z 0-9 _ . : -", STR_ARG(name));
        return;
    }
    for (size_t i = 0; i < r->apps->count; i++) {
        if (!str_eq(str_of(r->apps->list[i].app.name), name)) continue;
        fail(r, "[app \"%.*s\"] is there twice: keep one", STR_ARG(name));
        return;
    }
    if (r->apps->count == LIMIT_APPS) {
        fail(r, "too many apps: at most %d", LIMIT_APPS);
        return;
    }
    struct app *app = apps_add(r->apps, r->line);
    str_copy(name, app->name, sizeof(app->name));
    r->section = &config_app_command;
    r->values = app;
    r->seen = 0;
    str_copy(STR("app"), r->name, sizeof(r->name));
}

static void section_open(struct file_reader *r, struct str section)
{
    struct str app;
    if (r->section == &config_command) r->config_seen = r->seen;
    snprintf(r->label, sizeof(r->label), "%.*s", STR_ARG(section));
    if (app_section_name(section, &app)) {
        app_section_open(r, app);
    } else if (config_has_section(section)) {
        r->section = &config_command;
        r->values = r->config;
        r->seen = r->config_seen;
        str_copy(section, r->name, sizeof(r->name));
    } else {
        fail_unknown_section(r, section);
    }
}

/* ---- keys -------------------------------------------------------------------------- */

static bool in_section(const struct file_reader *r, const struct option *option)
{
    return option->section != NULL && strcmp(option->section, r->name) == 0;
}

static int fail_unknown_key(struct file_reader *r, const char *key)
{
    struct nearest nearest;
    nearest_init(&nearest, str_of(key));
    for (size_t i = 0; i < r->section->count; i++)
        if (in_section(r, &r->section->options[i]))
            nearest_try(&nearest, r->section->options[i].key);
    if (nearest.best != NULL)
        return fail(r, "[%s] unknown key '%s': did you mean '%s'?", r->label, key, nearest.best);
    for (size_t i = 0; i < config_command.count; i++) {
        const struct option *option = &config_command.options[i];
        if (option->section != NULL && strcmp(option->key, key) == 0)
            return fail(r, "[%s] has no key '%s': it belongs to [%s]", r->label, key,
                        option->section);
    }
    return fail(r, "[%s] unknown key '%s': see stoa.example.ini for all there are", r->label, key);
}

static int key_set(struct file_reader *r, size_t index, const char *value)
{
    const struct option *option = &r->section->options[index];
    struct buf reason = {0};
    int err = 0;
    if (option->kind != OPTION_LIST && (r->seen >> index & 1) != 0)
        return fail(r, "[%s] %s: is given twice: keep one", r->label, option->key);
    if (value[0] == '"')
        return fail(r, "[%s] %s: write the value without quotes", r->label, option->key);
    r->seen |= UINT64_C(1) << index;
    if (option_set(option, r->values, value, &reason) != 0)
        err = fail(r, "[%s] %s: %.*s", r->label, option->key, STR_ARG(buf_str(&reason)));
    buf_deinit(&reason);
    return err;
}

/* inih's handler: non-zero is success. */
static int on_key(void *arg, const char *section, const char *key, const char *value)
{
    struct file_reader *r = arg;
    (void)section; /* cut at 49 bytes; section_open() knows it whole */
    if (r->failed) return 0;
    if (r->section == NULL) return fail(r, "'%s' comes before any [section]", key) == 0;
    for (size_t i = 0; i < r->section->count; i++) {
        const struct option *option = &r->section->options[i];
        if (in_section(r, option) && strcmp(option->key, key) == 0)
            return key_set(r, i, value) == 0;
    }
    return fail_unknown_key(r, key) == 0;
}

/* ---- lines ------------------------------------------------------------------------- */

static void look_for_section(struct file_reader *r, struct str line)
{
    struct str rest;
    line = str_trim(line);
    if (line.len == 0 || line.ptr[0] != '[') return;
    struct str section = str_split(str_make(line.ptr + 1, line.len - 1), ']', &rest);
    if (rest.ptr == NULL)
        fail(r, "the ] of a section is missing");
    else
        section_open(r, section);
}

/* inih's reader, with the meaning of fgets(). */
static char *read_line(char *buffer, int size, void *stream)
{
    struct file_reader *r = stream;
    if (r->failed || fgets(buffer, size, r->file) == NULL) return NULL;
    r->line++;
    size_t len = strlen(buffer);
    bool whole = len > 0 && buffer[len - 1] == '\n';
    if (!whole && !feof(r->file)) {
        fail(r, "the line is too long: at most %d bytes", CONFIG_FILE_LINE);
        return NULL;
    }
    if (whole) len--;
    bool bom = r->line == 1 && len >= 3 && memcmp(buffer, "\xef\xbb\xbf", 3) == 0;
    look_for_section(r, str_make(buffer + (bom ? 3 : 0), len - (bom ? 3 : 0)));
    return r->failed ? NULL : buffer;
}

int config_file_read(FILE *file, const char *path, struct config *config,
                     struct config_apps *ret_apps, struct buf *why)
{
    struct file_reader r = {
        .file = file, .path = path, .config = config, .apps = ret_apps, .why = why};
    /* These are variables of the library, the same for all of this process. An indented line is a
     * key like any other, never the continuation of the value above it. */
    ini_use_stack = false;
    ini_initial_alloc = CONFIG_FILE_LINE + 2;
    ini_max_line = CONFIG_FILE_LINE + 2;
    ini_allow_multiline = false;
    ini_stop_on_first_error = true;

    int bad_line = ini_parse_stream(read_line, &r, on_key, &r);
    if (!r.failed && ferror(file)) fail(&r, "cannot be read");
    if (!r.failed && bad_line != 0)
        fail(&r, "is neither a [section], nor key = value, nor a comment");
    return r.failed ? -1 : 0;
}
