/* What the hub asks of a store: domain verbs, asynchronous in shape.
 *
 * A driver (src/store/) embeds `struct store` as its first member and fills in `ops`. Rules that
 * every driver keeps, and that test/store/conformance.c checks of each, plain and under faults:
 *
 *  1. A call that returns 0 has started: its callback fires exactly once, later, from inside
 *     store_dispatch(), on the thread that called. A call that returns an error never fires it. All
 *     calls, callbacks and store_dispatch() happen on one thread, the hub's; a driver with threads
 *     of its own wakes the hub through `env.wake`, and hands its results over in store_dispatch().
 *  2. Arguments are borrowed for the time of the call (the driver copies what it keeps); results
 *     are borrowed for the time of the callback.
 *  3. Appends to one list complete in the order of their calls, with strictly increasing ids per
 *     room (over both lists); prev names the id before it in the same list. Ids are never given
 *     twice.
 *  4. An append is durable before its callback says so (as durable as the driver promises), and a
 *     read issued after that callback sees it.
 *  5. The same idempotency key in the same room within LIMIT_IDEMPOTENCY_MS gives the first id
 *     again, stores nothing, and costs no quota; also when the room has been closed since.
 *  6. Notifications are hints: they may be lost, doubled or late. Correctness never rests on them.
 *  7. An append whose callback says ERR_STORE_UNAVAILABLE may or may not have been stored; the
 *     caller repeats it with the same key. Every other error means that nothing was stored.
 *  8. Viewers are unions and a sample replaces its node's with its time: whoever is told
 *     ERR_STORE_UNAVAILABLE says it again, and it counts once. They keep no order, neither among
 *     each other nor with appends; what was taken is as durable as an append, and a count that is
 *     asked for after that holds it.
 *
 * A message's own news come after its acknowledgement, and news of one list in the order of their
 * ids. The store knows rooms by their key "app/room". Callbacks may issue new calls, but not close
 * the store. On an error the result is NULL, but for appends, whose result then holds
 * retry_after_ms. */
#ifndef STOA_CORE_STORE_H
#define STOA_CORE_STORE_H

#include "base/counter.h"
#include "core/message.h"
#include "core/room.h"
#include "core/routes.h"
#include "core/sample.h"
#include "core/viewers.h"

struct store;

struct uv_loop_s;
struct link_settings; /* store/link.h */

struct store_env {
    struct uv_loop_s *loop; /* the hub's; drivers with sockets live on it. NULL where the driver has
                                none */
    void (*wake)(void *arg); /* any thread may call it; leads to store_dispatch() soon */
    void *wake_arg;
    /* News in a watched room: a message just stored. Called from store_dispatch(); borrowed. */
    void (*on_news)(void *arg, struct str room, const struct message *message);
    void *news_arg;
};

/* Retention, per list: a message goes when it is older than max_age_ms or not among the newest
 * max_count. A driver removes in the background, in bounded steps, so a message may stay somewhat
 * longer. What has gone is told by store_range.trimmed. */
struct store_retention {
    int64_t max_age_ms; /* 0: no limit */
    uint64_t max_count; /* 0: no limit */
};

/* History: buckets of viewers and samples go when they are older than max_age_ms; samples of
 * minutes become one an hour when they are older than thin_age_ms. In the background, as above. The
 * viewers of a room's whole life stay. */
struct store_history {
    int64_t max_age_ms;  /* 0: no limit */
    int64_t thin_age_ms; /* 0: never */
};

struct store_config {
    struct store_env env;
    struct store_retention retention[LIST_KINDS];
    struct store_history history;
    const struct link_settings *link; /* borrowed as long as the store; NULL: no link:// store */
};

struct store_append {
    struct str room;
    struct message message; /* id, prev and ordinal are ignored: the store gives them */
    struct str key;         /* idempotency key, or empty */
    bool only_known; /* gives the id of a known key, and appends nothing: else ERR_NOT_FOUND */
    uint32_t per_s;  /* quota of this room and list in messages per second, 0: none */
    int64_t now_ms;
};

struct store_appended {
    uint64_t id, prev, ordinal;
    bool duplicate;         /* the key was known: this is the first message's id */
    int64_t retry_after_ms; /* with ERR_ROOM_RATE */
};

