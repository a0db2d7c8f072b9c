#include "base/hash.h"

#include <endian.h>
#include <string.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

/* SipRound, figure 2.1 of the paper. */
static void mix(struct state *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);

    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static void compress(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s);
    s->v0 ^= word;
}

/* Up to eight bytes as a little-endian word. */
static uint64_t load(const char *ptr, size_t len)
{
    uint64_t word = 0;
    if (len > 0) memcpy(&word, ptr, len);
    return le64toh(word);
}

uint64_t hash_bytes(struct hash_key key, struct str bytes)
{
    struct state s = {
        .v0 = key.k0 ^ 0x736f6d6570736575,
        .v1 = key.k1 ^ 0x646f72616e646f6d,
        .v2 = key.k0 ^ 0x6c7967656e657261,
        .v3 = key.k1 ^ 0x7465646279746573,
    };
    size_t at = 0;
    for (; bytes.len - at >= 8; at += 8) compress(&s, load(bytes.ptr + at, 8));
    size_t left = bytes.len - at;
    uint64_t tail = left > 0 ? load(bytes.ptr + at, left) : 0;
    compress(&s, (uint64_t)bytes.len << 56 | tail);

    s.v2 ^= 0xff;
    for (int i = 0; i < 3; i++) mix(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
