/* A worker with a room that has a pace: an interval that does not depend on how many are here, some
 * messages, and readers who poll. */
#ifndef STOA_TEST_UNIT_CORE_WORKER_PACED_H
#define STOA_TEST_UNIT_CORE_WORKER_PACED_H

#include "core/worker_internal.h"
#include "unit/core_worker_fixture.h"

#define PACED_INTERVAL_MS 2000
#define PACED_HIGH        5 /* messages that are there at first */
#define PACED_NORMAL      5

struct paced_room {
    struct worker_fixture *f;
    uint64_t sub;
    uint64_t high, normal; /* the newest */
    uint64_t exchange;     /* of the last poll */
};

/* A room whose interval is PACED_INTERVAL_MS for however few. */
struct paced_room paced_open(void **state);
struct worker_room *paced_copy(const struct paced_room *room);
const struct worker_metrics *paced_metrics(const struct paced_room *room);
/* Polls with a cursor that was given at at_ms. Returns the exchange. */
uint64_t paced_poll_at(struct paced_room *room, const char *user, uint64_t high, uint64_t normal,
                       int64_t at_ms);
/* As one who has just been told of everything. */
uint64_t paced_poll(struct paced_room *room, const char *user);
/* A message. */
void paced_tell(struct paced_room *room, enum list_kind list);
bool paced_is_answered(const struct paced_room *room, uint64_t exchange);
void paced_pass(struct paced_room *room, int64_t ms);
/* How long the answer takes from now on. */
int64_t paced_wait(struct paced_room *room, uint64_t exchange);

#endif
