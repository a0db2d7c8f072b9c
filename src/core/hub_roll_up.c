#include "core/hub_roll_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/times.h"

int64_t roll_some(struct hub *hub, int64_t bound_ms)
{
    return (int64_t)rng_below(&hub->rng, (uint64_t)bound_ms);
}

struct roll_batch *roll_batch_new(struct hub_room *room, enum roll_kind kind)
{
    struct roll_batch *batch = xcalloc(1, sizeof *batch);
    batch->room = room;
    batch->kind = kind;
    batch->began_ms = room->hub->now_ms;
    list_init(&batch->node);
    user_set_init(&batch->names, room->hub->config.hash_key);
    return batch;
}

void roll_batch_free(struct roll_batch *batch)
{
    if (batch == NULL) return;
    list_remove(&batch->node);
    user_set_deinit(&batch->names);
    free(batch);
}

/* --- gathering ------------------------------------------------------------------------------- */

void roll_arm(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    struct wheel *wheel = &room->hub->wheel;
    int64_t next_ms = earlier(r->queued > 0 ? INT64_MAX : r->due_ms, r->beat_ms);
    if (next_ms == INT64_MAX)
        wheel_cancel(wheel, &r->timer.timer);
    else if (!timer_is_armed(&r->timer.timer) || r->timer.timer.due_ms != next_ms)
        wheel_arm(wheel, &r->timer.timer, next_ms);
}

/* Who is here comes again with the next walk, who is not lapses. */
static void drop(struct roll_batch *batch)
{
    struct hub_room *room = batch->room;
    counter_add(&room->hub->metrics.roll_up_dropped_total, batch->names.count);
    room->roll_up->outages = room->hub->roll_up.outages - 1;
    roll_batch_free(batch);
}

static void enqueue(struct hub_room *room, enum roll_kind kind)
{
    struct room_roll_up *r = room->roll_up;
    struct hub_roll_up *all = &room->hub->roll_up;
    struct roll_batch *batch = r->gathering[kind];
    if (batch == NULL) return;
    r->gathering[kind] = NULL;
    batch->bytes = sizeof *batch + user_set_memory_bytes(&batch->names);
    if (all->held_bytes + batch->bytes > LIMIT_PRESENCE_WAITING_BYTES) {
        drop(batch);
        return;
    }
    all->held_bytes += batch->bytes;
    r->queued++;
    gauge_add(&room->hub->metrics.roll_up_waiting, 1);
    list_push(&all->waiting, &batch->node);
}

/* Those who left by themselves first: who has come back since is said behind that. */
static void enqueue_all(struct hub_room *room)
{
    for (int kind = 0; kind < ROLL_GATHERED; kind++) enqueue(room, (enum roll_kind)kind);
    room->roll_up->due_ms = INT64_MAX;
}

static void fire(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r->queued == 0 && r->due_ms <= room->hub->now_ms) enqueue_all(room);
    roll_walk(room);
    roll_arm(room);
}

static struct room_roll_up *roll_up_of(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r != NULL) return r;
    r = room->roll_up = xcalloc(1, sizeof *r);
    r->due_ms = r->beat_ms = INT64_MAX;
    r->outages = room->hub->roll_up.outages;
    hub_timer_init(&r->timer, room, fire);
    return r;
}

static void gather(struct hub_room *room, enum roll_kind kind, struct str user)
{
    struct room_roll_up *r = roll_up_of(room);
    if (r->gathering[kind] == NULL) r->gathering[kind] = roll_batch_new(room, kind);
    user_set_add(&r->gathering[kind]->names, user);
    if (r->due_ms == INT64_MAX) r->due_ms = room->hub->now_ms + HUB_ROLL_GATHER_MS;
    if (r->gathering[kind]->names.count == STORE_PRESENCE_MAX) enqueue_all(room);
}

void hub_roll_up_changed(struct hub_room *room, struct str user)
{
    if (!hub_is_shared(room->hub)) return;
    gather(room, ROLL_CHANGED, user);
    roll_walk_begin(room);
    roll_arm(room);
}

void hub_roll_up_left(struct hub_room *room, struct str user)
{
    if (!hub_is_shared(room->hub)) return;
    gather(room, ROLL_LEFT, user);
    roll_arm(room);
}

/* --- what is said ---------------------------------------------------------------------------- */

