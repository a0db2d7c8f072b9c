#include "store/attendance.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "core/call.h"
#include "core/presence.h"

#define PAGE_SCAN 4096 /* users looked at for one page */

/* Names come from nodes of our own, which have checked who their users are. */
static const struct hash_key HASH_KEY = {0x73746f612e617474, 0x656e64616e636521};

_Static_assert(LIMIT_ROOM_NODES <= 64, "a node is a bit");

struct attendance_room {
    struct str key;
    struct presence users;
    char nodes[LIMIT_ROOM_NODES][LIMIT_NODE_NAME + 1];
    int64_t named_ms[LIMIT_ROOM_NODES]; /* when each last said something */
    uint16_t node_count;
    char swept[LIMIT_USER_ID]; /* the next sweep begins behind this user */
    size_t swept_len;
    char name[];
};

static struct str room_key(const void *value)
{
    const struct attendance_room *it = value;
    return it->key;
}

void attendance_init(struct attendance *a)
{
    map_init(&a->rooms, HASH_KEY, room_key);
}

static struct attendance_room *room_new(struct str key)
{
    struct attendance_room *room = xcalloc(1, sizeof(*room) + key.len);

    memcpy(room->name, key.ptr, key.len);
    room->key = str_make(room->name, key.len);
    presence_init(&room->users, HASH_KEY);
    return room;
}

static void room_free(struct attendance_room *room)
{
    presence_deinit(&room->users);
    free(room);
}

void attendance_deinit(struct attendance *a)
{
    MAP_FOREACH (it, &a->rooms) room_free(it->value);
    map_deinit(&a->rooms);
}

/* --- nodes name users ------------------------------------------------------------------------ */

static uint16_t find_node(const struct attendance_room *room, struct str node)
{
    uint16_t number = 0;

    while (number < room->node_count && !str_eq(str_of(room->nodes[number]), node)) number++;
    return number;
}

static void drop(struct presence *users, struct str user, uint64_t nodes)
{
    for (uint16_t node = 0; node < LIMIT_ROOM_NODES; node++)
        if ((nodes >> node & 1) != 0) presence_leave(users, user, node);
}

struct holding {
    uint64_t node; /* a bit */
    struct buf users;
};

static void note_held(void *arg, const struct presence_user *user)
{
    struct holding *holding = arg;

    if ((user->workers & holding->node) != 0)
        presence_write(&holding->users, PRESENCE_LEFT, user->user);
}

/* Whoever that node held is held by others, or has lapsed but has not been swept yet. Looks at all users,
 * once for each node that comes to a room which has seen LIMIT_ROOM_NODES of them. */
static void take_back(struct presence *users, uint16_t number)
{
    struct holding holding = {.node = UINT64_C(1) << number};
    const struct presence_query all = {.limit = UINT32_MAX, .scan = UINT32_MAX};
    enum presence_event event;
    struct str last, user;

    presence_page(users, &all, note_held, &holding, &last);
    struct str held = buf_str(&holding.users);
    while (presence_read(&held, &event, &user)) drop(users, user, holding.node);
    buf_deinit(&holding.users);
}

/* A node has another name after each start. The place of the one that has been silent for longest goes to
 * the next, when whom it named has lapsed. LIMIT_ROOM_NODES: none has been. */
static uint16_t silent_node(struct attendance_room *room, int64_t now_ms)
{
    uint16_t number = 0;

    for (uint16_t i = 1; i < LIMIT_ROOM_NODES; i++)
        if (room->named_ms[i] < room->named_ms[number]) number = i;
    if (room->named_ms[number] > now_ms - STORE_PRESENCE_TTL_MS) return LIMIT_ROOM_NODES;
    take_back(&room->users, number);
    return number;
}

/* LIMIT_ROOM_NODES: there are as many already. */
static uint16_t node_number(struct attendance_room *room, struct str node, int64_t now_ms)
{
    uint16_t number = find_node(room, node);

    if (number == LIMIT_ROOM_NODES) number = silent_node(room, now_ms);
    if (number == LIMIT_ROOM_NODES) return number;
    if (number == room->node_count) room->node_count++;
    str_copy(node, room->nodes[number], sizeof(room->nodes[number]));
    room->named_ms[number] = now_ms;
    return number;
}

static void name_user(struct presence *users, const struct store_present *it, uint16_t node)
{
    if (it->is_gone) {
        presence_leave(users, it->user, node);
        return;
    }
    presence_come(users, it->user, node, it->since_ms);
    presence_rest(users, it->user, node, it->seen_ms);
}

static void forget_if_empty(struct attendance *a, struct attendance_room *room)
{
    if (room->users.count > 0) return;
    map_take(&a->rooms, room->key);
    room_free(room);
}

