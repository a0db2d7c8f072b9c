/* Bytes of a link out of anything: no packet breaks what reads it, and a request that is taken comes
 * out the same when it is sent on. */
#include "base/assert.h"
#include "base/limit.h"
#include "link/link_answer.h"
#include "link/link_handshake.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void read_as_request(const Link__Packet *packet)
{
    struct link_request request, again;
    struct buf once = {0};
    struct link_reader r;
    Link__Packet *copy = NULL;

    if (link_request_read(packet, &request) != 0) return;
    ASSERT(link_request_write(&once, packet->id, &request));
    link_reader_init(&r, LIMIT_LINK_FRAME);
    link_reader_feed(&r, buf_str(&once));
    ASSERT(link_reader_next(&r, &copy) == LINK_READ_PACKET && copy->id == packet->id);
    ASSERT(link_request_read(copy, &again) == 0);
    ASSERT(again.verb == request.verb && str_eq(again.room, request.room));
    link_request_deinit(&again);
    link_packet_free(copy);
    link_reader_deinit(&r);
    link_request_deinit(&request);
    buf_deinit(&once);
}

static void read_as_answer(const Link__Packet *packet)
{
    for (int verb = LINK_APPEND; verb <= LINK_LEASE; verb++) {
        struct link_answer answer;
        link_answer_read(packet, (enum link_verb)verb, &answer);
        link_answer_deinit(&answer);
    }
}

static void read_as_hello(const Link__Packet *packet, enum link_role role)
{
    const struct link_handshake_setup setup = {
        .role = role, .secret = STR("secret"), .name = STR("fuzz"), .software = STR("1")};
    struct link_handshake handshake;
    struct buf out = {0};

    link_handshake_start(&handshake, &setup, &out);
    link_handshake_take(&handshake, packet, &out);
    ASSERT(handshake.state != LINK_IS_PROVED);
    buf_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct link_reader r;
    Link__Packet *packet;

    link_reader_init(&r, LIMIT_LINK_FRAME);
    link_reader_feed(&r, str_make((const char *)bytes, len));
    while (link_reader_next(&r, &packet) == LINK_READ_PACKET) {
        read_as_request(packet);
        read_as_answer(packet);
        read_as_hello(packet, LINK_EDGE);
        read_as_hello(packet, LINK_CACHE);
        link_packet_free(packet);
    }
    link_reader_deinit(&r);
    return 0;
}
