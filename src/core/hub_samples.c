/* A room's history: a sample for each minute in which somebody was here, or something was said.
 *
 * The sample under way is brought up to date when something changes, so it costs nothing in
 * between: the time online is the sum of how many were here times how long that lasted. Messages
 * are counted by the ordinals of the lists' tails. A minute's end is where it is, however late the
 * timer: what comes after it goes into the next. A crash loses the minute under way.
 *
 * Over nodes that share a store each tells the whole room's: how many were here is hub_audience(), the
 * lists are the same for all. Joins are those at this node; the store adds them up. */
#include "core/hub_counting.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/hub_internal.h"

struct room_samples {
    struct sample sample; /* under way, if it is open */
    bool is_open;
    int64_t changed_ms;          /* summed up to here */
    uint64_t online;             /* since then */
    uint64_t before[LIST_KINDS]; /* ordinals of the tails when it began */
    int64_t spread_ms;
    struct hub_timer timer;
};

/* On its way to the store. */
struct queued_sample {
    struct list node;
    struct hub *hub;
    struct sample sample;
    char room[LIMIT_ROOM_KEY + 1];
};

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- the sample under way -------------------------------------------------------------------- */

static void open_at(struct hub_room *room, int64_t at_ms)
{
    struct room_samples *s = room->samples;
    s->is_open = true;
    s->sample = (struct sample){.at_ms = at_ms, .online_peak = s->online};
    s->changed_ms = at_ms;
    for (int list = 0; list < LIST_KINDS; list++) s->before[list] = room->feeds[list].tail_ordinal;
}

static int64_t end_of(const struct room_samples *s)
{
    return sample_step(s->sample.at_ms, SAMPLE_MS) + SAMPLE_MS;
}

static void sum_up(struct room_samples *s, int64_t to_ms)
{
    if (to_ms <= s->changed_ms) return;
    s->sample.online_ms += s->online * (uint64_t)(to_ms - s->changed_ms);
    s->changed_ms = to_ms;
}

static void enqueue(struct hub_room *room);

/* A tail that stepped back is that of a store which lost its newest part: it says nothing. */
static uint64_t messages_since(const struct hub_room *room, int list)
{
    uint64_t now = room->feeds[list].tail_ordinal, before = room->samples->before[list];
    return now > before ? now - before : 0;
}

static void close_at(struct hub_room *room, int64_t at_ms)
{
    struct room_samples *s = room->samples;
    sum_up(s, at_ms);
    s->sample.span_ms = at_ms > s->sample.at_ms ? at_ms - s->sample.at_ms : 1;
    for (int list = 0; list < LIST_KINDS; list++)
        s->sample.messages[list] = messages_since(room, list);
    s->sample.unique = larger(room->unique, s->sample.online_peak);
    s->is_open = false;
    if (!sample_is_empty(&s->sample)) enqueue(room);
}

/* Over the ends of minutes, if there were any, up to now. */
static void advance(struct hub_room *room)
{
    struct room_samples *s = room->samples;
    int64_t now_ms = room->hub->now_ms;
    while (s->is_open && now_ms >= end_of(s)) {
        int64_t end_ms = end_of(s);
        close_at(room, end_ms);
        if (s->online > 0) open_at(room, end_ms);
    }
    if (s->is_open) sum_up(s, now_ms);
}

static void arm(struct hub_room *room)
{
    struct room_samples *s = room->samples;
    if (s->is_open && !timer_is_armed(&s->timer.timer))
        wheel_arm(&room->hub->wheel, &s->timer.timer, end_of(s) + s->spread_ms);
}

static void fire(struct hub_room *room)
{
    advance(room);
    arm(room);
}

static struct room_samples *samples_of(struct hub_room *room)
{
    struct room_samples *s = room->samples;
    if (s != NULL) return s;
    s = room->samples = xcalloc(1, sizeof *s);
    s->spread_ms = (int64_t)rng_below(&room->hub->rng, HUB_SPREAD_MS);
    s->online = room->online_told; /* at other nodes, if the store is shared */
    hub_timer_init(&s->timer, room, fire);
    return s;
}

void hub_samples_begin(struct hub_room *room)
{
    struct room_samples *s = samples_of(room);
    advance(room);
    if (!s->is_open) open_at(room, room->hub->now_ms);
    arm(room);
}

