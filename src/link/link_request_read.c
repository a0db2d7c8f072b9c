#include "link/link_request.h"

#include "base/alloc.h"
#include "base/error.h"

#define PAGE_MAX 10000 /* of rooms, ranges and samples: beyond what any caller asks for */

static bool is_within(struct str s, size_t max)
{
    return s.len <= max;
}

static bool is_name(struct str s, size_t max)
{
    return s.len > 0 && s.len <= max;
}

static bool is_limit(uint32_t limit, uint32_t max)
{
    return limit > 0 && limit <= max;
}

static bool read_append(const Link__Append *part, struct link_request *ret)
{
    struct store_append *in = &ret->append;

    in->room = ret->room = link_str(part->room);
    in->key = link_str(part->key);
    in->only_known = part->only_known;
    in->per_s = part->per_s;
    return link_message_of(part->message, &in->message) &&
           is_within(in->key, LIMIT_IDEMPOTENCY_KEY) && (!in->only_known || in->key.len > 0);
}

static bool read_read(const Link__Read *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->read = (struct store_read){.room = ret->room,
                                    .list = part->is_normal ? LIST_NORMAL : LIST_HIGH,
                                    .direction = part->is_before ? STORE_BEFORE : STORE_AFTER,
                                    .from = part->from,
                                    .limit = part->limit};
    return part->limit <= PAGE_MAX; /* 0 still tells the tail */
}

static void read_tail(const Link__Tail *part, struct store_tail *ret)
{
    if (part != NULL) *ret = (struct store_tail){part->id, part->ordinal};
}

static bool read_put(const Link__RoomPut *part, struct link_request *ret)
{
    struct store_room_put *in = &ret->room_put;
    struct room_record record;

    if (!link_record_of(part->record, &record)) return false;
    in->room = ret->room = link_str(part->room);
    in->only_new = part->only_new;
    in->settings = record.settings;
    in->state = record.state;
    read_tail(part->known_high, &in->known[LIST_HIGH]);
    read_tail(part->known_normal, &in->known[LIST_NORMAL]);
    return link_message_of(part->control, &in->control) && in->control.list == LIST_HIGH;
}

static bool read_list(const Link__RoomList *part, struct link_request *ret)
{
    ret->room_list =
        (struct link_room_list){link_str(part->app), link_str(part->after), part->limit};
    return is_name(ret->room_list.app, LIMIT_APP_NAME) &&
           is_within(ret->room_list.after, LIMIT_ROOM_ID) && is_limit(part->limit, PAGE_MAX);
}

static bool read_viewers_add(const Link__ViewersAdd *part, struct link_request *ret)
{
    if (part->n_users == 0 || part->n_users > STORE_VIEWERS_MAX) return false;
    struct str *users = ret->owned = xcalloc(part->n_users, sizeof(*users));
    for (size_t i = 0; i < part->n_users; i++) {
        users[i] = link_str(part->users[i]);
        if (!is_name(users[i], LIMIT_USER_ID)) return false;
    }
    ret->room = link_str(part->room);
    ret->viewers_add = (struct store_viewers_add){ret->room, part->bucket_ms, users, part->n_users};
    return true;
}

static bool read_viewers_merge(const Link__ViewersMerge *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->viewers_merge =
        (struct store_viewers_merge){ret->room, part->bucket_ms, link_str(part->sketch)};
    return is_within(ret->viewers_merge.sketch, HLL_DENSE_BYTES);
}

static bool read_viewers_count(const Link__ViewersCount *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->viewers_count = (struct store_viewers_count){ret->room, part->from_ms, part->to_ms};
    return true;
}

static bool read_sample_put(const Link__SamplePut *part, struct link_request *ret)
{
    struct store_sample_put *in = &ret->sample_put;

    in->room = ret->room = link_str(part->room);
    in->node = link_str(part->node);
    return is_name(in->node, LIMIT_NODE_NAME) && link_sample_of(part->sample, &in->sample);
}

static bool read_sample_range(const Link__SampleRange *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->sample_range = (struct store_sample_range){.room = ret->room,
                                                    .from_ms = part->from_ms,
                                                    .to_ms = part->to_ms,
                                                    .step_ms = part->step_ms,
                                                    .limit = part->limit};
    return part->step_ms > 0 && is_limit(part->limit, PAGE_MAX);
}

static bool read_presence_put(const Link__PresencePut *part, struct link_request *ret)
{
    if (part->n_users == 0 || part->n_users > STORE_PRESENCE_MAX) return false;
    struct store_present *users = ret->owned = xcalloc(part->n_users, sizeof(*users));
    bool all_gone = true;
    for (size_t i = 0; i < part->n_users; i++) {
        if (!link_present_of(part->users[i], &users[i])) return false;
        all_gone &= users[i].is_gone;
    }
    ret->room = link_str(part->room);
    ret->presence_put = (struct store_presence_put){
        .room = ret->room, .node = link_str(part->node), .users = users, .count = part->n_users};
    /* Of no node: who has left at all of them. */
    if (ret->presence_put.node.len == 0) return all_gone;
    return is_name(ret->presence_put.node, LIMIT_NODE_NAME);
}

static bool read_presence_query(const Link__PresenceQuery *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->presence_query = (struct store_presence_query){.room = ret->room,
                                                        .after = link_str(part->after),
                                                        .prefix = link_str(part->prefix),
                                                        .limit = part->limit};
    return is_within(ret->presence_query.after, LIMIT_USER_ID) &&
           is_within(ret->presence_query.prefix, LIMIT_USER_ID) &&
           is_limit(part->limit, STORE_PRESENCE_MAX);
}

