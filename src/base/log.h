/* One line per event to stderr: time, level, part, text, in logfmt. Any thread.
 *
 * A line is written by one write(2), so lines of threads do not mix. A line says what happened and
 * what to do; it never holds a token, a key or a message body. Errors are logged once, at the edge.
 */
#ifndef STOA_BASE_LOG_H
#define STOA_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

void log_set_level(enum log_level level);
/* "debug", "info", "warn", "error"; false if it is none of them. */
bool log_parse_level(const char *text, enum log_level *ret_level);
void log_line(enum log_level level, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define log_debug(part, ...) log_line(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...)  log_line(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...)  log_line(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) log_line(LOG_ERROR, part, __VA_ARGS__)

#endif
