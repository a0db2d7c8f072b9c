/* Polls and how they wait. A poll becomes a waiter; each waiter ends in exactly one of ops.deliver and ops.refuse, or in
 * worker_cancel. */
#include "core/worker_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#define SERVE_TURN    64    /* waiters of one room, before the next room has its turn */
#define OVER_RETRY_MS 10000 /* the most that is told to those who are turned away by overload */

_Static_assert(sizeof(struct waiter) == 120, "docs/performance.md counts it");
_Static_assert(LIMIT_POLL_NORMAL <= UINT8_MAX, "a waiter's limit fits");

static void leave_state(struct waiter *waiter)
{
    if (waiter->state == WAITER_HELD) gauge_add(&waiter->room->worker->metrics.polls_held, -1);
    list_remove(&waiter->node);
}

void worker_waiter_free(struct waiter *waiter)
{
    struct worker_room *room = waiter->room;
    struct worker *w = room->worker;
    leave_state(waiter);
    wheel_cancel(&w->waiter_wheel, &waiter->timer);
    worker_unattend(waiter);
    slots_remove(&w->waiters, waiter->handle);
    gauge_add(&w->metrics.polls_parked, -1);
    room->waiter_count--;
    free(waiter);
    worker_room_rest(room);
}

/* Waiting ------------------------------------------------------------------------------------------------ */

static int64_t due_ms(const struct waiter *waiter)
{
    return waiter->came_ms + waiter->timeout_ms;
}

static void start_cold_read(struct waiter *waiter)
{
    struct worker_room *room = waiter->room;
    struct worker *w = room->worker;
    struct call *call = call_new(CALL_COLD, room->key);
    call->sub = room->handle;
    call->origin = waiter->handle;
    call->id = waiter->place.high;
    call_set_frames(call, LIMIT_POLL_HIGH);
    leave_state(waiter);
    /* The end of a hold, or of waiting for a copy that is behind, is not this poll's time-out. */
    if (waiter->state == WAITER_HELD || waiter->is_ahead)
        wheel_cancel(&w->waiter_wheel, &waiter->timer);
    list_push(&room->cold, &waiter->node);
    waiter->state = WAITER_COLD;
    counter_add(&w->metrics.polls_cold_total, 1);
    if (worker_send_own(w, call) != OK) worker_refuse(waiter, ERR_OVERLOADED, WORKER_RETRY_MS);
}

static void park_until(struct waiter *waiter, int64_t until_ms)
{
    struct worker_room *room = waiter->room;
    leave_state(waiter);
    list_push(&room->parked, &waiter->node);
    if (!timer_is_armed(&waiter->timer) || waiter->timer.due_ms != until_ms)
        wheel_arm(&room->worker->waiter_wheel, &waiter->timer, until_ms);
    waiter->state = WAITER_PARKED;
}

/* The reader has seen more than this copy: it comes from a worker or node that was told earlier. */
static void wait_ahead(struct waiter *waiter)
{
    int64_t now_ms = waiter->room->worker->now_ms;
    int64_t ask_ms = waiter->is_ahead ? waiter->timer.due_ms : now_ms + WORKER_AHEAD_MS;
    if (due_ms(waiter) < ask_ms) ask_ms = due_ms(waiter);
    if (ask_ms <= now_ms) { /* an empty answer would hide that the store has lost what they saw */
        start_cold_read(waiter);
        return;
    }
    park_until(waiter, ask_ms);
    waiter->is_ahead = true;
}

static void wait_for_news(struct waiter *waiter)
{
    waiter->is_ahead = false;
    if (due_ms(waiter) > waiter->room->worker->now_ms)
        park_until(waiter, due_ms(waiter));
    else
        worker_answer_time_out(waiter);
}

static bool is_in_place(const struct waiter *waiter, const struct selection *s)
{
    return s->count == 0 && s->skipped == 0 && !s->gap && s->next.high == waiter->place.high &&
           s->next.normal == waiter->place.normal;
}

