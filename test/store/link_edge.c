#include "store/link_edge.h"

#include <signal.h>
#include <sys/wait.h>

#include "base/alloc.h"

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

int edge_setup(void **state)
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

int edge_teardown(void **state)
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

void edge_open(struct edge *edge, const char *addresses)
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

void edge_limit(struct edge *edge, uint64_t limit_ms)
{
    edge->is_over_limit = false;
    uv_update_time(&edge->loop);
    uv_timer_start(&edge->limit, on_limit, limit_ms, 0);
}

uint64_t edge_metric(const struct edge *edge, size_t offset)
{
    const char *metrics = (const char *)link_store_metrics(edge->store);

    return counter_get((const struct counter *)(const void *)(metrics + offset));
}

/* --- calls ----------------------------------------------------------------------------------- */

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct edge_done *done = arg;

    assert_false(done->is_done);
    done->is_done = true;
    done->err = err;
    done->id = appended->id;
    done->duplicate = appended->duplicate;
    done->place = ++done->edge->answers;
}

void edge_on_room(void *arg, int err, const struct room_record *record, bool created)
{
    (void)record, (void)created;
    *(struct edge_done *)arg = (struct edge_done){.is_done = true, .err = err};
}

void edge_on_done(void *arg, int err)
{
    *(struct edge_done *)arg = (struct edge_done){.is_done = true, .err = err};
}

static void on_range(void *arg, int err, const struct store_range *range)
{
    struct edge_done *done = arg;

    *done = (struct edge_done){.is_done = true, .err = err};
    if (err != 0) return;
    uint64_t prev = range->trimmed;
    for (size_t i = 0; i < range->count; i++) {
        assert_int_equal(range->messages[i].prev, prev);
        prev = range->messages[i].id;
    }
    done->count = range->count;
    done->last = prev;
}

void edge_append(struct edge *edge, struct edge_done *done, const char *body)
{
    const struct store_append append = {
        .room = STR(EDGE_ROOM),
        .message = {.list = LIST_NORMAL, .type = STR("text"), .body = str_of(body)},
        .now_ms = edge->now_ms};

    *done = (struct edge_done){.edge = edge};
    assert_int_equal(store_append(edge->store, &append, on_appended, done), 0);
}

int edge_create_room(struct edge *edge)
{
    const struct store_room_put put = {
        .room = STR(EDGE_ROOM), .settings = room_settings_default(), .now_ms = edge->now_ms};
    struct edge_done done = {0};

    assert_int_equal(store_room_put(edge->store, &put, edge_on_room, &done), 0);
    EDGE_WAIT_FOR(edge, done.is_done);
    return done.err;
}

struct edge_done edge_read_all(struct edge *edge)
{
    const struct store_read read = {
        .room = STR(EDGE_ROOM), .list = LIST_NORMAL, .direction = STORE_AFTER, .limit = 10000};
    struct edge_done done = {0};

    assert_int_equal(store_read(edge->store, &read, on_range, &done), 0);
    EDGE_WAIT_FOR(edge, done.is_done);
    assert_int_equal(done.err, 0);
    return done;
}

int edge_ping(struct edge *edge)
{
    struct edge_done done = {0};

    assert_int_equal(store_ping(edge->store, edge_on_done, &done), 0);
    EDGE_WAIT_FOR(edge, done.is_done);
    return done.err;
}

/* --- nodes ----------------------------------------------------------------------------------- */

struct link_node *edge_node(struct edge *edge, struct link_node_setup setup)
{
    setup.loop = &edge->loop;
    setup.now_ms = &edge->now_ms;
    assert_true(edge->here_count < EDGE_NODES_MAX);
    return edge->here[edge->here_count++] = link_node_new(&setup);
}

void edge_open_linked(struct edge *edge, const char *addresses, uint64_t links)
{
    edge_open(edge, addresses);
    EDGE_WAIT_FOR(edge, EDGE_METRIC(edge, edge_links) == links);
}

void edge_open_at(struct edge *edge, const struct link_node *node)
{
    edge_open_linked(edge, link_node_address(node), 1);
}
