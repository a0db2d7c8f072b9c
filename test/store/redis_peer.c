#include "store/redis_peer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS_MAX 32
#define SOCKET_NAME "socket"

/* --- the process ----------------------------------------------------------------------------- */

static _Noreturn void be_redis(const char *const *options, int log_fd)
{
    const char *argv[OPTIONS_MAX] = {
        "redis-server", "--port", "0", "--unixsocket", SOCKET_NAME, "--save", "",
    };
    size_t count = 7;
    while (*options != NULL && count < OPTIONS_MAX - 1) argv[count++] = *options++;
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test crash, or be killed itself */
    dup2(log_fd, STDOUT_FILENO);
    union {
        const char *const *given;
        char *const *wanted; /* execvp changes none of it */
    } words = {argv};
    execvp(argv[0], words.wanted);
    dprintf(log_fd, "no redis-server: %s\n", strerror(errno));
    _exit(127);
}

/* Bytes that come within the limit; none at the end. */
static size_t read_more(int fd, char *ptr, size_t cap, const char *what)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    if (poll(&pfd, 1, PATIENCE_MS) <= 0) fail_msg("redis-server: %s", what);
    ssize_t len = read(fd, ptr, cap);
    return len > 0 ? (size_t)len : 0;
}

/* False: it ended instead. */
static bool wait_until_ready(const struct redis_peer *peer)
{
    char log[16384];
    size_t len = 0;
    do {
        size_t more =
            read_more(peer->log_fd, log + len, sizeof(log) - 1 - len, "does not become ready");
        log[len += more] = '\0';
        if (more == 0) print_error("%s", log);
        if (more == 0) return false;
    } while (strstr(log, "ready to accept connections") == NULL);
    return true;
}

static int connect_to(const char *path)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(str_copy(str_of(path), at.sun_path, sizeof(at.sun_path)));
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

/* Its log is a pipe whose other end it alone has: where that closes, it has ended. */
static void run_redis(struct redis_peer *peer, const char *folder, const char *const *options)
{
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    peer->pid = fork();
    assert_true(peer->pid >= 0);
    if (peer->pid == 0) {
        if (chdir(folder) != 0) _exit(127);
        be_redis(options, fds[1]);
    }
    close(fds[1]);
    peer->log_fd = fds[0];
}

void redis_peer_start(struct redis_peer *peer, const char *const *options)
{
    char folder[] = "/tmp/stoa-redis-XXXXXX", path[sizeof(folder) + sizeof(SOCKET_NAME)];
    *peer = (struct redis_peer){.fd = -1, .log_fd = -1};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/" SOCKET_NAME, folder);
    run_redis(peer, folder, options);
    bool is_ready = wait_until_ready(peer);
    if (is_ready) peer->fd = connect_to(path);
    /* One connection is enough; so nothing stays behind if the test does not come to its end. */
    unlink(path);
    rmdir(folder);
    if (!is_ready) redis_peer_stop(peer);
    if (!is_ready) fail_msg("redis-server does not run; scripts/setup.sh test installs it");
}

void redis_peer_stop(struct redis_peer *peer)
{
    if (peer->pid > 0) {
        kill(peer->pid, SIGKILL); /* it has nothing to save */
        waitpid(peer->pid, NULL, 0);
    }
    if (peer->fd >= 0) close(peer->fd);
    if (peer->log_fd >= 0) close(peer->log_fd);
    buf_deinit(&peer->out);
    buf_deinit(&peer->in);
    *peer = (struct redis_peer){.fd = -1, .log_fd = -1};
}

/* --- commands -------------------------------------------------------------------------------- */

void redis_peer_begin(struct redis_peer *peer, size_t count)
{
    buf_clear(&peer->out);
    buf_printf(&peer->out, "*%zu\r\n", count);
}

void redis_peer_word(struct redis_peer *peer, struct str word)
{
    buf_printf(&peer->out, "$%zu\r\n", word.len);
    buf_add_str(&peer->out, word);
    buf_add_lit(&peer->out, "\r\n");
}

static void send_all(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t len = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        assert_true(len > 0);
        bytes = str_make(bytes.ptr + len, bytes.len - (size_t)len);
    }
}

static void receive(struct redis_peer *peer)
{
    buf_reserve(&peer->in, 16384);
    struct buf *in = &peer->in;
    size_t more = read_more(peer->fd, in->ptr + in->len, in->cap - in->len, "does not answer");
    if (more == 0) fail_msg("redis-server has closed the connection");
    in->len += more;
}

static int64_t number_of(struct str text)
{
    uint64_t value = 0;
    if (str_eq(text, STR("-1"))) return -1;
    assert_true(str_parse_u64(text, &value));
    return (int64_t)value;
}

/* The first line, and how many bytes it takes with its end. */
static struct str receive_line(struct redis_peer *peer, size_t *ret_len)
{
    const char *end;
    while ((end = memmem(peer->in.ptr, peer->in.len, "\r\n", 2)) == NULL) receive(peer);
    *ret_len = (size_t)(end - peer->in.ptr) + 2;
    return str_make(peer->in.ptr, *ret_len - 2);
}

struct redis_reply redis_peer_end(struct redis_peer *peer)
{
    size_t head;
    send_all(peer->fd, buf_str(&peer->out));
    buf_clear(&peer->in);
    receive(peer);
    struct str line = receive_line(peer, &head);
    struct str rest = str_make(line.ptr + 1, line.len - 1);
    switch (line.ptr[0]) {
    case ':': return (struct redis_reply){.integer = number_of(rest)};
    case '+': return (struct redis_reply){.bytes = rest};
    case '$': break;
    default: fail_msg("redis-server answers %.*s", STR_ARG(line));
    }
    int64_t len = number_of(rest);
    if (len < 0) return (struct redis_reply){.bytes = STR_NONE};
    while (peer->in.len < head + (size_t)len + 2) receive(peer);
    return (struct redis_reply){.bytes = str_make(peer->in.ptr + head, (size_t)len)};
}

struct redis_reply redis_peer_ask(struct redis_peer *peer, const struct str *words)
{
    size_t count = 0;
    while (words[count].ptr != NULL) count++;
    redis_peer_begin(peer, count);
    for (size_t i = 0; i < count; i++) redis_peer_word(peer, words[i]);
    return redis_peer_end(peer);
}
