#include "core/hub_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

static void on_news(void *arg, struct str key, const struct message *message)
{
    struct hub *hub = arg;
    struct hub_room *room = hub_room_get(hub, key);
    if (room != NULL) hub_room_news(room, message);
}

static struct str room_key(const void *value)
{
    const struct hub_room *it = value;
    return it->key;
}

struct hub *hub_new(const struct hub_config *config, int64_t now_ms)
{
    ASSERT(config->workers > 0 && config->workers <= LIMIT_WORKERS);
    struct hub *hub = xcalloc(1, sizeof *hub);
    hub->config = *config;
    hub->now_ms = now_ms;
    map_init(&hub->rooms, config->hash_key, room_key);
    wheel_init(&hub->wheel, now_ms);
    rng_init(&hub->rng, config->seed);
    list_init(&hub->blocked);
    hub_queue_init(&hub->viewers_queue);
    hub_queue_init(&hub->samples_queue);
    hub_roll_up_init(&hub->roll_up);
    hub_nodes_init(hub, now_ms);
    return hub;
}

void hub_store_env(struct hub *hub, struct store_env *env)
{
    env->on_news = on_news;
    env->news_arg = hub;
}

void hub_set_store(struct hub *hub, struct store *store)
{
    hub->store = store;
}

void hub_flush(struct hub *hub, int64_t now_ms)
{
    hub->now_ms = now_ms;
    hub_counting_flush(hub);
    hub_roll_up_flush(hub);
}

void hub_drain(struct hub *hub, int64_t now_ms)
{
    hub->now_ms = now_ms;
    hub_nodes_drain(hub);
}

/* Calls that still wait for a room belong to their workers, which are gone by now: they are freed
 * here. */
static void drop_room(struct hub_room *room)
{
    list_move_all(&room->waiting, &room->reviving);
    for (struct list *node; (node = list_take(&room->waiting)) != NULL;)
        call_free(CONTAINER_OF(node, struct call, node));
    while (!list_is_empty(&room->subs))
        hub_sub_remove(CONTAINER_OF(room->subs.next, struct hub_sub, node));
    hub_room_free(room);
}

void hub_free(struct hub *hub)
{
    if (hub == NULL) return;
    while (hub->rooms.count > 0) {
        struct hub_room *room = NULL;
        MAP_FOREACH (slot, &hub->rooms) {
            room = slot->value;
            break;
        }
        room->ops = 0; /* the store is closed: nothing will complete */
        drop_room(room);
    }
    map_deinit(&hub->rooms);
    hub_viewers_deinit(hub);
    hub_samples_deinit(hub);
    hub_roll_up_deinit(hub);
    hub_nodes_deinit(hub);
    frame_bin_empty(&hub->bin);
    free(hub);
}

void hub_return(struct hub *hub, struct call *call, int err)
{
    call->err = err;
    bool is_passing = err == ERR_STORE_UNAVAILABLE || err == ERR_OVERLOADED;
    if (is_passing && call->retry_after_ms == 0) call->retry_after_ms = HUB_RETRY_MS;
    uint16_t worker = call->worker; /* once pushed, the call is that worker's, who may free it */
    struct note note = {.kind = NOTE_CALL, .call = call};
    bool pushed = queue_push(hub->config.notes[worker], &note);
    ASSERT(pushed);
    hub->wakes |= 1ull << worker;
    hub->calls_under_way--;
}

bool hub_note(struct hub *hub, uint16_t worker, const struct note *note)
{
    struct queue *queue = hub->config.notes[worker];
    if (queue_space(queue) <= LIMIT_CALLS_PER_WORKER || !queue_push(queue, note)) return false;
    hub->wakes |= 1ull << worker;
    return true;
}

