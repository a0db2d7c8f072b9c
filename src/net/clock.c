#include "net/clock.h"

#include <time.h>

static int64_t read_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void clock_init(struct clock *c)
{
    c->last_us = read_us(CLOCK_MONOTONIC);
    c->offset_us = read_us(CLOCK_REALTIME) - c->last_us;
}

int64_t clock_read(struct clock *c, int64_t wall_us, int64_t monotonic_us)
{
    int64_t most_us = (monotonic_us - c->last_us) / CLOCK_SLEW;
    int64_t pull_us = wall_us - monotonic_us - c->offset_us;
    if (pull_us > most_us) pull_us = most_us;
    if (pull_us < -most_us) pull_us = -most_us;
    c->offset_us += pull_us;
    c->last_us = monotonic_us;
    return (monotonic_us + c->offset_us) / 1000;
}

int64_t clock_now_ms(struct clock *c)
{
    return clock_read(c, read_us(CLOCK_REALTIME), read_us(CLOCK_MONOTONIC));
}
