#include "base/base64.h"

#include <limits.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64_encode(const void *bytes, size_t len, char *ret_text)
{
    const unsigned char *in = bytes;
    unsigned held = 0; /* bits not written yet, right-aligned */
    int held_bits = 0;
    for (size_t i = 0; i < len; i++) {
        held = held << 8 | in[i];
        held_bits += 8;
        while (held_bits >= 6) {
            held_bits -= 6;
            *ret_text++ = alphabet[held >> held_bits & 63];
        }
    }
    if (held_bits > 0) *ret_text = alphabet[held << (6 - held_bits) & 63];
}

/* The six bits of a character, and one; 0 if it is foreign. A decision per character would be
 * guessed wrong half the time. */
static const unsigned char values[256] = {
    ['A'] = 1,  ['B'] = 2,  ['C'] = 3,  ['D'] = 4,  ['E'] = 5,  ['F'] = 6,  ['G'] = 7,  ['H'] = 8,
    ['I'] = 9,  ['J'] = 10, ['K'] = 11, ['L'] = 12, ['M'] = 13, ['N'] = 14, ['O'] = 15, ['P'] = 16,
    ['Q'] = 17, ['R'] = 18, ['S'] = 19, ['T'] = 20, ['U'] = 21, ['V'] = 22, ['W'] = 23, ['X'] = 24,
    ['Y'] = 25, ['Z'] = 26, ['a'] = 27, ['b'] = 28, ['c'] = 29, ['d'] = 30, ['e'] = 31, ['f'] = 32,
    ['g'] = 33, ['h'] = 34, ['i'] = 35, ['j'] = 36, ['k'] = 37, ['l'] = 38, ['m'] = 39, ['n'] = 40,
    ['o'] = 41, ['p'] = 42, ['q'] = 43, ['r'] = 44, ['s'] = 45, ['t'] = 46, ['u'] = 47, ['v'] = 48,
    ['w'] = 49, ['x'] = 50, ['y'] = 51, ['z'] = 52, ['0'] = 53, ['1'] = 54, ['2'] = 55, ['3'] = 56,
    ['4'] = 57, ['5'] = 58, ['6'] = 59, ['7'] = 60, ['8'] = 61, ['9'] = 62, ['-'] = 63, ['_'] = 64,
};

int base64_decode(struct str text, void *ret_bytes, size_t cap)
{
    unsigned char *out = ret_bytes;
    size_t len = text.len / 4 * 3 + text.len % 4 * 3 / 4;
    unsigned held = 0;
    int held_bits = 0;
    if (text.len % 4 == 1 || len > cap || len > INT_MAX) return -1;

    for (size_t i = 0; i < text.len; i++) {
        unsigned value = values[(unsigned char)text.ptr[i]];
        if (value == 0) return -1;
        held = held << 6 | (value - 1);
        held_bits += 6;
        if (held_bits < 8) continue;
        held_bits -= 8;
        *out++ = (unsigned char)(held >> held_bits);
    }
    unsigned trailing = held & ((1U << held_bits) - 1);
    return trailing == 0 ? (int)len : -1;
}
