#include "tool/nearest.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))

static char folded(struct str s, size_t i)
{
    return s.ptr[i] == '-' ? '_' : s.ptr[i];
}

size_t nearest_distance(struct str a, struct str b)
{
    size_t cost[NEAREST_MAX + 1][NEAREST_MAX + 1];
    if (a.len > NEAREST_MAX || b.len > NEAREST_MAX) return SIZE_MAX;
    for (size_t i = 0; i <= a.len; i++) cost[i][0] = i;
    for (size_t j = 0; j <= b.len; j++) cost[0][j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        for (size_t j = 1; j <= b.len; j++) {
            bool same = folded(a, i - 1) == folded(b, j - 1);
            size_t step = MIN(cost[i - 1][j], cost[i][j - 1]) + 1;
            step = MIN(step, cost[i - 1][j - 1] + !same);
            bool swapped = i > 1 && j > 1 && folded(a, i - 1) == folded(b, j - 2) &&
                           folded(a, i - 2) == folded(b, j - 1);
            cost[i][j] = swapped ? MIN(step, cost[i - 2][j - 2] + 1) : step;
        }
    }
    return cost[a.len][b.len];
}

void nearest_init(struct nearest *n, struct str wanted)
{
    *n = (struct nearest){.wanted = wanted, .best_distance = SIZE_MAX};
}

void nearest_try(struct nearest *n, const char *name)
{
    size_t distance = nearest_distance(n->wanted, str_of(name));
    /* A third of the name may be wrong; beyond that a suggestion confuses more than it helps. */
    if (distance > 1 + n->wanted.len / 3 || distance >= n->best_distance) return;
    n->best = name;
    n->best_distance = distance;
}
