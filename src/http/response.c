#include "http/response.h"

#include "base/error.h"
#include "base/json_write.h"

const char *http_status_text(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
    }
}

/* RFC 9110 section 6.4.1. */
static bool may_have_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

static void write_field(struct buf *out, const char *name, struct str value)
{
    buf_add_str(out, str_of(name));
    buf_add_lit(out, ": ");
    buf_add_str(out, value);
    buf_add_lit(out, "\r\n");
}

/* Without a body the length is 0, and said: else the client would wait for the end of the
 * connection. */
static size_t write_body_fields(struct buf *out, const struct http_response *response)
{
    bool has_body = response->content_type.len > 0;
    size_t len = has_body ? response->body.len : 0;

    if (has_body) write_field(out, "Content-Type", response->content_type);
    buf_add_lit(out, "Content-Length: ");
    buf_add_u64(out, len);
    buf_add_lit(out, "\r\n");
    return response->head_only ? 0 : len;
}

void http_response_write(struct buf *out, const struct http_response *response)
{
    size_t body_len = 0;

    buf_add_lit(out, "HTTP/1.1 ");
    buf_add_i64(out, response->status);
    buf_add_char(out, ' ');
    buf_add_str(out, str_of(http_status_text(response->status)));
    buf_add_lit(out, "\r\n");
    if (may_have_body(response->status)) body_len = write_body_fields(out, response);
    if (!response->keep_alive) buf_add_lit(out, "Connection: close\r\n");
    buf_add_str(out, response->extra_headers);
    buf_add_lit(out, "\r\n");
    buf_add(out, response->body.ptr, body_len);
}

void problem_write(struct buf *out, int err, const char *detail, int64_t retry_after_ms)
{
    buf_printf(out, "{\"status\":%d,\"code\":\"%s\",\"title\":", error_status(err),
               error_code(err));
    json_write_string(out, str_of(error_title(err)));
    buf_add_lit(out, ",\"detail\":");
    json_write_string(out, str_of(detail != NULL ? detail : error_advice(err)));
    if (retry_after_ms >= 0) {
        buf_add_lit(out, ",\"retry_after_ms\":");
        buf_add_i64(out, retry_after_ms);
    }
    buf_add_char(out, '}');
}

void retry_after_write(struct buf *headers, int64_t retry_after_ms)
{
    if (retry_after_ms < 0) return;
    buf_add_lit(headers, "Retry-After: ");
    buf_add_i64(headers, retry_after_ms / 1000 + (retry_after_ms % 1000 != 0));
    buf_add_lit(headers, "\r\n");
}
