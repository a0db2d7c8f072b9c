/* How much of the disk's and SQLite's own speed the store gives to those who append.
 *
 *   store_append DIRECTORY [--senders 64] [--rows 100000] [--rounds 5] [--rooms 50] [--body 200]
 * [--keys] [--floor GROUP]
 *
 * Each round, on fresh files in DIRECTORY: first `senders` callers append through the store, each
 * its next message when the last was acknowledged; then a bare loop, the floor, runs the same
 * statements for as many rows in groups of the size that the store came to, with nothing around
 * them. Prints rows per second of both, their ratio, and the medians at the end. With --keys each
 * message has an idempotency key. With --floor only the bare loop runs, once, in groups of that
 * size, and prints its rows per second. */
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/wake.h"
#include "core/id.h"
#include "store/open.h"
#include "store/sqlite_file.h"
#include "store/sqlite_writer.h"

#define ROUNDS_MAX 99

struct setup {
    const char *directory;
    size_t senders, rows, rounds, rooms, body_bytes;
    bool has_keys;
    size_t floor_group; /* 0: both, in rounds */
};

struct result {
    double rows_per_s;
    double group; /* mean */
};

static void die(const char *why)
{
    fprintf(stderr, "store_append: %s\n", why);
    exit(1);
}

static double seconds(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static char *make_body(size_t bytes)
{
    char *body = xmalloc(bytes + 1);

    memset(body, 'x', bytes);
    body[0] = body[bytes - 1] = '"';
    body[bytes] = '\0';
    return body;
}

static void remove_file(const char *path)
{
    const char *const endings[] = {"", "-wal", "-shm", ".lock"};
    char name[512];

    for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
        snprintf(name, sizeof(name), "%s%s", path, endings[i]);
        unlink(name);
    }
}

/* --- through the store ----------------------------------------------------------------------- */

struct crowd {
    const struct setup *setup;
    struct store *store;
    struct wake wake;
    char *body;
    size_t sent, done;
    int64_t now_ms;
};

static void wake_crowd(void *arg)
{
    wake_signal(arg);
}

static void on_put(void *arg, int err, const struct room_record *record, bool created)
{
    size_t *done = arg;

    (void)record, (void)created;
    if (err != 0) die("cannot create a room");
    ++*done;
}

static void turn(struct crowd *c)
{
    struct pollfd pfd = {.fd = c->wake.fd, .events = POLLIN};

    poll(&pfd, 1, -1);
    wake_clear(&c->wake);
    c->now_ms = clock_ms();
    while (store_dispatch(c->store, c->now_ms) <= c->now_ms) {
    }
}

static void create_rooms(struct crowd *c)
{
    size_t done = 0;

    for (size_t i = 0; i < c->setup->rooms; i++) {
        char room[32];
        snprintf(room, sizeof(room), "app/room-%zu", i);
        struct store_room_put put = {.room = str_of(room), .now_ms = c->now_ms};
        if (store_room_put(c->store, &put, on_put, &done) != 0) die("cannot create a room");
    }
    while (done < c->setup->rooms) turn(c);
}

static void send_one(struct crowd *c);

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct crowd *c = arg;

    (void)appended;
    if (err != 0) die("an append failed");
    c->done++;
    if (c->sent < c->setup->rows) send_one(c);
}

static void send_one(struct crowd *c)
{
    char room[32], key[32] = "";

    snprintf(room, sizeof(room), "app/room-%zu", c->sent % c->setup->rooms);
    if (c->setup->has_keys) snprintf(key, sizeof(key), "key-%zu", c->sent);
    struct store_append append = {
        .room = str_of(room),
        .message = {.list = LIST_NORMAL,
                    .type = STR("text"),
                    .from = STR("user-1"),
                    .name = STR("User One"),
                    .body = str_of(c->body)},
        .key = str_of(key),
        .now_ms = c->now_ms,
    };
    c->sent++;
    if (store_append(c->store, &append, on_appended, c) != 0) die("an append did not start");
}

