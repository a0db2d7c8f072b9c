/* http/request.c and http/head.c: every request of the tables fed whole, byte by byte and split at
 * every position; pipelines; each limit reached, and passed by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/limit.h"
#include "unit/http_outcome.h"

struct request_case {
    const char *what;
    const char *bytes;
    int err;          /* 0: complete, and text is what comes out */
    const char *text; /* NULL with err 0: not complete yet */
};

#define H       "Host: a\r\n"
#define GET     "GET / HTTP/1.1\r\n" H
#define POST    "POST /p HTTP/1.1\r\n" H
#define GOT     "GET\npath=/\nhost=a\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const struct request_case GOOD[] = {
    {"plain", GET "\r\n", 0, GOT},
    {"blank lines before", "\r\n\r\n" GET "\r\n", 0, GOT},
    {"query", "GET /a/b?c=d&e=%20?f HTTP/1.1\r\n" H "\r\n", 0,
     "GET\npath=/a/b\nquery=c=d&e=%20?f\nhost=a\n"},
    {"empty query", "GET /? HTTP/1.1\r\n" H "\r\n", 0, "GET\npath=/\nquery=\nhost=a\n"},
    {"all the fields",
     "GET / HTTP/1.1\r\nHOST: a:80\r\nauthorization: Bearer x\r\nOrigin: http://o\r\n"
     "Idempotency-Key: k 1\r\nContent-Type: application/json\r\nLast-Event-ID: 7\r\n"
     "Access-Control-Request-Method: PUT\r\nX-Other: y\r\n\r\n",
     0,
     "GET\npath=/\nhost=a:80\nauthorization=Bearer x\norigin=http://o\nidempotency-key=k 1\n"
     "content-type=application/json\nlast-event-id=7\nacrm=PUT\n"},
    {"blanks around a value", "GET / HTTP/1.1\r\nHost: \t a \t \r\n\r\n", 0, GOT},
    {"no blank before a value", "GET / HTTP/1.1\r\nHost:a\r\n\r\n", 0, GOT},
    {"an empty value", GET "Origin:\r\n\r\n", 0, GOT},
    {"an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 0, "GET\npath=/\n"},
    {"Host of brackets", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 0,
     "GET\npath=/\nhost=[::1]:8080\n"},
    {"bytes above 127 in a value", GET "X: \xc3\xa9\xff\r\n\r\n", 0, GOT},
    {"the like in a kept one", GET "Last-Event-ID: \xc3\xa9\r\n\r\n", 0,
     GOT "last-event-id=\xc3\xa9\n"},
    {"other fields twice", GET "X: 1\r\nX: 2\r\n\r\n", 0, GOT},
    {"a name that only begins like one", GET "Originally: x\r\n\r\n", 0, GOT},
    {"a name that is longer than any", GET "Access-Control-Request-Method-And-Much-More: x\r\n\r\n",
     0, GOT},
    {"HTTP/1.0", "GET / HTTP/1.0\r\n" H "\r\n", 0, "GET close\npath=/\nhost=a\n"},
    {"HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 0, "GET close\npath=/\n"},
    {"HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 0,
     "GET close\npath=/\n"},
    {"Connection: close", GET "Connection: close\r\n\r\n", 0, "GET close\npath=/\nhost=a\n"},
    {"HEAD", "HEAD / HTTP/1.1\r\n" H "\r\n", 0, "HEAD\npath=/\nhost=a\n"},
    {"PUT", "PUT / HTTP/1.1\r\n" H "\r\n", 0, "PUT\npath=/\nhost=a\n"},
    {"DELETE", "DELETE / HTTP/1.1\r\n" H "\r\n", 0, "DELETE\npath=/\nhost=a\n"},
    {"another method", "PATCH / HTTP/1.1\r\n" H "\r\n", 0, "OTHER\npath=/\nhost=a\n"},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" H "\r\n", 0, "OPTIONS\npath=*\nhost=a\n"},
    {"absolute", "GET http://b:1/p?q HTTP/1.1\r\n" H "\r\n", 0,
     "GET\npath=/p\nquery=q\nhost=b:1\n"},
    {"absolute, without a path", "GET HTTPS://b HTTP/1.1\r\n" H "\r\n", 0, "GET\npath=/\nhost=b\n"},
    {"absolute, query only", "GET http://b?q HTTP/1.1\r\n" H "\r\n", 0,
     "GET\npath=/\nquery=q\nhost=b\n"},
    {"Content-Length", POST "Content-Length: 3\r\n\r\nabc", 0, "POST\npath=/p\nhost=a\nbody=abc\n"},
    {"Content-Length: 0", POST "Content-Length: 0\r\n\r\n", 0, "POST\npath=/p\nhost=a\n"},
    {"POST without a length", POST "\r\n", 0, "POST\npath=/p\nhost=a\n"},
    {"chunked", CHUNKED "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", 0,
     "POST\npath=/p\nhost=a\nbody=abcde\n"},
    {"chunked, nothing in it", CHUNKED "0\r\n\r\n", 0, "POST\npath=/p\nhost=a\n"},
    {"Chunked", POST "transfer-encoding: Chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 0,
     "POST\npath=/p\nhost=a\nbody=a\n"},
    {"trailers", CHUNKED "1\r\na\r\n0\r\nOrigin: evil\r\nHost: b\r\n\r\n", 0,
     "POST\npath=/p\nhost=a\nbody=a\n"},
    {"an upgrade is not followed", GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 0, GOT},
    {"an upgrade with a body",
     POST "Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\na", 0,
     "POST\npath=/p\nhost=a\nbody=a\n"},
    {"no end of the head", GET, 0, NULL},
    {"no end of the body", POST "Content-Length: 3\r\n\r\nab", 0, NULL},
    {"no end of the chunks", CHUNKED "3\r\nabc\r\n", 0, NULL},
    {"no end of the trailers", CHUNKED "0\r\nX: y\r\n", 0, NULL},
    {"blank lines only", "\r\n\r\n", 0, NULL},
};

static const struct request_case BAD[] = {
    /* the request line */
    {"HTTP/0.9", "GET /\r\n", ERR_BAD_REQUEST, NULL},
    {"two blanks before HTTP/", "GET /  HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"two blanks before the target", "GET  / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a blank behind the version", "GET / HTTP/1.1 \r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a blank before the method", " GET / HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a tab for a blank", "GET\t/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"no target", "GET HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a target without a slash", "GET a HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a fragment", "GET /#a HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"bytes above 127 in the target", "GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"a control in the target", "GET /\x01 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"* with GET", "GET * HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"authority form", "CONNECT a:80 HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"user information", "GET http://u@b/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"absolute, no host", "GET http:///p HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"another scheme", "GET ftp://b/ HTTP/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"unknown method", "BREW / HTTP/1.1\r\n" H "\r\n", ERR_NOT_IMPLEMENTED, NULL},
    {"lower-case method", "get / HTTP/1.1\r\n" H "\r\n", ERR_NOT_IMPLEMENTED, NULL},
    {"TLS", "\x16\x03\x01\x02\x01\x01", ERR_BAD_REQUEST, NULL},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" H "\r\n", ERR_HTTP_VERSION, NULL},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" H "\r\n", ERR_HTTP_VERSION, NULL},
    {"HTTP/0.9 by name", "GET / HTTP/0.9\r\n" H "\r\n", ERR_HTTP_VERSION, NULL},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"HTTP/x", "GET / HTTP/x\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"http/1.1", "GET / http/1.1\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"RTSP", "GET / RTSP/1.0\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"ICE", "SOURCE / ICE/1.0\r\n" H "\r\n", ERR_BAD_REQUEST, NULL},
    {"the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ERR_HTTP_VERSION, NULL},
    /* line ends */
    {"LF alone behind the line", "GET / HTTP/1.1\nHost: a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"LF alone behind a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", ERR_BAD_REQUEST, NULL},
    {"LF alone at the end", GET "\n", ERR_BAD_REQUEST, NULL},
    {"CR alone in a value", "GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"LF alone before the line", "\n" GET "\r\n", ERR_BAD_REQUEST, NULL},
    /* fields */
    {"no Host", "GET / HTTP/1.1\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"no Host, absolute target", "GET http://a/ HTTP/1.1\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"two Hosts", GET H "\r\n", ERR_BAD_REQUEST, NULL},
    {"two Hosts, one empty", GET "Host:\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"Host above 127", "GET / HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"Origin above 127", GET "Origin: \xc3\xa9\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"Idempotency-Key above 127", GET "Idempotency-Key: \xc3\xa9\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a tab in an Idempotency-Key", GET "Idempotency-Key: a\tb\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"two Authorizations", GET "Authorization: a\r\nAuthorization: a\r\n\r\n", ERR_BAD_REQUEST,
     NULL},
    {"two Idempotency-Keys", GET "Idempotency-Key: a\r\nidempotency-key: a\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"two Content-Types", GET "Content-Type: a\r\nContent-Type: a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"two Origins", GET "Origin: a\r\nOrigin: a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"obs-fold", GET "X: b\r\n c\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"obs-fold by a tab", GET "X: b\r\n\tc\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a blank before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"no name", GET ": a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"no colon", GET "abc\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a blank before the colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a control in a value", GET "X: \x01\r\n\r\n", ERR_BAD_REQUEST, NULL},
    /* where the body ends (RFC 9112 sections 6.3 and 11.2) */
    {"CL and TE", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"TE and CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"two CLs", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", ERR_BAD_REQUEST, NULL},
    {"two CLs that differ", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
     ERR_BAD_REQUEST, NULL},
    {"a list of CLs", POST "Content-Length: 3, 3\r\n\r\nabc", ERR_BAD_REQUEST, NULL},
    {"CL with a sign", POST "Content-Length: +3\r\n\r\nabc", ERR_BAD_REQUEST, NULL},
    {"negative CL", POST "Content-Length: -3\r\n\r\nabc", ERR_BAD_REQUEST, NULL},
    {"hexadecimal CL", POST "Content-Length: 0x3\r\n\r\nabc", ERR_BAD_REQUEST, NULL},
    {"CL beyond 64 bits", POST "Content-Length: 18446744073709551619\r\n\r\nabc", ERR_BAD_REQUEST,
     NULL},
    {"CL too large", POST "Content-Length: 131073\r\n\r\n", ERR_BODY_TOO_LARGE, NULL},
    {"CL far too large", POST "Content-Length: 18446744073709551615\r\n\r\n", ERR_BODY_TOO_LARGE,
     NULL},
    {"TE twice", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"TE of a coding before chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
     ERR_NOT_IMPLEMENTED, NULL},
    {"chunked is not the last", POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"TE without chunked", POST "Transfer-Encoding: gzip\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"TE like chunked", POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"HTTP/1.0 chunked", "POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"a chunk size of 0x3", CHUNKED "0x3\r\nabc\r\n0\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a negative chunk size", CHUNKED "-3\r\nabc\r\n0\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a chunk size beyond 64 bits", CHUNKED "10000000000000003\r\nabc\r\n0\r\n\r\n",
     ERR_BAD_REQUEST, NULL},
    {"no CRLF behind a chunk", CHUNKED "3\r\nabcd\r\n0\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"LF alone behind a chunk size", CHUNKED "3\nabc\r\n0\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"obs-fold in a trailer", CHUNKED "0\r\nX: y\r\n z\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"a trailer without a name", CHUNKED "0\r\n: y\r\n\r\n", ERR_BAD_REQUEST, NULL},
    {"LF alone behind a trailer", CHUNKED "0\r\nX: y\n\r\n", ERR_BAD_REQUEST, NULL},
};

static void expect_outcome(const struct request_case *c, const struct outcome *o, size_t len)
{
    if (c->err != 0) {
        assert_int_equal(o->result, HTTP_FAILED);
    } else if (c->text == NULL) {
        assert_int_equal(o->result, HTTP_MORE);
        assert_int_equal(o->used, len);
    } else {
        assert_int_equal(o->result, HTTP_COMPLETE);
        assert_int_equal(o->used, len);
    }
    assert_int_equal(o->err, c->err);
}

static void check_pieces(const struct request_case *c, size_t first, size_t pieces)
{
    struct str bytes = str_of(c->bytes);
    struct outcome o = outcome_of(bytes, first, pieces);
    struct str want = str_of(c->text);

    if (o.err != c->err || !str_eq(buf_str(&o.text), want))
        print_message("\"%s\" in pieces of %zu, %zu: error %d, %.*s\n", c->what, first, pieces,
                      o.err, STR_ARG(buf_str(&o.text)));
    expect_outcome(c, &o, bytes.len);
    assert_true(str_eq(buf_str(&o.text), want));
    outcome_deinit(&o);
}

static void check_case(const struct request_case *c)
{
    size_t len = str_of(c->bytes).len;

    check_pieces(c, len, len);
    check_pieces(c, 1, 1);
    for (size_t at = 1; at < len; at++) check_pieces(c, at, len - at);
}

static void good_requests_come_out_the_same_however_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) check_case(&GOOD[i]);
}

static void bad_requests_are_refused_the_same_however_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) check_case(&BAD[i]);
}

static void nul_is_refused_everywhere_in_the_head(void **state)
{
    (void)state;
    static const char BYTES[] = "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\r\n";

    for (size_t at = 0; at < sizeof(BYTES) - 1; at++) {
        char with_nul[sizeof(BYTES)];
        memcpy(with_nul, BYTES, sizeof(BYTES));
        with_nul[at] = '\0';
        struct outcome o = outcome_of(str_make(with_nul, sizeof(BYTES) - 1), 1000, 1000);
        assert_int_equal(o.result, HTTP_FAILED);
        assert_int_equal(o.err, ERR_BAD_REQUEST);
        outcome_deinit(&o);
    }
}

/* --- pipelines ------------------------------------------------------------------------------- */

static void pipelined_requests_come_one_by_one_at_exact_bytes(void **state)
{
    (void)state;
    static const char *const PARTS[] = {
        GET "\r\n",
        POST "Content-Length: 4\r\n\r\nGET ",
        CHUNKED "1\r\na\r\n0\r\nT: u\r\n\r\n",
        GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
        "\r\n" GET "Connection: close\r\n\r\n",
        GET "\r\n",
    };
    struct buf all = {0};
    struct http_reader *r = http_reader_new();

    for (size_t i = 0; i < 6; i++) buf_add_str(&all, str_of(PARTS[i]));
    for (size_t i = 0; i < 6; i++) {
        size_t used = 0;
        assert_int_equal(http_reader_feed(r, buf_str(&all), &used), HTTP_COMPLETE);
        assert_int_equal(used, str_of(PARTS[i]).len);
        assert_int_equal(http_reader_request(r)->keep_alive, i != 4);
        buf_drop_front(&all, used);
        http_reader_reset(r);
    }
    assert_int_equal(all.len, 0);
    http_reader_free(r);
    buf_deinit(&all);
}

static void nothing_of_a_request_is_left_in_the_next(void **state)
{
    (void)state;
    struct http_reader *r = http_reader_new();
    size_t used = 0;

    assert_int_equal(http_reader_feed(r,
                                      STR("POST /p?q HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n"
                                          "Content-Length: 1\r\n\r\nb"),
                                      &used),
                     HTTP_COMPLETE);
    http_reader_reset(r);
    assert_int_equal(http_reader_feed(r, STR(GET "\r\n"), &used), HTTP_COMPLETE);
    struct buf text = {0};
    outcome_write(&text, http_reader_request(r));
    assert_true(str_eq(buf_str(&text), STR(GOT)));
    buf_deinit(&text);
    http_reader_free(r);
}

static void reader_is_idle_until_a_request_begins(void **state)
{
    (void)state;
    struct http_reader *r = http_reader_new();
    size_t used = 0;

    assert_true(http_reader_is_idle(r));
    assert_int_equal(http_reader_feed(r, STR("\r\n\r"), &used), HTTP_MORE);
    assert_true(http_reader_is_idle(r));
    assert_int_equal(http_reader_feed(r, STR("\nG"), &used), HTTP_MORE);
    assert_false(http_reader_is_idle(r));
    http_reader_reset(r);
    assert_true(http_reader_is_idle(r));
    http_reader_free(r);
}

static void failure_is_final(void **state)
{
    (void)state;
    struct http_reader *r = http_reader_new();
    size_t used = 77;

    assert_int_equal(http_reader_feed(r, STR("GET /  "), &used), HTTP_FAILED);
    assert_int_equal(http_reader_feed(r, STR(GET "\r\n"), &used), HTTP_FAILED);
    assert_int_equal(http_reader_error(r), ERR_BAD_REQUEST);
    assert_int_equal(used, 77);
    http_reader_free(r);
}

/* --- Expect ---------------------------------------------------------------------------------- */

static void expect_is_told_once_before_the_body(void **state)
{
    (void)state;
    struct http_reader *r = http_reader_new();
    size_t used = 0;

    assert_int_equal(
        http_reader_feed(r, STR(POST "Content-Length: 2\r\nExpect: 100-Continue\r\n\r"), &used),
        HTTP_MORE);
    assert_int_equal(http_reader_feed(r, STR("\n"), &used), HTTP_EXPECT);
    assert_int_equal(http_reader_feed(r, STR(""), &used), HTTP_MORE);
    assert_int_equal(http_reader_feed(r, STR("a"), &used), HTTP_MORE);
    assert_int_equal(http_reader_feed(r, STR("b"), &used), HTTP_COMPLETE);
    http_reader_free(r);
}

static void expect_is_not_told_where_nobody_waits(void **state)
{
    (void)state;
    static const char *const REQUESTS[] = {
        POST "Expect: 100-continue\r\n\r\n",
        POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\na",
        POST "Expect: something\r\nContent-Length: 2\r\n\r\n",
        POST "Expect: 100-continue\r\nContent-Length: 999999\r\n\r\n",
        "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(REQUESTS) / sizeof(REQUESTS[0]); i++) {
        struct outcome o = outcome_of(str_of(REQUESTS[i]), 1000, 1000);
        assert_false(o.was_expect);
        outcome_deinit(&o);
    }
}

/* --- limits ---------------------------------------------------------------------------------- */

static void add_times(struct buf *b, const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++) buf_add_str(b, str_of(text));
}

/* The same whole, in pieces of 1, and in odd ones. */
static void expect_error(struct buf *bytes, int err)
{
    static const size_t PIECES[] = {SIZE_MAX, 1, 1000, 4093};

    for (size_t i = 0; i < sizeof(PIECES) / sizeof(PIECES[0]); i++) {
        struct outcome o = outcome_of(buf_str(bytes), PIECES[i], PIECES[i]);
        assert_int_equal(o.err, err);
        assert_int_equal(o.result, err == 0 ? HTTP_COMPLETE : HTTP_FAILED);
        outcome_deinit(&o);
    }
    buf_deinit(bytes);
}

static struct buf request_with_line_of(size_t line_bytes)
{
    struct buf b = {0};

    buf_add_lit(&b, "GET /");
    add_times(&b, "a", line_bytes - sizeof("GET / HTTP/1.1\r\n") + 1);
    buf_add_lit(&b, " HTTP/1.1\r\n" H "\r\n");
    return b;
}

static void request_line_has_a_limit(void **state)
{
    (void)state;
    struct buf fits = request_with_line_of(LIMIT_REQUEST_LINE);
    struct buf too_long = request_with_line_of(LIMIT_REQUEST_LINE + 1);
    struct buf blank = {0};

    expect_error(&fits, 0);
    expect_error(&too_long, ERR_URI_TOO_LONG);
    add_times(&blank, "\r\n", LIMIT_REQUEST_LINE);
    expect_error(&blank, ERR_URI_TOO_LONG);
}

static struct buf request_with_fields_of(size_t field_bytes, const char *filler)
{
    struct buf b = {0};

    buf_add_lit(&b, GET "X:");
    add_times(&b, filler, field_bytes - (sizeof(H "X:\r\n\r\n") - 1));
    buf_add_lit(&b, "\r\n\r\n");
    return b;
}

static void field_bytes_have_a_limit(void **state)
{
    (void)state;
    struct buf fits = request_with_fields_of(LIMIT_HEADER_BYTES, "v");
    struct buf too_long = request_with_fields_of(LIMIT_HEADER_BYTES + 1, "v");
    struct buf blanks = request_with_fields_of(LIMIT_HEADER_BYTES + 1, " ");

    expect_error(&fits, 0);
    expect_error(&too_long, ERR_HEADERS_TOO_LARGE);
    expect_error(&blanks, ERR_HEADERS_TOO_LARGE);
}

static void fields_have_a_limit_in_number(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct buf b = {0};
        buf_add_lit(&b, GET);
        add_times(&b, "X: y\r\n", LIMIT_HEADER_COUNT - 1 + more);
        buf_add_lit(&b, "\r\n");
        expect_error(&b, more == 0 ? 0 : ERR_HEADERS_TOO_LARGE);
    }
}

