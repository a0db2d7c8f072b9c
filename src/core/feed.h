/* A cache's copy of the newest part of one list: frames in id order, without a hole.
 *
 * Invariants (feed_check):
 *   1. every message with floor < id <= tail is here, and nothing else;
 *   2. the first frame's prev is floor, each next one's prev is the id before it, the last one's id
 * is tail;
 *   3. an empty feed has floor == tail.
 * At most LIMIT_FEED_FRAMES frames and LIMIT_FEED_BYTES bytes, but always the newest one: the
 * oldest go first. */
#ifndef STOA_CORE_FEED_H
#define STOA_CORE_FEED_H

#include "core/frame.h"

struct feed {
    struct frame **ring;
    uint32_t cap; /* a power of two, or 0 */
    uint32_t head;
    uint32_t count;
    size_t bytes;
    uint64_t floor, tail, tail_ordinal;
};

enum feed_result {
    FEED_APPLIED,
    FEED_STALE, /* known already, or older than the copy */
    FEED_HOLE,  /* something between tail and this frame is missing */
};

void feed_init(struct feed *f);
void feed_deinit(struct feed *f);
/* Forgets everything; the copy starts behind the message `tail`. */
void feed_restart(struct feed *f, uint64_t tail, uint64_t tail_ordinal);
/* Applied: takes a reference of its own. Else the feed is as it was. */
enum feed_result feed_append(struct feed *f, struct frame *frame);
/* As feed_append, but a hole makes the copy start anew with this frame. False if it was stale. */
bool feed_append_or_restart(struct feed *f, struct frame *frame);
struct frame *feed_at(const struct feed *f, uint32_t index); /* 0 is the oldest; borrowed */
/* Index of the oldest frame with an id greater than `id`; count if there is none. */
uint32_t feed_after(const struct feed *f, uint64_t id);
void feed_check(const struct feed *f);

#endif
