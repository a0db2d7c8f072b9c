/* A hub alone: a stub store on one side, bare queues for its workers on the other. */
#ifndef STOA_TEST_UNIT_CORE_HUB_FIXTURE_H
#define STOA_TEST_UNIT_CORE_HUB_FIXTURE_H

#include "core/hub.h"
#include "unit/core_fixture.h"
#include "unit/core_stub_store.h"

#define HUB_WORKERS 3
#define ROOM        STR("dev/lobby")

/* Calls come home through the queue and are kept until the test takes them; frames, and the last
 * word of each other kind of note, are kept by worker. */
struct hub_heard {
    struct list calls;                 /* home, in order */
    uint64_t high[4096], normal[4096]; /* ids of frames, in order */
    uint32_t highs, normals;
    uint32_t onlines, records, restarts, leaves, leaves_ahead; /* notes of that kind */
    uint64_t online;
    struct room_record record;
    struct list_position restart;
    char left[LIMIT_USER_ID + 1];
};

struct hub_fixture {
    struct hub *hub;
    struct hub_config config;
    struct stub_store *stub;
    struct queue *notes[HUB_WORKERS];
    struct hub_heard heard[HUB_WORKERS];
    struct store_config store_config;
    int64_t now_ms;
};

int hub_fixture_setup(void **state);
int hub_fixture_setup_counting(void **state); /* the same, with counting on */
int hub_fixture_setup_shared(void **state);   /* and with a store that other nodes share */
int hub_fixture_setup_nodes(void **state, const struct hub_nodes_config *nodes);
int hub_fixture_teardown(void **state);

/* Time passes in steps of 1 ms, in each of which the hub has its turn. */
void hub_pass(struct hub_fixture *f, int64_t ms);
/* Takes all notes from the queue of a worker. */
void hub_listen(struct hub_fixture *f, uint16_t worker);
/* Fills a worker's queue until there is room for `left` more news (calls keep their own). The
 * filling is nobody's. */
void hub_clog(struct hub_fixture *f, uint16_t worker, size_t left);

struct call *hub_make_call(enum call_kind kind, uint16_t worker);
/* Sends it, lets time pass until it is home, and returns it: the test's to free. */
struct call *hub_round_trip(struct hub_fixture *f, struct call *call);
/* The same for calls whose outcome is only the error. */
int hub_do(struct hub_fixture *f, struct call *call);

/* The room, without quotas; and the worker subscribes to it. */
void hub_create_room(struct hub_fixture *f);
void hub_subscribe(struct hub_fixture *f, uint16_t worker);
/* A worker tells of a user, and every worker listens. */
void hub_tell(struct hub_fixture *f, uint16_t worker, enum presence_event event, const char *user);
/* Worker 0 tells who came or left. */
void hub_tell_presence(struct hub_fixture *f, bool came, const char *user);
/* A message by a back end; its id. */
uint64_t hub_append(struct hub_fixture *f, enum list_kind list);
/* A message that another node stored: this hub is told only by news. */
void hub_append_body(struct hub_fixture *f, enum list_kind list, struct str body);
void hub_append_elsewhere(struct hub_fixture *f, enum list_kind list);
/* The room is made by another node, behind these tails; NULL: anew. */
void hub_create_elsewhere(struct hub_fixture *f, const struct store_tail known[LIST_KINDS]);
/* A call that a viewer would cause. */
struct call *hub_make_append(const char *user, enum list_kind list, const char *body);
struct call *hub_make_leave(const char *user);
/* Users "u<from>" to "u<to - 1>" come at worker 0. */
void hub_come(struct hub_fixture *f, int from, int to);

#endif
