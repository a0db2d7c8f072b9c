#include "store/redis_cluster.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/times.h"
#include "store/redis_internal.h"
#include "store/tls.h"

/* Before a call is sent again: doubling from the first, and by chance up to half of it less. */
#define PAUSE_LEAST_MS  10
#define PAUSE_DOUBLINGS 4
/* Loading the library did not help: then the caller is told. */
#define FUNCTION_ATTEMPTS 4

/* --- the waker ------------------------------------------------------------------------------- */

/* An idle handle lets the loop run another turn at once. Memory of its own, since the loop lets go of
 * it later than the cluster. */
struct redis_waker {
    uv_idle_t idle;
    struct redis_cluster *cluster;
};

static void flush_lanes(struct redis_cluster *c)
{
    struct list dirty, *node;
    list_init(&dirty);
    list_move_all(&dirty, &c->dirty);
    while ((node = list_take(&dirty)) != NULL)
        redis_lane_flush(CONTAINER_OF(node, struct redis_lane, dirty));
}

/* Whoever called after the tick may not come to another one before the loop sleeps. */
static void on_idle(uv_idle_t *idle)
{
    struct redis_waker *waker = CONTAINER_OF(idle, struct redis_waker, idle);
    uv_idle_stop(idle);
    flush_lanes(waker->cluster);
}

static void on_waker_gone(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_idle_t *)handle, struct redis_waker, idle));
}

void redis_wake(struct redis_cluster *c)
{
    uv_idle_start(&c->waker->idle, on_idle);
}

/* --- calls ----------------------------------------------------------------------------------- */

struct redis_call *redis_call_of(struct list *node)
{
    return CONTAINER_OF(node, struct redis_call, request.node);
}

/* One that is new goes to the end at once; one that comes back has few before it. */
void redis_call_insert(struct list *list, struct redis_call *call)
{
    struct list *at = list;
    while (at->prev != list && redis_call_of(at->prev)->number > call->number) at = at->prev;
    list_insert(at, &call->request.node);
}

static void free_call(struct redis_cluster *c, struct redis_call *call)
{
    c->under_way--;
    c->bytes -= call->request.bytes.len;
    counter_set(&c->stats.redis_calls_under_way, c->under_way);
    counter_set(&c->stats.redis_bytes_under_way, c->bytes);
    redisFreeCommand(call->formatted);
    free(call);
}

void redis_call_finish(struct redis_cluster *c, struct redis_call *call, int err,
                       const redisReply *reply)
{
    redis_reply_cb *cb = call->cb;
    void *arg = call->arg;
    if (reply != NULL) counter_add(&c->stats.redis_replies_total, 1);
    if (reply != NULL && reply->type == REDIS_REPLY_ERROR)
        counter_add(&c->stats.redis_errors_total, 1);
    free_call(c, call);
    cb(arg, err, reply);
}

int64_t redis_calls_expire(struct redis_cluster *c, struct list *list)
{
    while (!list_is_empty(list)) {
        struct redis_call *call = redis_call_of(list->next);
        if (redis_now(c) < call->deadline_ms) return call->deadline_ms;
        list_remove(&call->request.node);
        counter_add(&c->stats.redis_expired_total, 1);
        redis_call_finish(c, call, ERR_STORE_UNAVAILABLE, NULL);
    }
    return INT64_MAX;
}

/* --- calls that are sent again --------------------------------------------------------------- */

static void delay(struct redis_cluster *c, struct redis_call *call)
{
    unsigned doublings = call->attempts < PAUSE_DOUBLINGS ? call->attempts : PAUSE_DOUBLINGS;
    int64_t pause_ms = (int64_t)PAUSE_LEAST_MS << doublings;
    call->attempts++;
    call->due_ms = redis_now(c) + pause_ms - (int64_t)rng_below(&c->rng, (uint64_t)pause_ms / 2);
    if (call->due_ms > call->deadline_ms) call->due_ms = call->deadline_ms;
    counter_add(&c->stats.redis_retries_total, 1);
    redis_call_insert(&c->delayed, call);
    redis_wake(c);
}

/* From one that was wrong about it to one that may be right; more than a few times, with pauses. */
static void redirect(struct redis_cluster *c, struct redis_call *call,
                     const struct redis_redirect *to, bool is_asking)
{
    struct redis_node *node = redis_node_get(c, &to->host);
    bool is_replicated = call->is_replicated && c->replicas > 0;
    if (!is_asking) redis_route_moved(c, to);
    counter_add(is_asking ? &c->stats.redis_asked_total : &c->stats.redis_moved_total, 1);
    if (node == NULL || ++call->attempts > PAUSE_DOUBLINGS) {
        delay(c, call);
        return;
    }
    call->request.is_asking = is_asking;
    redis_lane_put(&node->lanes[is_replicated ? REDIS_REPLICATED : REDIS_PLAIN], call);
}

