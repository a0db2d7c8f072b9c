/* What an error of a Redis server means for the command that it answers. Any thread. */
#ifndef STOA_STORE_REDIS_ANSWER_H
#define STOA_STORE_REDIS_ANSWER_H

#include "store/redis_slots.h"

enum redis_answer {
    REDIS_ANSWER, /* for whoever asked: no error, or one that is theirs */
    REDIS_MOVED,  /* another node has the slot, from now on */
    REDIS_ASK,    /* another node has it, this once: it is on its way there */
    REDIS_AGAIN,  /* soon: TRYAGAIN, BUSY */
    REDIS_AWAY,   /* the node cannot now, another may: CLUSTERDOWN, LOADING, MASTERDOWN, READONLY */
    REDIS_NO_FUNCTION, /* it has lost the library */
};

struct redis_redirect {
    uint16_t slot;
    struct redis_host host;
};

/* All but REDIS_ANSWER say that nothing of the command was carried out. asked: who answered.
 * ret_redirect is set by MOVED and ASK. */
enum redis_answer redis_answer_of(const redisReply *reply, const struct redis_host *asked,
                                  struct redis_redirect *ret_redirect);

#endif
