#include "store/redis_conn.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/limit.h"
#include "base/log.h"

/* Not yet taken by the kernel: more waits in the owner's lists, where it survives the connection. */
#define OUT_BYTES ((size_t)1024 * 1024)

enum kind { COMMAND, AUTH, SELECT, LOAD, ASKING, WAIT };

enum state { CONNECTING, GREETING, READY, OVER };

struct redis_conn {
    enum state state;
    struct redis_host host;
    const struct redis_url *url;
    struct str library;
    uint32_t wait_replicas;
    bool is_pushed_to;
    const struct redis_conn_events *events;
    void *arg;
    struct redis_cluster_stats *stats;
    uv_loop_t *loop;
    struct transport *transport; /* NULL: over */
    redisReader *reader;
    size_t partial_bytes; /* of a reply that is not whole yet */
    struct buf out;       /* for the next flush */
    struct list sent;     /* unanswered, commands of the owner and own ones */
    struct list held;     /* answered, but not known to be replicated */
    bool is_waiting;      /* a WAIT is unanswered */
    bool is_load_due;     /* the library goes before the next command */
    bool is_loading;      /* it is on its way */
    bool was_full;        /* on_room is owed */
    int64_t heard_ms;     /* when bytes last came */
    int64_t pinged_ms;    /* 0: not since */
    bool is_overdue;      /* the last tick found it so */
    unsigned depth;       /* events under way: memory is freed by the outermost */
    bool is_freed;
};

static int64_t limit_ms(const struct redis_conn *conn, int64_t ms)
{
    return redis_url_patience(conn->url, ms);
}

static int64_t now_ms(const struct redis_conn *conn)
{
    return (int64_t)uv_now(conn->loop);
}

/* --- the end --------------------------------------------------------------------------------- */

static void free_request(struct redis_request *request)
{
    if (request->reply != NULL) freeReplyObject(request->reply);
    request->reply = NULL;
    if (request->kind != COMMAND) free(request);
}

static void release(struct redis_conn *conn)
{
    if (conn->depth > 0 || !conn->is_freed) return;
    redisReaderFree(conn->reader);
    buf_deinit(&conn->out);
    free(conn);
}

void redis_conn_take_sent(struct redis_conn *conn, struct list *list)
{
    struct list *node;
    list_move_all(&conn->held, &conn->sent); /* those that are held were sent before */
    while ((node = list_take(&conn->held)) != NULL) {
        struct redis_request *request = CONTAINER_OF(node, struct redis_request, node);
        bool is_owners = request->kind == COMMAND;
        free_request(request);
        if (is_owners) list_push(list, node);
    }
}

void redis_conn_free(struct redis_conn *conn)
{
    struct list unanswered;
    if (conn == NULL) return;
    list_init(&unanswered);
    redis_conn_take_sent(conn, &unanswered);
    while (list_take(&unanswered) != NULL) continue;
    transport_close(conn->transport);
    conn->transport = NULL;
    conn->state = OVER;
    conn->is_freed = true;
    release(conn);
}

static void lose(struct redis_conn *conn, const char *why)
{
    if (conn->state == OVER) return;
    counter_add(conn->state == READY ? &conn->stats->redis_disconnects_total
                                     : &conn->stats->redis_connect_failures_total,
                1);
    conn->state = OVER;
    transport_close(conn->transport);
    conn->transport = NULL;
    conn->events->on_lost(conn->arg, why);
}

/* --- sending --------------------------------------------------------------------------------- */

static void note_sent(struct redis_conn *conn, struct redis_request *request, enum kind kind)
{
    request->kind = (int)kind;
    request->sent_ms = now_ms(conn);
    request->reply = NULL;
    list_push(&conn->sent, &request->node);
}

/* A command of our own. */
static void send_own(struct redis_conn *conn, enum kind kind, const char **words,
                     const size_t *lens, int count)
{
    char *bytes;
    struct redis_request *request = xcalloc(1, sizeof(*request));
    int len = redisFormatCommandArgv(&bytes, count, words, lens);
    ASSERT(len > 0);
    buf_add(&conn->out, bytes, (size_t)len);
    redisFreeCommand(bytes);
    note_sent(conn, request, kind);
}

static void send_load(struct redis_conn *conn)
{
    const char *words[] = {"FUNCTION", "LOAD", conn->library.ptr};
    size_t lens[] = {8, 4, conn->library.len};
    conn->is_load_due = false;
    conn->is_loading = true;
    send_own(conn, LOAD, words, lens, 3);
}