/* err: 0, ERR_ROOM_RATE, ERR_ROOM_NOT_FOUND, ERR_ROOM_CLOSED, ERR_STORE_UNAVAILABLE. */
typedef void store_append_cb(void *arg, int err, const struct store_appended *appended);

enum store_direction {
    STORE_AFTER,  /* the oldest ones with id > from, in id order */
    STORE_BEFORE, /* the newest ones with id < from, in id order too */
};

struct store_read {
    struct str room;
    enum list_kind list;
    enum store_direction direction;
    uint64_t from; /* UINT64_MAX with STORE_BEFORE: the newest */
    uint32_t limit;
};

struct store_range {
    const struct message *messages; /* in id order */
    size_t count;
    bool more; /* there are more in this direction. Fewer than `limit` may come with it, when their
                  bytes exceed what a driver holds at once (at least one comes) */
    uint64_t trimmed; /* highest id of this list that retention has removed, 0: none. A reader that
                         holds an id below it has a gap. */
    uint64_t tail;    /* newest id ever given in this list, kept or not; 0: none */
    uint64_t tail_ordinal; /* its ordinal */
};

/* err: 0, ERR_STORE_UNAVAILABLE. A room without messages reads as an empty range. */
typedef void store_read_cb(void *arg, int err, const struct store_range *range);

/* The end of a list, as a node knows it. */
struct store_tail {
    uint64_t id, ordinal;
};

struct store_room_put {
    struct str room;
    bool only_new; /* a room that is there stays as it is: ERR_ROOM_EXISTS */
    /* A store that lost the room begins its lists behind what the caller knows of them: ids and
     * ordinals go on from there, and what was before is told as trimmed. 0: nothing is known. */
    struct store_tail known[LIST_KINDS];
    struct room_settings settings;
    enum room_state state;
    /* Stored in the high list in the same transaction when the room exists already, so that every
     * cache learns of the change in order. type "room.…"; an empty type stores none. Costs no
     * quota. */
    struct message control;
    int64_t now_ms;
};

/* err: 0, ERR_ROOM_NOT_FOUND, ERR_ROOM_EXISTS, ERR_STORE_UNAVAILABLE. created: the room is new. */
typedef void store_room_cb(void *arg, int err, const struct room_record *record, bool created);

struct store_room_item {
    struct str room;
    struct room_record record;
};

/* err: 0, ERR_STORE_UNAVAILABLE. Rooms of one app in the order of their ids; more: there is another
 * page. */
typedef void store_list_cb(void *arg, int err, const struct store_room_item *items, size_t count,
                           bool more);

typedef void store_ping_cb(void *arg, int err);

#define STORE_VIEWERS_MAX 1024 /* users of one add */

/* Users who were in the room during a bucket, in any order; some may be known already. */
struct store_viewers_add {
    struct str room;
    int64_t bucket_ms;       /* viewers_bucket() of the time */
    const struct str *users; /* 1 .. STORE_VIEWERS_MAX */
    size_t count;
};

/* The same as a sketch, from where there are too many to name. */
struct store_viewers_merge {
    struct str room;
    int64_t bucket_ms;
    struct str sketch; /* HLL_DENSE_BYTES, as hll_write() gives them */
};

/* Which viewers to count: those of the buckets that begin in [viewers_bucket(from_ms), to_ms), or,
 * with to_ms 0, of the room's whole life. */
struct store_viewers_count {
    struct str room;
    int64_t from_ms, to_ms;
};

/* err: 0, ERR_ROOM_NOT_FOUND, ERR_BAD_REQUEST (no sketch), ERR_STORE_UNAVAILABLE. count: what was
 * asked for; of an add and a merge, that of the room's life, in which they need not be yet where
 * counting is not done at once. */
typedef void store_viewers_cb(void *arg, int err, const struct viewers_count *count);

struct store_sample_put {
    struct str room;
    struct str node;      /* its name, 1 .. LIMIT_NODE_NAME bytes */
    struct sample sample; /* replaces one of the same node with the same at_ms */
};

/* err: 0, ERR_ROOM_NOT_FOUND, ERR_STORE_UNAVAILABLE. */
typedef void store_sample_cb(void *arg, int err);

/* Samples of several nodes of one time are one: joins add up, of everything else the largest counts,
 * since all of them saw the same room. Those that follow each other within a minute, of one node or
 * of several, add up. */
struct store_sample_range {
    struct str room;
    int64_t from_ms, to_ms; /* samples that begin in [from_ms, to_ms) */
    int64_t step_ms;        /* those of one step (core/sample.h) come as one */
    uint32_t limit;
};

