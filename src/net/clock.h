/* The time that a thread hands to the core: Unix milliseconds that never step.
 *
 * The wall clock may be set by hand or by NTP; timers must not stand still or all fire because of
 * it. So this clock runs on CLOCK_MONOTONIC and is pulled towards the wall clock by at most one
 * part in CLOCK_SLEW. One per thread. */
#ifndef STOA_NET_CLOCK_H
#define STOA_NET_CLOCK_H

#include <stdint.h>

#define CLOCK_SLEW 20

struct clock {
    int64_t offset_us; /* wall minus monotonic, as believed */
    int64_t last_us;   /* monotonic, at the last reading */
};

void clock_init(struct clock *c);
int64_t clock_now_ms(struct clock *c);
/* The same with the readings given: for tests. */
int64_t clock_read(struct clock *c, int64_t wall_us, int64_t monotonic_us);

#endif