static bool read_node_beat(const Link__NodeBeat *part, struct link_request *ret)
{
    struct node_record *node = ret->owned = xcalloc(1, sizeof(*node));

    ret->node_beat = (struct store_node_beat){.node = node, .ttl_ms = part->ttl_ms};
    return link_node_of(part->node, node) && part->ttl_ms >= 0;
}

static bool read_route_put(const Link__RoutePut *part, struct link_request *ret)
{
    ret->room = link_str(part->room);
    ret->route_put = (struct store_route_put){
        .room = ret->room, .sect = link_str(part->sect), .is_automatic = part->is_automatic};
    return is_within(ret->route_put.sect, LIMIT_SECT);
}

static bool read_lease(const Link__Lease *part, struct link_request *ret)
{
    ret->lease = (struct store_lease){
        .name = link_str(part->name), .holder = link_str(part->holder), .ttl_ms = part->ttl_ms};
    return is_name(ret->lease.name, LIMIT_NODE_NAME) &&
           is_name(ret->lease.holder, LIMIT_NODE_NAME) && part->ttl_ms >= 0;
}

static bool of_room(ProtobufCBinaryData room, struct link_request *ret)
{
    ret->room = link_str(room);
    return true;
}

/* False, with a verb: malformed. */
static bool read_body(const Link__Packet *p, struct link_request *ret, bool *ret_is_known)
{
    switch ((int)p->body_case) { /* a case of a later version is not among ours */
#define CASE(NAME, the_verb, reading)                                                              \
    case LINK__PACKET__BODY_##NAME: ret->verb = the_verb; return reading;
        CASE(APPEND, LINK_APPEND, read_append(p->append, ret))
        CASE(READ, LINK_READ, read_read(p->read, ret))
        CASE(ROOM_PUT, LINK_ROOM_PUT, read_put(p->room_put, ret))
        CASE(ROOM_GET, LINK_ROOM_GET, of_room(p->room_get->room, ret))
        CASE(ROOM_LIST, LINK_ROOM_LIST, read_list(p->room_list, ret))
        CASE(STORE_PING, LINK_STORE_PING, true)
        CASE(VIEWERS_ADD, LINK_VIEWERS_ADD, read_viewers_add(p->viewers_add, ret))
        CASE(VIEWERS_MERGE, LINK_VIEWERS_MERGE, read_viewers_merge(p->viewers_merge, ret))
        CASE(VIEWERS_COUNT, LINK_VIEWERS_COUNT, read_viewers_count(p->viewers_count, ret))
        CASE(SAMPLE_PUT, LINK_SAMPLE_PUT, read_sample_put(p->sample_put, ret))
        CASE(SAMPLE_RANGE, LINK_SAMPLE_RANGE, read_sample_range(p->sample_range, ret))
        CASE(PRESENCE_PUT, LINK_PRESENCE_PUT, read_presence_put(p->presence_put, ret))
        CASE(PRESENCE_COUNT, LINK_PRESENCE_COUNT, of_room(p->presence_count->room, ret))
        CASE(PRESENCE_QUERY, LINK_PRESENCE_PAGE, read_presence_query(p->presence_query, ret))
        CASE(NODE_BEAT, LINK_NODE_BEAT, read_node_beat(p->node_beat, ret))
        CASE(ROUTE_PUT, LINK_ROUTE_PUT, read_route_put(p->route_put, ret))
        CASE(LEASE, LINK_LEASE, read_lease(p->lease, ret))
#undef CASE
    case LINK__PACKET__BODY_ROUTES_GET:
        ret->verb = LINK_ROUTES_GET;
        ret->routes_get = (struct store_routes_get){.known = p->routes_get->known,
                                                    .with_others = p->routes_get->with_others};
        return true;
    }
    *ret_is_known = false;
    return false;
}

/* Whether the verb is about a room, and so must name one that can be. */
static bool has_room(enum link_verb verb)
{
    switch (verb) {
    case LINK_ROOM_LIST:
    case LINK_STORE_PING:
    case LINK_NODE_BEAT:
    case LINK_ROUTES_GET:
    case LINK_LEASE: return false;
    case LINK_APPEND:
    case LINK_READ:
    case LINK_ROOM_PUT:
    case LINK_ROOM_GET:
    case LINK_VIEWERS_ADD:
    case LINK_VIEWERS_MERGE:
    case LINK_VIEWERS_COUNT:
    case LINK_SAMPLE_PUT:
    case LINK_SAMPLE_RANGE:
    case LINK_PRESENCE_PUT:
    case LINK_PRESENCE_COUNT:
    case LINK_PRESENCE_PAGE:
    case LINK_ROUTE_PUT: return true;
    }
    return false;
}

int link_request_read(const Link__Packet *packet, struct link_request *ret)
{
    struct link_request request = {0};
    bool is_known = true;

    bool is_read = read_body(packet, &request, &is_known);
    if (is_read && has_room(request.verb)) is_read = link_room_is_valid(request.room);
    if (!is_read) {
        link_request_deinit(&request);
        return is_known ? ERR_BAD_REQUEST : ERR_NOT_IMPLEMENTED;
    }
    *ret = request;
    return OK;
}

void link_request_deinit(struct link_request *request)
{
    free(request->owned);
    request->owned = NULL;
}
