/* The floor: what long polling costs on this kernel when nothing else is done.
 *
 *   floor            prints "listening on 127.0.0.1:PORT", serves until it is killed
 *
 * One thread, one epoll, no library. Per delivery it does what any server must: one send() for the
 * answer, one recv() for the poll that follows, and a share of epoll_wait(). A poll is not parsed:
 * its head must end where the bytes end, and its socket is parked. A message that is posted becomes
 * one response, written to every socket that is parked in its group; a socket that was not there
 * gets what it missed, in one response, when it polls again. Sockets are registered once,
 * edge-triggered.
 *
 * It speaks as much of Stoa's protocol as makes `stoa bench` its client, and its answers are as
 * long as Stoa's. What it does not have: requests in pieces, time-outs, limits, a store, users,
 * cursors (a connection is its own), any reader that is slow. A write that a socket does not take
 * whole ends the program, so that no figure rests on it. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEATS     65536
#define GROUPS    10000
#define CHUNK     65536
#define EVENTS    512
#define KEEP      32 /* messages of a group: who is further behind skips the older ones */
#define HEAD_MAX  256
#define FRAME_MAX 256 /* of an answer, around the messages; and of a message, around its body */
#define NOT_THERE UINT32_MAX

/* One connection, by its file descriptor. */
struct seat {
    uint32_t group; /* NOT_THERE: has not joined */
    uint32_t given; /* how many of its group's messages it has had */
    uint32_t place; /* in group.parked; NOT_THERE: not parked */
};

struct bytes {
    char *ptr;
    size_t len;
};

struct group {
    uint32_t *parked; /* file descriptors */
    uint32_t parked_count, parked_cap;
    uint32_t published;
    struct bytes message[KEEP]; /* number n is at n % KEEP, as JSON */
    bool is_high[KEEP];
    struct bytes response[KEEP + 1]; /* [n]: the newest n messages; made when first asked for */
};

static struct seat seats[SEATS];
static struct group groups[GROUPS];
static uint64_t next_id;
static int epoll_fd;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void *allocate(void *old, size_t size)
{
    void *new = realloc(old, size);
    if (new == NULL) die("floor: memory");
    return new;
}