void roll_say(struct hub *hub, const struct presence_user *user, bool is_gone)
{
    struct hub_roll_up *all = &hub->roll_up;
    if (all->users == NULL) all->users = xcalloc(STORE_PRESENCE_MAX, sizeof *all->users);
    all->users[all->count++] = (struct store_present){
        .user = user->user,
        .since_ms = user->since_ms,
        .seen_ms = is_gone ? user->seen_ms : later(user->seen_ms, hub->now_ms - HUB_SEEN_BEHIND_MS),
        .is_gone = is_gone};
}

static void say_names(struct roll_batch *batch)
{
    struct hub_room *room = batch->room;
    struct str user;
    for (uint32_t at = 0; user_set_next(&batch->names, &at, &user);) {
        /* Left when the batch began: who is back at another node since then stays. */
        struct presence_user here = {.user = user, .seen_ms = batch->began_ms};
        bool is_here = presence_find(&room->users, user, room->hub->now_ms, &here);
        if (is_here && batch->kind == ROLL_LEFT) continue;
        roll_say(room->hub, &here, !is_here);
    }
}

static void on_put(void *arg, int err);

/* Gives the store what was said. */
int roll_put(struct roll_batch *batch)
{
    struct hub *hub = batch->room->hub;
    struct hub_roll_up *all = &hub->roll_up;
    struct store_presence_put put = {
        .room = batch->room->key, .users = all->users, .count = all->count, .now_ms = hub->now_ms};
    if (batch->kind != ROLL_LEFT) put.node = str_of(hub->config.node);
    int err = store_presence_put(hub->store, &put, on_put, batch);
    if (err != OK) {
        hub_roll_up_heard(hub, ERR_STORE_UNAVAILABLE);
        return err;
    }
    batch->count = put.count;
    batch->room->ops++;
    all->at_store_count++;
    if (batch->kind == ROLL_BEAT) all->beats_at_store++;
    list_remove(&batch->node);
    list_push(&all->at_store, &batch->node);
    return OK;
}

/* --- names on their way ---------------------------------------------------------------------- */

static void finish(struct roll_batch *batch)
{
    struct hub_room *room = batch->room;
    if (batch->kind < ROLL_GATHERED) {
        room->hub->roll_up.held_bytes -= batch->bytes;
        room->roll_up->queued--;
        gauge_add(&room->hub->metrics.roll_up_waiting, -1);
    }
    roll_batch_free(batch);
    roll_arm(room);
}

void roll_put_off(struct roll_batch *batch)
{
    struct hub *hub = batch->room->hub;
    hub->roll_up.retry_ms = hub->now_ms + HUB_ROLL_RETRY_MS;
    counter_add(&hub->metrics.roll_up_failed_total, 1);
    if (batch->kind < ROLL_GATHERED) {
        list_remove(&batch->node);
        list_insert(hub->roll_up.waiting.next, &batch->node);
    } else {
        roll_walk_back(batch);
        finish(batch);
    }
}

void hub_roll_up_heard(struct hub *hub, int err)
{
    struct hub_roll_up *all = &hub->roll_up;
    bool is_away = err == ERR_STORE_UNAVAILABLE;
    if (is_away && !all->is_failing) all->failing_since_ms = hub->now_ms;
    if (is_away) all->failed_ms = hub->now_ms;
    if (!is_away && all->is_failing && all->failed_ms - all->failing_since_ms >= HUB_OUTAGE_MS)
        all->outages++;
    all->is_failing = is_away;
}

static void on_put(void *arg, int err)
{
    struct roll_batch *batch = arg;
    struct hub_room *room = batch->room;
    struct hub_roll_up *all = &room->hub->roll_up;
    room->ops--;
    all->at_store_count--;
    if (batch->kind == ROLL_BEAT) all->beats_at_store--;
    hub_roll_up_heard(room->hub, err);
    if (err == ERR_STORE_UNAVAILABLE) {
        roll_put_off(batch);
        return;
    }
    bool is_news = batch->kind < ROLL_GATHERED || batch->is_again;
    counter_add(err == OK ? &room->hub->metrics.roll_up_total
                          : &room->hub->metrics.roll_up_dropped_total,
                batch->count);
    finish(batch);
    if (is_news) hub_head_count_changed(room);
}

bool roll_may_give(const struct hub_roll_up *all, int64_t now_ms)
{
    return all->at_store_count < HUB_ROLL_AT_ONCE && now_ms >= all->retry_ms;
}

