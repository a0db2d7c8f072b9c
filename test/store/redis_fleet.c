#include "store/redis_fleet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORDS_MAX 64
#define PORTS_FIRST                                                                                \
    11000 /* with those of the bus, 10000 higher, below those that the kernel gives */
#define PORTS_COUNT 11000
#define BUS         10000
#define SLOTS       16384
#define NAP_MS      10

/* --- time and ports -------------------------------------------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Asks again and again, since a server tells nobody what becomes of it. */
#define WAIT_UNTIL(cond)                                                                           \
    do {                                                                                           \
        int64_t limit_ms = clock_ms() + PATIENCE_MS;                                               \
        while (!(cond)) {                                                                          \
            if (clock_ms() > limit_ms) fail_msg("redis-server: not in time: %s", #cond);           \
            poll(NULL, 0, NAP_MS);                                                                 \
        }                                                                                          \
    } while (0)

static bool is_free(uint16_t port)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0;
    close(fd);
    return ok;
}

/* Begins at a place of its own, so that tests that run at the same time do not meet. */
static uint16_t take_port(void)
{
    static unsigned next = 0;
    if (next == 0) next = (unsigned)getpid() * 31;
    for (unsigned i = 0; i < PORTS_COUNT; i++) {
        uint16_t port = (uint16_t)(PORTS_FIRST + next++ % PORTS_COUNT);
        if (is_free(port) && is_free((uint16_t)(port + BUS))) return port;
    }
    fail_msg("no free port");
    return 0;
}

/* --- processes ------------------------------------------------------------------------------- */

struct words {
    const char *list[WORDS_MAX];
    size_t count;
};

static void add_words(struct words *w, const char *const *words)
{
    while (words != NULL && *words != NULL) {
        assert_true(w->count < WORDS_MAX - 1);
        w->list[w->count++] = *words++;
    }
}

static void add_pair(struct words *w, const char *name, const char *value)
{
    add_words(w, (const char *const[]){name, value, NULL});
}

static void folder_of(const struct redis_fleet *f, size_t at, char *ret, size_t cap)
{
    snprintf(ret, cap, "%s/%zu", f->folder, at);
}

static _Noreturn void be_redis(const struct words *w, const char *folder)
{
    union {
        const char *const *given;
        char *const *wanted; /* execvp changes none of it */
    } argv = {w->list};
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* should the test crash, or be killed itself */
    int log = open("/dev/null", O_WRONLY);
    if (chdir(folder) != 0) _exit(126);
    dup2(log, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execvp(w->list[0], argv.wanted);
    _exit(127);
}

static void run(struct redis_fleet *f, size_t at)
{
    static const char *const ALWAYS[] = {"--bind", "127.0.0.1", "--protected-mode", "no", "--save",
                                         "", "--appendonly", "yes", "--appendfsync", "everysec",
                                         "--repl-diskless-sync-delay", "0", "--logfile", "log",
                                         /* a replica that is behind is to be told early: */
                                         "--repl-ping-replica-period", "1", NULL};
    static const char *const CLUSTERED[] = {"--cluster-enabled",
                                            "yes",
                                            "--cluster-config-file",
                                            "nodes.conf",
                                            "--cluster-require-full-coverage",
                                            "no",
                                            "--cluster-allow-replica-migration",
                                            "no",
                                            NULL};
    struct words w = {{"redis-server"}, 1};
    char folder[64], port[16], node_timeout[16];
    snprintf(port, sizeof(port), "%u", f->servers[at].port);
    snprintf(node_timeout, sizeof(node_timeout), "%u", f->node_timeout_ms);
    folder_of(f, at, folder, sizeof(folder));
    add_pair(&w, "--port", f->is_tls ? "0" : port);
    if (f->is_tls) add_pair(&w, "--tls-port", port);
    add_words(&w, ALWAYS);
    if (f->is_cluster) add_words(&w, CLUSTERED);
    if (f->is_cluster) add_pair(&w, "--cluster-node-timeout", node_timeout);
    add_words(&w, f->options);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) be_redis(&w, folder);
    f->servers[at].pid = pid;
}

