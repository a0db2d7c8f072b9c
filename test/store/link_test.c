/* Links that go wrong: nodes that are killed, stuck or leave; wrong secrets, other versions, slow
 * edges. An edge's driver in this process, nodes that are processes of their own or live on the same
 * loop; one sqlite file or one memory store behind them. */
#include "store/harness.h"

#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "base/log.h"
#include "link/link_handshake.h"
#include "link/link_value.h"
#include "net/address.h"
#include "store/link_node.h"
#include "store/link_peer.h"

#define ROOM "app/room"

/* --- an edge --------------------------------------------------------------------------------- */

#define NODES_MAX 4

/* A driver on a loop, and what it has said; and the nodes of the test, which end with it. */
struct edge {
    struct link_node *here[NODES_MAX];
    size_t here_count;
    pid_t far[NODES_MAX];
    size_t far_count;
    uv_loop_t loop;
    struct wake wake;
    uv_poll_t wake_poll;
    uv_prepare_t prepare;
    uv_timer_t limit;
    bool is_over_limit;
    int64_t now_ms;
    int64_t ms_per_turn; /* time passes so with the turns of the loop */
    uint64_t answers;    /* of appends, so far */
    struct store *store;
    struct link_settings settings;
    uint64_t news[4096];
    size_t news_count;
};

static void on_news(void *arg, struct str room, const struct message *message)
{
    struct edge *edge = arg;

    (void)room;
    if (edge->news_count < 4096) edge->news[edge->news_count++] = message->id;
}

static void wake_edge(void *arg)
{
    wake_signal(&((struct edge *)arg)->wake);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    wake_clear(&CONTAINER_OF(poll, struct edge, wake_poll)->wake);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct edge *edge = CONTAINER_OF(prepare, struct edge, prepare);

    edge->now_ms += edge->ms_per_turn;
    if (edge->store != NULL) store_dispatch(edge->store, edge->now_ms);
}

static void on_limit(uv_timer_t *timer)
{
    CONTAINER_OF(timer, struct edge, limit)->is_over_limit = true;
}

static int setup(void **state)
{
    struct edge *edge = xcalloc(1, sizeof(*edge));

    signal(SIGPIPE, SIG_IGN); /* as the server does */
    edge->now_ms = START_MS;
    assert_int_equal(uv_loop_init(&edge->loop), 0);
    assert_int_equal(wake_init(&edge->wake), 0);
    uv_poll_init(&edge->loop, &edge->wake_poll, edge->wake.fd);
    uv_poll_start(&edge->wake_poll, UV_READABLE, on_wake);
    uv_prepare_init(&edge->loop, &edge->prepare);
    uv_prepare_start(&edge->prepare, on_prepare);
    uv_timer_init(&edge->loop, &edge->limit);
    edge->settings =
        (struct link_settings){.secret = LINK_NODE_SECRET, .node = "edge", .software = "test"};
    *state = edge;
    return 0;
}

static void edge_close(struct edge *edge)
{
    struct store *store = edge->store;

    edge->store = NULL;
    store_close(store);
}

static int teardown(void **state)
{
    struct edge *edge = *state;

    edge_close(edge);
    while (edge->here_count > 0) link_node_free(edge->here[--edge->here_count]);
    while (edge->far_count > 0) {
        kill(edge->far[--edge->far_count], SIGKILL);
        waitpid(edge->far[edge->far_count], NULL, 0);
    }
    uv_close((uv_handle_t *)&edge->wake_poll, NULL);
    uv_close((uv_handle_t *)&edge->prepare, NULL);
    uv_close((uv_handle_t *)&edge->limit, NULL);
    uv_run(&edge->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&edge->loop), 0);
    wake_deinit(&edge->wake);
    free(edge);
    return 0;
}

static void edge_open(struct edge *edge, const char *addresses)
{
    struct store_config config = {.env = {.loop = &edge->loop,
                                          .wake = wake_edge,
                                          .wake_arg = edge,
                                          .on_news = on_news,
                                          .news_arg = edge},
                                  .link = &edge->settings};
    char why[256] = "";

    if (link_store_open(addresses, &config, &edge->store, why, sizeof(why)) != 0)
        fail_msg("%s", why);
}

