/* What the parts of the hub share: hub.c (entries, table of rooms, notes), hub_room.c (activation,
 * news, pulls), hub_send.c (appends), hub_read.c (cold reads, history), hub_admin.c (settings),
 * hub_presence.c (who is here), hub_online.c (who asks for that), hub_counting.c (who was, and
 * history; core/hub_counting.h), hub_nodes.c (this node among others; core/hub_nodes.h), hub_sects.c
 * (who asks for those, and assigns), hub_peer.c (edges behind this node; core/hub_peer.h); and where
 * nodes share the store: hub_roll_up.c, hub_roll_walk.c (tell it who is here), hub_head_count.c (asks
 * how many are), hub_revive.c (rooms that it has lost).
 *
 * Life of a room:
 *
 *   (none) --first call--> LOADING --record and both tails read--> ACTIVE --idle--> (freed)
 *                             |
 *                             '--not found, store failed--> (freed; the waiting calls go home)
 *
 * A room is freed only when no store operation that names it is under way (`ops`). */
#ifndef STOA_CORE_HUB_INTERNAL_H
#define STOA_CORE_HUB_INTERNAL_H

#include "base/map.h"
#include "base/rng.h"
#include "base/wheel.h"
#include "core/feed.h"
#include "core/hub.h"
#include "core/hub_counting.h"
#include "core/hub_head_count.h"
#include "core/hub_revive.h"
#include "core/hub_roll_up.h"
#include "core/quota.h"

#define HUB_PULL_LIMIT       256  /* messages per read */
#define HUB_BLOCKED_RETRY_MS 5    /* a full note queue is looked at again */
#define HUB_RETRY_MS         1000 /* told to clients who are refused for now */
#define HUB_SCAN             4096 /* users that one call looks at: a millisecond, in a large room */

struct hub_room;

struct hub {
    struct hub_config config;
    struct store *store;
    struct frame_bin bin;
    struct map rooms;
    struct wheel wheel;
    struct rng rng;
    int64_t now_ms;      /* of the current entry */
    struct list blocked; /* subscriptions that wait for room in their worker's queue */
    uint64_t wakes;
    uint64_t calls_under_way;
    struct hub_queue viewers_queue, samples_queue;
    struct hub_roll_up roll_up;
    uint32_t head_counts_at_store;
    struct hub_nodes nodes;
    struct hub_metrics metrics;
};

struct hub_timer {
    struct timer timer;
    void (*fire)(struct hub_room *room);
    struct hub_room *room;
};

enum hub_room_state { HUB_ROOM_LOADING, HUB_ROOM_ACTIVE };

struct hub_pull {
    bool is_running;
    bool is_dirty;                     /* something happened since the read began: read again */
    bool is_fallback;                  /* made because time had passed */
    bool is_to_confirm, is_confirming; /* the next one, this one: the room is there, so that a tail
                                          which has stepped back is what the store has */
    uint64_t tail_at_start;
};

struct hub_room {
    struct hub *hub;
    enum hub_room_state state;
    struct str key; /* "app/room", in name */
    struct room_record record;
    uint64_t record_changes; /* of it, here; its version begins anew where the store lost it */
    bool record_is_stale;    /* reading it failed: the next poll tries again */
    struct feed feeds[LIST_KINDS];
    struct hub_pull pulls[LIST_KINDS];
    struct list subs;
    struct list watches; /* of peers: struct hub_watch */
    struct list waiting; /* calls, until the room is active */
    uint32_t ops;        /* store operations under way */
    int64_t idle_since_ms;
    struct hub_timer poll_timer, online_timer, count_timer;
    struct presence users;
    struct head_count head_count;
    struct room_roll_up *roll_up; /* NULL until somebody comes */
    struct list reviving;         /* calls, until the store has the room again */
    bool is_reviving;
    bool waits_for_count;          /* LOADING, until the store has said how many are here */
    uint64_t gone_workers;         /* bit i: what worker i held is to be forgotten */
    char swept[LIMIT_USER_ID + 1]; /* up to this user that has been done */
    uint64_t online_told;
    int64_t online_told_ms;
    struct map senders;           /* struct sender: who sent lately */
    struct room_viewers *viewers; /* NULL until somebody comes */
    struct room_samples *samples; /* NULL until there is something to count */
    uint64_t unique;              /* viewers of its life, as the store last said */
    uint64_t trimmed[LIST_KINDS]; /* as the store last said */
    uint64_t acked[LIST_KINDS];   /* newest id that a peer was told is stored */
    bool is_doubtful[LIST_KINDS]; /* something was stored that the copy may not have yet */
    double rate;                  /* messages per second, a mean of the last seconds */
    uint64_t rate_ordinal;        /* of both tails together, when that was brought up to date, */
    int64_t rate_ms;              /* which was then; 0: never */
    char name[LIMIT_ROOM_KEY + 1];
};

