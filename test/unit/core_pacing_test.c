/* core/pacing.c: the table by audience, and the feedback by load, which is run against a simulated worker whose work falls
 * with the interval. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "core/pacing.h"

#define START_MS 1732441234567

/* --- the table -------------------------------------------------------------------------------- */

static struct pace_config table(const char *text)
{
    struct pace_config config = {.is_on = true};
    if (!pace_table_parse(str_of(text), &config)) fail_msg("not a table: %s", text);
    return config;
}

static void a_table_is_read(void **state)
{
    struct pace_config config = table("2:400 100:800");
    assert_int_equal(config.count, 2);
    assert_int_equal(config.points[0].audience, 2);
    assert_int_equal(config.points[0].interval_ms, 400);
    assert_int_equal(config.points[1].audience, 100);
    assert_int_equal(config.points[1].interval_ms, 800);
}

static void blanks_between_and_around_points_do_not_matter(void **state)
{
    assert_int_equal(table("  2:400   100:800 ").count, 2);
    assert_int_equal(table("\t2:400 ").count, 1);
}

static void a_table_has_up_to_eight_points(void **state)
{
    struct pace_config config = {0};
    assert_int_equal(table("1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8").count, PACE_POINTS);
    assert_false(pace_table_parse(STR("1:1 2:2 3:3 4:4 5:5 6:6 7:7 8:8 9:9"), &config));
}

static void points_rise_but_the_interval_may_stay(void **state)
{
    struct pace_config config = {0};
    assert_int_equal(table("10:500 20:500").count, 2);
    assert_false(pace_table_parse(STR("10:500 10:600"), &config));
    assert_false(pace_table_parse(STR("20:500 10:600"), &config));
    assert_false(pace_table_parse(STR("10:500 20:499"), &config));
}

static void an_interval_is_at_most_a_minute(void **state)
{
    struct pace_config config = {0};
    assert_int_equal(table("1:60000").points[0].interval_ms, 60000);
    assert_int_equal(table("18446744073709551615:0").count, 1);
    assert_false(pace_table_parse(STR("1:60001"), &config));
    assert_false(pace_table_parse(STR("1:99999999999999999999"), &config));
    assert_false(pace_table_parse(STR("18446744073709551616:1"), &config));
}

static void nonsense_is_no_table_and_changes_nothing(void **state)
{
    static const char *const nonsense[] = {
        "",       " ",        ":",     "1",        "1:",        ":1",         "0:5",  "-1:5",
        "1:-5",   "1:5:6",    "a:b",   "1 :5",     "1: 5",      "1:5,2:6",    "1:5;", "1.5:2",
        "1:5 x",  "1:5 2",    "0x1:5", "1:5\n2:6", "1:5 2:6 :", "+1:5",       "1:+5", "1:5\t2:6",
        "1e3:10", "1:5 0:10", "1::5",  "--",       "1:5 1:5",   "1000:1600ms"};
    struct pace_config before = table("7:70 8:80");
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
        struct pace_config config = before;
        if (pace_table_parse(str_of(nonsense[i]), &config)) fail_msg("a table: %s", nonsense[i]);
        assert_memory_equal(&config, &before, sizeof config);
    }
}

static void a_table_that_is_off_stays_off(void **state)
{
    struct pace_config config = {.is_on = false};
    assert_true(pace_table_parse(STR("1:500"), &config));
    assert_false(config.is_on);
    assert_int_equal(pace_by_audience(&config, 1000000), 0);
}

static void without_a_table_there_is_no_hold(void **state)
{
    struct pace_config config = {.is_on = true};
    assert_int_equal(pace_by_audience(&config, 1000000), 0);
}