static struct result run_store(const struct setup *setup, const char *path)
{
    struct crowd c = {.setup = setup, .body = make_body(setup->body_bytes), .now_ms = clock_ms()};
    struct store_config config = {.env = {.wake = wake_crowd, .wake_arg = &c.wake}};
    char url[512], why[256];

    if (wake_init(&c.wake) != 0) die("no eventfd");
    snprintf(url, sizeof(url), "sqlite:%s", path);
    if (store_open(url, &config, &c.store, why, sizeof(why)) != 0) die(why);
    create_rooms(&c);
    uint64_t commits = counter_get(&store_stats(c.store)->commits);
    double began = seconds();
    for (size_t i = 0; i < setup->senders; i++) send_one(&c);
    while (c.done < setup->rows) turn(&c);
    double took = seconds() - began;
    commits = counter_get(&store_stats(c.store)->commits) - commits;
    store_close(c.store);
    wake_deinit(&c.wake);
    free(c.body);
    return (struct result){(double)setup->rows / took, (double)setup->rows / (double)commits};
}

/* --- the floor ------------------------------------------------------------------------------- */

struct floor {
    const struct setup *setup;
    struct sqlite_file file;
    sqlite3_stmt *sql[SQL_WRITER_COUNT];
    struct message *tails; /* per room: the last message */
    char *body;
    uint64_t last_id;
};

static void must(int rc)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE) die(sqlite3_errstr(rc));
}

static void floor_key(struct floor *f, int64_t room_id, size_t number, const struct message *m,
                      int64_t now_ms)
{
    char key[32];

    snprintf(key, sizeof(key), "key-%zu", number);
    sql_bind_i64(f->sql[SQL_KEY_FIND], 1, room_id);
    sql_bind_str(f->sql[SQL_KEY_FIND], 2, str_of(key));
    must(sql_first(f->sql[SQL_KEY_FIND]));
    sql_bind_i64(f->sql[SQL_KEY_ADD], 1, room_id);
    sql_bind_str(f->sql[SQL_KEY_ADD], 2, str_of(key));
    sql_bind_u64(f->sql[SQL_KEY_ADD], 3, m->id);
    sql_bind_u64(f->sql[SQL_KEY_ADD], 4, m->prev);
    sql_bind_u64(f->sql[SQL_KEY_ADD], 5, m->ordinal);
    sql_bind_i64(f->sql[SQL_KEY_ADD], 6, now_ms);
    must(sql_run(f->sql[SQL_KEY_ADD]));
}

static void floor_add(struct floor *f, size_t number, int64_t now_ms)
{
    sqlite3_stmt *stmt = f->sql[SQL_MESSAGE_ADD];
    size_t room = number % f->setup->rooms;
    struct message *m = &f->tails[room];

    m->prev = m->id;
    m->id = f->last_id = id_next(f->last_id, now_ms);
    m->ordinal++;
    sql_bind_u64(stmt, 1, room + 1);
    sql_bind_i64(stmt, 2, LIST_NORMAL);
    sql_bind_u64(stmt, 3, m->id);
    sql_bind_u64(stmt, 4, m->ordinal);
    sql_bind_u64(stmt, 5, m->prev);
    sql_bind_str(stmt, 6, STR("text"));
    sql_bind_str(stmt, 7, STR("user-1"));
    sql_bind_str(stmt, 8, STR("User One"));
    sql_bind_str(stmt, 9, str_of(f->body));
    must(sql_run(stmt));
    if (f->setup->has_keys) floor_key(f, (int64_t)room + 1, number, m, now_ms);
}

static void floor_group(struct floor *f, size_t first, size_t count)
{
    int64_t now_ms = clock_ms();

    must(sql_run(f->sql[SQL_BEGIN]));
    for (size_t i = 0; i < count; i++) floor_add(f, first + i, now_ms);
    must(sql_run(f->sql[SQL_COMMIT]));
}

static void floor_open(struct floor *f, const char *path)
{
    char why[256];

    if (sqlite_file_open(&f->file, path, why, sizeof(why)) != 0) die(why);
    must(sql_prepare(f->file.writer, SQLITE_WRITER_SQL, SQL_WRITER_COUNT, f->sql));
}

