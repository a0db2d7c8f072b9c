#include "base/queue.h"

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

#define CACHE_LINE 64

/* The counters run on and are never reduced to the ring, so that full and empty differ; they wrap
 * with size_t, which the ring's power of two divides. Each side keeps the last value that it saw of
 * the other's counter and looks again only when that is not enough: thus a busy queue costs no
 * cache miss per item. The padding keeps the two sides' lines apart. */
struct queue {
    size_t item_bytes;
    size_t mask;
    char pad0[CACHE_LINE];

    /* The producer's. */
    _Atomic size_t pushed;
    size_t popped_seen;
    char pad1[CACHE_LINE];

    /* The consumer's. */
    _Atomic size_t popped;
    size_t pushed_seen;
    char pad2[CACHE_LINE];

    char ring[];
};

struct queue *queue_new(size_t item_bytes, size_t capacity)
{
    size_t cap = 1, ring_bytes;
    ASSERT(item_bytes > 0 && capacity <= SIZE_MAX / 2);
    while (cap < capacity) cap *= 2;
    bool overflow = __builtin_mul_overflow(item_bytes, cap, &ring_bytes);
    ASSERT(!overflow);

    struct queue *q = xmalloc(sizeof(*q) + ring_bytes);
    q->item_bytes = item_bytes;
    q->mask = cap - 1;
    q->popped_seen = 0;
    q->pushed_seen = 0;
    atomic_init(&q->pushed, 0);
    atomic_init(&q->popped, 0);
    return q;
}

void queue_free(struct queue *q)
{
    free(q);
}

static char *item_at(struct queue *q, size_t number)
{
    return q->ring + (number & q->mask) * q->item_bytes;
}

bool queue_push(struct queue *q, const void *item)
{
    size_t pushed = atomic_load_explicit(&q->pushed, memory_order_relaxed);
    if (pushed - q->popped_seen > q->mask) {
        q->popped_seen = atomic_load_explicit(&q->popped, memory_order_acquire);
        if (pushed - q->popped_seen > q->mask) return false;
    }
    memcpy(item_at(q, pushed), item, q->item_bytes);
    atomic_store_explicit(&q->pushed, pushed + 1, memory_order_release);
    return true;
}

size_t queue_count(const struct queue *q)
{
    size_t popped = atomic_load_explicit(&q->popped, memory_order_acquire);
    return atomic_load_explicit(&q->pushed, memory_order_acquire) - popped;
}

size_t queue_space(const struct queue *q)
{
    return q->mask + 1 - queue_count(q);
}

bool queue_pop(struct queue *q, void *ret_item)
{
    size_t popped = atomic_load_explicit(&q->popped, memory_order_relaxed);
    if (popped == q->pushed_seen) {
        q->pushed_seen = atomic_load_explicit(&q->pushed, memory_order_acquire);
        if (popped == q->pushed_seen) return false;
    }
    memcpy(ret_item, item_at(q, popped), q->item_bytes);
    atomic_store_explicit(&q->popped, popped + 1, memory_order_release);
    return true;
}
