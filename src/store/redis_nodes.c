/* The fleet: which nodes there are, which room is assigned where, and who holds a lease. All of it in
 * one slot. Nodes and leases go by the server's clock, so that those of the nodes need not agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_bytes.h"
#include "store/redis_store.h"

#define RECORD_VERSION 1 /* of the form of a record; others are not read */

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* Empty: the server's clock. */
static void words_clock(struct redis_store *s, int64_t now_ms)
{
    if (s->is_callers_clock)
        words_i64(&s->words, now_ms);
    else
        words_lit(&s->words, "");
}

static struct str fleet_key(struct redis_store *s, const char *suffix)
{
    return words_key(&s->words, STR("stoa"), suffix);
}

/* Nodes that edges reach, and the others. */
static struct str nodes_key(struct redis_store *s, bool is_reachable)
{
    return fleet_key(s, is_reachable ? ":nodes" : ":others");
}

/* --- a record as bytes: numbers, lower byte first, and strings behind a byte of length -------- */

static void add_number(struct buf *b, uint64_t value, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) buf_add_char(b, (char)(value >> 8 * i & 0xff));
}

static void add_string(struct buf *b, const char *text)
{
    add_number(b, strlen(text), 1);
    buf_add_str(b, str_of(text));
}

static void pack(struct buf *b, const struct node_record *node)
{
    add_number(b, RECORD_VERSION, 1);
    add_string(b, node->name);
    add_string(b, node->sect);
    add_string(b, node->link);
    add_string(b, node->version);
    add_number(b, node->is_vip, 1);
    add_number(b, (uint64_t)node->started_ms, 8);
    add_number(b, node->busy_percent, 4);
    add_number(b, node->rooms, 8);
    add_number(b, node->online, 8);
    add_number(b, node->connections, 8);
    add_number(b, node->links, 8);
    add_number(b, node->hot_count, 1);
    for (uint32_t i = 0; i < node->hot_count; i++) {
        add_string(b, node->hot[i].room);
        add_number(b, node->hot[i].online, 8);
        add_number(b, node->hot[i].deliveries_per_s, 8);
    }
}

static bool take_string(struct redis_bytes *b, char *ret, size_t cap)
{
    return str_copy(bytes_str(b, 1), ret, cap);
}

static bool unpack_hot(struct redis_bytes *b, struct node_record *node)
{
    uint64_t count = bytes_u(b, 1);

    if (count > NODE_HOT_MAX) return false;
    node->hot_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        struct node_hot_room *hot = &node->hot[i];
        if (!take_string(b, hot->room, sizeof(hot->room))) return false;
        hot->online = bytes_u(b, 8);
        hot->deliveries_per_s = bytes_u(b, 8);
    }
    return true;
}

/* False: of another form, or broken. */
static bool unpack(struct str bytes, struct node_record *node)
{
    struct redis_bytes b = {bytes, false};

    *node = (struct node_record){0};
    if (bytes_u(&b, 1) != RECORD_VERSION) return false;
    bool fits = take_string(&b, node->name, sizeof(node->name));
    fits &= take_string(&b, node->sect, sizeof(node->sect));
    fits &= take_string(&b, node->link, sizeof(node->link));
    fits &= take_string(&b, node->version, sizeof(node->version));
    node->is_vip = bytes_u(&b, 1) != 0;
    node->started_ms = (int64_t)bytes_u(&b, 8);
    node->busy_percent = (uint32_t)bytes_u(&b, 4);
    node->rooms = bytes_u(&b, 8);
    node->online = bytes_u(&b, 8);
    node->connections = bytes_u(&b, 8);
    node->links = bytes_u(&b, 8);
    return fits && unpack_hot(&b, node) && !b.is_broken;
}

/* --- beats ----------------------------------------------------------------------------------- */

static void on_taken(struct redis_store *s, void *arg, const redisReply *reply)
{
    redis_done(s, arg, redis_u64(reply) == 1 ? 0 : ERR_OVERLOADED);
}

int redis_node_beat(struct store *store, const struct store_node_beat *in, store_done_cb *cb,
                    void *arg)
{
    struct redis_store *s = redis_of(store);
    struct beat_job *job = beat_job_new(in, cb, arg);
    struct buf record = {0};

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    pack(&record, in->node);
    words_begin(&s->words);
    words_call(&s->words, "node_beat", nodes_key(s, in->node->link[0] != '\0'));
    words_clock(s, in->now_ms);
    words_i64(&s->words, in->ttl_ms);
    words_str(&s->words, str_of(in->node->name));
    words_str(&s->words, buf_str(&record));
    words_u64(&s->words, LIMIT_NODES);
    redis_ask_for(s, &job->job, on_taken, false);
    buf_deinit(&record);
    return 0;
}

/* --- routes ---------------------------------------------------------------------------------- */

/* The parts of an answer, as they come: nodes, the others if they are asked for, assignments. */
struct gathering {
    struct routes_job *job;
    struct node_record *nodes;
    size_t node_count;
};

static void gathering_free(struct gathering *g)
{
    free(g->nodes);
    free(g);
}

static void gathering_lost(struct redis_store *s, void *arg)
{
    struct gathering *g = arg;

    redis_done(s, &g->job->job, ERR_STORE_UNAVAILABLE);
    gathering_free(g);
}

