/* core/worker_wait.c, worker_room.c: polls, their answers, and the copy that they are made from. */
#include <stdlib.h>

#include "base/alloc.h"
#include "unit/core_worker_fixture.h"

static const struct worker_metrics *metrics(struct worker_fixture *f)
{
    return worker_metrics(f->worker);
}

static const struct told *told(const struct worker_fixture *f, uint64_t exchange)
{
    assert_int_equal(worker_fixture_outcome(f, exchange), 1);
    return &f->outcome[exchange].told;
}

static void assert_refused(const struct worker_fixture *f, uint64_t exchange, int err)
{
    assert_int_equal(worker_fixture_outcome(f, exchange), -1);
    assert_int_equal(f->outcome[exchange].err, err);
}

/* A room with messages, in which nobody waits any more. Returns the worker's handle of it. */
static uint64_t open_room(struct worker_fixture *f, uint64_t high, uint64_t normal)
{
    struct cursor none = worker_fixture_cursor(ROOM, 0, 0);
    uint64_t waiter = worker_fixture_poll(f, 0, "", &none);
    uint64_t sub = worker_fixture_ready(f, high, normal);
    worker_cancel(f->worker, waiter, f->now_ms);
    return sub;
}

/* --- entering --------------------------------------------------------------------------------- */

static void the_first_poll_of_a_room_subscribes(void **state)
{
    struct worker_fixture *f = *state;
    struct cursor here = worker_fixture_cursor(ROOM, 2, 3);

    assert_int_not_equal(worker_fixture_poll(f, 1, "alice", &here), 0);
    assert_int_not_equal(worker_fixture_poll(f, 2, "bob", &here), 0);
    assert_true(worker_take_wake(f->worker));
    assert_false(worker_take_wake(f->worker));
    worker_fixture_ready(f, 3, 3);
    assert_int_equal(told(f, 1)->count, 1);
    assert_int_equal(told(f, 2)->ids[0], fixture_id(LIST_HIGH, 3));
}

static void a_room_that_is_not_found_refuses_all_who_wait(void **state)
{
    struct worker_fixture *f = *state;

    worker_fixture_poll(f, 1, "alice", NULL);
    worker_fixture_poll(f, 2, "", NULL);
    worker_fixture_return(f, worker_fixture_take_call(f, CALL_SUBSCRIBE), ERR_ROOM_NOT_FOUND);
    worker_fixture_turn(f);
    assert_refused(f, 1, ERR_ROOM_NOT_FOUND);
    assert_refused(f, 2, ERR_ROOM_NOT_FOUND);
    assert_int_equal(counter_get(&metrics(f)->rooms_subscribed), 0);
    worker_fixture_poll(f, 3, "alice", NULL); /* the next asks again */
    assert_true(worker_fixture_has_calls(f));
}

static void a_join_is_answered_at_once_with_the_newest(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 4, 60);

    assert_int_equal(worker_fixture_poll(f, 1, "alice", NULL), 0);
    assert_int_equal(told(f, 1)->count, 50);
    assert_int_equal(told(f, 1)->cursor.high, fixture_id(LIST_HIGH, 4));
    assert_int_equal(told(f, 1)->cursor.normal_ordinal, 60);
    assert_int_equal(told(f, 1)->cursor.at_ms, f->now_ms);
}

static void a_bad_cursor_is_refused_without_a_room(void **state)
{
    struct worker_fixture *f = *state;
    struct poll poll = {.room = ROOM, .since = STR("0"), .limit = 1, .exchange = 1};
    struct cursor other = worker_fixture_cursor(STR("dev/other"), 1, 1);

    assert_int_equal(worker_fixture_poll_as(f, &poll), 0);
    assert_refused(f, 1, ERR_BAD_CURSOR);
    assert_int_equal(worker_fixture_poll(f, 2, "", &other), 0);
    assert_refused(f, 2, ERR_BAD_CURSOR);
    assert_false(worker_fixture_has_calls(f));
}

