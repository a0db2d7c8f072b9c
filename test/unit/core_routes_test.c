/* core/routes.c: which sect and which nodes serve a room. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/routes.h"

#define NODES 64
#define ROOMS 20000

/* Computed by another implementation of SipHash-1-3. */
#define GOLDEN_CHOICES "a-0 a-2 b-2 a-2 b-1 a-2 a-1 b-2 "
#define GOLDEN_VERSION 0xdc6d4297d82e90d8

/* A fleet under test: nodes by name, as a store gives them. */
struct fleet {
    struct node_record nodes[NODES];
    struct route routes[8];
    struct routes view;
};

static void add_node(struct fleet *f, const char *sect, const char *link, bool is_vip)
{
    struct node_record *node = &f->nodes[f->view.node_count++];

    *node = (struct node_record){.is_vip = is_vip};
    snprintf(node->name, sizeof node->name, "n%02zu", f->view.node_count);
    snprintf(node->sect, sizeof node->sect, "%s", sect);
    snprintf(node->link, sizeof node->link, "%s", link);
    f->view.nodes = f->nodes;
    f->view.routes = f->routes;
}

static void add_nodes(struct fleet *f, const char *sect, int count, bool is_vip)
{
    char link[32];

    for (int i = 0; i < count; i++) {
        snprintf(link, sizeof link, "%s-%d:7000", sect, i);
        add_node(f, sect, link, is_vip);
    }
}

/* In the order of rooms. */
static void assign(struct fleet *f, const char *room, const char *sect)
{
    struct route *route = &f->routes[f->view.route_count++];

    *route = (struct route){0};
    snprintf(route->room, sizeof route->room, "%s", room);
    snprintf(route->sect, sizeof route->sect, "%s", sect);
}

static void remove_node(struct fleet *f, size_t at)
{
    f->view.node_count--;
    memmove(&f->nodes[at], &f->nodes[at + 1], (f->view.node_count - at) * sizeof f->nodes[0]);
}

static struct str room_name(int i, char ret[32])
{
    snprintf(ret, 32, "app/room-%d", i);
    return str_of(ret);
}

static const struct node_record *first(const struct fleet *f, int room)
{
    const struct node_record *node = NULL;
    char name[32];

    assert_int_equal(routes_rank(&f->view, room_name(room, name), &node, 1), 1);
    return node;
}

static void assert_sect(const struct fleet *f, const char *room, const char *sect)
{
    struct str found = routes_sect(&f->view, str_of(room));

    if (!str_eq(found, str_of(sect)))
        fail_msg("%s is in %.*s, not in %s", room, (int)found.len, found.ptr, sect);
}

/* --- shares ---------------------------------------------------------------------------------- */

/* Whoever was not at the node that goes stays exactly where it was, and the node's share is about
 * its part of all. Read backwards it is the test of a node that comes. */
static void a_node_that_goes_moves_its_own_rooms_alone(void **state)
{
    static struct fleet all, fewer;
    (void)state;

    all = (struct fleet){0};
    add_nodes(&all, "a", 10, false);
    fewer = all;
    fewer.view.nodes = fewer.nodes;
    remove_node(&fewer, 3);
    int moved = 0;
    for (int i = 0; i < ROOMS; i++) {
        const char *before = first(&all, i)->link, *after = first(&fewer, i)->link;
        if (strcmp(before, all.nodes[3].link) == 0)
            moved++;
        else
            assert_string_equal(before, after);
    }
    assert_in_range(moved, ROOMS / 10 - 250, ROOMS / 10 + 250); /* 6 standard deviations */
}

static void a_sect_that_goes_moves_its_own_rooms_alone(void **state)
{
    static struct fleet all, fewer;
    char name[32];
    (void)state;

    all = (struct fleet){0};
    add_nodes(&all, "a", 1, false);
    add_nodes(&all, "b", 2, false);
    add_nodes(&all, "c", 3, false);
    fewer = all;
    fewer.view.nodes = fewer.nodes;
    remove_node(&fewer, 0);
    for (int i = 0; i < ROOMS; i++) {
        struct str before = routes_sect(&all.view, room_name(i, name));
        struct str after = routes_sect(&fewer.view, room_name(i, name));
        if (!str_eq(before, STR("a"))) assert_true(str_eq(before, after));
    }
}

