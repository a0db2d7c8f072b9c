/* Who is here in one room: users, each with the workers that hold them, since when, and when last
 * seen.
 *
 * A user is here while at least one worker holds them. What a worker says twice changes nothing,
 * and the count is the number of entries: it cannot drift from what was told.
 *
 * The table is a linear hash (Litwin, "Linear hashing: a new tool for file and table addressing",
 * VLDB 1980; in memory and in segments: Larson, "Dynamic hash tables", CACM 31(4), 1988). It grows
 * and shrinks by one bucket at a time, so that no call takes longer than a chain of a few users,
 * whatever the size of the room, and its load is always about the same.
 *
 * The order of users is that of their hash read from its lowest bit, then of their ids
 * (split-ordered lists: Shalev, Shavit, J. ACM 53(3), 2006). In it a bucket is one stretch of
 * users, before it is split and after. So a page costs what is on it, and goes on behind a user's
 * id, whoever came or went meanwhile and however the table has grown: who is here throughout is
 * listed exactly once.
 *
 * Memory: at most PRESENCE_USER_BYTES and the id for each user, what the allocator takes and the
 * table included. The hash is keyed, so that clients cannot choose their place. One thread, the
 * owner's. */
#ifndef STOA_CORE_PRESENCE_H
#define STOA_CORE_PRESENCE_H

#include "base/hash.h"
#include "base/limit.h"

#define PRESENCE_USER_BYTES 64
#define PRESENCE_LOAD       2  /* users in a bucket, in the mean */
#define PRESENCE_SEGMENT    64 /* buckets that are allocated together, and the least there are */

struct presence_segment;

struct presence {
    struct presence_segment **segments; /* owned */
    uint64_t segment_cap;
    uint64_t buckets; /* 0, until somebody comes */
    uint64_t count;
    struct hash_key hash_key;
};

/* One user, as told to a presence_cb. */
struct presence_user {
    struct str user;  /* borrowed until the table changes */
    uint64_t workers; /* bit i: worker i */
    int64_t since_ms;
    int64_t seen_ms; /* the time of the query, unless they rest at every worker */
};

struct presence_query {
    struct str
        after; /* begin behind this user, who need not be here any more; empty: at the first */
    struct str prefix; /* only ids that begin so */
    uint32_t limit;    /* at least 1: users that are told */
    uint32_t scan;     /* at least 1: users that are looked at */
    int64_t now_ms;
};

typedef void presence_cb(void *arg, const struct presence_user *user);

void presence_init(struct presence *p, struct hash_key key);
void presence_deinit(struct presence *p);
/* The worker holds the user, who is connected. True: they were not here. */
bool presence_come(struct presence *p, struct str user, uint16_t worker, int64_t now_ms);
/* At this worker they were last seen then, and are not connected now. Nothing, if it does not hold
 * them. */
void presence_rest(struct presence *p, struct str user, uint16_t worker, int64_t seen_ms);
/* At this worker they are connected again. Nothing, if it does not hold them. */
void presence_back(struct presence *p, struct str user, uint16_t worker);
/* The worker holds them no more. True: no other does either, and they are gone. */
bool presence_leave(struct presence *p, struct str user, uint16_t worker);
/* The user, if they are here; ret->user is the table's. */
bool presence_find(const struct presence *p, struct str user, int64_t now_ms,
                   struct presence_user *ret);
/* Bit i: worker i holds the user. 0: not here. */
uint64_t presence_workers(const struct presence *p, struct str user);
/* Tells users in order, until `limit` were told or `scan` looked at. True: there are more to look
 * at, behind *ret_last, borrowed as above. */
bool presence_page(const struct presence *p, const struct presence_query *query, presence_cb *cb,
                   void *arg, struct str *ret_last);
/* Asserts that every user is in their bucket, in order, and held by some worker. For tests: looks
 * at all. */
void presence_check(const struct presence *p);

#endif
