/* Functions that this code does not use, with what to use instead. Included by the compiler's
 * command line into every file of ours; their headers are included first, so that only our calls
 * trip. */
#ifndef STOA_BASE_BANNED_H
#define STOA_BASE_BANNED_H

#include <alloca.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Macros in some builds, and a poisoned macro is a warning. */
#undef alloca
#undef sprintf
#undef vsprintf

/* Use buf_printf, snprintf, str_copy, str_split. */
#pragma GCC poison strcpy strcat strncpy strncat sprintf vsprintf strtok gets
/* Use str_parse_u64. */
#pragma GCC poison atoi atol atoll
/* Use gmtime_r. */
#pragma GCC poison gmtime localtime asctime ctime
/* Use base/alloc.h, mkstemp, base/rng.h. */
#pragma GCC poison alloca tmpnam mktemp srand

/* Not poisoned: OpenSSL's headers have parameters of this name. */
int rand(void) __attribute__((deprecated("use base/rng.h")));

#endif
