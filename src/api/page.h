/* The page token of a list that goes on behind a name: opaque to clients, and good for what it was
 * made for.
 *
 * base64url of: version 1, a keyed hash (SipHash) of scope and name, the name. The scope says which
 * list it is. The key is the process's own, so a token ends with the process, as the order of the
 * list does. Any thread. */
#ifndef STOA_API_PAGE_H
#define STOA_API_PAGE_H

#include "base/buf.h"
#include "base/hash.h"

#define PAGE_NAME_MAX 64

/* Appends the token. */
void page_write(struct hash_key key, struct str scope, struct str name, struct buf *ret_token);
/* Appends the name. 0, or ERR_BAD_REQUEST: not a token of this process, or of another list. */
int page_read(struct hash_key key, struct str scope, struct str token, struct buf *ret_name);

#endif
