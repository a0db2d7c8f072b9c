#include "core/quota.h"

#define MILLI 1000

static int64_t capacity_of(uint32_t burst)
{
    return (int64_t)(burst > 0 ? burst : 1) * MILLI; /* a bucket that holds nothing never gives */
}

/* What the bucket holds at now_ms: one token per second is one millitoken per millisecond. */
static int64_t level_at(const struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms)
{
    int64_t capacity = capacity_of(burst);
    if (b->last_ms == 0 || b->millitokens >= capacity) return capacity;

    int64_t elapsed_ms = now_ms > b->last_ms ? now_ms - b->last_ms : 0;
    int64_t missing = capacity - b->millitokens;
    if (elapsed_ms >= missing / per_s + 1) return capacity; /* and the product cannot overflow */
    int64_t level = b->millitokens + elapsed_ms * per_s;
    return level < capacity ? level : capacity;
}

bool bucket_take(struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms,
                 int64_t *ret_wait_ms)
{
    if (per_s == 0) return true;

    b->millitokens = level_at(b, per_s, burst, now_ms);
    /* Also when the clock stepped back: waiting for it to catch up would starve the room. */
    b->last_ms = now_ms != 0 ? now_ms : 1;
    if (b->millitokens < MILLI) {
        *ret_wait_ms = (MILLI - b->millitokens + per_s - 1) / per_s;
        return false;
    }
    b->millitokens -= MILLI;
    return true;
}

bool bucket_is_full(const struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms)
{
    return per_s == 0 || level_at(b, per_s, burst, now_ms) == capacity_of(burst);
}
