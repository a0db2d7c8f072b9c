/* The hub's thread: the process from start to stop. */
#include "net/server.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "base/log.h"
#include "http/json_read.h"
#include "net/address.h"
#include "net/hub_loop.h"
#include "net/node.h"
#include "store/faulty.h"
#include "store/open.h"

#define DRAIN_GRACE_MS 5000 /* for appends and slow readers, beyond drain_ms */

const struct server_config *node_config(const struct node *node)
{
    return node->config;
}

bool node_connection_opens(struct node *node)
{
    if (atomic_fetch_add(&node->connections, 1) < node->config->max_connections) return true;
    atomic_fetch_sub(&node->connections, 1);
    return false;
}

void node_connection_closed(struct node *node)
{
    atomic_fetch_sub(&node->connections, 1);
}

static void set_phase(struct node *node, enum node_phase phase)
{
    atomic_store(&node->phase, phase);
    for (unsigned i = 0; i < node->worker_count; i++) wake_signal(&node->workers[i].wake);
}

/* Signals ---------------------------------------------------------------------------------- */

static void on_stop_signal(struct node *node, int number)
{
    if (atomic_load(&node->phase) != NODE_RUNNING) { /* asked twice: at once */
        uv_stop(&node->loop);
        return;
    }
    log_info("server", "signal %d: draining %u connections", number,
             atomic_load(&node->connections));
    node->drain_until_ms = clock_now_ms(&node->clock) + node->config->drain_ms + DRAIN_GRACE_MS;
    link_server_drain(node->links);
    hub_drain(node->hub, clock_now_ms(&node->clock));
    set_phase(node, NODE_DRAINING);
}

static void on_reload_signal(struct node *node)
{
    struct apps *apps =
        node->config->reload == NULL ? NULL : node->config->reload(node->config->reload_arg);
    if (apps == NULL) return;
    apps_unref(node->apps);
    node->apps = apps;
    for (unsigned i = 0; i < node->worker_count; i++) {
        /* One that the worker has not taken yet is superseded. */
        apps_unref(atomic_exchange(&node->new_apps[i], apps_ref(apps)));
        wake_signal(&node->workers[i].wake);
    }
    log_info("server", "configuration reloaded");
}

static void on_signal(struct signals *signals, int number)
{
    struct node *node = CONTAINER_OF(signals, struct node, signals);
    if (number == SIGHUP)
        on_reload_signal(node);
    else
        on_stop_signal(node, number);
}

/* Start ------------------------------------------------------------------------------------ */

/* The one fault that can be asked for from outside: tests of the fallback poll run the real server
 * with it. */
static int open_faulty(struct node *node, const struct store_config *store, char *why,
                       size_t why_cap)
{
    struct faulty_setup setup = {
        .url = node->config->store, .seed = node->seed, .odds = {.news_lose = 1}};
    log_warn("server", "every notification of the store is dropped, for a test");
    return faulty_store_open(&setup, store, &node->store, why, why_cap);
}

static int open_store(struct node *node, char *why, size_t why_cap)
{
    const struct server_config *config = node->config;
    struct store_config store = {
        .env = {.loop = &node->loop, .wake = hub_loop_wake, .wake_arg = node}};
    hub_store_env(node->hub, &store.env);
    memcpy(store.retention, config->retention, sizeof store.retention);
    store.history = config->history;
    if (node->link.secret != NULL) store.link = &node->link;
    int err = config->test_faults != NULL
                  ? open_faulty(node, &store, why, why_cap)
                  : store_open(config->store, &store, &node->store, why, why_cap);
    if (err != OK) return err;
    if (config->link_listen != NULL) node->store->is_shared = true; /* with the edges */
    hub_set_store(node->hub, node->store);
    return OK;
}

/* Links ------------------------------------------------------------------------------------ */

static int make_link_settings(struct node *node, char *why, size_t why_cap)
{
    const struct server_config *config = node->config;
    if (config->link_secret == NULL) return OK;
    if (config->link_tls) {
        node->link_client_tls = tls_client_new(&config->link_files, why, why_cap);
        if (node->link_client_tls == NULL) return ERR_BAD_REQUEST;
    }
    node->link = (struct link_settings){.secret = config->link_secret,
                                        .node = node->name,
                                        .software = config->version,
                                        .tls = node->link_client_tls};
    return OK;
}

static int64_t link_now(void *arg)
{
    return clock_now_ms(&((struct node *)arg)->clock);
}