/* Chi square of 20000 rooms over `count` bins stays below what one in a million exceeds. The hash is
 * fixed, so this passes always or never. */
static void assert_balanced(const int *rooms, int count)
{
    double expected = (double)ROOMS / count, chi = 0, freedom = count - 1;

    for (int i = 0; i < count; i++) chi += (rooms[i] - expected) * (rooms[i] - expected) / expected;
    double bound = freedom + 4.75 * sqrt(2 * freedom) + 15;
    if (chi > bound) fail_msg("chi square %.1f of %d bins, bound %.1f", chi, count, bound);
}

static void rooms_are_spread_evenly_over_nodes_and_sects(void **state)
{
    static struct fleet f;
    int by_node[NODES] = {0}, by_sect[4] = {0};
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 16, false);
    add_nodes(&f, "b", 16, false);
    add_nodes(&f, "c", 16, false);
    add_nodes(&f, "d", 16, false);
    for (int i = 0; i < ROOMS; i++) {
        const struct node_record *node = first(&f, i);
        by_node[node - f.nodes]++;
        by_sect[node->sect[0] - 'a']++;
    }
    assert_balanced(by_node, NODES);
    assert_balanced(by_sect, 4);
}

/* A sect's share does not grow with its nodes: it is a name that is chosen. */
static void each_ordinary_sect_has_its_share_whatever_its_size(void **state)
{
    static struct fleet f;
    int by_sect[2] = {0};
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 1, false);
    add_nodes(&f, "b", 9, false);
    for (int i = 0; i < ROOMS; i++) by_sect[first(&f, i)->sect[0] - 'a']++;
    assert_balanced(by_sect, 2);
}

/* --- assignments ------------------------------------------------------------------------------ */

static void a_vip_sect_takes_rooms_by_assignment_only(void **state)
{
    static struct fleet f;
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "main", 2, false);
    add_nodes(&f, "vip", 2, true);
    assign(&f, "app/large", "vip");
    assign(&f, "app/plain", "main");
    for (int i = 0; i < 1000; i++)
        assert_true(str_eq(routes_sect(&f.view, room_name(i, name)), STR("main")));
    assert_sect(&f, "app/large", "vip");
    assert_sect(&f, "app/plain", "main");
    assert_true(routes_is_vip(&f.view, STR("vip")));
    assert_false(routes_is_vip(&f.view, STR("main")));
}

/* While a fleet is changed over, one node says so and the other not yet. */
static void one_vip_node_makes_the_sect_a_vip_sect(void **state)
{
    static struct fleet f;
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_node(&f, "half", "h-1:1", false);
    add_node(&f, "half", "h-2:1", true);
    add_node(&f, "main", "m-1:1", false);
    for (int i = 0; i < 100; i++)
        assert_true(str_eq(routes_sect(&f.view, room_name(i, name)), STR("main")));
}

static void an_assignment_to_a_sect_without_a_live_node_falls_back(void **state)
{
    static struct fleet f, without;
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 1, false);
    add_nodes(&f, "b", 1, false);
    without = f;
    without.view.nodes = without.nodes;
    without.view.routes = without.routes;
    assign(&f, "app/large", "gone");
    assert_false(routes_has_sect(&f.view, STR("gone")));
    assert_true(str_eq(routes_sect(&f.view, STR("app/large")),
                       routes_sect(&without.view, STR("app/large"))));
    /* A node without an address does not make it live. */
    add_node(&f, "gone", "", true);
    assert_false(routes_has_sect(&f.view, STR("gone")));
}

static void without_a_node_in_any_sect_there_is_none(void **state)
{
    static struct fleet f;
    const struct node_record *nodes[4];
    (void)state;

    f = (struct fleet){0};
    assert_int_equal(routes_sect(&f.view, STR("app/room")).len, 0);
    assert_int_equal(routes_rank(&f.view, STR("app/room"), nodes, 4), 0);
    add_node(&f, "vip", "v-1:1", true);
    assert_int_equal(routes_sect(&f.view, STR("app/room")).len, 0);
    /* But a node that is there serves. */
    assert_int_equal(routes_rank(&f.view, STR("app/room"), nodes, 4), 1);
    assert_int_equal(routes_rank(&f.view, STR("app/room"), nodes, 0), 0);
}

