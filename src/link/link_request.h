/* Requests of an edge: the verbs of core/store.h, as values that go over a link.
 *
 * The edge fills in a struct link_request from the arguments of a verb and writes it; the cache node
 * reads the same out of a packet. What is read has been checked for everything that the verbs take
 * for granted: lengths, counts, a room where one is needed. now_ms is not sent: the node that
 * carries it out sets its own. Any thread.
 *
 * To add a verb: a kind, its member, its cases in link_request.c (writing), link_request_read.c and
 * link_answer.c, a part in link.proto. */
#ifndef STOA_LINK_LINK_REQUEST_H
#define STOA_LINK_LINK_REQUEST_H

#include "link/link_value.h"

enum link_verb {
    LINK_APPEND,
    LINK_READ,
    LINK_ROOM_PUT,
    LINK_ROOM_GET,
    LINK_ROOM_LIST,
    LINK_STORE_PING,
    LINK_VIEWERS_ADD,
    LINK_VIEWERS_MERGE,
    LINK_VIEWERS_COUNT,
    LINK_SAMPLE_PUT,
    LINK_SAMPLE_RANGE,
    LINK_PRESENCE_PUT,
    LINK_PRESENCE_COUNT,
    LINK_PRESENCE_PAGE,
    LINK_NODE_BEAT,
    LINK_ROUTES_GET,
    LINK_ROUTE_PUT,
    LINK_LEASE,
};

struct link_room_list {
    struct str app, after;
    uint32_t limit;
};

struct link_request {
    enum link_verb verb;
    /* Which node it is for: the room's; empty: any. */
    struct str room;
    union {
        struct store_append append;
        struct store_read read;
        struct store_room_put room_put;
        struct link_room_list room_list;
        struct store_viewers_add viewers_add;
        struct store_viewers_merge viewers_merge;
        struct store_viewers_count viewers_count;
        struct store_sample_put sample_put;
        struct store_sample_range sample_range;
        struct store_presence_put presence_put;
        struct store_presence_query presence_query;
        struct store_node_beat node_beat;
        struct store_routes_get routes_get;
        struct store_route_put route_put;
        struct store_lease lease;
    };
    void *owned; /* arrays that a read one points to */
};

/* Appends the request to `out` as a frame. False: it is too long. */
bool link_request_write(struct buf *out, uint64_t id, const struct link_request *request);
/* 0, ERR_NOT_IMPLEMENTED for what is no request that this version knows, or ERR_BAD_REQUEST. The
 * request borrows from the packet; after 0 it is released by link_request_deinit(). */
int link_request_read(const Link__Packet *packet, struct link_request *ret);
void link_request_deinit(struct link_request *request);

#endif
