/* What the files of the roll-up share (core/hub_roll_up.h): hub_roll_up.c, names that gather and
 * batches on their way, and hub_roll_walk.c, the walk over those who stay. */
#ifndef STOA_CORE_HUB_ROLL_INTERNAL_H
#define STOA_CORE_HUB_ROLL_INTERNAL_H

#include "core/hub_internal.h"
#include "core/user_set.h"

#define ROLL_PAGES_A_TURN (HUB_SCAN / STORE_PRESENCE_MAX) /* and batches */

enum roll_kind {
    ROLL_LEFT,    /* names: gone from every node, unless they are here again */
    ROLL_CHANGED, /* names: here or gone, as they are by then */
    ROLL_GATHERED,
    ROLL_BEAT = ROLL_GATHERED, /* a page of those who stay */
    ROLL_STOP,                 /* a page of them, gone with this node */
};

struct roll_batch {
    struct list node;
    struct hub_room *room;
    enum roll_kind kind;
    int64_t began_ms;
    struct user_set names;
    size_t bytes; /* as counted in held_bytes */
    size_t count; /* users given to the store */
    /* Of a beat: where the walk was, to go back to. */
    uint64_t walk, page;
    bool is_again;
    char after[LIMIT_USER_ID + 1];
};

struct room_roll_up {
    struct roll_batch *gathering[ROLL_GATHERED]; /* owned; NULL: nobody */
    int64_t due_ms;                              /* when they may go; INT64_MAX: there are none */
    uint32_t queued;                             /* batches of names that are on their way */
    /* The walk over those who stay. */
    int64_t beat_ms;  /* the next page; INT64_MAX: there is nobody */
    int64_t round_ms; /* when this round began */
    uint64_t walk;    /* counts those that were begun anew */
    uint64_t page;    /* counts the pages of a walk, over all its rounds */
    uint32_t looked;  /* at users of this page */
    bool is_again;    /* this round leaves out nobody */
    uint64_t outages; /* that this room has followed */
    struct hub_timer timer;
    char walked[LIMIT_USER_ID + 1];
};

/* hub_roll_up.c */
struct roll_batch *roll_batch_new(struct hub_room *room, enum roll_kind kind);
void roll_batch_free(struct roll_batch *batch); /* NULL is fine */
/* Adds to what is said in the next roll_put(), in hub->roll_up.users. */
void roll_say(struct hub *hub, const struct presence_user *user, bool is_gone);
/* Gives the store what was said. An error: the batch is still the caller's. */
int roll_put(struct roll_batch *batch);
/* The store did not take it: names wait, a page of the walk is walked again. Takes the batch. */
void roll_put_off(struct roll_batch *batch);
bool roll_may_give(const struct hub_roll_up *all, int64_t now_ms);
/* The room's timer fires when the next of its times comes. */
void roll_arm(struct hub_room *room);
/* 0 .. bound_ms - 1 */
int64_t roll_some(struct hub *hub, int64_t bound_ms);

/* hub_roll_walk.c */
/* Somebody is here: the walk begins, if there is none. */
void roll_walk_begin(struct hub_room *room);
/* Pages that are due. */
void roll_walk(struct hub_room *room);
/* The store failed this page: the walk goes on from there, unless it was begun anew meanwhile. */
void roll_walk_back(struct roll_batch *batch);

#endif
