/* The pace, held: from when on a waiter may be answered, and what a high message changes.
 *
 * Two memories, and the later one counts. The cursor says when its reader was last answered, wherever that was; so a
 * reader who moves between nodes keeps the pace. And the user's attendee remembers what this worker has given them: a
 * reader who joins anew each time, or sends old or forged cursors, gains nothing by it. A user with n polls parked has
 * the pace of n readers (generic cell rate algorithm: the next answer is due at worker_paced_ms(),
 * and may be early by as much as the other polls are owed; answers beside the pace, which break a
 * hold or end it, put it off by one interval at most).
 *
 * A high message breaks the hold of a user who was not told of it: an old cursor is always behind, but that is no news.
 * Whoever lost the answer with the message on the way waits for it as long as the pace says. */
#include "base/times.h"
#include "core/worker_internal.h"

uint32_t worker_interval(const struct worker_room *room)
{
    const struct worker *w = room->worker;
    uint64_t here = worker_here_count(room);
    uint64_t audience = room->online > here ? room->online : here;
    uint32_t by_audience = pace_by_audience(&w->config.pace, audience);
    return by_audience > w->load.interval_ms ? by_audience : w->load.interval_ms;
}

/* How much earlier than the pace says one of a user's polls may be answered. */
static int64_t credit_ms(const struct attendee *a, int64_t interval_ms)
{
    return (a->waiter_count - 1) * interval_ms / a->waiter_count;
}

/* For the answers of one user: interval apart, times the number of their polls. A poll that has waited for an interval
 * itself may always: n of those are the pace of n readers, too. */
static int64_t user_allows_at(const struct waiter *waiter, int64_t interval_ms)
{
    const struct attendee *a = waiter->attendee;
    if (a == NULL) return INT64_MIN;
    return earlier(worker_paced_ms(a) - credit_ms(a, interval_ms), waiter->came_ms + interval_ms);
}

/* An answer brings so many high messages from the waiter's place on: some of which this user was not told? */
static bool brings_new_high(const struct waiter *waiter)
{
    const struct feed *feed = &waiter->room->feeds[LIST_HIGH];
    uint64_t told = waiter->attendee->high, from = waiter->place.high;
    if (told >= feed->tail || from >= told) return told < feed->tail;
    return from >= feed->floor && feed_after(feed, told) - feed_after(feed, from) < LIMIT_POLL_HIGH;
}

static int64_t user_allows_high_at(const struct waiter *waiter)
{
    const struct attendee *a = waiter->attendee;
    if (a == NULL || a->high_left > 0) return INT64_MIN;
    return brings_new_high(waiter) ? a->answered_ms + PACE_HIGH_GAP_MS : INT64_MAX;
}

static int64_t cursor_allows_at(const struct waiter *waiter, int64_t interval_ms)
{
    if (waiter->rest_ms == WAITER_RESTED) return INT64_MIN;
    return waiter->came_ms - waiter->rest_ms + interval_ms;
}

/* INT64_MAX: there is none that this reader was not told of. */
static int64_t allows_high_at(const struct waiter *waiter)
{
    if (waiter->is_join || waiter->place.high >= waiter->room->feeds[LIST_HIGH].tail)
        return INT64_MAX;
    return later(user_allows_high_at(waiter), cursor_allows_at(waiter, PACE_HIGH_GAP_MS));
}

int64_t worker_allows_at(const struct waiter *waiter)
{
    int64_t interval_ms = worker_interval(waiter->room);
    if (interval_ms == 0) return INT64_MIN;
    int64_t allowed_ms =
        later(user_allows_at(waiter, interval_ms), cursor_allows_at(waiter, interval_ms));
    if (interval_ms <= PACE_HIGH_GAP_MS) return allowed_ms;
    int64_t high_ms = allows_high_at(waiter);
    return earlier(high_ms, allowed_ms);
}

void worker_hold(struct waiter *waiter, int64_t until_ms)
{
    struct worker_room *room = waiter->room;
    struct worker *w = room->worker;
    if (waiter->state != WAITER_HELD) {
        counter_add(&w->metrics.polls_held_total, 1);
        gauge_add(&w->metrics.polls_held, 1);
    }
    waiter->state = WAITER_HELD;
    list_remove(&waiter->node);
    list_push(&room->held, &waiter->node);
    wheel_arm(&w->waiter_wheel, &waiter->timer, until_ms);
}

static void count_high(struct attendee *a, const struct waiter *waiter, uint64_t high)
{
    if (high > a->high) {
        a->high = high;
        a->high_left = (uint8_t)(a->waiter_count - 1);
    } else if (a->high_left > 0 && waiter->place.high < high) {
        a->high_left--;
    }
}

void worker_count_answer(const struct waiter *waiter, uint64_t high)
{
    struct attendee *a = waiter->attendee;
    if (a == NULL) return;
    int64_t now_ms = waiter->room->worker->now_ms;
    int64_t interval_ms = worker_interval(waiter->room);
    int64_t paced_ms = earlier(later(worker_paced_ms(a), now_ms) + interval_ms / a->waiter_count,
                               now_ms + interval_ms + credit_ms(a, interval_ms));
    a->answered_ms = now_ms;
    a->pace_ms = (uint32_t)(paced_ms - now_ms); /* below two intervals */
    count_high(a, waiter, high);
}

/* Looks at each held one once per batch of high messages: they are all to be answered within PACE_HIGH_GAP_MS anyway. */
void worker_break_holds(struct worker_room *room)
{
    struct worker *w = room->worker;
    LIST_FOREACH_SAFE (node, &room->held) {
        struct waiter *waiter = CONTAINER_OF(node, struct waiter, node);
        int64_t allowed_ms = worker_allows_at(waiter);
        if (allowed_ms >= waiter->timer.due_ms) continue;
        counter_add(&w->metrics.holds_broken_total, 1);
        if (allowed_ms > w->now_ms) {
            wheel_arm(&w->waiter_wheel, &waiter->timer, allowed_ms);
        } else {
            list_remove(node);
            list_push(&room->due, node);
        }
    }
}