/* Turns the loop until the condition holds. */
#define WAIT_FOR(edge, condition)                                                                  \
    do {                                                                                           \
        start_limit(edge);                                                                         \
        while (!(condition) && !(edge)->is_over_limit) uv_run(&(edge)->loop, UV_RUN_ONCE);         \
        uv_timer_stop(&(edge)->limit);                                                             \
        if (!(condition)) fail_msg("%s: not within %d ms", #condition, PATIENCE_MS);               \
    } while (false)

static void start_limit(struct edge *edge)
{
    edge->is_over_limit = false;
    uv_update_time(&edge->loop);
    uv_timer_start(&edge->limit, on_limit, PATIENCE_MS, 0);
}

static uint64_t metric(const struct edge *edge, size_t offset)
{
    const char *metrics = (const char *)link_store_metrics(edge->store);

    return counter_get((const struct counter *)(const void *)(metrics + offset));
}
#define METRIC(edge, name) metric((edge), offsetof(struct link_store_metrics, name))

struct done {
    bool is_done;
    int err;
    uint64_t id;
    bool duplicate;
    uint64_t place; /* among the answers of the edge */
    size_t count;
    uint64_t last;
    struct edge *edge;
};

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct done *done = arg;

    assert_false(done->is_done);
    done->is_done = true;
    done->err = err;
    done->id = appended->id;
    done->duplicate = appended->duplicate;
    done->place = ++done->edge->answers;
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    (void)record, (void)created;
    *(struct done *)arg = (struct done){.is_done = true, .err = err};
}

static void on_pong(void *arg, int err)
{
    *(struct done *)arg = (struct done){.is_done = true, .err = err};
}

static void on_range(void *arg, int err, const struct store_range *range)
{
    struct done *done = arg;

    *done = (struct done){.is_done = true, .err = err};
    if (err != 0) return;
    uint64_t prev = range->trimmed;
    for (size_t i = 0; i < range->count; i++) {
        assert_int_equal(range->messages[i].prev, prev);
        prev = range->messages[i].id;
    }
    done->count = range->count;
    done->last = prev;
}

static void start_append(struct edge *edge, struct done *done, const char *body)
{
    const struct store_append append = {
        .room = STR(ROOM),
        .message = {.list = LIST_NORMAL, .type = STR("text"), .body = str_of(body)},
        .now_ms = edge->now_ms};

    *done = (struct done){.edge = edge};
    assert_int_equal(store_append(edge->store, &append, on_appended, done), 0);
}

static int create(struct edge *edge)
{
    const struct store_room_put put = {
        .room = STR(ROOM), .settings = room_settings_default(), .now_ms = edge->now_ms};
    struct done done = {0};

    assert_int_equal(store_room_put(edge->store, &put, on_room, &done), 0);
    WAIT_FOR(edge, done.is_done);
    return done.err;
}

static struct done read_all(struct edge *edge)
{
    const struct store_read read = {
        .room = STR(ROOM), .list = LIST_NORMAL, .direction = STORE_AFTER, .limit = 10000};
    struct done done = {0};

    assert_int_equal(store_read(edge->store, &read, on_range, &done), 0);
    WAIT_FOR(edge, done.is_done);
    assert_int_equal(done.err, 0);
    return done;
}

static int ping(struct edge *edge)
{
    struct done done = {0};

    assert_int_equal(store_ping(edge->store, on_pong, &done), 0);
    WAIT_FOR(edge, done.is_done);
    return done.err;
}

/* --- nodes of the same loop ------------------------------------------------------------------- */

static struct link_node *node_here(struct edge *edge, struct link_node_setup setup)
{
    setup.loop = &edge->loop;
    setup.now_ms = &edge->now_ms;
    assert_true(edge->here_count < NODES_MAX);
    return edge->here[edge->here_count++] = link_node_new(&setup);
}

/* Linked before anything is asked of it: a call is held for LINK_HOLD_MS, which a slow machine may
 * need for the handshake. */
