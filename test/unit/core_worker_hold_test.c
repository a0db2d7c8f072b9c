/* core/worker_hold.c, worker_wait.c: the corners of the pace. What many high messages, several tabs, comings and goings,
 * and a fan-out beyond the capacity do to it. The plain rules are in core_worker_pace_test.c. */
#include <stdlib.h>

#include "base/alloc.h"
#include "core/worker_internal.h"
#include "unit/core_worker_fixture.h"

#define INTERVAL_MS 2000
#define HIGH        5 /* messages that are there at first */
#define NORMAL      5

struct room {
    struct worker_fixture *f;
    uint64_t sub;
    uint64_t high, normal; /* the newest */
    uint64_t exchange;     /* of the last poll */
};

/* A room whose interval is INTERVAL_MS for however few. */
static struct room open_room(void **state)
{
    struct room room = {.f = *state, .high = HIGH, .normal = NORMAL};
    struct cursor none = worker_fixture_cursor(ROOM, 0, 0);
    worker_fixture_pace(room.f, "1:2000");
    uint64_t waiter = worker_fixture_poll(room.f, 0, "", &none);
    room.sub = worker_fixture_ready(room.f, HIGH, NORMAL);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    struct note online = {.kind = NOTE_ONLINE, .sub = room.sub, .count = 100};
    worker_fixture_note(room.f, &online);
    worker_fixture_turn(room.f);
    return room;
}

static struct worker_room *copy_of(const struct room *room)
{
    return slots_get(&room->f->worker->room_handles, room->sub);
}

static const struct worker_metrics *metrics(const struct room *room)
{
    return worker_metrics(room->f->worker);
}

/* Polls with a cursor that was given at at_ms. Returns the exchange. */
static uint64_t poll_at(struct room *room, const char *user, uint64_t high, uint64_t normal,
                        int64_t at_ms)
{
    struct cursor cursor = worker_fixture_cursor(ROOM, high, normal);
    cursor.at_ms = at_ms;
    worker_fixture_poll(room->f, ++room->exchange, user, &cursor);
    return room->exchange;
}

/* As one who has just been told of everything. */
static uint64_t poll_here(struct room *room, const char *user)
{
    return poll_at(room, user, room->high, room->normal, room->f->now_ms);
}

static void tell(struct room *room, enum list_kind list)
{
    uint64_t number = list == LIST_HIGH ? ++room->high : ++room->normal;
    worker_fixture_news(room->f, room->sub, list, number);
}

static bool is_answered(const struct room *room, uint64_t exchange)
{
    return worker_fixture_outcome(room->f, exchange) == 1;
}

static void pass(struct room *room, int64_t ms)
{
    worker_fixture_pass(room->f, ms);
}

/* How long it takes from now on. */
static int64_t wait_for(struct room *room, uint64_t exchange)
{
    int64_t began_ms = room->f->now_ms;
    while (worker_fixture_outcome(room->f, exchange) == 0 && room->f->now_ms < began_ms + 60000)
        pass(room, 1);
    return room->f->now_ms - began_ms;
}

/* --- high messages ---------------------------------------------------------------------------- */

/* Each one within the gap, however many were before: what is told beside the pace is no debt. */
static void many_high_messages_are_all_told_in_time(void **state)
{
    struct room room = open_room(state);
    uint64_t exchange = poll_here(&room, "alice");
    for (int i = 0; i < 20; i++) {
        tell(&room, LIST_HIGH);
        worker_fixture_turn(room.f);
        assert_in_range(wait_for(&room, exchange), 0, PACE_HIGH_GAP_MS);
        exchange = poll_here(&room, "alice");
        pass(&room, 300);
        assert_false(is_answered(&room, exchange));
    }
}

/* A high message every 50 ms: answers come every 200, with all that came meanwhile. */
static void nobody_is_answered_twice_within_the_gap(void **state)
{
    struct room room = open_room(state);
    uint64_t exchange = poll_here(&room, "alice");
    int64_t last_ms = room.f->now_ms, answers = 0;
    for (int64_t ms = 0; ms < 10000; ms++) {
        if (ms % 50 == 0) tell(&room, LIST_HIGH);
        pass(&room, 1);
        if (!is_answered(&room, exchange)) continue;
        assert_in_range(room.f->now_ms - last_ms, PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 51);
        last_ms = room.f->now_ms;
        answers++;
        exchange = poll_here(&room, "alice");
    }
    assert_in_range(answers, 10000 / (PACE_HIGH_GAP_MS + 51), 10000 / PACE_HIGH_GAP_MS);
}

