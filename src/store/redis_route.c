/* Nodes, and which of them has which slot. The map comes from CLUSTER SLOTS, and slot by slot from
 * MOVED. A node stays while it has slots or something to do, and some seconds longer. */
#include "base/alloc.h"
#include "base/log.h"
#include "store/redis_internal.h"

#define RETRY_LEAST_MS 50
#define RETRY_MOST_MS  500
#define PRUNE_MS       1000
#define UNUSED_MS      10000

/* --- nodes ----------------------------------------------------------------------------------- */

static struct redis_node *make_node(struct redis_cluster *c, const struct redis_host *host,
                                    uint16_t index)
{
    struct redis_node *node = xcalloc(1, sizeof(*node));
    node->cluster = c;
    node->host = *host;
    node->index = index;
    node->used_ms = redis_now(c);
    for (int kind = 0; kind < REDIS_LANES; kind++)
        redis_lane_init(&node->lanes[kind], node, (enum redis_lane_kind)kind);
    redis_ear_init(&node->ear, node);
    c->nodes[index] = node;
    if (index >= c->node_cap) c->node_cap = index + 1u;
    return node;
}

struct redis_node *redis_node_get(struct redis_cluster *c, const struct redis_host *host)
{
    size_t free_index = c->node_cap;
    for (size_t i = c->node_cap; i-- > 0;) {
        if (c->nodes[i] == NULL) free_index = i;
        if (c->nodes[i] != NULL && redis_host_eq(&c->nodes[i]->host, host)) return c->nodes[i];
    }
    if (free_index == LIMIT_REDIS_NODES) {
        counter_add(&c->stats.redis_nodes_refused_total, 1);
        return NULL;
    }
    return make_node(c, host, (uint16_t)free_index);
}

static bool is_needed(const struct redis_node *node)
{
    bool is_used = node->slots > 0 || redis_ear_is_used(&node->ear);
    for (int kind = 0; kind < REDIS_LANES; kind++)
        is_used |= redis_lane_is_used(&node->lanes[kind]);
    return is_used;
}

void redis_nodes_prune(struct redis_cluster *c)
{
    int64_t now_ms = redis_now(c);
    if (now_ms < c->prune_ms) return;
    c->prune_ms = now_ms + PRUNE_MS;
    for (size_t i = 0; i < c->node_cap; i++) {
        struct redis_node *node = c->nodes[i];
        if (node == NULL) continue;
        if (is_needed(node)) node->used_ms = now_ms;
        if (now_ms - node->used_ms < UNUSED_MS) continue;
        for (int kind = 0; kind < REDIS_LANES; kind++) redis_lane_close(&node->lanes[kind]);
        redis_ear_close(&node->ear);
        free(node);
        c->nodes[i] = NULL;
    }
}

void redis_node_well(struct redis_node *node)
{
    if (node->why[0] == '\0') return;
    log_info("redis", "%s:%u: connected again", node->host.name, node->host.port);
    node->why[0] = '\0';
}

/* Logged once, until it is well again. */
void redis_node_ill(struct redis_node *node, const char *why)
{
    if (node->why[0] == '\0')
        log_warn("redis", "%s:%u: %s; trying again", node->host.name, node->host.port, why);
    snprintf(node->why, sizeof(node->why), "%s:%u: %.200s", node->host.name, node->host.port, why);
    redis_topology_want(&node->cluster->topology);
}

/* Doubling, and by chance up to half of it less, so that many nodes of ours do not come at once. */
int64_t redis_retry_at(struct redis_cluster *c, unsigned failures)
{
    int64_t pause_ms = RETRY_LEAST_MS;
    while (failures-- > 0 && pause_ms < RETRY_MOST_MS) pause_ms *= 2;
    if (pause_ms > RETRY_MOST_MS) pause_ms = RETRY_MOST_MS;
    return redis_now(c) + pause_ms - (int64_t)rng_below(&c->rng, (uint64_t)pause_ms / 2);
}

/* --- slots ----------------------------------------------------------------------------------- */

struct redis_node *redis_owner(const struct redis_cluster *c, uint16_t slot)
{
    return c->owners[slot] > 0 ? c->nodes[c->owners[slot] - 1] : NULL;
}

