/* Two points in time, of one clock. INT64_MAX stands for never. */
#ifndef STOA_BASE_TIMES_H
#define STOA_BASE_TIMES_H

#include <stdint.h>

static inline int64_t earlier(int64_t a_ms, int64_t b_ms)
{
    return a_ms < b_ms ? a_ms : b_ms;
}

static inline int64_t later(int64_t a_ms, int64_t b_ms)
{
    return a_ms > b_ms ? a_ms : b_ms;
}

#endif
