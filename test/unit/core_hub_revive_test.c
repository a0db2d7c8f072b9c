/* core/hub_revive.c: the store is emptied while a room is in use. */
#include <stdlib.h>

#include "core/hub_internal.h"
#include "unit/core_hub_fixture.h"

static int setup(void **state)
{
    int err = hub_fixture_setup_shared(state);
    if (err != 0) return err;
    struct hub_fixture *f = *state;
    hub_create_room(f);
    hub_subscribe(f, 0);
    for (int i = 0; i < 3; i++) {
        hub_append(f, LIST_HIGH);
        hub_append(f, LIST_NORMAL);
    }
    hub_pass(f, 1);
    hub_listen(f, 0);
    return 0;
}

static void lose(struct hub_fixture *f)
{
    stub_store_lose_all(f->stub, &f->store_config);
}

static const struct hub_room *room_of(struct hub_fixture *f)
{
    return hub_room_get(f->hub, ROOM);
}

static uint64_t revived(struct hub_fixture *f)
{
    return counter_get(&hub_metrics(f->hub)->rooms_revived_total);
}

static void tails_of(struct hub_fixture *f, struct store_tail ret[LIST_KINDS])
{
    for (int list = 0; list < LIST_KINDS; list++)
        ret[list] =
            (struct store_tail){room_of(f)->feeds[list].tail, room_of(f)->feeds[list].tail_ordinal};
}

/* --- who notices ------------------------------------------------------------------------------ */

static void an_append_puts_the_room_again(void **state)
{
    struct hub_fixture *f = *state;
    struct store_tail before[LIST_KINDS];
    tails_of(f, before);
    lose(f);
    uint64_t id = hub_append(f, LIST_NORMAL);
    hub_pass(f, 2 * HUB_POLL_MS);
    hub_listen(f, 0);

    assert_int_equal(f->heard[0].restarts, 0);
    assert_int_equal(f->heard[0].normals, 4);
    assert_int_equal(f->heard[0].normal[3], id);
    const struct frame *frame = feed_at(&room_of(f)->feeds[LIST_NORMAL], 3);
    assert_int_equal(frame->prev, before[LIST_NORMAL].id); /* nobody at the tail sees a gap */
    assert_int_equal(frame->ordinal, before[LIST_NORMAL].ordinal + 1);
    assert_int_equal(revived(f), 1);
}

/* The copies stay: who is behind, but not further than they reach, loses nothing. */
static void a_fallback_poll_puts_the_room_again(void **state)
{
    struct hub_fixture *f = *state;
    struct store_tail before[LIST_KINDS], after[LIST_KINDS];
    tails_of(f, before);
    lose(f);
    hub_pass(f, HUB_POLL_MS + 1);
    hub_listen(f, 0);

    tails_of(f, after);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(f->heard[0].restarts, 0);
    assert_int_equal(room_of(f)->feeds[LIST_HIGH].count, 3);
    assert_int_equal(revived(f), 1);
    hub_pass(f, 5 * HUB_POLL_MS); /* and that was that */
    assert_int_equal(revived(f), 1);
}

static void whoever_asks_for_the_room_finds_it(void **state)
{
    struct hub_fixture *f = *state;
    lose(f);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_GET, 0)), OK);
    assert_int_equal(revived(f), 1);
}

static void a_change_of_it_is_a_change_of_what_it_was(void **state)
{
    struct hub_fixture *f = *state;
    struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
    lose(f);
    put->patch.slow_mode_s = true;
    put->patch.settings.slow_mode_s = 7;
    put = hub_round_trip(f, put);

    assert_int_equal(put->err, OK);
    assert_false(put->created);
    assert_int_equal(put->record.settings.slow_mode_s, 7);
    assert_int_equal(put->record.settings.normal_per_s, 0); /* the fixture's, not the default */
    call_free(put);
    hub_pass(f, 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].record.settings.slow_mode_s, 7);
}

