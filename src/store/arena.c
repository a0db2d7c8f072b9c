#include "store/arena.h"

#include "base/alloc.h"

#define CHUNK_BYTES 8192

struct arena_chunk {
    struct arena_chunk *next;
    size_t len, cap;
    char bytes[];
};

static struct arena_chunk *chunk_with_room(struct arena *a, size_t len)
{
    struct arena_chunk *chunk = a->chunks;
    if (chunk != NULL && chunk->cap - chunk->len >= len) return chunk;

    size_t cap = len > CHUNK_BYTES ? len : CHUNK_BYTES;
    chunk = xmalloc(sizeof(*chunk) + cap);
    *chunk = (struct arena_chunk){.next = a->chunks, .cap = cap};
    a->chunks = chunk;
    return chunk;
}

void arena_deinit(struct arena *a)
{
    while (a->chunks != NULL) {
        struct arena_chunk *chunk = a->chunks;
        a->chunks = chunk->next;
        free(chunk);
    }
    a->used_bytes = 0;
}

struct str arena_copy(struct arena *a, struct str s)
{
    if (s.len == 0) return s;

    struct arena_chunk *chunk = chunk_with_room(a, s.len);
    char *copy = chunk->bytes + chunk->len;
    memcpy(copy, s.ptr, s.len);
    chunk->len += s.len;
    a->used_bytes += s.len;
    return str_make(copy, s.len);
}
