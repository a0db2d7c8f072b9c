/* What the parts of the worker share: worker.c (entries, calls, timers), worker_room.c (room
 * copies, notes), worker_wait.c (polls, waiters, serving), worker_hold.c (the pace),
 * worker_answer.c (answers, shared and not), worker_presence.c (who is here).
 *
 * Life of a waiter:
 *
 *   (new) --> ENTERING --room is ready--> HELD --its pace allows--> PARKED --news--> answered (freed)
 *                                          |                          |
 *                                          '------old cursor----------'--> COLD --the hub has read--> answered
 *
 * HELD ones are in their room's list `held`, each with a timer; a high message shortens their hold.
 * PARKED ones are in `parked`: any news moves the whole list to `due`, whose members are looked at
 * in slices, and go back if there is nothing for them. Any state ends by time-out (but not before
 * the pace allows), cancel (the client went), eviction (its user has too many), or the end of the
 * room. */
#ifndef STOA_CORE_WORKER_INTERNAL_H
#define STOA_CORE_WORKER_INTERNAL_H

#include "base/map.h"
#include "base/rng.h"
#include "base/slots.h"
#include "base/wheel.h"
#include "core/quota.h"
#include "core/worker.h"

#define WORKER_ROOM_IDLE_MS   10000 /* an unused copy is kept this long */
#define WORKER_SHARED_ANSWERS 4     /* different cursors that are in step at once, per room */
#define WORKER_RETRY_MS       1000  /* told to clients who are refused for now */
#define WAITER_RESTED         UINT16_MAX
#define WORKER_AHEAD_MS       1500  /* a copy catches up in that time, if there is anything to */
#define WORKER_ENTER_MS       10000 /* the longest wait for a room to become ready */

struct worker_room;
struct attendee;

struct worker {
    struct worker_config config;
    struct map rooms;
    struct slots room_handles;
    struct slots waiters;
    struct wheel waiter_wheel, attendee_wheel,
        room_wheel; /* one each, so that a timer needs no kind */
    struct rng rng;
    struct pace_load load;
    uint32_t over_steps;     /* of the load, in a row, in which longer holds were not enough */
    uint32_t capacity;       /* answers a second that this thread can give, as measured */
    uint64_t answers_before; /* at the last step of the load */
    struct bucket allowance; /* a fan-out larger than a second's capacity is spread over more */
    bool is_spreading;       /* since the last step of the load the allowance was used up */
    int64_t now_ms;          /* of the current entry */
    struct list serving;     /* rooms with due waiters, taking turns */
    struct list changed;     /* rooms whose presence the hub has to be told */
    uint32_t calls_out;
    bool wake_hub;
    bool is_draining;
    uint32_t drain_spread_ms;
    struct selection selection; /* scratch: too large for the stack of each answer */
    struct worker_metrics metrics;
};

/* Where a reader is: core/cursor.h without what the room and the clock know. */
struct place {
    uint64_t high, normal, normal_ordinal;
};

/* An answer that all waiters with the same cursor, limit and variant get. */
struct shared_answer {
    struct place place; /* the waiter's, not the answer's */
    uint64_t high;      /* up to which it tells of high messages */
    uint8_t limit;
    uint8_t variant;
    uint32_t messages;
    uint64_t skipped;
    bool gap;
    int64_t encoded_ms;
    struct blob *wire; /* NULL: unused */
};

enum worker_room_state { WORKER_ROOM_ENTERING, WORKER_ROOM_READY };

struct worker_room {
    struct worker *worker;
    enum worker_room_state state;
    struct str key; /* "app/room", in name */
    uint64_t handle;
    uint32_t tag; /* of its cursors */
    struct room_record record;
    struct feed feeds[LIST_KINDS];
    uint64_t online;
    struct list held;   /* waiters whose pace does not allow an answer yet */
    struct list parked; /* waiters that any news answers, the oldest first */
    struct list due;    /* waiters to look at in the next slices */
    struct list cold;   /* waiters for which the hub was asked: to read the store, or for a place */
    uint32_t waiter_count;
    bool has_high; /* a high message has come since the held ones were last looked at */
    struct list serving_node;
    struct shared_answer shared[WORKER_SHARED_ANSWERS];
    uint32_t shared_next;
    struct map attendees;
    uint32_t left_count; /* attendees that have left */
    struct list changed_node;
    struct attendee **changed; /* owned: those whose coming or going the hub does not know yet */
    uint32_t changed_count, changed_cap;
    bool presence_call_is_out;
    struct timer idle_timer;
    char name[LIMIT_ROOM_KEY + 1];
};

enum waiter_state { WAITER_ENTERING, WAITER_HELD, WAITER_PARKED, WAITER_COLD };

/* 120 bytes: a large room has a million of these (docs/performance.md). */
struct waiter {
    struct list node;         /* in a list of its room; in none while COLD */
    struct waiter *user_next; /* in its attendee, the oldest first */
    struct timer timer;       /* HELD: when its pace allows an answer; else when its time is up */
    struct worker_room *room;
    struct attendee *attendee; /* NULL: nobody's */
    uint64_t handle;
    uint64_t exchange;
    struct place place;
    int64_t came_ms;
    uint16_t timeout_ms; /* at most a minute */
    uint16_t rest_ms; /* since the answer before, when it came; WAITER_RESTED: long ago, or never */
    uint8_t limit;    /* LIMIT_POLL_NORMAL is below 256 */
    uint8_t variant;
    uint8_t state; /* enum waiter_state */
    bool is_join : 1;
    bool is_ahead : 1; /* of this copy: the timer is set to when the store is asked */
    bool tell_user : 1;
};

