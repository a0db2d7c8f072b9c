/* Which messages answer a cursor: all high ones after it, then the newest normal ones, and the
 * truth about the rest.
 *
 *   high    after the cursor, the oldest first, at most LIMIT_POLL_HIGH; the rest comes in the next
 *           answer
 *   normal  after the cursor, the newest `limit` in id order; `skipped` counts those that fell out
 *   gap     high messages after the cursor are no longer kept, or the store lost its newest part:
 *           told, never silent (normal ones that are no longer kept are counted in `skipped`)
 *
 * A cursor is COLD when this copy cannot answer it alone, since it lies below the high feed's floor.
 * Then the hub reads the high list from the store, and select_cold() answers. Normal messages below
 * the floor need no read: the `limit` newest ones are asked for, and the ordinals count the rest.
 *
 * A cursor is AHEAD when it lies above a tail. Nearly always this copy is about to catch up (the
 * reader came from another worker or node): it waits. If that does not help, the store lost its
 * newest part; select_cold() then finds out, and tells a gap. */
#ifndef STOA_CORE_SELECT_H
#define STOA_CORE_SELECT_H

#include "base/limit.h"
#include "core/cursor.h"
#include "core/feed.h"

struct selection {
    struct frame *frames[LIMIT_POLL_HIGH + LIMIT_POLL_NORMAL]; /* borrowed from the feeds */
    uint32_t count;
    uint64_t skipped;
    bool gap;
    struct cursor next; /* at_ms is left 0 */
};

enum select_result { SELECT_NOTHING, SELECT_NEWS, SELECT_COLD, SELECT_AHEAD };

/* What the store told of the high list for a cold cursor. */
struct cold_read {
    struct frame **frames; /* the oldest ones after the cursor */
    uint32_t count;
    bool more;
    uint64_t trimmed, tail; /* of the high list, core/store.h */
    uint64_t normal_tail;
};

/* The newest messages over both lists, at most limit, and a cursor behind everything. */
void select_join(const struct feed feeds[LIST_KINDS], uint32_t limit, uint32_t room_tag,
                 struct selection *ret);
/* ret is filled only with SELECT_NEWS. */
enum select_result select_after(const struct feed feeds[LIST_KINDS], const struct cursor *cursor,
                                uint32_t limit, struct selection *ret);
/* Always an answer; it may be empty. */
void select_cold(const struct feed feeds[LIST_KINDS], const struct cold_read *cold,
                 const struct cursor *cursor, uint32_t limit, struct selection *ret);

#endif