static void open_linked(struct edge *edge, const char *addresses, uint64_t links)
{
    edge_open(edge, addresses);
    WAIT_FOR(edge, METRIC(edge, edge_links) == links);
}

static void open_one(struct edge *edge, const struct link_node *node)
{
    open_linked(edge, link_node_address(node), 1);
}

static void a_wrong_secret_is_refused_and_not_tried_without_end(void **state)
{
    struct edge *edge = *state;
    struct link_node *node =
        node_here(edge, (struct link_node_setup){.secret = "another secret of more than 32 bytes"});

    edge_open(edge, link_node_address(node));
    WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_refused_total) == 1);
    assert_int_equal(ping(edge), ERR_STORE_UNAVAILABLE); /* it waited, in vain */
    assert_int_equal(counter_get(&link_node_metrics(node)->links_refused_total), 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links), 0);
}

static void without_a_node_calls_fail_after_a_while(void **state)
{
    struct edge *edge = *state;

    edge_open(edge, "127.0.0.1:1");
    uint64_t before_ms = uv_hrtime() / 1000000;
    assert_int_equal(ping(edge), ERR_STORE_UNAVAILABLE);
    assert_true(uv_hrtime() / 1000000 - before_ms >= LINK_HOLD_MS - 100);
    assert_int_equal(METRIC(edge, edge_calls_held_total), 1);
}

static void addresses_that_are_none_are_refused(void **state)
{
    struct edge *edge = *state;
    const char *const bad[] = {"", "host", "host:", ":1", "host:0", "host:65536", "a:1,", "a:1,b"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct store_config config = {.env = {.loop = &edge->loop}, .link = &edge->settings};
        struct store *store = NULL;
        char why[256] = "";
        assert_int_equal(link_store_open(bad[i], &config, &store, why, sizeof(why)),
                         ERR_BAD_REQUEST);
        assert_non_null(strstr(why, "HOST:PORT"));
    }
}

static void a_node_that_leaves_answers_what_it_has(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){0});
    struct done done[50];

    open_one(edge, node);
    assert_int_equal(create(edge), 0);
    for (int i = 0; i < 50; i++) start_append(edge, &done[i], "1");
    store_dispatch(edge->store, edge->now_ms); /* they are on their way */
    link_node_drain(node);
    WAIT_FOR(edge, done[49].is_done);
    for (int i = 0; i < 50; i++) assert_int_equal(done[i].err, 0);
    assert_int_equal(ping(edge), ERR_STORE_UNAVAILABLE); /* but nothing new */
}

/* An edge that takes its bytes too slowly gets no more news, and the newest message when it has
 * caught up: the messages in between it asks for. */
static void a_slow_edge_falls_behind_in_its_lists(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){.queue_bytes = 4096});
    struct done done[200];

    open_one(edge, node);
    assert_int_equal(create(edge), 0);
    store_watch(edge->store, STR(ROOM));
    assert_int_equal(ping(edge), 0);
    /* All of these are stored in one turn of the node, whose news are more than 4096 bytes. */
    for (int i = 0; i < 200; i++)
        start_append(edge, &done[i], "\"a body of some length, for news\"");
    WAIT_FOR(edge, done[199].is_done);
    WAIT_FOR(edge, edge->news_count > 0 && edge->news[edge->news_count - 1] == done[199].id);
    assert_true(counter_get(&link_node_metrics(node)->link_news_dropped_total) > 0);
    assert_true(edge->news_count < 200);
    assert_int_equal(read_all(edge).count, 200);
}

static void links_of_one_room_do_not_grow_with_its_calls(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){0});
    static struct done done[5000];

    open_one(edge, node);
    assert_int_equal(create(edge), 0);
    size_t refused = 0;
    for (int i = 0; i < 5000; i++) start_append(edge, &done[i], "1");
    WAIT_FOR(edge, done[4999].is_done);
    for (int i = 0; i < 5000; i++) {
        WAIT_FOR(edge, done[i].is_done);
        if (done[i].err == ERR_OVERLOADED) refused++;
    }
    /* The node takes LIMIT_LINK_CALLS at once; how many it had answered meanwhile is its affair. */
    assert_true(refused <= 5000 - LIMIT_LINK_CALLS);
    assert_int_equal(counter_get(&link_node_metrics(node)->link_requests_refused_total), refused);
    assert_int_equal(read_all(edge).count, 5000 - refused);
}

