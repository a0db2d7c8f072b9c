/* Answers: chosen from the room's copy, encoded once for all who hold the same cursor, and given. Each function that takes a
 * waiter ends it, by exactly one of ops.deliver and ops.refuse. */
#include "core/worker_internal.h"

#include "base/error.h"

#define SHARE_MS 50 /* a shared answer's time and online count are at most this old */

void worker_refuse(struct waiter *waiter, int err, int64_t retry_after_ms)
{
    struct worker *w = waiter->room->worker;
    uint64_t exchange = waiter->exchange;
    uint8_t variant = waiter->variant;
    counter_add(&w->metrics.polls_refused_total, 1);
    worker_waiter_free(waiter);
    w->config.ops->refuse(w->config.arg, exchange, err, retry_after_ms, variant);
}

struct cursor worker_cursor(const struct waiter *waiter)
{
    return (struct cursor){.high = waiter->place.high,
                           .normal = waiter->place.normal,
                           .normal_ordinal = waiter->place.normal_ordinal,
                           .room = waiter->room->tag};
}

static void deliver(struct waiter *waiter, const struct shared_answer *answer)
{
    struct worker *w = waiter->room->worker;
    uint64_t exchange = waiter->exchange;
    uint8_t variant = waiter->variant;
    counter_add(&w->metrics.answers_total, 1);
    counter_add(&w->metrics.deliveries_total, answer->messages);
    counter_add(&w->metrics.skipped_total, answer->skipped);
    counter_add(&w->metrics.gaps_total, answer->gap ? 1 : 0);
    worker_count_answer(waiter, answer->high);
    worker_waiter_free(waiter);
    w->config.ops->deliver(w->config.arg, exchange, answer->wire, variant);
}

/* The hub's count lags by a moment: nobody shall see a number that leaves them out. Those who wait
 * for a place in a room that is limited are not in yet. */
static uint64_t online_of(const struct worker_room *room)
{
    uint64_t here = worker_here_count(room), max_online = room->record.settings.max_online;
    if (max_online > 0 && here > max_online) here = max_online;
    return room->online > here ? room->online : here;
}

static struct blob *render(struct waiter *waiter, const struct selection *s, uint32_t poll_after_ms)
{
    struct worker_room *room = waiter->room;
    struct worker *w = room->worker;
    struct answer answer = {.frames = s->frames,
                            .count = s->count,
                            .skipped = s->skipped,
                            .gap = s->gap,
                            .cursor = s->next,
                            .poll_after_ms = poll_after_ms};
    answer.online = online_of(room);
    answer.cursor.at_ms = w->now_ms;
    if (waiter->tell_user) answer.user = str_make(waiter->attendee->user, waiter->attendee->len);
    counter_add(&w->metrics.answers_encoded_total, 1);
    return w->config.ops->render(w->config.arg, &answer, waiter->variant);
}

static struct shared_answer describe(const struct waiter *waiter, const struct selection *s,
                                     struct blob *wire)
{
    return (struct shared_answer){.place = waiter->place,
                                  .high = s->next.high,
                                  .limit = waiter->limit,
                                  .variant = waiter->variant,
                                  .messages = s->count,
                                  .skipped = s->skipped,
                                  .gap = s->gap,
                                  .encoded_ms = waiter->room->worker->now_ms,
                                  .wire = wire};
}

/* Answers one waiter with an encoding of its own. */
void worker_answer_alone(struct waiter *waiter, const struct selection *s, uint32_t poll_after_ms)
{
    struct blob *wire = render(waiter, s, poll_after_ms);
    struct shared_answer answer = describe(waiter, s, wire);
    deliver(waiter, &answer);
    blob_unref(wire);
}

/* As answer_alone, and keeps the encoding for all who hold the same cursor. */
void worker_answer_shared(struct waiter *waiter, const struct selection *s)
{
    struct worker_room *room = waiter->room;
    struct shared_answer *slot = &room->shared[room->shared_next++ % WORKER_SHARED_ANSWERS];
    blob_unref(slot->wire);
    *slot = describe(waiter, s, render(waiter, s, 0));
    deliver(waiter, slot);
}

void worker_forget_shared(struct worker_room *room)
{
    for (int i = 0; i < WORKER_SHARED_ANSWERS; i++) {
        blob_unref(room->shared[i].wire);
        room->shared[i].wire = NULL;
    }
}

static bool is_same_place(const struct place *a, const struct place *b)
{
    return a->high == b->high && a->normal == b->normal && a->normal_ordinal == b->normal_ordinal;
}

static const struct shared_answer *find_shared(const struct waiter *waiter)
{
    const struct worker_room *room = waiter->room;
    for (int i = 0; i < WORKER_SHARED_ANSWERS; i++) {
        const struct shared_answer *a = &room->shared[i];
        if (a->wire != NULL && is_same_place(&a->place, &waiter->place) &&
            a->limit == waiter->limit && a->variant == waiter->variant &&
            room->worker->now_ms - a->encoded_ms <= SHARE_MS)
            return a;
    }
    return NULL;
}

/* The same place, a new time. */
static void select_none(struct waiter *waiter, struct selection *ret)
{
    ret->count = 0;
    ret->skipped = 0;
    ret->gap = false;
    ret->next = worker_cursor(waiter);
}

void worker_answer_empty(struct waiter *waiter, uint32_t poll_after_ms)
{
    struct worker *w = waiter->room->worker;
    if (waiter->is_join) { /* it has no place yet that it could be told */
        worker_refuse(waiter, w->is_draining ? ERR_DRAINING : ERR_OVERLOADED, WORKER_RETRY_MS);
        return;
    }
    select_none(waiter, &w->selection);
    worker_answer_alone(waiter, &w->selection, poll_after_ms);
}

bool worker_answer_again(struct waiter *waiter, bool has_news)
{
    const struct shared_answer *shared = find_shared(waiter);
    if (shared == NULL || (shared->messages > 0) != has_news) return false;
    deliver(waiter, shared);
    return true;
}

/* Nothing came in time. Within one copy of the room all who hold this cursor are told the same. */
void worker_answer_time_out(struct waiter *waiter)
{
    struct worker *w = waiter->room->worker;
    counter_add(&w->metrics.polls_timed_out_total, 1);
    if (worker_answer_again(waiter, false)) return;
    select_none(waiter, &w->selection);
    worker_answer_shared(waiter, &w->selection);
}

void worker_answer_join(struct waiter *waiter)
{
    struct worker_room *room = waiter->room;
    struct selection *s = &room->worker->selection;
    select_join(room->feeds, waiter->limit, room->tag, s);
    worker_answer_alone(waiter, s, 0);
}
