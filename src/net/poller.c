#include "net/poller.h"

#include <errno.h>
#include <unistd.h>

#include "base/assert.h"

#define WAIT_MAX_MS (60 * 1000) /* what is longer is as good as for ever */

int poller_init(struct poller *p)
{
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd < 0 ? -errno : 0;
}

void poller_deinit(struct poller *p)
{
    close(p->fd);
}

static struct epoll_event to_epoll(uint64_t name, uint32_t events)
{
    uint32_t mask = ((events & POLLER_IN) != 0 ? EPOLLIN | EPOLLRDHUP | EPOLLPRI : 0u) |
                    ((events & POLLER_OUT) != 0 ? EPOLLOUT : 0u) |
                    ((events & POLLER_EDGE) != 0 ? (uint32_t)EPOLLET : 0u);
    return (struct epoll_event){.events = mask, .data.u64 = name};
}

static uint32_t from_epoll(uint32_t mask)
{
    return ((mask & EPOLLIN) != 0 ? POLLER_IN : 0u) | ((mask & EPOLLOUT) != 0 ? POLLER_OUT : 0u) |
           ((mask & (EPOLLRDHUP | EPOLLPRI)) != 0 ? POLLER_LAST : 0u) |
           ((mask & (EPOLLHUP | EPOLLERR)) != 0 ? POLLER_END : 0u);
}

int poller_add(struct poller *p, int fd, uint64_t name, uint32_t events)
{
    struct epoll_event event = to_epoll(name, events);
    return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

void poller_change(struct poller *p, int fd, uint64_t name, uint32_t events)
{
    struct epoll_event event = to_epoll(name, events);
    int err = epoll_ctl(p->fd, EPOLL_CTL_MOD, fd, &event);
    ASSERT(err == 0); /* of a socket that is in, only a mistake of ours can fail */
}

void poller_wait(struct poller *p, int64_t timeout_ms, int max)
{
    ASSERT(max > 0 && max <= POLLER_BATCH);
    int timeout = timeout_ms < WAIT_MAX_MS ? (int)timeout_ms : WAIT_MAX_MS;
    int count = epoll_wait(p->fd, p->events, max, timeout);
    p->count = count > 0 ? count : 0; /* a signal is as good as a time-out */
}

void poller_run(struct poller *p, poller_cb *cb, poller_soon_cb *soon, void *arg)
{
    for (int i = 0; i < p->count; i++) {
        if (i + POLLER_AHEAD < p->count) soon(arg, p->events[i + POLLER_AHEAD].data.u64);
        cb(arg, p->events[i].data.u64, from_epoll(p->events[i].events));
    }
    p->count = 0;
}
