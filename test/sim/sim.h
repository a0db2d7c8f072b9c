/* A simulation in virtual time: nodes of hubs and workers over one unreliable store, readers and
 * senders with bad connections and bad habits. The same setup gives the same run.
 *
 * Everything that acts is an actor with a time at which it wants its next turn; the world gives the
 * turns in order of time. What goes between threads in the server goes between actors here, some
 * milliseconds later.
 *
 * A run has two parts. For run_ms all goes wrong that the setup allows. Then calls to the store
 * succeed again, readers stay, and the run goes on until everything must have settled. After that
 * check.h judges what was told. */
#ifndef STOA_TEST_SIM_SIM_H
#define STOA_TEST_SIM_SIM_H

#include "base/rng.h"
#include "base/wheel.h"
#include "core/hub.h"
#include "core/hub_roll_up.h"
#include "core/worker.h"
#include "sim/check.h"
#include "sim/pace.h"
#include "sim/row.h"

#define SIM_START_MS  1732441234567
#define SIM_LINGER_MS 3000
/* Until what happened at one node is told at another. Who says at one that they leave, and is at
 * another, is missing until that names them again. */
#define SIM_SHARED_MS(setup) ((setup)->leave > 0 ? 2 * HUB_BEAT_MS + 5000 : 10000)
#define SIM_NODES            2
#define SIM_WORKERS          3 /* per node */
#define SIM_ROOMS            4

/* Chances are from 0 to 1, drawn for each poll (or turn, or message). */
struct sim_setup {
    const char *name; /* of the test */
    int64_t run_ms;
    uint32_t nodes, workers, rooms, readers, senders;

    /* The store. */
    struct faulty_odds odds;
    struct row_news_odds news_odds;
    struct store_retention retention[LIST_KINDS];
    uint32_t losses; /* of everything that the store has, evenly over the run */

    /* Readers. */
    uint32_t users;     /* who they are, and some share one; 0: each is somebody else */
    double disconnect;  /* goes away in the middle of a poll */
    double lose_answer; /* the answer does not reach it */
    double move;        /* polls another worker from now on */
    double pause;       /* waits up to max_pause_ms before the next poll */
    double leave;       /* says that it leaves, and comes back later */
    int64_t max_pause_ms;
    int64_t max_timeout_ms; /* of a poll */
    double cheat;           /* is one that does not send the cursor as it was given */

    /* Senders. */
    int64_t max_quiet_ms; /* between two messages */
    double burst;         /* many messages without a pause */
    double high;          /* the message is a high one */
    double impatient;     /* sends again what was acknowledged */
    double keyless;       /* sends without a key */

    /* Workers. */
    const char *pace_table; /* NULL: no pace */
    uint32_t
        answer_cost_us; /* what an answer keeps a worker busy, for the pace by load; nothing while all settles */
    double stall; /* stands still for a while, and its queue of notes fills up */
    int64_t max_stall_ms;

    bool counting;       /* who was here is counted, and that is checked */
    bool is_shared;      /* nodes count who is here together; else each alone */
    uint32_t max_online; /* of each room, 0: none; only with one node it is exact */

    bool no_quotas; /* rooms are there from the beginning, and take as many messages as come */

    struct check_rules rules;
};

/* Odds of a store that is slow, and loses calls and answers. */
#define SIM_BAD_STORE(delay_ms)                                                                    \
    {                                                                                              \
        .refuse = 0.02, .lose = 0.05, .lie = 0.05, .fail_read = 0.05, .delay = 0.3,                \
        .max_delay_ms = (delay_ms)                                                                 \
    }

struct sim;

struct sim_actor {
    struct timer timer;
    void (*run)(struct sim *sim, struct sim_actor *actor);
};

struct sim_worker {
    struct sim_actor actor;
    struct sim_node *node;
    struct worker *worker;
    struct queue *calls, *notes;
    int64_t stalled_until_ms;
    uint64_t answers_paid; /* for which the worker has been busy, or will be */
    uint64_t owed_us, busy_us;
    int64_t busy_until_ms; /* up to then busy_us counts */
};

