#include "net/conn.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "net/node.h"

_Static_assert(sizeof(struct conn) == 104, "docs/performance.md counts it");

static void set_state(struct conn *c, enum conn_state state)
{
    static const bool allowed[CONN_LINGERING + 1][CONN_LINGERING + 1] = {
        [CONN_IDLE] = {[CONN_READING] = true, [CONN_ANSWERING] = true},
        [CONN_READING] = {[CONN_ANSWERING] = true},
        [CONN_ANSWERING] = {[CONN_IDLE] = true, [CONN_WRITING] = true, [CONN_LINGERING] = true},
        [CONN_WRITING] = {[CONN_IDLE] = true, [CONN_LINGERING] = true},
    };
    ASSERT(allowed[c->state][state]);
    c->state = (uint8_t)state;
}

static void watch(struct net_worker *nw, struct conn *c, uint8_t events)
{
    if (c->watched == events) return;
    c->watched = events;
    poller_change(&nw->poller, c->fd, c->handle, events);
}

/* What a connection needs while bytes move ---------------------------------------------------------------- */

static struct conn_work *work_of(struct conn *c)
{
    if (c->work == NULL) {
        c->work = xcalloc(1, sizeof *c->work);
        c->work->conn = c;
        list_init(&c->work->ready_node);
    }
    return c->work;
}

static void drop_reader(struct net_worker *nw, struct conn *c)
{
    if (c->work == NULL || c->work->reader == NULL) return;
    net_worker_give_reader(nw, c->work->reader);
    c->work->reader = NULL;
}

static void drop_work(struct net_worker *nw, struct conn *c)
{
    if (c->work == NULL) return;
    drop_reader(nw, c);
    list_remove(&c->work->ready_node);
    buf_deinit(&c->work->ahead);
    blob_unref(c->work->wire);
    free(c->work);
    c->work = NULL;
}

static size_t ahead_len(const struct conn *c)
{
    return c->work != NULL ? c->work->ahead.len - c->work->ahead_at : 0;
}

static bool has_ahead(const struct conn *c)
{
    return ahead_len(c) > 0;
}

/* Time-outs ---------------------------------------------------------------------------------------------- */

static void set_deadline(struct net_worker *nw, struct conn *c, uint32_t after_ms)
{
    c->deadline_ms = nw->now_ms + after_ms;
    if (!timer_is_armed(&c->timer) || c->timer.due_ms > c->deadline_ms)
        wheel_arm(&nw->wheel, &c->timer, c->deadline_ms);
}

static void no_deadline(struct conn *c)
{
    c->deadline_ms = INT64_MAX;
}

static void time_out(struct net_worker *nw, struct conn *c)
{
    switch ((enum conn_state)c->state) {
    case CONN_IDLE:
        counter_add(&nw->metrics.timeouts_idle_total, 1);
        conn_close(nw, c);
        return;
    case CONN_READING:
        counter_add(&nw->metrics.timeouts_header_total, 1);
        drop_reader(nw, c);
        set_state(c, CONN_ANSWERING);
        api_refuse(nw->api, c->handle, ERR_REQUEST_TIMEOUT);
        return;
    case CONN_WRITING:
        counter_add(&nw->metrics.timeouts_write_total, 1);
        conn_close(nw, c);
        return;
    case CONN_LINGERING: conn_close(nw, c); return;
    case CONN_ANSWERING: return;
    }
}

void conn_on_timer(struct net_worker *nw, struct conn *c)
{
    if (c->deadline_ms <= nw->now_ms)
        time_out(nw, c);
    else if (c->deadline_ms != INT64_MAX)
        wheel_arm(&nw->wheel, &c->timer, c->deadline_ms);
}

/* The end ------------------------------------------------------------------------------------------------ */

void conn_close(struct net_worker *nw, struct conn *c)
{
    if (c->waiter != 0) worker_cancel(nw->worker, c->waiter, nw->now_ms);
    slots_remove(&nw->conns, c->handle);
    wheel_cancel(&nw->wheel, &c->timer);
    drop_work(nw, c);
    api_conn_deinit(nw->api, &c->api);
    close(c->fd);
    free(c);
    gauge_add(&nw->metrics.connections, -1);
    node_connection_closed(nw->node);
}

