/* Viewers: counted once, by bucket, as unions of buckets and for a room's life, exact up to a
 * bound. */
#include "store/harness_counting.h"
#include "store/conformance.h"

#include "base/error.h"

#define ROOM "app/room"
#define NEXT (BUCKET_MS + VIEWERS_BUCKET_MS)

static void check_exact(struct viewers_count count, uint64_t unique)
{
    assert_int_equal(count.unique, unique);
    assert_true(count.exact);
    assert_true(count.standard_error == 0);
}

/* Within six standard errors. */
static void check_near(struct viewers_count count, uint64_t unique)
{
    double error = (double)count.unique / (double)unique - 1;

    assert_false(count.exact);
    assert_true(count.standard_error == HLL_STANDARD_ERROR);
    assert_true(error < 6 * HLL_STANDARD_ERROR && error > -6 * HLL_STANDARD_ERROR);
}

static struct viewers_count life(struct harness *h)
{
    return harness_count(h, ROOM, 0, 0);
}

static void a_room_that_is_not_there_has_no_count(void **state)
{
    struct harness *h = *state;
    const struct store_viewers_count whole = {.room = STR(ROOM)};
    const struct store_viewers_count window = {.room = STR(ROOM), .to_ms = NEXT};
    const struct str ann = STR("ann");
    const struct store_viewers_add add = {STR(ROOM), BUCKET_MS, &ann, 1};

    assert_int_equal(harness_viewers_count(h, &whole, NULL), ERR_ROOM_NOT_FOUND);
    assert_int_equal(harness_viewers_count(h, &window, NULL), ERR_ROOM_NOT_FOUND);
    assert_int_equal(harness_viewers_add(h, &add, NULL), ERR_ROOM_NOT_FOUND);
}

static void nobody_was_in_a_new_room(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    check_exact(life(h), 0);
    check_exact(harness_count(h, ROOM, 0, NEXT), 0);
}

static void a_user_counts_once(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    check_exact(harness_came(h, ROOM, BUCKET_MS, 0, 5), 5);
    check_exact(harness_came(h, ROOM, BUCKET_MS, 3, 8), 8);
    check_exact(harness_came(h, ROOM, BUCKET_MS, 0, 8), 8);
    check_exact(life(h), 8);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 8);
}

static void any_id_is_a_user(void **state)
{
    struct harness *h = *state;
    char longest[LIMIT_USER_ID + 1];
    memset(longest, 'x', LIMIT_USER_ID);
    longest[LIMIT_USER_ID] = '\0';
    const struct str users[] = {STR("a"),        STR("A"),        STR("a "),
                                STR("\xc3\xa4"), str_of(longest), STR("a")};
    const struct store_viewers_add add = {STR(ROOM), BUCKET_MS, users, 6};
    struct viewers_count count;

    harness_create(h, ROOM);
    assert_int_equal(harness_viewers_add(h, &add, &count), 0);
    check_exact(count, 5);
}

static void rooms_are_counted_apart(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, "app/other");
    harness_came(h, ROOM, BUCKET_MS, 0, 3);
    harness_came(h, "app/other", BUCKET_MS, 0, 7);
    check_exact(life(h), 3);
    check_exact(harness_count(h, "app/other", BUCKET_MS, NEXT), 7);
}

static void a_window_is_the_union_of_its_buckets(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 10);
    harness_came(h, ROOM, NEXT, 5, 12);
    harness_came(h, ROOM, NEXT + VIEWERS_BUCKET_MS, 20, 21);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 10);
    check_exact(harness_count(h, ROOM, NEXT, NEXT + 1), 7);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT + 1), 12);
    check_exact(harness_count(h, ROOM, NEXT - 1, NEXT), 10); /* from where its bucket begins */
    check_exact(harness_count(h, ROOM, 0, NEXT + VIEWERS_BUCKET_MS + 1), 13);
    check_exact(harness_count(h, ROOM, NEXT + 2 * VIEWERS_BUCKET_MS, INT64_MAX), 0);
    check_exact(life(h), 13);
}

static void buckets_come_in_any_order(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, NEXT, 0, 2);
    harness_came(h, ROOM, BUCKET_MS, 1, 5);
    harness_came(h, ROOM, NEXT, 2, 3);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 4);
    check_exact(harness_count(h, ROOM, NEXT, NEXT + 1), 3);
    check_exact(life(h), 5);
}

static void it_is_exact_up_to_the_bound(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, VIEWERS_EXACT_MAX - 1);
    check_exact(life(h), VIEWERS_EXACT_MAX - 1);
    harness_came(h, ROOM, BUCKET_MS, 0, VIEWERS_EXACT_MAX);
    check_exact(life(h), VIEWERS_EXACT_MAX);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), VIEWERS_EXACT_MAX);
    harness_came(h, ROOM, BUCKET_MS, VIEWERS_EXACT_MAX, VIEWERS_EXACT_MAX + 1);
    check_near(life(h), VIEWERS_EXACT_MAX + 1);
    check_near(harness_count(h, ROOM, BUCKET_MS, NEXT), VIEWERS_EXACT_MAX + 1);
    harness_came(h, ROOM, BUCKET_MS, 0, 20000);
    check_near(life(h), 20000);
    check_near(harness_count(h, ROOM, BUCKET_MS, NEXT), 20000);
}

static void a_union_beyond_the_bound_is_near(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 7000);
    harness_came(h, ROOM, NEXT, 5000, 12000);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 7000);
    check_exact(harness_count(h, ROOM, NEXT, NEXT + 1), 7000);
    check_near(harness_count(h, ROOM, BUCKET_MS, NEXT + 1), 12000);
    check_near(life(h), 12000);
}