struct sim_node {
    struct sim_actor actor;
    struct sim *sim;
    struct hub *hub;
    struct store *store;
    struct sim_worker workers[SIM_WORKERS];
};

struct sim_room {
    char name[LIMIT_ROOM_KEY + 1];
    struct check_room truth;
};

struct sim_reader;
struct sim_sender;

struct sim {
    const struct sim_setup *setup;
    struct rng rng;
    struct wheel wheel;
    int64_t now_ms;
    bool is_settling;
    int64_t changed_ms; /* the last time at which a reader came or went, or will have */
    struct row *row;
    struct sim_node nodes[SIM_NODES];
    struct sim_room rooms[SIM_ROOMS];
    struct sim_reader *readers;
    struct sim_sender *senders;
    struct check_send *sends; /* by body */
    size_t send_count, send_cap;
    uint32_t longest_load_ms;
    uint64_t full;
    const char *wrong; /* what a part of the world found to be broken; NULL: nothing */
};

/* What happened, over all seeds: a test that means to test something asserts that it occurred. */
struct sim_tally {
    uint64_t stored, delivered, skipped, gaps;
    uint64_t cold_polls, shared_answers, timed_out, evicted, held, broken, shed; /* of workers */
    uint64_t longest_load_ms; /* of their intervals by load */
    uint64_t full;            /* polls refused by a full room */
    uint64_t revived;         /* rooms that the store had lost */
    uint64_t holes, fallback_messages, failed_pulls, failed_appends, duplicates,
        deferred; /* of hubs */
};

/* Runs a seed. NULL, or what is wrong: a text that names seed and place, to be freed. */
char *sim_run(const struct sim_setup *setup, uint64_t seed, struct sim_tally *tally);
/* Runs many seeds, and fails the cmocka test with the first that is wrong. STOA_SIM_SEED=n runs
 * that one alone, STOA_SIM_SEEDS=n as many as that; when those are fewer than `count`, the tally
 * says that everything happened. SIM_RUN_SEEDS names it as the test that calls it. */
struct sim_tally sim_run_seeds(const struct sim_setup *setup, const char *name, uint64_t count);
#define SIM_RUN_SEEDS(setup, count) sim_run_seeds((setup), __func__, (count))

/* --- for the parts of the world --------------------------------------------------------------- */

/* The actor gets a turn at this time, or earlier if it was to have one. */
void sim_wake(struct sim *sim, struct sim_actor *actor, int64_t at_ms);
bool sim_happens(struct sim *sim, double chance);
/* 0 .. bound */
int64_t sim_some(struct sim *sim, int64_t bound);
struct sim_worker *sim_some_worker(struct sim *sim);
/* After a call into a worker: it and its hub get their turns. */
void sim_touch_worker(struct sim *sim, struct sim_worker *worker);
bool sim_is_stalled(const struct sim *sim, const struct sim_worker *worker);
void sim_fail(struct sim *sim, const char *what);
extern const struct worker_ops sim_worker_ops;

/* sim/reader.c */
void sim_readers_start(struct sim *sim);
void sim_readers_free(struct sim *sim);
void sim_readers_settle(struct sim *sim);
/* This worker's intervals may have changed. */
void sim_readers_watch_pace(struct sim *sim, const struct sim_worker *worker);
/* Different users in a room, by the readers who are in it: at this node; NULL: at all. */
uint64_t sim_users_in(const struct sim *sim, const struct sim_room *room,
                      const struct sim_node *node);
/* NULL, or what is wrong with which reader and answer. */
const char *sim_readers_check(struct sim *sim, size_t *ret_reader, size_t *ret_answer);
struct blob *sim_reader_render(void *arg, const struct answer *answer, uint8_t variant);
void sim_reader_deliver(void *arg, uint64_t exchange, struct blob *wire, uint8_t variant);
void sim_reader_refuse(void *arg, uint64_t exchange, int err, int64_t retry_after_ms,
                       uint8_t variant);

/* sim/sender.c */
void sim_senders_start(struct sim *sim);
void sim_senders_free(struct sim *sim);
bool sim_senders_are_done(const struct sim *sim);
void sim_sender_on_call(struct sim *sim, struct call *call);

#endif
