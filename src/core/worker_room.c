/* A worker's copy of a room: begun by a subscription, kept up by notes, let go when nobody uses it.
 */
#include "core/worker_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

static bool is_unused(const struct worker_room *room)
{
    return room->waiter_count == 0 && room->attendees.count == 0;
}

void worker_room_idle_fire(void *arg, struct timer *timer)
{
    struct worker *w = arg;
    struct worker_room *room = CONTAINER_OF(timer, struct worker_room, idle_timer);
    if (!is_unused(room) || room->state != WORKER_ROOM_READY) return;
    struct call *call = call_new(CALL_UNSUBSCRIBE, room->key);
    call->sub = room->handle;
    if (worker_send_own(w, call) == OK)
        worker_room_free(room);
    else
        wheel_arm(&w->room_wheel, &room->idle_timer, w->now_ms + WORKER_ROOM_IDLE_MS);
}

void worker_room_rest(struct worker_room *room)
{
    if (is_unused(room))
        wheel_arm(&room->worker->room_wheel, &room->idle_timer,
                  room->worker->now_ms + WORKER_ROOM_IDLE_MS);
}

static struct worker_room *room_new(struct worker *w, struct str key)
{
    struct worker_room *room = xcalloc(1, sizeof *room);
    room->worker = w;
    room->state = WORKER_ROOM_ENTERING;
    bool fits = str_copy(key, room->name, sizeof room->name);
    ASSERT(fits);
    room->key = str_of(room->name);
    room->tag = cursor_room_tag(key);
    room->handle = slots_add(&w->room_handles, room);
    list_init(&room->held);
    list_init(&room->parked);
    list_init(&room->due);
    list_init(&room->cold);
    list_init(&room->serving_node);
    list_init(&room->changed_node);
    map_init(&room->attendees, w->config.hash_key, worker_attendee_key);
    timer_init(&room->idle_timer);
    map_put(&w->rooms, room);
    gauge_add(&w->metrics.rooms_subscribed, 1);
    return room;
}

void worker_room_free(struct worker_room *room)
{
    struct worker *w = room->worker;
    ASSERT(room->waiter_count == 0);
    worker_presence_deinit(room);
    wheel_cancel(&w->room_wheel, &room->idle_timer);
    list_remove(&room->serving_node);
    list_remove(&room->changed_node);
    for (int i = 0; i < WORKER_SHARED_ANSWERS; i++) blob_unref(room->shared[i].wire);
    for (int list = 0; list < LIST_KINDS; list++) feed_deinit(&room->feeds[list]);
    map_take(&w->rooms, room->key);
    slots_remove(&w->room_handles, room->handle);
    gauge_add(&w->metrics.rooms_subscribed, -1);
    free(room);
}

struct worker_room *worker_room_enter(struct worker *w, struct str key, bool auto_create)
{
    struct worker_room *room = map_get(&w->rooms, key);
    if (room != NULL) return room;
    struct call *call = call_new(CALL_SUBSCRIBE, key);
    room = room_new(w, key);
    call->sub = room->handle;
    call->auto_create = auto_create;
    if (worker_send_own(w, call) == OK) return room;
    worker_room_free(room);
    return NULL;
}

void worker_room_subscribed(struct worker *w, const struct call *call)
{
    struct worker_room *room = slots_get(&w->room_handles, call->sub);
    if (room == NULL) return;
    if (call->err != OK) {
        worker_refuse_all(room, call->err, call->retry_after_ms);
        worker_room_free(room);
        return;
    }
    room->state = WORKER_ROOM_READY;
    room->record = call->record;
    room->online = call->online;
    for (int list = 0; list < LIST_KINDS; list++)
        feed_restart(&room->feeds[list], call->start[list].id, call->start[list].ordinal);
    worker_room_news(room, true);
    worker_room_rest(room);
}

static void add_frame(struct worker_room *room, struct frame *frame)
{
    if (feed_append_or_restart(&room->feeds[frame->list], frame))
        worker_room_news(room, frame->list == LIST_HIGH);
}

void worker_room_note(struct worker *w, struct note *note)
{
    struct worker_room *room = slots_get(&w->room_handles, note->sub);
    if (room != NULL) {
        switch (note->kind) {
        case NOTE_FRAME: add_frame(room, note->frame); break;
        case NOTE_RESTART:
            feed_restart(&room->feeds[note->list], note->position.id, note->position.ordinal);
            worker_room_news(room, true);
            break;
        case NOTE_ONLINE: room->online = note->count; break;
        case NOTE_RECORD: room->record = *note->record; break;
        case NOTE_LEAVE: worker_user_left(room, str_of(note->user), true); break;
        case NOTE_LEAVE_AHEAD: worker_user_left(room, str_of(note->user), false); break;
        case NOTE_CALL: UNREACHABLE();
        }
    }
    note_drop(note);
}
