/* Sockets are registered once, edge-triggered, for both directions: no epoll_ctl() between a
 * connection's first request and its end. After an edge everything is read; a read that comes back
 * short has emptied the socket, and what arrives later, the peer's FIN too, is a new edge. */
#include "tool/client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"

#define READ_BUFFER     262144
#define EVENTS_PER_WAIT 512

struct client {
    int epoll_fd;
    bool stopped, stamps;
    uint32_t first_source, sources;
    int64_t now_ms;
    struct wheel wheel;
    int64_t alarm_us;
    void (*on_alarm)(void *arg); /* NULL: no alarm is set */
    void *alarm_arg;
    char read_buffer[READ_BUFFER];
};

int64_t client_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t client_now_ms(const struct client *client)
{
    return client->now_ms;
}

/* ---- closing ----------------------------------------------------------------------- */

void client_conn_close(struct client_conn *conn)
{
    if (conn->fd >= 0) close(conn->fd);
    conn->fd = -1;
    conn->state = CLIENT_CLOSED;
    buf_deinit(&conn->unsent);
}

/* Closes, and tells of the request under way, if there is one. */
static void conn_lose(struct client_conn *conn, const char *reason)
{
    bool owed = conn->state == CLIENT_BUSY || conn->state == CLIENT_CONNECTING;
    client_conn_close(conn);
    if (owed) conn->events->on_lost(conn, reason);
}

static const char *reason_of(int error)
{
    switch (error) {
    case ECONNREFUSED: return "refused";
    case ECONNRESET:
    case EPIPE: return "reset";
    case ETIMEDOUT: return "timed out";
    case EADDRNOTAVAIL: return "no free port";
    default: return "failed";
    }
}

/* ---- connecting -------------------------------------------------------------------- */

/* Without IP_BIND_ADDRESS_NO_PORT bind() would take a port that no other connection may use, to
 * whatever peer; with it connect() picks one that is free towards this peer. */
static int bind_source(const struct client *client, const struct client_conn *conn, int fd)
{
    int on = 1;
    uint32_t host = 2 + client->first_source + conn->source % client->sources;
    struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host),
    };
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    return bind(fd, (const struct sockaddr *)&from, sizeof(from));
}

static int socket_open(const struct client *client, const struct client_conn *conn,
                       const struct url *url)
{
    int on = 1;
    int fd = socket(url->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (conn->client->stamps) setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on));
    bool failed = url->is_loopback && client->sources > 0 && bind_source(client, conn, fd) != 0;
    failed =
        failed || (connect(fd, (const struct sockaddr *)&url->address, url->address_len) != 0 &&
                   errno != EINPROGRESS);
    if (!failed) return fd;
    int err = -errno;
    close(fd);
    return err;
}

static int conn_open(struct client_conn *conn, const struct url *url)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = conn};
    int fd = socket_open(conn->client, conn, url);
    if (fd < 0) return fd;
    if (epoll_ctl(conn->client->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    conn->fd = fd;
    conn->state = CLIENT_CONNECTING;
    return 0;
}

/* ---- writing ----------------------------------------------------------------------- */

/* Writes what the socket takes now. Returns how much, or a negative errno. */
static ssize_t send_some(int fd, struct str bytes)
{
    ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -errno;
}

static void flush_unsent(struct client_conn *conn)
{
    if (conn->unsent.len == 0) return;
    ssize_t sent = send_some(conn->fd, buf_str(&conn->unsent));
    if (sent < 0) {
        conn_lose(conn, reason_of((int)-sent));
        return;
    }
    buf_drop_front(&conn->unsent, (size_t)sent);
    if (conn->unsent.len == 0) buf_deinit(&conn->unsent); /* a waiting connection owns no buffer */
}

static void on_header_bytes(void *arg, enum reply_header_part part, struct str bytes)
{
    struct client_conn *conn = arg;
    conn->events->on_header(conn, part, bytes);
}

static void on_body_bytes(void *arg, struct str bytes)
{
    struct client_conn *conn = arg;
    conn->events->on_body(conn, bytes);
}

/* On a connection that is open: an error here is a peer that has gone, which the next read tells.
 */
static void send_now(struct client_conn *conn, struct str bytes)
{
    ssize_t sent = send_some(conn->fd, bytes);
    size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < bytes.len) buf_add(&conn->unsent, bytes.ptr + done, bytes.len - done);
}

