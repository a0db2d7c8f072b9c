/* core/hub_nodes.c, hub_sects.c, hub_switch.c: a hub among other nodes, which speak to the same store
 * directly. */
#include <stdlib.h>
#include <string.h>

#include "core/hub_switch.h"
#include "unit/core_hub_fixture.h"

#define SOON_MS (HUB_ROUTES_MS + 2) /* asked, and answered */

static const struct switch_config SWITCH = {.up_online = 3,
                                            .down_online = 2,
                                            .up_deliveries = 100,
                                            .down_deliveries = 50,
                                            .up_ms = 10000,
                                            .down_ms = 60000};

/* --- the others -------------------------------------------------------------------------------- */

/* Callbacks of calls past the stub: in the next tick of the hub. */
static void on_done(void *arg, int err)
{
    if (arg != NULL) *(int *)arg = err;
}

static void on_lease(void *arg, int err, bool is_held)
{
    assert_int_equal(err, OK);
    *(bool *)arg = is_held;
}

static bool others_lease(struct hub_fixture *f, int64_t ttl_ms)
{
    const struct store_lease in = {
        .name = STR("switch"), .holder = STR("other"), .ttl_ms = ttl_ms, .now_ms = f->now_ms};
    bool is_held = false;

    assert_int_equal(store_lease(f->stub->inner, &in, on_lease, &is_held), OK);
    hub_pass(f, 0);
    return is_held;
}

static void other_beats(struct hub_fixture *f, const char *name, const char *sect, int64_t ttl_ms)
{
    struct node_record node = {.is_vip = strncmp(sect, "vip", 3) == 0};
    const struct store_node_beat in = {.node = &node, .ttl_ms = ttl_ms, .now_ms = f->now_ms};

    str_copy(str_of(name), node.name, sizeof node.name);
    str_copy(str_of(sect), node.sect, sizeof node.sect);
    str_copy(str_of(name), node.link, sizeof node.link);
    assert_int_equal(store_node_beat(f->stub->inner, &in, on_done, NULL), OK);
    hub_pass(f, 0);
}

static void other_assigns(struct hub_fixture *f, const char *sect)
{
    const struct store_route_put in = {.room = ROOM, .sect = str_of(sect), .now_ms = f->now_ms};

    assert_int_equal(store_route_put(f->stub->inner, &in, on_done, NULL), OK);
    hub_pass(f, 0);
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    assert_int_equal(err, OK);
    *(struct routes **)arg = routes_copy(routes);
}

/* As others see it; the caller frees. */
static struct routes *stored(struct hub_fixture *f)
{
    const struct store_routes_get in = {.with_others = true, .now_ms = f->now_ms};
    struct routes *routes = NULL;

    assert_int_equal(store_routes_get(f->stub->inner, &in, on_routes, &routes), OK);
    hub_pass(f, 0);
    assert_non_null(routes);
    return routes;
}

static size_t count_stored(struct hub_fixture *f)
{
    struct routes *routes = stored(f);
    size_t count = routes->node_count;
    free(routes);
    return count;
}

/* The sect that the room is assigned to in the store, and by whom; empty: to none. */
static struct route stored_route(struct hub_fixture *f)
{
    struct routes *routes = stored(f);
    const struct route *found = routes_assigned(routes, ROOM);
    struct route route = found != NULL ? *found : (struct route){0};
    free(routes);
    return route;
}

/* --- a cache node under test ------------------------------------------------------------------- */

struct heard {
    struct hub_load load;
    struct switch_decision switched;
    int switches;
};

static struct heard heard;

static void tell_load(void *arg, struct hub_load *ret)
{
    *ret = ((struct heard *)arg)->load;
}

static void on_switch(void *arg, const struct switch_decision *decision)
{
    struct heard *h = arg;
    h->switched = *decision;
    h->switches++;
}

static int setup(void **state, const char *sect, bool is_dry)
{
    struct hub_nodes_config config = {.announces = true,
                                      .version = "1.2.3",
                                      .switching = SWITCH,
                                      .load = tell_load,
                                      .on_switch = on_switch,
                                      .arg = &heard};
    heard = (struct heard){.load = {.busy_percent = 42, .connections = 7, .links = 3}};
    config.switching.is_dry = is_dry;
    str_copy(str_of(sect), config.sect, sizeof config.sect);
    if (sect[0] != '\0') str_copy(STR("me:7000"), config.link, sizeof config.link);
    return hub_fixture_setup_nodes(state, &config);
}

