/* Retention: what is too old or too many goes, and a range tells it. */
#include "store/conformance.h"

#include "core/id.h"

#define ROOM "app/room"

/* Reopens with other rules; a store that keeps nothing is empty then anyway. */
static void set_retention(struct harness *h, enum list_kind list, struct store_retention rule)
{
    h->retention[list] = rule;
    harness_reopen(h);
    harness_create(h, ROOM);
}

/* Retention works in the background; how long it takes is not laid down, but it ends. */
static struct harness_range read_when_kept(struct harness *h, enum list_kind list, size_t max_count)
{
    for (int i = 0; i < 20000; i++) {
        struct harness_range range = harness_read_all(h, ROOM, list);
        if (range.count <= max_count) return range;
        harness_range_free(&range);
        if (i < 200) harness_tick(h); /* then only the store's own time passes */
    }
    fail_msg("more than %zu messages are kept", max_count);
    return (struct harness_range){0};
}

static void the_newest_are_kept_by_count(void **state)
{
    struct harness *h = *state;
    uint64_t ids[100];

    set_retention(h, LIST_NORMAL, (struct store_retention){.max_count = 10});
    for (int i = 0; i < 100; i++) ids[i] = harness_send(h, ROOM, LIST_NORMAL, "1");
    struct harness_range range = read_when_kept(h, LIST_NORMAL, 10);
    assert_int_equal(range.count, 10);
    assert_int_equal(range.messages[0].m.id, ids[90]);
    assert_int_equal(range.trimmed, ids[89]);
    assert_int_equal(range.tail, ids[99]);
    assert_int_equal(range.tail_ordinal, 100);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void a_long_list_shrinks_when_the_rule_does(void **state)
{
    struct harness *h = *state;

    if (!h->fixture->is_durable) skip();
    set_retention(h, LIST_NORMAL, (struct store_retention){0});
    for (int i = 0; i < 1500; i++) harness_send(h, ROOM, LIST_NORMAL, "1");
    set_retention(h, LIST_NORMAL, (struct store_retention){.max_count = 7});
    struct harness_range range = read_when_kept(h, LIST_NORMAL, 7);
    assert_int_equal(range.count, 7);
    assert_int_equal(range.tail_ordinal, 1500);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void the_old_go_by_age(void **state)
{
    struct harness *h = *state;

    set_retention(h, LIST_NORMAL, (struct store_retention){.max_age_ms = 60000});
    for (int i = 0; i < 20; i++) harness_send(h, ROOM, LIST_NORMAL, "old");
    h->now_ms += 50000; /* not yet */
    harness_tick(h);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(range.count, 20);
    uint64_t last_old = range.messages[19].m.id;
    harness_range_free(&range);

    for (int i = 0; i < 5; i++) harness_send(h, ROOM, LIST_NORMAL, "new");
    h->now_ms += 15000;
    range = read_when_kept(h, LIST_NORMAL, 5);
    assert_int_equal(range.count, 5);
    assert_string_equal(range.messages[0].body, "new");
    assert_int_equal(range.trimmed, last_old);
    harness_check_chain(&range);
    harness_range_free(&range);
}

static void an_emptied_list_goes_on_where_it_was(void **state)
{
    struct harness *h = *state;
    uint64_t last = 0;

    set_retention(h, LIST_NORMAL, (struct store_retention){.max_age_ms = 1000});
    for (int i = 0; i < 10; i++) last = harness_send(h, ROOM, LIST_NORMAL, "1");
    h->now_ms += 5000;
    struct harness_range range = read_when_kept(h, LIST_NORMAL, 0);
    assert_int_equal(range.trimmed, last);
    assert_int_equal(range.tail, last);
    assert_int_equal(range.tail_ordinal, 10);
    harness_range_free(&range);

    h->now_ms = START_MS - 100000; /* and if the clock steps back, too */
    if (h->fixture->is_durable) harness_reopen(h);
    struct harness_append a = {.room = ROOM, .list = LIST_NORMAL, .body = "1"};
    struct store_appended appended;
    assert_int_equal(harness_append(h, &a, &appended), 0);
    assert_true(appended.id > last);
    assert_int_equal(appended.prev, last);
    assert_int_equal(appended.ordinal, 11);
}

static void each_list_has_its_own_rule(void **state)
{
    struct harness *h = *state;

    set_retention(h, LIST_NORMAL, (struct store_retention){.max_count = 5});
    for (int i = 0; i < 30; i++) {
        harness_send(h, ROOM, LIST_NORMAL, "1");
        harness_send(h, ROOM, LIST_HIGH, "1");
    }
    struct harness_range normal = read_when_kept(h, LIST_NORMAL, 5);
    struct harness_range high = harness_read_all(h, ROOM, LIST_HIGH);
    assert_int_equal(normal.count, 5);
    assert_int_equal(high.count, 30);
    assert_int_equal(high.trimmed, 0);
    harness_check_chain(&normal);
    harness_check_chain(&high);
    harness_range_free(&normal);
    harness_range_free(&high);
}

static void a_reader_of_what_is_gone_can_tell(void **state)
{
    struct harness *h = *state;
    uint64_t ids[30];

    if (h->fixture->watches) skip(); /* the copy of the room still has them: there is no gap */
    set_retention(h, LIST_NORMAL, (struct store_retention){.max_count = 10});
    for (int i = 0; i < 30; i++) ids[i] = harness_send(h, ROOM, LIST_NORMAL, "1");
    struct harness_range kept = read_when_kept(h, LIST_NORMAL, 10);
    harness_range_free(&kept);

    const struct store_read from_gone = {.room = STR(ROOM),
                                         .list = LIST_NORMAL,
                                         .direction = STORE_AFTER,
                                         .from = ids[3],
                                         .limit = 100};
    const struct store_read from_last_gone = {.room = STR(ROOM),
                                              .list = LIST_NORMAL,
                                              .direction = STORE_AFTER,
                                              .from = ids[19],
                                              .limit = 100};
    struct harness_range gap = harness_read(h, &from_gone);
    struct harness_range whole = harness_read(h, &from_last_gone);
    assert_true(gap.trimmed > ids[3]);
    assert_true(whole.trimmed <= ids[19]);
    assert_int_equal(gap.count, 10);
    assert_int_equal(whole.count, 10);
    harness_range_free(&gap);
    harness_range_free(&whole);
}

static void the_mark_is_there_after_reopening(void **state)
{
    struct harness *h = *state;

    if (!h->fixture->is_durable) skip();
    set_retention(h, LIST_NORMAL, (struct store_retention){.max_count = 3});
    for (int i = 0; i < 20; i++) harness_send(h, ROOM, LIST_NORMAL, "1");
    struct harness_range before = read_when_kept(h, LIST_NORMAL, 3);
    harness_reopen(h);
    struct harness_range after = harness_read_all(h, ROOM, LIST_NORMAL);
    assert_int_equal(after.trimmed, before.trimmed);
    assert_int_equal(after.tail, before.tail);
    harness_check_chain(&after);
    harness_range_free(&before);
    harness_range_free(&after);
}

size_t conformance_retention(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_are_kept_by_count),
        cmocka_unit_test(a_long_list_shrinks_when_the_rule_does),
        cmocka_unit_test(the_old_go_by_age),
        cmocka_unit_test(an_emptied_list_goes_on_where_it_was),
        cmocka_unit_test(each_list_has_its_own_rule),
        cmocka_unit_test(a_reader_of_what_is_gone_can_tell),
        cmocka_unit_test(the_mark_is_there_after_reopening),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
