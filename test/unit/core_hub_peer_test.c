/* What a hub does for edges behind it: news, in order; ranges from the copy when it has them; rooms
 * that fall behind and catch up. */
#include "core/hub_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "unit/core_hub_fixture.h"

/* An edge, and what it was told. */
struct edge {
    struct hub_peer *peer;
    bool is_full;
    uint64_t ids[4096];
    uint64_t prevs[4096];
    uint32_t count;
    struct message last; /* its texts are below */
    char from[LIMIT_USER_ID + 1], body[64];
};

static bool on_news(void *arg, struct str room, const struct message *message)
{
    struct edge *edge = arg;

    assert_true(str_eq(room, ROOM));
    if (edge->is_full) return false;
    edge->prevs[edge->count] = message->prev;
    edge->ids[edge->count++] = message->id;
    edge->last = *message;
    str_copy(message->from, edge->from, sizeof edge->from);
    str_copy(message->body, edge->body, sizeof edge->body);
    return true;
}

static struct edge *edge_new(struct hub_fixture *f)
{
    struct edge *edge = test_calloc(1, sizeof *edge);
    const struct hub_peer_setup setup = {.on_news = on_news, .arg = edge};
    edge->peer = hub_peer_new(f->hub, &setup);
    return edge;
}

static void edge_free(struct hub_fixture *f, struct edge *edge)
{
    hub_peer_free(edge->peer, f->now_ms);
    test_free(edge);
}

static void watch(struct hub_fixture *f, struct edge *edge)
{
    assert_int_equal(hub_peer_watch(edge->peer, ROOM, false, f->now_ms), OK);
    hub_pass(f, 3);
}

static bool find_after(struct hub_fixture *f, struct edge *edge, enum list_kind list, uint64_t from,
                       struct store_range *ret)
{
    const struct store_read read = {
        .room = ROOM, .list = list, .direction = STORE_AFTER, .from = from, .limit = 100};
    return hub_peer_find(edge->peer, &read, f->now_ms, ret);
}

static uint64_t active_rooms(const struct hub_fixture *f)
{
    return counter_get(&hub_metrics(f->hub)->rooms_active);
}

static void news_come_in_order_and_whole(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);

    hub_create_room(f);
    watch(f, edge);
    uint64_t last = 0;
    for (int i = 0; i < 10; i++) {
        hub_append_elsewhere(f, LIST_NORMAL);
        assert_int_equal(edge->count, i + 1);
        assert_int_equal(edge->prevs[i], last);
        last = edge->ids[i];
    }
    struct call *call = hub_make_append("ann\"e", LIST_HIGH, "{\"a\":[1]}");
    assert_int_equal(hub_do(f, call), OK);
    assert_int_equal(edge->count, 11);
    assert_int_equal(edge->last.list, LIST_HIGH);
    assert_string_equal(edge->from, "ann\"e");
    assert_string_equal(edge->body, "{\"a\":[1]}");
    edge_free(f, edge);
}

/* What is stored while the room is being loaded is news, too, and once. */
static void news_begin_with_the_watching(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);

    hub_create_room(f);
    for (int turns = 0; turns < 6; turns++) {
        hub_peer_watch(edge->peer, ROOM, false, f->now_ms);
        hub_pass(f, turns);
        uint32_t before = edge->count;
        hub_append_elsewhere(f, LIST_NORMAL);
        hub_pass(f, 5);
        assert_int_equal(edge->count, before + 1);
        hub_peer_unwatch(edge->peer, ROOM, f->now_ms);
        hub_pass(f, HUB_IDLE_MS + HUB_POLL_IDLE_MS); /* until it is cold again */
        assert_int_equal(active_rooms(f), 0);
    }
    edge_free(f, edge);
}

static void who_watches_no_more_hears_no_more(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *one = edge_new(f), *other = edge_new(f);

    hub_create_room(f);
    watch(f, one);
    watch(f, other);
    hub_append_elsewhere(f, LIST_NORMAL);
    hub_peer_unwatch(one->peer, ROOM, f->now_ms);
    hub_append_elsewhere(f, LIST_NORMAL);
    assert_int_equal(one->count, 1);
    assert_int_equal(other->count, 2);
    edge_free(f, one);
    hub_append_elsewhere(f, LIST_NORMAL);
    assert_int_equal(other->count, 3);
    edge_free(f, other);
}

