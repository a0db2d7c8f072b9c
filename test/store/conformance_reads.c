/* store_read(): directions, limits, and what a range says of what it does not hold. */
#include "store/conformance.h"

#include "base/alloc.h"
#include "base/rng.h"

#define ROOM "app/room"

static struct harness_range read_after(struct harness *h, uint64_t from, uint32_t limit)
{
    const struct store_read read = {.room = STR(ROOM),
                                    .list = LIST_NORMAL,
                                    .direction = STORE_AFTER,
                                    .from = from,
                                    .limit = limit};
    return harness_read(h, &read);
}

static struct harness_range read_before(struct harness *h, uint64_t from, uint32_t limit)
{
    const struct store_read read = {.room = STR(ROOM),
                                    .list = LIST_NORMAL,
                                    .direction = STORE_BEFORE,
                                    .from = from,
                                    .limit = limit};
    return harness_read(h, &read);
}

static void send_many(struct harness *h, uint64_t *ret_ids, int count)
{
    harness_create(h, ROOM);
    for (int i = 0; i < count; i++) {
        if (i % 5 == 0) h->now_ms += 2;
        ret_ids[i] = harness_send(h, ROOM, LIST_NORMAL, "1");
    }
}

static void an_unknown_or_silent_room_reads_as_empty(void **state)
{
    struct harness *h = *state;

    for (int i = 0; i < 2; i++) {
        struct harness_range after = read_after(h, 0, 10);
        struct harness_range before = read_before(h, UINT64_MAX, 10);
        assert_int_equal(after.count + before.count, 0);
        assert_false(after.more || before.more);
        assert_int_equal(after.tail + after.tail_ordinal + after.trimmed, 0);
        harness_range_free(&after);
        harness_range_free(&before);
        harness_create(h, ROOM);
    }
}

static void after_gives_the_oldest_first(void **state)
{
    struct harness *h = *state;
    uint64_t ids[10];

    send_many(h, ids, 10);
    struct harness_range range = read_after(h, ids[2], 3);
    assert_int_equal(range.count, 3);
    for (size_t i = 0; i < 3; i++) assert_int_equal(range.messages[i].m.id, ids[3 + i]);
    assert_true(range.more);
    assert_int_equal(range.tail, ids[9]);
    assert_int_equal(range.tail_ordinal, 10);
    assert_int_equal(range.trimmed, 0);
    harness_range_free(&range);

    range = read_after(h, ids[6], 3); /* exactly the rest */
    assert_int_equal(range.count, 3);
    assert_false(range.more);
    harness_range_free(&range);

    range = read_after(h, ids[9], 3);
    assert_int_equal(range.count, 0);
    assert_false(range.more);
    assert_int_equal(range.tail, ids[9]);
    harness_range_free(&range);
}

static void before_gives_the_newest_in_id_order(void **state)
{
    struct harness *h = *state;
    uint64_t ids[10];

    send_many(h, ids, 10);
    struct harness_range range = read_before(h, UINT64_MAX, 4);
    assert_int_equal(range.count, 4);
    for (size_t i = 0; i < 4; i++) assert_int_equal(range.messages[i].m.id, ids[6 + i]);
    assert_true(range.more);
    harness_range_free(&range);

    range = read_before(h, ids[4], 4);
    assert_int_equal(range.count, 4);
    assert_int_equal(range.messages[0].m.id, ids[0]);
    assert_int_equal(range.messages[3].m.id, ids[3]);
    assert_false(range.more);
    harness_range_free(&range);

    range = read_before(h, ids[0], 4);
    assert_int_equal(range.count, 0);
    assert_false(range.more);
    harness_range_free(&range);
}

static void a_limit_of_nothing_still_tells_the_tail(void **state)
{
    struct harness *h = *state;
    uint64_t ids[3];

    send_many(h, ids, 3);
    struct harness_range range = read_after(h, 0, 0);
    assert_int_equal(range.count, 0);
    assert_true(range.more);
    assert_int_equal(range.tail, ids[2]);
    harness_range_free(&range);
}

static void a_place_between_two_ids_is_as_good(void **state)
{
    struct harness *h = *state;
    uint64_t ids[10];

    send_many(h, ids, 10);
    uint64_t between = ids[4] + 1; /* the next went 2 ms later */
    struct harness_range after = read_after(h, between, 1);
    struct harness_range before = read_before(h, between, 1);
    assert_int_equal(after.messages[0].m.id, ids[5]);
    assert_int_equal(before.messages[0].m.id, ids[4]);
    harness_range_free(&after);
    harness_range_free(&before);
}

