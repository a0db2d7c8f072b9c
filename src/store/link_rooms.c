/* Which node a room has, and moves. */
#include "base/alloc.h"
#include "base/assert.h"
#include "store/link_internal.h"

struct str link_room_key(const void *value)
{
    const struct link_room *room = value;

    return room->key;
}

/* --- the node -------------------------------------------------------------------------------- */

/* One of those that the routes name; else whoever is there. */
struct link_peer *link_find_peer(struct link_store *l, struct str key)
{
    const struct node_record *rank[ROUTES_RANK_MAX];
    size_t count = routes_rank(l->nodes, key, rank, ROUTES_RANK_MAX);

    for (size_t i = 0; i < count; i++) {
        struct link_peer *peer = l->node_peers[rank[i] - l->nodes->nodes];
        if (peer != NULL && link_peer_is_ready(peer)) return peer;
    }
    LIST_FOREACH (node, &l->peers) {
        struct link_peer *peer = CONTAINER_OF(node, struct link_peer, node);
        if (link_peer_is_ready(peer) && (peer->is_wanted || peer->is_seed)) return peer;
    }
    return NULL;
}

struct link_room *link_room_enter(struct link_store *l, struct str key)
{
    struct link_room *room = map_get(&l->rooms, key);
    if (room != NULL) return room;

    room = xcalloc(1, sizeof(*room) + key.len);
    memcpy(room->bytes, key.ptr, key.len);
    room->key = str_make(room->bytes, key.len);
    room->peer = link_find_peer(l, key);
    list_init(&room->held);
    map_put(&l->rooms, room);
    return room;
}

void link_room_leave(struct link_store *l, struct link_room *room)
{
    if (room->is_watched || room->calls > 0) return;
    map_take(&l->rooms, room->key);
    free(room);
}

void link_rooms_free(struct link_store *l)
{
    MAP_FOREACH (slot, &l->rooms) free(slot->value);
    map_deinit(&l->rooms);
}

/* --- watching -------------------------------------------------------------------------------- */

static void tell(struct link_store *l, struct link_peer *peer, const Link__Packet *packet)
{
    link_frame_add(&peer->out, packet);
    if (!l->is_dirty) link_wake(l);
    l->is_dirty = true;
}

static void tell_watch(struct link_store *l, struct link_room *room)
{
    Link__Watch part = LINK__WATCH__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    if (room->peer == NULL) return;
    part.room = link_bytes(room->key);
    part.tell_newest = room->was_watched_elsewhere;
    packet.body_case = LINK__PACKET__BODY_WATCH;
    packet.watch = &part;
    tell(l, room->peer, &packet);
    room->was_watched_elsewhere = true; /* from now on */
}

static void tell_unwatch(struct link_store *l, struct link_room *room)
{
    Link__Unwatch part = LINK__UNWATCH__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    if (room->peer == NULL || !link_peer_is_ready(room->peer)) return;
    part.room = link_bytes(room->key);
    packet.body_case = LINK__PACKET__BODY_UNWATCH;
    packet.unwatch = &part;
    tell(l, room->peer, &packet);
}

void link_room_watch(struct link_store *l, struct link_room *room)
{
    if (room->is_watched) return;
    room->is_watched = true;
    room->was_watched_elsewhere = false;
    tell_watch(l, room);
}

void link_room_unwatch(struct link_store *l, struct link_room *room)
{
    if (!room->is_watched) return;
    tell_unwatch(l, room);
    room->is_watched = false;
    link_room_leave(l, room);
}

/* --- moves ----------------------------------------------------------------------------------- */

static void send_all(struct link_store *l, struct list *calls)
{
    struct list again;

    list_init(&again);
    list_move_all(&again, calls);
    for (struct list *node; (node = list_take(&again)) != NULL;)
        link_call_send(l, CONTAINER_OF(node, struct link_call, event.node));
}

void link_room_let_go(struct link_store *l, struct link_room *room)
{
    bool is_one_place = room->appends == 0 || room->append_peer == room->peer;

    if (is_one_place || room->peer == NULL) send_all(l, &room->held);
}

void link_rooms_let_go(struct link_store *l)
{
    MAP_FOREACH (slot, &l->rooms) link_room_let_go(l, slot->value);
}

static void move(struct link_store *l, struct link_room *room, struct link_peer *peer)
{
    if (room->is_watched) tell_unwatch(l, room);
    room->peer = peer;
    if (room->append_peer == peer) link_room_let_go(l, room);
    if (!room->is_watched || peer == NULL) return;
    counter_add(&l->metrics.edge_rooms_moved_total, room->was_watched_elsewhere);
    tell_watch(l, room);
}

void link_rooms_settle(struct link_store *l)
{
    MAP_FOREACH (slot, &l->rooms) {
        struct link_room *room = slot->value;
        struct link_peer *peer = link_find_peer(l, room->key);
        if (peer != room->peer) move(l, room, peer);
    }
}

void link_send_unsent(struct link_store *l)
{
    send_all(l, &l->unsent);
}
