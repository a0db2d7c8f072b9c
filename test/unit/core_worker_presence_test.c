/* core/worker_presence.c: who is here, when the hub is told so, and how many polls one user may
 * park. */
#include <stdlib.h>

#include "base/alloc.h"
#include "core/worker_internal.h"
#include "unit/core_worker_fixture.h"

static struct cursor here(void)
{
    return worker_fixture_cursor(ROOM, 1, 1);
}

/* A room in which nobody is. */
static uint64_t open_room(struct worker_fixture *f)
{
    struct cursor cursor = here();
    uint64_t waiter = worker_fixture_poll(f, 0, "", &cursor);
    uint64_t sub = worker_fixture_ready(f, 1, 1);
    worker_cancel(f->worker, waiter, f->now_ms);
    return sub;
}

static uint64_t park(struct worker_fixture *f, uint64_t exchange, const char *user)
{
    struct cursor cursor = here();
    uint64_t waiter = worker_fixture_poll(f, exchange, user, &cursor);
    worker_fixture_turn(f);
    return waiter;
}

/* Takes the presence call that must be out, checks that it tells just this, and sends it home. */
static void assert_tells_event(struct worker_fixture *f, enum presence_event event,
                               const char *user)
{
    struct call *call = worker_fixture_take_call(f, CALL_PRESENCE);
    assert_non_null(call);
    struct str users = buf_str(&call->text), told_user;
    enum presence_event told_event;
    assert_true(presence_read(&users, &told_event, &told_user));
    assert_int_equal(told_event, event);
    assert_true(str_eq(told_user, str_of(user)));
    assert_int_equal(users.len, 0);
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
}

static void assert_tells(struct worker_fixture *f, bool came, const char *user)
{
    assert_tells_event(f, came ? PRESENCE_CAME : PRESENCE_LEFT, user);
}

static void who_comes_is_told_and_who_goes_after_a_while(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    worker_cancel(f->worker, waiter, f->now_ms);
    worker_fixture_pass(f, PRESENCE_REST_MS - 1);
    assert_false(worker_fixture_has_calls(f));
    worker_fixture_pass(f, 1);
    assert_tells_event(f, PRESENCE_RESTS, "alice");
    worker_fixture_pass(f, LINGER_MS - PRESENCE_REST_MS - 1);
    assert_false(worker_fixture_has_calls(f));
    worker_fixture_pass(f, 1);
    assert_tells(f, false, "alice");
    assert_int_equal(counter_get(&worker_metrics(f->worker)->attendees), 0);
}

static void polling_again_in_time_is_staying(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    for (int i = 0; i < 5; i++) {
        worker_cancel(f->worker, waiter, f->now_ms);
        worker_fixture_pass(f, PRESENCE_REST_MS - 1);
        waiter = park(f, 1, "alice");
    }
    worker_fixture_pass(f, LINGER_MS);
    assert_false(worker_fixture_has_calls(f));
}

static void who_rests_is_told_and_told_to_be_back(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    for (int i = 0; i < 3; i++) {
        worker_cancel(f->worker, waiter, f->now_ms);
        worker_fixture_pass(f, LINGER_MS - 1);
        assert_tells_event(f, PRESENCE_RESTS, "alice");
        waiter = park(f, 1, "alice");
        assert_tells_event(f, PRESENCE_BACK, "alice");
    }
    worker_fixture_pass(f, LINGER_MS);
    assert_false(worker_fixture_has_calls(f));
}

static void who_rests_already_when_the_hub_is_told_came_and_rests(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    park(f, 1, "bob");
    struct call *out = worker_fixture_take_call(f, CALL_PRESENCE);
    worker_cancel(f->worker, park(f, 2, "alice"), f->now_ms);
    worker_fixture_pass(f, PRESENCE_REST_MS);
    worker_fixture_return(f, out, OK);
    worker_fixture_turn(f);
    struct call *call = worker_fixture_take_call(f, CALL_PRESENCE);
    struct str users = buf_str(&call->text), user;
    enum presence_event event;
    assert_true(presence_read(&users, &event, &user) && event == PRESENCE_CAME);
    assert_true(presence_read(&users, &event, &user) && event == PRESENCE_RESTS);
    assert_int_equal(users.len, 0);
    call_free(call);
}