static bool push_frames(struct hub_sub *sub, enum list_kind list)
{
    struct hub *hub = sub->room->hub;
    const struct feed *feed = &sub->room->feeds[list];
    if (sub->sent[list] > feed->tail) {
        struct list_position start = {feed->floor, feed->tail_ordinal - feed->count};
        struct note note = {
            .kind = NOTE_RESTART, .list = list, .sub = sub->handle, .position = start};
        if (!hub_note(hub, sub->worker, &note)) return false;
        sub->sent[list] = feed->floor;
    }
    for (uint32_t i = feed_after(feed, sub->sent[list]); i < feed->count; i++) {
        struct frame *frame = feed_at(feed, i);
        struct note note = {.kind = NOTE_FRAME, .list = list, .sub = sub->handle, .frame = frame};
        frame_ref(frame);
        if (!hub_note(hub, sub->worker, &note)) {
            frame_unref(frame);
            return false;
        }
        sub->sent[list] = frame->id;
    }
    return true;
}

static bool push_record(struct hub_sub *sub)
{
    const struct room_record *record = &sub->room->record;
    if (sub->record_changes == sub->room->record_changes) return true;
    struct note note = {.kind = NOTE_RECORD, .sub = sub->handle, .record = xmalloc(sizeof *record)};
    *note.record = *record;
    if (!hub_note(sub->room->hub, sub->worker, &note)) {
        note_drop(&note);
        return false;
    }
    sub->record_changes = sub->room->record_changes;
    return true;
}

static bool push_online(struct hub_sub *sub)
{
    struct hub_room *room = sub->room;
    if (sub->online == room->online_told) return true;
    struct note note = {.kind = NOTE_ONLINE, .sub = sub->handle, .count = room->online_told};
    if (!hub_note(room->hub, sub->worker, &note)) return false;
    sub->online = room->online_told;
    return true;
}

static void push_all(struct hub_sub *sub)
{
    struct hub *hub = sub->room->hub;
    list_remove(&sub->blocked_node);
    if (push_record(sub) && push_frames(sub, LIST_HIGH) && push_frames(sub, LIST_NORMAL) &&
        push_online(sub))
        return;
    list_push(&hub->blocked, &sub->blocked_node);
    counter_add(&hub->metrics.notes_deferred_total, 1);
}

void hub_publish(struct hub_room *room)
{
    LIST_FOREACH (node, &room->subs) {
        struct hub_sub *sub = CONTAINER_OF(node, struct hub_sub, node);
        /* A blocked one gets it all, when its queue has room again. */
        if (!list_is_linked(&sub->blocked_node)) push_all(sub);
    }
    hub_watches_publish(room);
}

static void retry_blocked(struct hub *hub)
{
    struct list again;
    list_init(&again);
    list_move_all(&again, &hub->blocked);
    for (struct list *node; (node = list_take(&again)) != NULL;)
        push_all(CONTAINER_OF(node, struct hub_sub, blocked_node));
}

struct hub_sub *hub_sub_get(struct hub_room *room, const struct call *call)
{
    LIST_FOREACH (node, &room->subs) {
        struct hub_sub *sub = CONTAINER_OF(node, struct hub_sub, node);
        if (sub->worker == call->worker && sub->handle == call->sub) return sub;
    }
    return NULL;
}

/* The call goes home first: it says where the worker's copy begins, and the frames that follow
 * extend it. */
void hub_sub_add(struct hub_room *room, struct call *call)
{
    struct hub_sub *sub = xcalloc(1, sizeof *sub);
    sub->room = room;
    sub->worker = call->worker;
    sub->handle = call->sub;
    sub->online = call->online = room->online_told;
    sub->record_changes = room->record_changes;
    call->record = room->record;
    for (int list = 0; list < LIST_KINDS; list++) {
        const struct feed *feed = &room->feeds[list];
        call->start[list] = (struct list_position){feed->floor, feed->tail_ordinal - feed->count};
        sub->sent[list] = feed->floor;
    }
    list_init(&sub->blocked_node);
    room->gone_workers &= ~(1ull << sub->worker);
    bool is_first = !hub_room_is_listened(room);
    list_push(&room->subs, &sub->node);
    if (is_first) { /* till now it was polled as a room that nobody listens to */
        hub_room_arm_poll(room);
        hub_head_count_begin(room);
    }
    hub_return(room->hub, call, OK);
    push_all(sub);
}

void hub_sub_remove(struct hub_sub *sub)
{
    list_remove(&sub->node);
    list_remove(&sub->blocked_node);
    free(sub);
}

