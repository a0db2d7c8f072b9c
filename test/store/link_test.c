/* Links that go wrong: nodes that are killed, stuck or leave; wrong secrets, slow edges, moves. Nodes
 * are processes of their own or live on the loop of the edge; one sqlite file or one memory store is
 * behind them. What peers say that are no edges is in link_hand_test.c. */
#include "store/link_edge.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/str.h"

static void a_wrong_secret_is_refused_and_not_tried_without_end(void **state)
{
    struct edge *edge = *state;
    struct link_node *node =
        edge_node(edge, (struct link_node_setup){.secret = "another secret of more than 32 bytes"});

    edge_open(edge, link_node_address(node));
    EDGE_WAIT_FOR(edge, counter_get(&link_node_metrics(node)->links_refused_total) == 1);
    assert_int_equal(edge_ping(edge), ERR_STORE_UNAVAILABLE); /* it waited, in vain */
    assert_int_equal(counter_get(&link_node_metrics(node)->links_refused_total), 1);
    assert_int_equal(counter_get(&link_node_metrics(node)->links), 0);
}

static void without_a_node_calls_fail_after_a_while(void **state)
{
    struct edge *edge = *state;

    edge_open(edge, "127.0.0.1:1");
    uint64_t before_ms = uv_hrtime() / 1000000;
    assert_int_equal(edge_ping(edge), ERR_STORE_UNAVAILABLE);
    assert_true(uv_hrtime() / 1000000 - before_ms >= LINK_HOLD_MS - 100);
    assert_int_equal(EDGE_METRIC(edge, edge_calls_held_total), 1);
}

static void addresses_that_are_none_are_refused(void **state)
{
    struct edge *edge = *state;
    const char *const bad[] = {
        "",     "host",   "host:",
        ":1",   "host:0", "host:65536",
        "a:1,", "a:1,b",  "a-name.of-65.bytes.which-is.more-than.a-node.can-have.here.too:70"};

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
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    struct edge_done done[50];

    edge_open_at(edge, node);
    assert_int_equal(edge_create_room(edge), 0);
    for (int i = 0; i < 50; i++) edge_append(edge, &done[i], "1");
    store_dispatch(edge->store, edge->now_ms); /* they are on their way */
    link_node_drain(node);
    EDGE_WAIT_FOR(edge, done[49].is_done);
    for (int i = 0; i < 50; i++) assert_int_equal(done[i].err, 0);
    assert_int_equal(edge_ping(edge), ERR_STORE_UNAVAILABLE); /* but nothing new */
}

/* An edge that takes its bytes too slowly gets no more news, and the newest message when it has
 * caught up: the messages in between it asks for. */
static void a_slow_edge_falls_behind_in_its_lists(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){.queue_bytes = 4096});
    struct edge_done done[200];

    edge_open_at(edge, node);
    assert_int_equal(edge_create_room(edge), 0);
    store_watch(edge->store, STR(EDGE_ROOM));
    assert_int_equal(edge_ping(edge), 0);
    /* All of these are stored in one turn of the node, whose news are more than 4096 bytes. */
    for (int i = 0; i < 200; i++)
        edge_append(edge, &done[i], "\"a body of some length, for news\"");
    EDGE_WAIT_FOR(edge, done[199].is_done);
    EDGE_WAIT_FOR(edge, edge->news_count > 0 && edge->news[edge->news_count - 1] == done[199].id);
    assert_true(counter_get(&link_node_metrics(node)->link_news_dropped_total) > 0);
    assert_true(edge->news_count < 200);
    assert_int_equal(edge_read_all(edge).count, 200);
}

