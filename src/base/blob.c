#include "base/blob.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct blob *blob_new(struct str bytes)
{
    ASSERT(bytes.len <= UINT32_MAX);
    struct blob *blob = xmalloc(sizeof(*blob) + bytes.len);
    blob->refs = 1;
    blob->len = (uint32_t)bytes.len;
    if (bytes.len > 0) memcpy(blob->bytes, bytes.ptr, bytes.len);
    return blob;
}

struct blob *blob_ref(struct blob *blob)
{
    ASSERT(blob->refs > 0 && blob->refs < UINT32_MAX);
    blob->refs++;
    return blob;
}

void blob_unref(struct blob *blob)
{
    if (blob == NULL) return;
    ASSERT(blob->refs > 0);
    if (--blob->refs == 0) free(blob);
}
