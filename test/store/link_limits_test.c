/* The limits of a link at the node, each reached for real: what an edge can make it hold, and who
 * only pretends to be one. Beyond a limit there is a clear refusal and a count, and below it again
 * all goes on. */
#include "store/link_hand.h"

#include <poll.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/log.h"
#include "link/link_answer.h"
#include "tool/files.h"

#define METRIC(node, name) counter_get(&link_node_metrics(node)->name)

/* Turns the loop without end: nothing in it need wake it. */
#define SPIN_UNTIL(edge, condition)                                                                \
    do {                                                                                           \
        edge_limit((edge), PATIENCE_MS);                                                           \
        while (!(condition) && !(edge)->is_over_limit) uv_run(&(edge)->loop, UV_RUN_NOWAIT);       \
        uv_timer_stop(&(edge)->limit);                                                             \
        if (!(condition)) fail_msg("%s: not within %d ms", #condition, PATIENCE_MS);               \
    } while (false)

/* --- peers by hand --------------------------------------------------------------------------- */

static void open_hand(struct hand *hand, struct edge *edge, const struct link_node *node)
{
    hand_open(hand, edge, node, LINK_VERSION);
    assert_int_equal(hand->handshake.state, LINK_IS_PROVED);
}

/* The answer that comes next: its error; and its id, if that is asked for. */
static int take_answer(struct hand *hand, enum link_verb verb, uint64_t *ret_id)
{
    struct link_answer answer = {0};
    Link__Packet *packet = hand_take(hand);

    if (packet == NULL) fail_msg("the link is gone");
    link_answer_read(packet, verb, &answer);
    if (ret_id != NULL) *ret_id = packet->id;
    int err = answer.err;
    link_answer_deinit(&answer);
    link_packet_free(packet);
    return err;
}

/* False: the link is gone. */
static bool is_alive(struct hand *hand)
{
    hand_add_ping(hand, 0);
    Link__Packet *packet = hand_send(hand) ? hand_take(hand) : NULL;
    bool is_pong = packet != NULL && packet->body_case == LINK__PACKET__BODY_PONG;

    link_packet_free(packet);
    return is_pong;
}

/* Closed without a word. */
static void expect_turned_away(struct edge *edge, const struct link_node *node)
{
    struct hand hand;

    hand_connect(&hand, edge, node);
    assert_null(hand_take(&hand));
    hand_close(&hand);
}

/* --- what the node's store has ----------------------------------------------------------------- */

static void put_room(struct edge *edge, const struct link_node *node, const char *room)
{
    struct edge_done done = {0};
    struct store_room_put put = {
        .room = str_of(room), .settings = room_settings_default(), .now_ms = edge->now_ms};

    memset(put.settings.title, 't', LIMIT_TITLE);
    assert_int_equal(store_room_put(link_node_store(node), &put, edge_on_room, &done), 0);
    SPIN_UNTIL(edge, done.is_done);
    assert_int_equal(done.err, OK);
}

static void on_stored(void *arg, int err, const struct store_appended *appended)
{
    assert_int_equal(err, OK);
    *(uint64_t *)arg = appended->id;
}

/* Of the greatest size. The id of the last one. */
static uint64_t put_messages(struct edge *edge, const struct link_node *node, int count)
{
    char *body = xmalloc(LIMIT_MESSAGE_BODY);
    uint64_t last = 0;

    memset(body, '1', LIMIT_MESSAGE_BODY);
    const struct store_append append = {.room = STR(EDGE_ROOM),
                                        .message = {.list = LIST_NORMAL,
                                                    .type = STR("text"),
                                                    .body = str_make(body, LIMIT_MESSAGE_BODY)},
                                        .now_ms = edge->now_ms};
    for (int i = 0; i < count; i++) {
        uint64_t id = 0;
        assert_int_equal(store_append(link_node_store(node), &append, on_stored, &id), 0);
        SPIN_UNTIL(edge, id != 0);
        last = id;
    }
    free(body);
    return last;
}

/* --- who is let in ----------------------------------------------------------------------------- */

static void a_node_serves_so_many_edges(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    static struct hand hands[LIMIT_LINKS];

    if (files_raise_limit() < 2 * LIMIT_LINKS + 64) skip(); /* both ends are in this process */
    for (int i = 0; i < LIMIT_LINKS; i++) open_hand(&hands[i], edge, node);
    expect_turned_away(edge, node);
    assert_int_equal(METRIC(node, links_turned_away_total), 1);
    assert_int_equal(METRIC(node, links), LIMIT_LINKS);
    for (int i = 0; i < LIMIT_LINKS; i++) assert_true(is_alive(&hands[i]));

    hand_close(&hands[7]); /* and then there is room again */
    SPIN_UNTIL(edge, METRIC(node, links) == LIMIT_LINKS - 1);
    open_hand(&hands[7], edge, node);
    for (int i = 0; i < LIMIT_LINKS; i++) hand_close(&hands[i]);
    SPIN_UNTIL(edge, METRIC(node, links) == 0);
}

/* --- who says nothing -------------------------------------------------------------------------- */

static void an_edge_that_is_silent_is_cut_off_alone(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.silence_ms = 1000});
    struct hand silent, live;

    open_hand(&silent, edge, node);
    open_hand(&live, edge, node);
    edge_limit(edge, PATIENCE_MS);
    while (METRIC(node, links_broken_total) == 0) assert_true(is_alive(&live));
    assert_null(hand_take(&silent));
    assert_true(is_alive(&live));
    assert_int_equal(METRIC(node, links_broken_total), 1);
    assert_int_equal(METRIC(node, links), 1);
    hand_close(&silent);
    hand_close(&live);
}

