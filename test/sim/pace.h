/* What must be true of the answers to one reader, however it polls: a pure function of when it was answered, and of the
 * interval that its worker held at that time. Like check.h it knows nothing of how the pace is kept.
 *
 * The rules (pace_check_test.c breaks each of them): a worker answers one reader interval apart, whatever the cursors say;
 * a reader that sends the cursor it was given keeps the interval from worker to worker, but for the
 * PACE_SHARED_MS that an answer given to many may be old; only a high message that the
 * reader was not told of comes sooner, and PACE_HIGH_GAP_MS after the last answer at the earliest; no poll waits longer
 * than for its time-out and the longest interval meanwhile. */
#ifndef STOA_TEST_SIM_PACE_H
#define STOA_TEST_SIM_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_SHARED_MS 50

/* An answer, whether it reached the reader or not. */
struct pace_turn {
    uint32_t worker; /* a number of its own */
    int64_t polled_ms, answered_ms;
    uint32_t timeout_ms;
    uint32_t pace_ms;    /* the interval when it was answered */
    uint32_t longest_ms; /* the longest while it waited */
    uint64_t high;       /* the newest high message that it tells of */
    bool brings_high;
    bool
        is_honest; /* the poll had the cursor of the last answer that reached the reader, and was no join */
    bool is_lost; /* it did not reach the reader */
};

struct pace_reader {
    struct pace_turn *turns;
    size_t count;
    size_t cap;
};

void pace_reader_add(struct pace_reader *reader, const struct pace_turn *turn);
void pace_reader_deinit(struct pace_reader *reader);

/* NULL, or what is wrong (a static text) and with which turn. slack_ms: how late a worker's turns may be. */
const char *pace_check(const struct pace_reader *reader, int64_t slack_ms, size_t *ret_turn);

#endif
