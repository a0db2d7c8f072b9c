#include "store/link_peer.h"

#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"

bool link_address_parse(struct str text, struct link_address *ret)
{
    struct link_address address = {0};
    uint64_t port;
    size_t colon = text.len;

    while (colon > 0 && text.ptr[colon - 1] != ':') colon--;
    if (colon < 2) return false;
    struct str host = str_make(text.ptr, colon - 1);
    if (!str_parse_u64(str_make(text.ptr + colon, text.len - colon), &port)) return false;
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_make(host.ptr + 1, host.len - 2);
    if (port == 0 || port > UINT16_MAX) return false;
    address.port = (uint16_t)port;
    if (!str_copy(text, address.text, sizeof(address.text))) return false;
    str_copy(host, address.host, sizeof(address.host));
    *ret = address;
    return true;
}

/* --- state ----------------------------------------------------------------------------------- */

static uint64_t now(const struct link_peer *peer)
{
    return uv_now(peer->setup->loop);
}

static void set_state(struct link_peer *peer, enum link_peer_state state)
{
    static const bool allowed[][LINK_PEER_LEAVING + 1] = {
        [LINK_PEER_AWAY] = {[LINK_PEER_CONNECTING] = true},
        [LINK_PEER_CONNECTING] = {[LINK_PEER_PROVING] = true, [LINK_PEER_AWAY] = true},
        [LINK_PEER_PROVING] = {[LINK_PEER_READY] = true, [LINK_PEER_AWAY] = true},
        [LINK_PEER_READY] = {[LINK_PEER_LEAVING] = true, [LINK_PEER_AWAY] = true},
        [LINK_PEER_LEAVING] = {[LINK_PEER_AWAY] = true},
    };
    ASSERT(allowed[peer->state][state]);
    peer->state = state;
}

/* Each time twice as long, less a tenth at random, so that edges do not come back in step. */
static void wait_to_retry(struct link_peer *peer)
{
    uint8_t chance = 0;
    ssize_t got = getrandom(&chance, sizeof(chance), 0);

    (void)got;
    if (peer->retry_ms == 0)
        peer->retry_ms = LINK_RETRY_MIN_MS;
    else if (peer->retry_ms < LINK_RETRY_MAX_MS)
        peer->retry_ms =
            peer->retry_ms * 2 < LINK_RETRY_MAX_MS ? peer->retry_ms * 2 : LINK_RETRY_MAX_MS;
    uint32_t wait_ms =
        peer->handshake.state == LINK_IS_REFUSED ? LINK_RETRY_LONG_MS : peer->retry_ms;
    peer->due_ms = now(peer) + wait_ms - wait_ms / 10 * chance / UINT8_MAX;
}

static void tell_why(struct link_peer *peer, const char *why)
{
    if (peer->state >= LINK_PEER_READY)
        log_warn("link", "the node at %s is lost: %s", peer->address.text, why);
    else if (!peer->has_told || peer->handshake.state == LINK_IS_REFUSED)
        log_warn("link", "cannot link to %s: %s; it will be tried again", peer->address.text, why);
    peer->has_told = true;
}

/* The connection is over; transport NULL: it has gone by itself. */
static void go_away(struct link_peer *peer, const char *why)
{
    bool was_up = peer->state >= LINK_PEER_READY;

    if (peer->state == LINK_PEER_AWAY) return;
    tell_why(peer, why);
    transport_close(peer->transport);
    peer->transport = NULL;
    link_reader_deinit(&peer->reader);
    buf_deinit(&peer->out);
    set_state(peer, LINK_PEER_AWAY);
    wait_to_retry(peer);
    peer->handshake = (struct link_handshake){0};
    if (was_up) peer->setup->events->on_down(peer->setup->arg, peer);
}

/* --- packets --------------------------------------------------------------------------------- */

static void ping(struct link_peer *peer)
{
    Link__Ping part = LINK__PING__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    packet.body_case = LINK__PACKET__BODY_PING;
    packet.ping = &part;
    link_frame_add(&peer->out, &packet);
    peer->pinged_ms = now(peer);
    link_peer_flush(peer);
}

static void prove(struct link_peer *peer, const Link__Packet *packet)
{
    link_handshake_take(&peer->handshake, packet, &peer->out);
    switch (peer->handshake.state) {
    case LINK_WAITS_FOR_HELLO:
    case LINK_WAITS_FOR_PROOF: link_peer_flush(peer); return;
    case LINK_IS_REFUSED: go_away(peer, peer->handshake.why); return;
    case LINK_IS_PROVED: break;
    }
    set_state(peer, LINK_PEER_READY);
    link_reader_set_limit(&peer->reader, LIMIT_LINK_FRAME);
    peer->retry_ms = 0;
    peer->has_told = false;
    log_info("link", "linked to %s, node %s, version %s, speaks %u", peer->address.text,
             peer->handshake.peer.name, peer->handshake.peer.software, peer->handshake.version);
    peer->setup->events->on_ready(peer->setup->arg, peer);
}