static void an_anonymous_reader_is_told_its_name_with_the_join(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 1, 0);
    struct poll poll = {
        .room = ROOM, .user = STR("anon-1"), .tell_user = true, .limit = 1, .exchange = 1};

    worker_fixture_poll_as(f, &poll);
    assert_string_equal(told(f, 1)->user, "anon-1");
    worker_fixture_poll(f, 2, "bob", NULL);
    assert_string_equal(told(f, 2)->user, "");
}

/* --- waiting ---------------------------------------------------------------------------------- */

static void a_poll_with_news_is_answered_before_it_returns(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 2, 3);
    struct cursor behind = worker_fixture_cursor(ROOM, 1, 1);

    assert_int_equal(worker_fixture_poll(f, 1, "alice", &behind), 0);
    assert_int_equal(told(f, 1)->count, 3);
    assert_int_equal(told(f, 1)->poll_after_ms, 0);
}

static void a_poll_without_news_waits_for_them(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 2, 3);
    struct cursor here = worker_fixture_cursor(ROOM, 2, 3);

    assert_int_not_equal(worker_fixture_poll(f, 1, "alice", &here), 0);
    worker_fixture_pass(f, 3000);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_news(f, sub, LIST_NORMAL, 4);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
    assert_int_equal(told(f, 1)->ids[0], fixture_id(LIST_NORMAL, 4));
}

static void a_poll_times_out_empty_and_exactly_then(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 2, 3);
    struct cursor here = worker_fixture_cursor(ROOM, 2, 3);

    worker_fixture_poll(f, 1, "alice", &here);
    worker_fixture_pass(f, 24999);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_pass(f, 1);
    assert_int_equal(told(f, 1)->count, 0);
    assert_int_equal(told(f, 1)->cursor.high, here.high);
    assert_int_equal(told(f, 1)->cursor.normal, here.normal);
    assert_int_equal(told(f, 1)->cursor.at_ms, f->now_ms);
    assert_int_equal(counter_get(&metrics(f)->polls_timed_out_total), 1);
}

static void a_poll_that_asks_for_no_wait_gets_none(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 0, 1);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 1);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&here, text);
    struct poll poll = {
        .room = ROOM, .since = str_make(text, sizeof text), .limit = 5, .exchange = 1};

    assert_int_equal(worker_fixture_poll_as(f, &poll), 0);
    assert_int_equal(told(f, 1)->count, 0);
}

static void a_cancelled_poll_is_never_answered(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 0, 0);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 0);
    uint64_t waiter = worker_fixture_poll(f, 1, "alice", &here);

    worker_cancel(f->worker, waiter, f->now_ms);
    worker_cancel(f->worker, waiter, f->now_ms); /* stale by now, and harmless */
    worker_fixture_news(f, sub, LIST_HIGH, 1);
    worker_fixture_pass(f, 30000);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    assert_int_equal(counter_get(&metrics(f)->polls_parked), 0);
}

static void those_in_step_share_one_encoding(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 1, 1);
    struct cursor here = worker_fixture_cursor(ROOM, 1, 1), behind = here;
    behind.at_ms -= 1000; /* another time is the same place */

    for (uint64_t exchange = 1; exchange <= 1000; exchange++)
        worker_fixture_poll(f, exchange, "", exchange % 2 == 0 ? &here : &behind);
    f->renders = 0;
    uint64_t before = counter_get(&metrics(f)->deliveries_total);
    worker_fixture_news(f, sub, LIST_HIGH, 2);
    worker_fixture_turn(f);
    for (uint64_t exchange = 1; exchange <= 1000; exchange++)
        assert_int_equal(told(f, exchange)->ids[0], fixture_id(LIST_HIGH, 2));
    assert_int_equal(f->renders, 1);
    assert_int_equal(counter_get(&metrics(f)->deliveries_total) - before, 1000);
}