/* A user who is here: polls parked, or lingering after the last one. 64 bytes and the id. */
struct attendee {
    struct waiter *waiters;    /* the oldest first */
    struct timer linger_timer; /* the next of: rests, has left, is forgotten */
    struct worker_room *room;
    int64_t answered_ms;  /* the last time */
    uint64_t high;        /* the newest high message they were told of */
    uint32_t pace_ms;     /* see worker_paced_ms() */
    uint8_t high_left;    /* polls that were parked beside the one that was told, and may be, too */
    uint8_t waiter_count; /* at most LIMIT_POLLS_PER_USER + 1 */
    uint8_t told : 2;     /* enum presence_event: LEFT, CAME or RESTS, as the hub was told last */
    bool is_changed : 1;  /* in the room's list `changed` */
    bool is_asking : 1;   /* the hub has not said yet whether the room takes this user */
    bool is_resting : 1;  /* no poll since PRESENCE_REST_MS */
    bool has_left : 1;    /* not here any more: freed when the hub was told and the pace is over */
    uint8_t len;
    char user[];
};

/* When the next answer is due at this user's pace (GCRA, ITU-T I.371). */
static inline int64_t worker_paced_ms(const struct attendee *attendee)
{
    return attendee->answered_ms + attendee->pace_ms;
}

/* worker.c */
/* Sends a call that the worker itself takes home. When too many are out it is freed, and
 * ERR_OVERLOADED returned. */
int worker_send_own(struct worker *w, struct call *call);

/* worker_room.c */
/* The copy of a room; a new one begins to subscribe. NULL: the hub cannot be asked now. */
struct worker_room *worker_room_enter(struct worker *w, struct str key, bool auto_create);
void worker_room_free(struct worker_room *room);
void worker_room_subscribed(struct worker *w, const struct call *call);
void worker_room_note(struct worker *w, struct note *note);
/* Called when the last waiter or attendee has gone: the copy may go after a while. */
void worker_room_rest(struct worker_room *room);
timer_cb worker_room_idle_fire;

/* worker_hold.c */
/* The least time between two answers to one client of this room. */
uint32_t worker_interval(const struct worker_room *room);
/* From when on the pace allows to answer this waiter. */
int64_t worker_allows_at(const struct waiter *waiter);
void worker_hold(struct waiter *waiter, int64_t until_ms);
/* The user of this waiter is answered now, and told of high messages up to this one. */
void worker_count_answer(const struct waiter *waiter, uint64_t high);
/* A high message has come: who may be told is due, the others will be as soon as they may. */
void worker_break_holds(struct worker_room *room);

/* worker_answer.c: each ends the waiter */
void worker_refuse(struct waiter *waiter, int err, int64_t retry_after_ms);
void worker_answer_join(struct waiter *waiter);
void worker_answer_alone(struct waiter *waiter, const struct selection *s, uint32_t poll_after_ms);
void worker_answer_shared(struct waiter *waiter, const struct selection *s);
/* False, if nobody with the same cursor was answered just now. */
bool worker_answer_again(struct waiter *waiter, bool has_news);
void worker_answer_time_out(struct waiter *waiter);
void worker_answer_empty(struct waiter *waiter, uint32_t poll_after_ms);
void worker_forget_shared(struct worker_room *room);
struct cursor worker_cursor(const struct waiter *waiter);

/* worker_wait.c */
/* Those who wait for a place go on, or are refused, now that the hub has answered. */
void worker_room_admit(struct worker_room *room);
/* Everybody who may be answered is due; after a high message also those who are held. */
void worker_room_news(struct worker_room *room, bool is_high);
void worker_cold_read(struct worker *w, const struct call *call);
void worker_refuse_all(struct worker_room *room, int err, int64_t retry_after_ms);
void worker_waiter_free(struct waiter *waiter);
timer_cb worker_waiter_fire;

/* worker_presence.c */
void worker_attend(struct worker_room *room, struct waiter *waiter, struct str user);
void worker_unattend(struct waiter *waiter);
void worker_mark_changed(struct attendee *attendee);
/* Here, or not any more. */
void worker_set_left(struct attendee *attendee, bool has_left);
/* How many users are here by what this worker knows. */
uint32_t worker_here_count(const struct worker_room *room);
/* The room has a place for this user, by the word of the hub. */
bool worker_is_admitted(const struct attendee *attendee);
/* By POST leave. Where the hub did not know of them from here, it is told that they left. */
void worker_user_left(struct worker_room *room, struct str user, bool hub_knows);
void worker_tell_presence(struct worker *w);
void worker_presence_told(struct worker *w, const struct call *call);
void worker_presence_deinit(struct worker_room *room);
struct str worker_attendee_key(const void *attendee);
timer_cb worker_linger_fire;

#endif
