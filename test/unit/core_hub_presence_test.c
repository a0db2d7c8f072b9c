/* core/hub_presence.c, hub_online.c: who is here, what readers are told of it, whom a full room
 * takes, and the list of users. */
#include <stdio.h>
#include <stdlib.h>

#include "core/hub_internal.h"
#include "unit/core_hub_fixture.h"

/* --- the count -------------------------------------------------------------------------------- */

static uint64_t online(struct hub_fixture *f)
{
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ROOM_GET, 0));
    uint64_t count = call->online;
    assert_int_equal(call->err, OK);
    call_free(call);
    return count;
}

static void the_first_and_the_last_are_told_at_once(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);

    for (int i = 1; i <= 3; i++) {
        hub_tell(f, 1, PRESENCE_CAME, "alice");
        assert_int_equal(f->heard[0].online, 1);
        hub_tell(f, 1, PRESENCE_LEFT, "alice");
        assert_int_equal(f->heard[0].online, 0);
        assert_int_equal(f->heard[0].onlines, 2 * i);
    }
}

static void other_changes_are_told_once_a_second(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "bob");
    hub_tell(f, 1, PRESENCE_CAME, "carol");

    assert_int_equal(f->heard[0].online, 1);
    assert_int_equal(online(f), 3); /* who asks is told what is true */
    hub_pass(f, HUB_ONLINE_MS - 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].online, 1);
    hub_pass(f, 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].online, 3);
    assert_int_equal(f->heard[0].onlines, 2);
}

static void a_count_that_came_back_to_what_was_told_is_not_told(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "bob");
    hub_tell(f, 1, PRESENCE_LEFT, "bob");
    hub_pass(f, 3 * HUB_ONLINE_MS);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].onlines, 1);
}

static void a_user_at_two_workers_is_one(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "alice"); /* twice is once */
    assert_int_equal(online(f), 1);
    hub_tell(f, 1, PRESENCE_LEFT, "alice");
    assert_int_equal(online(f), 1);
    hub_tell(f, 2, PRESENCE_LEFT, "alice"); /* never was there */
    assert_int_equal(online(f), 1);
    hub_tell(f, 0, PRESENCE_LEFT, "alice");
    assert_int_equal(online(f), 0);
}

static void a_worker_that_unsubscribes_takes_its_users_along(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 1);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "bob");
    hub_tell(f, 0, PRESENCE_CAME, "bob");
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 1)), OK);
    assert_int_equal(online(f), 1);
}

static void who_leaves_is_gone_from_every_worker(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    for (uint16_t i = 0; i < HUB_WORKERS; i++) hub_subscribe(f, i);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 2, PRESENCE_CAME, "alice");
    assert_int_equal(hub_do(f, hub_make_leave("alice")), OK);
    for (uint16_t i = 0; i < HUB_WORKERS; i++) hub_listen(f, i);

    assert_int_equal(online(f), 0);
    assert_int_equal(f->heard[0].leaves, 0);
    assert_int_equal(f->heard[0].leaves_ahead, 1); /* it may have them, and be about to say so */
    assert_int_equal(f->heard[1].leaves, 1);
    assert_int_equal(f->heard[1].leaves_ahead, 0);
    assert_string_equal(f->heard[2].left, "alice");
    assert_int_equal(f->heard[0].online, 0);
    assert_int_equal(hub_do(f, hub_make_leave("alice")), OK); /* again, and nobody has them */
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].leaves, 1);
}

/* Word of resting, and of being back, may cross with the note that the user has left: the worker
 * then forgets them, and would never say that they are gone. */
static void word_of_who_has_left_meanwhile_brings_nobody_back(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    assert_int_equal(hub_do(f, hub_make_leave("alice")), OK);
    hub_tell(f, 1, PRESENCE_RESTS, "alice");
    assert_int_equal(online(f), 0);
    hub_tell(f, 1, PRESENCE_BACK, "alice");
    assert_int_equal(online(f), 0);
}

/* A worker that cannot be told still holds the user, and does not say again that they are here:
 * until it lets go by itself they count, or a user who stayed would be missing for ever. */
static void who_leaves_stays_where_that_cannot_be_told(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 1);
    hub_subscribe(f, 2);
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_tell(f, 2, PRESENCE_CAME, "alice");
    hub_clog(f, 2, 0);
    assert_int_equal(hub_do(f, hub_make_leave("alice")), OK);
    assert_int_equal(online(f), 1);
    hub_tell(f, 2, PRESENCE_LEFT, "alice"); /* the linger is over */
    assert_int_equal(online(f), 0);
}

