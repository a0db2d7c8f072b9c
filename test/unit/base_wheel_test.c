/* base/wheel.c against a model that looks through all timers: what fires is at every moment the one
 * with the least (due time, arming number) among those armed before the advance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/wheel.h"

#define TIMERS 60

struct entry {
    struct timer timer;
    bool is_armed;
    int64_t due_ms;
    uint64_t number; /* of the arming */
};

struct model {
    struct wheel wheel;
    struct entry entries[TIMERS];
    struct rng rng;
    int64_t now_ms;
    uint64_t armings;
    uint64_t armings_before; /* when the advance under way began */
    uint64_t fired;
};

static void model_init(struct model *m, uint64_t seed, int64_t now_ms)
{
    *m = (struct model){.now_ms = now_ms};
    rng_init(&m->rng, seed);
    wheel_init(&m->wheel, now_ms);
    for (int i = 0; i < TIMERS; i++) timer_init(&m->entries[i].timer);
}

/* The entry that has to fire next in the advance under way, NULL if none is left. */
static struct entry *model_next(struct model *m)
{
    struct entry *best = NULL;
    for (struct entry *e = m->entries; e < m->entries + TIMERS; e++) {
        if (!e->is_armed || e->due_ms > m->now_ms || e->number >= m->armings_before) continue;
        if (best == NULL || e->due_ms < best->due_ms ||
            (e->due_ms == best->due_ms && e->number < best->number)) {
            best = e;
        }
    }
    return best;
}

/* Short spans are as likely as long ones, so that every level sees traffic. */
static int64_t random_span(struct model *m, int bits_max)
{
    int bits = (int)rng_below(&m->rng, (uint64_t)bits_max + 1);
    return (int64_t)rng_below(&m->rng, 1ULL << bits);
}

static void model_arm(struct model *m, struct entry *e)
{
    int64_t due_ms = m->now_ms + random_span(m, 34) - 8;
    wheel_arm(&m->wheel, &e->timer, due_ms);
    e->is_armed = true;
    e->due_ms = due_ms > m->now_ms ? due_ms : m->now_ms;
    e->number = m->armings++;
}

static void model_cancel(struct model *m, struct entry *e)
{
    wheel_cancel(&m->wheel, &e->timer);
    e->is_armed = false;
}

static struct entry *random_entry(struct model *m)
{
    return &m->entries[rng_below(&m->rng, TIMERS)];
}

static void on_timer(void *arg, struct timer *timer)
{
    struct model *m = arg;
    struct entry *e = CONTAINER_OF(timer, struct entry, timer);
    assert_ptr_equal(e, model_next(m));
    assert_false(timer_is_armed(timer));
    e->is_armed = false;
    m->fired++;
    if (rng_below(&m->rng, 2) == 0) model_arm(m, e);
    if (rng_below(&m->rng, 3) == 0) model_arm(m, random_entry(m));
    if (rng_below(&m->rng, 3) == 0) model_cancel(m, random_entry(m));
}

static void model_advance(struct model *m, int64_t now_ms)
{
    if (now_ms > m->now_ms) m->now_ms = now_ms;
    m->armings_before = m->armings;
    wheel_advance(&m->wheel, now_ms, on_timer, m);
    assert_null(model_next(m));
    assert_int_equal(m->wheel.now_ms, m->now_ms);
}

/* Invariant 4 of wheel.c. */
static void check_used(const struct wheel *w)
{
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int digit = 0; digit < WHEEL_SLOTS; digit++) {
            bool used = w->used[level][digit / 64] >> digit % 64 & 1;
            assert_int_equal(used, !list_is_empty(&w->slots[level][digit]));
        }
    }
}

static void model_check(struct model *m)
{
    uint64_t armed = 0;
    int64_t least_ms = INT64_MAX;
    for (struct entry *e = m->entries; e < m->entries + TIMERS; e++) {
        assert_int_equal(timer_is_armed(&e->timer), e->is_armed);
        if (!e->is_armed) continue;
        armed++;
        if (e->due_ms < least_ms) least_ms = e->due_ms;
    }
    assert_int_equal(m->wheel.count, armed);
    int64_t next_ms = wheel_next_ms(&m->wheel);
    assert_true(next_ms <= least_ms);
    /* Or else a loop that sleeps until then would spin. */
    assert_true(next_ms > m->now_ms || least_ms == m->now_ms);
    assert_int_equal(next_ms == INT64_MAX, armed == 0);
    check_used(&m->wheel);
}

