/* Nodes that say that they are there, rooms assigned to sects, and leases. */
#include "store/conformance.h"

#include <stdlib.h>

#include "base/error.h"

#define ROOM "app/room"

/* --- calls that wait for their answer ---------------------------------------------------------- */

struct done_answer {
    int err;
    bool is_done;
};

static void on_done(void *arg, int err)
{
    struct done_answer *answer = arg;

    assert_false(answer->is_done);
    *answer = (struct done_answer){err, true};
}

static int beat_once(struct harness *h, const struct node_record *node, int64_t ttl_ms)
{
    const struct store_node_beat in = {.node = node, .ttl_ms = ttl_ms, .now_ms = h->now_ms};
    struct done_answer answer = {0};
    int err = store_node_beat(h->store, &in, on_done, &answer);

    if (err != 0) return err;
    assert_false(answer.is_done);
    harness_wait(h, &answer.is_done);
    return answer.err;
}

static void beat(struct harness *h, const struct node_record *node, int64_t ttl_ms)
{
    int err;

    do err = beat_once(h, node, ttl_ms);
    while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
}

static int put_once(struct harness *h, const char *room, const char *sect, bool is_automatic)
{
    const struct store_route_put in = {.room = str_of(room),
                                       .sect = str_of(sect),
                                       .is_automatic = is_automatic,
                                       .now_ms = h->now_ms};
    struct done_answer answer = {0};
    int err = store_route_put(h->store, &in, on_done, &answer);

    if (err != 0) return err;
    assert_false(answer.is_done);
    harness_wait(h, &answer.is_done);
    return answer.err;
}

static void put(struct harness *h, const char *room, const char *sect, bool is_automatic)
{
    int err;

    do err = put_once(h, room, sect, is_automatic);
    while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
}

struct routes_answer {
    int err;
    struct routes *routes;
    bool is_done;
};

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct routes_answer *answer = arg;

    assert_false(answer->is_done);
    if (err != 0) assert_null(routes);
    answer->err = err;
    answer->routes = routes != NULL ? routes_copy(routes) : NULL;
    answer->is_done = true;
}

/* The caller frees; NULL: what is known is true. */
static struct routes *get(struct harness *h, uint64_t known, bool with_others)
{
    struct routes_answer answer;
    int err;

    do {
        const struct store_routes_get in = {
            .known = known, .with_others = with_others, .now_ms = h->now_ms};
        answer = (struct routes_answer){0};
        err = store_routes_get(h->store, &in, on_routes, &answer);
        if (err == 0) {
            assert_false(answer.is_done);
            harness_wait(h, &answer.is_done);
            err = answer.err;
        }
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    if (answer.routes != NULL)
        assert_int_equal(answer.routes->version, routes_version(answer.routes));
    return answer.routes;
}

struct lease_answer {
    int err;
    bool is_held, is_done;
};

static void on_lease(void *arg, int err, bool is_held)
{
    struct lease_answer *answer = arg;

    assert_false(answer->is_done);
    *answer = (struct lease_answer){err, is_held, true};
}

static bool lease(struct harness *h, const char *name, const char *holder, int64_t ttl_ms)
{
    struct lease_answer answer;
    int err;

    do {
        const struct store_lease in = {
            .name = str_of(name), .holder = str_of(holder), .ttl_ms = ttl_ms, .now_ms = h->now_ms};
        answer = (struct lease_answer){0};
        err = store_lease(h->store, &in, on_lease, &answer);
        if (err == 0) {
            assert_false(answer.is_done);
            harness_wait(h, &answer.is_done);
            err = answer.err;
        }
    } while (harness_has_to_repeat(h, err));
    assert_int_equal(err, 0);
    return answer.is_held;
}

static struct node_record node_of(const char *name, const char *sect, const char *link)
{
    struct node_record node = {.started_ms = START_MS, .busy_percent = 10};