static int setup_cache(void **state)
{
    return setup(state, "main", false);
}

static int setup_dry(void **state)
{
    return setup(state, "main", true);
}

static int setup_alone(void **state)
{
    return setup(state, "", false);
}

/* --- beats ------------------------------------------------------------------------------------- */

static void a_node_says_what_it_is_and_has(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_tell_presence(f, true, "alice");
    hub_tell_presence(f, true, "bob");
    for (int i = 0; i < 100; i++) { /* 10 a second */
        hub_append(f, LIST_NORMAL);
        hub_pass(f, 100);
    }
    struct routes *routes = stored(f);
    assert_int_equal(routes->node_count, 1);
    const struct node_record *node = &routes->nodes[0];
    assert_string_equal(node->name, "here");
    assert_string_equal(node->sect, "main");
    assert_string_equal(node->link, "me:7000");
    assert_string_equal(node->version, "1.2.3");
    assert_int_equal(node->started_ms, FIXTURE_START_MS);
    assert_int_equal(node->busy_percent, 42);
    assert_int_equal(node->connections, 7);
    assert_int_equal(node->links, 3);
    assert_int_equal(node->rooms, 1);
    assert_int_equal(node->online, 2);
    assert_int_equal(node->hot_count, 1);
    assert_string_equal(node->hot[0].room, "dev/lobby");
    assert_int_equal(node->hot[0].online, 2);
    assert_in_range(node->hot[0].deliveries_per_s, 15, 20);
    free(routes);
}

static void it_names_its_largest_rooms_the_largest_first(void **state)
{
    struct hub_fixture *f = *state;
    char name[32];

    for (int i = 0; i < 2 * NODE_HOT_MAX; i++) {
        snprintf(name, sizeof name, "dev/r%d", i);
        for (int user = -1; user < i; user++) {
            struct call *call = call_new(user < 0 ? CALL_SUBSCRIBE : CALL_PRESENCE, str_of(name));
            call->auto_create = true;
            call->sub = 100;
            char who[32];
            snprintf(who, sizeof who, "u%d", user);
            if (user >= 0) presence_write(&call->text, PRESENCE_CAME, str_of(who));
            assert_int_equal(hub_do(f, call), OK);
        }
    }
    hub_pass(f, 2000);
    struct routes *routes = stored(f);
    const struct node_record *node = &routes->nodes[0];
    assert_int_equal(node->hot_count, NODE_HOT_MAX);
    for (int i = 0; i < NODE_HOT_MAX; i++)
        assert_int_equal(node->hot[i].online, 2 * NODE_HOT_MAX - 1 - i);
    free(routes);
}

static void it_stays_live_while_some_beats_fail(void **state)
{
    struct hub_fixture *f = *state;

    hub_pass(f, 1000);
    for (int i = 0; i < 20; i++) {
        f->stub->is_down = i % 5 != 4;
        f->stub->refuse_node_call = f->stub->node_calls + 1;
        hub_pass(f, NODE_BEAT_MS);
        assert_int_equal(count_stored(f), 1);
    }
    assert_true(counter_get(&hub_metrics(f->hub)->beats_failed_total) > 10);
}

static void it_lapses_when_it_says_no_more(void **state)
{
    struct hub_fixture *f = *state;

    hub_pass(f, 10);
    assert_int_equal(count_stored(f), 1);
    f->now_ms += NODE_LEASE_MS; /* frozen */
    const struct store_routes_get in = {.with_others = true, .now_ms = f->now_ms};
    struct routes *routes = NULL;
    assert_int_equal(store_routes_get(f->stub->inner, &in, on_routes, &routes), OK);
    store_dispatch(f->stub->inner, f->now_ms);
    assert_int_equal(routes->node_count, 0);
    free(routes);
    hub_pass(f, 1);
    assert_int_equal(count_stored(f), 1);
}

static void a_node_that_drains_says_goodbye_and_no_more(void **state)
{
    struct hub_fixture *f = *state;

    hub_pass(f, 1200);
    hub_drain(f->hub, f->now_ms);
    hub_drain(f->hub, f->now_ms);
    hub_pass(f, 0);
    assert_int_equal(count_stored(f), 0);
    hub_pass(f, 2000);
    assert_int_equal(count_stored(f), 0);
    assert_true(others_lease(f, 1000)); /* given up, too */
}

