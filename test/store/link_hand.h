/* A peer of a node by hand: a socket of the test that speaks as an edge, or says what it likes. It
 * never blocks: while it sends or takes, it turns the loop that the node lives on. */
#ifndef STOA_TEST_LINK_HAND_H
#define STOA_TEST_LINK_HAND_H

#include "store/link_edge.h"

#include "link/link_handshake.h"
#include "link/link_request.h"

struct hand {
    struct edge *edge;
    int fd;
    struct link_reader reader;
    struct link_handshake handshake;
    struct buf out;
};

/* Connects, and has said nothing yet. */
void hand_connect(struct hand *hand, struct edge *edge, const struct link_node *node);
/* Connects, and says hello and proof; whether it was let in the handshake tells. */
void hand_open(struct hand *hand, struct edge *edge, const struct link_node *node,
               uint32_t version);
void hand_close(struct hand *hand);
/* What is in `out`. False: the node has closed the connection. */
bool hand_send(struct hand *hand);
/* The next packet, the caller's. NULL: the node has closed the connection. */
Link__Packet *hand_take(struct hand *hand);

/* Into `out`. */
void hand_add_ping(struct hand *hand, uint64_t id);
void hand_add_request(struct hand *hand, uint64_t id, struct link_request request);
void hand_add_watch(struct hand *hand, struct str room);

#endif
