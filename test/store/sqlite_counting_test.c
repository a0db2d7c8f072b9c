/* What only the SQLite store promises of counting: what its file costs, that a long count holds up
 * nobody, and that files of the version before are taken. */
#include "store/harness_counting.h"

#include <sqlite3.h>

#include "store/sqlite_count.h"
#include "store/sqlite_past.h"

#define ROOM "app/room"

static const char *path_of(const struct harness *h)
{
    return h->url + strlen("sqlite:");
}

static sqlite3 *connect_to(const struct harness *h)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(path_of(h), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, PATIENCE_MS);
    return db;
}

static void run_sql(const struct harness *h, const char *sql)
{
    sqlite3 *db = connect_to(h);
    char *why = NULL;

    sqlite3_exec(db, sql, NULL, NULL, &why);
    if (why != NULL) fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

static int query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *stmt;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &stmt, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
    int value = sqlite3_column_int(stmt, 0);
    sqlite3_finalize(stmt);
    return value;
}

static void a_file_of_the_version_before_is_taken(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    uint64_t id = harness_send(h, ROOM, LIST_NORMAL, "1");
    store_close(h->store);
    h->store = NULL;
    run_sql(h, SQLITE_BACK_TO_TAILS
            "DROP VIEW history; DROP TABLE viewers; DROP TABLE viewer_users; DROP TABLE samples;"
            "DROP TABLE routes; PRAGMA user_version = 1");
    harness_reopen(h);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 1);
    assert_int_equal(range.tail, id);
    harness_range_free(&range);
    assert_int_equal(harness_came(h, ROOM, BUCKET_MS, 0, 3).unique, 3);
}

/* Till then a minute was one row, whichever node it was of. */
static void history_of_the_version_before_stays(void **state)
{
    struct harness *h = *state;
    struct sample later = {.at_ms = BUCKET_MS + 30000,
                           .span_ms = 30000,
                           .online_ms = 50,
                           .online_peak = 2,
                           .joins = 1};
    const struct store_sample_range all = {
        .room = STR(ROOM), .to_ms = INT64_MAX, .step_ms = SAMPLE_MS, .limit = 64};
    char sql[2048];

    harness_create(h, ROOM);
    store_close(h->store);
    h->store = NULL;
    snprintf(sql, sizeof(sql),
             SQLITE_BACK_TO_TAILS
             "DROP TABLE samples;"
             "CREATE TABLE samples (room_id INTEGER NOT NULL, at_ms INTEGER NOT NULL,"
             "  hourly INTEGER NOT NULL, span_ms INTEGER NOT NULL, online_ms INTEGER NOT NULL,"
             "  online_peak INTEGER NOT NULL, joins INTEGER NOT NULL, high INTEGER NOT NULL,"
             "  normal INTEGER NOT NULL, uniq INTEGER NOT NULL, PRIMARY KEY (room_id, at_ms)"
             ") WITHOUT ROWID;"
             "CREATE INDEX samples_age ON samples (hourly, at_ms);"
             "INSERT INTO samples VALUES (1, %lld, 0, 30000, 100, 4, 3, 1, 7, 9);"
             "PRAGMA user_version = 3",
             (long long)BUCKET_MS);
    run_sql(h, sql);
    harness_reopen(h);
    assert_int_equal(harness_sample_put(h, ROOM, &later), 0); /* in the minute of the start */
    struct harness_samples samples = harness_sample_range(h, &all);
    assert_int_equal(samples.count, 1);
    assert_int_equal(samples.samples[0].span_ms, SAMPLE_MS);
    assert_int_equal(samples.samples[0].online_ms, 150);
    assert_int_equal(samples.samples[0].online_peak, 4);
    assert_int_equal(samples.samples[0].joins, 4);
    assert_int_equal(samples.samples[0].messages[LIST_NORMAL], 7);
    assert_int_equal(samples.samples[0].unique, 9);
}

static void names_go_beyond_the_bound(void **state)
{
    struct harness *h = *state;
    sqlite3 *db = connect_to(h);

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, VIEWERS_EXACT_MAX);
    assert_int_equal(query(db, "SELECT count(*) FROM viewer_users"), 2 * VIEWERS_EXACT_MAX);
    harness_came(h, ROOM, BUCKET_MS, 0, VIEWERS_EXACT_MAX + 1);
    assert_int_equal(query(db, "SELECT count(*) FROM viewer_users"), 0);
    assert_int_equal(query(db, "SELECT max(length(sketch)) FROM viewers"), HLL_DENSE_BYTES);
    sqlite3_close(db);
}

static void old_buckets_leave_no_names(void **state)
{
    struct harness *h = *state;
    sqlite3 *db = connect_to(h);

    h->history.max_age_ms = 3600 * 1000;
    harness_reopen(h);
    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 500);
    h->now_ms += 2 * 3600 * 1000;
    for (int i = 0; i < 20; i++) harness_tick(h);
    assert_int_equal(query(db, "SELECT count(*) FROM viewer_users"), 500); /* of the life */
    assert_int_equal(query(db, "SELECT count(*) FROM viewers"), 1);
    sqlite3_close(db);
}

