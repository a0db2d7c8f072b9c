#include "sim/check.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "core/id.h"

/* --- records ---------------------------------------------------------------------------------- */

void check_room_add(struct check_room *room, enum list_kind list, uint64_t id, uint64_t body)
{
    size_t count = room->count[list];
    ASSERT(count == 0 || id > room->messages[list][count - 1].id);
    if (count == room->cap[list]) {
        room->cap[list] = count == 0 ? 64 : 2 * count;
        room->messages[list] =
            xrealloc(room->messages[list], room->cap[list] * sizeof(struct check_message));
    }
    room->messages[list][count] = (struct check_message){.id = id, .body = body};
    room->count[list]++;
}

void check_room_deinit(struct check_room *room)
{
    for (int list = 0; list < LIST_KINDS; list++) free(room->messages[list]);
    *room = (struct check_room){0};
}

void check_reader_add(struct check_reader *reader, const struct check_answer *answer)
{
    if (reader->count == reader->cap) {
        reader->cap = reader->cap == 0 ? 64 : 2 * reader->cap;
        reader->answers = xrealloc(reader->answers, reader->cap * sizeof *reader->answers);
    }
    struct check_answer *copy = &reader->answers[reader->count++];
    *copy = *answer;
    copy->entries = NULL;
    if (answer->count == 0) return;
    copy->entries = xmalloc(answer->count * sizeof *copy->entries);
    memcpy(copy->entries, answer->entries, answer->count * sizeof *copy->entries);
}

void check_reader_deinit(struct check_reader *reader)
{
    for (size_t i = 0; i < reader->count; i++) free(reader->answers[i].entries);
    free(reader->answers);
    *reader = (struct check_reader){0};
}

/* --- answers ---------------------------------------------------------------------------------- */

/* Where a reader is, in numbers of messages: next[list] is the index of the first it has not
 * passed. */
struct walk {
    const struct check_room *room;
    const struct check_rules *rules;
    const struct check_answer *answer;
    size_t next[LIST_KINDS];
};