/* --- a peer by hand ---------------------------------------------------------------------------- */

/* A socket that speaks as an edge, blocking, from another thread of the loop's: the node answers
 * while the test turns it. */
struct hand {
    struct edge *edge;
    int fd;
    struct link_reader reader;
    struct link_handshake handshake;
    struct buf out;
};

static int connect_to(const char *address)
{
    struct link_address parsed;
    struct sockaddr_in addr = {.sin_family = AF_INET};

    assert_true(link_address_parse(str_of(address), &parsed));
    uv_ip4_addr(parsed.host, parsed.port, &addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static void hand_send(struct hand *hand)
{
    assert_int_equal(send(hand->fd, hand->out.ptr, hand->out.len, MSG_NOSIGNAL), hand->out.len);
    buf_clear(&hand->out);
}

/* NULL: the node has closed the connection. */
static Link__Packet *hand_take(struct hand *hand)
{
    Link__Packet *packet = NULL;
    char bytes[4096];
    ssize_t len = 1;

    start_limit(hand->edge);
    while (link_reader_next(&hand->reader, &packet) != LINK_READ_PACKET) {
        uv_run(&hand->edge->loop, UV_RUN_NOWAIT);
        len = recv(hand->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len == 0 || (len < 0 && errno != EAGAIN)) return NULL;
        if (len > 0) link_reader_feed(&hand->reader, str_make(bytes, (size_t)len));
        if (hand->edge->is_over_limit) fail_msg("no packet came");
    }
    uv_timer_stop(&hand->edge->limit);
    return packet;
}

static void hand_open(struct hand *hand, struct edge *edge, const struct link_node *node,
                      uint32_t version)
{
    const struct link_handshake_setup setup = {.role = LINK_EDGE,
                                               .secret = STR(LINK_NODE_SECRET),
                                               .name = STR("hand"),
                                               .software = STR("9.9"),
                                               .version = version,
                                               .oldest = LINK_VERSION};

    *hand = (struct hand){.edge = edge, .fd = connect_to(link_node_address(node))};
    link_reader_init(&hand->reader, LIMIT_LINK_FRAME);
    link_handshake_start(&hand->handshake, &setup, &hand->out);
    while (hand->handshake.state < LINK_IS_PROVED) {
        hand_send(hand);
        Link__Packet *packet = hand_take(hand);
        assert_non_null(packet);
        link_handshake_take(&hand->handshake, packet, &hand->out);
        link_packet_free(packet);
    }
}

static void hand_close(struct hand *hand)
{
    close(hand->fd);
    link_reader_deinit(&hand->reader);
    buf_deinit(&hand->out);
}

static void an_edge_of_the_next_version_is_served(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){0});
    struct hand hand;

    hand_open(&hand, edge, node, LINK_VERSION + 1);
    assert_int_equal(hand.handshake.state, LINK_IS_PROVED);
    assert_int_equal(hand.handshake.version, LINK_VERSION);
    /* A request that this version does not know: number 900, and a field that it does not know. */
    buf_add(&hand.out, "\0\0\0\x06\x08\x07\xa2\x38\x01x", 10);
    hand_send(&hand);
    Link__Packet *packet = hand_take(&hand);
    assert_int_equal(packet->id, 7);
    assert_int_equal(packet->body_case, LINK__PACKET__BODY_FAILED);
    assert_int_equal(link_error_of(packet->failed->code), ERR_NOT_IMPLEMENTED);
    link_packet_free(packet);
    assert_int_equal(counter_get(&link_node_metrics(node)->link_requests_unknown_total), 1);
    /* And one that asks for no answer is let be: the connection goes on. */
    buf_add(&hand.out, "\0\0\0\x04\xa2\x38\x01x", 8);
    buf_add(&hand.out, "\0\0\0\x04\x08\x08\x32\x00", 8); /* a ping */
    hand_send(&hand);
    packet = hand_take(&hand);
    assert_int_equal(packet->id, 8);
    assert_int_equal(packet->body_case, LINK__PACKET__BODY_PONG);
    link_packet_free(packet);
    hand_close(&hand);
}

