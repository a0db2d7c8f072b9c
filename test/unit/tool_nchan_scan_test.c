/* tool/nchan_scan.c: answers of nchan's long poll, split at every position; ids that grow; answers
 * that have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/nchan_scan.h"

#define DATE "Tue, 24 Nov 2026 14:32:32 GMT"

struct field {
    const char *name, *value;
};

static void feed_in_steps(const char *text, size_t step, struct nchan_scan *s, bool is_body,
                          enum reply_header_part part)
{
    for (size_t at = 0, len = strlen(text); at < len; at += step) {
        struct str piece = str_make(text + at, len - at < step ? len - at : step);
        if (is_body)
            nchan_scan_body(s, piece);
        else
            nchan_scan_header(s, part, piece);
    }
}

static bool scan_in_steps(const struct field *fields, const char *body, size_t step,
                          struct poll_message *ret_message, char ret_cursor[POLL_SCAN_CURSOR])
{
    struct nchan_scan s;
    nchan_scan_init(&s);
    for (size_t i = 0; fields[i].name != NULL; i++) {
        feed_in_steps(fields[i].name, step, &s, false, REPLY_HEADER_NAME);
        feed_in_steps(fields[i].value, step, &s, false, REPLY_HEADER_VALUE);
    }
    feed_in_steps(body, step, &s, true, REPLY_HEADER_NAME);
    return nchan_scan_finish(&s, ret_message, ret_cursor);
}

static struct poll_message scan(const char *date, const char *tag, const char *body)
{
    const struct field fields[] = {{"Last-Modified", date}, {"Etag", tag}, {NULL, NULL}};
    struct poll_message message;
    char cursor[POLL_SCAN_CURSOR];
    assert_true(scan_in_steps(fields, body, 1000, &message, cursor));
    return message;
}

static void answer_may_be_split_anywhere(void **state)
{
    static const struct field fields[] = {
        {"Server", "nginx/1.22.1"},
        {"Date", "Mon, 01 Jan 2024 00:00:00 GMT"},
        {"Content-Length", "17"},
        {"last-modified", DATE},
        {"X-A-Name-That-Is-Longer-Than-Any-That-Is-Looked-For",
         "and its value, which is long too ..."},
        {"Etag", "7"},
        {"Vary", "If-None-Match, If-Modified-Since"},
        {NULL, NULL},
    };
    for (size_t step = 1; step < 64; step++) {
        struct poll_message m;
        char cursor[POLL_SCAN_CURSOR];
        assert_true(scan_in_steps(fields, "{\"t\":1234567,\"pad\":\"x\"}", step, &m, cursor));
        assert_int_equal(m.id, UINT64_C(1795530752) << 16 | 7);
        assert_int_equal(m.list, LIST_NORMAL);
        assert_int_equal(m.stamp, 1234567);
        assert_false(m.is_control);
        assert_string_equal(cursor, "If-Modified-Since: " DATE "\r\nIf-None-Match: 7\r\n");
    }
}

static void ids_grow_with_the_second_and_within_it(void **state)
{
    uint64_t first = scan(DATE, "0", "").id, second = scan(DATE, "1", "").id;
    uint64_t later = scan("Tue, 24 Nov 2026 14:32:33 GMT", "0", "").id;
    assert_true(first < second);
    assert_true(second < later);
}

static void stamp_is_that_of_a_published_message(void **state)
{
    assert_int_equal(scan(DATE, "0", "{\"t\":5,\"pad\":\"\"}").stamp, 5);
    assert_int_equal(scan(DATE, "0", "{\"first\":true}").stamp, 0);
    assert_int_equal(scan(DATE, "0", "{\"t\":x,\"pad\":\"\"}").stamp, 0);
    assert_int_equal(scan(DATE, "0", "{\"t\":5").stamp, 0);
    assert_int_equal(scan(DATE, "0", "").stamp, 0);
}

static void answer_without_a_readable_id_is_none(void **state)
{
    static const struct field wrong[][3] = {
        {{NULL, NULL}},
        {{"Etag", "0"}, {NULL, NULL}},
        {{"Last-Modified", DATE}, {NULL, NULL}},
        {{"Last-Modified", "yesterday"}, {"Etag", "0"}, {NULL, NULL}},
        {{"Last-Modified", DATE " and more"}, {"Etag", "0"}, {NULL, NULL}},
        {{"Last-Modified", "Thu, 01 Jan 1970 00:00:00 GMT"}, {"Etag", "0"}, {NULL, NULL}},
        {{"Last-Modified", DATE}, {"Etag", "\"0\""}, {NULL, NULL}},
        {{"Last-Modified", DATE}, {"Etag", "65536"}, {NULL, NULL}},
        {{"Last-Modified", DATE},
         {"Etag", "0000000000000000000000000000000000000000000000000000000001"},
         {NULL, NULL}},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct poll_message message = {.id = 42};
        char cursor[POLL_SCAN_CURSOR] = "kept";
        assert_false(scan_in_steps(wrong[i], "{}", 1000, &message, cursor));
        assert_int_equal(message.id, 42);
        assert_string_equal(cursor, "kept");
    }
}

static void scan_is_used_again(void **state)
{
    struct nchan_scan s;
    struct poll_message message;
    char cursor[POLL_SCAN_CURSOR];
    for (int i = 0; i < 2; i++) {
        nchan_scan_init(&s);
        assert_false(nchan_scan_finish(&s, &message, cursor));
        nchan_scan_header(&s, REPLY_HEADER_NAME, STR("Etag"));
        nchan_scan_header(&s, REPLY_HEADER_VALUE, STR("1"));
        nchan_scan_header(&s, REPLY_HEADER_NAME, STR("Last-Modified"));
        nchan_scan_header(&s, REPLY_HEADER_VALUE, STR(DATE));
        assert_true(nchan_scan_finish(&s, &message, cursor));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_may_be_split_anywhere),
        cmocka_unit_test(ids_grow_with_the_second_and_within_it),
        cmocka_unit_test(stamp_is_that_of_a_published_message),
        cmocka_unit_test(answer_without_a_readable_id_is_none),
        cmocka_unit_test(scan_is_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
