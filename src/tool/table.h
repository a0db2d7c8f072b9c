/* Numbers for people: aligned columns, and JSON members for --json. */
#ifndef STOA_TOOL_TABLE_H
#define STOA_TOOL_TABLE_H

#include <stdio.h>

#include "base/buf.h"
#include "tool/histogram.h"

/* A progress line on stderr: on a terminal it takes the place of the one before. */
void progress_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the line on a terminal, before other output. */
void progress_end(void);

/* {"count":N,"p50":…,"p90":…,"p99":…,"p999":…,"max":…} in milliseconds, of a histogram of
 * microseconds. */
void latency_write_json(struct buf *out, const struct histogram *h);
/* Microseconds as milliseconds. */
double us_to_ms(uint64_t us);

#endif