/* err: 0, ERR_ROOM_NOT_FOUND, ERR_STORE_UNAVAILABLE. In the order of time, none for a step without
 * any; more: there are more than the limit. */
typedef void store_samples_cb(void *arg, int err, const struct sample *samples, size_t count,
                              bool more);

#define STORE_PRESENCE_MAX    1024        /* users of one put */
#define STORE_PRESENCE_TTL_MS (60 * 1000) /* whom no node has named for so long is gone */

/* A user, as the nodes know them. */
struct store_present {
    struct str user;
    int64_t since_ms, seen_ms; /* whom nobody has named anew lapses by seen_ms */
    bool is_gone;              /* in a put: not at this node any more */
};

/* What one node has to say of who is in a room: users when they come and when they go, and those who
 * stay again before STORE_PRESENCE_TTL_MS is over. Puts of one room count in the order of their
 * calls. Without a node, and with is_gone: users who left by themselves at seen_ms are at no node any
 * more, but whom one has named as seen later has come back. */
struct store_presence_put {
    struct str room;
    struct str node;                   /* its name, at most LIMIT_NODE_NAME bytes; empty: all */
    const struct store_present *users; /* 1 .. STORE_PRESENCE_MAX */
    size_t count;
    int64_t now_ms;
};

/* err: 0, ERR_OVERLOADED (more than LIMIT_ROOM_NODES nodes in this room), ERR_STORE_UNAVAILABLE. */
typedef void store_presence_put_cb(void *arg, int err);

/* err: 0, ERR_STORE_UNAVAILABLE. as_of_ms: when it was counted, which may be a while ago where many
 * nodes share the counting. */
typedef void store_presence_count_cb(void *arg, int err, uint64_t online, int64_t as_of_ms);

struct store_presence_query {
    struct str room;
    struct str after;  /* begin behind this user, who need not be here; empty: at the first */
    struct str prefix; /* only ids that begin so */
    uint32_t limit;    /* 1 .. STORE_PRESENCE_MAX */
    int64_t now_ms;
};

struct store_presence_page {
    const struct store_present *users;
    size_t count;    /* fewer than the limit may come with `more` */
    bool more;       /* there are more to look at, */
    struct str last; /* behind this user */
};

/* err: 0, ERR_STORE_UNAVAILABLE. In an order of the store's own, the same for all pages: who is here
 * throughout is listed once. */
typedef void store_presence_page_cb(void *arg, int err, const struct store_presence_page *page);

/* err: 0, ERR_OVERLOADED (more than LIMIT_NODES, or LIMIT_ROUTES), ERR_STORE_UNAVAILABLE. */
typedef void store_done_cb(void *arg, int err);

struct store_node_beat {
    const struct node_record *node;
    int64_t ttl_ms; /* live for so long; 0: it goes */
    int64_t now_ms;
};

struct store_routes_get {
    uint64_t
        known; /* the version that the caller has: nothing comes if it is still true. 0: none */
    bool with_others; /* nodes without an address for edges too: they decide no route */
    int64_t now_ms;
};

/* err: 0, ERR_STORE_UNAVAILABLE. routes NULL without an error: what the caller knows is still true. */
typedef void store_routes_cb(void *arg, int err, const struct routes *routes);

struct store_route_put {
    struct str room;
    struct str sect;   /* empty: the room is assigned no more */
    bool is_automatic; /* leaves an assignment by an operator as it is */
    int64_t now_ms;
};

struct store_lease {
    struct str name;   /* of the job, 1 .. LIMIT_NODE_NAME bytes */
    struct str holder; /* the node that asks, 1 .. LIMIT_NODE_NAME bytes */
    int64_t ttl_ms;    /* 0: gives it up */
    int64_t now_ms;
};

/* err: 0, ERR_STORE_UNAVAILABLE. is_held: the holder has it for ttl_ms from the call on. */
typedef void store_lease_cb(void *arg, int err, bool is_held);

