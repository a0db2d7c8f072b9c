/* A thread of the driver, and the way to it and back: two rings of jobs and an eventfd.
 *
 *   hub's thread                                      lane's thread
 *   lane_submit ──────────── todo ring ─────────────▶ lane_take   (lane_sleep when there is none)
 *   lane_collect ◀────────── done ring ────────────── lane_done   (lane_wake_hub after some)
 *
 * At most `max_jobs` jobs of at most `max_bytes` are under way; the rings hold that many, so
 * neither ever runs over. A thread without work sleeps in poll(2) on the eventfd of base/wake.h;
 * while it is busy, a submit costs no system call. */
#ifndef STOA_STORE_SQLITE_LANE_H
#define STOA_STORE_SQLITE_LANE_H

#include <pthread.h>

#include "base/queue.h"
#include "base/wake.h"
#include "store/job.h"

struct lane_limits {
    size_t max_jobs, max_bytes;
};

struct lane {
    struct queue *todo, *done; /* of struct job * */
    struct wake wake;          /* the lane's thread */
    atomic_bool is_closing;
    atomic_size_t quorum; /* fewer jobs than that do not wake the thread: it wakes by itself */
    pthread_t thread;
    bool is_started;
    struct store_env env; /* wakes the hub */
    /* The hub's thread. */
    struct lane_limits limits;
    size_t jobs, bytes; /* under way */
    bool is_held, is_wake_due;
};

/* 0 or a negative errno. The thread runs main_fn(arg), which ends when lane_is_closing() and
 * nothing is left to take. name: at most 15 characters. */
int lane_open(struct lane *lane, const struct lane_limits *limits, const struct store_env *env);
int lane_start(struct lane *lane, const char *name, void *(*main_fn)(void *), void *arg);
/* Lets a started thread finish and ends it, frees jobs that nobody collected. */
void lane_close(struct lane *lane);

/* The hub's thread. False, when too much is under way: the job is still the caller's. */
bool lane_submit(struct lane *lane, struct job *job);
/* NULL, when nothing is done. The job is the caller's. */
struct job *lane_collect(struct lane *lane);
/* Between hold and release, submits do not wake the thread: release does, once. */
void lane_hold(struct lane *lane);
void lane_release(struct lane *lane);
void lane_wake(struct lane *lane);

/* The lane's thread. lane_take moves at most max jobs to the tail of ret_jobs and returns how many.
 */
size_t lane_take(struct lane *lane, struct list *ret_jobs, size_t max);
void lane_sleep(struct lane *lane);
/* Jobs that wait to be taken. */
size_t lane_waiting(const struct lane *lane);
/* Sleeps until `quorum` jobs wait, but no longer than that. */
void lane_gather(struct lane *lane, size_t quorum, uint64_t most_us);
bool lane_is_closing(struct lane *lane);
void lane_done(struct lane *lane, struct job *job);
void lane_wake_hub(struct lane *lane);

#endif
