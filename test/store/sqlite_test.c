/* What only the SQLite store promises: group commit, one owner, clear errors, and trouble with the
 * disk. */
#include "store/harness.h"

#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "store/front.h"
#include "store/open.h"
#include "store/sqlite.h"
#include "store/sqlite_past.h"

#define ROOM "app/room"

static const char *path_of(const struct harness *h)
{
    return h->url + strlen("sqlite:");
}

/* --- opening --------------------------------------------------------------------------------- */

/* Expects that it cannot be opened, and that the sentence has `reason` in it. */
static void check_refused(const char *path, const char *reason)
{
    const struct store_config config = {0};
    struct store *store = NULL;
    char url[256], why[256] = "";

    snprintf(url, sizeof(url), "sqlite:%s", path);
    assert_int_equal(store_open(url, &config, &store, why, sizeof(why)), ERR_STORE_UNAVAILABLE);
    assert_null(store);
    if (strstr(why, reason) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, reason);
}

static void a_file_has_one_owner(void **state)
{
    struct harness *h = *state;
    char link_path[128];

    harness_create(h, ROOM);
    check_refused(path_of(h), "in use by another server (process ");
    snprintf(link_path, sizeof(link_path), "%s/link.db", h->directory);
    assert_int_equal(symlink(path_of(h), link_path), 0);
    check_refused(link_path, "in use by another server");
    harness_send(h, ROOM, LIST_NORMAL, "1"); /* the owner is none the worse for it */
    harness_reopen(h);                       /* and gives it back */
}

