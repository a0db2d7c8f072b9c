/* Who was here: those who come gather in a batch per room and 5-minute bucket.
 *
 * A batch is itself a set with a sketch (core/viewers.h): whoever flickers is in it once, and what
 * has become too large to name goes to the store as a sketch. While a batch of a room is on its
 * way the next one gathers, so a store that is away makes batches larger and not more; but a batch
 * is of one bucket.
 *
 * Nodes that share a store each keep a sketch of the whole bucket, and from HUB_VIEWERS_NAMES_MAX
 * in it on give that instead of names.
 *
 * Who is still here when a bucket begins goes into it by a walk over the table, some in each turn
 * of the hub. Whoever leaves before the walk came to them was here as well. */
#include "core/hub_counting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/times.h"
#include "core/hub_internal.h"

struct room_viewers {
    struct viewers batch; /* who came, of this bucket, since the last flush */
    struct hll whole;     /* who came, of this bucket; of a store that is shared */
    int64_t bucket_ms;
    int64_t flushed_ms;
    int64_t due_ms;  /* when the batch may go; INT64_MAX: there is nobody in it */
    bool is_walking; /* over who is here; it has not been at everybody */
    uint32_t queued; /* batches of this room that are on their way */
    int64_t spread_ms;
    struct hub_timer timer;
    char walked[LIMIT_USER_ID + 1]; /* the last one whom it has been at */
};

/* On its way to the store. */
struct viewers_batch {
    struct list node;
    struct hub *hub;
    struct viewers viewers;
    int64_t bucket_ms;
    size_t bytes;
    struct str *users; /* of the set; NULL when it has become a sketch */
    size_t count;
    size_t taken, given; /* of them: by the store, to the store */
    size_t cost;         /* while it is at the store */
    char room[LIMIT_ROOM_KEY + 1];
};

/* --- gathering ------------------------------------------------------------------------------- */

static bool is_empty(const struct viewers *batch)
{
    return batch->is_exact && batch->users.count == 0;
}

static void arm(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    struct hub *hub = room->hub;
    int64_t next_ms = v->queued > 0 ? INT64_MAX : v->due_ms;
    int64_t end_ms = v->bucket_ms + VIEWERS_BUCKET_MS + v->spread_ms;
    if (room->users.count > 0 && end_ms < next_ms) next_ms = end_ms;
    if (v->is_walking) next_ms = hub->now_ms;
    if (next_ms == INT64_MAX)
        wheel_cancel(&hub->wheel, &v->timer.timer);
    else if (!timer_is_armed(&v->timer.timer) || v->timer.timer.due_ms != next_ms)
        wheel_arm(&hub->wheel, &v->timer.timer, next_ms);
}

static void gather(struct hub_room *room, struct str user)
{
    struct room_viewers *v = room->viewers;
    int64_t now_ms = room->hub->now_ms;
    viewers_add(&v->batch, user);
    if (hub_is_shared(room->hub)) hll_add(&v->whole, user);
    if (v->due_ms == INT64_MAX)
        v->due_ms = later(now_ms + HUB_VIEWERS_GATHER_MS, v->flushed_ms + HUB_VIEWERS_FLUSH_MS);
}

static void enqueue(struct hub_room *room);

/* The bucket of now; who is here goes over into it. */
static void roll(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    int64_t bucket_ms = viewers_bucket(room->hub->now_ms);
    if (v->bucket_ms == bucket_ms) return;
    enqueue(room);
    v->bucket_ms = bucket_ms;
    hll_deinit(&v->whole);
    v->is_walking = true;
    v->walked[0] = '\0';
}

void hub_viewers_again(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    if (v == NULL) return;
    roll(room);
    v->is_walking = true;
    v->walked[0] = '\0';
    arm(room);
}

static void gather_present(void *arg, const struct presence_user *present)
{
    gather(arg, present->user);
}

/* Whoever is here all the while is on one of its pages. */
static void walk(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    struct presence_query query = {.after = str_of(v->walked),
                                   .limit = HUB_SCAN,
                                   .scan = HUB_SCAN,
                                   .now_ms = room->hub->now_ms};
    struct str last;
    if (!v->is_walking) return;
    v->is_walking = presence_page(&room->users, &query, gather_present, room, &last);
    if (v->is_walking) str_copy(last, v->walked, sizeof v->walked);
}

static void fire(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    roll(room);
    walk(room);
    if (v->queued == 0 && v->due_ms <= room->hub->now_ms) enqueue(room);
    arm(room);
}

