#include "net/signals.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

static sigset_t watched(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    return set;
}

void signals_block(struct signals *s)
{
    sigset_t set = watched();
    s->fd = -1;
    pthread_sigmask(SIG_BLOCK, &set, &s->before);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    struct signals *s = poll->data;
    struct signalfd_siginfo info;
    while (read(s->fd, &info, sizeof info) == (ssize_t)sizeof info)
        s->on_signal(s, (int)info.ssi_signo);
}

int signals_watch(struct signals *s, uv_loop_t *loop,
                  void (*on_signal)(struct signals *s, int number))
{
    sigset_t set = watched();
    s->fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (s->fd < 0) return -errno;
    s->on_signal = on_signal;
    s->poll.data = s;
    int err = uv_poll_init(loop, &s->poll, s->fd);
    return err != 0 ? err : uv_poll_start(&s->poll, UV_READABLE, on_readable);
}

void signals_restore(struct signals *s)
{
    if (s->fd >= 0) close(s->fd);
    pthread_sigmask(SIG_SETMASK, &s->before, NULL);
}
