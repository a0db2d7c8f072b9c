/* Source of the functions inside Redis (redis_*.lua), built into the binary. Any thread. */
#ifndef STOA_STORE_REDIS_LIBRARY_H
#define STOA_STORE_REDIS_LIBRARY_H

#include "base/str.h"

struct str redis_library(void);

#endif