/* data_version of a connection changes with every commit of another one that wrote. */
static void who_is_known_is_not_written_again(void **state)
{
    struct harness *h = *state;
    sqlite3 *db = connect_to(h);

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 800);
    int version = query(db, "PRAGMA data_version");
    harness_came(h, ROOM, BUCKET_MS, 0, 800);
    harness_came(h, ROOM, BUCKET_MS, 100, 700);
    assert_int_equal(query(db, "PRAGMA data_version"), version);
    harness_came(h, ROOM, BUCKET_MS, 0, 801);
    assert_int_not_equal(query(db, "PRAGMA data_version"), version);
    sqlite3_close(db);
}

/* --- a long count ----------------------------------------------------------------------------- */

struct race {
    bool is_counted, is_read;
    bool read_was_first;
    struct viewers_count count;
};

static void on_counted(void *arg, int err, const struct viewers_count *count)
{
    struct race *race = arg;

    assert_int_equal(err, 0);
    race->count = *count;
    race->is_counted = true;
}

static void on_read(void *arg, int err, const struct store_range *range)
{
    struct race *race = arg;

    (void)range;
    assert_int_equal(err, 0);
    race->is_read = true;
    race->read_was_first = !race->is_counted;
}

#define BUCKETS 40
#define USERS   9000

static void a_long_count_holds_up_nobody(void **state)
{
    struct harness *h = *state;
    const struct store_viewers_count window = {.room = STR(ROOM), .to_ms = INT64_MAX};
    const struct store_read read = {
        .room = STR(ROOM), .list = LIST_NORMAL, .direction = STORE_AFTER, .limit = 1};
    struct race race = {0};
    char sql[512];

    harness_create(h, ROOM);
    snprintf(sql, sizeof(sql),
             "WITH RECURSIVE b(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM b WHERE i < %d)"
             " INSERT INTO viewers SELECT 1, i * 300000, %d, 1, '' FROM b;"
             "WITH RECURSIVE u(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM u WHERE i < %d)"
             " INSERT INTO viewer_users SELECT 1, bucket_ms, 'u' || i FROM viewers, u",
             BUCKETS, USERS, USERS);
    run_sql(h, sql);
    assert_int_equal(store_viewers_count(h->store, &window, on_counted, &race), 0);
    assert_int_equal(store_read(h->store, &read, on_read, &race), 0);
    harness_wait(h, &race.is_counted);
    assert_true(race.read_was_first);
    assert_int_equal(race.count.unique, USERS);
    assert_true(race.count.exact);
}

static void a_close_ends_a_long_count(void **state)
{
    struct harness *h = *state;
    const struct store_viewers_count window = {.room = STR(ROOM), .to_ms = INT64_MAX};
    struct race race = {0};

    harness_create(h, ROOM);
    for (int i = 0; i < 10; i++) harness_came(h, ROOM, BUCKET_MS + i * VIEWERS_BUCKET_MS, 0, 3000);
    for (int i = 0; i < 50; i++)
        assert_int_equal(store_viewers_count(h->store, &window, on_counted, &race), 0);
    harness_reopen(h);
    assert_false(race.is_counted);
}

/* --- by somebody's hand ----------------------------------------------------------------------- */

static void a_damaged_sketch_loses_its_bucket_and_no_more(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 12000);
    harness_came(h, ROOM, BUCKET_MS + VIEWERS_BUCKET_MS, 0, 100);
    run_sql(h, "UPDATE viewers SET sketch = 'nonsense' WHERE users > 1000 AND bucket_ms > 0");
    struct viewers_count count = harness_count(h, ROOM, 0, INT64_MAX);
    assert_in_range(count.unique, 11000, 13000); /* how many they were is in the row */
    count = harness_count(h, ROOM, 0, 0);
    assert_in_range(count.unique, 11000, 13000);
    assert_int_equal(harness_came(h, ROOM, BUCKET_MS, 0, 10).unique, count.unique);
}

static void history_reads_well(void **state)
{
    struct harness *h = *state;
    struct sample sample = {.at_ms = BUCKET_MS, .span_ms = 60000, .online_ms = 90000, .joins = 3};

    harness_create(h, ROOM);
    assert_int_equal(harness_sample_put(h, ROOM, &sample), 0);
    sqlite3 *db = connect_to(h);
    assert_int_equal(query(db, "SELECT online_avg * 10 FROM history WHERE room = 'app/room'"), 15);
    sqlite3_close(db);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_prestate_setup_teardown(name, harness_setup, harness_teardown, &plain)

int main(void)
{
    struct store_fixture plain = {.name = "sqlite", .scheme = "sqlite:", .is_durable = true};
    const struct CMUnitTest tests[] = {
        TEST(a_file_of_the_version_before_is_taken),
        TEST(history_of_the_version_before_stays),
        TEST(names_go_beyond_the_bound),
        TEST(old_buckets_leave_no_names),
        TEST(who_is_known_is_not_written_again),
        TEST(a_long_count_holds_up_nobody),
        TEST(a_close_ends_a_long_count),
        TEST(a_damaged_sketch_loses_its_bucket_and_no_more),
        TEST(history_reads_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
