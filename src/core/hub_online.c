/* For those who ask who is here: the count, and the list page by page. A room that is in memory
 * answers at once; of any other the store says whether there is one, and nobody is in it.
 *
 * Where nodes share the store, it has the list; and it is asked for the count, unless this node has
 * just been told. Where it cannot say how many are in a room that is in memory, what is known here
 * is the answer. */
#include "core/hub_internal.h"

#include "base/error.h"

static struct hub_room *active_room(struct hub *hub, struct str key)
{
    struct hub_room *room = hub_room_get(hub, key);
    return room != NULL && room->state == HUB_ROOM_ACTIVE ? room : NULL;
}

uint64_t hub_online_count(struct hub *hub, struct str key, bool *ret_is_known)
{
    const struct hub_room *room = active_room(hub, key);
    *ret_is_known = room != NULL ? hub_audience_is_fresh(room) : !hub_is_shared(hub);
    return room == NULL ? 0 : hub_audience(room);
}

/* --- the list -------------------------------------------------------------------------------- */

static void found(void *arg, const struct presence_user *user)
{
    struct call *call = arg;
    online_user_write(&call->found, user);
}

/* The place of the next page takes the place of the query: the table may change before it is read.
 */
static void end_page(struct call *call, bool more, struct str last)
{
    call->more = more;
    if (!more) return;
    buf_deinit(&call->text);
    call_set_query(call, last, STR_NONE);
}

static void find_users(const struct hub_room *room, struct call *call)
{
    struct presence_query query = {.after = call->after,
                                   .prefix = call->prefix,
                                   .limit = call->limit,
                                   .scan = HUB_SCAN,
                                   .now_ms = room->hub->now_ms};
    struct str last = STR_NONE;
    bool more = presence_page(&room->users, &query, found, call, &last);
    end_page(call, more, last);
}

static void on_page(void *arg, int err, const struct store_presence_page *page)
{
    struct call *call = arg;
    for (size_t i = 0; err == OK && i < page->count; i++) {
        const struct store_present *it = &page->users[i];
        found(call, &(struct presence_user){
                        .user = it->user, .since_ms = it->since_ms, .seen_ms = it->seen_ms});
    }
    if (err == OK) end_page(call, page->more, page->last);
    hub_return(call->holder, call, err);
}

static int ask_page(struct hub *hub, struct call *call)
{
    struct store_presence_query query = {
        .room = str_of(call->room),
        .after = call->after,
        .prefix = call->prefix,
        .limit = call->limit < STORE_PRESENCE_MAX ? call->limit : STORE_PRESENCE_MAX,
        .now_ms = hub->now_ms};
    return store_presence_page(hub->store, &query, on_page, call);
}

/* --- the count ------------------------------------------------------------------------------- */

/* What is known here. */
static void give(struct hub *hub, struct call *call)
{
    const struct hub_room *room = active_room(hub, str_of(call->room));
    bool is_known;
    call->as_of_ms = room != NULL ? hub_audience_ms(room) : hub->now_ms;
    call->online = hub_online_count(hub, str_of(call->room), &is_known);
    if (room != NULL && call->kind == CALL_ONLINE_USERS) find_users(room, call);
    hub_return(hub, call, OK);
}

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct call *call = arg;
    struct hub *hub = call->holder;
    struct hub_room *room = active_room(hub, str_of(call->room));
    if (room != NULL) {
        if (err == OK) hub_head_count_learn(room, online, as_of_ms);
        give(hub, call);
        return;
    }
    call->online = online;
    call->as_of_ms = as_of_ms;
    hub_return(hub, call, err);
}

/* --- who asks -------------------------------------------------------------------------------- */

/* The room is there. */
static void answer(struct hub *hub, struct call *call)
{
    struct str key = str_of(call->room);
    bool is_known;
    hub_online_count(hub, key, &is_known);
    if (!hub_is_shared(hub) || (is_known && call->kind == CALL_ONLINE)) {
        give(hub, call);
        return;
    }
    int err = call->kind == CALL_ONLINE_USERS
                  ? ask_page(hub, call)
                  : store_presence_count(hub->store, key, hub->now_ms, on_count, call);
    if (err == OK) return;
    if (call->kind == CALL_ONLINE)
        on_count(call, err, 0, 0);
    else
        hub_return(hub, call, err);
}

static void on_record(void *arg, int err, const struct room_record *record, bool created)
{
    (void)record, (void)created;
    struct call *call = arg;
    if (err == OK)
        answer(call->holder, call);
    else
        hub_return(call->holder, call, err);
}

void hub_online(struct hub *hub, struct call *call)
{
    struct str key = str_of(call->room);
    call->holder = hub;
    if (active_room(hub, key) != NULL) {
        answer(hub, call);
        return;
    }
    int err = store_room_get(hub->store, key, on_record, call);
    if (err != OK) hub_return(hub, call, err);
}
