/* One edge at a cache node: handshake, packets in, bytes out. */
#include <string.h>
#include <sys/random.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "net/link_internal.h"

/* State ------------------------------------------------------------------------------------ */

static void gauge_of_state(struct link_conn *conn, int64_t n)
{
    struct link_metrics *metrics = &conn->server->metrics;
    switch (conn->state) {
    case LINK_CONN_GREETING: counter_add(&metrics->links_greeting, (uint64_t)n); break;
    case LINK_CONN_SERVING:
    case LINK_CONN_LEAVING: counter_add(&metrics->links, (uint64_t)n); break;
    case LINK_CONN_CLOSED: break;
    }
}

static void set_state(struct link_conn *conn, enum link_conn_state state)
{
    static const bool allowed[][LINK_CONN_CLOSED + 1] = {
        [LINK_CONN_GREETING] = {[LINK_CONN_SERVING] = true, [LINK_CONN_CLOSED] = true},
        [LINK_CONN_SERVING] = {[LINK_CONN_LEAVING] = true, [LINK_CONN_CLOSED] = true},
        [LINK_CONN_LEAVING] = {[LINK_CONN_CLOSED] = true},
        [LINK_CONN_CLOSED] = {false},
    };
    ASSERT(allowed[conn->state][state]);
    gauge_of_state(conn, -1);
    conn->state = state;
    gauge_of_state(conn, 1);
}

void link_conn_close(struct link_conn *conn)
{
    struct link_server *s = conn->server;
    if (conn->state == LINK_CONN_CLOSED) return;
    if (conn->state != LINK_CONN_GREETING)
        log_info("link", "edge %s at %s is gone", conn->handshake.peer.name, conn->peer_host);
    set_state(conn, LINK_CONN_CLOSED);
    transport_close(conn->transport);
    conn->transport = NULL;
    link_serve_forget(conn);
    hub_peer_free(conn->peer, link_server_now(s));
    conn->peer = NULL;
    list_remove(&conn->node);
    list_push(&s->dead, &conn->node);
    s->conn_count--;
}

void link_conn_free(struct link_conn *conn)
{
    ASSERT(conn->state == LINK_CONN_CLOSED);
    link_reader_deinit(&conn->reader);
    buf_deinit(&conn->out);
    free(conn);
}

/* For reasons that are the edge's. */
static void cut_off(struct link_conn *conn, const char *why)
{
    log_warn("link", "edge at %s: %s: cut off", conn->peer_host, why);
    counter_add(&conn->server->metrics.links_broken_total, 1);
    link_conn_close(conn);
}

/* Out -------------------------------------------------------------------------------------- */

size_t link_conn_queued(const struct link_conn *conn)
{
    return conn->out.len + transport_queued_bytes(conn->transport);
}

static void caught_up(struct link_conn *conn)
{
    if (conn->is_behind) {
        conn->is_behind = false;
        hub_peer_resume(conn->peer); /* may set it again */
    }
    link_serve_waiting(conn);
}

static void write_out(struct link_conn *conn)
{
    if (conn->out.len > 0) transport_write(conn->transport, &conn->out);
}

void link_conn_flush(struct link_conn *conn)
{
    if (conn->state == LINK_CONN_CLOSED) return;
    write_out(conn);
    size_t queued = transport_queued_bytes(conn->transport);
    if (queued > LIMIT_LINK_STUCK) {
        cut_off(conn, "does not take its bytes");
        return;
    }
    if (queued > 0 || conn->state == LINK_CONN_GREETING) return;
    caught_up(conn);
    write_out(conn);
}

static void on_drained(void *arg)
{
    link_conn_flush(arg);
}

static bool on_news(void *arg, struct str room, const struct message *message)
{
    struct link_conn *conn = arg;
    Link__News news = LINK__NEWS__INIT;
    Link__Packet packet = LINK__PACKET__INIT;
    Link__Message part;
    if (link_conn_queued(conn) > conn->server->setup.queue_bytes) {
        counter_add(&conn->server->metrics.link_news_dropped_total, 1);
        conn->is_behind = true;
        return false;
    }
    link_message_pack(message, &part);
    news.room = link_bytes(room);
    news.message = &part;
    packet.body_case = LINK__PACKET__BODY_NEWS;
    packet.news = &news;
    link_frame_add(&conn->out, &packet);
    return true;
}

static void pong(struct link_conn *conn, uint64_t id)
{
    Link__Pong part = LINK__PONG__INIT;
    Link__Packet packet = LINK__PACKET__INIT;
    packet.id = id;
    packet.body_case = LINK__PACKET__BODY_PONG;
    packet.pong = &part;
    link_frame_add(&conn->out, &packet);
}

void link_conn_goodbye(struct link_conn *conn)
{
    Link__Goodbye part = LINK__GOODBYE__INIT;
    Link__Packet packet = LINK__PACKET__INIT;
    if (conn->state != LINK_CONN_SERVING) return;
    if (!link_handshake_has(&conn->handshake, LINK_GOODBYE)) return;
    packet.body_case = LINK__PACKET__BODY_GOODBYE;
    packet.goodbye = &part;
    link_frame_add(&conn->out, &packet);
    set_state(conn, LINK_CONN_LEAVING);
    write_out(conn);
}

/* In --------------------------------------------------------------------------------------- */

