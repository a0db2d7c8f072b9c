/* The dense string:
 *
 *   0   "HYLL"
 *   4   0: dense
 *   5   three zeros
 *   8   Redis's cached count, little-endian; the top bit of the last byte says that it is stale
 *   16  16384 registers of 6 bits, least significant bit first: four of them in three bytes
 *
 * A dense sketch is kept as that string, so that writing and reading are copies.
 *
 * A user's hash gives a register by its lower 14 bits, and a rank by the others: one more than the
 * zeros before the first one, 51 where all are zeros. A register keeps the highest rank it got. */
#include "core/hll.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define RANK_BITS 6
#define RANK_MASK ((1u << RANK_BITS) - 1)
#define RANK_MAX  (64 - HLL_BITS + 1)

#define SPARSE_FIRST 16
#define SPARSE_MAX   2048u /* the next doubling would be larger than the dense form */

_Static_assert(sizeof(uint32_t) * SPARSE_MAX <= HLL_DENSE_BYTES, "a list pays");
_Static_assert(2 * sizeof(uint32_t) * SPARSE_MAX > HLL_DENSE_BYTES, "a longer one would not");

#define STALE_AT   15
#define STALE_MARK 0x80

static const uint8_t HEADER[HLL_HEADER_BYTES] = {'H', 'Y', 'L', 'L', [STALE_AT] = STALE_MARK};

/* --- the hash -------------------------------------------------------------------------------- */

#define HASH_SEED     0xadc83b19u
#define HASH_MULTIPLY 0xc6a4a7935bd1e995u
#define HASH_SHIFT    47

/* Up to eight bytes as a little-endian word. */
static uint64_t load(const char *ptr, size_t len)
{
    uint64_t word = 0;
    memcpy(&word, ptr, len);
    return le64toh(word);
}

/* MurmurHash64A. */
static uint64_t hash_of(struct str bytes)
{
    uint64_t hash = HASH_SEED ^ bytes.len * HASH_MULTIPLY;
    size_t at = 0;
    for (; bytes.len - at >= 8; at += 8) {
        uint64_t word = load(bytes.ptr + at, 8) * HASH_MULTIPLY;
        word = (word ^ word >> HASH_SHIFT) * HASH_MULTIPLY;
        hash = (hash ^ word) * HASH_MULTIPLY;
    }
    if (at < bytes.len) hash = (hash ^ load(bytes.ptr + at, bytes.len - at)) * HASH_MULTIPLY;
    hash = (hash ^ hash >> HASH_SHIFT) * HASH_MULTIPLY;
    return hash ^ hash >> HASH_SHIFT;
}

/* --- the dense form -------------------------------------------------------------------------- */

/* A word that holds the register, and where in it. It begins a byte before the three that four
 * registers share, so that none of the words reaches beyond the end; before the first is the
 * header. */
struct place {
    uint8_t *ptr;
    unsigned shift;
};

static struct place place_of(uint8_t *dense, uint32_t reg)
{
    return (struct place){
        .ptr = dense + HLL_HEADER_BYTES - 1 + (size_t)reg / 4 * 3,
        .shift = 8 + reg % 4 * RANK_BITS,
    };
}

static uint32_t load_word(const uint8_t *ptr)
{
    uint32_t word;
    memcpy(&word, ptr, sizeof(word));
    return le32toh(word);
}

static bool dense_raise(uint8_t *dense, uint32_t reg, uint32_t rank)
{
    struct place place = place_of(dense, reg);
    uint32_t word = load_word(place.ptr);
    if ((word >> place.shift & RANK_MASK) >= rank) return false;
    word = htole32((word & ~(RANK_MASK << place.shift)) | rank << place.shift);
    memcpy(place.ptr, &word, sizeof(word));
    return true;
}

static uint32_t dense_rank(uint8_t *dense, uint32_t reg)
{
    struct place place = place_of(dense, reg);
    return load_word(place.ptr) >> place.shift & RANK_MASK;
}

/* --- the list -------------------------------------------------------------------------------- */

static uint32_t entry_of(uint32_t reg, uint32_t rank)
{
    return reg << 8 | rank;
}

