/* tool/recording.c: what a recording may hold, and that errors say where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/recording.h"

static int read_text(const char *text, struct recording *ret, struct buf *why)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    assert_non_null(file);
    int err = recording_read(file, "chat", ret, why);
    fclose(file);
    return err;
}

static bool is(struct str s, const char *text)
{
    return str_eq(s, str_of(text));
}

static void messages_are_read(void **state)
{
    struct recording r;
    struct buf why = {0};
    assert_int_equal(
        read_text("{\"t_ms\":0,\"user\":\"u1\",\"body\":\"hi\"}\n"
                  "\n"
                  "{\"t_ms\":259, \"user\":\"\xc3\xbc\", \"type\":\"gift\", \"priority\":\"high\","
                  " \"body\": {\"gift\": \"rose\", \"count\": 2}, \"synthetic\":true}\r\n"
                  "{\"t_ms\":259,\"user\":\"u1\",\"body\":null}",
                  &r, &why),
        0);
    assert_int_equal(r.count, 3);
    assert_int_equal(r.messages[0].t_ms, 0);
    assert_int_equal(r.messages[0].list, LIST_NORMAL);
    assert_true(is(r.messages[0].type, "text") && is(r.messages[0].from, "u1"));
    assert_true(is(r.messages[0].body, "\"hi\""));
    assert_int_equal(r.messages[1].t_ms, 259);
    assert_int_equal(r.messages[1].list, LIST_HIGH);
    assert_true(is(r.messages[1].type, "gift") && is(r.messages[1].from, "\xc3\xbc"));
    assert_true(is(r.messages[1].body, "{\"gift\":\"rose\",\"count\":2}"));
    assert_true(is(r.messages[2].body, "null"));
    recording_deinit(&r);
}

static void many_messages_keep_their_texts(void **state)
{
    struct recording r;
    struct buf why = {0}, text = {0};
    for (int i = 0; i < 3000; i++)
        buf_printf(&text, "{\"t_ms\":%d,\"user\":\"u%d\",\"body\":%d}\n", i, i % 7, i);
    buf_add_char(&text, '\0');
    assert_int_equal(read_text(text.ptr, &r, &why), 0);
    assert_int_equal(r.count, 3000);
    assert_true(is(r.messages[0].from, "u0") && is(r.messages[0].body, "0"));
    assert_true(is(r.messages[2999].from, "u3") && is(r.messages[2999].body, "2999"));
    recording_deinit(&r);
    buf_deinit(&text);
}

static void errors_say_where(void **state)
{
    static const struct {
        const char *text, *where;
    } wrong[] = {
        {"\n", "chat:1: "},
        {"{\"t_ms\":0,\"user\":\"a\",\"body\":1}\nnope\n", "chat:2: is not a JSON object"},
        {"[]", "chat:1: is not a JSON object"},
        {"{\"user\":\"a\",\"body\":1}", "chat:1: t_ms is missing"},
        {"{\"t_ms\":-1,\"user\":\"a\",\"body\":1}", "chat:1: "},
        {"{\"t_ms\":0,\"body\":1}", "chat:1: user is missing"},
        {"{\"t_ms\":0,\"user\":\"\",\"body\":1}", "chat:1: user is missing"},
        {"{\"t_ms\":0,\"user\":\"a\"}", "chat:1: body is missing"},
        {"{\"t_ms\":0,\"user\":\"a\",\"body\":1,\"type\":\"room.x\"}", "chat:1: type must be"},
        {"{\"t_ms\":0,\"user\":\"a\",\"body\":1,\"priority\":\"low\"}", "chat:1: priority must"},
        {"{\"t_ms\":5,\"user\":\"a\",\"body\":1}\n{\"t_ms\":4,\"user\":\"a\",\"body\":1}",
         "chat:2: t_ms is less"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct recording r;
        struct buf why = {0};
        assert_int_equal(read_text(wrong[i].text, &r, &why), -1);
        if (!str_starts(buf_str(&why), str_of(wrong[i].where)))
            fail_msg("%s: %.*s", wrong[i].where, STR_ARG(buf_str(&why)));
        buf_deinit(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_read),
        cmocka_unit_test(many_messages_keep_their_texts),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
