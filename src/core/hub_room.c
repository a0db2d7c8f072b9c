/* A room in the hub's memory: activation, news, pulls, and its end. */
#include "core/hub_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

static void load_tail(struct hub_room *room, enum list_kind list);

struct hub_room *hub_room_get(struct hub *hub, struct str key)
{
    return map_get(&hub->rooms, key);
}

static void poll_fire(struct hub_room *room);

void hub_timer_init(struct hub_timer *t, struct hub_room *room, void (*fire)(struct hub_room *))
{
    timer_init(&t->timer);
    t->fire = fire;
    t->room = room;
}

static struct hub_room *room_new(struct hub *hub, struct str key)
{
    struct hub_room *room = xcalloc(1, sizeof *room);
    room->hub = hub;
    room->state = HUB_ROOM_LOADING;
    bool fits = str_copy(key, room->name, sizeof room->name);
    ASSERT(fits);
    room->key = str_of(room->name);
    list_init(&room->subs);
    list_init(&room->watches);
    list_init(&room->waiting);
    list_init(&room->reviving);
    presence_init(&room->users, hub->config.hash_key);
    map_init(&room->senders, hub->config.hash_key, hub_sender_key);
    hub_timer_init(&room->poll_timer, room, poll_fire);
    hub_timer_init(&room->online_timer, room, hub_online_fire);
    hub_timer_init(&room->count_timer, room, hub_head_count_fire);
    map_put(&hub->rooms, room);
    gauge_add(&hub->metrics.rooms_active, 1);
    return room;
}

void hub_room_free(struct hub_room *room)
{
    struct hub *hub = room->hub;
    ASSERT(room->ops == 0 && list_is_empty(&room->waiting) && list_is_empty(&room->subs));
    hub_watches_lost(room);
    wheel_cancel(&hub->wheel, &room->poll_timer.timer);
    wheel_cancel(&hub->wheel, &room->online_timer.timer);
    wheel_cancel(&hub->wheel, &room->count_timer.timer);
    map_take(&hub->rooms, room->key);
    hub_counting_forget_room(room);
    hub_roll_up_forget_room(room);
    hub_presence_deinit(room);
    hub_senders_sweep(room, true);
    map_deinit(&room->senders);
    for (int list = 0; list < LIST_KINDS; list++) feed_deinit(&room->feeds[list]);
    gauge_add(&hub->metrics.rooms_active, -1);
    free(room);
}

/* Activation ends without a room: everybody who waited is told. */
static void load_failed(struct hub_room *room, int err)
{
    struct hub *hub = room->hub;
    for (struct list *node; (node = list_take(&room->waiting)) != NULL;)
        hub_return(hub, CONTAINER_OF(node, struct call, node), err);
    store_unwatch(hub->store, room->key);
    hub_room_free(room);
}

bool hub_room_is_listened(const struct hub_room *room)
{
    return !list_is_empty(&room->subs) || !list_is_empty(&room->watches);
}

void hub_room_arm_poll(struct hub_room *room)
{
    struct hub *hub = room->hub;
    int64_t period_ms = hub_room_is_listened(room) ? HUB_POLL_MS : HUB_POLL_IDLE_MS;
    int64_t jitter_ms = (int64_t)rng_below(&hub->rng, (uint64_t)period_ms / 10);
    int64_t due_ms = hub->now_ms + period_ms - jitter_ms;
    wheel_arm(&hub->wheel, &room->poll_timer.timer, due_ms - due_ms % HUB_POLL_GRAIN_MS);
}

static void start_pull(struct hub_room *room, enum list_kind list);

static void load_done(struct hub_room *room)
{
    room->state = HUB_ROOM_ACTIVE;
    room->idle_since_ms = room->hub->now_ms;
    room->waits_for_count = false;
    hub_room_arm_poll(room);
    hub_head_count_begin(room);
    for (struct list *node; (node = list_take(&room->waiting)) != NULL;)
        hub_run(room, CONTAINER_OF(node, struct call, node));
    hub_watches_loaded(room);
    for (int list = 0; list < LIST_KINDS; list++)
        if (room->pulls[list].is_dirty) start_pull(room, (enum list_kind)list);
}

