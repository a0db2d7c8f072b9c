#include "net/hub_loop.h"

#include "base/assert.h"
#include "net/node.h"

#define CALLS_A_TURN   512 /* of one worker */
#define DRAIN_CHECK_MS 10

static bool take_calls(struct node *node, struct net_worker *nw, int64_t now_ms)
{
    struct call *call;
    for (int i = 0; i < CALLS_A_TURN; i++) {
        if (!queue_pop(nw->calls, &call)) return false;
        hub_call(node->hub, call, now_ms);
    }
    return true;
}

static void wake_workers(struct node *node)
{
    uint64_t wakes = hub_take_wakes(node->hub);
    for (unsigned i = 0; i < node->worker_count; i++)
        if ((wakes & 1ull << i) != 0) wake_signal(&node->workers[i].wake);
}

/* Asked before the calls are taken: what a worker had told by then is among them. */
static bool have_told(const struct node *node)
{
    if (atomic_load(&node->connections) > 0) return false;
    for (unsigned i = 0; i < node->worker_count; i++)
        if (!atomic_load(&node->workers[i].has_told)) return false;
    return true;
}

static bool is_drained(const struct node *node, bool is_told, int64_t now_ms)
{
    bool is_quiet =
        is_told && hub_calls_under_way(node->hub) == 0 && link_server_is_quiet(node->links);
    return is_quiet || now_ms >= node->drain_until_ms;
}

static void on_idle(uv_idle_t *idle)
{
    (void)idle; /* its being active is what keeps the loop from sleeping */
}

static void on_timer(uv_timer_t *timer)
{
    (void)timer; /* it only ends the sleep */
}

static void sleep_until(struct node *node, int64_t now_ms, int64_t next_ms)
{
    if (atomic_load(&node->phase) == NODE_DRAINING && next_ms > now_ms + DRAIN_CHECK_MS)
        next_ms = now_ms + DRAIN_CHECK_MS;
    uv_update_time(&node->loop);
    uv_timer_start(&node->timer, on_timer, next_ms > now_ms ? (uint64_t)(next_ms - now_ms) : 0, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct node *node = CONTAINER_OF(prepare, struct node, prepare);
    if (node->store == NULL) return; /* a store that is being opened may run the loop */
    int64_t now_ms = clock_now_ms(&node->clock);
    bool is_told = have_told(node), has_more = false;
    for (unsigned i = 0; i < node->worker_count; i++)
        has_more |= take_calls(node, &node->workers[i], now_ms);
    int64_t next_ms = hub_tick(node->hub, now_ms);
    wake_workers(node);
    link_server_flush(node->links);
    if (has_more)
        uv_idle_start(&node->idle, on_idle);
    else
        uv_idle_stop(&node->idle);
    if (atomic_load(&node->phase) == NODE_DRAINING && is_drained(node, is_told, now_ms))
        uv_stop(&node->loop);
    sleep_until(node, now_ms, next_ms);
}

static void on_wake(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    wake_clear(&CONTAINER_OF(poll, struct node, wake_poll)->wake);
}

void hub_loop_wake(void *arg)
{
    struct node *node = arg;
    wake_signal(&node->wake);
}

int hub_loop_init(struct node *node)
{
    int err = wake_init(&node->wake);
    if (err != 0) return err;
    err = uv_loop_init(&node->loop);
    if (err != 0) {
        wake_deinit(&node->wake);
        return err;
    }
    uv_poll_init(&node->loop, &node->wake_poll, node->wake.fd);
    uv_poll_start(&node->wake_poll, UV_READABLE, on_wake);
    uv_prepare_init(&node->loop, &node->prepare);
    uv_idle_init(&node->loop, &node->idle);
    uv_timer_init(&node->loop, &node->timer);
    return 0;
}

void hub_loop_run(struct node *node)
{
    /* A store may run the loop while it is opened and closed: then there is no hub to be served. */
    uv_prepare_start(&node->prepare, on_prepare);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    uv_prepare_stop(&node->prepare);
}

static void close_one(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

void hub_loop_deinit(struct node *node)
{
    uv_walk(&node->loop, close_one, NULL);
    uv_run(&node->loop, UV_RUN_DEFAULT);
    int err = uv_loop_close(&node->loop);
    ASSERT(err == 0);
    wake_deinit(&node->wake);
}
