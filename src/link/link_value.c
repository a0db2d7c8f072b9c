#include "link/link_value.h"

#include "base/alloc.h"
#include "base/error.h"

bool link_text_of(ProtobufCBinaryData from, char *to, size_t cap)
{
    bool has_end = from.len > 0 && memchr(from.data, '\0', from.len) != NULL;

    return !has_end && str_copy(link_str(from), to, cap);
}

bool link_room_is_valid(struct str room)
{
    return room.len > 0 && room.len <= LIMIT_ROOM_KEY && memchr(room.ptr, '\0', room.len) == NULL;
}

/* --- messages -------------------------------------------------------------------------------- */

void link_message_pack(const struct message *m, Link__Message *ret)
{
    link__message__init(ret);
    ret->id = m->id;
    ret->prev = m->prev;
    ret->ordinal = m->ordinal;
    ret->is_normal = m->list == LIST_NORMAL;
    ret->type = link_bytes(m->type);
    ret->from = link_bytes(m->from);
    ret->name = link_bytes(m->name);
    ret->body = link_bytes(m->body);
}

bool link_message_of(const Link__Message *from, struct message *ret)
{
    if (from == NULL) return false;
    *ret = (struct message){.id = from->id,
                            .prev = from->prev,
                            .ordinal = from->ordinal,
                            .list = from->is_normal ? LIST_NORMAL : LIST_HIGH,
                            .type = link_str(from->type),
                            .from = link_str(from->from),
                            .name = link_str(from->name),
                            .body = link_str(from->body)};
    return ret->type.len <= LIMIT_TYPE && ret->from.len <= LIMIT_USER_ID &&
           ret->name.len <= LIMIT_USER_NAME && ret->body.len <= LIMIT_MESSAGE_BODY;
}

bool link_stored_of(const Link__Message *from, struct message *ret)
{
    return link_message_of(from, ret) && ret->id > ret->prev;
}

/* --- rooms ----------------------------------------------------------------------------------- */

void link_record_pack(const struct room_record *record, Link__Record *ret)
{
    const struct room_settings *settings = &record->settings;

    link__record__init(ret);
    ret->title = link_bytes(str_of(settings->title));
    ret->sect = link_bytes(str_of(settings->sect));
    ret->slow_mode_s = settings->slow_mode_s;
    ret->max_body_bytes = settings->max_body_bytes;
    ret->normal_per_s = settings->normal_per_s;
    ret->high_per_s = settings->high_per_s;
    ret->max_online = settings->max_online;
    ret->is_closed = record->state == ROOM_CLOSED;
    ret->version = record->version;
    ret->created_ms = record->created_ms;
    ret->unique = record->unique;
}

bool link_record_of(const Link__Record *from, struct room_record *ret)
{
    if (from == NULL) return false;
    *ret = (struct room_record){.settings = {.slow_mode_s = from->slow_mode_s,
                                             .max_body_bytes = from->max_body_bytes,
                                             .normal_per_s = from->normal_per_s,
                                             .high_per_s = from->high_per_s,
                                             .max_online = from->max_online},
                                .state = from->is_closed ? ROOM_CLOSED : ROOM_OPEN,
                                .version = from->version,
                                .created_ms = from->created_ms,
                                .unique = from->unique};
    return link_text_of(from->title, ret->settings.title, sizeof(ret->settings.title)) &&
           link_text_of(from->sect, ret->settings.sect, sizeof(ret->settings.sect));
}

/* --- counting -------------------------------------------------------------------------------- */

void link_sample_pack(const struct sample *sample, Link__Sample *ret)
{
    link__sample__init(ret);
    ret->at_ms = sample->at_ms;
    ret->span_ms = sample->span_ms;
    ret->online_ms = sample->online_ms;
    ret->online_peak = sample->online_peak;
    ret->joins = sample->joins;
    ret->high = sample->messages[LIST_HIGH];
    ret->normal = sample->messages[LIST_NORMAL];
    ret->unique = sample->unique;
}

bool link_sample_of(const Link__Sample *from, struct sample *ret)
{
    if (from == NULL) return false;
    *ret = (struct sample){.at_ms = from->at_ms,
                           .span_ms = from->span_ms,
                           .online_ms = from->online_ms,
                           .online_peak = from->online_peak,
                           .joins = from->joins,
                           .messages[LIST_HIGH] = from->high,
                           .messages[LIST_NORMAL] = from->normal,
                           .unique = from->unique};
    return true;
}

