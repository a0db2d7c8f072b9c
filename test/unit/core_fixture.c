#include "unit/core_fixture.h"

#include <string.h>

#include "base/buf.h"

uint64_t fixture_id(enum list_kind list, uint64_t number)
{
    return number == 0 ? 0 : number * 2 + (list == LIST_NORMAL);
}

uint64_t fixture_number(enum list_kind list, uint64_t id)
{
    assert_true(id == 0 || id % 2 == (list == LIST_NORMAL));
    return id / 2;
}

/* A JSON number; what is wanted in length is zeros behind its point. */
static void write_body(struct buf *body, uint64_t number, size_t body_bytes)
{
    buf_add_u64(body, number);
    if (body->len + 2 <= body_bytes) buf_add_lit(body, ".0");
    while (body->len < body_bytes) buf_add_char(body, '0');
}

struct frame *fixture_frame(struct frame_bin *bin, enum list_kind list, uint64_t number,
                            size_t body_bytes)
{
    struct buf body = {0};
    write_body(&body, number, body_bytes);
    struct message message = {.id = fixture_id(list, number),
                              .prev = fixture_id(list, number - 1),
                              .ordinal = number,
                              .list = list,
                              .type = STR("text"),
                              .from = STR("alice"),
                              .body = buf_str(&body)};
    struct frame *frame = frame_new(&message, bin);
    buf_deinit(&body);
    return frame;
}

void fixture_fill(struct feed *feed, struct frame_bin *bin, enum list_kind list, uint64_t first,
                  uint64_t last)
{
    if (feed->tail != fixture_id(list, first - 1))
        feed_restart(feed, fixture_id(list, first - 1), first - 1);
    for (uint64_t number = first; number <= last; number++) {
        struct frame *frame = fixture_frame(bin, list, number, 0);
        assert_int_equal(feed_append(feed, frame), FEED_APPLIED);
        frame_unref(frame);
    }
}
