/* What a driver remembers of a room to admit messages and to number them: the rules that every
 * embedded driver shares, without a word on how anything is stored. Single thread; embedded by the
 * driver's room. */
#ifndef STOA_STORE_LEDGER_H
#define STOA_STORE_LEDGER_H

#include "core/quota.h"
#include "core/store.h"

struct ledger_list {
    uint64_t tail, ordinal;            /* the newest ever given */
    uint64_t trimmed, trimmed_ordinal; /* the highest that retention has removed */
    struct bucket bucket;
    uint32_t per_s; /* the bucket's rate when it was last used */
};

struct ledger {
    enum room_state state;
    uint64_t last_id; /* over both lists. Never steps back, not even when what it was given to is
                         undone */
    struct ledger_list lists[LIST_KINDS];
};

/* 0, ERR_ROOM_CLOSED or, with *ret_retry_after_ms, ERR_ROOM_RATE. When it is 0, the quota is paid.
 */
int ledger_admit(struct ledger *l, const struct store_append *in, int64_t *ret_retry_after_ms);
/* Gives the message its id, prev and ordinal, and makes it the tail of its list. */
void ledger_number(struct ledger *l, struct message *message, int64_t now_ms);
/* A new room's lists begin behind these places: what was before is gone. 0: at the beginning. */
void ledger_begin(struct ledger *l, const struct store_tail known[LIST_KINDS]);
/* Messages of the list that are kept. */
uint64_t ledger_kept(const struct ledger_list *list);
/* Nothing in it but what is also in the store: it may be forgotten. */
bool ledger_is_idle(const struct ledger *l, int64_t now_ms);
/* An append at at_ms made a key known; it still is at now_ms. */
bool ledger_key_is_fresh(int64_t at_ms, int64_t now_ms);

#endif
