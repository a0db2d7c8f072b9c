/* Wakes the loop of another thread through an eventfd; many wakes before it runs are one write.
 *
 * Used instead of uv_async_t, whose receiver spins when its sender is preempted (docs/threads.md).
 * wake_signal: any thread. wake_clear: the owner, before it looks at what it was woken for. */
#ifndef STOA_BASE_WAKE_H
#define STOA_BASE_WAKE_H

#include <stdatomic.h>
#include <stdbool.h>

struct wake {
    int fd; /* readable while there is a wake; watch it, but do not read it */
    atomic_bool pending;
};

int wake_init(struct wake *w); /* negative errno on failure */
void wake_deinit(struct wake *w);
void wake_signal(struct wake *w);
void wake_clear(struct wake *w);

#endif