/* A worker's interest in a room, and how far it has been told. */
struct hub_sub {
    struct list node;
    struct list blocked_node;
    struct hub_room *room;
    uint16_t worker;
    uint64_t handle;
    uint64_t sent[LIST_KINDS];
    uint64_t online;
    uint64_t record_changes;
};

/* Whether other nodes use the same store. Not after it was closed. */
static inline bool hub_is_shared(const struct hub *hub)
{
    return hub->store->is_shared;
}

/* A peer's interest in a room. */
struct hub_watch {
    struct list room_node;
    struct list behind_node; /* linked: its news were not taken */
    struct hub_peer *peer;
    struct hub_room *room; /* NULL: it could not be loaded; the peer's next read tries again */
    bool tells_newest;     /* when the room is loaded */
    uint64_t sent[LIST_KINDS];
    char key[LIMIT_ROOM_KEY + 1];
};

/* hub.c */
void hub_return(struct hub *hub, struct call *call, int err);
void hub_publish(struct hub_room *room); /* tells every subscriber what it does not know yet */
struct hub_sub *hub_sub_get(struct hub_room *room, const struct call *call);
void hub_sub_add(struct hub_room *room, struct call *call);
void hub_sub_remove(struct hub_sub *sub);
/* Puts a note into a worker's queue, unless that is needed for calls on their way home. */
bool hub_note(struct hub *hub, uint16_t worker, const struct note *note);

/* hub_room.c */
void hub_timer_init(struct hub_timer *t, struct hub_room *room, void (*fire)(struct hub_room *));
struct hub_room *hub_room_get(struct hub *hub, struct str key); /* NULL, if it is not in memory */
/* The room, loaded or loading, for somebody who brings no call; NULL: there are too many, or the
 * store takes no call. */
struct hub_room *hub_room_load(struct hub *hub, struct str key);
/* Somebody wants its news: a worker or a peer. */
bool hub_room_is_listened(const struct hub_room *room);
/* The copy is not complete before the next pull. */
void hub_room_doubt(struct hub_room *room, enum list_kind list);
/* Runs the call in the room, now or when it is active. */
void hub_room_enter(struct hub *hub, struct call *call);
/* What a call does in an active room; the switch over kinds is in hub.c. */
void hub_run(struct hub_room *room, struct call *call);
/* Sets the time of the next fallback poll, by whether somebody listens. */
void hub_room_arm_poll(struct hub_room *room);
void hub_room_news(struct hub_room *room, const struct message *message);
/* Takes a record of the store, if it is a newer one. */
void hub_room_set_record(struct hub_room *room, const struct room_record *record);
/* Reads the record anew: which node changed it does not matter. */
void hub_room_refresh(struct hub_room *room);
/* The store has said how many are here, or could not. */
void hub_room_counted(struct hub_room *room);
/* Reads behind the tails; is_there: the room is in the store, whatever they are. */
void hub_room_pull(struct hub_room *room, bool is_there);
void hub_room_free(struct hub_room *room); /* only with no ops under way and nobody waiting */

/* hub_peer.c */
void hub_watches_publish(struct hub_room *room); /* what is new in the copy */
/* News of a room that is still being loaded: its peers need not wait for that. */
void hub_watches_news(struct hub_room *room, const struct message *message);
void hub_watches_loaded(struct hub_room *room);
void hub_watches_lost(struct hub_room *room); /* it is freed */

/* hub_send.c */
void hub_send(struct hub_room *room, struct call *call);
void hub_send_again(struct hub_room *room, struct call *call); /* what was checked already */
void hub_senders_sweep(struct hub_room *room, bool all);
struct str hub_sender_key(const void *sender);

/* hub_read.c */
void hub_read_cold(struct hub_room *room, struct call *call);
void hub_read_history(struct hub_room *room, struct call *call);

/* hub_admin.c */
void hub_admin(struct hub *hub, struct call *call);

/* hub_presence.c */
void hub_presence(struct hub_room *room, struct call *call);
void hub_leave(struct hub_room *room, struct call *call);
/* What a worker that has unsubscribed still holds, a part at a time: now, and with each sweep. */
void hub_presence_forget_worker(struct hub_room *room, uint16_t worker);
void hub_presence_sweep(struct hub_room *room);
void hub_presence_deinit(struct hub_room *room);
void hub_online_fire(struct hub_room *room); /* the debounce has passed */
/* hub_audience() may be another: readers are told, at once or after the debounce. */
void hub_audience_changed(struct hub_room *room);

/* hub_online.c */
/* How many are in the room, as far as this hub knows; *ret_is_known: no need to ask the store. */
uint64_t hub_online_count(struct hub *hub, struct str key, bool *ret_is_known);
void hub_online(struct hub *hub, struct call *call);

#endif
