/* core/hub_send.c, hub_admin.c: who may send how fast, and what a room
 * is set to. */
#include <stdlib.h>

#include "unit/core_hub_fixture.h"

static void patch_room(struct hub_fixture *f, void (*set)(struct room_patch *))
{
    struct call *call = hub_make_call(CALL_ROOM_PUT, 0);
    set(&call->patch);
    assert_int_equal(hub_do(f, call), OK);
}

/* --- senders ---------------------------------------------------------------------------------- */

static int send_as(struct hub_fixture *f, const char *user, int64_t *ret_retry_after_ms)
{
    struct call *call = hub_round_trip(f, hub_make_append(user, LIST_NORMAL, "1"));
    int err = call->err;
    *ret_retry_after_ms = call->retry_after_ms;
    call_free(call);
    return err;
}

static void a_user_sends_a_burst_and_then_at_a_rate(void **state)
{
    struct hub_fixture *f = *state;
    int64_t retry_after_ms;
    hub_create_room(f);

    for (int i = 0; i < 5; i++) assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), ERR_USER_RATE);
    assert_in_range(retry_after_ms, 1, 500);
    assert_int_equal(send_as(f, "bob", &retry_after_ms), OK); /* each has their own */
    assert_int_equal(send_as(f, "alice", &retry_after_ms), ERR_USER_RATE);
    hub_pass(f, retry_after_ms);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
}

static void a_back_end_has_no_rate(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);

    for (int i = 0; i < 50; i++) hub_append(f, LIST_NORMAL);
}

/* A sender is forgotten only when that gives nothing away. */
static void waiting_long_gives_a_burst_and_no_more(void **state)
{
    struct hub_fixture *f = *state;
    int64_t retry_after_ms;
    hub_create_room(f);
    hub_subscribe(f, 0);

    for (int i = 0; i < 5; i++) assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
    hub_pass(f, 2 * HUB_POLL_MS); /* swept, but not forgotten: four tokens are back */
    for (int i = 0; i < 4; i++) assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), ERR_USER_RATE);
    hub_pass(f, 10 * HUB_POLL_MS);
    for (int i = 0; i < 5; i++) assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), ERR_USER_RATE);
}

static void set_slow_mode(struct room_patch *patch)
{
    patch->slow_mode_s = true;
    patch->settings.slow_mode_s = 10;
}

static void slow_mode_holds_normal_messages_of_one_user(void **state)
{
    struct hub_fixture *f = *state;
    int64_t retry_after_ms;
    hub_create_room(f);
    hub_subscribe(f, 0);
    patch_room(f, set_slow_mode);

    assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
    hub_pass(f, 3000);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), ERR_SLOW_MODE);
    assert_int_equal(retry_after_ms, 7000);
    assert_int_equal(send_as(f, "bob", &retry_after_ms), OK);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_HIGH, "1")), OK);
    hub_pass(f, 7000);
    assert_int_equal(send_as(f, "alice", &retry_after_ms), OK);
}

static void set_small_bodies(struct room_patch *patch)
{
    patch->max_body_bytes = true;
    patch->settings.max_body_bytes = 4;
}

static void a_body_larger_than_the_rooms_limit_is_refused(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    patch_room(f, set_small_bodies);

    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1234")), OK);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "12345")), ERR_BODY_TOO_LARGE);
}

static void set_low_quota(struct room_patch *patch)
{
    patch->normal_per_s = true;
    patch->settings.normal_per_s = 1;
}

static void the_rooms_quota_is_per_list_and_told(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    patch_room(f, set_low_quota);
    struct call *call;
    for (int sent = 0;; sent++) {
        call = hub_make_append("back-end", LIST_NORMAL, "1");
        call->no_user_rate = true;
        call = hub_round_trip(f, call);
        if (call->err != OK) break;
        assert_true(sent < 10);
        call_free(call);
    }
    assert_int_equal(call->err, ERR_ROOM_RATE);
    assert_true(call->retry_after_ms > 0);
    call_free(call);
    hub_append(f, LIST_HIGH);
}

static void the_same_key_is_the_same_message(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    uint64_t ids[2];
    for (int i = 0; i < 2; i++) {
        struct message message = {.list = LIST_HIGH, .type = STR("text"), .body = STR("1")};
        struct call *call = hub_make_call(CALL_APPEND, 0);
        call_set_message(call, &message, STR("key-1"));
        call->no_user_rate = true;
        call = hub_round_trip(f, call);
        assert_int_equal(call->err, OK);
        assert_int_equal(call->duplicate, i == 1);
        ids[i] = call->id;
        call_free(call);
    }
    assert_int_equal(ids[0], ids[1]);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->appends_duplicate_total), 1);
}

