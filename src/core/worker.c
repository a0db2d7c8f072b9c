#include "core/worker_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#define FIRST_CAPACITY   50000 /* answers a second, until it has been measured */
#define MAX_CAPACITY     10000000
#define CAPACITY_SAMPLE  100 /* fewer answers in a step say nothing */
#define ALLOWANCE_MS     5   /* how often a spread fan-out goes on */
#define SHED_SENDS_STEPS 8   /* of PACE_STEP_MS */

static struct str room_key(const void *value)
{
    const struct worker_room *it = value;
    return it->key;
}

struct worker *worker_new(const struct worker_config *config, int64_t now_ms)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->config = *config;
    w->now_ms = now_ms;
    map_init(&w->rooms, config->hash_key, room_key);
    slots_init(&w->room_handles);
    slots_init(&w->waiters);
    wheel_init(&w->waiter_wheel, now_ms);
    wheel_init(&w->attendee_wheel, now_ms);
    wheel_init(&w->room_wheel, now_ms);
    w->capacity = FIRST_CAPACITY;
    rng_init(&w->rng, config->seed);
    list_init(&w->serving);
    list_init(&w->changed);
    return w;
}

static struct worker_room *any_room(const struct worker *w)
{
    MAP_FOREACH (slot, &w->rooms) return slot->value;
    return NULL;
}

void worker_free(struct worker *w)
{
    if (w == NULL) return;
    for (struct note note; queue_pop(w->config.notes, &note);) {
        if (note.kind == NOTE_CALL) call_free(note.call);
        note_drop(&note);
    }
    for (struct worker_room *room; (room = any_room(w)) != NULL;) {
        worker_refuse_all(room, ERR_DRAINING, 0);
        worker_room_free(room);
    }
    map_deinit(&w->rooms);
    slots_deinit(&w->room_handles);
    slots_deinit(&w->waiters);
    free(w);
}

int worker_call(struct worker *w, struct call *call)
{
    call->worker = w->config.index;
    if (w->calls_out >= LIMIT_CALLS_PER_WORKER) {
        counter_add(&w->metrics.calls_refused_total, 1);
        return ERR_OVERLOADED;
    }
    bool pushed = queue_push(w->config.calls, &call);
    ASSERT(pushed); /* the queue holds as many as may be out */
    w->calls_out++;
    w->wake_hub = true;
    counter_add(&w->metrics.calls_total, 1);
    return OK;
}

int worker_send_own(struct worker *w, struct call *call)
{
    int err = worker_call(w, call);
    if (err != OK) call_free(call);
    return err;
}

static void take_call_home(struct worker *w, struct call *call)
{
    w->calls_out--;
    switch (call->kind) {
    case CALL_SUBSCRIBE: worker_room_subscribed(w, call); break;
    case CALL_COLD: worker_cold_read(w, call); break;
    case CALL_PRESENCE: worker_presence_told(w, call); break;
    case CALL_UNSUBSCRIBE: break;
    case CALL_LEAVE:
    case CALL_APPEND:
    case CALL_HISTORY:
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
    case CALL_ROOM_SECT: w->config.ops->on_call(w->config.arg, call); return;
    }
    call_free(call);
}

void worker_take_notes(struct worker *w, int64_t now_ms)
{
    w->now_ms = now_ms;
    for (struct note note; queue_pop(w->config.notes, &note);) {
        if (note.kind == NOTE_CALL)
            take_call_home(w, note.call);
        else
            worker_room_note(w, &note);
    }
}

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t worker_tick(struct worker *w, int64_t now_ms)
{
    w->now_ms = now_ms;
    wheel_advance(&w->waiter_wheel, now_ms, worker_waiter_fire, w);
    wheel_advance(&w->attendee_wheel, now_ms, worker_linger_fire, w);
    wheel_advance(&w->room_wheel, now_ms, worker_room_idle_fire, w);
    worker_tell_presence(w);
    int64_t next_ms = earliest(wheel_next_ms(&w->waiter_wheel), wheel_next_ms(&w->attendee_wheel));
    next_ms = earliest(next_ms, wheel_next_ms(&w->room_wheel));
    /* What is left to serve waits for its allowance. */
    return list_is_empty(&w->serving) ? next_ms : earliest(next_ms, now_ms + ALLOWANCE_MS);
}

/* Capacity is what the answers of the last step cost, of which a part is left to everything else. Few answers say something
 * when it was the allowance that made them few, or a capacity that was measured too low would stay. */
static void measure_capacity(struct worker *w, uint64_t busy_us)
{
    uint64_t answers = counter_get(&w->metrics.answers_total) - w->answers_before;
    w->answers_before += answers;
    bool is_sample = answers >= CAPACITY_SAMPLE || w->is_spreading;
    w->is_spreading = false;
    if (!is_sample) return;
    uint64_t measured = answers * 1000000 / (busy_us + 1) * PACE_BUSY_PERMILLE / 1000;
    if (measured < CAPACITY_SAMPLE) measured = CAPACITY_SAMPLE;
    if (measured > MAX_CAPACITY) measured = MAX_CAPACITY;
    w->capacity = (uint32_t)((3 * (uint64_t)w->capacity + measured) / 4);
}

void worker_set_busy(struct worker *w, uint64_t busy_us, int64_t now_ms)
{
    uint64_t before_us = w->load.last_busy_us;
    if (!w->config.pace.is_on || !pace_load_step(&w->load, busy_us, now_ms)) return;
    measure_capacity(w, busy_us > before_us ? busy_us - before_us : 0);
    w->over_steps = pace_load_is_over(&w->load) ? w->over_steps + 1 : 0;
    counter_set(&w->metrics.pace_load_ms, w->load.interval_ms);
    counter_set(&w->metrics.busy_permille, w->load.share_permille);
    counter_set(&w->metrics.answer_capacity, w->capacity);
}

bool worker_sheds_sends(const struct worker *w)
{
    return w->over_steps >= SHED_SENDS_STEPS;
}

bool worker_has_told(const struct worker *w)
{
    return list_is_empty(&w->changed) && w->calls_out == 0;
}

bool worker_is_draining(const struct worker *w)
{
    return w->is_draining;
}

bool worker_take_wake(struct worker *w)
{
    bool wake = w->wake_hub;
    w->wake_hub = false;
    return wake;
}

const struct worker_metrics *worker_metrics(const struct worker *w)
{
    return &w->metrics;
}
