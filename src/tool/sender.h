/* Plays a recording into a room: each list in its order, one message of it under way at a time.
 *
 * Every message has an Idempotency-Key, and goes out again with the same key after a lost
 * connection and after 429 and 503 (when retry_after_ms is over), so it is stored once, whatever
 * happens between. */
#ifndef STOA_TOOL_SENDER_H
#define STOA_TOOL_SENDER_H

#include "tool/client.h"
#include "tool/poll_scan.h"
#include "tool/recording.h"
#include "tool/sent.h"

struct sender_config {
    struct client *client; /* all borrowed */
    const struct urls *urls;
    const struct recording *recording;
    struct sent *sent;
    const char *key; /* of the app */
    const char *room;
    double speed;    /* recorded seconds per second */
    uint64_t run_id; /* goes into the idempotency keys: differs between any two replays */
};

struct sender;

/* One list of the recording. */
struct sender_lane {
    struct sender *sender;
    enum list_kind list;
    struct client_conn conn;
    struct client_timer timer; /* the next message is due, or a retry, or the answer is late */
    struct poll_scan scan;
    size_t next; /* in the recording: the message to send, or under way */
    size_t url;
    unsigned tries; /* of this message */
    bool asking;
    bool afresh; /* the message is surely not stored: new, or refused for its rate */
    bool done;
};

struct sender {
    struct sender_config config;
    struct sender_lane lane[LIST_KINDS];
    struct buf request;
    int64_t start_us;
    uint64_t retries, refused;
    int64_t behind_us;    /* how late the last message went out */
    char refused_why[80]; /* the first refusal: status and code */
};

void sender_init(struct sender *s, const struct sender_config *config);
void sender_start(struct sender *s);
/* Everything has been acknowledged, or refused for good. */
bool sender_is_done(const struct sender *s);
void sender_deinit(struct sender *s); /* closes its connections */

#endif
