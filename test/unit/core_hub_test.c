/* core/hub*.c, what goes on in its rooms: activation, news, pulls, subscribers, reads and their
 * ends. */
#include <stdlib.h>

#include "unit/core_hub_fixture.h"

/* A full queue is looked at again within this time. */
#define BLOCKED_RETRY_MS 10

static uint64_t metric(const struct counter *counter)
{
    return counter_get(counter);
}

/* Subscriber and room agree on the list: ids in order, ending with `last`. */
static void assert_rising(const uint64_t *ids, uint32_t count, uint64_t last)
{
    for (uint32_t i = 1; i < count; i++) assert_true(ids[i] > ids[i - 1]);
    assert_true(count > 0);
    assert_int_equal(ids[count - 1], last);
}

/* --- activation ------------------------------------------------------------------------------- */

static void a_room_that_nobody_made_is_not_found(void **state)
{
    struct hub_fixture *f = *state;

    assert_int_equal(hub_do(f, hub_make_call(CALL_SUBSCRIBE, 0)), ERR_ROOM_NOT_FOUND);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_ROOM_NOT_FOUND);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 0);
}

static void a_room_comes_into_being_where_that_is_allowed(void **state)
{
    struct hub_fixture *f = *state;
    struct call *call = hub_make_call(CALL_SUBSCRIBE, 0);
    call->auto_create = true;

    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    assert_int_equal(call->record.version, 1);
    assert_int_equal(call->record.settings.normal_per_s, 200);
    call_free(call);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_GET, 1)), OK);
}

static void a_subscriber_gets_the_newest_part_of_both_lists(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    for (int i = 0; i < 5; i++) hub_append(f, LIST_NORMAL);
    uint64_t high = hub_append(f, LIST_HIGH);
    struct call *call = hub_round_trip(f, hub_make_call(CALL_SUBSCRIBE, 1));

    assert_int_equal(call->start[LIST_HIGH].id, 0);
    assert_int_equal(call->start[LIST_NORMAL].ordinal, 0);
    call_free(call);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].normals, 5);
    assert_int_equal(f->heard[1].highs, 1);
    assert_int_equal(f->heard[1].high[0], high);
}

/* The first that is told of a list that retention has cut: its prev, not 0. */
static void a_copy_begins_where_the_store_still_has_messages(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    f->store_config.retention[LIST_NORMAL].max_count = 3;
    stub_store_lose_all(f->stub, &f->store_config);
    hub_pass(f, 2 * HUB_IDLE_MS); /* forgets the room */
    hub_create_room(f);
    for (int i = 0; i < 10; i++) hub_append_elsewhere(f, LIST_NORMAL);
    struct call *call = hub_round_trip(f, hub_make_call(CALL_SUBSCRIBE, 0));

    hub_listen(f, 0);
    assert_int_equal(call->start[LIST_NORMAL].ordinal, 7);
    assert_true(call->start[LIST_NORMAL].id != 0);
    assert_int_equal(f->heard[0].normals, 3);
    call_free(call);
}

static void calls_wait_for_a_room_that_is_being_loaded(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    f->stub->is_stalled = true;
    for (uint16_t worker = 0; worker < HUB_WORKERS; worker++)
        hub_call(f->hub, hub_make_call(CALL_SUBSCRIBE, worker), f->now_ms);
    hub_pass(f, 100);
    assert_int_equal(hub_calls_under_way(f->hub), HUB_WORKERS);

    f->stub->is_stalled = false;
    hub_pass(f, 5);
    assert_int_equal(hub_calls_under_way(f->hub), 0);
    assert_int_equal(hub_take_wakes(f->hub), 7);
    assert_int_equal(hub_take_wakes(f->hub), 0);
}

/* What is stored between the reading of a tail and the room's being active must not wait for a poll,
 * in whichever step of the activation it comes. */
