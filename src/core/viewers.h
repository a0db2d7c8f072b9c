/* Unique viewers of one bucket: the exact set and a sketch side by side (dual write) up to
 * VIEWERS_EXACT_MAX users, the sketch alone beyond. The sketch is right from the first user on, so
 * that going over loses nothing.
 *
 * What is told is exact while the set is there. Beyond, it is the sketch's estimate, but never less
 * than what is known for certain: over the bound, at least one more than the bound.
 *
 * One thread, the owner's. Zero-initialised needs viewers_init() for the set's hash key. */
#ifndef STOA_CORE_VIEWERS_H
#define STOA_CORE_VIEWERS_H

#include "core/hll.h"
#include "core/user_set.h"

#define VIEWERS_EXACT_MAX 10000
#define VIEWERS_BUCKET_MS (INT64_C(5) * 60 * 1000)

struct viewers {
    struct hll sketch;
    struct user_set users; /* all of them, while is_exact; then empty */
    uint64_t at_least;     /* while not is_exact: so many different users were seen */
    bool is_exact;
};

/* What is told to a client. */
struct viewers_count {
    uint64_t unique;
    bool exact;
    double standard_error; /* relative; 0 when exact */
};

void viewers_init(struct viewers *v, struct hash_key key);
void viewers_deinit(struct viewers *v); /* frees, and leaves an empty, exact one */
/* True: a user who was not in the exact set, or who changed the sketch. */
bool viewers_add(struct viewers *v, struct str user);
/* Union. Exact as long as both are and the union is not beyond the bound. */
void viewers_merge(struct viewers *into, const struct viewers *from);
/* A whole sketch from elsewhere: what it holds are no names, so the count is exact no more. */
void viewers_merge_sketch(struct viewers *into, const struct hll *sketch);
/* Whoever merged a sketch may know that so many different users are in it: for one that is kept
 * because its set was given up, VIEWERS_EXACT_MAX + 1. Without effect while exact. */
void viewers_expect(struct viewers *v, uint64_t at_least);
/* Beyond the exact set it costs what hll_count() does. */
struct viewers_count viewers_count(const struct viewers *v);
/* What it has allocated. */
size_t viewers_memory_bytes(const struct viewers *v);

/* Beginning of the bucket that a time is in, Unix ms. */
int64_t viewers_bucket(int64_t at_ms);

#endif
