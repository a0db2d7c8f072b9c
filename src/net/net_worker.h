/* A worker thread: a loop around one epoll instance with its listener and connections, a core worker
 * and an api.
 *
 * One turn of the loop: notes from the hub are taken, due waiters are served in slices, pipelined
 * requests continued, timers fired, the hub woken if it has calls; then it sleeps until a socket or
 * the hub has something, and reads that. The thread shares nothing with its siblings but what
 * node.h's struct node names. */
#ifndef STOA_NET_NET_WORKER_H
#define STOA_NET_NET_WORKER_H

#include <pthread.h>

#include "api/api.h"
#include "base/slots.h"
#include "base/wake.h"
#include "base/wheel.h"
#include "net/clock.h"
#include "net/listener.h"
#include "net/net_metrics.h"
#include "net/poller.h"
#include "net/server.h"

struct node;

#define READ_CHUNK   65536
#define IDLE_READERS 64  /* kept for the next requests */
#define SERVE_BUDGET 512 /* waiters answered in one turn: some 2 ms */
/* Events taken in a turn that leaves work behind, or whose next timer is due already: who waits for
 * an answer comes before those who have theirs and poll again. */
#define BUSY_EVENTS 64

/* Names in the poller that are no connection's handle. */
#define NET_NAME_LISTENER UINT64_MAX
#define NET_NAME_OPS      (UINT64_MAX - 1)
#define NET_NAME_WAKE     (UINT64_MAX - 2)

struct net_worker {
    struct node *node; /* the process; borrowed */
    uint16_t index;
    pthread_t thread;
    struct listener listener, ops_listener;
    struct poller poller;
    struct wake wake;
    struct clock clock;
    int64_t now_ms;
    int64_t began_us; /* monotonic */
    uint64_t idle_us; /* asleep since then */
    struct worker *worker;
    struct api *api;
    struct queue *calls, *notes; /* owned by the node */
    struct slots conns;
    struct wheel wheel; /* of the connections' time-outs */
    struct list ready;  /* connections with pipelined bytes and no exchange under way */
    struct http_reader *readers[IDLE_READERS];
    uint32_t reader_count;
    bool is_draining, is_stopping;
    atomic_bool
        has_told; /* draining, and the hub has taken all that it is told; the hub reads it */
    struct net_metrics metrics;
    char read_chunk[READ_CHUNK];
};

/* Makes the core worker and the api, and listens. 0 or a negative errno. Hub's thread,
 * before start. */
int net_worker_init(struct net_worker *nw, struct node *node, uint16_t index, int listen_fd,
                    int ops_fd);
int net_worker_start(struct net_worker *nw);
void net_worker_join(struct net_worker *nw);
/* After join, or if it was never started. */
void net_worker_deinit(struct net_worker *nw);
struct http_reader *net_worker_take_reader(struct net_worker *nw);
void net_worker_give_reader(struct net_worker *nw, struct http_reader *reader);

#endif
