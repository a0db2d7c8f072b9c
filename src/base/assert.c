#include "base/assert.h"

#include <stdlib.h>

#include "base/log.h"

void assert_failed(const char *what, const char *file, int line)
{
    log_error("assert", "%s:%d: %s: this is a bug in stoa, please report it", file, line, what);
    abort();
}