/* The gap counts from the answer, and not from what the interval was or will be. */
static void an_interval_that_changes_does_not_move_the_gap(void **state)
{
    static const uint32_t intervals_ms[] = {10000, 300, 60000, 250, 2000};
    struct room room = open_room(state);
    uint64_t exchange = poll_at(&room, "alice", HIGH, NORMAL - 1, 0);
    assert_true(is_answered(&room, exchange));
    for (size_t i = 0; i < sizeof intervals_ms / sizeof *intervals_ms; i++) {
        room.f->worker->config.pace.points[0].interval_ms = intervals_ms[i];
        exchange = poll_here(&room, "alice");
        tell(&room, LIST_HIGH);
        assert_in_range(wait_for(&room, exchange), PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 1);
    }
}

/* It has been told of the message: that it says otherwise does not break the hold. */
static void an_old_place_is_no_news(void **state)
{
    struct room room = open_room(state);
    assert_true(is_answered(&room, poll_at(&room, "mallory", 1, 1, 0)));
    for (int i = 0; i < 5; i++)
        assert_in_range(wait_for(&room, poll_at(&room, "mallory", 1, 1, 0)), INTERVAL_MS - 1,
                        INTERVAL_MS + 1);
    uint64_t exchange = poll_at(&room, "mallory", 1, 1, 0);
    pass(&room, 500);
    tell(&room, LIST_HIGH); /* that is */
    worker_fixture_turn(room.f);
    assert_true(is_answered(&room, exchange));
}

/* So old that an answer does not reach what is new. */
static void a_place_too_far_back_is_no_news(void **state)
{
    struct room room = open_room(state);
    for (int i = 0; i < 2 * LIMIT_POLL_HIGH; i++) tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    assert_true(is_answered(&room, poll_at(&room, "mallory", 1, 1, 0)));
    for (int i = 0; i < 3; i++) {
        uint64_t exchange = poll_at(&room, "mallory", 1, 1, 0);
        tell(&room, LIST_HIGH);
        assert_in_range(wait_for(&room, exchange), INTERVAL_MS - 1, INTERVAL_MS + 1);
    }
}

/* Who catches up gets the next answer full of high messages as soon as if they were new. */
static void catching_up_with_high_messages_is_not_held(void **state)
{
    struct room room = open_room(state);
    for (int i = 0; i < 3 * LIMIT_POLL_HIGH; i++) tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    uint64_t place = HIGH;
    assert_true(is_answered(&room, poll_at(&room, "alice", place, NORMAL, 0)));
    for (int i = 0; i < 2; i++) {
        place += LIMIT_POLL_HIGH;
        uint64_t exchange = poll_at(&room, "alice", place, NORMAL, room.f->now_ms);
        assert_in_range(wait_for(&room, exchange), PACE_HIGH_GAP_MS, PACE_HIGH_GAP_MS + 1);
    }
}

/* It lost an answer on the way; what came then is news all the same. */
static void a_lost_answer_does_not_delay_the_next_high_message(void **state)
{
    struct room room = open_room(state);
    uint64_t exchange = poll_at(&room, "alice", HIGH - 1, NORMAL, 0);
    assert_true(is_answered(&room, exchange));
    exchange = poll_at(&room, "alice", HIGH - 1, NORMAL, 0);
    pass(&room, 250);
    assert_false(is_answered(&room, exchange));
    tell(&room, LIST_HIGH);
    worker_fixture_turn(room.f);
    assert_int_equal(room.f->outcome[exchange].told.count, 2);
}