void conn_drain(struct net_worker *nw, struct conn *c)
{
    if (c->state == CONN_IDLE || c->state == CONN_READING)
        conn_close(nw, c);
    else
        c->ends_after = true;
}

static void linger(struct net_worker *nw, struct conn *c)
{
    if (nw->is_draining || shutdown(c->fd, SHUT_WR) != 0) {
        conn_close(nw, c);
        return;
    }
    set_state(c, CONN_LINGERING);
    drop_work(nw, c);
    watch(nw, c, POLLER_IN | POLLER_EDGE);
    set_deadline(nw, c, LINGER_MS);
}

/* Answers ------------------------------------------------------------------------------------------------ */

/* The answer is out. May free the connection. */
static void finish(struct net_worker *nw, struct conn *c)
{
    if (c->ends_after) {
        linger(nw, c);
        return;
    }
    set_state(c, CONN_IDLE);
    set_deadline(nw, c, node_config(nw->node)->idle_timeout_ms);
    if (c->has_ended && !has_ahead(c))
        conn_close(nw, c);
    else if (has_ahead(c))
        list_push(&nw->ready, &c->work->ready_node);
    else
        drop_work(nw, c);
}

/* Bytes sent, 0 if the socket is full, or -1. */
static ssize_t try_send(int fd, const char *bytes, size_t len)
{
    ssize_t sent = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

/* The socket's buffer is full: the rest is sent when there is room, from the shared bytes. */
static void write_later(struct net_worker *nw, struct conn *c, struct blob *wire, size_t written)
{
    struct conn_work *work = work_of(c);
    work->wire = blob_ref(wire);
    work->written = (uint32_t)written;
    counter_add(&nw->metrics.writes_queued_total, 1);
    set_state(c, CONN_WRITING);
    watch(nw, c, c->watched | POLLER_OUT);
    set_deadline(nw, c, node_config(nw->node)->write_timeout_ms);
}

static void write_on(struct net_worker *nw, struct conn *c)
{
    struct conn_work *work = c->work;
    ssize_t sent =
        try_send(c->fd, work->wire->bytes + work->written, work->wire->len - work->written);
    if (sent < 0) {
        conn_close(nw, c);
        return;
    }
    work->written += (uint32_t)sent;
    if (work->written < work->wire->len) return;
    blob_unref(work->wire);
    work->wire = NULL;
    watch(nw, c, (uint8_t)(c->watched & ~POLLER_OUT));
    finish(nw, c);
}

void conn_answer(struct net_worker *nw, uint64_t exchange, struct blob *wire, bool close)
{
    struct conn *c = slots_get(&nw->conns, exchange);
    if (c == NULL) return; /* it went away meanwhile */
    ASSERT(c->state == CONN_ANSWERING);
    c->waiter = 0;
    c->ends_after |= close || nw->is_draining;
    ssize_t sent = try_send(c->fd, wire->bytes, wire->len);
    counter_add(&nw->metrics.bytes_out_total, wire->len);
    if (sent < 0)
        conn_close(nw, c);
    else if ((size_t)sent < wire->len)
        write_later(nw, c, wire, (size_t)sent);
    else
        finish(nw, c);
}

/* Requests ----------------------------------------------------------------------------------------------- */

static void keep_ahead(struct net_worker *nw, struct conn *c, struct str bytes)
{
    if (bytes.len == 0) return;
    struct conn_work *work = work_of(c);
    buf_add_str(&work->ahead, bytes);
    if (ahead_len(c) < LIMIT_PIPELINE_BYTES || (c->watched & POLLER_IN) == 0) return;
    counter_add(&nw->metrics.pipeline_paused_total, 1);
    watch(nw, c, (uint8_t)(c->watched & ~POLLER_IN));
}

/* What is left moves to the front only when it is the smaller part: else a long pipeline would be
 * copied once per request. */
static void pass_ahead(struct conn *c, size_t len)
{
    struct conn_work *work = c->work;
    work->ahead_at += len;
    if (work->ahead_at < work->ahead.len - work->ahead_at) return;
    buf_drop_front(&work->ahead, work->ahead_at);
    work->ahead_at = 0;
}

static void say_continue(const struct conn *c)
{
    /* A peer that waits for this has read all that came before: its buffer has room. If not, it goes on by itself. */
    (void)try_send(c->fd, "HTTP/1.1 100 Continue\r\n\r\n", 25);
}

static void begin_exchange(struct net_worker *nw, struct conn *c)
{
    no_deadline(c);
    set_state(c, CONN_ANSWERING);
    counter_add(&nw->metrics.requests_total, 1);
}

/* The poll of an exchange that was begun waits, or it was answered (0), and the connection may be
 * gone. */
static void keep_waiter(struct net_worker *nw, uint64_t exchange, uint64_t waiter)
{
    struct conn *c = waiter != 0 ? slots_get(&nw->conns, exchange) : NULL;
    if (c != NULL) c->waiter = waiter;
}

/* The reader goes back to the pool: a parked poll has none. */
static void take_request(struct net_worker *nw, struct conn *c, struct http_reader *reader,
                         struct str wire)
{
    uint64_t handle = c->handle;
    if (c->work != NULL) c->work->reader = NULL;
    if (!has_ahead(c)) drop_work(nw, c);
    begin_exchange(nw, c);
    uint64_t waiter =
        api_request(nw->api, &c->api, handle, http_reader_request(reader), wire, nw->now_ms);
    net_worker_give_reader(nw, reader);
    keep_waiter(nw, handle, waiter);
}

/* False: these bytes have to be read. */
static bool take_repeated(struct net_worker *nw, struct conn *c, struct str wire)
{
    struct poll poll;
    if (c->state != CONN_IDLE || !api_repeats(nw->api, &c->api, wire, nw->now_ms, &poll))
        return false;
    poll.exchange = c->handle;
    begin_exchange(nw, c);
    counter_add(&nw->metrics.requests_repeated_total, 1);
    keep_waiter(nw, poll.exchange, worker_poll(nw->worker, &poll, nw->now_ms));
    return true;
}

static void fail(struct net_worker *nw, struct conn *c, struct http_reader *reader)
{
    int err = http_reader_error(reader);
    counter_add(&nw->metrics.requests_bad_total, 1);
    if (c->work != NULL) c->work->reader = NULL;
    net_worker_give_reader(nw, reader);
    no_deadline(c);
    set_state(c, CONN_ANSWERING);
    api_refuse(nw->api, c->handle, err);
}

/* There is more of this request to come. */
static void read_on(struct net_worker *nw, struct conn *c, struct http_reader *reader)
{
    if (c->state == CONN_READING) return;
    work_of(c)->reader = reader;
    set_state(c, CONN_READING);
    set_deadline(nw, c, node_config(nw->node)->header_timeout_ms);
}

static struct http_reader *reader_of(struct net_worker *nw, const struct conn *c)
{
    return c->state == CONN_READING ? c->work->reader : net_worker_take_reader(nw);
}

/* May free the connection. */
static void go_on(struct net_worker *nw, struct conn *c, struct http_reader *reader,
                  enum http_result result, struct str wire)
{
    switch (result) {
    case HTTP_MORE: read_on(nw, c, reader); return;
    case HTTP_EXPECT:
        read_on(nw, c, reader);
        say_continue(c);
        return;
    case HTTP_FAILED: fail(nw, c, reader); return;
    case HTTP_COMPLETE: take_request(nw, c, reader, wire); return;
    }
}

/* Reads one request at the most; what follows it waits for its answer, behind what waits already.
 * May free the connection. */
static void take_bytes(struct net_worker *nw, struct conn *c, struct str bytes)
{
    size_t used = 0;
    if (c->state == CONN_LINGERING) return;
    if (c->state == CONN_ANSWERING || c->state == CONN_WRITING || has_ahead(c)) {
        keep_ahead(nw, c, bytes);
        return;
    }
    if (take_repeated(nw, c, bytes)) return;
    struct http_reader *reader = reader_of(nw, c);
    bool is_whole = c->state == CONN_IDLE;
    enum http_result result = http_reader_feed(reader, bytes, &used);
    if (result == HTTP_COMPLETE) keep_ahead(nw, c, str_make(bytes.ptr + used, bytes.len - used));
    go_on(nw, c, reader, result, is_whole && used == bytes.len ? bytes : STR_NONE);
}

void conn_continue(struct net_worker *nw, struct conn *c)
{
    struct conn_work *work = c->work;
    uint64_t handle = c->handle;
    size_t used = 0;
    list_remove(&work->ready_node);
    struct str ahead = str_make(work->ahead.ptr + work->ahead_at, ahead_len(c));
    struct http_reader *reader = reader_of(nw, c);
    enum http_result result = http_reader_feed(reader, ahead, &used);
    pass_ahead(c, result == HTTP_COMPLETE ? used : ahead.len);
    go_on(nw, c, reader, result, STR_NONE);
    c = slots_get(&nw->conns, handle);
    if (c == NULL || c->state == CONN_LINGERING || c->has_ended) return;
    if (ahead_len(c) < LIMIT_PIPELINE_BYTES) watch(nw, c, c->watched | POLLER_IN);
}

/* A peer that has only shut its sending side still reads the answers to what it asked. Who waits for news is another
 * matter: nearly always that client is gone, and nobody else would tell. */
static void on_end(struct net_worker *nw, struct conn *c)
{
    bool is_answered_soon =
        c->state == CONN_WRITING || (c->state == CONN_ANSWERING && c->waiter == 0) || has_ahead(c);
    if (!is_answered_soon || c->state == CONN_LINGERING) {
        conn_close(nw, c);
        return;
    }
    c->has_ended = true;
    watch(nw, c, (uint8_t)(c->watched & ~POLLER_IN));
}

/* One chunk a turn. Where more may be left it is reported again: a short read has emptied the
 * socket, but for the end of the stream and what an urgent byte holds back (POLLER_LAST). */
static void read_some(struct net_worker *nw, struct conn *c, bool is_last)
{
    ssize_t got = recv(c->fd, nw->read_chunk, READ_CHUNK, 0);
    bool is_more = got == READ_CHUNK || (got > 0 && is_last) || (got < 0 && errno == EINTR);
    if (is_more) poller_change(&nw->poller, c->fd, c->handle, c->watched);
    if (got > 0) {
        counter_add(&nw->metrics.bytes_in_total, (uint64_t)got);
        take_bytes(nw, c, str_make(nw->read_chunk, (size_t)got));
    } else if (got == 0) {
        on_end(nw, c);
    } else if (errno != EAGAIN && errno != EINTR) {
        conn_close(nw, c);
    }
}

/* A connection out of ten thousand has left the cache since its last poll. */
void conn_prefetch(struct net_worker *nw, uint64_t handle)
{
    const char *c = slots_get(&nw->conns, handle);
    if (c == NULL) return;
    for (size_t at = 0; at < sizeof(struct conn); at += 64) __builtin_prefetch(c + at);
}

void conn_on_events(struct net_worker *nw, uint64_t handle, uint32_t events)
{
    struct conn *c = slots_get(&nw->conns, handle);
    if (c == NULL) return; /* closed earlier in this batch */
    if ((events & POLLER_END) != 0 && (events & POLLER_IN) == 0) {
        conn_close(nw, c);
        return;
    }
    if ((events & POLLER_OUT) != 0 && c->state == CONN_WRITING) write_on(nw, c);
    c = slots_get(&nw->conns, handle);
    if (c != NULL && (events & POLLER_IN) != 0) read_some(nw, c, (events & POLLER_LAST) != 0);
}

/* The beginning ------------------------------------------------------------------------------------------- */

void conn_open(struct net_worker *nw, int fd, bool is_ops)
{
    struct conn *c = xcalloc(1, sizeof *c);
    c->fd = fd;
    c->watched = POLLER_IN | POLLER_EDGE;
    c->api.is_ops = is_ops;
    timer_init(&c->timer);
    c->handle = slots_add(&nw->conns, c);
    counter_add(&nw->metrics.connections_total, 1);
    gauge_add(&nw->metrics.connections, 1);
    set_deadline(nw, c, node_config(nw->node)->idle_timeout_ms);
    if (poller_add(&nw->poller, fd, c->handle, c->watched) != 0) conn_close(nw, c);
}