static size_t first_after(const uint64_t *ids, size_t count, uint64_t from)
{
    size_t i = 0;

    while (i < count && ids[i] <= from) i++;
    return i;
}

static size_t first_from(const uint64_t *ids, size_t count, uint64_t from)
{
    size_t i = 0;

    while (i < count && ids[i] < from) i++;
    return i;
}

static void check_range(const struct harness_range *range, const uint64_t *ids, size_t count,
                        bool more)
{
    assert_int_equal(range->count, count);
    for (size_t i = 0; i < count; i++) assert_int_equal(range->messages[i].m.id, ids[i]);
    assert_int_equal(range->more, more);
}

#define MODEL 60

static void any_read_agrees_with_a_plain_model(void **state)
{
    struct harness *h = *state;
    uint64_t ids[MODEL];
    struct rng rng;

    rng_init(&rng, 7);
    send_many(h, ids, MODEL);
    for (int i = 0; i < 200; i++) {
        uint64_t from = ids[rng_below(&rng, MODEL)] - 1 + rng_below(&rng, 3);
        uint32_t limit = (uint32_t)rng_below(&rng, 70);
        size_t start = first_after(ids, MODEL, from);
        size_t count = MODEL - start < limit ? MODEL - start : limit;
        struct harness_range range = read_after(h, from, limit);
        check_range(&range, ids + start, count, start + count < MODEL);
        harness_range_free(&range);

        size_t end = first_from(ids, MODEL, from);
        count = end < limit ? end : limit;
        range = read_before(h, from, limit);
        check_range(&range, ids + end - count, count, count < end);
        harness_range_free(&range);
    }
}

static void rooms_and_lists_do_not_mix(void **state)
{
    struct harness *h = *state;
    const char *const rooms[] = {"app/a", "app/b", "app/a.b", "other/a"};

    for (size_t i = 0; i < 4; i++) harness_create(h, rooms[i]);
    for (size_t i = 0; i < 12; i++) {
        harness_send(h, rooms[i % 4], LIST_NORMAL, rooms[i % 4] + 4);
        harness_send(h, rooms[i % 4], LIST_HIGH, "high");
    }
    for (size_t i = 0; i < 4; i++) {
        struct harness_range range = harness_read_all(h, rooms[i], LIST_NORMAL);
        assert_int_equal(range.count, 3);
        for (size_t k = 0; k < 3; k++) assert_string_equal(range.messages[k].body, rooms[i] + 4);
        harness_check_chain(&range);
        harness_range_free(&range);
    }
}

/* 40 bodies of 64 kB are more than a driver holds at once: they come in several ranges, none is
 * missed. */
static void large_messages_come_in_parts(void **state)
{
    struct harness *h = *state;
    char *body = xmalloc(LIMIT_MESSAGE_BODY + 1);
    uint64_t ids[40];

    memset(body, '7', LIMIT_MESSAGE_BODY);
    body[LIMIT_MESSAGE_BODY] = '\0';
    harness_create(h, ROOM);
    for (int i = 0; i < 40; i++) ids[i] = harness_send(h, ROOM, LIST_NORMAL, body);

    uint64_t from = 0;
    size_t seen = 0, reads = 0;
    for (bool more = true; more; reads++) {
        struct harness_range range = read_after(h, from, 100);
        assert_true(range.count > 0);
        for (size_t i = 0; i < range.count; i++) {
            assert_int_equal(range.messages[i].m.id, ids[seen++]);
            assert_string_equal(range.messages[i].body, body);
        }
        from = range.messages[range.count - 1].m.id;
        more = range.more;
        harness_range_free(&range);
    }
    assert_int_equal(seen, 40);

    struct harness_range newest = read_before(h, UINT64_MAX, 100);
    assert_true(newest.count > 0 && newest.count <= 40);
    assert_int_equal(newest.messages[newest.count - 1].m.id,
                     ids[39]); /* it is the oldest that are left out */
    assert_int_equal(newest.more, newest.count < 40);
    harness_range_free(&newest);
    free(body);
}

size_t conformance_reads(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unknown_or_silent_room_reads_as_empty),
        cmocka_unit_test(after_gives_the_oldest_first),
        cmocka_unit_test(before_gives_the_newest_in_id_order),
        cmocka_unit_test(a_limit_of_nothing_still_tells_the_tail),
        cmocka_unit_test(a_place_between_two_ids_is_as_good),
        cmocka_unit_test(any_read_agrees_with_a_plain_model),
        cmocka_unit_test(rooms_and_lists_do_not_mix),
        cmocka_unit_test(large_messages_come_in_parts),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