static int open_links(struct node *node, char *why, size_t why_cap)
{
    const struct server_config *config = node->config;
    struct link_server_setup setup = {.loop = &node->loop,
                                      .hub = node->hub,
                                      .secret = config->link_secret,
                                      .name = node->name,
                                      .software = config->version,
                                      .now_ms = link_now,
                                      .now_arg = node};
    char bound[ADDRESS_TEXT_MAX];
    if (config->link_listen == NULL) return OK;
    if (config->link_tls) {
        node->link_server_tls = tls_server_new(&config->link_files, why, why_cap);
        if (node->link_server_tls == NULL) return ERR_BAD_REQUEST;
        setup.tls = node->link_server_tls;
    }
    if (address_bind_alone(config->link_listen, &setup.fd, why, why_cap) != 0) return ERR_INTERNAL;
    address_of(setup.fd, bound);
    int err = link_server_open(&setup, &node->links);
    if (err != 0) {
        snprintf(why, why_cap, "cannot listen on %s: %s", bound, uv_strerror(err));
        return ERR_INTERNAL;
    }
    printf("links on %s\n", bound);
    return OK;
}

static void close_links(struct node *node)
{
    link_server_free(node->links);
    node->links = NULL;
}

static void random_bytes(void *ret, size_t len)
{
    ssize_t got = getrandom(ret, len, 0);
    ASSERT(got == (ssize_t)len);
}

/* Of the busiest worker, as the pace measures it. */
static void tell_load(void *arg, struct hub_load *ret)
{
    struct node *node = arg;
    uint64_t busiest = 0;
    for (unsigned i = 0; i < node->worker_count; i++) {
        const struct worker_metrics *m = worker_metrics(node->workers[i].worker);
        uint64_t permille = counter_get(&m->busy_permille);
        if (permille > busiest) busiest = permille;
    }
    ret->busy_percent = (uint32_t)(busiest / 10);
    ret->connections = atomic_load(&node->connections);
    ret->links = node->links == NULL ? 0 : counter_get(&link_server_metrics(node->links)->links);
}

static void on_switch(void *arg, const struct switch_decision *decision)
{
    const struct node *node = arg;
    const char *would = node->config->switching.is_dry ? "would be " : "";
    if (decision->sect[0] != '\0')
        log_info(
            "switch", "%s %sassigned to %s: %" PRIu64 " online, %" PRIu64 " deliveries a second",
            decision->room, would, decision->sect, decision->online, decision->deliveries_per_s);
    else
        log_info("switch",
                 "%s %staken back from %s: %" PRIu64 " online, %" PRIu64 " deliveries a second",
                 decision->room, would, decision->from, decision->online,
                 decision->deliveries_per_s);
}

static void copy_text(const char *text, char *ret, size_t cap)
{
    bool fits = str_copy(str_of(text), ret, cap);
    ASSERT(fits);
}

static void describe(struct node *node, struct hub_nodes_config *ret)
{
    const struct server_config *config = node->config;
    *ret = (struct hub_nodes_config){.announces = true,
                                     .is_vip = config->vip,
                                     .switching = config->switching,
                                     .load = tell_load,
                                     .on_switch = on_switch,
                                     .arg = node};
    copy_text(config->sect, ret->sect, sizeof ret->sect);
    copy_text(config->advertise, ret->link, sizeof ret->link);
    copy_text(config->version, ret->version, sizeof ret->version);
}

static void make_hub(struct node *node)
{
    struct hub_config config = {.workers = (uint16_t)node->worker_count,
                                .counting = node->config->counting};
    random_bytes(&node->hash_key, sizeof node->hash_key);
    random_bytes(&node->seed, sizeof node->seed);
    for (unsigned i = 0; i < node->worker_count; i++) {
        struct net_worker *nw = &node->workers[i];
        nw->calls = queue_new(sizeof(struct call *), LIMIT_CALLS_PER_WORKER);
        nw->notes = queue_new(sizeof(struct note), LIMIT_NOTES_PER_WORKER);
        config.notes[i] = nw->notes;
    }
    snprintf(node->name, sizeof node->name, "n%016" PRIx64, node->seed);
    memcpy(config.node, node->name, sizeof config.node);
    config.seed = node->seed;
    config.hash_key = node->hash_key;
    describe(node, &config.nodes);
    node->hub = hub_new(&config, node->started_ms);
}

/* One socket per worker. The first may choose the port; the others share it. */
static int bind_all(const char *address, unsigned count, int *ret_fds, char *why, size_t why_cap)
{
    char bound[ADDRESS_TEXT_MAX];
    for (unsigned i = 0; i < count; i++) {
        if (address_bind(i == 0 ? address : bound, &ret_fds[i], why, why_cap) != 0) {
            while (i > 0) close(ret_fds[--i]);
            return ERR_INTERNAL;
        }
        address_of(ret_fds[i], bound);
    }
    return OK;
}

/* With SO_REUSEPORT a second server on the same port would bind as well, and take half of the
 * connections. */
static int check_port_is_free(const char *address, char *why, size_t why_cap)
{
    int fd;
    if (address_bind_alone(address, &fd, why, why_cap) != 0) return ERR_INTERNAL;
    close(fd);
    return OK;
}