static void assignments_are_found_among_many(void **state)
{
    static struct fleet f;
    const char *const rooms[] = {"app/a", "app/aa", "app/b", "app/c", "app/d", "app/e", "b/a"};
    (void)state;

    f = (struct fleet){0};
    for (size_t i = 0; i < 7; i++) assign(&f, rooms[i], "vip");
    f.view.routes = f.routes;
    for (size_t i = 0; i < 7; i++)
        assert_ptr_equal(routes_assigned(&f.view, str_of(rooms[i])), &f.routes[i]);
    assert_null(routes_assigned(&f.view, STR("app/ab")));
    assert_null(routes_assigned(&f.view, STR("a")));
    assert_null(routes_assigned(&f.view, STR("z")));
}

/* --- order ------------------------------------------------------------------------------------ */

/* Own sect, other ordinary ones, VIP sects, nodes in none; each sect in one piece. */
static void behind_the_own_sect_come_the_others_in_order(void **state)
{
    static struct fleet f;
    const struct node_record *nodes[NODES];
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 3, false);
    add_nodes(&f, "b", 3, false);
    add_nodes(&f, "c", 3, false);
    add_nodes(&f, "vip", 3, true);
    add_node(&f, "", "loose:1", false);
    add_node(&f, "a", "", false); /* serves nobody */
    for (int i = 0; i < 200; i++) {
        struct str room = room_name(i, name);
        assert_int_equal(routes_rank(&f.view, room, nodes, NODES), 13);
        for (int at = 0; at < 12; at++) {
            if (at % 3 != 0) assert_string_equal(nodes[at]->sect, nodes[at - at % 3]->sect);
            for (int other = 0; other < at; other++) assert_ptr_not_equal(nodes[at], nodes[other]);
        }
        assert_true(str_eq(str_of(nodes[0]->sect), routes_sect(&f.view, room)));
        assert_string_equal(nodes[9]->sect, "vip");
        assert_string_equal(nodes[12]->link, "loose:1");
    }
}

static void a_short_rank_is_the_beginning_of_a_long_one(void **state)
{
    static struct fleet f;
    const struct node_record *all[NODES], *some[NODES];
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 30, false);
    add_nodes(&f, "b", 30, false);
    for (int i = 0; i < 50; i++) {
        struct str room = room_name(i, name);
        assert_int_equal(routes_rank(&f.view, room, all, NODES), 60);
        for (size_t cap = 1; cap <= 60; cap++) {
            assert_int_equal(routes_rank(&f.view, room, some, cap), cap);
            assert_memory_equal(some, all, cap * sizeof some[0]);
        }
    }
}

/* The second choice of a room is its first one when the first is gone. */
static void the_next_in_order_is_who_takes_over(void **state)
{
    static struct fleet f, fewer;
    const struct node_record *nodes[2];
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 5, false);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(routes_rank(&f.view, room_name(i, name), nodes, 2), 2);
        fewer = f;
        fewer.view.nodes = fewer.nodes;
        remove_node(&fewer, (size_t)(nodes[0] - f.nodes));
        assert_string_equal(first(&fewer, i)->link, nodes[1]->link);
    }
}

/* Its lease outlives it by seconds; its rooms are the same, and the address comes once. */
static void a_restarted_node_has_its_rooms_again(void **state)
{
    static struct fleet f, restarted;
    const struct node_record *nodes[NODES];
    char name[32];
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 5, false);
    restarted = f;
    restarted.view.nodes = restarted.nodes;
    add_node(&restarted, "a", f.nodes[2].link, false);
    restarted.nodes[5].started_ms = 1000;
    for (int i = 0; i < 200; i++) {
        assert_string_equal(first(&restarted, i)->link, first(&f, i)->link);
        assert_int_equal(routes_rank(&restarted.view, room_name(i, name), nodes, NODES), 5);
        for (int at = 0; at < 5; at++) assert_ptr_not_equal(nodes[at], &restarted.nodes[2]);
    }
}

/* --- agreement -------------------------------------------------------------------------------- */

/* Nodes of different versions and machines have to agree: a change here moves every room of a fleet
 * while it is being upgraded. */
