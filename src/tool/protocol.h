/* What a load generator asks of a server, in the words of that server: Stoa's protocol
 * (docs/protocol.md), or nchan's, so that the same viewers and the same publisher measure both.
 *
 *                  Stoa                                nchan
 *   a room         PUT /v1/rooms/R, quotas             POST /pub/R, a first message
 *   to join        GET /v1/rooms/R/messages            GET /sub/R: the newest message
 *   to poll        the same with ?since=CURSOR         the same with the id in two header fields
 *   to send        POST /v1/rooms/R/messages           POST /pub/R
 *   nothing new    200 without messages                408
 *
 * nchan's locations are those of bench/lib/peers.sh. It has one list, so all is normal there, and a
 * viewer that falls behind by more than its buffer loses messages without being told. Answers are
 * read by tool/poll_scan.h and tool/nchan_scan.h. */
#ifndef STOA_TOOL_PROTOCOL_H
#define STOA_TOOL_PROTOCOL_H

#include "core/message.h"
#include "tool/poll_scan.h"
#include "tool/url.h"

enum protocol { PROTOCOL_STOA, PROTOCOL_NCHAN };

/* Who asks, of whom; everything is borrowed. */
struct protocol_peer {
    enum protocol protocol;
    const struct url *url;
    const char *key, *room;
};

struct protocol_poll {
    const char *name_prefix; /* the viewer is called PREFIX-NUMBER */
    uint32_t number;
    uint32_t timeout_s;
    const char *cursor; /* NULL: joins, and asks for as little as may be asked for */
};

struct protocol_send {
    struct str body; /* JSON */
    enum list_kind list;
    uint64_t run, request; /* together a name for this message that no other has */
};

struct protocol_room {
    uint32_t normal_per_s, high_per_s, max_body_bytes;
};

/* False if there is none of this name. */
bool protocol_parse(struct str name, enum protocol *ret);

/* Whole requests, appended. */
void protocol_write_poll(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_poll *poll);
void protocol_write_send(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_send *send);
void protocol_write_room(struct buf *out, const struct protocol_peer *peer,
                         const struct protocol_room *room);

/* The answer to a send: the message is stored. `scan` has read its body to the end. */
bool protocol_is_stored(enum protocol protocol, int status, const struct poll_scan *scan);
/* The answer to a poll, when that is told by a status of its own: nothing came in its time. */
bool protocol_is_nothing_new(enum protocol protocol, int status);

#endif
