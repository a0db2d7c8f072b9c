/* A message encoded once: immutable JSON, shared by every room copy and every answer that holds it.
 * Behind the JSON lie its short texts as they were, for other nodes, which get the message and not
 * our encoding of it.
 *
 * Made by the hub, read by all workers. The count is atomic, the only atomic on the read path. The
 * last holder does not free, but drops the frame into the bin it came with, which the hub empties:
 * memory is given back on the thread that took it, so that no worker ever waits for another
 * thread's allocator lock. */
#ifndef STOA_CORE_FRAME_H
#define STOA_CORE_FRAME_H

#include <stdatomic.h>

#include "core/message.h"

struct frame {
    atomic_uint refs;
    uint32_t len;
    uint64_t id, prev, ordinal;
    struct frame_bin *bin;
    struct frame *next_dead;
    enum list_kind list;
    bool is_control; /* type room.* */
    uint32_t type_len, from_len, name_len, body_len;
    char json[]; /* one object, not terminated; then type, from and name */
};

/* Dead frames, pushed by any thread (a Treiber stack that is only ever taken whole, so no ABA). */
struct frame_bin {
    _Atomic(struct frame *) dead;
};

/* Encodes. The caller owns the first reference. The bin must outlive all its frames. */
struct frame *frame_new(const struct message *message, struct frame_bin *bin);
struct frame *frame_ref(struct frame *frame);
void frame_unref(struct frame *frame); /* any thread; NULL is fine */
struct str frame_json(const struct frame *frame);
/* What it was made of; texts are borrowed from the frame. */
struct message frame_message(const struct frame *frame);
/* Frees what has died. One thread, the one that makes the frames. Returns how many. */
size_t frame_bin_empty(struct frame_bin *bin);

#endif
