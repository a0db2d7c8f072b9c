#include "base/map.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_CAP 8

void map_init(struct map *m, struct hash_key key, map_key_of *key_of)
{
    *m = (struct map){.hash_key = key, .key_of = key_of};
}

void map_deinit(struct map *m)
{
    free(m->slots);
    *m = (struct map){.hash_key = m->hash_key, .key_of = m->key_of};
}

static size_t next_index(const struct map *m, size_t index)
{
    return (index + 1) & (m->cap - 1);
}

/* The slot that holds the key, or the free one where it belongs. There is always a free one. */
static struct map_slot *find(const struct map *m, struct str key, uint32_t hash)
{
    size_t index = hash & (m->cap - 1);
    for (;; index = next_index(m, index)) {
        struct map_slot *slot = &m->slots[index];
        if (slot->value == NULL) return slot;
        if (slot->hash == hash && str_eq(m->key_of(slot->value), key)) return slot;
    }
}

/* The slot for a key that is known not to be there. */
static struct map_slot *find_free(const struct map *m, uint32_t hash)
{
    size_t index = hash & (m->cap - 1);
    while (m->slots[index].value != NULL) index = next_index(m, index);
    return &m->slots[index];
}

static uint32_t hash_of(const struct map *m, struct str key)
{
    return (uint32_t)hash_bytes(m->hash_key, key);
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap > 0 ? old.cap * 2 : FIRST_CAP;
    m->slots = xcalloc(m->cap, sizeof(*m->slots));
    MAP_FOREACH (slot, &old) {
        *find_free(m, slot->hash) = *slot;
    }
    free(old.slots);
}

void *map_get(const struct map *m, struct str key)
{
    if (m->count == 0) return NULL;
    return find(m, key, hash_of(m, key))->value;
}

void map_prefetch(const struct map *m, struct str key)
{
    if (m->cap > 0) __builtin_prefetch(&m->slots[hash_of(m, key) & (m->cap - 1)]);
}

void map_put(struct map *m, void *value)
{
    struct str key = m->key_of(value);
    ASSERT(m->cap <= UINT32_MAX / 4);
    if ((m->count + 1) * 4 > m->cap * 3) grow(m);
    uint32_t hash = hash_of(m, key);
    struct map_slot *slot = find(m, key, hash);
    ASSERT(slot->value == NULL);
    *slot = (struct map_slot){value, hash};
    m->count++;
}

/* Closes the hole at `hole`, so that a search never has to step over the removed: each slot behind
 * it, up to the next free one, moves into the hole, unless the hole is before the place where its
 * search starts (Knuth, volume 3, 6.4, algorithm R). */
static void close_hole(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;
    for (size_t i = next_index(m, hole); m->slots[i].value != NULL; i = next_index(m, i)) {
        size_t from_home = (i - m->slots[i].hash) & mask;
        size_t from_hole = (i - hole) & mask;
        if (from_home < from_hole) continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct map_slot){0};
}

void *map_take(struct map *m, struct str key)
{
    if (m->count == 0) return NULL;
    struct map_slot *slot = find(m, key, hash_of(m, key));
    void *value = slot->value;
    if (value == NULL) return NULL;
    close_hole(m, (size_t)(slot - m->slots));
    m->count--;
    return value;
}
