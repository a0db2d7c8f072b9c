/* HTTP/1.1 responses to bytes. Without Date, which serves caches that have nothing to keep here,
 * and without Server.
 */
#ifndef STOA_HTTP_RESPONSE_H
#define STOA_HTTP_RESPONSE_H

#include "base/buf.h"

struct http_response {
    int status;
    struct str content_type;  /* empty: no body, and Content-Length: 0 */
    struct str extra_headers; /* whole lines with CRLF, or empty */
    struct str body;
    bool keep_alive; /* false: says Connection: close. For 101 it is true */
    bool head_only;  /* the answer to HEAD: Content-Length of the body, but no body */
};

const char *http_status_text(int status); /* "Unknown" for what this server never sends */
/* Appends the whole response. 1xx, 204 and 304 have neither body nor Content-Length. */
void http_response_write(struct buf *out, const struct http_response *response);
/* Appends a problem+json object (RFC 9457). detail: NULL takes the error's own advice; it is valid
 * UTF-8. retry_after_ms < 0: none. */
void problem_write(struct buf *out, int err, const char *detail, int64_t retry_after_ms);
/* Appends the line that goes with it, Retry-After in seconds, rounded up; nothing if retry_after_ms
 * < 0. */
void retry_after_write(struct buf *headers, int64_t retry_after_ms);

#endif
