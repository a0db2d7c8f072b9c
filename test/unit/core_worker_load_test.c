/* core/worker_hold.c, worker_wait.c: a fan-out beyond the capacity is spread, what answers cost is measured,
 * and past that polls and sends are shed. */
#include "unit/core_worker_paced.h"

static void small_capacity(struct worker *w, uint32_t capacity)
{
    w->capacity = capacity;
    w->allowance = (struct bucket){0};
}

/* Gives the handle of the waiter. */
static uint64_t park_at(struct worker_fixture *f, const struct cursor *cursor, struct str name,
                        uint64_t exchange)
{
    char text[CURSOR_TEXT_LEN];
    cursor_encode(cursor, text);
    struct poll poll = {.room = name,
                        .since = str_make(text, sizeof text),
                        .limit = 50,
                        .timeout_ms = 25000,
                        .exchange = exchange};
    return worker_fixture_poll_as(f, &poll);
}

static uint64_t open_other(struct worker_fixture *f, struct str name)
{
    struct cursor cursor = worker_fixture_cursor(name, 0, 0);
    uint64_t waiter = park_at(f, &cursor, name, 0);
    uint64_t sub = worker_fixture_ready(f, 1, 1);
    worker_cancel(f->worker, waiter, f->now_ms);
    return sub;
}

static uint64_t poll_other(struct paced_room *room, struct str name, uint64_t normal)
{
    struct cursor cursor = worker_fixture_cursor(name, 1, normal);
    park_at(room->f, &cursor, name, ++room->exchange);
    return room->exchange;
}

static void a_small_room_is_served_while_a_large_one_is_spread(void **state)
{
    enum { READERS = 1000, CAPACITY = 200 };
    struct paced_room room = paced_open(state);
    uint64_t other = open_other(room.f, STR("dev/small"));
    for (int i = 0; i < READERS; i++) paced_poll_at(&room, "", PACED_HIGH, PACED_NORMAL, 0);
    small_capacity(room.f->worker, CAPACITY);
    paced_tell(&room, LIST_NORMAL);
    for (uint64_t n = 2; n < 12; n++) {
        uint64_t exchange = poll_other(&room, STR("dev/small"), n - 1);
        worker_fixture_news(room.f, other, LIST_NORMAL, n);
        assert_in_range(paced_wait(&room, exchange), 0, 30);
        paced_pass(&room, 200);
    }
    assert_true(room.f->worker->is_spreading);
    paced_pass(&room, 1000 * READERS / CAPACITY);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_parked), 0);
}

/* What is left over comes by itself: worker_tick() says when. */
static void a_spread_fan_out_is_gone_on_with(void **state)
{
    struct paced_room room = paced_open(state);
    for (int i = 0; i < 300; i++) paced_poll_at(&room, "", PACED_HIGH, PACED_NORMAL, 0);
    small_capacity(room.f->worker, 100);
    paced_tell(&room, LIST_NORMAL);
    worker_take_notes(room.f->worker, room.f->now_ms);
    while (worker_serve(room.f->worker, 100, room.f->now_ms)) continue;
    assert_in_range(worker_tick(room.f->worker, room.f->now_ms) - room.f->now_ms, 1, 10);
}

static void a_high_message_beside_a_spread_fan_out_breaks_holds(void **state)
{
    struct paced_room room = paced_open(state);
    for (int i = 0; i < 500; i++) paced_poll_at(&room, "", PACED_HIGH, PACED_NORMAL, 0);
    uint64_t alice = paced_poll(&room, "alice");
    small_capacity(room.f->worker, 1000);
    paced_tell(&room, LIST_NORMAL);
    paced_pass(&room, 10);
    paced_tell(&room, LIST_HIGH);
    assert_in_range(paced_wait(&room, alice), 0, PACE_HIGH_GAP_MS);
}

static uint64_t busy(struct paced_room *room, uint64_t busy_us, uint64_t share_permille)
{
    busy_us += share_permille * PACE_STEP_MS;
    room->f->now_ms += PACE_STEP_MS;
    worker_set_busy(room->f->worker, busy_us, room->f->now_ms);
    return busy_us;
}

static void capacity_is_what_answers_cost(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t busy_us = busy(&room, 0, 0);
    for (int step = 0; step < 40;
         step++) { /* 100 answers in 25 ms, four fifths of what that makes */
        for (int i = 0; i < 100; i++) {
            worker_fixture_poll(room.f, 1, "", NULL);
            assert_true(paced_is_answered(&room, 1));
        }
        busy_us = busy(&room, busy_us, 100);
    }
    assert_in_range(counter_get(&paced_metrics(&room)->answer_capacity), 3100, 3300);
}