/* What a driver counts, since it was opened. Any thread may read. */
struct store_stats {
    struct counter appends;     /* messages stored, control messages among them */
    struct counter duplicates;  /* appends answered from their idempotency key */
    struct counter refused;     /* appends answered with a room's error: quota, closed, not found */
    struct counter failures;    /* calls answered with ERR_STORE_UNAVAILABLE */
    struct counter overloads;   /* calls that failed to start: too many under way */
    struct counter reads;       /* ranges, rooms and lists asked for */
    struct counter reads_known; /* of them, those that needed no look at the store */
    struct counter commits;     /* transactions; appends / commits is the mean group */
    struct counter commit_us;   /* time spent in them, waiting for the disk included */
    struct counter trimmed;     /* messages removed by retention */
    struct counter news;        /* notifications given to env.on_news */
    struct counter news_dropped; /* and those given up: too many waited */
    struct counter resubscribed; /* rooms whose notifications had stopped for a while */
    struct counter viewers;      /* users added to buckets, known ones among them */
    struct counter sketches;     /* sketches merged into buckets */
    struct counter samples;      /* samples stored */
    struct counter thinned;      /* samples that went into one an hour */
    struct counter expired;      /* buckets and samples removed by age */
    struct counter presences;    /* users named by nodes */
    struct counter lapsed;       /* of them, those whom no node named again */
};

struct store_ops {
    int (*append)(struct store *, const struct store_append *, store_append_cb *, void *arg);
    int (*read)(struct store *, const struct store_read *, store_read_cb *, void *arg);
    void (*watch)(struct store *, struct str room);
    void (*unwatch)(struct store *, struct str room);
    int (*room_put)(struct store *, const struct store_room_put *, store_room_cb *, void *arg);
    int (*room_get)(struct store *, struct str room, store_room_cb *, void *arg);
    int (*room_list)(struct store *, struct str app, struct str after, uint32_t limit,
                     store_list_cb *, void *arg);
    int (*ping)(struct store *, store_ping_cb *, void *arg);
    int (*viewers_add)(struct store *, const struct store_viewers_add *, store_viewers_cb *,
                       void *arg);
    int (*viewers_merge)(struct store *, const struct store_viewers_merge *, store_viewers_cb *,
                         void *arg);
    int (*viewers_count)(struct store *, const struct store_viewers_count *, store_viewers_cb *,
                         void *arg);
    int (*sample_put)(struct store *, const struct store_sample_put *, store_sample_cb *,
                      void *arg);
    int (*sample_range)(struct store *, const struct store_sample_range *, store_samples_cb *,
                        void *arg);
    int (*presence_put)(struct store *, const struct store_presence_put *, store_presence_put_cb *,
                        void *arg);
    int (*presence_count)(struct store *, struct str room, int64_t now_ms,
                          store_presence_count_cb *, void *arg);
    int (*presence_page)(struct store *, const struct store_presence_query *,
                         store_presence_page_cb *, void *arg);
    int (*node_beat)(struct store *, const struct store_node_beat *, store_done_cb *, void *arg);
    int (*routes_get)(struct store *, const struct store_routes_get *, store_routes_cb *,
                      void *arg);
    int (*route_put)(struct store *, const struct store_route_put *, store_done_cb *, void *arg);
    int (*lease)(struct store *, const struct store_lease *, store_lease_cb *, void *arg);
    const struct store_stats *(*stats)(struct store *);
    /* Fires what has completed. Returns when it wants to be called again without a wake, INT64_MAX:
     * never. */
    int64_t (*dispatch)(struct store *, int64_t now_ms);
    /* Finishes what has started (nothing acknowledged is lost), fires no callback, frees the store.
     */
    void (*close)(struct store *);
};

struct store {
    const struct store_ops *ops;
    bool is_shared; /* other nodes use the same store: counts are theirs as well */
};

/* Durable before its callback; see the rules above. A closed room refuses with ERR_ROOM_CLOSED, a
 * room that was never put with ERR_ROOM_NOT_FOUND. */
static inline int store_append(struct store *s, const struct store_append *a, store_append_cb *cb,
                               void *arg)
{
    return s->ops->append(s, a, cb, arg);
}

static inline int store_read(struct store *s, const struct store_read *r, store_read_cb *cb,
                             void *arg)
{
    return s->ops->read(s, r, cb, arg);
}

/* From now on news of the room come to env.on_news. Watching is idempotent, not counted. */
static inline void store_watch(struct store *s, struct str room)
{
    s->ops->watch(s, room);
}

static inline void store_unwatch(struct store *s, struct str room)
{
    s->ops->unwatch(s, room);
}

/* Creates or changes a room; the answer holds what is stored now. Closing is a put with state
 * ROOM_CLOSED. */
