/* core/hub_head_count.c: how many there are over all nodes, as the store says, and what the hub makes of
 * it: for readers, for those who ask, for full rooms, the history and the pace. */
#include <stdio.h>
#include <stdlib.h>

#include "core/hub_internal.h"
#include "unit/core_hub_shared.h"

#define SAID_MS (HUB_ROLL_GATHER_MS + 2) /* what was told is in the store by then */

static struct hub_room *room_of(struct hub_fixture *f)
{
    return hub_room_get(f->hub, ROOM);
}

/* --- the count -------------------------------------------------------------------------------- */

static void readers_are_told_the_shared_count(void **state)
{
    struct hub_fixture *f = *state;
    hub_name_elsewhere(f, "there", 0, 40, false);
    hub_pass(f, HUB_COUNT_MS + HUB_COUNT_MS / 10 + 2);
    assert_int_equal(hub_told(f), 40);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_tell(f, 0, PRESENCE_CAME, "e1"); /* who is at both counts once */
    hub_pass(f, SAID_MS + HUB_COUNT_GAP_MS + HUB_ONLINE_MS);
    assert_int_equal(hub_told(f), 41);
    hub_name_elsewhere(f, "there", 0, 40, true);
    hub_pass(f, HUB_COUNT_MS + HUB_COUNT_MS / 10 + HUB_ONLINE_MS);
    assert_int_equal(hub_told(f), 2);
}

static void the_count_is_never_less_than_who_is_here(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->is_down = true;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    assert_int_equal(hub_told(f), 1);
    hub_come(f, 0, 9);
    hub_pass(f, HUB_ONLINE_MS);
    assert_int_equal(hub_told(f), 10);
}

static void a_store_that_cannot_say_leaves_the_last_count(void **state)
{
    struct hub_fixture *f = *state;
    hub_name_elsewhere(f, "there", 0, 40, false);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, 3 * HUB_COUNT_MS);
    assert_int_equal(hub_told(f), 41);
    f->stub->is_down = true;
    int64_t since_ms = f->now_ms;
    hub_pass(f, STORE_PRESENCE_TTL_MS - 2 * HUB_COUNT_MS - 500);
    assert_int_equal(hub_told(f), 41);
    struct call *call = hub_round_trip(f, hub_make_call(CALL_ONLINE, 0));
    assert_int_equal(call->err, OK);
    assert_int_equal(call->online, 41);
    assert_true(call->as_of_ms <= since_ms);
    call_free(call);
    hub_pass(f, 4 * HUB_COUNT_MS);
    assert_int_equal(hub_told(f), 1);
    f->stub->is_down = false;
    hub_pass(f, 2 * HUB_COUNT_MS);
    assert_true(hub_told(f) >= 1);
}

static void a_store_that_never_answers_is_given_up(void **state)
{
    struct hub_fixture *f = *state;
    hub_name_elsewhere(f, "there", 0, 40, false);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, 3 * HUB_COUNT_MS);
    f->stub->is_stalled = true;
    hub_pass(f, STORE_PRESENCE_TTL_MS + 2 * HUB_COUNT_MS);
    assert_int_equal(hub_told(f), 1);
}

static void a_change_of_a_small_room_is_asked_for_soon(void **state)
{
    struct hub_fixture *f = *state;
    hub_name_elsewhere(f, "there", 0, 2, false);
    hub_pass(f, 2 * HUB_COUNT_MS);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, 2 * HUB_COUNT_MS);
    assert_int_equal(hub_told(f), 3);
    hub_tell(f, 0, PRESENCE_LEFT, "alice");
    hub_pass(f, SAID_MS + HUB_COUNT_GAP_MS);
    assert_int_equal(hub_told(f), 2);
}

