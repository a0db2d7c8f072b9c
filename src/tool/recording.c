#include "tool/recording.h"

#include <errno.h>

#include "base/alloc.h"
#include "base/limit.h"
#include "core/room.h"
#include "http/json_read.h"

struct recording_reader {
    struct recording *recording;
    size_t cap;
    const char *path;
    unsigned line;
    struct buf *why;
};

static int fail(struct recording_reader *r, const char *text)
{
    buf_printf(r->why, "%s:%u: %s", r->path, r->line, text);
    return -1;
}

/* While reading, `ptr` of a string is its offset in recording.text, which still moves as it grows.
 */
static struct str keep(struct recording *recording, struct str text)
{
    struct str kept = {(const char *)(uintptr_t)recording->text.len, text.len};
    buf_add_str(&recording->text, text);
    return kept;
}

static void settle(const struct recording *recording, struct str *text)
{
    text->ptr = recording->text.ptr + (uintptr_t)text->ptr;
}

static struct recorded *add(struct recording_reader *r)
{
    struct recording *recording = r->recording;
    if (recording->count == r->cap) {
        r->cap = r->cap > 0 ? 2 * r->cap : 1024;
        recording->messages = xrealloc(recording->messages, r->cap * sizeof(struct recorded));
    }
    struct recorded *m = &recording->messages[recording->count++];
    *m = (struct recorded){.list = LIST_NORMAL};
    return m;
}

static int set_order(struct recording_reader *r, struct recorded *m, uint32_t t_ms)
{
    m->t_ms = t_ms;
    if (r->recording->count > 1 && m[-1].t_ms > t_ms)
        return fail(r, "t_ms is less than in the line before: sort the file by t_ms");
    return 0;
}

static int take_message(struct recording_reader *r, struct json_reader *json)
{
    uint32_t t_ms = 0;
    struct str user = STR_NONE, type = STR("text"), priority = STR("normal");
    struct buf body = {0};
    struct recorded *m = add(r);

    json_get_u32(json, "t_ms", UINT32_MAX, &t_ms);
    json_get_str(json, "user", LIMIT_USER_ID, &user);
    json_get_str(json, "type", LIMIT_TYPE, &type);
    json_get_str(json, "priority", 16, &priority);
    bool has_body = json_get_any(json, "body", &body);
    m->list = str_eq(priority, STR("high")) ? LIST_HIGH : LIST_NORMAL;
    m->type = keep(r->recording, type);
    m->from = keep(r->recording, user);
    m->body = keep(r->recording, buf_str(&body));
    buf_deinit(&body);

    if (json_reader_error(json) != 0) return fail(r, json->why);
    if (!json_reader_has(json, "t_ms")) return fail(r, "t_ms is missing");
    if (!user_id_is_valid(user)) return fail(r, "user is missing, or not a user id");
    if (!message_type_is_valid(type)) return fail(r, "type must be 1-32 of a-z 0-9 . _ -");
    if (!has_body) return fail(r, "body is missing");
    if (m->list == LIST_NORMAL && !str_eq(priority, STR("normal")))
        return fail(r, "priority must be high or normal");
    return set_order(r, m, t_ms);
}

static int take_line(struct recording_reader *r, struct str line)
{
    struct json_reader json;
    while (line.len > 0 && (line.ptr[line.len - 1] == '\n' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    if (str_trim(line).len == 0) return 0;
    if (json_reader_init(&json, line) != 0) return fail(r, "is not a JSON object");
    int err = take_message(r, &json);
    json_reader_deinit(&json);
    return err;
}

static int take_file(struct recording_reader *r, FILE *file)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    int err = 0;
    while (err == 0 && (len = getline(&line, &cap, file)) >= 0) {
        r->line++;
        err = take_line(r, str_make(line, (size_t)len));
    }
    free(line);
    if (err == 0 && ferror(file)) err = fail(r, strerror(errno));
    if (err == 0 && r->recording->count == 0) err = fail(r, "there is no message in this file");
    return err;
}

int recording_read(FILE *file, const char *path, struct recording *ret, struct buf *why)
{
    struct recording recording = {0};
    struct recording_reader r = {.recording = &recording, .path = path, .why = why};
    if (take_file(&r, file) != 0) {
        recording_deinit(&recording);
        return -1;
    }
    for (size_t i = 0; i < recording.count; i++) {
        settle(&recording, &recording.messages[i].type);
        settle(&recording, &recording.messages[i].from);
        settle(&recording, &recording.messages[i].body);
    }
    *ret = recording;
    return 0;
}

void recording_deinit(struct recording *r)
{
    free(r->messages);
    buf_deinit(&r->text);
    *r = (struct recording){0};
}
