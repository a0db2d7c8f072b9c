/* The roll-up: telling a store that nodes share who is here, at this node.
 *
 *   comes and goes --names, once each--> batch of a room, after HUB_ROLL_GATHER_MS --> presence_put
 *   who stays -------a page of the table at a time, each user once in HUB_BEAT_MS---> presence_put
 *
 * What gathers is names alone. What is said of each is looked up when the batch leaves, so a batch
 * that was put off says what is true by then, and a user who flickers is said once.
 *
 * Who stays is named by a walk over the table in pages of STORE_PRESENCE_MAX, spread over
 * HUB_BEAT_MS: a room of a million does not beat at once, and no turn of the hub looks at more than
 * HUB_SCAN users of a room. Left out are those who came within the last HUB_BEAT_MS (that was said),
 * and those who rest for less than HUB_BEAT_RESTED_MS: they may have left by way of another node, and
 * shall not be brought back. So a user is named again 40 s after the last time at the latest, before
 * STORE_PRESENCE_TTL_MS. A page that the store failed is walked again.
 *
 * After an outage (nothing but failures for HUB_OUTAGE_MS), and where names had to be dropped, everybody who is here is said
 * again, over HUB_BEAT_AGAIN_MS; who went unheard lapses in the store.
 *
 * Bounded are the puts at the store, over all rooms, and the bytes of names that wait
 * (LIMIT_PRESENCE_WAITING_BYTES). A room with names on their way gathers the next ones until
 * that batch is full, so a store that is away makes batches larger, not more.
 *
 * The hub's thread only. Without a store that is shared nothing here does anything. */
#ifndef STOA_CORE_HUB_ROLL_UP_H
#define STOA_CORE_HUB_ROLL_UP_H

#include <stddef.h>

#include "base/list.h"
#include "base/str.h"

#define HUB_ROLL_GATHER_MS 200
#define HUB_ROLL_AT_ONCE   64 /* puts at the store, */
#define HUB_BEATS_AT_ONCE  32 /* of them pages of those who stay */
#define HUB_ROLL_RETRY_MS  1000
#define HUB_BEAT_MS        20000
#define HUB_BEAT_AGAIN_MS  5000
#define HUB_BEAT_RESTED_MS 15000
#define HUB_SEEN_BEHIND_MS 20000 /* seen longer ago is said so: the store lapses by it */
#define HUB_OUTAGE_MS      2000
#define HUB_ROLL_FLUSH_MAX (256 * 1024) /* users said to be gone at the stop of a node */

struct hub;
struct hub_room;
struct room_roll_up;
struct store_present;

/* The hub's part. */
struct hub_roll_up {
    struct list waiting, at_store; /* struct roll_batch, the oldest first */
    uint32_t at_store_count, beats_at_store;
    size_t held_bytes; /* of the names in both */
    int64_t retry_ms;  /* not before */
    bool is_failing;
    int64_t failing_since_ms, failed_ms; /* the first failure in a row, and the last */
    uint64_t outages;                    /* a room that knows of fewer says everybody again */
    struct store_present *users;         /* scratch, of STORE_PRESENCE_MAX; owned */
    size_t count;                        /* in it */
};

void hub_roll_up_init(struct hub_roll_up *roll_up);
void hub_roll_up_deinit(struct hub *hub); /* when the store is closed and all rooms are freed */
/* The user is here and was not, or the other way round. After the table was changed. */
void hub_roll_up_changed(struct hub_room *room, struct str user);
/* The user said so: they are at no node any more, until one names them again. */
void hub_roll_up_left(struct hub_room *room, struct str user);
/* Everybody who is here is said again: now, or if there was an outage that the room has not
 * followed. */
void hub_roll_up_again(struct hub_room *room);
void hub_roll_up_follow(struct hub_room *room);
/* What the store answered to a verb of presence: tells an outage, and its end. */
void hub_roll_up_heard(struct hub *hub, int err);
/* Gives the store what is due. Returns when to come again. */
int64_t hub_roll_up_tick(struct hub *hub);
/* The store is about to close: nobody is here any more. */
void hub_roll_up_flush(struct hub *hub);
void hub_roll_up_forget_room(struct hub_room *room); /* the room is freed */

#endif