static uint32_t entry_register(uint32_t entry)
{
    return entry >> 8;
}

static uint32_t entry_rank(uint32_t entry)
{
    return entry & 0xff;
}

static void write_list(const struct hll *hll, uint8_t *dense)
{
    for (uint32_t i = 0; i < hll->sparse_count; i++)
        dense_raise(dense, entry_register(hll->sparse[i]), entry_rank(hll->sparse[i]));
}

static void become_dense(struct hll *hll)
{
    if (hll->dense != NULL) return;
    uint8_t *dense = xmalloc(HLL_DENSE_BYTES);
    hll_write(hll, dense);
    hll_deinit(hll);
    hll->dense = dense;
}

/* Where the register is, or belongs. */
static uint32_t find(const struct hll *hll, uint32_t reg)
{
    uint32_t low = 0, high = hll->sparse_count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (entry_register(hll->sparse[middle]) < reg)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct hll *hll, uint32_t at, uint32_t entry)
{
    if (hll->sparse_count == hll->sparse_cap) {
        hll->sparse_cap = hll->sparse_cap > 0 ? 2 * hll->sparse_cap : SPARSE_FIRST;
        hll->sparse = xrealloc(hll->sparse, hll->sparse_cap * sizeof(*hll->sparse));
    }
    memmove(hll->sparse + at + 1, hll->sparse + at,
            (hll->sparse_count - at) * sizeof(*hll->sparse));
    hll->sparse[at] = entry;
    hll->sparse_count++;
}

static bool sparse_raise(struct hll *hll, uint32_t reg, uint32_t rank)
{
    uint32_t at = find(hll, reg);
    if (at < hll->sparse_count && entry_register(hll->sparse[at]) == reg) {
        if (entry_rank(hll->sparse[at]) >= rank) return false;
        hll->sparse[at] = entry_of(reg, rank);
        return true;
    }
    if (hll->sparse_count == SPARSE_MAX) {
        become_dense(hll);
        return dense_raise(hll->dense, reg, rank);
    }
    insert(hll, at, entry_of(reg, rank));
    return true;
}

/* --- both ------------------------------------------------------------------------------------ */

static bool raise(struct hll *hll, uint32_t reg, uint32_t rank)
{
    return hll->dense != NULL ? dense_raise(hll->dense, reg, rank) : sparse_raise(hll, reg, rank);
}

void hll_deinit(struct hll *hll)
{
    free(hll->dense);
    free(hll->sparse);
    *hll = (struct hll){0};
}

bool hll_add(struct hll *hll, struct str user)
{
    uint64_t hash = hash_of(user);
    uint64_t rest = hash >> HLL_BITS | UINT64_C(1) << (RANK_MAX - 1); /* ends the zeros */
    return raise(hll, (uint32_t)(hash % HLL_REGISTERS), (uint32_t)__builtin_ctzll(rest) + 1);
}

void hll_merge(struct hll *into, const struct hll *from)
{
    if (into == from) return;
    if (from->dense == NULL) {
        for (uint32_t i = 0; i < from->sparse_count; i++)
            raise(into, entry_register(from->sparse[i]), entry_rank(from->sparse[i]));
        return;
    }
    become_dense(into);
    for (uint32_t reg = 0; reg < HLL_REGISTERS; reg++)
        dense_raise(into->dense, reg, dense_rank(from->dense, reg));
}

void hll_write(const struct hll *hll, uint8_t ret[HLL_DENSE_BYTES])
{
    if (hll->dense != NULL) {
        memcpy(ret, hll->dense, HLL_DENSE_BYTES);
        return;
    }
    memcpy(ret, HEADER, HLL_HEADER_BYTES);
    memset(ret + HLL_HEADER_BYTES, 0, HLL_DENSE_BYTES - HLL_HEADER_BYTES);
    write_list(hll, ret);
}

/* Of the header, what Redis itself looks at. */
static bool is_dense_string(struct str bytes)
{
    return bytes.len == HLL_DENSE_BYTES && memcmp(bytes.ptr, HEADER, 5) == 0;
}

