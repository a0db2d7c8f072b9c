/* core/pacing.c in its loop: clients that are held, one worker that answers them one after the other, and the interval that
 * comes of it. Unlike a formula for the share these clients have a memory: those who are answered together come back
 * together, and who is held for long feels a change late. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "core/pacing.h"

#define START_MS  1732441234567
#define CLIENTS   500
#define SETTLE_MS 20000
#define WATCH_MS  30000

struct loop {
    struct pace_load load;
    int64_t now_ms;
    int64_t message_ms; /* between two messages */
    double answer_ms;   /* what one answer costs */
    double busy_ms;
    double ahead_ms; /* the work under way lasts so long */
    int next;        /* the client after the one served last */
    int64_t answered_ms[CLIENTS], due_ms[CLIENTS];
    uint32_t turns, least_ms, most_ms;
    int direction;
};

/* Clients that come one by one within a second, or all at once. */
static void begin(struct loop *l, double demand_ms, int64_t message_ms, bool in_step)
{
    struct rng rng;
    rng_init(&rng, 1);
    *l = (struct loop){
        .now_ms = START_MS, .message_ms = message_ms, .answer_ms = demand_ms / CLIENTS};
    for (int i = 0; i < CLIENTS; i++) {
        l->answered_ms[i] = START_MS;
        l->due_ms[i] = START_MS + 1 + (in_step ? 0 : (int64_t)rng_below(&rng, 1000));
    }
    pace_load_step(&l->load, 0, START_MS);
}

/* As worker_hold.c and worker_wait.c do: held until the interval is over, then parked until there is news. */
static bool is_served(struct loop *l, int i)
{
    int64_t allowed_ms = l->answered_ms[i] + l->load.interval_ms;
    int64_t news_ms = l->now_ms / l->message_ms * l->message_ms;
    if (l->due_ms[i] > l->now_ms) return false;
    if (allowed_ms > l->now_ms) {
        l->due_ms[i] = allowed_ms;
        return false;
    }
    if (news_ms <= l->answered_ms[i]) {
        l->due_ms[i] = news_ms + l->message_ms;
        return false;
    }
    l->answered_ms[i] = l->now_ms;
    l->due_ms[i] = l->now_ms + 1 + l->load.interval_ms;
    return true;
}

static void serve(struct loop *l)
{
    if (l->ahead_ms > 0) l->ahead_ms -= 1;
    for (int n = 0; n < CLIENTS && l->ahead_ms < 1; n++) {
        int i = l->next++ % CLIENTS;
        if (!is_served(l, i)) continue;
        l->ahead_ms += l->answer_ms;
        l->busy_ms += l->answer_ms;
    }
}

static void watch(struct loop *l, uint32_t before_ms)
{
    uint32_t now_ms = l->load.interval_ms;
    int moved = (now_ms > before_ms) - (now_ms < before_ms);
    if (moved != 0 && l->direction != 0 && moved != l->direction) l->turns++;
    if (moved != 0) l->direction = moved;
    if (now_ms < l->least_ms) l->least_ms = now_ms;
    if (now_ms > l->most_ms) l->most_ms = now_ms;
}

static void run(struct loop *l, int64_t ms)
{
    l->turns = 0;
    l->direction = 0;
    l->least_ms = l->most_ms = l->load.interval_ms;
    for (int64_t until_ms = l->now_ms + ms; l->now_ms < until_ms;) {
        uint32_t before_ms = l->load.interval_ms;
        l->now_ms++;
        serve(l);
        double done_ms = l->busy_ms - (l->ahead_ms > 0 ? l->ahead_ms : 0);
        if (pace_load_step(&l->load, (uint64_t)(done_ms * 1000), l->now_ms)) watch(l, before_ms);
    }
}

static void assert_settled(struct loop *l, double demand_ms)
{
    run(l, WATCH_MS);
    assert_in_range(l->turns, 0, 3);
    assert_in_range(l->most_ms, demand_ms / 0.9, demand_ms / 0.5);
    assert_in_range(l->most_ms - l->least_ms, 0, l->most_ms / 3);
    assert_in_range(l->load.share_permille, 500, 900);
}

static void a_load_settles(void **state)
{
    static const double demands_ms[] = {400, 1500, 3000};
    static const int64_t messages_ms[] = {25, 100};
    static struct loop loop;
    for (size_t d = 0; d < sizeof demands_ms / sizeof *demands_ms; d++)
        for (size_t m = 0; m < sizeof messages_ms / sizeof *messages_ms; m++)
            for (int in_step = 0; in_step < 2; in_step++) {
                begin(&loop, demands_ms[d], messages_ms[m], in_step != 0);
                run(&loop, SETTLE_MS);
                assert_settled(&loop, demands_ms[d]);
            }
}

static void steps_of_load_are_followed(void **state)
{
    static const double demands_ms[] = {500, 3000, 1500, 700, 2000};
    static struct loop loop;
    begin(&loop, demands_ms[0], 50, true);
    for (size_t i = 0; i < sizeof demands_ms / sizeof *demands_ms; i++) {
        loop.answer_ms = demands_ms[i] / CLIENTS;
        run(&loop, SETTLE_MS);
        assert_in_range(loop.turns, 0, 6);
        assert_settled(&loop, demands_ms[i]);
    }
}

static void a_load_that_goes_leaves_no_interval(void **state)
{
    static struct loop loop;
    begin(&loop, 3000, 50, true);
    run(&loop, SETTLE_MS);
    loop.answer_ms = 3.0 / CLIENTS;
    run(&loop, 10000);
    assert_int_equal(loop.load.interval_ms, 0);
}

static void a_load_without_a_bearable_interval_is_over(void **state)
{
    static struct loop loop;
    begin(&loop, 20000, 50, true);
    run(&loop, 30000);
    assert_true(pace_load_is_over(&loop.load));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_settles),
        cmocka_unit_test(steps_of_load_are_followed),
        cmocka_unit_test(a_load_that_goes_leaves_no_interval),
        cmocka_unit_test(a_load_without_a_bearable_interval_is_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
