/* tool/poll_scan.c: picks the right members out of answers, however they are split, and is not
 * fooled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "core/id.h"
#include "tool/poll_scan.h"

#define SEEN_MAX 8

struct seen {
    struct poll_message messages[SEEN_MAX];
    size_t count;
};

static void see(void *arg, const struct poll_message *message)
{
    struct seen *seen = arg;
    assert_true(seen->count < SEEN_MAX);
    seen->messages[seen->count++] = *message;
}

static uint64_t id_of(const char *text)
{
    uint64_t id = 0;
    assert_int_equal(id_parse(str_of(text), &id), 0);
    return id;
}

/* Feeds in two parts, the second of them byte by byte if asked for. */
static bool scan_split(const char *text, size_t split, bool by_byte, struct poll_scan *ret,
                       struct seen *ret_seen)
{
    size_t len = strlen(text);
    *ret_seen = (struct seen){0};
    poll_scan_init(ret, see, ret_seen, true);
    poll_scan_feed(ret, str_make(text, split));
    if (!by_byte) poll_scan_feed(ret, str_make(text + split, len - split));
    for (size_t i = split; by_byte && i < len; i++) poll_scan_feed(ret, str_make(text + i, 1));
    return poll_scan_finish(ret);
}

static bool scan(const char *text, struct poll_scan *ret, struct seen *ret_seen)
{
    return scan_split(text, strlen(text), false, ret, ret_seen);
}

static const char answer[] =
    "{\"cursor\":\"AbC-_09\", \"messages\":[\n"
    "{\"id\":\"1732441234567-0\",\"at\":1732441234567,\"priority\":\"high\",\"type\":\"gift\","
    "\"from\":\"alice\",\"name\":\"Al\\\"ice\",\"body\":{\"id\":\"9-9\",\"t\":77,\"x\":[{\"t\":1}]}"
    "},"
    "{\"id\":\"1732441234570-1\",\"at\":1,\"priority\":\"normal\",\"type\":\"room.closed\","
    "\"body\":\"tr\\u00fce \\ud83d\\ude00 ]}\\\\\"},"
    "{\"body\":null,\"priority\":\"normal\",\"type\":\"text\",\"id\":\"1732441234570-2\"}"
    "],\"unknown\":{\"cursor\":\"no\",\"messages\":[{\"id\":1}]},\n"
    "\"online\":12045,\"poll_after_ms\":250,\"skipped\":3,\"gap\":true}";

static void check_answer(const struct poll_scan *s, const struct seen *seen)
{
    assert_string_equal(s->cursor, "AbC-_09");
    assert_int_equal(s->online, 12045);
    assert_int_equal(s->poll_after_ms, 250);
    assert_int_equal(s->skipped, 3);
    assert_true(s->gap);
    assert_int_equal(s->messages, 3);
    assert_int_equal(seen->count, 3);
    assert_int_equal(seen->messages[0].id, id_of("1732441234567-0"));
    assert_int_equal(seen->messages[0].list, LIST_HIGH);
    assert_int_equal(seen->messages[0].stamp, 77);
    assert_false(seen->messages[0].is_control);
    assert_int_equal(seen->messages[1].id, id_of("1732441234570-1"));
    assert_int_equal(seen->messages[1].list, LIST_NORMAL);
    assert_true(seen->messages[1].is_control);
    assert_int_equal(seen->messages[2].id, id_of("1732441234570-2"));
    assert_int_equal(seen->messages[2].stamp, 0);
}

static void answer_is_read_whole(void **state)
{
    struct poll_scan s;
    struct seen seen;
    assert_true(scan(answer, &s, &seen));
    check_answer(&s, &seen);
}

static void answer_is_read_byte_by_byte(void **state)
{
    struct poll_scan s;
    struct seen seen;
    assert_true(scan_split(answer, 0, true, &s, &seen));
    check_answer(&s, &seen);
}

