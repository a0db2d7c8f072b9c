/* For operators: /v1/nodes and /v1/sects, and PUT /v1/rooms/{room}/sect.
 *
 * The first two take any app's key, which then sees the fleet, and of the rooms those of its own app.
 * With a listener for operators they are there, and there alone, without a key and with all rooms, as
 * /metrics is. */
#include "api/exchange.h"

#include <string.h>

#include "base/error.h"
#include "base/json_write.h"

#define SECTS_SHOWN 256 /* by GET /v1/sects, and by name to who asks for one that is not there */

/* call->room says whose rooms the answer may name: those that begin with it. */
static void call_routes(struct exchange *x, uint64_t page)
{
    char key[LIMIT_ROOM_KEY + 1] = "";
    if (x->api->config.has_ops_port && !x->conn->is_ops) {
        refuse(x, ERR_NOT_FOUND, "Nodes and sects are served on the operators' port (ops_listen).");
        return;
    }
    if (!x->conn->is_ops) {
        if (!exchange_identify(x) || !exchange_require(x, ROLE_KEY)) return;
        exchange_room_key(x, key);
    }
    struct call *call = call_new(CALL_ROUTES, str_of(key));
    call->id = page;
    exchange_call(x, call);
}

enum { PAGE_NODES, PAGE_SECTS };

void nodes_get(struct exchange *x)
{
    call_routes(x, PAGE_NODES);
}

void sects_get(struct exchange *x)
{
    call_routes(x, PAGE_SECTS);
}

static bool may_see(const struct call *call, const char *room)
{
    return str_starts(str_of(room), str_of(call->room));
}

static void write_text_or_null(struct buf *out, const char *text)
{
    if (text[0] != '\0')
        json_write_string(out, str_of(text));
    else
        buf_add_lit(out, "null");
}

/* "app":…,"room":… of a key. */
static void write_room_name(struct buf *out, const char *key)
{
    struct str room, app = str_split(str_of(key), '/', &room);
    buf_add_lit(out, "\"app\":");
    json_write_string(out, app);
    buf_add_lit(out, ",\"room\":");
    json_write_string(out, room);
}

/* --- nodes ------------------------------------------------------------------------------------ */

static void write_hot(struct buf *out, const struct call *call, const struct node_record *node)
{
    bool is_first = true;
    buf_add_lit(out, ",\"hot\":[");
    for (uint32_t i = 0; i < node->hot_count && i < NODE_HOT_MAX; i++) {
        const struct node_hot_room *hot = &node->hot[i];
        if (!may_see(call, hot->room)) continue;
        buf_add_str(out, is_first ? STR("{") : STR(",{"));
        write_room_name(out, hot->room);
        buf_printf(out, ",\"online\":%llu,\"deliveries_per_s\":%llu}",
                   (unsigned long long)hot->online, (unsigned long long)hot->deliveries_per_s);
        is_first = false;
    }
    buf_add_char(out, ']');
}

static void write_node(struct buf *out, const struct call *call, const struct node_record *node)
{
    buf_add_lit(out, "{\"node\":");
    json_write_string(out, str_of(node->name));
    buf_add_lit(out, ",\"sect\":");
    write_text_or_null(out, node->sect);
    buf_add_lit(out, ",\"vip\":");
    json_write_bool(out, node->is_vip);
    buf_add_lit(out, ",\"link\":");
    write_text_or_null(out, node->link);
    buf_add_lit(out, ",\"version\":");
    write_text_or_null(out, node->version);
    buf_printf(out,
               ",\"started_at\":%lld,\"busy_percent\":%u,\"rooms\":%llu,\"online\":%llu,"
               "\"connections\":%llu,\"links\":%llu",
               (long long)node->started_ms, node->busy_percent, (unsigned long long)node->rooms,
               (unsigned long long)node->online, (unsigned long long)node->connections,
               (unsigned long long)node->links);
    write_hot(out, call, node);
    buf_add_char(out, '}');
}

static void write_nodes(struct buf *out, const struct call *call)
{
    const struct routes *routes = call->routes;
    buf_add_lit(out, "{\"nodes\":[");
    for (size_t i = 0; i < routes->node_count; i++) {
        if (i > 0) buf_add_char(out, ',');
        write_node(out, call, &routes->nodes[i]);
    }
    buf_add_lit(out, "]}");
}

/* --- sects ------------------------------------------------------------------------------------ */

struct sect {
    const char *name;
    uint64_t nodes, rooms, links, assigned;
    uint32_t busy_percent;
};

struct sects {
    struct sect list[SECTS_SHOWN]; /* by name */
    size_t count;
};

static struct sect *find_sect(struct sects *sects, const char *name)
{
    for (size_t i = 0; i < sects->count; i++)
        if (strcmp(sects->list[i].name, name) == 0) return &sects->list[i];
    return NULL;
}

static struct sect *add_sect(struct sects *sects, const char *name)
{
    struct sect *known = find_sect(sects, name);
    size_t at = sects->count;
    if (known != NULL || sects->count == SECTS_SHOWN) return known;
    for (; at > 0 && strcmp(sects->list[at - 1].name, name) > 0; at--)
        sects->list[at] = sects->list[at - 1];
    sects->list[at] = (struct sect){.name = name};
    sects->count++;
    return &sects->list[at];
}