static void apply(struct hub_room *room, const struct store_range *range)
{
    for (size_t i = 0; i < range->count; i++) {
        const struct message *message = &range->messages[i];
        struct feed *feed = &room->feeds[message->list];
        if (message->id <= feed->tail) continue;
        struct frame *frame = frame_new(message, &room->hub->bin);
        feed_append_or_restart(feed, frame);
        frame_unref(frame);
    }
}

/* The steps of activation follow each other, so that at most one operation is under way when one
 * fails. */
static void on_tail(struct hub_room *room, int err, const struct store_range *range,
                    enum list_kind list)
{
    room->ops--;
    if (err != OK) {
        load_failed(room, err);
        return;
    }
    if (range->count == 0) feed_restart(&room->feeds[list], range->tail, range->tail_ordinal);
    room->trimmed[list] = range->trimmed;
    apply(room, range);
    if (list == LIST_HIGH) {
        load_tail(room, LIST_NORMAL);
    } else if (hub_is_shared(room->hub) && room->record.settings.max_online > 0) {
        room->waits_for_count = true; /* who is taken depends on who is elsewhere */
        hub_head_count_begin(room);
    } else {
        load_done(room);
    }
}

void hub_room_counted(struct hub_room *room)
{
    if (room->waits_for_count) load_done(room);
}

static void on_high_tail(void *arg, int err, const struct store_range *range)
{
    on_tail(arg, err, range, LIST_HIGH);
}

static void on_normal_tail(void *arg, int err, const struct store_range *range)
{
    on_tail(arg, err, range, LIST_NORMAL);
}

static int read_list(struct hub_room *room, enum list_kind list, enum store_direction direction,
                     uint64_t from, store_read_cb *cb)
{
    struct store_read read = {.room = room->key,
                              .list = list,
                              .direction = direction,
                              .from = from,
                              .limit = HUB_PULL_LIMIT};
    int err = store_read(room->hub->store, &read, cb, room);
    if (err == OK) room->ops++;
    return err;
}

static void load_tail(struct hub_room *room, enum list_kind list)
{
    store_read_cb *cb = list == LIST_HIGH ? on_high_tail : on_normal_tail;
    int err = read_list(room, list, STORE_BEFORE, UINT64_MAX, cb);
    if (err != OK) load_failed(room, err);
}

static void on_record(void *arg, int err, const struct room_record *record, bool created);
static void load(struct hub_room *room);

static bool may_create(const struct hub_room *room)
{
    LIST_FOREACH (node, &room->waiting)
        if (CONTAINER_OF(node, struct call, node)->auto_create) return true;
    return false;
}

static int create(struct hub_room *room)
{
    struct store_room_put put = {
        .room = room->key,
        .only_new = true,
        .settings = room_settings_default(),
        .state = ROOM_OPEN,
        .control = {.list = LIST_HIGH, .type = STR("room.updated"), .body = STR("{}")},
        .now_ms = room->hub->now_ms};
    int err = store_room_put(room->hub->store, &put, on_record, room);
    if (err == OK) room->ops++;
    return err;
}

static void on_record(void *arg, int err, const struct room_record *record, bool created)
{
    (void)created;
    struct hub_room *room = arg;
    room->ops--;
    if (err == ERR_ROOM_NOT_FOUND && may_create(room)) {
        err = create(room);
        if (err == OK) return;
    }
    if (err == ERR_ROOM_EXISTS) { /* somebody else made it meanwhile: theirs counts */
        load(room);
        return;
    }
    if (err != OK) {
        load_failed(room, err);
        return;
    }
    room->record = *record;
    room->unique = record->unique;
    /* Watching begins before the tails are read: what comes in between marks the list dirty. */
    store_watch(room->hub->store, room->key);
    load_tail(room, LIST_HIGH);
}

