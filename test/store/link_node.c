#include "store/link_node.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/wake.h"
#include "net/address.h"
#include "store/open.h"

struct link_node {
    struct link_node_setup setup;
    char address[ADDRESS_TEXT_MAX];
    struct queue *notes;
    struct hub *hub;
    struct store *store;
    struct link_server *server;
    struct wake wake;
    uv_poll_t wake_poll;
    uv_prepare_t prepare;
    uv_idle_t idle;
    int open_handles;
};

static void wake_node(void *arg)
{
    wake_signal(&((struct link_node *)arg)->wake);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status, (void)events;
    wake_clear(&CONTAINER_OF(poll, struct link_node, wake_poll)->wake);
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle;
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct link_node *node = CONTAINER_OF(prepare, struct link_node, prepare);
    int64_t now_ms = *node->setup.now_ms;
    int64_t next_ms = hub_tick(node->hub, now_ms);

    link_server_flush(node->server);
    if (next_ms <= now_ms)
        uv_idle_start(&node->idle, on_idle);
    else
        uv_idle_stop(&node->idle);
}

static int64_t now_of(void *arg)
{
    return *((struct link_node *)arg)->setup.now_ms;
}

static void make_hub(struct link_node *node)
{
    struct hub_config config = {.workers = 1, .seed = 1, .hash_key = {1, 2}};

    node->notes = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
    config.notes[0] = node->notes;
    node->hub = hub_new(&config, *node->setup.now_ms);
}

static void open_store_of(struct link_node *node)
{
    struct store_config config = {0};
    char why[256] = "";

    if (node->setup.config != NULL) config = *node->setup.config;
    config.env = (struct store_env){.loop = node->setup.loop, .wake = wake_node, .wake_arg = node};
    hub_store_env(node->hub, &config.env);
    const char *url = node->setup.store != NULL ? node->setup.store : "memory:";
    int err = node->setup.odds == NULL
                  ? store_open(url, &config, &node->store, why, sizeof(why))
                  : faulty_store_open(
                        &(struct faulty_setup){.url = url, .seed = 1, .odds = *node->setup.odds},
                        &config, &node->store, why, sizeof(why));
    if (err != 0) fail_msg("%s", why);
    hub_set_store(node->hub, node->store);
}

static void listen_for_edges(struct link_node *node)
{
    const struct link_node_setup *from = &node->setup;
    struct link_server_setup setup = {.loop = from->loop,
                                      .hub = node->hub,
                                      .secret =
                                          from->secret != NULL ? from->secret : LINK_NODE_SECRET,
                                      .name = from->name != NULL ? from->name : "node",
                                      .software = "test",
                                      .tls = from->tls,
                                      .now_ms = now_of,
                                      .now_arg = node,
                                      .queue_bytes = from->queue_bytes,
                                      .greeting_ms = from->greeting_ms,
                                      .silence_ms = from->silence_ms};
    char why[256] = "";

    const char *address = from->address != NULL ? from->address : "127.0.0.1:0";
    if (address_bind(address, &setup.fd, why, sizeof(why)) != 0) fail_msg("%s", why);
    address_of(setup.fd, node->address);
    assert_int_equal(link_server_open(&setup, &node->server), 0);
}

struct link_node *link_node_new(const struct link_node_setup *setup)
{
    struct link_node *node = xcalloc(1, sizeof(*node));

    node->setup = *setup;
    assert_int_equal(wake_init(&node->wake), 0);
    make_hub(node);
    open_store_of(node);
    listen_for_edges(node);
    uv_poll_init(setup->loop, &node->wake_poll, node->wake.fd);
    uv_poll_start(&node->wake_poll, UV_READABLE, on_wake);
    uv_prepare_init(setup->loop, &node->prepare);
    uv_prepare_start(&node->prepare, on_prepare);
    uv_idle_init(setup->loop, &node->idle);
    node->open_handles = 3;
    return node;
}

const char *link_node_address(const struct link_node *node)
{
    return node->address;
}

const struct link_metrics *link_node_metrics(const struct link_node *node)
{
    return link_server_metrics(node->server);
}

const struct hub_metrics *link_node_hub_metrics(const struct link_node *node)
{
    return hub_metrics(node->hub);
}

struct store *link_node_store(const struct link_node *node)
{
    return node->store;
}

void link_node_drain(struct link_node *node)
{
    link_server_drain(node->server);
}

static void handle_closed(struct link_node *node)
{
    if (--node->open_handles > 0) return;
    wake_deinit(&node->wake);
    free(node);
}

static void on_poll_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct link_node, wake_poll));
}

static void on_prepare_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct link_node, prepare));
}

static void on_idle_closed(uv_handle_t *handle)
{
    handle_closed(CONTAINER_OF(handle, struct link_node, idle));
}

void link_node_free(struct link_node *node)
{
    struct note note;

    link_server_stop(node->server);
    store_close(node->store);
    link_server_free(node->server);
    while (queue_pop(node->notes, &note)) note_drop(&note);
    hub_free(node->hub);
    queue_free(node->notes);
    uv_close((uv_handle_t *)&node->wake_poll, on_poll_closed);
    uv_close((uv_handle_t *)&node->prepare, on_prepare_closed);
    uv_close((uv_handle_t *)&node->idle, on_idle_closed);
}