/* Nothing of that kind is left over by a worker as it is; if it were, no call would pay for it. */
static void what_a_gone_worker_holds_is_forgotten_a_part_at_a_time(void **state)
{
    struct hub_fixture *f = *state;
    struct call *call = hub_make_call(CALL_PRESENCE, 1);
    hub_create_room(f);
    hub_subscribe(f, 0);
    hub_subscribe(f, 1);
    for (int i = 0; i < 3 * HUB_SCAN; i++) {
        char user[24];
        snprintf(user, sizeof user, "user-%d", i);
        presence_write(&call->text, PRESENCE_CAME, str_of(user));
    }
    assert_int_equal(hub_do(f, call), OK);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 1)), OK);
    assert_in_range(online(f), 2 * HUB_SCAN + 1, 2 * HUB_SCAN + 2);
    hub_pass(f, 4 * HUB_POLL_MS);
    assert_int_equal(online(f), 1);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->online_users), 1);
}

/* --- full rooms ------------------------------------------------------------------------------- */

static void limit_room(struct hub_fixture *f, uint32_t max_online)
{
    struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
    put->patch.max_online = true;
    put->patch.settings.max_online = max_online;
    assert_int_equal(hub_do(f, put), OK);
}

/* One event; false: the room did not take the user. */
static bool is_taken(struct hub_fixture *f, uint16_t worker, enum presence_event event,
                     const char *user)
{
    struct call *call = hub_make_call(CALL_PRESENCE, worker);
    presence_write(&call->text, event, str_of(user));
    call = hub_round_trip(f, call);
    struct str found = buf_str(&call->found), refused;
    enum presence_event refused_event;
    bool taken = !presence_read(&found, &refused_event, &refused);
    if (!taken) assert_true(str_eq(refused, str_of(user)));
    call_free(call);
    return taken;
}

static void a_full_room_takes_nobody_new(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    limit_room(f, 2);
    assert_true(is_taken(f, 0, PRESENCE_CAME, "alice"));
    assert_true(is_taken(f, 1, PRESENCE_CAME, "bob"));
    assert_false(is_taken(f, 2, PRESENCE_CAME, "carol"));
    hub_tell(f, 2, PRESENCE_RESTS, "carol"); /* before it heard of that */
    assert_int_equal(online(f), 2);
    assert_true(is_taken(f, 0, PRESENCE_LEFT, "carol"));
    assert_true(is_taken(f, 1, PRESENCE_LEFT, "bob"));
    assert_true(is_taken(f, 2, PRESENCE_CAME, "carol"));
    assert_int_equal(online(f), 2);
}

static void who_is_in_a_full_room_may_come_by_another_worker(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    limit_room(f, 1);
    assert_true(is_taken(f, 0, PRESENCE_CAME, "alice"));
    assert_true(is_taken(f, 1, PRESENCE_CAME, "alice"));
    assert_true(is_taken(f, 0, PRESENCE_LEFT, "alice"));
    assert_true(is_taken(f, 2, PRESENCE_CAME, "alice")); /* still at 1 */
    assert_false(is_taken(f, 0, PRESENCE_CAME, "bob"));
    assert_int_equal(online(f), 1);
}

static void a_room_that_is_made_smaller_keeps_those_who_are_in(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_tell(f, 0, PRESENCE_CAME, "bob");
    limit_room(f, 1);
    assert_int_equal(online(f), 2);
    assert_true(is_taken(f, 1, PRESENCE_CAME, "bob"));
    assert_false(is_taken(f, 1, PRESENCE_CAME, "carol"));
}

/* --- who asks --------------------------------------------------------------------------------- */

static struct call *ask_users(struct hub_fixture *f, struct str after, struct str prefix,
                              uint32_t limit)
{
    struct call *call = hub_make_call(CALL_ONLINE_USERS, 0);
    call->limit = limit;
    call_set_query(call, after, prefix);
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    return call;
}

static struct presence_user only_user(const struct call *call)
{
    struct str users = buf_str(&call->found);
    struct presence_user user = {0};
    assert_true(online_user_read(&users, &user));
    assert_int_equal(users.len, 0);
    return user;
}

