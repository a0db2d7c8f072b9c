/* A worker alone: the test is its hub. It takes the worker's calls from the queue, and answers with
 * notes.
 *
 * Exchanges are small numbers of the test's choice; what became of each is kept in `outcome`. */
#ifndef STOA_TEST_UNIT_CORE_WORKER_FIXTURE_H
#define STOA_TEST_UNIT_CORE_WORKER_FIXTURE_H

#include "core/worker.h"
#include "unit/core_fixture.h"

#define ROOM      STR("dev/lobby")
#define LINGER_MS 10000
#define EXCHANGES 2048

/* What a reader was told: the wire form that the fixture renders. */
struct told {
    struct cursor cursor;
    uint64_t online, skipped;
    uint32_t count, poll_after_ms;
    bool gap;
    char user[LIMIT_USER_ID + 1];
    uint64_t ids[LIMIT_POLL_HIGH + LIMIT_POLL_NORMAL];
};

struct outcome {
    uint32_t delivered, refused; /* times; both together at most once */
    struct told told;            /* of the delivery */
    int err;                     /* of the refusal */
    int64_t retry_after_ms;
};

struct worker_fixture {
    struct worker *worker;
    struct queue *calls, *notes;
    struct frame_bin bin;
    int64_t now_ms;
    uint32_t renders;
    struct call *came_home; /* by ops.on_call; freed with the fixture */
    struct outcome outcome[EXCHANGES];
};

int worker_fixture_setup(void **state);
int worker_fixture_teardown(void **state);
/* A new worker, with this table of the pace; the fixture's first has none. */
void worker_fixture_pace(struct worker_fixture *f, const char *table);

/* --- as a connection -------------------------------------------------------------------------- */

/* A poll of this room and user ("" is nobody) with a limit of 50 and a timeout of 25 s. NULL
 * cursor: a join. */
uint64_t worker_fixture_poll(struct worker_fixture *f, uint64_t exchange, const char *user,
                             const struct cursor *since);
/* The same with everything chosen; since is text in poll. */
uint64_t worker_fixture_poll_as(struct worker_fixture *f, const struct poll *poll);
/* A reader that has seen these numbers of both lists. */
struct cursor worker_fixture_cursor(struct str room, uint64_t high, uint64_t normal);
/* 1: delivered, -1: refused, 0: still waiting. */
int worker_fixture_outcome(const struct worker_fixture *f, uint64_t exchange);

/* --- as the hub ------------------------------------------------------------------------------- */

/* The next call, which must be of this kind; NULL when there is none. */
struct call *worker_fixture_take_call(struct worker_fixture *f, enum call_kind kind);
bool worker_fixture_has_calls(struct worker_fixture *f);
void worker_fixture_return(struct worker_fixture *f, struct call *call, int err);
/* Answers the subscription that is out; the room has high 1..high and normal 1..normal. Returns its
 * handle. */
uint64_t worker_fixture_ready(struct worker_fixture *f, uint64_t high, uint64_t normal);
/* Answers the call that must be out and tells who is here; the full room does not take this user.
 */
void worker_fixture_answer_presence(struct worker_fixture *f, const char *refused);
/* Tells the room `sub` of one more message. Not taken in, until the test has the worker do so. */
void worker_fixture_news(struct worker_fixture *f, uint64_t sub, enum list_kind list,
                         uint64_t number);
void worker_fixture_note(struct worker_fixture *f, const struct note *note);

/* --- time ------------------------------------------------------------------------------------- */

/* Takes notes, serves all, and ticks, as the loop around a worker does. */
void worker_fixture_turn(struct worker_fixture *f);
/* Time passes in steps of 1 ms, each with a turn. */
void worker_fixture_pass(struct worker_fixture *f, int64_t ms);

#endif
