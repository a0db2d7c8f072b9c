/* Framing of the link: bytes in, packets out, and back.
 *
 *   +--------+--------+--------+--------+-----------------------------+
 *   | length of the packet, 4 bytes,    | packet, protobuf            |
 *   | most significant first            | (link.proto, Packet)        |
 *   +--------+--------+--------+--------+-----------------------------+
 *
 * A reader takes bytes as they come and gives packets, up to a limit each. Memory is taken as bytes
 * come, not as a length promises; and what is unpacked of one packet is bounded too, since a few
 * bytes can name many empty parts. One thread, the owner's. */
#ifndef STOA_LINK_LINK_FRAME_H
#define STOA_LINK_LINK_FRAME_H

#include "base/buf.h"
#include "link/link.pb-c.h"

#define LINK_HEAD_BYTES 4

struct link_reader {
    struct buf bytes;
    size_t at; /* what is before it has been given */
    uint32_t limit_bytes;
};

enum link_reading {
    LINK_READ_MORE, /* there is no whole packet yet */
    LINK_READ_PACKET,
    LINK_READ_BROKEN, /* too long, or no packet: the connection cannot go on */
};

void link_reader_init(struct link_reader *r, uint32_t limit_bytes);
void link_reader_deinit(struct link_reader *r);
/* Another limit, for packets whose length has not been looked at yet. */
void link_reader_set_limit(struct link_reader *r, uint32_t limit_bytes);
void link_reader_feed(struct link_reader *r, struct str bytes);
/* LINK_READ_PACKET: *ret_packet is the caller's, to be freed by link_packet_free(). Then call again.
 */
enum link_reading link_reader_next(struct link_reader *r, Link__Packet **ret_packet);
void link_packet_free(Link__Packet *packet); /* NULL is fine */

/* Appends the packet as a frame. False, and nothing is appended: it is longer than
 * LIMIT_LINK_FRAME. */
bool link_frame_add(struct buf *out, const Link__Packet *packet);

/* Texts of packets: borrowed, both ways. */
static inline struct str link_str(ProtobufCBinaryData bytes)
{
    return (struct str){(const char *)bytes.data, bytes.len};
}

ProtobufCBinaryData link_bytes(struct str s);

#endif
