/* How a request becomes strings.
 *
 * Each piece of input goes first to the line scanner (http/head.h), then, as far as that found it
 * in order, to llhttp, which calls back with pieces of the target, of the fields and of the body.
 * Pieces are appended to one buffer and remembered by offset, because the buffer moves while it
 * grows; strings are made of them once the head is complete, for the checks, and again once all is.
 *
 *   HEAD -> BODY -> COMPLETE          any -> FAILED
 *           `-> TRAILERS ^
 *
 * A request without a body passes through BODY within one step.
 *
 * llhttp is paused at two places to get the input back at an exact byte: behind the request, so
 * that the next one stays with the caller, and behind the line of the last chunk, so that trailers
 * pass the line scanner too. The first pause also comes before the one that llhttp itself makes
 * where a request offers an upgrade, as curl's do.
 *
 * A further field: an entry in enum field and FIELD_NAMES, a member in struct http_request, a line
 * in assemble(). */
#include "http/request.h"

#include <string.h>

/* llhttp calls its methods by the names that ours have. */
#define HTTP_GET     LLHTTP_GET
#define HTTP_HEAD    LLHTTP_HEAD
#define HTTP_POST    LLHTTP_POST
#define HTTP_PUT     LLHTTP_PUT
#define HTTP_DELETE  LLHTTP_DELETE
#define HTTP_OPTIONS LLHTTP_OPTIONS
#include <llhttp.h>
#undef HTTP_GET
#undef HTTP_HEAD
#undef HTTP_POST
#undef HTTP_PUT
#undef HTTP_DELETE
#undef HTTP_OPTIONS

#include "base/alloc.h"
#include "base/assert.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/limit.h"
#include "http/head.h"
#include "http/target.h"

#if LLHTTP_STRICT_MODE != 1
#error "the checks here are those that llhttp's strict build leaves open: -DLLHTTP_STRICT_MODE=1"
#endif

enum field {
    FIELD_HOST,
    FIELD_AUTHORIZATION,
    FIELD_ORIGIN,
    FIELD_IDEMPOTENCY_KEY,
    FIELD_CONTENT_TYPE,
    FIELD_LAST_EVENT_ID,
    FIELD_ACCESS_CONTROL_REQUEST_METHOD,
    FIELD_TRANSFER_ENCODING,
    FIELD_EXPECT,
    FIELD_COUNT,
    FIELD_OTHER = FIELD_COUNT, /* counted, not kept */
};

static const struct str FIELD_NAMES[FIELD_COUNT] = {
    [FIELD_HOST] = STR("host"),
    [FIELD_AUTHORIZATION] = STR("authorization"),
    [FIELD_ORIGIN] = STR("origin"),
    [FIELD_IDEMPOTENCY_KEY] = STR("idempotency-key"),
    [FIELD_CONTENT_TYPE] = STR("content-type"),
    [FIELD_LAST_EVENT_ID] = STR("last-event-id"),
    [FIELD_ACCESS_CONTROL_REQUEST_METHOD] = STR("access-control-request-method"),
    [FIELD_TRANSFER_ENCODING] = STR("transfer-encoding"),
    [FIELD_EXPECT] = STR("expect"),
};

/* A request only goes forward in these. */
enum phase { PHASE_HEAD, PHASE_BODY, PHASE_TRAILERS, PHASE_COMPLETE, PHASE_FAILED };

/* A part of the reader's buffer. */
struct span {
    size_t at;
    size_t len;
    bool is_present;
};

struct http_reader {
    llhttp_t parser;
    struct http_head head;
    enum phase phase;
    int err;
    struct buf bytes; /* target, kept values and body, in the order in which they came */
    struct span target;
    struct span fields[FIELD_COUNT];
    struct span body;
    char name[32]; /* of the field that is coming; more than fits is none that is kept */
    size_t name_len;
    enum field field;     /* whose value is coming */
    size_t body_in_bytes; /* of the body, as it came */
    bool must_continue;   /* the client waits for a "100 Continue" and was not told yet */
    struct http_request request;
};

static void enter(struct http_reader *r, enum phase next)
{
    ASSERT(next > r->phase);
    r->phase = next;
}

/* The first failure counts. Returns what a callback of llhttp has to return to stop it. */
static int fail(struct http_reader *r, int err)
{
    if (r->phase != PHASE_FAILED) {
        enter(r, PHASE_FAILED);
        r->err = err;
    }
    return HPE_USER;
}

/* --- strings --------------------------------------------------------------------------------- */

static void span_add(struct http_reader *r, struct span *span, const char *ptr, size_t len)
{
    if (!span->is_present) *span = (struct span){.at = r->bytes.len, .is_present = true};
    ASSERT(span->at + span->len == r->bytes.len);
    buf_add(&r->bytes, ptr, len);
    span->len += len;
}

static struct str span_str(const struct http_reader *r, struct span span)
{
    return span.len == 0 ? STR_NONE : str_make(r->bytes.ptr + span.at, span.len);
}

static struct str field_str(const struct http_reader *r, enum field field)
{
    return str_trim(span_str(r, r->fields[field]));
}

