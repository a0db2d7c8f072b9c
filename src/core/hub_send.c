/* Appends: the sender's rights and pace are checked here, the room's quota by the store. */
#include "core/hub_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"

/* A user who sent lately. Forgotten, when that changes nothing any more. */
struct sender {
    struct bucket bucket;
    uint32_t per_s, burst;
    int64_t last_normal_ms;
    char user[LIMIT_USER_ID + 1];
};

struct str hub_sender_key(const void *value)
{
    const struct sender *it = value;
    return str_of(it->user);
}

static bool is_forgettable(const struct hub_room *room, const struct sender *sender)
{
    int64_t quiet_ms = room->hub->now_ms - sender->last_normal_ms;
    return quiet_ms >= (int64_t)room->record.settings.slow_mode_s * 1000 &&
           bucket_is_full(&sender->bucket, sender->per_s, sender->burst, room->hub->now_ms);
}

void hub_senders_sweep(struct hub_room *room, bool all)
{
    if (room->senders.count == 0) return;
    struct map kept;
    map_init(&kept, room->hub->config.hash_key, hub_sender_key);
    MAP_FOREACH (slot, &room->senders) {
        struct sender *sender = slot->value;
        if (all || is_forgettable(room, sender))
            free(sender);
        else
            map_put(&kept, sender);
    }
    map_deinit(&room->senders);
    room->senders = kept;
}

static struct sender *sender_get(struct hub_room *room, const struct call *call)
{
    struct sender *sender = map_get(&room->senders, call->message.from);
    if (sender != NULL) return sender;
    if (room->senders.count >= LIMIT_SENDERS_PER_ROOM) return NULL;
    sender = xcalloc(1, sizeof *sender);
    str_copy(call->message.from, sender->user, sizeof sender->user);
    sender->last_normal_ms = INT64_MIN / 2;
    map_put(&room->senders, sender);
    return sender;
}

static int check_slow_mode(const struct hub_room *room, const struct sender *sender,
                           struct call *call)
{
    if (call->message.list == LIST_HIGH || call->no_slow_mode) return OK;
    int64_t until_ms = sender->last_normal_ms + (int64_t)room->record.settings.slow_mode_s * 1000;
    if (room->hub->now_ms >= until_ms) return OK;
    call->retry_after_ms = until_ms - room->hub->now_ms;
    return ERR_SLOW_MODE;
}

static int check_sender(struct hub_room *room, struct call *call)
{
    call->last_normal_ms = call->taken_ms = room->hub->now_ms;
    if (call->no_user_rate) return OK;
    struct sender *sender = sender_get(room, call);
    if (sender == NULL) {
        counter_add(&room->hub->metrics.senders_refused_total, 1);
        call->retry_after_ms = HUB_RETRY_MS;
        return ERR_OVERLOADED;
    }
    int err = check_slow_mode(room, sender, call);
    if (err != OK) return err;
    sender->per_s = call->user_per_s;
    sender->burst = call->user_burst;
    if (!bucket_take(&sender->bucket, call->user_per_s, call->user_burst, room->hub->now_ms,
                     &call->retry_after_ms))
        return ERR_USER_RATE;
    call->last_normal_ms = sender->last_normal_ms;
    if (call->message.list == LIST_NORMAL) sender->last_normal_ms = call->taken_ms;
    return OK;
}

/* Nothing new was stored: slow mode shall not make the sender wait for it. */
static void give_turn_back(struct hub *hub, const struct call *call)
{
    struct hub_room *room = hub_room_get(hub, str_of(call->room));
    struct sender *sender = room == NULL ? NULL : map_get(&room->senders, call->message.from);
    if (sender != NULL && sender->last_normal_ms == call->taken_ms)
        sender->last_normal_ms = call->last_normal_ms;
}

/* That the room is closed is for the store to say: it knows whether this is a repeat of what was taken before. */
static int check(struct hub_room *room, struct call *call)
{
    if (call->message.body.len > room->record.settings.max_body_bytes) return ERR_BODY_TOO_LARGE;
    return check_sender(room, call);
}

static void count(struct hub_metrics *metrics, int err, const struct store_appended *appended)
{
    if (err == ERR_STORE_UNAVAILABLE)
        counter_add(&metrics->appends_failed_total, 1);
    else if (err != OK)
        counter_add(&metrics->appends_refused_total, 1);
    else if (appended->duplicate)
        counter_add(&metrics->appends_duplicate_total, 1);
    else
        counter_add(&metrics->appends_total, 1);
}

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct call *call = arg;
    struct hub *hub = call->holder;
    if (err == ERR_ROOM_NOT_FOUND && hub_revive_for(hub, call)) return;
    if (err == ERR_NOT_FOUND) err = call->err; /* no repeat: refused, as hub_send() found */
    if (err != OK || appended->duplicate) give_turn_back(hub, call);
    count(&hub->metrics, err, appended);
    if (err == OK) {
        call->id = appended->id;
        call->duplicate = appended->duplicate;
    } else if (err == ERR_ROOM_RATE) {
        call->retry_after_ms = appended->retry_after_ms;
    }
    hub_return(hub, call, err);
}

void hub_send_again(struct hub_room *room, struct call *call)
{
    struct hub *hub = room->hub;
    const struct room_settings *settings = &room->record.settings;
    bool is_high = call->message.list == LIST_HIGH;
    struct store_append append = {.room = room->key,
                                  .message = call->message,
                                  .key = call->key,
                                  .per_s = is_high ? settings->high_per_s : settings->normal_per_s,
                                  .now_ms = hub->now_ms};
    /* Who sends too fast may be repeating a send that was taken; then they get its id, whatever their pace. */
    bool is_paced = call->err == ERR_USER_RATE || call->err == ERR_SLOW_MODE;
    append.only_known = is_paced && call->key.len > 0;
    int err = call->err;
    if (err != OK && !append.only_known)
        counter_add(&hub->metrics.appends_refused_total, 1);
    else
        err = store_append(hub->store, &append, on_appended, call);
    if (err != OK) hub_return(hub, call, err);
}

void hub_send(struct hub_room *room, struct call *call)
{
    call->holder = room->hub;
    call->err = check(room, call);
    hub_send_again(room, call);
}
