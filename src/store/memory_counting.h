/* What a room of the memory store counts: its viewers by bucket and for life, and its history. */
#ifndef STOA_STORE_MEMORY_COUNTING_H
#define STOA_STORE_MEMORY_COUNTING_H

#include "store/job.h"

struct memory_bucket;
struct memory_sample;

/* Zeroed is empty. */
struct memory_counting {
    struct memory_bucket *life;     /* NULL until the first viewer */
    struct memory_bucket **buckets; /* the oldest first */
    size_t bucket_count, bucket_cap;
    struct memory_sample *samples; /* the oldest first */
    size_t sample_count, sample_cap;
};

/* How many of each went. */
struct memory_expired {
    size_t thinned, expired;
};

void memory_counting_deinit(struct memory_counting *c);
/* Viewers of the room's life. */
struct viewers_count memory_counting_life(const struct memory_counting *c);
/* An add or a merge; 0 or ERR_BAD_REQUEST. */
int memory_counting_add(struct memory_counting *c, struct viewers_job *job);
void memory_counting_count(const struct memory_counting *c, struct viewers_job *job);
void memory_counting_put(struct memory_counting *c, const struct store_sample_put *in);
void memory_counting_range(const struct memory_counting *c, struct samples_job *job);
struct memory_expired memory_counting_expire(struct memory_counting *c,
                                             const struct store_history *history, int64_t now_ms);

#endif
