/* tool/reply.c: responses whole, byte by byte and split anywhere; ends by length, by chunks, by
 * EOF. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "tool/reply.h"

struct got {
    struct buf body;
    struct buf headers; /* NAME=VALUE;… where they were asked for */
    bool in_value;
    int status;
    bool keeps_alive;
    size_t used; /* bytes up to the end of the response */
};

static void add_body(void *arg, struct str bytes)
{
    struct got *got = arg;
    buf_add_str(&got->body, bytes);
}

/* Feeds pieces of `step` bytes until the response is complete. */
static enum reply_result read_in_steps(const char *text, size_t step, struct got *ret)
{
    struct reply_reader r;
    enum reply_result result = REPLY_MORE;
    size_t len = strlen(text), used = 0;
    *ret = (struct got){0};
    reply_reader_init(&r, NULL, add_body, ret);
    for (size_t at = 0; at < len && result == REPLY_MORE; at += step) {
        result =
            reply_reader_feed(&r, str_make(text + at, len - at < step ? len - at : step), &used);
        if (result == REPLY_COMPLETE) ret->used = at + used;
    }
    if (result == REPLY_MORE) result = reply_reader_eof(&r);
    ret->status = reply_reader_status(&r);
    ret->keeps_alive = reply_reader_keeps_alive(&r);
    return result;
}

static void expect(const char *text, int status, const char *body, bool keeps_alive, size_t used)
{
    for (size_t step = 1; step <= strlen(text); step++) {
        struct got got;
        assert_int_equal(read_in_steps(text, step, &got), REPLY_COMPLETE);
        assert_int_equal(got.status, status);
        assert_true(str_eq(buf_str(&got.body), str_of(body)));
        assert_int_equal(got.keeps_alive, keeps_alive);
        if (used > 0) assert_int_equal(got.used, used);
        buf_deinit(&got.body);
    }
}

#define OK_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void body_of_known_length(void **state)
{
    expect(OK_5, 200, "hello", true, sizeof(OK_5) - 1);
    expect("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}", 503, "{}", true, 0);
    expect("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", true, 0);
    expect("HTTP/1.1 204 No Content\r\n\r\n", 204, "", true, 0);
}

static void chunked_body(void **state)
{
    expect("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
           200, "hello", true, 0);
}

static void end_of_keep_alive_is_told(void **state)
{
    expect("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false,
           0);
    expect("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, "ab", false, 0);
}

static void body_until_eof(void **state)
{
    expect("HTTP/1.1 200 OK\r\n\r\nhello", 200, "hello", false, 0);
}

static void interim_response_is_passed_over(void **state)
{
    expect("HTTP/1.1 100 Continue\r\n\r\n" OK_5, 200, "hello", true, 0);
}

static void next_response_begins_behind_the_first(void **state)
{
    struct got got;
    assert_int_equal(read_in_steps(OK_5 OK_5, 1000, &got), REPLY_COMPLETE);
    assert_int_equal(got.used, sizeof(OK_5) - 1);
    buf_deinit(&got.body);
}

static void reader_is_used_again(void **state)
{
    struct got got = {0};
    struct reply_reader r;
    size_t used;
    for (int i = 0; i < 3; i++) {
        buf_clear(&got.body);
        reply_reader_init(&r, NULL, add_body, &got);
        assert_int_equal(reply_reader_feed(&r, STR(OK_5), &used), REPLY_COMPLETE);
        assert_true(str_eq(buf_str(&got.body), STR("hello")));
    }
    buf_deinit(&got.body);
}

static void add_header(void *arg, enum reply_header_part part, struct str bytes)
{
    struct got *got = arg;
    bool is_name = part == REPLY_HEADER_NAME;
    if (is_name && got->in_value) buf_add_lit(&got->headers, ";");
    if (!is_name && !got->in_value) buf_add_lit(&got->headers, "=");
    got->in_value = !is_name;
    buf_add_str(&got->headers, bytes);
}

static void header_fields_are_told_in_pieces(void **state)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nEtag: 7\r\nContent-Length:  5\r\n\r\nhello";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct got got = {0};
        struct reply_reader r;
        size_t used;
        reply_reader_init(&r, add_header, add_body, &got);
        for (size_t at = 0, len = sizeof(text) - 1; at < len; at += step)
            reply_reader_feed(&r, str_make(text + at, len - at < step ? len - at : step), &used);
        assert_true(str_eq(buf_str(&got.headers), STR("Etag=7;Content-Length=5")));
        assert_true(str_eq(buf_str(&got.body), STR("hello")));
        buf_deinit(&got.headers);
        buf_deinit(&got.body);
    }
}

static void eof_within_a_response_is_a_failure(void **state)
{
    for (size_t len = 0; len < sizeof(OK_5) - 1; len++) {
        struct got got;
        struct buf text = {0};
        buf_add(&text, OK_5, len);
        buf_add_char(&text, '\0');
        assert_int_equal(read_in_steps(text.ptr, 1000, &got), REPLY_FAILED);
        buf_deinit(&got.body);
        buf_deinit(&text);
    }
}

static void what_is_not_http_is_a_failure(void **state)
{
    static const char *const wrong[] = {
        "hello\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct got got;
        assert_int_equal(read_in_steps(wrong[i], 1, &got), REPLY_FAILED);
        buf_deinit(&got.body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(body_of_known_length),
        cmocka_unit_test(chunked_body),
        cmocka_unit_test(end_of_keep_alive_is_told),
        cmocka_unit_test(body_until_eof),
        cmocka_unit_test(interim_response_is_passed_over),
        cmocka_unit_test(next_response_begins_behind_the_first),
        cmocka_unit_test(reader_is_used_again),
        cmocka_unit_test(header_fields_are_told_in_pieces),
        cmocka_unit_test(eof_within_a_response_is_a_failure),
        cmocka_unit_test(what_is_not_http_is_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