static void at_the_points_the_interval_is_theirs(void **state)
{
    struct pace_config config = table("10:100 1000:300 100000:900");
    assert_int_equal(pace_by_audience(&config, 0), 0);
    assert_int_equal(pace_by_audience(&config, 9), 0);
    assert_int_equal(pace_by_audience(&config, 10), 100);
    assert_int_equal(pace_by_audience(&config, 1000), 300);
    assert_int_equal(pace_by_audience(&config, 100000), 900);
    assert_int_equal(pace_by_audience(&config, 100001), 900);
    assert_int_equal(pace_by_audience(&config, UINT64_MAX), 900);
}

static void between_points_it_is_linear_in_the_logarithm(void **state)
{
    struct pace_config config = table("10:100 1000:300 100000:900");
    assert_int_equal(pace_by_audience(&config, 100), 200);
    assert_int_equal(pace_by_audience(&config, 10000), 600);
    assert_int_equal(pace_by_audience(&config, 20), 130); /* 100 * log 2 = 30.1 */
}

static void a_larger_audience_never_has_a_shorter_interval(void **state)
{
    struct pace_config configs[] = {pace_config_default(), table("1:1 2:2 3:3"),
                                    table("2:400 100:800"), table("5:0 6:60000")};
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++) {
        uint32_t before = 0;
        for (uint64_t audience = 0; audience < 20000000; audience += 1 + audience / 200) {
            uint32_t interval_ms = pace_by_audience(&configs[i], audience);
            assert_true(interval_ms >= before);
            before = interval_ms;
        }
    }
}

static void the_default_is_the_documented_one(void **state)
{
    struct pace_config config = pace_config_default();
    assert_true(config.is_on);
    assert_int_equal(pace_by_audience(&config, 999), 0);
    assert_int_equal(pace_by_audience(&config, 1000), 0);
    assert_int_equal(pace_by_audience(&config, 10000), 1600);
    assert_int_equal(pace_by_audience(&config, 1000000), 2000);
    assert_int_equal(pace_by_audience(&config, 15000000), 5000);
}

/* --- steps ------------------------------------------------------------------------------------ */

static void the_first_step_only_begins(void **state)
{
    struct pace_load load = {0};
    assert_false(pace_load_step(&load, 123456789, START_MS));
    assert_int_equal(load.interval_ms, 0);
    assert_int_equal(load.share_permille, 0);
    assert_false(pace_load_is_over(&load));
    assert_true(pace_load_step(&load, 123456789 + 200000, START_MS + 250));
    assert_int_equal(load.share_permille, 800);
}

static void steps_are_not_more_often_than_that(void **state)
{
    struct pace_load load = {0};
    pace_load_step(&load, 0, START_MS);
    for (int64_t ms = 1; ms < PACE_STEP_MS; ms++)
        assert_false(pace_load_step(&load, (uint64_t)ms * 1000, START_MS + ms));
    assert_true(pace_load_step(&load, PACE_STEP_MS * 1000, START_MS + PACE_STEP_MS));
    assert_int_equal(load.share_permille, 1000);
    assert_false(pace_load_step(&load, PACE_STEP_MS * 1000, START_MS + PACE_STEP_MS));
}

/* Of all clients: they may all come back together. */
static void a_step_is_a_whole_round(void **state)
{
    struct pace_load load = {.interval_ms = 3000};
    pace_load_step(&load, 0, START_MS);
    assert_false(pace_load_step(&load, 2000000, START_MS + 2999)); /* busy first, and then idle */
    assert_true(pace_load_step(&load, 2100000, START_MS + 3000));
    assert_int_equal(load.share_permille, 700);
    assert_int_equal(load.interval_ms, 3000);
}

/* Nobody comes back while polls are refused, and the end of the load is to be seen. */
static void in_an_overload_steps_are_short(void **state)
{
    struct pace_load load = {.interval_ms = PACE_LOAD_MAX_MS, .share_permille = 1000};
    pace_load_step(&load, 0, START_MS);
    assert_true(pace_load_step(&load, 0, START_MS + PACE_STEP_MS));
    assert_false(pace_load_is_over(&load));
}