/* Its last words, for the log of the test. */
static void show_log(const struct redis_fleet *f, size_t at)
{
    char path[64], text[2048];
    snprintf(path, sizeof(path), "%s/%zu/log", f->folder, at);
    int fd = open(path, O_RDONLY);
    off_t size = lseek(fd, 0, SEEK_END);
    lseek(fd, size > 2000 ? size - 2000 : 0, SEEK_SET);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
    text[len > 0 ? len : 0] = '\0';
    print_error("%s\n", text);
    if (fd >= 0) close(fd);
}

static void check_runs(struct redis_fleet *f, size_t at)
{
    struct redis_server *s = &f->servers[at];
    if (waitpid(s->pid, NULL, WNOHANG) != s->pid) return;
    s->pid = 0;
    show_log(f, at);
    fail_msg("redis-server does not run; scripts/setup.sh test installs it");
}

static bool connects(struct redis_fleet *f, size_t at)
{
    check_runs(f, at);
    redisContext *ctx = redisConnect("127.0.0.1", f->servers[at].port);
    bool ok = ctx != NULL && ctx->err == 0;
    redisFree(ctx);
    return ok;
}

static void make_folder(const struct redis_fleet *f, size_t at)
{
    char folder[64];
    folder_of(f, at, folder, sizeof(folder));
    assert_int_equal(mkdir(folder, 0700), 0);
}

