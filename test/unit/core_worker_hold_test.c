/* core/worker_hold.c, worker_wait.c: the corners of the pace. What many high messages, several tabs, comings and
 * goings do to it. The plain rules are in core_worker_pace_test.c. */
#include <stdlib.h>

#include "base/alloc.h"
#include "unit/core_worker_paced.h"

/* --- high messages ---------------------------------------------------------------------------- */

/* Each one within the gap, however many were before: what is told beside the pace is no debt. */
static void many_high_messages_are_all_told_in_time(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t exchange = paced_poll(&room, "alice");
    for (int i = 0; i < 20; i++) {
        paced_tell(&room, LIST_HIGH);
        worker_fixture_turn(room.f);
        assert_in_range(paced_wait(&room, exchange), 0, PACE_HIGH_GAP_MS);
        exchange = paced_poll(&room, "alice");
        paced_pass(&room, 300);
        assert_false(paced_is_answered(&room, exchange));
    }
}

/* A high message every 50 ms: answers come every 200, with all that came meanwhile. */
static void nobody_is_answered_twice_within_the_gap(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t exchange = paced_poll(&room, "alice");
    int64_t last_ms = room.f->now_ms, answers = 0;
    for (int64_t ms = 0; ms < 10000; ms++) {
        if (ms % 50 == 0) paced_tell(&room, LIST_HIGH);
        paced_pass(&room, 1);
        if (!paced_is_answered(&room, exchange)) continue;
        assert_in_range(room.f->now_ms - last_ms, PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 51);
        last_ms = room.f->now_ms;
        answers++;
        exchange = paced_poll(&room, "alice");
    }
    assert_in_range(answers, 10000 / (PACE_HIGH_GAP_MS + 51), 10000 / PACE_HIGH_GAP_MS);
}

/* The gap counts from the answer, and not from what the interval was or will be. */
static void an_interval_that_changes_does_not_move_the_gap(void **state)
{
    static const uint32_t intervals_ms[] = {10000, 300, 60000, 250, 2000};
    struct paced_room room = paced_open(state);
    uint64_t exchange = paced_poll_at(&room, "alice", PACED_HIGH, PACED_NORMAL - 1, 0);
    assert_true(paced_is_answered(&room, exchange));
    for (size_t i = 0; i < sizeof intervals_ms / sizeof *intervals_ms; i++) {
        room.f->worker->config.pace.points[0].interval_ms = intervals_ms[i];
        exchange = paced_poll(&room, "alice");
        paced_tell(&room, LIST_HIGH);
        assert_in_range(paced_wait(&room, exchange), PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 1);
    }
}

/* It has been told of the message: that it says otherwise does not break the hold. */
static void an_old_place_is_no_news(void **state)
{
    struct paced_room room = paced_open(state);
    assert_true(paced_is_answered(&room, paced_poll_at(&room, "mallory", 1, 1, 0)));
    for (int i = 0; i < 5; i++)
        assert_in_range(paced_wait(&room, paced_poll_at(&room, "mallory", 1, 1, 0)),
                        PACED_INTERVAL_MS - 1, PACED_INTERVAL_MS + 1);
    uint64_t exchange = paced_poll_at(&room, "mallory", 1, 1, 0);
    paced_pass(&room, 500);
    paced_tell(&room, LIST_HIGH); /* that is */
    worker_fixture_turn(room.f);
    assert_true(paced_is_answered(&room, exchange));
}

/* So old that an answer does not reach what is new. */
static void a_place_too_far_back_is_no_news(void **state)
{
    struct paced_room room = paced_open(state);
    for (int i = 0; i < 2 * LIMIT_POLL_HIGH; i++) paced_tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    assert_true(paced_is_answered(&room, paced_poll_at(&room, "mallory", 1, 1, 0)));
    for (int i = 0; i < 3; i++) {
        uint64_t exchange = paced_poll_at(&room, "mallory", 1, 1, 0);
        paced_tell(&room, LIST_HIGH);
        assert_in_range(paced_wait(&room, exchange), PACED_INTERVAL_MS - 1, PACED_INTERVAL_MS + 1);
    }
}

/* Who catches up gets the next answer full of high messages as soon as if they were new. */
static void catching_up_with_high_messages_is_not_held(void **state)
{
    struct paced_room room = paced_open(state);
    for (int i = 0; i < 3 * LIMIT_POLL_HIGH; i++) paced_tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    uint64_t place = PACED_HIGH;
    assert_true(paced_is_answered(&room, paced_poll_at(&room, "alice", place, PACED_NORMAL, 0)));
    for (int i = 0; i < 2; i++) {
        place += LIMIT_POLL_HIGH;
        uint64_t exchange = paced_poll_at(&room, "alice", place, PACED_NORMAL, room.f->now_ms);
        assert_in_range(paced_wait(&room, exchange), PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 1);
    }
}

