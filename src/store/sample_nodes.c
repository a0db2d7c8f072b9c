#include "store/sample_nodes.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static void widen(struct sample *into, const struct sample *from)
{
    int64_t end_ms = into->at_ms + into->span_ms, from_end_ms = from->at_ms + from->span_ms;

    if (from->at_ms < into->at_ms) into->at_ms = from->at_ms;
    into->span_ms = (end_ms > from_end_ms ? end_ms : from_end_ms) - into->at_ms;
}

static void unite(struct sample *into, const struct sample *from)
{
    widen(into, from);
    into->joins += from->joins;
    into->online_ms = larger(into->online_ms, from->online_ms);
    into->online_peak = larger(into->online_peak, from->online_peak);
    into->unique = larger(into->unique, from->unique);
    for (int i = 0; i < LIST_KINDS; i++)
        into->messages[i] = larger(into->messages[i], from->messages[i]);
}

bool sample_nodes_end(struct sample_nodes *n, struct sample *ret_sample)
{
    if (n->count == 0) return false;
    *ret_sample = n->of[0];
    for (size_t i = 1; i < n->count; i++) unite(ret_sample, &n->of[i]);
    n->count = 0;
    return true;
}

static void put(struct sample_nodes *n, struct str node, const struct sample *sample)
{
    size_t i = 0;

    while (i < n->count && !str_eq(str_of(n->nodes[i]), node)) i++;
    if (i < n->count) {
        sample_merge(&n->of[i], sample);
        return;
    }
    if (i == LIMIT_ROOM_NODES || !str_copy(node, n->nodes[i], sizeof(n->nodes[i]))) return;
    n->of[i] = *sample;
    n->count++;
}

bool sample_nodes_add(struct sample_nodes *n, struct str node, const struct sample *sample,
                      struct sample *ret_sample)
{
    int64_t minute_ms = sample_step(sample->at_ms, SAMPLE_MS);
    bool is_over = n->count > 0 && sample_step(n->of[0].at_ms, SAMPLE_MS) != minute_ms;

    if (is_over) sample_nodes_end(n, ret_sample);
    put(n, node, sample);
    return is_over;
}
