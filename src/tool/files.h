/* The limit of open files, which is what bounds the connections of a process. */
#ifndef STOA_TOOL_FILES_H
#define STOA_TOOL_FILES_H

#include <stdint.h>

/* Raises the soft limit to the hard one. Returns what it is now, UINT64_MAX if there is none. */
uint64_t files_raise_limit(void);

#endif