/* A server alone on a laptop: few calls, and it is listed. */
static void a_node_alone_asks_seldom(void **state)
{
    struct hub_fixture *f = *state;

    hub_pass(f, 10);
    uint64_t before = f->stub->routes_gets, beats = f->stub->beats;
    hub_pass(f, 2 * HUB_ROUTES_IDLE_MS);
    assert_int_equal(f->stub->routes_gets - before, 2);
    assert_int_equal(f->stub->beats - beats, 2 * HUB_ROUTES_IDLE_MS / HUB_BEAT_IDLE_MS);
    assert_int_equal(count_stored(f), 1);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->switch_lease), 0);
    other_beats(f, "n1", "main", 600000); /* now it is a fleet */
    hub_pass(f, HUB_ROUTES_IDLE_MS);
    before = f->stub->routes_gets;
    hub_pass(f, 1000);
    assert_int_equal(f->stub->routes_gets - before, 1000 / HUB_ROUTES_MS);
}

/* --- routes ------------------------------------------------------------------------------------ */

static void it_sees_changes_within_a_quarter_of_a_second(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);
    const struct hub_sects *sects = hub_sects(f->hub);

    hub_pass(f, 500);
    uint64_t version = counter_get(&m->routes_version);
    uint64_t changes = counter_get(&m->routes_changes_total);
    hub_pass(f, 5000); /* load alone changes */
    assert_int_equal(counter_get(&m->routes_changes_total), changes);
    other_beats(f, "n1", "vip-1", 600000);
    other_beats(f, "n2", "vip-1", 600000);
    hub_pass(f, SOON_MS);
    assert_int_not_equal(counter_get(&m->routes_version), version);
    assert_int_equal(counter_get(&sects->count), 2);
    assert_string_equal(sects->sect[1].name, "vip-1");
    assert_int_equal(counter_get(&sects->sect[0].nodes), 1);
    assert_int_equal(counter_get(&sects->sect[1].nodes), 2);
    other_beats(f, "n1", "vip-1", 0);
    other_beats(f, "n2", "vip-1", 0);
    hub_pass(f, SOON_MS);
    assert_int_equal(counter_get(&m->routes_version), version);
    assert_int_equal(counter_get(&sects->sect[1].nodes), 0);
}

static void it_keeps_the_routes_that_it_has_while_the_store_is_away(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    other_assigns(f, "main");
    hub_pass(f, 500);
    f->stub->is_down = true;
    hub_pass(f, 10000);
    assert_true(counter_get(&hub_metrics(f->hub)->routes_failed_total) > 30);
    f->stub->is_down = false;
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
    assert_string_equal(call->record.settings.sect, "main");
    call_free(call);
}

/* More sects than are counted, or one with a name that is no label, are counted nowhere. */
static void sects_beyond_the_limit_are_in_no_metric(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_sects *sects = hub_sects(f->hub);
    char name[16];

    hub_pass(f, 500);
    other_beats(f, "odd", "a\"} 1\n", 600000);
    for (int i = 0; i < HUB_SECTS_COUNTED + 5; i++) {
        snprintf(name, sizeof name, "s%d", i);
        other_beats(f, name, name, 600000);
    }
    hub_pass(f, SOON_MS);
    assert_int_equal(counter_get(&sects->count), HUB_SECTS_COUNTED);
    for (uint64_t i = 0; i < HUB_SECTS_COUNTED; i++) {
        assert_int_equal(counter_get(&sects->sect[i].nodes), 1);
        assert_true(room_id_is_valid(str_of(sects->sect[i].name)));
    }
}

static void operators_are_told_all_nodes(void **state)
{
    struct hub_fixture *f = *state;

    other_beats(f, "n1", "vip-1", 600000);
    other_assigns(f, "vip-1");
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROUTES, 0));
    assert_int_equal(call->err, OK);
    assert_int_equal(call->routes->node_count, 2);
    assert_string_equal(call->routes->nodes[0].name, "here");
    assert_int_equal(call->routes->route_count, 1);
    call_free(call);
    f->stub->refuse_node_call = f->stub->node_calls + 1;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROUTES, 0)), ERR_OVERLOADED);
    f->stub->is_down = true;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROUTES, 0)), ERR_STORE_UNAVAILABLE);
}

