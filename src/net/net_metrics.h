/* What a network thread counts. As core/metrics.h. */
#ifndef STOA_NET_NET_METRICS_H
#define STOA_NET_NET_METRICS_H

#include "core/metrics.h"

#define NET_METRICS(X)                                                                             \
    X(connections, "gauge", "Connections open")                                                    \
    X(connections_total, "counter", "Connections accepted")                                        \
    X(accepts_paused_total, "counter", "Times that accepting paused at the limit of connections")  \
    X(requests_total, "counter", "Requests read")                                                  \
    X(requests_repeated_total, "counter", "Polls that were the one before, with another cursor")   \
    X(requests_bad_total, "counter", "Requests that could not be read, and were refused")          \
    X(timeouts_header_total, "counter", "Requests that came too slowly, answered 408")             \
    X(timeouts_idle_total, "counter", "Connections closed because they were idle")                 \
    X(timeouts_write_total, "counter", "Connections closed because the peer did not read")         \
    X(pipeline_paused_total, "counter",                                                            \
      "Times that reading paused because too much was pipelined")                                  \
    X(bytes_in_total, "counter", "Bytes read")                                                     \
    X(bytes_out_total, "counter", "Bytes written")                                                 \
    X(writes_queued_total, "counter", "Answers that a socket could not take at once")              \
    X(busy_us_total, "counter", "Microseconds that the thread's loop was not idle")

struct net_metrics {
#define X(name, type, help) struct counter name;
    NET_METRICS(X)
#undef X
};

#endif
