/* Who is here, as far as this worker's connections tell: a user is here while a poll of theirs is
 * parked, and linger_ms after the last one; who has none for PRESENCE_REST_MS is resting. The hub
 * is told in batches, one call per room at a time; what changes meanwhile waits in `changed`, once
 * per user, so that a user who flickers costs nothing more. Who has left is remembered until their
 * next answer would be due: leaving and coming back does not shorten the pace.
 *
 *             poll                    no poll              longer
 *   (new) ----------> here ------------------> resting -----------> left --told, paced--> (freed)
 *                      ^  <-------poll----------'                     |
 *                      '------------------poll------------------------'
 *
 * That calls go one at a time, and that the hub's notes come in their order, is what keeps both
 * sides of one mind: what the hub was told last (`told`) is what it holds, once the call is home.
 */
#include "core/worker_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

#define FULL_RETRY_MS 5000 /* told to those who find the room full */
#define FIRST_CHANGED 8

_Static_assert(offsetof(struct attendee, user) == 64, "docs/performance.md counts it");
_Static_assert(LIMIT_POLLS_PER_USER + 1 <= UINT8_MAX && PRESENCE_RESTS <= 3, "they fit");

struct str worker_attendee_key(const void *attendee)
{
    const struct attendee *a = attendee;
    return str_make(a->user, a->len);
}

static struct str attendee_user(const struct attendee *a)
{
    return str_make(a->user, a->len);
}

static void push_changed(struct worker_room *room, struct attendee *a)
{
    if (room->changed_count == room->changed_cap) {
        room->changed_cap = room->changed_cap > 0 ? 2 * room->changed_cap : FIRST_CHANGED;
        room->changed = xrealloc(room->changed, room->changed_cap * sizeof(struct attendee *));
    }
    room->changed[room->changed_count++] = a;
}

void worker_mark_changed(struct attendee *a)
{
    struct worker_room *room = a->room;
    if (!a->is_changed) {
        a->is_changed = true;
        push_changed(room, a);
    }
    if (!list_is_linked(&room->changed_node))
        list_push(&room->worker->changed, &room->changed_node);
}

void worker_set_left(struct attendee *a, bool has_left)
{
    if (has_left && !a->has_left) a->room->left_count++;
    if (!has_left && a->has_left) a->room->left_count--;
    a->has_left = has_left;
}

uint32_t worker_here_count(const struct worker_room *room)
{
    return (uint32_t)room->attendees.count - room->left_count;
}

bool worker_is_admitted(const struct attendee *a)
{
    return a->told != PRESENCE_LEFT && !a->is_asking;
}

static void attendee_free(struct attendee *a)
{
    struct worker_room *room = a->room;
    ASSERT(!a->is_changed);
    worker_set_left(a, false);
    wheel_cancel(&room->worker->attendee_wheel, &a->linger_timer);
    map_take(&room->attendees, attendee_user(a));
    gauge_add(&room->worker->metrics.attendees, -1);
    free(a);
}

void worker_linger_fire(void *arg, struct timer *timer)
{
    (void)arg;
    struct attendee *a = CONTAINER_OF(timer, struct attendee, linger_timer);
    struct worker *w = a->room->worker;
    bool rests = !a->has_left && !a->is_resting && w->config.linger_ms > PRESENCE_REST_MS;
    if (rests) {
        a->is_resting = true;
        wheel_arm(&w->attendee_wheel, timer,
                  timer->due_ms + w->config.linger_ms - PRESENCE_REST_MS);
    } else {
        worker_set_left(a, true);
    }
    worker_mark_changed(a);
}

/* The first step of the linger. */
static void begin_linger(struct attendee *a)
{
    struct worker *w = a->room->worker;
    uint32_t linger_ms = w->config.linger_ms;
    if (linger_ms > PRESENCE_REST_MS) linger_ms = PRESENCE_REST_MS;
    wheel_arm(&w->attendee_wheel, &a->linger_timer, w->now_ms + linger_ms);
}

static struct attendee *attendee_new(struct worker_room *room, struct str user)
{
    struct attendee *a = xcalloc(1, offsetof(struct attendee, user) + user.len);
    a->room = room;
    a->len = (uint8_t)user.len;
    memcpy(a->user, user.ptr, user.len);
    timer_init(&a->linger_timer);
    map_put(&room->attendees, a);
    gauge_add(&room->worker->metrics.attendees, 1);
    worker_mark_changed(a);
    return a;
}

/* It is told to wait: polling again at once it would evict the next, and so on for ever. */
static void evict_oldest(struct attendee *a)
{
    struct waiter *oldest = a->waiters;
    counter_add(&a->room->worker->metrics.polls_evicted_total, 1);
    worker_answer_empty(oldest, WORKER_RETRY_MS);
}

void worker_attend(struct worker_room *room, struct waiter *waiter, struct str user)
{
    struct attendee *a = map_get(&room->attendees, user);
    if (a == NULL) a = attendee_new(room, user);
    if (a->has_left || a->is_resting) worker_mark_changed(a); /* back */
    a->is_resting = false;
    worker_set_left(a, false);
    wheel_cancel(&room->worker->attendee_wheel, &a->linger_timer);
    waiter->attendee = a;
    struct waiter **end = &a->waiters; /* at most LIMIT_POLLS_PER_USER steps */
    while (*end != NULL) end = &(*end)->user_next;
    *end = waiter;
    a->waiter_count++;
    if (a->waiter_count > LIMIT_POLLS_PER_USER) evict_oldest(a);
}

