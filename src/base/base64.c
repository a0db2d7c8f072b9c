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

/* The six bits of a character, -1 if it is foreign. */
static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    if (c == '_') return 63;
    return -1;
}

int base64_decode(struct str text, void *ret_bytes, size_t cap)
{
    unsigned char *out = ret_bytes;
    size_t len = text.len / 4 * 3 + text.len % 4 * 3 / 4;
    unsigned held = 0;
    int held_bits = 0;
    if (text.len % 4 == 1 || len > cap || len > INT_MAX) return -1;

    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.ptr[i]);
        if (value < 0) return -1;
        held = held << 6 | (unsigned)value;
        held_bits += 6;
        if (held_bits < 8) continue;
        held_bits -= 8;
        *out++ = (unsigned char)(held >> held_bits);
    }
    unsigned trailing = held & ((1U << held_bits) - 1);
    return trailing == 0 ? (int)len : -1;
}
