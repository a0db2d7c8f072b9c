/* Channels: sharded pub/sub, on one connection to each master that has some. A sub is a channel that
 * is wanted; it lives in its master's ear, or is homeless while nobody has its slot.
 *
 *   homeless <--> WANTED --SSUBSCRIBE--> ASKED --confirmed--> ON
 *                   ^                      |                   |
 *                   '--- MOVED, sunsubscribe unasked, connection lost, another master
 *
 * Answers come in the order of what was asked, with messages in between; so `asked` is a queue. The
 * server also unsubscribes unasked (a slot has moved away), which can be taken for an answer. Whatever
 * does not fit ends the connection, and all of its channels are subscribed to anew. */
#include "base/alloc.h"
#include "base/error.h"
#include "store/redis_internal.h"

#define HOMELESS_MS 100

enum sub_state { WANTED, ASKED, ON };

struct sub {
    struct list node; /* in its ear's list, or among the homeless */
    enum sub_state state;
    struct redis_ear *home; /* NULL: homeless */
    uint16_t slot;
    bool was_lost; /* asked for, and lost: then it is told when it is on */
    size_t len;
    char name[];
};

/* SSUBSCRIBE or SUNSUBSCRIBE, unanswered. */
struct asked {
    struct list node;
    bool is_end;
    struct sub *sub; /* whom a SSUBSCRIBE is for; NULL: nobody any more */
    uint16_t slot;
    size_t len;
    char name[];
};

static struct redis_cluster *cluster_of(const struct redis_ear *ear)
{
    return ear->node->cluster;
}

static struct str sub_name(const struct sub *sub)
{
    return str_make(sub->name, sub->len);
}

