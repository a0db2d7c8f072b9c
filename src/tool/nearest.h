/* "Did you mean": the known name that is closest to a mistyped one. */
#ifndef STOA_TOOL_NEAREST_H
#define STOA_TOOL_NEAREST_H

#include "base/str.h"

/* Single insertions, deletions, substitutions and swaps of neighbours between two names (optimal
 * string alignment; Damerau 1964). '-' and '_' count as the same. Names beyond NEAREST_MAX bytes
 * are infinitely far from everything. */
#define NEAREST_MAX 64
size_t nearest_distance(struct str a, struct str b);

/* Feed all known names to nearest_try(); then `best` is the closest one, NULL if none comes near.
 */
struct nearest {
    struct str wanted;
    const char *best; /* borrowed from nearest_try */
    size_t best_distance;
};

void nearest_init(struct nearest *n, struct str wanted);
void nearest_try(struct nearest *n, const char *name);

#endif
