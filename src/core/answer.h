/* The object that readers get (docs/protocol.md), as JSON; the same for polls and streams. */
#ifndef STOA_CORE_ANSWER_H
#define STOA_CORE_ANSWER_H

#include "base/buf.h"
#include "core/select.h"

struct answer {
    struct frame *const *frames;
    uint32_t count;
    uint64_t skipped;
    bool gap;
    struct cursor cursor;
    uint64_t online;
    uint32_t poll_after_ms;
    struct str user; /* the name that an anonymous reader was given, told once; else empty */
};

void answer_write(struct buf *out, const struct answer *answer);

#endif