static void answer_is_read_split_at_every_position(void **state)
{
    struct poll_scan whole, s;
    struct seen seen_whole, seen;
    assert_true(scan(answer, &whole, &seen_whole));
    for (size_t split = 0; split <= strlen(answer); split++) {
        assert_true(scan_split(answer, split, false, &s, &seen));
        check_answer(&s, &seen);
        for (size_t i = 0; i < seen.count; i++)
            assert_int_equal(seen.messages[i].content, seen_whole.messages[i].content);
    }
}

static void cut_short_answer_is_not_whole(void **state)
{
    struct poll_scan s;
    struct seen seen = {0};
    for (size_t len = 0; len < strlen(answer); len++) {
        poll_scan_init(&s, see, &seen, false);
        seen.count = 0;
        poll_scan_feed(&s, str_make(answer, len));
        assert_false(poll_scan_finish(&s));
    }
}

static void send_and_problem_are_read(void **state)
{
    struct poll_scan s;
    struct seen seen;
    assert_true(scan("{\"id\":\"5-6\",\"at\":5,\"duplicate\":true}", &s, &seen));
    assert_int_equal(s.id, id_of("5-6"));
    assert_true(s.duplicate);
    assert_true(scan("{\"status\":429,\"code\":\"room_rate\",\"title\":\"x\",\"detail\":\"y\","
                     "\"retry_after_ms\":800}",
                     &s, &seen));
    assert_string_equal(s.code, "room_rate");
    assert_int_equal(s.retry_after_ms, 800);
}

static void wrong_answers_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        " ",
        "null",
        "[]",
        "{",
        "{]",
        "{}}",
        "{} x",
        "{\"cursor\":5}",
        "{\"online\":\"5\"}",
        "{\"online\":-5}",
        "{\"online\":1.5}",
        "{\"gap\":0}",
        "{\"skipped\":[]}",
        "{\"id\":{}}",
        "{\"messages\":{}}",
        "{\"messages\":\"\"}",
        "{\"messages\":[{}]}",
        "{\"messages\":[{\"id\":\"5-6\"}]}",
        "{\"messages\":[{\"priority\":\"high\"}]}",
        "{\"messages\":[{\"id\":\"5\",\"priority\":\"high\"}]}",
        "{\"messages\":[{\"id\":\"5-6\",\"priority\":\"low\"}]}",
        "{\"messages\":[{\"id\":\"5-6\",\"priority\":\"high\",\"body\":\"\\ud83d\"}]}",
        "{\"messages\":[{\"id\":\"5-6\",\"priority\":\"high\",\"body\":\"\\ude00\"}]}",
        "{\"messages\":[{\"id\":\"5-6\",\"priority\":\"high\",\"body\":\"\\x\"}]}",
    };
    struct poll_scan s;
    struct seen seen;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (scan(wrong[i], &s, &seen)) fail_msg("taken: %s", wrong[i]);
}

static void nesting_too_deep_is_refused(void **state)
{
    struct buf text = {0};
    struct poll_scan s;
    buf_add_lit(&text, "{\"x\":");
    for (int i = 0; i < POLL_SCAN_DEPTH; i++) buf_add_char(&text, '[');
    poll_scan_init(&s, NULL, NULL, false);
    poll_scan_feed(&s, buf_str(&text));
    assert_true(s.failed);
    buf_deinit(&text);
}

static void long_names_and_strings_are_passed_over(void **state)
{
    struct buf text = {0};
    struct poll_scan s;
    buf_add_lit(&text, "{\"online");
    for (int i = 0; i < 1000; i++) buf_add_char(&text, 'x');
    buf_add_lit(&text, "\":\"no number\",\"pad\":\"");
    for (int i = 0; i < 100000; i++) buf_add_char(&text, 'x');
    buf_add_lit(&text, "\",\"online\":7}");
    poll_scan_init(&s, NULL, NULL, false);
    for (size_t at = 0; at < text.len; at += 10)
        poll_scan_feed(&s, str_make(text.ptr + at, text.len - at < 10 ? text.len - at : 10));
    assert_true(poll_scan_finish(&s));
    assert_int_equal(s.online, 7);
    buf_deinit(&text);
}