static void who_proves_nothing_in_time_is_cut_off(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.greeting_ms = 300});
    struct hand mute, slow;

    hand_connect(&mute, edge, node);
    hand_connect(&slow, edge, node);
    buf_add(&slow.out, "\0\0\x0f\xff", 4); /* a hello that goes on and on */
    assert_true(hand_send(&slow));
    assert_null(hand_take(&mute));
    assert_null(hand_take(&slow));
    assert_int_equal(METRIC(node, links_broken_total), 2);
    assert_int_equal(METRIC(node, links_greeting), 0);
    hand_close(&mute);
    hand_close(&slow);
}

/* A node that did not run for longer than that heard nobody: what they said waits for it. */
static void a_node_that_stood_still_cuts_off_nobody(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.silence_ms = 1000});
    struct hand hand;

    open_hand(&hand, edge, node);
    hand_add_ping(&hand, 1);
    assert_true(hand_send(&hand));
    poll(NULL, 0, 2500); /* it stands still */
    Link__Packet *packet = hand_take(&hand);
    assert_non_null(packet);
    link_packet_free(packet);
    assert_int_equal(METRIC(node, links_broken_total), 0);
    hand_close(&hand);
}

/* --- requests under way ------------------------------------------------------------------------ */

/* A store whose answers come when the test says so. */
static const struct faulty_odds LATE = {.delay = 1, .max_delay_ms = 1000000};

static void let_it_answer(struct edge *edge)
{
    edge->ms_per_turn = LATE.max_delay_ms;
}

static void requests_beyond_the_limit_are_refused(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.odds = &LATE});
    struct hand hand;
    uint64_t id;

    open_hand(&hand, edge, node);
    for (uint64_t i = 1; i <= LIMIT_LINK_CALLS + 1; i++)
        hand_add_request(&hand, i, (struct link_request){.verb = LINK_STORE_PING});
    assert_true(hand_send(&hand));
    assert_int_equal(take_answer(&hand, LINK_STORE_PING, &id), ERR_OVERLOADED);
    assert_int_equal(id, LIMIT_LINK_CALLS + 1);
    assert_int_equal(METRIC(node, link_requests_refused_total), 1);
    assert_int_equal(METRIC(node, link_requests_under_way), LIMIT_LINK_CALLS);

    let_it_answer(edge);
    for (int i = 0; i < LIMIT_LINK_CALLS; i++)
        assert_int_equal(take_answer(&hand, LINK_STORE_PING, NULL), OK);
    hand_add_request(&hand, 1, (struct link_request){.verb = LINK_STORE_PING});
    assert_true(hand_send(&hand));
    assert_int_equal(take_answer(&hand, LINK_STORE_PING, NULL), OK);
    hand_close(&hand);
}

