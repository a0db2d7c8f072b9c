#include "base/wake.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/assert.h"

int wake_init(struct wake *w)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) return -errno;
    w->fd = fd;
    atomic_init(&w->pending, false);
    return 0;
}

void wake_deinit(struct wake *w)
{
    close(w->fd);
    w->fd = -1;
}

void wake_signal(struct wake *w)
{
    const uint64_t one = 1;
    if (atomic_exchange(&w->pending, true)) return;
    ssize_t len = write(w->fd, &one, sizeof(one));
    /* A counter that is full is as readable as any. */
    ASSERT(len == sizeof(one) || errno == EAGAIN);
}

/* First the descriptor, then the flag. The other way round, a signal in between would raise the
 * flag and have its write eaten here, and every later signal would think that the owner had been
 * told. As it is, a signal in between is not written, but its work is visible to the owner, who
 * looks for it next: the exchange reads what the signal's exchange wrote. */
void wake_clear(struct wake *w)
{
    uint64_t count;
    ssize_t len = read(w->fd, &count, sizeof(count));
    ASSERT(len == sizeof(count) || errno == EAGAIN);
    atomic_exchange(&w->pending, false);
}