void worker_cold_read(struct worker *w, const struct call *call)
{
    struct waiter *waiter = slots_get(&w->waiters, call->origin);
    if (waiter == NULL) return;
    if (call->err != OK) {
        worker_refuse(waiter, call->err, call->retry_after_ms);
        return;
    }
    struct cold_read cold = {.frames = call->frames,
                             .count = call->frame_count,
                             .more = call->more,
                             .trimmed = call->trimmed[LIST_HIGH],
                             .tail = call->tail[LIST_HIGH],
                             .normal_tail = call->tail[LIST_NORMAL]};
    struct selection *s = &w->selection;
    struct cursor cursor = worker_cursor(waiter);
    select_cold(waiter->room->feeds, &cold, &cursor, waiter->limit, s);
    /* Nothing: the reader comes from a worker that is ahead, and waits until this copy has caught up. */
    if (is_in_place(waiter, s))
        wait_for_news(waiter);
    else
        worker_answer_alone(waiter, s, 0);
}

/* In a room that takes only so many the hub decides, which knows who is at the other workers. */
static bool is_admitted(const struct waiter *waiter)
{
    return waiter->attendee == NULL || waiter->room->record.settings.max_online == 0 ||
           worker_is_admitted(waiter->attendee);
}

/* Until the call that tells of its user is home. */
static void wait_for_place(struct waiter *waiter)
{
    struct worker *w = waiter->room->worker;
    list_remove(&waiter->node);
    list_push(&waiter->room->cold, &waiter->node);
    if (!timer_is_armed(&waiter->timer))
        wheel_arm(&w->waiter_wheel, &waiter->timer, w->now_ms + WORKER_ENTER_MS);
}

static void answer_news(struct waiter *waiter)
{
    struct worker_room *room = waiter->room;
    struct selection *s = &room->worker->selection;
    struct cursor cursor = worker_cursor(waiter);
    switch (select_after(room->feeds, &cursor, waiter->limit, s)) {
    case SELECT_NEWS: worker_answer_shared(waiter, s); return;
    case SELECT_COLD: start_cold_read(waiter); return;
    case SELECT_AHEAD: wait_ahead(waiter); return;
    case SELECT_NOTHING: wait_for_news(waiter); return;
    }
}

/* A waiter in a room that is ready: answers it, or lets it wait (again). */
static void process(struct waiter *waiter)
{
    int64_t allowed_ms = worker_allows_at(waiter);
    if (waiter->state == WAITER_ENTERING && !is_admitted(waiter))
        wait_for_place(waiter);
    else if (allowed_ms > waiter->room->worker->now_ms)
        worker_hold(waiter, allowed_ms);
    else if (waiter->is_join)
        worker_answer_join(waiter);
    else if (!worker_answer_again(waiter, true))
        answer_news(waiter);
}

void worker_room_admit(struct worker_room *room)
{
    LIST_FOREACH_SAFE (node, &room->cold) {
        struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        if (waiter->state == WAITER_ENTERING && is_admitted(waiter)) process(waiter);
    }
}

void worker_waiter_fire(void *arg, struct timer *timer)
{
    (void)arg;
    struct waiter *waiter = CONTAINER_OF(timer, struct waiter, timer);
    switch ((enum waiter_state)waiter->state) {
    case WAITER_ENTERING: worker_refuse(waiter, ERR_STORE_UNAVAILABLE, WORKER_RETRY_MS); return;
    case WAITER_HELD:
    case WAITER_PARKED:
        process(waiter);
        return; /* there may be news that no slice has come to yet */
    case WAITER_COLD: worker_answer_time_out(waiter); return;
    }
}

/* Polls -------------------------------------------------------------------------------------------------- */

/* A cursor's time says how long its reader has rested; one from the future, not at all. */
static uint16_t rest_of(const struct poll *poll, const struct cursor *cursor, int64_t now_ms)
{
    if (poll->since.len == 0 || cursor->at_ms <= now_ms - WAITER_RESTED) return WAITER_RESTED;
    return cursor->at_ms > now_ms ? 0 : (uint16_t)(now_ms - cursor->at_ms);
}