/* --- by hand ----------------------------------------------------------------------------------- */

static struct call *make_sect_call(enum call_kind kind, const char *sect)
{
    struct call *call = hub_make_call(kind, 0);
    call->patch.sect = true;
    str_copy(str_of(sect), call->patch.settings.sect, sizeof call->patch.settings.sect);
    return call;
}

static void assert_sect(struct hub_fixture *f, const char *sect)
{
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
    assert_int_equal(call->err, OK);
    assert_string_equal(call->record.settings.sect, sect);
    call_free(call);
    assert_string_equal(stored_route(f).sect, sect);
}

static void a_room_is_assigned_by_hand_and_its_record_says_so(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    other_beats(f, "n1", "vip-1", 600000);
    assert_sect(f, "");
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_SECT, "vip-1")), OK);
    hub_pass(f, 1);
    assert_sect(f, "vip-1");
    assert_false(stored_route(f).is_automatic);
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_PUT, "main")), OK);
    hub_pass(f, 1);
    assert_sect(f, "main");
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_PUT, "")), OK);
    hub_pass(f, 1);
    assert_sect(f, "");
}

static void a_put_of_other_settings_leaves_the_sect(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_PUT, "main")), OK);
    hub_pass(f, 1);
    struct call *call = hub_make_call(CALL_ROOM_PUT, 0);
    call->patch.title = true;
    call = hub_round_trip(f, call);
    assert_string_equal(call->record.settings.sect, "main");
    call_free(call);
    assert_sect(f, "main");
}

static void a_sect_that_is_not_there_is_refused_and_changes_nothing(void **state)
{
    static const enum call_kind kinds[] = {CALL_ROOM_SECT, CALL_ROOM_PUT};
    struct hub_fixture *f = *state;

    hub_create_room(f);
    for (int i = 0; i < 2; i++) {
        struct call *call = make_sect_call(kinds[i], "typo");
        call->patch.title = true;
        call->patch.settings.title[0] = 'x';
        call = hub_round_trip(f, call);
        assert_int_equal(call->err, ERR_BAD_REQUEST);
        assert_int_equal(call->routes->node_count, 1); /* which there are */
        call_free(call);
        call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
        assert_string_equal(call->record.settings.title, "");
        call_free(call);
    }
    assert_sect(f, "");
}

static void a_room_that_is_not_there_is_assigned_where_it_would_be_made(void **state)
{
    struct hub_fixture *f = *state;

    hub_pass(f, 10);
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_SECT, "main")), ERR_ROOM_NOT_FOUND);
    struct call *call = make_sect_call(CALL_ROOM_SECT, "main");
    call->auto_create = true;
    assert_int_equal(hub_do(f, call), OK);
    assert_string_equal(stored_route(f).sect, "main");
}

static void a_closed_room_is_assigned_no_more(void **state)
{
    struct hub_fixture *f = *state;

    hub_create_room(f);
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_SECT, "main")), OK);
    hub_pass(f, 1);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_CLOSE, 0)), OK);
    assert_string_equal(stored_route(f).sect, "");
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_PUT, "main")), ERR_ROOM_CLOSED);
    assert_string_equal(stored_route(f).sect, "");
}

/* Whichever of the store's calls fails, the call comes home with it, once. */
static void each_failure_of_the_store_is_told(void **state)
{
    static const enum call_kind kinds[] = {CALL_ROOM_SECT, CALL_ROOM_PUT};
    struct hub_fixture *f = *state;

    hub_create_room(f);
    for (int i = 0; i < 2; i++) {
        for (uint64_t n = 1;; n++) { /* the nth call of a room, */
            f->stub->refuse_call = f->stub->calls + n;
            int err = hub_do(f, make_sect_call(kinds[i], "main"));
            bool was_reached = f->stub->calls >= f->stub->refuse_call;
            assert_int_equal(err, was_reached ? ERR_OVERLOADED : OK);
            if (!was_reached) break;
        }
        f->stub->refuse_call = 0;
        f->stub->refuse_node_call = f->stub->node_calls + 1; /* of the check, */
        assert_int_equal(hub_do(f, make_sect_call(kinds[i], "main")), ERR_OVERLOADED);
        f->stub->refuse_node_call = f->stub->node_calls + 2; /* of the put */
        assert_int_equal(hub_do(f, make_sect_call(kinds[i], "main")), ERR_OVERLOADED);
    }
}