/* The store counts versions from 1 again; a hub that holds a higher one goes with it. */
static void changes_after_it_are_heard_of(void **state)
{
    struct hub_fixture *f = *state;
    for (uint32_t i = 1; i <= 5; i++) {
        struct call *put = hub_make_call(CALL_ROOM_PUT, 0);
        put->patch.slow_mode_s = true;
        put->patch.settings.slow_mode_s = i;
        assert_int_equal(hub_do(f, put), OK);
    }
    struct store_tail tails[LIST_KINDS];
    tails_of(f, tails);
    f->now_ms++; /* it is made later than it was */
    lose(f);
    hub_create_elsewhere(f, tails);
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_GET, 0)), OK);
    assert_int_equal(room_of(f)->record.version, 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].record.settings.slow_mode_s, 0);
}

static void viewers_and_samples_put_it_again_too(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, 6000);
    lose(f);
    struct call *call = hub_make_call(CALL_VIEWERS, 0);
    hub_tell(f, 0, PRESENCE_CAME, "bob");
    hub_pass(f, 20000);
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    assert_int_equal(call->viewers.unique, 2); /* who is still here was here, by the store's word */
    call_free(call);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->viewers_dropped_total), 0);
}

static void who_is_here_is_said_again(void **state)
{
    struct hub_fixture *f = *state;
    hub_tell(f, 0, PRESENCE_CAME, "alice");
    hub_pass(f, 25000);
    lose(f);
    hub_pass(f, HUB_POLL_MS + HUB_BEAT_AGAIN_MS);
    struct call *call = hub_make_call(CALL_ONLINE_USERS, 0);
    call->limit = 10;
    call = hub_round_trip(f, call);
    assert_true(call->found.len > 0);
    call_free(call);
}

/* --- what is not brought back ----------------------------------------------------------------- */

static void a_closed_room_stays_closed(void **state)
{
    struct hub_fixture *f = *state;
    assert_int_equal(hub_do(f, hub_make_call(CALL_ROOM_CLOSE, 0)), OK);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_ROOM_CLOSED);
    assert_int_equal(revived(f), 0);
    lose(f);
    assert_int_equal(hub_do(f, hub_make_append("bob", LIST_NORMAL, "1")), ERR_ROOM_CLOSED);
    assert_int_equal(revived(f), 1);
}

static void a_room_that_is_not_in_use_is_gone(void **state)
{
    struct hub_fixture *f = *state;
    assert_int_equal(hub_do(f, hub_make_call(CALL_UNSUBSCRIBE, 0)), OK);
    hub_pass(f, HUB_IDLE_MS + HUB_POLL_IDLE_MS);
    assert_null(room_of(f));
    lose(f);
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_ROOM_NOT_FOUND);
}

/* --- many at once, and worse ------------------------------------------------------------------ */

static void all_who_meet_the_loss_are_served_in_order(void **state)
{
    struct hub_fixture *f = *state;
    char body[16];
    lose(f);
    for (int i = 0; i < 5; i++) {
        snprintf(body, sizeof body, "%d", i);
        struct call *call = hub_make_append("host", LIST_HIGH, body);
        call->no_user_rate = true;
        hub_call(f->hub, call, f->now_ms);
    }
    hub_pass(f, 2 * HUB_POLL_MS);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].highs, 8);
    for (int i = 0; i < 5; i++) {
        struct call *call = CONTAINER_OF(list_take(&f->heard[0].calls), struct call, node);
        assert_int_equal(call->err, OK);
        assert_int_equal(call->id, f->heard[0].high[3 + i]);
        call_free(call);
    }
    assert_int_equal(revived(f), 1);
}

