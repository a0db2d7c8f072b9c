/* The registers of a dense string, by the simplest way to have them: bit by bit, as its layout is
 * told ("6 bits, the least significant first"), beside which core/hll.c is tested. */
#ifndef STOA_TEST_HLL_BYTES_H
#define STOA_TEST_HLL_BYTES_H

#include "core/hll.h"

static inline unsigned hll_bytes_rank(const uint8_t *bytes, uint32_t reg)
{
    unsigned rank = 0;
    for (uint32_t bit = 0; bit < 6; bit++) {
        uint32_t at = reg * 6 + bit;
        rank |= (unsigned)(bytes[HLL_HEADER_BYTES + at / 8] >> at % 8 & 1) << bit;
    }
    return rank;
}

static inline void hll_bytes_set_rank(uint8_t *bytes, uint32_t reg, unsigned rank)
{
    for (uint32_t bit = 0; bit < 6; bit++) {
        uint32_t at = reg * 6 + bit;
        uint8_t mask = (uint8_t)(1 << at % 8);
        uint8_t *byte = &bytes[HLL_HEADER_BYTES + at / 8];
        *byte = (uint8_t)(rank >> bit & 1 ? *byte | mask : *byte & ~mask);
    }
}

#endif
