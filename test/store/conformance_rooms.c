/* Rooms: what is put comes back, versions count, lists page, and a change is told in the high list.
 */
#include "store/conformance.h"

#include "base/error.h"

#define ROOM "app/room"

static struct room_settings some_settings(void)
{
    struct room_settings s = {
        .slow_mode_s = 5,
        .max_body_bytes = 65536,
        .normal_per_s = 1000000,
        .high_per_s = 1,
        .max_online = UINT32_MAX,
    };

    assert_true(str_copy(STR("A \"title\" \xe2\x9c\x93"), s.title, sizeof(s.title)));
    assert_true(str_copy(STR("vip-1"), s.sect, sizeof(s.sect)));
    return s;
}

static void check_settings(const struct room_settings *a, const struct room_settings *b)
{
    assert_string_equal(a->title, b->title);
    assert_string_equal(a->sect, b->sect);
    assert_int_equal(a->slow_mode_s, b->slow_mode_s);
    assert_int_equal(a->max_body_bytes, b->max_body_bytes);
    assert_int_equal(a->normal_per_s, b->normal_per_s);
    assert_int_equal(a->high_per_s, b->high_per_s);
    assert_int_equal(a->max_online, b->max_online);
}

/* One more for each time that it may have been stored without our hearing of it. */
static void check_version(const struct harness_room *room, uint64_t before)
{
    assert_in_range(room->record.version, before + 1, before + (uint64_t)room->attempts);
}

static void an_unknown_room_is_not_found(void **state)
{
    struct harness *h = *state;
    struct room_record record;

    assert_int_equal(harness_get(h, ROOM, &record), ERR_ROOM_NOT_FOUND);
}

static void a_room_comes_back_as_it_was_put(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .settings = some_settings()};
    struct room_record record;

    struct harness_room room = harness_put(h, &put);
    if (room.attempts == 1) assert_true(room.created);
    check_version(&room, 0);
    assert_int_equal(room.record.created_ms, START_MS);
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    check_settings(&record.settings, &put.settings);
    assert_int_equal(record.state, ROOM_OPEN);
    assert_int_equal(record.version, room.record.version);
    assert_int_equal(record.created_ms, START_MS);
}

static void a_change_counts_the_version(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .settings = room_settings_default()};
    struct room_record record;
    uint64_t version = 0;

    for (int i = 0; i < 5; i++) {
        put.settings.slow_mode_s = (uint32_t)i;
        struct harness_room room = harness_put(h, &put);
        check_version(&room, version);
        assert_int_equal(room.record.settings.slow_mode_s, i);
        assert_int_equal(room.record.created_ms, START_MS);
        if (i > 0) assert_false(room.created);
        version = room.record.version;
        h->now_ms += 1000;
    }
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    assert_int_equal(record.version, version);
    assert_int_equal(record.settings.slow_mode_s, 4);
}

static void a_change_is_told_in_the_high_list(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM,
                              .settings = room_settings_default(),
                              .control_type = "room.updated",
                              .control_body = "{\"slow_mode_s\":5}"};

    harness_put(h, &put); /* new: nobody to tell, unless faults made it two */
    struct harness_range range = harness_read_all(h, ROOM, LIST_HIGH);
    size_t before = range.count;
    if (harness_is_plain(h)) assert_int_equal(before, 0);
    harness_range_free(&range);

    uint64_t id = harness_send(h, ROOM, LIST_NORMAL, "1");
    struct harness_room room = harness_put(h, &put);
    range = harness_read_all(h, ROOM, LIST_HIGH);
    assert_in_range(range.count, before + 1, before + (size_t)room.attempts);
    const struct harness_message *control = &range.messages[range.count - 1];
    assert_string_equal(control->type, "room.updated");
    assert_string_equal(control->body, "{\"slow_mode_s\":5}");
    assert_true(control->m.id > id);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void a_change_without_a_control_message_is_not_told(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, ROOM);
    struct harness_range range = harness_read_all(h, ROOM, LIST_HIGH);
    assert_int_equal(range.count, 0);
    harness_range_free(&range);
}

