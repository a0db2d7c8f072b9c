/* One connection to a Redis server: commands in a pipeline, replies to whoever asked, in the order
 * of the commands.
 *
 *   connecting --> greeting (AUTH, SELECT, FUNCTION LOAD) --> ready --> over
 *
 * The owner gives it a command only while redis_conn_has_room(); what was given is sent by
 * redis_conn_flush(), in one write with all others. With `wait_replicas` there is one WAIT behind what
 * is sent in one flush, and no room until it is answered (Redis would not look at the connection
 * meanwhile): so what waits gathers for the next WAIT. Replies are held back until then.
 *
 * It reads the time from the loop. Events come from the loop or from redis_conn_tick(), and may free
 * the connection. One thread, the loop's. */
#ifndef STOA_STORE_REDIS_CONN_H
#define STOA_STORE_REDIS_CONN_H

#include "base/list.h"
#include "store/redis_slots.h"
#include "store/redis_stats.h"
#include "store/transport.h"

#define REDIS_CONNECT_MS 1000
#define REDIS_ANSWER_MS  2000 /* without a byte, while a command is unanswered */
#define REDIS_WHOLE_MS   6000 /* for the whole reply to a command, while bytes come */
#define REDIS_WAIT_MS    1000 /* for the replicas, within that */
#define REDIS_QUIET_MS   5000 /* where only the server speaks: then it is asked whether it lives */

struct redis_conn;

/* A command on its way, embedded in its owner. In the connection's list from redis_conn_send() until
 * an event gives it back. */
struct redis_request {
    struct list node;
    struct str
        bytes;      /* RESP, as redisFormatCommandArgv() makes it; the owner's, until it is back */
    bool is_asking; /* ASKING goes before it */
    /* The connection's: */
    int kind;
    int64_t sent_ms;
    redisReply *reply; /* held back until the replicas have it */
};

struct redis_conn_events {
    void (*on_ready)(void *arg); /* there is room, for the first time */
    void (*on_room)(void *arg);  /* there is room again */
    /* The request is the owner's again. err: 0, or ERR_STORE_UNAVAILABLE when too few replicas had it
     * in time: then reply is NULL. The reply is borrowed. */
    void (*on_reply)(void *arg, struct redis_request *request, int err, const redisReply *reply);
    /* What a server says unasked, or in answer to redis_conn_put(). May be NULL. */
    void (*on_push)(void *arg, const redisReply *reply);
    /* It is over; what was sent is unanswered: redis_conn_take_sent(). why: as on_closed of
     * store/transport.h. */
    void (*on_lost)(void *arg, const char *why);
};

struct redis_conn_setup {
    uv_loop_t *loop;
    const struct redis_host *host;          /* copied */
    const struct redis_url *url;            /* who logs in, and the database; borrowed */
    struct tls *tls;                        /* NULL: plain */
    struct str library;                     /* loaded in the greeting; empty: none. Borrowed */
    uint32_t wait_replicas;                 /* 0: no WAIT */
    bool is_pushed_to;                      /* a subscriber: all replies go to on_push */
    const struct redis_conn_events *events; /* borrowed */
    void *arg;
    struct redis_cluster_stats *stats; /* borrowed */
};

struct redis_conn *redis_conn_new(const struct redis_conn_setup *setup);
/* Fires no event. What was sent is forgotten: redis_conn_take_sent() first. conn may be NULL. */
void redis_conn_free(struct redis_conn *conn);

bool redis_conn_is_ready(const struct redis_conn *conn);
bool redis_conn_has_room(const struct redis_conn *conn);
bool redis_conn_is_idle(const struct redis_conn *conn); /* ready, and nothing is unanswered */
const struct redis_host *redis_conn_host(const struct redis_conn *conn);
/* Needs room. */
void redis_conn_send(struct redis_conn *conn, struct redis_request *request);
/* Bytes of a command whose reply goes to on_push. */
void redis_conn_put(struct redis_conn *conn, struct str bytes);
/* Loads the library again, before whatever is sent from now on. */
void redis_conn_load(struct redis_conn *conn);
void redis_conn_flush(struct redis_conn *conn);
/* Moves what is unanswered to `list`, in the order in which it was sent. In on_lost, or before
 * redis_conn_free(). */
void redis_conn_take_sent(struct redis_conn *conn, struct list *list);
/* Time-outs. Once in each turn of the loop: what is overdue has one more turn in which to be heard.
 * Returns when the next one would be, on the loop's clock; INT64_MAX: none. */
int64_t redis_conn_tick(struct redis_conn *conn);

#endif