static void set_owner(struct redis_cluster *c, uint16_t slot, struct redis_node *node)
{
    struct redis_node *before = redis_owner(c, slot);
    if (before != NULL && --before->slots == 0) before->used_ms = redis_now(c);
    if (node != NULL) node->slots++;
    c->owners[slot] = node != NULL ? (uint16_t)(node->index + 1) : 0;
}

/* Any master, each in its turn: beginning at a slot by chance. */
static struct redis_node *any_master(struct redis_cluster *c)
{
    uint16_t at = (uint16_t)rng_below(&c->rng, REDIS_SLOTS);
    for (unsigned i = 0; i < REDIS_SLOTS; i++) {
        struct redis_node *node = redis_owner(c, (uint16_t)((at + i) % REDIS_SLOTS));
        if (node != NULL) return node;
    }
    return NULL;
}

void redis_route(struct redis_cluster *c, struct redis_call *call)
{
    struct redis_node *node =
        call->has_key || !c->has_map ? redis_owner(c, call->slot) : any_master(c);
    bool is_replicated = call->is_replicated && c->replicas > 0;
    call->request.is_asking = false;
    if (node == NULL) {
        redis_call_insert(&c->unrouted, call);
        redis_topology_want(&c->topology);
        redis_wake(c);
        return;
    }
    redis_lane_put(&node->lanes[is_replicated ? REDIS_REPLICATED : REDIS_PLAIN], call);
}

static void route_all(struct redis_cluster *c, struct list *calls)
{
    struct list *node;
    while ((node = list_take(calls)) != NULL) redis_route(c, redis_call_of(node));
}

/* Calls that wait in a lane to which they do not belong any more. One that asks (ASK) was sent there
 * on purpose. */
static void reroute_lane(struct redis_cluster *c, struct redis_lane *lane)
{
    struct list strays;
    list_init(&strays);
    LIST_FOREACH_SAFE (it, &lane->waiting) {
        struct redis_call *call = redis_call_of(it);
        bool is_home =
            redis_owner(c, call->slot) == lane->node || (!call->has_key && lane->node->slots > 0);
        if (is_home || call->request.is_asking) continue;
        list_remove(it);
        list_push(&strays, it);
    }
    route_all(c, &strays);
}

void redis_route_moved(struct redis_cluster *c, const struct redis_redirect *redirect)
{
    struct redis_node *before = redis_owner(c, redirect->slot);
    struct redis_node *node = redis_node_get(c, &redirect->host);
    redis_topology_want(&c->topology);
    if (node == NULL || node == before) return;
    set_owner(c, redirect->slot, node);
    for (int kind = 0; before != NULL && kind < REDIS_LANES; kind++)
        reroute_lane(c, &before->lanes[kind]);
}

/* --- the map --------------------------------------------------------------------------------- */

void redis_map_begin(struct redis_cluster *c)
{
    for (unsigned slot = 0; slot < REDIS_SLOTS; slot++) set_owner(c, (uint16_t)slot, NULL);
}

void redis_map_range(void *cluster, const struct redis_range *range)
{
    struct redis_cluster *c = cluster;
    struct redis_node *node = redis_node_get(c, &range->nodes[0]);
    if (node == NULL) return; /* its calls wait, and expire */
    for (unsigned slot = range->first; slot <= range->last; slot++)
        set_owner(c, (uint16_t)slot, node);
}

static uint64_t count_masters(const struct redis_cluster *c)
{
    uint64_t count = 0;
    for (size_t i = 0; i < c->node_cap; i++) count += c->nodes[i] != NULL && c->nodes[i]->slots > 0;
    return count;
}

void redis_map_end(struct redis_cluster *c, bool is_cluster)
{
    struct list unrouted;
    list_init(&unrouted);
    list_move_all(&unrouted, &c->unrouted);
    c->has_map = true;
    c->is_cluster = is_cluster;
    c->replicas = c->url.has_replicas ? c->url.replicas : is_cluster;
    counter_set(&c->stats.redis_masters, count_masters(c));
    route_all(c, &unrouted);
    for (size_t i = 0; i < c->node_cap; i++)
        for (int kind = 0; c->nodes[i] != NULL && kind < REDIS_LANES; kind++)
            reroute_lane(c, &c->nodes[i]->lanes[kind]);
    redis_subs_rehome(c);
}
