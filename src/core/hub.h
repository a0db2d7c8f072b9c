/* The hub: what one node knows of its rooms. One thread; no clock, no socket, no lock.
 *
 *   workers --calls--> hub --verbs--> store
 *   workers <--notes-- hub <---news-- store
 *
 * A room is active while a worker subscribes to it and HUB_IDLE_MS after. An active room is watched
 * in the store; its copy advances by notification (prev == tail), else by a pull, and by a fallback
 * poll every second. What is new goes to every subscriber in order. A subscriber whose queue is
 * full falls behind in the copy, not in memory.
 *
 * The caller owns the queues and the store, passes the time, and after each entry wakes the workers
 * in hub_take_wakes(). */
#ifndef STOA_CORE_HUB_H
#define STOA_CORE_HUB_H

#include "base/hash.h"
#include "base/queue.h"
#include "core/call.h"
#include "core/hub_nodes.h"
#include "core/metrics.h"
#include "core/store.h"

#define HUB_IDLE_MS      60000
#define HUB_POLL_MS      1000 /* the fallback poll, jittered down by up to a tenth */
#define HUB_POLL_IDLE_MS 5000 /* the same for a room that nobody listens to */
#define HUB_POLL_GRAIN_MS                                                                          \
    20 /* polls of many rooms fall together: one wake of the store for all of them */
#define HUB_ONLINE_MS 1000 /* the online count is told at most this often, but 0 and 1 at once */

struct hub;

struct hub_config {
    struct queue *notes[LIMIT_WORKERS]; /* of struct note, one per worker; borrowed */
    uint16_t workers;
    uint64_t seed;
    struct hash_key hash_key;
    bool counting; /* who was here, and history; off: neither is gathered nor told */
    char node[LIMIT_NODE_NAME + 1]; /* this node's name, another one after each start */
    struct hub_nodes_config nodes;  /* this node among others */
};

/* The hub's store is set before the first call; it must be opened with hub_store_env(). */
struct hub *hub_new(const struct hub_config *config, int64_t now_ms);
/* The part of a store's environment that the hub fills in: on_news and news_arg. */
void hub_store_env(struct hub *hub, struct store_env *env);
void hub_set_store(struct hub *hub, struct store *store); /* borrowed */
/* Gives the store what has been counted and not been stored yet. It is then closed, without another
 * dispatch. */
void hub_flush(struct hub *hub, int64_t now_ms);
/* This node is about to stop: says so to the others, once. */
void hub_drain(struct hub *hub, int64_t now_ms);
/* After the store was closed. Calls that were still at the store are lost memory: drain first. */
void hub_free(struct hub *hub);
/* Takes a call for the time until its note. */
void hub_call(struct hub *hub, struct call *call, int64_t now_ms);
/* Runs what is due, and gives the store its turn (store_dispatch). Returns when to come again. */
int64_t hub_tick(struct hub *hub, int64_t now_ms);
/* Bit i: worker i has new notes. Reading clears. */
uint64_t hub_take_wakes(struct hub *hub);
/* Calls that have not gone home yet. A drained hub has none. */
uint64_t hub_calls_under_way(const struct hub *hub);
const struct hub_metrics *hub_metrics(const struct hub *hub);
/* Live nodes by sect. Any thread; the count is read first. */
const struct hub_sects *hub_sects(const struct hub *hub);

#endif
