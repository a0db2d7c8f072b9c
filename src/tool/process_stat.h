/* What the kernel says of another process: /proc/PID (Linux). */
#ifndef STOA_TOOL_PROCESS_STAT_H
#define STOA_TOOL_PROCESS_STAT_H

#include "base/str.h"

/* CPU time used so far by all its threads, user and system. 0, or -1 if it cannot be read. */
int process_cpu_us(uint32_t pid, uint64_t *ret_us);
/* Proportional set size: its own memory and its share of what it shares. What the kernel holds for
 * its sockets is not in it. 0, or -1. */
int process_pss_bytes(uint32_t pid, uint64_t *ret_bytes);

/* The texts of these files, for the two above and their tests. 0, or -1. */
int process_parse_stat(struct str stat, uint64_t *ret_ticks);
int process_parse_rollup(struct str rollup, uint64_t *ret_kib);

#endif
