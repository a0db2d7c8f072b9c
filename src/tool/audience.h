/* Viewers: clients that join a room, poll it, and check what they are given.
 *
 * Each joins, then polls as the protocol says: again at once, or after poll_after_ms; after a lost
 * connection or a refusal that passes (429, 5xx) it backs off and goes on with the cursor that it
 * holds, at the next of the addresses. What it checks: ids of a list strictly increase. What it
 * counts: messages received, and those that the server says it skipped. An answer counts when it
 * has come whole: if the connection breaks within, the same messages rightly come again.
 *
 * Used by replay (every message is checked) and bench (numbers). A viewer is about 600 bytes and no
 * buffer. Single thread, the client's. */
#ifndef STOA_TOOL_AUDIENCE_H
#define STOA_TOOL_AUDIENCE_H

#include "base/counter.h"
#include "base/rng.h"
#include "tool/client.h"
#include "tool/poll_scan.h"
#include "tool/protocol.h"

/* What one viewer has got since it joined. */
struct viewer_tally {
    uint64_t last_id[LIST_KINDS];
    uint64_t received[LIST_KINDS];
    uint64_t repeated[LIST_KINDS];     /* an id that an earlier answer, or this one, went past */
    uint64_t out_of_order[LIST_KINDS]; /* an id below the one before it in the same answer, or high
                                          behind normal */
    uint64_t skipped;                  /* normal messages, as told by the server */
    uint64_t gaps;                     /* answers that told of one */
};

/* All viewers of an audience together. May lie in memory shared with another process, which reads.
 */
struct audience_counts {
    struct counter joined;
    struct counter polls; /* answered, joins included */
    struct counter received[LIST_KINDS];
    struct counter skipped, repeated, out_of_order, gaps;
    struct counter lost_connections, timeouts;
    struct counter put_off;  /* 429 and 503: to come back later */
    struct counter errors;   /* other statuses, and answers that make no sense */
    struct counter given_up; /* viewers that were refused for good */
};

struct audience;
struct viewer;
struct reading;

struct audience_events {
    /* One message of an answer that is coming in. Returns whether it counts as received; order is
     * checked in any case. With an answer that breaks off it is told again later. */
    bool (*on_message)(struct viewer *viewer, const struct poll_message *message);
    /* Refused for good: 4xx but 429 and 408. */
    void (*on_refused)(struct viewer *viewer, int status, const char *code);
};

struct audience_config {
    struct client *client;   /* borrowed */
    const struct urls *urls; /* borrowed; viewers are spread over them */
    enum protocol protocol;  /* of the servers there; PROTOCOL_STOA when zeroed */
    const char *key;         /* of the app */
    const char *name_prefix; /* viewers are called PREFIX-N */
    uint32_t first_number;   /* N of the first */
    uint32_t timeout_s;      /* of a poll */
    bool want_content;       /* messages come with the hash of their content */
    const struct audience_events *events;
    void *arg;                      /* for the events: viewer->audience->config.arg */
    struct audience_counts *counts; /* borrowed, zeroed */
    const char *const *rooms;       /* borrowed; viewer i is in room i % room_count */
    uint32_t room_count;
};

enum viewer_state {
    VIEWER_NEW,
    VIEWER_ASKING, /* a request is under way */
    VIEWER_PAUSED, /* will ask when the timer is due */
    VIEWER_GONE,   /* refused for good, or stopped */
};

struct viewer {
    struct audience *audience;
    struct client_conn conn;
    struct client_timer timer; /* ASKING: the answer is late; PAUSED: go on */
    struct reading *reading;   /* the answer coming in; NULL between answers */
    char *cursor;              /* owned; NULL until joined */
    struct viewer_tally tally;
    uint32_t number, room;
    uint8_t url;      /* index of the address in use */
    uint8_t failures; /* in a row: how far to back off */
    enum viewer_state state;
};

struct audience {
    struct audience_config config;
    struct viewer *viewers; /* owned */
    uint32_t count;
    uint32_t started;   /* viewers[0 .. started-1] have been */
    struct rng rng;     /* jitter */
    struct buf request; /* the one being written */
    struct reading *free_readings;
};

void audience_init(struct audience *a, const struct audience_config *config, uint32_t count);
/* Begins to join, at most AUDIENCE_JOINS at a time, so that no listen queue overflows. */
#define AUDIENCE_JOINS 200
void audience_start(struct audience *a);
void audience_deinit(struct audience *a); /* closes all connections */

#endif