/* It lost an answer on the way; what came then is news all the same. */
static void a_lost_answer_does_not_delay_the_next_high_message(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t exchange = paced_poll_at(&room, "alice", PACED_HIGH - 1, PACED_NORMAL, 0);
    assert_true(paced_is_answered(&room, exchange));
    exchange = paced_poll_at(&room, "alice", PACED_HIGH - 1, PACED_NORMAL, 0);
    paced_pass(&room, 250);
    assert_false(paced_is_answered(&room, exchange));
    paced_tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    assert_int_equal(room.f->outcome[exchange].told.count, 2);
}

static void all_tabs_of_a_user_are_told_of_a_high_message(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t tab[4];
    for (int i = 0; i < 4; i++) tab[i] = paced_poll(&room, "alice");
    for (int round = 0; round < 5; round++) {
        paced_pass(&room, 300);
        paced_tell(&room, LIST_HIGH);
        worker_fixture_turn(room.f);
        for (int i = 0; i < 4; i++) assert_true(paced_is_answered(&room, tab[i]));
        for (int i = 0; i < 4; i++) tab[i] = paced_poll(&room, "alice");
    }
}

/* All parked for long: the last is not held because the others were answered. */
static void all_tabs_of_a_user_are_told_the_news_at_once(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i < LIMIT_POLLS_PER_USER; i++) paced_poll(&room, "alice");
    paced_pass(&room, PACED_INTERVAL_MS);
    paced_tell(&room, LIST_NORMAL);
    worker_fixture_turn(room.f);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(paced_is_answered(&room, i));
}

/* One poll that comes again and again, and others that are kept for the news: answers of all together. */
static void polls_in_reserve_are_no_second_pace(void **state)
{
    enum { POLLS = LIMIT_POLLS_PER_USER, MS = 20000 };
    struct paced_room room = paced_open(state);
    uint64_t exchange[POLLS], answers = 0;
    for (int i = 0; i < POLLS; i++) exchange[i] = paced_poll(&room, "mallory");
    for (int64_t ms = 0; ms < MS; ms++) {
        if (ms % PACED_INTERVAL_MS == 0) paced_tell(&room, LIST_NORMAL);
        paced_pass(&room, 1);
        for (int i = 0; i < POLLS; i++) {
            if (!paced_is_answered(&room, exchange[i])) continue;
            answers++;
            exchange[i] = i == 0 ? paced_poll_at(&room, "mallory", 1, 1, 0)
                                 : paced_poll_at(&room, "mallory", room.high, room.normal, 0);
        }
    }
    assert_in_range(answers, 0, POLLS * MS / PACED_INTERVAL_MS + POLLS);
}

/* As many polls as may be parked, old places, and a high message every 100 ms. */
static void many_polls_with_old_places_gain_no_more_than_so_many_readers(void **state)
{
    enum { POLLS = LIMIT_POLLS_PER_USER, MS = 4000 };
    struct paced_room room = paced_open(state);
    uint64_t exchange[POLLS], answers = 0;
    for (int i = 0; i < POLLS; i++) exchange[i] = paced_poll_at(&room, "mallory", 1, 1, 0);
    for (int64_t ms = 0; ms < MS; ms++) {
        if (ms % 100 == 0) paced_tell(&room, LIST_HIGH);
        paced_pass(&room, 1);
        for (int i = 0; i < POLLS; i++) {
            if (!paced_is_answered(&room, exchange[i])) continue;
            answers++;
            exchange[i] = paced_poll_at(&room, "mallory", 1, 1, 0);
        }
    }
    uint64_t of_readers = POLLS * MS / PACE_HIGH_GAP_MS;
    assert_in_range(answers, of_readers / 2, of_readers + 2 * POLLS);
}

/* --- who comes, goes and moves ---------------------------------------------------------------- */

static void a_reader_from_another_worker_keeps_the_pace(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t exchange =
        paced_poll_at(&room, "alice", PACED_HIGH, PACED_NORMAL - 1, room.f->now_ms - 700);
    assert_in_range(paced_wait(&room, exchange), PACED_INTERVAL_MS - 700, PACED_INTERVAL_MS - 699);
}

static void a_cursor_of_a_clock_that_is_ahead_holds_for_one_interval(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t exchange = paced_poll_at(&room, "alice", PACED_HIGH, PACED_NORMAL - 1, INT64_MAX);
    assert_in_range(paced_wait(&room, exchange), PACED_INTERVAL_MS, PACED_INTERVAL_MS + 1);
    exchange = paced_poll_at(&room, "bob", PACED_HIGH, PACED_NORMAL - 1, INT64_MIN);
    assert_true(paced_is_answered(&room, exchange));
}