static void all_tabs_of_a_user_are_told_of_a_high_message(void **state)
{
    struct room room = open_room(state);
    uint64_t tab[4];
    for (int i = 0; i < 4; i++) tab[i] = poll_here(&room, "alice");
    for (int round = 0; round < 5; round++) {
        pass(&room, 300);
        tell(&room, LIST_HIGH);
        worker_fixture_turn(room.f);
        for (int i = 0; i < 4; i++) assert_true(is_answered(&room, tab[i]));
        for (int i = 0; i < 4; i++) tab[i] = poll_here(&room, "alice");
    }
}

/* All parked for long: the last is not held because the others were answered. */
static void all_tabs_of_a_user_are_told_the_news_at_once(void **state)
{
    struct room room = open_room(state);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i < LIMIT_POLLS_PER_USER; i++) poll_here(&room, "alice");
    pass(&room, INTERVAL_MS);
    tell(&room, LIST_NORMAL);
    worker_fixture_turn(room.f);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(is_answered(&room, i));
}

/* One poll that comes again and again, and others that are kept for the news: answers of all together. */
static void polls_in_reserve_are_no_second_pace(void **state)
{
    enum { POLLS = LIMIT_POLLS_PER_USER, MS = 20000 };
    struct room room = open_room(state);
    uint64_t exchange[POLLS], answers = 0;
    for (int i = 0; i < POLLS; i++) exchange[i] = poll_here(&room, "mallory");
    for (int64_t ms = 0; ms < MS; ms++) {
        if (ms % INTERVAL_MS == 0) tell(&room, LIST_NORMAL);
        pass(&room, 1);
        for (int i = 0; i < POLLS; i++) {
            if (!is_answered(&room, exchange[i])) continue;
            answers++;
            exchange[i] = i == 0 ? poll_at(&room, "mallory", 1, 1, 0)
                                 : poll_at(&room, "mallory", room.high, room.normal, 0);
        }
    }
    assert_in_range(answers, 0, POLLS * MS / INTERVAL_MS + POLLS);
}

/* As many polls as may be parked, old places, and a high message every 100 ms. */
static void many_polls_with_old_places_gain_no_more_than_so_many_readers(void **state)
{
    enum { POLLS = LIMIT_POLLS_PER_USER, MS = 4000 };
    struct room room = open_room(state);
    uint64_t exchange[POLLS], answers = 0;
    for (int i = 0; i < POLLS; i++) exchange[i] = poll_at(&room, "mallory", 1, 1, 0);
    for (int64_t ms = 0; ms < MS; ms++) {
        if (ms % 100 == 0) tell(&room, LIST_HIGH);
        pass(&room, 1);
        for (int i = 0; i < POLLS; i++) {
            if (!is_answered(&room, exchange[i])) continue;
            answers++;
            exchange[i] = poll_at(&room, "mallory", 1, 1, 0);
        }
    }
    uint64_t of_readers = POLLS * MS / PACE_HIGH_GAP_MS;
    assert_in_range(answers, of_readers / 2, of_readers + 2 * POLLS);
}

/* --- who comes, goes and moves ---------------------------------------------------------------- */

static void a_reader_from_another_worker_keeps_the_pace(void **state)
{
    struct room room = open_room(state);
    uint64_t exchange = poll_at(&room, "alice", HIGH, NORMAL - 1, room.f->now_ms - 700);
    assert_in_range(wait_for(&room, exchange), INTERVAL_MS - 700, INTERVAL_MS - 699);
}

static void a_cursor_of_a_clock_that_is_ahead_holds_for_one_interval(void **state)
{
    struct room room = open_room(state);
    uint64_t exchange = poll_at(&room, "alice", HIGH, NORMAL - 1, INT64_MAX);
    assert_in_range(wait_for(&room, exchange), INTERVAL_MS, INTERVAL_MS + 1);
    exchange = poll_at(&room, "bob", HIGH, NORMAL - 1, INT64_MIN);
    assert_true(is_answered(&room, exchange));
}

static void leaving_and_coming_back_does_not_shorten_the_pace(void **state)
{
    struct room room = open_room(state);
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    assert_true(is_answered(&room, room.exchange));
    for (int i = 0; i < 3; i++) {
        struct note leave = {.kind = NOTE_LEAVE, .sub = room.sub, .user = xstrdup("mallory")};
        worker_fixture_note(room.f, &leave);
        pass(&room, 100);
        assert_int_equal(worker_here_count(copy_of(&room)), 0);
        worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
        assert_in_range(wait_for(&room, room.exchange), INTERVAL_MS - 101, INTERVAL_MS - 99);
    }
}

