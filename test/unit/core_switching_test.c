/* core/switching.c: which rooms go to a VIP sect and which come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/switching.h"

#define STEP_MS  1000
#define START_MS 1732441234567
#define UP_MS    10000
#define DOWN_MS  600000

/* A fleet whose routes follow the decisions, as a store's would. Node 0 is ordinary, 1 and 2 are VIP
 * sects of one node each. */
struct fleet {
    struct switching switching;
    struct node_record nodes[4];
    struct route routes[64];
    struct routes view;
    int64_t now_ms;
    struct switch_decision last[SWITCH_MAX];
    int promotions, demotions;
};

static const struct switch_config CONFIG = {.up_online = 1000,
                                            .down_online = 500,
                                            .up_deliveries = 10000,
                                            .down_deliveries = 5000,
                                            .up_ms = UP_MS,
                                            .down_ms = DOWN_MS};

static void set_node(struct fleet *f, size_t at, const char *sect, bool is_vip)
{
    struct node_record *node = &f->nodes[at];

    *node = (struct node_record){.is_vip = is_vip};
    snprintf(node->name, sizeof node->name, "n%zu", at);
    snprintf(node->sect, sizeof node->sect, "%s", sect);
    snprintf(node->link, sizeof node->link, "%s:7000", sect);
}

static void begin(struct fleet *f, const struct switch_config *config)
{
    *f = (struct fleet){.now_ms = START_MS};
    switching_init(&f->switching, config, (struct hash_key){1, 2});
    set_node(f, 0, "main", false);
    set_node(f, 1, "vip-1", true);
    set_node(f, 2, "vip-2", true);
    f->view = (struct routes){.nodes = f->nodes, .node_count = 3, .routes = f->routes};
}

static void end(struct fleet *f)
{
    switching_deinit(&f->switching);
}

/* The node names this room; the largest are to be named first. */
static void name_room(struct fleet *f, size_t node, const char *room, uint64_t online,
                      uint64_t deliveries)
{
    struct node_record *n = &f->nodes[node];
    struct node_hot_room *hot = &n->hot[n->hot_count++];

    *hot = (struct node_hot_room){.online = online, .deliveries_per_s = deliveries};
    snprintf(hot->room, sizeof hot->room, "%s", room);
}

static void name_nothing(struct fleet *f)
{
    for (int i = 0; i < 4; i++) f->nodes[i].hot_count = 0;
}

static int compare_routes(const void *a, const void *b)
{
    return strcmp(((const struct route *)a)->room, ((const struct route *)b)->room);
}

static void assign(struct fleet *f, const char *room, const char *sect, bool is_automatic)
{
    size_t at = 0;

    while (at < f->view.route_count && strcmp(f->routes[at].room, room) != 0) at++;
    if (sect[0] == '\0') {
        assert_true(at < f->view.route_count);
        f->routes[at] = f->routes[--f->view.route_count];
    } else {
        if (at == f->view.route_count) f->view.route_count++;
        f->routes[at] = (struct route){.is_automatic = is_automatic};
        snprintf(f->routes[at].room, sizeof f->routes[at].room, "%s", room);
        snprintf(f->routes[at].sect, sizeof f->routes[at].sect, "%s", sect);
    }
    qsort(f->routes, f->view.route_count, sizeof f->routes[0], compare_routes);
}

/* One step; what it decides is done, unless it is dry. */
static size_t step(struct fleet *f)
{
    f->now_ms += STEP_MS;
    size_t count = switching_decide(&f->switching, &f->view, f->now_ms, f->last);
    for (size_t i = 0; i < count; i++) {
        const struct switch_decision *d = &f->last[i];
        if (d->sect[0] != '\0')
            f->promotions++;
        else
            f->demotions++;
        if (!f->switching.config.is_dry) assign(f, d->room, d->sect, true);
    }
    return count;
}

/* Until something is decided; how much time that took. */
static int64_t run_until_decision(struct fleet *f, int64_t limit_ms)
{
    int64_t began_ms = f->now_ms;

    while (step(f) == 0) {
        if (f->now_ms - began_ms > limit_ms) fail_msg("nothing is decided");
    }
    return f->now_ms - began_ms;
}

static void run_quietly(struct fleet *f, int64_t ms)
{
    for (int64_t passed = 0; passed < ms; passed += STEP_MS) assert_int_equal(step(f), 0);
}