static enum http_method method_of(const llhttp_t *parser)
{
    switch (parser->method) {
    case LLHTTP_GET: return HTTP_GET;
    case LLHTTP_HEAD: return HTTP_HEAD;
    case LLHTTP_POST: return HTTP_POST;
    case LLHTTP_PUT: return HTTP_PUT;
    case LLHTTP_DELETE: return HTTP_DELETE;
    case LLHTTP_OPTIONS: return HTTP_OPTIONS;
    default: return HTTP_OTHER;
    }
}

/* Makes the request of what has come so far. */
static int assemble(struct http_reader *r)
{
    struct http_target target;

    if (!http_target_parse(span_str(r, r->target), &target)) return ERR_BAD_REQUEST;
    r->request = (struct http_request){
        .method = method_of(&r->parser),
        .keep_alive = r->parser.http_minor == 1 && llhttp_should_keep_alive(&r->parser) == 1,
        .path = target.path,
        .query = target.query,
        .host = target.authority.len > 0 ? target.authority : field_str(r, FIELD_HOST),
        .authorization = field_str(r, FIELD_AUTHORIZATION),
        .origin = field_str(r, FIELD_ORIGIN),
        .idempotency_key = field_str(r, FIELD_IDEMPOTENCY_KEY),
        .content_type = field_str(r, FIELD_CONTENT_TYPE),
        .last_event_id = field_str(r, FIELD_LAST_EVENT_ID),
        .access_control_request_method = field_str(r, FIELD_ACCESS_CONTROL_REQUEST_METHOD),
        .body = span_str(r, r->body),
    };
    return 0;
}

/* --- checks ---------------------------------------------------------------------------------- */

static bool is_printable_ascii(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] < ' ' || s.ptr[i] > '~') return false;
    return true;
}

static int check_host(const struct http_reader *r)
{
    if (!r->fields[FIELD_HOST].is_present && r->parser.http_minor == 1) return ERR_BAD_REQUEST;
    return http_host_is_valid(field_str(r, FIELD_HOST)) ? 0 : ERR_BAD_REQUEST;
}

/* RFC 9112 section 6.1: a coding that is not known is 501; a body whose end cannot be known is 400.
 */
static int check_transfer_encoding(const struct http_reader *r)
{
    if (!r->fields[FIELD_TRANSFER_ENCODING].is_present) return 0;
    if (r->parser.http_minor == 0) return ERR_BAD_REQUEST;
    if (str_eq_nocase(field_str(r, FIELD_TRANSFER_ENCODING), STR("chunked"))) return 0;
    return (r->parser.flags & F_CHUNKED) != 0 ? ERR_NOT_IMPLEMENTED : ERR_BAD_REQUEST;
}

static int check_head(const struct http_reader *r)
{
    const struct http_request *q = &r->request;
    int err = check_host(r);

    if (err == 0) err = check_transfer_encoding(r);
    if (err != 0) return err;
    if (!is_printable_ascii(q->origin) || !is_printable_ascii(q->idempotency_key))
        return ERR_BAD_REQUEST;
    if (str_eq(q->path, STR("*")) && q->method != HTTP_OPTIONS) return ERR_BAD_REQUEST;
    if (r->parser.content_length > LIMIT_BODY_BYTES) return ERR_BODY_TOO_LARGE;
    return 0;
}

/* --- llhttp's callbacks ---------------------------------------------------------------------- */

static int on_url(llhttp_t *parser, const char *ptr, size_t len)
{
    struct http_reader *r = parser->data;

    span_add(r, &r->target, ptr, len);
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *ptr, size_t len)
{
    struct http_reader *r = parser->data;

    /* A name that does not fit stays too long, whatever comes behind it. */
    if (r->name_len + len <= sizeof(r->name)) memcpy(r->name + r->name_len, ptr, len);
    r->name_len += len;
    return 0;
}

static enum field field_by_name(struct str name)
{
    for (enum field f = 0; f < FIELD_COUNT; f++)
        if (str_eq_nocase(name, FIELD_NAMES[f])) return f;
    return FIELD_OTHER;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    bool is_known = r->phase == PHASE_HEAD && r->name_len <= sizeof(r->name);

    r->field = is_known ? field_by_name(str_make(r->name, r->name_len)) : FIELD_OTHER;
    r->name_len = 0;
    if (r->field == FIELD_OTHER) return 0;
    if (r->fields[r->field].is_present) return fail(r, ERR_BAD_REQUEST);
    span_add(r, &r->fields[r->field], "", 0);
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *ptr, size_t len)
{
    struct http_reader *r = parser->data;

    if (r->field != FIELD_OTHER) span_add(r, &r->fields[r->field], ptr, len);
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    int err = assemble(r);

    if (err == 0) err = check_head(r);
    if (err != 0) return fail(r, err);
    enter(r, PHASE_BODY);
    r->must_continue =
        parser->http_minor == 1 && str_eq_nocase(field_str(r, FIELD_EXPECT), STR("100-continue"));
    return 0;
}

