/* Unique viewers, in the core alone: how near the counts are, and what a join costs.
 *
 *   unique [--seeds 50] [--joins 15000000]
 *
 * Prints a line of JSON for each result; bench/unique.sh makes a page and a plot of them, and says
 * what is to be kept. Accuracy: one line per size (VIEWER_SIZES) and seed (1, 2 …), each run with
 * users of its own: what is told to a client, and what the sketch alone would tell. Joins: one
 * crowd comes into one room, the same crowd comes again; each part of PARTS is one way in which a
 * room takes note of them. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "core/viewers.h"
#include "../test/unit/viewer_ids.h"

#define KEY      ((struct hash_key){0x5eed, 0x5eed})
#define CHUNK    4096 /* ids that are made before the clock runs, and fit the cache */
#define SMALL    10000
#define SMALLS   200 /* rooms with so few users are measured together */
#define REPEATS  2000
#define JOIN_RUN 0

typedef unsigned long long ull;

/* The thread's own time: what else the machine does is no part of a join. */
static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* --- accuracy -------------------------------------------------------------------------------- */

static void run_once(size_t size, uint64_t seed)
{
    struct viewers v;
    struct viewer_id id;
    uint64_t run = viewer_run(size, seed), users = VIEWER_SIZES[size];
    viewers_init(&v, KEY);
    for (uint64_t n = 0; n < users; n++) {
        viewer_id_make(&id, run, n);
        viewers_add(&v, viewer_id_str(&id));
    }
    struct viewers_count count = viewers_count(&v);
    printf("{\"users\":%llu,\"seed\":%llu,\"unique\":%llu,\"exact\":%s,\"sketch\":%llu}\n",
           (ull)users, (ull)seed, (ull)count.unique, count.exact ? "true" : "false",
           (ull)hll_count(&v.sketch));
    fflush(stdout);
    viewers_deinit(&v);
}

/* --- joins ----------------------------------------------------------------------------------- */

/* A way to take note of users. Presence shards go here, as one more row of PARTS. */
struct part {
    const char *name;
    void *(*open)(void);
    void (*join)(void *room, struct str user);
    size_t (*bytes)(const void *room);
    void (*close)(void *room);
};

static void *open_sketch(void)
{
    return xcalloc(1, sizeof(struct hll));
}

static void join_sketch(void *room, struct str user)
{
    hll_add(room, user);
}

static size_t sketch_bytes(const void *room)
{
    return sizeof(struct hll) + hll_memory_bytes(room);
}

static void close_sketch(void *room)
{
    hll_deinit(room);
    free(room);
}

static void *open_viewers(void)
{
    struct viewers *v = xmalloc(sizeof(*v));
    viewers_init(v, KEY);
    return v;
}

static void join_viewers(void *room, struct str user)
{
    viewers_add(room, user);
}

static size_t bytes_of_viewers(const void *room)
{
    return sizeof(struct viewers) + viewers_memory_bytes(room);
}

static void close_viewers(void *room)
{
    viewers_deinit(room);
    free(room);
}

static const struct part PARTS[] = {
    {"sketch", open_sketch, join_sketch, sketch_bytes, close_sketch},
    {"viewers", open_viewers, join_viewers, bytes_of_viewers, close_viewers},
};

/* Nanoseconds that the room took for users 0 .. count-1, without the making of their ids. */
static uint64_t join_all(const struct part *part, void *room, uint64_t count)
{
    static struct viewer_id ids[CHUNK];
    uint64_t took_ns = 0;
    for (uint64_t first = 0; first < count; first += CHUNK) {
        uint64_t len = count - first < CHUNK ? count - first : CHUNK;
        for (uint64_t i = 0; i < len; i++) viewer_id_make(&ids[i], JOIN_RUN, first + i);
        uint64_t began_ns = now_ns();
        for (uint64_t i = 0; i < len; i++) part->join(room, viewer_id_str(&ids[i]));
        took_ns += now_ns() - began_ns;
    }
    return took_ns;
}

static void run_joins(const struct part *part, uint64_t users, uint64_t rooms)
{
    uint64_t first_ns = 0, again_ns = 0;
    size_t bytes = 0;
    for (uint64_t i = 0; i < rooms; i++) {
        void *room = part->open();
        first_ns += join_all(part, room, users);
        again_ns += join_all(part, room, users);
        bytes = part->bytes(room);
        part->close(room);
    }
    double joins = (double)(users * rooms);
    printf("{\"part\":\"%s\",\"joins\":%llu,\"first_ns\":%.2f,\"again_ns\":%.2f,\"bytes\":%zu}\n",
           part->name, (ull)users, (double)first_ns / joins, (double)again_ns / joins, bytes);
    fflush(stdout);
}

/* --- what is done with whole sketches -------------------------------------------------------- */

static volatile uint64_t counted; /* or the compiler would leave the counting out */

static void run_sketches(void)
{
    struct hll a = {0}, b = {0};
    join_all(&PARTS[0], &a, 1000000);
    join_all(&PARTS[0], &b, 900000);
    uint64_t began_ns = now_ns();
    for (int i = 0; i < REPEATS; i++) hll_merge(&a, &b);
    uint64_t merged_ns = now_ns();
    for (int i = 0; i < REPEATS; i++) counted = hll_count(&a);
    uint64_t counted_ns = now_ns();
    printf("{\"merge_us\":%.2f,\"count_us\":%.2f}\n",
           (double)(merged_ns - began_ns) / REPEATS / 1e3,
           (double)(counted_ns - merged_ns) / REPEATS / 1e3);
    hll_deinit(&a);
    hll_deinit(&b);
}

static uint64_t number_of(const char *text)
{
    uint64_t value = 0;
    if (str_parse_u64(str_of(text), &value) && value > 0 && value <= VIEWER_RUN_MAX) return value;
    fprintf(stderr, "unique: a number from 1 to %llu is missing\n", (ull)VIEWER_RUN_MAX);
    exit(2);
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {{"seeds", required_argument, NULL, 's'},
                                            {"joins", required_argument, NULL, 'j'},
                                            {NULL, 0, NULL, 0}};
    uint64_t seeds = 50, joins = 15000000;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;) {
        switch (option) {
        case 's': seeds = number_of(optarg); break;
        case 'j': joins = number_of(optarg); break;
        default: return 2;
        }
    }
    for (size_t size = 0; size < VIEWER_SIZE_COUNT; size++)
        for (uint64_t seed = 1; seed <= seeds; seed++) run_once(size, seed);
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
        run_joins(&PARTS[i], SMALL / 10, SMALLS);
        run_joins(&PARTS[i], SMALL, SMALLS);
        run_joins(&PARTS[i], joins, 1);
    }
    run_sketches();
    return 0;
}
