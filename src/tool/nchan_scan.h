/* Reads an answer of nchan's long poll: one message, whose id is in two header fields.
 *
 *   HTTP/1.1 200 OK
 *   Last-Modified: Tue, 24 Nov 2026 14:32:32 GMT     the second in which it was published
 *   Etag: 0                                          its number within that second
 *
 *   {"t":1,"pad":"x"}
 *
 * The next poll hands both back, as If-Modified-Since and If-None-Match, and gets the message after
 * that one (nchan's README, "The Subscriber Endpoint"). So these two lines are the cursor.
 *
 * Bytes may be split anywhere. Zero allocations. Single thread. */
#ifndef STOA_TOOL_NCHAN_SCAN_H
#define STOA_TOOL_NCHAN_SCAN_H

#include "tool/poll_scan.h"
#include "tool/reply.h"

struct nchan_value {
    char text[40]; /* as long as a date of HTTP, and more */
    uint8_t len;
};

struct nchan_scan {
    struct nchan_value name; /* of the field being read */
    struct nchan_value last_modified, etag;
    struct nchan_value *target; /* where the value being read goes, NULL: nowhere */
    struct nchan_value body;    /* its beginning, where the stamp is */
    enum reply_header_part part;
    bool failed; /* a value that is wanted is too long to be one */
};

void nchan_scan_init(struct nchan_scan *s);
void nchan_scan_header(struct nchan_scan *s, enum reply_header_part part, struct str bytes);
void nchan_scan_body(struct nchan_scan *s, struct str bytes);
/* After the last byte: the message, in LIST_NORMAL since nchan has one list, with an id that grows
 * as nchan's do; and the cursor, which are header lines for the next poll. False, and nothing
 * written, if the answer has no id that can be read. */
bool nchan_scan_finish(const struct nchan_scan *s, struct poll_message *ret_message,
                       char ret_cursor[POLL_SCAN_CURSOR]);

#endif
