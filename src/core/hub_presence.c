/* Who is here, on this node, as the workers tell; and how that becomes a number that readers are
 * told: hub_audience(), in which a store that nodes share has its say (core/hub_head_count.h).
 *
 * The count is the table's size, derived and never kept as plus and minus. Whether a full room
 * takes one more is decided here alone, where all workers' users are known and one call follows
 * another, so that a rush cannot overshoot. Everybody who comes passes user_came(), everybody who
 * goes user_left(), and every change of the count hub_audience_changed(). */
#include "core/hub_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"

/* The count --------------------------------------------------------------------------------- */

static void tell_online(struct hub_room *room)
{
    room->online_told = hub_audience(room);
    room->online_told_ms = room->hub->now_ms;
    wheel_cancel(&room->hub->wheel, &room->online_timer.timer);
    hub_publish(room);
}

void hub_online_fire(struct hub_room *room)
{
    if (room->online_told != hub_audience(room)) tell_online(room);
}

void hub_audience_changed(struct hub_room *room)
{
    uint64_t audience = hub_audience(room);
    hub_counting_online(room);
    if (audience == room->online_told) return;
    bool is_edge = (audience == 0) != (room->online_told == 0);
    if (is_edge || room->hub->now_ms - room->online_told_ms >= HUB_ONLINE_MS)
        tell_online(room);
    else if (!timer_is_armed(&room->online_timer.timer))
        wheel_arm(&room->hub->wheel, &room->online_timer.timer,
                  room->online_told_ms + HUB_ONLINE_MS);
}

/* Coming and going -------------------------------------------------------------------------- */

static void user_came(struct hub_room *room, struct str user)
{
    hub_counting_came(room, user);
    hub_roll_up_changed(room, user);
    gauge_add(&room->hub->metrics.online_users, 1);
}

static void user_left(struct hub_room *room, struct str user)
{
    hub_counting_left(room, user);
    hub_roll_up_changed(room, user);
    gauge_add(&room->hub->metrics.online_users, -1);
}

/* Who is here already, at whatever worker, takes no place. */
static bool has_place(const struct hub_room *room, struct str user)
{
    uint32_t max_online = room->record.settings.max_online;
    return max_online == 0 || hub_places(room) < max_online ||
           presence_workers(&room->users, user) != 0;
}

static void come(struct hub_room *room, struct str user, uint16_t worker)
{
    if (presence_come(&room->users, user, worker, room->hub->now_ms)) user_came(room, user);
}

static void leave(struct hub_room *room, struct str user, uint16_t worker)
{
    if (presence_leave(&room->users, user, worker)) user_left(room, user);
}

/* False: the room is full. */
static bool take_event(struct hub_room *room, enum presence_event event, struct str user,
                       uint16_t worker)
{
    switch (event) {
    case PRESENCE_LEFT: leave(room, user, worker); return true;
    case PRESENCE_RESTS:
        presence_rest(&room->users, user, worker, room->hub->now_ms - PRESENCE_REST_MS);
        return true;
    case PRESENCE_BACK: presence_back(&room->users, user, worker); return true;
    case PRESENCE_CAME:
        if (!has_place(room, user)) return false;
        come(room, user, worker);
        return true;
    }
    UNREACHABLE();
}

void hub_presence(struct hub_room *room, struct call *call)
{
    struct str users = buf_str(&call->text), user;
    enum presence_event event;
    while (presence_read(&users, &event, &user))
        if (!take_event(room, event, user, call->worker)) presence_write(&call->found, event, user);
    hub_audience_changed(room);
    hub_return(room->hub, call, OK);
}

/* False: the worker's queue is full, and it holds the user until their linger is over. */
static bool tell_leave(struct hub_sub *sub, enum note_kind kind, struct str user)
{
    struct note note = {.kind = kind, .sub = sub->handle, .user = xmalloc(user.len + 1)};
    memcpy(note.user, user.ptr, user.len);
    note.user[user.len] = '\0';
    if (hub_note(sub->room->hub, sub->worker, &note)) return true;
    note_drop(&note);
    return false;
}

/* Where it cannot be told the user stays: that worker would not say again that they are here. Workers
 * that have not named the user may be about to, so they are told as well. */
void hub_leave(struct hub_room *room, struct call *call)
{
    struct str user = call->message.from;
    uint64_t told = presence_workers(&room->users, user);
    LIST_FOREACH (node, &room->subs) {
        struct hub_sub *sub = CONTAINER_OF(node, struct hub_sub, node);
        uint64_t bit = 1ull << sub->worker;
        enum note_kind kind = (told & bit) != 0 ? NOTE_LEAVE : NOTE_LEAVE_AHEAD;
        if (!tell_leave(sub, kind, user)) told &= ~bit;
    }
    for (uint16_t worker = 0; told != 0; worker++, told >>= 1)
        if ((told & 1) != 0) leave(room, user, worker);
    hub_roll_up_left(room, user);
    hub_audience_changed(room);
    hub_return(room->hub, call, OK);
}

/* Workers that are gone --------------------------------------------------------------------- */

struct sweep {
    struct hub_room *room;
    struct buf users; /* held by a worker that is gone */
};

static void note_held(void *arg, const struct presence_user *user)
{
    struct sweep *sweep = arg;
    if ((user->workers & sweep->room->gone_workers) != 0)
        presence_write(&sweep->users, PRESENCE_LEFT, user->user);
}

static void leave_gone_workers(struct hub_room *room, struct str user)
{
    uint64_t gone = room->gone_workers;
    for (uint16_t worker = 0; gone != 0; worker++, gone >>= 1)
        if ((gone & 1) != 0) leave(room, user, worker);
}

/* A worker unsubscribes when it has told that everybody left, so nearly always nothing is found. */
void hub_presence_sweep(struct hub_room *room)
{
    struct sweep sweep = {.room = room};
    struct presence_query query = {
        .after = str_of(room->swept), .limit = HUB_SCAN, .scan = HUB_SCAN};
    struct str last, users, user;
    enum presence_event event;
    if (room->gone_workers == 0) return;
    bool more = presence_page(&room->users, &query, note_held, &sweep, &last);
    str_copy(more ? last : STR_NONE, room->swept, sizeof room->swept);
    users = buf_str(&sweep.users);
    while (presence_read(&users, &event, &user)) leave_gone_workers(room, user);
    buf_deinit(&sweep.users);
    if (!more) room->gone_workers = 0;
    hub_audience_changed(room);
}

void hub_presence_forget_worker(struct hub_room *room, uint16_t worker)
{
    room->gone_workers |= 1ull << worker;
    room->swept[0] = '\0'; /* from the beginning, for this one */
    hub_presence_sweep(room);
}

void hub_presence_deinit(struct hub_room *room)
{
    gauge_add(&room->hub->metrics.online_users, -(int64_t)room->users.count);
    presence_deinit(&room->users);
}