static struct room_viewers *viewers_of(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    if (v != NULL) return v;
    v = room->viewers = xcalloc(1, sizeof *v);
    viewers_init(&v->batch, room->hub->config.hash_key);
    v->bucket_ms = viewers_bucket(room->hub->now_ms);
    v->flushed_ms = INT64_MIN / 2;
    v->due_ms = INT64_MAX;
    v->spread_ms = (int64_t)rng_below(&room->hub->rng, HUB_SPREAD_MS);
    hub_timer_init(&v->timer, room, fire);
    return v;
}

void hub_viewers_came(struct hub_room *room, struct str user)
{
    viewers_of(room);
    roll(room);
    gather(room, user);
    arm(room);
}

void hub_viewers_left(struct hub_room *room, struct str user)
{
    if (room->viewers == NULL) return;
    roll(room);
    if (!room->viewers->is_walking) return;
    gather(room, user);
    arm(room);
}

/* --- the queue ------------------------------------------------------------------------------- */

static void batch_free(struct viewers_batch *batch)
{
    list_remove(&batch->node);
    batch->hub->viewers_queue.held -= batch->bytes;
    gauge_add(&batch->hub->metrics.viewers_waiting, -1);
    viewers_deinit(&batch->viewers);
    free(batch->users);
    free(batch);
}

/* Names borrowed from the set, which does not change any more. */
static void list_users(struct viewers_batch *batch)
{
    const struct user_set *set = &batch->viewers.users;
    uint32_t at = 0;
    if (!batch->viewers.is_exact) return;
    batch->users = xcalloc(set->count, sizeof *batch->users);
    while (user_set_next(set, &at, &batch->users[batch->count]))
        if (++batch->count == set->count) break;
}

static bool is_for_sketch(const struct room_viewers *v)
{
    return v->batch.is_exact && v->batch.users.count > HUB_SKETCH_COST &&
           hll_count(&v->whole) >= HUB_VIEWERS_NAMES_MAX;
}

static struct viewers_batch *batch_new(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    if (is_for_sketch(v)) viewers_merge_sketch(&v->batch, &v->whole);
    struct hub *hub = room->hub;
    struct viewers_batch *batch = xcalloc(1, sizeof *batch);
    batch->hub = hub;
    batch->viewers = v->batch;
    batch->bucket_ms = v->bucket_ms;
    str_copy(room->key, batch->room, sizeof batch->room);
    list_init(&batch->node);
    list_users(batch);
    batch->bytes =
        sizeof *batch + viewers_memory_bytes(&batch->viewers) + batch->count * sizeof *batch->users;
    hub->viewers_queue.held += batch->bytes;
    gauge_add(&hub->metrics.viewers_waiting, 1);
    return batch;
}

static void drop(struct viewers_batch *batch)
{
    uint64_t lost =
        batch->users != NULL ? batch->count - batch->taken : viewers_count(&batch->viewers).unique;
    counter_add(&batch->hub->metrics.viewers_dropped_total, lost);
    batch_free(batch);
}

/* What has gathered is complete. Those who are dropped here, because the store has been away for
 * too long, enter the next bucket if they stay. */
static void enqueue(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    struct hub_queue *queue = &room->hub->viewers_queue;
    if (is_empty(&v->batch)) return;
    struct viewers_batch *batch = batch_new(room);
    viewers_init(&v->batch, room->hub->config.hash_key);
    v->due_ms = INT64_MAX;
    v->flushed_ms = room->hub->now_ms;
    if (queue->held > LIMIT_VIEWERS_WAITING_BYTES) {
        drop(batch);
        return;
    }
    v->queued++;
    list_push(&queue->waiting, &batch->node);
}

/* The room may have been freed meanwhile, and be another one: then it counts none as queued. */
static void finish(struct viewers_batch *batch, void (*end)(struct viewers_batch *))
{
    struct hub_room *room = hub_room_get(batch->hub, str_of(batch->room));
    struct room_viewers *v = room == NULL ? NULL : room->viewers;
    end(batch);
    if (v == NULL || v->queued == 0) return;
    v->queued--;
    arm(room);
}

static void note_life(struct viewers_batch *batch, const struct viewers_count *life)
{
    struct hub_room *room = hub_room_get(batch->hub, str_of(batch->room));
    if (room != NULL) room->unique = life->unique;
}

/* It is said again: everything of it that was not taken. */
static void put_off(struct viewers_batch *batch)
{
    struct hub_queue *queue = &batch->hub->viewers_queue;
    batch->given = batch->taken;
    list_remove(&batch->node);
    list_insert(queue->waiting.next, &batch->node);
    queue->retry_ms = batch->hub->now_ms + HUB_COUNTING_RETRY_MS;
    counter_add(&batch->hub->metrics.viewers_failed_total, 1);
}

