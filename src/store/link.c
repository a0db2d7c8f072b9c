#include "store/link.h"

#include <sys/random.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "store/link_internal.h"

static const struct hash_key ROOMS_HASH_KEY = {0x73746f612e6c696e, 0x6b2e726f6f6d7300};

static struct link_store *link_of(struct store *store)
{
    return CONTAINER_OF(store, struct link_store, store);
}

void link_wake(struct link_store *l)
{
    if (l->env.wake != NULL) l->env.wake(l->env.wake_arg);
}

/* --- events of connections ------------------------------------------------------------------- */

static void on_ready(void *arg, struct link_peer *peer)
{
    struct link_store *l = arg;

    (void)peer;
    gauge_add(&l->metrics.edge_links, 1);
    l->routes_due_ms = l->routes_due_ms == UINT64_MAX ? UINT64_MAX : 0;
    link_routes_pair(l); /* by name it may be one that had no connection */
    link_rooms_settle(l);
    link_send_unsent(l);
}

static void on_leaving(void *arg, struct link_peer *peer)
{
    (void)peer;
    link_rooms_settle(arg);
}

static void on_down(void *arg, struct link_peer *peer)
{
    struct link_store *l = arg;

    gauge_add(&l->metrics.edge_links, -1);
    counter_add(&l->metrics.edge_links_lost_total, 1);
    link_rooms_settle(l);
    link_calls_lost(l, peer);
    link_rooms_let_go(l);
}

/* News of a room that has moved away come from elsewhere now. */
static bool is_wanted(const struct link_store *l, const struct link_peer *peer,
                      const Link__News *news)
{
    const struct link_room *room = map_get(&l->rooms, link_str(news->room));

    return room != NULL && room->is_watched && room->peer == peer;
}

static void take_news(struct link_store *l, struct link_peer *peer, Link__Packet *packet)
{
    if (l->is_closing || !is_wanted(l, peer, packet->news)) {
        link_packet_free(packet);
        return;
    }
    struct link_news *news = xcalloc(1, sizeof(*news));
    news->event.kind = LINK_EVENT_NEWS;
    news->packet = packet;
    if (list_is_empty(&l->inbox)) link_wake(l);
    list_init(&news->event.node);
    list_push(&l->inbox, &news->event.node);
}

static void on_packet(void *arg, struct link_peer *peer, Link__Packet *packet)
{
    struct link_store *l = arg;

    if (packet->body_case == LINK__PACKET__BODY_NEWS) {
        take_news(l, peer, packet);
        return;
    }
    struct link_call *call = slots_get(&l->calls, packet->id);
    if (call != NULL && call->peer == peer)
        link_call_answered(l, call, packet, OK);
    else
        link_packet_free(packet); /* of a call that has been said again, or of a later version */
}

static const struct link_peer_events peer_events = {
    .on_ready = on_ready, .on_packet = on_packet, .on_leaving = on_leaving, .on_down = on_down};

/* --- time ------------------------------------------------------------------------------------ */

static void fail_overdue(struct link_store *l, uint64_t late_ms)
{
    uint64_t now_ms = uv_now(l->peer_setup.loop);

    LIST_FOREACH_SAFE (node, &l->unsent) {
        struct link_call *call = CONTAINER_OF(node, struct link_call, event.node);
        call->hold_until_ms += late_ms;
        if (now_ms >= call->hold_until_ms) link_call_answered(l, call, NULL, ERR_STORE_UNAVAILABLE);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct link_store *l = timer->data;
    uint64_t now_ms = uv_now(timer->loop);
    /* When this thread did not run for a while, neither did it hear anybody. */
    uint64_t late_ms = now_ms > l->tick_due_ms + LINK_PING_MS ? now_ms - l->tick_due_ms : 0;

    l->tick_due_ms = now_ms + LINK_TICK_MS;
    LIST_FOREACH_SAFE (node, &l->peers)
        link_peer_tick(CONTAINER_OF(node, struct link_peer, node), late_ms);
    if (!l->is_closing) link_routes_poll(l);
    fail_overdue(l, late_ms);
}

/* --- the verbs ------------------------------------------------------------------------------- */

#define START(store, request, member, callback, arg)                                               \
    link_call_start(link_of(store), (request), (union link_cb){.member = (callback)}, (arg))

static int link_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                       void *arg)
{
    struct link_request request = {.verb = LINK_APPEND, .room = in->room, .append = *in};

    return START(store, &request, append, cb, arg);
}

