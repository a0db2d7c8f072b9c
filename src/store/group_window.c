#include "store/group_window.h"

static uint64_t elapsed_us(const struct group_window *w, uint64_t now_us)
{
    return now_us > w->began_us ? now_us - w->began_us : 0;
}

size_t group_window_quorum(const struct group_window *w)
{
    return w->count + 1 >= GROUP_PROBE || w->expected > GROUP_ENOUGH ? GROUP_ENOUGH : w->expected;
}

uint64_t group_window_wait(const struct group_window *w, size_t waiting, uint64_t now_us)
{
    uint64_t elapsed = elapsed_us(w, now_us);
    if (elapsed >= GROUP_WINDOW_US || waiting >= group_window_quorum(w)) return 0;
    return GROUP_WINDOW_US - elapsed;
}

/* A window that brought less than expected halves the difference: chance alone should not make the
 * groups ever smaller. */
void group_window_begin(struct group_window *w, size_t jobs, uint64_t now_us)
{
    if (elapsed_us(w, now_us) >= GROUP_WINDOW_US) {
        w->expected = jobs >= w->expected ? jobs : (w->expected + jobs) / 2;
        w->count = 0;
    } else {
        w->count++;
    }
    w->began_us = now_us;
}
