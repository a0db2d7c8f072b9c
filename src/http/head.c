#include "http/head.h"

#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/limit.h"

static int move_if(struct http_head *h, bool allowed, enum http_head_state next)
{
    if (!allowed) return ERR_BAD_REQUEST;
    h->state = next;
    return 0;
}

static bool is_visible(char c)
{
    return c > ' ' && c < 0x7f;
}

/* "HTTP/1.0" or "HTTP/1.1", then CR. A well-formed version of another protocol is worth an answer
 * of its own. */
static int step_version(struct http_head *h, char c)
{
    static const char PREFIX[] = "HTTP/1.";
    size_t at = h->version_bytes++;

    if (at < sizeof(PREFIX) - 1) {
        if (c == PREFIX[at]) return 0;
        return PREFIX[at] == '1' && c >= '0' && c <= '9' ? ERR_HTTP_VERSION : ERR_BAD_REQUEST;
    }
    if (at == sizeof(PREFIX) - 1) {
        if (c == '0' || c == '1') return 0;
        return c >= '2' && c <= '9' ? ERR_HTTP_VERSION : ERR_BAD_REQUEST;
    }
    return move_if(h, c == '\r', HEAD_LINE_LF);
}

static int step_field_start(struct http_head *h, char c)
{
    if (c == '\r') return move_if(h, true, HEAD_END_LF);
    if (c == ' ' || c == '\t' || c == ':' || c == '\n') return ERR_BAD_REQUEST;
    if (++h->field_count > LIMIT_HEADER_COUNT) return ERR_HEADERS_TOO_LARGE;
    return move_if(h, true, HEAD_FIELD);
}

static int step(struct http_head *h, char c)
{
    switch (h->state) {
    case HEAD_START:
        if (c == '\r') return move_if(h, true, HEAD_START_LF);
        return move_if(h, is_visible(c), HEAD_METHOD);
    case HEAD_START_LF: return move_if(h, c == '\n', HEAD_START);
    case HEAD_METHOD:
        if (c == ' ') return move_if(h, true, HEAD_TARGET_START);
        return move_if(h, is_visible(c), HEAD_METHOD);
    case HEAD_TARGET_START: return move_if(h, is_visible(c), HEAD_TARGET);
    case HEAD_TARGET:
        if (c == ' ') return move_if(h, true, HEAD_VERSION);
        return move_if(h, is_visible(c), HEAD_TARGET);
    case HEAD_VERSION: return step_version(h, c);
    case HEAD_LINE_LF: return move_if(h, c == '\n', HEAD_FIELD_START);
    case HEAD_FIELD_START: return step_field_start(h, c);
    case HEAD_FIELD:
        if (c == '\r') return move_if(h, true, HEAD_FIELD_LF);
        return move_if(h, c != '\n', HEAD_FIELD);
    case HEAD_FIELD_LF: return move_if(h, c == '\n', HEAD_FIELD_START);
    case HEAD_END_LF: return move_if(h, c == '\n', HEAD_DONE);
    case HEAD_DONE: break;
    }
    UNREACHABLE();
}

static size_t target_len(const char *ptr, size_t len)
{
    size_t at = 0;
    while (at < len && is_visible(ptr[at])) at++;
    return at;
}

static size_t field_len(const char *ptr, size_t len)
{
    const char *cr = memchr(ptr, '\r', len);
    if (cr != NULL) len = (size_t)(cr - ptr);
    const char *lf = memchr(ptr, '\n', len);
    return lf != NULL ? (size_t)(lf - ptr) : len;
}

/* What lies inside the target or a field, at once: as many steps would do the same. Stops where a
 * limit is reached; the step behind it finds that. */
static size_t skip_inside(struct http_head *h, const char *ptr, size_t len)
{
    if (h->state != HEAD_TARGET && h->state != HEAD_FIELD) return 0;
    bool is_target = h->state == HEAD_TARGET;
    size_t *bytes = is_target ? &h->line_bytes : &h->field_bytes;
    size_t left = (is_target ? LIMIT_REQUEST_LINE : LIMIT_HEADER_BYTES) - *bytes;
    if (len > left) len = left;
    size_t inside = is_target ? target_len(ptr, len) : field_len(ptr, len);
    *bytes += inside;
    return inside;
}

static int count_byte(struct http_head *h)
{
    if (h->state <= HEAD_LINE_LF)
        return ++h->line_bytes > LIMIT_REQUEST_LINE ? ERR_URI_TOO_LONG : 0;
    return ++h->field_bytes > LIMIT_HEADER_BYTES ? ERR_HEADERS_TOO_LARGE : 0;
}

int http_head_scan(struct http_head *h, struct str bytes, size_t *ret_len)
{
    int err = 0;
    size_t len = 0;

    while (len < bytes.len && h->state != HEAD_DONE) {
        len += skip_inside(h, bytes.ptr + len, bytes.len - len);
        if (len == bytes.len) break;
        err = count_byte(h);
        if (err == 0) err = step(h, bytes.ptr[len]);
        if (err != 0) break;
        len++;
    }
    *ret_len = len;
    return err;
}

void http_head_begin_trailers(struct http_head *h)
{
    ASSERT(h->state == HEAD_DONE);
    h->state = HEAD_FIELD_START;
}