static void what_is_no_link_is_cut_off(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){0});
    struct hand hand = {.edge = edge, .fd = connect_to(link_node_address(node))};

    link_reader_init(&hand.reader, LIMIT_LINK_FRAME);
    buf_add_str(&hand.out, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    hand_send(&hand);
    assert_null(hand_take(&hand));
    assert_int_equal(counter_get(&link_node_metrics(node)->links_broken_total), 1);
    hand_close(&hand);
}

static void after_wrong_secrets_an_address_has_to_wait(void **state)
{
    struct edge *edge = *state;
    struct link_node *node =
        node_here(edge, (struct link_node_setup){.secret = "another secret of more than 32 bytes"});
    struct hand hand;

    for (int i = 0; i < LIMIT_LINK_REFUSALS; i++) {
        hand_open(&hand, edge, node, LINK_VERSION);
        assert_int_equal(hand.handshake.state, LINK_IS_REFUSED);
        hand_close(&hand);
    }
    hand = (struct hand){.edge = edge, .fd = connect_to(link_node_address(node))};
    link_reader_init(&hand.reader, LIMIT_LINK_FRAME);
    assert_null(hand_take(&hand)); /* closed without a word */
    assert_int_equal(counter_get(&link_node_metrics(node)->links_turned_away_total), 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links_refused_total),
                     LIMIT_LINK_REFUSALS);
    hand_close(&hand);
}

static void connections_that_prove_nothing_are_few(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = node_here(edge, (struct link_node_setup){0});
    int fds[LIMIT_LINK_GREETING + 1];

    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) fds[i] = connect_to(link_node_address(node));
    WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_turned_away_total) == 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links_greeting), LIMIT_LINK_GREETING);
    for (int i = 0; i <= LIMIT_LINK_GREETING; i++) close(fds[i]);
    WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_greeting) == 0);
}

/* --- nodes that are processes -------------------------------------------------------------------- */

/* A node with the store in a file, which a test can kill or stop. Two over one file: the second opens
 * it when the first has gone, so each test has one at a time, or a node of this loop beside it. */
struct far_node {
    pid_t pid;
    char address[64];
};

static int64_t far_now_ms = START_MS;

static void run_far_node(const char *url, const char *address, int ready_fd)
{
    uv_loop_t loop;
    struct link_node_setup setup = {
        .loop = &loop, .now_ms = &far_now_ms, .store = url, .address = address};

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uv_loop_init(&loop);
    struct link_node *node = link_node_new(&setup);
    const char *bound = link_node_address(node);
    if (write(ready_fd, bound, strlen(bound) + 1) < 0) _exit(2);
    close(ready_fd);
    uv_run(&loop, UV_RUN_DEFAULT);
    _exit(1);
}

/* From a process without threads: as early as possible in a test. */
static struct far_node far_node(struct edge *edge, const char *url, const char *address)
{
    struct far_node node = {0};
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    node.pid = fork();
    assert_true(node.pid >= 0 && edge->far_count < NODES_MAX);
    if (node.pid == 0) {
        close(fds[0]);
        run_far_node(url, address, fds[1]);
    }
    close(fds[1]);
    edge->far[edge->far_count++] = node.pid;
    ssize_t len = read(fds[0], node.address, sizeof(node.address));
    close(fds[0]);
    if (len <= 0) fail_msg("the node did not start");
    return node;
}

static void far_signal(const struct far_node *node, int number)
{
    assert_int_equal(kill(node->pid, number), 0);
}

/* The first one of the test. */
static void far_kill(struct edge *edge)
{
    kill(edge->far[0], SIGKILL);
    waitpid(edge->far[0], NULL, 0);
    edge->far_count = 0;
}

