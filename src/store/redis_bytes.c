#include "store/redis_bytes.h"

#include "core/id.h"

static struct str take(struct redis_bytes *b, size_t len)
{
    if (b->is_broken || b->rest.len < len) {
        b->is_broken = true;
        return STR_NONE;
    }
    struct str taken = str_make(b->rest.ptr, len);
    b->rest = str_make(b->rest.ptr + len, b->rest.len - len);
    return taken;
}

uint64_t bytes_u(struct redis_bytes *b, size_t size_bytes)
{
    struct str s = take(b, size_bytes);
    uint64_t value = 0;

    for (size_t i = s.len; i > 0; i--) value = value << 8 | (unsigned char)s.ptr[i - 1];
    return value;
}

uint64_t bytes_id(struct redis_bytes *b)
{
    uint64_t ms = bytes_u(b, 8);
    uint64_t n = bytes_u(b, 4);

    return ms << ID_SEQ_BITS | (n & ((1u << ID_SEQ_BITS) - 1));
}

struct str bytes_str(struct redis_bytes *b, size_t size_bytes)
{
    return take(b, (size_t)bytes_u(b, size_bytes));
}

struct message bytes_message(struct redis_bytes *b)
{
    struct message m = {0};

    uint64_t list = bytes_u(b, 1);
    if (list >= LIST_KINDS) b->is_broken = true;
    m.list = list == LIST_HIGH ? LIST_HIGH : LIST_NORMAL;
    m.id = bytes_id(b);
    m.prev = bytes_id(b);
    m.ordinal = bytes_u(b, 8);
    m.type = bytes_str(b, 2);
    m.from = bytes_str(b, 2);
    m.name = bytes_str(b, 2);
    m.body = bytes_str(b, 4);
    return m;
}