static void gather_sects(const struct routes *routes, struct sects *ret)
{
    ret->count = 0;
    for (size_t i = 0; i < routes->node_count; i++) {
        const struct node_record *node = &routes->nodes[i];
        if (node->sect[0] == '\0' || node->link[0] == '\0') continue;
        struct sect *sect = add_sect(ret, node->sect);
        if (sect == NULL) continue;
        sect->nodes++;
        sect->rooms += node->rooms;
        sect->links += node->links;
        if (node->busy_percent > sect->busy_percent) sect->busy_percent = node->busy_percent;
    }
    for (size_t i = 0; i < routes->route_count; i++) {
        struct sect *sect = find_sect(ret, routes->routes[i].sect);
        if (sect != NULL) sect->assigned++;
    }
}

static void write_sect(struct buf *out, const struct routes *routes, const struct sect *sect)
{
    buf_add_lit(out, "{\"sect\":");
    json_write_string(out, str_of(sect->name));
    buf_add_lit(out, ",\"vip\":");
    json_write_bool(out, routes_is_vip(routes, str_of(sect->name)));
    buf_printf(out,
               ",\"nodes\":%llu,\"busy_percent\":%u,\"rooms\":%llu,\"links\":%llu,"
               "\"rooms_assigned\":%llu}",
               (unsigned long long)sect->nodes, sect->busy_percent, (unsigned long long)sect->rooms,
               (unsigned long long)sect->links, (unsigned long long)sect->assigned);
}

/* serving: where the room is in fact, which is another sect while its own has no live node. */
static void write_assigned(struct buf *out, const struct routes *routes, const struct route *route)
{
    struct str serving = routes_sect(routes, str_of(route->room));
    buf_add_char(out, '{');
    write_room_name(out, route->room);
    buf_add_lit(out, ",\"sect\":");
    json_write_string(out, str_of(route->sect));
    buf_add_lit(out, ",\"serving\":");
    if (serving.len > 0)
        json_write_string(out, serving);
    else
        buf_add_lit(out, "null");
    buf_printf(out, ",\"by\":\"%s\",\"since\":%lld}", route->is_automatic ? "switch" : "operator",
               (long long)route->since_ms);
}

static void write_sects(struct buf *out, const struct call *call)
{
    const struct routes *routes = call->routes;
    struct sects sects;
    bool is_first = true;
    gather_sects(routes, &sects);
    buf_add_lit(out, "{\"sects\":[");
    for (size_t i = 0; i < sects.count; i++) {
        if (i > 0) buf_add_char(out, ',');
        write_sect(out, routes, &sects.list[i]);
    }
    buf_add_lit(out, "],\"assigned\":[");
    for (size_t i = 0; i < routes->route_count; i++) {
        if (!may_see(call, routes->routes[i].room)) continue;
        if (!is_first) buf_add_char(out, ',');
        write_assigned(out, routes, &routes->routes[i]);
        is_first = false;
    }
    buf_printf(out, "],\"version\":\"%016llx\"}", (unsigned long long)routes->version);
}

void routes_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    struct buf body = {0};
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    if (call->id == PAGE_NODES)
        write_nodes(&body, call);
    else
        write_sects(&body, call);
    answer_json(api, call->origin, form, 200, buf_str(&body));
    buf_deinit(&body);
}

/* --- a room's sect ---------------------------------------------------------------------------- */

const char *sect_read(struct json_reader *json, char ret[LIMIT_SECT + 1])
{
    struct str sect = STR_NONE;
    json_get_str_or_null(json, "sect", LIMIT_SECT, &sect);
    if (json_reader_error(json) != OK) return json->why;
    if (sect.len > 0 && !room_id_is_valid(sect))
        return "sect is null, or 1 to 64 of A-Z a-z 0-9 _ . : -";
    str_copy(sect, ret, LIMIT_SECT + 1);
    return NULL;
}

void sect_problem(struct api *api, const struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    struct sects sects = {.count = 0};
    struct buf detail = {0};
    if (call->err != ERR_BAD_REQUEST || call->routes == NULL) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    gather_sects(call->routes, &sects);
    buf_printf(&detail, "There is no sect \"%s\"", call->patch.settings.sect);
    for (size_t i = 0; i < sects.count; i++)
        buf_printf(&detail, "%s \"%s\"", i == 0 ? ": there are" : ",", sects.list[i].name);
    buf_printf(&detail, sects.count == 0 ? ", nor any other: no node is in one." : ".");
    buf_add_char(&detail, '\0');
    answer_problem(api, call->origin, form, ERR_BAD_REQUEST, detail.ptr, -1);
    buf_deinit(&detail);
}

void sect_put(struct exchange *x)
{
    char key[LIMIT_ROOM_KEY + 1];
    struct json_reader json;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_KEY)) return;
    int err = json_reader_init(&json, x->request->body);
    if (err != OK) {
        refuse(x, err, json.why);
        return;
    }
    struct call *call = call_new(CALL_ROOM_SECT, exchange_room_key(x, key));
    const char *why = json_reader_has(&json, "sect")
                          ? sect_read(&json, call->patch.settings.sect)
                          : "Say which: {\"sect\":\"NAME\"}, or {\"sect\":null} for none.";
    if (why != NULL) {
        refuse(x, ERR_BAD_REQUEST, why);
        call_free(call);
    } else {
        exchange_call(x, call);
    }
    json_reader_deinit(&json);
}

void sect_put_done(struct api *api, struct call *call)
{
    struct buf body = {0};
    if (call->err != OK) {
        sect_problem(api, call);
        return;
    }
    buf_add_lit(&body, "{\"room\":");
    json_write_string(&body, room_key_id(str_of(call->room)));
    buf_add_lit(&body, ",\"sect\":");
    write_text_or_null(&body, call->record.settings.sect);
    buf_add_char(&body, '}');
    answer_json(api, call->origin, form_unpack(call->variant), 200, buf_str(&body));
    buf_deinit(&body);
}