    assert_true(str_copy(str_of(name), node.name, sizeof(node.name)));
    assert_true(str_copy(str_of(sect), node.sect, sizeof(node.sect)));
    assert_true(str_copy(str_of(link), node.link, sizeof(node.link)));
    return node;
}

static size_t count_nodes(struct harness *h, bool with_others)
{
    struct routes *routes = get(h, 0, with_others);
    size_t count = routes->node_count;

    free(routes);
    return count;
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void a_node_is_told_as_it_said(void **state)
{
    struct harness *h = *state;
    struct node_record node = node_of("n1", "vip-1", "10.0.0.1:7000");

    node.is_vip = true;
    node.rooms = 5;
    node.online = 1000000;
    node.connections = 3;
    node.links = 4;
    node.hot_count = 1;
    str_copy(STR("1.2.3"), node.version, sizeof(node.version));
    node.hot[0] = (struct node_hot_room){.room = ROOM, .online = 7, .deliveries_per_s = 8};
    beat(h, &node, NODE_LEASE_MS);
    struct routes *routes = get(h, 0, false);
    assert_int_equal(routes->node_count, 1);
    const struct node_record *told = &routes->nodes[0];
    assert_string_equal(told->name, node.name);
    assert_string_equal(told->sect, node.sect);
    assert_string_equal(told->link, node.link);
    assert_string_equal(told->version, node.version);
    assert_true(told->is_vip);
    assert_int_equal(told->started_ms, node.started_ms);
    assert_int_equal(told->busy_percent, 10);
    assert_int_equal(told->rooms, 5);
    assert_int_equal(told->online, 1000000);
    assert_int_equal(told->connections, 3);
    assert_int_equal(told->links, 4);
    assert_int_equal(told->hot_count, 1);
    assert_string_equal(told->hot[0].room, ROOM);
    assert_int_equal(told->hot[0].online, 7);
    assert_int_equal(told->hot[0].deliveries_per_s, 8);
    free(routes);
}

static void a_node_that_says_no_more_is_gone(void **state)
{
    struct harness *h = *state;
    struct node_record a = node_of("a", "s", "a:1"), b = node_of("b", "s", "b:1");

    beat(h, &a, NODE_LEASE_MS);
    beat(h, &b, 60000);
    assert_int_equal(count_nodes(h, false), 2);
    h->now_ms += NODE_LEASE_MS - 1000;
    if (harness_is_plain(h)) assert_int_equal(count_nodes(h, false), 2);
    h->now_ms += 1000;
    struct routes *routes = get(h, 0, false);
    assert_int_equal(routes->node_count, 1);
    assert_string_equal(routes->nodes[0].name, "b");
    free(routes);
    beat(h, &a, NODE_LEASE_MS); /* it is there again */
    assert_int_equal(count_nodes(h, false), 2);
}

static void a_beat_prolongs_and_brings_the_load(void **state)
{
    struct harness *h = *state;
    struct node_record a = node_of("a", "s", "a:1");

    for (int i = 0; i < 5; i++) {
        a.busy_percent = (uint32_t)i;
        beat(h, &a, 60000);
        h->now_ms += 40000;
    }
    struct routes *routes = get(h, 0, false);
    assert_int_equal(routes->node_count, 1);
    assert_int_equal(routes->nodes[0].busy_percent, 4);
    free(routes);
}

static void a_node_that_says_goodbye_goes_at_once(void **state)
{
    struct harness *h = *state;
    struct node_record a = node_of("a", "s", "a:1");

    beat(h, &a, 60000);
    beat(h, &a, 0);
    assert_int_equal(count_nodes(h, false), 0);
    beat(h, &a, 0);
    assert_int_equal(count_nodes(h, false), 0);
}

static void nodes_without_an_address_are_told_to_those_who_ask(void **state)
{
    struct harness *h = *state;
    struct node_record cache = node_of("b", "s", "b:1"), edge = node_of("a", "", "");

    beat(h, &cache, 60000);
    beat(h, &edge, 60000);
    assert_int_equal(count_nodes(h, false), 1);
    struct routes *routes = get(h, 0, true);
    assert_int_equal(routes->node_count, 2);
    assert_string_equal(routes->nodes[0].name, "a"); /* by name */
    free(routes);
}

static void a_known_version_is_not_told_again(void **state)
{
    struct harness *h = *state;
    struct node_record a = node_of("a", "s", "a:1"), edge = node_of("e", "", "");

    beat(h, &a, 600000);
    struct routes *routes = get(h, 0, false);
    uint64_t version = routes->version;
    free(routes);
    assert_null(get(h, version, false));
    a.busy_percent = 99; /* load is no route, */
    beat(h, &a, 600000);
    beat(h, &edge, 600000); /* nor is a node that serves nobody */
    assert_null(get(h, version, false));

    put(h, ROOM, "s", false);
    routes = get(h, version, false);
    assert_non_null(routes);
    assert_int_not_equal(routes->version, version);
    version = routes->version;
    free(routes);
    h->now_ms += 600000; /* it lapses */
    routes = get(h, version, false);
    assert_non_null(routes);
    free(routes);
}

/* --- assignments ------------------------------------------------------------------------------ */

static void assert_assigned(struct harness *h, const char *room, const char *sect,
                            bool is_automatic)
{
    struct routes *routes = get(h, 0, false);
    const struct route *route = routes_assigned(routes, str_of(room));

    if (sect == NULL) {
        assert_null(route);
    } else {
        assert_non_null(route);
        assert_string_equal(route->sect, sect);
        assert_int_equal(route->is_automatic, is_automatic);
        assert_in_range(route->since_ms, START_MS, h->now_ms);
    }
    free(routes);
}

static void a_room_is_assigned_moved_and_released(void **state)
{
    struct harness *h = *state;

    assert_assigned(h, ROOM, NULL, false);
    put(h, ROOM, "vip-1", false);
    put(h, "app/a", "vip-1", false);
    put(h, "b/z", "vip-1", true);
    assert_assigned(h, ROOM, "vip-1", false);
    put(h, ROOM, "vip-2", false);
    assert_assigned(h, ROOM, "vip-2", false);
    struct routes *routes = get(h, 0, false);
    assert_int_equal(routes->route_count, 3);
    assert_string_equal(routes->routes[0].room, "app/a"); /* by room */
    assert_string_equal(routes->routes[2].room, "b/z");
    free(routes);
    put(h, ROOM, "", false);
    put(h, ROOM, "", false);
    assert_assigned(h, ROOM, NULL, false);
    assert_assigned(h, "app/a", "vip-1", false);
}

static void the_switch_never_overrides_an_operator(void **state)
{
    struct harness *h = *state;

    put(h, ROOM, "vip-1", false);
    put(h, ROOM, "vip-2", true);
    assert_assigned(h, ROOM, "vip-1", false);
    put(h, ROOM, "", true);
    assert_assigned(h, ROOM, "vip-1", false);
}

static void the_switch_takes_back_what_it_assigned(void **state)
{
    struct harness *h = *state;

    put(h, ROOM, "vip-1", true);
    assert_assigned(h, ROOM, "vip-1", true);
    put(h, ROOM, "vip-2", true);
    assert_assigned(h, ROOM, "vip-2", true);
    put(h, ROOM, "", true);
    assert_assigned(h, ROOM, NULL, false);
}

static void an_operator_overrides_the_switch(void **state)
{
    struct harness *h = *state;

    put(h, ROOM, "vip-1", true);
    put(h, ROOM, "vip-1", false); /* the operator's from now on */
    put(h, ROOM, "", true);
    assert_assigned(h, ROOM, "vip-1", false);
    put(h, "app/other", "vip-1", true);
    put(h, "app/other", "", false);
    assert_assigned(h, "app/other", NULL, false);
}

/* In a file they outlive a restart, unlike nodes; on a server that nodes share, both do. */
static void assignments_are_durable(void **state)
{
    struct harness *h = *state;
    struct node_record a = node_of("a", "s", "a:1");

    if (!h->fixture->is_durable) skip();
    beat(h, &a, 60000);
    put(h, ROOM, "vip-1", false);
    put(h, "app/auto", "vip-2", true);
    put(h, "app/released", "vip-2", true);
    put(h, "app/released", "", true);
    harness_reopen(h);
    if (!h->fixture->is_shared) assert_int_equal(count_nodes(h, true), 0);
    assert_assigned(h, ROOM, "vip-1", false);
    assert_assigned(h, "app/auto", "vip-2", true);
    assert_assigned(h, "app/released", NULL, false);
}

/* --- leases ----------------------------------------------------------------------------------- */

static void a_lease_has_one_holder(void **state)
{
    struct harness *h = *state;

    assert_true(lease(h, "switch", "a", 60000));
    assert_false(lease(h, "switch", "b", 60000));
    assert_true(lease(h, "switch", "a", 60000));
    assert_true(lease(h, "other", "b", 60000)); /* another job */
    assert_false(lease(h, "other", "a", 60000));
}

static void a_lease_that_is_renewed_is_kept_and_one_that_is_not_goes(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 5; i++) {
        assert_true(lease(h, "switch", "a", 60000));
        h->now_ms += 40000;
        assert_false(lease(h, "switch", "b", 60000));
    }
    h->now_ms += 20000;
    assert_true(lease(h, "switch", "b", 60000));
    assert_false(lease(h, "switch", "a", 60000));
}

static void a_lease_that_is_given_up_is_free_at_once(void **state)
{
    struct harness *h = *state;

    assert_true(lease(h, "switch", "a", 60000));
    assert_false(lease(h, "switch", "b", 0)); /* not b's to give up */
    assert_false(lease(h, "switch", "b", 60000));
    assert_false(lease(h, "switch", "a", 0));
    assert_true(lease(h, "switch", "b", 60000));
}

/* --- limits ----------------------------------------------------------------------------------- */

static void more_nodes_than_a_fleet_has_are_refused(void **state)
{
    struct harness *h = *state;
    struct node_record node = node_of("n0000", "s", "a:1");

    if (!harness_is_plain(h)) skip();
    for (int i = 0; i < LIMIT_NODES; i++) {
        snprintf(node.name, sizeof(node.name), "n%04d", i);
        beat(h, &node, 60000);
    }
    node = node_of("one too many", "s", "a:1");
    assert_int_equal(beat_once(h, &node, 60000), ERR_OVERLOADED);
    node = node_of("n0000", "s", "a:1"); /* one that is known */
    beat(h, &node, 120000);
    assert_int_equal(count_nodes(h, false), LIMIT_NODES);
    h->now_ms += 60000;
    node = node_of("a new one", "s", "a:1");
    beat(h, &node, 60000);
    assert_int_equal(count_nodes(h, false), 2);
}

static void more_assignments_than_a_fleet_has_are_refused(void **state)
{
    struct harness *h = *state;
    char room[16];

    if (!harness_is_plain(h)) skip();
    for (int i = 0; i < LIMIT_ROUTES; i++) {
        snprintf(room, sizeof(room), "app/%d", i);
        put(h, room, "vip-1", i % 2 == 0);
    }
    assert_int_equal(put_once(h, "app/more", "vip-1", false), ERR_OVERLOADED);
    assert_int_equal(put_once(h, "app/more", "vip-1", true), ERR_OVERLOADED);
    assert_assigned(h, "app/more", NULL, false);
    put(h, "app/7", "vip-2", false); /* has its place */
    put(h, "app/more", "", false);   /* wants none */
    put(h, "app/8", "", false);
    put(h, "app/more", "vip-1", false);
    assert_assigned(h, "app/more", "vip-1", false);
}

size_t conformance_routes(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_is_told_as_it_said),
        cmocka_unit_test(a_node_that_says_no_more_is_gone),
        cmocka_unit_test(a_beat_prolongs_and_brings_the_load),
        cmocka_unit_test(a_node_that_says_goodbye_goes_at_once),
        cmocka_unit_test(nodes_without_an_address_are_told_to_those_who_ask),
        cmocka_unit_test(a_known_version_is_not_told_again),
        cmocka_unit_test(a_room_is_assigned_moved_and_released),
        cmocka_unit_test(the_switch_never_overrides_an_operator),
        cmocka_unit_test(the_switch_takes_back_what_it_assigned),
        cmocka_unit_test(an_operator_overrides_the_switch),
        cmocka_unit_test(assignments_are_durable),
        cmocka_unit_test(a_lease_has_one_holder),
        cmocka_unit_test(a_lease_that_is_renewed_is_kept_and_one_that_is_not_goes),
        cmocka_unit_test(a_lease_that_is_given_up_is_free_at_once),
        cmocka_unit_test(more_nodes_than_a_fleet_has_are_refused),
        cmocka_unit_test(more_assignments_than_a_fleet_has_are_refused),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