/* --- rooms ------------------------------------------------------------------------------------ */

static void set_title(struct room_patch *patch)
{
    patch->title = true;
    str_copy(STR("Evening show"), patch->settings.title, sizeof patch->settings.title);
}

static void a_change_is_told_as_settings_and_as_a_high_message(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    patch_room(f, set_title);
    patch_room(f, set_slow_mode);
    hub_pass(f, 2);
    hub_listen(f, 1);

    assert_int_equal(f->heard[1].highs, 2);
    assert_string_equal(f->heard[1].record.settings.title,
                        "Evening show"); /* a patch changes what it names */
    assert_int_equal(f->heard[1].record.settings.slow_mode_s, 10);
    assert_int_equal(f->heard[1].record.version, 3);
}

static void expect_put(void *arg, int err, const struct room_record *record, bool created)
{
    assert_int_equal(err, OK);
}

static void put_elsewhere(struct hub_fixture *f, enum room_state room_state)
{
    struct store_room_put put = {
        .room = ROOM,
        .settings = room_settings_default(),
        .state = room_state,
        .control = {.list = LIST_HIGH, .type = STR("room.updated"), .body = STR("{}")},
        .now_ms = f->now_ms};
    put.settings.slow_mode_s = 99;
    assert_int_equal(store_room_put(f->stub->inner, &put, expect_put, NULL), OK);
    hub_pass(f, 2);
}

static void a_change_by_another_node_is_learned_from_its_message(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    put_elsewhere(f, ROOM_OPEN);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].record.settings.slow_mode_s, 99);
}

static void a_change_whose_news_were_lost_is_learned_by_the_fallback(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    f->stub->drops_news = true;
    put_elsewhere(f, ROOM_CLOSED);
    hub_pass(f, HUB_POLL_MS + 2);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].record.state, ROOM_CLOSED);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_ROOM_CLOSED);
}

/* The message came, the record could not be read just then: it must not stay unknown. */
static void a_change_whose_record_could_not_be_read_is_learned_later(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    f->stub->fail_call = f->stub->calls + 1;
    put_elsewhere(f, ROOM_OPEN);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].highs, 1);
    hub_pass(f, 2 * HUB_POLL_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].record.settings.slow_mode_s, 99);
}

static void a_closed_room_takes_no_message_and_no_change(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_CLOSE, 0)), OK);
    hub_pass(f, 2);
    hub_listen(f, 1);

    assert_int_equal(f->heard[1].highs, 1);
    assert_int_equal(f->heard[1].record.state, ROOM_CLOSED);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_ROOM_CLOSED);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_PUT, 0)), ERR_ROOM_CLOSED);
    assert_int_equal(hub_do(f, hub_make_call(CALL_SUBSCRIBE, 0)), OK);  /* but it can be read */
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_CLOSE, 0)), OK); /* again: nothing changes */
    hub_pass(f, 2);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].highs, 1);
}

/* Both find the room missing; whichever makes it, the settings that were asked for are kept. */
static void a_room_made_twice_at_once_keeps_its_settings(void **state)
{
    for (int put_first = 0; put_first <= 1; put_first++) {
        struct hub_fixture *f = *state;
        struct call *put = call_new(CALL_ROOM_PUT, put_first ? STR("dev/a") : STR("dev/b"));
        struct call *use = call_new(CALL_APPEND, str_of(put->room));
        struct message message = {.list = LIST_NORMAL, .type = STR("text"), .body = STR("1")};
        call_set_message(use, &message, STR_NONE);
        use->auto_create = true;
        put->patch.slow_mode_s = true;
        put->patch.settings.slow_mode_s = 30;
        hub_call(f->hub, put_first ? put : use, f->now_ms);
        hub_call(f->hub, put_first ? use : put, f->now_ms);
        hub_pass(f, 50);
        hub_listen(f, 0);
        struct call *get = hub_round_trip(f, call_new(CALL_ROOM_GET, str_of(put->room)));
        assert_int_equal(get->record.settings.slow_mode_s, 30);
        call_free(get);
        for (int i = 0; i < 2; i++) {
            struct call *home = CONTAINER_OF(list_take(&f->heard[0].calls), struct call, node);
            assert_int_equal(home->err, OK);
            call_free(home);
        }
    }
}

