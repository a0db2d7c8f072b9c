#include "store/memory_room.h"

#include "base/alloc.h"
#include "core/id.h"

static const struct hash_key KEYS_HASH_KEY = {0x73746f612e6b6579, 0x6964656d706f7465};

struct memory_key {
    struct list node;
    struct str key;
    struct store_appended appended;
    int64_t at_ms;
    char bytes[];
};

static struct str key_of_memory_key(const void *value)
{
    const struct memory_key *it = value;
    return it->key;
}

struct memory_room *memory_room_new(struct str key)
{
    struct memory_room *room = xcalloc(1, sizeof(*room) + key.len);

    memcpy(room->bytes, key.ptr, key.len);
    room->key = str_make(room->bytes, key.len);
    map_init(&room->keys, KEYS_HASH_KEY, key_of_memory_key);
    list_init(&room->key_order);
    return room;
}

static void list_free(struct memory_list *list)
{
    for (size_t i = list->head; i < list->end; i++) free(list->messages[i]);
    free(list->messages);
}

static void forget_key(struct memory_room *room, struct memory_key *known)
{
    map_take(&room->keys, known->key);
    list_remove(&known->node);
    free(known);
}

void memory_room_free(struct memory_room *room)
{
    LIST_FOREACH_SAFE (it, &room->key_order)
        forget_key(room, CONTAINER_OF(it, struct memory_key, node));
    map_deinit(&room->keys);
    for (int i = 0; i < LIST_KINDS; i++) list_free(&room->lists[i]);
    memory_counting_deinit(&room->counting);
    free(room);
}

static struct str put(char **at, struct str s)
{
    char *copy = *at;

    if (s.len > 0) memcpy(copy, s.ptr, s.len);
    *at += s.len;
    return str_make(copy, s.len);
}

static struct message *message_copy(const struct message *m)
{
    size_t bytes = m->type.len + m->from.len + m->name.len + m->body.len;
    struct message *copy = xmalloc(sizeof(*copy) + bytes);
    char *at = (char *)(copy + 1);

    *copy = *m;
    copy->type = put(&at, m->type);
    copy->from = put(&at, m->from);
    copy->name = put(&at, m->name);
    copy->body = put(&at, m->body);
    return copy;
}

static void list_add(struct memory_list *list, struct message *message)
{
    if (list->end == list->cap && list->head > list->cap / 2) {
        memmove(list->messages, list->messages + list->head,
                (list->end - list->head) * sizeof(struct message *));
        list->end -= list->head;
        list->head = 0;
    }
    if (list->end == list->cap) {
        list->cap = list->cap == 0 ? 16 : list->cap * 2;
        list->messages = xrealloc(list->messages, list->cap * sizeof(struct message *));
    }
    list->messages[list->end++] = message;
}

void memory_room_store(struct memory_room *room, struct message *message, int64_t now_ms)
{
    ledger_number(&room->ledger, message, now_ms);
    list_add(&room->lists[message->list], message_copy(message));
}

const struct store_appended *memory_room_find_key(const struct memory_room *room, struct str key,
                                                  int64_t now_ms)
{
    const struct memory_key *known = key.len > 0 ? map_get(&room->keys, key) : NULL;

    if (known == NULL || !ledger_key_is_fresh(known->at_ms, now_ms)) return NULL;
    return &known->appended;
}

void memory_room_add_key(struct memory_room *room, struct str key,
                         const struct store_appended *appended, int64_t now_ms)
{
    if (key.len == 0) return;
    struct memory_key *stale = map_get(&room->keys, key);
    if (stale != NULL) forget_key(room, stale);

    struct memory_key *known = xmalloc(sizeof(*known) + key.len);
    memcpy(known->bytes, key.ptr, key.len);
    known->key = str_make(known->bytes, key.len);
    known->appended = *appended;
    known->at_ms = now_ms;
    list_init(&known->node);
    list_push(&room->key_order, &known->node);
    map_put(&room->keys, known);
}

/* The first index whose id is at least `id`. */
static size_t lower_bound(const struct memory_list *list, uint64_t id)
{
    size_t low = list->head, high = list->end;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->messages[middle]->id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void memory_room_read(const struct memory_room *room, struct read_job *job)
{
    const struct memory_list *list = &room->lists[job->in.list];
    const struct ledger_list *ledger = &room->ledger.lists[job->in.list];
    size_t at = lower_bound(list, job->in.from);

    if (job->in.direction == STORE_AFTER) {
        if (at < list->end && list->messages[at]->id == job->in.from) at++;
        while (at < list->end && read_job_add(job, list->messages[at])) at++;
    } else {
        while (at > list->head && read_job_add(job, list->messages[at - 1])) at--;
    }
    read_job_seal(job);
    job->out.trimmed = ledger->trimmed;
    job->out.tail = ledger->tail;
    job->out.tail_ordinal = ledger->ordinal;
}

static size_t trim_list(struct memory_list *list, struct ledger_list *ledger,
                        const struct store_retention *retention, int64_t now_ms)
{
    size_t count = 0;

    for (; list->head < list->end; list->head++, count++) {
        struct message *oldest = list->messages[list->head];
        bool is_old =
            retention->max_age_ms > 0 && now_ms - id_ms(oldest->id) > retention->max_age_ms;
        bool is_over = retention->max_count > 0 && ledger_kept(ledger) > retention->max_count;
        if (!is_old && !is_over) break;
        ledger->trimmed = oldest->id;
        ledger->trimmed_ordinal = oldest->ordinal;
        free(oldest);
    }
    return count;
}

size_t memory_room_trim(struct memory_room *room,
                        const struct store_retention retention[LIST_KINDS], int64_t now_ms)
{
    size_t count = 0;

    for (int i = 0; i < LIST_KINDS; i++)
        count += trim_list(&room->lists[i], &room->ledger.lists[i], &retention[i], now_ms);
    LIST_FOREACH_SAFE (it, &room->key_order) {
        struct memory_key *known = CONTAINER_OF(it, struct memory_key, node);
        if (ledger_key_is_fresh(known->at_ms, now_ms)) break;
        forget_key(room, known);
    }
    return count;
}
