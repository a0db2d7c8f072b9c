#include "tool/sent.h"

#include "base/alloc.h"
#include "base/assert.h"

/* How far back a message is looked for under a second id. A retry follows at once, and the same
 * words from the same person much later are no mistake. */
#define TWICE_WINDOW 4

void sent_begin(struct sent *s, enum list_kind list, uint64_t content, int64_t now_us)
{
    struct sent_list *l = &s->list[list];
    l->pending = (struct sent_message){.content = content, .sent_us = now_us};
    l->stranger_id = 0;
    l->under_way = true;
}

void sent_acknowledge(struct sent *s, enum list_kind list, uint64_t id)
{
    struct sent_list *l = &s->list[list];
    ASSERT(l->under_way);
    l->under_way = false;
    if (l->pending.id != 0 && l->pending.id != id) s->stored_twice++;
    if (l->stranger_id == id) s->wrong_content++;
    l->pending.id = id;
    /* An id that does not rise is the server's mistake. It cannot be looked up here, so viewers,
     * who see it as out of order too, are left to find it. */
    if (id <= sent_last_id(s, list)) return;
    if (l->count == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 1024;
        l->messages = xrealloc(l->messages, l->cap * sizeof(*l->messages));
    }
    l->messages[l->count++] = l->pending;
}

void sent_drop(struct sent *s, enum list_kind list)
{
    s->list[list].under_way = false;
}

uint64_t sent_last_id(const struct sent *s, enum list_kind list)
{
    const struct sent_list *l = &s->list[list];
    return l->count > 0 ? l->messages[l->count - 1].id : 0;
}

static const struct sent_message *find(const struct sent_list *l, uint64_t id)
{
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->messages[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < l->count && l->messages[low].id == id ? &l->messages[low] : NULL;
}

/* The message under way, seen before its acknowledgement. */
static bool claim(struct sent_list *l, const struct poll_message *m)
{
    if (!l->under_way || l->pending.content != m->content) return false;
    if (l->pending.id != 0 && l->pending.id != m->id) return false;
    l->pending.id = m->id;
    return true;
}

/* Our content under an id that is not ours. */
static bool is_double(const struct sent_list *l, const struct poll_message *m)
{
    if (l->under_way && l->pending.content == m->content) return true;
    for (size_t i = l->count; i > 0 && i + TWICE_WINDOW > l->count; i--)
        if (l->messages[i - 1].content == m->content) return true;
    return false;
}

enum sent_verdict sent_look(struct sent *s, const struct poll_message *message,
                            int64_t *ret_sent_us)
{
    struct sent_list *l = &s->list[message->list];
    const struct sent_message *known = find(l, message->id);
    if (known != NULL && known->content == message->content) {
        *ret_sent_us = known->sent_us;
        return SENT_OURS;
    }
    if (known != NULL) {
        s->wrong_content++;
        return SENT_WRONG;
    }
    if (claim(l, message)) {
        *ret_sent_us = l->pending.sent_us;
        return SENT_OURS;
    }
    if (is_double(l, message)) {
        s->stored_twice++;
        return SENT_TWICE;
    }
    if (l->under_way) l->stranger_id = message->id;
    s->foreign += !message->is_control;
    return SENT_FOREIGN;
}

void sent_deinit(struct sent *s)
{
    for (int i = 0; i < LIST_KINDS; i++) free(s->list[i].messages);
    *s = (struct sent){0};
}
