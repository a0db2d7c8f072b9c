#include "tool/table.h"

#include <stdarg.h>
#include <unistd.h>

static bool on_terminal(void)
{
    return isatty(STDERR_FILENO) != 0;
}

void progress_line(const char *format, ...)
{
    char line[256];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    fprintf(stderr, on_terminal() ? "\r%s\033[K" : "%s\n", line);
}

void progress_end(void)
{
    if (on_terminal()) fprintf(stderr, "\n");
}

double us_to_ms(uint64_t us)
{
    return (double)us / 1000.0;
}

void latency_write_json(struct buf *out, const struct histogram *h)
{
    buf_printf(out,
               "{\"count\":%llu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,\"p999\":%.3f,\"max\":%.3f}",
               (unsigned long long)h->count, us_to_ms(histogram_quantile(h, 0.5)),
               us_to_ms(histogram_quantile(h, 0.9)), us_to_ms(histogram_quantile(h, 0.99)),
               us_to_ms(histogram_quantile(h, 0.999)), us_to_ms(h->max));
}