static inline int store_room_put(struct store *s, const struct store_room_put *p, store_room_cb *cb,
                                 void *arg)
{
    return s->ops->room_put(s, p, cb, arg);
}

static inline int store_room_get(struct store *s, struct str room, store_room_cb *cb, void *arg)
{
    return s->ops->room_get(s, room, cb, arg);
}

/* Rooms of an app with a room id (the part behind "app/") greater than `after`. */
static inline int store_room_list(struct store *s, struct str app, struct str after, uint32_t limit,
                                  store_list_cb *cb, void *arg)
{
    return s->ops->room_list(s, app, after, limit, cb, arg);
}

/* 0, when the store can take an append now. */
static inline int store_ping(struct store *s, store_ping_cb *cb, void *arg)
{
    return s->ops->ping(s, cb, arg);
}

/* Who was here (core/viewers.h): per bucket, and for the room's whole life on its own, since buckets
 * go. A room that is closed still takes them: its readers stay for a while. */
static inline int store_viewers_add(struct store *s, const struct store_viewers_add *a,
                                    store_viewers_cb *cb, void *arg)
{
    return s->ops->viewers_add(s, a, cb, arg);
}

static inline int store_viewers_merge(struct store *s, const struct store_viewers_merge *m,
                                      store_viewers_cb *cb, void *arg)
{
    return s->ops->viewers_merge(s, m, cb, arg);
}

/* May take its time over many buckets, and holds up nobody meanwhile. */
static inline int store_viewers_count(struct store *s, const struct store_viewers_count *c,
                                      store_viewers_cb *cb, void *arg)
{
    return s->ops->viewers_count(s, c, cb, arg);
}

static inline int store_sample_put(struct store *s, const struct store_sample_put *p,
                                   store_sample_cb *cb, void *arg)
{
    return s->ops->sample_put(s, p, cb, arg);
}

static inline int store_sample_range(struct store *s, const struct store_sample_range *r,
                                     store_samples_cb *cb, void *arg)
{
    return s->ops->sample_range(s, r, cb, arg);
}

/* Who is here, over all nodes that share the store. A node alone has it in its hub (core/presence.h)
 * and needs none of this. Not durable: after a restart of the store the nodes say it again. Rooms are
 * not looked up: one that nobody is in has nobody. */
static inline int store_presence_put(struct store *s, const struct store_presence_put *p,
                                     store_presence_put_cb *cb, void *arg)
{
    return s->ops->presence_put(s, p, cb, arg);
}

static inline int store_presence_count(struct store *s, struct str room, int64_t now_ms,
                                       store_presence_count_cb *cb, void *arg)
{
    return s->ops->presence_count(s, room, now_ms, cb, arg);
}

static inline int store_presence_page(struct store *s, const struct store_presence_query *q,
                                      store_presence_page_cb *cb, void *arg)
{
    return s->ops->presence_page(s, q, cb, arg);
}

/* Nodes, sects and assignments (core/routes.h), over all nodes that share the store. Not durable but
 * for the assignments. */
static inline int store_node_beat(struct store *s, const struct store_node_beat *b,
                                  store_done_cb *cb, void *arg)
{
    return s->ops->node_beat(s, b, cb, arg);
}

static inline int store_routes_get(struct store *s, const struct store_routes_get *g,
                                   store_routes_cb *cb, void *arg)
{
    return s->ops->routes_get(s, g, cb, arg);
}

static inline int store_route_put(struct store *s, const struct store_route_put *p,
                                  store_done_cb *cb, void *arg)
{
    return s->ops->route_put(s, p, cb, arg);
}

/* One holder at a time, for the few jobs that want one. The holder asks again before its time is
 * over; two at once, after a failover of the store, must do no harm. */
static inline int store_lease(struct store *s, const struct store_lease *l, store_lease_cb *cb,
                              void *arg)
{
    return s->ops->lease(s, l, cb, arg);
}

/* NULL, when the driver counts nothing. Borrowed until store_close(). */
static inline const struct store_stats *store_stats(struct store *s)
{
    return s->ops->stats != NULL ? s->ops->stats(s) : NULL;
}

static inline int64_t store_dispatch(struct store *s, int64_t now_ms)
{
    return s->ops->dispatch(s, now_ms);
}

static inline void store_close(struct store *s)
{
    if (s != NULL) s->ops->close(s);
}

#endif
