#include "core/sample.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void sample_merge(struct sample *into, const struct sample *from)
{
    int64_t end_ms = into->at_ms + into->span_ms, from_end_ms = from->at_ms + from->span_ms;
    if (from->at_ms < into->at_ms) into->at_ms = from->at_ms;
    into->span_ms = (end_ms > from_end_ms ? end_ms : from_end_ms) - into->at_ms;
    into->online_ms += from->online_ms;
    into->online_peak = larger(into->online_peak, from->online_peak);
    into->joins += from->joins;
    for (int list = 0; list < LIST_KINDS; list++) into->messages[list] += from->messages[list];
    into->unique = larger(into->unique, from->unique);
}

bool sample_is_empty(const struct sample *sample)
{
    return sample->online_peak == 0 && sample->joins == 0 && sample->messages[LIST_HIGH] == 0 &&
           sample->messages[LIST_NORMAL] == 0;
}

int64_t sample_step(int64_t at_ms, int64_t step_ms)
{
    return at_ms - at_ms % step_ms;
}
