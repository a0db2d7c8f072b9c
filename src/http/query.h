/* Paths and queries: percent-decoding (RFC 3986), one value at a time, no table. */
#ifndef STOA_HTTP_QUERY_H
#define STOA_HTTP_QUERY_H

#include "base/buf.h"

/* Decodes %XX (and '+' as a blank when plus is true) to the end of ret. False on a bad escape or an
 * escaped NUL; ret is then as before. */
bool percent_decode(struct str text, bool plus, struct buf *ret);
/* The first value of a name in a query, as sent. Names are compared as sent, a name without "=" has
 * an empty value. False, if the name is not there. */
bool query_find(struct str query, struct str name, struct str *ret_value);
/* The same, decoded. Returns 0 and appends the decoded value, ERR_NOT_FOUND if the name is not
 * there, ERR_BAD_REQUEST on a bad escape. */
int query_get(struct str query, struct str name, struct buf *ret);
/* A whole number within [min, max]; absent leaves *ret. 0 or ERR_BAD_REQUEST. */
int query_get_u64(struct str query, struct str name, uint64_t min, uint64_t max, uint64_t *ret);

#endif
