/* http/response.c: the exact bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "http/json_read.h"
#include "http/response.h"

static void writes(struct http_response response, const char *want)
{
    struct buf b = {0};

    http_response_write(&b, &response);
    buf_add_char(&b, '\0');
    assert_string_equal(b.ptr, want);
    buf_deinit(&b);
}

static void response_with_a_body(void **state)
{
    (void)state;
    writes((struct http_response){.status = 200,
                                  .content_type = STR("application/json"),
                                  .body = STR("{}"),
                                  .keep_alive = true},
           "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
}

static void response_with_an_empty_body(void **state)
{
    (void)state;
    writes((struct http_response){.status = 200,
                                  .content_type = STR("text/plain"),
                                  .keep_alive = true},
           "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
}

static void response_without_a_type_has_no_body(void **state)
{
    (void)state;
    writes((struct http_response){.status = 202, .body = STR("x"), .keep_alive = true},
           "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
}

static void response_that_closes_says_so(void **state)
{
    (void)state;
    writes((struct http_response){.status = 400,
                                  .content_type = STR("text/plain"),
                                  .extra_headers = STR("A: b\r\nC: d\r\n"),
                                  .body = STR("no")},
           "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n"
           "Connection: close\r\nA: b\r\nC: d\r\n\r\nno");
}

static void response_to_head_has_the_length_but_no_body(void **state)
{
    (void)state;
    writes((struct http_response){.status = 200,
                                  .content_type = STR("text/plain"),
                                  .body = STR("hello"),
                                  .keep_alive = true,
                                  .head_only = true},
           "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
}

static void some_statuses_never_have_a_body(void **state)
{
    (void)state;
    struct http_response r = {
        .content_type = STR("text/plain"), .body = STR("x"), .keep_alive = true};

    r.status = 204;
    writes(r, "HTTP/1.1 204 No Content\r\n\r\n");
    r.status = 304;
    writes(r, "HTTP/1.1 304 Not Modified\r\n\r\n");
    r.status = 101;
    r.extra_headers = STR("Upgrade: websocket\r\nConnection: Upgrade\r\n");
    writes(r,
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
}

static void every_error_has_a_status_text(void **state)
{
    (void)state;
    for (int i = 0; i < ERROR_COUNT; i++)
        assert_string_not_equal(http_status_text(error_status(-1 - i)), "Unknown");
}

static void problem_has_the_fields_of_the_protocol(void **state)
{
    (void)state;
    struct buf b = {0};

    problem_write(&b, ERR_USER_RATE, NULL, 800);
    assert_true(
        str_eq(buf_str(&b),
               STR("{\"status\":429,\"code\":\"user_rate\",\"title\":\"Too many messages from "
                   "this user\",\"detail\":\"Wait retry_after_ms, then send again.\","
                   "\"retry_after_ms\":800}")));
    buf_clear(&b);
    problem_write(&b, ERR_BAD_JSON, "Say \"a\".", -1);
    assert_true(
        str_eq(buf_str(&b), STR("{\"status\":400,\"code\":\"bad_json\",\"title\":\"Malformed "
                                "JSON\",\"detail\":\"Say \\\"a\\\".\"}")));
    buf_deinit(&b);
}

static void every_problem_is_json(void **state)
{
    (void)state;
    for (int i = 0; i < ERROR_COUNT; i++) {
        struct json_reader r;
        struct buf b = {0};
        uint32_t status = 0;
        problem_write(&b, -1 - i, NULL, 0);
        assert_int_equal(json_reader_init(&r, buf_str(&b)), 0);
        json_get_u32(&r, "status", 599, &status);
        assert_int_equal(status, error_status(-1 - i));
        json_reader_deinit(&r);
        buf_deinit(&b);
    }
}

static void retry_after_gives(int64_t ms, const char *want)
{
    struct buf b = {0};

    retry_after_write(&b, ms);
    assert_true(str_eq(buf_str(&b), str_of(want)));
    buf_deinit(&b);
}

static void retry_after_is_rounded_up(void **state)
{
    (void)state;
    retry_after_gives(-1, "");
    retry_after_gives(0, "Retry-After: 0\r\n");
    retry_after_gives(1, "Retry-After: 1\r\n");
    retry_after_gives(1000, "Retry-After: 1\r\n");
    retry_after_gives(1001, "Retry-After: 2\r\n");
    retry_after_gives(INT64_MAX, "Retry-After: 9223372036854776\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(response_with_a_body),
        cmocka_unit_test(response_with_an_empty_body),
        cmocka_unit_test(response_without_a_type_has_no_body),
        cmocka_unit_test(response_that_closes_says_so),
        cmocka_unit_test(response_to_head_has_the_length_but_no_body),
        cmocka_unit_test(some_statuses_never_have_a_body),
        cmocka_unit_test(every_error_has_a_status_text),
        cmocka_unit_test(problem_has_the_fields_of_the_protocol),
        cmocka_unit_test(every_problem_is_json),
        cmocka_unit_test(retry_after_is_rounded_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