static void begin_serving(struct link_conn *conn)
{
    const struct hub_peer_setup setup = {.on_news = on_news, .arg = conn};
    const struct link_party *peer = &conn->handshake.peer;
    set_state(conn, LINK_CONN_SERVING);
    conn->peer = hub_peer_new(conn->server->setup.hub, &setup);
    link_reader_set_limit(&conn->reader, LIMIT_LINK_FRAME);
    counter_add(&conn->server->metrics.links_opened_total, 1);
    log_info("link", "edge %s at %s, version %s, speaks %u", peer->name, conn->peer_host,
             peer->software, conn->handshake.version);
}

static void greet(struct link_conn *conn, const Link__Packet *packet)
{
    struct link_server *s = conn->server;
    link_handshake_take(&conn->handshake, packet, &conn->out);
    switch (conn->handshake.state) {
    case LINK_WAITS_FOR_HELLO:
    case LINK_WAITS_FOR_PROOF: return;
    case LINK_IS_PROVED: begin_serving(conn); return;
    case LINK_IS_REFUSED: break;
    }
    log_warn("link", "refused a connection from %s: %s", conn->peer_host, conn->handshake.why);
    counter_add(&s->metrics.links_refused_total, 1);
    if (conn->handshake.is_secret_wrong) link_server_note_refusal(s, conn->peer_host);
    write_out(conn);
    /* The edge reads why, and closes; if it does not, the sweep does. */
    conn->is_refused = true;
}

static void take(struct link_conn *conn, const Link__Packet *packet)
{
    if (conn->state == LINK_CONN_GREETING) {
        if (!conn->is_refused) greet(conn, packet);
    } else if (packet->body_case == LINK__PACKET__BODY_PING) {
        pong(conn, packet->id);
    } else if (packet->body_case == LINK__PACKET__BODY_WATCH) {
        struct str room = link_str(packet->watch->room);
        if (!link_room_is_valid(room)) return;
        hub_peer_watch(conn->peer, room, packet->watch->tell_newest, link_server_now(conn->server));
    } else if (packet->body_case == LINK__PACKET__BODY_UNWATCH) {
        hub_peer_unwatch(conn->peer, link_str(packet->unwatch->room),
                         link_server_now(conn->server));
    } else if (packet->id != 0) {
        link_serve(conn, packet);
    }
}

static void on_bytes(void *arg, struct str bytes)
{
    struct link_conn *conn = arg;
    Link__Packet *packet = NULL;
    enum link_reading reading = LINK_READ_MORE;
    conn->heard_ms = uv_now(conn->server->setup.loop);
    link_reader_feed(&conn->reader, bytes);
    while (conn->state != LINK_CONN_CLOSED &&
           (reading = link_reader_next(&conn->reader, &packet)) == LINK_READ_PACKET) {
        take(conn, packet);
        link_packet_free(packet);
    }
    if (conn->state == LINK_CONN_CLOSED) return;
    if (reading == LINK_READ_BROKEN)
        cut_off(conn, "sent what is no packet");
    else
        write_out(conn);
}

static void on_open(void *arg)
{
    (void)arg; /* the edge speaks first */
}

static void on_closed(void *arg, const char *why)
{
    struct link_conn *conn = arg;
    log_debug("link", "connection from %s: %s", conn->peer_host, why);
    conn->transport = NULL; /* it has gone by itself */
    link_conn_close(conn);
}

static const struct transport_events events = {
    .on_open = on_open, .on_bytes = on_bytes, .on_drained = on_drained, .on_closed = on_closed};

static void name_host(struct link_conn *conn)
{
    const char *peer = transport_peer(conn->transport);
    const char *colon = strrchr(peer, ':');
    size_t len = colon == NULL ? strlen(peer) : (size_t)(colon - peer);
    if (!str_copy(str_make(peer, len), conn->peer_host, sizeof conn->peer_host))
        str_copy(STR("?"), conn->peer_host, sizeof conn->peer_host);
}

static void start_handshake(struct link_conn *conn)
{
    const struct link_server_setup *from = &conn->server->setup;
    struct link_handshake_setup setup = {.role = LINK_CACHE,
                                         .secret = str_of(from->secret),
                                         .name = str_of(from->name),
                                         .software = str_of(from->software)};
    ssize_t got = getrandom(setup.nonce, sizeof setup.nonce, 0);
    ASSERT(got == (ssize_t)sizeof setup.nonce);
    link_handshake_start(&conn->handshake, &setup, &conn->out);
}

struct link_conn *link_conn_accept(struct link_server *s)
{
    struct link_conn *conn = xcalloc(1, sizeof *conn);
    struct transport_setup setup = {
        .tls = s->setup.tls, .timeout_ms = s->setup.greeting_ms, .events = &events, .arg = conn};
    conn->transport = transport_accept((uv_stream_t *)&s->listener, &setup);
    if (conn->transport == NULL) {
        free(conn);
        return NULL;
    }
    conn->server = s;
    list_init(&conn->node);
    list_init(&conn->jobs);
    list_init(&conn->waiting);
    conn->opened_ms = conn->heard_ms = uv_now(s->setup.loop);
    link_reader_init(&conn->reader, LIMIT_LINK_HELLO);
    name_host(conn);
    start_handshake(conn);
    return conn;
}