static void send_wait(struct redis_conn *conn)
{
    char replicas[16], limit[16];
    snprintf(replicas, sizeof(replicas), "%u", conn->wait_replicas);
    snprintf(limit, sizeof(limit), "%lld", (long long)limit_ms(conn, REDIS_WAIT_MS));
    const char *words[] = {"WAIT", replicas, limit};
    conn->is_waiting = true;
    counter_add(&conn->stats->redis_waits_total, 1);
    send_own(conn, WAIT, words, NULL, 3);
}

static size_t queued_bytes(const struct redis_conn *conn)
{
    return conn->out.len + transport_queued_bytes(conn->transport);
}

bool redis_conn_has_room(const struct redis_conn *conn)
{
    return conn->state == READY && !conn->is_waiting && queued_bytes(conn) < OUT_BYTES;
}

void redis_conn_send(struct redis_conn *conn, struct redis_request *request)
{
    ASSERT(redis_conn_has_room(conn));
    if (conn->is_load_due) send_load(conn);
    if (request->is_asking) send_own(conn, ASKING, (const char *[]){"ASKING"}, NULL, 1);
    buf_add_str(&conn->out, request->bytes);
    note_sent(conn, request, COMMAND);
}

void redis_conn_put(struct redis_conn *conn, struct str bytes)
{
    ASSERT(conn->is_pushed_to);
    buf_add_str(&conn->out, bytes);
}

void redis_conn_load(struct redis_conn *conn)
{
    if (!conn->is_loading && conn->library.len > 0) conn->is_load_due = true;
}

static void write_out(struct redis_conn *conn)
{
    counter_add(&conn->stats->redis_bytes_out_total, conn->out.len);
    transport_write(conn->transport, &conn->out);
}

static bool has_command(const struct redis_conn *conn)
{
    LIST_FOREACH (node, &conn->sent) {
        if (CONTAINER_OF(node, struct redis_request, node)->kind == COMMAND) return true;
    }
    return false;
}

void redis_conn_flush(struct redis_conn *conn)
{
    if (conn->state != READY || conn->out.len == 0) return;
    if (conn->wait_replicas > 0 && !conn->is_waiting && has_command(conn)) send_wait(conn);
    write_out(conn);
    conn->was_full = !redis_conn_has_room(conn);
}

static void tell_room(struct redis_conn *conn)
{
    if (!conn->was_full || !redis_conn_has_room(conn)) return;
    conn->was_full = false;
    conn->events->on_room(conn->arg);
}

/* --- replies --------------------------------------------------------------------------------- */

static void become_ready(struct redis_conn *conn)
{
    conn->state = READY;
    counter_add(&conn->stats->redis_connects_total, 1);
    conn->events->on_ready(conn->arg);
}

static void refused(struct redis_conn *conn, const char *what, const redisReply *reply)
{
    char why[320];
    snprintf(why, sizeof(why), "%s is refused: %.200s", what, reply->str);
    lose(conn, why);
}

/* Most often another connection has loaded it ("ERR Library 'NAME' already exists"). A replica does not
 * take it, and need not; a server that is still loading says so to the commands, too. Whatever else it
 * is, they will say that the function is not there. */
static void loaded(struct redis_conn *conn, const redisReply *reply)
{
    static const char *const EXPECTED[] = {"ERR Library '", "READONLY ", "LOADING ", "MASTERDOWN ",
                                           "CLUSTERDOWN "};
    conn->is_loading = false;
    if (reply->type != REDIS_REPLY_ERROR) {
        counter_add(&conn->stats->redis_library_loads_total, 1);
        return;
    }
    for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++)
        if (str_starts(str_make(reply->str, reply->len), str_of(EXPECTED[i]))) return;
    log_error(
        "redis",
        "%s:%u does not load the functions: %.200s; it must be Redis 7 or Valkey, and its user "
        "be allowed to use FUNCTION",
        conn->host.name, conn->host.port, reply->str);
}

static void give_back(struct redis_conn *conn, struct redis_request *request, int err)
{
    redisReply *reply = request->reply;
    request->reply = NULL;
    conn->events->on_reply(conn->arg, request, err, err == 0 ? reply : NULL);
    freeReplyObject(reply);
}

/* An error is none of the replicas' business. */
static void waited(struct redis_conn *conn, const redisReply *reply)
{
    bool is_replicated =
        reply->type == REDIS_REPLY_INTEGER && reply->integer >= (long long)conn->wait_replicas;
    struct list held, *node;
    list_init(&held);
    list_move_all(&held, &conn->held);
    conn->is_waiting = false;
    while ((node = list_take(&held)) != NULL) {
        struct redis_request *request = CONTAINER_OF(node, struct redis_request, node);
        bool is_error = request->reply->type == REDIS_REPLY_ERROR;
        if (!is_replicated && !is_error) counter_add(&conn->stats->redis_unreplicated_total, 1);
        give_back(conn, request, is_replicated || is_error ? 0 : ERR_STORE_UNAVAILABLE);
    }
}

