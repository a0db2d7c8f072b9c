#include "core/hub_counting.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "core/hub_internal.h"

void hub_queue_init(struct hub_queue *queue)
{
    list_init(&queue->waiting);
    list_init(&queue->at_store);
}

void hub_counting_came(struct hub_room *room, struct str user)
{
    if (!room->hub->config.counting) return;
    hub_viewers_came(room, user);
    hub_samples_joined(room);
}

void hub_counting_left(struct hub_room *room, struct str user)
{
    if (room->hub->config.counting) hub_viewers_left(room, user);
}

void hub_counting_online(struct hub_room *room)
{
    if (room->hub->config.counting) hub_samples_online(room);
}

void hub_counting_messages(struct hub_room *room)
{
    if (room->hub->config.counting) hub_samples_begin(room);
}

/* Where too much is at the store, its answer brings the next turn. */
static int64_t next_of(const struct hub *hub, const struct hub_queue *queue, bool may_give)
{
    if (list_is_empty(&queue->waiting) || !may_give) return INT64_MAX;
    return queue->retry_ms > hub->now_ms ? queue->retry_ms : hub->now_ms;
}

int64_t hub_counting_tick(struct hub *hub)
{
    hub_viewers_pump(hub);
    hub_samples_pump(hub);
    int64_t viewers_ms = next_of(hub, &hub->viewers_queue, hub_viewers_may_give(hub));
    int64_t samples_ms = next_of(hub, &hub->samples_queue, hub_samples_may_give(hub));
    return viewers_ms < samples_ms ? viewers_ms : samples_ms;
}

void hub_counting_flush(struct hub *hub)
{
    MAP_FOREACH (slot, &hub->rooms) {
        hub_viewers_finish(slot->value);
        hub_samples_finish(slot->value);
    }
    hub_viewers_give_all(hub);
    hub_samples_give_all(hub);
}

void hub_counting_again(struct hub_room *room)
{
    if (room->hub->config.counting) hub_viewers_again(room);
}

void hub_counting_forget_room(struct hub_room *room)
{
    hub_viewers_forget_room(room);
    hub_samples_forget_room(room);
}

/* --- reads ----------------------------------------------------------------------------------- */

static void on_count(void *arg, int err, const struct viewers_count *count)
{
    struct call *call = arg;
    if (err == OK) call->viewers = *count;
    hub_return(call->holder, call, err);
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct call *call = arg;
    call->more = more;
    call->sample_count = (uint32_t)count;
    if (count > 0) {
        call->samples = xmalloc(count * sizeof *samples);
        memcpy(call->samples, samples, count * sizeof *samples);
    }
    hub_return(call->holder, call, err);
}

static int start(struct hub *hub, struct call *call)
{
    struct str room = str_of(call->room);
    if (!hub->config.counting) return ERR_COUNTING_OFF;
    if (call->kind == CALL_VIEWERS) {
        struct store_viewers_count count = {room, call->from_ms, call->to_ms};
        counter_add(&hub->metrics.viewers_reads_total, 1);
        return store_viewers_count(hub->store, &count, on_count, call);
    }
    struct store_sample_range range = {room, call->from_ms, call->to_ms, call->step_ms,
                                       call->limit};
    counter_add(&hub->metrics.samples_reads_total, 1);
    return store_sample_range(hub->store, &range, on_samples, call);
}

void hub_counting_read(struct hub *hub, struct call *call)
{
    call->holder = hub;
    int err = start(hub, call);
    if (err != OK) hub_return(hub, call, err);
}
