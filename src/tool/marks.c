#include "tool/marks.h"

#include <signal.h>
#include <time.h>

#include "base/alloc.h"
#include "tool/table.h"

static sigset_t mark_signal(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    return set;
}

void marks_init(struct marks *m, uint32_t viewers)
{
    sigset_t set = mark_signal();
    *m = (struct marks){.viewers = viewers, .seen = xcalloc(viewers > 0 ? viewers : 1, 1)};
    /* Blocked, and asked for in marks_take_up(): no handler, so no variable that it could write. */
    sigprocmask(SIG_BLOCK, &set, NULL);
}

void marks_take_up(struct marks *m, int64_t now_us)
{
    sigset_t set = mark_signal();
    if (sigtimedwait(&set, NULL, &(struct timespec){0}) == SIGUSR1) marks_set(m, now_us);
}

bool marks_set(struct marks *m, int64_t now_us)
{
    if (m->count == MARKS_MAX) return false;
    if (m->mark == NULL) m->mark = xcalloc(MARKS_MAX, sizeof(*m->mark));
    m->mark[m->count++].at_us = now_us;
    return true;
}

/* Only the latest mark: who has received nothing since the one before stays without a time there,
 * and the count of viewers tells it. */
void marks_saw(struct marks *m, uint32_t viewer, int64_t sent_us, int64_t now_us)
{
    if (m->count == 0 || m->seen[viewer] == m->count) return;
    struct mark *mark = &m->mark[m->count - 1];
    if (sent_us < mark->at_us) return;
    m->seen[viewer] = (uint8_t)m->count;
    if (mark->reached.count == 0) mark->first_us = now_us - mark->at_us;
    histogram_add(&mark->reached, now_us - mark->at_us);
}

void marks_write_json(const struct marks *m, int64_t start_us, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < m->count; i++) {
        const struct mark *mark = &m->mark[i];
        buf_printf(out, "%s{\"at_s\":%.3f,\"viewers\":%llu,\"first_ms\":%.1f,\"reached_ms\":",
                   i > 0 ? "," : "", (double)(mark->at_us - start_us) / 1e6,
                   (unsigned long long)mark->reached.count, us_to_ms((uint64_t)mark->first_us));
        latency_write_json(out, &mark->reached);
        buf_add_char(out, '}');
    }
    buf_add_char(out, ']');
}

void marks_deinit(struct marks *m)
{
    free(m->mark);
    free(m->seen);
    *m = (struct marks){0};
}