/* The room's node is killed with appends under way, and comes back over the same file. All are
 * acknowledged, and stored once, in order. */
static void what_was_under_way_is_said_again_and_stored_once(void **state)
{
    struct edge *edge = *state;
    char directory[] = "/tmp/stoa-link-XXXXXX", url[64], file[64];
    struct done done[300];

    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof(url), "sqlite:%s/s.db", directory);
    struct far_node node = far_node(edge, url, NULL);
    open_linked(edge, node.address, 1);
    assert_int_equal(create(edge), 0);
    for (int i = 0; i < 300; i++) start_append(edge, &done[i], "1");
    WAIT_FOR(edge, done[20].is_done);
    far_kill(edge);
    far_node(edge, url, node.address);
    for (int i = 0; i < 300; i++) WAIT_FOR(edge, done[i].is_done);
    size_t stored = 0;
    uint64_t last = 0;
    for (int i = 0; i < 300; i++) {
        if (done[i].err == ERR_STORE_UNAVAILABLE)
            continue; /* a machine too slow for LINK_HOLD_MS */
        assert_int_equal(done[i].err, 0);
        assert_false(done[i].duplicate);
        assert_true(done[i].id > last);
        last = done[i].id;
        stored++;
    }
    assert_true(stored > 20);
    struct done all = read_all(edge);
    assert_in_range(all.count, stored, 300);
    assert_true(METRIC(edge, edge_links_lost_total) >= 1);
    for (const char *const *end = (const char *const[]){"", "-wal", "-shm", ".lock", NULL};
         *end != NULL; end++) {
        snprintf(file, sizeof(file), "%s/s.db%s", directory, *end);
        unlink(file);
    }
    rmdir(directory);
}

static void on_beat(uv_timer_t *timer)
{
    ++*(unsigned *)timer->data;
}

/* Two nodes, of which one is stopped: what was asked of it is answered by the other within 3 s, and
 * its rooms are watched there. Seconds in which this process did not run do not count: the other node
 * is in it, too. */
