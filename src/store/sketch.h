/* A sketch as a driver keeps it: Redis's dense string once it is dense, and before that its list of
 * registers, four bytes each in the order of the list, lower byte first. A room of few viewers then
 * costs bytes by their number and not 12 KiB. Which of the two it is, the length tells. */
#ifndef STOA_STORE_SKETCH_H
#define STOA_STORE_SKETCH_H

#include "base/buf.h"
#include "core/hll.h"

/* Replaces what is in the buffer. */
void sketch_pack(const struct hll *sketch, struct buf *ret);
/* Into an empty sketch. False, and it stays empty: these are not the bytes of one. */
bool sketch_unpack(struct str bytes, struct hll *ret_sketch);

/* What Redis holds, dense or sparse, into an empty sketch. False, and it stays empty: no sketch. */
bool sketch_read_redis(struct str bytes, struct hll *ret_sketch);

#endif
