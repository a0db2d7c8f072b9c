/* The hub's limits on what clients can make it hold, each reached for real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

#include "base/error.h"
#include "core/hub_peer.h"
#include "unit/core_hub_fixture.h"

/* The hub alone has its turn, as fast as it can: the fixture's milliseconds would be too many. */
static struct call *hurry(struct hub_fixture *f, struct call *call)
{
    struct note note = {.kind = NOTE_ONLINE};
    hub_call(f->hub, call, f->now_ms);
    for (int turn = 0; turn < 100; turn++) {
        hub_tick(f->hub, f->now_ms);
        while (queue_pop(f->notes[0], &note)) {
            if (note.kind == NOTE_CALL) return note.call;
            note_drop(&note);
        }
    }
    fail_msg("the call did not come home");
    return NULL;
}

static int use_room(struct hub_fixture *f, unsigned number)
{
    char key[32];
    snprintf(key, sizeof key, "dev/room-%u", number);
    struct call *call = call_new(CALL_APPEND, str_of(key));
    struct message message = {.list = LIST_NORMAL, .type = STR("text"), .body = STR("1")};
    call_set_message(call, &message, STR_NONE);
    call->no_user_rate = true;
    call->auto_create = true;
    call = hurry(f, call);
    int err = call->err;
    call_free(call);
    return err;
}

static void a_node_holds_so_many_rooms(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_metrics *metrics = hub_metrics(f->hub);
    for (unsigned i = 0; i < LIMIT_ROOMS_PER_NODE; i++)
        if (use_room(f, i) != OK) fail_msg("room %u was refused", i);
    assert_int_equal(counter_get(&metrics->rooms_active), LIMIT_ROOMS_PER_NODE);
    assert_int_equal(use_room(f, LIMIT_ROOMS_PER_NODE), ERR_OVERLOADED);
    assert_int_equal(counter_get(&metrics->rooms_refused_total), 1);
    assert_int_equal(use_room(f, 7), OK); /* one that is there goes on */
}

static int send_as(struct hub_fixture *f, unsigned number)
{
    char user[16];
    snprintf(user, sizeof user, "u%u", number);
    struct call *call = hub_make_append(user, LIST_NORMAL, "1");
    call->user_per_s = 1;
    call->user_burst = 1;
    call = hurry(f, call);
    int err = call->err;
    call_free(call);
    return err;
}

static void a_room_remembers_so_many_senders(void **state)
{
    struct hub_fixture *f = *state;
    hub_create_room(f);
    for (unsigned i = 0; i < LIMIT_SENDERS_PER_ROOM; i++)
        if (send_as(f, i) != OK) fail_msg("sender %u was refused", i);
    assert_int_equal(send_as(f, LIMIT_SENDERS_PER_ROOM), ERR_OVERLOADED);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->senders_refused_total), 1);
    assert_int_equal(send_as(f, 3), ERR_USER_RATE); /* known, and too fast */
    hub_pass(f, 6000);                              /* their pace is over: they are forgotten */
    assert_int_equal(send_as(f, LIMIT_SENDERS_PER_ROOM), OK);
}

static bool on_news(void *arg, struct str room, const struct message *message)
{
    return true;
}

static int watch(struct hub_fixture *f, struct hub_peer *peer, unsigned number)
{
    char key[32];
    snprintf(key, sizeof key, "dev/room-%u", number);
    return hub_peer_watch(peer, str_of(key), false, f->now_ms);
}

static void an_edge_watches_so_many_rooms(void **state)
{
    struct hub_fixture *f = *state;
    const struct hub_peer_setup setup = {.on_news = on_news};
    struct hub_peer *peer = hub_peer_new(f->hub, &setup);
    for (unsigned i = 0; i < LIMIT_LINK_ROOMS; i++)
        if (watch(f, peer, i) != OK) fail_msg("room %u was refused", i);
    assert_int_equal(watch(f, peer, LIMIT_LINK_ROOMS), ERR_OVERLOADED);
    assert_int_equal(counter_get(&hub_metrics(f->hub)->peer_watches_refused_total), 1);
    assert_int_equal(hub_peer_rooms(peer), LIMIT_LINK_ROOMS);
    assert_int_equal(watch(f, peer, 7), OK); /* one that is watched goes on */
    hub_peer_unwatch(peer, STR("dev/room-7"), f->now_ms);
    assert_int_equal(watch(f, peer, LIMIT_LINK_ROOMS), OK);
    hub_peer_free(peer, f->now_ms);
}

int main(void)
{
#ifdef __SANITIZE_THREAD__
    return 0; /* one thread, a quarter of a million calls: minutes, and nothing to find */
#endif
#define TEST(name) cmocka_unit_test_setup_teardown(name, hub_fixture_setup, hub_fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(a_node_holds_so_many_rooms),
                                       TEST(a_room_remembers_so_many_senders),
                                       TEST(an_edge_watches_so_many_rooms)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