static void a_path_that_cannot_be_opened_is_told(void **state)
{
    struct harness *h = *state;

    check_refused("", "needs the path of a file");
    check_refused(":memory:", "needs the path of a file");
    check_refused("/nowhere/at/all.db", "No such file or directory");
    check_refused(h->directory, "unable to open database file");
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void a_file_of_something_else_is_refused(void **state)
{
    struct harness *h = *state;
    char path[128], garbage[8192];

    memset(garbage, 'g', sizeof(garbage));
    snprintf(path, sizeof(path), "%s/garbage.db", h->directory);
    write_file(path, garbage, sizeof(garbage));
    check_refused(path, "file is not a database");
}

static void run_sql(const char *path, const char *sql)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void a_database_of_another_program_is_left_alone(void **state)
{
    struct harness *h = *state;
    char path[128], log_path[132];
    struct stat before, after;

    snprintf(path, sizeof(path), "%s/other.db", h->directory);
    run_sql(path, "CREATE TABLE theirs (x)");
    assert_int_equal(stat(path, &before), 0);
    check_refused(path, "is a database of another program");
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    snprintf(log_path, sizeof(log_path), "%s-wal", path);
    assert_int_not_equal(access(log_path, F_OK), 0);
}

static void a_file_of_a_newer_version_is_refused(void **state)
{
    struct harness *h = *state;

    store_close(h->store);
    h->store = NULL;
    run_sql(path_of(h), "PRAGMA user_version = 99");
    check_refused(path_of(h), "newer version");
}

static void check_end(struct harness *h, const char *room, uint64_t tail, uint64_t ordinal)
{
    struct harness_range range = harness_read_all(h, room, LIST_NORMAL);
    assert_int_equal(range.tail, tail);
    assert_int_equal(range.tail_ordinal, ordinal);
    harness_check_chain(&range);
    harness_range_free(&range);
}

/* Lists with messages, without any, and emptied by retention end where they did. The last of these
 * are what somebody's own DELETE leaves. */
static void lists_of_the_version_before_go_on(void **state)
{
    struct harness *h = *state;
    struct store_appended next;

    harness_create(h, "app/full");
    harness_create(h, "app/new");
    harness_create(h, "app/emptied");
    harness_send(h, "app/full", LIST_NORMAL, "1");
    uint64_t full = harness_send(h, "app/full", LIST_NORMAL, "2");
    uint64_t emptied = harness_send(h, "app/emptied", LIST_NORMAL, "1");
    store_close(h->store);
    h->store = NULL;
    run_sql(path_of(h),
            SQLITE_BACK_TO_TAILS "DELETE FROM messages WHERE room_id = 3; PRAGMA user_version = 4");
    harness_reopen(h);
    check_end(h, "app/full", full, 2);
    check_end(h, "app/new", 0, 0);
    check_end(h, "app/emptied", emptied, 1);
    h->now_ms -= 1000;
    struct harness_append a = {.room = "app/emptied", .list = LIST_NORMAL, .body = "2"};
    assert_int_equal(harness_append(h, &a, &next), 0);
    assert_true(next.id > emptied);
    assert_int_equal(next.prev, emptied);
    assert_int_equal(next.ordinal, 2);
}

static void a_damaged_file_does_not_open_or_does_not_answer(void **state)
{
    struct harness *h = *state;
    char garbage[2048];

    harness_create(h, ROOM);
    store_close(h->store);
    h->store = NULL;
    FILE *file = fopen(path_of(h), "r+b");
    assert_non_null(file);
    memset(garbage, 0xa5, sizeof(garbage));
    assert_int_equal(fseek(file, 100, SEEK_SET), 0); /* the schema's page, behind the header */
    assert_int_equal(fwrite(garbage, 1, sizeof(garbage), file), sizeof(garbage));
    fclose(file);
    check_refused(path_of(h), "malformed");
}

static void its_owner_can_read_it_with_sqlite3(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {
        .room = ROOM, .list = LIST_HIGH, .type = "gift", .from = "alice", .body = "7"};
    sqlite3 *db = NULL;
    sqlite3_stmt *stmt = NULL;

    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(sqlite3_open_v2(path_of(h), &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT room, list, id, at, sender, body FROM chat", -1,
                                        &stmt, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    const char *const expected[] = {ROOM,    "high", "1732441234567-0", "2024-11-24 09:40:34",
                                    "alice", "7"};
    for (int i = 0; i < 6; i++)
        assert_string_equal((const char *)sqlite3_column_text(stmt, i), expected[i]);
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

/* --- many at once ---------------------------------------------------------------------------- */

struct flood {
    size_t started, done, failed;
    uint32_t body_bytes;
};

static void on_flood(void *arg, int err, const struct store_appended *appended)
{
    struct flood *flood = arg;

    (void)appended;
    flood->done++;
    if (err != 0) flood->failed++;
}

/* Appends without looking for answers, until one does not start or there are `max`. Returns its
 * error. */
static int flood_with(struct harness *h, struct flood *flood, size_t max)
{
    char *body = xmalloc(flood->body_bytes + 1);
    int err = 0;

    memset(body, '1', flood->body_bytes);
    body[flood->body_bytes] = '\0';
    for (size_t i = 0; i < max && err == 0; i++) {
        char key[32];
        snprintf(key, sizeof(key), "flood-%zu", i);
        struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = body, .key = key};
        struct store_append append = harness_append_of(h, &a);
        err = store_append(h->store, &append, on_flood, flood);
        if (err == 0) flood->started++;
    }
    free(body);
    return err;
}

static void finish_flood(struct harness *h, struct flood *flood)
{
    while (flood->done < flood->started) harness_turn(h);
}

static void check_kept(struct harness *h, size_t count)
{
    struct harness_range tail = harness_read(h, &(struct store_read){.room = STR(ROOM),
                                                                     .list = LIST_NORMAL,
                                                                     .direction = STORE_BEFORE,
                                                                     .from = UINT64_MAX,
                                                                     .limit = 1});
    assert_int_equal(tail.tail_ordinal, count);
    harness_range_free(&tail);
}

static void what_waits_is_committed_together(void **state)
{
    struct harness *h = *state;
    const struct store_stats *stats = store_stats(h->store);
    struct flood flood = {.body_bytes = 100};

    harness_create(h, ROOM);
    uint64_t before = counter_get(&stats->commits);
    assert_int_equal(flood_with(h, &flood, 5000), 0);
    finish_flood(h, &flood);
    uint64_t commits = counter_get(&stats->commits) - before;
    assert_int_equal(counter_get(&stats->appends), 5000);
    assert_in_range(commits, 5, 2500); /* a group has at most 1024, and most have many */
    assert_true(counter_get(&stats->commit_us) > 0);
}

struct pull {
    struct store_range out;
    int err;
    bool is_done;
};

static void on_pull(void *arg, int err, const struct store_range *range)
{
    struct pull *pull = arg;

    pull->err = err;
    if (range != NULL) pull->out = *range;
    pull->is_done = true;
}

static struct store_range pull_after(struct harness *h, uint64_t id)
{
    struct store_read read = {
        .room = STR(ROOM), .list = LIST_NORMAL, .direction = STORE_AFTER, .from = id, .limit = 10};
    struct pull pull = {0};

    assert_int_equal(store_read(h->store, &read, on_pull, &pull), 0);
    assert_false(pull.is_done); /* never from inside the call */
    harness_wait(h, &pull.is_done);
    assert_int_equal(pull.err, 0);
    return pull.out;
}

/* What the fallback polls of quiet rooms ask again and again is answered without a look at the file;
 * it is counted, and right, also while messages come and after the time when it is read anew. */
static void a_poll_of_a_quiet_watched_room_reads_nothing(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, "app/other");
    store_watch(h->store, STR(ROOM));
    uint64_t first = harness_send(h, ROOM, LIST_NORMAL, "1");
    assert_int_equal(pull_after(h, 0).count, 1);
    assert_int_equal(pull_after(h, first).count, 0);
    uint64_t second = harness_send(h, ROOM, LIST_NORMAL, "2");
    assert_int_equal(pull_after(h, first).count, 1); /* no longer the tail */
    struct store_range none = pull_after(h, second);
    assert_int_equal(none.count, 0);
    assert_int_equal(none.tail, second);
    assert_int_equal(none.tail_ordinal, 2);
    uint64_t known = counter_get(&store_stats(h->store)->reads_known);
    assert_true(known > 0);
    h->now_ms += FRONT_KNOWN_MS;
    harness_send(h, "app/other", LIST_NORMAL, "1");
    assert_int_equal(pull_after(h, second).count, 0);
    assert_int_equal(counter_get(&store_stats(h->store)->reads_known), known);
}

static void too_many_writes_under_way_are_refused(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = 10};

    harness_create(h, ROOM);
    assert_int_equal(flood_with(h, &flood, SQLITE_WRITES_MAX + 1), ERR_OVERLOADED);
    assert_int_equal(flood.started, SQLITE_WRITES_MAX);
    assert_int_equal(counter_get(&store_stats(h->store)->overloads), 1);
    finish_flood(h, &flood);
    assert_int_equal(flood.failed, 0);
    check_kept(h, SQLITE_WRITES_MAX);
    harness_send(h, ROOM, LIST_NORMAL, "1"); /* and then there is room again */
}

static void too_many_bytes_under_way_are_refused(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = LIMIT_MESSAGE_BODY};

    harness_create(h, ROOM);
    assert_int_equal(flood_with(h, &flood, SQLITE_WRITES_MAX), ERR_OVERLOADED);
    assert_in_range(flood.started, 900, SQLITE_WRITE_BYTES_MAX / LIMIT_MESSAGE_BODY);
    finish_flood(h, &flood);
    assert_int_equal(flood.failed, 0);
}

