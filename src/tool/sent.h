/* What a replay has sent: the reference that every viewer is checked against.
 *
 * One list (high or normal) has at most one message under way, so its acknowledged ids come in
 * order and are kept in an array. A viewer often sees a message before its sender sees the
 * acknowledgement: then it is told by its content, and the id is noted in `pending` and compared
 * when the acknowledgement comes. 24 bytes a message. Single thread. */
#ifndef STOA_TOOL_SENT_H
#define STOA_TOOL_SENT_H

#include "tool/poll_scan.h"

struct sent_message {
    uint64_t id;
    uint64_t content; /* poll_scan_content() */
    int64_t sent_us;  /* CLOCK_MONOTONIC */
};

struct sent_list {
    struct sent_message *messages; /* acknowledged, by id; owned */
    size_t count, cap;
    bool under_way;
    struct sent_message pending; /* the one under way; id: 0, or what a viewer has seen it with */
    uint64_t stranger_id;        /* seen meanwhile with a content that is not ours; 0: none */
};

struct sent {
    struct sent_list list[LIST_KINDS];
    uint64_t wrong_content; /* seen with an id of ours and another content; each time it is seen */
    uint64_t stored_twice;  /* a message of ours with a second id */
    uint64_t foreign;       /* others' messages, each time one is seen; room.* do not count */
};

enum sent_verdict {
    SENT_OURS,
    SENT_WRONG,   /* our id, not our content */
    SENT_TWICE,   /* our content again, under another id */
    SENT_FOREIGN, /* not from this replay: somebody else's, or the server's own */
};

/* A message goes out now. Again, after it was refused: then sent_us starts anew. */
void sent_begin(struct sent *s, enum list_kind list, uint64_t content, int64_t now_us);
/* The message under way was acknowledged with this id. */
void sent_acknowledge(struct sent *s, enum list_kind list, uint64_t id);
/* The message under way was refused for good. */
void sent_drop(struct sent *s, enum list_kind list);
/* A viewer sees a message. SENT_OURS: *ret_sent_us is when it went out. Counts the other verdicts.
 */
enum sent_verdict sent_look(struct sent *s, const struct poll_message *message,
                            int64_t *ret_sent_us);
/* Id of the last one acknowledged, 0: none. */
uint64_t sent_last_id(const struct sent *s, enum list_kind list);
void sent_deinit(struct sent *s);

#endif
