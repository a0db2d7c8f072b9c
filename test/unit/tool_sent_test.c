/* tool/sent.c: what a viewer sees against what was sent, before and after the acknowledgement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tool/sent.h"

static enum sent_verdict look(struct sent *s, uint64_t id, uint64_t content, int64_t *ret_sent_us)
{
    struct poll_message m = {.id = id, .list = LIST_NORMAL, .content = content};
    return sent_look(s, &m, ret_sent_us);
}

static void acknowledged_message_is_ours(void **state)
{
    struct sent s = {0};
    int64_t sent_us = 0;
    for (uint64_t i = 1; i <= 3000; i++) {
        sent_begin(&s, LIST_NORMAL, 1000 + i, (int64_t)i);
        sent_acknowledge(&s, LIST_NORMAL, 10 * i);
    }
    assert_int_equal(look(&s, 10 * 1234, 1000 + 1234, &sent_us), SENT_OURS);
    assert_int_equal(sent_us, 1234);
    assert_int_equal(sent_last_id(&s, LIST_NORMAL), 30000);
    assert_int_equal(sent_last_id(&s, LIST_HIGH), 0);
    sent_deinit(&s);
}

static void message_seen_before_its_acknowledgement_is_ours(void **state)
{
    struct sent s = {0};
    int64_t sent_us = 0;
    sent_begin(&s, LIST_NORMAL, 7, 42);
    assert_int_equal(look(&s, 100, 7, &sent_us), SENT_OURS);
    assert_int_equal(sent_us, 42);
    assert_int_equal(look(&s, 100, 7, &sent_us), SENT_OURS); /* another viewer */
    sent_acknowledge(&s, LIST_NORMAL, 100);
    assert_int_equal(look(&s, 100, 7, &sent_us), SENT_OURS);
    assert_int_equal(s.wrong_content + s.stored_twice + s.foreign, 0);
    sent_deinit(&s);
}

static void wrong_content_is_found(void **state)
{
    struct sent s = {0};
    int64_t sent_us;
    sent_begin(&s, LIST_NORMAL, 7, 42);
    sent_acknowledge(&s, LIST_NORMAL, 100);
    assert_int_equal(look(&s, 100, 8, &sent_us), SENT_WRONG);
    assert_int_equal(s.wrong_content, 1);
    sent_deinit(&s);
}

static void wrong_content_before_the_acknowledgement_is_found_with_it(void **state)
{
    struct sent s = {0};
    int64_t sent_us;
    sent_begin(&s, LIST_NORMAL, 7, 42);
    assert_int_equal(look(&s, 100, 8, &sent_us), SENT_FOREIGN);
    assert_int_equal(s.wrong_content, 0);
    sent_acknowledge(&s, LIST_NORMAL, 100);
    assert_int_equal(s.wrong_content, 1);
    sent_deinit(&s);
}

static void message_stored_twice_is_found(void **state)
{
    struct sent s = {0};
    int64_t sent_us;
    sent_begin(&s, LIST_NORMAL, 7, 42);
    assert_int_equal(look(&s, 100, 7, &sent_us), SENT_OURS);
    assert_int_equal(look(&s, 101, 7, &sent_us), SENT_TWICE);
    sent_acknowledge(&s, LIST_NORMAL, 101); /* a retry without its key was given a second id */
    assert_int_equal(s.stored_twice, 2);
    assert_int_equal(look(&s, 102, 7, &sent_us), SENT_TWICE);
    sent_deinit(&s);
}

static void others_and_the_server_may_write_too(void **state)
{
    struct sent s = {0};
    int64_t sent_us;
    struct poll_message control = {.id = 5, .list = LIST_HIGH, .content = 9, .is_control = true};
    assert_int_equal(sent_look(&s, &control, &sent_us), SENT_FOREIGN);
    assert_int_equal(s.foreign, 0);
    assert_int_equal(look(&s, 6, 9, &sent_us), SENT_FOREIGN);
    assert_int_equal(s.foreign, 1);
    sent_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_message_is_ours),
        cmocka_unit_test(message_seen_before_its_acknowledgement_is_ours),
        cmocka_unit_test(wrong_content_is_found),
        cmocka_unit_test(wrong_content_before_the_acknowledgement_is_found_with_it),
        cmocka_unit_test(message_stored_twice_is_found),
        cmocka_unit_test(others_and_the_server_may_write_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
