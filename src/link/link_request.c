#include "link/link_request.h"

#include "base/alloc.h"

/* Sets the packet's body and sends it. */
#define SEND(out, packet, CASE, member, part)                                                      \
    ((packet).body_case = LINK__PACKET__BODY_##CASE, (packet).member = (part),                     \
     link_frame_add((out), &(packet)))

static bool write_append(struct buf *out, Link__Packet packet, const struct store_append *in)
{
    Link__Append part = LINK__APPEND__INIT;
    Link__Message message;

    link_message_pack(&in->message, &message);
    part.room = link_bytes(in->room);
    part.message = &message;
    part.key = link_bytes(in->key);
    part.only_known = in->only_known;
    part.per_s = in->per_s;
    return SEND(out, packet, APPEND, append, &part);
}

static bool write_read(struct buf *out, Link__Packet packet, const struct store_read *in)
{
    Link__Read part = LINK__READ__INIT;

    part.room = link_bytes(in->room);
    part.is_normal = in->list == LIST_NORMAL;
    part.is_before = in->direction == STORE_BEFORE;
    part.from = in->from;
    part.limit = in->limit;
    return SEND(out, packet, READ, read, &part);
}

static Link__Tail tail_of(const struct store_tail *tail)
{
    Link__Tail part = LINK__TAIL__INIT;

    part.id = tail->id;
    part.ordinal = tail->ordinal;
    return part;
}

static bool write_put(struct buf *out, Link__Packet packet, const struct store_room_put *in)
{
    const struct room_record record = {.settings = in->settings, .state = in->state};
    Link__RoomPut part = LINK__ROOM_PUT__INIT;
    Link__Tail high = tail_of(&in->known[LIST_HIGH]), normal = tail_of(&in->known[LIST_NORMAL]);
    Link__Message control;
    Link__Record packed;

    link_message_pack(&in->control, &control);
    link_record_pack(&record, &packed);
    part.room = link_bytes(in->room);
    part.only_new = in->only_new;
    part.record = &packed;
    part.control = &control;
    part.known_high = &high;
    part.known_normal = &normal;
    return SEND(out, packet, ROOM_PUT, room_put, &part);
}

static bool write_get(struct buf *out, Link__Packet packet, struct str room)
{
    Link__RoomGet part = LINK__ROOM_GET__INIT;

    part.room = link_bytes(room);
    return SEND(out, packet, ROOM_GET, room_get, &part);
}

static bool write_list(struct buf *out, Link__Packet packet, const struct link_room_list *in)
{
    Link__RoomList part = LINK__ROOM_LIST__INIT;

    part.app = link_bytes(in->app);
    part.after = link_bytes(in->after);
    part.limit = in->limit;
    return SEND(out, packet, ROOM_LIST, room_list, &part);
}

static bool write_ping(struct buf *out, Link__Packet packet)
{
    Link__StorePing part = LINK__STORE_PING__INIT;

    return SEND(out, packet, STORE_PING, store_ping, &part);
}

static bool write_viewers_add(struct buf *out, Link__Packet packet,
                              const struct store_viewers_add *in)
{
    Link__ViewersAdd part = LINK__VIEWERS_ADD__INIT;

    part.room = link_bytes(in->room);
    part.bucket_ms = in->bucket_ms;
    part.n_users = in->count;
    part.users = xcalloc(in->count + 1, sizeof(*part.users));
    for (size_t i = 0; i < in->count; i++) part.users[i] = link_bytes(in->users[i]);
    bool is_written = SEND(out, packet, VIEWERS_ADD, viewers_add, &part);
    free(part.users);
    return is_written;
}

static bool write_viewers_merge(struct buf *out, Link__Packet packet,
                                const struct store_viewers_merge *in)
{
    Link__ViewersMerge part = LINK__VIEWERS_MERGE__INIT;

    part.room = link_bytes(in->room);
    part.bucket_ms = in->bucket_ms;
    part.sketch = link_bytes(in->sketch);
    return SEND(out, packet, VIEWERS_MERGE, viewers_merge, &part);
}

static bool write_viewers_count(struct buf *out, Link__Packet packet,
                                const struct store_viewers_count *in)
{
    Link__ViewersCount part = LINK__VIEWERS_COUNT__INIT;

    part.room = link_bytes(in->room);
    part.from_ms = in->from_ms;
    part.to_ms = in->to_ms;
    return SEND(out, packet, VIEWERS_COUNT, viewers_count, &part);
}

static bool write_sample_put(struct buf *out, Link__Packet packet,
                             const struct store_sample_put *in)
{
    Link__SamplePut part = LINK__SAMPLE_PUT__INIT;
    Link__Sample sample;

    link_sample_pack(&in->sample, &sample);
    part.room = link_bytes(in->room);
    part.node = link_bytes(in->node);
    part.sample = &sample;
    return SEND(out, packet, SAMPLE_PUT, sample_put, &part);
}

