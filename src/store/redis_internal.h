/* What the files of the Redis client share. For whoever uses it: store/redis_cluster.h.
 *
 *   redis_cluster.c    calls in and out: limits, time-outs, retries
 *   redis_route.c      nodes, who has which slot
 *   redis_lane.c       what waits for a master, and the connection that it waits for
 *   redis_topology.c   asks for the map of slots
 *   redis_subs.c       channels
 *
 * A call is at one place at a time: in a lane (`waiting`), in a connection (sent), or in the cluster's
 * `unrouted` (nobody has its slot) or `delayed` (to be sent again, later). */
#ifndef STOA_STORE_REDIS_INTERNAL_H
#define STOA_STORE_REDIS_INTERNAL_H

#include "base/limit.h"
#include "base/map.h"
#include "base/rng.h"
#include "store/redis_answer.h"
#include "store/redis_cluster.h"
#include "store/redis_conn.h"

#define REDIS_WHY_BYTES 512

struct redis_node;
struct redis_lane;

/* --- calls ----------------------------------------------------------------------------------- */

struct redis_call {
    struct redis_request request; /* its node is that of all the lists */
    char *formatted;              /* its bytes; hiredis's */
    uint64_t number;              /* in the order of the calls */
    int64_t deadline_ms;          /* by then it has to be sent; so rises with the number */
    int64_t due_ms;               /* in `delayed` */
    uint16_t slot;
    bool has_key; /* else any master will do */
    bool is_replicated;
    unsigned attempts;
    redis_reply_cb *cb;
    void *arg;
};

struct redis_call *redis_call_of(struct list *node);
/* By number. */
void redis_call_insert(struct list *list, struct redis_call *call);
/* Fires the callback, and frees the call, which is in no list. */
void redis_call_finish(struct redis_cluster *c, struct redis_call *call, int err,
                       const redisReply *reply);
/* A reply has come to a lane, for a call that is in no list. */
void redis_call_answered(struct redis_lane *lane, struct redis_call *call, const redisReply *reply);
/* Finishes those of a list by number whose time is over. Returns when the next one's is. */
int64_t redis_calls_expire(struct redis_cluster *c, struct list *list);

/* --- lanes ----------------------------------------------------------------------------------- */

enum redis_lane_kind { REDIS_PLAIN, REDIS_REPLICATED, REDIS_LANES };

struct redis_lane {
    struct redis_node *node;
    enum redis_lane_kind kind;
    struct redis_conn *conn; /* NULL: none, or lost */
    struct list waiting;     /* calls by number */
    struct list dirty;       /* in the cluster's, while it is to be flushed */
    unsigned failures;       /* in a row */
    int64_t retry_ms;        /* no connection before */
};

void redis_lane_init(struct redis_lane *lane, struct redis_node *node, enum redis_lane_kind kind);
void redis_lane_close(struct redis_lane *lane); /* its calls are elsewhere, or dropped */
void redis_lane_put(struct redis_lane *lane, struct redis_call *call);
void redis_lane_flush(struct redis_lane *lane);
int64_t redis_lane_tick(struct redis_lane *lane);
bool redis_lane_is_used(const struct redis_lane *lane);

/* --- channels of one node -------------------------------------------------------------------- */

struct redis_ear {
    struct redis_node *node;
    struct redis_conn *conn;
    struct list wanted; /* subs that are at home here, and that it was not asked for yet */
    struct list subs;   /* and those for which it was */
    struct list asked;  /* SSUBSCRIBE and SUNSUBSCRIBE that are unanswered, in order */
    unsigned failures;
    int64_t retry_ms;
};

void redis_ear_init(struct redis_ear *ear, struct redis_node *node);
void redis_ear_close(struct redis_ear *ear);
bool redis_ear_is_used(const struct redis_ear *ear);

/* --- nodes ----------------------------------------------------------------------------------- */

struct redis_node {
    struct redis_cluster *cluster;
    struct redis_host host;
    uint16_t index;
    uint32_t slots;  /* how many it has */
    int64_t used_ms; /* when it last had some, or something to do */
    struct redis_lane lanes[REDIS_LANES];
    struct redis_ear ear;
    char why[REDIS_WHY_BYTES]; /* of its trouble, "": none */
};

