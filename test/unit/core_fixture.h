/* What the tests of core/ share: messages, frames and feeds made by hand.
 *
 * Message number i of a list has ordinal i, the body `i`, and the id fixture_id(list, i); so ids of
 * both lists interleave, and a test can name a message by its list and number alone. */
#ifndef STOA_TEST_UNIT_CORE_FIXTURE_H
#define STOA_TEST_UNIT_CORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "core/feed.h"

#define FIXTURE_START_MS 1732441234567

/* 0 for number 0, which is "before the first". */
uint64_t fixture_id(enum list_kind list, uint64_t number);
/* Number i of a list, whose body is as long as asked (0: just its number). */
struct frame *fixture_frame(struct frame_bin *bin, enum list_kind list, uint64_t number,
                            size_t body_bytes);
/* Appends numbers first .. last. The feed must end at first - 1, or begins there. */
void fixture_fill(struct feed *feed, struct frame_bin *bin, enum list_kind list, uint64_t first,
                  uint64_t last);
/* The number behind an id of that list. */
uint64_t fixture_number(enum list_kind list, uint64_t id);

#endif