static void a_watched_room_stays_active_and_a_minute_after(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);

    hub_create_room(f);
    watch(f, edge);
    hub_pass(f, 2 * HUB_IDLE_MS);
    assert_int_equal(active_rooms(f), 1);
    hub_peer_unwatch(edge->peer, ROOM, f->now_ms);
    hub_pass(f, HUB_IDLE_MS - 1);
    assert_int_equal(active_rooms(f), 1);
    hub_pass(f, HUB_POLL_IDLE_MS + 1);
    assert_int_equal(active_rooms(f), 0);
    edge_free(f, edge);
}

/* Notifications are lost; the fallback poll of a room that only an edge watches finds them within a
 * second. */
static void a_lost_notification_is_found(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);

    hub_create_room(f);
    watch(f, edge);
    f->stub->drops_news = true;
    hub_append_elsewhere(f, LIST_HIGH);
    assert_int_equal(edge->count, 0);
    hub_pass(f, HUB_POLL_MS + HUB_POLL_GRAIN_MS);
    assert_int_equal(edge->count, 1);
    edge_free(f, edge);
}

static void ranges_come_from_the_copy(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;
    uint64_t ids[20];

    hub_create_room(f);
    watch(f, edge);
    for (int i = 0; i < 20; i++) ids[i] = hub_append(f, LIST_NORMAL);
    uint64_t reads = f->stub->reads;
    assert_true(find_after(f, edge, LIST_NORMAL, ids[4], &range));
    assert_int_equal(range.count, 15);
    for (size_t i = 0; i < range.count; i++) assert_int_equal(range.messages[i].id, ids[5 + i]);
    assert_int_equal(range.tail, ids[19]);
    assert_int_equal(range.tail_ordinal, 20);
    assert_false(range.more);
    assert_true(find_after(f, edge, LIST_NORMAL, ids[19], &range)); /* nothing new */
    assert_int_equal(range.count, 0);
    assert_true(find_after(f, edge, LIST_HIGH, 0, &range)); /* an empty list */
    assert_int_equal(range.count, 0);
    assert_int_equal(f->stub->reads, reads);
    edge_free(f, edge);
}

static void a_range_is_cut_at_the_limit(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    watch(f, edge);
    uint64_t first = hub_append(f, LIST_NORMAL);
    for (int i = 0; i < 150; i++) hub_append(f, LIST_NORMAL);
    assert_true(find_after(f, edge, LIST_NORMAL, first, &range));
    assert_int_equal(range.count, 100);
    assert_true(range.more);
    assert_true(find_after(f, edge, LIST_NORMAL, range.messages[99].id, &range));
    assert_int_equal(range.count, 50);
    assert_false(range.more);
    edge_free(f, edge);
}

/* Who begins anew, asks backwards, or knows more than this node, is the store's to answer. */
static void other_ranges_are_the_stores(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    assert_false(find_after(f, edge, LIST_NORMAL, 0, &range)); /* not watched */
    watch(f, edge);
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) last = hub_append(f, LIST_NORMAL);
    assert_false(find_after(f, edge, LIST_NORMAL, 0, &range));
    assert_false(find_after(f, edge, LIST_NORMAL, last + 1, &range));
    const struct store_read before = {
        .room = ROOM, .list = LIST_NORMAL, .direction = STORE_BEFORE, .from = last, .limit = 5};
    assert_false(hub_peer_find(edge->peer, &before, f->now_ms, &range));
    for (int i = 0; i < LIMIT_FEED_FRAMES + 1; i++) hub_append(f, LIST_NORMAL);
    assert_false(find_after(f, edge, LIST_NORMAL, last, &range)); /* older than the copy */
    edge_free(f, edge);
}

/* Rule 4 of core/store.h holds for edges, though the news were lost. */
static void what_was_acknowledged_is_seen_by_the_next_read(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    watch(f, edge);
    uint64_t known = hub_append(f, LIST_NORMAL);
    f->stub->drops_news = true;
    uint64_t id = hub_append(f, LIST_NORMAL);
    hub_appended(f->hub, ROOM, LIST_NORMAL, id);
    assert_false(find_after(f, edge, LIST_NORMAL, known, &range));
    hub_pass(f, HUB_POLL_MS + HUB_POLL_GRAIN_MS);
    assert_true(find_after(f, edge, LIST_NORMAL, known, &range));
    assert_int_equal(range.count, 1);
    edge_free(f, edge);
}

static void after_a_change_of_the_room_the_store_is_asked(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    watch(f, edge);
    assert_true(find_after(f, edge, LIST_HIGH, 0, &range));
    f->stub->drops_news = true;
    hub_append_elsewhere(f, LIST_HIGH);
    hub_room_changed(f->hub, ROOM, f->now_ms);
    assert_false(find_after(f, edge, LIST_HIGH, 0, &range));
    hub_pass(f, 2); /* that pull has been made at once */
    assert_int_equal(edge->count, 1);
    assert_true(find_after(f, edge, LIST_HIGH, edge->ids[0], &range));
    edge_free(f, edge);
}

