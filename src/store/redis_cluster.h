/* Commands to Redis or Valkey, a single server or a Cluster, on the hub's loop: slots to masters,
 * MOVED, ASK, TRYAGAIN, reconnect, and nothing else. It knows no room (store/redis.c does).
 *
 *   redis_cluster --one connection per master, pipelined--> redis_conn --> transport
 *
 * A command goes to the master that owns the slot of its key, and fires its callback exactly once,
 * later: from the loop, or from redis_cluster_tick(). Commands of one slot that are all replicated, or
 * all not, reach the server in the order of the calls, unless one is sent again after MOVED, ASK,
 * TRYAGAIN, LOADING, CLUSTERDOWN or the like (the two kinds have connections of their own, since a
 * WAIT holds up all that is behind it). One that was sent when the connection was lost is
 * ERR_STORE_UNAVAILABLE: nobody knows whether it was carried out. What could not be sent waits, for
 * REDIS_CALL_MS from the call on, for a connection or for a failover.
 *
 * What is called in one turn of the loop leaves together, at the end of redis_cluster_tick(), or at
 * the beginning of the next turn if it was called after that. Time is that of the loop (uv_now()).
 *
 * The protocol is RESP2, read and written with hiredis (its reader and its formatter alone; its
 * asynchronous client aborts on sharded pub/sub). Sources: redis.io/docs/reference/cluster-spec and
 * /protocol-spec. One thread, the loop's. */
#ifndef STOA_STORE_REDIS_CLUSTER_H
#define STOA_STORE_REDIS_CLUSTER_H

#include <hiredis/hiredis.h>
#include <uv.h>

#include "base/str.h"
#include "store/redis_stats.h"
#include "store/redis_url.h"

#define REDIS_ARGS_MAX 8192 /* words of one command */
#define REDIS_CALL_MS  2000 /* for a command to be sent; its answer: store/redis_conn.h */

struct redis_cluster;

/* err: 0, then reply is what the server said, REDIS_REPLY_ERROR included (but for what is handled
 * here); ERR_STORE_UNAVAILABLE: no answer, reply NULL. Borrowed for the time of the call. */
typedef void redis_reply_cb(void *arg, int err, const redisReply *reply);

struct redis_command {
    struct str key; /* decides the slot by its hash tag; empty: any master */
    const struct str *words;
    size_t count;
    /* Carried out by as many replicas as the URL says (WAIT), before the callback says 0; with fewer
     * of them after REDIS_WAIT_MS it is ERR_STORE_UNAVAILABLE. One WAIT serves all commands of a
     * connection that leave together. A command that writes nothing waits for what was written before
     * it: so one that is repeated with its idempotency key does not say 0 too early. */
    bool is_replicated;
};

struct redis_cluster_setup {
    uv_loop_t *loop;
    const struct redis_url *url; /* copied */
    uint64_t seed;               /* of the chances in its pauses */
    /* Source of the server-side functions, loaded on every master before its first command, and
     * again on one that answers that it has them not. A library of the same name that is there stays,
     * so another source wants another name (store/redis_library.h). Borrowed for as long as the
     * cluster is. Empty: none. */
    struct str library;
    /* A message of a channel subscribed to; borrowed. From the loop. */
    void (*on_message)(void *arg, struct str channel, struct str payload);
    /* Messages of this channel may have been missed: the subscription was lost, and is there again.
     */
    void (*on_resubscribed)(void *arg, struct str channel);
    void *arg;
};

/* Begins to connect. NULL, and a sentence for the operator in ret_why: a file for TLS cannot be
 * used. */
struct redis_cluster *redis_cluster_new(const struct redis_cluster_setup *setup, char *ret_why,
                                        size_t why_cap);
/* Fires no callback any more; not from one. The loop has to run on until its handles are closed. */
void redis_cluster_free(struct redis_cluster *c);
/* 0, or ERR_OVERLOADED: too many are under way (LIMIT_REDIS_CALLS, LIMIT_REDIS_CALL_BYTES). Words are
 * copied. */
int redis_cluster_call(struct redis_cluster *c, const struct redis_command *command,
                       redis_reply_cb *cb, void *arg);
/* Sharded pub/sub (SSUBSCRIBE); a channel is routed like a key. Idempotent, kept over reconnects and
 * slots that move. */
void redis_cluster_subscribe(struct redis_cluster *c, struct str channel);
void redis_cluster_unsubscribe(struct redis_cluster *c, struct str channel);
/* Time-outs, retries, refreshes that are due, and sends what waits. Once in each turn of the loop.
 * Returns when to come again at the latest, INT64_MAX: never. */
int64_t redis_cluster_tick(struct redis_cluster *c, int64_t now_ms);

/* Why the masters cannot be reached, for the operator; NULL when the last that happened was good.
 * Borrowed until the next call into here. */
const char *redis_cluster_trouble(const struct redis_cluster *c);
/* Commands whose callback has not fired. */
size_t redis_cluster_under_way(const struct redis_cluster *c);
/* Any thread may read. */
const struct redis_cluster_stats *redis_cluster_stats(const struct redis_cluster *c);

#endif