static void on_read(void *arg, int err, const struct store_range *range)
{
    size_t *done = arg;

    assert_int_equal(err, 0);
    assert_int_equal(range->count, 1);
    ++*done;
}

static void too_many_reads_under_way_are_refused(void **state)
{
    struct harness *h = *state;
    const struct store_read read = {.room = STR(ROOM), .list = LIST_NORMAL, .limit = 1};
    size_t started = 0, done = 0;

    harness_create(h, ROOM);
    harness_send(h, ROOM, LIST_NORMAL, "1");
    while (store_read(h->store, &read, on_read, &done) == 0) started++;
    assert_int_equal(started, SQLITE_READS_MAX);
    while (done < started) harness_turn(h);
}

static void closing_finishes_what_was_started(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = 100};

    harness_create(h, ROOM);
    assert_int_equal(flood_with(h, &flood, 3000), 0);
    harness_reopen(h);
    assert_int_equal(flood.done, 0);
    check_kept(h, 3000);
}

/* --- trouble --------------------------------------------------------------------------------- */

static void sends_fail_while_another_holds_the_file_and_reads_do_not(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = 10};
    sqlite3 *db = NULL;

    harness_create(h, ROOM);
    harness_send(h, ROOM, LIST_NORMAL, "1");
    assert_int_equal(sqlite3_open(path_of(h), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(flood_with(h, &flood, 3), 0);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 1);
    assert_int_equal(flood.done, 0); /* the read did not wait for them */
    harness_range_free(&range);
    finish_flood(h, &flood);
    assert_int_equal(flood.failed, 3);

    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    flood = (struct flood){.body_bytes = 10};
    assert_int_equal(flood_with(h, &flood, 3), 0); /* the same keys */
    finish_flood(h, &flood);
    assert_int_equal(flood.failed, 0);
    check_kept(h, 4);
    range = harness_read_all(h, ROOM, LIST_NORMAL);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void limit_file_size(rlim_t bytes)
{
    struct rlimit limit;

    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The file cannot grow any more, which is what a full disk looks like. */
static void a_full_disk_loses_nothing_that_was_acknowledged(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = 4096};

    harness_create(h, ROOM);
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(1024 * 1024);
    assert_int_equal(flood_with(h, &flood, 2000), 0);
    finish_flood(h, &flood);
    limit_file_size(RLIM_INFINITY);
    assert_in_range(flood.failed, 1, 2000);
    assert_int_equal(counter_get(&store_stats(h->store)->failures), flood.failed);

    flood = (struct flood){.body_bytes = 4096};
    assert_int_equal(flood_with(h, &flood, 2000), 0); /* the same keys */
    finish_flood(h, &flood);
    assert_int_equal(flood.failed, 0);
    check_kept(h, 2000);
    harness_reopen(h);
    check_kept(h, 2000);
    assert_int_equal(harness_ping(h), 0);
}

static void ping_tells_that_nothing_can_be_written(void **state)
{
    struct harness *h = *state;
    struct flood flood = {.body_bytes = 4096};

    if (!harness_is_plain(h)) skip();
    harness_create(h, ROOM);
    signal(SIGXFSZ, SIG_IGN);
    limit_file_size(64 * 1024);
    assert_int_equal(flood_with(h, &flood, 100), 0);
    finish_flood(h, &flood);
    assert_true(flood.failed > 0);
    uint64_t failures = counter_get(&store_stats(h->store)->failures);
    for (int i = 0; i < 3; i++) { /* seconds pass: retention fails as well, and does not spin */
        h->now_ms += 1000;
        store_dispatch(h->store, h->now_ms);
    }
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(harness_ping(h), 0);
    assert_int_equal(counter_get(&store_stats(h->store)->failures), failures);
}

int main(void)
{
    struct store_fixture plain = {.name = "sqlite", .scheme = "sqlite:", .is_durable = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_one_owner),
        cmocka_unit_test(a_path_that_cannot_be_opened_is_told),
        cmocka_unit_test(a_file_of_something_else_is_refused),
        cmocka_unit_test(a_database_of_another_program_is_left_alone),
        cmocka_unit_test(a_file_of_a_newer_version_is_refused),
        cmocka_unit_test(lists_of_the_version_before_go_on),
        cmocka_unit_test(a_damaged_file_does_not_open_or_does_not_answer),
        cmocka_unit_test(its_owner_can_read_it_with_sqlite3),
        cmocka_unit_test(what_waits_is_committed_together),
        cmocka_unit_test(a_poll_of_a_quiet_watched_room_reads_nothing),
        cmocka_unit_test(too_many_writes_under_way_are_refused),
        cmocka_unit_test(too_many_bytes_under_way_are_refused),
        cmocka_unit_test(too_many_reads_under_way_are_refused),
        cmocka_unit_test(closing_finishes_what_was_started),
        cmocka_unit_test(sends_fail_while_another_holds_the_file_and_reads_do_not),
        cmocka_unit_test(a_full_disk_loses_nothing_that_was_acknowledged),
        cmocka_unit_test(ping_tells_that_nothing_can_be_written),
    };
    struct CMUnitTest with_store[sizeof(tests) / sizeof(tests[0])];

    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        with_store[i] = tests[i];
        with_store[i].setup_func = harness_setup;
        with_store[i].teardown_func = harness_teardown;
        with_store[i].initial_state = &plain;
    }
    return cmocka_run_group_tests(with_store, NULL, NULL);
}
