#include "store/transport.h"

#include <netinet/in.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/list.h"
#include "store/tls.h"

#define WHY_BYTES    320
#define READ_BYTES   ((size_t)64 * 1024)
#define RECORD_BYTES ((size_t)16 * 1024) /* of plain text: what a TLS record holds */
#define KEEPALIVE_S  30

enum state {
    LOOKING_UP,
    CONNECTING,
    SHAKING, /* TLS */
    OPENING, /* on_open is due, from the loop */
    OPEN,
    FAILED, /* on_closed is due, from the loop */
    OVER,   /* no event any more */
};

/* The handles that libuv may still use when the owner is through with the transport are memory of
 * their own: their `data` is the transport, NULL when that has let go of them. The transport itself
 * goes with its timer, which libuv closes from the loop, so never below a call into here. */
struct transport {
    enum state state;
    uv_timer_t timer; /* connecting takes too long; in OPENING and FAILED the event is due */
    uv_tcp_t *tcp;    /* NULL before there is an address */
    uv_getaddrinfo_t *lookup; /* NULL: none under way */
    struct addrinfo *found;   /* owned */
    struct addrinfo *next;    /* within it: the address to try next */
    struct tls_session *tls;  /* NULL: plain */
    const struct transport_events *events;
    void *arg;
    uint32_t timeout_ms;
    uint16_t port;
    char *host; /* NULL: accepted */
    char *peer;
    struct buf early; /* written before the connection was open */
    char why[WHY_BYTES];
};

struct write {
    uv_write_t req;
    struct buf bytes;
};

/* --- the end --------------------------------------------------------------------------------- */

static void on_tcp_gone(uv_handle_t *handle)
{
    free(handle);
}

static void drop_tcp(struct transport *t)
{
    if (t->tcp == NULL) return;
    t->tcp->data = NULL;
    uv_close((uv_handle_t *)t->tcp, on_tcp_gone);
    t->tcp = NULL;
}

static void on_timer_gone(uv_handle_t *handle)
{
    struct transport *t = handle->data;
    tls_session_free(t->tls);
    free(t->host);
    free(t->peer);
    free(t);
}

void transport_close(struct transport *t)
{
    if (t == NULL || t->state == OVER) return;
    t->state = OVER;
    drop_tcp(t);
    if (t->lookup != NULL) {
        t->lookup->data = NULL;
        uv_cancel((uv_req_t *)t->lookup);
    }
    uv_freeaddrinfo(t->found);
    t->found = t->next = NULL;
    buf_deinit(&t->early);
    uv_close((uv_handle_t *)&t->timer, on_timer_gone);
}

static void end(struct transport *t, const char *why)
{
    char copy[WHY_BYTES]; /* why may be the session's, and the peer's name is wanted meanwhile */
    const struct transport_events *events = t->events;
    snprintf(copy, sizeof(copy), "%s", why);
    if (t->state == OVER) return;
    drop_tcp(t);
    t->state = OVER;
    events->on_closed(t->arg, copy);
    t->state = FAILED; /* so that it can be closed */
    transport_close(t);
}

static void on_timer(uv_timer_t *timer);

/* From inside a call: the loop tells it. */
static void end_soon(struct transport *t, const char *why)
{
    snprintf(t->why, sizeof(t->why), "%s", why);
    t->state = FAILED;
    drop_tcp(t);
    uv_timer_start(&t->timer, on_timer, 0, 0);
}

/* --- writing --------------------------------------------------------------------------------- */

static void take_bytes(struct transport *t, struct str bytes);

