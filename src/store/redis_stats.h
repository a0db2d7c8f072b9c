/* What the connections to Redis count. As core/metrics.h: one line here is one family in /metrics.
 * The hub's thread counts, any thread reads. */
#ifndef STOA_STORE_REDIS_STATS_H
#define STOA_STORE_REDIS_STATS_H

#include "base/counter.h"

#define REDIS_CLUSTER_METRICS(X)                                                                   \
    X(redis_calls_total, "counter", "Commands taken")                                              \
    X(redis_calls_refused_total, "counter", "Commands refused: too many were under way")           \
    X(redis_calls_under_way, "gauge", "Commands under way")                                        \
    X(redis_bytes_under_way, "gauge", "Bytes of them")                                             \
    X(redis_replies_total, "counter", "Commands answered, by an error too")                        \
    X(redis_errors_total, "counter", "Of them, by an error")                                       \
    X(redis_lost_total, "counter", "Commands whose connection was lost before the answer")         \
    X(redis_expired_total, "counter", "Commands given up before they could be sent")               \
    X(redis_unreplicated_total, "counter", "Commands that too few replicas had in time")           \
    X(redis_moved_total, "counter", "Commands sent again to the node that has their slot now")     \
    X(redis_asked_total, "counter",                                                                \
      "Commands sent again to the node that a slot is on its way to")                              \
    X(redis_retries_total, "counter", "Commands sent again because the node could not then")       \
    X(redis_timeouts_total, "counter", "Connections dropped because no answer came in time")       \
    X(redis_connects_total, "counter", "Connections made")                                         \
    X(redis_connect_failures_total, "counter", "Connections that could not be made")               \
    X(redis_disconnects_total, "counter", "Connections lost")                                      \
    X(redis_refreshes_total, "counter", "Times that the map of slots was read")                    \
    X(redis_refresh_failures_total, "counter", "Times that it could not be read from a node")      \
    X(redis_library_loads_total, "counter",                                                        \
      "Times that the functions were loaded on a master that had them not")                        \
    X(redis_waits_total, "counter", "WAIT commands")                                               \
    X(redis_messages_total, "counter", "Messages of channels")                                     \
    X(redis_subscriptions, "gauge", "Channels subscribed to")                                      \
    X(redis_resubscribes_total, "counter", "Channels subscribed to anew after a loss")             \
    X(redis_masters, "gauge", "Masters that have slots")                                           \
    X(redis_nodes_refused_total, "counter", "Masters passed over: there are too many")             \
    X(redis_replies_refused_total, "counter", "Connections dropped because a reply was too large") \
    X(redis_bytes_in_total, "counter", "Bytes read from Redis")                                    \
    X(redis_bytes_out_total, "counter", "Bytes written to Redis")

struct redis_cluster_stats {
#define X(name, type, help) struct counter name;
    REDIS_CLUSTER_METRICS(X)
#undef X
};

/* A gauge that goes down. */
static inline void counter_sub(struct counter *c, uint64_t n)
{
    counter_set(c, counter_get(c) - n);
}

#endif