static void assert_last(const struct fleet *f, const char *room, const char *sect)
{
    assert_string_equal(f->last[0].room, room);
    assert_string_equal(f->last[0].sect, sect);
}

/* --- up ---------------------------------------------------------------------------------------- */

static void a_large_audience_goes_up_after_its_time(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/large", 1000, 0);
    name_room(&f, 0, "app/small", 999, 9999);
    assert_int_equal(run_until_decision(&f, 60000), UP_MS + STEP_MS);
    assert_int_equal(f.promotions, 1);
    assert_last(&f, "app/large", "vip-1");
    assert_int_equal(f.last[0].online, 1000);
    run_quietly(&f, 60000);
    end(&f);
}

static void much_traffic_goes_up_too(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/busy", 200, 10000);
    run_until_decision(&f, 60000);
    assert_last(&f, "app/busy", "vip-1");
    assert_int_equal(f.last[0].deliveries_per_s, 10000);
    end(&f);
}

static void a_threshold_of_0_decides_nothing(void **state)
{
    struct switch_config config = CONFIG;
    struct fleet f;
    (void)state;

    config.up_online = 0;
    begin(&f, &config);
    name_room(&f, 0, "app/large", 1000000, 0);
    run_quietly(&f, 60000);
    name_room(&f, 0, "app/busy", 1, 10000);
    run_until_decision(&f, 60000);
    assert_last(&f, "app/busy", "vip-1");
    /* What the audience may not decide does not keep the room there either. */
    name_nothing(&f);
    name_room(&f, 1, "app/busy", 1000000, 0);
    run_until_decision(&f, 2 * DOWN_MS);
    assert_last(&f, "app/busy", "");
    end(&f);

    config.up_deliveries = 0;
    assert_false(switch_config_is_on(&config));
    begin(&f, &config);
    name_room(&f, 0, "app/busy", 1000000, 1000000);
    run_quietly(&f, 60000);
    end(&f);
}

static void a_load_that_flaps_faster_than_its_time_moves_nothing(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    for (int i = 0; i < 600; i++) {
        name_nothing(&f);
        name_room(&f, 0, "app/flaps", i % 9 == 8 ? 10 : 5000, 0);
        assert_int_equal(step(&f), 0);
    }
    end(&f);
}

/* Between the two thresholds, once it is up, it stays; and each dip below the lower one starts the time
 * anew. */
static void a_load_that_flaps_around_the_upper_threshold_moves_once(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/flaps", 5000, 0);
    run_until_decision(&f, 60000);
    for (int i = 0; i < 3600; i++) {
        name_nothing(&f);
        name_room(&f, 1, "app/flaps", i % 2 == 0 ? 1500 : 600, 0);
        assert_int_equal(step(&f), 0);
    }
    for (int i = 0; i < 3600; i++) {
        name_nothing(&f);
        name_room(&f, 1, "app/flaps", i % 500 == 499 ? 500 : 20, 0);
        assert_int_equal(step(&f), 0);
    }
    end(&f);
}

static void rooms_go_where_there_is_the_least_load(void **state)
{
    struct fleet f;
    char room[32];
    (void)state;

    begin(&f, &CONFIG);
    assign(&f, "app/by-hand", "vip-1", false);
    name_room(&f, 1, "app/by-hand", 4000, 0);
    for (int i = 0; i < 6; i++) {
        snprintf(room, sizeof room, "app/r%d", i);
        name_room(&f, 0, room, (uint64_t)(2000 - i), 0);
    }
    run_until_decision(&f, 60000);
    assert_int_equal(f.promotions, 6);
    /* 4000 is there: the first two make up for it, then they take turns. */
    const char *const expected[] = {"vip-2", "vip-2", "vip-2", "vip-1", "vip-1", "vip-2"};
    for (int i = 0; i < 6; i++) assert_string_equal(f.last[i].sect, expected[i]);
    end(&f);
}

static void a_sect_of_more_nodes_takes_more(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    set_node(&f, 3, "vip-2", true);
    snprintf(f.nodes[3].link, sizeof f.nodes[3].link, "second:7000");
    f.view.node_count = 4;
    assign(&f, "app/a", "vip-1", false);
    assign(&f, "app/b", "vip-2", false);
    name_room(&f, 1, "app/a", 3000, 0);
    name_room(&f, 2, "app/b", 4000, 0);
    name_room(&f, 0, "app/large", 1000, 0);
    run_until_decision(&f, 60000);
    assert_last(&f, "app/large", "vip-2");
    end(&f);
}