static void links_of_one_room_do_not_grow_with_its_calls(void **state)
{
    struct edge *edge = *state;
    struct link_node *node = edge_node(edge, (struct link_node_setup){0});
    static struct edge_done done[5000];

    edge_open_at(edge, node);
    assert_int_equal(edge_create_room(edge), 0);
    size_t refused = 0;
    for (int i = 0; i < 5000; i++) edge_append(edge, &done[i], "1");
    EDGE_WAIT_FOR(edge, done[4999].is_done);
    for (int i = 0; i < 5000; i++) {
        EDGE_WAIT_FOR(edge, done[i].is_done);
        if (done[i].err == ERR_OVERLOADED) refused++;
    }
    /* The node takes LIMIT_LINK_CALLS at once; how many it had answered meanwhile is its affair. */
    assert_true(refused <= 5000 - LIMIT_LINK_CALLS);
    assert_int_equal(counter_get(&link_node_metrics(node)->link_requests_refused_total), refused);
    assert_int_equal(edge_read_all(edge).count, 5000 - refused);
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
    assert_true(node.pid >= 0 && edge->far_count < EDGE_NODES_MAX);
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
    struct edge_done done[300];

    assert_non_null(mkdtemp(directory));
    snprintf(url, sizeof(url), "sqlite:%s/s.db", directory);
    struct far_node node = far_node(edge, url, NULL);
    edge_open_linked(edge, node.address, 1);
    assert_int_equal(edge_create_room(edge), 0);
    for (int i = 0; i < 300; i++) edge_append(edge, &done[i], "1");
    EDGE_WAIT_FOR(edge, done[20].is_done);
    far_kill(edge);
    far_node(edge, url, node.address);
    for (int i = 0; i < 300; i++) EDGE_WAIT_FOR(edge, done[i].is_done);
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
    struct edge_done all = edge_read_all(edge);
    assert_in_range(all.count, stored, 300);
    assert_true(EDGE_METRIC(edge, edge_links_lost_total) >= 1);
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
    struct edge_done done = {0};

    other = edge_node(edge, (struct link_node_setup){.name = "other"});
    snprintf(addresses, sizeof(addresses), "%s,%s", stuck.address, link_node_address(other));
    edge_open_linked(edge, addresses, 2);
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
        done = (struct edge_done){0};
        assert_int_equal(store_room_get(edge->store, str_of(room), edge_on_room, &done), 0);
        EDGE_WAIT_FOR(edge, done.is_done);
        assert_int_equal(done.err, ERR_ROOM_NOT_FOUND);
    }
    uv_close((uv_handle_t *)&beat, NULL);
    uv_run(&edge->loop, UV_RUN_NOWAIT);
    assert_true(beats < 300);
    assert_true(EDGE_METRIC(edge, edge_links_lost_total) == 1);
    assert_true(EDGE_METRIC(edge, edge_rooms_moved_total) > 0);
    far_signal(&stuck, SIGCONT); /* and when it is there again, its rooms go back */
    uint64_t moved = EDGE_METRIC(edge, edge_rooms_moved_total);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_links) == 2);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_rooms_moved_total) > moved);
}

/* --- moves ------------------------------------------------------------------------------------- */

static void beat(struct edge *edge, const char *name, const char *address, int64_t ttl_ms)
{
    struct node_record node = {.sect = "main"};
    const struct store_node_beat in = {.node = &node, .ttl_ms = ttl_ms, .now_ms = edge->now_ms};
    struct edge_done done = {0};

    str_copy(str_of(name), node.name, sizeof(node.name));
    str_copy(str_of(address), node.link, sizeof(node.link));
    assert_int_equal(store_node_beat(edge->store, &in, edge_on_done, &done), 0);
    EDGE_WAIT_FOR(edge, done.is_done);
    assert_int_equal(done.err, 0);
}

/* Routes lead to nodes that were no seeds; rooms whose node does not change are not touched. */
static void routes_lead_to_nodes_and_move_their_share_alone(void **state)
{
    struct edge *edge = *state;
    struct link_node *first = edge_node(edge, (struct link_node_setup){.name = "first"});
    struct link_node *second = edge_node(edge, (struct link_node_setup){.name = "second"});
    char room[32];

    edge_open_at(edge, first);
    beat(edge, "first", link_node_address(first), 60000);
    for (int i = 0; i < 100; i++) {
        snprintf(room, sizeof(room), "app/r%d", i);
        store_watch(edge->store, str_of(room));
    }
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_routes_total) > 0);
    assert_int_equal(EDGE_METRIC(edge, edge_rooms_moved_total), 0);
    beat(edge, "second", link_node_address(second), 60000);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_links) == 2);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_rooms_moved_total) > 0);
    uint64_t moved = EDGE_METRIC(edge, edge_rooms_moved_total);
    assert_in_range(moved, 25, 75); /* about half of them */
    EDGE_WAIT_FOR(edge, counter_get(&link_node_hub_metrics(second)->peer_watches) == moved);
    assert_int_equal(counter_get(&link_node_hub_metrics(first)->peer_watches), 100 - moved);
}