static int link_read(struct store *store, const struct store_read *in, store_read_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_READ, .room = in->room, .read = *in};

    return START(store, &request, read, cb, arg);
}

static void link_watch(struct store *store, struct str room)
{
    struct link_store *l = link_of(store);

    if (!l->is_closing) link_room_watch(l, link_room_enter(l, room));
}

static void link_unwatch(struct store *store, struct str key)
{
    struct link_store *l = link_of(store);
    struct link_room *room = map_get(&l->rooms, key);

    if (room != NULL) link_room_unwatch(l, room);
}

static int link_room_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                         void *arg)
{
    struct link_request request = {.verb = LINK_ROOM_PUT, .room = in->room, .room_put = *in};

    return START(store, &request, room, cb, arg);
}

static int link_room_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_ROOM_GET, .room = room};

    return START(store, &request, room, cb, arg);
}

static int link_room_list(struct store *store, struct str app, struct str after, uint32_t limit,
                          store_list_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_ROOM_LIST, .room_list = {app, after, limit}};

    return START(store, &request, list, cb, arg);
}

static int link_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_STORE_PING};

    return START(store, &request, done, cb, arg);
}

static int link_viewers_add(struct store *store, const struct store_viewers_add *in,
                            store_viewers_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_VIEWERS_ADD, .room = in->room, .viewers_add = *in};

    return START(store, &request, viewers, cb, arg);
}

static int link_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                              store_viewers_cb *cb, void *arg)
{
    struct link_request request = {
        .verb = LINK_VIEWERS_MERGE, .room = in->room, .viewers_merge = *in};

    return START(store, &request, viewers, cb, arg);
}

static int link_viewers_count(struct store *store, const struct store_viewers_count *in,
                              store_viewers_cb *cb, void *arg)
{
    struct link_request request = {
        .verb = LINK_VIEWERS_COUNT, .room = in->room, .viewers_count = *in};

    return START(store, &request, viewers, cb, arg);
}

static int link_sample_put(struct store *store, const struct store_sample_put *in,
                           store_sample_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_SAMPLE_PUT, .room = in->room, .sample_put = *in};

    return START(store, &request, done, cb, arg);
}

static int link_sample_range(struct store *store, const struct store_sample_range *in,
                             store_samples_cb *cb, void *arg)
{
    struct link_request request = {
        .verb = LINK_SAMPLE_RANGE, .room = in->room, .sample_range = *in};

    return START(store, &request, samples, cb, arg);
}

static int link_presence_put(struct store *store, const struct store_presence_put *in,
                             store_presence_put_cb *cb, void *arg)
{
    struct link_request request = {
        .verb = LINK_PRESENCE_PUT, .room = in->room, .presence_put = *in};

    return START(store, &request, done, cb, arg);
}

static int link_presence_count(struct store *store, struct str room, int64_t now_ms,
                               store_presence_count_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_PRESENCE_COUNT, .room = room};

    (void)now_ms;
    return START(store, &request, online, cb, arg);
}

static int link_presence_page(struct store *store, const struct store_presence_query *in,
                              store_presence_page_cb *cb, void *arg)
{
    struct link_request request = {
        .verb = LINK_PRESENCE_PAGE, .room = in->room, .presence_query = *in};

    return START(store, &request, presence, cb, arg);
}