static void add_reads(struct hand *hand, uint64_t count)
{
    for (uint64_t i = 1; i <= count; i++) {
        struct link_request request = {.verb = LINK_READ, .room = STR(EDGE_ROOM)};
        request.read =
            (struct store_read){.room = STR(EDGE_ROOM), .list = LIST_NORMAL, .limit = 100};
        hand_add_request(hand, i, request);
    }
}

#define READS 100

static void ranges_beyond_the_limit_wait_for_others(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.odds = &LATE});
    const struct store_stats *stats = store_stats(link_node_store(node));
    struct hand hand;
    bool is_answered[READS + 1] = {false};
    uint64_t id;

    open_hand(&hand, edge, node);
    add_reads(&hand, READS);
    assert_true(hand_send(&hand));
    assert_true(is_alive(&hand)); /* by then it has taken all of them */
    assert_int_equal(METRIC(node, link_requests_under_way), READS);
    assert_int_equal(METRIC(node, link_reads_waiting), READS - LIMIT_LINK_READS);
    let_it_answer(edge);
    for (int i = 0; i < READS; i++) {
        assert_int_equal(take_answer(&hand, LINK_READ, &id), OK);
        assert_false(is_answered[id]);
        is_answered[id] = true;
    }
    assert_int_equal(METRIC(node, link_reads_waiting), 0);
    assert_int_equal(METRIC(node, link_requests_under_way), 0);
    assert_int_equal(counter_get(&stats->reads), READS);
    hand_close(&hand);
}

/* Those that wait are given up with the link, and those at the store when it has answered. */
static void ranges_of_an_edge_that_is_gone_are_given_up(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.odds = &LATE});
    struct hand hand;

    open_hand(&hand, edge, node);
    add_reads(&hand, READS);
    assert_true(hand_send(&hand));
    assert_true(is_alive(&hand));
    hand_close(&hand);
    SPIN_UNTIL(edge, METRIC(node, links) == 0);
    assert_int_equal(METRIC(node, link_reads_waiting), 0);
    assert_int_equal(METRIC(node, link_requests_under_way), LIMIT_LINK_READS);
    let_it_answer(edge);
    SPIN_UNTIL(edge, METRIC(node, link_requests_under_way) == 0);
}

/* --- an edge that takes no bytes --------------------------------------------------------------- */

#define FULL_RANGE 15 /* messages of the greatest size */

static void it_gets_no_more_ranges_until_it_does(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct hand hand;

    put_room(edge, node, EDGE_ROOM);
    put_messages(edge, node, FULL_RANGE);
    open_hand(&hand, edge, node);
    add_reads(&hand, READS);
    assert_true(hand_send(&hand));
    SPIN_UNTIL(edge, METRIC(node, link_requests_total) == READS);
    SPIN_UNTIL(edge, METRIC(node, link_requests_under_way) == METRIC(node, link_reads_waiting));
    /* As many as the limit, and those that were under way when that was reached. */
    assert_in_range(METRIC(node, link_reads_waiting), READS - 2 * LIMIT_LINK_READS,
                    READS - LIMIT_LINK_ANSWERS / LIMIT_FEED_BYTES);
    for (int i = 0; i < READS; i++) assert_int_equal(take_answer(&hand, LINK_READ, NULL), OK);
    assert_int_equal(METRIC(node, link_reads_waiting), 0);
    assert_int_equal(METRIC(node, links_broken_total), 0);
    hand_close(&hand);
}

