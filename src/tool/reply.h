/* HTTP/1.1 responses from bytes, as a client sees them, on llhttp: status, body, and the header
 * fields for who asks for them; nothing kept.
 *
 * Body bytes are handed on as they come, so a reader is 136 bytes whether it reads or waits. Bodies
 * of known length and chunked ones both work; 1xx answers are passed over. Single thread. */
#ifndef STOA_TOOL_REPLY_H
#define STOA_TOOL_REPLY_H

#include <llhttp.h>

#include "base/str.h"

typedef void reply_body_cb(void *arg, struct str bytes);
/* A piece of a header field's name or value. A piece of a name after one of a value begins the next
 * field; an empty value has no piece. */
enum reply_header_part { REPLY_HEADER_NAME, REPLY_HEADER_VALUE };
typedef void reply_header_cb(void *arg, enum reply_header_part part, struct str bytes);

enum reply_result {
    REPLY_MORE,     /* all bytes used; the response is not complete */
    REPLY_COMPLETE, /* *ret_used bytes belong to it */
    REPLY_FAILED,   /* not HTTP; the connection is of no more use */
};

struct reply_reader {
    llhttp_t parser;
    reply_body_cb *on_body;
    reply_header_cb *on_header;
    void *arg;
    bool keep_alive;
};

/* Before each response; the callbacks get `arg`. header_cb may be NULL, and then fields cost no
 * calls. */
void reply_reader_init(struct reply_reader *r, reply_header_cb *header_cb, reply_body_cb *body_cb,
                       void *arg);
enum reply_result reply_reader_feed(struct reply_reader *r, struct str bytes, size_t *ret_used);
/* The peer has closed: a response whose end that marks is complete (REPLY_COMPLETE), else
 * REPLY_FAILED. */
enum reply_result reply_reader_eof(struct reply_reader *r);
/* After REPLY_COMPLETE. */
int reply_reader_status(const struct reply_reader *r);
bool reply_reader_keeps_alive(const struct reply_reader *r);

#endif
