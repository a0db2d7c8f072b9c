#include "link/link_frame.h"

#include "base/alloc.h"
#include "base/limit.h"

/* What is kept for the next packet; more goes back when it has been read. */
#define KEEP_BYTES 65536

void link_reader_init(struct link_reader *r, uint32_t limit_bytes)
{
    *r = (struct link_reader){.limit_bytes = limit_bytes};
}

void link_reader_deinit(struct link_reader *r)
{
    buf_deinit(&r->bytes);
}

void link_reader_set_limit(struct link_reader *r, uint32_t limit_bytes)
{
    r->limit_bytes = limit_bytes;
}

void link_reader_feed(struct link_reader *r, struct str bytes)
{
    if (r->at > 0) {
        buf_drop_front(&r->bytes, r->at);
        r->at = 0;
    }
    if (r->bytes.len == 0 && r->bytes.cap > KEEP_BYTES) buf_deinit(&r->bytes);
    buf_add_str(&r->bytes, bytes);
}

/* --- unpacking within a budget --------------------------------------------------------------- */

static void *take(void *budget, size_t size)
{
    size_t *left = budget;

    if (size > *left) return NULL;
    *left -= size;
    return xmalloc(size > 0 ? size : 1);
}

static void give(void *budget, void *ptr)
{
    (void)budget;
    free(ptr);
}

static Link__Packet *unpack(const char *ptr, size_t len)
{
    size_t left = LIMIT_LINK_UNPACKED;
    ProtobufCAllocator allocator = {.alloc = take, .free = give, .allocator_data = &left};

    return link__packet__unpack(&allocator, len, (const uint8_t *)ptr);
}

void link_packet_free(Link__Packet *packet)
{
    if (packet != NULL) link__packet__free_unpacked(packet, NULL);
}

static uint32_t length_at(const char *head)
{
    const unsigned char *p = (const unsigned char *)head;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

enum link_reading link_reader_next(struct link_reader *r, Link__Packet **ret_packet)
{
    size_t have = r->bytes.len - r->at;
    if (have < LINK_HEAD_BYTES) return LINK_READ_MORE;

    const char *head = r->bytes.ptr + r->at;
    uint32_t len = length_at(head);
    if (len > r->limit_bytes) return LINK_READ_BROKEN;
    if (have - LINK_HEAD_BYTES < len) return LINK_READ_MORE;

    Link__Packet *packet = unpack(head + LINK_HEAD_BYTES, len);
    if (packet == NULL) return LINK_READ_BROKEN;
    r->at += LINK_HEAD_BYTES + len;
    *ret_packet = packet;
    return LINK_READ_PACKET;
}

/* --- packing --------------------------------------------------------------------------------- */

bool link_frame_add(struct buf *out, const Link__Packet *packet)
{
    size_t len = link__packet__get_packed_size(packet);
    if (len > LIMIT_LINK_FRAME) return false;

    unsigned char head[LINK_HEAD_BYTES] = {(unsigned char)(len >> 24), (unsigned char)(len >> 16),
                                           (unsigned char)(len >> 8), (unsigned char)len};
    buf_reserve(out, sizeof(head) + len);
    buf_add(out, head, sizeof(head));
    link__packet__pack(packet, (uint8_t *)out->ptr + out->len);
    out->len += len;
    return true;
}

ProtobufCBinaryData link_bytes(struct str s)
{
    /* protobuf-c's type has no const, but packing only reads. */
    union {
        const char *from;
        uint8_t *to;
    } ptr = {.from = s.ptr};

    return (ProtobufCBinaryData){.len = s.len, .data = ptr.to};
}
