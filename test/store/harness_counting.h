/* The verbs of counting as calls that wait for their answer, as in store/harness.h. */
#ifndef STOA_TEST_HARNESS_COUNTING_H
#define STOA_TEST_HARNESS_COUNTING_H

#include "store/harness.h"

/* A bucket's beginning near START_MS. */
#define BUCKET_MS (START_MS - START_MS % VIEWERS_BUCKET_MS)

/* Each returns what the store answered, never "not now"; ret_count may be NULL. */
int harness_viewers_add(struct harness *h, const struct store_viewers_add *add,
                        struct viewers_count *ret_count);
int harness_viewers_merge(struct harness *h, const struct store_viewers_merge *merge,
                          struct viewers_count *ret_count);
int harness_viewers_count(struct harness *h, const struct store_viewers_count *count,
                          struct viewers_count *ret_count);
int harness_sample_put(struct harness *h, const char *room, const struct sample *sample);
int harness_sample_put_by(struct harness *h, const char *room, const char *node,
                          const struct sample *sample);

struct harness_samples {
    int err;
    struct sample samples[64];
    size_t count;
    bool more;
};

struct harness_samples harness_sample_range(struct harness *h,
                                            const struct store_sample_range *range);

/* Users "u<from>" to "u<to - 1>" were there; expects success. The count of the last add. */
struct viewers_count harness_came(struct harness *h, const char *room, int64_t bucket_ms, int from,
                                  int to);
/* Expects success. to_ms 0: of the whole life. */
struct viewers_count harness_count(struct harness *h, const char *room, int64_t from_ms,
                                   int64_t to_ms);

#endif
