/* What reading a request came to, as one value that can be compared: for the tests and the fuzzer
 * that feed the same bytes in different pieces. */
#ifndef STOA_TEST_UNIT_HTTP_OUTCOME_H
#define STOA_TEST_UNIT_HTTP_OUTCOME_H

#include "base/alloc.h"
#include "base/buf.h"
#include "base/error.h"
#include "http/request.h"

struct outcome {
    enum http_result
        result; /* HTTP_EXPECT counts as HTTP_MORE: when it is told depends on the pieces */
    bool was_expect;
    int err;
    size_t used;
    struct buf text; /* the request, one line per part */
};

static inline void outcome_deinit(struct outcome *o)
{
    buf_deinit(&o->text);
}

static inline bool outcome_eq(const struct outcome *a, const struct outcome *b)
{
    return a->result == b->result && a->err == b->err && a->used == b->used &&
           str_eq(buf_str(&a->text), buf_str(&b->text));
}

static inline void outcome_line(struct buf *b, const char *name, struct str value)
{
    if (value.ptr == NULL) return;
    buf_printf(b, "%s=", name);
    buf_add_str(b, value);
    buf_add_char(b, '\n');
}

static inline void outcome_write(struct buf *b, const struct http_request *q)
{
    static const char *const METHODS[] = {"GET",    "HEAD",    "POST", "PUT",
                                          "DELETE", "OPTIONS", "OTHER"};

    buf_printf(b, "%s%s\n", METHODS[q->method], q->keep_alive ? "" : " close");
    outcome_line(b, "path", q->path);
    outcome_line(b, "query", q->query);
    outcome_line(b, "host", q->host);
    outcome_line(b, "authorization", q->authorization);
    outcome_line(b, "origin", q->origin);
    outcome_line(b, "idempotency-key", q->idempotency_key);
    outcome_line(b, "content-type", q->content_type);
    outcome_line(b, "last-event-id", q->last_event_id);
    outcome_line(b, "acrm", q->access_control_request_method);
    outcome_line(b, "body", q->body);
}

/* Feeds one piece from a heap block of its own size, so that a read beyond it is seen, and a kept
 * pointer too. */
static inline void outcome_feed(struct outcome *o, struct http_reader *r, struct str piece)
{
    size_t used = 0;
    struct buf copy = {0};

    buf_add_str(&copy, piece);
    o->result = http_reader_feed(r, buf_str(&copy), &used);
    buf_deinit(&copy);
    if (o->result == HTTP_EXPECT) {
        o->was_expect = true;
        o->result = HTTP_MORE;
    }
    o->used += used;
    if (o->result == HTTP_FAILED) o->used = 0; /* says nothing then */
}

/* Reads one request from bytes, in pieces of piece_bytes, but the first of first_bytes. */
static inline struct outcome outcome_of(struct str bytes, size_t first_bytes, size_t piece_bytes)
{
    struct outcome o = {.result = HTTP_MORE};
    struct http_reader *r = http_reader_new();
    size_t at = 0;

    while (at < bytes.len && o.result == HTTP_MORE) {
        size_t size = at == 0 ? first_bytes : piece_bytes;
        if (size > bytes.len - at) size = bytes.len - at;
        outcome_feed(&o, r, str_make(bytes.ptr + at, size));
        at += size;
    }
    o.err = http_reader_error(r);
    if (o.result == HTTP_COMPLETE) outcome_write(&o.text, http_reader_request(r));
    http_reader_free(r);
    return o;
}

#endif
