/* The pace: how often one client may be answered, decided by the server and held by it.
 *
 * A client that has been answered at time t, and polls again at once, is held until t + interval; what has come meanwhile
 * is then one answer. So a busy room costs requests by its audience and not by its messages. The interval is the larger of
 *
 *   by audience   a table, linear in the logarithm of the number of people online (settable);
 *   by load       what this worker needs so as not to be busy all of its time: a feedback loop.
 *
 * A high message breaks the hold, but nobody is answered twice within PACE_HIGH_GAP_MS.
 *
 * The feedback. Work is inversely proportional to the interval, so the interval that would make the busy share PACE_TARGET
 * is interval * share / target; each step goes half of the way, and between the thresholds nothing moves at all, so that the
 * noise of the share does not. A share of 100 % tells that it is too much, but not how much: then it grows by half or so.
 *
 * A step is as long as the interval. Those who are answered together come back together, so a worker with 2 s of work for
 * each 3 s is busy for 2 s and then idle for 1 s: a look at less than a whole round sees too much or too little. And what a
 * step changes is felt only by those who come back after it.
 *
 * What the last PACE_LOAD_FIRST_MS save is not
 * known while they last: they end when there is so little to do that it will not matter, or a room that takes 90 % without
 * and 40 % with them would come and go for ever.
 *
 * Deterministic: time and load are given. One thread per instance. */
#ifndef STOA_CORE_PACING_H
#define STOA_CORE_PACING_H

#include <stdbool.h>

#include "base/str.h"

#define PACE_POINTS        8
#define PACE_TABLE_DEFAULT "1000:0 10000:1600 100000:1700 1000000:2000 15000000:5000"
#define PACE_HIGH_GAP_MS   200
#define PACE_STEP_MS       250 /* between two looks at the load, at least */
#define PACE_BUSY_PERMILLE 800 /* above it the interval grows */
#define PACE_CALM_PERMILLE 600 /* below it shrinks */
#define PACE_REST_PERMILLE 200 /* below it the last PACE_LOAD_FIRST_MS end, too */
#define PACE_TARGET        700
#define PACE_FULL_PERMILLE 980 /* from there on the share says no more */
#define PACE_LOAD_FIRST_MS 50  /* the first step away from no interval, and the last before it */
#define PACE_LOAD_MAX_MS                                                                           \
    10000 /* at this, longer holds do not help any more: new polls are refused */

struct pace_point {
    uint64_t audience;
    uint32_t interval_ms;
};

struct pace_config {
    bool is_on;
    uint32_t count;
    struct pace_point
        points[PACE_POINTS]; /* both members rise; below the first audience there is no hold */
};

struct pace_load {
    uint32_t interval_ms;
    uint32_t share_permille; /* of the last step */
    int64_t last_ms;
    uint64_t last_busy_us;
};

/* On, with PACE_TABLE_DEFAULT. */
struct pace_config pace_config_default(void);
/* "AUDIENCE:MS AUDIENCE:MS …", rising. False: it is not that. */
bool pace_table_parse(struct str text, struct pace_config *ret_config);
/* The hold by audience; 0 when the pace is off. */
uint32_t pace_by_audience(const struct pace_config *config, uint64_t audience);

/* busy_us is the time that this thread has been busy since it began; called as often as one likes, it takes a step every
 * interval, or PACE_STEP_MS if that is longer. True: it took one. */
bool pace_load_step(struct pace_load *load, uint64_t busy_us, int64_t now_ms);
/* Longer holds were not enough. */
bool pace_load_is_over(const struct pace_load *load);

#endif
