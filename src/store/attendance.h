/* Who is here over several nodes, for the stores of one process: what nodes have named, in the table
 * that the hub has, too (core/presence.h), with a node's number in the place of a worker's.
 *
 * A user whom no node has named for STORE_PRESENCE_TTL_MS lapses: attendance_sweep() looks at some
 * users each time, so a count may hold them for a moment longer. The hub's thread. */
#ifndef STOA_STORE_ATTENDANCE_H
#define STOA_STORE_ATTENDANCE_H

#include "base/map.h"
#include "store/job.h"

#define ATTENDANCE_SWEEP 256 /* users looked at, per room and sweep */

struct attendance {
    struct map rooms; /* key -> struct attendance_room; only those with somebody in it */
};

void attendance_init(struct attendance *a);
void attendance_deinit(struct attendance *a);
/* Carries out a job of presence. 0 or what its callback is told. */
int attendance_run(struct attendance *a, struct job *job);
/* How many have lapsed. */
size_t attendance_sweep(struct attendance *a, int64_t now_ms);

#endif
