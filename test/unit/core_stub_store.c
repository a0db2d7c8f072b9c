#include "unit/core_stub_store.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/list.h"
#include "store/memory.h"

/* A call under way: whose callback to fire, and what to say. */
struct stub_call {
    struct list node;
    struct stub_store *stub;
    bool fails;
    void *arg;
    union {
        store_append_cb *append;
        store_read_cb *read;
        store_room_cb *room;
        store_list_cb *list;
        store_ping_cb *ping;
        store_viewers_cb *viewers;
        store_sample_cb *sample;
        store_samples_cb *samples;
        store_presence_put_cb *presence_put;
        store_presence_count_cb *presence_count;
        store_presence_page_cb *presence_page;
        store_done_cb *done;
        store_routes_cb *routes;
        store_lease_cb *lease;
    } cb;
};

static struct stub_store *stub_of(struct store *store)
{
    return CONTAINER_OF(store, struct stub_store, store);
}

/* NULL: the call is to be refused. */
static struct stub_call *call_begin(struct store *store, void *arg)
{
    struct stub_store *stub = stub_of(store);
    if (++stub->calls == stub->refuse_call || stub->is_away) return NULL;
    struct stub_call *call = xcalloc(1, sizeof *call);
    call->stub = stub;
    list_init(&call->node);
    list_push(&stub->under_way, &call->node);
    call->fails = stub->calls == stub->fail_call;
    call->arg = arg;
    return call;
}

/* Frees the call and leaves a copy of it; its error is `err` unless it is to fail. */
static struct stub_call call_end(void *arg, int *err)
{
    struct stub_call call = *(struct stub_call *)arg;
    if (call.fails || call.stub->is_down) *err = ERR_STORE_UNAVAILABLE;
    list_remove(&((struct stub_call *)arg)->node);
    free(arg);
    return call;
}

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.append(call.arg, err, appended);
}

static void on_range(void *arg, int err, const struct store_range *range)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.read(call.arg, err, err == OK ? range : NULL);
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.room(call.arg, err, err == OK ? record : NULL, err == OK && created);
}

static void on_list(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.list(call.arg, err, err == OK ? items : NULL, err == OK ? count : 0, err == OK && more);
}

static void on_pong(void *arg, int err)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.ping(call.arg, err);
}

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct stub_call call = call_end(arg, &err);
    if (call.stub->is_closing) return;
    call.cb.viewers(call.arg, err, err == OK ? count : NULL);
}

static void on_sample(void *arg, int err)
{
    struct stub_call call = call_end(arg, &err);
    if (call.stub->is_closing) return;
    call.cb.sample(call.arg, err);
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.samples(call.arg, err, err == OK ? samples : NULL, err == OK ? count : 0,
                    err == OK && more);
}

static void on_presence_put(void *arg, int err)
{
    struct stub_call call = call_end(arg, &err);
    if (call.stub->is_closing) return;
    call.cb.presence_put(call.arg, err);
}

static void on_presence_count(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct stub_call call = call_end(arg, &err);
    if (err == OK && call.stub->count_age_ms > 0) as_of_ms -= call.stub->count_age_ms;
    call.cb.presence_count(call.arg, err, err == OK ? online : 0, err == OK ? as_of_ms : 0);
}

static void on_presence_page(void *arg, int err, const struct store_presence_page *page)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.presence_page(call.arg, err, err == OK ? page : NULL);
}

static int stub_append(struct store *store, const struct store_append *in, store_append_cb *cb,
                       void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.append = cb;
    return store_append(call->stub->inner, in, on_appended, call);
}

static int stub_read(struct store *store, const struct store_read *in, store_read_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    stub_of(store)->reads++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.read = cb;
    return store_read(call->stub->inner, in, on_range, call);
}

static int stub_put(struct store *store, const struct store_room_put *in, store_room_cb *cb,
                    void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.room = cb;
    return store_room_put(call->stub->inner, in, on_room, call);
}

static int stub_get(struct store *store, struct str room, store_room_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.room = cb;
    return store_room_get(call->stub->inner, room, on_room, call);
}

static int stub_list(struct store *store, struct str app, struct str after, uint32_t limit,
                     store_list_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.list = cb;
    return store_room_list(call->stub->inner, app, after, limit, on_list, call);
}

static int stub_ping(struct store *store, store_ping_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.ping = cb;
    return store_ping(call->stub->inner, on_pong, call);
}

static int stub_viewers_add(struct store *store, const struct store_viewers_add *in,
                            store_viewers_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    stub_of(store)->adds++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.viewers = cb;
    return store_viewers_add(call->stub->inner, in, on_viewers, call);
}

static int stub_viewers_merge(struct store *store, const struct store_viewers_merge *in,
                              store_viewers_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    stub_of(store)->merges++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.viewers = cb;
    return store_viewers_merge(call->stub->inner, in, on_viewers, call);
}

static int stub_viewers_count(struct store *store, const struct store_viewers_count *in,
                              store_viewers_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.viewers = cb;
    return store_viewers_count(call->stub->inner, in, on_viewers, call);
}

static int stub_sample_put(struct store *store, const struct store_sample_put *in,
                           store_sample_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    stub_of(store)->puts++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.sample = cb;
    return store_sample_put(call->stub->inner, in, on_sample, call);
}

static int stub_sample_range(struct store *store, const struct store_sample_range *in,
                             store_samples_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.samples = cb;
    return store_sample_range(call->stub->inner, in, on_samples, call);
}