static void a_control_message_pays_no_quota(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_HIGH, .body = "1", .per_s = 1};
    struct harness_put put = {.room = ROOM, .control_type = "room.updated", .control_body = "{}"};

    harness_create(h, ROOM);
    for (int i = 0; i < 5; i++) harness_put(h, &put);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);
    harness_put(h, &put);
}

static void closing_is_stored_and_told(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {
        .room = ROOM, .state = ROOM_CLOSED, .control_type = "room.closed", .control_body = "{}"};
    struct room_record record;

    harness_create(h, ROOM);
    harness_put(h, &put);
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    assert_int_equal(record.state, ROOM_CLOSED);
    struct harness_range range = harness_read_all(h, ROOM, LIST_HIGH);
    assert_true(range.count >= 1);
    assert_string_equal(range.messages[range.count - 1].type, "room.closed");
    harness_range_free(&range);
}

static void rooms_are_listed_by_app_in_order(void **state)
{
    struct harness *h = *state;
    const char *const rooms[] = {"app/b",   "app/a", "app/c",   "app/B",
                                 "app/a.x", "ap/z",  "app.x/y", "app0/q"};
    const char *const expected[] = {"app/B", "app/a", "app/a.x", "app/b", "app/c"};

    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) harness_create(h, rooms[i]);
    struct harness_page page = harness_list(h, "app", NULL, 10);
    assert_int_equal(page.count, 5);
    assert_false(page.more);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(page.rooms[i], expected[i]);
        assert_int_equal(page.records[i].settings.max_body_bytes, 4096);
    }
    page = harness_list(h, "nobody", NULL, 10);
    assert_int_equal(page.count, 0);
    assert_false(page.more);
}

static void a_list_comes_in_pages(void **state)
{
    struct harness *h = *state;
    char room[32], after[32] = "";
    size_t seen = 0;

    for (int i = 0; i < 25; i++) {
        snprintf(room, sizeof(room), "app/room-%02d", i);
        harness_create(h, room);
    }
    for (bool more = true; more;) {
        struct harness_page page = harness_list(h, "app", after, 10);
        for (size_t i = 0; i < page.count; i++) {
            snprintf(room, sizeof(room), "app/room-%02zu", seen++);
            assert_string_equal(page.rooms[i], room);
        }
        assert_int_equal(page.more, seen < 25);
        more = page.more;
        snprintf(after, sizeof(after), "%s", page.rooms[page.count - 1] + 4);
    }
    assert_int_equal(seen, 25);
    struct harness_page page = harness_list(h, "app", "room-14", 10); /* exactly the rest */
    assert_int_equal(page.count, 10);
    assert_false(page.more);
}

static void rooms_are_there_after_reopening(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .settings = some_settings(), .state = ROOM_CLOSED};
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct room_record record;

    if (!h->fixture->is_durable) skip();
    struct harness_room room = harness_put(h, &put);
    harness_reopen(h);
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    check_settings(&record.settings, &put.settings);
    assert_int_equal(record.version, room.record.version);
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_CLOSED);
    put.state = ROOM_OPEN;
    struct harness_room again = harness_put(h, &put);
    check_version(&again, room.record.version);
    assert_int_equal(harness_append(h, &a, NULL), 0);
}

static void only_new_leaves_a_room_that_is_there_alone(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .settings = some_settings()};
    struct harness_put late = {.room = ROOM,
                               .settings = room_settings_default(),
                               .control_type = "room.updated",
                               .control_body = "{}",
                               .only_new = true};
    struct room_record record;

    struct harness_room room = harness_put(h, &put);
    assert_int_equal(harness_put(h, &late).err, ERR_ROOM_EXISTS);
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    check_settings(&record.settings, &put.settings);
    assert_int_equal(record.version, room.record.version);
    late.room = "app/other";
    struct harness_room other = harness_put(h, &late);
    if (other.attempts == 1) assert_int_equal(other.err, 0);
}

/* --- a room that the store has lost ------------------------------------------------------------ */

#define KNOWN_HIGH   (((uint64_t)START_MS << 20) + 7)
#define KNOWN_NORMAL (((uint64_t)START_MS + 3600000) << 20) /* the clock that gave it went ahead */

