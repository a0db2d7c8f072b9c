#include "tool/files.h"

#include <sys/resource.h>

/* What POSIX grants, should the limit not be readable. */
#define FILES_LEAST 20

uint64_t files_raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return FILES_LEAST;
    rlim_t had = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    rlim_t has = setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : had;
    return has == RLIM_INFINITY ? UINT64_MAX : has;
}
