#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* On the stack and of fixed size, so that a line can also say that memory has run out. */
#define TEXT_BYTES 1024
#define LINE_BYTES (128 + 4 * TEXT_BYTES) /* an escape takes four */

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static _Atomic enum log_level least_level = LOG_INFO;

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&least_level, level, memory_order_relaxed);
}

bool log_parse_level(const char *text, enum log_level *ret_level)
{
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *ret_level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

/* Writes what stands before the text. `part` is ours and short. */
static size_t write_head(char *line, size_t cap, enum log_level level, const char *part)
{
    struct timespec now;
    struct tm utc;
    char day[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(day, sizeof(day), "%Y-%m-%dT%H:%M:%S", &utc);
    int len = snprintf(line, cap, "time=%s.%03ldZ level=%s part=%.16s text=\"", day,
                       now.tv_nsec / 1000000, level_names[level], part);
    return (size_t)len;
}

/* Writes one character of the text so that it can neither end the quotes nor the line. */
static size_t write_char(char *at, char c)
{
    static const char hex[] = "0123456789abcdef";
    if (c == '"' || c == '\\') {
        at[0] = '\\';
        at[1] = c;
        return 2;
    }
    if ((unsigned char)c >= 0x20 && c != 0x7f) {
        at[0] = c;
        return 1;
    }
    at[0] = '\\';
    at[1] = 'x';
    at[2] = hex[c >> 4];
    at[3] = hex[c & 15];
    return 4;
}

void log_line(enum log_level level, const char *part, const char *format, ...)
{
    char text[TEXT_BYTES];
    char line[LINE_BYTES];
    va_list args;
    if (level < atomic_load_explicit(&least_level, memory_order_relaxed)) return;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args); /* what is too long is cut */
    va_end(args);

    size_t len = write_head(line, sizeof(line), level, part);
    for (const char *c = text; *c != '\0'; c++) len += write_char(line + len, *c);
    line[len++] = '"';
    line[len++] = '\n';
    /* There is nowhere to report that this failed. */
    if (write(STDERR_FILENO, line, len) < 0) return;
}
