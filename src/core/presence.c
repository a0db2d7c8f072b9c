/* With n buckets and 2^L <= n < 2^(L+1), a hash belongs to the bucket of its lowest L+1 bits, or of
 * its lowest L bits where that one is not there yet. Growing adds bucket n, and moves those there
 * whose bit L is set in bucket n - 2^L: the end of its chain, for chains are in order, and the
 * order reads bit L before those above it. Shrinking puts them back. */
#include "core/presence.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

#define SHRINK_SLACK 64 /* buckets: coming and going at the edge allocates nothing */

/* 35 bytes and the id. The allocator adds 8 and rounds up to 16: at most 58. The table adds
 * 8 / PRESENCE_LOAD and a little. */
struct present {
    struct present *next; /* in the bucket */
    uint64_t workers;     /* bit i: worker i holds them */
    uint64_t resting;     /* bit i: not connected there */
    uint32_t since_low;   /* Unix ms, 48 bits */
    uint32_t seen_low;    /* the lower half: rests are shorter than 49 days */
    uint16_t since_high;
    uint8_t len;
    char user[];
};

struct presence_segment {
    struct present *heads[PRESENCE_SEGMENT];
};

_Static_assert(offsetof(struct present, user) == 35, "docs/performance.md counts it");
_Static_assert(offsetof(struct present, user) + 8 + 15 + 8 / PRESENCE_LOAD + 1 <=
                   PRESENCE_USER_BYTES,
               "what the header promises");
_Static_assert(LIMIT_USER_ID <= UINT8_MAX && LIMIT_WORKERS <= 64, "they fit");

/* Order ---------------------------------------------------------------------------------------- */

static uint64_t reverse_bits(uint64_t x)
{
    x = (x >> 1 & 0x5555555555555555u) | (x & 0x5555555555555555u) << 1;
    x = (x >> 2 & 0x3333333333333333u) | (x & 0x3333333333333333u) << 2;
    x = (x >> 4 & 0x0f0f0f0f0f0f0f0fu) | (x & 0x0f0f0f0f0f0f0f0fu) << 4;
    return __builtin_bswap64(x);
}

static struct str user_of(const struct present *it)
{
    return str_make(it->user, it->len);
}

/* A place in the order: behind everybody of a lower one. */
struct spot {
    uint64_t order;
    struct str user;
};

static struct spot spot_of(const struct presence *p, struct str user)
{
    return (struct spot){reverse_bits(hash_bytes(p->hash_key, user)), user};
}

static bool is_before(const struct spot *a, const struct spot *b)
{
    if (a->order != b->order) return a->order < b->order;
    return str_compare(a->user, b->user) < 0;
}

/* Buckets -------------------------------------------------------------------------------------- */

/* 2^L of n buckets. */
static uint64_t base_of(uint64_t n)
{
    return 1ull << (63 - __builtin_clzll(n));
}

static uint64_t bucket_of(const struct presence *p, uint64_t order)
{
    uint64_t hash = reverse_bits(order), base = base_of(p->buckets);
    uint64_t bucket = hash & (2 * base - 1);
    return bucket < p->buckets ? bucket : bucket - base;
}

static struct present **head_of(const struct presence *p, uint64_t bucket)
{
    return &p->segments[bucket / PRESENCE_SEGMENT]->heads[bucket % PRESENCE_SEGMENT];
}

/* The last order that belongs to the same bucket. */
static uint64_t end_of_bucket(const struct presence *p, uint64_t order)
{
    uint64_t base = base_of(p->buckets), bucket = bucket_of(p, order);
    bool is_split = bucket >= base || bucket + base < p->buckets;
    int bits = __builtin_ctzll(base) + (is_split ? 1 : 0);
    return order | UINT64_MAX >> bits;
}

static void add_segment(struct presence *p)
{
    uint64_t index = p->buckets / PRESENCE_SEGMENT;
    if (index == p->segment_cap) {
        p->segment_cap = p->segment_cap > 0 ? 2 * p->segment_cap : 1;
        p->segments = xrealloc(p->segments, p->segment_cap * sizeof(struct presence_segment *));
    }
    p->segments[index] = xcalloc(1, sizeof(struct presence_segment));
}

