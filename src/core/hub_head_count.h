/* The head count: how many are in a room over all nodes that share the store, and what is made of
 * that here.
 *
 *   audience   what readers are told and the pace goes by: the shared count, but never less than the
 *              users at this node. Where the store cannot say, the last count stays, and after
 *              STORE_PRESENCE_TTL_MS without an answer the node has its own users alone.
 *   places     what max_online is held against: the shared count and what has changed at this node
 *              since it was asked for. Other nodes admit by their own, so a full room may be
 *              exceeded by those whom they took since: docs/protocol.md.
 *
 * The store is asked while somebody is in the room or subscribes to it: HUB_COUNT_MS after the time
 * that the last count is of, later by up to a tenth; in a room of up to HUB_COUNT_SMALL also when
 * a change at this node has been taken, HUB_COUNT_GAP_MS apart. One question a room is under way.
 *
 * The hub's thread only. Without a store that is shared the node's own users are all there is. */
#ifndef STOA_CORE_HUB_HEAD_COUNT_H
#define STOA_CORE_HUB_HEAD_COUNT_H

#include <stdbool.h>
#include <stdint.h>

#define HUB_COUNT_MS       2000
#define HUB_COUNT_GAP_MS   500
#define HUB_COUNT_SMALL    1000
#define HUB_COUNT_FRESH_MS 5000 /* who asks is told a count that came within this */
#define HUB_COUNTS_AT_ONCE 256  /* questions under way, over all rooms */

struct hub_room;

/* A room's part. Zero-initialised but for the timer of it: the store was not asked yet. */
struct head_count {
    uint64_t online;
    int64_t as_of_ms;    /* the store's word */
    int64_t answered_ms; /* when that came; 0: never */
    int64_t asked_ms;
    uint64_t local, local_asked; /* users of this node when that was asked for */
    bool is_asking, is_wanted;
};

/* Asks now (the room awakes, its first subscriber comes), unless that was done lately. */
void hub_head_count_begin(struct hub_room *room);
/* What this node says of a small room has been taken: its count will be another. */
void hub_head_count_changed(struct hub_room *room);
void hub_head_count_fire(struct hub_room *room); /* the timer's */
/* The store has said it to somebody who asked. */
void hub_head_count_learn(struct hub_room *room, uint64_t online, int64_t as_of_ms);

uint64_t hub_audience(const struct hub_room *room);
/* When hub_audience() was counted. */
int64_t hub_audience_ms(const struct hub_room *room);
uint64_t hub_places(const struct hub_room *room);
/* No need to ask the store for somebody who wants to know. */
bool hub_audience_is_fresh(const struct hub_room *room);

#endif