static void it_gets_no_pages_until_it_does(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    const struct link_request request = {.verb = LINK_ROOM_LIST,
                                         .room_list = {STR("app"), STR_NONE, 100}};
    struct hand hand;
    char room[32];
    size_t given = 0, refused = 0;

    for (int i = 0; i < 100; i++) {
        snprintf(room, sizeof(room), "app/room-%d", i);
        put_room(edge, node, room);
    }
    open_hand(&hand, edge, node);
    for (uint64_t i = 1; i <= LIMIT_LINK_CALLS; i++) hand_add_request(&hand, i, request);
    assert_true(hand_send(&hand));
    SPIN_UNTIL(edge, METRIC(node, link_requests_total) == LIMIT_LINK_CALLS);
    SPIN_UNTIL(edge, METRIC(node, link_requests_under_way) == 0);
    for (int i = 0; i < LIMIT_LINK_CALLS; i++) {
        int err = take_answer(&hand, LINK_ROOM_LIST, NULL);
        assert_true(err == OK || err == ERR_OVERLOADED);
        given += err == OK;
        refused += err != OK;
    }
    assert_true(given > 0 && refused > 0);
    assert_int_equal(METRIC(node, link_requests_refused_total), refused);
    assert_int_equal(METRIC(node, links_broken_total), 0);
    hand_add_request(&hand, 1, request);
    assert_true(hand_send(&hand));
    assert_int_equal(take_answer(&hand, LINK_ROOM_LIST, NULL), OK);
    hand_close(&hand);
}

static void it_gets_no_news_until_it_does(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct hand hand;
    uint64_t told = 0;

    put_room(edge, node, EDGE_ROOM);
    open_hand(&hand, edge, node);
    hand_add_watch(&hand, STR(EDGE_ROOM));
    assert_true(hand_send(&hand));
    assert_true(is_alive(&hand));
    uint64_t last = put_messages(edge, node, 4 * LIMIT_LINK_QUEUE / LIMIT_MESSAGE_BODY);
    assert_true(METRIC(node, link_news_dropped_total) > 0);
    assert_int_equal(METRIC(node, links_broken_total), 0);
    while (told != last) { /* the newest one, when it has caught up */
        Link__Packet *packet = hand_take(&hand);
        assert_non_null(packet);
        assert_int_equal(packet->body_case, LINK__PACKET__BODY_NEWS);
        told = packet->news->message->id;
        link_packet_free(packet);
    }
    hand_close(&hand);
}

static void it_is_cut_off_when_too_much_waits_for_it(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    const struct link_request request = {.verb = LINK_ROOM_GET, .room = STR(EDGE_ROOM)};
    struct hand hand, other;
    size_t asked = 0, most = 4 * LIMIT_LINK_STUCK / LIMIT_TITLE;

    put_room(edge, node, EDGE_ROOM);
    open_hand(&hand, edge, node);
    open_hand(&other, edge, node);
    for (bool is_open = true; is_open && asked < most; asked += 1000) {
        for (uint64_t i = 1; i <= 1000; i++) hand_add_request(&hand, i, request);
        is_open = hand_send(&hand);
        uv_run(&edge->loop, UV_RUN_NOWAIT);
    }
    SPIN_UNTIL(edge, METRIC(node, links_broken_total) == 1);
    assert_int_equal(METRIC(node, links), 1);
    SPIN_UNTIL(edge, METRIC(node, link_requests_under_way) == 0);
    assert_true(is_alive(&other));
    hand_close(&hand);
    hand_close(&other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, edge_setup, edge_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_node_serves_so_many_edges),
        TEST(an_edge_that_is_silent_is_cut_off_alone),
        TEST(who_proves_nothing_in_time_is_cut_off),
        TEST(a_node_that_stood_still_cuts_off_nobody),
        TEST(requests_beyond_the_limit_are_refused),
        TEST(ranges_beyond_the_limit_wait_for_others),
        TEST(ranges_of_an_edge_that_is_gone_are_given_up),
        TEST(it_gets_no_more_ranges_until_it_does),
        TEST(it_gets_no_pages_until_it_does),
        TEST(it_gets_no_news_until_it_does),
        TEST(it_is_cut_off_when_too_much_waits_for_it),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
