/* Rooms as records: get, put, close, list; and the ping behind /readyz. They go to the store,
 * whether the room is active or not; an active room then learns what has become of it. How many are
 * in a room is asked of a store that nodes share, unless this hub has just been told; where it
 * cannot say, what is known here has to do. */
#include "core/hub_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#define COUNTS_AT_ONCE 32 /* of one list */

/* Whoever is here was here, also before the store has been told. */
static void count_in(struct room_record *record, uint64_t online)
{
    if (record->unique < online) record->unique = online;
}

static void return_record(struct call *call)
{
    count_in(&call->record, call->online);
    hub_return(call->holder, call, OK);
}

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    (void)as_of_ms;
    struct call *call = arg;
    if (err == OK && online > call->online) call->online = online;
    return_record(call);
}

static void fill_record(struct call *call, const struct room_record *record)
{
    struct hub *hub = call->holder;
    call->record = *record;
    hub_nodes_fill_sect(hub, str_of(call->room), &call->record.settings);
}

/* Counts, and sends the call home with the record that is in it. */
static void give_record(struct call *call)
{
    struct hub *hub = call->holder;
    struct str key = str_of(call->room);
    struct hub_room *room = hub_room_get(hub, key);
    bool is_known;
    call->online = hub_online_count(hub, key, &is_known);
    call->is_counted = hub->config.counting;
    if (room != NULL) hub_room_set_record(room, &call->record);
    if (!is_known && store_presence_count(hub->store, key, hub->now_ms, on_count, call) == OK)
        return;
    return_record(call);
}

static void on_got(void *arg, int err, const struct room_record *record, bool created)
{
    (void)created;
    struct call *call = arg;
    if (err == ERR_ROOM_NOT_FOUND && hub_revive_for(call->holder, call)) return;
    if (err == OK) {
        fill_record(call, record);
        give_record(call);
    } else {
        hub_return(call->holder, call, err);
    }
}

static void on_routed(struct call *call, int err)
{
    if (err == OK)
        give_record(call);
    else
        hub_return(call->holder, call, err);
}

static void on_current(void *arg, int err, const struct room_record *record, bool created);

static void on_put(void *arg, int err, const struct room_record *record, bool created)
{
    struct call *call = arg;
    struct hub *hub = call->holder;
    call->created = created;
    /* Somebody else made the room meanwhile: then this is a change of it. */
    if (err == ERR_ROOM_EXISTS) {
        err = store_room_get(hub->store, str_of(call->room), on_current, call);
        if (err == OK) return;
    }
    bool is_gone =
        call->kind == CALL_ROOM_CLOSE && hub_nodes_assigned(hub, str_of(call->room)).len > 0;
    if (err == OK &&
        (call->patch.sect || is_gone)) { /* the room has taken the rest: now its route */
        fill_record(call, record);
        err = hub_sect_put(hub, call, on_routed);
        if (err != OK) hub_return(hub, call, err);
        return;
    }
    on_got(arg, err, record, created);
}

static void apply_patch(struct room_settings *settings, const struct room_patch *patch)
{
    if (patch->title) memcpy(settings->title, patch->settings.title, sizeof settings->title);
    if (patch->slow_mode_s) settings->slow_mode_s = patch->settings.slow_mode_s;
    if (patch->max_body_bytes) settings->max_body_bytes = patch->settings.max_body_bytes;
    if (patch->normal_per_s) settings->normal_per_s = patch->settings.normal_per_s;
    if (patch->high_per_s) settings->high_per_s = patch->settings.high_per_s;
    if (patch->max_online) settings->max_online = patch->settings.max_online;
}

/* The sect is no setting that is kept with the room: it is the room's route, of which this is a
 * copy. */
static int put(struct call *call, struct room_settings *settings, enum room_state state,
               bool only_new)
{
    struct hub *hub = call->holder;
    struct buf body = {0};
    hub_nodes_fill_sect(hub, str_of(call->room), settings);
    if (call->patch.sect) memcpy(settings->sect, call->patch.settings.sect, sizeof settings->sect);
    buf_add_char(&body, '{');
    if (state == ROOM_OPEN) room_settings_write(&body, settings);
    buf_add_char(&body, '}');
    struct message control = {.list = LIST_HIGH,
                              .type = state == ROOM_OPEN ? STR("room.updated") : STR("room.closed"),
                              .body = buf_str(&body)};
    struct store_room_put room_put = {.room = str_of(call->room),
                                      .only_new = only_new,
                                      .settings = *settings,
                                      .state = state,
                                      .control = control,
                                      .now_ms = hub->now_ms};
    int err = store_room_put(hub->store, &room_put, on_put, call);
    buf_deinit(&body);
    return err;
}

/* A closed room stays closed: its readers have been told. Closing it again changes nothing. */
static int put_onto(struct call *call, const struct room_record *record)
{
    struct room_settings settings = record->settings;
    if (call->kind == CALL_ROOM_CLOSE) return put(call, &settings, ROOM_CLOSED, false);
    if (record->state == ROOM_CLOSED) return ERR_ROOM_CLOSED;
    apply_patch(&settings, &call->patch);
    return put(call, &settings, ROOM_OPEN, false);
}