void link_present_pack(const struct store_present *user, Link__Present *ret)
{
    link__present__init(ret);
    ret->user = link_bytes(user->user);
    ret->since_ms = user->since_ms;
    ret->seen_ms = user->seen_ms;
    ret->is_gone = user->is_gone;
}

bool link_present_of(const Link__Present *from, struct store_present *ret)
{
    *ret = (struct store_present){.user = link_str(from->user),
                                  .since_ms = from->since_ms,
                                  .seen_ms = from->seen_ms,
                                  .is_gone = from->is_gone};
    return ret->user.len > 0 && ret->user.len <= LIMIT_USER_ID;
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void hot_room_pack(const struct node_hot_room *hot, Link__HotRoom *ret)
{
    link__hot_room__init(ret);
    ret->room = link_bytes(str_of(hot->room));
    ret->online = hot->online;
    ret->deliveries_per_s = hot->deliveries_per_s;
}

void link_node_pack(const struct node_record *node, Link__Node *ret)
{
    link__node__init(ret);
    ret->name = link_bytes(str_of(node->name));
    ret->sect = link_bytes(str_of(node->sect));
    ret->link = link_bytes(str_of(node->link));
    ret->version = link_bytes(str_of(node->version));
    ret->is_vip = node->is_vip;
    ret->started_ms = node->started_ms;
    ret->busy_percent = node->busy_percent;
    ret->rooms = node->rooms;
    ret->online = node->online;
    ret->connections = node->connections;
    ret->links = node->links;
    if (node->hot_count == 0) return;
    Link__HotRoom *hot = xcalloc(node->hot_count, sizeof(*hot));
    ret->n_hot = node->hot_count;
    ret->hot = xcalloc(node->hot_count, sizeof(*ret->hot));
    for (uint32_t i = 0; i < node->hot_count; i++) {
        hot_room_pack(&node->hot[i], &hot[i]);
        ret->hot[i] = &hot[i];
    }
}

void link_node_unpack(Link__Node *packed)
{
    if (packed->n_hot > 0) free(packed->hot[0]);
    free(packed->hot);
}

static bool hot_rooms_of(const Link__Node *from, struct node_record *ret)
{
    for (size_t i = 0; i < from->n_hot && i < NODE_HOT_MAX; i++) {
        struct node_hot_room *hot = &ret->hot[ret->hot_count++];
        hot->online = from->hot[i]->online;
        hot->deliveries_per_s = from->hot[i]->deliveries_per_s;
        if (!link_text_of(from->hot[i]->room, hot->room, sizeof(hot->room))) return false;
    }
    return true;
}

bool link_node_of(const Link__Node *from, struct node_record *ret)
{
    if (from == NULL) return false;
    *ret = (struct node_record){.is_vip = from->is_vip,
                                .started_ms = from->started_ms,
                                .busy_percent = from->busy_percent,
                                .rooms = from->rooms,
                                .online = from->online,
                                .connections = from->connections,
                                .links = from->links};
    return from->name.len > 0 && link_text_of(from->name, ret->name, sizeof(ret->name)) &&
           link_text_of(from->sect, ret->sect, sizeof(ret->sect)) &&
           link_text_of(from->link, ret->link, sizeof(ret->link)) &&
           link_text_of(from->version, ret->version, sizeof(ret->version)) &&
           hot_rooms_of(from, ret);
}

void link_route_pack(const struct route *route, Link__Route *ret)
{
    link__route__init(ret);
    ret->room = link_bytes(str_of(route->room));
    ret->sect = link_bytes(str_of(route->sect));
    ret->is_automatic = route->is_automatic;
    ret->since_ms = route->since_ms;
}

bool link_route_of(const Link__Route *from, struct route *ret)
{
    *ret = (struct route){.is_automatic = from->is_automatic, .since_ms = from->since_ms};
    return link_text_of(from->room, ret->room, sizeof(ret->room)) &&
           link_text_of(from->sect, ret->sect, sizeof(ret->sect));
}

/* --- errors ---------------------------------------------------------------------------------- */

struct str link_code(int err)
{
    return err == OK ? STR_NONE : str_of(error_code(err));
}

int link_error_of(ProtobufCBinaryData code)
{
    if (code.len == 0) return OK;
    for (int index = 0; index < ERROR_COUNT; index++)
        if (str_eq(link_str(code), str_of(error_code(-1 - index)))) return -1 - index;
    return ERR_INTERNAL;
}
