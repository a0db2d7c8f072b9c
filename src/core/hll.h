/* HyperLogLog: how many different users, in 12 KiB, whatever their number.
 *
 * 2^14 registers of 6 bits, in Redis's dense layout and with its hash, byte for byte: Redis can
 * merge and count what hll_write() gives, and hll_read() takes what Redis holds (its dense form;
 * its sparse form is refused). A sketch is a function of the set of its users: neither their order,
 * nor how often they come, nor how they were split among merged sketches makes a difference.
 *
 * While few registers are set, a sketch is a sorted list of them, which becomes the dense form by
 * itself where it would outgrow it. A list has at most 2048 members, so that an insertion moves at
 * most 8 KiB. Nothing but hll_memory_bytes() shows which form it is.
 *
 * Sources: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal
 * cardinality estimation algorithm" (2007); the estimator: Ertl, "New cardinality estimation
 * algorithms for HyperLogLog sketches" (arXiv:1702.01284, 2017), the one that Redis uses; the hash:
 * Appleby, MurmurHash64A (2008), seed 0xadc83b19. Standard error 1.04 / sqrt(2^14) = 0.81 %.
 *
 * The hash has no secret key, or sketches of two nodes would not merge. So who can choose many user
 * ids can make a count too high or too low; apps give ids, not viewers.
 *
 * One thread, the owner's. Zero-initialised is empty. */
#ifndef STOA_CORE_HLL_H
#define STOA_CORE_HLL_H

#include "base/str.h"

#define HLL_BITS           14
#define HLL_REGISTERS      (1u << HLL_BITS)
#define HLL_HEADER_BYTES   16
#define HLL_DENSE_BYTES    (HLL_HEADER_BYTES + HLL_REGISTERS * 6 / 8)
#define HLL_STANDARD_ERROR 0.008125

struct hll {
    uint8_t *dense;   /* HLL_DENSE_BYTES in Redis's layout, or NULL while sparse; owned */
    uint32_t *sparse; /* sorted: register << 8 | rank; owned */
    uint32_t sparse_count, sparse_cap;
};

void hll_deinit(struct hll *hll); /* frees, and leaves an empty sketch */
/* True when it changed the sketch: if not, the user was seen, or looks as if. */
bool hll_add(struct hll *hll, struct str user);
/* The union; both may be the same. */
void hll_merge(struct hll *into, const struct hll *from);
/* Looks at every register (some 10 us): for answers, not for every add. */
uint64_t hll_count(const struct hll *hll);
/* Redis's dense string. Its place for a cached count is marked as out of date. */
void hll_write(const struct hll *hll, uint8_t ret[HLL_DENSE_BYTES]);
/* Replaces what is there. False, nothing changed: not a dense string of Redis. */
bool hll_read(struct hll *hll, struct str bytes);
/* What it has allocated. */
size_t hll_memory_bytes(const struct hll *hll);

#endif
