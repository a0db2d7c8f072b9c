/* Reads that the copies in memory cannot serve: both lists of a room are asked, and the outcome
 * goes into the call. */
#include "core/hub_internal.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/error.h"

struct double_read {
    struct hub_room *room;
    struct call *call;
    int under_way;
    int err;
    bool more[LIST_KINDS];
    uint32_t count[LIST_KINDS];
    struct frame **frames[LIST_KINDS]; /* owned, in id order */
    void (*finish)(struct double_read *);
};

static void double_read_free(struct double_read *read)
{
    for (int list = 0; list < LIST_KINDS; list++) {
        for (uint32_t i = 0; i < read->count[list]; i++) frame_unref(read->frames[list][i]);
        free(read->frames[list]);
    }
    free(read);
}

static void part_done(struct double_read *read)
{
    if (--read->under_way > 0) return;
    struct call *call = read->call;
    struct hub *hub = read->room->hub;
    int err = read->err;
    if (err == OK) read->finish(read);
    double_read_free(read);
    hub_return(hub, call, err);
}

static void keep(struct double_read *read, enum list_kind list, const struct store_range *range)
{
    read->more[list] = range->more;
    read->call->trimmed[list] = range->trimmed;
    read->call->tail[list] = range->tail;
    read->frames[list] = xcalloc(range->count + 1, sizeof(struct frame *));
    for (size_t i = 0; i < range->count; i++)
        read->frames[list][read->count[list]++] =
            frame_new(&range->messages[i], &read->room->hub->bin);
}

static void on_part(struct double_read *read, int err, const struct store_range *range,
                    enum list_kind list)
{
    read->room->ops--;
    if (err != OK)
        read->err = err;
    else
        keep(read, list, range);
    part_done(read);
}

static void on_high(void *arg, int err, const struct store_range *range)
{
    on_part(arg, err, range, LIST_HIGH);
}

static void on_normal(void *arg, int err, const struct store_range *range)
{
    on_part(arg, err, range, LIST_NORMAL);
}

static void start(struct double_read *read, const struct store_read *part)
{
    store_read_cb *cb = part->list == LIST_HIGH ? on_high : on_normal;
    read->under_way++;
    int err = store_read(read->room->hub->store, part, cb, read);
    if (err == OK) {
        read->room->ops++;
    } else {
        read->err = err;
        read->under_way--;
    }
}

static void start_both(struct hub_room *room, struct call *call,
                       void (*finish)(struct double_read *),
                       const struct store_read parts[LIST_KINDS])
{
    struct double_read *read = xcalloc(1, sizeof *read);
    read->room = room;
    read->call = call;
    read->finish = finish;
    read->under_way = 1; /* our own, so that it cannot end before both have begun */
    for (int i = 0; i < LIST_KINDS; i++) start(read, &parts[i]);
    part_done(read);
}

static void finish_cold(struct double_read *read)
{
    struct call *call = read->call;
    for (; call->frame_count < read->count[LIST_HIGH] && call->frame_count < call->limit;
         call->frame_count++)
        call->frames[call->frame_count] = frame_ref(read->frames[LIST_HIGH][call->frame_count]);
    call->more = read->more[LIST_HIGH];
}

void hub_read_cold(struct hub_room *room, struct call *call)
{
    /* Of the normal list only the tail is asked: has the reader seen more than the store now has?
     */
    struct store_read parts[LIST_KINDS] = {{.room = room->key,
                                            .list = LIST_HIGH,
                                            .direction = STORE_AFTER,
                                            .from = call->id,
                                            .limit = call->limit},
                                           {.room = room->key,
                                            .list = LIST_NORMAL,
                                            .direction = STORE_BEFORE,
                                            .from = UINT64_MAX,
                                            .limit = 1}};
    counter_add(&room->hub->metrics.cold_reads_total, 1);
    start_both(room, call, finish_cold, parts);
}

/* A list that was cut short (the store bounds the bytes of a range) hides what is older: beyond it
 * nothing of the other list may be told, or a later page would not have what lies between. */
static bool is_cut(const struct double_read *read, const uint32_t left[LIST_KINDS])
{
    for (int list = 0; list < LIST_KINDS; list++)
        if (left[list] == 0 && read->more[list]) return true;
    return false;
}

/* Merges both lists from their ends: newest first. */
static void finish_history(struct double_read *read)
{
    struct call *call = read->call;
    uint32_t left[LIST_KINDS] = {read->count[LIST_HIGH], read->count[LIST_NORMAL]};
    while (call->frame_count < call->limit && left[LIST_HIGH] + left[LIST_NORMAL] > 0 &&
           !is_cut(read, left)) {
        uint64_t high = left[LIST_HIGH] > 0 ? read->frames[LIST_HIGH][left[LIST_HIGH] - 1]->id : 0;
        uint64_t normal =
            left[LIST_NORMAL] > 0 ? read->frames[LIST_NORMAL][left[LIST_NORMAL] - 1]->id : 0;
        enum list_kind list = high > normal ? LIST_HIGH : LIST_NORMAL;
        call->frames[call->frame_count++] = frame_ref(read->frames[list][--left[list]]);
    }
    call->more =
        left[LIST_HIGH] + left[LIST_NORMAL] > 0 || read->more[LIST_HIGH] || read->more[LIST_NORMAL];
}

void hub_read_history(struct hub_room *room, struct call *call)
{
    struct store_read parts[LIST_KINDS];
    for (int list = 0; list < LIST_KINDS; list++)
        parts[list] = (struct store_read){.room = room->key,
                                          .list = (enum list_kind)list,
                                          .direction = STORE_BEFORE,
                                          .from = call->id,
                                          .limit = call->limit};
    counter_add(&room->hub->metrics.history_reads_total, 1);
    start_both(room, call, finish_history, parts);
}