static void different_limits_and_variants_share_nothing(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 0, 0);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 0);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&here, text);
    struct poll poll = {.room = ROOM, .since = str_make(text, sizeof text), .timeout_ms = 1000};

    for (uint64_t exchange = 0; exchange < 6; exchange++) {
        poll.exchange = exchange;
        poll.limit = 1 + (uint32_t)exchange % 3;
        poll.variant = exchange >= 3;
        worker_fixture_poll_as(f, &poll);
    }
    f->renders = 0;
    for (uint64_t number = 1; number <= 5; number++)
        worker_fixture_news(f, sub, LIST_NORMAL, number);
    worker_fixture_turn(f);
    for (uint64_t exchange = 0; exchange < 6; exchange++) {
        assert_int_equal(told(f, exchange)->count, 1 + exchange % 3);
        assert_int_equal(told(f, exchange)->skipped, 4 - exchange % 3);
    }
    assert_int_equal(f->renders, 6);
}

/* An answer made for others must not be given out after more has come. */
static void a_shared_answer_is_not_used_after_news(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 0, 1);
    struct cursor behind = worker_fixture_cursor(ROOM, 0, 0);

    worker_fixture_poll(f, 1, "", &behind);
    assert_int_equal(told(f, 1)->count, 1);
    worker_fixture_news(f, sub, LIST_NORMAL, 2);
    worker_fixture_turn(f);
    worker_fixture_poll(f, 2, "", &behind);
    assert_int_equal(told(f, 2)->count, 2);
}

/* --- cold ------------------------------------------------------------------------------------- */

/* The room's copy begins behind high 100; a reader at high 90 waits for the hub. */
static struct call *make_cold(struct worker_fixture *f, uint64_t exchange)
{
    struct cursor here = worker_fixture_cursor(ROOM, 90, 0);
    worker_fixture_poll(f, exchange, "alice", &here);
    struct call *call = worker_fixture_take_call(f, CALL_SUBSCRIBE);
    call->start[LIST_HIGH] = (struct list_position){fixture_id(LIST_HIGH, 100), 100};
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    call = worker_fixture_take_call(f, CALL_COLD);
    assert_int_equal(call->id, fixture_id(LIST_HIGH, 90));
    return call;
}

static void a_cold_poll_is_answered_from_the_store(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call = make_cold(f, 1);
    for (uint64_t number = 91; number <= 100; number++)
        call->frames[call->frame_count++] = fixture_frame(&f->bin, LIST_HIGH, number, 0);
    call->tail[LIST_HIGH] = fixture_id(LIST_HIGH, 100);
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);

    assert_int_equal(told(f, 1)->count, 10);
    assert_false(told(f, 1)->gap);
    assert_int_equal(told(f, 1)->cursor.high, fixture_id(LIST_HIGH, 100));
}

static void a_cold_poll_whose_read_fails_is_refused(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call = make_cold(f, 1);
    call->retry_after_ms = 700;
    worker_fixture_return(f, call, ERR_STORE_UNAVAILABLE);
    worker_fixture_turn(f);
    assert_refused(f, 1, ERR_STORE_UNAVAILABLE);
    assert_int_equal(f->outcome[1].retry_after_ms, 700);
}

static void a_cold_poll_may_end_before_its_read(void **state)
{
    struct worker_fixture *f = *state;
    struct cursor here = worker_fixture_cursor(ROOM, 90, 0);
    struct call *call = make_cold(f, 1);
    uint64_t waiter = worker_fixture_poll(f, 2, "bob", &here);
    struct call *presence = worker_fixture_take_call(f, CALL_PRESENCE);
    struct call *second = worker_fixture_take_call(f, CALL_COLD);

    worker_cancel(f->worker, waiter, f->now_ms);
    call->frames[call->frame_count++] = fixture_frame(&f->bin, LIST_HIGH, 91, 0);
    worker_fixture_return(f, presence, OK);
    worker_fixture_return(f, second, OK);
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    assert_int_equal(worker_fixture_outcome(f, 2), 0);
    assert_int_equal(worker_fixture_outcome(f, 1), 1);
}

/* A worker that ends refuses all who wait, those who wait for the store among them. */
static void the_end_refuses_cold_polls_too(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call = make_cold(f, 1);
    worker_free(f->worker);
    f->worker = NULL;
    assert_refused(f, 1, ERR_DRAINING);
    call_free(call);
}

/* The reader comes from a worker that is ahead, and has seen what this copy will have in a moment.
 * That is nothing new for it, and no reason to ask the store. */