static void a_long_sleep_is_one_step(void **state)
{
    struct pace_load load = {.interval_ms = 400};
    pace_load_step(&load, 0, START_MS);
    assert_true(pace_load_step(&load, 1000000, START_MS + 10000));
    assert_int_equal(load.share_permille, 100);
    assert_true(load.interval_ms < 400);
}

static void between_the_thresholds_nothing_moves(void **state)
{
    for (uint64_t share = PACE_CALM_PERMILLE; share <= PACE_BUSY_PERMILLE; share++) {
        struct pace_load load = {.interval_ms = 777};
        pace_load_step(&load, 0, START_MS);
        pace_load_step(&load, share * 1000, START_MS + 1000);
        assert_int_equal(load.share_permille, share);
        assert_int_equal(load.interval_ms, 777);
    }
}

static void a_counter_that_stands_still_is_no_load(void **state)
{
    struct pace_load load = {.interval_ms = 5000};
    for (int i = 0; i < 60; i++) pace_load_step(&load, 42, START_MS + 250 * i);
    assert_int_equal(load.share_permille, 0);
    assert_int_equal(load.interval_ms, 0);
}

/* Busy time is the difference of two clocks, one of them in whole milliseconds. */
static void a_counter_that_steps_back_is_no_load(void **state)
{
    struct pace_load load = {0};
    pace_load_step(&load, 1000000, START_MS);
    assert_true(pace_load_step(&load, 999000, START_MS + 250));
    assert_int_equal(load.share_permille, 0);
    assert_int_equal(load.interval_ms, 0);
    pace_load_step(&load, 999000 + 100000, START_MS + 500);
    assert_int_equal(load.share_permille, 400);
}

static void a_clock_that_is_set_back_stops_no_steps(void **state)
{
    struct pace_load load = {0};
    pace_load_step(&load, 0, START_MS);
    assert_false(pace_load_step(&load, 250000, START_MS - 3600000)); /* begins anew */
    assert_true(pace_load_step(&load, 500000, START_MS - 3600000 + 250));
    assert_int_equal(load.share_permille, 1000);
}

/* --- the loop --------------------------------------------------------------------------------- */

/* A worker whose clients cost it demand_ms together for one answer to each. They come back interval + base_ms after an
 * answer; what the interval is now is seen `delay` steps later. */
struct plant {
    double demand_ms, base_ms, noise;
    uint32_t delay;
    struct rng rng;
    struct pace_load load;
    int64_t now_ms;
    double busy_us;
    uint32_t past_ms[4];
};

static struct plant plant_of(double demand_ms, double base_ms)
{
    struct plant plant = {.demand_ms = demand_ms, .base_ms = base_ms, .now_ms = START_MS};
    rng_init(&plant.rng, 1);
    pace_load_step(&plant.load, 0, plant.now_ms);
    return plant;
}

static void plant_step(struct plant *p)
{
    for (int i = 3; i > 0; i--) p->past_ms[i] = p->past_ms[i - 1];
    p->past_ms[0] = p->load.interval_ms;
    double share = p->demand_ms / (p->past_ms[p->delay] + p->base_ms);
    share *= 1 + p->noise * (2 * rng_unit(&p->rng) - 1);
    if (share > 1) share = 1;
    p->now_ms += PACE_STEP_MS;
    p->busy_us += share * PACE_STEP_MS * 1000;
    pace_load_step(&p->load, (uint64_t)p->busy_us, p->now_ms);
}

static void plant_run(struct plant *p, int64_t ms)
{
    for (int64_t i = 0; i < ms / PACE_STEP_MS; i++) plant_step(p);
}

struct movement {
    uint32_t turns; /* changes of direction */
    uint32_t least_ms, most_ms, most_share;
};

