/* Memory that grows in chunks, never moves, and goes all at once: for the strings of one answer.
 *
 * A zeroed struct arena is an empty one, owned by whoever declared it. What it gives lives until
 * arena_deinit(). Single thread. */
#ifndef STOA_STORE_ARENA_H
#define STOA_STORE_ARENA_H

#include "base/str.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks; /* the newest first */
    size_t used_bytes;          /* given out of all chunks together */
};

void arena_deinit(struct arena *a); /* frees, and leaves an empty arena */
/* A copy of s that lives in the arena. An empty string stays as it is. */
struct str arena_copy(struct arena *a, struct str s);

#endif