static int compare_nodes(const void *a, const void *b)
{
    return strcmp(((const struct node_record *)a)->name, ((const struct node_record *)b)->name);
}

static int compare_routes(const void *a, const void *b)
{
    return strcmp(((const struct route *)a)->room, ((const struct route *)b)->room);
}

/* "a since sect" of the switch, "o since sect" of an operator. */
static bool route_parse(struct str room, struct str value, struct route *ret)
{
    struct str rest;
    uint64_t since_ms;

    *ret = (struct route){.is_automatic = str_eq(str_split(value, ' ', &rest), STR("a"))};
    if (!str_parse_u64(str_split(rest, ' ', &rest), &since_ms)) return false;
    ret->since_ms = (int64_t)since_ms;
    return str_copy(room, ret->room, sizeof(ret->room)) &&
           str_copy(rest, ret->sect, sizeof(ret->sect));
}

static void on_assignments(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct gathering *g = arg;
    struct routes_job *job = g->job;
    size_t pairs = reply->type == REDIS_REPLY_ARRAY ? reply->elements / 2 : 0, count = 0;
    struct node_record *nodes;
    struct route *assigned;

    struct routes *routes = routes_alloc(g->node_count, pairs, &nodes, &assigned);
    if (g->node_count > 0) memcpy(nodes, g->nodes, g->node_count * sizeof(*nodes));
    for (size_t i = 0; i < pairs; i++)
        if (route_parse(redis_str(reply->element[2 * i]), redis_str(reply->element[2 * i + 1]),
                        &assigned[count]))
            count++;
    routes->route_count = count;
    qsort(nodes, g->node_count, sizeof(*nodes), compare_nodes);
    qsort(assigned, count, sizeof(*assigned), compare_routes);
    routes->version = routes_version(routes);
    if (routes->version == job->in.known)
        free(routes);
    else
        job->out = routes;
    redis_done(s, &job->job, 0);
    gathering_free(g);
}

static void ask_assignments(struct redis_store *s, struct gathering *g)
{
    words_begin(&s->words);
    words_command(&s->words, "HGETALL", fleet_key(s, ":routes"));
    redis_ask(
        s, &(struct redis_question){.then = on_assignments, .otherwise = gathering_lost, .arg = g});
}

static void take_nodes(struct gathering *g, const redisReply *reply)
{
    size_t count = reply->type == REDIS_REPLY_ARRAY ? reply->elements : 0;

    g->nodes = xrealloc(g->nodes, (g->node_count + count + 1) * sizeof(*g->nodes));
    for (size_t i = 0; i < count; i++)
        if (unpack(redis_str(reply->element[i]), &g->nodes[g->node_count])) g->node_count++;
}

static void on_others(struct redis_store *s, void *arg, const redisReply *reply)
{
    take_nodes(arg, reply);
    ask_assignments(s, arg);
}

static void ask_nodes(struct redis_store *s, struct gathering *g, bool is_reachable,
                      redis_then *then)
{
    words_begin(&s->words);
    words_call(&s->words, "nodes", nodes_key(s, is_reachable));
    words_clock(s, g->job->in.now_ms);
    redis_ask(s, &(struct redis_question){.then = then, .otherwise = gathering_lost, .arg = g});
}

static void on_nodes(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct gathering *g = arg;

    take_nodes(g, reply);
    if (g->job->in.with_others)
        ask_nodes(s, g, false, on_others);
    else
        ask_assignments(s, g);
}

int redis_routes_get(struct store *store, const struct store_routes_get *in, store_routes_cb *cb,
                     void *arg)
{
    struct redis_store *s = redis_of(store);
    struct routes_job *job = routes_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    struct gathering *g = xcalloc(1, sizeof(*g));
    g->job = job;
    ask_nodes(s, g, true, on_nodes);
    return 0;
}

int redis_route_put(struct store *store, const struct store_route_put *in, store_done_cb *cb,
                    void *arg)
{
    struct redis_store *s = redis_of(store);
    struct route_job *job = route_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    words_begin(&s->words);
    words_call(&s->words, "route_put", fleet_key(s, ":routes"));
    words_str(&s->words, in->room);
    words_str(&s->words, in->sect);
    words_lit(&s->words, in->is_automatic ? "1" : "0");
    words_i64(&s->words, in->now_ms);
    words_u64(&s->words, LIMIT_ROUTES);
    redis_ask_for(s, &job->job, on_taken, true);
    return 0;
}

/* --- leases ---------------------------------------------------------------------------------- */

static void on_lease(struct redis_store *s, void *arg, const redisReply *reply)
{
    struct lease_job *job = arg;

    job->is_held = redis_u64(reply) == 1;
    redis_done(s, &job->job, 0);
}

int redis_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb, void *arg)
{
    struct redis_store *s = redis_of(store);
    struct lease_job *job = lease_job_new(in, cb, arg);

    int err = redis_start(s, &job->job);
    if (err != 0) return err;
    words_begin(&s->words);
    words_call(&s->words, "lease", fleet_key(s, ":leases"));
    words_clock(s, in->now_ms);
    words_i64(&s->words, in->ttl_ms);
    words_str(&s->words, in->name);
    words_str(&s->words, in->holder);
    redis_ask_for(s, &job->job, on_lease, false);
    return 0;
}
