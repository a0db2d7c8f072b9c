/* Which nodes there are, which sect each cache node is in, and which room is assigned where
 * (DESIGN section 8).
 *
 * A node announces itself in the store with node_beat() and is live until its lease lapses. A room
 * belongs to the sect that it is assigned to, while that has a live node; else to one of the
 * ordinary sects, by hash. Within a sect it is served by the live node of highest random weight
 * (Thaler, Ravishankar, "Using name-based mappings to increase hit rates", IEEE/ACM Trans.
 * Networking 6(1), 1998), so a node that comes or goes moves its share of the rooms alone; the
 * others of the sect are the order in which a reader falls back.
 *
 * Both weights are SipHash under fixed keys, of the sect's name and of the node's address: the whole
 * fleet agrees, and a node that was restarted has its rooms again. A sect is a VIP sect as soon as
 * one of its nodes says so.
 *
 * Plain values; no thread, no clock, no memory of their own. A lookup goes over all nodes: some
 * 50 ns each. */
#ifndef STOA_CORE_ROUTES_H
#define STOA_CORE_ROUTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/limit.h"
#include "base/str.h"

#define NODE_LEASE_MS 3000 /* a node that has not said so for this long is not live, */
#define NODE_BEAT_MS  500  /* and it says so this often */
#define NODE_HOT_MAX  8    /* rooms that a node names as large */

#define ROUTES_RANK_MAX 64 /* nodes that routes_rank() gives at most */

/* A large room, as a cache node sees it: what VIP switching goes by. */
struct node_hot_room {
    char room[LIMIT_ROOM_KEY + 1];
    uint64_t online;           /* over all nodes */
    uint64_t deliveries_per_s; /* messages per second times who is online */
};

/* What a node's list is ordered by, the largest first: deliveries, or where less than one message a
 * second comes, who would get it. */
static inline uint64_t node_hot_weight(const struct node_hot_room *hot)
{
    return hot->online > hot->deliveries_per_s ? hot->online : hot->deliveries_per_s;
}

struct node_record {
    char name[LIMIT_NODE_NAME + 1]; /* of this process; a new one after each start */
    char sect[LIMIT_SECT + 1];      /* empty: in none, an edge or one of a row of equal nodes */
    char link[LIMIT_ADDRESS + 1];   /* HOST:PORT where edges reach it; empty: it serves none */
    char version[LIMIT_VERSION + 1];
    bool is_vip; /* its sect takes rooms by assignment only */
    int64_t started_ms;
    /* Load; changes with every beat and moves no route. */
    uint32_t busy_percent; /* of its busiest worker */
    uint64_t rooms;        /* active ones */
    uint64_t online;       /* users at this node */
    uint64_t connections, links;
    uint32_t hot_count;
    struct node_hot_room hot[NODE_HOT_MAX]; /* by node_hot_weight() */
};

/* A room assigned to a sect. */
struct route {
    char room[LIMIT_ROOM_KEY + 1];
    char sect[LIMIT_SECT + 1];
    bool is_automatic; /* by the switch, not by an operator: the switch may take it back */
    int64_t since_ms;
};

struct routes {
    uint64_t version;                /* routes_version(): equal for what routes the same, never 0 */
    const struct node_record *nodes; /* live ones, by name */
    size_t node_count;
    const struct route *routes; /* by room */
    size_t route_count;
};

/* A hash of all that decides a route: names, sects, addresses, assignments. Not of the load, nor of
 * nodes without an address. */
uint64_t routes_version(const struct routes *routes);
/* One block of memory for that many nodes and routes, to be filled in: free() gives all of it
 * back. */
struct routes *routes_alloc(size_t node_count, size_t route_count, struct node_record **ret_nodes,
                            struct route **ret_routes);
/* The same in one block of memory. */
struct routes *routes_copy(const struct routes *routes);
/* NULL: the room is assigned nowhere. */
const struct route *routes_assigned(const struct routes *routes, struct str room);
/* Whether a live node serves the sect; whether it takes rooms by assignment only. */
bool routes_has_sect(const struct routes *routes, struct str sect);
bool routes_is_vip(const struct routes *routes, struct str sect);
/* The sect that serves a room, STR_NONE: there is no node in any ordinary sect, nor in the assigned
 * one. Borrows from routes. */
struct str routes_sect(const struct routes *routes, struct str room);
/* The nodes that serve a room, the first choice first: at most `cap` and ROUTES_RANK_MAX pointers
 * into routes->nodes, no address twice. Behind those of the room's own sect come those of the other
 * sects, the ordinary ones first, then nodes in no sect, so that a room whose whole sect is dead is
 * still served. Returns how many. */
size_t routes_rank(const struct routes *routes, struct str room, const struct node_record **ret,
                   size_t cap);

#endif