static struct result run_floor(const struct setup *setup, const char *path, size_t group)
{
    struct floor f = {
        .setup = setup,
        .tails = xcalloc(setup->rooms, sizeof(*f.tails)),
        .body = make_body(setup->body_bytes),
    };

    floor_open(&f, path);
    double began = seconds();
    for (size_t first = 0; first < setup->rows; first += group)
        floor_group(&f, first, setup->rows - first < group ? setup->rows - first : group);
    double took = seconds() - began;
    sql_finalize(f.sql, SQL_WRITER_COUNT);
    sqlite_file_close(&f.file);
    free(f.tails);
    free(f.body);
    return (struct result){(double)setup->rows / took, (double)group};
}

/* --- rounds ---------------------------------------------------------------------------------- */

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;

    return left < right ? -1 : left > right;
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof(*values), compare_doubles);
    return values[count / 2];
}

static void run_rounds(const struct setup *setup)
{
    double store_rates[ROUNDS_MAX], floor_rates[ROUNDS_MAX], ratios[ROUNDS_MAX];
    char path[480];

    snprintf(path, sizeof(path), "%s/store_append.db", setup->directory);
    for (size_t i = 0; i < setup->rounds; i++) {
        remove_file(path);
        struct result store = run_store(setup, path);
        remove_file(path);
        struct result floor = run_floor(setup, path, (size_t)(store.group + 0.5));
        store_rates[i] = store.rows_per_s;
        floor_rates[i] = floor.rows_per_s;
        ratios[i] = store.rows_per_s / floor.rows_per_s;
        printf("round %zu: store %.0f rows/s in groups of %.1f, floor %.0f rows/s, ratio %.2f\n",
               i + 1, store.rows_per_s, store.group, floor.rows_per_s, ratios[i]);
    }
    remove_file(path);
    printf("median: store %.0f rows/s, floor %.0f rows/s, ratio %.2f\n",
           median(store_rates, setup->rounds), median(floor_rates, setup->rounds),
           median(ratios, setup->rounds));
}

static void run_floor_alone(const struct setup *setup)
{
    char path[480];

    snprintf(path, sizeof(path), "%s/floor.db", setup->directory);
    remove_file(path);
    printf("%.0f\n", run_floor(setup, path, setup->floor_group).rows_per_s);
    remove_file(path);
}

static size_t number_of(const char *text)
{
    uint64_t value = 0;

    if (!str_parse_u64(str_of(text), &value) || value == 0) die("a number is missing");
    return (size_t)value;
}

int main(int argc, char **argv)
{
    static const struct option OPTIONS[] = {
        {"senders", required_argument, NULL, 's'}, {"rows", required_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},  {"rooms", required_argument, NULL, 'o'},
        {"body", required_argument, NULL, 'b'},    {"keys", no_argument, NULL, 'k'},
        {"floor", required_argument, NULL, 'f'},   {NULL, 0, NULL, 0},
    };
    struct setup setup = {
        .senders = 64, .rows = 100000, .rounds = 5, .rooms = 50, .body_bytes = 200};
    int option;

    while ((option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1) {
        switch (option) {
        case 's': setup.senders = number_of(optarg); break;
        case 'r': setup.rows = number_of(optarg); break;
        case 'n': setup.rounds = number_of(optarg); break;
        case 'o': setup.rooms = number_of(optarg); break;
        case 'b': setup.body_bytes = number_of(optarg); break;
        case 'k': setup.has_keys = true; break;
        case 'f': setup.floor_group = number_of(optarg); break;
        default: return 2;
        }
    }
    if (optind + 1 != argc) die("give the directory for the files");
    if (setup.rounds > ROUNDS_MAX || setup.body_bytes < 2)
        die("too many rounds, or too short a body");
    if (setup.senders > setup.rows) setup.senders = setup.rows;
    setup.directory = argv[optind];
    if (setup.floor_group > 0)
        run_floor_alone(&setup);
    else
        run_rounds(&setup);
    return 0;
}