static void the_count_is_told_with_its_time(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    for (int is_active = 0; is_active < 2; is_active++) {
        struct call *call = hub_round_trip(f, hub_make_call(CALL_ONLINE, 0));
        assert_int_equal(call->err, OK);
        assert_int_equal(call->online, is_active);
        assert_int_equal(call->as_of_ms, f->now_ms);
        call_free(call);
        hub_tell(f, 0, PRESENCE_CAME, "alice");
    }
}

static void a_room_in_memory_is_not_asked_of_the_store(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    uint64_t calls = f->stub->calls;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE, 0)), OK);
    call_free(ask_users(f, STR_NONE, STR_NONE, 10));
    assert_int_equal(f->stub->calls, calls);
}

static void nobody_is_in_a_room_that_nobody_made(void **state)
{
    struct hub_fixture *f = *state;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE, 0)), ERR_ROOM_NOT_FOUND);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE_USERS, 0)), ERR_ROOM_NOT_FOUND);
    f->stub->refuse_call = f->stub->calls + 1;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE, 0)), ERR_OVERLOADED);
    f->stub->fail_call = f->stub->calls + 1;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE, 0)), ERR_STORE_UNAVAILABLE);
    hub_create_room(f);
    struct call *call = ask_users(f, STR_NONE, STR_NONE, 10);
    assert_int_equal(call->found.len, 0);
    assert_false(call->more);
    call_free(call);
}

static void a_user_is_listed_with_since_and_seen(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    int64_t came_ms = f->now_ms;
    hub_tell(f, 1, PRESENCE_CAME, "alice");
    hub_pass(f, 30000);
    struct call *call = ask_users(f, STR_NONE, STR_NONE, 10);
    assert_true(str_eq(only_user(call).user, STR("alice")));
    assert_in_range(only_user(call).since_ms, came_ms, came_ms + 1);
    assert_int_equal(only_user(call).seen_ms, f->now_ms);
    call_free(call);
    hub_tell(f, 1, PRESENCE_RESTS, "alice");
    int64_t seen_ms = f->now_ms - PRESENCE_REST_MS;
    hub_pass(f, 5000);
    call = ask_users(f, STR_NONE, STR_NONE, 10);
    assert_in_range(only_user(call).seen_ms, seen_ms, seen_ms + 1);
    call_free(call);
}

static void pages_follow_each_other_behind_the_last(void **state)
{
    struct hub_fixture *f = *state;
    char after[LIMIT_USER_ID + 1] = "";
    int told = 0, pages = 0;
    hub_create_room(f);
    for (int i = 0; i < 25; i++) {
        char user[24];
        snprintf(user, sizeof user, "user-%d", i);
        hub_tell(f, 0, PRESENCE_CAME, user);
    }
    for (bool more = true; more; pages++) {
        struct call *call = ask_users(f, str_of(after), STR_NONE, 10);
        struct str users = buf_str(&call->found);
        struct presence_user user;
        while (online_user_read(&users, &user)) told++;
        more = call->more;
        if (more) str_copy(call->after, after, sizeof after);
        call_free(call);
    }
    assert_int_equal(told, 25);
    assert_int_equal(pages, 3);
    struct call *call = ask_users(f, STR_NONE, STR("user-24"), 10);
    assert_true(str_eq(only_user(call).user, STR("user-24")));
    call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_fixture_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_first_and_the_last_are_told_at_once),
        TEST(other_changes_are_told_once_a_second),
        TEST(a_count_that_came_back_to_what_was_told_is_not_told),
        TEST(a_user_at_two_workers_is_one),
        TEST(a_worker_that_unsubscribes_takes_its_users_along),
        TEST(who_leaves_is_gone_from_every_worker),
        TEST(word_of_who_has_left_meanwhile_brings_nobody_back),
        TEST(who_leaves_stays_where_that_cannot_be_told),
        TEST(what_a_gone_worker_holds_is_forgotten_a_part_at_a_time),
        TEST(a_full_room_takes_nobody_new),
        TEST(who_is_in_a_full_room_may_come_by_another_worker),
        TEST(a_room_that_is_made_smaller_keeps_those_who_are_in),
        TEST(the_count_is_told_with_its_time),
        TEST(a_room_in_memory_is_not_asked_of_the_store),
        TEST(nobody_is_in_a_room_that_nobody_made),
        TEST(a_user_is_listed_with_since_and_seen),
        TEST(pages_follow_each_other_behind_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