/* Makes it, if need be; NULL: too many. */
struct redis_node *redis_node_get(struct redis_cluster *c, const struct redis_host *host);
struct redis_node *redis_owner(const struct redis_cluster *c, uint16_t slot); /* NULL: nobody */
/* Connections that come and go, for the log and for the map. */
void redis_node_well(struct redis_node *node);
void redis_node_ill(struct redis_node *node, const char *why);
/* A connection may be tried again then, after so many failures in a row. */
int64_t redis_retry_at(struct redis_cluster *c, unsigned failures);

/* To where the call belongs now. */
void redis_route(struct redis_cluster *c, struct redis_call *call);
void redis_route_moved(struct redis_cluster *c, const struct redis_redirect *redirect);
/* A new map: redis_map_begin(), then redis_map_range() for each range, then redis_map_end(). */
void redis_map_begin(struct redis_cluster *c);
void redis_map_range(void *cluster, const struct redis_range *range);
void redis_map_end(struct redis_cluster *c, bool is_cluster);
/* Closes what nobody needs. */
void redis_nodes_prune(struct redis_cluster *c);

/* --- the map of slots ------------------------------------------------------------------------ */

enum redis_topology_state {
    TOPOLOGY_RESTS,
    TOPOLOGY_CONNECTS,
    TOPOLOGY_ASKS_SLOTS,
    TOPOLOGY_ASKS_ROLE
};

struct redis_topology {
    struct redis_cluster *cluster;
    struct redis_conn *conn;
    struct redis_request question;
    enum redis_topology_state state;
    int64_t due_ms;           /* when to ask again */
    int64_t asked_ms;         /* when the question was begun */
    int64_t known_ms;         /* when the last answer came; INT64_MIN: never */
    unsigned fruitless;       /* answers in short order from one node */
    unsigned failures;        /* in a row */
    struct redis_host *hosts; /* whom to ask: the nodes of the last map, and those of the URL */
    size_t host_count, host_cap, next_host;
    char why[REDIS_WHY_BYTES];
};

void redis_topology_init(struct redis_topology *t, struct redis_cluster *c);
void redis_topology_deinit(struct redis_topology *t);
/* The map may be out of date. */
void redis_topology_want(struct redis_topology *t);
int64_t redis_topology_tick(struct redis_topology *t);

/* --- channels -------------------------------------------------------------------------------- */

struct redis_subs {
    struct map channels;
    struct list homeless; /* subs whose slot nobody has, or who are to be tried again */
    int64_t retry_ms;     /* the homeless; INT64_MAX: none */
};

void redis_subs_init(struct redis_cluster *c);
void redis_subs_deinit(struct redis_cluster *c);
/* Slots have other masters. */
void redis_subs_rehome(struct redis_cluster *c);
int64_t redis_subs_tick(struct redis_cluster *c);

/* --- the cluster ----------------------------------------------------------------------------- */

struct redis_waker;

struct redis_cluster {
    struct redis_cluster_setup setup; /* but for url */
    struct redis_url url;
    struct tls *tls; /* owned; NULL: plain */
    struct rng rng;
    struct redis_cluster_stats stats;
    struct redis_waker *waker; /* runs a turn of the loop for what was called after the tick */

    struct redis_node *nodes[LIMIT_REDIS_NODES]; /* NULL: free */
    size_t node_cap;                             /* there are none from here on */
    uint16_t owners[REDIS_SLOTS];                /* index of a node + 1, 0: nobody */
    bool has_map;
    bool is_cluster; /* else a single server */
    uint32_t replicas;
    int64_t prune_ms;

    uint64_t next_number;
    size_t under_way, bytes;
    struct list unrouted; /* by number */
    struct list delayed;
    struct list dirty; /* lanes */
    struct redis_topology topology;
    struct redis_subs subs;
    const char **words; /* of the command that is being formatted */
    size_t *lens;
};

static inline int64_t redis_now(const struct redis_cluster *c)
{
    return (int64_t)uv_now(c->setup.loop);
}

/* There is something to flush. */
void redis_wake(struct redis_cluster *c);

#endif
