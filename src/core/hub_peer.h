/* What a hub does for other nodes behind it: a peer is an edge whose store is this node.
 *
 * A peer watches rooms. A watched room is active as if a worker subscribed to it, and HUB_IDLE_MS
 * after; whatever goes into its copy comes to the peer as news, in order. Peers ask for ranges, and
 * get them from the copy where it has them, so that the store does not feel how many edges there
 * are. Everything else is the store's: whoever serves a peer (net/link_server.h) calls it directly,
 * and tells here what was stored, so that a read that follows sees it.
 *
 * Slow peers: on_news says false when a peer can take no more. Its rooms are then marked, not
 * queued. After hub_peer_resume() it is told the newest message of each marked room alone: it sees
 * that prev is not its tail, and asks for what lies between.
 *
 *    watched --on_news says false--> behind --hub_peer_resume()--> watched
 *
 * One thread, the hub's. No sockets. */
#ifndef STOA_CORE_HUB_PEER_H
#define STOA_CORE_HUB_PEER_H

#include "core/hub.h"

struct hub_peer;

struct hub_peer_setup {
    /* A message of a watched room; borrowed. False: it is not taken, and the room is behind. */
    bool (*on_news)(void *arg, struct str room, const struct message *message);
    void *arg;
};

struct hub_peer *hub_peer_new(struct hub *hub, const struct hub_peer_setup *setup);
/* Its rooms are watched no more. NULL is fine. Before hub_free(). */
void hub_peer_free(struct hub_peer *peer, int64_t now_ms);
/* From now on news of the room come to the peer. is_moved: also the newest message of each list,
 * as soon as it is known: the peer has watched the room elsewhere, and may have missed something. 0,
 * or ERR_OVERLOADED: too many rooms. A room that cannot be loaded now is tried again when the peer
 * asks for something in it. */
int hub_peer_watch(struct hub_peer *peer, struct str room, bool is_moved, int64_t now_ms);
void hub_peer_unwatch(struct hub_peer *peer, struct str room, int64_t now_ms);
/* Tells the rooms that are behind, as long as on_news takes it. */
void hub_peer_resume(struct hub_peer *peer);
/* True: the copy has what is asked for, and ret is it, borrowed until the next call. Else the store
 * is to be asked. Only ranges behind an id that the copy has seen are answered: a peer that knows
 * more than this node, or begins anew, is sent to the store. */
bool hub_peer_find(struct hub_peer *peer, const struct store_read *read, int64_t now_ms,
                   struct store_range *ret);
/* The store has acknowledged this message, by way of this node: the copy does not answer for the
 * store until it has it. */
void hub_appended(struct hub *hub, struct str room, enum list_kind list, uint64_t id);
/* The same for a change of a room, whose control message has an id that nobody is told. */
void hub_room_changed(struct hub *hub, struct str room, int64_t now_ms);
uint64_t hub_peer_rooms(const struct hub_peer *peer); /* watched */
struct store *hub_store(struct hub *hub);             /* borrowed */
/* The routes as this node knows them, which is as of HUB_ROUTES_MS ago at most: edges ask often, and
 * the store need not feel how many they are. NULL: it knows none. Borrowed. */
const struct routes *hub_routes(const struct hub *hub);

#endif