void hub_samples_joined(struct hub_room *room)
{
    hub_samples_begin(room);
    room->samples->sample.joins++;
}

void hub_samples_online(struct hub_room *room)
{
    uint64_t online = hub_audience(room);
    if (room->samples == NULL || room->samples->online == online) return;
    hub_samples_begin(room);
    room->samples->online = online;
    room->samples->sample.online_peak = larger(room->samples->sample.online_peak, online);
}

void hub_samples_finish(struct hub_room *room)
{
    struct room_samples *s = room->samples;
    if (s == NULL) return;
    advance(room);
    if (s->is_open) close_at(room, room->hub->now_ms);
}

void hub_samples_forget_room(struct hub_room *room)
{
    if (room->samples == NULL) return;
    hub_samples_finish(room);
    wheel_cancel(&room->hub->wheel, &room->samples->timer.timer);
    free(room->samples);
    room->samples = NULL;
}

/* --- the queue ------------------------------------------------------------------------------- */

static void enqueue(struct hub_room *room)
{
    struct hub *hub = room->hub;
    struct hub_queue *queue = &hub->samples_queue;
    if (queue->held >= LIMIT_SAMPLES_WAITING) {
        counter_add(&hub->metrics.samples_dropped_total, 1);
        return;
    }
    struct queued_sample *queued = xcalloc(1, sizeof *queued);
    queued->hub = hub;
    queued->sample = room->samples->sample;
    str_copy(room->key, queued->room, sizeof queued->room);
    list_init(&queued->node);
    list_push(&queue->waiting, &queued->node);
    queue->held++;
    gauge_add(&hub->metrics.samples_waiting, 1);
}

static void queued_free(struct queued_sample *queued)
{
    list_remove(&queued->node);
    queued->hub->samples_queue.held--;
    gauge_add(&queued->hub->metrics.samples_waiting, -1);
    free(queued);
}

static void put_off(struct queued_sample *queued)
{
    struct hub_queue *queue = &queued->hub->samples_queue;
    list_remove(&queued->node);
    list_insert(queue->waiting.next, &queued->node);
    queue->retry_ms = queued->hub->now_ms + HUB_COUNTING_RETRY_MS;
    counter_add(&queued->hub->metrics.samples_failed_total, 1);
}

static void on_put(void *arg, int err)
{
    struct queued_sample *queued = arg;
    struct hub_metrics *metrics = &queued->hub->metrics;
    queued->hub->samples_queue.at_store_count--;
    bool is_lost = err == ERR_ROOM_NOT_FOUND && hub_revive_named(queued->hub, queued->room);
    if (err == ERR_STORE_UNAVAILABLE || is_lost) {
        put_off(queued);
        return;
    }
    counter_add(err == OK ? &metrics->samples_total : &metrics->samples_dropped_total, 1);
    queued_free(queued);
}

static bool give(struct queued_sample *queued)
{
    struct hub_queue *queue = &queued->hub->samples_queue;
    struct store_sample_put put = {str_of(queued->room), str_of(queued->hub->config.node),
                                   queued->sample};
    if (store_sample_put(queued->hub->store, &put, on_put, queued) != OK) return false;
    queue->at_store_count++;
    list_remove(&queued->node);
    list_push(&queue->at_store, &queued->node);
    return true;
}

bool hub_samples_may_give(const struct hub *hub)
{
    return hub->samples_queue.at_store_count < HUB_SAMPLES_AT_ONCE;
}

void hub_samples_pump(struct hub *hub)
{
    struct hub_queue *queue = &hub->samples_queue;
    while (!list_is_empty(&queue->waiting) && hub_samples_may_give(hub) &&
           hub->now_ms >= queue->retry_ms) {
        struct queued_sample *queued =
            CONTAINER_OF(queue->waiting.next, struct queued_sample, node);
        if (!give(queued)) put_off(queued);
    }
}

void hub_samples_give_all(struct hub *hub)
{
    LIST_FOREACH_SAFE (node, &hub->samples_queue.waiting)
        give(CONTAINER_OF(node, struct queued_sample, node));
}

static void free_all(struct list *list)
{
    LIST_FOREACH_SAFE (node, list) queued_free(CONTAINER_OF(node, struct queued_sample, node));
}

void hub_samples_deinit(struct hub *hub)
{
    free_all(&hub->samples_queue.waiting);
    free_all(&hub->samples_queue.at_store);
}