void worker_unattend(struct waiter *waiter)
{
    struct attendee *a = waiter->attendee;
    if (a == NULL) return;
    struct waiter **link = &a->waiters;
    while (*link != waiter) link = &(*link)->user_next;
    *link = waiter->user_next;
    waiter->attendee = NULL;
    if (--a->waiter_count == 0 && !a->has_left) begin_linger(a);
}

/* Not here any more. Freed with the others whose going has been told. */
static void put_out(struct attendee *a)
{
    worker_set_left(a, true);
    wheel_cancel(&a->room->worker->attendee_wheel, &a->linger_timer);
    worker_mark_changed(a);
}

/* The hub knows, when it has let go of them. When it had not heard of them, word that they are here
 * may be on its way, and word that they left has to follow. */
void worker_user_left(struct worker_room *room, struct str user, bool hub_knows)
{
    struct attendee *a = map_get(&room->attendees, user);
    if (a == NULL) return;
    if (hub_knows) a->told = PRESENCE_LEFT;
    put_out(a);
    while (a->waiters != NULL) worker_answer_empty(a->waiters, 0);
}

/* Nobody waits for it any more; what is left is when this user may be answered next. */
static void forget(struct attendee *a)
{
    struct worker *w = a->room->worker;
    if (worker_paced_ms(a) > w->now_ms)
        wheel_arm(&w->attendee_wheel, &a->linger_timer, worker_paced_ms(a));
    else
        attendee_free(a);
}

static void write_change(struct attendee *a, enum presence_event now, struct call *call)
{
    struct str user = attendee_user(a);
    if (a->told == now) return;
    if (a->told == PRESENCE_LEFT) {
        presence_write(&call->text, PRESENCE_CAME, user);
        if (now == PRESENCE_RESTS) presence_write(&call->text, PRESENCE_RESTS, user);
        if (a->room->record.settings.max_online > 0) a->is_asking = call->is_asking = true;
    } else {
        presence_write(&call->text, now == PRESENCE_CAME ? PRESENCE_BACK : now, user);
    }
}

/* Writes one change; an attendee who has left is done with. */
static void tell(struct attendee *a, struct call *call)
{
    enum presence_event now = a->has_left     ? PRESENCE_LEFT
                              : a->is_resting ? PRESENCE_RESTS
                                              : PRESENCE_CAME;
    a->is_changed = false;
    write_change(a, now, call);
    a->told = now & 3u;
    if (now == PRESENCE_LEFT) forget(a);
}

static void forget_changed(struct worker_room *room)
{
    free(room->changed);
    room->changed = NULL;
    room->changed_count = room->changed_cap = 0;
}

static bool tell_room(struct worker *w, struct worker_room *room)
{
    struct call *call = call_new(CALL_PRESENCE, room->key);
    call->sub = room->handle;
    /* Whether there is room for the call is asked before the changes are taken off the list. */
    if (w->calls_out >= LIMIT_CALLS_PER_WORKER) {
        call_free(call);
        return false;
    }
    for (uint32_t i = 0; i < room->changed_count; i++) tell(room->changed[i], call);
    forget_changed(room);
    if (call->text.len == 0) {
        call_free(call);
    } else {
        room->presence_call_is_out = worker_send_own(w, call) == OK;
    }
    worker_room_rest(room);
    return true;
}

void worker_tell_presence(struct worker *w)
{
    struct list rooms;
    list_init(&rooms);
    list_move_all(&rooms, &w->changed);
    for (struct list *node; (node = list_take(&rooms)) != NULL;) {
        struct worker_room *room = CONTAINER_OF(node, struct worker_room, changed_node);
        bool may = room->state == WORKER_ROOM_READY && !room->presence_call_is_out;
        if (!may || !tell_room(w, room)) list_push(&w->changed, &room->changed_node);
    }
}

static void note_answered(struct worker_room *room, struct str users)
{
    enum presence_event event;
    for (struct str user; presence_read(&users, &event, &user);) {
        struct attendee *a = map_get(&room->attendees, user);
        if (a != NULL) a->is_asking = false;
    }
}

/* The room is full: those who came never were here, so they do not linger. */
static void turn_away_all(struct worker_room *room, struct str users)
{
    enum presence_event event;
    for (struct str user; presence_read(&users, &event, &user);) {
        struct attendee *a = map_get(&room->attendees, user);
        if (a == NULL) continue;
        a->told = PRESENCE_LEFT; /* the hub said so */
        put_out(a);
        while (a->waiters != NULL) worker_refuse(a->waiters, ERR_ROOM_FULL, FULL_RETRY_MS);
    }
}

void worker_presence_told(struct worker *w, const struct call *call)
{
    struct worker_room *room = slots_get(&w->room_handles, call->sub);
    if (room == NULL) return;
    room->presence_call_is_out = false;
    if (call->is_asking) note_answered(room, buf_str(&call->text));
    turn_away_all(room, buf_str(&call->found));
    if (call->is_asking) worker_room_admit(room);
}

void worker_presence_deinit(struct worker_room *room)
{
    while (room->attendees.count > 0) {
        struct attendee *a = NULL;
        MAP_FOREACH (slot, &room->attendees) {
            a = slot->value;
            break;
        }
        a->is_changed = false; /* the list ends with the room */
        attendee_free(a);
    }
    forget_changed(room);
    map_deinit(&room->attendees);
}