static void split(struct presence *p)
{
    uint64_t base = base_of(p->buckets), bit = reverse_bits(base);
    if (p->buckets % PRESENCE_SEGMENT == 0) add_segment(p);
    struct present **link = head_of(p, p->buckets - base);
    while (*link != NULL && (spot_of(p, user_of(*link)).order & bit) == 0) link = &(*link)->next;
    *head_of(p, p->buckets) = *link;
    *link = NULL;
    p->buckets++;
}

static void merge(struct presence *p)
{
    p->buckets--;
    struct present **link = head_of(p, p->buckets - base_of(p->buckets));
    while (*link != NULL) link = &(*link)->next;
    *link = *head_of(p, p->buckets);
    *head_of(p, p->buckets) = NULL;
    if (p->buckets % PRESENCE_SEGMENT > 0) return;
    free(p->segments[p->buckets / PRESENCE_SEGMENT]);
    p->segments[p->buckets / PRESENCE_SEGMENT] = NULL;
}

/* One bucket more or less keeps up with one user more or less. */
static void fit(struct presence *p)
{
    if (p->count > PRESENCE_LOAD * p->buckets)
        split(p);
    else if (p->buckets > PRESENCE_SEGMENT &&
             p->count < PRESENCE_LOAD * (p->buckets - SHRINK_SLACK))
        merge(p);
}

/* Users ---------------------------------------------------------------------------------------- */

void presence_init(struct presence *p, struct hash_key key)
{
    *p = (struct presence){.hash_key = key};
}

static void free_chain(struct present *it)
{
    while (it != NULL) {
        struct present *next = it->next;
        free(it);
        it = next;
    }
}

void presence_deinit(struct presence *p)
{
    for (uint64_t i = 0; i < p->buckets; i++) free_chain(*head_of(p, i));
    for (uint64_t i = 0; i < p->buckets; i += PRESENCE_SEGMENT)
        free(p->segments[i / PRESENCE_SEGMENT]);
    free(p->segments);
    presence_init(p, p->hash_key);
}

/* The link that holds the user, or one that holds NULL. */
static struct present **find(const struct presence *p, const struct spot *spot)
{
    struct present **link = head_of(p, bucket_of(p, spot->order));
    while (*link != NULL && !str_eq(user_of(*link), spot->user)) link = &(*link)->next;
    return link;
}

static struct present *get(const struct presence *p, struct str user)
{
    if (p->count == 0) return NULL;
    struct spot spot = spot_of(p, user);
    return *find(p, &spot);
}

/* The link to the first one at the spot or behind it, in its bucket. */
static struct present **find_spot(const struct presence *p, const struct spot *spot)
{
    struct present **link = head_of(p, bucket_of(p, spot->order));
    for (; *link != NULL; link = &(*link)->next) {
        struct spot other = spot_of(p, user_of(*link));
        if (!is_before(&other, spot)) break;
    }
    return link;
}

static struct present *insert(struct presence *p, const struct spot *spot, int64_t now_ms)
{
    struct present **link = find_spot(p, spot);
    struct present *it = xmalloc(offsetof(struct present, user) + spot->user.len);
    it->next = *link; /* member by member: the whole struct ends in padding that is not there */
    it->workers = it->resting = 0;
    it->since_low = (uint32_t)now_ms;
    it->since_high = (uint16_t)(now_ms >> 32);
    it->seen_low = 0;
    it->len = (uint8_t)spot->user.len;
    memcpy(it->user, spot->user.ptr, spot->user.len);
    *link = it;
    p->count++;
    return it;
}

bool presence_come(struct presence *p, struct str user, uint16_t worker, int64_t now_ms)
{
    struct spot spot = spot_of(p, user);
    ASSERT(worker < LIMIT_WORKERS && user.len <= LIMIT_USER_ID);
    if (p->buckets == 0) {
        add_segment(p);
        p->buckets = PRESENCE_SEGMENT;
    }
    struct present *it = *find(p, &spot);
    bool is_new = it == NULL;
    if (is_new) it = insert(p, &spot, now_ms);
    it->workers |= 1ull << worker;
    it->resting &= ~(1ull << worker);
    if (is_new) fit(p);
    return is_new;
}

void presence_rest(struct presence *p, struct str user, uint16_t worker, int64_t seen_ms)
{
    struct present *it = get(p, user);
    uint64_t bit = 1ull << worker;
    if (it == NULL || (it->workers & bit) == 0) return;
    it->resting |= bit;
    it->seen_low = (uint32_t)seen_ms;
}