static int stub_presence_put(struct store *store, const struct store_presence_put *in,
                             store_presence_put_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    struct stub_store *stub = stub_of(store);
    stub->presence_puts++;
    stub->presence_users += in->count;
    if (in->count > stub->presence_largest) stub->presence_largest = in->count;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.presence_put = cb;
    return store_presence_put(call->stub->inner, in, on_presence_put, call);
}

static int stub_presence_count(struct store *store, struct str room, int64_t now_ms,
                               store_presence_count_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    stub_of(store)->presence_counts++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.presence_count = cb;
    return store_presence_count(call->stub->inner, room, now_ms, on_presence_count, call);
}

static int stub_presence_page(struct store *store, const struct store_presence_query *in,
                              store_presence_page_cb *cb, void *arg)
{
    struct stub_call *call = call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.presence_page = cb;
    return store_presence_page(call->stub->inner, in, on_presence_page, call);
}

static void on_done(void *arg, int err)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.done(call.arg, err);
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.routes(call.arg, err, err == OK ? routes : NULL);
}

static void on_lease(void *arg, int err, bool is_held)
{
    struct stub_call call = call_end(arg, &err);
    call.cb.lease(call.arg, err, err == OK && is_held);
}

/* Nodes speak of themselves in between: not numbered, so that a test of rooms can count its calls. */
static struct stub_call *node_call_begin(struct store *store, void *arg)
{
    struct stub_store *stub = stub_of(store);
    if (++stub->node_calls == stub->refuse_node_call) return NULL;
    struct stub_call *call = xcalloc(1, sizeof *call);
    call->stub = stub;
    list_init(&call->node);
    list_push(&stub->under_way, &call->node);
    call->arg = arg;
    return call;
}

static int stub_node_beat(struct store *store, const struct store_node_beat *in, store_done_cb *cb,
                          void *arg)
{
    struct stub_call *call = node_call_begin(store, arg);
    stub_of(store)->beats++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.done = cb;
    return store_node_beat(call->stub->inner, in, on_done, call);
}

static int stub_routes_get(struct store *store, const struct store_routes_get *in,
                           store_routes_cb *cb, void *arg)
{
    struct stub_call *call = node_call_begin(store, arg);
    stub_of(store)->routes_gets++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.routes = cb;
    return store_routes_get(call->stub->inner, in, on_routes, call);
}

static int stub_route_put(struct store *store, const struct store_route_put *in, store_done_cb *cb,
                          void *arg)
{
    struct stub_call *call = node_call_begin(store, arg);
    stub_of(store)->route_puts++;
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.done = cb;
    return store_route_put(call->stub->inner, in, on_done, call);
}

static int stub_lease(struct store *store, const struct store_lease *in, store_lease_cb *cb,
                      void *arg)
{
    struct stub_call *call = node_call_begin(store, arg);
    if (call == NULL) return ERR_OVERLOADED;
    call->cb.lease = cb;
    return store_lease(call->stub->inner, in, on_lease, call);
}

static void stub_watch(struct store *store, struct str room)
{
    store_watch(stub_of(store)->inner, room);
}

static void stub_unwatch(struct store *store, struct str room)
{
    store_unwatch(stub_of(store)->inner, room);
}

static int64_t stub_dispatch(struct store *store, int64_t now_ms)
{
    struct stub_store *stub = stub_of(store);
    return stub->is_stalled ? INT64_MAX : store_dispatch(stub->inner, now_ms);
}

static void stub_close(struct store *store)
{
    struct stub_store *stub = stub_of(store);
    store_close(stub->inner);
    LIST_FOREACH_SAFE (node, &stub->under_way) free(CONTAINER_OF(node, struct stub_call, node));
    free(stub);
}

static const struct store_ops stub_ops = {.append = stub_append,
                                          .read = stub_read,
                                          .watch = stub_watch,
                                          .unwatch = stub_unwatch,
                                          .room_put = stub_put,
                                          .room_get = stub_get,
                                          .room_list = stub_list,
                                          .ping = stub_ping,
                                          .viewers_add = stub_viewers_add,
                                          .viewers_merge = stub_viewers_merge,
                                          .viewers_count = stub_viewers_count,
                                          .sample_put = stub_sample_put,
                                          .sample_range = stub_sample_range,
                                          .presence_put = stub_presence_put,
                                          .presence_count = stub_presence_count,
                                          .presence_page = stub_presence_page,
                                          .node_beat = stub_node_beat,
                                          .routes_get = stub_routes_get,
                                          .route_put = stub_route_put,
                                          .lease = stub_lease,
                                          .dispatch = stub_dispatch,
                                          .close = stub_close};

static void on_news(void *arg, struct str room, const struct message *message)
{
    struct stub_store *stub = arg;
    if (!stub->drops_news) stub->env.on_news(stub->env.news_arg, room, message);
}

static struct store *inner_new(struct stub_store *stub, const struct store_config *config)
{
    struct store_config inner = *config;
    stub->env = config->env;
    inner.env = (struct store_env){.on_news = on_news, .news_arg = stub};
    return memory_store_new(&inner);
}

struct stub_store *stub_store_new(const struct store_config *config)
{
    struct stub_store *stub = xcalloc(1, sizeof *stub);
    stub->store.ops = &stub_ops;
    list_init(&stub->under_way);
    stub->inner = inner_new(stub, config);
    return stub;
}

void stub_store_lose_all(struct stub_store *stub, const struct store_config *config)
{
    store_close(stub->inner);
    stub->inner = inner_new(stub, config);
}
