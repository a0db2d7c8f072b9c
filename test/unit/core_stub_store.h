/* A store for the tests of core/hub: a memory store behind a thin layer that does what it is told,
 * on the very call that it is told of. (src/store/faulty.h does it by chance; a unit test wants it
 * by number.)
 *
 * Calls are numbered from 1. Settings are plain members, changed at any time. */
#ifndef STOA_TEST_UNIT_CORE_STUB_STORE_H
#define STOA_TEST_UNIT_CORE_STUB_STORE_H

#include "base/list.h"
#include "core/store.h"

struct stub_store {
    struct store store;
    struct store *inner; /* owned; a test may speak to it directly, as another node would */
    struct store_env env;
    uint64_t calls;       /* so far */
    uint64_t refuse_call; /* this one fails to start, 0: none */
    uint64_t fail_call;   /* this one starts, and its callback says ERR_STORE_UNAVAILABLE */
    bool is_down;         /* every callback says so */
    bool is_away;         /* every call fails to start */
    bool drops_news;
    bool is_stalled; /* nothing completes */
    bool is_closing; /* what is counted is carried out, and no callback says so */
    struct list under_way;
    uint64_t reads;              /* calls of store_read() */
    uint64_t adds, merges, puts; /* of viewers; of samples */
    uint64_t presence_puts, presence_counts;
    uint64_t presence_users, presence_largest; /* named; in one put */
    int64_t count_age_ms;                      /* counts are so old */
    /* Of nodes, routes and leases, which have numbers of their own. */
    uint64_t node_calls, refuse_node_call;
    uint64_t beats, routes_gets, route_puts;
};

/* What it calls is not carried out when it is refused, and is when it "fails": the answer alone is
 * lost. */
struct stub_store *stub_store_new(const struct store_config *config);
/* The store is set back to an empty one: its newest part, that is all of it, is lost. */
void stub_store_lose_all(struct stub_store *stub, const struct store_config *config);

#endif
