#include "store/ledger.h"

#include "base/error.h"
#include "core/id.h"

/* A room may send a second's worth at once: chat comes in bursts, and the readers are paced anyway.
 */
int ledger_admit(struct ledger *l, const struct store_append *in, int64_t *ret_retry_after_ms)
{
    struct ledger_list *list = &l->lists[in->message.list];

    if (in->only_known) return ERR_NOT_FOUND; /* had it been known, it would not have come here */
    if (l->state == ROOM_CLOSED) return ERR_ROOM_CLOSED;
    list->per_s = in->per_s;
    if (!bucket_take(&list->bucket, in->per_s, in->per_s, in->now_ms, ret_retry_after_ms))
        return ERR_ROOM_RATE;
    return 0;
}

void ledger_number(struct ledger *l, struct message *message, int64_t now_ms)
{
    struct ledger_list *list = &l->lists[message->list];

    message->id = id_next(l->last_id, now_ms);
    message->prev = list->tail;
    message->ordinal = list->ordinal + 1;
    l->last_id = message->id;
    list->tail = message->id;
    list->ordinal = message->ordinal;
}

void ledger_begin(struct ledger *l, const struct store_tail known[LIST_KINDS])
{
    for (int i = 0; i < LIST_KINDS; i++) {
        struct ledger_list *list = &l->lists[i];
        list->tail = list->trimmed = known[i].id;
        list->ordinal = list->trimmed_ordinal = known[i].ordinal;
        if (known[i].id > l->last_id) l->last_id = known[i].id;
    }
}

uint64_t ledger_kept(const struct ledger_list *list)
{
    return list->ordinal - list->trimmed_ordinal;
}

bool ledger_is_idle(const struct ledger *l, int64_t now_ms)
{
    for (int i = 0; i < LIST_KINDS; i++) {
        const struct ledger_list *list = &l->lists[i];
        if (!bucket_is_full(&list->bucket, list->per_s, list->per_s, now_ms)) return false;
    }
    return true;
}

bool ledger_key_is_fresh(int64_t at_ms, int64_t now_ms)
{
    return now_ms - at_ms < (int64_t)LIMIT_IDEMPOTENCY_MS;
}
