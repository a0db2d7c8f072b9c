#include "tool/nchan_scan.h"

#include <stdio.h>

#define TAG_BITS 16

static struct str text_of(const struct nchan_value *value)
{
    return str_make(value->text, value->len);
}

/* Takes what fits; false if that is not all. */
static bool value_add(struct nchan_value *value, struct str bytes)
{
    size_t left = sizeof(value->text) - value->len;
    size_t len = bytes.len < left ? bytes.len : left;
    memcpy(value->text + value->len, bytes.ptr, len);
    value->len = (uint8_t)(value->len + len);
    return len == bytes.len;
}

static struct nchan_value *target_of(struct nchan_scan *s)
{
    if (str_eq_nocase(text_of(&s->name), STR("Last-Modified"))) return &s->last_modified;
    if (str_eq_nocase(text_of(&s->name), STR("Etag"))) return &s->etag;
    return NULL;
}

void nchan_scan_init(struct nchan_scan *s)
{
    s->name.len = s->last_modified.len = s->etag.len = s->body.len = 0;
    s->target = NULL;
    s->part = REPLY_HEADER_NAME;
    s->failed = false;
}

void nchan_scan_header(struct nchan_scan *s, enum reply_header_part part, struct str bytes)
{
    bool begins = part != s->part;
    s->part = part;
    switch (part) {
    case REPLY_HEADER_NAME:
        if (begins) s->name.len = 0;
        value_add(&s->name, bytes); /* a name that does not fit is none of ours, cut or whole */
        break;
    case REPLY_HEADER_VALUE:
        if (begins) s->target = target_of(s);
        if (s->target != NULL && !value_add(s->target, bytes)) s->failed = true;
        break;
    }
}

void nchan_scan_body(struct nchan_scan *s, struct str bytes)
{
    value_add(&s->body, bytes);
}

/* Of {"t":STAMP,…}; 0 if there is none. */
static uint64_t read_stamp(const struct nchan_scan *s)
{
    static const struct str before = {"{\"t\":", 5};
    struct str body = text_of(&s->body), rest;
    uint64_t stamp;
    if (!str_starts(body, before)) return 0;
    struct str digits =
        str_split(str_make(body.ptr + before.len, body.len - before.len), ',', &rest);
    return rest.ptr != NULL && str_parse_u64(digits, &stamp) ? stamp : 0;
}

static bool read_id(const struct nchan_scan *s, uint64_t *ret)
{
    char date[sizeof(s->last_modified.text) + 1];
    struct tm tm = {0};
    uint64_t tag;
    if (!str_copy(text_of(&s->last_modified), date, sizeof(date))) return false;
    const char *end = strptime(date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    if (end == NULL || *end != '\0') return false;
    time_t seconds = timegm(&tm);
    if (!str_parse_u64(text_of(&s->etag), &tag) || tag >> TAG_BITS != 0) return false;
    *ret = (uint64_t)seconds << TAG_BITS | tag;
    return seconds > 0;
}

bool nchan_scan_finish(const struct nchan_scan *s, struct poll_message *ret_message,
                       char ret_cursor[POLL_SCAN_CURSOR])
{
    uint64_t id;
    if (s->failed || !read_id(s, &id)) return false;
    *ret_message = (struct poll_message){.id = id, .list = LIST_NORMAL, .stamp = read_stamp(s)};
    snprintf(ret_cursor, POLL_SCAN_CURSOR, "If-Modified-Since: %.*s\r\nIf-None-Match: %.*s\r\n",
             STR_ARG(text_of(&s->last_modified)), STR_ARG(text_of(&s->etag)));
    return true;
}