static struct viewers_count merge(struct harness *h, int64_t bucket_ms, int from, int to)
{
    uint8_t bytes[HLL_DENSE_BYTES];
    struct hll sketch = {0};
    char user[16];
    struct viewers_count count;

    for (int i = from; i < to; i++) {
        snprintf(user, sizeof(user), "u%d", i);
        hll_add(&sketch, str_of(user));
    }
    hll_write(&sketch, bytes);
    hll_deinit(&sketch);
    const struct store_viewers_merge in = {STR(ROOM), bucket_ms,
                                           str_make((const char *)bytes, sizeof(bytes))};
    assert_int_equal(harness_viewers_merge(h, &in, &count), 0);
    return count;
}

static void a_sketch_is_merged(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    check_near(merge(h, BUCKET_MS, 0, 30000), 30000);
    check_near(merge(h, BUCKET_MS, 20000, 50000), 50000);
    check_near(harness_came(h, ROOM, NEXT, 49000, 52000), 52000);
    check_near(harness_count(h, ROOM, BUCKET_MS, NEXT), 50000);
    check_exact(harness_count(h, ROOM, NEXT, NEXT + 1), 3000);
    check_near(harness_count(h, ROOM, BUCKET_MS, NEXT + 1), 52000);
}

static void a_sketch_knows_who_was_named(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 1000);
    check_near(merge(h, BUCKET_MS, 0, 1000), 1000); /* the same ones, but it holds no names */
    check_near(harness_came(h, ROOM, BUCKET_MS, 500, 1500), 1500);
}

static void what_is_no_sketch_is_refused(void **state)
{
    struct harness *h = *state;
    const struct store_viewers_merge in = {STR(ROOM), BUCKET_MS, STR("HYLL but no more")};

    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 3);
    assert_int_equal(harness_viewers_merge(h, &in, NULL), ERR_BAD_REQUEST);
    check_exact(life(h), 3);
}

static void the_record_tells_the_life(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .settings = room_settings_default()};
    struct room_record record;

    harness_create(h, ROOM);
    harness_create(h, "app/zero");
    harness_came(h, ROOM, BUCKET_MS, 0, 6);
    assert_int_equal(harness_get(h, ROOM, &record), 0);
    assert_int_equal(record.unique, 6);
    assert_int_equal(harness_put(h, &put).record.unique, 6);
    struct harness_page page = harness_list(h, "app", NULL, 10);
    assert_int_equal(page.count, 2);
    assert_int_equal(page.records[0].unique, 6);
    assert_int_equal(page.records[1].unique, 0);
}

static void a_closed_room_still_counts(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .state = ROOM_CLOSED};

    harness_put(h, &put);
    check_exact(harness_came(h, ROOM, BUCKET_MS, 0, 2), 2);
}

static void counts_are_there_after_reopening(void **state)
{
    struct harness *h = *state;

    if (!h->fixture->is_durable) skip();
    harness_create(h, ROOM);
    harness_came(h, ROOM, BUCKET_MS, 0, 9000);
    harness_came(h, ROOM, NEXT, 0, 15000);
    struct viewers_count before = life(h);
    harness_reopen(h);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 9000);
    assert_int_equal(life(h).unique, before.unique);
    harness_came(h, ROOM, BUCKET_MS, 0, 9001);
    check_exact(harness_count(h, ROOM, BUCKET_MS, NEXT), 9001);
    assert_int_equal(harness_came(h, ROOM, NEXT, 0, 15000).unique, before.unique);
}

/* In the background; how long that takes is not laid down, but it ends. */
static void old_buckets_go_and_the_life_stays(void **state)
{
    struct harness *h = *state;

    h->history.max_age_ms = 3600 * 1000;
    harness_reopen(h);
    harness_create(h, ROOM);
    for (int i = 0; i < 5; i++)
        harness_came(h, ROOM, BUCKET_MS + i * VIEWERS_BUCKET_MS, i * 1000, i * 1000 + 2000);
    harness_tick(h);
    check_exact(harness_count(h, ROOM, 0, INT64_MAX), 6000);
    h->now_ms = NEXT + 3600 * 1000 + 1; /* the first two are too old */
    for (int i = 0; i < 20000 && harness_count(h, ROOM, 0, INT64_MAX).unique > 4000; i++)
        if (i < 200) harness_tick(h); /* then only the store's own time passes */
    check_exact(harness_count(h, ROOM, 0, INT64_MAX), 4000);
    check_exact(life(h), 6000);
}

size_t conformance_viewers(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_that_is_not_there_has_no_count),
        cmocka_unit_test(nobody_was_in_a_new_room),
        cmocka_unit_test(a_user_counts_once),
        cmocka_unit_test(any_id_is_a_user),
        cmocka_unit_test(rooms_are_counted_apart),
        cmocka_unit_test(a_window_is_the_union_of_its_buckets),
        cmocka_unit_test(buckets_come_in_any_order),
        cmocka_unit_test(it_is_exact_up_to_the_bound),
        cmocka_unit_test(a_union_beyond_the_bound_is_near),
        cmocka_unit_test(a_sketch_is_merged),
        cmocka_unit_test(a_sketch_knows_who_was_named),
        cmocka_unit_test(what_is_no_sketch_is_refused),
        cmocka_unit_test(the_record_tells_the_life),
        cmocka_unit_test(a_closed_room_still_counts),
        cmocka_unit_test(counts_are_there_after_reopening),
        cmocka_unit_test(old_buckets_go_and_the_life_stays),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