static void a_stuck_node_is_left_within_three_seconds(void **state)
{
    struct edge *edge = *state;
    struct far_node stuck = far_node(edge, "memory:", NULL);
    struct link_node *other = NULL;
    char addresses[160];
    struct done done = {0};

    other = node_here(edge, (struct link_node_setup){.name = "other"});
    snprintf(addresses, sizeof(addresses), "%s,%s", stuck.address, link_node_address(other));
    open_linked(edge, addresses, 2);
    far_signal(&stuck, SIGSTOP);
    /* Rooms of both nodes, whichever these are: about half of them are at the one that is stuck. */
    unsigned beats = 0;
    uv_timer_t beat = {.data = &beats};
    uv_timer_init(&edge->loop, &beat);
    uv_timer_start(&beat, on_beat, 10, 10);
    for (int i = 0; i < 20; i++) {
        char room[32];
        snprintf(room, sizeof(room), "app/r%d", i);
        store_watch(edge->store, str_of(room));
        done = (struct done){0};
        assert_int_equal(store_room_get(edge->store, str_of(room), on_room, &done), 0);
        WAIT_FOR(edge, done.is_done);
        assert_int_equal(done.err, ERR_ROOM_NOT_FOUND);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    uv_run(&edge->loop, UV_RUN_NOWAIT);
    assert_true(beats < 300);
    assert_true(METRIC(edge, edge_links_lost_total) == 1);
    assert_true(METRIC(edge, edge_rooms_moved_total) > 0);
    far_signal(&stuck, SIGCONT); /* and when it is there again, its rooms go back */
    uint64_t moved = METRIC(edge, edge_rooms_moved_total);
    WAIT_FOR(edge, METRIC(edge, edge_links) == 2);
    WAIT_FOR(edge, METRIC(edge, edge_rooms_moved_total) > moved);
}

/* --- moves ------------------------------------------------------------------------------------- */

static void beat(struct edge *edge, const char *name, const char *address, int64_t ttl_ms)
{
    struct node_record node = {.sect = "main"};
    const struct store_node_beat in = {.node = &node, .ttl_ms = ttl_ms, .now_ms = edge->now_ms};
    struct done done = {0};

    str_copy(str_of(name), node.name, sizeof(node.name));
    str_copy(str_of(address), node.link, sizeof(node.link));
    assert_int_equal(store_node_beat(edge->store, &in, on_pong, &done), 0);
    WAIT_FOR(edge, done.is_done);
    assert_int_equal(done.err, 0);
}

/* Routes lead to nodes that were no seeds; rooms whose node does not change are not touched. */
static void routes_lead_to_nodes_and_move_their_share_alone(void **state)
{
    struct edge *edge = *state;
    struct link_node *first = node_here(edge, (struct link_node_setup){.name = "first"});
    struct link_node *second = node_here(edge, (struct link_node_setup){.name = "second"});
    char room[32];

    open_one(edge, first);
    beat(edge, "first", link_node_address(first), 60000);
    for (int i = 0; i < 100; i++) {
        snprintf(room, sizeof(room), "app/r%d", i);
        store_watch(edge->store, str_of(room));
    }
    WAIT_FOR(edge, METRIC(edge, edge_routes_total) > 0);
    assert_int_equal(METRIC(edge, edge_rooms_moved_total), 0);
    beat(edge, "second", link_node_address(second), 60000);
    WAIT_FOR(edge, METRIC(edge, edge_links) == 2);
    WAIT_FOR(edge, METRIC(edge, edge_rooms_moved_total) > 0);
    uint64_t moved = METRIC(edge, edge_rooms_moved_total);
    assert_in_range(moved, 25, 75); /* about half of them */
    WAIT_FOR(edge, counter_get(&link_node_hub_metrics(second)->peer_watches) == moved);
    assert_int_equal(counter_get(&link_node_hub_metrics(first)->peer_watches), 100 - moved);
}

/* Of nodes whose store is a link: one that took another of them for its store would be taken for one by
 * that, and calls would go round. */
static void a_node_of_the_routes_keeps_to_its_seeds(void **state)
{
    struct edge *edge = *state;
    struct link_node *seed = node_here(edge, (struct link_node_setup){.name = "seed"});
    struct link_node *other = node_here(edge, (struct link_node_setup){.name = "other"});

    open_one(edge, seed);
    beat(edge, edge->settings.node, "127.0.0.1:1", 60000);
    beat(edge, "other", link_node_address(other), 60000);
    WAIT_FOR(edge, METRIC(edge, edge_routes_total) > 0);
    assert_int_equal(create(edge), 0);
    store_watch(edge->store, STR(ROOM));
    WAIT_FOR(edge, counter_get(&link_node_hub_metrics(seed)->peer_watches) == 1);
    assert_int_equal(METRIC(edge, edge_links), 1);
    assert_int_equal(counter_get(&link_node_metrics(other)->links), 0);
}

/* Answers of a store come late, by up to so many turns of the loop. */
static const struct faulty_odds LATE = {.delay = 1, .max_delay_ms = 40};

/* One of two nodes over one store, which is a node, too. */
static struct link_node *node_over(struct edge *edge, const struct link_node *base,
                                   const char *name, const char *address)
{
    char url[80];
    const struct store_config config = {.link = &edge->settings};

    snprintf(url, sizeof(url), "link://%s", link_node_address(base));
    return node_here(
        edge,
        (struct link_node_setup){
            .name = name, .store = url, .odds = &LATE, .config = &config, .address = address});
}

/* The node that the room is at: its place in edge->here. */
static size_t find_node_of_room(struct edge *edge)
{
    for (;;) {
        for (size_t i = 1; i < edge->here_count; i++)
            if (counter_get(&link_node_hub_metrics(edge->here[i])->peer_watches) > 0) return i;
        uv_run(&edge->loop, UV_RUN_ONCE);
    }
}

static uint64_t stored(const struct link_node *base)
{
    return counter_get(&store_stats(link_node_store(base))->appends);
}

#define ROUNDS  4
#define APPENDS 60 /* of each part of a round */

/* The node at `at` is killed when the store has taken something that the edge has no answer to, and
 * comes back while appends go on, which are then at the other one. */
static void kill_and_return(struct edge *edge, size_t at, struct done done[3][APPENDS])
{
    struct link_node *base = edge->here[0];
    uint64_t before = stored(base);
    char address[64];
    int more = 0;

    for (int i = 0; i < APPENDS; i++) start_append(edge, &done[0][i], "1");
    while (stored(base) == before) uv_run(&edge->loop, UV_RUN_NOWAIT);
    snprintf(address, sizeof(address), "%s", link_node_address(edge->here[at]));
    link_node_free(edge->here[at]);
    for (int i = 0; i < APPENDS; i++) start_append(edge, &done[1][i], "2");
    WAIT_FOR(edge, METRIC(edge, edge_links) == 1);
    struct link_node *again = node_over(edge, base, at == 1 ? "a" : "b", address);
    edge->here[at] = edge->here[--edge->here_count];
    assert_ptr_equal(edge->here[at], again);
    while (METRIC(edge, edge_links) < 2) {
        if (more < APPENDS / 2) start_append(edge, &done[2][more++], "3");
        uv_run(&edge->loop, UV_RUN_ONCE);
    }
    while (more < APPENDS) start_append(edge, &done[2][more++], "3");
    for (int i = 0; i < 3 * APPENDS; i++) WAIT_FOR(edge, done[i / APPENDS][i % APPENDS].is_done);
}

/* All are stored once, in the order of the calls, and answered in it. */
static void appends_keep_their_order_over_moves(void **state)
{
    static struct done done[ROUNDS][3][APPENDS];
    struct edge *edge = *state;
    struct link_node *base = node_here(edge, (struct link_node_setup){.name = "base"});
    struct link_node *a = node_over(edge, base, "a", NULL), *b = node_over(edge, base, "b", NULL);
    char addresses[160];

    edge->ms_per_turn = 1;
    snprintf(addresses, sizeof(addresses), "%s,%s", link_node_address(a), link_node_address(b));
    open_linked(edge, addresses, 2);
    assert_int_equal(create(edge), 0);
    store_watch(edge->store, STR(ROOM));
    size_t at = find_node_of_room(edge);
    for (int round = 0; round < ROUNDS; round++) kill_and_return(edge, at, done[round]);

    const struct done *all = &done[0][0][0];
    for (int i = 0; i < ROUNDS * 3 * APPENDS; i++) {
        assert_int_equal(all[i].err, 0);
        assert_false(all[i].duplicate);
        assert_int_equal(all[i].place, i + 1);
        assert_true(i == 0 || all[i].id > all[i - 1].id);
    }
    assert_int_equal(read_all(edge).count, ROUNDS * 3 * APPENDS);
    assert_int_equal(METRIC(edge, edge_rooms_moved_total), 2 * ROUNDS);
    assert_true(METRIC(edge, edge_calls_repeated_total) > 0);
    assert_true(METRIC(edge, edge_appends_held_total) > 0);
    WAIT_FOR(edge, edge->news[edge->news_count - 1] == all[ROUNDS * 3 * APPENDS - 1].id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_under_way_is_said_again_and_stored_once),
        TEST(a_stuck_node_is_left_within_three_seconds),
        TEST(a_wrong_secret_is_refused_and_not_tried_without_end),
        TEST(without_a_node_calls_fail_after_a_while),
        TEST(addresses_that_are_none_are_refused),
        TEST(a_node_that_leaves_answers_what_it_has),
        TEST(a_slow_edge_falls_behind_in_its_lists),
        TEST(links_of_one_room_do_not_grow_with_its_calls),
        TEST(an_edge_of_the_next_version_is_served),
        TEST(what_is_no_link_is_cut_off),
        TEST(after_wrong_secrets_an_address_has_to_wait),
        TEST(connections_that_prove_nothing_are_few),
        TEST(routes_lead_to_nodes_and_move_their_share_alone),
        TEST(a_node_of_the_routes_keeps_to_its_seeds),
        TEST(appends_keep_their_order_over_moves),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
