/* core/hub_roll_up.c, hub_roll_walk.c: what a hub tells a store that nodes share. */
#include <stdio.h>
#include <stdlib.h>

#include "core/hub_internal.h"
#include "unit/core_hub_shared.h"

#define SAID_MS (HUB_ROLL_GATHER_MS + 2) /* what was told is in the store by then */

static const struct hub_metrics *metrics(struct hub_fixture *f)
{
    return hub_metrics(f->hub);
}

/* --- comes and goes --------------------------------------------------------------------------- */

static void who_comes_and_goes_is_said_soon(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_tell(f, 1, PRESENCE_CAME, "bob");
    assert_int_equal(hub_stored(f), 0);
    hub_pass(f, SAID_MS);
    assert_int_equal(hub_stored(f), 2);
    assert_int_equal(f->stub->presence_puts, 1);
    hub_tell(f, 0, PRESENCE_LEFT, "alice");
    hub_pass(f, SAID_MS);
    assert_int_equal(hub_stored(f), 1);
    assert_int_equal(f->stub->presence_puts, 2);
}

static void who_flickers_is_said_once(void **state)
{
    struct hub_fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        hub_tell(f, 0, PRESENCE_CAME, "alice");
        hub_tell(f, 0, PRESENCE_LEFT, "alice");
    }
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, SAID_MS);
    assert_int_equal(f->stub->presence_users, 1);
    assert_int_equal(hub_stored(f), 1);
}

static void a_rush_goes_in_batches(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 10 * STORE_PRESENCE_MAX + 1);
    hub_pass(f, SAID_MS);
    assert_int_equal(f->stub->presence_largest, STORE_PRESENCE_MAX);
    assert_int_equal(f->stub->presence_puts, 11);
    assert_int_equal(hub_stored(f), 10 * STORE_PRESENCE_MAX + 1);
}

static void a_node_alone_says_nothing(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->store.is_shared = false;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    assert_int_equal(hub_do(f, hub_make_leave("alice")), OK);
    hub_pass(f, 3 * HUB_BEAT_MS);
    assert_int_equal(f->stub->presence_puts, 0);
}

static void who_leaves_by_themselves_is_at_no_node_any_more(void **state)
{
    struct hub_fixture *f = *state;
    hub_name_elsewhere(f, "there", 1, 2, false);
    hub_tell(f, 0, PRESENCE_CAME, "e1");
    hub_pass(f, SAID_MS);
    assert_int_equal(hub_stored(f), 1);
    assert_int_equal(hub_do(f, hub_make_leave("e1")), OK);
    hub_pass(f, SAID_MS);
    assert_int_equal(hub_stored(f), 0);
    hub_name_elsewhere(f, "there", 2, 3, false);
    assert_int_equal(hub_do(f, hub_make_leave("e2")), OK); /* who was never here */
    hub_tell(f, 0, PRESENCE_CAME, "e2");                   /* and comes at once */
    hub_pass(f, SAID_MS);
    assert_int_equal(hub_stored(f), 1);
}

/* They left here, are there again, and only then the store can be told that they left. */
static void who_has_come_back_elsewhere_stays(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "e1");
    hub_pass(f, SAID_MS);
    f->stub->is_away = true;
    assert_int_equal(hub_do(f, hub_make_leave("e1")), OK);
    hub_pass(f, 300);
    hub_name_elsewhere(f, "there", 1, 2, false);
    f->stub->is_away = false;
    hub_pass(f, 2 * HUB_ROLL_RETRY_MS);
    assert_int_equal(hub_stored(f), 1);
    assert_int_equal(counter_get(&metrics(f)->roll_up_waiting), 0);
}

/* --- who stays -------------------------------------------------------------------------------- */

static void who_stays_does_not_lapse(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 3000);
    hub_pass(f, SAID_MS);
    uint64_t said = f->stub->presence_users;
    for (int i = 0; i < 300; i++) {
        hub_pass(f, 1000);
        assert_int_equal(hub_stored(f), 3000);
    }
    said = f->stub->presence_users - said;
    assert_in_range(said, 14 * 3000, 15 * 3000); /* three times a minute at most */
}

/* The pages of a large room are spread over the time that a round has. */
static void a_large_room_does_not_beat_at_once(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 100 * STORE_PRESENCE_MAX);
    hub_pass(f, 2 * HUB_BEAT_MS);
    uint64_t most = 0;
    for (int64_t ms = 0; ms < HUB_BEAT_MS; ms += 100) {
        uint64_t before = f->stub->presence_users;
        hub_pass(f, 100);
        if (f->stub->presence_users - before > most) most = f->stub->presence_users - before;
    }
    assert_in_range(most, 1, 2 * STORE_PRESENCE_MAX);
}

static void who_rests_is_named_when_it_is_time(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "alice"); /* and lingers for very long */
    hub_pass(f, SAID_MS);
    hub_tell(f, 0, PRESENCE_RESTS, "alice");
    for (int i = 0; i < 200; i++) {
        hub_pass(f, 1000);
        assert_int_equal(hub_stored(f), 1);
    }
}

/* Who has left by another node is here until their linger is over; the walk does not bring them
 * back. */
static void who_rests_is_not_brought_back(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "e1");
    hub_pass(f, HUB_BEAT_MS);
    hub_tell(f, 0, PRESENCE_RESTS, "e1");
    struct store_present gone = {.user = STR("e1"), .seen_ms = f->now_ms, .is_gone = true};
    hub_put_elsewhere(f, NULL, gone);
    hub_pass(f, 10000);
    assert_int_equal(hub_stored(f), 0);
    hub_tell(f, 0, PRESENCE_LEFT, "e1");
    hub_pass(f, 2 * HUB_BEAT_MS);
    assert_int_equal(hub_stored(f), 0);
}

