#include "tool/reply.h"

static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct reply_reader *r = parser->data;
    r->on_body(r->arg, str_make(at, len));
    return 0;
}

static int on_header_name(llhttp_t *parser, const char *at, size_t len)
{
    struct reply_reader *r = parser->data;
    r->on_header(r->arg, REPLY_HEADER_NAME, str_make(at, len));
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reply_reader *r = parser->data;
    r->on_header(r->arg, REPLY_HEADER_VALUE, str_make(at, len));
    return 0;
}

/* Pausing is how llhttp tells where in the bytes the response ended. What keep-alive rests on is
 * still there now, and gone when llhttp_execute() returns. */
static int on_message_complete(llhttp_t *parser)
{
    struct reply_reader *r = parser->data;
    bool interim = parser->status_code < 200;
    r->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return interim ? 0 : HPE_PAUSED;
}

static const llhttp_settings_t body_only = {
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

static const llhttp_settings_t with_headers = {
    .on_header_field = on_header_name,
    .on_header_value = on_header_value,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void reply_reader_init(struct reply_reader *r, reply_header_cb *header_cb, reply_body_cb *body_cb,
                       void *arg)
{
    llhttp_init(&r->parser, HTTP_RESPONSE, header_cb != NULL ? &with_headers : &body_only);
    r->parser.data = r;
    r->on_header = header_cb;
    r->on_body = body_cb;
    r->arg = arg;
    r->keep_alive = false;
}

enum reply_result reply_reader_feed(struct reply_reader *r, struct str bytes, size_t *ret_used)
{
    switch (llhttp_execute(&r->parser, bytes.ptr, bytes.len)) {
    case HPE_OK: *ret_used = bytes.len; return REPLY_MORE;
    case HPE_PAUSED:
        *ret_used = (size_t)(llhttp_get_error_pos(&r->parser) - bytes.ptr);
        return REPLY_COMPLETE;
    default: return REPLY_FAILED;
    }
}

enum reply_result reply_reader_eof(struct reply_reader *r)
{
    return llhttp_finish(&r->parser) == HPE_PAUSED ? REPLY_COMPLETE : REPLY_FAILED;
}

int reply_reader_status(const struct reply_reader *r)
{
    return r->parser.status_code;
}

bool reply_reader_keeps_alive(const struct reply_reader *r)
{
    return r->keep_alive;
}