/* --- the switch -------------------------------------------------------------------------------- */

static void people(struct hub_fixture *f, int from, int to, bool come)
{
    char user[32];
    for (int i = from; i < to; i++) {
        snprintf(user, sizeof user, "user-%d", i);
        hub_tell_presence(f, come, user);
    }
}

static void make_large(struct hub_fixture *f)
{
    hub_create_room(f);
    hub_subscribe(f, 0);
    other_beats(f, "n1", "vip-1", 3600000);
    people(f, 0, 3, true);
}

static void a_large_room_goes_to_the_vip_sect_and_comes_back(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);

    make_large(f);
    assert_int_equal(counter_get(&m->switch_lease), 1);
    hub_pass(f, 8000);
    assert_string_equal(stored_route(f).sect, "");
    hub_pass(f, 6000);
    assert_string_equal(stored_route(f).sect, "vip-1");
    assert_true(stored_route(f).is_automatic);
    assert_sect(f, "vip-1");
    assert_int_equal(counter_get(&m->switch_promotions_total), 1);
    assert_string_equal(heard.switched.sect, "vip-1");
    people(f, 0, 3, false);
    hub_pass(f, 58000);
    assert_string_equal(stored_route(f).sect, "vip-1");
    hub_pass(f, 6000);
    assert_string_equal(stored_route(f).sect, "");
    assert_int_equal(counter_get(&m->switch_demotions_total), 1);
    assert_int_equal(heard.switches, 2);
}

static void what_an_operator_assigns_meanwhile_stays(void **state)
{
    struct hub_fixture *f = *state;

    make_large(f);
    hub_pass(f, 8000);
    assert_int_equal(hub_do(f, make_sect_call(CALL_ROOM_SECT, "main")), OK);
    hub_pass(f, 30000);
    assert_string_equal(stored_route(f).sect, "main");
    assert_false(stored_route(f).is_automatic);
}

static void only_the_holder_of_the_lease_decides(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);

    const struct store_lease in = {
        .name = STR("switch"), .holder = STR("other"), .ttl_ms = 20000, .now_ms = f->now_ms};
    bool is_others = false;
    assert_int_equal(store_lease(f->stub->inner, &in, on_lease, &is_others),
                     OK); /* it is the first */
    make_large(f);
    hub_pass(f, 15000);
    assert_true(is_others);
    assert_string_equal(stored_route(f).sect, "");
    assert_int_equal(counter_get(&m->switch_lease), 0);
    assert_false(others_lease(f, 0)); /* it gives it up */
    hub_pass(f, 8000);                /* what this one has seen counts from here on */
    assert_int_equal(counter_get(&m->switch_lease), 1);
    assert_string_equal(stored_route(f).sect, "");
    hub_pass(f, 6000);
    assert_string_equal(stored_route(f).sect, "vip-1");
}

/* Two nodes that take turns in holding it never see ten seconds on end. */
static void a_lease_that_moves_starts_the_time_anew(void **state)
{
    struct hub_fixture *f = *state;

    make_large(f);
    for (int i = 0; i < 4; i++) {
        hub_pass(f, 4000);
        f->stub->is_down = true; /* its renewals fail, so it lapses */
        hub_pass(f, HUB_SWITCH_LEASE_MS + 1000);
        assert_int_equal(counter_get(&hub_metrics(f->hub)->switch_lease), 0);
        f->stub->is_down = false;
    }
    assert_string_equal(stored_route(f).sect, "");
    hub_pass(f, 20000);
    assert_string_equal(stored_route(f).sect, "vip-1");
}

static void a_put_that_fails_is_tried_again(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);

    make_large(f);
    while (counter_get(&m->switch_failed_total) == 0) {
        uint64_t puts = f->stub->route_puts;
        assert_true(f->now_ms < FIXTURE_START_MS + 60000);
        hub_pass(f, 1);
        if (f->stub->route_puts > puts) f->stub->is_down = true; /* its answer is lost, */
        hub_pass(f, 1);
        f->stub->is_down = false;
    }
    assert_int_equal(counter_get(&m->switch_promotions_total), 0);
    assert_string_equal(stored_route(f).sect, "vip-1"); /* but it was done */
    hub_pass(f, 5000);
    assert_int_equal(f->stub->route_puts, 1); /* as the routes then say */
}

