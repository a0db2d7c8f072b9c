#include "core/hub_peer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "core/hub_internal.h"

struct hub_peer {
    struct hub *hub;
    struct hub_peer_setup setup;
    struct map watches;       /* struct hub_watch, by room */
    struct list behind;       /* those whose news were not taken */
    struct message *messages; /* room for the range that was found last */
};

static struct str watch_key(const void *value)
{
    const struct hub_watch *it = value;
    return str_of(it->key);
}

struct hub_peer *hub_peer_new(struct hub *hub, const struct hub_peer_setup *setup)
{
    struct hub_peer *peer = xcalloc(1, sizeof *peer);
    peer->hub = hub;
    peer->setup = *setup;
    map_init(&peer->watches, hub->config.hash_key, watch_key);
    list_init(&peer->behind);
    return peer;
}

struct store *hub_store(struct hub *hub)
{
    return hub->store;
}

const struct routes *hub_routes(const struct hub *hub)
{
    return hub->nodes.routes;
}

uint64_t hub_peer_rooms(const struct hub_peer *peer)
{
    return peer->watches.count;
}

/* News ------------------------------------------------------------------------------------- */

static void fall_behind(struct hub_watch *watch)
{
    struct hub *hub = watch->peer->hub;
    if (list_is_linked(&watch->behind_node)) return;
    list_push(&watch->peer->behind, &watch->behind_node);
    counter_add(&hub->metrics.peers_behind_total, 1);
}

static bool tell(struct hub_watch *watch, const struct message *message)
{
    struct hub_peer *peer = watch->peer;
    if (list_is_linked(&watch->behind_node)) return false;
    if (!peer->setup.on_news(peer->setup.arg, str_of(watch->key), message)) {
        fall_behind(watch);
        return false;
    }
    if (message->id > watch->sent[message->list]) watch->sent[message->list] = message->id;
    counter_add(&peer->hub->metrics.peer_news_total, 1);
    return true;
}

static void tell_list(struct hub_watch *watch, enum list_kind list)
{
    const struct feed *feed = &watch->room->feeds[list];
    if (watch->sent[list] > feed->tail) watch->sent[list] = feed->tail; /* the store lost it */
    for (uint32_t i = feed_after(feed, watch->sent[list]); i < feed->count; i++) {
        struct message message = frame_message(feed_at(feed, i));
        if (!tell(watch, &message)) return;
    }
}

void hub_watches_publish(struct hub_room *room)
{
    LIST_FOREACH (node, &room->watches) {
        struct hub_watch *watch = CONTAINER_OF(node, struct hub_watch, room_node);
        for (int list = 0; list < LIST_KINDS; list++) tell_list(watch, (enum list_kind)list);
    }
}

void hub_watches_news(struct hub_room *room, const struct message *message)
{
    LIST_FOREACH (node, &room->watches)
        tell(CONTAINER_OF(node, struct hub_watch, room_node), message);
}

/* The newest of each list alone. */
static void tell_newest(struct hub_watch *watch)
{
    for (int list = 0; list < LIST_KINDS; list++) {
        const struct feed *feed = &watch->room->feeds[list];
        if (feed->count == 0) continue;
        struct message message = frame_message(feed_at(feed, feed->count - 1));
        if (!tell(watch, &message)) return;
    }
}

void hub_watches_loaded(struct hub_room *room)
{
    LIST_FOREACH (node, &room->watches) {
        struct hub_watch *watch = CONTAINER_OF(node, struct hub_watch, room_node);
        if (watch->tells_newest) tell_newest(watch);
        watch->tells_newest = false;
        for (int list = 0; list < LIST_KINDS; list++)
            if (room->feeds[list].tail > watch->sent[list])
                watch->sent[list] = room->feeds[list].tail;
    }
}

void hub_peer_resume(struct hub_peer *peer)
{
    struct list again;
    list_init(&again);
    list_move_all(&again, &peer->behind);
    for (struct list *node; (node = list_take(&again)) != NULL;) {
        struct hub_watch *watch = CONTAINER_OF(node, struct hub_watch, behind_node);
        if (watch->room == NULL || watch->room->state != HUB_ROOM_ACTIVE) continue;
        tell_newest(watch);
        if (!list_is_linked(&watch->behind_node)) continue;
        list_move_all(&peer->behind, &again); /* full again: the rest stays where it was */
    }
}

/* Watching --------------------------------------------------------------------------------- */

static void attach(struct hub_watch *watch, struct hub_room *room)
{
    watch->room = room;
    bool is_first = !hub_room_is_listened(room);
    list_push(&room->watches, &watch->room_node);
    if (room->state != HUB_ROOM_ACTIVE) return;
    if (watch->tells_newest) tell_newest(watch);
    watch->tells_newest = false;
    for (int list = 0; list < LIST_KINDS; list++) watch->sent[list] = room->feeds[list].tail;
    if (is_first) hub_room_arm_poll(room);
}

static void load(struct hub_watch *watch)
{
    struct hub_room *room = hub_room_load(watch->peer->hub, str_of(watch->key));
    if (room != NULL) attach(watch, room);
}

static void detach(struct hub_watch *watch)
{
    list_remove(&watch->room_node);
    list_remove(&watch->behind_node);
    if (watch->room != NULL) watch->room->idle_since_ms = watch->room->hub->now_ms;
    watch->room = NULL;
}

