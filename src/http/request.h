/* HTTP/1.1 requests from bytes (RFC 9112), on llhttp in its strict build plus the checks that it
 * leaves to its caller: exactly one Host, no obs-fold, no empty field names, no HTTP/0.9 or 1.0
 * chunked, no `PRI`, sizes and counts (base/limit.h). Those of the lines are in http/head.h, those
 * of the target in http/target.h.
 *
 * What comes out does not depend on how the bytes were split over calls. Nothing is stored that a
 * limit has not passed, and of the field values only those that are asked for below.
 *
 * A reader exists only while a request is coming in or being answered; a parked connection has
 * none. It holds at most LIMIT_REQUEST_LINE + LIMIT_HEADER_BYTES + LIMIT_BODY_BYTES. Single thread.
 */
#ifndef STOA_HTTP_REQUEST_H
#define STOA_HTTP_REQUEST_H

#include "base/str.h"

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE,
    HTTP_OPTIONS,
    HTTP_OTHER
};

/* All strings are borrowed from the reader until its next reset or free. Absent and empty fields
 * are STR_NONE; values come without surrounding blanks. A request that repeats any of these fields
 * is refused with ERR_BAD_REQUEST, as is one with other than printable ASCII in Host, Origin or
 * Idempotency-Key.
 *
 * host comes from the target, where that is absolute (RFC 9112 section 3.2.2). An `Upgrade` is not
 * followed: what comes behind the request is the next request, unless the caller decides otherwise.
 */
struct http_request {
    enum http_method method;
    bool keep_alive; /* never for HTTP/1.0: the response would have to say so in words of its own */
    struct str path; /* still percent-encoded; starts with '/', or is "*" with HTTP_OPTIONS */
    struct str query; /* behind the '?', without it; still percent-encoded */
    struct str host, authorization, origin, idempotency_key, content_type, last_event_id;
    struct str access_control_request_method;
    struct str body;
};

enum http_result {
    HTTP_MORE,     /* all bytes used, the request is not complete */
    HTTP_EXPECT,   /* as HTTP_MORE; and the client waits for "100 Continue" (told once) */
    HTTP_COMPLETE, /* *ret_used bytes belong to this request, the rest to the next */
    HTTP_FAILED,   /* http_reader_error(); answer it and close */
};

struct http_reader;

struct http_reader *http_reader_new(void);
void http_reader_free(struct http_reader *r);
void http_reader_reset(struct http_reader *r); /* for the next request of the same connection */
/* Not to be called again after HTTP_COMPLETE before a reset. The bytes are not needed any more once
 * it returns. */
enum http_result http_reader_feed(struct http_reader *r, struct str bytes, size_t *ret_used);
const struct http_request *http_reader_request(const struct http_reader *r);
int http_reader_error(const struct http_reader *r); /* 0, or 400, 413, 414, 431, 501, 505 */
/* Nothing of a request has come yet (blank lines do not count). */
bool http_reader_is_idle(const struct http_reader *r);

#endif