static void who_has_left_is_forgotten_when_the_pace_is_over(void **state)
{
    struct room room = open_room(state);
    worker_fixture_poll(room.f, ++room.exchange, "alice", NULL);
    struct note leave = {.kind = NOTE_LEAVE, .sub = room.sub, .user = xstrdup("alice")};
    worker_fixture_note(room.f, &leave);
    pass(&room, INTERVAL_MS - 2);
    assert_int_equal(counter_get(&metrics(&room)->attendees), 1);
    pass(&room, 4);
    assert_int_equal(counter_get(&metrics(&room)->attendees), 0);
}

/* The interval is longer than users linger. */
static void staying_away_until_one_is_gone_does_not_shorten_the_pace(void **state)
{
    struct room room = open_room(state);
    room.f->worker->config.pace.points[0].interval_ms = 60000;
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    pass(&room, LINGER_MS + 1000);
    assert_int_equal(worker_here_count(copy_of(&room)), 0);
    worker_fixture_poll(room.f, ++room.exchange, "mallory", NULL);
    assert_in_range(wait_for(&room, room.exchange), 48900, 49100);
}

static void who_is_held_has_a_place_in_a_full_room(void **state)
{
    struct room room = open_room(state);
    struct room_record record = copy_of(&room)->record;
    record.settings.max_online = 1;
    copy_of(&room)->record = record;
    uint64_t alice = poll_here(&room, "alice");
    worker_fixture_answer_presence(room.f, NULL);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 1);
    uint64_t bob = poll_here(&room, "bob");
    worker_fixture_answer_presence(room.f, "bob");
    assert_int_equal(worker_fixture_outcome(room.f, bob), -1);
    assert_int_equal(room.f->outcome[bob].err, ERR_ROOM_FULL);
    tell(&room, LIST_NORMAL);
    assert_in_range(wait_for(&room, alice), INTERVAL_MS, INTERVAL_MS + 1);
    assert_true(is_answered(&room, alice));
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 0);
}

/* --- how held ones end ------------------------------------------------------------------------ */

static void a_short_time_out_brings_the_news_of_the_whole_hold(void **state)
{
    struct room room = open_room(state);
    struct cursor cursor = worker_fixture_cursor(ROOM, HIGH, NORMAL);
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
    pass(&room, 1000);
    tell(&room, LIST_NORMAL);
    pass(&room, INTERVAL_MS - 1001);
    assert_false(is_answered(&room, 1));
    pass(&room, 1);
    assert_int_equal(room.f->outcome[1].told.count, 1);
}

static void one_too_many_ends_the_oldest_that_is_held(void **state)
{
    struct room room = open_room(state);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i <= LIMIT_POLLS_PER_USER; i++) poll_here(&room, "alice");
    assert_true(is_answered(&room, first));
    assert_int_equal(room.f->outcome[first].told.poll_after_ms, WORKER_RETRY_MS);
    assert_false(is_answered(&room, first + 1));
    assert_int_equal(counter_get(&metrics(&room)->polls_held), LIMIT_POLLS_PER_USER);
}

/* However often that happens: the user's own polls wait no longer than others'. */
static void those_too_many_are_no_debt(void **state)
{
    struct room room = open_room(state);
    for (int i = 0; i < 100; i++) poll_here(&room, "alice");
    uint64_t last = room.exchange;
    tell(&room, LIST_NORMAL);
    assert_in_range(wait_for(&room, last), INTERVAL_MS, 2 * INTERVAL_MS);
}

static void a_join_that_is_held_is_refused_by_the_drain(void **state)
{
    struct room room = open_room(state);
    worker_fixture_poll(room.f, 1, "alice", NULL);
    worker_fixture_poll(room.f, 2, "alice", NULL);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 1);
    worker_drain(room.f->worker, 2000, room.f->now_ms);
    assert_int_equal(worker_fixture_outcome(room.f, 2), -1);
    assert_int_equal(room.f->outcome[2].err, ERR_DRAINING);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 0);
}