static struct str key_of(const void *value)
{
    return sub_name(value);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void say(struct redis_ear *ear, const char *verb, struct str channel)
{
    char *bytes;
    const char *words[] = {verb, channel.ptr};
    size_t lens[] = {strlen(verb), channel.len};
    int len = redisFormatCommandArgv(&bytes, 2, words, lens);
    redis_conn_put(ear->conn, str_make(bytes, (size_t)len));
    redisFreeCommand(bytes);
}

static void ask(struct redis_ear *ear, struct sub *sub, bool is_end)
{
    struct asked *asked = xcalloc(1, sizeof(*asked) + sub->len);
    asked->is_end = is_end;
    asked->sub = is_end ? NULL : sub;
    asked->slot = sub->slot;
    asked->len = sub->len;
    memcpy(asked->name, sub->name, sub->len);
    list_push(&ear->asked, &asked->node);
    say(ear, is_end ? "SUNSUBSCRIBE" : "SSUBSCRIBE", sub_name(sub));
    redis_wake(cluster_of(ear));
}

static struct asked *first_asked(const struct redis_ear *ear)
{
    if (list_is_empty(&ear->asked)) return NULL;
    return CONTAINER_OF(ear->asked.next, struct asked, node);
}

static void drop_first(struct redis_ear *ear)
{
    free(CONTAINER_OF(list_take(&ear->asked), struct asked, node));
}

static void forget_asked(struct redis_ear *ear, const struct sub *sub)
{
    LIST_FOREACH (it, &ear->asked) {
        struct asked *asked = CONTAINER_OF(it, struct asked, node);
        if (asked->sub == sub) asked->sub = NULL;
    }
}

/* --- homes ----------------------------------------------------------------------------------- */

/* Away from where it is, without a word to the server. */
static void unhome(struct sub *sub)
{
    if (sub->state == ASKED && sub->home != NULL) forget_asked(sub->home, sub);
    if (sub->state != WANTED) sub->was_lost = true;
    sub->state = WANTED;
    sub->home = NULL;
    list_remove(&sub->node);
}

/* The server must not go on sending what nobody wants from there. */
static void leave_home(struct sub *sub)
{
    struct redis_ear *ear = sub->home;
    bool is_told = ear != NULL && sub->state != WANTED && redis_conn_is_ready(ear->conn);
    if (is_told) ask(ear, sub, true);
    unhome(sub);
}

static void settle(struct redis_cluster *c, struct sub *sub, struct redis_node *node)
{
    if (node == NULL) {
        list_push(&c->subs.homeless, &sub->node);
        if (c->subs.retry_ms == INT64_MAX) c->subs.retry_ms = redis_now(c) + HOMELESS_MS;
        redis_topology_want(&c->topology);
    } else {
        sub->home = &node->ear;
        list_push(&node->ear.wanted, &sub->node);
    }
    redis_wake(c);
}

static void ear_lost(struct redis_ear *ear, const char *why)
{
    struct redis_cluster *c = cluster_of(ear);
    redis_conn_free(ear->conn);
    ear->conn = NULL;
    ear->retry_ms = redis_retry_at(c, ear->failures++);
    while (!list_is_empty(&ear->asked)) drop_first(ear);
    LIST_FOREACH (it, &ear->subs) {
        struct sub *sub = CONTAINER_OF(it, struct sub, node);
        if (sub->state != WANTED) sub->was_lost = true;
        sub->state = WANTED;
    }
    list_move_all(&ear->wanted, &ear->subs);
    redis_node_ill(ear->node, why);
    redis_wake(c);
}

static void confuse(struct redis_ear *ear)
{
    ear_lost(ear, "answers to subscriptions are out of step");
}

/* --- what the server says -------------------------------------------------------------------- */

static struct str text_of(const redisReply *reply)
{
    return reply->type == REDIS_REPLY_STRING ? str_make(reply->str, reply->len) : STR_NONE;
}

static void subscribed(struct redis_ear *ear, struct str channel)
{
    struct redis_cluster *c = cluster_of(ear);
    struct asked *asked = first_asked(ear);
    if (asked == NULL || asked->is_end || !str_eq(str_make(asked->name, asked->len), channel)) {
        confuse(ear);
        return;
    }
    struct sub *sub = asked->sub;
    drop_first(ear);
    if (sub == NULL) return;
    bool was_lost = sub->was_lost;
    sub->state = ON;
    sub->was_lost = false;
    if (!was_lost) return;
    counter_add(&c->stats.redis_resubscribes_total, 1);
    if (c->setup.on_resubscribed != NULL) c->setup.on_resubscribed(c->setup.arg, channel);
}

/* Asked for, or because the slot has moved away. */
static void unsubscribed(struct redis_ear *ear, struct str channel)
{
    struct redis_cluster *c = cluster_of(ear);
    struct asked *asked = first_asked(ear);
    if (asked != NULL && asked->is_end && str_eq(str_make(asked->name, asked->len), channel)) {
        drop_first(ear);
        return;
    }
    struct sub *sub = map_get(&c->subs.channels, channel);
    redis_topology_want(&c->topology);
    if (sub == NULL || sub->home != ear || sub->state != ON) return;
    unhome(sub);
    settle(c, sub, redis_owner(c, sub->slot)); /* who may say where it went, before the map does */
}

static void refused(struct redis_ear *ear, const redisReply *reply)
{
    struct redis_cluster *c = cluster_of(ear);
    struct redis_redirect redirect;
    struct asked *asked = first_asked(ear);
    enum redis_answer answer = redis_answer_of(reply, &ear->node->host, &redirect);
    if (asked == NULL || (answer == REDIS_MOVED && redirect.slot != asked->slot)) {
        confuse(ear);
        return;
    }
    struct sub *sub = asked->sub;
    drop_first(ear);
    if (answer == REDIS_MOVED) redis_route_moved(c, &redirect);
    if (answer == REDIS_ANSWER) redis_node_ill(ear->node, reply->str);
    if (sub == NULL) return;
    unhome(sub);
    settle(c, sub, answer == REDIS_MOVED ? redis_owner(c, sub->slot) : NULL);
}

static void message_came(struct redis_ear *ear, struct str channel, struct str payload)
{
    struct redis_cluster *c = cluster_of(ear);
    counter_add(&c->stats.redis_messages_total, 1);
    if (map_get(&c->subs.channels, channel) != NULL)
        c->setup.on_message(c->setup.arg, channel, payload);
}

static void on_push(void *arg, const redisReply *reply)
{
    struct redis_ear *ear = arg;
    if (reply->type == REDIS_REPLY_ERROR) refused(ear, reply);
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) return; /* a pong */
    struct str what = text_of(reply->element[0]), channel = text_of(reply->element[1]);
    if (str_eq(what, STR("smessage")))
        message_came(ear, channel, text_of(reply->element[2]));
    else if (str_eq(what, STR("ssubscribe")))
        subscribed(ear, channel);
    else if (str_eq(what, STR("sunsubscribe")))
        unsubscribed(ear, channel);
}

static void on_ready(void *arg)
{
    struct redis_ear *ear = arg;
    ear->failures = 0;
    redis_node_well(ear->node);
    redis_wake(cluster_of(ear));
}

static void on_room(void *arg)
{
    redis_wake(cluster_of(arg));
}

static void on_lost(void *arg, const char *why)
{
    ear_lost(arg, why);
}

static const struct redis_conn_events EVENTS = {
    .on_ready = on_ready, .on_room = on_room, .on_push = on_push, .on_lost = on_lost};

/* --- ears ------------------------------------------------------------------------------------ */

