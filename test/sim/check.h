/* What must be true of every run, checked after it: a pure function of what was stored, what
 * readers were told, and what senders were told. Knows nothing of hubs and workers, so it cannot
 * share their mistakes.
 *
 * The rules, each with the text that is returned when it is broken (check_test.c breaks each):
 *   - a reader that keeps polling gets every high message once and in order;
 *   - it gets normal ones in order, none twice, and received + skipped = stored;
 *   - it gets nothing that was not stored, and nothing is stored that was not sent;
 *   - a gap is told exactly where retention took something that it had not read;
 *   - an empty answer comes at the time-out and not before;
 *   - what it waits for reaches it in time;
 *   - in the end it has seen all. */
#ifndef STOA_TEST_SIM_CHECK_H
#define STOA_TEST_SIM_CHECK_H

#include "base/buf.h"
#include "core/cursor.h"
#include "core/store.h"

/* --- what was stored -------------------------------------------------------------------------- */

#define CHECK_CONTROL UINT64_MAX /* the body of a message that the server made itself */

struct check_message {
    uint64_t id;
    uint64_t body; /* a number that names the message, or CHECK_CONTROL */
};

struct check_room {
    struct check_message *messages[LIST_KINDS]; /* in id order */
    size_t count[LIST_KINDS];
    size_t cap[LIST_KINDS];
    struct store_retention retention[LIST_KINDS];
};

/* Owned by the room. Ids must rise. */
void check_room_add(struct check_room *room, enum list_kind list, uint64_t id, uint64_t body);
void check_room_deinit(struct check_room *room);

/* --- what a reader was told ------------------------------------------------------------------- */

struct check_entry {
    enum list_kind list;
    uint64_t id;
    uint64_t body;
};

struct check_answer {
    bool is_join;
    uint32_t limit, timeout_ms;
    int64_t polled_ms, answered_ms;
    int64_t waiting_since_ms; /* since then the reader was never away */
    struct cursor cursor;
    uint64_t skipped;
    bool gap;
    struct check_entry *entries;
    size_t count;
};

struct check_reader {
    struct check_answer *answers;
    size_t count;
    size_t cap;
};

/* Copies the answer and its entries. */
void check_reader_add(struct check_reader *reader, const struct check_answer *answer);
void check_reader_deinit(struct check_reader *reader);

/* --- what a sender was told ------------------------------------------------------------------- */

enum check_outcome {
    CHECK_PENDING, /* not known yet; at the end of a run none may be */
    CHECK_STORED,
    CHECK_REFUSED,
    CHECK_UNKNOWN, /* it had no key, so that it could not be repeated: stored once or not at all */
};

struct check_send {
    enum check_outcome outcome;
    enum list_kind list;
    uint64_t id; /* as acknowledged */
};

/* --- the rules -------------------------------------------------------------------------------- */

struct check_rules {
    int64_t
        latency_ms; /* from stored, or from the reader's coming back, to answered; 0: no limit */
    int64_t high_latency_ms; /* the same for high messages alone; 0: as latency_ms */
    int64_t
        pace_slack_ms; /* the pace is checked (pace.h), with turns of workers this late; 0: is not */
    bool empty_before_timeout; /* allowed: users leave, or have too many polls */
};

/* NULL, or what is wrong (a static text) and in which answer. */
const char *check_answers(const struct check_room *room, const struct check_reader *reader,
                          const struct check_rules *rules, size_t *ret_answer);
/* The last cursor is at both tails. */
const char *check_has_seen_all(const struct check_room *room, const struct check_reader *reader);
/* sends[body] is the message of that number; all messages of all rooms, but control messages, are
 * among them. */
const char *check_sends(const struct check_room *rooms, size_t room_count,
                        const struct check_send *sends, size_t send_count);

#endif