static void a_reader_that_is_ahead_waits_for_the_copy(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 3, 3);
    struct cursor ahead = worker_fixture_cursor(ROOM, 4, 5);
    worker_fixture_poll(f, 1, "", &ahead);
    worker_fixture_pass(f, 100);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    assert_int_equal(counter_get(&worker_metrics(f->worker)->polls_cold_total), 0);

    worker_fixture_news(f, sub, LIST_HIGH, 4);
    worker_fixture_news(f, sub, LIST_NORMAL, 4);
    worker_fixture_news(f, sub, LIST_NORMAL, 5);
    worker_fixture_turn(f);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_news(f, sub, LIST_NORMAL, 6);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
    assert_int_equal(told(f, 1)->ids[0], fixture_id(LIST_NORMAL, 6));
}

/* --- the hub's other notes -------------------------------------------------------------------- */

static void a_hole_in_the_notes_starts_the_copy_anew(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 0, 3);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 3);
    worker_fixture_poll(f, 1, "", &here);
    worker_fixture_news(f, sub, LIST_NORMAL, 10); /* the queue was full for long */
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
    assert_int_equal(told(f, 1)->skipped, 6);
}

/* The copy does not catch up: then the store is asked, and what it says is waited for, too. */
static void a_reader_that_stays_ahead_asks_the_store(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 3, 3);
    struct cursor ahead = worker_fixture_cursor(ROOM, 3, 5);
    worker_fixture_poll(f, 1, "", &ahead);
    worker_fixture_pass(f, 1500);
    struct call *call = worker_fixture_take_call(f, CALL_COLD);
    call->tail[LIST_HIGH] = ahead.high;
    call->tail[LIST_NORMAL] = ahead.normal;
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    for (uint64_t n = 4; n <= 6; n++) worker_fixture_news(f, sub, LIST_NORMAL, n);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
}

/* Its timer was for asking the store, and is no time-out of the question that it asks then. */
static void a_reader_ahead_that_turns_cold_is_not_answered_empty(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 3, 3);
    struct cursor ahead = worker_fixture_cursor(ROOM, 3, 5);
    worker_fixture_poll(f, 1, "", &ahead);
    worker_fixture_news(f, sub, LIST_HIGH, 10); /* behind a hole: where the reader is, is no more */
    worker_fixture_turn(f);
    struct call *call = worker_fixture_take_call(f, CALL_COLD);
    worker_fixture_pass(f, 5000);
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    call->trimmed[LIST_HIGH] = call->tail[LIST_HIGH] = fixture_id(LIST_HIGH, 10);
    call->tail[LIST_NORMAL] = ahead.normal;
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    assert_true(told(f, 1)->gap);
}

static void a_restart_makes_readers_ahead_cold(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 3, 3);
    struct cursor here = worker_fixture_cursor(ROOM, 3, 3);
    worker_fixture_poll(f, 1, "", &here);
    for (int list = 0; list < LIST_KINDS; list++) {
        struct note note = {.kind = NOTE_RESTART, .list = (enum list_kind)list, .sub = sub};
        worker_fixture_note(f, &note);
    }
    worker_fixture_pass(f, 1501);
    struct call *call = worker_fixture_take_call(f, CALL_COLD);
    worker_fixture_return(f, call, OK); /* the store is empty */
    worker_fixture_turn(f);
    assert_true(told(f, 1)->gap);
    assert_int_equal(told(f, 1)->cursor.high, 0);
    assert_int_equal(told(f, 1)->cursor.normal, 0);
}

static void notes_for_a_room_that_is_gone_are_dropped(void **state)
{
    struct worker_fixture *f = *state;
    struct note online = {.kind = NOTE_ONLINE, .sub = 12345, .count = 3};
    struct note leave = {.kind = NOTE_LEAVE, .sub = 12345, .user = xstrdup("alice")};

    worker_fixture_note(f, &online);
    worker_fixture_note(f, &leave);
    worker_fixture_news(f, 12345, LIST_HIGH, 1);
    worker_fixture_turn(f);
    assert_int_equal(frame_bin_empty(&f->bin), 1);
}