void presence_back(struct presence *p, struct str user, uint16_t worker)
{
    struct present *it = get(p, user);
    if (it != NULL) it->resting &= ~(1ull << worker);
}

bool presence_leave(struct presence *p, struct str user, uint16_t worker)
{
    if (p->count == 0) return false;
    struct spot spot = spot_of(p, user);
    struct present **link = find(p, &spot);
    struct present *it = *link;
    if (it == NULL) return false;
    it->workers &= ~(1ull << worker);
    it->resting &= it->workers;
    if (it->workers != 0) return false;
    *link = it->next;
    free(it);
    p->count--;
    fit(p);
    return true;
}

uint64_t presence_workers(const struct presence *p, struct str user)
{
    const struct present *it = get(p, user);
    return it == NULL ? 0 : it->workers;
}

/* Pages ---------------------------------------------------------------------------------------- */

static int64_t seen_ms(const struct present *it, int64_t now_ms)
{
    if (it->resting != it->workers) return now_ms;
    return now_ms - (int64_t)(uint32_t)((uint32_t)now_ms - it->seen_low);
}

static struct presence_user known_of(const struct present *it, int64_t now_ms)
{
    return (struct presence_user){.user = user_of(it),
                                  .workers = it->workers,
                                  .since_ms =
                                      (int64_t)it->since_high << 32 | (int64_t)it->since_low,
                                  .seen_ms = seen_ms(it, now_ms)};
}

bool presence_find(const struct presence *p, struct str user, int64_t now_ms,
                   struct presence_user *ret)
{
    const struct present *it = get(p, user);
    if (it == NULL) return false;
    *ret = known_of(it, now_ms);
    return true;
}

static void tell(const struct present *it, int64_t now_ms, presence_cb *cb, void *arg)
{
    struct presence_user user = known_of(it, now_ms);
    cb(arg, &user);
}

/* The first one at the spot or behind it, in any bucket; NULL: none. */
static struct present *first_from(const struct presence *p, struct spot spot)
{
    struct present *it = *find_spot(p, &spot);
    while (it == NULL) {
        uint64_t end = end_of_bucket(p, spot.order);
        if (end == UINT64_MAX) return NULL;
        spot = (struct spot){.order = end + 1};
        it = *head_of(p, bucket_of(p, spot.order));
    }
    return it;
}

static struct present *next_of(const struct presence *p, const struct present *it)
{
    if (it->next != NULL) return it->next;
    uint64_t end = end_of_bucket(p, spot_of(p, user_of(it)).order);
    return end == UINT64_MAX ? NULL : first_from(p, (struct spot){.order = end + 1});
}

static struct present *begin(const struct presence *p, struct str after)
{
    if (p->count == 0) return NULL;
    if (after.len == 0) return first_from(p, (struct spot){0});
    struct present *it = first_from(p, spot_of(p, after));
    return it != NULL && str_eq(user_of(it), after) ? next_of(p, it) : it;
}

bool presence_page(const struct presence *p, const struct presence_query *query, presence_cb *cb,
                   void *arg, struct str *ret_last)
{
    uint32_t told = 0, seen = 0;
    const struct present *it = begin(p, query->after);
    for (; it != NULL && told < query->limit && seen < query->scan; it = next_of(p, it)) {
        *ret_last = user_of(it);
        seen++;
        if (!str_starts(user_of(it), query->prefix)) continue;
        tell(it, query->now_ms, cb, arg);
        told++;
    }
    return it != NULL;
}

void presence_check(const struct presence *p)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < p->buckets; i++) {
        for (const struct present *it = *head_of(p, i); it != NULL; it = it->next) {
            struct spot spot = spot_of(p, user_of(it));
            ASSERT(bucket_of(p, spot.order) == i);
            ASSERT(it->workers != 0 && (it->resting & ~it->workers) == 0);
            if (it->next != NULL) {
                struct spot next = spot_of(p, user_of(it->next));
                ASSERT(is_before(&spot, &next));
            }
            count++;
        }
    }
    ASSERT(count == p->count);
    ASSERT(p->count <= PRESENCE_LOAD * p->buckets);
}
