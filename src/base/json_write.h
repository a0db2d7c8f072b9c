/* JSON out, written by hand (RFC 8259): the caller places the punctuation, these place the values.
 *
 * Text must be valid UTF-8; it is escaped minimally (quote, backslash, C0), plus U+2028/2029 not at
 * all: they are legal JSON. */
#ifndef STOA_BASE_JSON_WRITE_H
#define STOA_BASE_JSON_WRITE_H

#include "base/buf.h"

void json_write_string(struct buf *b, struct str text); /* with its quotes */
void json_write_bool(struct buf *b, bool value);

#endif
