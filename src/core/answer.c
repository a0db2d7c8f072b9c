#include "core/answer.h"

#include "base/json_write.h"

void answer_write(struct buf *out, const struct answer *answer)
{
    char cursor[CURSOR_TEXT_LEN];
    cursor_encode(&answer->cursor, cursor);
    buf_printf(out, "{\"cursor\":\"%.*s\",\"messages\":[", CURSOR_TEXT_LEN, cursor);
    for (uint32_t i = 0; i < answer->count; i++) {
        if (i > 0) buf_add_char(out, ',');
        buf_add_str(out, frame_json(answer->frames[i]));
    }
    buf_printf(out, "],\"online\":%llu,\"poll_after_ms\":%u,\"skipped\":%llu,\"gap\":",
               (unsigned long long)answer->online, answer->poll_after_ms,
               (unsigned long long)answer->skipped);
    json_write_bool(out, answer->gap);
    if (answer->user.len > 0) {
        buf_add_lit(out, ",\"user\":");
        json_write_string(out, answer->user);
    }
    buf_add_char(out, '}');
}
