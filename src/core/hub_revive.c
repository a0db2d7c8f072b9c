#include "core/hub_revive.h"

#include "base/error.h"
#include "core/hub_internal.h"

static struct hub_room *active_room(struct hub *hub, const char *name)
{
    struct hub_room *room = hub_room_get(hub, str_of(name));
    return room != NULL && room->state == HUB_ROOM_ACTIVE ? room : NULL;
}

static void carry_out(struct hub_room *room, struct call *call)
{
    if (call->kind == CALL_APPEND)
        hub_send_again(room, call);
    else
        hub_admin(room->hub, call);
}

static void end(struct hub_room *room, int err)
{
    struct list calls;
    room->is_reviving = false;
    list_init(&calls);
    list_move_all(&calls, &room->reviving);
    for (struct list *node; (node = list_take(&calls)) != NULL;) {
        struct call *call = CONTAINER_OF(node, struct call, node);
        if (err == OK)
            carry_out(room, call);
        else
            hub_return(room->hub, call, ERR_STORE_UNAVAILABLE);
    }
}

/* What was said to the store before is lost with the room. */
static void say_again(struct hub_room *room)
{
    store_watch(room->hub->store, room->key);
    hub_counting_again(room);
    hub_roll_up_again(room);
}

static void take_record(struct hub_room *room, const struct room_record *record)
{
    room->record = *record;
    room->record_changes++;
    room->unique = record->unique;
    hub_publish(room);
    counter_add(&room->hub->metrics.rooms_revived_total, 1);
}

static void on_put(void *arg, int err, const struct room_record *record, bool created)
{
    (void)created;
    struct hub_room *room = arg;
    room->ops--;
    if (err == OK) {
        take_record(room, record);
    } else if (err == ERR_ROOM_EXISTS) { /* another node was faster, and may have known less */
        hub_room_refresh(room);
        hub_room_pull(room, true);
        err = OK;
    }
    if (err == OK) say_again(room);
    end(room, err);
}

void hub_revive(struct hub_room *room)
{
    struct store_room_put put = {.room = room->key,
                                 .only_new = true,
                                 .settings = room->record.settings,
                                 .state = room->record.state,
                                 .now_ms = room->hub->now_ms};
    if (room->is_reviving) return;
    for (int list = 0; list < LIST_KINDS; list++)
        put.known[list] =
            (struct store_tail){room->feeds[list].tail, room->feeds[list].tail_ordinal};
    room->is_reviving = true;
    int err = store_room_put(room->hub->store, &put, on_put, room);
    if (err == OK)
        room->ops++;
    else
        end(room, err);
}

bool hub_revive_named(struct hub *hub, const char *name)
{
    struct hub_room *room = active_room(hub, name);
    if (room != NULL) hub_revive(room);
    return room != NULL;
}

bool hub_revive_for(struct hub *hub, struct call *call)
{
    struct hub_room *room = active_room(hub, call->room);
    if (room == NULL || call->is_repeated) return false;
    call->is_repeated = true;
    list_push(&room->reviving, &call->node);
    hub_revive(room);
    return true;
}
