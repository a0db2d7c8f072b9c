/* Rule 6 of core/store.h: news. Without faults they come exactly once; with them they may be lost,
 * doubled or late, but never of what is not there, nor before the acknowledgement. */
#include "store/conformance.h"

#include "base/error.h"

#define ROOM "app/room"

/* Whatever still comes of news has come. */
static void settle(struct harness *h)
{
    for (int i = 0; i < 20; i++) assert_int_equal(harness_ping(h), 0);
}

static void check_news_is_stored(const struct harness_news *news, const struct harness_range *range)
{
    for (size_t i = 0; i < range->count; i++) {
        const struct harness_message *stored = &range->messages[i];
        if (stored->m.id != news->id) continue;
        assert_int_equal(news->prev, stored->m.prev);
        assert_int_equal(news->ordinal, stored->m.ordinal);
        assert_int_equal(news->list, stored->m.list);
        assert_string_equal(news->type, stored->type);
        assert_string_equal(news->body, stored->body);
        return;
    }
    fail_msg("news of a message that is not stored");
}

static void news_are_the_message_itself(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    for (int i = 0; i < 50; i++) {
        char body[16];
        snprintf(body, sizeof(body), "%d", i);
        harness_send(h, ROOM, LIST_NORMAL, body);
    }
    settle(h);
    struct harness_range range = harness_read_all(h, ROOM, LIST_NORMAL);
    for (size_t i = 0; i < h->news_count; i++) {
        assert_string_equal(h->news[i].room, ROOM);
        check_news_is_stored(&h->news[i], &range);
    }
    assert_true(h->news_count > 0);
    if (harness_is_plain(h)) {
        assert_int_equal(h->news_count, 50);
        for (size_t i = 0; i < 50; i++) assert_int_equal(h->news[i].id, range.messages[i].m.id);
    }
    harness_range_free(&range);
}

struct early {
    struct harness *h;
    size_t acks;
    bool is_done;
};

static void on_early(void *arg, int err, const struct store_appended *appended)
{
    struct early *early = arg;

    (void)err;
    for (size_t i = 0; i < early->h->news_count; i++)
        assert_int_not_equal(early->h->news[i].id, appended->duplicate ? 0 : appended->id);
    early->acks++;
    early->is_done = true;
}

static void news_come_after_the_acknowledgement(void **state)
{
    struct harness *h = *state;
    struct harness_append what = {.room = ROOM, .list = LIST_HIGH, .body = "1"};
    struct early early = {.h = h};

    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    for (int i = 0; i < 30; i++) {
        struct store_append append = harness_append_of(h, &what);
        early.is_done = false;
        if (store_append(h->store, &append, on_early, &early) == 0) harness_wait(h, &early.is_done);
    }
    settle(h);
    assert_true(h->news_count > 0);
    if (harness_is_plain(h)) assert_int_equal(h->news_count, early.acks);
}

static void only_watched_rooms_give_news(void **state)
{
    struct harness *h = *state;

    harness_create(h, ROOM);
    harness_create(h, "app/other");
    harness_send(h, ROOM, LIST_NORMAL, "1");
    settle(h);
    assert_int_equal(h->news_count, 0);

    store_watch(h->store, STR(ROOM));
    store_watch(h->store, STR(ROOM)); /* idempotent, not counted */
    for (int i = 0; i < 10; i++) {
        harness_send(h, "app/other", LIST_NORMAL, "1");
        harness_send(h, ROOM, LIST_NORMAL, "2");
    }
    settle(h);
    for (size_t i = 0; i < h->news_count; i++) assert_string_equal(h->news[i].body, "2");
    if (harness_is_plain(h)) assert_int_equal(h->news_count, 10);

    store_unwatch(h->store, STR(ROOM));
    store_unwatch(h->store, STR("app/never"));
    size_t before = h->news_count;
    harness_send(h, ROOM, LIST_NORMAL, "3");
    settle(h);
    assert_int_equal(h->news_count, before);
}

static void control_messages_are_news(void **state)
{
    struct harness *h = *state;
    struct harness_put put = {.room = ROOM, .control_type = "room.updated", .control_body = "{}"};

    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    for (int i = 0; i < 20; i++) harness_put(h, &put);
    settle(h);
    assert_true(h->news_count > 0);
    for (size_t i = 0; i < h->news_count; i++) {
        assert_string_equal(h->news[i].type, "room.updated");
        assert_int_equal(h->news[i].list, LIST_HIGH);
    }
    if (harness_is_plain(h)) assert_int_equal(h->news_count, 20);
}

static void what_is_not_stored_is_no_news(void **state)
{
    struct harness *h = *state;
    struct harness_append a = {
        .room = ROOM, .list = LIST_NORMAL, .body = "1", .key = "k", .per_s = 1};

    if (!harness_is_plain(h)) skip();
    harness_create(h, ROOM);
    store_watch(h->store, STR(ROOM));
    assert_int_equal(harness_append(h, &a, NULL), 0);
    assert_int_equal(harness_append(h, &a, NULL), 0); /* a duplicate */
    a.key = NULL;
    assert_int_equal(harness_append(h, &a, NULL), ERR_ROOM_RATE);
    settle(h);
    assert_int_equal(h->news_count, 1);
}

size_t conformance_watching(struct CMUnitTest *ret_tests)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_are_the_message_itself),
        cmocka_unit_test(news_come_after_the_acknowledgement),
        cmocka_unit_test(only_watched_rooms_give_news),
        cmocka_unit_test(control_messages_are_news),
        cmocka_unit_test(what_is_not_stored_is_no_news),
    };
    return CONFORMANCE_ADD(ret_tests, tests);
}
