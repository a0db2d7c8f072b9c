#include "api/exchange.h"

#include <stdlib.h>

#include "api/assets.h"
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "http/query.h"

struct api *api_new(const struct api_config *config)
{
    struct api *api = xcalloc(1, sizeof *api);
    api->config = *config;
    api->next_anonymous = config->seed;
    map_init(&api->identities, config->hash_key, identity_key);
    api_set_apps(api, config->apps);
    return api;
}

static void text_each(struct exchange_text *text, void (*visit)(struct buf *))
{
    visit(&text->room);
    visit(&text->rest);
    visit(&text->credentials);
    visit(&text->user);
    visit(&text->page);
}

void api_free(struct api *api)
{
    if (api == NULL) return;
    for (uint32_t i = 0; i < api->origin_count; i++) free(api->origins[i]);
    apps_unref(api->apps);
    map_deinit(&api->identities); /* empty: the connections are gone */
    text_each(&api->text, buf_deinit);
    buf_deinit(&api->scratch);
    buf_deinit(&api->headers);
    free(api);
}

void api_set_worker(struct api *api, struct worker *worker)
{
    api->worker = worker;
}

void api_set_apps(struct api *api, struct apps *apps)
{
    struct apps *old = api->apps;
    api->apps = apps_ref(apps);
    apps_unref(old);
}

void api_conn_deinit(struct api *api, struct api_conn *conn)
{
    identity_unref(api, conn->identity);
    conn->identity = NULL;
}

/* Routes ----------------------------------------------------------------------------------- */

typedef void handler(struct exchange *x);

struct resource {
    struct str path; /* of a room's: what follows "/v1/rooms/{room}/"; a last segment * is any */
    handler *get, *post, *put, *delete;
};

static void later(struct exchange *x)
{
    refuse(x, ERR_NOT_IMPLEMENTED, "This version of the server does not have this resource yet.");
}

static const struct resource room_routes[] = {
    {.path = STR(""), .get = room_get, .put = room_put, .delete = room_delete},
    {.path = STR("messages"), .get = messages_get, .post = messages_post},
    {.path = STR("leave"), .post = leave_post},
    {.path = STR("events"), .get = later},
    {.path = STR("ws"), .get = later},
    {.path = STR("online"), .get = online_get},
    {.path = STR("online/users"), .get = online_users_get},
    {.path = STR("viewers"), .get = viewers_get},
    {.path = STR("stats"), .get = stats_get},
    {.path = STR("messages/*"), .delete = later},
    {.path = STR("mutes"), .get = later},
    {.path = STR("mutes/*"), .put = later, .delete = later},
    {.path = STR("bans"), .get = later},
    {.path = STR("bans/*"), .put = later, .delete = later},
    {.path = STR("mute_all"), .put = later, .delete = later},
    {.path = STR("sect"), .put = sect_put},
};

static const struct resource routes[] = {
    {.path = STR("/v1/rooms"), .get = room_list},  {.path = STR("/v1/broadcast"), .post = later},
    {.path = STR("/v1/nodes"), .get = nodes_get},  {.path = STR("/v1/sects"), .get = sects_get},
    {.path = STR("/healthz"), .get = ops_healthz}, {.path = STR("/readyz"), .get = ops_readyz},
    {.path = STR("/metrics"), .get = ops_metrics},
};

static handler *handler_of(const struct resource *resource, enum http_method method)
{
    switch (method) {
    case HTTP_GET:
    case HTTP_HEAD: return resource->get;
    case HTTP_POST: return resource->post;
    case HTTP_PUT: return resource->put;
    case HTTP_DELETE: return resource->delete;
    case HTTP_OPTIONS:
    case HTTP_OTHER: return NULL;
    }
    UNREACHABLE();
}

static void run_route(struct exchange *x, const struct resource *route)
{
    handler *handle = handler_of(route, x->request->method);
    if (handle != NULL) {
        handle(x);
        return;
    }
    struct buf allow = {0};
    buf_printf(&allow, "%s%s%s%sOPTIONS", route->get != NULL ? "GET, HEAD, " : "",
               route->post != NULL ? "POST, " : "", route->put != NULL ? "PUT, " : "",
               route->delete != NULL ? "DELETE, " : "");
    buf_add_char(&allow, '\0');
    answer_method(x, allow.ptr);
    buf_deinit(&allow);
}

static bool is_match(struct str pattern, struct str path)
{
    if (pattern.len == 0 || pattern.ptr[pattern.len - 1] != '*') return str_eq(pattern, path);
    struct str stem = str_make(pattern.ptr, pattern.len - 1);
    return path.len > stem.len && str_starts(path, stem);
}

static const struct resource *find_route(const struct resource *table, size_t count,
                                         struct str path)
{
    for (size_t i = 0; i < count; i++)
        if (is_match(table[i].path, path)) return &table[i];
    return NULL;
}

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

/* path: what follows "/v1/rooms/". */
static void run_room_path(struct exchange *x, struct str path)
{
    struct str rest, room = str_split(path, '/', &rest);
    struct exchange_text *text = x->text;
    if (!percent_decode(room, false, &text->room) || !percent_decode(rest, false, &text->rest)) {
        refuse(x, ERR_BAD_REQUEST, "The path has a bad percent-escape.");
        return;
    }
    const struct resource *route =
        find_route(room_routes, COUNT_OF(room_routes), buf_str(&text->rest));
    if (route == NULL)
        refuse(x, ERR_NOT_FOUND, NULL);
    else if (!room_id_is_valid(buf_str(&text->room)))
        refuse(x, ERR_BAD_REQUEST, "A room id is 1 to 64 of A-Z a-z 0-9 _ . : -");
    else
        run_route(x, route);
}

