/* What the parts of the link server share: link_server.c (listener, who is let in), link_conn.c (one
 * edge: handshake, bytes, flow), link_serve.c (its requests).
 *
 * Life of a connection:
 *
 *   GREETING --both proofs--> SERVING --goodbye--> LEAVING
 *      |                         |                    |
 *      '-------------------------'--------------------'--> CLOSED (freed at the next flush)
 */
#ifndef STOA_NET_LINK_INTERNAL_H
#define STOA_NET_LINK_INTERNAL_H

#include "base/list.h"
#include "core/hub_peer.h"
#include "link/link_answer.h"
#include "link/link_handshake.h"
#include "net/link_server.h"

#define REFUSED_HOSTS 64 /* addresses that are remembered for a wrong secret */
#define HOST_TEXT_MAX 64

struct refused_host {
    char host[HOST_TEXT_MAX];
    uint32_t count;
    uint64_t since_ms; /* of the loop */
};

struct link_server {
    struct link_server_setup setup;
    uv_tcp_t listener;
    uv_timer_t timer;
    int open_handles;
    bool is_draining, is_stopped, is_freed;
    struct list conns;   /* struct link_conn, open ones */
    struct list dead;    /* closed, to be freed */
    struct list orphans; /* struct link_job whose connection is gone */
    uint32_t conn_count;
    uint64_t sweep_due_ms; /* of the loop, as the next ones */
    struct refused_host refused[REFUSED_HOSTS];
    struct link_metrics metrics;
};

enum link_conn_state { LINK_CONN_GREETING, LINK_CONN_SERVING, LINK_CONN_LEAVING, LINK_CONN_CLOSED };

struct link_conn {
    struct list node;
    struct link_server *server;
    enum link_conn_state state;
    struct transport *transport; /* NULL: closed */
    struct link_handshake handshake;
    struct link_reader reader;
    struct buf out;        /* not given to the transport yet */
    struct hub_peer *peer; /* from SERVING on */
    struct list jobs;      /* requests under way, */
    struct list waiting;   /* and those of them that are not begun */
    uint32_t job_count, reads_running;
    bool is_behind;               /* news were dropped */
    bool is_refused;              /* it has been told why, and is read no more */
    uint64_t opened_ms, heard_ms; /* of the loop */
    char peer_host[HOST_TEXT_MAX];
};

/* A request under way. */
struct link_job {
    struct list node;
    struct link_server *server;
    struct link_conn *conn; /* NULL: it is gone, nobody wants the answer */
    uint64_t id;
    enum link_verb verb;
    enum list_kind list;
    bool is_read_running;
    bool has_control;
    struct store_read read;
    char room[LIMIT_ROOM_KEY + 1];
};

/* link_conn.c */
struct link_conn *link_conn_accept(struct link_server *s);
void link_conn_close(struct link_conn *conn); /* idempotent */
void link_conn_free(struct link_conn *conn);
void link_conn_flush(struct link_conn *conn);
void link_conn_goodbye(struct link_conn *conn);
size_t link_conn_queued(const struct link_conn *conn);

/* link_server.c */
int64_t link_server_now(const struct link_server *s);
bool link_server_refuses(struct link_server *s, const char *host);
void link_server_note_refusal(struct link_server *s, const char *host);

/* link_serve.c */
void link_serve(struct link_conn *conn, const Link__Packet *packet);
/* The edge takes bytes again: what waited for that begins. */
void link_serve_waiting(struct link_conn *conn);
/* The connection goes: nobody waits for its answers. */
void link_serve_forget(struct link_conn *conn);

#endif