static void news_during_activation_are_not_missed(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    for (uint32_t step = 0; step < 6; step++) {
        hub_call(f->hub, hub_make_call(CALL_SUBSCRIBE, 0), f->now_ms);
        for (uint32_t i = 0; i < step; i++) hub_pass(f, 0);
        hub_append_elsewhere(f, LIST_HIGH);
        hub_pass(f, 5);
        hub_listen(f, 0);
        assert_int_equal(f->heard[0].highs, step + 1);

        f->heard[0].highs = 0; /* the next activation tells all anew */
        assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
        hub_pass(f, 2 * HUB_IDLE_MS);
        assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 0);
    }
}

static void a_store_that_is_down_is_told_and_asked_again_by_the_next(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    f->stub->is_down = true;
    struct call *call = hub_round_trip(f, hub_make_call(CALL_SUBSCRIBE, 0));

    assert_int_equal(call->err, ERR_STORE_UNAVAILABLE);
    assert_true(call->retry_after_ms > 0);
    call_free(call);
    f->stub->is_down = false;
    assert_int_equal(hub_do(f, hub_make_call(CALL_SUBSCRIBE, 0)), OK);
}

static void a_room_is_forgotten_when_it_has_been_idle(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 1);
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, 2 * HUB_IDLE_MS);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 1); /* there is another */
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 1)), OK);
    hub_pass(f, HUB_IDLE_MS - 1);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 1);
    hub_pass(f, HUB_POLL_IDLE_MS + 1);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 0);
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 1)), OK); /* late, and harmless */
}

static void an_idle_room_is_not_forgotten_under_a_read(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    f->stub->is_stalled = true;
    hub_pass(f, 2 * HUB_IDLE_MS);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 1);
    f->stub->is_stalled = false;
    hub_pass(f, 2 * HUB_POLL_IDLE_MS);
    assert_int_equal(metric(&hub_metrics(f->hub)->rooms_active), 0);
}

/* --- news and pulls --------------------------------------------------------------------------- */

static void news_go_to_every_subscriber_in_order(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 2);
    uint64_t last = 0;
    for (int i = 0; i < 300; i++) last = hub_append(f, LIST_NORMAL);
    hub_pass(f, 1);
    hub_listen(f, 0);
    hub_listen(f, 2);

    assert_int_equal(f->heard[0].normals, 300);
    assert_rising(f->heard[0].normal, 300, last);
    assert_memory_equal(f->heard[0].normal, f->heard[2].normal, 300 * sizeof(uint64_t));
    assert_int_equal(metric(&hub_metrics(f->hub)->news_applied_total), 300);
    assert_int_equal(metric(&hub_metrics(f->hub)->pulls_total), 0);
}

static void lost_news_are_found_within_a_second(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    f->stub->drops_news = true;
    for (int i = 0; i < 20; i++) {
        hub_pass(f, 137); /* at any phase of the polls */
        uint64_t id = hub_append(f, i % 2 == 0 ? LIST_HIGH : LIST_NORMAL);
        hub_pass(f, HUB_POLL_MS + 1);
        hub_listen(f, 0);
        const struct hub_heard *heard = &f->heard[0];
        assert_int_equal(
            i % 2 == 0 ? heard->high[heard->highs - 1] : heard->normal[heard->normals - 1], id);
    }
    assert_int_equal(metric(&hub_metrics(f->hub)->fallback_messages_total), 20);
}

static void a_hole_in_the_news_is_pulled_at_once(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    f->stub->drops_news = true;
    hub_append(f, LIST_HIGH);
    hub_append(f, LIST_HIGH);
    f->stub->drops_news = false;
    uint64_t last = hub_append(f, LIST_HIGH);
    hub_pass(f, 1);
    hub_listen(f, 0);

    assert_int_equal(f->heard[0].highs, 3);
    assert_rising(f->heard[0].high, 3, last);
    assert_int_equal(metric(&hub_metrics(f->hub)->news_hole_total), 1);
}

