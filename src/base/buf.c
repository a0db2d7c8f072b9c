#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

#define FIRST_CAP 64

void buf_deinit(struct buf *b)
{
    free(b->ptr);
    *b = (struct buf){0};
}

void buf_clear(struct buf *b)
{
    b->len = 0;
}

void buf_reserve(struct buf *b, size_t extra_bytes)
{
    size_t need;
    bool overflow = __builtin_add_overflow(b->len, extra_bytes, &need);
    ASSERT(!overflow && need <= SIZE_MAX / 2);
    if (need <= b->cap) return;

    size_t cap = b->cap > 0 ? b->cap : FIRST_CAP;
    while (cap < need) cap *= 2;
    b->ptr = xrealloc(b->ptr, cap);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *ptr, size_t len)
{
    if (len == 0) return; /* ptr may be NULL then, which memcpy does not take */
    buf_reserve(b, len);
    memcpy(b->ptr + b->len, ptr, len);
    b->len += len;
}

void buf_add_str(struct buf *b, struct str s)
{
    buf_add(b, s.ptr, s.len);
}

void buf_add_char(struct buf *b, char c)
{
    buf_add(b, &c, 1);
}

void buf_add_u64(struct buf *b, uint64_t value)
{
    char digits[20]; /* of UINT64_MAX */
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_add(b, digits + at, sizeof(digits) - at);
}

void buf_add_i64(struct buf *b, int64_t value)
{
    uint64_t magnitude = (uint64_t)value;
    if (value < 0) {
        buf_add_char(b, '-');
        magnitude = 0 - magnitude; /* also right for INT64_MIN */
    }
    buf_add_u64(b, magnitude);
}

/* Formats into the room that there is, and once more if that was too little. */
void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);

    buf_reserve(b, 1); /* so that ptr is not NULL */
    size_t space = b->cap - b->len;
    int len = vsnprintf(b->ptr + b->len, space, format, args);
    ASSERT(len >= 0);
    if ((size_t)len >= space) {
        buf_reserve(b, (size_t)len + 1);
        vsnprintf(b->ptr + b->len, (size_t)len + 1, format, again);
    }
    b->len += (size_t)len;

    va_end(again);
    va_end(args);
}

void buf_drop_front(struct buf *b, size_t len)
{
    ASSERT(len <= b->len);
    if (len == 0) return;
    memmove(b->ptr, b->ptr + len, b->len - len);
    b->len -= len;
}

struct str buf_str(const struct buf *b)
{
    return str_make(b->ptr, b->len);
}
