/* A stretch of a room's history: what was counted from at_ms on.
 *
 * A room with something to count makes a sample a minute. One that begins within a minute (the
 * room awoke, the server was started anew) is a part of it; samples never go over the end of their
 * minute, and those of the same minute add up. Once history is thinned a sample holds an hour.
 *
 * Everything in a sample is kept as what adds up: the time that users were online and not its
 * mean, and as `unique` how many the room has had in its life by the end, of which the larger one
 * is that of both. So samples of any length make one of a longer stretch, without a loss. */
#ifndef STOA_CORE_SAMPLE_H
#define STOA_CORE_SAMPLE_H

#include "core/message.h"

#define SAMPLE_MS      INT64_C(60000)
#define SAMPLE_THIN_MS INT64_C(3600000)

struct sample {
    int64_t at_ms;
    int64_t span_ms;      /* counted so long; after a merge, from the first to the last */
    uint64_t online_ms;   /* time online, summed over users */
    uint64_t online_peak; /* at most so many at once */
    uint64_t joins;       /* how often somebody came who was not there */
    uint64_t messages[LIST_KINDS];
    uint64_t unique; /* different users of the room's whole life, by the end */
};

/* Adds a later stretch, or one that is within. */
void sample_merge(struct sample *into, const struct sample *from);
/* There is nothing in it that anybody would want to know. */
bool sample_is_empty(const struct sample *sample);
/* Beginning of the stretch of step_ms that a time is in. */
int64_t sample_step(int64_t at_ms, int64_t step_ms);

#endif
