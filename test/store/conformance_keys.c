/* Rule 5 of core/store.h: idempotency keys. */
#include "store/conformance.h"

#include "base/error.h"

#define ROOM "app/room"

static void check_count(struct harness *h, enum list_kind list, size_t expected)
{
    struct harness_range range = harness_read_all(h, ROOM, list);

    assert_int_equal(range.count, expected);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void check_is_first(const struct store_appended *again, const struct store_appended *first)
{
    assert_true(again->duplicate);
    assert_int_equal(again->id, first->id);
    assert_int_equal(again->prev, first->prev);
    assert_int_equal(again->ordinal, first->ordinal);
}

static void the_same_key_gives_the_first_answer(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k"};
    struct store_appended first, again;

    harness_create(h, ROOM);
    harness_send(h, ROOM, LIST_NORMAL, "0");
    assert_int_equal(harness_append(h, &a, &first), 0);
    if (harness_is_plain(h)) assert_false(first.duplicate);
    harness_send(h, ROOM, LIST_NORMAL, "2");
    a.body = "another";
    assert_int_equal(harness_append(h, &a, &again), 0);
    check_is_first(&again, &first);
    a.list = LIST_HIGH; /* of the room, not of the list */
    assert_int_equal(harness_append(h, &a, &again), 0);
    check_is_first(&again, &first);
    check_count(h, LIST_NORMAL, 3);
    check_count(h, LIST_HIGH, 0);
}

static void keys_belong_to_their_room(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k"};
    struct store_appended appended;

    harness_create(h, ROOM);
    harness_create(h, "app/other");
    assert_int_equal(harness_append(h, &a, NULL), 0);
    a.room = "app/other";
    assert_int_equal(harness_append(h, &a, &appended), 0);
    assert_int_equal(appended.ordinal, 1);
    struct harness_range range = harness_read_all(h, "app/other", LIST_NORMAL);
    assert_int_equal(range.count, 1);
    harness_range_free(&range);
}

static void a_key_is_forgotten_after_its_time(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k"};
    struct store_appended first, again;

    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, &first), 0);
    h->now_ms =
        START_MS + LIMIT_IDEMPOTENCY_MS - (harness_is_plain(h) ? 1 : 1000); /* faults take time */
    assert_int_equal(harness_append(h, &a, &again), 0);
    check_is_first(&again, &first);
    h->now_ms = START_MS + LIMIT_IDEMPOTENCY_MS + 1000;
    assert_int_equal(harness_append(h, &a, &again), 0);
    assert_true(again.id > first.id);
    check_count(h, LIST_NORMAL, 2);
    struct store_appended third;
    assert_int_equal(harness_append(h, &a, &third), 0);
    check_is_first(&third, &again);
}

static void forgotten_keys_are_cleared_away(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    for (int i = 0; i < 600; i++) {
        char key[16];
        snprintf(key, sizeof(key), "k%d", i);
        struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = key};
        assert_int_equal(harness_append(h, &a, NULL), 0);
    }
    h->now_ms += LIMIT_IDEMPOTENCY_MS;
    for (int i = 0; i < 5; i++) harness_tick(h);
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k7"};
    assert_int_equal(harness_append(h, &a, NULL), 0);
    check_count(h, LIST_NORMAL, 601);
}

static void a_known_key_costs_no_quota(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {
        .room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k", .per_s = 2};

    harness_create(h, ROOM);
    for (int i = 0; i < 10; i++) assert_int_equal(harness_append(h, &a, NULL), 0);
    a.key = "l"; /* the second token is still there */
    assert_int_equal(harness_append(h, &a, NULL), 0);
    a.key = "m";
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);
    a.key = "k"; /* and over quota it is still known */
    assert_int_equal(harness_append(h, &a, NULL), 0);
    check_count(h, LIST_NORMAL, 2);
}

static void a_refused_key_is_not_known(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {
        .room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k", .per_s = 1};
    struct harness_append b = {
        .room = ROOM, .list = LIST_NORMAL, .body = "2", .key = "l", .per_s = 1};
    struct store_appended appended;

    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &b, &appended), ERR_ROOM_RATE);
    h->now_ms += 1000;
    assert_int_equal(harness_append(h, &b, &appended), 0);
    assert_int_equal(appended.ordinal, 2);
    check_count(h, LIST_NORMAL, 2);
}

static void a_known_key_is_answered_by_a_closed_room(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k"};
    struct harness_put put = {.room = ROOM, .state = ROOM_CLOSED};
    struct store_appended first, again;

    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, &first), 0);
    harness_put(h, &put);
    assert_int_equal(harness_append(h, &a, &again), 0);
    check_is_first(&again, &first);
}

static void keys_are_known_after_reopening(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k"};
    struct store_appended first, again;

    if (!h->fixture->is_durable) skip();
    harness_create(h, ROOM);
    assert_int_equal(harness_append(h, &a, &first), 0);
    harness_reopen(h);
    assert_int_equal(harness_append(h, &a, &again), 0);
    check_is_first(&again, &first);
    check_count(h, LIST_NORMAL, 1);
}

size_t conformance_keys(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_key_gives_the_first_answer),
        cmocka_unit_test(keys_belong_to_their_room),
        cmocka_unit_test(a_key_is_forgotten_after_its_time),
        cmocka_unit_test(forgotten_keys_are_cleared_away),
        cmocka_unit_test(a_known_key_costs_no_quota),
        cmocka_unit_test(a_refused_key_is_not_known),
        cmocka_unit_test(a_known_key_is_answered_by_a_closed_room),
        cmocka_unit_test(keys_are_known_after_reopening),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
