/* sim/check.c can fail: a history that keeps all the rules, and for each rule the same history with
 * that one broken.
 *
 * The room: high 1..6 and normal 1..6, of which number n was stored in millisecond n * 100. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "core/id.h"
#include "sim/check.h"

#define STORED 6

struct history {
    struct check_room room;
    struct check_reader reader;
    struct check_rules rules;
};

/* Bodies of high messages are 0..5, those of normal ones 6..11. */
static uint64_t body_of(enum list_kind list, uint64_t number)
{
    return number - 1 + (list == LIST_NORMAL ? STORED : 0);
}

static uint64_t id_of(enum list_kind list, uint64_t number)
{
    return number == 0 ? 0 : ((number * 100) << ID_SEQ_BITS) + (list == LIST_NORMAL);
}

static struct check_entry entry(enum list_kind list, uint64_t number)
{
    return (struct check_entry){
        .list = list, .id = id_of(list, number), .body = body_of(list, number)};
}

/* An answer whose cursor is at these numbers. */
static struct check_answer answer_at(int64_t answered_ms, uint64_t high, uint64_t normal)
{
    return (struct check_answer){
        .limit = 3,
        .timeout_ms = 100,
        .polled_ms = answered_ms - 100,
        .answered_ms = answered_ms,
        .cursor = {.high = id_of(LIST_HIGH, high), .normal = id_of(LIST_NORMAL, normal)}};
}

/* Joins at high 1 and normal 1, then gets high 2-3 and normal 4 with two skipped, then high 4-6 and
 * normal 5-6. */
static int setup(void **state)
{
    struct history *h = xcalloc(1, sizeof *h);
    struct check_entry join[] = {entry(LIST_HIGH, 1), entry(LIST_NORMAL, 1)};
    struct check_entry second[] = {entry(LIST_HIGH, 2), entry(LIST_HIGH, 3), entry(LIST_NORMAL, 4)};
    struct check_entry third[] = {entry(LIST_HIGH, 4), entry(LIST_HIGH, 5), entry(LIST_HIGH, 6),
                                  entry(LIST_NORMAL, 5), entry(LIST_NORMAL, 6)};
    struct check_answer answers[] = {answer_at(150, 1, 1), answer_at(450, 3, 4),
                                     answer_at(700, 6, 6)};
    for (uint64_t number = 1; number <= STORED; number++)
        for (int list = 0; list < LIST_KINDS; list++)
            check_room_add(&h->room, (enum list_kind)list, id_of((enum list_kind)list, number),
                           body_of((enum list_kind)list, number));
    answers[0].is_join = true;
    answers[0].entries = join;
    answers[0].count = 2;
    answers[1].entries = second;
    answers[1].count = 3;
    answers[1].skipped = 2;
    answers[2].entries = third;
    answers[2].count = 5;
    for (size_t i = 0; i < 3; i++) check_reader_add(&h->reader, &answers[i]);
    *state = h;
    return 0;
}

static int teardown(void **state)
{
    struct history *h = *state;
    check_room_deinit(&h->room);
    check_reader_deinit(&h->reader);
    free(h);
    return 0;
}

static void assert_wrong(const struct history *h, const char *what, size_t where)
{
    size_t answer = 99;
    const char *wrong = check_answers(&h->room, &h->reader, &h->rules, &answer);
    assert_non_null(wrong);
    assert_string_equal(wrong, what);
    assert_int_equal(answer, where);
}

static struct check_answer *answer(struct history *h, size_t index)
{
    return &h->reader.answers[index];
}

static void drop_entry(struct check_answer *a, size_t index)
{
    for (size_t i = index + 1; i < a->count; i++) a->entries[i - 1] = a->entries[i];
    a->count--;
}

static void the_whole_history_is_right(void **state)
{
    struct history *h = *state;
    size_t where;
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
    assert_null(check_has_seen_all(&h->room, &h->reader));
}

/* --- high messages ---------------------------------------------------------------------------- */

static void a_lost_high_message_is_seen(void **state)
{
    struct history *h = *state;
    drop_entry(answer(h, 1), 0);
    assert_wrong(h, "a high message is missing and no gap was told", 1);
}

