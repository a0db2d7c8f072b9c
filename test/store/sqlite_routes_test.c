/* What only the SQLite store promises of assignments: files of the version before are taken, and what
 * somebody else wrote into the table does no harm. */
#include "store/harness.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "store/sqlite_past.h"

#define ROOM "app/room"

static void run_sql(const struct harness *h, const char *sql)
{
    sqlite3 *db = NULL;
    char *why = NULL;

    assert_int_equal(sqlite3_open(h->url + strlen("sqlite:"), &db), SQLITE_OK);
    sqlite3_busy_timeout(db, PATIENCE_MS);
    sqlite3_exec(db, sql, NULL, NULL, &why);
    if (why != NULL) fail_msg("%s: %s", sql, why);
    sqlite3_close(db);
}

struct answer {
    int err;
    struct routes *routes;
    bool is_done;
};

static void on_routes(void *arg, int err, const struct routes *routes)
{
    *(struct answer *)arg = (struct answer){err, err == 0 ? routes_copy(routes) : NULL, true};
}

static struct routes *get(struct harness *h)
{
    const struct store_routes_get in = {.now_ms = h->now_ms};
    struct answer answer = {0};

    assert_int_equal(store_routes_get(h->store, &in, on_routes, &answer), 0);
    harness_wait(h, &answer.is_done);
    assert_int_equal(answer.err, 0);
    return answer.routes;
}

static void on_put(void *arg, int err)
{
    *(struct answer *)arg = (struct answer){.err = err, .is_done = true};
}

static void assign(struct harness *h, const char *sect)
{
    const struct store_route_put in = {
        .room = STR(ROOM), .sect = str_of(sect), .now_ms = h->now_ms};
    struct answer answer = {0};

    assert_int_equal(store_route_put(h->store, &in, on_put, &answer), 0);
    harness_wait(h, &answer.is_done);
    assert_int_equal(answer.err, 0);
}

/* Opens the file as it was before this statement. */
static void reopen_after(struct harness *h, const char *sql)
{
    store_close(h->store);
    h->store = NULL;
    run_sql(h, sql);
    harness_reopen(h);
}

static void a_file_of_the_version_before_is_taken(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    uint64_t id = harness_send(h, ROOM, LIST_HIGH, "1");
    reopen_after(h, SQLITE_BACK_TO_TAILS "DROP TABLE routes; PRAGMA user_version = 2");
    struct harness_range range = harness_read_all(h, ROOM, LIST_HIGH);
    assert_int_equal(range.tail, id);
    harness_range_free(&range);
    assign(h, "vip-1");
    harness_reopen(h);
    struct routes *routes = get(h);
    assert_string_equal(routes_assigned(routes, STR(ROOM))->sect, "vip-1");
    free(routes);
}

/* Till then the sect was kept with the room's settings, and did nothing. */
static void sects_of_the_version_before_are_assignments(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, "app/none");
    harness_create(h, "app/closed");
    reopen_after(h, SQLITE_BACK_TO_TAILS "DROP TABLE routes; PRAGMA user_version = 2;"
                                         "UPDATE rooms SET sect = 'vip-1' WHERE key <> 'app/none';"
                                         "UPDATE rooms SET closed = 1 WHERE key = 'app/closed'");
    struct routes *routes = get(h);
    assert_int_equal(routes->route_count, 1);
    assert_string_equal(routes->routes[0].room, ROOM);
    assert_string_equal(routes->routes[0].sect, "vip-1");
    assert_false(routes->routes[0].is_automatic);
    free(routes);
}

static void rows_that_do_not_fit_are_left_alone(void **state)
{
    struct harness *h = *state;

    assign(h, "vip-1");
    reopen_after(h, "INSERT INTO routes VALUES ('app/long', printf('%0100d', 1), 0, 0);"
                    "INSERT INTO routes VALUES (printf('%0200d', 1), 'vip-1', 0, 0)");
    struct routes *routes = get(h);
    assert_int_equal(routes->route_count, 1);
    assert_string_equal(routes->routes[0].room, ROOM);
    free(routes);
}

#define TEST(f) cmocka_unit_test_prestate_setup_teardown(f, harness_setup, harness_teardown, &plain)

int main(void)
{
    static struct store_fixture plain = {
        .name = "sqlite_routes", .scheme = "sqlite:", .is_durable = true, .seed = 1};
    const struct CMUnitTest tests[] = {
        TEST(a_file_of_the_version_before_is_taken),
        TEST(sects_of_the_version_before_are_assignments),
        TEST(rows_that_do_not_fit_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
