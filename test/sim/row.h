/* One store behind several nodes, as a row of equal nodes has it: each node gets a store of its
 * own, and all of them speak to one memory store that `faulty` makes unreliable.
 *
 * Here, because a driver knows one hub, and so gives its news to one. What is added: news go to
 * every node that watches the room, each with its own losses and delays; and one tap hears of every
 * message that was stored, whatever its sender was told. That tap is the truth that the checkers
 * hold everything against. */
#ifndef STOA_TEST_SIM_ROW_H
#define STOA_TEST_SIM_ROW_H

#include "store/faulty.h"

struct row;

/* Chances from 0 to 1, drawn for each node and message. */
struct row_news_odds {
    double lose, twice, delay;
    int64_t max_delay_ms;
};

struct row_setup {
    uint64_t seed;
    struct faulty_odds odds; /* of calls; its odds of news must be 0 */
    struct row_news_odds news_odds;
    struct store_retention retention[LIST_KINDS];
    bool is_shared; /* the nodes count who is here together; else each alone */
    /* Hears of each message once, in the order of the ids of a room. NULL: nobody does. */
    void (*tap)(void *arg, struct str room, const struct message *message);
    void *tap_arg;
};

struct row *row_new(const struct row_setup *setup);
void row_free(struct row *row); /* after the nodes' stores are closed */
/* The tap hears of this room from now on. */
void row_follow(struct row *row, struct str room);
/* Another node joins. Its store is closed by store_close(), after the last dispatch of any. */
struct store *row_add_node(struct row *row, const struct store_env *env);
/* The store is emptied. */
void row_lose_all(struct row *row);
void row_set_odds(struct row *row, const struct faulty_odds *odds);
/* Nothing fails any more; news may go on being lost. */
void row_calm(struct row *row);

#endif
