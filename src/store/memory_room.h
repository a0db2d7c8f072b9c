/* A room of the memory store: its record, its ledger, its messages, its idempotency keys, and what
 * it counts. */
#ifndef STOA_STORE_MEMORY_ROOM_H
#define STOA_STORE_MEMORY_ROOM_H

#include "base/map.h"
#include "store/job.h"
#include "store/ledger.h"
#include "store/memory_counting.h"

/* In id order; the first `head` slots are empty. Owns its messages. */
struct memory_list {
    struct message **messages;
    size_t head, end, cap;
};

struct memory_room {
    struct str key;
    struct room_record record;
    struct ledger ledger;
    struct memory_list lists[LIST_KINDS];
    struct map keys;       /* idempotency key -> struct memory_key */
    struct list key_order; /* of the same, oldest first */
    struct memory_counting counting;
    char bytes[];
};

struct memory_room *memory_room_new(struct str key);
void memory_room_free(struct memory_room *room);

/* Numbers the message and keeps a copy. */
void memory_room_store(struct memory_room *room, struct message *message, int64_t now_ms);
/* What an append with this key was answered, or NULL. Borrowed until the next memory_room_*. */
const struct store_appended *memory_room_find_key(const struct memory_room *room, struct str key,
                                                  int64_t now_ms);
void memory_room_add_key(struct memory_room *room, struct str key,
                         const struct store_appended *appended, int64_t now_ms);
void memory_room_read(const struct memory_room *room, struct read_job *job);
/* Applies the retention of each list, and forgets keys that are too old. Returns how many messages
 * went. */
size_t memory_room_trim(struct memory_room *room,
                        const struct store_retention retention[LIST_KINDS], int64_t now_ms);

#endif
