#include "store/link_hand.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "store/link_peer.h"

#define READ_BYTES 65536

/* --- the connection -------------------------------------------------------------------------- */

void hand_connect(struct hand *hand, struct edge *edge, const struct link_node *node)
{
    struct link_address parsed;
    struct sockaddr_in addr = {.sin_family = AF_INET};

    assert_true(link_address_parse(str_of(link_node_address(node)), &parsed));
    uv_ip4_addr(parsed.host, parsed.port, &addr);
    *hand = (struct hand){.edge = edge, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    assert_int_equal(connect(hand->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    link_reader_init(&hand->reader, LIMIT_LINK_FRAME);
}

void hand_open(struct hand *hand, struct edge *edge, const struct link_node *node, uint32_t version)
{
    const struct link_handshake_setup setup = {.role = LINK_EDGE,
                                               .secret = STR(LINK_NODE_SECRET),
                                               .name = STR("hand"),
                                               .software = STR("9.9"),
                                               .version = version,
                                               .oldest = LINK_VERSION};

    hand_connect(hand, edge, node);
    link_handshake_start(&hand->handshake, &setup, &hand->out);
    while (hand->handshake.state < LINK_IS_PROVED) {
        assert_true(hand_send(hand));
        Link__Packet *packet = hand_take(hand);
        assert_non_null(packet);
        link_handshake_take(&hand->handshake, packet, &hand->out);
        link_packet_free(packet);
    }
}

void hand_close(struct hand *hand)
{
    close(hand->fd);
    link_reader_deinit(&hand->reader);
    buf_deinit(&hand->out);
}

/* A turn of the node, which has so much time for what the hand waits for. */
static void turn(struct hand *hand)
{
    uv_run(&hand->edge->loop, UV_RUN_NOWAIT);
    if (hand->edge->is_over_limit) fail_msg("the node does nothing");
}

bool hand_send(struct hand *hand)
{
    size_t at = 0;
    bool is_open = true;

    edge_limit(hand->edge, PATIENCE_MS);
    while (is_open && at < hand->out.len) {
        ssize_t len =
            send(hand->fd, hand->out.ptr + at, hand->out.len - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        is_open = len >= 0 || errno == EAGAIN;
        if (len > 0) at += (size_t)len;
        if (len < 0) turn(hand);
    }
    uv_timer_stop(&hand->edge->limit);
    buf_clear(&hand->out);
    return is_open;
}

Link__Packet *hand_take(struct hand *hand)
{
    static char bytes[READ_BYTES];
    Link__Packet *packet = NULL;
    bool is_open = true;

    edge_limit(hand->edge, PATIENCE_MS);
    while (is_open && link_reader_next(&hand->reader, &packet) != LINK_READ_PACKET) {
        turn(hand);
        ssize_t len = recv(hand->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len > 0) link_reader_feed(&hand->reader, str_make(bytes, (size_t)len));
        is_open = len > 0 || (len < 0 && errno == EAGAIN);
    }
    uv_timer_stop(&hand->edge->limit);
    return packet;
}

/* --- packets --------------------------------------------------------------------------------- */

void hand_add_ping(struct hand *hand, uint64_t id)
{
    Link__Ping part = LINK__PING__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    packet.id = id;
    packet.body_case = LINK__PACKET__BODY_PING;
    packet.ping = &part;
    link_frame_add(&hand->out, &packet);
}

void hand_add_request(struct hand *hand, uint64_t id, struct link_request request)
{
    assert_true(link_request_write(&hand->out, id, &request));
}

void hand_add_watch(struct hand *hand, struct str room)
{
    Link__Watch part = LINK__WATCH__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    part.room = link_bytes(room);
    packet.body_case = LINK__PACKET__BODY_WATCH;
    packet.watch = &part;
    link_frame_add(&hand->out, &packet);
}
