/* What the files of the faulty store share: a call is held here (faulty.c), goes on to the store inside
 * and is answered with what that says (faulty_verbs.c), or is not. */
#ifndef STOA_STORE_FAULTY_INTERNAL_H
#define STOA_STORE_FAULTY_INTERNAL_H

#include "base/list.h"
#include "base/rng.h"
#include "store/faulty.h"
#include "store/front.h"

struct faulty {
    struct store store;
    struct store *inner;
    struct front front; /* fires the callbacks; its own news and counts are not used */
    struct rng rng;
    struct faulty_odds odds;
    struct list calls; /* struct held_call, in the order of the calls */
    struct list news;  /* struct held_news, as they came from inside */
    uint64_t call_count;
    int64_t now_ms;
};

/* A call that we have not answered. */
struct held_call {
    struct list node;
    struct faulty *owner;
    struct job *job;
    uint64_t number; /* counts the calls, from 1 */
    bool is_ready;   /* the answer is in the job */
    bool is_lie;
    int64_t due_ms;
};

static inline struct faulty *faulty_of(struct store *store)
{
    return CONTAINER_OF(store, struct faulty, store);
}

/* Take the job. *ret_held: it goes on to the store inside. NULL: it does not, and what is returned is
 * what the call gives: it is refused, or lost, of which its caller hears in the next dispatch. */
int faulty_hold_write(struct store *store, struct job *job, struct held_call **ret_held);
int faulty_hold_read(struct store *store, struct job *job, struct held_call **ret_held);
/* err: of the call of the store inside. What could not start is let go. Gives err. */
int faulty_started(struct held_call *held, int err);
/* The answer of the store inside is in the job. */
void faulty_answer(struct held_call *held, int err);

/* faulty.c, for the table of verbs */
void faulty_watch(struct store *store, struct str room);
void faulty_unwatch(struct store *store, struct str room);
const struct store_stats *faulty_stats(struct store *store);
int64_t faulty_dispatch(struct store *store, int64_t now_ms);
void faulty_close(struct store *store);

/* faulty_verbs.c */
extern const struct store_ops faulty_ops;

#endif