static void an_unused_copy_is_let_go(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 1, 1);
    worker_fixture_pass(f, 9000);
    worker_fixture_poll(f, 1, "", NULL); /* used once more */
    worker_fixture_pass(f, 9000);
    assert_false(worker_fixture_has_calls(f));
    worker_fixture_pass(f, 1001);
    struct call *call = worker_fixture_take_call(f, CALL_UNSUBSCRIBE);
    assert_non_null(call);
    assert_int_equal(call->sub, sub);
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    assert_int_equal(counter_get(&metrics(f)->rooms_subscribed), 0);
}

/* --- slices ----------------------------------------------------------------------------------- */

/* A small room whose news come while a large one is being served does not wait for its end. */
static void a_small_room_is_served_while_a_large_one_is(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t large = open_room(f, 0, 0);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 0);
    struct cursor there = worker_fixture_cursor(STR("dev/small"), 0, 0);
    char text[CURSOR_TEXT_LEN];
    cursor_encode(&there, text);
    struct poll poll = {.room = STR("dev/small"),
                        .since = str_make(text, sizeof text),
                        .limit = 5,
                        .timeout_ms = 25000,
                        .exchange = 2000};
    worker_fixture_poll_as(f, &poll);
    uint64_t small = worker_fixture_ready(f, 0, 0);
    for (uint64_t exchange = 1; exchange <= 1500; exchange++)
        worker_fixture_poll(f, exchange, "", &here);

    worker_fixture_news(f, large, LIST_NORMAL, 1);
    worker_take_notes(f->worker, f->now_ms);
    assert_true(worker_serve(f->worker, 200, f->now_ms));
    uint64_t served = counter_get(&metrics(f)->answers_total);
    worker_fixture_news(f, small, LIST_NORMAL, 1);
    worker_take_notes(f->worker, f->now_ms);
    assert_true(worker_serve(f->worker, 200, f->now_ms));
    assert_int_equal(told(f, 2000)->count, 1);
    assert_true(counter_get(&metrics(f)->answers_total) <= served + 200);
    assert_int_equal(worker_fixture_outcome(f, 1500), 0); /* the large one is still at it */
    while (worker_serve(f->worker, 200, f->now_ms)) continue;
    assert_int_equal(worker_fixture_outcome(f, 1500), 1);
}

static void news_during_a_slice_are_in_the_later_answers(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f, 0, 0);
    struct cursor here = worker_fixture_cursor(ROOM, 0, 0);
    for (uint64_t exchange = 1; exchange <= 300; exchange++)
        worker_fixture_poll(f, exchange, "", &here);
    worker_fixture_news(f, sub, LIST_NORMAL, 1);
    worker_take_notes(f->worker, f->now_ms);
    worker_serve(f->worker, 100, f->now_ms);
    worker_fixture_news(f, sub, LIST_NORMAL, 2);
    worker_fixture_turn(f);
    assert_int_equal(told(f, 1)->count, 1);
    assert_int_equal(told(f, 300)->count, 2);
}

/* --- calls ------------------------------------------------------------------------------------ */

static void a_call_comes_home_through_ops(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call = call_new(CALL_ROOM_GET, ROOM);
    assert_int_equal(worker_call(f->worker, call), OK);
    assert_true(worker_take_wake(f->worker));
    worker_fixture_return(f, worker_fixture_take_call(f, CALL_ROOM_GET), ERR_ROOM_NOT_FOUND);
    worker_fixture_turn(f);
    assert_ptr_equal(f->came_home, call);
    assert_int_equal(f->came_home->err, ERR_ROOM_NOT_FOUND);
}

static void too_many_calls_are_refused_until_one_is_home(void **state)
{
    struct worker_fixture *f = *state;
    for (int i = 0; i < LIMIT_CALLS_PER_WORKER; i++)
        assert_int_equal(worker_call(f->worker, call_new(CALL_PING, ROOM)), OK);
    struct call *one_more = call_new(CALL_PING, ROOM);
    assert_int_equal(worker_call(f->worker, one_more), ERR_OVERLOADED);
    worker_fixture_poll(f, 1, "alice", NULL); /* a poll that needs the hub is refused */
    assert_refused(f, 1, ERR_OVERLOADED);

    worker_fixture_return(f, worker_fixture_take_call(f, CALL_PING), OK);
    worker_fixture_turn(f);
    assert_int_equal(worker_call(f->worker, one_more), OK);
}

