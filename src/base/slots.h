/* Handles with a generation for objects that are named across threads and layers.
 *
 * slots_add gives a 64-bit handle (generation << 32 | index + 1, never 0). After slots_remove the
 * old handle finds nothing, also when its slot is used again. Growth never moves an object, since
 * the table holds pointers only. Single thread. */
#ifndef STOA_BASE_SLOTS_H
#define STOA_BASE_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#define SLOTS_CHUNK 256

struct slot;

struct slots {
    struct slot *
        *chunks; /* SLOTS_CHUNK each: the table grows with what it holds, not by doubling */
    uint32_t cap;
    uint32_t count;
    uint32_t free_head; /* index + 1, 0 when none is free */
};

void slots_init(struct slots *s);
void slots_deinit(struct slots *s);
uint64_t slots_add(struct slots *s, void *object);
void *slots_get(const struct slots *s, uint64_t handle); /* NULL if stale or 0 */
/* By position, 0 .. cap-1, for walking over all; NULL where there is none. */
void *slots_at(const struct slots *s, uint32_t index);
void *slots_remove(struct slots *s, uint64_t handle); /* NULL if stale or 0 */

#endif
