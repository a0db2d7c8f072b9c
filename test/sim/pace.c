#include "sim/pace.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "core/pacing.h"

void pace_reader_add(struct pace_reader *reader, const struct pace_turn *turn)
{
    if (reader->count == reader->cap) {
        reader->cap = reader->cap == 0 ? 64 : 2 * reader->cap;
        reader->turns = xrealloc(reader->turns, reader->cap * sizeof *reader->turns);
    }
    reader->turns[reader->count++] = *turn;
}

void pace_reader_deinit(struct pace_reader *reader)
{
    free(reader->turns);
    *reader = (struct pace_reader){0};
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The worker's own memory of this reader: its last answer, and the newest high message in any. */
static const struct pace_turn *last_of_worker(const struct pace_reader *reader, size_t until,
                                              uint32_t worker, uint64_t *ret_high)
{
    const struct pace_turn *last = NULL;
    *ret_high = 0;
    for (size_t i = 0; i < until; i++) {
        const struct pace_turn *turn = &reader->turns[i];
        if (turn->worker != worker) continue;
        last = turn;
        if (turn->high > *ret_high) *ret_high = turn->high;
    }
    return last;
}

static const char *check_worker(const struct pace_reader *reader, size_t at)
{
    uint64_t told_high;
    const struct pace_turn *turn = &reader->turns[at];
    const struct pace_turn *last = last_of_worker(reader, at, turn->worker, &told_high);
    if (last == NULL) return NULL;
    uint32_t apart_ms = least(last->pace_ms, turn->pace_ms);
    if (turn->brings_high && turn->high > told_high) apart_ms = least(apart_ms, PACE_HIGH_GAP_MS);
    return turn->answered_ms - last->answered_ms < apart_ms
               ? "a reader was answered sooner than the pace allows"
               : NULL;
}

static const struct pace_turn *last_received(const struct pace_reader *reader, size_t until)
{
    while (until-- > 0)
        if (!reader->turns[until].is_lost) return &reader->turns[until];
    return NULL;
}

static const char *check_cursor(const struct pace_reader *reader, size_t at)
{
    const struct pace_turn *turn = &reader->turns[at], *last = last_received(reader, at);
    if (!turn->is_honest || last == NULL) return NULL;
    uint32_t apart_ms = turn->pace_ms;
    if (turn->brings_high) apart_ms = least(apart_ms, PACE_HIGH_GAP_MS);
    return turn->answered_ms - last->answered_ms + PACE_SHARED_MS < apart_ms
               ? "a cursor was answered sooner than the pace allows"
               : NULL;
}

static const char *check_wait(const struct pace_turn *turn, int64_t slack_ms)
{
    int64_t waited_ms = turn->answered_ms - turn->polled_ms;
    return waited_ms > (int64_t)turn->timeout_ms + turn->longest_ms + slack_ms
               ? "a poll waited longer than its pace and its time-out"
               : NULL;
}

const char *pace_check(const struct pace_reader *reader, int64_t slack_ms, size_t *ret_turn)
{
    for (size_t i = 0; i < reader->count; i++) {
        *ret_turn = i;
        const char *wrong = check_worker(reader, i);
        if (wrong == NULL) wrong = check_cursor(reader, i);
        if (wrong == NULL) wrong = check_wait(&reader->turns[i], slack_ms);
        if (wrong != NULL) return wrong;
    }
    return NULL;
}