static void a_store_that_fails_at_it_is_asked_again(void **state)
{
    struct hub_fixture *f = *state;
    lose(f);
    f->stub->fail_call = f->stub->calls + 2; /* the put is carried out, and its answer lost */
    assert_int_equal(hub_do(f, hub_make_append("alice", LIST_NORMAL, "1")), ERR_STORE_UNAVAILABLE);
    assert_int_equal(hub_do(f, hub_make_append("bob", LIST_NORMAL, "1")), OK);
    hub_pass(f, 2 * HUB_POLL_MS); /* else it would be lost before anybody heard of it */
    lose(f);
    f->stub->refuse_call = f->stub->calls + 2;
    assert_int_equal(hub_do(f, hub_make_append("carol", LIST_NORMAL, "1")), ERR_STORE_UNAVAILABLE);
    assert_int_equal(hub_do(f, hub_make_append("dave", LIST_NORMAL, "1")), OK);
    hub_pass(f, 2 * HUB_POLL_MS);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].restarts, 0);
    assert_int_equal(f->heard[0].normals, 5);
}

/* Another node made it anew, and knew nothing of it (its users joined a room that was not there):
 * then that is what the store has, and whoever holds more is told a gap. */
static void what_another_node_made_of_it_counts(void **state)
{
    struct hub_fixture *f = *state;
    lose(f);
    hub_create_elsewhere(f, NULL);
    hub_pass(f, HUB_POLL_MS + 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].restarts, 2);
    assert_int_equal(f->heard[0].restart.id, 0);
    assert_int_equal(revived(f), 0);
}

/* It was faster, but had not heard of the last message. */
static void what_another_node_did_not_know_is_gone(void **state)
{
    struct hub_fixture *f = *state;
    struct store_tail less[LIST_KINDS];
    tails_of(f, less);
    hub_append(f, LIST_HIGH);
    hub_pass(f, 1);
    lose(f);
    hub_create_elsewhere(f, less);
    hub_pass(f, HUB_POLL_MS + 1);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].restarts, 1);
    assert_int_equal(f->heard[0].restart.id, less[LIST_HIGH].id);
}

/* It knew as much: an append of ours goes on behind. */
static void another_node_may_be_faster(void **state)
{
    struct hub_fixture *f = *state;
    struct store_tail tails[LIST_KINDS];
    tails_of(f, tails);
    lose(f);
    hub_create_elsewhere(f, tails);
    uint64_t id = hub_append(f, LIST_HIGH);
    hub_pass(f, 2 * HUB_POLL_MS);
    hub_listen(f, 0);
    assert_int_equal(f->heard[0].restarts, 0);
    assert_int_equal(f->heard[0].high[3], id);
}

/* --- readers ---------------------------------------------------------------------------------- */

/* Further behind than the copies reach: the store tells that what was there is gone. */
static void a_cold_reader_is_told(void **state)
{
    struct hub_fixture *f = *state;
    struct store_tail tails[LIST_KINDS];
    tails_of(f, tails);
    lose(f);
    hub_pass(f, HUB_POLL_MS + 1);
    struct call *call = hub_make_call(CALL_COLD, 0);
    call->id = 1;
    call_set_frames(call, LIMIT_POLL_HIGH);
    call = hub_round_trip(f, call);
    assert_int_equal(call->err, OK);
    assert_int_equal(call->frame_count, 0);
    assert_int_equal(call->trimmed[LIST_HIGH], tails[LIST_HIGH].id);
    assert_int_equal(call->tail[LIST_HIGH], tails[LIST_HIGH].id);
    call_free(call);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_append_puts_the_room_again),
        TEST(a_fallback_poll_puts_the_room_again),
        TEST(whoever_asks_for_the_room_finds_it),
        TEST(a_change_of_it_is_a_change_of_what_it_was),
        TEST(changes_after_it_are_heard_of),
        TEST(viewers_and_samples_put_it_again_too),
        TEST(who_is_here_is_said_again),
        TEST(a_closed_room_stays_closed),
        TEST(a_room_that_is_not_in_use_is_gone),
        TEST(all_who_meet_the_loss_are_served_in_order),
        TEST(a_store_that_fails_at_it_is_asked_again),
        TEST(what_another_node_made_of_it_counts),
        TEST(what_another_node_did_not_know_is_gone),
        TEST(another_node_may_be_faster),
        TEST(a_cold_reader_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
