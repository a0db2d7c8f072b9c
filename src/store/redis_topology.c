/* Asks for the map of slots, on a connection of its own, so that a master that hangs does not hold it
 * up: any node that answers will do, replicas too.
 *
 *   rests --due--> connects --> asks CLUSTER SLOTS --> rests
 *                     ^              |  '--"cluster support disabled"--> asks ROLE --> rests
 *                     '--- next host <-- lost, late, or no answer of use
 *
 * A single server has all slots, if it is a master. */
#include "base/alloc.h"
#include "store/redis_internal.h"

#define QUESTION_MS 1000
#define LEAST_MS    200   /* between two that are wanted */
#define PERIOD_MS   30000 /* between two that nobody wanted */
#define FRUITLESS   4     /* then another node is asked: this one may be cut off from the others */
#define SHORT_MS    2000  /* wanted again so soon, an answer was of no help */
#define SLOTS_WORDS "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"
#define ROLE_WORDS  "*1\r\n$4\r\nROLE\r\n"
#define IS_DISABLED "cluster support disabled"

/* --- whom to ask ----------------------------------------------------------------------------- */

static void add_host(struct redis_topology *t, const struct redis_host *host)
{
    for (size_t i = 0; i < t->host_count; i++)
        if (redis_host_eq(&t->hosts[i], host)) return;
    if (t->host_count == t->host_cap) {
        t->host_cap = t->host_cap > 0 ? t->host_cap * 2 : REDIS_HOSTS_MAX;
        t->hosts = xrealloc(t->hosts, t->host_cap * sizeof(*t->hosts));
    }
    t->hosts[t->host_count++] = *host;
}

static void add_range_hosts(void *topology, const struct redis_range *range)
{
    struct redis_topology *t = topology;
    for (size_t i = 0; i < range->node_count && t->host_count < LIMIT_REDIS_NODES; i++)
        add_host(t, &range->nodes[i]);
}

static void add_url_hosts(struct redis_topology *t)
{
    const struct redis_url *url = &t->cluster->url;
    for (size_t i = 0; i < url->host_count; i++) add_host(t, &url->hosts[i]);
}

/* --- outcomes -------------------------------------------------------------------------------- */

static void rest_until(struct redis_topology *t, int64_t due_ms)
{
    t->state = TOPOLOGY_RESTS;
    t->due_ms = due_ms;
    redis_wake(t->cluster);
}

static void drop_conn(struct redis_topology *t)
{
    struct list forgotten;
    list_init(&forgotten);
    if (t->conn != NULL) redis_conn_take_sent(t->conn, &forgotten);
    list_init(&t->question.node);
    redis_conn_free(t->conn);
    t->conn = NULL;
}

/* The next host at once; a pause when all have been tried. */
static void fail(struct redis_topology *t, const char *why)
{
    struct redis_cluster *c = t->cluster;
    const struct redis_host *host = &t->hosts[t->next_host];
    snprintf(t->why, sizeof(t->why), "%s:%u: %.200s", host->name, host->port, why);
    counter_add(&c->stats.redis_refresh_failures_total, 1);
    drop_conn(t);
    t->failures++;
    t->fruitless = 0;
    t->next_host = (t->next_host + 1) % t->host_count;
    bool is_round_over = t->failures % t->host_count == 0;
    rest_until(t, is_round_over ? redis_retry_at(c, t->failures / (unsigned)t->host_count)
                                : redis_now(c));
}

static void succeed(struct redis_topology *t, bool is_cluster)
{
    struct redis_cluster *c = t->cluster;
    int64_t now_ms = redis_now(c);
    bool is_short = t->known_ms != INT64_MIN && now_ms - t->known_ms < SHORT_MS;
    counter_add(&c->stats.redis_refreshes_total, 1);
    t->fruitless = is_short ? t->fruitless + 1 : 0;
    t->known_ms = now_ms;
    t->failures = 0;
    t->why[0] = '\0';
    rest_until(t, now_ms + PERIOD_MS - (int64_t)rng_below(&c->rng, PERIOD_MS / 4));
    redis_map_end(c, is_cluster);
}

/* --- questions and answers ------------------------------------------------------------------- */

static void ask(struct redis_topology *t, enum redis_topology_state state, struct str words)
{
    t->state = state;
    t->question.bytes = words;
    redis_conn_send(t->conn, &t->question);
    redis_conn_flush(t->conn);
}

static void take_map(struct redis_topology *t, const redisReply *reply)
{
    struct redis_cluster *c = t->cluster;
    const struct redis_host asked = *redis_conn_host(t->conn);
    if (reply->elements == 0) {
        fail(t, "the Cluster has no slots yet");
        return;
    }
    t->host_count = 0;
    t->next_host = 0;
    add_host(t, &asked);
    redis_ranges_read(reply, &asked, add_range_hosts, t);
    add_url_hosts(t);
    redis_map_begin(c);
    redis_ranges_read(reply, &asked, redis_map_range, c);
    succeed(t, true);
}

