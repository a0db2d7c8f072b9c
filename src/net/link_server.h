/* The cache node's side of the link: edges connect here, and their stores are this node's hub
 * (core/hub_peer.h) and store.
 *
 *   edge --transport--> link_conn --reads, watching--> hub_peer --> hub
 *                           '--------everything else--------------> store
 *
 * Lives on the hub's loop and calls the hub between its turns; after each hub_tick() the owner calls
 * link_server_flush(), so that all that one turn has to say to an edge goes out in one write.
 *
 * Bounded (base/limit.h): connections, of them those that have not proved the secret; requests of
 * one edge under way, beyond which they are refused; ranges that the store is asked at once, beyond
 * which they wait; rooms watched; bytes queued for an edge. An edge that takes its bytes too slowly
 * gets no news beyond LIMIT_LINK_QUEUE, and the newest message of each room concerned when it has
 * caught up; beyond LIMIT_LINK_ANSWERS ranges wait, and pages (of rooms, samples, users, nodes) are
 * refused; beyond LIMIT_LINK_STUCK it is cut off. An address that offered the wrong secret
 * LIMIT_LINK_REFUSALS times is not let in for a minute. One that says nothing for LINK_SILENCE_MS is
 * cut off: a live one pings.
 *
 * One thread, the hub's. */
#ifndef STOA_NET_LINK_SERVER_H
#define STOA_NET_LINK_SERVER_H

#include <uv.h>

#include "core/hub.h"
#include "store/transport.h"

#define LINK_GREETING_MS 5000 /* from connecting to the last proof */
#define LINK_SILENCE_MS  15000
#define LINK_REFUSED_MS  60000

/* X(name behind stoa_, type, help) */
#define LINK_METRICS(X)                                                                            \
    X(links, "gauge", "Connections of edges that have proved the secret")                          \
    X(links_greeting, "gauge", "Connections that have not proved the secret yet")                  \
    X(links_opened_total, "counter", "Edges that connected and proved the secret")                 \
    X(links_refused_total, "counter", "Connections refused: wrong secret, or no common version")   \
    X(links_turned_away_total, "counter",                                                          \
      "Connections turned away: too many, or from an address that had the wrong secret")           \
    X(links_broken_total, "counter", "Links cut off: malformed, silent, or stuck")                 \
    X(link_requests_total, "counter", "Requests of edges")                                         \
    X(link_requests_under_way, "gauge", "Requests of edges that have no answer yet")               \
    X(link_requests_refused_total, "counter", "Requests refused because of a limit")               \
    X(link_requests_unknown_total, "counter", "Requests that this version does not know")          \
    X(link_reads_waiting, "gauge",                                                                 \
      "Ranges that wait for others, or for an edge to take its bytes")                             \
    X(link_news_dropped_total, "counter",                                                          \
      "News not sent to an edge that takes its bytes too slowly")

struct link_metrics {
#define X(name, type, help) struct counter name;
    LINK_METRICS(X)
#undef X
};

struct link_server;

struct link_server_setup {
    uv_loop_t *loop;
    struct hub *hub;
    int fd;             /* bound to where edges connect; taken */
    const char *secret; /* of the cluster; borrowed */
    const char *name;   /* of this node; borrowed */
    const char *software;
    struct tls *tls; /* borrowed; NULL: plain */
    int64_t (*now_ms)(void *arg);
    void *now_arg;
    /* For tests, each 0 for what it is instead of: LIMIT_LINK_QUEUE, LINK_GREETING_MS,
     * LINK_SILENCE_MS. */
    size_t queue_bytes;
    uint32_t greeting_ms, silence_ms;
};

/* 0, or a negative errno: it does not listen, and fd is closed. */
int link_server_open(const struct link_server_setup *setup, struct link_server **ret);
/* Sends what the last turn of the hub has left. */
void link_server_flush(struct link_server *s);
/* No new connections; edges are told to go elsewhere. What is under way is still answered. */
void link_server_drain(struct link_server *s);
/* No request is under way. */
bool link_server_is_quiet(const struct link_server *s);
/* Closes all connections. The store is closed after that, */
void link_server_stop(struct link_server *s);
/* and then this: before the hub is freed. The memory goes when the loop has closed the handles. NULL
 * is fine for all of these. */
void link_server_free(struct link_server *s);
/* Any thread may read. NULL if s is NULL. */
const struct link_metrics *link_server_metrics(const struct link_server *s);

#endif
