/* Answers as HTTP: the head in one place, so that every answer has the same rules for CORS, caching
 * and closing. */
#include "api/exchange.h"

#include <string.h>

#include "base/error.h"
#include "http/response.h"

#define JSON_TYPE    "application/json"
#define PROBLEM_TYPE "application/problem+json"

uint8_t form_pack(struct answer_form form)
{
    return (uint8_t)((form.keep_alive ? 1 : 0) | (form.head_only ? 2 : 0) | form.origin << 2);
}

struct answer_form form_unpack(uint8_t packed)
{
    return (struct answer_form){
        .keep_alive = (packed & 1) != 0, .head_only = (packed & 2) != 0, .origin = packed >> 2};
}

static void add_cors(struct api *api, struct answer_form form)
{
    if (form.origin == 0) return;
    if (form.origin == 1)
        buf_add_lit(&api->headers, "Access-Control-Allow-Origin: *\r\n");
    else
        buf_printf(&api->headers, "Access-Control-Allow-Origin: %s\r\nVary: Origin\r\n",
                   api->origins[form.origin - 2]);
    buf_add_lit(&api->headers, "Access-Control-Expose-Headers: Retry-After\r\n");
}

/* The head's extra lines begin in api->headers, written before by the caller. */
static struct blob *to_wire(struct api *api, struct answer_form form, int status,
                            struct str content_type, struct str body)
{
    add_cors(api, form);
    struct http_response response = {.status = status,
                                     .content_type = content_type,
                                     .extra_headers = buf_str(&api->headers),
                                     .body = body,
                                     .keep_alive =
                                         form.keep_alive && !worker_is_draining(api->worker),
                                     .head_only = form.head_only};
    struct buf wire = {0};
    http_response_write(&wire, &response);
    struct blob *blob = blob_new(buf_str(&wire));
    buf_deinit(&wire);
    buf_clear(&api->headers);
    return blob;
}

static void send(struct api *api, uint64_t exchange, struct answer_form form, int status,
                 struct str content_type, struct str body)
{
    struct blob *wire = to_wire(api, form, status, content_type, body);
    api->config.out->send(api->config.arg, exchange, wire, !form.keep_alive);
    blob_unref(wire);
}

struct blob *messages_render(struct api *api, const struct answer *answer, struct answer_form form)
{
    buf_clear(&api->scratch);
    answer_write(&api->scratch, answer);
    buf_add_lit(&api->headers, "Cache-Control: no-store\r\n");
    return to_wire(api, form, 200, STR(JSON_TYPE), buf_str(&api->scratch));
}

void answer_json(struct api *api, uint64_t exchange, struct answer_form form, int status,
                 struct str body)
{
    buf_add_lit(&api->headers, "Cache-Control: no-store\r\n");
    send(api, exchange, form, status, STR(JSON_TYPE), body);
}

void answer_empty(struct api *api, uint64_t exchange, struct answer_form form, int status)
{
    send(api, exchange, form, status, STR_NONE, STR_NONE);
}

void answer_problem(struct api *api, uint64_t exchange, struct answer_form form, int err,
                    const char *detail, int64_t retry_after_ms)
{
    bool may_retry = error_status(err) == 429 || error_status(err) == 503;
    if (!may_retry) retry_after_ms = -1;
    buf_clear(&api->scratch);
    problem_write(&api->scratch, err, detail, retry_after_ms);
    if (may_retry) retry_after_write(&api->headers, retry_after_ms);
    if (err == ERR_UNAUTHORIZED || err == ERR_TOKEN_EXPIRED)
        buf_add_lit(&api->headers, "WWW-Authenticate: Bearer\r\n");
    send(api, exchange, form, error_status(err), STR(PROBLEM_TYPE), buf_str(&api->scratch));
}

void answer_bytes(struct api *api, uint64_t exchange, struct answer_form form,
                  struct str content_type, struct str extra_headers, struct str body)
{
    buf_add_str(&api->headers, extra_headers);
    send(api, exchange, form, 200, content_type, body);
}

void answer_method(struct exchange *x, const char *allow)
{
    buf_printf(&x->api->headers, "Allow: %s\r\n", allow);
    refuse(x, ERR_METHOD, NULL);
}

void answer_preflight(struct exchange *x)
{
    struct buf *headers = &x->api->headers;
    if (x->form.origin != 0)
        buf_add_lit(headers,
                    "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, DELETE\r\n"
                    "Access-Control-Allow-Headers: Authorization, Content-Type, Idempotency-Key\r\n"
                    "Access-Control-Max-Age: 86400\r\n");
    answer_empty(x->api, x->handle, x->form, 204);
}

void refuse(struct exchange *x, int err, const char *detail)
{
    answer_problem(x->api, x->handle, x->form, err, detail, -1);
}
