/* A reader's position in one room: the only state that a client holds.
 *
 * Opaque to clients. Inside: the last high id, the last normal id with its ordinal (for counting
 * what was skipped), and when the answer was given. `room` is a tag of the room's name, so that a
 * cursor of another room is refused and does not silently skip. Any node can serve any cursor. */
#ifndef STOA_CORE_CURSOR_H
#define STOA_CORE_CURSOR_H

#include "core/message.h"

struct cursor {
    uint64_t high;
    uint64_t normal;
    uint64_t normal_ordinal;
    int64_t at_ms;
    uint32_t room;
};

#define CURSOR_BYTES    37
#define CURSOR_TEXT_LEN 50 /* base64url of CURSOR_BYTES */

uint32_t cursor_room_tag(struct str room_key);
void cursor_encode(const struct cursor *cursor, char ret_text[CURSOR_TEXT_LEN]);
/* 0, or ERR_BAD_CURSOR: not a cursor of this version, or of another room. */
int cursor_decode(struct str text, uint32_t room_tag, struct cursor *ret_cursor);

#endif
