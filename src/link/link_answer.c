#include "link/link_answer.h"

#include "base/alloc.h"
#include "base/error.h"

#define SEND(out, packet, CASE, member, part)                                                      \
    ((packet).body_case = LINK__PACKET__BODY_##CASE, (packet).member = (part),                     \
     link_frame_add((out), &(packet)))

/* --- writing --------------------------------------------------------------------------------- */

static bool write_failed(struct buf *out, Link__Packet packet, int err)
{
    Link__Failed part = LINK__FAILED__INIT;

    part.code = link_bytes(link_code(err));
    return SEND(out, packet, FAILED, failed, &part);
}

static bool write_done(struct buf *out, Link__Packet packet)
{
    Link__Done part = LINK__DONE__INIT;

    return SEND(out, packet, DONE, done, &part);
}

static bool write_appended(struct buf *out, Link__Packet packet, const struct link_answer *answer)
{
    const struct store_appended *appended = &answer->appended;
    Link__Appended part = LINK__APPENDED__INIT;

    part.id = appended->id;
    part.prev = appended->prev;
    part.ordinal = appended->ordinal;
    part.duplicate = appended->duplicate;
    part.retry_after_ms = appended->retry_after_ms;
    part.code = link_bytes(link_code(answer->err));
    return SEND(out, packet, APPENDED, appended, &part);
}

static bool write_range(struct buf *out, Link__Packet packet, const struct store_range *range)
{
    Link__Range part = LINK__RANGE__INIT;
    Link__Message *messages = xcalloc(range->count + 1, sizeof(*messages));

    part.messages = xcalloc(range->count + 1, sizeof(*part.messages));
    part.n_messages = range->count;
    for (size_t i = 0; i < range->count; i++) {
        link_message_pack(&range->messages[i], &messages[i]);
        part.messages[i] = &messages[i];
    }
    part.more = range->more;
    part.trimmed = range->trimmed;
    part.tail = range->tail;
    part.tail_ordinal = range->tail_ordinal;
    bool is_written = SEND(out, packet, RANGE, range, &part);
    free(part.messages);
    free(messages);
    return is_written;
}

static bool write_room(struct buf *out, Link__Packet packet, const struct link_room_answer *room)
{
    Link__Room part = LINK__ROOM__INIT;
    Link__Record record;

    link_record_pack(&room->record, &record);
    part.record = &record;
    part.created = room->created;
    return SEND(out, packet, ROOM, room, &part);
}

/* A room of a page, with its record behind it. */
struct packed_room {
    Link__Room room;
    Link__Record record;
};

static bool write_page(struct buf *out, Link__Packet packet, const struct link_page_answer *page)
{
    Link__RoomPage part = LINK__ROOM_PAGE__INIT;
    struct packed_room *rooms = xcalloc(page->count + 1, sizeof(*rooms));

    part.rooms = xcalloc(page->count + 1, sizeof(*part.rooms));
    part.n_rooms = page->count;
    for (size_t i = 0; i < page->count; i++) {
        link__room__init(&rooms[i].room);
        link_record_pack(&page->items[i].record, &rooms[i].record);
        rooms[i].room.room = link_bytes(page->items[i].room);
        rooms[i].room.record = &rooms[i].record;
        part.rooms[i] = &rooms[i].room;
    }
    part.more = page->more;
    bool is_written = SEND(out, packet, ROOM_PAGE, room_page, &part);
    free(part.rooms);
    free(rooms);
    return is_written;
}

static bool write_viewers(struct buf *out, Link__Packet packet, const struct viewers_count *count)
{
    Link__Viewers part = LINK__VIEWERS__INIT;

    part.unique = count->unique;
    part.exact = count->exact;
    part.standard_error = count->standard_error;
    return SEND(out, packet, VIEWERS, viewers, &part);
}

static bool write_samples(struct buf *out, Link__Packet packet,
                          const struct link_samples_answer *samples)
{
    Link__Samples part = LINK__SAMPLES__INIT;
    Link__Sample *packed = xcalloc(samples->count + 1, sizeof(*packed));

    part.samples = xcalloc(samples->count + 1, sizeof(*part.samples));
    part.n_samples = samples->count;
    for (size_t i = 0; i < samples->count; i++) {
        link_sample_pack(&samples->samples[i], &packed[i]);
        part.samples[i] = &packed[i];
    }
    part.more = samples->more;
    bool is_written = SEND(out, packet, SAMPLES, samples, &part);
    free(part.samples);
    free(packed);
    return is_written;
}

static bool write_online(struct buf *out, Link__Packet packet,
                         const struct link_online_answer *online)
{
    Link__PresenceSum part = LINK__PRESENCE_SUM__INIT;

    part.online = online->online;
    part.as_of_ms = online->as_of_ms;
    return SEND(out, packet, PRESENCE_SUM, presence_sum, &part);
}