/* A peer that hangs up may have said why, and that is read only now: a TLS alert, a server's error. */
static void hear_last_words(struct transport *t)
{
    char bytes[4096];
    ssize_t len = 0;
    int fd;
    if (uv_fileno((uv_handle_t *)t->tcp, &fd) != 0) return;
    while (t->state == OPEN && (len = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
        take_bytes(t, str_make(bytes, (size_t)len));
}

static void on_written(uv_write_t *req, int status)
{
    struct write *write = CONTAINER_OF(req, struct write, req);
    struct transport *t = req->handle->data;
    buf_deinit(&write->bytes);
    free(write);
    if (t == NULL || t->state != OPEN) return;
    if (status != 0) hear_last_words(t);
    if (t->state != OPEN) return;
    if (status != 0)
        end(t, uv_strerror(status));
    else if (transport_queued_bytes(t) == 0 && t->events->on_drained != NULL)
        t->events->on_drained(t->arg);
}

/* Takes the bytes. Those that the socket does not take at once go into libuv's queue. */
static void put(struct transport *t, struct buf *bytes)
{
    int taken = 0;
    if (uv_stream_get_write_queue_size((uv_stream_t *)t->tcp) == 0) {
        uv_buf_t now = uv_buf_init(bytes->ptr, (unsigned)bytes->len);
        taken = uv_try_write((uv_stream_t *)t->tcp, &now, 1);
    }
    size_t done = taken > 0 ? (size_t)taken : 0;
    if (done < bytes->len) {
        struct write *write = xcalloc(1, sizeof(*write));
        write->bytes = *bytes;
        *bytes = (struct buf){0};
        uv_buf_t rest = uv_buf_init(write->bytes.ptr + done, (unsigned)(write->bytes.len - done));
        /* What is wrong with the socket comes to on_written(); but for one that is over already. */
        int err = uv_write(&write->req, (uv_stream_t *)t->tcp, &rest, 1, on_written);
        if (err == 0) return;
        buf_deinit(&write->bytes);
        free(write);
        end_soon(t, uv_strerror(err));
    }
    buf_deinit(bytes);
}

/* What the session has to say to the peer, be it the last. */
static void put_records(struct transport *t)
{
    struct buf records = {0};
    tls_session_take(t->tls, &records);
    if (records.len > 0) put(t, &records);
}

static void put_encrypted(struct transport *t, struct buf *bytes)
{
    struct buf records = {0};
    enum tls_result result = tls_session_write(t->tls, buf_str(bytes), &records);
    buf_deinit(bytes);
    if (records.len > 0) put(t, &records);
    if (result != TLS_OK && t->state == OPEN) end_soon(t, tls_session_why(t->tls));
}

void transport_write(struct transport *t, struct buf *bytes)
{
    if (t->state == FAILED || t->state == OVER || bytes->len == 0) {
        buf_deinit(bytes);
        return;
    }
    ASSERT(bytes->len <= INT32_MAX);
    if (t->state != OPEN) {
        buf_add_str(&t->early, buf_str(bytes));
        buf_deinit(bytes);
    } else if (t->tls != NULL) {
        put_encrypted(t, bytes);
    } else {
        put(t, bytes);
    }
}

size_t transport_queued_bytes(const struct transport *t)
{
    size_t queued = t->tcp == NULL ? 0 : uv_stream_get_write_queue_size((uv_stream_t *)t->tcp);
    return queued + t->early.len;
}

const char *transport_peer(const struct transport *t)
{
    return t->peer;
}

/* --- open, and reading ----------------------------------------------------------------------- */

static void open_up(struct transport *t)
{
    struct buf early = t->early;
    bool was_early = early.len > 0;
    uv_timer_stop(&t->timer);
    t->state = OPEN;
    t->early = (struct buf){0};
    if (was_early) transport_write(t, &early);
    if (t->state == OPEN) t->events->on_open(t->arg);
    if (was_early && t->state == OPEN && transport_queued_bytes(t) == 0 &&
        t->events->on_drained != NULL)
        t->events->on_drained(t->arg);
}

static void shake(struct transport *t)
{
    enum tls_result result = tls_session_shake(t->tls);
    put_records(t);
    if (t->state != SHAKING) return;
    if (result == TLS_FAILED || result == TLS_ENDED)
        end(t, result == TLS_FAILED ? tls_session_why(t->tls) : "TLS: the peer gave up");
    else if (result == TLS_OK)
        open_up(t);
}

static void read_decrypted(struct transport *t)
{
    char plain[RECORD_BYTES];
    size_t len;
    while (t->state == OPEN) {
        enum tls_result result = tls_session_read(t->tls, plain, sizeof(plain), &len);
        switch (result) {
        case TLS_OK: t->events->on_bytes(t->arg, str_make(plain, len)); break;
        case TLS_MORE: put_records(t); return;
        case TLS_ENDED: end(t, "the peer closed the connection"); return;
        case TLS_FAILED:
            put_records(t);
            end(t, tls_session_why(t->tls));
            return;
        }
    }
}

static void take_bytes(struct transport *t, struct str bytes)
{
    if (t->tls == NULL) {
        t->events->on_bytes(t->arg, bytes);
        return;
    }
    tls_session_feed(t->tls, bytes);
    if (t->state == SHAKING) shake(t);
    if (t->state == OPEN) read_decrypted(t);
}

/* A buffer per read and not per connection: most of them rest. */
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret)
{
    struct transport *t = handle->data;
    (void)suggested;
    size_t size = t->tls != NULL ? RECORD_BYTES : READ_BYTES;
    *ret = uv_buf_init(xmalloc(size), (unsigned)size);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
    struct transport *t = stream->data;
    if (t != NULL && len > 0)
        take_bytes(t, str_make(bytes->base, (size_t)len));
    else if (t != NULL && len < 0)
        end(t, len == UV_EOF ? "the peer closed the connection" : uv_strerror((int)len));
    free(bytes->base);
}

static void start_reading(struct transport *t)
{
    int err = uv_read_start((uv_stream_t *)t->tcp, on_alloc, on_read);
    ASSERT(err == 0);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void make_tcp(struct transport *t, uv_loop_t *loop)
{
    t->tcp = xcalloc(1, sizeof(*t->tcp));
    int err = uv_tcp_init(loop, t->tcp);
    ASSERT(err == 0);
    t->tcp->data = t;
}

static void connected(struct transport *t)
{
    uv_tcp_nodelay(t->tcp, 1);
    uv_tcp_keepalive(t->tcp, 1, KEEPALIVE_S);
    start_reading(t);
    if (t->tls != NULL) {
        t->state = SHAKING;
        shake(t);
    } else {
        open_up(t);
    }
}

static void try_next(struct transport *t, int last_err);

/* The handle that the request belongs to says whose it was; the request is its own memory. */
static void on_connected(uv_connect_t *req, int status)
{
    struct transport *t = req->handle->data;
    free(req);
    if (t == NULL || t->state != CONNECTING) return;
    if (status == 0)
        connected(t);
    else
        try_next(t, status);
}

/* 0, or why not even that could be begun. */
static int connect_to(struct transport *t, const struct sockaddr *addr)
{
    drop_tcp(t);
    make_tcp(t, t->timer.loop);
    uv_connect_t *req = xcalloc(1, sizeof(*req));
    int err = uv_tcp_connect(req, t->tcp, addr, on_connected);
    if (err != 0) free(req);
    return err;
}

static void try_next(struct transport *t, int last_err)
{
    t->state = CONNECTING;
    while (t->next != NULL) {
        const struct addrinfo *at = t->next;
        t->next = at->ai_next;
        last_err = connect_to(t, at->ai_addr);
        if (last_err == 0) return;
    }
    end(t, uv_strerror(last_err));
}

static void on_found(uv_getaddrinfo_t *req, int status, struct addrinfo *found)
{
    struct transport *t = req->data;
    free(req);
    if (t == NULL) {
        uv_freeaddrinfo(found);
        return;
    }
    t->lookup = NULL;
    t->found = t->next = found;
    if (status == 0) {
        try_next(t, UV_EADDRNOTAVAIL);
        return;
    }
    snprintf(t->why, sizeof(t->why), "cannot find the address of %s: %s", t->host,
             uv_strerror(status));
    end(t, t->why);
}

static int look_up(struct transport *t)
{
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    snprintf(service, sizeof(service), "%u", t->port);
    t->lookup = xcalloc(1, sizeof(*t->lookup));
    t->lookup->data = t;
    int err = uv_getaddrinfo(t->timer.loop, t->lookup, on_found, t->host, service, &hints);
    if (err != 0) {
        free(t->lookup);
        t->lookup = NULL;
    }
    return err;
}

/* An address needs no thread to be found. */
static int start(struct transport *t)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    t->state = CONNECTING;
    if (uv_ip4_addr(t->host, t->port, &v4) == 0) return connect_to(t, (struct sockaddr *)&v4);
    if (uv_ip6_addr(t->host, t->port, &v6) == 0) return connect_to(t, (struct sockaddr *)&v6);
    t->state = LOOKING_UP;
    return look_up(t);
}

static void on_timer(uv_timer_t *timer)
{
    struct transport *t = timer->data;
    char why[64];
    switch (t->state) {
    case FAILED: end(t, t->why); return;
    case OPENING:
        start_reading(t);
        open_up(t);
        return;
    case LOOKING_UP:
    case CONNECTING:
    case SHAKING:
        snprintf(why, sizeof(why), "not connected within %u ms%s", t->timeout_ms,
                 t->state == SHAKING ? ": no end of the TLS handshake" : "");
        end(t, why);
        return;
    case OPEN:
    case OVER: return;
    }
}

static struct transport *transport_new(uv_loop_t *loop, const struct transport_setup *setup)
{
    struct transport *t = xcalloc(1, sizeof(*t));
    t->events = setup->events;
    t->arg = setup->arg;
    t->timeout_ms = setup->timeout_ms;
    t->timer.data = t;
    int err = uv_timer_init(loop, &t->timer);
    ASSERT(err == 0);
    return t;
}

static void name_peer(struct transport *t, const char *host, uint16_t port)
{
    struct buf text = {0};
    buf_printf(&text, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
    t->peer = xmalloc(text.len + 1);
    memcpy(t->peer, text.ptr, text.len);
    t->peer[text.len] = '\0';
    buf_deinit(&text);
}

struct transport *transport_connect(uv_loop_t *loop, const struct transport_setup *setup)
{
    struct transport *t = transport_new(loop, setup);
    t->host = xstrdup(setup->host);
    t->port = setup->port;
    name_peer(t, setup->host, setup->port);
    if (setup->tls != NULL) t->tls = tls_session_new(setup->tls, setup->host);
    uv_update_time(loop);
    uv_timer_start(&t->timer, on_timer, t->timeout_ms, 0);
    int err = start(t);
    if (err != 0) end_soon(t, uv_strerror(err));
    return t;
}

/* --- accepting ------------------------------------------------------------------------------- */

static void name_accepted(struct transport *t)
{
    struct sockaddr_storage addr = {0};
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&addr;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&addr;
    char host[INET6_ADDRSTRLEN] = "?";
    int len = sizeof(addr);
    uint16_t port = 0;
    if (uv_tcp_getpeername(t->tcp, (struct sockaddr *)&addr, &len) == 0) {
        bool is_v6 = addr.ss_family == AF_INET6;
        port = ntohs(is_v6 ? v6->sin6_port : v4->sin_port);
        if (is_v6)
            uv_ip6_name(v6, host, sizeof(host));
        else
            uv_ip4_name(v4, host, sizeof(host));
    }
    name_peer(t, host, port);
}

struct transport *transport_accept(uv_stream_t *listener, const struct transport_setup *setup)
{
    struct transport *t = transport_new(listener->loop, setup);
    make_tcp(t, listener->loop);
    if (uv_accept(listener, (uv_stream_t *)t->tcp) != 0) {
        transport_close(t);
        return NULL;
    }
    name_accepted(t);
    uv_tcp_nodelay(t->tcp, 1);
    uv_tcp_keepalive(t->tcp, 1, KEEPALIVE_S);
    uv_update_time(listener->loop);
    if (setup->tls != NULL) {
        t->tls = tls_session_new(setup->tls, NULL);
        t->state = SHAKING;
        start_reading(t);
        uv_timer_start(&t->timer, on_timer, t->timeout_ms, 0);
    } else {
        t->state = OPENING;
        uv_timer_start(&t->timer, on_timer, 0, 0);
    }
    return t;
}