static void init(struct redis_fleet *f, const char *const *options)
{
    *f = (struct redis_fleet){.options = options};
    snprintf(f->folder, sizeof(f->folder), "/tmp/stoa-redis-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void end_process(struct redis_server *s)
{
    if (s->pid <= 0) return;
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
    s->is_paused = false;
}

void redis_fleet_stop(struct redis_fleet *f)
{
    for (size_t i = 0; i < f->count; i++) end_process(&f->servers[i]);
    if (f->folder[0] != '\0') nftw(f->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    *f = (struct redis_fleet){0};
}

void redis_fleet_kill(struct redis_fleet *f, size_t at)
{
    end_process(&f->servers[at]);
}

void redis_fleet_pause(struct redis_fleet *f, size_t at)
{
    assert_int_equal(kill(f->servers[at].pid, SIGSTOP), 0);
    f->servers[at].is_paused = true;
}

void redis_fleet_resume(struct redis_fleet *f, size_t at)
{
    assert_int_equal(kill(f->servers[at].pid, SIGCONT), 0);
    f->servers[at].is_paused = false;
}

/* --- asking ---------------------------------------------------------------------------------- */

/* NULL: no answer. */
static redisReply *ask_once(struct redis_fleet *f, size_t at, const char *format, va_list args)
{
    struct timeval limit = {.tv_sec = PATIENCE_MS / 1000};
    redisContext *ctx = redisConnectWithTimeout("127.0.0.1", f->servers[at].port, limit);
    redisReply *reply = NULL;
    if (ctx != NULL && ctx->err == 0) {
        redisSetTimeout(ctx, limit);
        reply = redisvCommand(ctx, format, args);
    }
    redisFree(ctx);
    return reply;
}

redisReply *redis_fleet_ask(struct redis_fleet *f, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask_once(f, at, format, args);
    va_end(args);
    if (reply == NULL) fail_msg("redis-server %zu does not answer: %s", at, format);
    if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", format, reply->str);
    return reply;
}

void redis_fleet_tell(struct redis_fleet *f, size_t at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    redisReply *reply = ask_once(f, at, format, args);
    va_end(args);
    if (reply == NULL) fail_msg("redis-server %zu does not answer: %s", at, format);
    if (reply->type == REDIS_REPLY_ERROR) fail_msg("%s: %s", format, reply->str);
    freeReplyObject(reply);
}

/* Whether the text of an answer (a bulk string) has this in it. */
static bool says(struct redis_fleet *f, size_t at, const char *question, const char *part)
{
    redisReply *reply = redis_fleet_ask(f, at, question);
    bool found = reply->str != NULL && strstr(reply->str, part) != NULL;
    freeReplyObject(reply);
    return found;
}

static bool is_loaded(struct redis_fleet *f, size_t at)
{
    return says(f, at, "INFO persistence", "\r\nloading:0");
}

/* --- single servers -------------------------------------------------------------------------- */

static void start_one(struct redis_fleet *f)
{
    size_t at = f->count++;
    f->servers[at] = (struct redis_server){.port = take_port()};
    make_folder(f, at);
    run(f, at);
    WAIT_UNTIL(connects(f, at));
}

void redis_fleet_start_single(struct redis_fleet *f, const char *const *options)
{
    init(f, options);
    start_one(f);
}

void redis_fleet_start_tls(struct redis_fleet *f, const char *const *options)
{
    init(f, options);
    f->is_tls = true;
    start_one(f);
}

size_t redis_fleet_add_replica(struct redis_fleet *f)
{
    start_one(f);
    redis_fleet_tell(f, f->count - 1, "REPLICAOF 127.0.0.1 %d", f->servers[0].port);
    WAIT_UNTIL(says(f, f->count - 1, "INFO replication", "master_link_status:up"));
    return f->count - 1;
}

static void forget(const struct redis_fleet *f, size_t at)
{
    char path[96];
    snprintf(path, sizeof(path), "%s/%zu/appendonlydir", f->folder, at);
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void redis_fleet_restart(struct redis_fleet *f, size_t at, bool is_forgetful)
{
    end_process(&f->servers[at]);
    if (is_forgetful) forget(f, at);
    run(f, at);
    WAIT_UNTIL(connects(f, at));
    if (!f->is_tls) WAIT_UNTIL(is_loaded(f, at));
}

/* --- a Cluster ------------------------------------------------------------------------------- */

size_t redis_fleet_replica_of(size_t master)
{
    return master + FLEET_MASTERS;
}

static void write_node(const struct redis_fleet *f, FILE *file, size_t at, bool is_myself)
{
    const struct redis_server *s = &f->servers[at];
    bool is_master = at < FLEET_MASTERS;
    size_t master = at % FLEET_MASTERS;
    fprintf(file, "%s 127.0.0.1:%u@%u %s%s %s 0 0 %zu connected", s->id, s->port, s->port + BUS,
            is_myself ? "myself," : "", is_master ? "master" : "slave",
            is_master ? "-" : f->servers[master].id, master + 1);
    if (is_master)
        fprintf(file, " %zu-%zu", master * SLOTS / FLEET_MASTERS,
                (master + 1) * SLOTS / FLEET_MASTERS - 1);
    fputc('\n', file);
}

/* What each would have written itself after CLUSTER MEET, ADDSLOTS and REPLICATE. */
static void write_configuration(const struct redis_fleet *f, size_t at)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/%zu/nodes.conf", f->folder, at);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < f->count; i++) write_node(f, file, i, i == at);
    fprintf(file, "vars currentEpoch %d lastVoteEpoch 0\n", FLEET_MASTERS);
    assert_int_equal(fclose(file), 0);
}

static void describe(struct redis_fleet *f)
{
    for (size_t i = 0; i < f->count; i++) {
        struct redis_server *s = &f->servers[i];
        s->port = take_port();
        snprintf(s->id, sizeof(s->id), "%032x%08x", (unsigned)getpid(), (unsigned)i + 1);
    }
}

/* Three ranges or more, each with a master and a replica. */
static bool knows_all(struct redis_fleet *f, size_t at)
{
    redisReply *reply = redis_fleet_ask(f, at, "CLUSTER SLOTS");
    bool ok = reply->type == REDIS_REPLY_ARRAY && reply->elements >= FLEET_MASTERS;
    for (size_t i = 0; ok && i < reply->elements; i++) ok = reply->element[i]->elements == 4;
    freeReplyObject(reply);
    return ok;
}

static bool replicates(struct redis_fleet *f, size_t at)
{
    return says(f, at, "INFO replication", "role:master")
               ? says(f, at, "INFO replication", "state=online")
               : says(f, at, "INFO replication", "master_link_status:up");
}

static bool is_whole(struct redis_fleet *f, size_t at)
{
    check_runs(f, at);
    return says(f, at, "CLUSTER INFO", "cluster_state:ok") && knows_all(f, at) && replicates(f, at);
}

void redis_fleet_wait_whole(struct redis_fleet *f)
{
    for (size_t i = 0; i < f->count; i++) WAIT_UNTIL(connects(f, i));
    for (size_t i = 0; i < f->count; i++) WAIT_UNTIL(is_whole(f, i));
}

void redis_fleet_start_cluster(struct redis_fleet *f, unsigned node_timeout_ms)
{
    init(f, NULL);
    f->is_cluster = true;
    f->node_timeout_ms = node_timeout_ms;
    f->count = 2 * FLEET_MASTERS;
    describe(f);
    for (size_t i = 0; i < f->count; i++) {
        make_folder(f, i);
        write_configuration(f, i);
        run(f, i);
    }
    redis_fleet_wait_whole(f);
}

static size_t server_at_port(const struct redis_fleet *f, long long port)
{
    size_t at = 0;
    while (at < f->count && f->servers[at].port != port) at++;
    return at < f->count ? at : FLEET_MAX;
}

size_t redis_fleet_owner(struct redis_fleet *f, size_t by, unsigned slot)
{
    size_t owner = FLEET_MAX;
    redisReply *reply = redis_fleet_ask(f, by, "CLUSTER SLOTS");
    for (size_t i = 0; i < reply->elements; i++) {
        redisReply **range = reply->element[i]->element;
        if (range[0]->integer <= (long long)slot && (long long)slot <= range[1]->integer)
            owner = server_at_port(f, range[2]->element[1]->integer);
    }
    freeReplyObject(reply);
    return owner;
}

void redis_fleet_wait_owner(struct redis_fleet *f, size_t by, unsigned slot, size_t owner)
{
    WAIT_UNTIL(redis_fleet_owner(f, by, slot) == owner);
}

/* --- a slot that moves ----------------------------------------------------------------------- */

static long epoch_of(struct redis_fleet *f, size_t at)
{
    static const char NAME[] = "cluster_current_epoch:";
    redisReply *reply = redis_fleet_ask(f, at, "CLUSTER INFO");
    const char *found = strstr(reply->str, NAME);
    assert_non_null(found);
    long epoch = strtol(found + strlen(NAME), NULL, 10);
    freeReplyObject(reply);
    return epoch;
}

static bool is_epoch_known(struct redis_fleet *f)
{
    bool is_known = true;
    long epoch = epoch_of(f, 0);
    for (size_t i = 1; i < f->count; i++) is_known = is_known && epoch_of(f, i) == epoch;
    return is_known;
}

void redis_fleet_migrate_begin(struct redis_fleet *f, unsigned slot, size_t from, size_t to)
{
    redis_fleet_tell(f, to, "CLUSTER SETSLOT %d IMPORTING %s", slot, f->servers[from].id);
    redis_fleet_tell(f, from, "CLUSTER SETSLOT %d MIGRATING %s", slot, f->servers[to].id);
}

void redis_fleet_migrate_key(struct redis_fleet *f, const char *key, size_t from, size_t to)
{
    redis_fleet_tell(f, from, "MIGRATE 127.0.0.1 %d %s 0 5000", f->servers[to].port, key);
}

void redis_fleet_migrate_end(struct redis_fleet *f, unsigned slot, size_t from, size_t to)
{
    redis_fleet_tell(f, to, "CLUSTER SETSLOT %d NODE %s", slot, f->servers[to].id);
    redis_fleet_tell(f, from, "CLUSTER SETSLOT %d NODE %s", slot, f->servers[to].id);
    /* The next move takes an epoch of its own, or there is no agreement about it. */
    for (size_t i = 0; i < f->count; i++) redis_fleet_wait_owner(f, i, slot, to);
    WAIT_UNTIL(is_epoch_known(f));
}