static void take(struct link_peer *peer, Link__Packet *packet)
{
    const struct link_peer_events *events = peer->setup->events;

    if (peer->state == LINK_PEER_PROVING) {
        prove(peer, packet);
    } else if (packet->body_case == LINK__PACKET__BODY_GOODBYE) {
        if (peer->state != LINK_PEER_READY) return;
        set_state(peer, LINK_PEER_LEAVING);
        log_info("link", "the node at %s says goodbye", peer->address.text);
        events->on_leaving(peer->setup->arg, peer);
    } else if (packet->body_case != LINK__PACKET__BODY_PONG) {
        events->on_packet(peer->setup->arg, peer, packet);
        return; /* taken */
    }
    link_packet_free(packet);
}

static void on_bytes(void *arg, struct str bytes)
{
    struct link_peer *peer = arg;
    Link__Packet *packet = NULL;
    enum link_reading reading = LINK_READ_MORE;

    peer->heard_ms = now(peer);
    peer->pinged_ms = 0;
    link_reader_feed(&peer->reader, bytes);
    while (peer->state != LINK_PEER_AWAY &&
           (reading = link_reader_next(&peer->reader, &packet)) == LINK_READ_PACKET)
        take(peer, packet);
    if (reading == LINK_READ_BROKEN) go_away(peer, "it sent what is no packet");
}

/* --- the connection -------------------------------------------------------------------------- */

static void on_open(void *arg)
{
    struct link_peer *peer = arg;

    set_state(peer, LINK_PEER_PROVING);
}

static void on_closed(void *arg, const char *why)
{
    struct link_peer *peer = arg;

    peer->transport = NULL;
    go_away(peer, why);
}

static const struct transport_events events = {
    .on_open = on_open, .on_bytes = on_bytes, .on_closed = on_closed};

static void connect_now(struct link_peer *peer)
{
    const struct link_peer_setup *from = peer->setup;
    struct link_handshake_setup setup = {.role = LINK_EDGE,
                                         .secret = str_of(from->secret),
                                         .name = str_of(from->name),
                                         .software = str_of(from->software)};
    const struct transport_setup transport = {.host = peer->address.host,
                                              .port = peer->address.port,
                                              .tls = from->tls,
                                              .timeout_ms = LINK_CONNECT_MS,
                                              .events = &events,
                                              .arg = peer};
    ssize_t got = getrandom(setup.nonce, sizeof(setup.nonce), 0);

    ASSERT(got == (ssize_t)sizeof(setup.nonce));
    set_state(peer, LINK_PEER_CONNECTING);
    peer->due_ms = now(peer) + LINK_CONNECT_MS;
    peer->heard_ms = now(peer);
    peer->pinged_ms = 0;
    link_reader_init(&peer->reader, LIMIT_LINK_HELLO);
    link_handshake_start(&peer->handshake, &setup, &peer->out);
    peer->transport = transport_connect(from->loop, &transport);
    link_peer_flush(peer);
}

void link_peer_flush(struct link_peer *peer)
{
    if (peer->transport == NULL || peer->out.len == 0) return;
    transport_write(peer->transport, &peer->out);
}

static void watch_over(struct link_peer *peer, uint64_t late_ms)
{
    uint64_t at_ms = now(peer);

    if (peer->pinged_ms > 0) peer->pinged_ms += late_ms;
    if (peer->pinged_ms > 0 && at_ms >= peer->pinged_ms + LINK_STUCK_MS)
        go_away(peer, "it does not answer a ping");
    else if (peer->pinged_ms == 0 && at_ms >= peer->heard_ms + LINK_PING_MS)
        ping(peer);
}

void link_peer_tick(struct link_peer *peer, uint64_t late_ms)
{
    switch (peer->state) {
    case LINK_PEER_AWAY:
        if (now(peer) >= peer->due_ms) connect_now(peer);
        return;
    case LINK_PEER_CONNECTING:
    case LINK_PEER_PROVING:
        peer->due_ms += late_ms;
        if (now(peer) >= peer->due_ms) go_away(peer, "it does not speak in time");
        return;
    case LINK_PEER_READY:
    case LINK_PEER_LEAVING: watch_over(peer, late_ms); return;
    }
}

struct link_peer *link_peer_new(const struct link_peer_setup *setup,
                                const struct link_address *address)
{
    struct link_peer *peer = xcalloc(1, sizeof(*peer));

    list_init(&peer->node);
    list_init(&peer->calls);
    peer->address = *address;
    peer->setup = setup;
    return peer;
}

void link_peer_free(struct link_peer *peer)
{
    ASSERT(list_is_empty(&peer->calls));
    transport_close(peer->transport);
    link_reader_deinit(&peer->reader);
    buf_deinit(&peer->out);
    free(peer);
}
