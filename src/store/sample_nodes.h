/* Samples of several nodes of one room become one: each minute, joins add up, and of everything else
 * the largest counts, since all nodes saw the same room. Samples that follow each other within a
 * minute add up first: the room awoke at the same node, or another one went on where this one had
 * ended (a node that is started anew has another name).
 *
 * A sample without a node is of all of them, an hour that was thinned: it stands for itself.
 *
 * They are given in order of time, and come out in order of time, a minute when the next begins, in
 * parts where one of all nodes is among them. Nothing is allocated. One thread, the owner's. */
#ifndef STOA_STORE_SAMPLE_NODES_H
#define STOA_STORE_SAMPLE_NODES_H

#include "base/limit.h"
#include "core/sample.h"

struct sample_nodes {
    struct sample of[LIMIT_ROOM_NODES];                /* a minute, by node */
    char nodes[LIMIT_ROOM_NODES][LIMIT_NODE_NAME + 1]; /* of each, the last that added to it */
    size_t count;                                      /* 0: empty, whatever is in the others */
};

static inline void sample_nodes_init(struct sample_nodes *n)
{
    n->count = 0;
}

/* True: a minute is over, and *ret_sample has it. Of more than LIMIT_ROOM_NODES nodes at one time the
 * rest is not counted. */
bool sample_nodes_add(struct sample_nodes *n, struct str node, const struct sample *sample,
                      struct sample *ret_sample);
/* The last minute. False: there is none. */
bool sample_nodes_end(struct sample_nodes *n, struct sample *ret_sample);

#endif
