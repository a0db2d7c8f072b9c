/* The store of an edge: cache nodes, over the link (net/link_server.h is the other side).
 *
 *   link://HOST:PORT[,HOST:PORT…]
 *
 * The addresses are seeds: nodes that are asked which nodes there are (routes), every
 * LINK_ROUTES_MS. There is one connection to each node, and each room has one node at a time: the
 * first in the order of routes_rank() that can be reached. While no routes are known, or this node is
 * one of theirs, the seeds are the nodes.
 *
 * When a node is lost, does not answer (link_peer.h), says goodbye, or routes change, the rooms that
 * have another node then move to it at once, and no others: they are watched there, and the newest
 * messages come as news, so that the hub sees what it missed. What was under way at a node that is
 * lost is said again at the next one, but for a change of a room, which is not to be made twice:
 * that is ERR_STORE_UNAVAILABLE. Appends can be said again because all of them have an idempotency
 * key: the driver gives one to those that have none. Rooms move back when their first choice is
 * there again; appends then wait until those under way at the other node have been answered, so that
 * they keep their order.
 *
 * With no node at all, calls wait for LINK_HOLD_MS, and then are ERR_STORE_UNAVAILABLE. Bounded
 * (base/limit.h): calls under way and their bytes; more are ERR_OVERLOADED.
 *
 * All on the hub's loop and thread; connections go by the loop's clock, not by that of the calls. */
#ifndef STOA_STORE_LINK_H
#define STOA_STORE_LINK_H

#include "core/store.h"

#define LINK_ROUTES_MS 250
#define LINK_HOLD_MS   1000
#define LINK_TICK_MS   50
#define LINK_CLOSE_MS  1000 /* at the end, for what is under way */

struct tls;

/* What a link:// store takes from the configuration. */
struct link_settings {
    const char *secret;   /* of the cluster; borrowed as long as the store, as the others */
    const char *node;     /* this node's name */
    const char *software; /* its version */
    struct tls *tls;      /* a client's; NULL: plain */
};

/* As store_open(); addresses is what is behind link://. Does not wait for a connection. */
int link_store_open(const char *addresses, const struct store_config *config,
                    struct store **ret_store, char *ret_why, size_t why_cap);

/* What the links of this edge do, for /metrics. Any thread may read. */
#define LINK_STORE_METRICS(X)                                                                      \
    X(edge_links, "gauge", "Nodes that this edge is linked to")                                    \
    X(edge_links_lost_total, "counter", "Links lost: closed, or the node did not answer")          \
    X(edge_rooms_moved_total, "counter", "Watched rooms that went to another node")                \
    X(edge_calls_repeated_total, "counter", "Calls said again at another node")                    \
    X(edge_calls_held_total, "counter", "Calls that waited because there was no node")             \
    X(edge_appends_held_total, "counter",                                                          \
      "Sends that waited for earlier ones of their room at another node")                          \
    X(edge_routes_total, "counter", "Changes of routes")

struct link_store_metrics {
#define X(name, type, help) struct counter name;
    LINK_STORE_METRICS(X)
#undef X
};

/* NULL, if it is no link store. */
const struct link_store_metrics *link_store_metrics(struct store *store);

#endif
