#include "core/feed.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/limit.h"

#define FIRST_CAP 16

void feed_init(struct feed *f)
{
    *f = (struct feed){0};
}

static void drop_oldest(struct feed *f)
{
    struct frame *oldest = f->ring[f->head];
    f->head = (f->head + 1) & (f->cap - 1);
    f->count--;
    f->bytes -= oldest->len;
    f->floor = oldest->id;
    frame_unref(oldest);
}

void feed_deinit(struct feed *f)
{
    while (f->count > 0) drop_oldest(f);
    free(f->ring);
    feed_init(f);
}

void feed_restart(struct feed *f, uint64_t tail, uint64_t tail_ordinal)
{
    while (f->count > 0) drop_oldest(f);
    f->floor = f->tail = tail;
    f->tail_ordinal = tail_ordinal;
}

static void grow(struct feed *f)
{
    uint32_t cap = f->cap == 0 ? FIRST_CAP : f->cap * 2;
    struct frame **ring = xmalloc(cap * sizeof *ring);
    for (uint32_t i = 0; i < f->count; i++) ring[i] = feed_at(f, i);
    free(f->ring);
    f->ring = ring;
    f->cap = cap;
    f->head = 0;
}

enum feed_result feed_append(struct feed *f, struct frame *frame)
{
    if (frame->id <= f->tail) return FEED_STALE;
    if (frame->prev != f->tail) return FEED_HOLE;
    if (f->count == f->cap) grow(f);
    f->ring[(f->head + f->count) & (f->cap - 1)] = frame_ref(frame);
    f->count++;
    f->bytes += frame->len;
    f->tail = frame->id;
    f->tail_ordinal = frame->ordinal;
    while (f->count > LIMIT_FEED_FRAMES || (f->bytes > LIMIT_FEED_BYTES && f->count > 1))
        drop_oldest(f);
    return FEED_APPLIED;
}

bool feed_append_or_restart(struct feed *f, struct frame *frame)
{
    enum feed_result result = feed_append(f, frame);
    if (result == FEED_HOLE) {
        feed_restart(f, frame->prev, frame->ordinal - 1);
        result = feed_append(f, frame);
        ASSERT(result == FEED_APPLIED);
    }
    return result == FEED_APPLIED;
}

struct frame *feed_at(const struct feed *f, uint32_t index)
{
    ASSERT(index < f->count);
    return f->ring[(f->head + index) & (f->cap - 1)];
}

uint32_t feed_after(const struct feed *f, uint64_t id)
{
    /* Most readers are in step: what they want is at the very end. */
    if (f->count == 0 || id >= f->tail) return f->count;
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (feed_at(f, middle)->id > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void feed_check(const struct feed *f)
{
    uint64_t last = f->floor;
    size_t bytes = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        const struct frame *frame = feed_at(f, i);
        ASSERT(frame->prev == last && frame->id > last);
        last = frame->id;
        bytes += frame->len;
    }
    ASSERT(f->tail == last && f->bytes == bytes);
    ASSERT(f->count <= LIMIT_FEED_FRAMES && (f->bytes <= LIMIT_FEED_BYTES || f->count == 1));
}