static void more_than_a_step_takes_come_with_the_next(void **state)
{
    struct fleet f;
    char room[32];
    (void)state;

    begin(&f, &CONFIG);
    for (size_t node = 0; node < 3; node++)
        for (int i = 0; i < NODE_HOT_MAX; i++) {
            snprintf(room, sizeof room, "app/r%zu-%d", node, i);
            name_room(&f, node, room, 2000, 0);
        }
    run_until_decision(&f, 60000);
    assert_int_equal(f.promotions, SWITCH_MAX);
    assert_int_equal(step(&f), 3 * NODE_HOT_MAX - SWITCH_MAX);
    assert_int_equal(step(&f), 0);
    end(&f);
}

static void without_a_vip_sect_nothing_goes_up(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    f.view.node_count = 1;
    name_room(&f, 0, "app/large", 5000, 0);
    run_quietly(&f, 60000);
    f.view.node_count = 3; /* it comes: the room has waited long enough */
    assert_int_equal(step(&f), 1);
    end(&f);
}

/* --- down -------------------------------------------------------------------------------------- */

static void promote(struct fleet *f)
{
    begin(f, &CONFIG);
    name_room(f, 0, "app/large", 5000, 0);
    run_until_decision(f, 60000);
    name_nothing(f);
}

static void a_room_that_got_small_comes_back_after_its_time(void **state)
{
    struct fleet f;
    (void)state;

    promote(&f);
    name_room(&f, 1, "app/large", 499, 4999);
    assert_int_equal(run_until_decision(&f, 2 * DOWN_MS), DOWN_MS + STEP_MS);
    assert_last(&f, "app/large", "");
    assert_string_equal(f.last[0].from, "vip-1");
    assert_int_equal(f.view.route_count, 0);
    run_quietly(&f, 2 * DOWN_MS);
    end(&f);
}

static void a_room_that_is_small_by_one_measure_stays(void **state)
{
    struct fleet f;
    (void)state;

    promote(&f);
    name_room(&f, 1, "app/large", 10, 5000);
    run_quietly(&f, 2 * DOWN_MS);
    name_nothing(&f);
    name_room(&f, 1, "app/large", 500, 10);
    run_quietly(&f, 2 * DOWN_MS);
    end(&f);
}

static void a_room_that_no_node_names_is_small(void **state)
{
    struct fleet f;
    (void)state;

    promote(&f);
    run_until_decision(&f, 2 * DOWN_MS);
    assert_last(&f, "app/large", "");
    end(&f);
}

/* The list of its node ends before the room: it may be as large as the last one there. */
static void a_room_behind_the_end_of_a_full_list_stays(void **state)
{
    struct fleet f;
    char room[32];
    (void)state;

    promote(&f);
    for (int i = 0; i < NODE_HOT_MAX; i++) {
        snprintf(room, sizeof room, "app/other%d", i);
        assign(&f, room, "vip-1", false);
        name_room(&f, 1, room, 700, 0);
    }
    run_quietly(&f, 2 * DOWN_MS);
    f.nodes[1].hot[NODE_HOT_MAX - 1].online = 499;
    run_until_decision(&f, 2 * DOWN_MS);
    assert_last(&f, "app/large", "");
    end(&f);
}

static void what_an_operator_assigned_is_left_alone(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    assign(&f, "app/by-hand", "vip-1", false);
    assign(&f, "app/kept-out", "main", false);
    name_room(&f, 1, "app/by-hand", 3, 0);
    name_room(&f, 0, "app/kept-out", 5000, 0);
    run_quietly(&f, 2 * DOWN_MS);
    end(&f);
}

/* --- what happens in the middle ---------------------------------------------------------------- */

static void another_holder_begins_anew(void **state)
{
    struct fleet f;
    struct switching other;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/large", 5000, 0);
    run_quietly(&f, UP_MS);
    /* The lease moves; the other node has seen nothing yet. */
    switching_init(&other, &CONFIG, (struct hash_key){3, 4});
    struct switching first = f.switching;
    f.switching = other;
    assert_int_equal(run_until_decision(&f, 60000), UP_MS + STEP_MS);
    /* It moves back: what the first one observed before is of no worth, and what is assigned it sees. */
    other = f.switching;
    f.switching = first;
    switching_reset(&f.switching);
    run_quietly(&f, 60000);
    switching_deinit(&other);
    end(&f);
}