static uint64_t content_in_answer(const char *members)
{
    struct buf text = {0};
    struct poll_scan s;
    struct seen seen;
    buf_printf(&text, "{\"messages\":[{\"id\":\"5-6\",\"priority\":\"high\",%s}]}%c", members, 0);
    assert_true(scan(text.ptr, &s, &seen));
    buf_deinit(&text);
    return seen.messages[0].content;
}

static void content_is_what_a_message_means(void **state)
{
    uint64_t sent =
        poll_scan_content(STR("text"), STR("al\"i"),
                          STR("{\"a\":[1,2.5,null,\"\xc3\xbc\\n\xf0\x9f\x98\x80/\"],\"b\":{}}"));
    assert_int_equal(
        sent, content_in_answer("\"type\":\"text\",\"from\":\"al\\\"i\",\"body\":"
                                "{\"a\":[1,2.5,null,\"\xc3\xbc\\n\xf0\x9f\x98\x80/\"],\"b\":{}}"));
    /* Other blanks, other escapes, other order of the message's own members. */
    assert_int_equal(
        sent, content_in_answer("\"body\" : { \"a\":[ 1 ,2.5,null , \"\\u00FC\\u000a"
                                "\\ud83d\\uDE00\\/\"],\n\"b\": {} }, \"from\":\"al\\u0022i\","
                                "\"type\":\"text\""));
}

static void content_differs_where_the_meaning_does(void **state)
{
    static const char *const bodies[] = {
        "\"ab\"",
        "\"a\"",
        "[\"a\",\"b\"]",
        "[\"ab\"]",
        "[\"a\"]",
        "[[\"a\"],\"b\"]",
        "{\"a\":\"b\"}",
        "1",
        "12",
        "[1,2]",
        "[12]",
        "null",
        "\"null\"",
        "true",
        "\"\"",
        "[]",
        "{}",
        "\"a \"",
        "\"[]\"",
        "[\"\"]",
        "{\"a\":1,\"b\":2}",
        "{\"a\":1}",
    };
    uint64_t seen[sizeof(bodies) / sizeof(bodies[0])];
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        seen[i] = poll_scan_content(STR("text"), STR("a"), str_of(bodies[i]));
        assert_int_not_equal(seen[i], 0);
        for (size_t j = 0; j < i; j++)
            if (seen[i] == seen[j]) fail_msg("%s == %s", bodies[i], bodies[j]);
    }
    uint64_t one = poll_scan_content(STR("text"), STR("a"), STR("1"));
    assert_int_not_equal(one, poll_scan_content(STR("a"), STR("text"), STR("1")));
    assert_int_not_equal(one, poll_scan_content(STR("text"), STR("b"), STR("1")));
}

static void content_costs_nothing_unless_asked_for(void **state)
{
    struct poll_scan s;
    struct seen seen = {0};
    poll_scan_init(&s, see, &seen, false);
    poll_scan_feed(&s, str_of(answer));
    assert_true(poll_scan_finish(&s));
    assert_int_equal(seen.messages[0].content, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answer_is_read_whole),
        cmocka_unit_test(answer_is_read_byte_by_byte),
        cmocka_unit_test(answer_is_read_split_at_every_position),
        cmocka_unit_test(cut_short_answer_is_not_whole),
        cmocka_unit_test(send_and_problem_are_read),
        cmocka_unit_test(wrong_answers_are_refused),
        cmocka_unit_test(nesting_too_deep_is_refused),
        cmocka_unit_test(long_names_and_strings_are_passed_over),
        cmocka_unit_test(content_is_what_a_message_means),
        cmocka_unit_test(content_differs_where_the_meaning_does),
        cmocka_unit_test(content_costs_nothing_unless_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
