/* Immutable bytes shared within one thread: the wire form of an answer that many connections write.
 *
 * The count is not atomic: a blob never leaves its thread. blob_new copies; the creator owns the
 * first reference. */
#ifndef STOA_BASE_BLOB_H
#define STOA_BASE_BLOB_H

#include "base/str.h"

struct blob {
    uint32_t refs;
    uint32_t len;
    char bytes[];
};

struct blob *blob_new(struct str bytes);
struct blob *blob_ref(struct blob *blob);
void blob_unref(struct blob *blob); /* NULL is fine */

#endif
