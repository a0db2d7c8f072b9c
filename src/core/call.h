/* What goes between the threads: calls from a worker to the hub and back, and notes from the hub.
 *
 * A call is the worker's memory. It lends it to the hub, which fills in the outcome and sends the
 * same call back in a note, exactly once; then the worker frees it. At most LIMIT_CALLS_PER_WORKER
 * are out per worker, and the hub keeps that much of the note queue free for them: a call always
 * finds its way home.
 *
 * All other notes are hints about a state that the hub remembers per subscription; when the queue
 * is full the hub waits, and later sends what is still true. Rooms are named by the worker's own
 * handle (base/slots.h). */
#ifndef STOA_CORE_CALL_H
#define STOA_CORE_CALL_H

#include "base/list.h"
#include "core/frame.h"
#include "core/presence.h"
#include "core/room.h"
#include "core/routes.h"
#include "core/sample.h"
#include "core/viewers.h"

enum call_kind {
    CALL_SUBSCRIBE, /* in: room, sub, auto_create. out: record, start, online; then note by note */
    CALL_UNSUBSCRIBE, /* in: room, sub */
    CALL_PRESENCE, /* in: room, text: who came to, rests at, left this worker. out: found: whom the
                      full room did not take */
    CALL_LEAVE,    /* in: room, from: this user is gone, on every worker */
    CALL_COLD,     /* in: room, id: high messages after it. out: frames, range */
    CALL_APPEND,   /* in: room, message, key, sender's rights. out: id, prev, duplicate */
    CALL_HISTORY,  /* in: room, id, limit: messages before it. out: frames, newest first, more */
    CALL_ROOM_GET, /* in: room. out: record, online */
    CALL_ROOM_PUT, /* in: room, patch. out: record, online, created; with ERR_BAD_REQUEST routes:
                      there is no such sect */
    CALL_ROOM_CLOSE,   /* in: room. out: record, online */
    CALL_ROOM_LIST,    /* in: room ("app/after"), limit. out: items, more */
    CALL_ONLINE,       /* in: room. out: online, as_of */
    CALL_ONLINE_USERS, /* in: room, after, prefix, limit. out: found: a page of them, more, after */
    CALL_PING,         /* out: err */
    CALL_VIEWERS,      /* in: room, from_ms, to_ms (0: its whole life). out: viewers */
    CALL_SAMPLES,      /* in: room, from_ms, to_ms, step_ms, limit. out: samples, more */
    CALL_ROUTES,       /* out: routes: all nodes, and all assignments */
    CALL_ROOM_SECT,    /* in: room, patch.sect, auto_create. out: record.settings.sect, or with
                          ERR_BAD_REQUEST routes: there is no such sect */
};

/* Which members of a room's settings a PUT names. */
struct room_patch {
    struct room_settings settings;
    bool title, sect, slow_mode_s, max_body_bytes, normal_per_s, high_per_s, max_online;
};

struct room_item {
    char id[LIMIT_ROOM_ID + 1];
    struct room_record record;
    uint64_t online;
};

struct list_position {
    uint64_t id, ordinal;
};

struct call {
    struct list node; /* the holder's: hub or worker */
    void *holder;     /* the holder's own note to itself */
    enum call_kind kind;
    uint16_t worker;
    bool auto_create;
    char room[LIMIT_ROOM_KEY + 1];
    uint64_t origin; /* the worker's: what waits for this call (an exchange, or a waiter) */
    uint8_t variant; /* the worker's: how the outcome is written */
    bool tell_user;  /* the worker's: the sender learns the name that it was given */
    uint64_t sub;    /* the worker's handle of the room */

    /* Outcome. */
    int err;
    int64_t retry_after_ms;
    struct room_record record;
    uint64_t online;
    bool created, more, duplicate;
    bool is_counted;  /* record.unique says something */
    bool is_repeated; /* the hub's: carried out again, since the store had lost the room */

    /* Messages. */
    struct message message; /* strings in text */
    struct str key;
    bool no_user_rate; /* the sender is a back end */
    bool no_slow_mode; /* the sender is a back end or a host */
    uint32_t user_per_s, user_burst;
    int64_t taken_ms, last_normal_ms; /* the hub's, for slow mode */
    struct buf text; /* owned: what the strings of this call lie in; users of CALL_PRESENCE */

    /* Who is here. */
    bool is_asking; /* the worker's: it waits to hear whether the room takes those who came */
    struct str after, prefix; /* in text */
    struct buf found; /* owned: users, as written by presence_write() or online_user_write() */
    int64_t as_of_ms;

    /* Ranges. */
    uint64_t id;
    uint32_t limit;
    struct frame **frames; /* owned with its references; room for `limit`, made by the worker */
    uint32_t frame_count;
    uint64_t trimmed[LIST_KINDS], tail[LIST_KINDS]; /* of the lists in the store */
    struct list_position start[LIST_KINDS]; /* where the notes of a new subscription begin */

    struct room_patch patch;
    struct room_item *items; /* owned; room for `limit`, made by the worker */
    uint32_t item_count;

    /* Counting. */
    int64_t from_ms, to_ms, step_ms;
    int64_t asked_ms; /* the worker's: when that was */
    struct viewers_count viewers;
    struct sample *samples; /* owned */
    uint32_t sample_count;

    /* Nodes and sects. */
    struct routes *routes;                    /* owned */
    void (*next)(struct call *call, int err); /* the hub's: what it goes on with */
};

struct call *call_new(enum call_kind kind, struct str room);
void call_free(struct call *call);
/* Copies the strings of a message and a key into the call. */
void call_set_message(struct call *call, const struct message *message, struct str key);
/* Copies the query of CALL_ONLINE_USERS into the call. */
void call_set_query(struct call *call, struct str after, struct str prefix);
/* Makes room for `limit` frames. */
void call_set_frames(struct call *call, uint32_t limit);

/* Only PRESENCE_CAME brings somebody in: the others may cross with NOTE_LEAVE or a refusal. */
enum presence_event {
    PRESENCE_LEFT,
    PRESENCE_CAME,
    PRESENCE_RESTS, /* is here, but had no poll parked for PRESENCE_REST_MS */
    PRESENCE_BACK,  /* rests no more */
};

#define PRESENCE_REST_MS 2000 /* between two polls most users are away for less: not told */

/* Users of CALL_PRESENCE: one byte event, one byte length, the id. */
void presence_write(struct buf *users, enum presence_event event, struct str user);
bool presence_read(struct str *users, enum presence_event *ret_event, struct str *ret_user);
/* Users of CALL_ONLINE_USERS; workers are not written. */
void online_user_write(struct buf *users, const struct presence_user *user);
bool online_user_read(struct str *users, struct presence_user *ret_user);

enum note_kind {
    NOTE_CALL,    /* call, home */
    NOTE_FRAME,   /* frame: one more message; the note owns a reference */
    NOTE_RESTART, /* list starts anew behind position: the store lost its newest part */
    NOTE_ONLINE,  /* count */
    NOTE_RECORD,  /* record: owned, the room's settings or state changed */
    NOTE_LEAVE, /* user: owned text; the hub has let go of them: forget them, answer their polls */
    NOTE_LEAVE_AHEAD, /* the same, but the hub had not heard of them from this worker yet */
};

struct note {
    enum note_kind kind;
    enum list_kind list;
    uint64_t sub;
    union {
        struct call *call;
        struct frame *frame;
        struct list_position position;
        uint64_t count;
        struct room_record *record;
        char *user;
    };
};

/* Frees what an undelivered note owns (calls are the worker's own). */
void note_drop(struct note *note);

#endif
