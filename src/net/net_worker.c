#include "net/net_worker.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/assets.h"
#include "base/alloc.h"
#include "base/log.h"
#include "net/conn.h"
#include "net/node.h"

/* Readers ---------------------------------------------------------------------------------- */

struct http_reader *net_worker_take_reader(struct net_worker *nw)
{
    return nw->reader_count > 0 ? nw->readers[--nw->reader_count] : http_reader_new();
}

void net_worker_give_reader(struct net_worker *nw, struct http_reader *reader)
{
    if (nw->reader_count == IDLE_READERS) {
        http_reader_free(reader);
        return;
    }
    http_reader_reset(reader);
    nw->readers[nw->reader_count++] = reader;
}

/* The phases of the process ---------------------------------------------------------------- */

/* Slots are visited by index: a visit may close, and so remove. */
static void each_conn(struct net_worker *nw, void (*visit)(struct net_worker *, struct conn *))
{
    for (uint32_t i = 0; i < nw->conns.cap; i++) {
        struct conn *c = slots_at(&nw->conns, i);
        if (c != NULL) visit(nw, c);
    }
}

static void drain(struct net_worker *nw)
{
    nw->is_draining = true;
    listener_close(&nw->listener);
    listener_close(&nw->ops_listener);
    worker_drain(nw->worker, node_config(nw->node)->drain_ms, nw->now_ms);
    each_conn(nw, conn_drain);
}

static void stop(struct net_worker *nw)
{
    nw->is_stopping = true;
    each_conn(nw, conn_close);
}

static void follow_phase(struct net_worker *nw)
{
    int phase = atomic_load(&nw->node->phase);
    if (phase >= NODE_DRAINING && !nw->is_draining) drain(nw);
    if (phase >= NODE_STOPPING && !nw->is_stopping) stop(nw);
}

static void take_apps(struct net_worker *nw)
{
    struct apps *apps = atomic_exchange(&nw->node->new_apps[nw->index], NULL);
    if (apps == NULL) return;
    api_set_apps(nw->api, apps);
    apps_unref(apps);
}

/* One turn of the loop --------------------------------------------------------------------- */

static void continue_pipelined(struct net_worker *nw)
{
    struct list ready;
    list_init(&ready);
    list_move_all(&ready, &nw->ready); /* each gets one request a turn */
    for (struct list *node; (node = list_take(&ready)) != NULL;)
        conn_continue(nw, CONTAINER_OF(node, struct conn_work, ready_node)->conn);
}

static void fire(void *arg, struct timer *timer)
{
    conn_on_timer(arg, CONTAINER_OF(timer, struct conn, timer));
}

/* Until when the thread may sleep. */
static int64_t next_ms(const struct net_worker *nw, int64_t worker_ms)
{
    int64_t conn_ms = wheel_next_ms(&nw->wheel);
    int64_t next = conn_ms < worker_ms ? conn_ms : worker_ms;
    bool is_paused = nw->listener.is_paused || nw->ops_listener.is_paused;
    if (is_paused && next > nw->now_ms + ACCEPT_RETRY_MS) next = nw->now_ms + ACCEPT_RETRY_MS;
    return next;
}

/* What does not come from a socket. Returns when there is more of it. */
static int64_t work(struct net_worker *nw)
{
    worker_take_notes(nw->worker, nw->now_ms);
    take_apps(nw);
    listener_retry(&nw->listener, nw);
    listener_retry(&nw->ops_listener, nw);
    continue_pipelined(nw);
    bool has_more = worker_serve(nw->worker, SERVE_BUDGET, nw->now_ms);
    wheel_advance(&nw->wheel, nw->now_ms, fire, nw);
    int64_t worker_ms = worker_tick(nw->worker, nw->now_ms);
    if (worker_take_wake(nw->worker)) wake_signal(&nw->node->wake);
    return has_more || !list_is_empty(&nw->ready) ? nw->now_ms : next_ms(nw, worker_ms);
}

static void on_event(void *arg, uint64_t name, uint32_t events)
{
    struct net_worker *nw = arg;
    if (name == NET_NAME_LISTENER)
        listener_accept(&nw->listener, nw);
    else if (name == NET_NAME_OPS)
        listener_accept(&nw->ops_listener, nw);
    else if (name == NET_NAME_WAKE)
        wake_clear(&nw->wake); /* before the queue is looked at, so that no wake is missed */
    else
        conn_on_events(nw, name, events);
}

static void on_event_soon(void *arg, uint64_t name)
{
    struct net_worker *nw = arg;
    if (name < NET_NAME_WAKE) conn_prefetch(nw, name);
}

static void count_idle(struct net_worker *nw, int64_t idle_us)
{
    nw->idle_us += (uint64_t)idle_us;
    uint64_t alive_us = (uint64_t)(nw->clock.last_us - nw->began_us);
    uint64_t busy_us = alive_us - nw->idle_us;
    counter_set(&nw->metrics.busy_us_total, busy_us);
    worker_set_busy(nw->worker, busy_us, nw->now_ms);
}

