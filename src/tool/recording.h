/* A recorded chat: newline-delimited JSON, one message a line, in the order of time.
 *
 *   {"t_ms":874,"user":"u7","type":"gift","body":{"gift":"fireworks","count":66},"priority":"high"}
 *
 * t_ms counts from the start. type is "text" and priority "normal" where they are absent. Other
 * members are ignored, and so are empty lines. */
#ifndef STOA_TOOL_RECORDING_H
#define STOA_TOOL_RECORDING_H

#include <stdio.h>

#include "base/buf.h"
#include "core/message.h"

struct recorded {
    uint32_t t_ms;
    enum list_kind list;
    struct str type, from, body; /* body is compact JSON; borrowed from the recording */
};

struct recording {
    struct recorded *messages; /* owned */
    size_t count;
    struct buf text; /* what the strings point into */
};

/* 0, or -1 and "path:line: …" in why; then there is nothing to free. An empty recording is an
 * error. */
int recording_read(FILE *file, const char *path, struct recording *ret, struct buf *why);
void recording_deinit(struct recording *r);

#endif