static void put_known(struct harness *h)
{
    struct harness_put put = {.room = ROOM,
                              .settings = room_settings_default(),
                              .control_type = "room.updated",
                              .control_body = "{}",
                              .only_new = true,
                              .known = {{KNOWN_HIGH, 70}, {KNOWN_NORMAL, 12}}};
    struct harness_room room = harness_put(h, &put);

    if (room.attempts == 1) assert_int_equal(room.err, 0);
}

static struct harness_range read_behind(struct harness *h, enum list_kind list, uint64_t from)
{
    const struct store_read read = {
        .room = STR(ROOM), .list = list, .direction = STORE_AFTER, .from = from, .limit = 10};
    return harness_read(h, &read);
}

static void check_empty_behind(struct harness *h, enum list_kind list, uint64_t tail,
                               uint64_t ordinal)
{
    struct harness_range range = harness_read_all(h, ROOM, list);

    assert_int_equal(range.count, 0);
    assert_false(range.more);
    assert_int_equal(range.tail, tail);
    assert_int_equal(range.tail_ordinal, ordinal);
    assert_int_equal(range.trimmed, tail);
    harness_range_free(&range);
}

static void a_new_room_begins_behind_what_is_known(void **state)
{
    struct harness *h = *state;

    put_known(h);
    check_empty_behind(h, LIST_HIGH, KNOWN_HIGH, 70);
    check_empty_behind(h, LIST_NORMAL, KNOWN_NORMAL, 12);
    uint64_t first = harness_send(h, ROOM, LIST_HIGH, "1");
    uint64_t second = harness_send(h, ROOM, LIST_NORMAL, "2");
    assert_true(first > KNOWN_NORMAL && second > first); /* over both lists */

    struct harness_range range = read_behind(h, LIST_HIGH, KNOWN_HIGH);
    assert_int_equal(range.count, 1);
    assert_int_equal(range.messages[0].m.id, first);
    assert_int_equal(range.messages[0].m.prev, KNOWN_HIGH);
    assert_int_equal(range.messages[0].m.ordinal, 71);
    assert_int_equal(range.trimmed, KNOWN_HIGH);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void what_is_known_is_there_after_reopening(void **state)
{
    struct harness *h = *state;

    if (!h->fixture->is_durable) skip();
    put_known(h);
    harness_reopen(h);
    check_empty_behind(h, LIST_HIGH, KNOWN_HIGH, 70);
    uint64_t id = harness_send(h, ROOM, LIST_NORMAL, "1");
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.messages[0].m.id, id);
    assert_int_equal(range.messages[0].m.prev, KNOWN_NORMAL);
    assert_int_equal(range.messages[0].m.ordinal, 13);
    harness_range_free(&range);
}

static void what_is_known_changes_no_room_that_is_there(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM,
                              .settings = room_settings_default(),
                              .known = {{KNOWN_HIGH, 70}, {KNOWN_NORMAL, 12}}};

    harness_create(h, ROOM);
    uint64_t id = harness_send(h, ROOM, LIST_NORMAL, "1");
    put.only_new = true;
    assert_int_equal(harness_put(h, &put).err, ERR_ROOM_EXISTS);
    put.only_new = false;
    harness_put(h, &put);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.tail, id);
    assert_int_equal(range.trimmed, 0);
    harness_check_chain(&range);
    harness_range_free(&range);
}

size_t conformance_rooms(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_room_is_not_found),
        cmocka_unit_test(a_room_comes_back_as_it_was_put),
        cmocka_unit_test(a_change_counts_the_version),
        cmocka_unit_test(a_change_is_told_in_the_high_list),
        cmocka_unit_test(a_change_without_a_control_message_is_not_told),
        cmocka_unit_test(a_control_message_pays_no_quota),
        cmocka_unit_test(closing_is_stored_and_told),
        cmocka_unit_test(only_new_leaves_a_room_that_is_there_alone),
        cmocka_unit_test(rooms_are_listed_by_app_in_order),
        cmocka_unit_test(a_list_comes_in_pages),
        cmocka_unit_test(rooms_are_there_after_reopening),
        cmocka_unit_test(a_new_room_begins_behind_what_is_known),
        cmocka_unit_test(what_is_known_is_there_after_reopening),
        cmocka_unit_test(what_is_known_changes_no_room_that_is_there),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