static struct waiter *waiter_new(struct worker_room *room, const struct poll *poll,
                                 const struct cursor *cursor)
{
    struct worker *w = room->worker;
    struct waiter *waiter = xcalloc(1, sizeof *waiter);
    waiter->room = room;
    waiter->handle = slots_add(&w->waiters, waiter);
    waiter->exchange = poll->exchange;
    waiter->place = (struct place){cursor->high, cursor->normal, cursor->normal_ordinal};
    waiter->came_ms = w->now_ms;
    waiter->timeout_ms = (uint16_t)poll->timeout_ms;
    waiter->rest_ms = rest_of(poll, cursor, w->now_ms);
    waiter->limit = (uint8_t)poll->limit;
    waiter->variant = poll->variant;
    waiter->state = WAITER_ENTERING;
    waiter->is_join = poll->since.len == 0;
    waiter->tell_user = poll->tell_user && waiter->is_join && poll->user.len > 0;
    timer_init(&waiter->timer);
    list_init(&waiter->node);
    list_push(&room->parked, &waiter->node);
    room->waiter_count++;
    wheel_cancel(&w->room_wheel, &room->idle_timer);
    gauge_add(&w->metrics.polls_parked, 1);
    return waiter;
}

static uint64_t refuse_new(struct worker *w, const struct poll *poll, int err)
{
    int64_t retry_ms = err == ERR_BAD_CURSOR ? -1 : WORKER_RETRY_MS;
    if (err == ERR_DRAINING) retry_ms = (int64_t)rng_below(&w->rng, w->drain_spread_ms + 1);
    counter_add(&w->metrics.polls_refused_total, 1);
    w->config.ops->refuse(w->config.arg, poll->exchange, err, retry_ms, poll->variant);
    return 0;
}

/* Longer holds were not enough: come back later, not all at once. */
static uint64_t shed(struct worker *w, const struct poll *poll)
{
    int64_t retry_ms =
        WORKER_RETRY_MS + (int64_t)rng_below(&w->rng, OVER_RETRY_MS - WORKER_RETRY_MS);
    counter_add(&w->metrics.polls_shed_total, 1);
    w->config.ops->refuse(w->config.arg, poll->exchange, ERR_OVERLOADED, retry_ms, poll->variant);
    return 0;
}

uint64_t worker_poll(struct worker *w, const struct poll *poll, int64_t now_ms)
{
    struct cursor cursor = {0};
    ASSERT(poll->limit > 0 && poll->limit <= LIMIT_POLL_NORMAL &&
           poll->timeout_ms <= LIMIT_POLL_TIMEOUT_MS);
    w->now_ms = now_ms;
    counter_add(&w->metrics.polls_total, 1);
    if (w->is_draining) return refuse_new(w, poll, ERR_DRAINING);
    if (w->over_steps > 0) return shed(w, poll);
    if (poll->since.len > 0 &&
        cursor_decode(poll->since, cursor_room_tag(poll->room), &cursor) != OK)
        return refuse_new(w, poll, ERR_BAD_CURSOR);
    struct worker_room *room = worker_room_enter(w, poll->room, poll->auto_create);
    if (room == NULL) return refuse_new(w, poll, ERR_OVERLOADED);
    map_prefetch(&room->attendees, poll->user);
    struct waiter *waiter = waiter_new(room, poll, &cursor);
    uint64_t handle = waiter->handle;
    if (poll->user.len > 0) worker_attend(room, waiter, poll->user);
    if (room->state == WORKER_ROOM_READY)
        process(waiter);
    else
        wheel_arm(&w->waiter_wheel, &waiter->timer, now_ms + WORKER_ENTER_MS);
    return slots_get(&w->waiters, handle) == NULL ? 0 : handle;
}

void worker_cancel(struct worker *w, uint64_t handle, int64_t now_ms)
{
    w->now_ms = now_ms;
    struct waiter *waiter = slots_get(&w->waiters, handle);
    if (waiter != NULL) worker_waiter_free(waiter);
}

/* Serving ------------------------------------------------------------------------------------------------ */

