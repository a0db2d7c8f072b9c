#include "core/select.h"

#include "base/assert.h"

static void take(struct selection *s, struct frame *frame)
{
    ASSERT(s->count < LIMIT_POLL_HIGH + LIMIT_POLL_NORMAL);
    s->frames[s->count++] = frame;
}

static void begin(struct selection *s, uint32_t room_tag)
{
    s->count = 0;
    s->skipped = 0;
    s->gap = false;
    s->next = (struct cursor){.room = room_tag};
}

/* Moves the cursor behind all normal messages. */
static void pass_normals(struct selection *s, const struct feed *normal)
{
    s->next.normal = normal->tail;
    s->next.normal_ordinal = normal->tail_ordinal;
}

/* The cursor lies above the tail of this copy, which will have those messages soon. */
static void stay_at_normal(struct selection *s, const struct cursor *cursor)
{
    s->next.normal = cursor->normal;
    s->next.normal_ordinal = cursor->normal_ordinal;
}

/* The newest `limit` normal messages after the cursor. What is not taken is skipped: the ordinals
 * tell how many. */
static void select_normals(struct selection *s, const struct feed *normal,
                           const struct cursor *cursor, uint32_t limit)
{
    uint32_t from = feed_after(normal, cursor->normal);
    uint32_t taken = normal->count - from;
    if (taken > 0 && feed_at(normal, from)->prev < cursor->normal) s->gap = true;
    if (taken > limit) {
        from = normal->count - limit;
        taken = limit;
    }
    for (uint32_t i = from; i < normal->count; i++) take(s, feed_at(normal, i));
    uint64_t passed = normal->tail_ordinal - cursor->normal_ordinal;
    bool ordinals_make_sense = normal->tail_ordinal >= cursor->normal_ordinal && passed >= taken;
    s->skipped = ordinals_make_sense ? passed - taken : 0;
    pass_normals(s, normal);
}

/* Takes from the end of both feeds, newest first, until `limit`: the numbers taken of each. */
static void newest_of_both(const struct feed feeds[LIST_KINDS], uint32_t limit,
                           uint32_t ret_taken[LIST_KINDS])
{
    uint32_t left[LIST_KINDS] = {feeds[LIST_HIGH].count, feeds[LIST_NORMAL].count};
    while (limit-- > 0 && left[LIST_HIGH] + left[LIST_NORMAL] > 0) {
        uint64_t high =
            left[LIST_HIGH] > 0 ? feed_at(&feeds[LIST_HIGH], left[LIST_HIGH] - 1)->id : 0;
        uint64_t normal =
            left[LIST_NORMAL] > 0 ? feed_at(&feeds[LIST_NORMAL], left[LIST_NORMAL] - 1)->id : 0;
        left[high > normal ? LIST_HIGH : LIST_NORMAL]--;
    }
    for (int list = 0; list < LIST_KINDS; list++) ret_taken[list] = feeds[list].count - left[list];
}

void select_join(const struct feed feeds[LIST_KINDS], uint32_t limit, uint32_t room_tag,
                 struct selection *ret)
{
    uint32_t taken[LIST_KINDS];
    begin(ret, room_tag);
    newest_of_both(feeds, limit, taken);
    for (int list = 0; list < LIST_KINDS; list++) {
        const struct feed *feed = &feeds[list];
        for (uint32_t i = feed->count - taken[list]; i < feed->count; i++)
            take(ret, feed_at(feed, i));
    }
    ret->next.high = feeds[LIST_HIGH].tail;
    pass_normals(ret, &feeds[LIST_NORMAL]);
}

/* The oldest high messages after the cursor. The first one's prev is the cursor's own place; where it lies before that,
 * the store has lost what the reader saw (and, for all we know, more). */
static void select_highs(struct selection *s, const struct feed *high, const struct cursor *cursor)
{
    uint32_t from = feed_after(high, cursor->high);
    uint32_t until = high->count - from > LIMIT_POLL_HIGH ? from + LIMIT_POLL_HIGH : high->count;
    if (from < until && feed_at(high, from)->prev < cursor->high) s->gap = true;
    for (uint32_t i = from; i < until; i++) take(s, feed_at(high, i));
    s->next.high = until > from ? feed_at(high, until - 1)->id : cursor->high;
}

enum select_result select_after(const struct feed feeds[LIST_KINDS], const struct cursor *cursor,
                                uint32_t limit, struct selection *ret)
{
    const struct feed *high = &feeds[LIST_HIGH], *normal = &feeds[LIST_NORMAL];
    if (cursor->high == high->tail && cursor->normal == normal->tail) return SELECT_NOTHING;
    if (cursor->high < high->floor) return SELECT_COLD;
    begin(ret, cursor->room);
    select_highs(ret, high, cursor);
    if (cursor->normal <= normal->tail)
        select_normals(ret, normal, cursor, limit);
    else
        stay_at_normal(ret, cursor);
    bool is_news = ret->count > 0 || ret->skipped > 0;
    return is_news ? SELECT_NEWS : SELECT_AHEAD;
}

/* The reader holds an id that the store has never reached: its newest part was lost. */
static bool is_beyond(uint64_t id, uint64_t tail, const struct feed *feed)
{
    return id > tail && id > feed->tail;
}

/* When the store had no more, the cursor passes its tail, even if retention has taken the last
 * ones: else the reader would be told the same gap for ever. */
static void select_cold_highs(struct selection *s, const struct cold_read *cold,
                              const struct cursor *cursor)
{
    s->next.high = cursor->high;
    for (uint32_t i = 0; i < cold->count && s->count < LIMIT_POLL_HIGH; i++) {
        take(s, cold->frames[i]);
        s->next.high = cold->frames[i]->id;
    }
    bool all = !cold->more && cold->count <= LIMIT_POLL_HIGH;
    if (all && s->next.high < cold->tail) s->next.high = cold->tail;
}

void select_cold(const struct feed feeds[LIST_KINDS], const struct cold_read *cold,
                 const struct cursor *cursor, uint32_t limit, struct selection *ret)
{
    struct cursor from = *cursor;
    begin(ret, cursor->room);
    if (is_beyond(from.high, cold->tail, &feeds[LIST_HIGH])) {
        ret->gap = true;
        from.high = cold->tail;
    }
    if (is_beyond(from.normal, cold->normal_tail, &feeds[LIST_NORMAL])) {
        ret->gap = true;
        from.normal = feeds[LIST_NORMAL].tail;
        from.normal_ordinal = feeds[LIST_NORMAL].tail_ordinal;
    }
    if (cold->trimmed > from.high) ret->gap = true;
    select_cold_highs(ret, cold, &from);
    if (from.normal <= feeds[LIST_NORMAL].tail)
        select_normals(ret, &feeds[LIST_NORMAL], &from, limit);
    else
        stay_at_normal(ret, &from);
}