static int on_body(llhttp_t *parser, const char *ptr, size_t len)
{
    struct http_reader *r = parser->data;

    if (r->body.len + len > LIMIT_BODY_BYTES) return fail(r, ERR_BODY_TOO_LARGE);
    span_add(r, &r->body, ptr, len);
    return 0;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct http_reader *r = parser->data;

    if (parser->content_length > 0) return 0;
    enter(r, PHASE_TRAILERS);
    http_head_begin_trailers(&r->head);
    return HPE_PAUSED;
}

static int on_message_complete(llhttp_t *parser)
{
    struct http_reader *r = parser->data;
    int err = assemble(r);

    ASSERT(err == 0); /* on_headers_complete saw to it */
    enter(r, PHASE_COMPLETE);
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_chunk_header = on_chunk_header,
    .on_message_complete = on_message_complete,
};

/* --- feeding --------------------------------------------------------------------------------- */

static int error_of(llhttp_errno_t code)
{
    return code == HPE_INVALID_METHOD ? ERR_NOT_IMPLEMENTED : ERR_BAD_REQUEST;
}

/* Returns how many bytes were used: fewer than there are at a pause, after which there may be more
 * to do. */
static size_t parse(struct http_reader *r, struct str bytes)
{
    llhttp_errno_t code = llhttp_execute(&r->parser, bytes.ptr, bytes.len);

    if (code == HPE_OK) return bytes.len;
    if (code != HPE_PAUSED) {
        fail(r, error_of(code));
        return bytes.len;
    }
    size_t used = (size_t)(llhttp_get_error_pos(&r->parser) - bytes.ptr);
    llhttp_resume(&r->parser);
    return used;
}

static bool is_in_lines(const struct http_reader *r)
{
    return r->phase == PHASE_HEAD || r->phase == PHASE_TRAILERS;
}

static size_t feed_lines(struct http_reader *r, struct str bytes)
{
    size_t len;
    int err = http_head_scan(&r->head, bytes, &len);
    size_t used = len > 0 ? parse(r, str_make(bytes.ptr, len)) : 0;

    if (err != 0) fail(r, err);
    /* Two readers that differ on where the lines end are what request smuggling is made of. */
    bool is_at_end = r->head.state == HEAD_DONE;
    if (is_at_end == is_in_lines(r)) fail(r, ERR_BAD_REQUEST);
    return used;
}

static size_t feed_body(struct http_reader *r, struct str bytes)
{
    size_t left = LIMIT_CHUNKED_BYTES - r->body_in_bytes;
    size_t len = bytes.len < left ? bytes.len : left;

    if (len == 0) {
        fail(r, ERR_BODY_TOO_LARGE);
        return 0;
    }
    size_t used = parse(r, str_make(bytes.ptr, len));
    r->body_in_bytes += used;
    return used;
}

static bool is_reading(const struct http_reader *r)
{
    return r->phase != PHASE_COMPLETE && r->phase != PHASE_FAILED;
}

/* The client need not be told once the body has begun to come. */
static bool take_must_continue(struct http_reader *r)
{
    bool must = r->must_continue && r->phase == PHASE_BODY && r->body_in_bytes == 0;

    if (must) r->must_continue = false;
    return must;
}

enum http_result http_reader_feed(struct http_reader *r, struct str bytes, size_t *ret_used)
{
    size_t used = 0;

    ASSERT(r->phase != PHASE_COMPLETE);
    while (used < bytes.len && is_reading(r)) {
        struct str rest = str_make(bytes.ptr + used, bytes.len - used);
        used += is_in_lines(r) ? feed_lines(r, rest) : feed_body(r, rest);
    }
    if (r->phase == PHASE_FAILED) return HTTP_FAILED;
    *ret_used = used;
    if (r->phase == PHASE_COMPLETE) return HTTP_COMPLETE;
    return take_must_continue(r) ? HTTP_EXPECT : HTTP_MORE;
}

/* --- the reader ------------------------------------------------------------------------------ */

struct http_reader *http_reader_new(void)
{
    struct http_reader *r = xcalloc(1, sizeof(*r));

    http_reader_reset(r);
    return r;
}

void http_reader_free(struct http_reader *r)
{
    if (r == NULL) return;
    buf_deinit(&r->bytes);
    free(r);
}

void http_reader_reset(struct http_reader *r)
{
    struct buf bytes = r->bytes;

    buf_clear(&bytes);
    *r = (struct http_reader){.bytes = bytes, .field = FIELD_OTHER};
    llhttp_init(&r->parser, HTTP_REQUEST, &SETTINGS);
    r->parser.data = r;
}

const struct http_request *http_reader_request(const struct http_reader *r)
{
    ASSERT(r->phase == PHASE_COMPLETE);
    return &r->request;
}

int http_reader_error(const struct http_reader *r)
{
    return r->err;
}

bool http_reader_is_idle(const struct http_reader *r)
{
    return r->phase == PHASE_HEAD &&
           (r->head.state == HEAD_START || r->head.state == HEAD_START_LF);
}