static struct call *make_list(const char *app_and_after, uint32_t limit)
{
    struct call *call = call_new(CALL_ROOM_LIST, str_of(app_and_after));
    call->limit = limit;
    call->items = calloc(limit, sizeof *call->items);
    assert_non_null(call->items);
    return call;
}

static void rooms_are_listed_by_page(void **state)
{
    struct hub_fixture *f = *state;
    const char *names[] = {"dev/a", "dev/b", "dev/c", "other/b"};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(hub_do(f, call_new(CALL_ROOM_PUT, str_of(names[i]))), OK);
    struct call *call = hub_round_trip(f, make_list("dev/", 2));

    assert_int_equal(call->item_count, 2);
    assert_string_equal(call->items[0].id, "a");
    assert_string_equal(call->items[1].id, "b");
    assert_true(call->more);
    call_free(call);
    call = hub_round_trip(f, make_list("dev/b", 2));
    assert_int_equal(call->item_count, 1);
    assert_string_equal(call->items[0].id, "c");
    assert_false(call->more);
    call_free(call);
}

static void a_ping_tells_whether_the_store_answers(void **state)
{
    struct hub_fixture *f = *state;

    assert_int_equal(hub_do(f, hub_make_call(CALL_PING, 0)), OK);
    f->stub->is_down = true;
    assert_int_equal(hub_do(f, hub_make_call(CALL_PING, 0)), ERR_STORE_UNAVAILABLE);
}

/* --- every call of the store fails once ------------------------------------------------------- */

/* All kinds of calls; false when one of them did not succeed. None may stay away. */
static bool all_kinds_succeed(struct hub_fixture *f)
{
    struct call *calls[] = {hub_make_call(CALL_ROOM_PUT, 0),
                            hub_make_call(CALL_SUBSCRIBE, 1),
                            hub_make_append("alice", LIST_HIGH, "1"),
                            hub_make_call(CALL_COLD, 1),
                            hub_make_call(CALL_HISTORY, 1),
                            hub_make_leave("alice"),
                            hub_make_call(CALL_ROOM_GET, 0),
                            make_list("dev/", 3),
                            hub_make_call(CALL_PING, 0),
                            hub_make_call(CALL_UNSUBSCRIBE, 1),
                            hub_make_call(CALL_ROOM_CLOSE, 0)};
    bool succeed = true;
    calls[2]->no_user_rate = true;
    call_set_frames(calls[3], 10);
    call_set_frames(calls[4], 10);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        if (hub_do(f, calls[i]) != OK) succeed = false;
    hub_pass(f, 3);
    return succeed;
}

static void each_call_of_the_store_may_fail_or_be_refused(void **state)
{
    bool succeeded = false;
    for (uint64_t nth = 1; !succeeded; nth++) {
        for (int refused = 0; refused < 2; refused++) {
            void *own;
            hub_fixture_setup(&own);
            struct hub_fixture *f = own;
            if (refused)
                f->stub->refuse_call = nth;
            else
                f->stub->fail_call = nth;
            all_kinds_succeed(f);
            succeeded = f->stub->calls < nth; /* it was never reached */
            assert_int_equal(hub_calls_under_way(f->hub), 0);
            hub_fixture_teardown(&own);
        }
        assert_true(nth < 100);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_fixture_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_user_sends_a_burst_and_then_at_a_rate),
        TEST(a_back_end_has_no_rate),
        TEST(waiting_long_gives_a_burst_and_no_more),
        TEST(slow_mode_holds_normal_messages_of_one_user),
        TEST(a_body_larger_than_the_rooms_limit_is_refused),
        TEST(the_rooms_quota_is_per_list_and_told),
        TEST(the_same_key_is_the_same_message),
        TEST(a_change_is_told_as_settings_and_as_a_high_message),
        TEST(a_change_by_another_node_is_learned_from_its_message),
        TEST(a_change_whose_news_were_lost_is_learned_by_the_fallback),
        TEST(a_change_whose_record_could_not_be_read_is_learned_later),
        TEST(a_closed_room_takes_no_message_and_no_change),
        TEST(a_room_made_twice_at_once_keeps_its_settings),
        TEST(rooms_are_listed_by_page),
        TEST(a_ping_tells_whether_the_store_answers),
        cmocka_unit_test(each_call_of_the_store_may_fail_or_be_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
