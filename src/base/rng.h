/* Seeded random numbers: xoshiro256** (Blackman, Vigna 2018), seeded by splitmix64. The same seed
 * gives the same run. Not for secrets. */
#ifndef STOA_BASE_RNG_H
#define STOA_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound); /* 0 .. bound-1, unbiased; bound > 0 */
double rng_unit(struct rng *r);                    /* [0, 1) */

#endif
