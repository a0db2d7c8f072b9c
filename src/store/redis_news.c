/* News: what a room's channel says of messages that were stored, by this node or by others.
 *
 * A message of our own is told when it is acknowledged (store/front.h), and what the channel says of it
 * is then old. It may come before the acknowledgement, though, which waits for replicas; then it, and
 * all behind it in its list, is held back until the flight that stored it has landed. */
#include "base/error.h"
#include "store/redis_bytes.h"
#include "store/redis_store.h"

#define HEAD_BYTES 16 /* tag of the store, number of the flight */

static struct redis_store *redis_of(struct store *store)
{
    return CONTAINER_OF(store, struct redis_store, store);
}

/* --- watching -------------------------------------------------------------------------------- */

void redis_watch(struct store *store, struct str room)
{
    struct redis_store *s = redis_of(store);
    struct redis_room *it = redis_room(s, room);

    front_watch(&s->front, room);
    if (it->is_watched) return;
    it->is_watched = true;
    redis_touch(s, it);
    words_begin(&s->words);
    redis_cluster_subscribe(s->cluster, redis_room_key(s, room, ""));
}

void redis_unwatch(struct store *store, struct str room)
{
    struct redis_store *s = redis_of(store);
    struct redis_room *it = map_get(&s->rooms, room);

    front_unwatch(&s->front, room);
    if (it == NULL || !it->is_watched) return;
    it->is_watched = false;
    words_begin(&s->words);
    redis_cluster_unsubscribe(s->cluster, redis_room_key(s, room, ""));
}

/* --- flights --------------------------------------------------------------------------------- */

void redis_fly(struct redis_store *s, struct redis_room *room, struct redis_flight *flight)
{
    list_init(&flight->node);
    flight->number = ++s->flight_number;
    list_push(&room->flights, &flight->node);
}

void redis_flight_word(struct redis_store *s, const struct redis_flight *flight)
{
    char head[HEAD_BYTES];

    memcpy(head, &s->tag, 8);
    memcpy(head + 8, &flight->number, 8);
    words_str(&s->words, arena_copy(&s->words.made, str_make(head, sizeof(head))));
}

static void let_go(struct redis_store *s, struct redis_room *room, enum list_kind list)
{
    struct list *node;

    room->awaits[list] = 0;
    while ((node = list_take(&room->held[list])) != NULL) {
        room->held_count--;
        redis_done(s, CONTAINER_OF(node, struct job, node), 0);
    }
}

void redis_land(struct redis_store *s, struct redis_room *room, struct redis_flight *flight)
{
    list_remove(&flight->node);
    for (int i = 0; i < LIST_KINDS; i++)
        if (room->awaits[i] == flight->number) let_go(s, room, (enum list_kind)i);
}

/* 0: it is not under way, or not of ours. */
static uint64_t flight_of(const struct redis_store *s, const struct redis_room *room,
                          struct str head)
{
    uint64_t number;

    if (memcmp(head.ptr, &s->tag, 8) != 0) return 0;
    memcpy(&number, head.ptr + 8, 8);
    LIST_FOREACH (it, &room->flights)
        if (CONTAINER_OF(it, struct redis_flight, node)->number == number) return number;
    return 0;
}

/* --- news ------------------------------------------------------------------------------------ */

static void take_news(struct redis_store *s, struct redis_room *room, const struct message *m,
                      uint64_t flight)
{
    if (flight != 0) room->awaits[m->list] = flight;
    if (room->awaits[m->list] == 0) {
        redis_done(s, &news_job_new(room->key, m)->job, 0);
        return;
    }
    if (room->held_count >= LIMIT_REDIS_HELD) { /* the next pull finds it */
        counter_add(&s->front.stats.news_dropped, 1);
        return;
    }
    room->held_count++;
    list_push(&room->held[m->list], &news_job_new(room->key, m)->job.node);
}

/* "{app/room}" */
static struct redis_room *room_of(struct redis_store *s, struct str channel)
{
    bool is_ours = channel.len > 2 && channel.ptr[0] == '{' && channel.ptr[channel.len - 1] == '}';

    return is_ours ? map_get(&s->rooms, str_make(channel.ptr + 1, channel.len - 2)) : NULL;
}

void redis_on_message(void *arg, struct str channel, struct str payload)
{
    struct redis_store *s = arg;
    struct redis_room *room = room_of(s, channel);

    if (room == NULL || !room->is_watched || payload.len < HEAD_BYTES) return;
    uint64_t flight = flight_of(s, room, payload);
    struct redis_bytes news = {str_make(payload.ptr + HEAD_BYTES, payload.len - HEAD_BYTES), false};
    while (news.rest.len > 0) {
        struct message m = bytes_message(&news);
        if (news.is_broken) return;
        take_news(s, room, &m, flight);
    }
}

/* What was missed is found by the hub's next look, within a second. */
void redis_on_resubscribed(void *arg, struct str channel)
{
    struct redis_store *s = arg;

    (void)channel;
    counter_add(&s->front.stats.resubscribed, 1);
}
