/* The lines of a request's head and of its trailers, looked at byte by byte before llhttp gets
 * them.
 *
 * llhttp reads what the lines mean. This refuses what its strict build lets through and RFC 9112
 * does not: runs of blanks in the request line, HTTP/0.9, versions other than 1.0 and 1.1 (llhttp
 * also speaks RTSP and ICE), line ends other than CRLF, obs-fold, fields without a name. And it
 * counts: every byte of the request line (blank lines before it too), every byte of the field
 * lines, with their line ends and the empty line behind them, and the fields. Trailers go on
 * counting where the head stopped.
 *
 * It works on raw bytes and stops at an exact one, so the outcome does not depend on how the bytes
 * were split. */
#ifndef STOA_HTTP_HEAD_H
#define STOA_HTTP_HEAD_H

#include "base/str.h"

/*  START <-> START_LF    a blank line before the request line
 *    |
 *  METHOD -> TARGET_START -> TARGET -> VERSION -> LINE_LF
 *                                                    |
 *              .------------------------------- FIELD_START <- FIELD_LF
 *              v                                     |            ^
 *  DONE <- END_LF                                  FIELD ---------'           */
enum http_head_state {
    HEAD_START,
    HEAD_START_LF,
    HEAD_METHOD,
    HEAD_TARGET_START,
    HEAD_TARGET,
    HEAD_VERSION,
    HEAD_LINE_LF,
    HEAD_FIELD_START,
    HEAD_FIELD,
    HEAD_FIELD_LF,
    HEAD_END_LF,
    HEAD_DONE,
};

/* Zeroed: before the first byte. */
struct http_head {
    enum http_head_state state;
    size_t line_bytes;
    size_t version_bytes;
    size_t field_bytes;
    size_t field_count;
};

/* Goes on from where it is to the end of the bytes or of the head. *ret_len is how many bytes were
 * in order, on failure too: a parser behind it may look at those first, and its verdict comes
 * before this one. Returns 0, ERR_BAD_REQUEST, ERR_URI_TOO_LONG, ERR_HEADERS_TOO_LARGE,
 * ERR_HTTP_VERSION. */
int http_head_scan(struct http_head *h, struct str bytes, size_t *ret_len);
/* The last chunk has come: trailers, if any, and the empty line follow. */
void http_head_begin_trailers(struct http_head *h);

#endif
