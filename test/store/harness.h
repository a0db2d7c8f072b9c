/* A store under test, with a clock of its own, and each verb as a call that waits for its answer.
 *
 * Waiting means: dispatch, then run the loop until the store wakes, for PATIENCE_MS at most; never
 * sleep. What a store speaks to may live on the same loop (start and stop of the fixture). Under
 * faults each call is repeated as a real caller would, an append with the same
 * key, until it is answered with something else than "not now". */
#ifndef STOA_TEST_HARNESS_H
#define STOA_TEST_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <uv.h>

#include "base/wake.h"
#include "core/store.h"
#include "patience.h"
#include "store/faulty.h"
#include "store/link.h"

#define START_MS 1732441234567

struct harness;

/* Which store, and what is done to it. */
struct store_fixture {
    const char *name;
    const char *scheme;       /* "memory:" or "sqlite:"; the latter gets a file for each test */
    const char *url;          /* instead of a scheme: of a server that all tests share */
    void (*empty)(void *arg); /* empties the server, before each test */
    void *arg;
    bool is_durable;                /* keeps what it has over a close */
    bool is_shared;                 /* and so do other nodes what they have told it */
    const struct faulty_odds *odds; /* NULL: none */
    uint64_t seed;                  /* of the faults */
    /* Every room is watched from its creation on, where a driver reads otherwise then: without the
     * tests of watching itself. */
    bool watches;
    /* What the store speaks to: made before it is opened, with the harness's retention and history,
     * and ended after it is closed. start fills in h->url, and h->link for a link. NULL: nothing. */
    void (*start)(struct harness *h);
    void (*stop)(struct harness *h);
};

struct harness_news {
    char room[LIMIT_ROOM_KEY + 1];
    uint64_t id, prev, ordinal;
    enum list_kind list;
    char type[LIMIT_TYPE + 1];
    char body[128];
};

struct harness {
    const struct store_fixture *fixture;
    struct store *store;
    struct wake wake;
    uv_loop_t loop;
    struct link_settings link;
    void *far; /* the fixture's: what start has made */
    int64_t now_ms;
    int64_t next_ms;  /* when the store wants its next dispatch */
    int64_t woken_ms; /* when it last woke us; of the loop's clock */
    struct store_retention retention[LIST_KINDS];
    struct store_history history;
    char directory[64];
    char url[256];
    uint64_t key_count;
    uint64_t seed;
    bool is_idle; /* the last dispatch left nothing to be done before a wake */
    struct harness_news *news;
    size_t news_count, news_cap;
};

/* cmocka's setup and teardown; *state is the fixture before, and the harness in between. */
int harness_setup(void **state);
int harness_teardown(void **state);

/* Opens what setup has opened again, after a close; with another retention, if that was changed. */
void harness_reopen(struct harness *h);
bool harness_is_plain(const struct harness *h);
/* Waits for something to happen unless there is something to be done, then one dispatch. */
void harness_turn(struct harness *h);
void harness_wait(struct harness *h, const bool *is_done);
/* For the loop of a verb: this error means that it is to be said again. */
bool harness_has_to_repeat(const struct harness *h, int err);
/* A second passes, and the store has had its turn. */
void harness_tick(struct harness *h);

/* --- verbs; strings are terminated, NULL is empty -------------------------------------------- */

struct harness_append {
    const char *room, *type, *from, *name, *body, *key;
    enum list_kind list;
    uint32_t per_s;
};

/* What is asked of the store: borrows from a. */
struct store_append harness_append_of(struct harness *h, const struct harness_append *a);
int harness_append(struct harness *h, const struct harness_append *a,
                   struct store_appended *ret_appended);
/* Expects success, returns the id. */
uint64_t harness_send(struct harness *h, const char *room, enum list_kind list, const char *body);

struct harness_message {
    struct message m; /* its strings are below */
    char type[LIMIT_TYPE + 1], from[LIMIT_USER_ID + 1], name[LIMIT_USER_NAME + 1];
    char *body;
};

struct harness_range {
    struct harness_message *messages;
    size_t count;
    bool more;
    uint64_t trimmed, tail, tail_ordinal;
};

/* Expects success. The result is released by harness_range_free(). */
struct harness_range harness_read(struct harness *h, const struct store_read *read);
struct harness_range harness_read_all(struct harness *h, const char *room, enum list_kind list);
void harness_range_free(struct harness_range *range);
/* prev and ordinal make one unbroken chain, from behind `trimmed` to the tail, ids strictly
 * increasing. */
void harness_check_chain(const struct harness_range *range);

struct harness_put {
    const char *room;
    struct room_settings settings;
    enum room_state state;
    const char *control_type, *control_body;
    bool only_new;
    struct store_tail known[LIST_KINDS];
};

struct harness_room {
    int err; /* 0, or with only_new ERR_ROOM_EXISTS */
    struct room_record record;
    bool created;
    int attempts; /* more than one: may have been stored more than once */
};

/* Expects success. */
struct harness_room harness_put(struct harness *h, const struct harness_put *put);
/* A room with default settings. */
void harness_create(struct harness *h, const char *room);
int harness_get(struct harness *h, const char *room, struct room_record *ret_record);

struct harness_page {
    struct room_record records[64];
    char rooms[64][LIMIT_ROOM_KEY + 1];
    size_t count;
    bool more;
};

struct harness_page harness_list(struct harness *h, const char *app, const char *after,
                                 uint32_t limit);
int harness_ping(struct harness *h);

#endif
