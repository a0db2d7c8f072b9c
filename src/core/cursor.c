/* Layout, big-endian: version 1, room 4, high 8, normal 8, normal_ordinal 8, at_ms 8. */
#include "core/cursor.h"

#include "base/assert.h"
#include "base/base64.h"
#include "base/error.h"

#define CURSOR_VERSION 1

_Static_assert(BASE64_LEN(CURSOR_BYTES) == CURSOR_TEXT_LEN, "the text holds the bytes");

/* FNV-1a (Fowler, Noll, Vo): all nodes must agree on it, so it has no key. */
uint32_t cursor_room_tag(struct str room_key)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < room_key.len; i++)
        hash = (hash ^ (unsigned char)room_key.ptr[i]) * 16777619u;
    return hash;
}

static unsigned char *put(unsigned char *at, uint64_t value, int bytes)
{
    for (int i = bytes - 1; i >= 0; i--) *at++ = (unsigned char)(value >> (8 * i));
    return at;
}

static uint64_t get(const unsigned char **at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value = value << 8 | *(*at)++;
    return value;
}

void cursor_encode(const struct cursor *cursor, char ret_text[CURSOR_TEXT_LEN])
{
    unsigned char bytes[CURSOR_BYTES];
    unsigned char *at = put(bytes, CURSOR_VERSION, 1);
    at = put(at, cursor->room, 4);
    at = put(at, cursor->high, 8);
    at = put(at, cursor->normal, 8);
    at = put(at, cursor->normal_ordinal, 8);
    at = put(at, (uint64_t)cursor->at_ms, 8);
    ASSERT(at == bytes + CURSOR_BYTES);
    base64_encode(bytes, CURSOR_BYTES, ret_text);
}

int cursor_decode(struct str text, uint32_t room_tag, struct cursor *ret_cursor)
{
    unsigned char bytes[CURSOR_BYTES];
    if (text.len != CURSOR_TEXT_LEN) return ERR_BAD_CURSOR;
    if (base64_decode(text, bytes, sizeof bytes) != CURSOR_BYTES) return ERR_BAD_CURSOR;
    const unsigned char *at = bytes;
    if (get(&at, 1) != CURSOR_VERSION || get(&at, 4) != room_tag) return ERR_BAD_CURSOR;
    ret_cursor->room = room_tag;
    ret_cursor->high = get(&at, 8);
    ret_cursor->normal = get(&at, 8);
    ret_cursor->normal_ordinal = get(&at, 8);
    ret_cursor->at_ms = (int64_t)get(&at, 8);
    return OK;
}