/* A rank that no hash has would be taken for a very large number of users. */
static bool has_sound_ranks(uint8_t *dense)
{
    for (uint32_t reg = 0; reg < HLL_REGISTERS; reg++)
        if (dense_rank(dense, reg) > RANK_MAX) return false;
    return true;
}

static uint32_t registers_set(uint8_t *dense)
{
    uint32_t count = 0;
    for (uint32_t reg = 0; reg < HLL_REGISTERS; reg++) count += dense_rank(dense, reg) > 0;
    return count;
}

/* Takes the string, and gives the form that its number of users has. */
static struct hll make(uint8_t *dense)
{
    struct hll hll = {0};
    if (registers_set(dense) > SPARSE_MAX) {
        hll.dense = dense;
        return hll;
    }
    for (uint32_t reg = 0; reg < HLL_REGISTERS; reg++) {
        uint32_t rank = dense_rank(dense, reg);
        if (rank > 0) insert(&hll, hll.sparse_count, entry_of(reg, rank));
    }
    free(dense);
    return hll;
}

bool hll_read(struct hll *hll, struct str bytes)
{
    if (!is_dense_string(bytes)) return false;
    uint8_t *dense = xmalloc(HLL_DENSE_BYTES);
    memcpy(dense, bytes.ptr, HLL_DENSE_BYTES);
    memcpy(dense, HEADER, HLL_HEADER_BYTES); /* a cached count would be wrong after an add */
    if (!has_sound_ranks(dense)) {
        free(dense);
        return false;
    }
    hll_deinit(hll);
    *hll = make(dense);
    return true;
}

size_t hll_memory_bytes(const struct hll *hll)
{
    return hll->dense != NULL ? HLL_DENSE_BYTES : hll->sparse_cap * sizeof(*hll->sparse);
}

/* --- the estimate ---------------------------------------------------------------------------- */

/* How many registers have each rank. */
static void histogram(const struct hll *hll, uint32_t ret_counts[RANK_MASK + 1])
{
    memset(ret_counts, 0, (RANK_MASK + 1) * sizeof(*ret_counts));
    if (hll->dense != NULL) {
        for (uint32_t reg = 0; reg < HLL_REGISTERS; reg++)
            ret_counts[dense_rank(hll->dense, reg)]++;
        return;
    }
    ret_counts[0] = HLL_REGISTERS - hll->sparse_count;
    for (uint32_t i = 0; i < hll->sparse_count; i++) ret_counts[entry_rank(hll->sparse[i])]++;
}

/* x + x^2 + 2 x^4 + 4 x^8 + …: the part of the registers that are still 0 (Ertl, section 4.2). */
static double sigma(double x)
{
    if (x == 1.0) return INFINITY;
    double sum = x, before, factor = 1.0;
    do {
        before = sum;
        x *= x;
        sum += x * factor;
        factor += factor;
    } while (sum != before);
    return sum;
}

/* (1 - x - (1 - x^1/2)^2 / 2 - (1 - x^1/4)^2 / 4 - …) / 3: of those that are full. */
static double tau(double x)
{
    if (x == 0.0 || x == 1.0) return 0.0;
    double sum = 1.0 - x, before, factor = 1.0;
    do {
        before = sum;
        x = sqrt(x);
        factor *= 0.5;
        sum -= (1.0 - x) * (1.0 - x) * factor;
    } while (sum != before);
    return sum / 3.0;
}

#define ALPHA_INFINITY 0.721347520444481703680 /* 1 / (2 ln 2) */

/* Ertl's algorithm 6. In the order of Redis's own steps, so that both round alike. */
uint64_t hll_count(const struct hll *hll)
{
    const double m = HLL_REGISTERS;
    uint32_t counts[RANK_MASK + 1];
    histogram(hll, counts);
    double sum = m * tau((m - counts[RANK_MAX]) / m);
    for (uint32_t rank = RANK_MAX - 1; rank > 0; rank--) {
        sum += counts[rank];
        sum *= 0.5;
    }
    sum += m * sigma(counts[0] / m);
    double estimate = ALPHA_INFINITY * m * m / sum;
    /* Only a made-up sketch has more, up to infinity. */
    return estimate < 0x1p63 ? (uint64_t)llround(estimate) : INT64_MAX;
}