int client_conn_request(struct client_conn *conn, const struct url *url, struct str bytes)
{
    ASSERT(conn->state == CLIENT_CLOSED || conn->state == CLIENT_IDLE);
    reply_header_cb *header_cb = conn->events->on_header != NULL ? on_header_bytes : NULL;
    reply_reader_init(&conn->reader, header_cb, on_body_bytes, conn);
    if (conn->state == CLIENT_IDLE) {
        conn->state = CLIENT_BUSY;
        send_now(conn, bytes);
        return 0;
    }
    int err = conn_open(conn, url);
    if (err == 0) buf_add_str(&conn->unsent, bytes);
    return err;
}

/* ---- reading ----------------------------------------------------------------------- */

static void on_complete(struct client_conn *conn)
{
    int status = reply_reader_status(&conn->reader);
    if (reply_reader_keeps_alive(&conn->reader))
        conn->state = CLIENT_IDLE;
    else
        client_conn_close(conn);
    conn->events->on_answer(conn, status);
}

static void feed(struct client_conn *conn, struct str bytes)
{
    size_t used;
    if (conn->state != CLIENT_BUSY) {
        conn_lose(conn, "not asked for");
        return;
    }
    switch (reply_reader_feed(&conn->reader, bytes, &used)) {
    case REPLY_MORE: break;
    case REPLY_FAILED: conn_lose(conn, "not HTTP"); break;
    case REPLY_COMPLETE:
        /* One request at a time: what follows its answer belongs to nothing. */
        if (used < bytes.len)
            conn_lose(conn, "not HTTP");
        else
            on_complete(conn);
        break;
    }
}

static void on_eof(struct client_conn *conn)
{
    if (conn->state == CLIENT_BUSY && reply_reader_eof(&conn->reader) == REPLY_COMPLETE)
        on_complete(conn);
    else
        conn_lose(conn, "closed");
}

/* How long ago a stamp was taken: the kernel takes it from the clock of the day. */
static int64_t age_us(const struct cmsghdr *stamp)
{
    struct timespec now, then;
    memcpy(&then, CMSG_DATA(stamp), sizeof(then));
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)(now.tv_sec - then.tv_sec) * 1000000 + (now.tv_nsec - then.tv_nsec) / 1000;
}

static ssize_t receive_stamped(struct client_conn *conn, char *bytes, size_t cap)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec part = {.iov_base = bytes, .iov_len = cap};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t len = recvmsg(conn->fd, &message, 0);
    struct cmsghdr *stamp = len > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (stamp != NULL && stamp->cmsg_level == SOL_SOCKET && stamp->cmsg_type == SCM_TIMESTAMPNS)
        conn->arrived_us = client_now_us() - age_us(stamp);
    return len;
}

static ssize_t receive(struct client_conn *conn, char *bytes, size_t cap)
{
    if (conn->client->stamps) return receive_stamped(conn, bytes, cap);
    return recv(conn->fd, bytes, cap, 0);
}

/* Returns true if there may be more. */
static bool read_some(struct client_conn *conn, bool until_eof)
{
    struct client *client = conn->client;
    ssize_t len = receive(conn, client->read_buffer, READ_BUFFER);
    if (len < 0) {
        if (errno == EINTR) return true;
        if (errno != EAGAIN && errno != EWOULDBLOCK) conn_lose(conn, reason_of(errno));
        return false;
    }
    if (len == 0) {
        on_eof(conn);
        return false;
    }
    feed(conn, str_make(client->read_buffer, (size_t)len));
    /* The callbacks may have closed it, or closed it and opened it anew. */
    bool same = conn->state == CLIENT_IDLE || conn->state == CLIENT_BUSY;
    return same && (len == READ_BUFFER || until_eof);
}

static void on_connected(struct client_conn *conn)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0)
        conn_lose(conn, reason_of(error));
    else
        conn->state = CLIENT_BUSY;
}

