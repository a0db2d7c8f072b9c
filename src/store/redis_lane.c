/* A lane: the calls that wait for a master, and one connection to it. There are two to each master,
 * since Redis answers nothing behind a WAIT before that is over (redis_cluster.h). */
#include "base/error.h"
#include "store/redis_internal.h"

static struct redis_cluster *cluster_of(const struct redis_lane *lane)
{
    return lane->node->cluster;
}

static void mark_dirty(struct redis_lane *lane)
{
    struct redis_cluster *c = cluster_of(lane);
    if (list_is_linked(&lane->dirty)) return;
    list_push(&c->dirty, &lane->dirty);
    redis_wake(c);
}

/* --- the connection's events ----------------------------------------------------------------- */

static void on_ready(void *arg)
{
    struct redis_lane *lane = arg;
    lane->failures = 0;
    redis_node_well(lane->node);
    mark_dirty(lane);
}

static void on_room(void *arg)
{
    struct redis_lane *lane = arg;
    if (!list_is_empty(&lane->waiting)) mark_dirty(lane);
}

static void on_reply(void *arg, struct redis_request *request, int err, const redisReply *reply)
{
    struct redis_lane *lane = arg;
    struct redis_cluster *c = cluster_of(lane);
    struct redis_call *call = CONTAINER_OF(request, struct redis_call, request);
    if (err != 0)
        redis_call_finish(c, call, err, NULL);
    else
        redis_call_answered(lane, call, reply);
}

/* What was sent may have been carried out or not. What waits goes on waiting, here or, if there is
 * soon another map, elsewhere. */
static void on_lost(void *arg, const char *why)
{
    struct redis_lane *lane = arg;
    struct redis_cluster *c = cluster_of(lane);
    struct list sent, *node;
    list_init(&sent);
    redis_conn_take_sent(lane->conn, &sent);
    redis_conn_free(lane->conn);
    lane->conn = NULL;
    lane->retry_ms = redis_retry_at(c, lane->failures++);
    redis_node_ill(lane->node, why);
    while ((node = list_take(&sent)) != NULL) {
        counter_add(&c->stats.redis_lost_total, 1);
        redis_call_finish(c, redis_call_of(node), ERR_STORE_UNAVAILABLE, NULL);
    }
    redis_wake(c);
}

static const struct redis_conn_events EVENTS = {
    .on_ready = on_ready, .on_room = on_room, .on_reply = on_reply, .on_lost = on_lost};

static void connect_lane(struct redis_lane *lane)
{
    struct redis_cluster *c = cluster_of(lane);
    struct redis_conn_setup setup = {
        .loop = c->setup.loop,
        .host = &lane->node->host,
        .url = &c->url,
        .tls = c->tls,
        .library = c->setup.library,
        .wait_replicas = lane->kind == REDIS_REPLICATED ? c->replicas : 0,
        .events = &EVENTS,
        .arg = lane,
        .stats = &c->stats,
    };
    lane->conn = redis_conn_new(&setup);
}

/* --- for the cluster ------------------------------------------------------------------------- */

void redis_lane_init(struct redis_lane *lane, struct redis_node *node, enum redis_lane_kind kind)
{
    *lane = (struct redis_lane){.node = node, .kind = kind};
    list_init(&lane->waiting);
    list_init(&lane->dirty);
}

void redis_lane_close(struct redis_lane *lane)
{
    list_remove(&lane->dirty);
    redis_conn_free(lane->conn);
    lane->conn = NULL;
}

void redis_lane_put(struct redis_lane *lane, struct redis_call *call)
{
    redis_call_insert(&lane->waiting, call);
    mark_dirty(lane);
}

bool redis_lane_is_used(const struct redis_lane *lane)
{
    return !list_is_empty(&lane->waiting) ||
           (lane->conn != NULL && !redis_conn_is_idle(lane->conn));
}

void redis_lane_flush(struct redis_lane *lane)
{
    list_remove(&lane->dirty);
    if (lane->conn == NULL) {
        bool is_due = redis_now(cluster_of(lane)) >= lane->retry_ms;
        if (is_due && !list_is_empty(&lane->waiting)) connect_lane(lane);
        return;
    }
    while (!list_is_empty(&lane->waiting) && redis_conn_has_room(lane->conn)) {
        struct redis_call *call = redis_call_of(list_take(&lane->waiting));
        redis_conn_send(lane->conn, &call->request);
    }
    redis_conn_flush(lane->conn);
    /* What the kernel took at once made room again; nobody would tell. */
    if (!list_is_empty(&lane->waiting) && redis_conn_has_room(lane->conn)) mark_dirty(lane);
}

int64_t redis_lane_tick(struct redis_lane *lane)
{
    struct redis_cluster *c = cluster_of(lane);
    int64_t due_ms = lane->conn != NULL ? redis_conn_tick(lane->conn) : INT64_MAX;
    int64_t expiry_ms = redis_calls_expire(c, &lane->waiting);
    if (expiry_ms < due_ms) due_ms = expiry_ms;
    if (lane->conn != NULL || list_is_empty(&lane->waiting)) return due_ms;
    if (redis_now(c) >= lane->retry_ms) {
        mark_dirty(lane);
        return due_ms;
    }
    return lane->retry_ms < due_ms ? lane->retry_ms : due_ms;
}