static bool load_again(struct redis_lane *lane, struct redis_call *call)
{
    struct redis_cluster *c = lane->node->cluster;
    if (c->setup.library.len == 0 || ++call->attempts > FUNCTION_ATTEMPTS) return false;
    if (lane->conn != NULL) redis_conn_load(lane->conn);
    counter_add(&c->stats.redis_retries_total, 1);
    redis_lane_put(lane, call);
    return true;
}

void redis_call_answered(struct redis_lane *lane, struct redis_call *call, const redisReply *reply)
{
    struct redis_cluster *c = lane->node->cluster;
    struct redis_redirect to;
    enum redis_answer answer = redis_answer_of(reply, &lane->node->host, &to);
    switch (answer) {
    case REDIS_MOVED:
    case REDIS_ASK: redirect(c, call, &to, answer == REDIS_ASK); return;
    case REDIS_AWAY:
        redis_topology_want(&c->topology);
        delay(c, call);
        return;
    case REDIS_AGAIN: delay(c, call); return;
    case REDIS_NO_FUNCTION:
        if (load_again(lane, call)) return;
        break;
    case REDIS_ANSWER: break;
    }
    redis_call_finish(c, call, 0, reply);
}

/* Those of `delayed` that are due go on their way; those that are too late have an end. */
static int64_t retry_delayed(struct redis_cluster *c)
{
    int64_t now_ms = redis_now(c), due_ms = redis_calls_expire(c, &c->delayed);
    LIST_FOREACH_SAFE (it, &c->delayed) {
        struct redis_call *call = redis_call_of(it);
        if (now_ms < call->due_ms) {
            if (call->due_ms < due_ms) due_ms = call->due_ms;
            continue;
        }
        list_remove(it);
        redis_route(c, call);
    }
    return due_ms;
}

/* --- calling --------------------------------------------------------------------------------- */

static size_t sum_bytes(const struct redis_command *command)
{
    size_t sum = 0;
    for (size_t i = 0; i < command->count; i++) sum += command->words[i].len;
    return sum;
}

static bool has_place(const struct redis_cluster *c, size_t bytes)
{
    if (c->under_way >= LIMIT_REDIS_CALLS) return false;
    return bytes <= LIMIT_REDIS_CALL_BYTES && c->bytes <= LIMIT_REDIS_CALL_BYTES - bytes;
}

static void format(struct redis_cluster *c, struct redis_call *call,
                   const struct redis_command *command)
{
    ASSERT(command->count > 0 && command->count <= REDIS_ARGS_MAX);
    for (size_t i = 0; i < command->count; i++) {
        c->words[i] = command->words[i].ptr;
        c->lens[i] = command->words[i].len;
    }
    int len = redisFormatCommandArgv(&call->formatted, (int)command->count, c->words, c->lens);
    ASSERT(len > 0);
    call->request.bytes = str_make(call->formatted, (size_t)len);
}

int redis_cluster_call(struct redis_cluster *c, const struct redis_command *command,
                       redis_reply_cb *cb, void *arg)
{
    if (!has_place(c, sum_bytes(command))) {
        counter_add(&c->stats.redis_calls_refused_total, 1);
        return ERR_OVERLOADED;
    }
    struct redis_call *call = xcalloc(1, sizeof(*call));
    list_init(&call->request.node);
    call->number = c->next_number++;
    call->deadline_ms = redis_now(c) + redis_url_patience(&c->url, REDIS_CALL_MS);
    call->has_key = command->key.len > 0;
    call->slot = call->has_key ? redis_slot_of(command->key) : 0;
    call->is_replicated = command->is_replicated;
    call->cb = cb;
    call->arg = arg;
    format(c, call, command);
    c->under_way++;
    c->bytes += call->request.bytes.len;
    counter_add(&c->stats.redis_calls_total, 1);
    counter_set(&c->stats.redis_calls_under_way, c->under_way);
    counter_set(&c->stats.redis_bytes_under_way, c->bytes);
    redis_route(c, call);
    return 0;
}

/* --- the life of a cluster ------------------------------------------------------------------- */

static struct tls *make_tls(const struct redis_url *url, char *why, size_t why_cap)
{
    struct tls_files files = {.ca = url->ca[0] != '\0' ? url->ca : NULL,
                              .cert = url->cert[0] != '\0' ? url->cert : NULL,
                              .key = url->key[0] != '\0' ? url->key : NULL};
    return tls_client_new(&files, why, why_cap);
}

