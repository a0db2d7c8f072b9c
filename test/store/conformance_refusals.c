/* What an append may be refused for: no room, a closed one, too many a second; and that nothing is
 * stored then. */
#include "store/conformance.h"

#include "base/error.h"

#define ROOM "app/room"

static void a_room_that_was_never_put_is_not_found(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = "app/nowhere", .body = "1", .key = "k"};

    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_NOT_FOUND);
    struct harness_range range = harness_read_all(h, a.room, LIST_HIGH);
    assert_int_equal(range.count, 0);
    harness_range_free(&range);

    harness_create(h, a.room); /* and the refused key is as good as new */
    struct store_appended appended;
    assert_int_equal(harness_append(h, &a, &appended), 0);
    assert_int_equal(appended.ordinal, 1);
}

static void a_closed_room_refuses_until_it_is_opened(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct harness_put put = {.room = ROOM, .settings = room_settings_default()};

    harness_create(h, ROOM);
    put.state = ROOM_CLOSED;
    harness_put(h, &put);
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_CLOSED);
    put.state = ROOM_OPEN;
    harness_put(h, &put);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 1);
    harness_range_free(&range);
}

static void a_second_of_messages_then_the_quota(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .per_s = 3};
    struct store_appended appended;

    harness_create(h, ROOM);
    for (int i = 0; i < 3; i++) assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, &appended), ERR_ROOM_RATE);
    assert_in_range(appended.retry_after_ms, 1, 334);
    if (harness_is_plain(h)) {
        assert_int_equal(appended.retry_after_ms, 334);
        h->now_ms += 333;
        assert_int_equal(harness_append(h, &a, &appended), ERR_ROOM_RATE);
        assert_int_equal(appended.retry_after_ms, 1);
    }
    h->now_ms += appended.retry_after_ms;
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);

    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 4);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void each_room_and_list_has_its_own_quota(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1", .per_s = 1};
    struct harness_append high = {.room = ROOM, .list = LIST_HIGH, .body = "1", .per_s = 1};
    struct harness_append other = {
        .room = "app/other", .list = LIST_NORMAL, .body = "1", .per_s = 1};

    harness_create(h, ROOM);
    harness_create(h, other.room);
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);
    assert_int_equal(harness_append(h, &high, NULL), 0);
    assert_int_equal(harness_append(h, &other, NULL), 0);
    a.per_s = 0; /* none */
    for (int i = 0; i < 20; i++) assert_int_equal(harness_append(h, &a, NULL), 0);
}

struct one {
    int err, *left;
};

static void on_one(void *arg, int err, const struct store_appended *appended)
{
    struct one *one = arg;

    (void)appended;
    one->err = err;
    --*one->left;
}

/* All of them wait at once, so that a driver with groups has them in one. */
static void a_refused_append_does_not_harm_its_neighbours(void **state)
{
    struct harness *h = *state;
    const struct harness_append appends[] = {
        {.room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "a"},
        {.room = "app/nowhere", .list = LIST_NORMAL, .body = "2", .key = "b"},
        {.room = "app/closed", .list = LIST_NORMAL, .body = "3", .key = "c"},
        {.room = ROOM, .list = LIST_NORMAL, .body = "4", .key = "a"},
        {.room = ROOM, .list = LIST_HIGH, .body = "5", .key = "d", .per_s = 1},
        {.room = ROOM, .list = LIST_HIGH, .body = "6", .key = "e", .per_s = 1},
        {.room = ROOM, .list = LIST_NORMAL, .body = "7", .key = "f"},
    };
    const int expected[] = {0, ERR_ROOM_NOT_FOUND, ERR_ROOM_CLOSED, 0, 0, ERR_ROOM_RATE, 0};
    struct harness_put put = {.room = "app/closed", .state = ROOM_CLOSED};
    struct one ones[7];
    int left = 0;

    harness_create(h, ROOM);
    harness_put(h, &put);
    if (!harness_is_plain(h)) faulty_set_odds(h->store, &(struct faulty_odds){0});
    for (int i = 0; i < 7; i++) {
        struct store_append append = harness_append_of(h, &appends[i]);
        ones[i] = (struct one){.left = &left};
        assert_int_equal(store_append(h->store, &append, on_one, &ones[i]), 0);
        left++;
    }
    while (left > 0) harness_turn(h);
    for (int i = 0; i < 7; i++) assert_int_equal(ones[i].err, expected[i]);

    struct harness_range normal = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(normal.count, 2);
    assert_string_equal(normal.messages[1].body, "7");
    harness_check_chain(&normal);
    harness_range_free(&normal);
}

size_t conformance_refusals(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_that_was_never_put_is_not_found),
        cmocka_unit_test(a_closed_room_refuses_until_it_is_opened),
        cmocka_unit_test(a_second_of_messages_then_the_quota),
        cmocka_unit_test(each_room_and_list_has_its_own_quota),
        cmocka_unit_test(a_refused_append_does_not_harm_its_neighbours),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