static void a_cancelled_hold_leaves_nothing_behind(void **state)
{
    struct room room = open_room(state);
    struct cursor cursor = worker_fixture_cursor(ROOM, HIGH, NORMAL);
    uint64_t waiter = worker_fixture_poll(room.f, 1, "alice", &cursor);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 1);
    tell(&room, LIST_HIGH);
    worker_take_notes(room.f->worker, room.f->now_ms);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    worker_cancel(room.f->worker, waiter, room.f->now_ms);
    pass(&room, 3 * INTERVAL_MS);
    assert_int_equal(worker_fixture_outcome(room.f, 1), 0);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 0);
    assert_int_equal(counter_get(&metrics(&room)->polls_parked), 0);
}

/* The copy begins behind its place, and the hub takes longer than the rest of the hold. */
static void a_hold_that_became_a_cold_read_does_not_end_it(void **state)
{
    struct room room = open_room(state);
    uint64_t alice = poll_here(&room, "alice");
    worker_fixture_turn(room.f);
    worker_fixture_return(room.f, worker_fixture_take_call(room.f, CALL_PRESENCE), OK);
    pass(&room, 300);
    struct note restart = {.kind = NOTE_RESTART,
                           .list = LIST_HIGH,
                           .sub = room.sub,
                           .position = {fixture_id(LIST_HIGH, 100), 100}};
    worker_fixture_note(room.f, &restart);
    worker_fixture_turn(room.f);
    struct call *call = worker_fixture_take_call(room.f, CALL_COLD);
    assert_non_null(call);
    pass(&room, INTERVAL_MS);
    assert_false(is_answered(&room, alice));
    call->frames[call->frame_count++] = fixture_frame(&room.f->bin, LIST_HIGH, HIGH + 1, 0);
    call->tail[LIST_HIGH] = fixture_id(LIST_HIGH, HIGH + 1);
    worker_fixture_return(room.f, call, OK);
    worker_fixture_turn(room.f);
    assert_int_equal(room.f->outcome[alice].told.count, 1);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 0);
}

/* Who has waited long is held anew, when the interval has grown and the user was just answered. */
static void the_gauge_returns_to_nothing(void **state)
{
    struct room room = open_room(state);
    static const char *const users[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++)
        for (int j = 0; j < 3; j++) poll_at(&room, users[i], HIGH, NORMAL, j * room.f->now_ms);
    for (int i = 0; i < 50; i++) {
        tell(&room, i % 7 == 0 ? LIST_HIGH : LIST_NORMAL);
        pass(&room, 100);
    }
    assert_int_equal(counter_get(&metrics(&room)->polls_parked), 0);
    assert_int_equal(counter_get(&metrics(&room)->polls_held), 0);
    assert_true(counter_get(&metrics(&room)->polls_held_total) > 0);
}

static void a_waiter_is_as_small_as_it_says(void **state)
{
    assert_int_equal(sizeof(struct waiter), 120);
}

/* --- load ------------------------------------------------------------------------------------- */

static void small_capacity(struct worker *w, uint32_t capacity)
{
    w->capacity = capacity;
    w->allowance = (struct bucket){0};
}

static uint64_t open_other(struct worker_fixture *f, struct str name)
{
    struct cursor cursor = worker_fixture_cursor(name, 0, 0);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&cursor, text);
    struct poll poll = {.room = name,
                        .since = str_make(text, sizeof text),
                        .limit = 50,
                        .timeout_ms = 25000,
                        .exchange = 0};
    uint64_t waiter = worker_fixture_poll_as(f, &poll);
    uint64_t sub = worker_fixture_ready(f, 1, 1);
    worker_cancel(f->worker, waiter, f->now_ms);
    return sub;
}

static uint64_t poll_other(struct room *room, struct str name, uint64_t normal)
{
    struct cursor cursor = worker_fixture_cursor(name, 1, normal);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&cursor, text);
    struct poll poll = {.room = name,
                        .since = str_make(text, sizeof text),
                        .limit = 50,
                        .timeout_ms = 25000,
                        .exchange = ++room->exchange};
    worker_fixture_poll_as(room->f, &poll);
    return room->exchange;
}

