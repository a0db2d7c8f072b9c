/* The side of a driver that faces the hub, the same for all: which rooms are watched, firing
 * callbacks and giving news, counting. The hub's thread only. */
#ifndef STOA_STORE_FRONT_H
#define STOA_STORE_FRONT_H

#include "base/map.h"
#include "store/job.h"

/* What a read of a watched room found, kept so that the fallback polls of quiet rooms need not read
 * again. Only for a driver through which all appends to its store come; `trimmed` may be behind, so
 * after FRONT_KNOWN_MS it is read again. */
#define FRONT_KNOWN_MS 10000

struct front {
    struct store_env env;
    int64_t now_ms;     /* of the last dispatch */
    struct map watched; /* room key -> struct watch */
    struct store_stats stats;
};

void front_init(struct front *f, const struct store_env *env);
void front_deinit(struct front *f);
/* store_watch() and store_unwatch(). */
void front_watch(struct front *f, struct str room);
void front_unwatch(struct front *f, struct str room);
/* True: nothing is behind `from`, and ret has what an empty answer says. */
bool front_knows(const struct front *f, const struct store_read *in, struct store_range *ret);
/* Fires the job's callback, then the news of what it stored when the room is watched, counts, and
 * frees the job. The callback may call the driver. */
void front_finish(struct front *f, struct job *job);

#endif
