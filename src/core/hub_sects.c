/* What operators ask about nodes and sects, and the assignment of a room by hand: CALL_ROUTES,
 * CALL_ROOM_SECT, and the sect in a room's settings. Always from the store, never from the hub's copy
 * of the routes: that may be behind, and has no load. */
#include <string.h>

#include "base/error.h"
#include "core/hub_internal.h"

static struct str wanted_sect(const struct call *call)
{
    return str_of(call->patch.settings.sect);
}

static void fail(struct call *call, int err)
{
    hub_return(call->holder, call, err);
}

/* --- the verbs around a sect ------------------------------------------------------------------ */

static void on_sects(void *arg, int err, const struct routes *routes)
{
    struct call *call = arg;
    if (err == OK && !routes_has_sect(routes, wanted_sect(call))) {
        call->routes = routes_copy(routes); /* says which there are */
        err = ERR_BAD_REQUEST;
    }
    call->next(call, err);
}

int hub_sect_check(struct hub *hub, struct call *call, hub_sect_cb *next)
{
    const struct store_routes_get in = {.now_ms = hub->now_ms};
    call->next = next;
    return store_routes_get(hub->store, &in, on_sects, call);
}

/* The hub's own copy follows at once, so that who asks this node next finds it. */
static void on_sect_put(void *arg, int err)
{
    struct call *call = arg;
    struct hub *hub = call->holder;
    hub->nodes.ask_ms = hub->now_ms;
    memcpy(call->record.settings.sect, call->patch.settings.sect,
           sizeof call->record.settings.sect);
    call->next(call, err);
}

int hub_sect_put(struct hub *hub, struct call *call, hub_sect_cb *next)
{
    const struct store_route_put in = {
        .room = str_of(call->room), .sect = wanted_sect(call), .now_ms = hub->now_ms};
    call->next = next;
    return store_route_put(hub->store, &in, on_sect_put, call);
}

/* --- the sect of a room ----------------------------------------------------------------------- */

static void done(struct call *call, int err)
{
    hub_return(call->holder, call, err);
}

static void put_checked(struct call *call, int err)
{
    if (err == OK) err = hub_sect_put(call->holder, call, done);
    if (err != OK) fail(call, err);
}

/* A room that will come into being by itself may be assigned before: that is how one prepares. */
static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    (void)record, (void)created;
    struct call *call = arg;
    if (err == ERR_ROOM_NOT_FOUND && call->auto_create) err = OK;
    if (err == OK)
        err = wanted_sect(call).len > 0 ? hub_sect_check(call->holder, call, put_checked)
                                        : hub_sect_put(call->holder, call, done);
    if (err != OK) fail(call, err);
}

/* --- the calls -------------------------------------------------------------------------------- */

static void on_all(void *arg, int err, const struct routes *routes)
{
    struct call *call = arg;
    if (err == OK) call->routes = routes_copy(routes);
    hub_return(call->holder, call, err);
}

static int start(struct hub *hub, struct call *call)
{
    const struct store_routes_get all = {.with_others = true, .now_ms = hub->now_ms};
    if (call->kind == CALL_ROUTES) return store_routes_get(hub->store, &all, on_all, call);
    return store_room_get(hub->store, str_of(call->room), on_room, call);
}

void hub_nodes_call(struct hub *hub, struct call *call)
{
    call->holder = hub;
    int err = start(hub, call);
    if (err != OK) hub_return(hub, call, err);
}