static void trailers_count_as_fields(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct buf b = {0};
        buf_add_lit(&b, CHUNKED "0\r\n");
        add_times(&b, "X: y\r\n", LIMIT_HEADER_COUNT - 2 + more);
        buf_add_lit(&b, "\r\n");
        expect_error(&b, more == 0 ? 0 : ERR_HEADERS_TOO_LARGE);
    }
    struct buf long_trailer = {0};
    buf_add_lit(&long_trailer, CHUNKED "0\r\nX: ");
    add_times(&long_trailer, "y", LIMIT_HEADER_BYTES);
    expect_error(&long_trailer, ERR_HEADERS_TOO_LARGE);
}

static void body_has_a_limit(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct buf b = {0};
        buf_printf(&b, POST "Content-Length: %zu\r\n\r\n", LIMIT_BODY_BYTES + more);
        add_times(&b, "a", LIMIT_BODY_BYTES + more);
        expect_error(&b, more == 0 ? 0 : ERR_BODY_TOO_LARGE);
    }
}

static void chunked_body_has_the_same_limit(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct buf b = {0};
        buf_add_lit(&b, CHUNKED "10000\r\n");
        add_times(&b, "a", 0x10000);
        buf_printf(&b, "\r\n%zx\r\n", LIMIT_BODY_BYTES - 0x10000 + more);
        add_times(&b, "b", LIMIT_BODY_BYTES - 0x10000 + more);
        buf_add_lit(&b, "\r\n0\r\n\r\n");
        expect_error(&b, more == 0 ? 0 : ERR_BODY_TOO_LARGE);
    }
}

