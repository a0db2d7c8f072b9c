/* A connection: bytes to requests, answers to bytes, one exchange at a time.
 *
 *     .--part of a request--> READING --the rest--.
 *     |                                           v
 *    IDLE --whole request--------------------> ANSWERING --answer, and the socket is full--> WRITING
 *     ^                                           |                                            |
 *     '------------keep-alive---------------------'<-------------------------------------------'
 *
 * Any state -> CLOSED (freed): peer gone, time-out. An answer that ends the connection -> LINGERING: our side is shut, and
 * what the peer still sends is read and dropped for LINGER_MS, else the kernel would reset the connection and the peer
 * might never see the answer (RFC 9112 section 9.6).
 *
 * A plain socket in the worker's poller, 104 bytes. What is needed only while bytes move (a parser, bytes read ahead, the
 * rest of an answer) hangs off `work`, which is NULL while a poll is parked. Bytes that come early are kept up to
 * LIMIT_PIPELINE_BYTES, then reading pauses. The socket is watched edge-triggered: while reading is not paused and bytes may
 * be left in it, it is about to be reported. Time-outs are lazy: the timer is only ever moved to an earlier time; when it
 * fires, the deadline tells whether that was it. Worker thread. */
#ifndef STOA_NET_CONN_H
#define STOA_NET_CONN_H

#include "net/net_worker.h"

#define LINGER_MS 1000

enum conn_state { CONN_IDLE, CONN_READING, CONN_ANSWERING, CONN_WRITING, CONN_LINGERING };

struct conn_work {
    struct conn *conn;
    struct list ready_node;     /* in the worker's list, while `ahead` may be gone on with */
    struct http_reader *reader; /* READING only */
    struct buf ahead;           /* bytes behind the current request, */
    size_t ahead_at;            /* from here on */
    struct blob *wire;          /* WRITING only: what is written, */
    uint32_t written;           /* and how far */
};

struct conn {
    uint64_t handle; /* the exchange's, too */
    uint64_t waiter; /* of the poll that is parked, 0: none */
    struct conn_work *work;
    struct api_conn api;
    struct timer timer;
    int64_t deadline_ms; /* of the state; INT64_MAX: none */
    int fd;
    uint8_t state;   /* enum conn_state */
    uint8_t watched; /* POLLER_… */
    bool ends_after; /* close when the answer is written */
    bool has_ended;  /* the peer sends no more; it ends when what it asked is answered */
};

/* Takes an accepted socket. */
void conn_open(struct net_worker *nw, int fd, bool is_ops);
/* It is about to have events. */
void conn_prefetch(struct net_worker *nw, uint64_t handle);
/* What the poller found. */
void conn_on_events(struct net_worker *nw, uint64_t handle, uint32_t events);
/* api_out.send */
void conn_answer(struct net_worker *nw, uint64_t exchange, struct blob *wire, bool close);
/* Goes on with what was read ahead. */
void conn_continue(struct net_worker *nw, struct conn *c);
void conn_close(struct net_worker *nw, struct conn *c);
void conn_on_timer(struct net_worker *nw, struct conn *c);
/* Closes a connection without an exchange; the others close with their answer. */
void conn_drain(struct net_worker *nw, struct conn *c);

#endif
