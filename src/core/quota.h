/* Token bucket (Turner 1986), in thousandths of a token so that any rate per second is exact in ms.
 */
#ifndef STOA_CORE_QUOTA_H
#define STOA_CORE_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t millitokens;
    int64_t last_ms; /* 0: never used, which is a full bucket */
};

/* Takes one token from a bucket that refills at per_s and holds burst. False: ret_wait_ms (>= 1)
 * tells when there will be one. A clock that steps back refills nothing. per_s 0 is no quota:
 * always true. */
bool bucket_take(struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms,
                 int64_t *ret_wait_ms);
/* The bucket is full at now_ms: forgetting it changes nothing. */
bool bucket_is_full(const struct bucket *b, uint32_t per_s, uint32_t burst, int64_t now_ms);

#endif
