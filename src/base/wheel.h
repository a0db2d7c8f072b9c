/* Timer wheel (Varghese, Lauck 1987), hierarchical: 4 levels of 256 slots of 1 ms, and a list
 * for what lies further away than those 49 days.
 *
 * Arm, re-arm and cancel are O(1). Time is given, never read. A timer fires in the first
 * wheel_advance() whose now_ms is at or past its due time, never earlier. Timers of one wheel
 * belong to one thread; the timer is the caller's memory, and must be cancelled before that memory
 * goes. */
#ifndef STOA_BASE_WHEEL_H
#define STOA_BASE_WHEEL_H

#include <stdint.h>

#include "base/list.h"

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS  256

struct timer {
    struct list node;
    int64_t due_ms;
};

struct wheel {
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* a bit for each slot that has a timer */
    struct list far;
    int64_t now_ms;
    uint64_t count;
};

typedef void timer_cb(void *arg, struct timer *timer);

void wheel_init(struct wheel *w, int64_t now_ms);
void timer_init(struct timer *t);
bool timer_is_armed(const struct timer *t);
/* Arms, or re-arms. A due time in the past is taken as now, and fires in the next advance. */
void wheel_arm(struct wheel *w, struct timer *t, int64_t due_ms);
void wheel_cancel(struct wheel *w, struct timer *t); /* fine if it is not armed */
/* Fires all that is due at now_ms in order of due time (ties in arming order). The callback may arm
 * and cancel any timer of this wheel, also the one fired; a timer that it arms at or before now_ms
 * fires in the next advance. A now_ms before the wheel's own is taken as that. */
void wheel_advance(struct wheel *w, int64_t now_ms, timer_cb *cb, void *arg);
/* A time at or before the next due time (never after it); INT64_MAX when nothing is armed. */
int64_t wheel_next_ms(const struct wheel *w);

#endif
