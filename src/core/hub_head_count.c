#include "core/hub_head_count.h"

#include "base/error.h"
#include "core/hub_internal.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* --- what is made of it ---------------------------------------------------------------------- */

static bool came_within(const struct hub_room *room, int64_t ms)
{
    int64_t answered_ms = room->head_count.answered_ms;
    return answered_ms != 0 && room->hub->now_ms - answered_ms < ms;
}

uint64_t hub_audience(const struct hub_room *room)
{
    if (!came_within(room, STORE_PRESENCE_TTL_MS)) return room->users.count;
    return larger(room->head_count.online, room->users.count);
}

int64_t hub_audience_ms(const struct hub_room *room)
{
    return came_within(room, STORE_PRESENCE_TTL_MS) ? room->head_count.as_of_ms : room->hub->now_ms;
}

bool hub_audience_is_fresh(const struct hub_room *room)
{
    return !hub_is_shared(room->hub) || came_within(room, HUB_COUNT_FRESH_MS);
}

uint64_t hub_places(const struct hub_room *room)
{
    const struct head_count *c = &room->head_count;
    if (!came_within(room, STORE_PRESENCE_TTL_MS)) return room->users.count;
    uint64_t elsewhere = c->online > c->local ? c->online - c->local : 0;
    return elsewhere + room->users.count;
}

/* --- asking ---------------------------------------------------------------------------------- */

static void come_at(struct hub_room *room, int64_t at_ms)
{
    struct timer *timer = &room->count_timer.timer;
    if (timer_is_armed(timer) && timer->due_ms <= at_ms) return;
    wheel_arm(&room->hub->wheel, timer, at_ms);
}

static int64_t jitter(struct hub_room *room)
{
    return (int64_t)rng_below(&room->hub->rng, HUB_COUNT_MS / 10);
}

/* As soon as it is due after the last one. */
static void want(struct hub_room *room)
{
    struct head_count *c = &room->head_count;
    int64_t due_ms = c->asked_ms + HUB_COUNT_GAP_MS, now_ms = room->hub->now_ms;
    if (c->is_asking)
        c->is_wanted = true;
    else
        come_at(room, due_ms > now_ms ? due_ms : now_ms);
}

/* A count that is older than it might be is asked for again when there will be another. */
static int64_t next_ms(struct hub_room *room)
{
    struct head_count *c = &room->head_count;
    int64_t now_ms = room->hub->now_ms, due_ms = c->as_of_ms + HUB_COUNT_MS;
    if (due_ms > now_ms + HUB_COUNT_MS) due_ms = now_ms + HUB_COUNT_MS;
    due_ms += jitter(room);
    int64_t soonest_ms = now_ms + HUB_COUNT_GAP_MS;
    return due_ms < soonest_ms || c->is_wanted ? soonest_ms : due_ms;
}

static void failed(struct hub_room *room)
{
    counter_add(&room->hub->metrics.head_counts_failed_total, 1);
    hub_roll_up_heard(room->hub, ERR_STORE_UNAVAILABLE);
    wheel_arm(&room->hub->wheel, &room->count_timer.timer,
              room->hub->now_ms + HUB_COUNT_MS + jitter(room));
    hub_audience_changed(room); /* the last one may have become too old */
    hub_room_counted(room);
}

void hub_head_count_learn(struct hub_room *room, uint64_t online, int64_t as_of_ms)
{
    struct head_count *c = &room->head_count;
    c->online = online;
    c->as_of_ms = as_of_ms;
    c->answered_ms = room->hub->now_ms;
    c->local = room->users.count;
    hub_audience_changed(room);
}

static void on_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct hub_room *room = arg;
    struct head_count *c = &room->head_count;
    room->ops--;
    room->hub->head_counts_at_store--;
    c->is_asking = false;
    if (err != OK) {
        failed(room);
        return;
    }
    hub_roll_up_heard(room->hub, OK);
    hub_head_count_learn(room, online, as_of_ms);
    c->local = c->local_asked;
    wheel_arm(&room->hub->wheel, &room->count_timer.timer, next_ms(room));
    c->is_wanted = false;
    hub_room_counted(room);
}

/* The timer is armed for the case that no answer comes. */
static void ask(struct hub_room *room)
{
    struct hub *hub = room->hub;
    struct head_count *c = &room->head_count;
    c->asked_ms = hub->now_ms;
    c->local_asked = room->users.count;
    counter_add(&hub->metrics.head_counts_total, 1);
    if (store_presence_count(hub->store, room->key, hub->now_ms, on_count, room) != OK) {
        failed(room);
        return;
    }
    c->is_asking = true;
    room->ops++;
    hub->head_counts_at_store++;
    wheel_arm(&hub->wheel, &room->count_timer.timer, hub->now_ms + STORE_PRESENCE_TTL_MS);
}

void hub_head_count_fire(struct hub_room *room)
{
    struct hub *hub = room->hub;
    if (room->head_count.is_asking) {
        hub_audience_changed(room);
        come_at(room, hub->now_ms + STORE_PRESENCE_TTL_MS);
    } else if (list_is_empty(&room->subs) && room->users.count == 0 &&
               room->state == HUB_ROOM_ACTIVE) {
        return; /* nobody wants to know; the next subscriber begins it again */
    } else if (hub->head_counts_at_store >= HUB_COUNTS_AT_ONCE) {
        come_at(room, hub->now_ms + 1 + jitter(room));
    } else {
        ask(room);
    }
    hub_roll_up_follow(room);
}

void hub_head_count_begin(struct hub_room *room)
{
    bool is_done = timer_is_armed(&room->count_timer.timer) && hub_audience_is_fresh(room);
    if (hub_is_shared(room->hub) && !is_done) want(room);
}

void hub_head_count_changed(struct hub_room *room)
{
    if (hub_audience(room) <= HUB_COUNT_SMALL) want(room);
}