static void leaving_and_coming_back_does_not_shorten_the_pace(void **state)
{
    struct paced_room room = paced_open(state);
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    assert_true(paced_is_answered(&room, room.exchange));
    for (int i = 0; i < 3; i++) {
        struct note leave = {.kind = NOTE_LEAVE, .sub = room.sub, .user = xstrdup("mallory")};
        worker_fixture_note(room.f, &leave);
        paced_pass(&room, 100);
        assert_int_equal(worker_here_count(paced_copy(&room)), 0);
        worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
        assert_in_range(paced_wait(&room, room.exchange), PACED_INTERVAL_MS - 101,
                        PACED_INTERVAL_MS - 99);
    }
}

static void who_has_left_is_forgotten_when_the_pace_is_over(void **state)
{
    struct paced_room room = paced_open(state);
    worker_fixture_poll(room.f, ++room.exchange, "alice", NULL);
    struct note leave = {.kind = NOTE_LEAVE, .sub = room.sub, .user = xstrdup("alice")};
    worker_fixture_note(room.f, &leave);
    paced_pass(&room, PACED_INTERVAL_MS - 2);
    assert_int_equal(counter_get(&paced_metrics(&room)->attendees), 1);
    paced_pass(&room, 4);
    assert_int_equal(counter_get(&paced_metrics(&room)->attendees), 0);
}

/* The interval is longer than users linger. */
static void staying_away_until_one_is_gone_does_not_shorten_the_pace(void **state)
{
    struct paced_room room = paced_open(state);
    room.f->worker->config.pace.points[0].interval_ms = 60000;
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    paced_pass(&room, LINGER_MS + 1000);
    assert_int_equal(worker_here_count(paced_copy(&room)), 0);
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    assert_in_range(paced_wait(&room, room.exchange), 48900, 49100);
}

static void who_is_held_has_a_place_in_a_full_room(void **state)
{
    struct paced_room room = paced_open(state);
    struct room_record record = paced_copy(&room)->record;
    record.settings.max_online = 1;
    paced_copy(&room)->record = record;
    uint64_t alice = paced_poll(&room, "alice");
    worker_fixture_answer_presence(room.f, NULL);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 1);
    uint64_t bob = paced_poll(&room, "bob");
    worker_fixture_answer_presence(room.f, "bob");
    assert_int_equal(worker_fixture_outcome(room.f, bob), -1);
    assert_int_equal(room.f->outcome[bob].err, ERR_ROOM_FULL);
    paced_tell(&room, LIST_NORMAL);
    assert_in_range(paced_wait(&room, alice), PACED_INTERVAL_MS, PACED_INTERVAL_MS + 1);
    assert_true(paced_is_answered(&room, alice));
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 0);
}

/* --- how held ones end ------------------------------------------------------------------------ */

static void a_short_time_out_brings_the_news_of_the_whole_hold(void **state)
{
    struct paced_room room = paced_open(state);
    struct cursor cursor = worker_fixture_cursor(ROOM, PACED_HIGH, PACED_NORMAL);
    char text[CURSOR_TEXT_LEN];
    cursor.at_ms = room.f->now_ms;
    cursor_encode(&cursor, text);
    struct poll poll = {.room = ROOM,
                        .user = STR("alice"),
                        .since = str_make(text, sizeof text),
                        .limit = 50,
                        .timeout_ms = 300,
                        .exchange = 1};
    worker_fixture_poll_as(room.f, &poll);
    paced_pass(&room, 1000);
    paced_tell(&room, LIST_NORMAL);
    paced_pass(&room, PACED_INTERVAL_MS - 1001);
    assert_false(paced_is_answered(&room, 1));
    paced_pass(&room, 1);
    assert_int_equal(room.f->outcome[1].told.count, 1);
}

static void one_too_many_ends_the_oldest_that_is_held(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i <= LIMIT_POLLS_PER_USER; i++) paced_poll(&room, "alice");
    assert_true(paced_is_answered(&room, first));
    assert_int_equal(room.f->outcome[first].told.poll_after_ms, WORKER_RETRY_MS);
    assert_false(paced_is_answered(&room, first + 1));
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), LIMIT_POLLS_PER_USER);
}

/* However often that happens: the user's own polls wait no longer than others'. */
static void those_too_many_are_no_debt(void **state)
{
    struct paced_room room = paced_open(state);
    for (int i = 0; i < 100; i++) paced_poll(&room, "alice");
    uint64_t last = room.exchange;
    paced_tell(&room, LIST_NORMAL);
    assert_in_range(paced_wait(&room, last), PACED_INTERVAL_MS, 2 * PACED_INTERVAL_MS);
}

