/* How much of one Redis master the store gives to those who append.
 *
 *   redis_append URL [--senders 512] [--rows 200000] [--rooms 50] [--body 200]
 *
 * `senders` callers append through the store, each its next message when the last was acknowledged.
 * Prints messages per second, and how many went in one call of the server's function, in the mean; then
 * the words of one such call, each on a line, for redis-benchmark (bench/redis_append.sh). The rooms are
 * app/room-000000000000 and so on, which is how redis-benchmark writes numbers. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/alloc.h"
#include "base/wake.h"
#include "store/open.h"
#include "store/redis_library.h"

struct setup {
    const char *url;
    size_t senders, rows, rooms, body_bytes;
};

struct crowd {
    struct setup setup;
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer;
    uv_poll_t poll;
    struct wake wake;
    struct store *store;
    char *body;
    size_t put, sent, done;
};

static void die(const char *why)
{
    fprintf(stderr, "redis_append: %s\n", why);
    exit(1);
}

static int64_t clock_ms(void)
{
    uv_timeval64_t now;

    uv_gettimeofday(&now);
    return now.tv_sec * 1000 + now.tv_usec / 1000;
}

/* --- a loop as the hub has it ---------------------------------------------------------------- */

static void on_wake(uv_poll_t *poll, int status, int events)
{
    struct crowd *c = poll->data;

    (void)status, (void)events;
    wake_clear(&c->wake);
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the sleep */
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct crowd *c = prepare->data;
    int64_t now_ms = clock_ms(), next_ms = store_dispatch(c->store, now_ms);

    uv_timer_start(&c->timer, on_timer, next_ms > now_ms ? (uint64_t)(next_ms - now_ms) : 0, 0);
}

static void wake_crowd(void *arg)
{
    wake_signal(arg);
}

static void open_store(struct crowd *c)
{
    const struct store_config config = {
        .env = {.loop = &c->loop, .wake = wake_crowd, .wake_arg = &c->wake},
        .retention = {{.max_count = 10000}, {.max_count = 1000}},
    };
    char why[512];

    uv_loop_init(&c->loop);
    if (wake_init(&c->wake) != 0) die("no eventfd");
    if (store_open(c->setup.url, &config, &c->store, why, sizeof(why)) != 0) die(why);
    uv_poll_init(&c->loop, &c->poll, c->wake.fd);
    uv_timer_init(&c->loop, &c->timer);
    uv_prepare_init(&c->loop, &c->prepare);
    c->poll.data = c->prepare.data = c;
    uv_poll_start(&c->poll, UV_READABLE, on_wake);
    uv_prepare_start(&c->prepare, on_prepare);
}

/* --- the crowd ------------------------------------------------------------------------------- */

static void room_name(char *ret_name, size_t cap, size_t number)
{
    snprintf(ret_name, cap, "app/room-%012zu", number);
}

static void on_put(void *arg, int err, const struct room_record *record, bool created)
{
    struct crowd *c = arg;

    (void)record, (void)created;
    if (err != 0) die("cannot create a room");
    c->put++;
}

static void create_rooms(struct crowd *c)
{
    for (size_t i = 0; i < c->setup.rooms; i++) {
        char room[64];
        room_name(room, sizeof(room), i);
        const struct store_room_put put = {.room = str_of(room), .now_ms = clock_ms()};
        if (store_room_put(c->store, &put, on_put, c) != 0) die("cannot create a room");
    }
    while (c->put < c->setup.rooms) uv_run(&c->loop, UV_RUN_ONCE);
}

static void send_one(struct crowd *c);

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct crowd *c = arg;

    (void)appended;
    if (err != 0) die("an append failed");
    c->done++;
    if (c->sent < c->setup.rows) send_one(c);
}

static void send_one(struct crowd *c)
{
    char room[64];

    room_name(room, sizeof(room), c->sent % c->setup.rooms);
    const struct store_append append = {
        .room = str_of(room),
        .message = {.list = LIST_NORMAL,
                    .type = STR("text"),
                    .from = STR("user-1"),
                    .name = STR("User"),
                    .body = str_of(c->body)},
        .now_ms = clock_ms(),
    };
    if (store_append(c->store, &append, on_appended, c) != 0) die("overloaded");
    c->sent++;
}

/* As redis_append.c puts it together. */
static void print_call(const struct crowd *c, size_t group)
{
    struct redis_library library;

    redis_library_init(&library, redis_library_functions());
    printf("FCALL\n%s_append\n1\n{app/room-__rand_int__}\nn\n0123456789abcdef\n1000\n0\n300000\n",
           library.name);
    redis_library_deinit(&library);
    for (size_t i = 0; i < group; i++)
        printf("%lld\n0\n\ntext\nuser-1\nUser\n%s\n", (long long)clock_ms(), c->body);
}

static void run(struct crowd *c)
{
    uint64_t calls = counter_get(&store_stats(c->store)->commits), began_ns = uv_hrtime();

    for (size_t i = 0; i < c->setup.senders && c->sent < c->setup.rows; i++) send_one(c);
    while (c->done < c->setup.rows) uv_run(&c->loop, UV_RUN_ONCE);
    double seconds = (double)(uv_hrtime() - began_ns) / 1e9;
    calls = counter_get(&store_stats(c->store)->commits) - calls;
    double group = (double)c->setup.rows / (double)calls;
    printf("%.0f %.1f\n", (double)c->setup.rows / seconds, group);
    print_call(c, (size_t)(group + 0.5));
}

static size_t number(const char *text)
{
    uint64_t value;

    if (!str_parse_u64(str_of(text), &value) || value == 0) die("a number above 0 is missing");
    return (size_t)value;
}

static void parse(int argc, char **argv, struct setup *setup)
{
    static const struct option options[] = {{"senders", required_argument, NULL, 's'},
                                            {"rows", required_argument, NULL, 'r'},
                                            {"rooms", required_argument, NULL, 'o'},
                                            {"body", required_argument, NULL, 'b'},
                                            {0}};

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's': setup->senders = number(optarg); break;
        case 'r': setup->rows = number(optarg); break;
        case 'o': setup->rooms = number(optarg); break;
        case 'b': setup->body_bytes = number(optarg); break;
        default: die("what is behind the URL is not understood");
        }
    }
    if (optind >= argc) die("the URL is missing");
    setup->url = argv[optind];
}

int main(int argc, char **argv)
{
    struct crowd c = {.setup = {.senders = 512, .rows = 200000, .rooms = 50, .body_bytes = 200}};

    parse(argc, argv, &c.setup);
    c.body = xmalloc(c.setup.body_bytes + 3);
    snprintf(c.body, c.setup.body_bytes + 3, "\"%0*d\"", (int)c.setup.body_bytes - 2, 7);
    open_store(&c);
    create_rooms(&c);
    run(&c);
    uv_prepare_stop(&c.prepare);
    store_close(c.store);
    free(c.body);
    return 0;
}