static void answered(struct redis_conn *conn, struct redis_request *request, redisReply *reply)
{
    request->reply = reply;
    if (conn->wait_replicas > 0 && reply->type != REDIS_REPLY_ERROR)
        list_push(&conn->held, &request->node);
    else
        give_back(conn, request, 0);
}

static void own_answered(struct redis_conn *conn, enum kind kind, const redisReply *reply)
{
    bool is_error = reply->type == REDIS_REPLY_ERROR;
    switch (kind) {
    case AUTH:
        if (is_error) refused(conn, "the login (user and password in the store's URL)", reply);
        break;
    case SELECT:
        if (is_error) refused(conn, "the database in the store's URL", reply);
        break;
    case LOAD: loaded(conn, reply); break;
    case WAIT: waited(conn, reply); break;
    case ASKING: break; /* if it was refused, so will be the command behind it */
    case COMMAND: UNREACHABLE();
    }
    if (conn->state == GREETING && list_is_empty(&conn->sent)) become_ready(conn);
}

/* A subscriber's, or the last words of a server that lets nobody in ("-ERR max number of clients
 * reached"). */
static void unasked(struct redis_conn *conn, const redisReply *reply)
{
    if (conn->is_pushed_to)
        conn->events->on_push(conn->arg, reply);
    else if (reply->type == REDIS_REPLY_ERROR)
        lose(conn, reply->str);
    else
        lose(conn, "the server says something that nobody asked for; is it a Redis?");
}

/* Takes the reply. */
static void take_reply(struct redis_conn *conn, redisReply *reply)
{
    struct list *node = list_take(&conn->sent);
    if (node == NULL) {
        unasked(conn, reply);
        freeReplyObject(reply);
        return;
    }
    struct redis_request *request = CONTAINER_OF(node, struct redis_request, node);
    if (request->kind == COMMAND) {
        answered(conn, request, reply);
        return;
    }
    own_answered(conn, (enum kind)request->kind, reply);
    free(request);
    freeReplyObject(reply);
}

static void read_replies(struct redis_conn *conn)
{
    void *reply = NULL;
    while (conn->state != OVER) {
        if (redisReaderGetReply(conn->reader, &reply) != REDIS_OK) {
            lose(conn, "what the server says is no RESP; is it a Redis, and not a TLS port?");
            return;
        }
        if (reply == NULL) break;
        conn->partial_bytes = 0;
        take_reply(conn, reply);
    }
    if (conn->state == OVER || conn->partial_bytes <= LIMIT_REDIS_REPLY_BYTES) return;
    counter_add(&conn->stats->redis_replies_refused_total, 1);
    lose(conn, "a reply is larger than it may be");
}

/* --- the transport's events ------------------------------------------------------------------ */

#define ENTER(conn) ((conn)->depth++)

static void leave(struct redis_conn *conn)
{
    conn->depth--;
    release(conn);
}

static void on_bytes(void *arg, struct str bytes)
{
    struct redis_conn *conn = arg;
    ENTER(conn);
    conn->heard_ms = now_ms(conn);
    conn->pinged_ms = 0;
    conn->partial_bytes += bytes.len;
    counter_add(&conn->stats->redis_bytes_in_total, bytes.len);
    redisReaderFeed(conn->reader, bytes.ptr, bytes.len);
    read_replies(conn);
    if (conn->state == READY) tell_room(conn);
    leave(conn);
}

static void send_greeting(struct redis_conn *conn)
{
    const struct redis_url *url = conn->url;
    char db[16];
    bool has_user = url->user[0] != '\0';
    const char *auth[] = {"AUTH", has_user ? url->user : url->password, url->password};
    snprintf(db, sizeof(db), "%u", url->db);
    if (url->password[0] != '\0') send_own(conn, AUTH, auth, NULL, has_user ? 3 : 2);
    if (url->db != 0) send_own(conn, SELECT, (const char *[]){"SELECT", db}, NULL, 2);
    if (conn->library.len > 0) send_load(conn);
}

static void on_open(void *arg)
{
    struct redis_conn *conn = arg;
    ENTER(conn);
    conn->state = GREETING;
    conn->heard_ms = now_ms(conn);
    send_greeting(conn);
    if (conn->out.len > 0)
        write_out(conn);
    else
        become_ready(conn);
    leave(conn);
}

