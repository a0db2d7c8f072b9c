#include "base/slots.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"

/* A slot is in use or in the list of the free ones, which is linked by index + 1. The generation
 * goes up when the slot is freed, so that handles given before do not fit any more. */
struct slot {
    void *object; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

void slots_init(struct slots *s)
{
    *s = (struct slots){0};
}

void slots_deinit(struct slots *s)
{
    for (uint32_t i = 0; i < s->cap / SLOTS_CHUNK; i++) free(s->chunks[i]);
    free(s->chunks);
    *s = (struct slots){0};
}

static struct slot *at(const struct slots *s, uint32_t index)
{
    return &s->chunks[index / SLOTS_CHUNK][index % SLOTS_CHUNK];
}

static void grow(struct slots *s)
{
    uint32_t chunk = s->cap / SLOTS_CHUNK;
    ASSERT(s->cap <= UINT32_MAX - 2 * SLOTS_CHUNK);
    if ((chunk & (chunk - 1)) == 0) /* the table of chunks does double; it is small */
        s->chunks = xrealloc(s->chunks, (chunk == 0 ? 1 : (size_t)chunk * 2) * sizeof(*s->chunks));
    s->chunks[chunk] = xcalloc(SLOTS_CHUNK, sizeof(struct slot));
    s->cap += SLOTS_CHUNK;
    /* From the last down, so that the first is given first. */
    for (uint32_t i = s->cap; i > s->cap - SLOTS_CHUNK; i--) {
        at(s, i - 1)->next_free = s->free_head;
        s->free_head = i;
    }
}

uint64_t slots_add(struct slots *s, void *object)
{
    ASSERT(object != NULL);
    if (s->free_head == 0) grow(s);
    uint32_t number = s->free_head;
    struct slot *slot = at(s, number - 1);
    s->free_head = slot->next_free;
    s->count++;
    slot->object = object;
    return (uint64_t)slot->generation << 32 | number;
}

/* The slot in use that the handle names, or NULL. */
static struct slot *find(const struct slots *s, uint64_t handle)
{
    uint32_t number = (uint32_t)handle;
    if (number == 0 || number > s->cap) return NULL;
    struct slot *slot = at(s, number - 1);
    if (slot->object == NULL || slot->generation != handle >> 32) return NULL;
    return slot;
}

void *slots_get(const struct slots *s, uint64_t handle)
{
    struct slot *slot = find(s, handle);
    return slot ? slot->object : NULL;
}

void *slots_at(const struct slots *s, uint32_t index)
{
    ASSERT(index < s->cap);
    return at(s, index)->object;
}

void *slots_remove(struct slots *s, uint64_t handle)
{
    struct slot *slot = find(s, handle);
    if (slot == NULL) return NULL;
    void *object = slot->object;
    slot->object = NULL;
    slot->generation++;
    slot->next_free = s->free_head;
    s->free_head = (uint32_t)handle;
    s->count--;
    return object;
}