static void a_put_that_is_refused_is_tried_again(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);
    char room[32];

    for (int i = 0; i < LIMIT_ROUTES; i++) {
        snprintf(room, sizeof room, "dev/taken-%d", i);
        const struct store_route_put in = {
            .room = str_of(room), .sect = STR("main"), .now_ms = f->now_ms};
        assert_int_equal(store_route_put(f->stub->inner, &in, on_done, NULL), OK);
    }
    make_large(f);
    hub_pass(f, 20000);
    assert_in_range(counter_get(&m->switch_failed_total), 5, 12); /* once a second */
    assert_string_equal(stored_route(f).sect, "");
    const struct store_route_put in = {.room = STR("dev/taken-7"), .now_ms = f->now_ms};
    assert_int_equal(store_route_put(f->stub->inner, &in, on_done, NULL), OK);
    hub_pass(f, 2000);
    assert_string_equal(stored_route(f).sect, "vip-1");
}

static void a_dry_switch_assigns_nothing(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *m = hub_metrics(f->hub);

    make_large(f);
    uint64_t puts = f->stub->route_puts;
    hub_pass(f, 30000);
    assert_int_equal(counter_get(&m->switch_dry_total), 1);
    assert_int_equal(heard.switches, 1);
    assert_string_equal(heard.switched.sect, "vip-1");
    assert_int_equal(f->stub->route_puts, puts);
    assert_string_equal(stored_route(f).sect, "");
    assert_int_equal(counter_get(&m->switch_promotions_total), 0);
}

static void a_vip_sect_that_dies_gives_its_rooms_to_the_next(void **state)
{
    struct hub_fixture *f = *state;

    make_large(f);
    hub_pass(f, 14000);
    assert_string_equal(stored_route(f).sect, "vip-1");
    other_beats(f, "n2", "vip-2", 3600000);
    other_beats(f, "n1", "vip-1", 0);
    hub_pass(f, 3000);
    assert_string_equal(stored_route(f).sect, "vip-2");
}

#define CACHE(f) cmocka_unit_test_setup_teardown(f, setup_cache, hub_fixture_teardown)
#define ALONE(f) cmocka_unit_test_setup_teardown(f, setup_alone, hub_fixture_teardown)
#define DRY(f)   cmocka_unit_test_setup_teardown(f, setup_dry, hub_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CACHE(a_node_says_what_it_is_and_has),
        CACHE(it_names_its_largest_rooms_the_largest_first),
        CACHE(it_stays_live_while_some_beats_fail),
        CACHE(it_lapses_when_it_says_no_more),
        CACHE(a_node_that_drains_says_goodbye_and_no_more),
        ALONE(a_node_alone_asks_seldom),
        CACHE(it_sees_changes_within_a_quarter_of_a_second),
        CACHE(it_keeps_the_routes_that_it_has_while_the_store_is_away),
        CACHE(sects_beyond_the_limit_are_in_no_metric),
        CACHE(operators_are_told_all_nodes),
        CACHE(a_room_is_assigned_by_hand_and_its_record_says_so),
        CACHE(a_put_of_other_settings_leaves_the_sect),
        CACHE(a_sect_that_is_not_there_is_refused_and_changes_nothing),
        CACHE(a_room_that_is_not_there_is_assigned_where_it_would_be_made),
        CACHE(a_closed_room_is_assigned_no_more),
        CACHE(each_failure_of_the_store_is_told),
        CACHE(a_large_room_goes_to_the_vip_sect_and_comes_back),
        CACHE(what_an_operator_assigns_meanwhile_stays),
        CACHE(only_the_holder_of_the_lease_decides),
        CACHE(a_lease_that_moves_starts_the_time_anew),
        CACHE(a_put_that_fails_is_tried_again),
        CACHE(a_put_that_is_refused_is_tried_again),
        DRY(a_dry_switch_assigns_nothing),
        CACHE(a_vip_sect_that_dies_gives_its_rooms_to_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
