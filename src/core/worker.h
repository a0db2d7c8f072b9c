/* A worker: the rooms that its connections use, and who waits in them. One thread; no clock, no
 * socket, no lock.
 *
 * A poll becomes a waiter. It is answered at once, or parked in its room until there is news or its
 * time is up. News comes in notes; then all waiters of the room are due, and worker_serve() answers
 * them in slices, rooms taking turns, so that a large room does not hold up the others. The answer
 * to one cursor is encoded once and shared.
 *
 * What the worker wants done is said through worker_ops, whose functions may be called from any
 * entry below, and must not call back into the worker (the exchange of a delivered answer is
 * finished first, and its next request comes in a later turn of the loop). */
#ifndef STOA_CORE_WORKER_H
#define STOA_CORE_WORKER_H

#include "base/blob.h"
#include "base/hash.h"
#include "base/queue.h"
#include "core/answer.h"
#include "core/call.h"
#include "core/metrics.h"
#include "core/pacing.h"

struct worker;

struct worker_ops {
    /* The wire form of an answer for a variant (the caller's own number: headers, framing). Owned
     * by the worker. */
    struct blob *(*render)(void *arg, const struct answer *answer, uint8_t variant);
    /* Answers a poll; borrowed. The waiter is gone. */
    void (*deliver)(void *arg, uint64_t exchange, struct blob *wire, uint8_t variant);
    /* Refuses a poll. The waiter is gone. */
    void (*refuse)(void *arg, uint64_t exchange, int err, int64_t retry_after_ms, uint8_t variant);
    /* A call that worker_call() sent has come home; the callee frees it. */
    void (*on_call)(void *arg, struct call *call);
};

struct worker_config {
    struct queue *calls; /* to the hub, of struct call *, LIMIT_CALLS_PER_WORKER; borrowed */
    struct queue *notes; /* from the hub, of struct note, LIMIT_NOTES_PER_WORKER; borrowed */
    const struct worker_ops *ops;
    void *arg;
    uint16_t index;
    struct pace_config pace;
    uint32_t linger_ms; /* a user counts as present this long after the last poll */
    uint64_t seed;
    struct hash_key hash_key;
};

struct poll {
    struct str room; /* "app/room" */
    bool auto_create;
    struct str user;  /* empty: nobody's, neither counted nor limited */
    bool tell_user;   /* the answer says the name */
    struct str since; /* cursor as text; empty: join */
    uint32_t limit;   /* 1 .. LIMIT_POLL_NORMAL */
    uint32_t timeout_ms;
    uint64_t exchange; /* the caller's, given back by ops */
    uint8_t variant;
};

struct worker *worker_new(const struct worker_config *config, int64_t now_ms);
void worker_free(struct worker *w);
/* Takes a poll. Returns a handle while it waits, 0 when it was answered or refused before the
 * return. */
uint64_t worker_poll(struct worker *w, const struct poll *poll, int64_t now_ms);
/* The client of a waiting poll went away. A stale handle is fine. */
void worker_cancel(struct worker *w, uint64_t waiter, int64_t now_ms);
/* Sends a call to the hub; it comes home through ops.on_call. ERR_OVERLOADED: too many are out, the
 * call is still the caller's. */
int worker_call(struct worker *w, struct call *call);
/* Takes in the notes that have come. */
void worker_take_notes(struct worker *w, int64_t now_ms);
/* Answers up to `budget` due waiters. True: more are due. */
bool worker_serve(struct worker *w, uint32_t budget, int64_t now_ms);
/* Fires timers and tells the hub who came and went. Returns when to come again. */
int64_t worker_tick(struct worker *w, int64_t now_ms);
/* How long this thread has been busy since it began. Called once a turn; the pace follows it. */
void worker_set_busy(struct worker *w, uint64_t busy_us, int64_t now_ms);
/* Longer holds are not enough: new polls are refused, and after a while normal sends should be, too. */
bool worker_sheds_sends(const struct worker *w);
/* From now on: parked polls are answered with a poll_after_ms spread over spread_ms, new ones
 * refused (ERR_DRAINING). */
void worker_drain(struct worker *w, uint32_t spread_ms, int64_t now_ms);
/* The hub has been told who came and who left, and has answered all that it was asked. */
bool worker_has_told(const struct worker *w);
bool worker_is_draining(const struct worker *w);
/* True (and clears it): calls were queued, the hub wants waking. */
bool worker_take_wake(struct worker *w);
const struct worker_metrics *worker_metrics(const struct worker *w);

#endif