static void a_join_that_is_held_is_refused_by_the_drain(void **state)
{
    struct paced_room room = paced_open(state);
    worker_fixture_poll(room.f, 1, "alice", NULL);
    worker_fixture_poll(room.f, 2, "alice", NULL);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 1);
    worker_drain(room.f->worker, 2000, room.f->now_ms);
    assert_int_equal(worker_fixture_outcome(room.f, 2), -1);
    assert_int_equal(room.f->outcome[2].err, ERR_DRAINING);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 0);
}

static void a_cancelled_hold_leaves_nothing_behind(void **state)
{
    struct paced_room room = paced_open(state);
    struct cursor cursor = worker_fixture_cursor(ROOM, PACED_HIGH, PACED_NORMAL);
    uint64_t waiter = worker_fixture_poll(room.f, 1, "alice", &cursor);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 1);
    paced_tell(&room, LIST_HIGH);
    worker_take_notes(room.f->worker, room.f->now_ms);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    paced_pass(&room, 3 * PACED_INTERVAL_MS);
    assert_int_equal(worker_fixture_outcome(room.f, 1), 0);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 0);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_parked), 0);
}

/* The copy begins behind its place, and the hub takes longer than the rest of the hold. */
static void a_hold_that_became_a_cold_read_does_not_end_it(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t alice = paced_poll(&room, "alice");
    worker_fixture_turn(room.f);
    worker_fixture_return(room.f, worker_fixture_take_call(room.f, CALL_PRESENCE), OK);
    paced_pass(&room, 300);
    struct note restart = {.kind = NOTE_RESTART,
                           .list = LIST_HIGH,
                           .sub = room.sub,
                           .position = {fixture_id(LIST_HIGH, 100), 100}};
    worker_fixture_note(room.f, &restart);
    worker_fixture_turn(room.f);
    struct call *call = worker_fixture_take_call(room.f, CALL_COLD);
    assert_non_null(call);
    paced_pass(&room, PACED_INTERVAL_MS);
    assert_false(paced_is_answered(&room, alice));
    call->frames[call->frame_count++] = fixture_frame(&room.f->bin, LIST_HIGH, PACED_HIGH + 1, 0);
    call->tail[LIST_HIGH] = fixture_id(LIST_HIGH, PACED_HIGH + 1);
    worker_fixture_return(room.f, call, OK);
    worker_fixture_turn(room.f);
    assert_int_equal(room.f->outcome[alice].told.count, 1);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 0);
}

/* Who has waited long is held anew, when the interval has grown and the user was just answered. */
static void the_gauge_returns_to_nothing(void **state)
{
    struct paced_room room = paced_open(state);
    static const char *const users[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++)
            paced_poll_at(&room, users[i], PACED_HIGH, PACED_NORMAL, j * room.f->now_ms);
    for (int i = 0; i < 50; i++) {
        paced_tell(&room, i % 7 == 0 ? LIST_HIGH : LIST_NORMAL);
        paced_pass(&room, 100);
    }
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_parked), 0);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held), 0);
    assert_true(counter_get(&paced_metrics(&room)->polls_held_total) > 0);
}

static void a_waiter_is_as_small_as_it_says(void **state)
{
    assert_int_equal(sizeof(struct waiter), 120);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(many_high_messages_are_all_told_in_time),
        TEST(nobody_is_answered_twice_within_the_gap),
        TEST(an_interval_that_changes_does_not_move_the_gap),
        TEST(an_old_place_is_no_news),
        TEST(a_place_too_far_back_is_no_news),
        TEST(catching_up_with_high_messages_is_not_held),
        TEST(a_lost_answer_does_not_delay_the_next_high_message),
        TEST(all_tabs_of_a_user_are_told_of_a_high_message),
        TEST(all_tabs_of_a_user_are_told_the_news_at_once),
        TEST(polls_in_reserve_are_no_second_pace),
        TEST(many_polls_with_old_places_gain_no_more_than_so_many_readers),
        TEST(a_reader_from_another_worker_keeps_the_pace),
        TEST(a_cursor_of_a_clock_that_is_ahead_holds_for_one_interval),
        TEST(leaving_and_coming_back_does_not_shorten_the_pace),
        TEST(who_has_left_is_forgotten_when_the_pace_is_over),
        TEST(staying_away_until_one_is_gone_does_not_shorten_the_pace),
        TEST(who_is_held_has_a_place_in_a_full_room),
        TEST(a_short_time_out_brings_the_news_of_the_whole_hold),
        TEST(one_too_many_ends_the_oldest_that_is_held),
        TEST(those_too_many_are_no_debt),
        TEST(a_join_that_is_held_is_refused_by_the_drain),
        TEST(a_cancelled_hold_leaves_nothing_behind),
        TEST(a_hold_that_became_a_cold_read_does_not_end_it),
        TEST(the_gauge_returns_to_nothing),
        TEST(a_waiter_is_as_small_as_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