/* Doubled, late and out of order: the same as if each had come once. */
static void news_that_come_twice_are_stale(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    uint64_t id = hub_append(f, LIST_NORMAL);
    struct message again = {
        .id = id, .ordinal = 1, .list = LIST_NORMAL, .type = STR("text"), .body = STR("1")};

    hub_pass(f, 1);
    f->store_config.env.on_news(f->store_config.env.news_arg, ROOM, &again);
    f->store_config.env.on_news(f->store_config.env.news_arg, STR("dev/elsewhere"), &again);
    hub_pass(f, 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].normals, 1);
    assert_int_equal(metric(&hub_metrics(f->hub)->news_stale_total), 1);
}

static void a_pull_that_fails_is_made_again_by_the_fallback(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    f->stub->drops_news = true;
    hub_append(f, LIST_HIGH);
    f->stub->drops_news = false;
    f->stub->fail_call = f->stub->calls + 2; /* the append, then the pull for its hole */
    uint64_t last = hub_append(f, LIST_HIGH);
    hub_pass(f, 3);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].highs, 0);
    assert_int_equal(metric(&hub_metrics(f->hub)->pulls_failed_total), 1);
    hub_pass(f, HUB_POLL_MS);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].highs, 2);
    assert_rising(f->heard[0].high, 2, last);
}

static void a_long_absence_of_news_is_pulled_in_several_reads(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    f->stub->drops_news = true;
    for (int i = 0; i < 1500; i++) hub_append_elsewhere(f, LIST_NORMAL);
    hub_pass(f, HUB_POLL_MS + 20);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].normals, 1500);
    for (uint32_t i = 1; i < 1500; i++)
        assert_true(f->heard[0].normal[i] > f->heard[0].normal[i - 1]);
}

static void a_store_that_lost_its_newest_part_starts_the_copies_anew(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_append(f, LIST_HIGH);
    hub_append(f, LIST_NORMAL);
    hub_pass(f, 1);
    stub_store_lose_all(f->stub, &f->store_config);
    hub_create_elsewhere(f, NULL);
    hub_pass(f, HUB_POLL_MS + 1);
    hub_listen(f, 0);

    assert_int_equal(f->heard[0].restarts, 2);
    assert_int_equal(f->heard[0].restart.id, 0);
    assert_int_equal(f->heard[0].restart.ordinal, 0);
}

/* --- full queues ------------------------------------------------------------------------------ */

static void a_subscriber_whose_queue_is_full_falls_behind_and_catches_up(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 1);
    hub_clog(f, 1, 3);
    uint64_t last = 0;
    for (int i = 0; i < 50; i++) last = hub_append(f, LIST_NORMAL);
    hub_pass(f, 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].normals, 50); /* nobody else notices */
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].normals, 3);
    hub_pass(f, 2 * BLOCKED_RETRY_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].normals, 50);
    assert_rising(f->heard[1].normal, 50, last);
    assert_true(metric(&hub_metrics(f->hub)->notes_deferred_total) > 0);
}

/* It is behind in the copy: what left the copy meanwhile it does not get, and nothing out of
 * order. */
static void a_subscriber_that_was_too_long_away_misses_what_left_the_copy(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_clog(f, 1, 0);
    for (int i = 0; i < LIMIT_FEED_FRAMES + 200; i++) hub_append_elsewhere(f, LIST_HIGH);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].highs, 0);
    hub_pass(f, 2 * BLOCKED_RETRY_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].highs, LIMIT_FEED_FRAMES);
}

static void hints_wait_for_room_too(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_clog(f, 1, 0);
    struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
    put->patch.slow_mode_s = true;
    put->patch.settings.slow_mode_s = 30;
    assert_int_equal(hub_do(f, put), OK);
    struct call *presence = hub_make_call(CALL_PRESENCE, 0);
    presence_write(&presence->text, PRESENCE_CAME, STR("alice"));
    assert_int_equal(hub_do(f, presence), OK);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].records + f->heard[1].onlines, 0);
    hub_pass(f, 2 * BLOCKED_RETRY_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].record.settings.slow_mode_s, 30);
    assert_int_equal(f->heard[1].online, 1);
}