static bool write_presence(struct buf *out, Link__Packet packet,
                           const struct store_presence_page *page)
{
    Link__PresencePage part = LINK__PRESENCE_PAGE__INIT;
    Link__Present *users = xcalloc(page->count + 1, sizeof(*users));

    part.users = xcalloc(page->count + 1, sizeof(*part.users));
    part.n_users = page->count;
    for (size_t i = 0; i < page->count; i++) {
        link_present_pack(&page->users[i], &users[i]);
        part.users[i] = &users[i];
    }
    part.more = page->more;
    part.last = link_bytes(page->last);
    bool is_written = SEND(out, packet, PRESENCE_PAGE, presence_page, &part);
    free(part.users);
    free(users);
    return is_written;
}

static bool write_routes(struct buf *out, Link__Packet packet, const struct routes *routes)
{
    Link__Routes part = LINK__ROUTES__INIT;
    Link__Node *nodes = xcalloc(routes->node_count + 1, sizeof(*nodes));
    Link__Route *packed = xcalloc(routes->route_count + 1, sizeof(*packed));

    part.version = routes->version;
    part.n_nodes = routes->node_count;
    part.nodes = xcalloc(routes->node_count + 1, sizeof(*part.nodes));
    for (size_t i = 0; i < routes->node_count; i++) {
        link_node_pack(&routes->nodes[i], &nodes[i]);
        part.nodes[i] = &nodes[i];
    }
    part.n_routes = routes->route_count;
    part.routes = xcalloc(routes->route_count + 1, sizeof(*part.routes));
    for (size_t i = 0; i < routes->route_count; i++) {
        link_route_pack(&routes->routes[i], &packed[i]);
        part.routes[i] = &packed[i];
    }
    bool is_written = SEND(out, packet, ROUTES, routes, &part);
    for (size_t i = 0; i < routes->node_count; i++) link_node_unpack(&nodes[i]);
    free(part.nodes);
    free(part.routes);
    free(nodes);
    free(packed);
    return is_written;
}

static bool write_leased(struct buf *out, Link__Packet packet, bool is_held)
{
    Link__Leased part = LINK__LEASED__INIT;

    part.is_held = is_held;
    return SEND(out, packet, LEASED, leased, &part);
}

static bool write(struct buf *out, Link__Packet packet, const struct link_answer *answer)
{
    if (answer->verb == LINK_APPEND) return write_appended(out, packet, answer);
    if (answer->err != OK) return write_failed(out, packet, answer->err);
    switch (answer->verb) {
    case LINK_APPEND: break;
    case LINK_READ: return write_range(out, packet, &answer->range);
    case LINK_ROOM_PUT:
    case LINK_ROOM_GET: return write_room(out, packet, &answer->room);
    case LINK_ROOM_LIST: return write_page(out, packet, &answer->page);
    case LINK_VIEWERS_ADD:
    case LINK_VIEWERS_MERGE:
    case LINK_VIEWERS_COUNT: return write_viewers(out, packet, &answer->viewers);
    case LINK_SAMPLE_RANGE: return write_samples(out, packet, &answer->samples);
    case LINK_PRESENCE_COUNT: return write_online(out, packet, &answer->online);
    case LINK_PRESENCE_PAGE: return write_presence(out, packet, &answer->presence);
    case LINK_ROUTES_GET: return write_routes(out, packet, &answer->routes);
    case LINK_LEASE: return write_leased(out, packet, answer->is_held);
    case LINK_STORE_PING:
    case LINK_SAMPLE_PUT:
    case LINK_PRESENCE_PUT:
    case LINK_NODE_BEAT:
    case LINK_ROUTE_PUT: return write_done(out, packet);
    }
    return false;
}

void link_answer_write(struct buf *out, uint64_t id, const struct link_answer *answer)
{
    Link__Packet packet = LINK__PACKET__INIT;

    packet.id = id;
    if (!write(out, packet, answer)) write_failed(out, packet, ERR_OVERLOADED);
}

/* --- reading --------------------------------------------------------------------------------- */

static bool read_appended(const Link__Appended *part, struct link_answer *ret)
{
    ret->err = link_error_of(part->code);
    ret->appended = (struct store_appended){.id = part->id,
                                            .prev = part->prev,
                                            .ordinal = part->ordinal,
                                            .duplicate = part->duplicate,
                                            .retry_after_ms = part->retry_after_ms};
    return true;
}

static bool read_range(const Link__Range *part, struct link_answer *ret)
{
    struct message *messages = ret->owned[0] = xcalloc(part->n_messages + 1, sizeof(*messages));

    for (size_t i = 0; i < part->n_messages; i++)
        if (!link_stored_of(part->messages[i], &messages[i]) ||
            (i > 0 && messages[i].id <= messages[i - 1].id))
            return false;
    ret->range = (struct store_range){.messages = messages,
                                      .count = part->n_messages,
                                      .more = part->more,
                                      .trimmed = part->trimmed,
                                      .tail = part->tail,
                                      .tail_ordinal = part->tail_ordinal};
    return true;
}

static bool read_room(const Link__Room *part, struct link_answer *ret)
{
    ret->room.created = part->created;
    return link_record_of(part->record, &ret->room.record);
}