void redis_ear_init(struct redis_ear *ear, struct redis_node *node)
{
    *ear = (struct redis_ear){.node = node};
    list_init(&ear->wanted);
    list_init(&ear->subs);
    list_init(&ear->asked);
}

bool redis_ear_is_used(const struct redis_ear *ear)
{
    return !list_is_empty(&ear->wanted) || !list_is_empty(&ear->subs);
}

void redis_ear_close(struct redis_ear *ear)
{
    while (!list_is_empty(&ear->asked)) drop_first(ear);
    redis_conn_free(ear->conn);
    ear->conn = NULL;
}

static void connect_ear(struct redis_ear *ear)
{
    struct redis_cluster *c = cluster_of(ear);
    struct redis_conn_setup setup = {.loop = c->setup.loop,
                                     .host = &ear->node->host,
                                     .url = &c->url,
                                     .tls = c->tls,
                                     .is_pushed_to = true,
                                     .events = &EVENTS,
                                     .arg = ear,
                                     .stats = &c->stats};
    ear->conn = redis_conn_new(&setup);
}

static void ask_for_wanted(struct redis_ear *ear)
{
    struct list *node;
    while (redis_conn_has_room(ear->conn) && (node = list_take(&ear->wanted)) != NULL) {
        struct sub *sub = CONTAINER_OF(node, struct sub, node);
        sub->state = ASKED;
        list_push(&ear->subs, node);
        ask(ear, sub, false);
    }
    redis_conn_flush(ear->conn);
}

static int64_t tick_ear(struct redis_ear *ear)
{
    int64_t now_ms = redis_now(cluster_of(ear));
    if (ear->conn == NULL) {
        if (!redis_ear_is_used(ear)) return INT64_MAX;
        if (now_ms < ear->retry_ms) return ear->retry_ms;
        connect_ear(ear);
    }
    if (redis_conn_is_ready(ear->conn)) ask_for_wanted(ear);
    return redis_conn_tick(ear->conn);
}

/* --- for the cluster ------------------------------------------------------------------------- */

void redis_subs_init(struct redis_cluster *c)
{
    struct hash_key key = {rng_next(&c->rng), rng_next(&c->rng)};
    map_init(&c->subs.channels, key, key_of);
    list_init(&c->subs.homeless);
    c->subs.retry_ms = INT64_MAX;
}

void redis_subs_deinit(struct redis_cluster *c)
{
    MAP_FOREACH (slot, &c->subs.channels) free(slot->value);
    map_deinit(&c->subs.channels);
}

void redis_cluster_subscribe(struct redis_cluster *c, struct str channel)
{
    if (map_get(&c->subs.channels, channel) != NULL) return;
    struct sub *sub = xcalloc(1, sizeof(*sub) + channel.len);
    list_init(&sub->node);
    sub->len = channel.len;
    memcpy(sub->name, channel.ptr, channel.len);
    sub->slot = redis_slot_of(channel);
    map_put(&c->subs.channels, sub);
    counter_add(&c->stats.redis_subscriptions, 1);
    settle(c, sub, redis_owner(c, sub->slot));
}

void redis_cluster_unsubscribe(struct redis_cluster *c, struct str channel)
{
    struct sub *sub = map_take(&c->subs.channels, channel);
    if (sub == NULL) return;
    counter_sub(&c->stats.redis_subscriptions, 1);
    leave_home(sub);
    free(sub);
}

void redis_subs_rehome(struct redis_cluster *c)
{
    MAP_FOREACH (slot, &c->subs.channels) {
        struct sub *sub = slot->value;
        struct redis_node *owner = redis_owner(c, sub->slot);
        if (owner == NULL || sub->home == &owner->ear) continue;
        leave_home(sub);
        settle(c, sub, owner);
    }
}

/* The homeless go where the map says, and learn there whether it is right. */
static void house(struct redis_cluster *c)
{
    struct list all, *node;
    list_init(&all);
    list_move_all(&all, &c->subs.homeless);
    c->subs.retry_ms = INT64_MAX;
    while ((node = list_take(&all)) != NULL) {
        struct sub *sub = CONTAINER_OF(node, struct sub, node);
        settle(c, sub, redis_owner(c, sub->slot));
    }
}

int64_t redis_subs_tick(struct redis_cluster *c)
{
    if (redis_now(c) >= c->subs.retry_ms) house(c);
    int64_t due_ms = c->subs.retry_ms;
    for (size_t i = 0; i < c->node_cap; i++) {
        int64_t ear_ms = c->nodes[i] != NULL ? tick_ear(&c->nodes[i]->ear) : INT64_MAX;
        if (ear_ms < due_ms) due_ms = ear_ms;
    }
    return due_ms;
}
