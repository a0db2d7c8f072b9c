/* What the functions in Redis pack with struct.pack: numbers, lower byte first, and strings behind
 * their length. A reader that runs over the end is broken, gives zeros and empty strings from there on,
 * and says so: what comes from the network is never trusted. Any thread. */
#ifndef STOA_STORE_REDIS_BYTES_H
#define STOA_STORE_REDIS_BYTES_H

#include "core/message.h"

struct redis_bytes {
    struct str rest; /* borrowed */
    bool is_broken;
};

uint64_t bytes_u(struct redis_bytes *b, size_t size_bytes); /* 1 .. 8 */
/* An id: milliseconds in eight bytes, n in four. */
uint64_t bytes_id(struct redis_bytes *b);
/* A string behind its length of so many bytes. */
struct str bytes_str(struct redis_bytes *b, size_t size_bytes);
/* A message as a room's channel has it. Its strings are borrowed. */
struct message bytes_message(struct redis_bytes *b);

#endif