static void a_blocked_subscriber_may_leave(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_clog(f, 1, 0);
    hub_append(f, LIST_HIGH);
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 1)), OK);
    hub_pass(f, 2 * BLOCKED_RETRY_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].highs, 0);
}

static void calls_come_home_when_the_queue_is_full_of_news(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_clog(f, 1, 0);
    for (int i = 0; i < LIMIT_CALLS_PER_WORKER; i++)
        hub_call(f->hub, hub_make_call(i % 2 == 0 ? CALL_PING : CALL_COLD, 1), f->now_ms);
    hub_pass(f, 5);
    assert_int_equal(hub_calls_under_way(f->hub), 0);
    hub_listen(f, 1);
    size_t home = 0;
    LIST_FOREACH (node, &f->heard[1].calls) home++;
    assert_int_equal(home, LIMIT_CALLS_PER_WORKER);
}

/* --- reads ------------------------------------------------------------------------------------ */

static struct call *make_cold(uint64_t after)
{
    struct call *call = hub_make_call(CALL_COLD, 0);
    call_set_frames(call, LIMIT_POLL_HIGH);
    call->id = after;
    return call;
}

static void a_cold_read_brings_the_oldest_high_after_the_cursor(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    uint64_t ids[300];
    for (int i = 0; i < 300; i++) ids[i] = hub_append(f, LIST_HIGH);
    uint64_t normal = hub_append(f, LIST_NORMAL);
    struct call *call = hub_round_trip(f, make_cold(ids[49]));

    assert_int_equal(call->err, OK);
    assert_int_equal(call->frame_count, LIMIT_POLL_HIGH);
    for (uint32_t i = 0; i < LIMIT_POLL_HIGH; i++)
        assert_int_equal(call->frames[i]->id, ids[50 + i]);
    assert_true(call->more);
    assert_int_equal(call->trimmed[LIST_HIGH], 0);
    assert_int_equal(call->tail[LIST_HIGH], ids[299]);
    assert_int_equal(call->tail[LIST_NORMAL], normal);
    call_free(call);
}

static void a_cold_read_tells_what_was_trimmed(void **state)
{
    struct hub_fixture *f = *state;
    f->store_config.retention[LIST_HIGH].max_count = 2;
    stub_store_lose_all(f->stub, &f->store_config);
    hub_create_room(f);
    uint64_t ids[5];
    for (int i = 0; i < 5; i++) ids[i] = hub_append(f, LIST_HIGH);
    struct call *call = hub_round_trip(f, make_cold(ids[0]));

    assert_int_equal(call->frame_count, 2);
    assert_int_equal(call->trimmed[LIST_HIGH], ids[2]);
    assert_false(call->more);
    call_free(call);
}

static struct call *make_history(uint64_t before, uint32_t limit)
{
    struct call *call = hub_make_call(CALL_HISTORY, 0);
    call_set_frames(call, limit);
    call->id = before;
    return call;
}

static void history_merges_both_lists_newest_first(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    uint64_t ids[20];
    for (int i = 0; i < 20; i++) ids[i] = hub_append(f, i % 3 == 0 ? LIST_HIGH : LIST_NORMAL);
    struct call *call = hub_round_trip(f, make_history(ids[15], 10));

    assert_int_equal(call->frame_count, 10);
    for (int i = 0; i < 10; i++) assert_int_equal(call->frames[i]->id, ids[14 - i]);
    assert_true(call->more);
    call_free(call);
    call = hub_round_trip(f, make_history(ids[5], 10));
    assert_int_equal(call->frame_count, 5);
    assert_false(call->more);
    call_free(call);
}

static uint32_t history_page(struct hub_fixture *f, uint64_t *before, uint64_t *ret_ids,
                             bool *ret_more)
{
    struct call *call = hub_round_trip(f, make_history(*before, 50));
    uint32_t count = call->frame_count;
    assert_int_equal(call->err, OK);
    for (uint32_t i = 0; i < count; i++) ret_ids[i] = call->frames[i]->id;
    if (count > 0) *before = ret_ids[count - 1];
    *ret_more = call->more;
    call_free(call);
    return count;
}

