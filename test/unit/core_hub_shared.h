/* A hub whose store other nodes share: a room that worker 0 listens to, users who come here and at
 * other nodes, and what the store and readers are told of them. */
#ifndef STOA_TEST_UNIT_CORE_HUB_SHARED_H
#define STOA_TEST_UNIT_CORE_HUB_SHARED_H

#include "unit/core_hub_fixture.h"

int hub_shared_setup(void **state);
/* How many are in the room, as the store has it. */
uint64_t hub_stored(struct hub_fixture *f);
/* And as worker 0 was told last. */
uint64_t hub_told(struct hub_fixture *f);
/* Another node says this of a user; NULL: of them at all nodes. */
void hub_put_elsewhere(struct hub_fixture *f, const char *node, struct store_present user);
/* Another node names users "e<from>" to "e<to - 1>". */
void hub_name_elsewhere(struct hub_fixture *f, const char *node, int from, int to, bool is_gone);

#endif
