/* The process: what the hub thread and the worker threads share. Internal to src/net/.
 *
 * Made before the threads start and freed after they are joined. While they run, only the atomics,
 * the queues and the wakes are touched by more than one thread (docs/threads.md). */
#ifndef STOA_NET_NODE_H
#define STOA_NET_NODE_H

#include <stdatomic.h>

#include "core/hub.h"
#include "net/link_server.h"
#include "net/net_worker.h"
#include "net/signals.h"
#include "store/link.h"

enum node_phase { NODE_RUNNING, NODE_DRAINING, NODE_STOPPING };

struct node {
    const struct server_config *config;
    struct hub *hub;
    struct store *store;
    uv_loop_t loop; /* the hub's */
    uv_poll_t wake_poll;
    uv_prepare_t prepare;
    uv_idle_t idle;
    uv_timer_t timer;
    struct link_server *links;                     /* NULL: no edges connect here */
    struct link_settings link;                     /* of an edge's own store; secret NULL: none */
    struct tls *link_server_tls, *link_client_tls; /* NULL: plain */
    char name[LIMIT_NODE_NAME + 1];                /* of this process */
    struct signals signals;
    struct wake wake; /* of the hub: calls have come, or the store has completed something */
    struct clock clock;
    struct apps *apps; /* the hub's reference to the newest snapshot */
    int64_t started_ms;
    int64_t drain_until_ms;
    struct hash_key hash_key;
    uint64_t seed;
    unsigned worker_count;
    struct net_worker *workers; /* worker_count of them */
    atomic_int phase;           /* enum node_phase, set by the hub */
    atomic_uint connections;
    _Atomic(struct apps *)
        new_apps[LIMIT_WORKERS]; /* a snapshot for that worker to take, with its reference */
};

const struct server_config *node_config(const struct node *node);
/* Counts a connection in; false at the limit. Any worker. */
bool node_connection_opens(struct node *node);
void node_connection_closed(struct node *node);
/* Text of /metrics. Any worker. */
void node_write_metrics(struct node *node, struct buf *out);

#endif