static int link_node_beat(struct store *store, const struct store_node_beat *in, store_done_cb *cb,
                          void *arg)
{
    struct link_request request = {.verb = LINK_NODE_BEAT, .node_beat = *in};

    return START(store, &request, done, cb, arg);
}

static int link_routes_get(struct store *store, const struct store_routes_get *in,
                           store_routes_cb *cb, void *arg)
{
    struct link_request request = {.verb = LINK_ROUTES_GET, .routes_get = *in};

    return START(store, &request, routes, cb, arg);
}

static int link_route_put(struct store *store, const struct store_route_put *in, store_done_cb *cb,
                          void *arg)
{
    struct link_request request = {.verb = LINK_ROUTE_PUT, .room = in->room, .route_put = *in};

    return START(store, &request, done, cb, arg);
}

static int link_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                      void *arg)
{
    struct link_request request = {.verb = LINK_LEASE, .lease = *in};

    return START(store, &request, lease, cb, arg);
}

static const struct store_stats *link_stats(struct store *store)
{
    return &link_of(store)->stats;
}

/* --- dispatch -------------------------------------------------------------------------------- */

static void hand_over_news(struct link_store *l, struct link_news *news)
{
    const Link__News *part = news->packet->news;
    const struct link_room *room = map_get(&l->rooms, link_str(part->room));
    struct message message;

    if (room != NULL && room->is_watched && link_stored_of(part->message, &message)) {
        counter_add(&l->stats.news, 1);
        if (l->env.on_news != NULL) l->env.on_news(l->env.news_arg, room->key, &message);
    }
    link_packet_free(news->packet);
    free(news);
}

static void hand_over(struct link_store *l, struct link_event *event)
{
    switch (event->kind) {
    case LINK_EVENT_CALL: link_call_finish(l, CONTAINER_OF(event, struct link_call, event)); return;
    case LINK_EVENT_NEWS: hand_over_news(l, CONTAINER_OF(event, struct link_news, event)); return;
    }
}

static void flush(struct link_store *l)
{
    LIST_FOREACH (node, &l->peers) link_peer_flush(CONTAINER_OF(node, struct link_peer, node));
    l->is_dirty = false;
}

static int64_t link_dispatch(struct store *store, int64_t now_ms)
{
    struct link_store *l = link_of(store);
    struct list due;

    list_init(&due);
    if (!l->is_closing) list_move_all(&due, &l->inbox);
    for (struct list *node; (node = list_take(&due)) != NULL;)
        hand_over(l, CONTAINER_OF(node, struct link_event, node));
    flush(l);
    return list_is_empty(&l->inbox) || l->is_closing ? INT64_MAX : now_ms;
}

/* --- begin and end --------------------------------------------------------------------------- */

static void on_timer_gone(uv_handle_t *handle)
{
    free(handle);
}

static bool has_calls_under_way(const struct link_store *l)
{
    LIST_FOREACH (node, &l->peers)
        if (CONTAINER_OF(node, struct link_peer, node)->call_count > 0) return true;
    return false;
}

/* What has started goes out and is answered before the connections end. The timer sees to it that
 * the loop turns. */
static void finish_calls(struct link_store *l)
{
    uint64_t end_ms = uv_now(l->peer_setup.loop) + LINK_CLOSE_MS;

    flush(l);
    while (has_calls_under_way(l) && uv_now(l->peer_setup.loop) < end_ms)
        uv_run(l->peer_setup.loop, UV_RUN_ONCE);
}

static void drop_inbox(struct link_store *l)
{
    for (struct list *node; (node = list_take(&l->inbox)) != NULL;) {
        struct link_event *event = CONTAINER_OF(node, struct link_event, node);
        if (event->kind != LINK_EVENT_NEWS) continue; /* calls go with the others */
        link_packet_free(CONTAINER_OF(event, struct link_news, event)->packet);
        free(CONTAINER_OF(event, struct link_news, event));
    }
}