static void load(struct hub_room *room)
{
    int err = store_room_get(room->hub->store, room->key, on_record, room);
    if (err == OK)
        room->ops++;
    else
        load_failed(room, err);
}

static bool is_full(struct hub *hub)
{
    if (hub->rooms.count < LIMIT_ROOMS_PER_NODE) return false;
    counter_add(&hub->metrics.rooms_refused_total, 1);
    return true;
}

struct hub_room *hub_room_load(struct hub *hub, struct str key)
{
    struct hub_room *room = hub_room_get(hub, key);
    if (room != NULL) return room;
    if (is_full(hub)) return NULL;
    room = room_new(hub, key);
    /* A peer's news begin with its watching, not with the room's being loaded. */
    store_watch(hub->store, key);
    load(room);
    return hub_room_get(hub, key);
}

void hub_room_enter(struct hub *hub, struct call *call)
{
    struct hub_room *room = hub_room_get(hub, str_of(call->room));
    if (room == NULL) {
        if (is_full(hub)) {
            call->retry_after_ms = HUB_RETRY_MS;
            hub_return(hub, call, ERR_OVERLOADED);
            return;
        }
        room = room_new(hub, str_of(call->room));
        list_push(&room->waiting, &call->node);
        load(room);
    } else if (room->state == HUB_ROOM_LOADING) {
        list_push(&room->waiting, &call->node);
    } else {
        hub_run(room, call);
    }
}

static void on_refreshed(void *arg, int err, const struct room_record *record, bool created)
{
    (void)created;
    struct hub_room *room = arg;
    room->ops--;
    if (err == OK)
        hub_room_set_record(room, record);
    else
        room->record_is_stale = true;
    if (err == ERR_ROOM_NOT_FOUND) hub_revive(room);
}

void hub_room_refresh(struct hub_room *room)
{
    room->record_is_stale = false;
    if (store_room_get(room->hub->store, room->key, on_refreshed, room) == OK)
        room->ops++;
    else
        room->record_is_stale = true;
}

/* One that was made later is another: a store that had lost it counts versions from 1 again. */
static bool is_newer(const struct room_record *a, const struct room_record *b)
{
    return a->created_ms != b->created_ms ? a->created_ms > b->created_ms : a->version > b->version;
}

void hub_room_set_record(struct hub_room *room, const struct room_record *record)
{
    if (!is_newer(record, &room->record)) return;
    room->record = *record;
    room->record_changes++;
    if (room->state == HUB_ROOM_ACTIVE) hub_publish(room);
}

void hub_room_news(struct hub_room *room, const struct message *message)
{
    struct hub *hub = room->hub;
    struct feed *feed = &room->feeds[message->list];
    if (room->state == HUB_ROOM_LOADING) {
        room->pulls[message->list].is_dirty = true;
        hub_watches_news(room, message);
    } else if (message->id <= feed->tail) {
        counter_add(&hub->metrics.news_stale_total, 1);
    } else if (message->prev != feed->tail) {
        counter_add(&hub->metrics.news_hole_total, 1);
        start_pull(room, message->list);
    } else {
        struct frame *frame = frame_new(message, &hub->bin);
        hub_counting_messages(room);
        feed_append(feed, frame);
        counter_add(&hub->metrics.news_applied_total, 1);
        hub_publish(room);
        if (frame->is_control) hub_room_refresh(room);
        frame_unref(frame);
    }
}

static bool has_control_after(const struct feed *feed, uint64_t id)
{
    for (uint32_t i = feed_after(feed, id); i < feed->count; i++)
        if (feed_at(feed, i)->is_control) return true;
    return false;
}

/* Nothing is left of the list, though there was something: is the room still there? */
static bool is_lost(const struct hub_pull *pull, const struct store_range *range)
{
    return range->tail == 0 && pull->tail_at_start > 0 && !pull->is_confirming;
}

