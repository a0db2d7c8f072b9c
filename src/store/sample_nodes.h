/* Samples of several nodes of one room become one: each minute, joins add up, and of everything else
 * the largest counts, since all nodes saw the same room. Samples of one node within a minute (it was
 * started anew) follow each other and add up first.
 *
 * They are given in order of time, and come out in order of time, a minute when the next begins.
 * A zeroed struct is empty; nothing in it is allocated. One thread, the owner's. */
#ifndef STOA_STORE_SAMPLE_NODES_H
#define STOA_STORE_SAMPLE_NODES_H

#include "base/limit.h"
#include "core/sample.h"

struct sample_nodes {
    struct sample of[LIMIT_ROOM_NODES]; /* a minute, by node */
    char nodes[LIMIT_ROOM_NODES][LIMIT_NODE_NAME + 1];
    size_t count;
};

/* True: a minute is over, and *ret_sample has it. Of more than LIMIT_ROOM_NODES nodes in a minute the
 * rest is not counted. */
bool sample_nodes_add(struct sample_nodes *n, struct str node, const struct sample *sample,
                      struct sample *ret_sample);
/* The last minute. False: there is none. */
bool sample_nodes_end(struct sample_nodes *n, struct sample *ret_sample);

#endif