/* Measured while other work took the time; then there is none, but a fan-out that goes on. */
static void a_capacity_that_was_measured_too_low_recovers(void **state)
{
    struct paced_room room = paced_open(state);
    small_capacity(room.f->worker, 100);
    for (int i = 0; i < 1500; i++) paced_poll_at(&room, "", PACED_HIGH, PACED_NORMAL, 0);
    paced_tell(&room, LIST_NORMAL);
    uint64_t busy_us = busy(&room, 0, 0);
    for (int step = 0; step < 12; step++) {
        for (int ms = 0; ms < PACE_STEP_MS; ms++) paced_pass(&room, 1);
        room.f->now_ms -= PACE_STEP_MS; /* busy() counts it once more */
        busy_us = busy(&room, busy_us, 5);
    }
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_parked), 0);
    assert_true(room.f->worker->capacity > 1000);
}

static void without_a_pace_nothing_is_held_and_nothing_spread(void **state)
{
    struct paced_room room = paced_open(state);
    room.f->worker->config.pace.is_on = false;
    small_capacity(room.f->worker, 1);
    uint64_t first = room.exchange + 1;
    for (int i = 0; i < 500; i++)
        paced_poll_at(&room, "alice", PACED_HIGH, PACED_NORMAL - 1, room.f->now_ms);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(paced_is_answered(&room, i));
    first = room.exchange + 1;
    for (int i = 0; i < 500; i++)
        paced_poll_at(&room, "", PACED_HIGH, PACED_NORMAL, room.f->now_ms);
    paced_tell(&room, LIST_NORMAL);
    worker_fixture_turn(room.f);
    for (uint64_t i = first; i <= room.exchange; i++) assert_true(paced_is_answered(&room, i));
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_held_total), 0);
}

/* Until longer holds do not help any more, and some. */
#define OVERLOAD_STEPS 150

static uint64_t overload(struct paced_room *room, uint64_t busy_us, int steps)
{
    for (int i = 0; i < steps; i++) busy_us = busy(room, busy_us, 1000);
    return busy_us;
}

static void past_capacity_polls_are_shed_first_and_sends_later(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t busy_us = busy(&room, 0, 0);
    while (room.f->worker->over_steps == 0) {
        assert_int_not_equal(worker_fixture_outcome(room.f, paced_poll(&room, "")), -1);
        busy_us = overload(&room, busy_us, 1);
        assert_in_range(room.exchange, 1, 150);
    }
    int steps = 0;
    for (; !worker_sheds_sends(room.f->worker); steps++) busy_us = overload(&room, busy_us, 1);
    assert_in_range(steps * PACE_STEP_MS, 1000, 5000);
}

static void those_who_are_shed_come_back_spread(void **state)
{
    struct paced_room room = paced_open(state);
    int64_t least_ms = INT64_MAX, most_ms = 0;
    overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    for (int i = 0; i < 200; i++) {
        uint64_t exchange = paced_poll(&room, "alice");
        const struct outcome *outcome = &room.f->outcome[exchange];
        assert_int_equal(outcome->err, ERR_OVERLOADED);
        assert_in_range(outcome->retry_after_ms, WORKER_RETRY_MS, 10000);
        if (outcome->retry_after_ms < least_ms) least_ms = outcome->retry_after_ms;
        if (outcome->retry_after_ms > most_ms) most_ms = outcome->retry_after_ms;
    }
    assert_true(most_ms - least_ms > 5000);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_shed_total), 200);
    assert_int_equal(counter_get(&paced_metrics(&room)->polls_parked), 0);
}

static void who_waits_already_is_answered_in_an_overload(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t alice = paced_poll(&room, "alice");
    overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    paced_tell(&room, LIST_NORMAL);
    assert_in_range(paced_wait(&room, alice), 0, PACE_LOAD_MAX_MS);
    assert_true(paced_is_answered(&room, alice));
}

static void an_overload_ends_by_itself(void **state)
{
    struct paced_room room = paced_open(state);
    uint64_t busy_us = overload(&room, busy(&room, 0, 0), OVERLOAD_STEPS);
    assert_true(worker_sheds_sends(room.f->worker));
    busy_us = busy(&room, busy_us, 0);
    assert_false(worker_sheds_sends(room.f->worker));
    assert_int_not_equal(worker_fixture_outcome(room.f, paced_poll(&room, "alice")), -1);
    for (int i = 0; i < 48; i++) busy_us = busy(&room, busy_us, 0);
    assert_int_equal(worker_interval(paced_copy(&room)), PACED_INTERVAL_MS); /* by audience */
}

int main(void)
{
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, worker_fixture_setup, worker_fixture_teardown)
    const struct CMUnitTest tests[] = {
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