void worker_room_news(struct worker_room *room, bool is_high)
{
    if (room->state != WORKER_ROOM_READY) return;
    worker_forget_shared(room);
    list_move_all(&room->due, &room->parked);
    room->has_high |= is_high && !list_is_empty(&room->held);
    bool is_due = room->has_high || !list_is_empty(&room->due);
    if (is_due && !list_is_linked(&room->serving_node))
        list_push(&room->worker->serving, &room->serving_node);
}

static bool takes_allowance(struct worker *w)
{
    int64_t wait_ms;
    if (!w->config.pace.is_on ||
        bucket_take(&w->allowance, w->capacity, w->capacity, w->now_ms, &wait_ms))
        return true;
    w->is_spreading = true;
    return false;
}

/* Of ten thousand waiters each has left the cache since it was parked. What the next one's answer
 * touches is fetched while this one's is sent. */
static void prefetch_next(const struct worker_room *room)
{
    struct list *next = room->due.next->next;
    if (next == &room->due) return;
    struct waiter *waiter = CONTAINER_OF(next, struct waiter, node);
    __builtin_prefetch(waiter->attendee);
    const char *after = (const char *)next->next;
    __builtin_prefetch(after);
    __builtin_prefetch(after + 64);
}

/* One room's turn. Those who find nothing new go back to `parked`, so the turn ends. */
static uint32_t serve_turn(struct worker_room *room, uint32_t budget)
{
    struct worker *w = room->worker;
    uint32_t served = 0;
    if (room->has_high) worker_break_holds(room);
    room->has_high = false;
    while (served < budget && !list_is_empty(&room->due) && takes_allowance(w)) {
        prefetch_next(room);
        process(CONTAINER_OF(room->due.next, struct waiter, node));
        served++;
    }
    return served;
}

bool worker_serve(struct worker *w, uint32_t budget, int64_t now_ms)
{
    w->now_ms = now_ms;
    if (list_is_empty(&w->serving)) return false;
    counter_add(&w->metrics.slices_total, 1);
    while (budget > 0) {
        struct list *node = list_take(&w->serving);
        if (node == NULL) return false;
        struct worker_room *room = CONTAINER_OF(node, struct worker_room, serving_node);
        uint32_t turn = budget < SERVE_TURN ? budget : SERVE_TURN;
        uint32_t served = serve_turn(room, turn);
        budget -= served;
        if (list_is_empty(&room->due)) continue;
        list_push(&w->serving, &room->serving_node);
        if (served < turn)
            return false; /* the allowance is used up: the rest comes with worker_tick()'s next time */
    }
    return !list_is_empty(&w->serving);
}

/* The end ------------------------------------------------------------------------------------------------ */

static void refuse_list(struct list *list, int err, int64_t retry_after_ms)
{
    while (!list_is_empty(list))
        worker_refuse(CONTAINER_OF(list->next, struct waiter, node), err, retry_after_ms);
}

void worker_refuse_all(struct worker_room *room, int err, int64_t retry_after_ms)
{
    refuse_list(&room->held, err, retry_after_ms);
    refuse_list(&room->parked, err, retry_after_ms);
    refuse_list(&room->due, err, retry_after_ms);
    refuse_list(&room->cold, err, retry_after_ms);
}

static void drain_list(struct worker *w, struct list *list)
{
    while (!list_is_empty(list)) {
        struct waiter *waiter = CONTAINER_OF(list->next, struct waiter, node);
        worker_answer_empty(waiter, (uint32_t)rng_below(&w->rng, w->drain_spread_ms + 1));
    }
}

void worker_drain(struct worker *w, uint32_t spread_ms, int64_t now_ms)
{
    w->now_ms = now_ms;
    w->is_draining = true;
    w->drain_spread_ms = spread_ms;
    MAP_FOREACH (slot, &w->rooms) {
        struct worker_room *room = slot->value;
        drain_list(w, &room->held);
        drain_list(w, &room->parked);
        drain_list(w, &room->due);
        drain_list(w, &room->cold);
    }
}
