#include "tool/histogram.h"

#include "base/assert.h"

/* The first HISTOGRAM_SUB buckets hold one value each. From there on each power of two has
 * HISTOGRAM_SUB buckets, told apart by the bits that follow its highest one. */
static uint32_t bucket_of(uint64_t value)
{
    if (value < HISTOGRAM_SUB) return (uint32_t)value;
    uint32_t shift = 63 - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

static uint64_t bucket_end(uint32_t bucket)
{
    if (bucket < HISTOGRAM_SUB) return bucket;
    uint32_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t head = (bucket & (HISTOGRAM_SUB - 1)) + HISTOGRAM_SUB;
    return ((head + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, int64_t value)
{
    uint64_t v = value < 0 ? 0 : (uint64_t)value;
    if (v >> HISTOGRAM_MAX_BITS != 0) v = (UINT64_C(1) << HISTOGRAM_MAX_BITS) - 1;
    uint32_t bucket = bucket_of(v);
    ASSERT(bucket < HISTOGRAM_BUCKETS);
    h->buckets[bucket]++;
    h->count++;
    h->sum += v;
    if (v > h->max) h->max = v;
}

void histogram_merge(struct histogram *into, const struct histogram *from)
{
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum += from->sum;
    if (from->max > into->max) into->max = from->max;
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t seen = 0;
    uint64_t rank = (uint64_t)(q * (double)h->count + 0.999999);
    if (rank < 1) rank = 1;
    if (rank > h->count) rank = h->count;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS && h->count > 0; i++) {
        seen += h->buckets[i];
        if (seen < rank) continue;
        uint64_t end = bucket_end(i);
        return end < h->max ? end : h->max;
    }
    return h->max;
}