static void pulled(struct hub_room *room, enum list_kind list, const struct store_range *range)
{
    struct hub *hub = room->hub;
    struct hub_pull *pull = &room->pulls[list];
    struct feed *feed = &room->feeds[list];
    uint64_t before = feed->tail;
    if (is_lost(pull, range)) {
        hub_revive(room);
        return;
    }
    if (range->count > 0) hub_counting_messages(room);
    room->trimmed[list] = range->trimmed;
    /* The store knows less than it did when it was asked: it was restored or emptied. */
    if (range->tail < pull->tail_at_start) feed_restart(feed, range->tail, range->tail_ordinal);
    apply(room, range);
    if (feed->tail == before) return;
    counter_add(&hub->metrics.pull_messages_total, range->count);
    if (pull->is_fallback) counter_add(&hub->metrics.fallback_messages_total, range->count);
    hub_publish(room);
    if (list == LIST_HIGH && has_control_after(feed, before)) hub_room_refresh(room);
}

static void on_pull(struct hub_room *room, int err, const struct store_range *range,
                    enum list_kind list)
{
    struct hub_pull *pull = &room->pulls[list];
    room->ops--;
    pull->is_running = false;
    if (err != OK) {
        /* The next fallback poll tries again; until then readers are served from the copy. */
        counter_add(&room->hub->metrics.pulls_failed_total, 1);
        return;
    }
    pulled(room, list, range);
    if (range->more || pull->is_dirty)
        start_pull(room, list);
    else
        room->is_doubtful[list] = false; /* nothing has happened since that read began */
}

static void on_high_pull(void *arg, int err, const struct store_range *range)
{
    on_pull(arg, err, range, LIST_HIGH);
}

static void on_normal_pull(void *arg, int err, const struct store_range *range)
{
    on_pull(arg, err, range, LIST_NORMAL);
}

static void start_pull(struct hub_room *room, enum list_kind list)
{
    struct hub_pull *pull = &room->pulls[list];
    if (pull->is_running) {
        pull->is_dirty = true;
        return;
    }
    pull->is_dirty = false;
    pull->is_fallback = false;
    pull->is_confirming = pull->is_to_confirm;
    pull->is_to_confirm = false;
    pull->tail_at_start = room->feeds[list].tail;
    counter_add(&room->hub->metrics.pulls_total, 1);
    store_read_cb *cb = list == LIST_HIGH ? on_high_pull : on_normal_pull;
    if (read_list(room, list, STORE_AFTER, pull->tail_at_start, cb) == OK)
        pull->is_running = true;
    else
        counter_add(&room->hub->metrics.pulls_failed_total, 1);
}

void hub_room_pull(struct hub_room *room, bool is_there)
{
    for (int list = 0; list < LIST_KINDS; list++) {
        room->pulls[list].is_to_confirm |= is_there;
        start_pull(room, (enum list_kind)list);
    }
}

void hub_room_doubt(struct hub_room *room, enum list_kind list)
{
    room->is_doubtful[list] = true;
    if (room->state == HUB_ROOM_ACTIVE)
        start_pull(room, list);
    else
        room->pulls[list].is_dirty = true;
}

static bool is_over(const struct hub_room *room)
{
    return !hub_room_is_listened(room) && room->ops == 0 &&
           room->hub->now_ms - room->idle_since_ms >= HUB_IDLE_MS;
}

static void poll_fire(struct hub_room *room)
{
    if (is_over(room)) {
        store_unwatch(room->hub->store, room->key);
        hub_room_free(room);
        return;
    }
    counter_add(&room->hub->metrics.fallback_polls_total, 1);
    for (int list = 0; list < LIST_KINDS; list++) {
        bool was_running = room->pulls[list].is_running;
        start_pull(room, (enum list_kind)list);
        if (!was_running) room->pulls[list].is_fallback = true;
    }
    if (room->record_is_stale) hub_room_refresh(room);
    hub_senders_sweep(room, false);
    hub_presence_sweep(room);
    hub_room_arm_poll(room);
}
