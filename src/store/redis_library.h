/* The functions inside Redis (redis_*.lua), built into the binary, as a library that Redis can load.
 *
 * Nodes of different versions share a Redis while a fleet is upgraded. So the library has a name of its
 * own for each source, "stoa_" and a hash of it, and each of its functions begins with that name and
 * '_': the libraries of two versions are there side by side, and each node calls its own. What has a
 * name is never replaced. One that is deleted comes back with the next call to it (redis_cluster.h). */
#ifndef STOA_STORE_REDIS_LIBRARY_H
#define STOA_STORE_REDIS_LIBRARY_H

#include "base/buf.h"

#define REDIS_LIBRARY_NAME_LEN 13 /* "stoa_" and 8 digits */
#define REDIS_FUNCTION_MAX     64 /* of a function's whole name, with its NUL */

struct redis_library {
    char name[REDIS_LIBRARY_NAME_LEN + 1];
    struct buf source;
};

/* functions: Lua that finds the library's name in LIBRARY and registers them. Copied. */
void redis_library_init(struct redis_library *library, struct str functions);
void redis_library_deinit(struct redis_library *library);
/* Those of this program. Any thread. */
struct str redis_library_functions(void);

#endif