static void on_drained(void *arg)
{
    struct redis_conn *conn = arg;
    ENTER(conn);
    tell_room(conn);
    leave(conn);
}

static void on_closed(void *arg, const char *why)
{
    struct redis_conn *conn = arg;
    ENTER(conn);
    conn->transport = NULL;
    lose(conn, why);
    leave(conn);
}

static const struct transport_events EVENTS = {on_open, on_bytes, on_drained, on_closed};

/* --- the rest -------------------------------------------------------------------------------- */

struct redis_conn *redis_conn_new(const struct redis_conn_setup *setup)
{
    struct redis_conn *conn = xcalloc(1, sizeof(*conn));
    *conn = (struct redis_conn){.host = *setup->host,
                                .url = setup->url,
                                .library = setup->library,
                                .wait_replicas = setup->wait_replicas,
                                .is_pushed_to = setup->is_pushed_to,
                                .events = setup->events,
                                .arg = setup->arg,
                                .stats = setup->stats,
                                .loop = setup->loop,
                                .reader = redisReaderCreate()};
    ASSERT(conn->reader != NULL);
    list_init(&conn->sent);
    list_init(&conn->held);
    struct transport_setup transport = {.host = conn->host.name,
                                        .port = conn->host.port,
                                        .tls = setup->tls,
                                        .timeout_ms = (uint32_t)limit_ms(conn, REDIS_CONNECT_MS),
                                        .events = &EVENTS,
                                        .arg = conn};
    conn->transport = transport_connect(setup->loop, &transport);
    return conn;
}

bool redis_conn_is_ready(const struct redis_conn *conn)
{
    return conn != NULL && conn->state == READY;
}

bool redis_conn_is_idle(const struct redis_conn *conn)
{
    return conn->state == READY && list_is_empty(&conn->sent) && list_is_empty(&conn->held);
}

const struct redis_host *redis_conn_host(const struct redis_conn *conn)
{
    return &conn->host;
}

/* Where only the server speaks, silence may be the end of it: a subscriber asks. */
static int64_t tick_subscriber(struct redis_conn *conn)
{
    int64_t quiet_ms = conn->heard_ms + REDIS_QUIET_MS;
    if (conn->state != READY || !conn->is_pushed_to) return INT64_MAX;
    if (conn->pinged_ms != 0) return conn->pinged_ms + limit_ms(conn, REDIS_ANSWER_MS);
    if (now_ms(conn) < quiet_ms) return quiet_ms;
    conn->pinged_ms = now_ms(conn);
    buf_add_lit(&conn->out, "*1\r\n$4\r\nPING\r\n");
    write_out(conn);
    return conn->pinged_ms + limit_ms(conn, REDIS_ANSWER_MS);
}

/* Bytes that come are a sign of life, but one that trickles holds up all behind it. */
static int64_t tick_sent(const struct redis_conn *conn)
{
    if (list_is_empty(&conn->sent)) return INT64_MAX;
    int64_t sent_ms = CONTAINER_OF(conn->sent.next, struct redis_request, node)->sent_ms;
    int64_t heard_ms = conn->heard_ms > sent_ms ? conn->heard_ms : sent_ms;
    int64_t quiet_ms = heard_ms + limit_ms(conn, REDIS_ANSWER_MS);
    int64_t whole_ms = sent_ms + limit_ms(conn, REDIS_WHOLE_MS);
    return quiet_ms < whole_ms ? quiet_ms : whole_ms;
}

static void give_up(struct redis_conn *conn)
{
    char why[64];
    int64_t answer_ms = limit_ms(conn, REDIS_ANSWER_MS);
    bool is_quiet = now_ms(conn) - conn->heard_ms >= answer_ms;
    snprintf(why, sizeof(why), "no %s within %lld ms", is_quiet ? "answer" : "whole answer",
             (long long)(is_quiet ? answer_ms : limit_ms(conn, REDIS_WHOLE_MS)));
    counter_add(&conn->stats->redis_timeouts_total, 1);
    ENTER(conn);
    lose(conn, why);
    leave(conn);
}

int64_t redis_conn_tick(struct redis_conn *conn)
{
    int64_t due_ms = tick_subscriber(conn), sent_due_ms = tick_sent(conn);
    if (sent_due_ms < due_ms) due_ms = sent_due_ms;
    bool was_overdue = conn->is_overdue;
    conn->is_overdue = conn->state != OVER && now_ms(conn) >= due_ms;
    if (!conn->is_overdue) return due_ms;
    /* Perhaps it is this loop that is late: one turn, to read what came meanwhile. */
    if (!was_overdue) return now_ms(conn);
    give_up(conn);
    return INT64_MAX;
}
