/* An ordinary store around another one, which misbehaves in every way that core/store.h allows: for
 * tests, and for finding out what the rest of the server makes of it.
 *
 * It draws from a seeded rng, in the order of the calls, and acts in store_dispatch() alone, by the
 * time that is told there: over memory: the same calls give the same run. Whatever it does, appends
 * and puts of one room complete in order, and a message's own news come after its acknowledgement.
 */
#ifndef STOA_STORE_FAULTY_H
#define STOA_STORE_FAULTY_H

#include "core/store.h"

/* Chances from 0 to 1, each drawn by itself. */
struct faulty_odds {
    double refuse;      /* a call fails to start: ERR_OVERLOADED */
    double lose;        /* an append or put is not stored, and is ERR_STORE_UNAVAILABLE */
    double lie;         /* it is stored, and yet is ERR_STORE_UNAVAILABLE */
    double fail_read;   /* a read, get, list or ping is ERR_STORE_UNAVAILABLE */
    double delay;       /* an answer comes up to max_delay_ms later */
    double news_lose;   /* news do not come, */
    double news_double; /* come twice, */
    double news_delay;  /* or up to max_delay_ms later, and out of order */
    int64_t max_delay_ms;
};

struct faulty_setup {
    const char *url; /* of the store inside, as for store_open() */
    uint64_t seed;
    struct faulty_odds odds;
};

/* As store_open(). The stats are those of the store inside. */
int faulty_store_open(const struct faulty_setup *setup, const struct store_config *config,
                      struct store **ret_store, char *ret_why, size_t why_cap);
/* From now on. The store must be one of faulty_store_open(). */
void faulty_set_odds(struct store *store, const struct faulty_odds *odds);
/* The store inside, which must be memory, loses all (memory_store_lose_all()). */
void faulty_lose_all(struct store *store);

#endif