static void on_current(void *arg, int err, const struct room_record *record, bool created)
{
    (void)created;
    struct call *call = arg;
    if (err == ERR_ROOM_NOT_FOUND && hub_revive_for(call->holder, call)) return;
    if (err == OK && call->kind == CALL_ROOM_CLOSE && record->state == ROOM_CLOSED) {
        on_got(call, OK, record, false);
        return;
    }
    if (err == ERR_ROOM_NOT_FOUND && call->kind == CALL_ROOM_PUT) {
        struct room_settings settings = room_settings_default();
        apply_patch(&settings, &call->patch);
        err = put(call, &settings, ROOM_OPEN, true);
    } else if (err == OK) {
        err = put_onto(call, record);
    }
    if (err != OK) hub_return(call->holder, call, err);
}

/* --- lists ----------------------------------------------------------------------------------- */

/* A list whose rooms are counted, COUNTS_AT_ONCE at a time. */
struct listing {
    struct call *call;
    uint32_t next; /* item to look at */
    uint32_t under_way;
};

struct item_count {
    struct listing *listing;
    struct room_item *item;
};

static void on_item_count(void *arg, int err, uint64_t online, int64_t as_of_ms);

/* False: this hub knows, or the store cannot be asked. */
static bool count_item(struct listing *listing, struct room_item *item)
{
    struct hub *hub = listing->call->holder;
    char key[LIMIT_ROOM_KEY + 1];
    bool is_known;
    struct str rest, app = str_split(str_of(listing->call->room), '/', &rest);
    snprintf(key, sizeof key, "%.*s/%s", (int)app.len, app.ptr, item->id);
    item->online = hub_online_count(hub, str_of(key), &is_known);
    if (is_known) return false;
    struct item_count *count = xmalloc(sizeof *count);
    *count = (struct item_count){listing, item};
    if (store_presence_count(hub->store, str_of(key), hub->now_ms, on_item_count, count) == OK)
        return true;
    free(count);
    return false;
}

static void count_items(struct listing *listing)
{
    struct call *call = listing->call;
    while (listing->next < call->item_count && listing->under_way < COUNTS_AT_ONCE)
        if (count_item(listing, &call->items[listing->next++])) listing->under_way++;
    if (listing->under_way > 0) return;
    for (uint32_t i = 0; i < call->item_count; i++)
        count_in(&call->items[i].record, call->items[i].online);
    free(listing);
    hub_return(call->holder, call, OK);
}

static void on_item_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    (void)as_of_ms;
    struct item_count *count = arg;
    struct listing *listing = count->listing;
    if (err == OK && online > count->item->online) count->item->online = online;
    free(count);
    listing->under_way--;
    count_items(listing);
}

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct call *call = arg;
    struct hub *hub = call->holder;
    call->more = more;
    call->is_counted = hub->config.counting;
    for (size_t i = 0; i < count && call->item_count < call->limit; i++) {
        struct room_item *item = &call->items[call->item_count++];
        str_copy(room_key_id(items[i].room), item->id, sizeof item->id);
        item->record = items[i].record;
        hub_nodes_fill_sect(hub, items[i].room, &item->record.settings);
    }
    if (err != OK) {
        hub_return(hub, call, err);
        return;
    }
    struct listing *listing = xcalloc(1, sizeof *listing);
    listing->call = call;
    count_items(listing);
}

/* --- the ping -------------------------------------------------------------------------------- */

static void on_pong(void *arg, int err)
{
    struct call *call = arg;
    hub_return(call->holder, call, err);
}

/* The sect is there. */
static void put_checked(struct call *call, int err)
{
    struct hub *hub = call->holder;
    if (err == OK) err = store_room_get(hub->store, str_of(call->room), on_current, call);
    if (err != OK) hub_return(hub, call, err);
}

static int start(struct hub *hub, struct call *call)
{
    struct str key = str_of(call->room), after;
    bool has_sect = call->patch.sect && call->patch.settings.sect[0] != '\0';
    switch (call->kind) {
    case CALL_ROOM_GET: return store_room_get(hub->store, key, on_got, call);
    case CALL_ROOM_PUT:
        if (has_sect) return hub_sect_check(hub, call, put_checked);
        return store_room_get(hub->store, key, on_current, call);
    case CALL_ROOM_CLOSE: return store_room_get(hub->store, key, on_current, call);
    case CALL_ROOM_LIST: {
        struct str app = str_split(key, '/', &after);
        return store_room_list(hub->store, app, after, call->limit, on_list, call);
    }
    case CALL_PING: return store_ping(hub->store, on_pong, call);
    case CALL_SUBSCRIBE:
    case CALL_UNSUBSCRIBE:
    case CALL_PRESENCE:
    case CALL_LEAVE:
    case CALL_COLD:
    case CALL_APPEND:
    case CALL_HISTORY:
    case CALL_ONLINE:
    case CALL_ONLINE_USERS:
    case CALL_VIEWERS:
    case CALL_SAMPLES:
    case CALL_ROUTES:
    case CALL_ROOM_SECT: break;
    }
    UNREACHABLE();
}

void hub_admin(struct hub *hub, struct call *call)
{
    call->holder = hub;
    int err = start(hub, call);
    if (err != OK) hub_return(hub, call, err);
}