static void a_small_room_is_served_while_a_large_one_is_spread(void **state)
{
    enum { READERS = 1000, CAPACITY = 200 };
    struct room room = open_room(state);
    uint64_t other = open_other(room.f, STR("dev/small"));
    for (int i = 0; i < READERS; i++) poll_at(&room, "", HIGH, NORMAL, 0);
    small_capacity(room.f->worker, CAPACITY);
    tell(&room, LIST_NORMAL);
    for (uint64_t n = 2; n < 12; n++) {
        uint64_t exchange = poll_other(&room, STR("dev/small"), n - 1);
        worker_fixture_news(room.f, other, LIST_NORMAL, n);
        assert_in_range(wait_for(&room, exchange), 0, 30);
        pass(&room, 200);
    }
    assert_true(room.f->worker->is_spreading);
    pass(&room, 1000 * READERS / CAPACITY);
    assert_int_equal(counter_get(&metrics(&room)->polls_parked), 0);
}

/* What is left over comes by itself: worker_tick() says when. */
static void a_spread_fan_out_is_gone_on_with(void **state)
{
    struct room room = open_room(state);
    for (int i = 0; i < 300; i++) poll_at(&room, "", HIGH, NORMAL, 0);
    small_capacity(room.f->worker, 100);
    tell(&room, LIST_NORMAL);
    worker_take_notes(room.f->worker, room.f->now_ms);
    while (worker_serve(room.f->worker, 100, room.f->now_ms)) continue;
    assert_in_range(worker_tick(room.f->worker, room.f->now_ms) - room.f->now_ms, 1, 10);
}

static void a_high_message_beside_a_spread_fan_out_breaks_holds(void **state)
{
    struct room room = open_room(state);
    for (int i = 0; i < 500; i++) poll_at(&room, "", HIGH, NORMAL, 0);
    uint64_t alice = poll_here(&room, "alice");
    small_capacity(room.f->worker, 1000);
    tell(&room, LIST_NORMAL);
    pass(&room, 10);
    tell(&room, LIST_HIGH);
    assert_in_range(wait_for(&room, alice), 0, PACE_HIGH_GAP_MS);
}

static uint64_t busy(struct room *room, uint64_t busy_us, uint64_t share_permille)
{
    busy_us += share_permille * PACE_STEP_MS;
    room->f->now_ms += PACE_STEP_MS;
    worker_set_busy(room->f->worker, busy_us, room->f->now_ms);
    return busy_us;
}

static void capacity_is_what_answers_cost(void **state)
{
    struct room room = open_room(state);
    uint64_t busy_us = busy(&room, 0, 0);
    for (int step = 0; step < 40;
         step++) { /* 100 answers in 25 ms, four fifths of what that makes */
        for (int i = 0; i < 100; i++) {
            worker_fixture_poll(room.f, 1, "", NULL);
            assert_true(is_answered(&room, 1));
        }
        busy_us = busy(&room, busy_us, 100);
    }
    assert_in_range(counter_get(&metrics(&room)->answer_capacity), 3100, 3300);
}

/* Measured while other work took the time; then there is none, but a fan-out that goes on. */
static void a_capacity_that_was_measured_too_low_recovers(void **state)
{
    struct room room = open_room(state);
    small_capacity(room.f->worker, 100);
    for (int i = 0; i < 1500; i++) poll_at(&room, "", HIGH, NORMAL, 0);
    tell(&room, LIST_NORMAL);
    uint64_t busy_us = busy(&room, 0, 0);
    for (int step = 0; step < 12; step++) {
        for (int ms = 0; ms < PACE_STEP_MS; ms++) pass(&room, 1);
        room.f->now_ms -= PACE_STEP_MS; /* busy() counts it once more */
        busy_us = busy(&room, busy_us, 5);
    }
    assert_int_equal(counter_get(&metrics(&room)->polls_parked), 0);
    assert_true(room.f->worker->capacity > 1000);
}