static void a_lost_last_high_message_is_seen(void **state)
{
    struct history *h = *state;
    drop_entry(answer(h, 2), 2);
    assert_wrong(h, "a high message is missing and no gap was told", 2);
}

static void a_repeated_high_message_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->entries[1] = entry(LIST_HIGH, 2);
    assert_wrong(h, "a high message came twice or out of order", 1);
}

static void high_messages_out_of_order_are_seen(void **state)
{
    struct history *h = *state;
    h->rules.empty_before_timeout = true;
    answer(h, 1)->gap = true; /* even if one would be allowed to miss */
    h->room.retention[LIST_HIGH].max_count = 1;
    answer(h, 1)->entries[0] = entry(LIST_HIGH, 3);
    answer(h, 1)->entries[1] = entry(LIST_HIGH, 2);
    assert_wrong(h, "a high message came twice or out of order", 1);
}

static void an_invented_high_message_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->entries[1].id++;
    assert_wrong(h, "a high message was never stored", 1);
}

static void a_changed_body_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->entries[1].body = 77;
    assert_wrong(h, "a high message was never stored", 1);
}

static void a_cursor_behind_its_high_messages_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->cursor.high = id_of(LIST_HIGH, 2);
    assert_wrong(h, "the cursor is behind the high messages it came with", 1);
}

static void a_high_message_behind_a_normal_one_is_seen(void **state)
{
    struct history *h = *state;
    struct check_entry *entries = answer(h, 1)->entries;
    entries[1] = entry(LIST_NORMAL, 4);
    entries[2] = entry(LIST_HIGH, 3);
    answer(h, 1)->cursor.high = id_of(LIST_HIGH, 2);
    assert_wrong(h, "a high message came behind a normal one", 1);
}

/* --- gaps ------------------------------------------------------------------------------------- */

/* High 2 was gone by 450, and the reader was told. */
static void miss_the_second(struct history *h)
{
    h->room.retention[LIST_HIGH].max_age_ms = 240;
    drop_entry(answer(h, 1), 0);
    answer(h, 1)->gap = true;
}

static void a_gap_that_is_told_is_right(void **state)
{
    struct history *h = *state;
    size_t where;
    miss_the_second(h);
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
    h->room.retention[LIST_HIGH] = (struct store_retention){.max_count = 2}; /* 3 and 4 are newer */
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
}

static void a_gap_that_is_not_told_is_seen(void **state)
{
    struct history *h = *state;
    miss_the_second(h);
    answer(h, 1)->gap = false;
    assert_wrong(h, "a high message is missing and no gap was told", 1);
}

static void a_gap_over_what_was_kept_is_seen(void **state)
{
    struct history *h = *state;
    miss_the_second(h);
    h->room.retention[LIST_HIGH].max_age_ms = 300;
    assert_wrong(h, "a high message is missing that was still kept", 1);
    h->room.retention[LIST_HIGH] = (struct store_retention){.max_count = 3};
    assert_wrong(h, "a high message is missing that was still kept", 1);
}

static void a_gap_without_reason_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->gap = true;
    assert_wrong(h, "a gap was told and nothing is missing", 1);
}

/* --- normal messages -------------------------------------------------------------------------- */

static void a_normal_message_that_is_not_counted_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->skipped = 1;
    assert_wrong(h, "received and skipped are not what was stored", 1);
    answer(h, 1)->skipped = 3;
    assert_wrong(h, "received and skipped are not what was stored", 1);
}

static void a_lost_normal_message_is_seen(void **state)
{
    struct history *h = *state;
    drop_entry(answer(h, 2), 3);
    assert_wrong(h, "received and skipped are not what was stored", 2);
}

static void a_repeated_normal_message_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 2)->entries[3] = entry(LIST_NORMAL, 4);
    assert_wrong(h, "a normal message came twice or out of order", 2);
}

static void an_invented_normal_message_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 2)->entries[3].id++;
    assert_wrong(h, "a normal message was never stored", 2);
}

static void old_ones_instead_of_the_newest_are_seen(void **state)
{
    struct history *h = *state;
    answer(h, 1)->entries[2] = entry(LIST_NORMAL, 3);
    assert_wrong(h, "the newest normal message is not the last", 1);
}