static void run_random(uint64_t seed, int64_t start_ms, int steps)
{
    static struct model m;
    model_init(&m, seed, start_ms);
    for (int step = 0; step < steps; step++) {
        switch (rng_below(&m.rng, 8)) {
        case 0: model_cancel(&m, random_entry(&m)); break;
        case 1: model_advance(&m, m.now_ms + random_span(&m, 34)); break;
        case 2: model_advance(&m, m.now_ms + random_span(&m, 9)); break;
        case 3: model_advance(&m, m.now_ms - random_span(&m, 9)); break;
        case 4:
            model_advance(&m, wheel_next_ms(&m.wheel) < INT64_MAX ? wheel_next_ms(&m.wheel) : 0);
            break;
        default: model_arm(&m, random_entry(&m)); break;
        }
        if (step % 8 == 0) model_check(&m);
    }
    assert_true(m.fired > (uint64_t)steps / 10);
}

static void wheel_agrees_with_the_model(void **state)
{
    for (uint64_t seed = 0; seed < 8; seed++) {
        run_random(seed, 0, 2000);
        run_random(seed, 1764000000000, 2000);
        run_random(seed, (7LL << 32) - 3, 2000); /* just before all digits roll over */
        run_random(seed, -(1LL << 33), 2000);
    }
}

struct record {
    struct timer *fired[8];
    int count;
};

static void on_record(void *arg, struct timer *timer)
{
    struct record *record = arg;
    assert_true(record->count < 8);
    record->fired[record->count++] = timer;
}

static void wheel_fires_ties_in_arming_order_across_levels(void **state)
{
    static struct wheel w;
    static const int64_t armed_at_ms[] = {0, 1000, 99900, 99999, 100000};
    struct timer timers[5];
    struct record record = {0};
    wheel_init(&w, 0);
    for (int i = 0; i < 5; i++) {
        wheel_advance(&w, armed_at_ms[i], on_record, &record);
        timer_init(&timers[i]);
        wheel_arm(&w, &timers[i], 100000);
    }
    wheel_advance(&w, 100000, on_record, &record);
    assert_int_equal(record.count, 5);
    for (int i = 0; i < 5; i++) assert_ptr_equal(record.fired[i], &timers[i]);
}

static void wheel_never_fires_early(void **state)
{
    static struct wheel w;
    for (int64_t due_ms = 1; due_ms < 1LL << 40; due_ms = due_ms * 3 + 1) {
        struct timer timer;
        struct record record = {0};
        timer_init(&timer);
        wheel_init(&w, 0);
        wheel_arm(&w, &timer, due_ms);
        wheel_advance(&w, due_ms - 1, on_record, &record);
        assert_int_equal(record.count, 0);
        wheel_advance(&w, due_ms, on_record, &record);
        assert_int_equal(record.count, 1);
    }
}

/* Looking at each millisecond would take hours. */
static void wheel_jumps_over_idle_time(void **state)
{
    static struct wheel w;
    const int64_t day_ms = 24 * 3600 * 1000;
    struct timer timer;
    struct record record = {0};
    timer_init(&timer);
    wheel_init(&w, 0);
    wheel_arm(&w, &timer, 20000 * day_ms);
    for (int64_t day = 1; day < 20000; day++) wheel_advance(&w, day * day_ms, on_record, &record);
    assert_int_equal(record.count, 0);
    wheel_advance(&w, 20000 * day_ms, on_record, &record);
    assert_int_equal(record.count, 1);
    assert_true(wheel_next_ms(&w) == INT64_MAX);
}

static void wheel_takes_a_due_time_that_never_comes(void **state)
{
    static struct wheel w;
    struct timer timer;
    struct record record = {0};
    timer_init(&timer);
    wheel_init(&w, 1764000000000);
    wheel_arm(&w, &timer, INT64_MAX);
    wheel_advance(&w, 1764000000000 * 2, on_record, &record);
    assert_true(timer_is_armed(&timer));
    wheel_cancel(&w, &timer);
    wheel_cancel(&w, &timer);
    assert_true(wheel_next_ms(&w) == INT64_MAX);
    assert_int_equal(record.count, 0);
}

struct loop {
    struct wheel wheel;
    int fired;
};

static void on_rearm(void *arg, struct timer *timer)
{
    struct loop *loop = arg;
    loop->fired++;
    wheel_arm(&loop->wheel, timer, 0);
}

static void wheel_fires_a_timer_rearmed_for_now_once_per_advance(void **state)
{
    static struct loop loop;
    struct timer timer;
    timer_init(&timer);
    wheel_init(&loop.wheel, 100);
    wheel_arm(&loop.wheel, &timer, 50);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(wheel_next_ms(&loop.wheel), 100);
        wheel_advance(&loop.wheel, 100, on_rearm, &loop);
        assert_int_equal(loop.fired, i);
    }
    wheel_cancel(&loop.wheel, &timer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wheel_agrees_with_the_model),
        cmocka_unit_test(wheel_fires_ties_in_arming_order_across_levels),
        cmocka_unit_test(wheel_never_fires_early),
        cmocka_unit_test(wheel_jumps_over_idle_time),
        cmocka_unit_test(wheel_takes_a_due_time_that_never_comes),
        cmocka_unit_test(wheel_fires_a_timer_rearmed_for_now_once_per_advance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
