/* Memory that cannot fail: running out of it ends the process with a line in the log.
 *
 * Sizes that a peer chose are checked against base/limit.h before they come here. Any thread.
 * Release with free(). The caller owns what it gets. */
#ifndef STOA_BASE_ALLOC_H
#define STOA_BASE_ALLOC_H

#include <stddef.h>

void *xmalloc(size_t size_bytes);
void *xcalloc(size_t count, size_t size_bytes);
void *xrealloc(void *ptr, size_t size_bytes);
char *xstrdup(const char *text);

#endif