static void a_cursor_that_goes_back_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 2)->cursor.normal = id_of(LIST_NORMAL, 2);
    assert_wrong(h, "the cursor went back", 2);
}

static void more_than_the_limit_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 2)->limit = 1;
    assert_wrong(h, "more normal messages than the limit", 2);
    answer(h, 0)->limit = 1;
    assert_wrong(h, "more messages than the limit", 0);
}

/* --- joins ------------------------------------------------------------------------------------ */

static void a_second_join_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 2)->is_join = true;
    assert_wrong(h, "a reader joins once, and first", 2);
    answer(h, 0)->is_join = false;
    assert_wrong(h, "a reader joins once, and first", 0);
}

static void a_join_with_old_messages_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 0)->cursor.high = id_of(LIST_HIGH, 2);
    assert_wrong(h, "a join is not the newest", 0);
}

static void a_join_with_an_invention_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 0)->entries[0].body = 77;
    assert_wrong(h, "a join brings what was never stored", 0);
    answer(h, 0)->cursor.high = 0;
    assert_wrong(h, "a join brings what was never stored", 0);
}

static void a_join_that_misses_something_is_seen(void **state)
{
    struct history *h = *state;
    answer(h, 0)->skipped = 1;
    assert_wrong(h, "a join misses nothing", 0);
}

/* --- time ------------------------------------------------------------------------------------- */

static void an_empty_answer_is_right_at_the_timeout_alone(void **state)
{
    struct history *h = *state;
    struct check_answer empty = answer_at(900, 6, 6);
    size_t where;
    check_reader_add(&h->reader, &empty);
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
    answer(h, 3)->timeout_ms = 101;
    assert_wrong(h, "an empty answer came before the time-out", 3);
    h->rules.empty_before_timeout = true;
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
}

static void a_late_message_is_seen(void **state)
{
    struct history *h = *state;
    size_t where;
    h->rules.latency_ms = 300; /* the oldest: high 4, stored in 400, came in 700 */
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
    h->rules.latency_ms = 299;
    assert_wrong(h, "a message came too late", 2);
    answer(h, 2)->waiting_since_ms = 450; /* it was away when they were stored */
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
}

static void a_late_high_message_is_seen(void **state)
{
    struct history *h = *state;
    h->rules.high_latency_ms = 300; /* the oldest in each answer took 250 and 300 */
    size_t where;
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
    answer(h, 2)->answered_ms++;
    assert_wrong(h, "a message came too late", 2);
    h->rules.high_latency_ms = 0;
    assert_null(check_answers(&h->room, &h->reader, &h->rules, &where));
}

static void a_message_from_the_future_is_seen(void **state)
{
    struct history *h = *state;
    h->rules.latency_ms = 1000;
    answer(h, 2)->answered_ms = 550;
    assert_wrong(h, "a message came before it was stored", 2);
}

static void a_reader_that_has_not_seen_all_is_seen(void **state)
{
    struct history *h = *state;
    h->reader.count--;
    assert_string_equal(check_has_seen_all(&h->room, &h->reader), "a reader has not seen all");
    free(answer(h, 2)->entries);
    free(answer(h, 1)->entries);
    free(answer(h, 0)->entries);
    h->reader.count = 0;
    assert_string_equal(check_has_seen_all(&h->room, &h->reader), "a reader was never answered");
}

/* --- sends ------------------------------------------------------------------------------------ */

/* All twelve were sent and acknowledged. */
static void fill_sends(struct check_send sends[2 * STORED])
{
    for (uint64_t i = 0; i < 2 * STORED; i++) {
        enum list_kind list = i < STORED ? LIST_HIGH : LIST_NORMAL;
        sends[i] = (struct check_send){
            .outcome = CHECK_STORED, .list = list, .id = id_of(list, i % STORED + 1)};
    }
}

static void assert_send_wrong(const struct history *h, const struct check_send *sends, size_t count,
                              const char *what)
{
    const char *wrong = check_sends(&h->room, 1, sends, count);
    assert_non_null(wrong);
    assert_string_equal(wrong, what);
}

