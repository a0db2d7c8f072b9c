/* The outcome of a replay: the sums that decide whether it passed, and how they are told. */
#ifndef STOA_TOOL_REPLAY_H
#define STOA_TOOL_REPLAY_H

#include "tool/audience.h"
#include "tool/histogram.h"
#include "tool/marks.h"
#include "tool/sender.h"

/* Of one list, summed over all viewers. */
struct replay_list_sums {
    uint64_t sent; /* messages acknowledged */
    uint64_t received, skipped, lost, repeated, out_of_order;
    uint64_t surplus; /* received and skipped beyond what was sent: the server miscounts */
};

struct replay_result {
    struct replay_list_sums list[LIST_KINDS];
    const struct histogram
        *latency;              /* [LIST_KINDS], microseconds, from send to receipt; borrowed */
    const struct marks *marks; /* borrowed; NULL: none */
    int64_t start_us;          /* of the first message; CLOCK_MONOTONIC */
    uint32_t viewers;
    double speed, seconds;
    uint64_t gaps, lost_connections, put_off, timeouts, errors, given_up;
    uint64_t wrong_content, stored_twice, foreign;
    uint64_t retries, refused;
};

/* `latency` holds LIST_KINDS histograms. */
void replay_result_make(const struct audience *audience, const struct sender *sender,
                        const struct histogram *latency, struct replay_result *ret);
/* Every viewer has every high message and accounts for every normal one, once and in order. */
bool replay_result_is_good(const struct replay_result *r);
void replay_result_print(const struct replay_result *r, FILE *out);
void replay_result_write_json(const struct replay_result *r, struct buf *out);

#endif
