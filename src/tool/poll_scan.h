/* Reads an answer of the server (a poll's, a send's, or a problem) without building anything: the
 * few members that a load generator needs are picked out as the bytes go by.
 *
 * Bytes may be split anywhere. A string that nobody asked for is skipped at the speed of memchr().
 * What is checked is what could mislead: balanced nesting, ids, numbers and types of the members
 * that are read; it is no validator of JSON. Zero allocations; the struct may be reused with
 * poll_scan_init(). Single thread.
 *
 * The content of a message is told as a hash of what it means: blanks between tokens and ways to
 * escape do not change it, everything else does, so that it can be compared with
 * poll_scan_content() of what was sent. */
#ifndef STOA_TOOL_POLL_SCAN_H
#define STOA_TOOL_POLL_SCAN_H

#include "base/limit.h"
#include "base/str.h"
#include "core/message.h"

#define POLL_SCAN_CURSOR 256
#define POLL_SCAN_DEPTH  (LIMIT_JSON_DEPTH + 4)

struct poll_message {
    uint64_t id;
    enum list_kind list;
    bool is_control;  /* type room.*: from the server itself */
    uint64_t content; /* of type, from and body; 0 if no hash was asked for */
    uint64_t stamp;   /* the member "t" of an object body, if it is a whole number; else 0 */
};

typedef void poll_message_cb(void *arg, const struct poll_message *message);

struct poll_scan {
    /* What was found, to be read when poll_scan_finish() has returned true. */
    char cursor[POLL_SCAN_CURSOR]; /* empty: none */
    uint64_t messages;
    uint64_t online, poll_after_ms, skipped, retry_after_ms;
    bool gap, duplicate;
    uint64_t id;   /* of an answered send; 0: none */
    char code[40]; /* of a problem */

    /* Inside. */
    poll_message_cb *on_message;
    void *arg;
    struct poll_message message; /* the one being read */
    uint64_t type_hash, from_hash, body_hash;
    uint64_t *sink;      /* the hash that the value being read goes into, NULL: none */
    uint64_t objects[2]; /* bit d: the container at depth d is an object */
    bool want_content, failed;
    bool is_key;       /* the next string is a member's name */
    bool capture;      /* the string or scalar being read goes into `text` */
    uint8_t state;     /* enum scan_state */
    uint8_t depth;     /* how many containers are open */
    uint8_t path;      /* how many of these lead to something wanted; see poll_scan.c */
    uint8_t member[6]; /* enum scan_field, by depth: the member there that is being read */
    uint8_t hex_left;  /* of \uXXXX */
    uint32_t code_unit, high_surrogate;
    uint32_t text_len;
    char text[POLL_SCAN_CURSOR];
};

/* on_message may be NULL. want_content: hash it; costs about a nanosecond a byte. */
void poll_scan_init(struct poll_scan *s, poll_message_cb *on_message, void *arg, bool want_content);
void poll_scan_feed(struct poll_scan *s, struct str bytes);
/* After the last byte: false if it was not one whole object, or a member had a wrong type. */
bool poll_scan_finish(struct poll_scan *s);

/* The content of a message that is sent: body is JSON, valid. */
uint64_t poll_scan_content(struct str type, struct str from, struct str body);

#endif
