/* When to commit: a writer waits a moment for others, where others come.
 *
 * A commit costs much the same for one job as for ten, so a busy writer begins no group sooner than
 * GROUP_WINDOW_US after the one before. But it does not wait for nobody: it begins as soon as
 * GROUP_ENOUGH jobs wait, or as many as a whole window was found to bring. So who sends one message
 * after the other, and n who do, are held up by one group in GROUP_PROBE alone, the one that tries
 * whether a whole window brings more by now. After a pause of a window there is no wait at all.
 *
 * The idea is commit_delay and commit_siblings of PostgreSQL. Deterministic: time is given. One
 * thread. */
#ifndef STOA_STORE_GROUP_WINDOW_H
#define STOA_STORE_GROUP_WINDOW_H

#include <stddef.h>
#include <stdint.h>

#define GROUP_WINDOW_US 12000
#define GROUP_ENOUGH    32
#define GROUP_PROBE     16

/* Zeroed: no group yet. */
struct group_window {
    uint64_t began_us; /* the last group */
    size_t expected;   /* jobs that a whole window brings */
    uint32_t count;    /* groups that did not wait for a whole window, since one did */
};

/* How many jobs to wait for. */
size_t group_window_quorum(const struct group_window *w);
/* How long at most, for `waiting` jobs, at least one; 0: begin now. */
uint64_t group_window_wait(const struct group_window *w, size_t waiting, uint64_t now_us);
/* A group of so many jobs begins. */
void group_window_begin(struct group_window *w, size_t jobs, uint64_t now_us);

#endif
