/* Marks in the time of a replay: "now something was killed". For each, how long until every viewer
 * was given something that was sent after it.
 *
 * A mark is set by the signal SIGUSR1, from the script that is about to kill: take it first, then
 * kill. The time counts from when the signal is taken up (a few ms late, see marks_take_up()) to
 * when the viewer reads the first message that was first sent since. So it has in it what is
 * ordinary (the time to the next message, and the pace), and what the fault costs: to find out, to
 * reconnect, to repeat a send. A mark without a fault tells the former.
 *
 * Single thread. 30 kB a mark, and 1 byte a viewer. */
#ifndef STOA_TOOL_MARKS_H
#define STOA_TOOL_MARKS_H

#include <stdbool.h>

#include "base/buf.h"
#include "tool/histogram.h"

#define MARKS_MAX 32 /* later ones are not taken */

struct mark {
    int64_t at_us;            /* CLOCK_MONOTONIC */
    int64_t first_us;         /* from the mark to the first viewer's message; 0 until then */
    struct histogram reached; /* the same of every viewer, microseconds */
};

struct marks {
    struct mark *mark; /* owned, MARKS_MAX; NULL before the first */
    uint8_t *seen;     /* owned, by viewer: how many marks it has received something after */
    uint32_t viewers;
    size_t count;
};

/* From here on SIGUSR1 is a mark and does not end the process. */
void marks_init(struct marks *m, uint32_t viewers);
/* Sets the mark that a signal has asked for since the last call, if any. Call it often. */
void marks_take_up(struct marks *m, int64_t now_us);
/* Sets one: what marks_take_up() does. False: there are too many. */
bool marks_set(struct marks *m, int64_t now_us);
/* A viewer, by its number from 0, has read a message that was first sent at sent_us. */
void marks_saw(struct marks *m, uint32_t viewer, int64_t sent_us, int64_t now_us);
/* [{"at_s":…,"viewers":…,"first_ms":…,"reached_ms":{…}},…]; at_s counts from start_us. */
void marks_write_json(const struct marks *m, int64_t start_us, struct buf *out);
void marks_deinit(struct marks *m);

#endif
