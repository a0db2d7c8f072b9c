/* Counting in the hub: who was here (hub_viewers.c) and a room's history (hub_samples.c), given to
 * the store from what the hub sees anyway. Workers have no part in it, and neither has a delivery.
 *
 *   presence --came, left--> hub_viewers --batch of a bucket, at most every 5 s--> viewers_add
 *            --how many----> hub_samples --each minute------------------------> sample_put
 *
 * Both hand what is complete to a queue of their own, from which few are at the store at once; what
 * the store failed goes back to its front and is said again, until it is taken or the queue is too
 * long. A room without anybody, and without messages, has neither timer nor sample.
 *
 * The hub's thread only. With config.counting off nothing here does anything. */
#ifndef STOA_CORE_HUB_COUNTING_H
#define STOA_CORE_HUB_COUNTING_H

#include "base/limit.h"
#include "base/list.h"
#include "base/str.h"

#define HUB_VIEWERS_FLUSH_MS  5000 /* between two batches of a room: what a crash loses at most */
#define HUB_VIEWERS_GATHER_MS 200  /* after the first who comes, so that a rush is one batch */
#define HUB_VIEWERS_AT_ONCE   64   /* batches at the store, */
#define HUB_VIEWERS_COST      4096 /* and users in them: they must not hold up sends for long */
#define HUB_SKETCH_COST       64   /* of a sketch, in users */
/* Over nodes that share a store: from so many in a bucket at this node on, batches go as a sketch of
 * all that were in it here. The store has given up its set by then, so names would tell it no more;
 * the slack over VIEWERS_EXACT_MAX is ten times the error of the sketch that tells. */
#define HUB_VIEWERS_NAMES_MAX 11000
#define HUB_SAMPLES_AT_ONCE   64
#define HUB_SPREAD_MS         3000 /* behind an end of time, so that rooms do not come at once */
#define HUB_COUNTING_RETRY_MS 1000 /* after the store failed */

struct hub;
struct hub_room;
struct call;
struct room_viewers;
struct room_samples;

/* What is on its way to the store; the oldest first. */
struct hub_queue {
    struct list waiting, at_store;
    uint32_t at_store_count;
    size_t cost;      /* of the batches at the store */
    size_t held;      /* batches: bytes; samples: how many */
    int64_t retry_ms; /* not before */
};

/* hub_counting.c: the one-line calls of the other parts. */
void hub_queue_init(struct hub_queue *queue);
/* The user is here and was not; or was here and is not. After the table was changed. */
void hub_counting_came(struct hub_room *room, struct str user);
void hub_counting_left(struct hub_room *room, struct str user);
/* How many are here may have changed. */
void hub_counting_online(struct hub_room *room);
/* Before messages are taken into the hub's copy. */
void hub_counting_messages(struct hub_room *room);
/* Gives the store what is due. Returns when to come again. */
int64_t hub_counting_tick(struct hub *hub);
/* Gives it all that there is: it is about to close. */
void hub_counting_flush(struct hub *hub);
/* The store has lost what it was told of the room: who is here is given to it again. */
void hub_counting_again(struct hub_room *room);
void hub_counting_forget_room(struct hub_room *room); /* the room is freed */
void hub_counting_read(struct hub *hub, struct call *call);

/* hub_viewers.c */
void hub_viewers_came(struct hub_room *room, struct str user);
void hub_viewers_left(struct hub_room *room, struct str user);
void hub_viewers_finish(struct hub_room *room); /* what has gathered goes to the queue */
void hub_viewers_again(struct hub_room *room);
void hub_viewers_pump(struct hub *hub);
bool hub_viewers_may_give(const struct hub *hub); /* not too much is at the store */
void hub_viewers_give_all(struct hub *hub);
void hub_viewers_forget_room(struct hub_room *room);
void hub_viewers_deinit(struct hub *hub); /* when the store is closed */

/* hub_samples.c */
void hub_samples_joined(struct hub_room *room);
void hub_samples_online(struct hub_room *room);
void hub_samples_begin(struct hub_room *room); /* unless one has begun */
void hub_samples_finish(struct hub_room *room);
void hub_samples_pump(struct hub *hub);
bool hub_samples_may_give(const struct hub *hub);
void hub_samples_give_all(struct hub *hub);
void hub_samples_forget_room(struct hub_room *room);
void hub_samples_deinit(struct hub *hub);

#endif