/* Index of the first message with an id greater than this. */
static size_t index_after(const struct check_room *room, enum list_kind list, uint64_t id)
{
    size_t low = 0, high = room->count[list];
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (room->messages[list][middle].id > id)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* The message behind an entry; NULL if there never was such a one. */
static const struct check_message *find(const struct check_room *room,
                                        const struct check_entry *entry, size_t *ret_index)
{
    size_t after = index_after(room, entry->list, entry->id);
    if (after == 0) return NULL;
    const struct check_message *message = &room->messages[entry->list][after - 1];
    if (message->id != entry->id || message->body != entry->body) return NULL;
    *ret_index = after - 1;
    return message;
}

/* Retention may have taken the message by then. */
static bool may_be_gone(const struct check_room *room, enum list_kind list, size_t index,
                        int64_t at_ms)
{
    const struct store_retention *retention = &room->retention[list];
    int64_t stored_ms = id_ms(room->messages[list][index].id);
    if (retention->max_age_ms > 0 && at_ms - stored_ms > retention->max_age_ms) return true;
    if (retention->max_count == 0) return false;
    size_t newer = 0;
    for (size_t i = index + 1; i < room->count[list]; i++) {
        if (id_ms(room->messages[list][i].id) > at_ms) break;
        newer++;
    }
    return newer >= retention->max_count;
}

/* The reader does not get the high messages from `next` to `until`. */
static const char *pass_over(struct walk *walk, size_t until)
{
    const struct check_answer *answer = walk->answer;
    for (; walk->next[LIST_HIGH] < until; walk->next[LIST_HIGH]++) {
        if (!answer->gap) return "a high message is missing and no gap was told";
        if (!may_be_gone(walk->room, LIST_HIGH, walk->next[LIST_HIGH], answer->answered_ms))
            return "a high message is missing that was still kept";
    }
    return NULL;
}

static const char *check_times(const struct walk *walk, enum list_kind list,
                               const struct check_message *message)
{
    int64_t limit_ms = walk->rules->latency_ms;
    if (list == LIST_HIGH && walk->rules->high_latency_ms > 0)
        limit_ms = walk->rules->high_latency_ms;
    const struct check_answer *answer = walk->answer;
    if (limit_ms == 0) return NULL;
    int64_t from_ms = id_ms(message->id);
    if (from_ms > answer->answered_ms) return "a message came before it was stored";
    if (from_ms < answer->waiting_since_ms) from_ms = answer->waiting_since_ms;
    return answer->answered_ms - from_ms > limit_ms ? "a message came too late" : NULL;
}

static const char *check_highs(struct walk *walk, size_t *ret_taken)
{
    const struct check_answer *answer = walk->answer;
    size_t start = walk->next[LIST_HIGH], taken = 0;
    const char *wrong = NULL;
    for (; taken < answer->count && answer->entries[taken].list == LIST_HIGH; taken++) {
        size_t index;
        const struct check_message *message = find(walk->room, &answer->entries[taken], &index);
        if (message == NULL) return "a high message was never stored";
        if (index < walk->next[LIST_HIGH]) return "a high message came twice or out of order";
        if ((wrong = pass_over(walk, index)) != NULL) return wrong;
        if ((wrong = check_times(walk, LIST_HIGH, message)) != NULL) return wrong;
        walk->next[LIST_HIGH]++;
    }
    size_t end = index_after(walk->room, LIST_HIGH, answer->cursor.high);
    if (end < walk->next[LIST_HIGH]) return "the cursor is behind the high messages it came with";
    if ((wrong = pass_over(walk, end)) != NULL) return wrong;
    if (answer->gap && end - start == taken) return "a gap was told and nothing is missing";
    *ret_taken = taken;
    return NULL;
}

static const char *check_normals(struct walk *walk, size_t from)
{
    const struct check_answer *answer = walk->answer;
    size_t end = index_after(walk->room, LIST_NORMAL, answer->cursor.normal);
    size_t start = walk->next[LIST_NORMAL], taken = answer->count - from;
    if (end < start) return "the cursor went back";
    if (taken > answer->limit) return "more normal messages than the limit";
    for (size_t i = from; i < answer->count; i++) {
        size_t index;
        if (answer->entries[i].list == LIST_HIGH) return "a high message came behind a normal one";
        const struct check_message *message = find(walk->room, &answer->entries[i], &index);
        if (message == NULL) return "a normal message was never stored";
        if (index < walk->next[LIST_NORMAL]) return "a normal message came twice or out of order";
        const char *wrong = check_times(walk, LIST_NORMAL, message);
        if (wrong != NULL) return wrong;
        walk->next[LIST_NORMAL] = index + 1;
    }
    if (taken > 0 && walk->next[LIST_NORMAL] != end)
        return "the newest normal message is not the last";
    if (end - start != taken + answer->skipped)
        return "received and skipped are not what was stored";
    walk->next[LIST_NORMAL] = end;
    return NULL;
}

/* The newest of both lists, so none between the first and the cursor is missing. */
static const char *check_join(struct walk *walk)
{
    const struct check_answer *answer = walk->answer;
    const uint64_t tail[LIST_KINDS] = {answer->cursor.high, answer->cursor.normal};
    size_t taken[LIST_KINDS] = {0};
    if (answer->count > answer->limit) return "more messages than the limit";
    if (answer->gap || answer->skipped > 0) return "a join misses nothing";
    for (size_t i = 0; i < answer->count; i++) taken[answer->entries[i].list]++;
    for (int list = 0; list < LIST_KINDS; list++) {
        walk->next[list] = index_after(walk->room, (enum list_kind)list, tail[list]);
        if (taken[list] > walk->next[list]) return "a join brings what was never stored";
    }
    for (size_t i = 0; i < answer->count; i++) {
        const struct check_entry *entry = &answer->entries[i];
        size_t index;
        if (find(walk->room, entry, &index) == NULL) return "a join brings what was never stored";
        if (index != walk->next[entry->list] - taken[entry->list]--)
            return "a join is not the newest";
    }
    return NULL;
}

static const char *check_emptiness(const struct walk *walk)
{
    const struct check_answer *answer = walk->answer;
    bool is_early = answer->answered_ms - answer->polled_ms < answer->timeout_ms;
    bool is_empty = answer->count == 0 && answer->skipped == 0 && !answer->gap;
    if (is_empty && is_early && !walk->rules->empty_before_timeout)
        return "an empty answer came before the time-out";
    return NULL;
}

static const char *check_answer(struct walk *walk)
{
    size_t highs = 0;
    if (walk->answer->is_join) return check_join(walk);
    const char *wrong = check_highs(walk, &highs);
    if (wrong == NULL) wrong = check_normals(walk, highs);
    if (wrong == NULL) wrong = check_emptiness(walk);
    return wrong;
}

const char *check_answers(const struct check_room *room, const struct check_reader *reader,
                          const struct check_rules *rules, size_t *ret_answer)
{
    struct walk walk = {.room = room, .rules = rules};
    for (size_t i = 0; i < reader->count; i++) {
        walk.answer = &reader->answers[i];
        *ret_answer = i;
        if (walk.answer->is_join != (i == 0)) return "a reader joins once, and first";
        const char *wrong = check_answer(&walk);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}

const char *check_has_seen_all(const struct check_room *room, const struct check_reader *reader)
{
    if (reader->count == 0) return "a reader was never answered";
    const struct cursor *last = &reader->answers[reader->count - 1].cursor;
    const uint64_t seen[LIST_KINDS] = {last->high, last->normal};
    for (int list = 0; list < LIST_KINDS; list++) {
        size_t count = room->count[list];
        if (count > 0 && seen[list] != room->messages[list][count - 1].id)
            return "a reader has not seen all";
    }
    return NULL;
}

/* --- sends ------------------------------------------------------------------------------------ */

static const char *count_stored(const struct check_room *room, const struct check_send *sends,
                                size_t send_count, uint32_t *times)
{
    for (int list = 0; list < LIST_KINDS; list++) {
        for (size_t i = 0; i < room->count[list]; i++) {
            const struct check_message *message = &room->messages[list][i];
            if (message->body == CHECK_CONTROL) continue;
            if (message->body >= send_count) return "a message was stored that nobody sent";
            const struct check_send *send = &sends[message->body];
            if ((int)send->list != list) return "a message was stored in the other list";
            if (send->outcome == CHECK_STORED && send->id != message->id)
                return "a message was stored under another id than its sender was told";
            times[message->body]++;
        }
    }
    return NULL;
}

static const char *check_send(const struct check_send *send, uint32_t times)
{
    switch (send->outcome) {
    case CHECK_PENDING: return "a sender does not know what became of a message";
    case CHECK_STORED:
        if (times == 0) return "an acknowledged message was not stored";
        break;
    case CHECK_REFUSED:
        if (times > 0) return "a refused message was stored";
        break;
    case CHECK_UNKNOWN: break;
    }
    return times > 1 ? "a message was stored twice" : NULL;
}

const char *check_sends(const struct check_room *rooms, size_t room_count,
                        const struct check_send *sends, size_t send_count)
{
    uint32_t *times = xcalloc(send_count + 1, sizeof *times);
    const char *wrong = NULL;
    for (size_t i = 0; i < room_count && wrong == NULL; i++)
        wrong = count_stored(&rooms[i], sends, send_count, times);
    for (size_t i = 0; i < send_count && wrong == NULL; i++)
        wrong = check_send(&sends[i], times[i]);
    free(times);
    return wrong;
}
