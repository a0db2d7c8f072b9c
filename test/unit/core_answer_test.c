/* core/answer.c: the object that readers get, byte by byte. */
#include "core/answer.h"
#include "unit/core_fixture.h"

/* The cursor of all zeroes but its version: 37 bytes, of which the first is 1. */
#define ZERO_CURSOR "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

static void assert_answer(const struct answer *answer, const char *expected)
{
    struct buf out = {0};

    answer_write(&out, answer);
    buf_add_char(&out, '\0');
    assert_string_equal(out.ptr, expected);
    buf_deinit(&out);
}

static void an_empty_answer_has_every_member(void **state)
{
    struct answer answer = {0};

    assert_answer(&answer, "{\"cursor\":\"" ZERO_CURSOR "\",\"messages\":[],\"online\":0,"
                           "\"poll_after_ms\":0,\"skipped\":0,\"gap\":false}");
}

static void numbers_are_written_in_full(void **state)
{
    struct answer answer = {
        .online = UINT64_MAX, .poll_after_ms = UINT32_MAX, .skipped = UINT64_MAX, .gap = true};

    assert_answer(&answer, "{\"cursor\":\"" ZERO_CURSOR "\",\"messages\":[],"
                           "\"online\":18446744073709551615,\"poll_after_ms\":4294967295,"
                           "\"skipped\":18446744073709551615,\"gap\":true}");
}

static void messages_follow_each_other(void **state)
{
    struct frame_bin bin = {0};
    struct frame *frames[] = {fixture_frame(&bin, LIST_HIGH, 1, 0),
                              fixture_frame(&bin, LIST_NORMAL, 2, 0)};
    struct answer answer = {.frames = frames, .count = 2, .online = 3};

    assert_answer(&answer, "{\"cursor\":\"" ZERO_CURSOR "\",\"messages\":["
                           "{\"id\":\"0-2\",\"at\":0,\"priority\":\"high\",\"type\":\"text\","
                           "\"from\":\"alice\",\"body\":1},"
                           "{\"id\":\"0-5\",\"at\":0,\"priority\":\"normal\",\"type\":\"text\","
                           "\"from\":\"alice\",\"body\":2}"
                           "],\"online\":3,\"poll_after_ms\":0,\"skipped\":0,\"gap\":false}");
    frame_unref(frames[0]);
    frame_unref(frames[1]);
    frame_bin_empty(&bin);
}

static void an_anonymous_reader_is_told_its_name(void **state)
{
    struct answer answer = {.user = STR("anon-\"1")};

    assert_answer(&answer,
                  "{\"cursor\":\"" ZERO_CURSOR "\",\"messages\":[],\"online\":0,"
                  "\"poll_after_ms\":0,\"skipped\":0,\"gap\":false,\"user\":\"anon-\\\"1\"}");
}

static void an_answer_is_added_to_what_is_there(void **state)
{
    struct answer answer = {0};
    struct buf out = {0};

    buf_add_lit(&out, "data: ");
    answer_write(&out, &answer);
    assert_memory_equal(out.ptr, "data: {\"cursor\":", 16);
    buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_answer_has_every_member),
        cmocka_unit_test(numbers_are_written_in_full),
        cmocka_unit_test(messages_follow_each_other),
        cmocka_unit_test(an_anonymous_reader_is_told_its_name),
        cmocka_unit_test(an_answer_is_added_to_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
