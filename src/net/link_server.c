#include "net/link_server.h"

#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/log.h"
#include "net/link_internal.h"

#define BACKLOG  512
#define SWEEP_MS 500

int64_t link_server_now(const struct link_server *s)
{
    return s->setup.now_ms(s->setup.now_arg);
}

const struct link_metrics *link_server_metrics(const struct link_server *s)
{
    return s == NULL ? NULL : &s->metrics;
}

/* Who is let in ---------------------------------------------------------------------------- */

static struct refused_host *refused_host(struct link_server *s, const char *host)
{
    for (int i = 0; i < REFUSED_HOSTS; i++)
        if (strcmp(s->refused[i].host, host) == 0) return &s->refused[i];
    return NULL;
}

bool link_server_refuses(struct link_server *s, const char *host)
{
    struct refused_host *refused = refused_host(s, host);
    if (refused == NULL) return false;
    if (uv_now(s->setup.loop) - refused->since_ms >= LINK_REFUSED_MS) {
        *refused = (struct refused_host){0};
        return false;
    }
    return refused->count >= LIMIT_LINK_REFUSALS;
}

/* The one that has been there longest makes room. */
void link_server_note_refusal(struct link_server *s, const char *host)
{
    struct refused_host *refused = refused_host(s, host);
    if (refused == NULL) {
        refused = &s->refused[0];
        for (int i = 1; i < REFUSED_HOSTS; i++)
            if (s->refused[i].since_ms < refused->since_ms) refused = &s->refused[i];
        *refused = (struct refused_host){.since_ms = uv_now(s->setup.loop)};
        str_copy(str_of(host), refused->host, sizeof refused->host);
    }
    refused->count++;
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct link_server *s = CONTAINER_OF(listener, struct link_server, listener);
    if (status != 0 || s->is_draining) return;
    struct link_conn *conn = link_conn_accept(s);
    if (conn == NULL) return;
    bool is_full = s->conn_count >= LIMIT_LINKS ||
                   counter_get(&s->metrics.links_greeting) >= LIMIT_LINK_GREETING;
    s->conn_count++;
    list_push(&s->conns, &conn->node);
    counter_add(&s->metrics.links_greeting, 1);
    if (!is_full && !link_server_refuses(s, conn->peer_host)) return;
    counter_add(&s->metrics.links_turned_away_total, 1);
    link_conn_close(conn);
}

/* The sweep -------------------------------------------------------------------------------- */

static bool is_overdue(const struct link_conn *conn, uint64_t now_ms)
{
    const struct link_server_setup *setup = &conn->server->setup;
    if (conn->state == LINK_CONN_GREETING) return now_ms >= conn->opened_ms + setup->greeting_ms;
    return now_ms >= conn->heard_ms + setup->silence_ms;
}

static void on_sweep(uv_timer_t *timer)
{
    struct link_server *s = CONTAINER_OF(timer, struct link_server, timer);
    uint64_t now_ms = uv_now(s->setup.loop);
    /* When this thread did not run for a while, neither did it hear anybody. */
    uint64_t late_ms = now_ms - s->sweep_due_ms;
    s->sweep_due_ms = now_ms + SWEEP_MS;
    LIST_FOREACH_SAFE (node, &s->conns) {
        struct link_conn *conn = CONTAINER_OF(node, struct link_conn, node);
        conn->opened_ms += late_ms;
        conn->heard_ms += late_ms;
        if (!is_overdue(conn, now_ms)) continue;
        log_warn("link", "%s has said nothing for too long: cut off", conn->peer_host);
        counter_add(&s->metrics.links_broken_total, 1);
        link_conn_close(conn);
    }
}

static void free_dead(struct link_server *s)
{
    for (struct list *node; (node = list_take(&s->dead)) != NULL;)
        link_conn_free(CONTAINER_OF(node, struct link_conn, node));
}

void link_server_flush(struct link_server *s)
{
    if (s == NULL) return;
    LIST_FOREACH_SAFE (node, &s->conns) link_conn_flush(CONTAINER_OF(node, struct link_conn, node));
    free_dead(s);
}

/* Start and end ---------------------------------------------------------------------------- */

int link_server_open(const struct link_server_setup *setup, struct link_server **ret)
{
    struct link_server *s = xcalloc(1, sizeof *s);
    s->setup = *setup;
    if (s->setup.queue_bytes == 0) s->setup.queue_bytes = LIMIT_LINK_QUEUE;
    if (s->setup.greeting_ms == 0) s->setup.greeting_ms = LINK_GREETING_MS;
    if (s->setup.silence_ms == 0) s->setup.silence_ms = LINK_SILENCE_MS;
    list_init(&s->conns);
    list_init(&s->dead);
    list_init(&s->orphans);
    uv_tcp_init(setup->loop, &s->listener);
    uv_timer_init(setup->loop, &s->timer);
    s->open_handles = 2;
    int err = uv_tcp_open(&s->listener, setup->fd);
    if (err != 0)
        close(setup->fd);
    else
        err = uv_listen((uv_stream_t *)&s->listener, BACKLOG, on_connection);
    if (err != 0) {
        link_server_stop(s);
        link_server_free(s);
        return err;
    }
    uv_timer_start(&s->timer, on_sweep, SWEEP_MS, SWEEP_MS);
    s->sweep_due_ms = uv_now(setup->loop) + SWEEP_MS;
    *ret = s;
    return 0;
}

void link_server_drain(struct link_server *s)
{
    if (s == NULL || s->is_draining) return;
    s->is_draining = true;
    LIST_FOREACH_SAFE (node, &s->conns)
        link_conn_goodbye(CONTAINER_OF(node, struct link_conn, node));
}

bool link_server_is_quiet(const struct link_server *s)
{
    return s == NULL || counter_get(&s->metrics.link_requests_under_way) == 0;
}

static void release(struct link_server *s)
{
    if (s->is_freed && s->open_handles == 0) free(s);
}

static void on_handle_closed(struct link_server *s)
{
    s->open_handles--;
    release(s);
}

static void on_listener_closed(uv_handle_t *handle)
{
    on_handle_closed(CONTAINER_OF(handle, struct link_server, listener));
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_handle_closed(CONTAINER_OF(handle, struct link_server, timer));
}

void link_server_stop(struct link_server *s)
{
    if (s == NULL || s->is_stopped) return;
    s->is_draining = s->is_stopped = true;
    LIST_FOREACH_SAFE (node, &s->conns) link_conn_close(CONTAINER_OF(node, struct link_conn, node));
    free_dead(s);
    uv_close((uv_handle_t *)&s->listener, on_listener_closed);
    uv_close((uv_handle_t *)&s->timer, on_timer_closed);
}

void link_server_free(struct link_server *s)
{
    if (s == NULL) return;
    ASSERT(s->is_stopped && list_is_empty(&s->conns));
    for (struct list *node; (node = list_take(&s->orphans)) != NULL;)
        free(CONTAINER_OF(node, struct link_job, node));
    s->is_freed = true;
    release(s);
}