static void without_a_pace_nothing_is_held_and_nothing_spread(void **state)
{
    struct room room = open_room(state);
    room.f->worker->config.pace.is_on = false;
    small_capacity(room.f->worker, 1);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i < 500; i++) poll_at(&room, "alice", HIGH, NORMAL - 1, room.f->now_ms);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(is_answered(&room, i));
    first = room.exchange + 1;
    for (int i = 0; i < 500; i++) poll_at(&room, "", HIGH, NORMAL, room.f->now_ms);
    tell(&room, LIST_NORMAL);
    worker_fixture_turn(room.f);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(is_answered(&room, i));
    assert_int_equal(counter_get(&metrics(&room)->polls_held_total), 0);
}

/* Until longer holds do not help any more, and some. */
#define OVERLOAD_STEPS 150

static uint64_t overload(struct room *room, uint64_t busy_us, int steps)
{
    for (int i = 0; i < steps; i++) busy_us = busy(room, busy_us, 1000);
    return busy_us;
}

static void past_capacity_polls_are_shed_first_and_sends_later(void **state)
{
    struct room room = open_room(state);
    uint64_t busy_us = busy(&room, 0, 0);
    while (room.f->worker->over_steps == 0) {
        assert_int_not_equal(worker_fixture_outcome(room.f, poll_here(&room, "")), -1);
        busy_us = overload(&room, busy_us, 1);
        assert_in_range(room.exchange, 1, 150);
    }
    int steps = 0;
    for (; !worker_sheds_sends(room.f->worker); steps++) busy_us = overload(&room, busy_us, 1);
    assert_in_range(steps * PACE_STEP_MS, 1000, 5000);
}

static void those_who_are_shed_come_back_spread(void **state)
{
    struct room room = open_room(state);
    int64_t least_ms = INT64_MAX, most_ms = 0;
    overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    for (int i = 0; i < 200; i++) {
        uint64_t exchange = poll_here(&room, "alice");
        const struct outcome *outcome = &room.f->outcome[exchange];
        assert_int_equal(outcome->err, ERR_OVERLOADED);
        assert_in_range(outcome->retry_after_ms, WORKER_RETRY_MS, 10000);
        if (outcome->retry_after_ms < least_ms) least_ms = outcome->retry_after_ms;
        if (outcome->retry_after_ms > most_ms) most_ms = outcome->retry_after_ms;
    }
    assert_true(most_ms - least_ms > 5000);
    assert_int_equal(counter_get(&metrics(&room)->polls_shed_total), 200);
    assert_int_equal(counter_get(&metrics(&room)->polls_parked), 0);
}

static void who_waits_already_is_answered_in_an_overload(void **state)
{
    struct room room = open_room(state);
    uint64_t alice = poll_here(&room, "alice");
    overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    tell(&room, LIST_NORMAL);
    assert_in_range(wait_for(&room, alice), 0, PACE_LOAD_MAX_MS);
    assert_true(is_answered(&room, alice));
}

static void an_overload_ends_by_itself(void **state)
{
    struct room room = open_room(state);
    uint64_t busy_us = overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    assert_true(worker_sheds_sends(room.f->worker));
    busy_us = busy(&room, busy_us, 0);
    assert_false(worker_sheds_sends(room.f->worker));
    assert_int_not_equal(worker_fixture_outcome(room.f, poll_here(&room, "alice")), -1);
    for (int i = 0; i < 48; i++) busy_us = busy(&room, busy_us, 0);
    assert_int_equal(worker_interval(copy_of(&room)), INTERVAL_MS); /* by audience */
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
        TEST(a_small_room_is_served_while_a_large_one_is_spread),
        TEST(a_spread_fan_out_is_gone_on_with),
        TEST(a_high_message_beside_a_spread_fan_out_breaks_holds),
        TEST(capacity_is_what_answers_cost),
        TEST(a_capacity_that_was_measured_too_low_recovers),
        TEST(without_a_pace_nothing_is_held_and_nothing_spread),
        TEST(past_capacity_polls_are_shed_first_and_sends_later),
        TEST(those_who_are_shed_come_back_spread),
        TEST(who_waits_already_is_answered_in_an_overload),
        TEST(an_overload_ends_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
