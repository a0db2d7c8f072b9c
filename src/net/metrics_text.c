/* /metrics: Prometheus text, version 0.0.4. One family after the other, each thread a label. */
#include "net/node.h"
#include "store/redis.h"

static void family(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_printf(out, "# HELP stoa_%s %s\n# TYPE stoa_%s %s\n", name, help, name, type);
}

static void sample(struct buf *out, const char *name, const struct counter *counter)
{
    buf_printf(out, "stoa_%s %llu\n", name, (unsigned long long)counter_get(counter));
}

static void hub_families(struct buf *out, const struct hub_metrics *metrics)
{
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    sample(out, #name, &metrics->name);
    HUB_METRICS(X)
#undef X
}

static void labelled(struct buf *out, const char *name, unsigned worker,
                     const struct counter *counter)
{
    buf_printf(out, "stoa_%s{worker=\"%u\"} %llu\n", name, worker,
               (unsigned long long)counter_get(counter));
}

static void worker_families(struct buf *out, const struct node *node)
{
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    for (unsigned i = 0; i < node->worker_count; i++)                                              \
        labelled(out, #name, i, &worker_metrics(node->workers[i].worker)->name);
    WORKER_METRICS(X)
#undef X
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    for (unsigned i = 0; i < node->worker_count; i++)                                              \
        labelled(out, #name, i, &node->workers[i].metrics.name);
    NET_METRICS(X)
#undef X
}

/* The empty sect: nodes in none. */
static void sect_family(struct buf *out, const struct hub_sects *sects)
{
    uint64_t count = atomic_load_explicit(&sects->count.value, memory_order_acquire);
    if (count == 0) return;
    family(out, "sect_nodes", "gauge", "Live nodes that serve edges, by sect");
    for (uint64_t i = 0; i < count; i++)
        buf_printf(out, "stoa_sect_nodes{sect=\"%s\"} %llu\n", sects->sect[i].name,
                   (unsigned long long)counter_get(&sects->sect[i].nodes));
}

#define STORE_METRICS(X)                                                                           \
    X(appends, "Messages stored, control messages among them")                                     \
    X(duplicates, "Appends answered from their idempotency key")                                   \
    X(refused, "Appends answered with a room's error")                                             \
    X(failures, "Calls that failed")                                                               \
    X(overloads, "Calls that did not start because too many were under way")                       \
    X(reads, "Ranges, rooms and lists asked for")                                                  \
    X(reads_known, "Of them, those that were known without a look at the store")                   \
    X(commits, "Transactions: appends divided by them is the mean group")                          \
    X(commit_us, "Microseconds spent in transactions")                                             \
    X(trimmed, "Messages removed by retention")                                                    \
    X(news, "Notifications given")                                                                 \
    X(news_dropped, "Notifications given up because too many waited")                              \
    X(resubscribed, "Rooms whose notifications had stopped for a while")                           \
    X(viewers, "Users added to buckets of viewers, known ones among them")                         \
    X(sketches, "Sketches merged into buckets of viewers")                                         \
    X(samples, "Samples of history stored")                                                        \
    X(thinned, "Samples that went into one an hour")                                               \
    X(expired, "Buckets of viewers and samples removed by age")                                    \
    X(presences, "Users named by nodes that share the store")                                      \
    X(lapsed, "Of them, those whom no node named again")

static void store_families(struct buf *out, const struct store_stats *stats)
{
    if (stats == NULL) return;
#define X(name, help)                                                                              \
    family(out, "store_" #name "_total", "counter", help);                                         \
    sample(out, "store_" #name "_total", &stats->name);
    STORE_METRICS(X)
#undef X
}

static void link_families(struct buf *out, const struct link_metrics *links,
                          const struct link_store_metrics *edge)
{
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    sample(out, #name, &links->name);
    if (links != NULL) {
        LINK_METRICS(X)
    }
#undef X
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    sample(out, #name, &edge->name);
    if (edge != NULL) {
        LINK_STORE_METRICS(X)
    }
#undef X
}

static void redis_families(struct buf *out, const struct redis_cluster_stats *stats)
{
    if (stats == NULL) return;
#define X(name, type, help)                                                                        \
    family(out, #name, type, help);                                                                \
    sample(out, #name, &stats->name);
    REDIS_CLUSTER_METRICS(X)
#undef X
}

void node_write_metrics(struct node *node, struct buf *out)
{
    family(out, "start_time_seconds", "gauge", "When the process began, Unix time");
    buf_printf(out, "stoa_start_time_seconds %lld\n", (long long)node->started_ms / 1000);
    hub_families(out, hub_metrics(node->hub));
    sect_family(out, hub_sects(node->hub));
    worker_families(out, node);
    store_families(out, store_stats(node->store));
    link_families(out, link_server_metrics(node->links), link_store_metrics(node->store));
    redis_families(out, redis_store_network(node->store));
}
