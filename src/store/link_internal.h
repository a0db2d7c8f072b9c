/* What the parts of the link driver share: link.c (verbs, dispatch, the end), link_call.c (a call on
 * its way), link_rooms.c (which node a room has, moves), link_routes.c (which nodes there are). */
#ifndef STOA_STORE_LINK_INTERNAL_H
#define STOA_STORE_LINK_INTERNAL_H

#include "base/map.h"
#include "base/slots.h"
#include "core/metrics.h"
#include "link/link_answer.h"
#include "store/link.h"
#include "store/link_peer.h"

struct link_store {
    struct store store;
    struct store_env env;
    struct link_peer_setup peer_setup;
    char key_prefix[24]; /* of the idempotency keys that this driver gives */
    uint64_t keys;
    struct list peers; /* struct link_peer */
    struct routes *seeds;
    struct routes *routes;         /* as they were told; NULL: not yet */
    const struct routes *nodes;    /* one of both: by which rooms find their nodes */
    struct link_peer **node_peers; /* of nodes->nodes, in that order */
    uint64_t routes_due_ms;        /* of the loop; UINT64_MAX: asked, and no answer yet */
    struct map rooms;              /* struct link_room */
    struct slots calls;            /* all of them; the handle is the id on the wire */
    size_t call_bytes;
    struct list unsent; /* calls that wait for a node */
    struct list inbox;  /* struct link_event, for the next dispatch */
    bool is_dirty;      /* something is in a peer's `out` */
    bool is_closing;
    uv_timer_t *timer;
    uint64_t tick_due_ms;
    struct store_stats stats;
    struct link_store_metrics metrics;
};

struct link_room {
    struct str key;
    bool is_watched;
    bool was_watched_elsewhere; /* when it gets a node again it is told the newest */
    struct link_peer *peer;     /* NULL: there is none */
    uint32_t calls;             /* that name it */
    uint32_t appends;           /* of them, those under way at append_peer */
    struct link_peer *append_peer;
    struct list held; /* appends that wait for these */
    char bytes[];
};

enum link_event_kind { LINK_EVENT_CALL, LINK_EVENT_NEWS };

/* What the next dispatch hands over. */
struct link_event {
    struct list node;
    enum link_event_kind kind;
};

struct link_news {
    struct link_event event;
    Link__Packet *packet; /* owned */
};

union link_cb {
    store_append_cb *append;
    store_read_cb *read;
    store_room_cb *room;
    store_list_cb *list;
    store_done_cb *done; /* of all that only succeed: the types are the same */
    store_viewers_cb *viewers;
    store_samples_cb *samples;
    store_presence_count_cb *online;
    store_presence_page_cb *presence;
    store_routes_cb *routes;
    store_lease_cb *lease;
};

struct link_call {
    struct link_event
        event; /* its node is in one list at a time: a peer's calls, a room's held ones,
                                unsent, the inbox */
    uint64_t id;
    enum link_verb verb;
    struct link_room *room; /* NULL: any node will do */
    struct link_peer *peer; /* where it is under way; NULL: nowhere */
    union link_cb cb;
    void *arg;
    struct buf bytes;     /* the request, to be said again */
    Link__Packet *answer; /* owned; NULL with err */
    int err;
    bool is_own;            /* the driver's, not the hub's */
    bool has_own_key;       /* an append whose key is ours */
    uint32_t count;         /* users that it names */
    uint64_t hold_until_ms; /* of the loop, when it waits for a node; 0: not yet */
};

/* link.c */
void link_wake(struct link_store *l);

/* link_call.c */
/* 0 or ERR_OVERLOADED. */
int link_call_start(struct link_store *l, struct link_request *request, union link_cb cb,
                    void *arg);
/* To the room's node, or wherever it has to wait. */
void link_call_send(struct link_store *l, struct link_call *call);
/* All that was under way at a node that is lost, after the rooms have been given other nodes: again
 * there, or that is the answer. */
void link_calls_lost(struct link_store *l, struct link_peer *peer);
/* The answer is there: it goes into the inbox. The packet is taken; NULL with err. */
void link_call_answered(struct link_store *l, struct link_call *call, Link__Packet *answer,
                        int err);
/* Fires the callback and frees the call. */
void link_call_finish(struct link_store *l, struct link_call *call);
void link_call_free(struct link_store *l, struct link_call *call);

/* link_rooms.c */
struct link_room *link_room_enter(struct link_store *l, struct str key);
void link_room_leave(struct link_store *l, struct link_room *room); /* frees what nobody needs */
/* The node for it now. */
struct link_peer *link_find_peer(struct link_store *l, struct str room);
void link_room_watch(struct link_store *l, struct link_room *room);
void link_room_unwatch(struct link_store *l, struct link_room *room);
/* Looks again for the node of every room, and moves those that have another one. */
void link_rooms_settle(struct link_store *l);
/* Appends that waited for others may go, if these are answered, or at the same node. */
void link_room_let_go(struct link_store *l, struct link_room *room);
void link_rooms_let_go(struct link_store *l); /* of every room */
void link_send_unsent(struct link_store *l);
void link_rooms_free(struct link_store *l);
struct str link_room_key(const void *room);

/* link_routes.c */
int link_routes_init(struct link_store *l, struct str addresses, char *ret_why, size_t why_cap);
void link_routes_deinit(struct link_store *l);
void link_routes_poll(struct link_store *l);
/* Which connection each node has; makes those that are missing, and ends those of no node. */
void link_routes_pair(struct link_store *l);

#endif
