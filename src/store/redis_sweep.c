/* What is old goes: of each room that this node has to do with, one call a minute. Rooms that nobody has
 * to do with are left to Redis, which lets their lists, keys and history expire. Several nodes may sweep
 * one room: the second finds nothing.
 *
 * A room that has been idle for as long as REDIS_IDLE_MS is forgotten, after its last sweep. */
#include <stdlib.h>

#include "store/redis_store.h"

#define SWEEP_MS     (INT64_C(60) * 1000)
#define IDLE_MS      (INT64_C(10) * 60 * 1000)
#define SWEEPING_MAX 32 /* rooms at once */

void redis_touch(struct redis_store *s, struct redis_room *room)
{
    room->touched_ms = s->front.now_ms;
    if (list_is_linked(&room->sweep) || room->is_sweeping) return;
    room->sweep_ms = s->front.now_ms + SWEEP_MS;
    list_push(&s->sweeps, &room->sweep);
}

static bool is_idle(const struct redis_store *s, const struct redis_room *room)
{
    for (int i = 0; i < LIST_KINDS; i++)
        if (!list_is_empty(&room->queues[i].jobs) || room->queues[i].is_flying) return false;
    return !room->is_watched && list_is_empty(&room->flights) && room->users == 0 &&
           s->front.now_ms - room->touched_ms > IDLE_MS;
}

/* Swept; again at once where there is more to remove, else in a minute, or never. */
static void sweep_end(struct redis_store *s, struct redis_room *room, bool more)
{
    s->sweeping--;
    room->is_sweeping = false;
    if (!more && is_idle(s, room)) {
        redis_room_forget(s, room);
        return;
    }
    room->sweep_ms = s->front.now_ms + (more ? 0 : SWEEP_MS);
    if (more)
        list_insert(s->sweeps.next, &room->sweep);
    else
        list_push(&s->sweeps, &room->sweep);
    if (more && s->front.env.wake != NULL && !s->is_closing)
        s->front.env.wake(s->front.env.wake_arg);
}

static void on_swept(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct redis_room *room = arg;
    int64_t thin_ms = s->history.thin_age_ms;

    counter_add(&s->front.stats.trimmed, redis_u64(redis_at(reply, 0)));
    counter_add(&s->front.stats.expired, redis_u64(redis_at(reply, 1)));
    if (redis_u64(redis_at(reply, 2)) == 1 || thin_ms <= 0) {
        sweep_end(s, room, thin_ms <= 0 ? redis_u64(redis_at(reply, 2)) == 1 : true);
        return;
    }
    redis_samples_thin(s, room, sample_step(s->front.now_ms - thin_ms, SAMPLE_THIN_MS), sweep_end);
}

static void on_lost(struct redis_store *s, void *arg)
{
    sweep_end(s, arg, false);
}

static void sweep_room(struct redis_store *s, struct redis_room *room)
{
    struct redis_words *w = &s->words;
    int64_t age_ms = s->history.max_age_ms;

    list_remove(&room->sweep);
    room->is_sweeping = true;
    s->sweeping++;
    words_begin(w);
    words_call(w, "sweep", redis_room_key(s, room->key, ""));
    words_i64(w, s->front.now_ms);
    for (int i = 0; i < LIST_KINDS; i++) {
        words_u64(w, s->retention[i].max_count);
        words_i64(w, s->retention[i].max_age_ms);
    }
    words_i64(w, age_ms > 0 && s->front.now_ms > age_ms ? s->front.now_ms - age_ms : 0);
    redis_ask(s, &(struct redis_question){.then = on_swept, .otherwise = on_lost, .arg = room});
}

static struct redis_room *next_room(const struct redis_store *s)
{
    return list_is_empty(&s->sweeps) ? NULL
                                     : CONTAINER_OF(s->sweeps.next, struct redis_room, sweep);
}

/* The order of time is that of the list but for a clock that steps back, which delays. A clock that
 * stepped back by more than a sweep takes is no reason to wait for it. */
static bool is_due(const struct redis_store *s, const struct redis_room *room, int64_t now_ms)
{
    (void)s;
    return room->sweep_ms <= now_ms || room->sweep_ms > now_ms + SWEEP_MS;
}

void redis_sweep(struct redis_store *s, int64_t now_ms)
{
    struct redis_room *room;

    for (size_t i = 0; i < SWEEPING_MAX && s->sweeping < SWEEPING_MAX; i++) {
        room = next_room(s);
        if (room == NULL || !is_due(s, room, now_ms)) return;
        sweep_room(s, room);
    }
}

int64_t redis_sweep_next(const struct redis_store *s)
{
    const struct redis_room *room = next_room(s);

    return room != NULL && s->sweeping < SWEEPING_MAX ? room->sweep_ms : INT64_MAX;
}