static void drop_calls(struct link_store *l)
{
    for (uint32_t i = 0; i < l->calls.cap; i++) {
        struct link_call *call = slots_at(&l->calls, i);
        if (call != NULL) link_call_free(l, call);
    }
    slots_deinit(&l->calls);
}

static void link_close(struct store *store)
{
    struct link_store *l = link_of(store);

    l->is_closing = true;
    finish_calls(l);
    uv_close((uv_handle_t *)l->timer, on_timer_gone);
    drop_inbox(l);
    drop_calls(l);
    link_rooms_free(l);
    link_routes_deinit(l);
    free(l);
}

static const struct store_ops link_ops = {
    .append = link_append,
    .read = link_read,
    .watch = link_watch,
    .unwatch = link_unwatch,
    .room_put = link_room_put,
    .room_get = link_room_get,
    .room_list = link_room_list,
    .ping = link_ping,
    .viewers_add = link_viewers_add,
    .viewers_merge = link_viewers_merge,
    .viewers_count = link_viewers_count,
    .sample_put = link_sample_put,
    .sample_range = link_sample_range,
    .presence_put = link_presence_put,
    .presence_count = link_presence_count,
    .presence_page = link_presence_page,
    .node_beat = link_node_beat,
    .routes_get = link_routes_get,
    .route_put = link_route_put,
    .lease = link_lease,
    .stats = link_stats,
    .dispatch = link_dispatch,
    .close = link_close,
};

const struct link_store_metrics *link_store_metrics(struct store *store)
{
    return store != NULL && store->ops == &link_ops ? &link_of(store)->metrics : NULL;
}

static void start_timer(struct link_store *l)
{
    uv_loop_t *loop = l->peer_setup.loop;

    l->timer = xcalloc(1, sizeof(*l->timer));
    uv_timer_init(loop, l->timer);
    l->timer->data = l;
    uv_update_time(loop);
    l->tick_due_ms = uv_now(loop);
    uv_timer_start(l->timer, on_tick, 0, LINK_TICK_MS);
}

static struct link_store *link_new(const struct store_config *config)
{
    struct link_store *l = xcalloc(1, sizeof(*l));
    const struct link_settings *settings = config->link;
    uint64_t random = 0;
    ssize_t got = getrandom(&random, sizeof(random), 0);

    ASSERT(got == (ssize_t)sizeof(random));
    snprintf(l->key_prefix, sizeof(l->key_prefix), "~%016llx.", (unsigned long long)random);
    l->store.ops = &link_ops;
    l->store.is_shared = true;
    l->env = config->env;
    l->peer_setup = (struct link_peer_setup){.loop = config->env.loop,
                                             .secret = settings->secret,
                                             .name = settings->node,
                                             .software = settings->software,
                                             .tls = settings->tls,
                                             .events = &peer_events,
                                             .arg = l};
    map_init(&l->rooms, ROOMS_HASH_KEY, link_room_key);
    slots_init(&l->calls);
    list_init(&l->unsent);
    list_init(&l->inbox);
    return l;
}

int link_store_open(const char *addresses, const struct store_config *config,
                    struct store **ret_store, char *ret_why, size_t why_cap)
{
    if (config->env.loop == NULL || config->link == NULL || config->link->secret == NULL) {
        snprintf(ret_why, why_cap,
                 "store \"link://…\": needs the secret of the cluster: STOA_LINK_SECRET, or "
                 "secret_file in [link]");
        return ERR_BAD_REQUEST;
    }
    struct link_store *l = link_new(config);
    int err = link_routes_init(l, str_of(addresses), ret_why, why_cap);
    if (err != OK) {
        map_deinit(&l->rooms);
        slots_deinit(&l->calls);
        link_routes_deinit(l);
        free(l);
        return err;
    }
    start_timer(l);
    *ret_store = &l->store;
    return OK;
}
