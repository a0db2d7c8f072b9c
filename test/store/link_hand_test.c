/* Links that go wrong at the node: peers that are newer, no link at all, not in the secret, or too many.
 * They are sockets of the test, which say what they like. */
#include "store/link_edge.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "link/link_handshake.h"
#include "link/link_value.h"
#include "store/link_peer.h"

/* A socket that speaks as an edge, blocking, from another thread of the loop's: the node answers
 * while the test turns it. */
struct hand {
    struct edge *edge;
    int fd;
    struct link_reader reader;
    struct link_handshake handshake;
    struct buf out;
};

static int connect_to(const char *address)
{
    struct link_address parsed;
    struct sockaddr_in addr = {.sin_family = AF_INET};

    assert_true(link_address_parse(str_of(address), &parsed));
    uv_ip4_addr(parsed.host, parsed.port, &addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void hand_send(struct hand *hand)
{
    assert_int_equal(send(hand->fd, hand->out.ptr, hand->out.len, MSG_NOSIGNAL), hand->out.len);
    buf_clear(&hand->out);
}

/* NULL: the node has closed the connection. */
static Link__Packet *hand_take(struct hand *hand)
{
    Link__Packet *packet = NULL;
    char bytes[4096];
    ssize_t len = 1;

    edge_limit(hand->edge, WAIT_LIMIT_MS);
    while (link_reader_next(&hand->reader, &packet) != LINK_READ_PACKET) {
        uv_run(&hand->edge->loop, UV_RUN_NOWAIT);
        len = recv(hand->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len == 0 || (len < 0 && errno != EAGAIN)) return NULL;
        if (len > 0) link_reader_feed(&hand->reader, str_make(bytes, (size_t)len));
        if (hand->edge->is_over_limit) fail_msg("no packet came");
    }
    uv_timer_stop(&hand->edge->limit);
    return packet;
}

static void hand_open(struct hand *hand, struct edge *edge, const struct link_node *node,
                      uint32_t version)
{
    const struct link_handshake_setup setup = {.role = LINK_EDGE,
                                               .secret = STR(LINK_NODE_SECRET),
                                               .name = STR("hand"),
                                               .software = STR("9.9"),
                                               .version = version,
                                               .oldest = LINK_VERSION};

    *hand = (struct hand){.edge = edge, .fd = connect_to(link_node_address(node))};
    link_reader_init(&hand->reader, LIMIT_LINK_FRAME);
    link_handshake_start(&hand->handshake, &setup, &hand->out);
    while (hand->handshake.state < LINK_IS_PROVED) {
        hand_send(hand);
        Link__Packet *packet = hand_take(hand);
        assert_non_null(packet);
        link_handshake_take(&hand->handshake, packet, &hand->out);
        link_packet_free(packet);
    }
}

static void hand_close(struct hand *hand)
{
    close(hand->fd);
    link_reader_deinit(&hand->reader);
    buf_deinit(&hand->out);
}

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
    buf_add(&hand.out, "\0\0\0\x04\x08\x08\x32\x00", 8); /* a ping */
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
    struct hand hand = {.edge = edge, .fd = connect_to(link_node_address(node))};

    link_reader_init(&hand.reader, LIMIT_LINK_FRAME);
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
    hand = (struct hand){.edge = edge, .fd = connect_to(link_node_address(node))};
    link_reader_init(&hand.reader, LIMIT_LINK_FRAME);
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
    int fds[LIMIT_LINK_GREETING + 1];

    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) fds[i] = connect_to(link_node_address(node));
    EDGE_WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_turned_away_total) == 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links_greeting), LIMIT_LINK_GREETING);
    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) close(fds[i]);
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