static bool write_sample_range(struct buf *out, Link__Packet packet,
                               const struct store_sample_range *in)
{
    Link__SampleRange part = LINK__SAMPLE_RANGE__INIT;

    part.room = link_bytes(in->room);
    part.from_ms = in->from_ms;
    part.to_ms = in->to_ms;
    part.step_ms = in->step_ms;
    part.limit = in->limit;
    return SEND(out, packet, SAMPLE_RANGE, sample_range, &part);
}

static bool write_presence_put(struct buf *out, Link__Packet packet,
                               const struct store_presence_put *in)
{
    Link__PresencePut part = LINK__PRESENCE_PUT__INIT;
    Link__Present *users = xcalloc(in->count + 1, sizeof(*users));

    part.room = link_bytes(in->room);
    part.node = link_bytes(in->node);
    part.n_users = in->count;
    part.users = xcalloc(in->count + 1, sizeof(*part.users));
    for (size_t i = 0; i < in->count; i++) {
        link_present_pack(&in->users[i], &users[i]);
        part.users[i] = &users[i];
    }
    bool is_written = SEND(out, packet, PRESENCE_PUT, presence_put, &part);
    free(part.users);
    free(users);
    return is_written;
}

static bool write_presence_count(struct buf *out, Link__Packet packet, struct str room)
{
    Link__PresenceCount part = LINK__PRESENCE_COUNT__INIT;

    part.room = link_bytes(room);
    return SEND(out, packet, PRESENCE_COUNT, presence_count, &part);
}

static bool write_presence_query(struct buf *out, Link__Packet packet,
                                 const struct store_presence_query *in)
{
    Link__PresenceQuery part = LINK__PRESENCE_QUERY__INIT;

    part.room = link_bytes(in->room);
    part.after = link_bytes(in->after);
    part.prefix = link_bytes(in->prefix);
    part.limit = in->limit;
    return SEND(out, packet, PRESENCE_QUERY, presence_query, &part);
}

static bool write_node_beat(struct buf *out, Link__Packet packet, const struct store_node_beat *in)
{
    Link__NodeBeat part = LINK__NODE_BEAT__INIT;
    Link__Node node;

    link_node_pack(in->node, &node);
    part.node = &node;
    part.ttl_ms = in->ttl_ms;
    bool is_written = SEND(out, packet, NODE_BEAT, node_beat, &part);
    link_node_unpack(&node);
    return is_written;
}

static bool write_routes_get(struct buf *out, Link__Packet packet,
                             const struct store_routes_get *in)
{
    Link__RoutesGet part = LINK__ROUTES_GET__INIT;

    part.known = in->known;
    part.with_others = in->with_others;
    return SEND(out, packet, ROUTES_GET, routes_get, &part);
}

static bool write_route_put(struct buf *out, Link__Packet packet, const struct store_route_put *in)
{
    Link__RoutePut part = LINK__ROUTE_PUT__INIT;

    part.room = link_bytes(in->room);
    part.sect = link_bytes(in->sect);
    part.is_automatic = in->is_automatic;
    return SEND(out, packet, ROUTE_PUT, route_put, &part);
}

static bool write_lease(struct buf *out, Link__Packet packet, const struct store_lease *in)
{
    Link__Lease part = LINK__LEASE__INIT;

    part.name = link_bytes(in->name);
    part.holder = link_bytes(in->holder);
    part.ttl_ms = in->ttl_ms;
    return SEND(out, packet, LEASE, lease, &part);
}

bool link_request_write(struct buf *out, uint64_t id, const struct link_request *request)
{
    Link__Packet packet = LINK__PACKET__INIT;

    packet.id = id;
    switch (request->verb) {
    case LINK_APPEND: return write_append(out, packet, &request->append);
    case LINK_READ: return write_read(out, packet, &request->read);
    case LINK_ROOM_PUT: return write_put(out, packet, &request->room_put);
    case LINK_ROOM_GET: return write_get(out, packet, request->room);
    case LINK_ROOM_LIST: return write_list(out, packet, &request->room_list);
    case LINK_STORE_PING: return write_ping(out, packet);
    case LINK_VIEWERS_ADD: return write_viewers_add(out, packet, &request->viewers_add);
    case LINK_VIEWERS_MERGE: return write_viewers_merge(out, packet, &request->viewers_merge);
    case LINK_VIEWERS_COUNT: return write_viewers_count(out, packet, &request->viewers_count);
    case LINK_SAMPLE_PUT: return write_sample_put(out, packet, &request->sample_put);
    case LINK_SAMPLE_RANGE: return write_sample_range(out, packet, &request->sample_range);
    case LINK_PRESENCE_PUT: return write_presence_put(out, packet, &request->presence_put);
    case LINK_PRESENCE_COUNT: return write_presence_count(out, packet, request->room);
    case LINK_PRESENCE_PAGE: return write_presence_query(out, packet, &request->presence_query);
    case LINK_NODE_BEAT: return write_node_beat(out, packet, &request->node_beat);
    case LINK_ROUTES_GET: return write_routes_get(out, packet, &request->routes_get);
    case LINK_ROUTE_PUT: return write_route_put(out, packet, &request->route_put);
    case LINK_LEASE: return write_lease(out, packet, &request->lease);
    }
    return false;
}