/* One that many nodes share may be a while old: then the next is asked for when there is one. */
static void an_old_count_is_asked_for_again_when_it_is_due(void **state)
{
    struct hub_fixture *f = *state;
    hub_pass(f, 2 * HUB_COUNT_MS);
    f->stub->count_age_ms = 1500;
    hub_pass(f, HUB_COUNT_MS);
    uint64_t before = f->stub->presence_counts;
    hub_pass(f, 7000);
    assert_in_range(f->stub->presence_counts - before, 10, 14);
}

static void nobody_asks_for_a_room_without_anybody(void **state)
{
    struct hub_fixture *f = *state;
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, 2 * HUB_COUNT_MS);
    uint64_t before = f->stub->presence_counts;
    hub_pass(f, 10 * HUB_COUNT_MS);
    assert_int_equal(f->stub->presence_counts, before);
    hub_subscribe(f, 1); /* and the next one is told what is true by now */
    hub_name_elsewhere(f, "there", 0, 4, false);
    hub_pass(f, 2 * HUB_COUNT_MS);
    hub_listen(f, 1);
    assert_int_equal(f->heard[1].online, 4);
}

static void questions_of_many_rooms_are_bounded(void **state)
{
    struct hub_fixture *f = *state;
    f->hub->head_counts_at_store = HUB_COUNTS_AT_ONCE; /* of other rooms */
    uint64_t before = f->stub->presence_counts;
    hub_pass(f, 3 * HUB_COUNT_MS);
    assert_int_equal(f->stub->presence_counts, before);
    f->hub->head_counts_at_store = 0;
    hub_pass(f, HUB_COUNT_MS);
    assert_true(f->stub->presence_counts > before);
}

/* --- who asks --------------------------------------------------------------------------------- */

static uint64_t ask(struct hub_fixture *f, enum call_kind kind, int64_t *ret_as_of_ms)
{
    struct call *call = hub_round_trip(f, hub_make_call(kind, 0));
    assert_int_equal(call->err, OK);
    uint64_t online = call->online;
    if (ret_as_of_ms != NULL) *ret_as_of_ms = call->as_of_ms;
    call_free(call);
    return online;
}

static void who_asks_is_told_the_count_of_all_nodes(void **state)
{
    struct hub_fixture *f = *state;
    int64_t as_of_ms;
    hub_name_elsewhere(f, "there", 0, 5, false);
    hub_pass(f, 2 * HUB_COUNT_MS);
    f->stub->count_age_ms = 1200;
    hub_pass(f, HUB_COUNT_MS);
    assert_int_equal(ask(f, CALL_ONLINE, &as_of_ms), 5);
    assert_in_range(f->now_ms - as_of_ms, 1200, 1200 + HUB_COUNT_MS);
    assert_int_equal(ask(f, CALL_ROOM_GET, NULL), 5);
}

static void a_room_that_nobody_uses_here_is_asked_of_the_store(void **state)
{
    struct hub_fixture *f = *state;
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, HUB_IDLE_MS + HUB_POLL_IDLE_MS);
    assert_null(room_of(f));
    hub_name_elsewhere(f, "there", 0, 5, false);
    assert_int_equal(ask(f, CALL_ONLINE, NULL), 5);
    assert_int_equal(ask(f, CALL_ROOM_GET, NULL), 5);
    struct call *call = hub_make_call(CALL_ROOM_LIST, 0);
    snprintf(call->room, sizeof call->room, "dev/");
    call->limit = 10;
    call->items = calloc(10, sizeof *call->items);
    call = hub_round_trip(f, call);
    assert_int_equal(call->item_count, 1);
    assert_int_equal(call->items[0].online, 5);
    call_free(call);
    assert_null(room_of(f));
    f->stub->fail_call = f->stub->calls + 2;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ONLINE, 0)), ERR_STORE_UNAVAILABLE);
    f->stub->fail_call = f->stub->calls + 2; /* a room is told without it */
    assert_int_equal(ask(f, CALL_ROOM_GET, NULL), 0);
}