static void the_choice_is_the_same_everywhere(void **state)
{
    static struct fleet f;
    char chosen[8 * 4 + 1] = "";
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 3, false);
    add_nodes(&f, "b", 3, false);
    for (int i = 0; i < 8; i++) {
        const struct node_record *node = first(&f, i);
        snprintf(chosen + 4 * i, 5, "%.3s ", node->link);
    }
    assert_string_equal(chosen, GOLDEN_CHOICES);
    f.view.node_count = 2;
    assign(&f, "app/large", "vip");
    assert_int_equal(routes_version(&f.view), GOLDEN_VERSION);
}

static void the_version_is_of_what_routes_and_of_nothing_else(void **state)
{
    static struct fleet f;
    (void)state;

    f = (struct fleet){0};
    assert_int_not_equal(routes_version(&f.view), 0);
    add_nodes(&f, "a", 2, false);
    assign(&f, "app/large", "vip");
    uint64_t version = routes_version(&f.view);

    f.nodes[0].busy_percent = 90;
    f.nodes[0].online = 17;
    f.nodes[1].hot_count = 1;
    f.routes[0].is_automatic = true;
    f.routes[0].since_ms = 5;
    add_node(&f, "a", "", false); /* no address */
    assert_int_equal(routes_version(&f.view), version);

    struct fleet g = f;
    g.view.nodes = g.nodes;
    g.view.routes = g.routes;
    g.nodes[0].is_vip = true;
    assert_int_not_equal(routes_version(&g.view), version);
    g.nodes[0] = f.nodes[0];
    g.nodes[0].link[0] = 'x';
    assert_int_not_equal(routes_version(&g.view), version);
    g.nodes[0] = f.nodes[0];
    g.nodes[0].name[0] = 'x';
    assert_int_not_equal(routes_version(&g.view), version);
    g.nodes[0] = f.nodes[0];
    assert_int_equal(routes_version(&g.view), version);
    g.routes[0].sect[0] = 'x';
    assert_int_not_equal(routes_version(&g.view), version);
    g.view.route_count = 0;
    assert_int_not_equal(routes_version(&g.view), version);
}

static void a_copy_is_the_same_and_stands_alone(void **state)
{
    static struct fleet f;
    (void)state;

    f = (struct fleet){0};
    add_nodes(&f, "a", 2, false);
    assign(&f, "app/large", "a");
    f.view.version = routes_version(&f.view);
    struct routes *copy = routes_copy(&f.view);
    memset(f.nodes, 'x', sizeof f.nodes);
    memset(f.routes, 'x', sizeof f.routes);
    assert_int_equal(copy->version, routes_version(copy));
    assert_int_equal(copy->node_count, 2);
    assert_string_equal(copy->routes[0].room, "app/large");
    free(copy);
    struct fleet empty = {0};
    copy = routes_copy(&empty.view);
    assert_int_equal(copy->node_count + copy->route_count, 0);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_goes_moves_its_own_rooms_alone),
        cmocka_unit_test(a_sect_that_goes_moves_its_own_rooms_alone),
        cmocka_unit_test(rooms_are_spread_evenly_over_nodes_and_sects),
        cmocka_unit_test(each_ordinary_sect_has_its_share_whatever_its_size),
        cmocka_unit_test(a_vip_sect_takes_rooms_by_assignment_only),
        cmocka_unit_test(one_vip_node_makes_the_sect_a_vip_sect),
        cmocka_unit_test(an_assignment_to_a_sect_without_a_live_node_falls_back),
        cmocka_unit_test(without_a_node_in_any_sect_there_is_none),
        cmocka_unit_test(assignments_are_found_among_many),
        cmocka_unit_test(behind_the_own_sect_come_the_others_in_order),
        cmocka_unit_test(a_short_rank_is_the_beginning_of_a_long_one),
        cmocka_unit_test(the_next_in_order_is_who_takes_over),
        cmocka_unit_test(a_restarted_node_has_its_rooms_again),
        cmocka_unit_test(the_choice_is_the_same_everywhere),
        cmocka_unit_test(the_version_is_of_what_routes_and_of_nothing_else),
        cmocka_unit_test(a_copy_is_the_same_and_stands_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
