/* The parts of `stoa bench`: one parent, several processes of viewers, one that sends.
 *
 *   parent     prepares the rooms, forks, moves the phase on, looks at the server, reports
 *   viewers    a share of the audience each, with its own source address and open files
 *   sender     the publisher (--rate, open loop) and the senders (--senders, closed loop)
 *
 * They share one anonymous mapping: each number in it is written by one process and read by the
 * parent at any time, so progress costs no messages and results need no pipes. */
#ifndef STOA_TOOL_BENCH_H
#define STOA_TOOL_BENCH_H

#include <stdatomic.h>

#include "tool/audience.h"
#include "tool/histogram.h"

#define BENCH_PROCESSES 64
#define BENCH_ROOMS     10000
#define BENCH_KEY_MAX   256

struct bench_options {
    char to[2048];
    char room[LIMIT_ROOM_ID + 1];
    char key[BENCH_KEY_MAX + 1];
    char transport[8];
    char protocol[8];
    uint32_t viewers, senders, rooms, processes;
    double rate;
    uint32_t high_every; /* 0: no message is high */
    uint32_t size_bytes, secs, rest_s, settle_s;
    uint32_t pid; /* of the server, 0: not looked at */
    bool arrival, json;
};

enum bench_phase {
    BENCH_JOIN,    /* viewers join and park */
    BENCH_MEASURE, /* messages are sent */
    BENCH_SETTLE,  /* what is under way arrives */
    BENCH_DONE,    /* all processes end */
};

/* Of one process of viewers. */
struct bench_viewers {
    struct audience_counts counts;
    struct counter missing[LIST_KINDS]; /* messages sent but not accounted for yet, summed over its
                                           viewers */
    struct counter surplus[LIST_KINDS]; /* accounted for beyond what was sent */
    struct histogram latency[LIST_KINDS]; /* microseconds, from due to be sent to received */
    struct histogram arrival;             /* the same to the answer's arrival: --arrival */
    char refused[80];                     /* why its first viewer was refused for good */
};

struct bench_sends {
    struct counter acknowledged;
    struct counter late; /* went out 10 ms after they were due or more: no connection was free */
    struct counter put_off, errors, lost_connections;
    struct counter idle;      /* 1: nothing is under way any more */
    struct histogram latency; /* of the acknowledgement */
    char refused[80];         /* the last answer but 201 */
};

struct bench_shared {
    _Atomic int phase;
    struct bench_sends sends;
    struct bench_viewers viewers[BENCH_PROCESSES];
    struct counter sent[BENCH_ROOMS][LIST_KINDS]; /* messages acknowledged, by room */
};

struct bench {
    struct bench_options options;
    struct urls urls;
    enum protocol protocol;
    char (*room_text)[LIMIT_ROOM_ID + 1]; /* owned */
    const char **rooms;                   /* owned; into room_text */
    struct bench_shared *shared;
    uint32_t processes; /* of viewers */
};

struct bench_result {
    double join_s, window_s;
    uint64_t deliveries,
        polls;     /* in the window; deliveries are messages received, over all viewers */
    uint64_t sent; /* in all */
    uint64_t lost[LIST_KINDS];
    uint64_t received, skipped, surplus, repeated, out_of_order, gaps;
    uint64_t lost_connections, timeouts, put_off, errors, given_up;
    const struct bench_sends *sends; /* borrowed */
    struct histogram latency[LIST_KINDS];
    struct histogram latency_all;
    struct histogram arrival;
    uint64_t generator_cpu_us; /* of all our processes, in the window: where they have a core to
                                    themselves and use it up, latencies and rates are those of
                                    this program and not of the server */
    bool has_server;           /* --pid could be read: the rest holds */
    uint64_t server_cpu_us, pss_before_bytes, pss_parked_bytes;
};

/* Creates the rooms, or sets their quotas so that the load fits. 0, or -1 and why; a server that
 * has rooms but does not let them be changed gives 0 and a warning on stderr. */
int bench_prepare_rooms(const struct bench *bench, struct buf *why);
/* The children; they run until BENCH_DONE. */
void bench_run_viewers(const struct bench *bench, uint32_t process);
void bench_run_sends(const struct bench *bench);
/* How many viewers a process has; the first of them is the sum of those before. */
uint32_t bench_share(const struct bench *bench, uint32_t process);

void bench_print(const struct bench *bench, const struct bench_result *r);
void bench_print_json(const struct bench *bench, const struct bench_result *r);

static inline enum bench_phase bench_phase(const struct bench *bench)
{
    return (enum bench_phase)atomic_load_explicit(&bench->shared->phase, memory_order_acquire);
}

#endif
