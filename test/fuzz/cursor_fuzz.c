/* core/cursor.c: any text is refused, or is exactly the text that its cursor is written as. */
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "core/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* The tag that the text itself carries, so that the fuzzer need not guess it: bytes 1-4 behind the
 * version. */
static uint32_t tag_of(struct str text)
{
    struct cursor cursor;
    for (uint32_t tag = 0; tag < 4; tag++)
        if (cursor_decode(text, tag, &cursor) == OK) return tag;
    return cursor_room_tag(STR("dev/lobby"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct str text = str_make((const char *)bytes, len);
    uint32_t tag = tag_of(text);
    struct cursor cursor;
    char again[CURSOR_TEXT_LEN];

    if (cursor_decode(text, tag, &cursor) != OK) return 0;
    ASSERT(cursor.room == tag);
    cursor_encode(&cursor, again);
    ASSERT(len == CURSOR_TEXT_LEN && memcmp(bytes, again, len) == 0);
    ASSERT(cursor_decode(text, tag + 1, &cursor) == ERR_BAD_CURSOR);
    return 0;
}
