/* A growing byte buffer, owned by whoever declared it. Single thread.
 *
 * A zeroed struct buf is an empty one. Growth doubles; memory never runs out (base/alloc.h), so a
 * size that a peer chose is checked before it gets here. */
#ifndef STOA_BASE_BUF_H
#define STOA_BASE_BUF_H

#include "base/str.h"

struct buf {
    char *ptr;
    size_t len;
    size_t cap;
};

void buf_deinit(struct buf *b); /* frees, and leaves an empty buffer */
void buf_clear(struct buf *b);  /* empties, keeps the memory */
void buf_reserve(struct buf *b, size_t extra_bytes);
void buf_add(struct buf *b, const void *ptr, size_t len);
void buf_add_str(struct buf *b, struct str s);
void buf_add_char(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t value);
void buf_add_i64(struct buf *b, int64_t value);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *b, size_t len);
struct str buf_str(const struct buf *b); /* borrowed until the next change */

#define buf_add_lit(b, literal) buf_add((b), (literal), sizeof(literal) - 1)

#endif