static void write_whole(uint32_t fd, struct bytes bytes)
{
    ssize_t sent = send((int)fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    if (sent == (ssize_t)bytes.len || (sent < 0 && errno != EAGAIN)) return; /* or it has gone */
    fprintf(stderr, "floor: a socket did not take its answer whole\n");
    exit(1);
}

/* ---- responses --------------------------------------------------------------------- */

/* The response with this status and body; owned by the caller. */
static struct bytes response_of(const char *status, struct bytes body)
{
    struct bytes response = {.ptr = allocate(NULL, HEAD_MAX + body.len)};
    int head = snprintf(response.ptr, HEAD_MAX,
                        "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                        "Cache-Control: no-store\r\n\r\n",
                        status, body.len);
    memcpy(response.ptr + head, body.ptr, body.len);
    response.len = (size_t)head + body.len;
    return response;
}

static void respond(uint32_t fd, const char *status, const char *body)
{
    size_t len = strlen(body);
    char copy[FRAME_MAX];
    memcpy(copy, body, len);
    struct bytes response = response_of(status, (struct bytes){copy, len});
    write_whole(fd, response);
    free(response.ptr);
}

static void append(struct bytes *body, struct bytes more)
{
    memcpy(body->ptr + body->len, more.ptr, more.len);
    body->len += more.len;
}

/* The newest `count` messages, high ones first, as Stoa orders them. */
static struct bytes make_answer(const struct group *g, uint32_t count, uint32_t skipped)
{
    size_t size = 2 * FRAME_MAX;
    uint32_t first = g->published - count;
    for (uint32_t n = first; n < g->published; n++) size += g->message[n % KEEP].len + 1;
    struct bytes body = {.ptr = allocate(NULL, size)};
    body.len = (size_t)snprintf(body.ptr, FRAME_MAX, "{\"cursor\":\"%050llu\",\"messages\":[",
                                (unsigned long long)next_id);
    const char *comma = "";
    for (int high = 1; high >= 0; high--) {
        for (uint32_t n = first; n < g->published; n++) {
            if (g->is_high[n % KEEP] != (high == 1)) continue;
            if (*comma != '\0') body.ptr[body.len++] = *comma;
            append(&body, g->message[n % KEEP]);
            comma = ",";
        }
    }
    body.len += (size_t)snprintf(
        body.ptr + body.len, FRAME_MAX,
        "],\"online\":%u,\"poll_after_ms\":0,\"skipped\":%u,\"gap\":false}", 10000, skipped);
    struct bytes response = response_of("200 OK", body);
    free(body.ptr);
    return response;
}

/* Answers with what this seat has not had. */
static void deliver(uint32_t fd, struct group *g)
{
    uint32_t behind = g->published - seats[fd].given;
    seats[fd].given = g->published;
    if (behind > KEEP) {
        struct bytes once = make_answer(g, KEEP, behind - KEEP);
        write_whole(fd, once);
        free(once.ptr);
        return;
    }
    struct bytes *response = &g->response[behind];
    if (response->ptr == NULL) *response = make_answer(g, behind, 0);
    write_whole(fd, *response);
}

/* ---- seats ------------------------------------------------------------------------- */

static void park(uint32_t fd, struct group *g)
{
    if (g->parked_count == g->parked_cap) {
        g->parked_cap = g->parked_cap > 0 ? 2 * g->parked_cap : 16;
        g->parked = allocate(g->parked, g->parked_cap * sizeof(*g->parked));
    }
    seats[fd].place = g->parked_count;
    g->parked[g->parked_count++] = fd;
}

static void seat_clear(uint32_t fd)
{
    struct seat *seat = &seats[fd];
    if (seat->place != NOT_THERE) {
        struct group *g = &groups[seat->group];
        uint32_t last = g->parked[--g->parked_count];
        g->parked[seat->place] = last;
        seats[last].place = seat->place;
    }
    *seat = (struct seat){NOT_THERE, 0, NOT_THERE};
}

/* ---- requests ---------------------------------------------------------------------- */

/* Of "… /v1/rooms/NAME-N…": N, or 0 for a name without a number. */
static struct group *group_of(const char *request)
{
    const char *name = strstr(request, "/rooms/");
    if (name == NULL) return &groups[0];
    name += strlen("/rooms/");
    const char *dash = memchr(name, '-', strcspn(name, "/? "));
    unsigned long number = dash != NULL ? strtoul(dash + 1, NULL, 10) : 0;
    return &groups[number < GROUPS ? number : 0];
}

/* Keeps the message that is posted as {…,"body":BODY}. */
static void keep_message(struct group *g, struct bytes posted)
{
    static const char mark[] = "\"body\":";
    char *body = memmem(posted.ptr, posted.len, mark, sizeof(mark) - 1);
    if (body == NULL) die("floor: a message without a body");
    body += sizeof(mark) - 1;
    size_t body_len = posted.len - (size_t)(body - posted.ptr) - 1;
    uint32_t slot = g->published % KEEP;
    struct bytes *message = &g->message[slot];
    g->is_high[slot] = memmem(posted.ptr, posted.len, "\"high\"", 6) != NULL;
    message->ptr = allocate(message->ptr, FRAME_MAX + body_len);
    message->len = (size_t)snprintf(
        message->ptr, FRAME_MAX,
        "{\"id\":\"%llu-0\",\"at\":%llu,\"priority\":\"%s\",\"type\":\"text\",\"from\":\"bench\","
        "\"body\":",
        (unsigned long long)next_id, (unsigned long long)next_id,
        g->is_high[slot] ? "high" : "normal");
    append(message, (struct bytes){body, body_len});
    message->ptr[message->len++] = '}';
    g->published++;
}

static void publish(uint32_t fd, struct group *g, struct bytes posted)
{
    char acknowledged[FRAME_MAX];
    for (int i = 0; i <= KEEP; i++) {
        free(g->response[i].ptr);
        g->response[i].ptr = NULL;
    }
    next_id++;
    keep_message(g, posted);
    snprintf(acknowledged, sizeof(acknowledged), "{\"id\":\"%llu-0\",\"at\":%llu}",
             (unsigned long long)next_id, (unsigned long long)next_id);
    respond(fd, "201 Created", acknowledged);
    for (uint32_t i = 0; i < g->parked_count; i++) {
        seats[g->parked[i]].place = NOT_THERE;
        deliver(g->parked[i], g);
    }
    g->parked_count = 0;
}

/* The first poll of a connection joins: it alone is looked into. */
static void join(uint32_t fd, const char *request)
{
    struct group *g = group_of(request);
    seats[fd].group = (uint32_t)(g - groups);
    seats[fd].given = g->published;
    deliver(fd, g);
}

static void on_poll(uint32_t fd)
{
    struct group *g = &groups[seats[fd].group];
    if (seats[fd].given < g->published)
        deliver(fd, g);
    else
        park(fd, g);
}

static void on_other(uint32_t fd, const char *request, size_t len)
{
    char *end = strstr(request, "\r\n\r\n");
    if (end == NULL) die("floor: a request in pieces");
    end += 4;
    struct bytes posted = {end, len - (size_t)(end - request)};
    if (request[1] == 'O')
        publish(fd, group_of(request), posted);
    else
        respond(fd, "200 OK", "{}"); /* PUT: a room */
}

static void on_request(uint32_t fd, char *request, size_t len)
{
    request[len] = '\0';
    bool is_get = request[0] == 'G';
    if (is_get && memcmp(request + len - 4, "\r\n\r\n", 4) != 0) die("floor: a request in pieces");
    if (!is_get)
        on_other(fd, request, len);
    else if (seats[fd].group == NOT_THERE)
        join(fd, request);
    else
        on_poll(fd);
}

/* ---- the loop ---------------------------------------------------------------------- */

/* Returns whether there may be more. A short read has emptied the socket. */
static bool read_some(uint32_t fd)
{
    static char chunk[CHUNK + 1];
    ssize_t len = recv((int)fd, chunk, CHUNK, 0);
    if (len < 0 && (errno == EAGAIN || errno == EINTR)) return errno == EINTR;
    if (len <= 0) {
        seat_clear(fd);
        close((int)fd);
        return false;
    }
    if (len > 4) on_request(fd, chunk, (size_t)len);
    return true;
}

static void on_event(uint32_t fd, uint32_t events)
{
    bool ends = (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    while (read_some(fd) && ends) {
    }
}

static void watch(int fd)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP | EPOLLET, .data.u32 = (uint32_t)fd};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0) die("floor: epoll_ctl");
}

static void on_connections(int listener)
{
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        if (fd >= SEATS) die("floor: too many connections");
        seats[fd] = (struct seat){NOT_THERE, 0, NOT_THERE};
        watch(fd);
    }
}

static int listen_anywhere(void)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* those accepted inherit it */
    if (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 4096) != 0) die("floor: listen");
    getsockname(fd, (struct sockaddr *)&at, &len);
    printf("listening on 127.0.0.1:%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
    struct epoll_event events[EVENTS];
    raise_file_limit();
    next_id = (uint64_t)time(NULL) * 1000;
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0) die("floor: epoll");
    int listener = listen_anywhere();
    watch(listener);
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.u32 == (uint32_t)listener)
                on_connections(listener);
            else
                on_event(events[i].data.u32, events[i].events);
        }
    }
}