static void run_page(struct exchange *x)
{
    const struct asset *asset = assets_find(x->request->path, x->api->config.pages);
    bool is_get = x->request->method == HTTP_GET || x->request->method == HTTP_HEAD;
    if (asset == NULL)
        refuse(x, ERR_NOT_FOUND, NULL);
    else if (!is_get)
        answer_method(x, "GET, HEAD");
    else
        answer_bytes(x->api, x->handle, x->form, str_of(asset->content_type), str_of(ASSET_HEADERS),
                     str_make(asset->begin, (size_t)(asset->end - asset->begin)));
}

#define OPS_ONLY                                                                                   \
    "This is the operators' port: /metrics, /healthz, /readyz, /v1/nodes and /v1/sects."

static void run(struct exchange *x)
{
    struct str path = x->request->path;
    if (x->request->method == HTTP_OPTIONS) {
        answer_preflight(x);
        return;
    }
    if (str_starts(path, STR("/v1/rooms/")) && !x->conn->is_ops) {
        run_room_path(x, str_make(path.ptr + 10, path.len - 10));
        return;
    }
    const struct resource *route = find_route(routes, COUNT_OF(routes), path);
    if (route != NULL)
        run_route(x, route);
    else if (x->conn->is_ops)
        refuse(x, ERR_NOT_FOUND, OPS_ONLY);
    else
        run_page(x);
}

/* The origin that the answer may name, by its number; new ones are learned from the apps' lists. */
static uint8_t find_origin(struct api *api, struct str origin)
{
    bool is_listed = false;
    for (size_t i = 0; i < api->apps->count; i++)
        for (int k = 0; k < LIMIT_APP_ORIGINS; k++) {
            struct str listed = str_of(api->apps->app[i].origins[k]);
            if (str_eq(listed, STR("*"))) return 1;
            is_listed |= listed.len > 0 && str_eq(listed, origin);
        }
    if (!is_listed) return 0;
    for (uint32_t i = 0; i < api->origin_count; i++)
        if (str_eq(str_of(api->origins[i]), origin)) return (uint8_t)(i + 2);
    if (api->origin_count == LIMIT_CORS_ORIGINS) return 0;
    api->origins[api->origin_count] = xcalloc(1, origin.len + 1);
    str_copy(origin, api->origins[api->origin_count], origin.len + 1);
    return (uint8_t)(++api->origin_count + 1);
}

uint64_t api_request(struct api *api, struct api_conn *conn, uint64_t exchange,
                     const struct http_request *request, struct str wire, int64_t now_ms)
{
    struct exchange x = {.api = api,
                         .conn = conn,
                         .handle = exchange,
                         .request = request,
                         .wire = wire,
                         .now_ms = now_ms,
                         .text = &api->text};
    text_each(&api->text, buf_clear);
    conn->repeat.len = 0;
    x.form.keep_alive = request->keep_alive && !worker_is_draining(api->worker);
    x.form.head_only = request->method == HTTP_HEAD;
    x.form.origin = request->origin.len > 0 ? find_origin(api, request->origin) : 0;
    run(&x);
    return x.waiter;
}

void api_refuse(struct api *api, uint64_t exchange, int err)
{
    answer_problem(api, exchange, (struct answer_form){0}, err, NULL, -1);
}

/* What the worker says --------------------------------------------------------------------- */

static void on_call(void *arg, struct call *call)
{
    struct api *api = arg;
    switch (call->kind) {
    case CALL_APPEND: messages_post_done(api, call); break;
    case CALL_HISTORY: messages_history_done(api, call); break;
    case CALL_ROOM_GET:
    case CALL_ROOM_PUT:
    case CALL_ROOM_CLOSE: room_done(api, call); break;
    case CALL_ROOM_LIST: room_list_done(api, call); break;
    case CALL_ONLINE: online_done(api, call); break;
    case CALL_ONLINE_USERS: online_users_done(api, call); break;
    case CALL_PING: ops_ping_done(api, call); break;
    case CALL_VIEWERS: viewers_done(api, call); break;
    case CALL_SAMPLES: stats_done(api, call); break;
    case CALL_ROUTES: routes_done(api, call); break;
    case CALL_ROOM_SECT: sect_put_done(api, call); break;
    case CALL_LEAVE:
        if (call->err != OK &&
            call->err != ERR_ROOM_NOT_FOUND) /* nobody is in a room that is not there */
            answer_problem(api, call->origin, form_unpack(call->variant), call->err, NULL,
                           call->retry_after_ms);
        else
            answer_empty(api, call->origin, form_unpack(call->variant), 204);
        break;
    case CALL_SUBSCRIBE:
    case CALL_UNSUBSCRIBE:
    case CALL_PRESENCE:
    case CALL_COLD: UNREACHABLE();
    }
    call_free(call);
}

static struct blob *render(void *arg, const struct answer *answer, uint8_t variant)
{
    return messages_render(arg, answer, form_unpack(variant));
}

static void deliver(void *arg, uint64_t exchange, struct blob *wire, uint8_t variant)
{
    struct api *api = arg;
    api->config.out->send(api->config.arg, exchange, wire, !form_unpack(variant).keep_alive);
}

static void refuse_poll(void *arg, uint64_t exchange, int err, int64_t retry_after_ms,
                        uint8_t variant)
{
    answer_problem(arg, exchange, form_unpack(variant), err, NULL, retry_after_ms);
}

const struct worker_ops api_worker_ops = {
    .render = render, .deliver = deliver, .refuse = refuse_poll, .on_call = on_call};