static struct movement watch(struct plant *p, int64_t ms)
{
    struct movement m = {.least_ms = p->load.interval_ms, .most_ms = p->load.interval_ms};
    int direction = 0;
    for (int64_t i = 0; i < ms / PACE_STEP_MS; i++) {
        uint32_t before = p->load.interval_ms;
        plant_step(p);
        uint32_t now = p->load.interval_ms;
        int moved = (now > before) - (now < before);
        if (moved != 0 && direction != 0 && moved != direction) m.turns++;
        if (moved != 0) direction = moved;
        if (now < m.least_ms) m.least_ms = now;
        if (now > m.most_ms) m.most_ms = now;
        if (p->load.share_permille > m.most_share) m.most_share = p->load.share_permille;
    }
    return m;
}

#define SETTLES_MS 20000
#define OVER_MS    30000
#define WATCH_MS   60000

static void assert_settled(struct plant *p)
{
    struct movement m = watch(p, WATCH_MS);
    assert_in_range(m.turns, 0, 2);
    assert_in_range(m.most_ms - m.least_ms, 0, m.most_ms / 5);
    assert_in_range(p->load.share_permille, 500, 860);
    assert_false(pace_load_is_over(&p->load));
}

static void a_steady_load_settles(void **state)
{
    static const double demands_ms[] = {60, 150, 400, 1000, 3000, 7000};
    static const double bases_ms[] = {20, 50, 100, 300};
    for (size_t d = 0; d < sizeof demands_ms / sizeof *demands_ms; d++)
        for (size_t b = 0; b < sizeof bases_ms / sizeof *bases_ms; b++)
            for (uint32_t delay = 0; delay < 3; delay++) {
                struct plant plant = plant_of(demands_ms[d], bases_ms[b]);
                if (plant.demand_ms / plant.base_ms < 0.9) continue; /* no interval is needed */
                if (plant.demand_ms / (plant.base_ms + PACE_LOAD_FIRST_MS) < 0.6) continue;
                plant.delay = delay;
                plant.noise = 0.04;
                plant_run(&plant, SETTLES_MS);
                assert_settled(&plant);
            }
}

/* 50 ms are more than it needs, and none are not enough. */
static void a_load_that_the_shortest_hold_ends_does_not_swing(void **state)
{
    for (double base_ms = 20; base_ms < 150; base_ms += 5) {
        struct plant plant = plant_of(0.9 * base_ms, base_ms);
        plant_run(&plant, SETTLES_MS);
        struct movement m = watch(&plant, WATCH_MS);
        assert_int_equal(m.turns, 0);
        assert_in_range(m.most_ms, PACE_LOAD_FIRST_MS, 2 * PACE_LOAD_FIRST_MS);
    }
}

static void a_light_load_needs_no_interval(void **state)
{
    struct plant plant = plant_of(79, 100);
    assert_int_equal(watch(&plant, WATCH_MS).most_ms, 0);
    plant.noise = 0.01;
    plant.demand_ms = 75;
    assert_int_equal(watch(&plant, WATCH_MS).most_ms, 0);
}

static void steps_of_load_up_and_down_are_followed(void **state)
{
    for (uint32_t delay = 0; delay < 3; delay++) {
        struct plant plant = plant_of(500, 100);
        plant.delay = delay;
        plant.noise = 0.04;
        static const double demands_ms[] = {500, 2000, 5000, 1000, 4000, 400, 500};
        for (size_t i = 0; i < sizeof demands_ms / sizeof *demands_ms; i++) {
            plant.demand_ms = demands_ms[i];
            struct movement m = watch(&plant, SETTLES_MS);
            assert_in_range(m.turns, 0, 4);
            assert_settled(&plant);
        }
    }
}

static void a_step_down_does_not_fall_through(void **state)
{
    struct plant plant = plant_of(4000, 100);
    plant_run(&plant, 20000);
    plant.demand_ms = 2000;
    struct movement m = watch(&plant, 20000);
    assert_true(m.least_ms > 2000 / 2); /* it would be busy all of its time there */
}