static void a_list_counts_all_its_rooms(void **state)
{
    struct hub_fixture *f = *state;
    for (int i = 0; i < 80; i++) {
        struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
        snprintf(put->room, sizeof put->room, "dev/room-%02d", i);
        assert_int_equal(hub_do(f, put), OK);
    }
    struct call *call = hub_make_call(CALL_ROOM_LIST, 0);
    snprintf(call->room, sizeof call->room, "dev/");
    call->limit = 100;
    call->items = calloc(100, sizeof *call->items);
    uint64_t before = f->stub->presence_counts;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    assert_int_equal(call->item_count, 81);
    assert_int_equal(f->stub->presence_counts - before, 80); /* the lobby's is known */
    call_free(call);
    call = hub_make_call(CALL_ROOM_LIST, 0);
    snprintf(call->room, sizeof call->room, "dev/");
    call->limit = 100;
    call->items = calloc(100, sizeof *call->items);
    f->stub->fail_call = f->stub->calls + 10;
    f->stub->refuse_call = f->stub->calls + 50;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    call_free(call);
}

static void the_list_of_users_is_the_stores(void **state)
{
    struct hub_fixture *f = *state;
    char after[LIMIT_USER_ID + 1] = "";
    int users = 0, pages = 0;
    hub_name_elsewhere(f, "there", 0, 7, false);
    hub_come(f, 0, 8);
    hub_pass(f, SAID_MS);
    for (bool more = true; more; pages++) {
        struct call *call = hub_make_call(CALL_ONLINE_USERS, 0);
        struct presence_user user;
        call->limit = 4;
        call_set_query(call, str_of(after), STR_NONE);
        call = hub_round_trip(f, call);
        assert_int_equal(call->err, OK);
        struct str found = buf_str(&call->found);
        for (; online_user_read(&found, &user); users++) assert_true(user.since_ms > 0);
        more = call->more;
        str_copy(call->after, after, sizeof after);
        call_free(call);
    }
    assert_int_equal(users, 15);
    assert_int_equal(pages, 4);
    struct call *call = hub_make_call(CALL_ONLINE_USERS, 0);
    call->limit = 4;
    f->stub->fail_call = f->stub->calls + 1;
    assert_int_equal(hub_do(f, call), ERR_STORE_UNAVAILABLE);
}

/* --- full rooms ------------------------------------------------------------------------------- */

static void limit_room(struct hub_fixture *f, uint32_t max_online)
{
    struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
    put->patch.max_online = true;
    put->patch.settings.max_online = max_online;
    assert_int_equal(hub_do(f, put), OK);
}

static uint32_t taken(struct hub_fixture *f, int from, int to)
{
    uint32_t count = 0;
    for (int i = from; i < to; i++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", i);
        struct call *call = hub_make_call(CALL_PRESENCE, 0);
        presence_write(&call->text, PRESENCE_CAME, str_of(user));
        call = hub_round_trip(f, call);
        if (call->found.len == 0) count++;
        call_free(call);
    }
    return count;
}

static void a_full_room_is_full_over_all_nodes(void **state)
{
    struct hub_fixture *f = *state;
    limit_room(f, 10);
    hub_name_elsewhere(f, "there", 0, 6, false);
    hub_pass(f, 2 * HUB_COUNT_MS);
    assert_int_equal(taken(f, 0, 8), 4);
    hub_pass(f, 2 * HUB_COUNT_MS);
    assert_int_equal(taken(f, 8, 10), 0);
    hub_tell(f, 0, PRESENCE_LEFT, "u0"); /* their place is free at once */
    assert_int_equal(taken(f, 8, 10), 1);
    hub_name_elsewhere(f, "there", 0, 6, true);
    hub_pass(f, 2 * HUB_COUNT_MS);
    assert_int_equal(taken(f, 20, 40), 6);
}