static void a_slow_edge_is_told_the_newest_of_each_list_alone(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *slow = edge_new(f), *quick = edge_new(f);
    uint64_t high = 0, normal = 0;

    hub_create_room(f);
    watch(f, slow);
    watch(f, quick);
    hub_append(f, LIST_NORMAL);
    slow->is_full = true;
    for (int i = 0; i < 30; i++) {
        high = hub_append(f, LIST_HIGH);
        normal = hub_append(f, LIST_NORMAL);
    }
    assert_int_equal(slow->count, 1);
    assert_int_equal(quick->count, 61);
    hub_peer_resume(slow->peer); /* still full */
    assert_int_equal(slow->count, 1);
    slow->is_full = false;
    hub_peer_resume(slow->peer);
    assert_int_equal(slow->count, 3);
    assert_int_equal(slow->ids[1], high);
    assert_int_equal(slow->ids[2], normal);
    hub_peer_resume(slow->peer); /* nothing is behind any more */
    assert_int_equal(slow->count, 3);
    hub_append(f, LIST_NORMAL);
    assert_int_equal(slow->count, 4);
    edge_free(f, slow);
    edge_free(f, quick);
}

/* An edge whose room has moved here sees at once whether it has missed something. */
static void who_comes_from_another_node_is_told_the_newest(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);

    hub_create_room(f);
    for (int i = 0; i < 5; i++) hub_append(f, LIST_NORMAL);
    uint64_t high = hub_append(f, LIST_HIGH);
    assert_int_equal(hub_peer_watch(edge->peer, ROOM, true, f->now_ms), OK);
    hub_pass(f, 3);
    assert_int_equal(edge->count, 2);
    assert_int_equal(edge->ids[0], high);
    assert_int_equal(hub_peer_watch(edge->peer, ROOM, true, f->now_ms), OK);
    assert_int_equal(edge->count, 4); /* also when it is loaded already */
    edge_free(f, edge);
}

/* The store fails while the room is loaded: the next read of the edge tries again. */
static void a_room_that_could_not_be_loaded_is_tried_again(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    f->stub->is_down = true;
    watch(f, edge);
    assert_int_equal(active_rooms(f), 0);
    f->stub->is_down = false;
    assert_false(find_after(f, edge, LIST_NORMAL, 0, &range));
    hub_pass(f, 3);
    assert_int_equal(active_rooms(f), 1);
    hub_append_elsewhere(f, LIST_NORMAL);
    assert_int_equal(edge->count, 1);
    edge_free(f, edge);
}

static void a_store_that_lost_its_newest_part_is_followed(void **state)
{
    struct hub_fixture *f = *state;
    struct edge *edge = edge_new(f);
    struct store_range range;

    hub_create_room(f);
    watch(f, edge);
    uint64_t last = 0;
    for (int i = 0; i < 3; i++) last = hub_append(f, LIST_NORMAL);
    stub_store_lose_all(f->stub, &f->store_config);
    hub_create_elsewhere(f, NULL);
    store_watch(&f->stub->store, ROOM);
    hub_pass(f, HUB_POLL_MS + HUB_POLL_GRAIN_MS);                 /* noticed, and then confirmed */
    assert_false(find_after(f, edge, LIST_NORMAL, last, &range)); /* the store will tell it */
    uint32_t before = edge->count;
    hub_append_elsewhere(f, LIST_NORMAL);
    hub_pass(f, HUB_POLL_MS + HUB_POLL_GRAIN_MS);
    assert_int_equal(edge->count, before + 1);
    edge_free(f, edge);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, hub_fixture_setup, hub_fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(news_come_in_order_and_whole),
        TEST(news_begin_with_the_watching),
        TEST(who_watches_no_more_hears_no_more),
        TEST(a_watched_room_stays_active_and_a_minute_after),
        TEST(a_lost_notification_is_found),
        TEST(ranges_come_from_the_copy),
        TEST(a_range_is_cut_at_the_limit),
        TEST(other_ranges_are_the_stores),
        TEST(what_was_acknowledged_is_seen_by_the_next_read),
        TEST(after_a_change_of_the_room_the_store_is_asked),
        TEST(a_slow_edge_is_told_the_newest_of_each_list_alone),
        TEST(who_comes_from_another_node_is_told_the_newest),
        TEST(a_room_that_could_not_be_loaded_is_tried_again),
        TEST(a_store_that_lost_its_newest_part_is_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