static void what_was_sent_is_what_was_stored(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED + 2];
    fill_sends(sends);
    assert_null(check_sends(&h->room, 1, sends, 2 * STORED));
    sends[3].outcome = CHECK_UNKNOWN;
    sends[2 * STORED] = (struct check_send){.outcome = CHECK_UNKNOWN};
    sends[2 * STORED + 1] = (struct check_send){.outcome = CHECK_REFUSED};
    check_room_add(&h->room, LIST_HIGH, id_of(LIST_HIGH, STORED + 1), CHECK_CONTROL);
    assert_null(check_sends(&h->room, 1, sends, 2 * STORED + 2));
}

static void a_message_that_nobody_sent_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED];
    fill_sends(sends);
    assert_send_wrong(h, sends, 2 * STORED - 1, "a message was stored that nobody sent");
}

static void an_acknowledged_message_that_is_gone_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED + 1];
    fill_sends(sends);
    sends[2 * STORED] = (struct check_send){.outcome = CHECK_STORED};
    assert_send_wrong(h, sends, 2 * STORED + 1, "an acknowledged message was not stored");
}

static void a_refused_message_that_is_there_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED];
    fill_sends(sends);
    sends[5].outcome = CHECK_REFUSED;
    assert_send_wrong(h, sends, 2 * STORED, "a refused message was stored");
}

static void a_message_stored_twice_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED];
    fill_sends(sends);
    sends[2].outcome = CHECK_UNKNOWN;
    check_room_add(&h->room, LIST_HIGH, id_of(LIST_HIGH, STORED + 1), 2);
    assert_send_wrong(h, sends, 2 * STORED, "a message was stored twice");
}

static void a_wrong_id_or_list_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED];
    fill_sends(sends);
    sends[2].id++;
    assert_send_wrong(h, sends, 2 * STORED,
                      "a message was stored under another id than its sender was told");
    sends[2].list = LIST_NORMAL;
    assert_send_wrong(h, sends, 2 * STORED, "a message was stored in the other list");
}

static void a_sender_that_knows_nothing_is_seen(void **state)
{
    struct history *h = *state;
    struct check_send sends[2 * STORED];
    fill_sends(sends);
    sends[2].outcome = CHECK_PENDING;
    assert_send_wrong(h, sends, 2 * STORED, "a sender does not know what became of a message");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_whole_history_is_right),
        TEST(a_lost_high_message_is_seen),
        TEST(a_lost_last_high_message_is_seen),
        TEST(a_repeated_high_message_is_seen),
        TEST(high_messages_out_of_order_are_seen),
        TEST(an_invented_high_message_is_seen),
        TEST(a_changed_body_is_seen),
        TEST(a_cursor_behind_its_high_messages_is_seen),
        TEST(a_high_message_behind_a_normal_one_is_seen),
        TEST(a_gap_that_is_told_is_right),
        TEST(a_gap_that_is_not_told_is_seen),
        TEST(a_gap_over_what_was_kept_is_seen),
        TEST(a_gap_without_reason_is_seen),
        TEST(a_normal_message_that_is_not_counted_is_seen),
        TEST(a_lost_normal_message_is_seen),
        TEST(a_repeated_normal_message_is_seen),
        TEST(an_invented_normal_message_is_seen),
        TEST(old_ones_instead_of_the_newest_are_seen),
        TEST(a_cursor_that_goes_back_is_seen),
        TEST(more_than_the_limit_is_seen),
        TEST(a_second_join_is_seen),
        TEST(a_join_with_old_messages_is_seen),
        TEST(a_join_with_an_invention_is_seen),
        TEST(a_join_that_misses_something_is_seen),
        TEST(an_empty_answer_is_right_at_the_timeout_alone),
        TEST(a_late_message_is_seen),
        TEST(a_late_high_message_is_seen),
        TEST(a_message_from_the_future_is_seen),
        TEST(a_reader_that_has_not_seen_all_is_seen),
        TEST(what_was_sent_is_what_was_stored),
        TEST(a_message_that_nobody_sent_is_seen),
        TEST(an_acknowledged_message_that_is_gone_is_seen),
        TEST(a_refused_message_that_is_there_is_seen),
        TEST(a_message_stored_twice_is_seen),
        TEST(a_wrong_id_or_list_is_seen),
        TEST(a_sender_that_knows_nothing_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
