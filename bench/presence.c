/* What it takes to hold a room of millions in the hub's table of who is here (core/presence.h).
 *
 *   presence [--users 15000000]
 *
 * All come, in an order that has nothing to do with the table's; come again, as those do who are at
 * a second worker, too; are listed page by page; and leave. Prints a table in Markdown: nanoseconds
 * a call, the longest call, and bytes per user by what the allocator says it gave. Everything is
 * done RUNS times, and of each call the fastest run counts: a delay of the machine's is not there
 * again the next time, one of the table's is. Ids are 12 bytes long. */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "core/presence.h"

#define RUNS     3
#define ID_BYTES 12
#define PAGE     1000
#define SCAN     4096
#define START_MS 1732441234567
#define SCRAMBLE 2654435761u /* odd: i * SCRAMBLE modulo 2^32 names everybody once */

/* One kind of call: what each took, in the fastest run. */
struct span {
    const char *what;
    uint32_t *ns;
    uint64_t calls;
};

enum kind { COME, MOVE, LIST, SEARCH, LEAVE, KINDS };

struct bench {
    uint32_t users;
    uint64_t clock_ns; /* what reading the clock takes, and is taken off */
    struct presence presence;
    struct span spans[KINDS];
    uint64_t listed, found;
    size_t bytes;
};

static uint64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static uint64_t clock_cost_ns(void)
{
    uint64_t begin = now_ns();
    for (int i = 0; i < 1000000; i++) now_ns();
    return (now_ns() - begin) / 1000000;
}

static size_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static struct str id_of(char id[ID_BYTES + 1], uint32_t i)
{
    snprintf(id, ID_BYTES + 1, "u%011u", i * SCRAMBLE);
    return str_make(id, ID_BYTES);
}

static void record(struct bench *b, enum kind kind, uint64_t call, uint64_t begin_ns)
{
    uint64_t ns = now_ns() - begin_ns;
    ns = ns > b->clock_ns ? ns - b->clock_ns : 0;
    if (ns < b->spans[kind].ns[call]) b->spans[kind].ns[call] = (uint32_t)ns;
}

static void do_one(struct presence *p, enum kind kind, struct str user)
{
    if (kind == COME) presence_come(p, user, 0, START_MS);
    if (kind == MOVE) presence_come(p, user, 1, START_MS);
    if (kind == LEAVE) presence_leave(p, user, 1);
}

static void do_all(struct bench *b, enum kind kind)
{
    char id[ID_BYTES + 1];
    for (uint32_t i = 0; i < b->users; i++) {
        struct str user = id_of(id, i);
        uint64_t begin_ns = now_ns();
        do_one(&b->presence, kind, user);
        record(b, kind, i, begin_ns);
    }
    b->spans[kind].calls = b->users;
}

static void count_user(void *arg, const struct presence_user *user)
{
    (void)user;
    ++*(uint64_t *)arg;
}

static void list(struct bench *b, enum kind kind, struct presence_query query, uint64_t *ret_told)
{
    char after[LIMIT_USER_ID + 1] = "";
    uint64_t calls = 0;
    *ret_told = 0;
    for (bool more = true; more; calls++) {
        struct str last;
        query.after = str_of(after);
        uint64_t begin_ns = now_ns();
        more = presence_page(&b->presence, &query, count_user, ret_told, &last);
        record(b, kind, calls, begin_ns);
        if (more) str_copy(last, after, sizeof after);
    }
    b->spans[kind].calls = calls;
}

static void run(struct bench *b)
{
    static const struct hash_key key = {0x0123456789abcdef, 0xfedcba9876543210};
    char id[ID_BYTES + 1];
    presence_init(&b->presence, key);
    size_t before = allocated_bytes();
    do_all(b, COME);
    b->bytes = allocated_bytes() - before;
    do_all(b, MOVE);
    list(b, LIST, (struct presence_query){.limit = PAGE, .scan = UINT32_MAX}, &b->listed);
    list(b, SEARCH, (struct presence_query){.prefix = STR("u0000001"), .limit = PAGE, .scan = SCAN},
         &b->found);
    for (uint32_t i = 0; i < b->users; i++) presence_leave(&b->presence, id_of(id, i), 0);
    do_all(b, LEAVE);
    if (b->listed != b->users || b->presence.count != 0) exit(1);
    presence_deinit(&b->presence);
}

static void print(const struct span *span)
{
    uint64_t total_ns = 0, longest_ns = 0, above = 0;
    for (uint64_t i = 0; i < span->calls; i++) {
        total_ns += span->ns[i];
        if (span->ns[i] > longest_ns) longest_ns = span->ns[i];
        above += span->ns[i] > 100000;
    }
    printf("| %s | %llu | %.0f | %.1f | %llu |\n", span->what, (unsigned long long)span->calls,
           (double)total_ns / (double)span->calls, (double)longest_ns / 1000,
           (unsigned long long)above);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"users", required_argument, NULL, 'u'}, {0}};
    static struct bench b = {.spans = {{.what = "comes"},
                                       {.what = "is here, and comes to a second worker"},
                                       {.what = "a page of 1,000 users"},
                                       {.what = "a search by prefix, 4,096 users"},
                                       {.what = "leaves"}}};
    uint64_t users = 15000000;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (c != 'u' || !str_parse_u64(str_of(optarg), &users) || users == 0 || users > UINT32_MAX)
            return 2;
    b.users = (uint32_t)users;
    b.clock_ns = clock_cost_ns();
    for (int kind = 0; kind < KINDS; kind++) {
        b.spans[kind].ns = xmalloc(users * sizeof(uint32_t));
        for (uint64_t i = 0; i < users; i++) b.spans[kind].ns[i] = UINT32_MAX;
    }
    for (int i = 0; i < RUNS; i++) run(&b);
    printf("| %llu users | calls | mean, ns | longest, us | longer than 100 us |\n"
           "|---|---|---|---|---|\n",
           (unsigned long long)users);
    for (int kind = 0; kind < KINDS; kind++) print(&b.spans[kind]);
    printf("\n%.1f bytes per user, the id of %d bytes included; %llu found by prefix.\n",
           (double)b.bytes / (double)users, ID_BYTES, (unsigned long long)b.found);
    for (int kind = 0; kind < KINDS; kind++) free(b.spans[kind].ns);
    return 0;
}