static void count_taken(struct viewers_batch *batch)
{
    struct hub_metrics *metrics = &batch->hub->metrics;
    if (batch->users != NULL)
        counter_add(&metrics->viewers_total, batch->given - batch->taken);
    else
        counter_add(&metrics->viewers_sketches_total, 1);
    batch->taken = batch->given;
}

static void on_taken(void *arg, int err, const struct viewers_count *life)
{
    struct viewers_batch *batch = arg;
    struct hub_queue *queue = &batch->hub->viewers_queue;
    queue->at_store_count--;
    queue->cost -= batch->cost;
    if (err == ERR_STORE_UNAVAILABLE) {
        put_off(batch);
    } else if (err == ERR_ROOM_NOT_FOUND && hub_revive_named(batch->hub, batch->room)) {
        put_off(batch);
    } else if (err != OK) {
        finish(batch, drop);
    } else {
        count_taken(batch);
        note_life(batch, life);
        if (batch->taken == batch->count) {
            finish(batch, batch_free);
        } else { /* the next part, after those of others */
            list_remove(&batch->node);
            list_push(&queue->waiting, &batch->node);
        }
    }
}

static int give_sketch(struct viewers_batch *batch)
{
    uint8_t bytes[HLL_DENSE_BYTES];
    hll_write(&batch->viewers.sketch, bytes);
    struct store_viewers_merge merge = {.room = str_of(batch->room),
                                        .bucket_ms = batch->bucket_ms,
                                        .sketch = str_make((const char *)bytes, sizeof bytes)};
    return store_viewers_merge(batch->hub->store, &merge, on_taken, batch);
}

static int give_users(struct viewers_batch *batch)
{
    size_t left = batch->count - batch->given;
    struct store_viewers_add add = {.room = str_of(batch->room),
                                    .bucket_ms = batch->bucket_ms,
                                    .users = batch->users + batch->given,
                                    .count = left < STORE_VIEWERS_MAX ? left : STORE_VIEWERS_MAX};
    int err = store_viewers_add(batch->hub->store, &add, on_taken, batch);
    if (err == OK) batch->given += add.count;
    return err;
}

static bool give(struct viewers_batch *batch)
{
    struct hub_queue *queue = &batch->hub->viewers_queue;
    if ((batch->users != NULL ? give_users(batch) : give_sketch(batch)) != OK) return false;
    batch->cost = batch->users != NULL ? batch->given - batch->taken : HUB_SKETCH_COST;
    queue->cost += batch->cost;
    queue->at_store_count++;
    list_remove(&batch->node);
    list_push(&queue->at_store, &batch->node);
    return true;
}

bool hub_viewers_may_give(const struct hub *hub)
{
    const struct hub_queue *queue = &hub->viewers_queue;
    return queue->at_store_count < HUB_VIEWERS_AT_ONCE && queue->cost < HUB_VIEWERS_COST;
}

void hub_viewers_pump(struct hub *hub)
{
    struct hub_queue *queue = &hub->viewers_queue;
    while (!list_is_empty(&queue->waiting) && hub_viewers_may_give(hub) &&
           hub->now_ms >= queue->retry_ms) {
        struct viewers_batch *batch = CONTAINER_OF(queue->waiting.next, struct viewers_batch, node);
        if (!give(batch)) put_off(batch);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

void hub_viewers_finish(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    if (v == NULL) return;
    roll(room);
    while (v->is_walking) walk(room);
    enqueue(room);
}

static void give_rest(struct viewers_batch *batch)
{
    while (batch->given < batch->count && give(batch)) {
    }
}

void hub_viewers_give_all(struct hub *hub)
{
    struct hub_queue *queue = &hub->viewers_queue;
    LIST_FOREACH_SAFE (node, &queue->at_store)
        give_rest(CONTAINER_OF(node, struct viewers_batch, node));
    LIST_FOREACH_SAFE (node, &queue->waiting) {
        struct viewers_batch *batch = CONTAINER_OF(node, struct viewers_batch, node);
        if (give(batch)) give_rest(batch);
    }
}

void hub_viewers_forget_room(struct hub_room *room)
{
    struct room_viewers *v = room->viewers;
    if (v == NULL) return;
    enqueue(room);
    wheel_cancel(&room->hub->wheel, &v->timer.timer);
    viewers_deinit(&v->batch);
    hll_deinit(&v->whole);
    free(v);
    room->viewers = NULL;
}

static void free_all(struct list *list)
{
    LIST_FOREACH_SAFE (node, list) batch_free(CONTAINER_OF(node, struct viewers_batch, node));
}

void hub_viewers_deinit(struct hub *hub)
{
    free_all(&hub->viewers_queue.waiting);
    free_all(&hub->viewers_queue.at_store);
}
