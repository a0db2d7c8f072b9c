/* Hash map from strings to objects that hold their own key: open addressing, linear probing, backward-shift deletion.
 *
 * A slot is 16 bytes, for tables with an entry per user: the key is asked of the object by key_of. The map owns neither;
 * a key must not change while its object is in the map. Single thread. */
#ifndef STOA_BASE_MAP_H
#define STOA_BASE_MAP_H

#include "base/hash.h"

typedef struct str map_key_of(const void *value);

struct map_slot {
    void *value;   /* NULL: free */
    uint32_t hash; /* the lower half */
};

struct map {
    struct map_slot *slots;
    size_t cap; /* a power of two, or 0 */
    size_t count;
    struct hash_key hash_key;
    map_key_of *key_of;
};

void map_init(struct map *m, struct hash_key key, map_key_of *key_of);
void map_deinit(struct map *m);
void *map_get(const struct map *m, struct str key); /* NULL if absent */
/* Fetches what a search for the key looks at first into the cache, for one that comes soon. */
void map_prefetch(const struct map *m, struct str key);
/* Adds an object whose key must not be there yet. */
void map_put(struct map *m, void *value);
void *map_take(struct map *m, struct str key); /* removes; NULL if absent */

/* Iterates over all objects as it->value; the body must not change the map. */
#define MAP_FOREACH(it, m)                                                                         \
    for (struct map_slot *it = (m)->slots, *it##_end = it ? it + (m)->cap : it; it != it##_end;    \
         it++)                                                                                     \
        if (it->value == NULL) {                                                                   \
        } else

#endif