static void an_impossible_load_reaches_the_end_and_says_so(void **state)
{
    struct plant plant = plant_of(50000, 100);
    plant_run(&plant, OVER_MS);
    assert_int_equal(plant.load.interval_ms, PACE_LOAD_MAX_MS);
    assert_true(pace_load_is_over(&plant.load));
    plant_run(&plant, 60000);
    assert_int_equal(plant.load.interval_ms, PACE_LOAD_MAX_MS);
    assert_true(pace_load_is_over(&plant.load));
}

static void the_longest_interval_alone_is_not_over(void **state)
{
    struct pace_load load = {.interval_ms = PACE_LOAD_MAX_MS, .share_permille = PACE_BUSY_PERMILLE};
    assert_false(pace_load_is_over(&load));
    load.share_permille++;
    assert_true(pace_load_is_over(&load));
    load.interval_ms--;
    assert_false(pace_load_is_over(&load));
}

static void when_the_load_goes_so_does_the_interval(void **state)
{
    struct plant plant = plant_of(50000, 100);
    plant_run(&plant, OVER_MS);
    plant.demand_ms = 10;
    plant_run(&plant, 1000);
    assert_false(pace_load_is_over(&plant.load));
    plant_run(&plant, 12000);
    assert_int_equal(plant.load.interval_ms, 0);
}

/* Whatever the load does, the interval is nothing, or from the first to the longest. */
static void the_interval_stays_within_its_bounds(void **state)
{
    struct plant plant = plant_of(100, 50);
    for (int i = 0; i < 100000; i++) {
        if (rng_below(&plant.rng, 20) == 0)
            plant.demand_ms = (double)rng_below(&plant.rng, 1ull << rng_below(&plant.rng, 20));
        plant_step(&plant);
        uint32_t interval_ms = plant.load.interval_ms;
        if (interval_ms != 0) assert_in_range(interval_ms, PACE_LOAD_FIRST_MS, PACE_LOAD_MAX_MS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_read),
        cmocka_unit_test(blanks_between_and_around_points_do_not_matter),
        cmocka_unit_test(a_table_has_up_to_eight_points),
        cmocka_unit_test(points_rise_but_the_interval_may_stay),
        cmocka_unit_test(an_interval_is_at_most_a_minute),
        cmocka_unit_test(nonsense_is_no_table_and_changes_nothing),
        cmocka_unit_test(a_table_that_is_off_stays_off),
        cmocka_unit_test(without_a_table_there_is_no_hold),
        cmocka_unit_test(at_the_points_the_interval_is_theirs),
        cmocka_unit_test(between_points_it_is_linear_in_the_logarithm),
        cmocka_unit_test(a_larger_audience_never_has_a_shorter_interval),
        cmocka_unit_test(the_default_is_the_documented_one),
        cmocka_unit_test(the_first_step_only_begins),
        cmocka_unit_test(steps_are_not_more_often_than_that),
        cmocka_unit_test(a_step_is_a_whole_round),
        cmocka_unit_test(in_an_overload_steps_are_short),
        cmocka_unit_test(a_long_sleep_is_one_step),
        cmocka_unit_test(between_the_thresholds_nothing_moves),
        cmocka_unit_test(a_counter_that_stands_still_is_no_load),
        cmocka_unit_test(a_counter_that_steps_back_is_no_load),
        cmocka_unit_test(a_clock_that_is_set_back_stops_no_steps),
        cmocka_unit_test(a_steady_load_settles),
        cmocka_unit_test(a_load_that_the_shortest_hold_ends_does_not_swing),
        cmocka_unit_test(a_light_load_needs_no_interval),
        cmocka_unit_test(steps_of_load_up_and_down_are_followed),
        cmocka_unit_test(a_step_down_does_not_fall_through),
        cmocka_unit_test(an_impossible_load_reaches_the_end_and_says_so),
        cmocka_unit_test(the_longest_interval_alone_is_not_over),
        cmocka_unit_test(when_the_load_goes_so_does_the_interval),
        cmocka_unit_test(the_interval_stays_within_its_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
