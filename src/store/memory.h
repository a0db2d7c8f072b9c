/* A store in memory, for tests and experiments: everything is gone with the process.
 *
 * No threads and no clock of its own: a call completes in the next store_dispatch(), in the order
 * of the calls, so the same calls give the same run. A dispatch finishes what was called before it;
 * what its callbacks call waits for the next. */
#ifndef STOA_STORE_MEMORY_H
#define STOA_STORE_MEMORY_H

#include "core/store.h"

struct store *memory_store_new(const struct store_config *config);
/* For tests: all is gone, as in a server that starts anew without its data. What is watched stays so,
 * and calls under way meet an empty store. */
void memory_store_lose_all(struct store *store);

#endif