static void a_linger_shorter_than_a_rest_is_no_rest(void **state)
{
    struct worker_fixture *f = *state;
    f->worker->config.linger_ms = PRESENCE_REST_MS;
    open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    worker_cancel(f->worker, waiter, f->now_ms);
    worker_fixture_pass(f, PRESENCE_REST_MS);
    assert_tells(f, false, "alice");
}

static void nobody_is_not_counted(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    park(f, 1, "");
    assert_false(worker_fixture_has_calls(f));
}

static void changes_are_told_in_one_call_at_a_time(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    park(f, 1, "alice");
    struct call *first = worker_fixture_take_call(f, CALL_PRESENCE);
    park(f, 2, "bob");
    park(f, 3, "carol");
    assert_false(worker_fixture_has_calls(f)); /* the first is out */
    worker_fixture_return(f, first, OK);
    worker_fixture_turn(f);
    struct call *second = worker_fixture_take_call(f, CALL_PRESENCE);
    assert_non_null(second);
    struct str users = buf_str(&second->text), user;
    enum presence_event event;
    int count = 0;
    while (presence_read(&users, &event, &user)) count += event == PRESENCE_CAME;
    assert_int_equal(count, 2);
    worker_fixture_return(f, second, OK);
    worker_fixture_turn(f);
}

/* Gone and back before the hub was told: nothing has changed for it. */
static void a_flicker_is_not_told(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    park(f, 2, "bob");
    struct call *out = worker_fixture_take_call(f, CALL_PRESENCE);
    worker_cancel(f->worker, waiter, f->now_ms);
    worker_fixture_pass(f, LINGER_MS + 5);
    park(f, 3, "alice");
    worker_fixture_return(f, out, OK);
    worker_fixture_turn(f);
    assert_false(worker_fixture_has_calls(f));
    worker_fixture_pass(f, LINGER_MS - 10);
    assert_int_equal(counter_get(&worker_metrics(f->worker)->attendees), 2);
}

static void the_oldest_of_too_many_polls_is_answered_empty(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    for (uint64_t exchange = 1; exchange <= LIMIT_POLLS_PER_USER; exchange++)
        park(f, exchange, "alice");
    park(f, 50, "bob");
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    park(f, 9, "alice");
    assert_int_equal(worker_fixture_outcome(f, 1), 1);
    assert_int_equal(f->outcome[1].told.count, 0);
    assert_int_equal(f->outcome[1].told.cursor.high, here().high);
    assert_true(f->outcome[1].told.poll_after_ms > 0); /* else it would evict the next, for ever */
    park(f, 10, "alice");
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
    assert_int_equal(worker_fixture_outcome(f, 3), 0);
    assert_int_equal(counter_get(&worker_metrics(f->worker)->polls_evicted_total), 2);
    worker_fixture_news(f, sub, LIST_HIGH, 2);
    worker_fixture_turn(f);
    for (uint64_t exchange = 3; exchange <= 10; exchange++)
        assert_int_equal(f->outcome[exchange].told.count, 1);
}

static void a_back_end_may_park_as_many_as_it_likes(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    for (uint64_t exchange = 1; exchange <= 100; exchange++) park(f, exchange, "");
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
}

static void who_left_elsewhere_is_answered_and_forgotten(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    park(f, 1, "alice");
    assert_tells(f, true, "alice");
    park(f, 2, "alice");
    park(f, 3, "bob");
    assert_tells(f, true, "bob");
    struct note leave = {.kind = NOTE_LEAVE, .sub = sub, .user = xstrdup("alice")};
    worker_fixture_note(f, &leave);
    worker_fixture_turn(f);

    assert_int_equal(worker_fixture_outcome(f, 1), 1);
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
    assert_int_equal(worker_fixture_outcome(f, 3), 0);
    worker_fixture_pass(f, LINGER_MS + 1);
    assert_false(worker_fixture_has_calls(f)); /* the hub knows: it told us */
    park(f, 4, "alice");
    assert_tells(f, true, "alice");
}

/* The word that alice is here and the one that she leaves cross: the hub would keep her for the whole
 * linger. */
