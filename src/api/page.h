/* The page token of a list that goes on behind a name: opaque to clients, and good for what it was
 * made for.
 *
 * base64url of: version 2, half of an HMAC-SHA256 of scope and name, the name. The scope says which
 * list it is. The secret says where its order is the same: a token is good wherever that is known,
 * and does not tell it. Any thread. */
#ifndef STOA_API_PAGE_H
#define STOA_API_PAGE_H

#include "base/buf.h"

#define PAGE_NAME_MAX 64

/* Appends the token. */
void page_write(struct str secret, struct str scope, struct str name, struct buf *ret_token);
/* Appends the name. 0, or ERR_BAD_REQUEST: not a token of that secret, or of another list. */
int page_read(struct str secret, struct str scope, struct str token, struct buf *ret_name);

#endif