/* Before the first answer nobody is taken by guess. */
static void a_room_with_a_limit_awakes_with_its_count(void **state)
{
    struct hub_fixture *f = *state;
    limit_room(f, 10);
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, HUB_IDLE_MS + HUB_POLL_IDLE_MS);
    assert_null(room_of(f));
    hub_name_elsewhere(f, "there", 0, 10, false);
    assert_int_equal(taken(f, 0, 1), 0);
    hub_pass(f, 2 * HUB_IDLE_MS); /* a store that cannot say does not keep it from awaking */
    assert_null(room_of(f));
    f->stub->fail_call = f->stub->calls + 4; /* record, two lists, count */
    assert_int_equal(taken(f, 0, 1), 1);
}

/* --- history and the pace --------------------------------------------------------------------- */

static void samples_are_of_the_whole_room(void **state)
{
    struct hub_fixture *f = *state;
    hub_pass(f, SAMPLE_MS - f->now_ms % SAMPLE_MS);
    hub_name_elsewhere(f, "there", 0, 5, false);
    hub_pass(f, 2 * HUB_COUNT_MS);
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    int64_t came_ms = f->now_ms, minute_ms = sample_step(f->now_ms, SAMPLE_MS);
    for (int i = 0; i < 5; i++) { /* the others are named by their node */
        hub_pass(f, 13000);
        hub_name_elsewhere(f, "there", 0, 5, false);
    }
    struct call *call = hub_make_call(CALL_SAMPLES, 0);
    call->from_ms = minute_ms;
    call->to_ms = minute_ms + SAMPLE_MS;
    call->step_ms = SAMPLE_MS;
    call->limit = 10;
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    assert_int_equal(call->sample_count, 1);
    const struct sample *sample = &call->samples[0];
    assert_int_equal(sample->online_peak, 6);
    assert_int_equal(sample->joins, 1);
    uint64_t whole_ms = 6 * (uint64_t)(minute_ms + SAMPLE_MS - came_ms);
    assert_in_range(sample->online_ms, whole_ms - 2000, whole_ms);
    call_free(call);
}

/* Names while they tell something, then the sketch of all. */
static void a_large_room_gives_sketches(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 9000);
    hub_pass(f, HUB_VIEWERS_FLUSH_MS + 1000);
    assert_int_equal(f->stub->merges, 0);
    uint64_t adds = f->stub->adds;
    assert_in_range(adds, 9, 10);
    hub_come(f, 9000, 13000);
    hub_pass(f, HUB_VIEWERS_FLUSH_MS + 1000);
    assert_int_equal(f->stub->merges, 1);
    hub_come(f, 13000, 13000 + HUB_SKETCH_COST); /* a few names are less than a sketch */
    hub_pass(f, HUB_VIEWERS_FLUSH_MS + 1000);
    assert_int_equal(f->stub->merges, 1);
    assert_int_equal(f->stub->adds, adds + 1);
    struct call *call = hub_round_trip(f, hub_make_call(CALL_VIEWERS, 0));
    assert_false(call->viewers.exact);
    assert_in_range(call->viewers.unique, 13064 * 96 / 100, 13064 * 104 / 100);
    call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_shared_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(readers_are_told_the_shared_count),
        TEST(the_count_is_never_less_than_who_is_here),
        TEST(a_store_that_cannot_say_leaves_the_last_count),
        TEST(a_store_that_never_answers_is_given_up),
        TEST(a_change_of_a_small_room_is_asked_for_soon),
        TEST(an_old_count_is_asked_for_again_when_it_is_due),
        TEST(nobody_asks_for_a_room_without_anybody),
        TEST(questions_of_many_rooms_are_bounded),
        TEST(who_asks_is_told_the_count_of_all_nodes),
        TEST(a_room_that_nobody_uses_here_is_asked_of_the_store),
        TEST(a_list_counts_all_its_rooms),
        TEST(the_list_of_users_is_the_stores),
        TEST(a_full_room_is_full_over_all_nodes),
        TEST(a_room_with_a_limit_awakes_with_its_count),
        TEST(samples_are_of_the_whole_room),
        TEST(a_large_room_gives_sketches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
