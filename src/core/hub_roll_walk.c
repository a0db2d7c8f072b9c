#include "core/hub_roll_internal.h"

#include "base/error.h"
#include "base/times.h"

#define BUSY_MS 20 /* the store has enough to do: come again after this, and up to twice */

void roll_walk_begin(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r->beat_ms == INT64_MAX && room->users.count > 0)
        r->beat_ms = r->round_ms = room->hub->now_ms + roll_some(room->hub, HUB_BEAT_MS);
}

static bool is_left_out(const struct hub_room *room, const struct presence_user *user)
{
    int64_t now_ms = room->hub->now_ms;
    bool is_new = user->since_ms > now_ms - HUB_BEAT_MS;
    bool rests = user->seen_ms < now_ms && user->seen_ms > now_ms - HUB_BEAT_RESTED_MS;
    return !room->roll_up->is_again && (is_new || rests);
}

static void look_at(void *arg, const struct presence_user *user)
{
    struct hub_room *room = arg;
    room->roll_up->looked++;
    if (!is_left_out(room, user)) roll_say(room->hub, user, false);
}

/* Rooms that were said again at the same time shall not beat together for ever. */
static void end_round(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    int64_t now_ms = room->hub->now_ms;
    if (r->is_again)
        r->beat_ms = now_ms + HUB_BEAT_MS / 2 + roll_some(room->hub, HUB_BEAT_MS / 2);
    else
        r->beat_ms = later(r->beat_ms, r->round_ms + HUB_BEAT_MS);
    r->round_ms = r->beat_ms;
    r->is_again = false;
    r->walked[0] = '\0';
}

static struct roll_batch *beat_new(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    struct roll_batch *batch = roll_batch_new(room, ROLL_BEAT);
    batch->walk = r->walk;
    batch->page = r->page++;
    batch->is_again = r->is_again;
    str_copy(str_of(r->walked), batch->after, sizeof batch->after);
    return batch;
}

/* Pages take their share of the time that a round has. */
static void pace_walk(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    int64_t round_ms = r->is_again ? HUB_BEAT_AGAIN_MS : HUB_BEAT_MS;
    r->beat_ms = later(r->beat_ms, room->hub->now_ms - round_ms); /* no more is made up for */
    r->beat_ms += round_ms * r->looked / (int64_t)room->users.count;
}

static void walk_page(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    struct roll_batch *batch = beat_new(room);
    struct presence_query query = {.after = str_of(r->walked),
                                   .limit = STORE_PRESENCE_MAX,
                                   .scan = STORE_PRESENCE_MAX,
                                   .now_ms = room->hub->now_ms};
    struct str last;
    r->looked = 0;
    room->hub->roll_up.count = 0;
    bool more = presence_page(&room->users, &query, look_at, room, &last);
    pace_walk(room);
    if (more)
        str_copy(last, r->walked, sizeof r->walked);
    else
        end_round(room);
    if (room->hub->roll_up.count == 0)
        roll_batch_free(batch);
    else if (roll_put(batch) != OK)
        roll_put_off(batch);
}

void roll_walk_back(struct roll_batch *batch)
{
    struct room_roll_up *r = batch->room->roll_up;
    if (batch->kind != ROLL_BEAT || batch->walk != r->walk || batch->page >= r->page) return;
    r->page = batch->page;
    r->is_again |= batch->is_again;
    str_copy(str_of(batch->after), r->walked, sizeof r->walked);
    r->beat_ms = batch->room->hub->roll_up.retry_ms + roll_some(batch->room->hub, BUSY_MS);
    r->round_ms = earlier(r->round_ms, r->beat_ms); /* it had ended, and the next was to begin */
}

static bool may_beat(const struct hub_room *room)
{
    const struct hub_roll_up *all = &room->hub->roll_up;
    return roll_may_give(all, room->hub->now_ms) && all->beats_at_store < HUB_BEATS_AT_ONCE;
}

/* While the store is away all rooms wait, and shall not come at once. */
static int64_t wait_until(struct hub_room *room)
{
    struct hub_roll_up *all = &room->hub->roll_up;
    int64_t busy_ms = room->hub->now_ms + BUSY_MS + roll_some(room->hub, BUSY_MS);
    return all->is_failing ? later(busy_ms, all->retry_ms + roll_some(room->hub, HUB_ROLL_RETRY_MS))
                           : busy_ms;
}

void roll_walk(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    int64_t now_ms = room->hub->now_ms;
    int pages = 0;
    while (r->beat_ms <= now_ms && room->users.count > 0 && may_beat(room) &&
           pages < ROLL_PAGES_A_TURN) {
        walk_page(room);
        pages++;
    }
    if (room->users.count == 0)
        r->beat_ms = INT64_MAX;
    else if (r->beat_ms <= now_ms && !may_beat(room))
        r->beat_ms = wait_until(room);
}

void hub_roll_up_again(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r == NULL) return;
    r->outages = room->hub->roll_up.outages;
    if (room->users.count == 0) return;
    r->walk++;
    r->is_again = true;
    r->walked[0] = '\0';
    r->beat_ms = r->round_ms = room->hub->now_ms;
    counter_add(&room->hub->metrics.roll_up_again_total, 1);
    roll_arm(room);
}

void hub_roll_up_follow(struct hub_room *room)
{
    struct room_roll_up *r = room->roll_up;
    if (r != NULL && r->outages != room->hub->roll_up.outages) hub_roll_up_again(room);
}