static void who_leaves_before_the_hub_knows_them_is_told_as_left(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    park(f, 1, "alice");
    worker_fixture_turn(f); /* on its way */
    struct note leave = {.kind = NOTE_LEAVE_AHEAD, .sub = sub, .user = xstrdup("alice")};
    worker_fixture_note(f, &leave);
    assert_tells(f, true, "alice");
    assert_int_equal(worker_fixture_outcome(f, 1), 1);
    assert_tells(f, false, "alice");
    park(f, 2, "alice");
    assert_tells(f, true, "alice");
}

/* What was not said yet need not be taken back. */
static void who_leaves_before_they_are_told_is_never_told(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    park(f, 1, "bob");
    park(f, 2, "alice"); /* waits until the word of bob is home */
    struct note leave = {.kind = NOTE_LEAVE_AHEAD, .sub = sub, .user = xstrdup("alice")};
    worker_fixture_note(f, &leave);
    assert_tells(f, true, "bob");
    worker_fixture_turn(f);
    assert_false(worker_fixture_has_calls(f));
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
}

static void nobody_sees_a_count_that_leaves_them_out(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    struct cursor behind = worker_fixture_cursor(ROOM, 0, 0);
    worker_fixture_poll(f, 1, "alice", &behind);
    assert_int_equal(f->outcome[1].told.online, 1);
}

static void the_count_is_the_hubs(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    struct note online = {.kind = NOTE_ONLINE, .sub = sub, .count = 12045};
    struct cursor behind = worker_fixture_cursor(ROOM, 0, 0);
    worker_fixture_note(f, &online);
    worker_fixture_turn(f);
    worker_fixture_poll(f, 1, "alice", &behind);
    assert_int_equal(f->outcome[1].told.online, 12045);
}

/* --- full rooms: the hub decides -------------------------------------------------------------- */

static uint64_t open_small_room(struct worker_fixture *f, uint32_t max_online)
{
    struct cursor cursor = worker_fixture_cursor(ROOM, 0, 0);
    uint64_t waiter = worker_fixture_poll(f, 0, "", &cursor);
    struct call *call = worker_fixture_take_call(f, CALL_SUBSCRIBE);
    uint64_t sub = call->sub;
    call->record.version = 1;
    call->record.settings.max_online = max_online;
    worker_fixture_return(f, call, OK);
    worker_fixture_turn(f);
    worker_cancel(f->worker, waiter, f->now_ms);
    return sub;
}

static void join(struct worker_fixture *f, uint64_t exchange, const char *user)
{
    worker_fixture_poll(f, exchange, user, NULL);
    worker_fixture_turn(f);
}

static void assert_full(struct worker_fixture *f, uint64_t exchange)
{
    assert_int_equal(worker_fixture_outcome(f, exchange), -1);
    assert_int_equal(f->outcome[exchange].err, ERR_ROOM_FULL);
    assert_true(f->outcome[exchange].retry_after_ms > 0);
}

static void who_comes_waits_until_the_room_has_taken_them(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 2);
    join(f, 1, "alice");
    assert_int_equal(worker_fixture_outcome(f, 1), 0);
    worker_fixture_answer_presence(f, NULL);
    assert_int_equal(worker_fixture_outcome(f, 1), 1);
    join(f, 2, "alice"); /* is in */
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
    join(f, 3, ""); /* nobody takes no place */
    assert_int_equal(worker_fixture_outcome(f, 3), 1);
}

static void a_full_room_takes_nobody_new(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 2);
    join(f, 1, "carol");
    join(f, 2, "carol");
    join(f, 3, "dave");
    worker_fixture_answer_presence(f, "carol");
    assert_full(f, 1);
    assert_full(f, 2);
    assert_int_equal(worker_fixture_outcome(f, 3), 0); /* came after that call had gone */
    worker_fixture_answer_presence(f, "dave");
    assert_full(f, 3);
    worker_fixture_pass(f, LINGER_MS / 2);
    assert_false(worker_fixture_has_calls(f)); /* they never were here */
    assert_int_equal(counter_get(&worker_metrics(f->worker)->attendees), 0);
}

static void who_was_turned_away_may_try_again(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 2);
    join(f, 1, "carol");
    worker_fixture_answer_presence(f, "carol");
    join(f, 2, "carol");
    assert_int_equal(worker_fixture_outcome(f, 2), 0);
    worker_fixture_answer_presence(f, NULL);
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
}