static void a_pause_starts_the_times_anew(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/large", 5000, 0);
    run_quietly(&f, UP_MS);
    f.now_ms += SWITCH_GAP_MS; /* the store was away */
    assert_int_equal(run_until_decision(&f, 60000), UP_MS + STEP_MS);
    end(&f);
}

static void a_sect_that_disappears_gives_its_rooms_to_another(void **state)
{
    struct fleet f;
    (void)state;

    promote(&f);
    name_room(&f, 0, "app/large", 5000, 0); /* where it falls back to */
    f.nodes[1].link[0] = '\0';
    run_until_decision(&f, 60000);
    assert_last(&f, "app/large", "vip-2");
    assert_string_equal(f.routes[0].sect, "vip-2");
    /* And when there is none any more, the room is released once it is small. */
    f.nodes[2].link[0] = '\0';
    run_quietly(&f, 60000);
    name_nothing(&f);
    run_until_decision(&f, 2 * DOWN_MS);
    assert_last(&f, "app/large", "");
    end(&f);
}

static void what_was_not_done_is_said_again(void **state)
{
    struct fleet f;
    (void)state;

    begin(&f, &CONFIG);
    name_room(&f, 0, "app/large", 5000, 0);
    run_until_decision(&f, 60000);
    assign(&f, "app/large", "", true); /* the store refused */
    assert_int_equal(step(&f), 1);
    assert_int_equal(step(&f), 0);
    end(&f);
}

/* As long as it would be if it were not dry, each decision is told once. */
static void a_dry_switch_tells_each_decision_once(void **state)
{
    struct switch_config config = CONFIG;
    struct fleet f;
    (void)state;

    config.is_dry = true;
    begin(&f, &config);
    name_room(&f, 0, "app/large", 5000, 0);
    assert_int_equal(run_until_decision(&f, 60000), UP_MS + STEP_MS);
    assert_last(&f, "app/large", "vip-1");
    assert_int_equal(f.view.route_count, 0);
    name_room(&f, 0, "app/second", 4000, 0);
    run_until_decision(&f, 60000);
    assert_last(&f, "app/second", "vip-2"); /* by the load that would be there */
    run_quietly(&f, 60000);
    name_nothing(&f);
    assert_int_equal(run_until_decision(&f, 2 * DOWN_MS), DOWN_MS + STEP_MS);
    assert_int_equal(f.demotions, 2);
    assert_last(&f, "app/large", "");
    run_quietly(&f, 60000);
    end(&f);
}

static void it_forgets_rooms_that_are_gone(void **state)
{
    struct fleet f;
    char room[32];
    (void)state;

    begin(&f, &CONFIG);
    for (int i = 0; i < 1000; i++) {
        name_nothing(&f);
        snprintf(room, sizeof room, "app/r%d", i);
        name_room(&f, 0, room, 5000, 0);
        assert_int_equal(step(&f), 0);
        assert_true(f.switching.rooms.count <= 1);
    }
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_large_audience_goes_up_after_its_time),
        cmocka_unit_test(much_traffic_goes_up_too),
        cmocka_unit_test(a_threshold_of_0_decides_nothing),
        cmocka_unit_test(a_load_that_flaps_faster_than_its_time_moves_nothing),
        cmocka_unit_test(a_load_that_flaps_around_the_upper_threshold_moves_once),
        cmocka_unit_test(rooms_go_where_there_is_the_least_load),
        cmocka_unit_test(a_sect_of_more_nodes_takes_more),
        cmocka_unit_test(more_than_a_step_takes_come_with_the_next),
        cmocka_unit_test(without_a_vip_sect_nothing_goes_up),
        cmocka_unit_test(a_room_that_got_small_comes_back_after_its_time),
        cmocka_unit_test(a_room_that_is_small_by_one_measure_stays),
        cmocka_unit_test(a_room_that_no_node_names_is_small),
        cmocka_unit_test(a_room_behind_the_end_of_a_full_list_stays),
        cmocka_unit_test(what_an_operator_assigned_is_left_alone),
        cmocka_unit_test(another_holder_begins_anew),
        cmocka_unit_test(a_pause_starts_the_times_anew),
        cmocka_unit_test(a_sect_that_disappears_gives_its_rooms_to_another),
        cmocka_unit_test(what_was_not_done_is_said_again),
        cmocka_unit_test(a_dry_switch_tells_each_decision_once),
        cmocka_unit_test(it_forgets_rooms_that_are_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