static void on_event(struct client_conn *conn, uint32_t events)
{
    if (conn->fd < 0) return; /* closed by a callback since epoll_wait() told of it */
    if (conn->state == CLIENT_CONNECTING && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        on_connected(conn);
    if (conn->fd >= 0 && conn->state == CLIENT_BUSY && (events & EPOLLOUT) != 0) flush_unsent(conn);
    bool ends = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (conn->fd < 0 || conn->state == CLIENT_CONNECTING || !(ends || (events & EPOLLIN) != 0))
        return;
    while (read_some(conn, ends)) {
    }
}

/* ---- the loop ---------------------------------------------------------------------- */

struct client *client_new(uint32_t first_source, uint32_t sources)
{
    int fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) return NULL;
    struct client *client = xmalloc(sizeof(*client));
    client->epoll_fd = fd;
    client->stopped = client->stamps = false;
    client->first_source = first_source;
    client->sources = sources;
    client->now_ms = client_now_us() / 1000;
    wheel_init(&client->wheel, client->now_ms);
    client->on_alarm = NULL;
    return client;
}

void client_free(struct client *client)
{
    if (client == NULL) return;
    close(client->epoll_fd);
    free(client);
}

void client_stamp_arrivals(struct client *client)
{
    client->stamps = true;
}

void client_stop(struct client *client)
{
    client->stopped = true;
}

static void on_timer(void *arg, struct timer *timer)
{
    struct client_timer *due = CONTAINER_OF(timer, struct client_timer, timer);
    (void)arg;
    due->on_due(due);
}

static struct timespec wait_time(const struct client *client, int64_t until_ms)
{
    int64_t next = wheel_next_ms(&client->wheel);
    int64_t wait_us = ((next < until_ms ? next : until_ms) - client->now_ms) * 1000;
    if (wait_us > 1000000) wait_us = 1000000;
    if (client->on_alarm != NULL) {
        int64_t alarm_us = client->alarm_us - client_now_us();
        if (alarm_us < wait_us) wait_us = alarm_us;
    }
    if (wait_us < 0) wait_us = 0;
    return (struct timespec){wait_us / 1000000, wait_us % 1000000 * 1000};
}

static void ring_alarm(struct client *client)
{
    void (*on_alarm)(void *arg) = client->on_alarm;
    if (on_alarm == NULL || client_now_us() < client->alarm_us) return;
    client->on_alarm = NULL;
    on_alarm(client->alarm_arg);
}

void client_run(struct client *client, int64_t until_ms)
{
    struct epoll_event events[EVENTS_PER_WAIT];
    client->stopped = false;
    do {
        struct timespec wait = wait_time(client, until_ms);
        int count = epoll_pwait2(client->epoll_fd, events, EVENTS_PER_WAIT, &wait, NULL);
        client->now_ms = client_now_us() / 1000;
        for (int i = 0; i < count; i++) on_event(events[i].data.ptr, events[i].events);
        wheel_advance(&client->wheel, client->now_ms, on_timer, client);
        ring_alarm(client);
    } while (!client->stopped && client->now_ms < until_ms);
}

void client_timer_init(struct client_timer *timer, void (*on_due)(struct client_timer *timer))
{
    timer_init(&timer->timer);
    timer->on_due = on_due;
}

void client_timer_arm(struct client *client, struct client_timer *timer, int64_t delay_ms)
{
    wheel_arm(&client->wheel, &timer->timer, client->now_ms + delay_ms);
}

void client_timer_cancel(struct client *client, struct client_timer *timer)
{
    wheel_cancel(&client->wheel, &timer->timer);
}

void client_set_alarm(struct client *client, int64_t due_us, void (*on_alarm)(void *arg), void *arg)
{
    client->alarm_us = due_us;
    client->on_alarm = on_alarm;
    client->alarm_arg = arg;
}

void client_clear_alarm(struct client *client)
{
    client->on_alarm = NULL;
}

void client_conn_init(struct client_conn *conn, struct client *client,
                      const struct client_events *events, uint32_t source)
{
    *conn = (struct client_conn){.client = client, .events = events, .fd = -1, .source = source};
}