/* --- draining --------------------------------------------------------------------------------- */

static void draining_answers_all_who_wait_and_spreads_their_return(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f, 1, 1);
    struct cursor here = worker_fixture_cursor(ROOM, 1, 1);
    uint64_t sum_ms = 0;
    for (uint64_t exchange = 1; exchange <= 500; exchange++)
        worker_fixture_poll(f, exchange, "", &here);
    worker_drain(f->worker, 2000, f->now_ms);
    for (uint64_t exchange = 1; exchange <= 500; exchange++) {
        assert_int_equal(told(f, exchange)->count, 0);
        assert_in_range(told(f, exchange)->poll_after_ms, 0, 2000);
        sum_ms += told(f, exchange)->poll_after_ms;
    }
    assert_in_range(sum_ms / 500, 900, 1100);
    assert_true(worker_is_draining(f->worker));
    worker_fixture_poll(f, 501, "", &here);
    assert_refused(f, 501, ERR_DRAINING);
    assert_in_range(f->outcome[501].retry_after_ms, 0, 2000);
}

static void draining_refuses_who_has_no_cursor_yet(void **state)
{
    struct worker_fixture *f = *state;
    worker_fixture_poll(f, 1, "alice", NULL); /* waits for the room */
    worker_drain(f->worker, 2000, f->now_ms);
    assert_refused(f, 1, ERR_DRAINING);
}

static void draining_does_not_wait_for_cold_reads(void **state)
{
    struct worker_fixture *f = *state;
    struct call *call = make_cold(f, 1);
    worker_drain(f->worker, 2000, f->now_ms);
    assert_int_equal(told(f, 1)->count, 0);
    assert_int_equal(told(f, 1)->cursor.high, fixture_id(LIST_HIGH, 90));
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    assert_int_equal(counter_get(&metrics(f)->polls_parked), 0);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_poll_of_a_room_subscribes),
        TEST(a_room_that_is_not_found_refuses_all_who_wait),
        TEST(a_join_is_answered_at_once_with_the_newest),
        TEST(a_bad_cursor_is_refused_without_a_room),
        TEST(an_anonymous_reader_is_told_its_name_with_the_join),
        TEST(a_poll_with_news_is_answered_before_it_returns),
        TEST(a_poll_without_news_waits_for_them),
        TEST(a_poll_times_out_empty_and_exactly_then),
        TEST(a_poll_that_asks_for_no_wait_gets_none),
        TEST(a_cancelled_poll_is_never_answered),
        TEST(those_in_step_share_one_encoding),
        TEST(different_limits_and_variants_share_nothing),
        TEST(a_shared_answer_is_not_used_after_news),
        TEST(a_cold_poll_is_answered_from_the_store),
        TEST(a_cold_poll_whose_read_fails_is_refused),
        TEST(a_cold_poll_may_end_before_its_read),
        TEST(the_end_refuses_cold_polls_too),
        TEST(a_reader_that_is_ahead_waits_for_the_copy),
        TEST(a_hole_in_the_notes_starts_the_copy_anew),
        TEST(a_reader_that_stays_ahead_asks_the_store),
        TEST(a_reader_ahead_that_turns_cold_is_not_answered_empty),
        TEST(a_restart_makes_readers_ahead_cold),
        TEST(notes_for_a_room_that_is_gone_are_dropped),
        TEST(an_unused_copy_is_let_go),
        TEST(a_small_room_is_served_while_a_large_one_is),
        TEST(news_during_a_slice_are_in_the_later_answers),
        TEST(a_call_comes_home_through_ops),
        TEST(too_many_calls_are_refused_until_one_is_home),
        TEST(draining_answers_all_who_wait_and_spreads_their_return),
        TEST(draining_refuses_who_has_no_cursor_yet),
        TEST(draining_does_not_wait_for_cold_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
