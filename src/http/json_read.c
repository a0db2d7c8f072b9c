#include "http/json_read.h"

#include <jansson.h>
#include <stdarg.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/json_write.h"
#include "base/limit.h"

void json_reader_seed(size_t seed)
{
    json_object_seed(seed);
}

/* --- reading --------------------------------------------------------------------------------- */

/* Notes the first error and what to say about it. */
__attribute__((format(printf, 3, 4))) static int note(struct json_reader *r, int err,
                                                      const char *format, ...)
{
    va_list args;

    if (r->err != 0) return r->err;
    r->err = err;
    va_start(args, format);
    vsnprintf(r->why, sizeof(r->why), format, args);
    va_end(args);
    return err;
}

/* The deepest nesting of brackets outside of strings. Looked at before the parser runs, because
 * that one recurses; of text that is no JSON the answer is of no matter. */
static size_t depth_of(struct str text)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return deepest;
}

static int load(struct json_reader *r, struct str body)
{
    json_error_t error;
    json_t *root = json_loadb(body.ptr, body.len, JSON_REJECT_DUPLICATES, &error);

    if (root == NULL)
        return note(r, ERR_BAD_JSON, "Line %d, column %d: %.100s.", error.line, error.column,
                    error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return note(r, ERR_BAD_JSON, "The body must be a JSON object.");
    }
    r->root = root;
    return 0;
}

int json_reader_init(struct json_reader *r, struct str body)
{
    *r = (struct json_reader){0};
    if (body.len == 0) body = STR("{}");
    if (!str_is_utf8(body)) return note(r, ERR_BAD_UTF8, "The body is not valid UTF-8.");
    if (depth_of(body) > LIMIT_JSON_DEPTH)
        return note(r, ERR_BAD_JSON, "Nested deeper than %d.", LIMIT_JSON_DEPTH);
    return load(r, body);
}

void json_reader_deinit(struct json_reader *r)
{
    json_decref(r->root);
    r->root = NULL;
}

int json_reader_error(const struct json_reader *r)
{
    return r->err;
}

/* --- getters --------------------------------------------------------------------------------- */

bool json_reader_has(const struct json_reader *r, const char *member)
{
    return json_object_get(r->root, member) != NULL;
}

void json_get_str(struct json_reader *r, const char *member, size_t max_bytes, struct str *ret)
{
    const json_t *value = json_object_get(r->root, member);

    if (value == NULL) return;
    if (!json_is_string(value)) {
        note(r, ERR_BAD_REQUEST, "%s must be a string.", member);
    } else if (json_string_length(value) > max_bytes) {
        note(r, ERR_BAD_REQUEST, "%s must not be longer than %zu bytes.", member, max_bytes);
    } else {
        *ret = str_make(json_string_value(value), json_string_length(value));
    }
}

void json_get_str_or_null(struct json_reader *r, const char *member, size_t max_bytes,
                          struct str *ret)
{
    if (json_is_null(json_object_get(r->root, member))) {
        *ret = STR("");
    } else {
        json_get_str(r, member, max_bytes, ret);
    }
}

void json_get_i64(struct json_reader *r, const char *member, int64_t max, int64_t *ret)
{
    const json_t *value = json_object_get(r->root, member);

    if (value == NULL) return;
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || number > max) {
        note(r, ERR_BAD_REQUEST, "%s must be a whole number from 0 to %lld.", member,
             (long long)max);
    } else {
        *ret = number;
    }
}

void json_get_u32(struct json_reader *r, const char *member, uint32_t max, uint32_t *ret)
{
    int64_t value = *ret;

    json_get_i64(r, member, max, &value);
    *ret = (uint32_t)value;
}

/* --- any value ------------------------------------------------------------------------------- */

/* The shortest of the usual precisions that reads back as the same number: 0.1 stays 0.1. A real
 * that looks like an integer gets a ".0", so that it stays a real to those who tell them apart. */
static void write_real(struct buf *b, double value)
{
    char text[40];

    for (int precision = 15; precision <= 17; precision++) {
        snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value) break;
    }
    buf_add_str(b, str_of(text));
    if (strpbrk(text, ".e") == NULL) buf_add_lit(b, ".0");
}

static struct str string_of(const json_t *value)
{
    return str_make(json_string_value(value), json_string_length(value));
}

static void write_value(struct buf *b, json_t *value);

static void write_array(struct buf *b, json_t *array)
{
    buf_add_char(b, '[');
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0) buf_add_char(b, ',');
        write_value(b, json_array_get(array, i));
    }
    buf_add_char(b, ']');
}

static void write_object(struct buf *b, json_t *object)
{
    const char *between = "";
    const char *name;
    json_t *value;

    buf_add_char(b, '{');
    json_object_foreach(object, name, value)
    {
        buf_add_str(b, str_of(between));
        json_write_string(b, str_of(name));
        buf_add_char(b, ':');
        write_value(b, value);
        between = ",";
    }
    buf_add_char(b, '}');
}

/* Recurses no deeper than LIMIT_JSON_DEPTH. */
static void write_value(struct buf *b, json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT: write_object(b, value); return;
    case JSON_ARRAY: write_array(b, value); return;
    case JSON_STRING: json_write_string(b, string_of(value)); return;
    case JSON_INTEGER: buf_add_i64(b, json_integer_value(value)); return;
    case JSON_REAL: write_real(b, json_real_value(value)); return;
    case JSON_TRUE: buf_add_lit(b, "true"); return;
    case JSON_FALSE: buf_add_lit(b, "false"); return;
    case JSON_NULL: buf_add_lit(b, "null"); return;
    }
    UNREACHABLE();
}

bool json_get_any(struct json_reader *r, const char *member, struct buf *ret)
{
    json_t *value = json_object_get(r->root, member);

    if (value == NULL) return false;
    write_value(ret, value);
    return true;
}