/* A look at the sockets that does not wait is work; only where the thread may fall asleep is the
 * clock read for it. */
static void wait_until(struct net_worker *nw, int64_t until_ms)
{
    int64_t wait_ms = until_ms > nw->now_ms ? until_ms - nw->now_ms : 0;
    if (wait_ms > 0) clock_now_ms(&nw->clock);
    int64_t asleep_us = nw->clock.last_us;
    poller_wait(&nw->poller, wait_ms, wait_ms > 0 ? POLLER_BATCH : BUSY_EVENTS);
    nw->now_ms = clock_now_ms(&nw->clock);
    count_idle(nw, wait_ms > 0 ? nw->clock.last_us - asleep_us : 0);
}

/* The time is read once for a batch of events, and once for what they and the timers lead to. */
static void turn(struct net_worker *nw)
{
    nw->now_ms = clock_now_ms(&nw->clock);
    follow_phase(nw);
    if (nw->is_stopping) return;
    int64_t until_ms = work(nw);
    /* Without connections nobody can come any more: once told, it stays so. */
    if (nw->is_draining && nw->conns.count == 0)
        atomic_store(&nw->has_told, worker_has_told(nw->worker));
    wait_until(nw, until_ms);
    poller_run(&nw->poller, on_event, on_event_soon, nw);
}

/* Life ------------------------------------------------------------------------------------- */

static void send_answer(void *arg, uint64_t exchange, struct blob *wire, bool close)
{
    conn_answer(arg, exchange, wire, close);
}

static void write_metrics(void *arg, struct buf *out)
{
    struct net_worker *nw = arg;
    node_write_metrics(nw->node, out);
}

static const struct api_out out = {.send = send_answer, .write_metrics = write_metrics};

static void make_core(struct net_worker *nw)
{
    const struct server_config *config = node_config(nw->node);
    struct api_config api = {.out = &out,
                             .arg = nw,
                             .pages = (config->dev ? PAGE_DEV : 0u) |
                                      (config->console ? PAGE_CONSOLE : 0u),
                             .has_ops_port = config->ops_listen != NULL,
                             .seed = nw->node->seed + nw->index * 1000003u,
                             .hash_key = nw->node->hash_key,
                             .is_shared = nw->node->store->is_shared,
                             .apps = nw->node->apps};
    nw->api = api_new(&api);
    struct worker_config worker = {.calls = nw->calls,
                                   .notes = nw->notes,
                                   .ops = &api_worker_ops,
                                   .arg = nw->api,
                                   .index = nw->index,
                                   .pace = config->pace,
                                   .linger_ms = config->linger_ms,
                                   .seed = nw->node->seed + nw->index,
                                   .hash_key = nw->node->hash_key};
    nw->worker = worker_new(&worker, nw->now_ms);
    api_set_worker(nw->api, nw->worker);
}

static int make_poller(struct net_worker *nw)
{
    int err = wake_init(&nw->wake);
    if (err == 0) err = poller_init(&nw->poller);
    if (err == 0) err = poller_add(&nw->poller, nw->wake.fd, NET_NAME_WAKE, POLLER_IN);
    return err;
}

int net_worker_init(struct net_worker *nw, struct node *node, uint16_t index, int listen_fd,
                    int ops_fd)
{
    nw->node = node;
    nw->index = index;
    clock_init(&nw->clock);
    nw->now_ms = clock_now_ms(&nw->clock);
    slots_init(&nw->conns);
    wheel_init(&nw->wheel, nw->now_ms);
    list_init(&nw->ready);
    make_core(nw);
    int err = make_poller(nw);
    nw->listener.fd = nw->ops_listener.fd = -1;
    if (err == 0) err = listener_open(&nw->listener, nw, listen_fd, false);
    if (err == 0 && ops_fd >= 0) err = listener_open(&nw->ops_listener, nw, ops_fd, true);
    return err;
}

static void *run(void *arg)
{
    struct net_worker *nw = arg;
    char name[16]; /* what ps -L and a debugger show */
    snprintf(name, sizeof name, "stoa-worker-%u", nw->index % 100u);
    pthread_setname_np(pthread_self(), name);
    nw->now_ms = clock_now_ms(&nw->clock);
    nw->began_us = nw->clock.last_us;
    while (!nw->is_stopping) turn(nw);
    return NULL;
}

int net_worker_start(struct net_worker *nw)
{
    return -pthread_create(&nw->thread, NULL, run, nw);
}

void net_worker_join(struct net_worker *nw)
{
    pthread_join(nw->thread, NULL);
}

void net_worker_deinit(struct net_worker *nw)
{
    worker_free(nw->worker);
    api_free(nw->api);
    while (nw->reader_count > 0) http_reader_free(nw->readers[--nw->reader_count]);
    slots_deinit(&nw->conns);
    wake_deinit(&nw->wake);
    poller_deinit(&nw->poller);
}