static int start_workers(struct node *node, const int *fds, int ops_fd, char *why, size_t why_cap)
{
    for (unsigned i = 0; i < node->worker_count; i++) {
        int err =
            net_worker_init(&node->workers[i], node, (uint16_t)i, fds[i], i == 0 ? ops_fd : -1);
        if (err == 0) continue;
        snprintf(why, why_cap, "cannot start worker %u: %s", i, strerror(-err));
        return ERR_INTERNAL;
    }
    for (unsigned i = 0; i < node->worker_count; i++) {
        int err = net_worker_start(&node->workers[i]);
        ASSERT(err == 0);
    }
    return OK;
}

/* The end ---------------------------------------------------------------------------------- */

/* Calls that no hub will answer any more: the workers are gone, so they are freed here. */
static void drop_calls(struct net_worker *nw)
{
    for (struct call *call; queue_pop(nw->calls, &call);) call_free(call);
}

static void stop_workers(struct node *node)
{
    set_phase(node, NODE_STOPPING);
    for (unsigned i = 0; i < node->worker_count; i++) net_worker_join(&node->workers[i]);
    link_server_stop(node->links);
    hub_flush(node->hub, clock_now_ms(&node->clock));
    /* First the store, so that what was acknowledged is on the disk whatever comes then. */
    store_close(node->store);
    close_links(node);
    for (unsigned i = 0; i < node->worker_count; i++) {
        drop_calls(&node->workers[i]);
        net_worker_deinit(&node->workers[i]);
        apps_unref(atomic_exchange(&node->new_apps[i], NULL));
    }
}

static void node_free(struct node *node)
{
    hub_free(node->hub);
    for (unsigned i = 0; i < node->worker_count; i++) {
        queue_free(node->workers[i].calls);
        queue_free(node->workers[i].notes);
    }
    apps_unref(node->apps);
    tls_free(node->link_server_tls);
    tls_free(node->link_client_tls);
    free(node->workers);
    free(node);
}

static struct node *node_new(const struct server_config *config)
{
    struct node *node = xcalloc(1, sizeof *node);
    node->config = config;
    node->apps = config->apps;
    node->worker_count = config->workers;
    node->workers = xcalloc(config->workers, sizeof *node->workers);
    clock_init(&node->clock);
    node->started_ms = clock_now_ms(&node->clock);
    atomic_init(&node->phase, NODE_RUNNING);
    make_hub(node);
    return node;
}

static void announce(int fd, const struct server_config *config)
{
    char bound[ADDRESS_TEXT_MAX], store[256];
    address_of(fd, bound);
    store_url_show(config->store, store, sizeof store);
    printf("listening on %s\n", bound);
    fflush(stdout);
    log_info("server", "listening on %s, store %s, %u workers%s", bound, store, config->workers,
             config->dev ? ", development mode" : "");
}

static int serve(struct node *node, char *why, size_t why_cap)
{
    const struct server_config *config = node->config;
    int fds[LIMIT_WORKERS], ops_fd = -1;
    if (config->test_faults != NULL && strcmp(config->test_faults, "drop_news") != 0) {
        snprintf(why, why_cap, "test_faults is \"drop_news\" or nothing, not \"%s\"",
                 config->test_faults);
        return ERR_BAD_REQUEST;
    }
    int err = check_port_is_free(config->listen, why, why_cap);
    if (err == OK) err = make_link_settings(node, why, why_cap);
    if (err == OK) err = open_store(node, why, why_cap);
    if (err != OK) return err;
    err = open_links(node, why, why_cap);
    if (err == OK) err = bind_all(config->listen, node->worker_count, fds, why, why_cap);
    if (err == OK && config->ops_listen != NULL)
        err = bind_all(config->ops_listen, 1, &ops_fd, why, why_cap);
    if (err != OK) {
        link_server_stop(node->links);
        store_close(node->store);
        close_links(node);
        return err;
    }
    err = start_workers(node, fds, ops_fd, why, why_cap);
    if (err != OK) return err;
    announce(fds[0], config);
    hub_loop_run(node);
    stop_workers(node);
    log_info("server", "stopped");
    return OK;
}

static int run_loop(struct node *node, char *why, size_t why_cap)
{
    int err = hub_loop_init(node);
    if (err != 0) {
        snprintf(why, why_cap, "cannot make an event loop: %s", uv_strerror(err));
        return err;
    }
    err = signals_watch(&node->signals, &node->loop, on_signal);
    if (err != 0)
        snprintf(why, why_cap, "cannot watch signals: %s", uv_strerror(err));
    else
        err = serve(node, why, why_cap);
    hub_loop_deinit(node);
    return err;
}

int server_run(const struct server_config *config, char *why, size_t why_cap)
{
    ASSERT(config->workers > 0 && config->workers <= LIMIT_WORKERS);
    json_reader_seed(0); /* before there are threads */
    /* libuv writes without MSG_NOSIGNAL: a peer that went away would end the process. */
    signal(SIGPIPE, SIG_IGN);
    struct node *node = node_new(config);
    signals_block(&node->signals);
    int err = run_loop(node, why, why_cap);
    signals_restore(&node->signals);
    node_free(node);
    return err;
}