/* Said of every node; but they may have come back meanwhile, and that have been said sooner. */
static void put_out(struct attendance *a, const struct store_presence_put *in)
{
    struct attendance_room *room = map_get(&a->rooms, in->room);

    if (room == NULL) return;
    for (size_t i = 0; i < in->count; i++) {
        const struct store_present *it = &in->users[i];
        struct presence_user known;
        if (it->is_gone && presence_find(&room->users, it->user, in->now_ms, &known) &&
            known.seen_ms <= it->seen_ms)
            drop(&room->users, it->user, known.workers);
    }
    forget_if_empty(a, room);
}

static int put(struct attendance *a, const struct store_presence_put *in)
{
    struct attendance_room *room = map_get(&a->rooms, in->room);

    if (in->node.len == 0) {
        put_out(a, in);
        return 0;
    }

    if (room == NULL) {
        room = room_new(in->room);
        map_put(&a->rooms, room);
    }
    uint16_t node = node_number(room, in->node, in->now_ms);
    for (size_t i = 0; i < in->count && node < LIMIT_ROOM_NODES; i++)
        name_user(&room->users, &in->users[i], node);
    forget_if_empty(a, room);
    return node < LIMIT_ROOM_NODES ? 0 : ERR_OVERLOADED;
}

/* --- and others ask -------------------------------------------------------------------------- */

static void on_page(void *arg, const struct presence_user *user)
{
    const struct store_present present = {
        .user = user->user, .since_ms = user->since_ms, .seen_ms = user->seen_ms};

    presence_job_add(arg, &present);
}

static void page(struct attendance *a, struct presence_job *job)
{
    const struct attendance_room *room = map_get(&a->rooms, job->in.room);
    const struct presence_query query = {.after = job->in.after,
                                         .prefix = job->in.prefix,
                                         .limit = job->in.limit,
                                         .scan = PAGE_SCAN,
                                         .now_ms = job->in.now_ms};
    struct str last;

    if (room != NULL && presence_page(&room->users, &query, on_page, job, &last))
        presence_job_end(job, last);
}

static void count(struct attendance *a, struct presence_job *job)
{
    const struct attendance_room *room = map_get(&a->rooms, job->in.room);

    job->online = room != NULL ? room->users.count : 0;
    job->as_of_ms = job->in.now_ms;
}

int attendance_run(struct attendance *a, struct job *job)
{
    switch (job->kind) {
    case JOB_PRESENCE_PUT: return put(a, &job_presence_put(job)->in);
    case JOB_PRESENCE_COUNT: count(a, job_presence(job)); return 0;
    case JOB_PRESENCE_PAGE: page(a, job_presence(job)); return 0;
    default: UNREACHABLE();
    }
}

/* --- those who lapse ------------------------------------------------------------------------- */

struct lapse {
    int64_t before_ms;
    size_t count;
    struct {
        char user[LIMIT_USER_ID];
        size_t len;
        uint64_t nodes;
    } users[ATTENDANCE_SWEEP];
};

static void on_sweep(void *arg, const struct presence_user *user)
{
    struct lapse *lapse = arg;

    if (user->seen_ms > lapse->before_ms) return;
    memcpy(lapse->users[lapse->count].user, user->user.ptr, user->user.len);
    lapse->users[lapse->count].len = user->user.len;
    lapse->users[lapse->count++].nodes = user->workers;
}

static size_t sweep_room(struct attendance_room *room, struct lapse *lapse, int64_t now_ms)
{
    const struct presence_query query = {.after = str_make(room->swept, room->swept_len),
                                         .limit = ATTENDANCE_SWEEP,
                                         .scan = ATTENDANCE_SWEEP,
                                         .now_ms = now_ms};
    struct str last = STR_NONE;

    lapse->before_ms = now_ms - STORE_PRESENCE_TTL_MS;
    lapse->count = 0;
    if (!presence_page(&room->users, &query, on_sweep, lapse, &last)) last = STR_NONE;
    room->swept_len = last.len;
    if (last.len > 0) memcpy(room->swept, last.ptr, last.len);
    for (size_t i = 0; i < lapse->count; i++)
        drop(&room->users, str_make(lapse->users[i].user, lapse->users[i].len),
             lapse->users[i].nodes);
    return lapse->count;
}

size_t attendance_sweep(struct attendance *a, int64_t now_ms)
{
    struct lapse *lapse = xmalloc(sizeof(*lapse));
    struct attendance_room *empty = NULL; /* a walk must not change the map: one goes each time */
    size_t count = 0;

    MAP_FOREACH (it, &a->rooms) {
        struct attendance_room *room = it->value;
        count += sweep_room(room, lapse, now_ms);
        if (room->users.count == 0) empty = room;
    }
    if (empty != NULL) forget_if_empty(a, empty);
    free(lapse);
    return count;
}