void hub_watches_lost(struct hub_room *room)
{
    for (struct list *node; (node = list_take(&room->watches)) != NULL;)
        CONTAINER_OF(node, struct hub_watch, room_node)->room = NULL;
}

static struct hub_watch *watch_new(struct hub_peer *peer, struct str room)
{
    struct hub_watch *watch = xcalloc(1, sizeof *watch);
    watch->peer = peer;
    list_init(&watch->room_node);
    list_init(&watch->behind_node);
    bool fits = str_copy(room, watch->key, sizeof watch->key);
    ASSERT(fits);
    map_put(&peer->watches, watch);
    gauge_add(&peer->hub->metrics.peer_watches, 1);
    return watch;
}

int hub_peer_watch(struct hub_peer *peer, struct str room, bool is_moved, int64_t now_ms)
{
    struct hub *hub = peer->hub;
    hub->now_ms = now_ms;
    struct hub_watch *watch = map_get(&peer->watches, room);
    if (watch == NULL) {
        if (peer->watches.count >= LIMIT_LINK_ROOMS) {
            counter_add(&hub->metrics.peer_watches_refused_total, 1);
            return ERR_OVERLOADED;
        }
        watch = watch_new(peer, room);
    }
    watch->tells_newest |= is_moved;
    if (watch->room == NULL) {
        load(watch);
    } else if (watch->tells_newest && watch->room->state == HUB_ROOM_ACTIVE) {
        tell_newest(watch);
        watch->tells_newest = false;
    }
    return OK;
}

static void watch_free(struct hub_watch *watch)
{
    detach(watch);
    gauge_add(&watch->peer->hub->metrics.peer_watches, -1);
    free(watch);
}

void hub_peer_unwatch(struct hub_peer *peer, struct str room, int64_t now_ms)
{
    peer->hub->now_ms = now_ms;
    struct hub_watch *watch = map_take(&peer->watches, room);
    if (watch != NULL) watch_free(watch);
}

void hub_peer_free(struct hub_peer *peer, int64_t now_ms)
{
    if (peer == NULL) return;
    peer->hub->now_ms = now_ms;
    MAP_FOREACH (slot, &peer->watches) watch_free(slot->value);
    map_deinit(&peer->watches);
    free(peer->messages);
    free(peer);
}

/* Reading ---------------------------------------------------------------------------------- */

/* What was acknowledged by way of this node has to be in the copy before it is asked: the news of it
 * may have been lost. */
static bool is_complete(const struct hub_room *room, enum list_kind list)
{
    return !room->is_doubtful[list] && room->feeds[list].tail >= room->acked[list];
}

static bool covers(const struct hub_room *room, const struct store_read *read)
{
    const struct feed *feed = &room->feeds[read->list];
    if (read->direction != STORE_AFTER || !is_complete(room, read->list)) return false;
    /* From the beginning means: all that the store keeps, which is less than the copy has where
     * retention has been at work. */
    bool is_inside = read->from > 0 && read->from >= feed->floor && read->from < feed->tail;
    return is_inside || read->from == feed->tail;
}

static void collect(struct hub_peer *peer, const struct feed *feed, const struct store_read *read,
                    struct store_range *ret)
{
    size_t bytes = 0;
    if (peer->messages == NULL)
        peer->messages = xcalloc(LIMIT_FEED_FRAMES + 1, sizeof *peer->messages);
    ret->messages = peer->messages;
    for (uint32_t i = feed_after(feed, read->from); i < feed->count; i++) {
        if (ret->count == read->limit || bytes > LIMIT_FEED_BYTES) {
            ret->more = true;
            return;
        }
        bytes += feed_at(feed, i)->len;
        peer->messages[ret->count++] = frame_message(feed_at(feed, i));
    }
}

bool hub_peer_find(struct hub_peer *peer, const struct store_read *read, int64_t now_ms,
                   struct store_range *ret)
{
    struct hub *hub = peer->hub;
    hub->now_ms = now_ms;
    struct hub_watch *watch = map_get(&peer->watches, read->room);
    if (watch == NULL) return false;
    if (watch->room == NULL) load(watch);
    const struct hub_room *room = watch->room;
    if (room == NULL || room->state != HUB_ROOM_ACTIVE || !covers(room, read)) return false;
    const struct feed *feed = &room->feeds[read->list];
    uint64_t trimmed = room->trimmed[read->list];
    *ret = (struct store_range){.tail = feed->tail, .tail_ordinal = feed->tail_ordinal};
    /* What the store has removed meanwhile, and the copy still has, is no gap for this reader. */
    ret->trimmed = trimmed < read->from ? trimmed : read->from;
    collect(peer, feed, read, ret);
    counter_add(&hub->metrics.peer_reads_copied_total, 1);
    return true;
}

void hub_appended(struct hub *hub, struct str key, enum list_kind list, uint64_t id)
{
    struct hub_room *room = hub_room_get(hub, key);
    if (room != NULL && id > room->acked[list]) room->acked[list] = id;
}

void hub_room_changed(struct hub *hub, struct str key, int64_t now_ms)
{
    hub->now_ms = now_ms;
    struct hub_room *room = hub_room_get(hub, key);
    if (room != NULL) hub_room_doubt(room, LIST_HIGH);
}