/* The store cuts a range of large messages short; the other list's older ones must not be told
 * before the rest. */
static void history_of_large_messages_leaves_none_out(void **state)
{
    enum { LARGE = 30, BYTES = 60000 };
    struct hub_fixture *f = *state;
    struct buf body = {0};
    hub_create_room(f);
    buf_reserve(&body, BYTES);
    memset(body.ptr, '1', BYTES);
    body.len = BYTES;
    hub_append(f, LIST_NORMAL);
    for (int i = 0; i < LARGE; i++) hub_append_body(f, LIST_HIGH, buf_str(&body));
    hub_append(f, LIST_NORMAL);
    buf_deinit(&body);

    uint64_t ids[LARGE + 2 + 50], before = UINT64_MAX;
    uint32_t count = 0, pages = 0;
    for (bool more = true; more && pages < 10; pages++)
        count += history_page(f, &before, &ids[count], &more);
    assert_in_range(pages, 2, 9);
    assert_int_equal(count, LARGE + 2);
    for (uint32_t i = 1; i < count; i++) assert_true(ids[i] < ids[i - 1]);
}

static void a_read_of_which_one_half_fails_fails(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_append(f, LIST_HIGH);
    for (uint64_t half = 1; half <= 2; half++) {
        f->stub->fail_call = f->stub->calls + half;
        assert_int_equal(hub_do(f, make_history(UINT64_MAX, 10)), ERR_STORE_UNAVAILABLE);
        f->stub->refuse_call = f->stub->calls + half;
        assert_int_equal(hub_do(f, make_cold(0)), ERR_OVERLOADED);
    }
}

/* --- the end ---------------------------------------------------------------------------------- */

/* The end of a drained hub: no call is under way, but there are rooms, subscribers, a blocked one,
 * and users. */
static void nothing_leaks_at_the_end(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 1);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), OK);
    struct call *presence = hub_make_call(CALL_PRESENCE, 1);
    presence_write(&presence->text, PRESENCE_CAME, STR("alice"));
    assert_int_equal(hub_do(f, presence), OK);
    hub_clog(f, 0, 0);
    hub_append_elsewhere(f, LIST_HIGH);
    assert_int_equal(hub_calls_under_way(f->hub), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_fixture_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_room_that_nobody_made_is_not_found),
        TEST(a_room_comes_into_being_where_that_is_allowed),
        TEST(a_subscriber_gets_the_newest_part_of_both_lists),
        TEST(a_copy_begins_where_the_store_still_has_messages),
        TEST(calls_wait_for_a_room_that_is_being_loaded),
        TEST(news_during_activation_are_not_missed),
        TEST(a_store_that_is_down_is_told_and_asked_again_by_the_next),
        TEST(a_room_is_forgotten_when_it_has_been_idle),
        TEST(an_idle_room_is_not_forgotten_under_a_read),
        TEST(news_go_to_every_subscriber_in_order),
        TEST(lost_news_are_found_within_a_second),
        TEST(a_hole_in_the_news_is_pulled_at_once),
        TEST(news_that_come_twice_are_stale),
        TEST(a_pull_that_fails_is_made_again_by_the_fallback),
        TEST(a_long_absence_of_news_is_pulled_in_several_reads),
        TEST(a_store_that_lost_its_newest_part_starts_the_copies_anew),
        TEST(a_subscriber_whose_queue_is_full_falls_behind_and_catches_up),
        TEST(a_subscriber_that_was_too_long_away_misses_what_left_the_copy),
        TEST(hints_wait_for_room_too),
        TEST(a_blocked_subscriber_may_leave),
        TEST(calls_come_home_when_the_queue_is_full_of_news),
        TEST(a_cold_read_brings_the_oldest_high_after_the_cursor),
        TEST(a_cold_read_tells_what_was_trimmed),
        TEST(history_merges_both_lists_newest_first),
        TEST(history_of_large_messages_leaves_none_out),
        TEST(a_read_of_which_one_half_fails_fails),
        TEST(nothing_leaks_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