static void make_waker(struct redis_cluster *c)
{
    c->waker = xcalloc(1, sizeof(*c->waker));
    c->waker->cluster = c;
    int err = uv_idle_init(c->setup.loop, &c->waker->idle);
    ASSERT(err == 0);
}

struct redis_cluster *redis_cluster_new(const struct redis_cluster_setup *setup, char *ret_why,
                                        size_t why_cap)
{
    struct tls *tls = NULL;
    if (setup->url->is_tls && (tls = make_tls(setup->url, ret_why, why_cap)) == NULL) return NULL;
    struct redis_cluster *c = xcalloc(1, sizeof(*c));
    c->setup = *setup;
    c->url = *setup->url;
    c->setup.url = &c->url;
    c->tls = tls;
    rng_init(&c->rng, setup->seed);
    list_init(&c->unrouted);
    list_init(&c->delayed);
    list_init(&c->dirty);
    c->words = xcalloc(REDIS_ARGS_MAX, sizeof(*c->words));
    c->lens = xcalloc(REDIS_ARGS_MAX, sizeof(*c->lens));
    make_waker(c);
    redis_subs_init(c);
    redis_topology_init(&c->topology, c);
    return c;
}

static void drop_calls(struct redis_cluster *c, struct list *calls)
{
    struct list *node;
    while ((node = list_take(calls)) != NULL) free_call(c, redis_call_of(node));
}

static void free_node(struct redis_cluster *c, struct redis_node *node)
{
    for (int kind = 0; kind < REDIS_LANES; kind++) {
        struct redis_lane *lane = &node->lanes[kind];
        if (lane->conn != NULL) redis_conn_take_sent(lane->conn, &lane->waiting);
        drop_calls(c, &lane->waiting);
        redis_lane_close(lane);
    }
    redis_ear_close(&node->ear);
    free(node);
}

void redis_cluster_free(struct redis_cluster *c)
{
    if (c == NULL) return;
    redis_topology_deinit(&c->topology);
    for (size_t i = 0; i < c->node_cap; i++)
        if (c->nodes[i] != NULL) free_node(c, c->nodes[i]);
    redis_subs_deinit(c);
    drop_calls(c, &c->unrouted);
    drop_calls(c, &c->delayed);
    ASSERT(c->under_way == 0 && c->bytes == 0);
    uv_close((uv_handle_t *)&c->waker->idle, on_waker_gone);
    tls_free(c->tls);
    free(c->words);
    free(c->lens);
    free(c);
}

static int64_t tick_lanes(struct redis_cluster *c)
{
    int64_t due_ms = INT64_MAX;
    for (size_t i = 0; i < c->node_cap; i++) {
        for (int kind = 0; c->nodes[i] != NULL && kind < REDIS_LANES; kind++) {
            int64_t lane_ms = redis_lane_tick(&c->nodes[i]->lanes[kind]);
            if (lane_ms < due_ms) due_ms = lane_ms;
        }
    }
    return due_ms;
}

/* First what sends, then what looks at what was sent. What is to be flushed after that wakes the
 * loop. */
int64_t redis_cluster_tick(struct redis_cluster *c, int64_t now_ms)
{
    uv_idle_stop(&c->waker->idle);
    int64_t due_ms = redis_topology_tick(&c->topology);
    due_ms = earlier(due_ms, redis_calls_expire(c, &c->unrouted));
    due_ms = earlier(due_ms, retry_delayed(c));
    due_ms = earlier(due_ms, redis_subs_tick(c));
    flush_lanes(c);
    due_ms = earlier(due_ms, tick_lanes(c));
    redis_nodes_prune(c);
    if (due_ms == INT64_MAX) return due_ms;
    int64_t in_ms = due_ms - redis_now(c);
    return now_ms + (in_ms > 0 ? in_ms : 0);
}

const char *redis_cluster_trouble(const struct redis_cluster *c)
{
    for (size_t i = 0; i < c->node_cap; i++)
        if (c->nodes[i] != NULL && c->nodes[i]->slots > 0 && c->nodes[i]->why[0] != '\0')
            return c->nodes[i]->why;
    if (c->topology.why[0] != '\0') return c->topology.why;
    return c->has_map ? NULL : "not connected yet";
}

size_t redis_cluster_under_way(const struct redis_cluster *c)
{
    return c->under_way;
}

const struct redis_cluster_stats *redis_cluster_stats(const struct redis_cluster *c)
{
    return &c->stats;
}
