/* A histogram of durations with bounded relative error, after HdrHistogram (Tene): buckets are
 * linear within a power of two, so that every value is known to 1 part in 128, whatever its size.
 *
 * Fixed size, no allocation, no pointer: it may lie in memory shared between processes, where one
 * writes and others read what is there so far. Values are of any unit; here microseconds. Zeroed is
 * empty. */
#ifndef STOA_TOOL_HISTOGRAM_H
#define STOA_TOOL_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB      (1 << HISTOGRAM_SUB_BITS) /* buckets within a power of two */
#define HISTOGRAM_MAX_BITS 36 /* values from 2^36 on (19 hours of microseconds) count as that */
#define HISTOGRAM_BUCKETS  ((HISTOGRAM_MAX_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB)

struct histogram {
    uint64_t count;
    uint64_t sum;
    uint64_t max;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* A negative value counts as 0. */
void histogram_add(struct histogram *h, int64_t value);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* The value that the share q (0 .. 1) of all do not exceed: the upper end of its bucket, at most
 * max. 0 when empty. */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