static bool read_page(const Link__RoomPage *part, struct link_answer *ret)
{
    struct store_room_item *items = ret->owned[0] = xcalloc(part->n_rooms + 1, sizeof(*items));

    for (size_t i = 0; i < part->n_rooms; i++) {
        items[i].room = link_str(part->rooms[i]->room);
        if (items[i].room.len > LIMIT_ROOM_KEY ||
            !link_record_of(part->rooms[i]->record, &items[i].record))
            return false;
    }
    ret->page = (struct link_page_answer){items, part->n_rooms, part->more};
    return true;
}

static bool read_viewers(const Link__Viewers *part, struct link_answer *ret)
{
    ret->viewers = (struct viewers_count){part->unique, part->exact, part->standard_error};
    return true;
}

static bool read_samples(const Link__Samples *part, struct link_answer *ret)
{
    struct sample *samples = ret->owned[0] = xcalloc(part->n_samples + 1, sizeof(*samples));

    for (size_t i = 0; i < part->n_samples; i++)
        if (!link_sample_of(part->samples[i], &samples[i])) return false;
    ret->samples = (struct link_samples_answer){samples, part->n_samples, part->more};
    return true;
}

static bool read_presence(const Link__PresencePage *part, struct link_answer *ret)
{
    struct store_present *users = ret->owned[0] = xcalloc(part->n_users + 1, sizeof(*users));

    for (size_t i = 0; i < part->n_users; i++)
        if (!link_present_of(part->users[i], &users[i])) return false;
    ret->presence = (struct store_presence_page){
        .users = users, .count = part->n_users, .more = part->more, .last = link_str(part->last)};
    return ret->presence.last.len <= LIMIT_USER_ID;
}

static bool read_routes(const Link__Routes *part, struct link_answer *ret)
{
    if (part->n_nodes > LIMIT_NODES || part->n_routes > LIMIT_ROUTES) return false;
    struct node_record *nodes = ret->owned[0] = xcalloc(part->n_nodes + 1, sizeof(*nodes));
    struct route *routes = ret->owned[1] = xcalloc(part->n_routes + 1, sizeof(*routes));

    for (size_t i = 0; i < part->n_nodes; i++)
        if (!link_node_of(part->nodes[i], &nodes[i])) return false;
    for (size_t i = 0; i < part->n_routes; i++)
        if (!link_route_of(part->routes[i], &routes[i])) return false;
    ret->routes = (struct routes){part->version, nodes, part->n_nodes, routes, part->n_routes};
    return true;
}

static bool read_online(const Link__PresenceSum *part, struct link_answer *ret)
{
    ret->online = (struct link_online_answer){part->online, part->as_of_ms};
    return true;
}

static bool read_held(const Link__Leased *part, struct link_answer *ret)
{
    ret->is_held = part->is_held;
    return true;
}

static bool read(const Link__Packet *p, struct link_answer *ret)
{
#define IS(CASE, reading) (p->body_case == LINK__PACKET__BODY_##CASE && (reading))
    switch (ret->verb) {
    case LINK_APPEND: return IS(APPENDED, read_appended(p->appended, ret));
    case LINK_READ: return IS(RANGE, read_range(p->range, ret));
    case LINK_ROOM_PUT:
    case LINK_ROOM_GET: return IS(ROOM, read_room(p->room, ret));
    case LINK_ROOM_LIST: return IS(ROOM_PAGE, read_page(p->room_page, ret));
    case LINK_VIEWERS_ADD:
    case LINK_VIEWERS_MERGE:
    case LINK_VIEWERS_COUNT: return IS(VIEWERS, read_viewers(p->viewers, ret));
    case LINK_SAMPLE_RANGE: return IS(SAMPLES, read_samples(p->samples, ret));
    case LINK_PRESENCE_COUNT: return IS(PRESENCE_SUM, read_online(p->presence_sum, ret));
    case LINK_PRESENCE_PAGE: return IS(PRESENCE_PAGE, read_presence(p->presence_page, ret));
    case LINK_ROUTES_GET: return IS(ROUTES, read_routes(p->routes, ret));
    case LINK_LEASE: return IS(LEASED, read_held(p->leased, ret));
    case LINK_STORE_PING:
    case LINK_SAMPLE_PUT:
    case LINK_PRESENCE_PUT:
    case LINK_NODE_BEAT:
    case LINK_ROUTE_PUT: return IS(DONE, true);
    }
#undef IS
    return false;
}

void link_answer_read(const Link__Packet *packet, enum link_verb verb, struct link_answer *ret)
{
    *ret = (struct link_answer){.verb = verb};
    if (packet->body_case == LINK__PACKET__BODY_FAILED) {
        ret->err = link_error_of(packet->failed->code);
        if (ret->err == OK) ret->err = ERR_INTERNAL;
    } else if (!read(packet, ret)) {
        ret->err = ERR_INTERNAL;
    }
}

void link_answer_deinit(struct link_answer *answer)
{
    for (size_t i = 0; i < sizeof(answer->owned) / sizeof(answer->owned[0]); i++) {
        free(answer->owned[i]);
        answer->owned[i] = NULL;
    }
}
