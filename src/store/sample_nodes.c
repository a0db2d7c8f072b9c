#include "store/sample_nodes.h"

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int64_t end_of(const struct sample *sample)
{
    return sample->at_ms + sample->span_ms;
}

static void widen(struct sample *into, const struct sample *from)
{
    int64_t end_ms = end_of(into) > end_of(from) ? end_of(into) : end_of(from);

    if (from->at_ms < into->at_ms) into->at_ms = from->at_ms;
    into->span_ms = end_ms - into->at_ms;
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

/* The node's own place, or that of whoever ended last before this sample begins, or a new one. */
static size_t place_of(const struct sample_nodes *n, struct str node, int64_t at_ms)
{
    size_t place = n->count;

    for (size_t i = 0; i < n->count; i++) {
        int64_t end_ms = end_of(&n->of[i]);
        if (str_eq(str_of(n->nodes[i]), node)) return i;
        if (end_ms <= at_ms && (place == n->count || end_ms > end_of(&n->of[place]))) place = i;
    }
    return place;
}

static void put(struct sample_nodes *n, struct str node, const struct sample *sample)
{
    size_t i = place_of(n, node, sample->at_ms);

    if (i == LIMIT_ROOM_NODES || !str_copy(node, n->nodes[i], sizeof(n->nodes[i]))) return;
    if (i < n->count) {
        sample_merge(&n->of[i], sample);
    } else {
        n->of[i] = *sample;
        n->count++;
    }
}

static bool is_over(const struct sample_nodes *n, struct str node, const struct sample *sample)
{
    bool is_of_all = node.len == 0 || n->nodes[0][0] == '\0';

    return is_of_all ||
           sample_step(n->of[0].at_ms, SAMPLE_MS) != sample_step(sample->at_ms, SAMPLE_MS);
}

bool sample_nodes_add(struct sample_nodes *n, struct str node, const struct sample *sample,
                      struct sample *ret_sample)
{
    bool has_minute = n->count > 0 && is_over(n, node, sample);

    if (has_minute) sample_nodes_end(n, ret_sample);
    put(n, node, sample);
    return has_minute;
}
