#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void *or_abort(void *ptr, size_t size_bytes)
{
    if (ptr == NULL) {
        log_error("alloc", "out of memory: could not get %zu bytes; give the process more",
                  size_bytes);
        abort();
    }
    return ptr;
}

/* The C library may answer a request for nothing with NULL, which is not a failure. */
static size_t at_least_one(size_t size_bytes)
{
    return size_bytes > 0 ? size_bytes : 1;
}

void *xmalloc(size_t size_bytes)
{
    return or_abort(malloc(at_least_one(size_bytes)), size_bytes);
}

void *xcalloc(size_t count, size_t size_bytes)
{
    return or_abort(calloc(at_least_one(count), at_least_one(size_bytes)), size_bytes);
}

void *xrealloc(void *ptr, size_t size_bytes)
{
    return or_abort(realloc(ptr, at_least_one(size_bytes)), size_bytes);
}

char *xstrdup(const char *text)
{
    return or_abort(strdup(text), strlen(text) + 1);
}