static void unsubscribe(struct hub *hub, struct call *call)
{
    struct hub_room *room = hub_room_get(hub, str_of(call->room));
    struct hub_sub *sub = room == NULL ? NULL : hub_sub_get(room, call);
    if (sub != NULL) {
        hub_presence_forget_worker(room, sub->worker);
        hub_sub_remove(sub);
        room->idle_since_ms = hub->now_ms;
    }
    hub_return(hub, call, OK);
}

void hub_run(struct hub_room *room, struct call *call)
{
    switch (call->kind) {
    case CALL_SUBSCRIBE: hub_sub_add(room, call); return;
    case CALL_PRESENCE: hub_presence(room, call); return;
    case CALL_LEAVE: hub_leave(room, call); return;
    case CALL_COLD: hub_read_cold(room, call); return;
    case CALL_APPEND: hub_send(room, call); return;
    case CALL_HISTORY: hub_read_history(room, call); return;
    case CALL_UNSUBSCRIBE:
    case CALL_ROOM_GET:
    case CALL_ROOM_PUT:
    case CALL_ROOM_CLOSE:
    case CALL_ROOM_LIST:
    case CALL_ONLINE:
    case CALL_ONLINE_USERS:
    case CALL_PING:
    case CALL_VIEWERS:
    case CALL_SAMPLES:
    case CALL_ROUTES:
    case CALL_ROOM_SECT: break;
    }
    UNREACHABLE();
}

void hub_call(struct hub *hub, struct call *call, int64_t now_ms)
{
    hub->now_ms = now_ms;
    hub->calls_under_way++;
    switch (call->kind) {
    case CALL_SUBSCRIBE:
    case CALL_PRESENCE:
    case CALL_LEAVE:
    case CALL_COLD:
    case CALL_APPEND:
    case CALL_HISTORY: hub_room_enter(hub, call); return;
    case CALL_UNSUBSCRIBE: unsubscribe(hub, call); return;
    case CALL_ROOM_GET:
    case CALL_ROOM_PUT:
    case CALL_ROOM_CLOSE:
    case CALL_ROOM_LIST:
    case CALL_PING: hub_admin(hub, call); return;
    case CALL_VIEWERS:
    case CALL_SAMPLES: hub_counting_read(hub, call); return;
    case CALL_ONLINE:
    case CALL_ONLINE_USERS: hub_online(hub, call); return;
    case CALL_ROUTES:
    case CALL_ROOM_SECT: hub_nodes_call(hub, call); return;
    }
    UNREACHABLE();
}

static void fire(void *arg, struct timer *timer)
{
    (void)arg;
    struct hub_timer *t = CONTAINER_OF(timer, struct hub_timer, timer);
    t->fire(t->room);
}

int64_t hub_tick(struct hub *hub, int64_t now_ms)
{
    hub->now_ms = now_ms;
    counter_add(&hub->metrics.frames_freed_total, frame_bin_empty(&hub->bin));
    int64_t next_ms = store_dispatch(hub->store, now_ms);
    wheel_advance(&hub->wheel, now_ms, fire, hub);
    retry_blocked(hub);
    int64_t counting_ms = hub_counting_tick(hub), roll_up_ms = hub_roll_up_tick(hub);
    if (counting_ms < next_ms) next_ms = counting_ms;
    if (roll_up_ms < next_ms) next_ms = roll_up_ms;
    int64_t nodes_ms = hub_nodes_tick(hub);
    if (nodes_ms < next_ms) next_ms = nodes_ms;
    int64_t timer_ms = wheel_next_ms(&hub->wheel);
    if (timer_ms < next_ms) next_ms = timer_ms;
    if (!list_is_empty(&hub->blocked) && now_ms + HUB_BLOCKED_RETRY_MS < next_ms)
        next_ms = now_ms + HUB_BLOCKED_RETRY_MS;
    return next_ms;
}

uint64_t hub_take_wakes(struct hub *hub)
{
    uint64_t wakes = hub->wakes;
    hub->wakes = 0;
    return wakes;
}

uint64_t hub_calls_under_way(const struct hub *hub)
{
    return hub->calls_under_way;
}

const struct hub_metrics *hub_metrics(const struct hub *hub)
{
    return &hub->metrics;
}

const struct hub_sects *hub_sects(const struct hub *hub)
{
    return &hub->nodes.sects;
}