/* --- a store that fails ----------------------------------------------------------------------- */

static void what_was_not_taken_is_said_again(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->is_away = true;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_tell(f, 0, PRESENCE_CAME, "bob");
    hub_pass(f, 500);
    hub_tell(f, 0, PRESENCE_LEFT, "bob"); /* what is true by then */
    hub_pass(f, 500);
    f->stub->is_away = false;
    hub_pass(f, HUB_ROLL_RETRY_MS + SAID_MS);
    assert_int_equal(hub_stored(f), 1);
    assert_true(counter_get(&metrics(f)->roll_up_failed_total) > 0);
    assert_int_equal(counter_get(&metrics(f)->roll_up_waiting), 0);
}

/* Short enough for no outage, and so often that a page which were passed over would lapse. */
static void a_page_that_was_not_taken_is_walked_again(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 10000);
    hub_pass(f, SAID_MS);
    for (int i = 0; i < 1000; i++) {
        f->stub->is_away = i % 7 == 0;
        hub_pass(f, 200);
        if (i % 5 == 0) assert_int_equal(hub_stored(f), 10000);
    }
    assert_int_equal(counter_get(&metrics(f)->roll_up_again_total), 0);
}

static void an_outage_makes_batches_larger_and_not_more(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->is_down = true;
    for (int i = 0; i < 20; i++) {
        hub_come(f, 10 * i, 10 * i + 10);
        hub_pass(f, 300);
    }
    assert_int_equal(counter_get(&metrics(f)->roll_up_waiting), 1);
    f->stub->is_down = false;
    hub_pass(f, 2 * HUB_ROLL_RETRY_MS + SAID_MS);
    assert_int_equal(hub_stored(f), 200);
}

static void after_an_outage_everybody_is_said_again(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 3000);
    hub_pass(f, SAID_MS);
    f->stub->is_away = true;
    hub_pass(f, STORE_PRESENCE_TTL_MS + HUB_BEAT_MS); /* all have lapsed */
    store_dispatch(f->stub->inner, f->now_ms);
    assert_in_range(hub_stored(f), 0, 2999);
    f->stub->is_away = false;
    hub_pass(f, HUB_COUNT_MS + HUB_ROLL_RETRY_MS + HUB_BEAT_AGAIN_MS + 1000);
    assert_int_equal(hub_stored(f), 3000);
    assert_int_equal(counter_get(&metrics(f)->roll_up_again_total), 1);
}

/* More than may wait: they are dropped and counted, and who is here is said when the store is back. */
static void too_many_who_wait_are_dropped(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->is_away = true;
    f->hub->roll_up.held_bytes = LIMIT_PRESENCE_WAITING_BYTES; /* of other rooms */
    hub_come(f, 0, STORE_PRESENCE_MAX);
    assert_int_equal(counter_get(&metrics(f)->roll_up_dropped_total), STORE_PRESENCE_MAX);
    assert_int_equal(counter_get(&metrics(f)->roll_up_waiting), 0);
    f->hub->roll_up.held_bytes -= LIMIT_PRESENCE_WAITING_BYTES;
    f->stub->is_away = false;
    hub_pass(f, 2 * HUB_COUNT_MS + HUB_BEAT_AGAIN_MS);
    assert_int_equal(hub_stored(f), STORE_PRESENCE_MAX);
    assert_int_equal(f->hub->roll_up.held_bytes, 0);
}

static void a_stalled_store_gets_no_more_than_it_may(void **state)
{
    struct hub_fixture *f = *state;
    f->stub->is_stalled = true;
    struct call *call = hub_make_call(CALL_PRESENCE, 0);
    char user[16];
    for (int i = 0; i < 200 * STORE_PRESENCE_MAX; i++) {
        snprintf(user, sizeof user, "u%d", i);
        presence_write(&call->text, PRESENCE_CAME, str_of(user));
    }
    assert_int_equal(hub_do(f, call), OK);
    hub_pass(f, 2 * HUB_BEAT_MS);
    assert_int_equal(f->stub->presence_puts, HUB_ROLL_AT_ONCE);
    f->stub->is_stalled = false;
    hub_pass(f, 1000);
    assert_int_equal(hub_stored(f), 200 * STORE_PRESENCE_MAX);
}

static void a_node_that_stops_takes_its_users_along(void **state)
{
    struct hub_fixture *f = *state;
    hub_come(f, 0, 3000);
    hub_pass(f, SAID_MS);
    hub_tell(f, 0, PRESENCE_LEFT, "u1");
    hub_tell(f, 0, PRESENCE_CAME, "last");
    f->stub->is_closing = true;
    hub_flush(f->hub, f->now_ms);
    store_dispatch(f->stub->inner, f->now_ms);
    assert_int_equal(hub_stored(f), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_shared_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(who_comes_and_goes_is_said_soon),
        TEST(who_flickers_is_said_once),
        TEST(a_rush_goes_in_batches),
        TEST(a_node_alone_says_nothing),
        TEST(who_leaves_by_themselves_is_at_no_node_any_more),
        TEST(who_has_come_back_elsewhere_stays),
        TEST(who_stays_does_not_lapse),
        TEST(a_large_room_does_not_beat_at_once),
        TEST(who_rests_is_named_when_it_is_time),
        TEST(who_rests_is_not_brought_back),
        TEST(what_was_not_taken_is_said_again),
        TEST(a_page_that_was_not_taken_is_walked_again),
        TEST(an_outage_makes_batches_larger_and_not_more),
        TEST(after_an_outage_everybody_is_said_again),
        TEST(too_many_who_wait_are_dropped),
        TEST(a_stalled_store_gets_no_more_than_it_may),
        TEST(a_node_that_stops_takes_its_users_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
