/* An edge's connection to one node: connects, proves, keeps it up, and says when it is not.
 *
 *            .----------------- retry, later each time ------------------.
 *            v                                                           |
 *   AWAY --> CONNECTING --open--> PROVING --proved--> READY --goodbye--> LEAVING
 *              |                     |                  |                   |
 *              '---------------------'-----> AWAY <-----'-------------------'
 *
 * READY takes requests. LEAVING answers those that it has, and takes no more. A node that is alive
 * but stuck is found out by pings: one every LINK_PING_MS that nothing was heard, and the connection
 * is over when nothing comes for LINK_STUCK_MS after it.
 *
 * Lives on the loop; events come from the loop or from link_peer_tick(). One thread, the loop's. */
#ifndef STOA_STORE_LINK_PEER_H
#define STOA_STORE_LINK_PEER_H

#include "base/list.h"
#include "link/link_handshake.h"
#include "store/transport.h"

#define LINK_PING_MS       500
#define LINK_STUCK_MS      2000
#define LINK_CONNECT_MS    2000 /* from connecting to the last proof */
#define LINK_RETRY_MIN_MS  100
#define LINK_RETRY_MAX_MS  1000
#define LINK_RETRY_LONG_MS 30000 /* after a wrong secret, which time does not mend */

/* HOST:PORT, [HOST]:PORT for IPv6. */
struct link_address {
    char text[LIMIT_ADDRESS + 1];
    char host[LIMIT_ADDRESS + 1];
    uint16_t port;
};

bool link_address_parse(struct str text, struct link_address *ret);

enum link_peer_state {
    LINK_PEER_AWAY,
    LINK_PEER_CONNECTING,
    LINK_PEER_PROVING,
    LINK_PEER_READY,
    LINK_PEER_LEAVING,
};

struct link_peer;

struct link_peer_events {
    void (*on_ready)(void *arg, struct link_peer *peer);
    /* Of everything but the connection itself. The packet is taken. */
    void (*on_packet)(void *arg, struct link_peer *peer, Link__Packet *packet);
    void (*on_leaving)(void *arg, struct link_peer *peer);
    /* It was READY or LEAVING: what it had under way has no answer. */
    void (*on_down)(void *arg, struct link_peer *peer);
};

struct link_peer_setup {
    uv_loop_t *loop;
    const char *secret, *name, *software; /* borrowed as long as the peer */
    struct tls *tls;                      /* borrowed; NULL: plain */
    const struct link_peer_events *events;
    void *arg;
};

/* Embedded members are the owner's to use, the rest is for link_peer.c. */
struct link_peer {
    struct list node;  /* the owner's */
    struct list calls; /* the owner's: requests under way, in order */
    uint32_t call_count;
    bool is_seed, is_wanted; /* the owner's */
    struct link_address address;
    enum link_peer_state state;
    struct link_handshake handshake;
    struct buf out; /* packets to be sent: append, then link_peer_flush() */

    const struct link_peer_setup *setup;
    struct transport *transport;
    struct link_reader reader;
    uint64_t due_ms; /* of the loop: AWAY: when to connect; CONNECTING, PROVING: by when */
    uint64_t heard_ms, pinged_ms; /* pinged 0: not since something was heard */
    uint32_t retry_ms;
    bool has_told; /* that it cannot be reached is in the log */
};

/* setup is borrowed as long as the peer. */
struct link_peer *link_peer_new(const struct link_peer_setup *setup,
                                const struct link_address *address);
/* Without an event. */
void link_peer_free(struct link_peer *peer);
/* Does what is due. late_ms: so much later than it was to be called: nobody was heard meanwhile,
 * because nobody listened. */
void link_peer_tick(struct link_peer *peer, uint64_t late_ms);
void link_peer_flush(struct link_peer *peer);
static inline bool link_peer_is_ready(const struct link_peer *peer)
{
    return peer->state == LINK_PEER_READY;
}

#endif