static void largest_body_may_come_in_the_smallest_chunks(void **state)
{
    (void)state;
    struct buf b = {0};

    buf_add_lit(&b, CHUNKED);
    add_times(&b, "1\r\na\r\n", LIMIT_BODY_BYTES);
    buf_add_lit(&b, "0\r\n\r\n");
    expect_error(&b, 0);
}

static void chunk_lines_have_a_limit(void **state)
{
    (void)state;
    static const char *const ENDLESS[] = {"0", "1;x", "2;x=\"y"}; /* zeros, extensions, quoted */

    for (size_t i = 0; i < sizeof(ENDLESS) / sizeof(ENDLESS[0]); i++) {
        struct buf b = {0};
        buf_add_lit(&b, CHUNKED);
        buf_add_str(&b, str_of(ENDLESS[i]));
        add_times(&b, "0", LIMIT_CHUNKED_BYTES);
        expect_error(&b, ERR_BODY_TOO_LARGE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_requests_come_out_the_same_however_split),
        cmocka_unit_test(bad_requests_are_refused_the_same_however_split),
        cmocka_unit_test(nul_is_refused_everywhere_in_the_head),
        cmocka_unit_test(pipelined_requests_come_one_by_one_at_exact_bytes),
        cmocka_unit_test(nothing_of_a_request_is_left_in_the_next),
        cmocka_unit_test(reader_is_idle_until_a_request_begins),
        cmocka_unit_test(failure_is_final),
        cmocka_unit_test(expect_is_told_once_before_the_body),
        cmocka_unit_test(expect_is_not_told_where_nobody_waits),
        cmocka_unit_test(request_line_has_a_limit),
        cmocka_unit_test(field_bytes_have_a_limit),
        cmocka_unit_test(fields_have_a_limit_in_number),
        cmocka_unit_test(trailers_count_as_fields),
        cmocka_unit_test(body_has_a_limit),
        cmocka_unit_test(chunked_body_has_the_same_limit),
        cmocka_unit_test(largest_body_may_come_in_the_smallest_chunks),
        cmocka_unit_test(chunk_lines_have_a_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
