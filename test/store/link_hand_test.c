/* Links that go wrong at the node: peers that are newer, no link at all, not in the secret, or too many.
 * They are sockets of the test, which say what they like. */
#include "store/link_hand.h"

#include "base/error.h"
#include "base/log.h"
#include "link/link_value.h"

static void an_edge_of_the_next_version_is_served(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct hand hand;

    hand_open(&hand, edge, node, LINK_VERSION + 1);
    assert_int_equal(hand.handshake.state, LINK_IS_PROVED);
    assert_int_equal(hand.handshake.version, LINK_VERSION);
    /* A request that this version does not know: number 900, and a field that it does not know. */
    buf_add(&hand.out, "\0\0\0\x06\x08\x07\xa2\x38\x01x", 10);
    hand_send(&hand);
    Link__Packet *packet = hand_take(&hand);
    assert_int_equal(packet->id, 7);
    assert_int_equal(packet->body_case, LINK__PACKET__BODY_FAILED);
    assert_int_equal(link_error_of(packet->failed->code), ERR_NOT_IMPLEMENTED);
    link_packet_free(packet);
    assert_int_equal(counter_get(&link_node_metrics(node)->link_requests_unknown_total), 1);
    /* And one that asks for no answer is let be: the connection goes on. */
    buf_add(&hand.out, "\0\0\0\x04\xa2\x38\x01x", 8);
    hand_add_ping(&hand, 8);
    hand_send(&hand);
    packet = hand_take(&hand);
    assert_int_equal(packet->id, 8);
    assert_int_equal(packet->body_case, LINK__PACKET__BODY_PONG);
    link_packet_free(packet);
    hand_close(&hand);
}

static void what_is_no_link_is_cut_off(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct hand hand;

    hand_connect(&hand, edge, node);
    buf_add_str(&hand.out, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    hand_send(&hand);
    assert_null(hand_take(&hand));
    assert_int_equal(counter_get(&link_node_metrics(node)->links_broken_total), 1);
    hand_close(&hand);
}

static void after_wrong_secrets_an_address_has_to_wait(void **state)
{
    struct edge *edge = *state;
    struct link_node *node =
        edge_node(edge, (struct link_node_setup){.secret = "another secret of more than 32 bytes"});
    struct hand hand;

    for (int i = 0; i < LIMIT_LINK_REFUSALS; i++) {
        hand_open(&hand, edge, node, LINK_VERSION);
        assert_int_equal(hand.handshake.state, LINK_IS_REFUSED);
        hand_close(&hand);
    }
    hand_connect(&hand, edge, node);
    assert_null(hand_take(&hand)); /* closed without a word */
    assert_int_equal(counter_get(&link_node_metrics(node)->links_turned_away_total), 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links_refused_total),
                     LIMIT_LINK_REFUSALS);
    hand_close(&hand);
}

static void connections_that_prove_nothing_are_few(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct hand hands[LIMIT_LINK_GREETING + 1];

    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) hand_connect(&hands[i], edge, node);
    EDGE_WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_turned_away_total) == 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links_greeting), LIMIT_LINK_GREETING);
    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) hand_close(&hands[i]);
    EDGE_WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_greeting) == 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, edge_setup, edge_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_edge_of_the_next_version_is_served),
        TEST(what_is_no_link_is_cut_off),
        TEST(after_wrong_secrets_an_address_has_to_wait),
        TEST(connections_that_prove_nothing_are_few),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
