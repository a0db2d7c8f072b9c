/* SipHash-1-3 (Aumasson, Bernstein 2012): a keyed hash, so that clients who choose their ids cannot
 * choose the buckets that they fall into. The key comes from the process start; tests use a fixed
 * one. */
#ifndef STOA_BASE_HASH_H
#define STOA_BASE_HASH_H

#include "base/str.h"

struct hash_key {
    uint64_t k0, k1;
};

uint64_t hash_bytes(struct hash_key key, struct str bytes);

#endif