static void ignore_range(void *arg, const struct redis_range *range)
{
    (void)arg, (void)range;
}

static void slots_answered(struct redis_topology *t, const redisReply *reply)
{
    if (reply->type == REDIS_REPLY_ERROR && strstr(reply->str, IS_DISABLED) != NULL)
        ask(t, TOPOLOGY_ASKS_ROLE, STR(ROLE_WORDS));
    else if (reply->type == REDIS_REPLY_ERROR)
        fail(t, reply->str);
    else if (redis_ranges_read(reply, redis_conn_host(t->conn), ignore_range, NULL) != 0)
        fail(t, "what it says of its slots cannot be understood");
    else
        take_map(t, reply);
}

/* One who may not say is taken for a master. */
static bool is_replica(const redisReply *reply)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements == 0) return false;
    const redisReply *role = reply->element[0];
    return role->type == REDIS_REPLY_STRING &&
           !str_eq(str_make(role->str, role->len), STR("master"));
}

static void role_answered(struct redis_topology *t, const redisReply *reply)
{
    struct redis_cluster *c = t->cluster;
    struct redis_range all = {.first = 0, .last = REDIS_SLOTS - 1, .node_count = 1};
    if (is_replica(reply)) {
        fail(t, "is no master; name that one, too, in the store's URL");
        return;
    }
    all.nodes[0] = *redis_conn_host(t->conn);
    redis_map_begin(c);
    redis_map_range(c, &all);
    succeed(t, false);
}

static void on_reply(void *arg, struct redis_request *request, int err, const redisReply *reply)
{
    struct redis_topology *t = arg;
    (void)request, (void)err; /* without WAIT there is always a reply */
    if (t->state == TOPOLOGY_ASKS_ROLE)
        role_answered(t, reply);
    else
        slots_answered(t, reply);
}

static void on_ready(void *arg)
{
    ask(arg, TOPOLOGY_ASKS_SLOTS, STR(SLOTS_WORDS));
}

static void on_room(void *arg)
{
    (void)arg;
}

static void on_lost(void *arg, const char *why)
{
    struct redis_topology *t = arg;
    if (t->state != TOPOLOGY_RESTS)
        fail(t, why);
    else
        drop_conn(t);
}

static const struct redis_conn_events EVENTS = {
    .on_ready = on_ready, .on_room = on_room, .on_reply = on_reply, .on_lost = on_lost};

static void begin(struct redis_topology *t)
{
    struct redis_cluster *c = t->cluster;
    t->asked_ms = redis_now(c);
    if (t->fruitless >= FRUITLESS) {
        drop_conn(t);
        t->fruitless = 0;
        t->next_host = (t->next_host + 1) % t->host_count;
    }
    if (t->conn != NULL) {
        ask(t, TOPOLOGY_ASKS_SLOTS, STR(SLOTS_WORDS));
        return;
    }
    struct redis_conn_setup setup = {.loop = c->setup.loop,
                                     .host = &t->hosts[t->next_host],
                                     .url = &c->url,
                                     .tls = c->tls,
                                     .events = &EVENTS,
                                     .arg = t,
                                     .stats = &c->stats};
    t->state = TOPOLOGY_CONNECTS;
    t->conn = redis_conn_new(&setup);
}

/* --- for the cluster ------------------------------------------------------------------------- */

void redis_topology_init(struct redis_topology *t, struct redis_cluster *c)
{
    *t = (struct redis_topology){.cluster = c, .known_ms = INT64_MIN};
    list_init(&t->question.node);
    add_url_hosts(t);
    rest_until(t, redis_now(c));
}

void redis_topology_deinit(struct redis_topology *t)
{
    drop_conn(t);
    free(t->hosts);
    *t = (struct redis_topology){0};
}

void redis_topology_want(struct redis_topology *t)
{
    if (t->state != TOPOLOGY_RESTS || t->failures > 0) return; /* it is at it */
    int64_t due_ms = redis_now(t->cluster);
    if (t->known_ms != INT64_MIN && t->known_ms + LEAST_MS > due_ms)
        due_ms = t->known_ms + LEAST_MS;
    if (due_ms < t->due_ms) rest_until(t, due_ms);
}

int64_t redis_topology_tick(struct redis_topology *t)
{
    int64_t now_ms = redis_now(t->cluster);
    if (t->state == TOPOLOGY_RESTS && now_ms < t->due_ms) return t->due_ms;
    if (t->state == TOPOLOGY_RESTS) begin(t);
    int64_t late_ms = t->asked_ms + redis_url_patience(&t->cluster->url, QUESTION_MS);
    if (now_ms >= late_ms) fail(t, "no answer to CLUSTER SLOTS in time");
    return t->state == TOPOLOGY_RESTS ? t->due_ms : late_ms;
}