static void give(struct roll_batch *batch)
{
    struct hub_roll_up *all = &batch->room->hub->roll_up;
    all->count = 0;
    say_names(batch);
    if (all->count == 0)
        finish(batch); /* all who left are here again */
    else if (roll_put(batch) != OK)
        roll_put_off(batch);
}

int64_t hub_roll_up_tick(struct hub *hub)
{
    struct hub_roll_up *all = &hub->roll_up;
    int batches = 0;
    while (!list_is_empty(&all->waiting) && roll_may_give(all, hub->now_ms)) {
        if (batches++ == ROLL_PAGES_A_TURN) return hub->now_ms;
        give(CONTAINER_OF(all->waiting.next, struct roll_batch, node));
    }
    /* Where too much is at the store, its answer brings the next turn. */
    if (list_is_empty(&all->waiting) || all->at_store_count >= HUB_ROLL_AT_ONCE) return INT64_MAX;
    return all->retry_ms;
}

/* --- the end --------------------------------------------------------------------------------- */

static void say_gone(void *arg, const struct presence_user *user)
{
    roll_say(arg, user, true);
}

/* Returns how many users were said. */
static size_t stop_room(struct hub_room *room, size_t max)
{
    struct hub *hub = room->hub;
    char after[LIMIT_USER_ID + 1] = "";
    size_t count = 0;
    for (bool more = room->users.count > 0; more && count < max; count += hub->roll_up.count) {
        struct presence_query query = {.after = str_of(after),
                                       .limit = STORE_PRESENCE_MAX,
                                       .scan = STORE_PRESENCE_MAX,
                                       .now_ms = hub->now_ms};
        struct roll_batch *batch = roll_batch_new(room, ROLL_STOP);
        struct str last = STR_NONE;
        hub->roll_up.count = 0;
        more = presence_page(&room->users, &query, say_gone, hub, &last);
        str_copy(last, after, sizeof after);
        if (roll_put(batch) == OK) continue;
        roll_batch_free(batch);
        break;
    }
    return count;
}

/* Names that wait go with it: those of who went. */
void hub_roll_up_flush(struct hub *hub)
{
    size_t left = HUB_ROLL_FLUSH_MAX;
    if (!hub_is_shared(hub)) return;
    MAP_FOREACH (slot, &hub->rooms) {
        struct hub_room *room = slot->value;
        if (room->roll_up != NULL) enqueue_all(room);
    }
    LIST_FOREACH_SAFE (node, &hub->roll_up.waiting) {
        struct roll_batch *batch = CONTAINER_OF(node, struct roll_batch, node);
        hub->roll_up.count = 0;
        say_names(batch);
        if (hub->roll_up.count > 0 && roll_put(batch) != OK) return;
    }
    MAP_FOREACH (slot, &hub->rooms) {
        size_t said = stop_room(slot->value, left);
        left -= said < left ? said : left;
    }
}

static void forget_batches(struct list *list, const struct hub_room *room)
{
    LIST_FOREACH_SAFE (node, list) {
        struct roll_batch *batch = CONTAINER_OF(node, struct roll_batch, node);
        if (batch->room != room) continue;
        if (batch->kind < ROLL_GATHERED) {
            room->hub->roll_up.held_bytes -= batch->bytes;
            gauge_add(&room->hub->metrics.roll_up_waiting, -1);
        }
        roll_batch_free(batch);
    }
}

/* At the store there is something of it only when that is closed. */
void hub_roll_up_forget_room(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r == NULL) return;
    if (r->queued > 0) forget_batches(&room->hub->roll_up.waiting, room);
    if (!list_is_empty(&room->hub->roll_up.at_store))
        forget_batches(&room->hub->roll_up.at_store, room);
    for (int kind = 0; kind < ROLL_GATHERED; kind++) roll_batch_free(r->gathering[kind]);
    wheel_cancel(&room->hub->wheel, &r->timer.timer);
    free(r);
    room->roll_up = NULL;
}

void hub_roll_up_init(struct hub_roll_up *roll_up)
{
    *roll_up = (struct hub_roll_up){0};
    list_init(&roll_up->waiting);
    list_init(&roll_up->at_store);
}

void hub_roll_up_deinit(struct hub *hub)
{
    ASSERT(list_is_empty(&hub->roll_up.waiting) && list_is_empty(&hub->roll_up.at_store));
    free(hub->roll_up.users);
}