static void who_went_while_asking_takes_the_place_for_the_linger(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 2);
    uint64_t waiter = worker_fixture_poll(f, 1, "alice", NULL);
    worker_fixture_turn(f);
    worker_cancel(f->worker, waiter, f->now_ms);
    worker_fixture_answer_presence(f, NULL);
    worker_fixture_pass(f, PRESENCE_REST_MS);
    assert_tells_event(f, PRESENCE_RESTS, "alice");
    worker_fixture_pass(f, LINGER_MS - PRESENCE_REST_MS);
    assert_tells(f, false, "alice");
    waiter = worker_fixture_poll(f, 2, "bob", NULL);
    worker_fixture_turn(f);
    worker_cancel(f->worker, waiter, f->now_ms);
    worker_fixture_answer_presence(f, "bob");
    worker_fixture_pass(f, LINGER_MS / 2);
    assert_false(worker_fixture_has_calls(f));
    assert_int_equal(counter_get(&worker_metrics(f->worker)->attendees), 0);
}

/* The hub has heard of the limit, this worker has not. */
static void who_was_let_in_too_early_is_put_out(void **state)
{
    struct worker_fixture *f = *state;
    open_room(f);
    park(f, 1, "alice");
    worker_fixture_answer_presence(f, "alice");
    assert_full(f, 1);
    assert_int_equal(counter_get(&worker_metrics(f->worker)->attendees), 0);
}

static void who_was_in_before_there_was_a_limit_stays_in(void **state)
{
    struct worker_fixture *f = *state;
    uint64_t sub = open_room(f);
    uint64_t waiter = park(f, 1, "alice");
    assert_tells(f, true, "alice");
    struct note note = {.kind = NOTE_RECORD, .sub = sub, .record = xcalloc(1, sizeof *note.record)};
    note.record->settings.max_online = 1;
    worker_fixture_note(f, &note);
    worker_cancel(f->worker, waiter, f->now_ms);
    join(f, 2, "alice");
    assert_int_equal(worker_fixture_outcome(f, 2), 1);
    join(f, 3, "bob");
    assert_int_equal(worker_fixture_outcome(f, 3), 0);
    worker_fixture_answer_presence(f, "bob");
    assert_full(f, 3);
}

static void a_place_that_nobody_gives_is_not_waited_for_for_ever(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 2);
    join(f, 1, "alice");
    worker_fixture_pass(f, WORKER_ENTER_MS);
    assert_int_equal(worker_fixture_outcome(f, 1), -1);
    assert_int_equal(f->outcome[1].err, ERR_STORE_UNAVAILABLE);
}

static void nobody_is_told_more_users_than_the_room_takes(void **state)
{
    struct worker_fixture *f = *state;
    open_small_room(f, 1);
    join(f, 1, "alice");
    join(f, 2, "bob");
    worker_fixture_answer_presence(f, NULL);
    assert_int_equal(f->outcome[1].told.online, 1);
    worker_fixture_answer_presence(f, "bob");
    assert_full(f, 2);
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_is_told_and_who_goes_after_a_while),
        TEST(polling_again_in_time_is_staying),
        TEST(nobody_is_not_counted),
        TEST(changes_are_told_in_one_call_at_a_time),
        TEST(a_flicker_is_not_told),
        TEST(the_oldest_of_too_many_polls_is_answered_empty),
        TEST(a_back_end_may_park_as_many_as_it_likes),
        TEST(who_left_elsewhere_is_answered_and_forgotten),
        TEST(who_leaves_before_the_hub_knows_them_is_told_as_left),
        TEST(who_leaves_before_they_are_told_is_never_told),
        TEST(nobody_sees_a_count_that_leaves_them_out),
        TEST(the_count_is_the_hubs),
        TEST(who_rests_is_told_and_told_to_be_back),
        TEST(who_rests_already_when_the_hub_is_told_came_and_rests),
        TEST(a_linger_shorter_than_a_rest_is_no_rest),
        TEST(who_comes_waits_until_the_room_has_taken_them),
        TEST(a_full_room_takes_nobody_new),
        TEST(who_was_turned_away_may_try_again),
        TEST(who_went_while_asking_takes_the_place_for_the_linger),
        TEST(who_was_let_in_too_early_is_put_out),
        TEST(who_was_in_before_there_was_a_limit_stays_in),
        TEST(a_place_that_nobody_gives_is_not_waited_for_for_ever),
        TEST(nobody_is_told_more_users_than_the_room_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
