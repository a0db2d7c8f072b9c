/* The writer's memory of rooms: it is bounded, and what is forgotten or undone is read again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/error.h"
#include "store/sqlite_file.h"
#include "store/sqlite_rooms.h"

#define NOW_MS 1732441234567

struct desk {
    char directory[32];
    struct sqlite_file file;
    struct sqlite_rooms rooms;
};

static int set_up(void **state)
{
    static struct desk desk;
    char path[64], why[256];

    desk = (struct desk){.directory = "/tmp/stoa-rooms-XXXXXX"};
    assert_non_null(mkdtemp(desk.directory));
    snprintf(path, sizeof(path), "%s/a.db", desk.directory);
    assert_int_equal(sqlite_file_open(&desk.file, path, why, sizeof(why)), 0);
    assert_int_equal(sqlite_rooms_init(&desk.rooms, desk.file.writer), SQLITE_OK);
    *state = &desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    char path[64];

    sqlite_rooms_deinit(&desk->rooms);
    sqlite_file_close(&desk->file);
    snprintf(path, sizeof(path), "%s/a.db", desk->directory);
    unlink(path);
    snprintf(path, sizeof(path), "%s/a.db.lock", desk->directory);
    unlink(path);
    return rmdir(desk->directory);
}

static void run(struct desk *desk, const char *sql)
{
    assert_int_equal(sqlite3_exec(desk->file.writer, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void create(struct desk *desk, int number)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "INSERT INTO rooms VALUES (%d, 'app/%d', 0, 1, 0, '', '', 0, 0, 0, 0, 0);"
             "INSERT INTO floors (room_id, list) VALUES (%d, 0), (%d, 1);",
             number, number, number, number);
    run(desk, sql);
}

static struct sqlite_room *get(struct desk *desk, const char *key)
{
    struct sqlite_room *room = NULL;

    assert_int_equal(sqlite_rooms_get(&desk->rooms, str_of(key), &room), SQLITE_OK);
    return room;
}

static void write_message(struct desk *desk, const struct sqlite_room *room,
                          const struct message *m)
{
    char sql[256];

    snprintf(sql, sizeof(sql),
             "INSERT INTO messages VALUES (%lld, %d, %lld, %lld, 0, '', '', '', '')",
             (long long)room->id, m->list, (long long)m->id, (long long)m->ordinal);
    run(desk, sql);
}

/* Adds a message to the room in a transaction that ends so. Returns its id. */
static uint64_t add_one(struct desk *desk, const char *key, bool is_committed)
{
    struct message m = {.list = LIST_NORMAL};

    run(desk, "BEGIN");
    struct sqlite_room *room = get(desk, key);
    sqlite_rooms_touch(&desk->rooms, room);
    ledger_number(&room->ledger, &m, NOW_MS);
    write_message(desk, room, &m);
    run(desk, is_committed ? "COMMIT" : "ROLLBACK");
    sqlite_rooms_end(&desk->rooms, is_committed, NOW_MS);
    return m.id;
}

static void an_unknown_room_is_none_and_is_not_kept(void **state)
{
    struct desk *desk = *state;

    assert_null(get(desk, "app/1"));
    assert_int_equal(desk->rooms.map.count, 0);
    create(desk, 1);
    assert_non_null(get(desk, "app/1"));
}

static void no_more_rooms_are_kept_than_allowed(void **state)
{
    struct desk *desk = *state;
    uint64_t first = 0;

    desk->rooms.max_count = 10;
    for (int i = 0; i < 30; i++) {
        char key[32];
        create(desk, i);
        snprintf(key, sizeof(key), "app/%d", i);
        uint64_t id = add_one(desk, key, true);
        if (i == 0) first = id;
        assert_true(desk->rooms.map.count <= 10);
    }
    assert_int_equal(desk->rooms.map.count, 10);
    assert_true(add_one(desk, "app/0", true) > first); /* forgotten, and read again */
    assert_int_equal(get(desk, "app/0")->ledger.lists[LIST_NORMAL].ordinal, 2);
}

static void a_room_with_a_quota_to_remember_is_kept(void **state)
{
    struct desk *desk = *state;
    struct store_append in = {.message = {.list = LIST_NORMAL}, .per_s = 1, .now_ms = NOW_MS};
    int64_t wait_ms;

    desk->rooms.max_count = 1;
    for (int i = 0; i < 3; i++) create(desk, i);
    assert_int_equal(ledger_admit(&get(desk, "app/0")->ledger, &in, &wait_ms), 0);
    get(desk, "app/1");
    sqlite_rooms_end(&desk->rooms, true, NOW_MS + 999);
    assert_int_equal(desk->rooms.map.count, 2);
    assert_int_equal(ledger_admit(&get(desk, "app/0")->ledger, &in, &wait_ms), ERR_ROOM_RATE);
    get(desk, "app/1");
    sqlite_rooms_end(&desk->rooms, true, NOW_MS + 1000);
    assert_int_equal(desk->rooms.map.count, 1);
}

static void what_was_undone_is_read_again_and_its_id_not_given_again(void **state)
{
    struct desk *desk = *state;

    create(desk, 1);
    uint64_t first = add_one(desk, "app/1", true);
    uint64_t undone = add_one(desk, "app/1", false);
    const struct ledger_list *list = &get(desk, "app/1")->ledger.lists[LIST_NORMAL];
    assert_int_equal(list->tail, first);
    assert_int_equal(list->ordinal, 1);
    assert_true(add_one(desk, "app/1", true) > undone);
    assert_int_equal(list->ordinal, 2);
}

static void a_room_whose_creation_was_undone_is_none(void **state)
{
    struct desk *desk = *state;

    run(desk, "BEGIN");
    create(desk, 1);
    sqlite_rooms_touch(&desk->rooms, get(desk, "app/1"));
    run(desk, "ROLLBACK");
    sqlite_rooms_end(&desk->rooms, false, NOW_MS);
    assert_null(get(desk, "app/1"));
}

int main(void)
{
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(an_unknown_room_is_none_and_is_not_kept),
        TEST(no_more_rooms_are_kept_than_allowed),
        TEST(a_room_with_a_quota_to_remember_is_kept),
        TEST(what_was_undone_is_read_again_and_its_id_not_given_again),
        TEST(a_room_whose_creation_was_undone_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