/* Of nodes whose store is a link: one that took another of them for its store would be taken for one by
 * that, and calls would go round. */
static void a_node_of_the_routes_keeps_to_its_seeds(void **state)
{
    struct edge *edge = *state;
    struct link_node *seed = edge_node(edge, (struct link_node_setup){.name = "seed"});
    struct link_node *other = edge_node(edge, (struct link_node_setup){.name = "other"});

    edge_open_at(edge, seed);
    beat(edge, edge->settings.node, "127.0.0.1:1", 60000);
    beat(edge, "other", link_node_address(other), 60000);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_routes_total) > 0);
    assert_int_equal(edge_create_room(edge), 0);
    store_watch(edge->store, STR(EDGE_ROOM));
    EDGE_WAIT_FOR(edge, counter_get(&link_node_hub_metrics(seed)->peer_watches) == 1);
    assert_int_equal(EDGE_METRIC(edge, edge_links), 1);
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
    return edge_node(
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
static void kill_and_return(struct edge *edge, size_t at, struct edge_done done[3][APPENDS])
{
    struct link_node *base = edge->here[0];
    uint64_t before = stored(base);
    char address[64];
    int more = 0;

    for (int i = 0; i < APPENDS; i++) edge_append(edge, &done[0][i], "1");
    while (stored(base) == before) uv_run(&edge->loop, UV_RUN_NOWAIT);
    snprintf(address, sizeof(address), "%s", link_node_address(edge->here[at]));
    link_node_free(edge->here[at]);
    for (int i = 0; i < APPENDS; i++) edge_append(edge, &done[1][i], "2");
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_links) == 1);
    struct link_node *again = node_over(edge, base, at == 1 ? "a" : "b", address);
    edge->here[at] = edge->here[--edge->here_count];
    assert_ptr_equal(edge->here[at], again);
    while (EDGE_METRIC(edge, edge_links) < 2) {
        if (more < APPENDS / 2) edge_append(edge, &done[2][more++], "3");
        uv_run(&edge->loop, UV_RUN_ONCE);
    }
    while (more < APPENDS) edge_append(edge, &done[2][more++], "3");
    for (int i = 0; i < 3 * APPENDS; i++)
        EDGE_WAIT_FOR(edge, done[i / APPENDS][i % APPENDS].is_done);
}

/* All are stored once, in the order of the calls, and answered in it. */
static void appends_keep_their_order_over_moves(void **state)
{
    static struct edge_done done[ROUNDS][3][APPENDS];
    struct edge *edge = *state;
    struct link_node *base = edge_node(edge, (struct link_node_setup){.name = "base"});
    struct link_node *a = node_over(edge, base, "a", NULL), *b = node_over(edge, base, "b", NULL);
    char addresses[160];

    edge->ms_per_turn = 1;
    snprintf(addresses, sizeof(addresses), "%s,%s", link_node_address(a), link_node_address(b));
    edge_open_linked(edge, addresses, 2);
    assert_int_equal(edge_create_room(edge), 0);
    store_watch(edge->store, STR(EDGE_ROOM));
    size_t at = find_node_of_room(edge);
    for (int round = 0; round < ROUNDS; round++) kill_and_return(edge, at, done[round]);

    const struct edge_done *all = &done[0][0][0];
    for (int i = 0; i < ROUNDS * 3 * APPENDS; i++) {
        assert_int_equal(all[i].err, 0);
        assert_false(all[i].duplicate);
        assert_int_equal(all[i].place, i + 1);
        assert_true(i == 0 || all[i].id > all[i - 1].id);
    }
    assert_int_equal(edge_read_all(edge).count, ROUNDS * 3 * APPENDS);
    assert_int_equal(EDGE_METRIC(edge, edge_rooms_moved_total), 2 * ROUNDS);
    assert_true(EDGE_METRIC(edge, edge_calls_repeated_total) > 0);
    assert_true(EDGE_METRIC(edge, edge_appends_held_total) > 0);
    EDGE_WAIT_FOR(edge, edge->news[edge->news_count - 1] == all[ROUNDS * 3 * APPENDS - 1].id);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, edge_setup, edge_teardown)

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
        TEST(routes_lead_to_nodes_and_move_their_share_alone),
        TEST(a_node_of_the_routes_keeps_to_its_seeds),
        TEST(appends_keep_their_order_over_moves),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
