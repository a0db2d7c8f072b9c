/* Signals as events of a loop, through a signalfd: no handler ever runs.
 *
 * signals_block() comes before the process has threads, so that every thread inherits the mask and
 * a signal waits for the loop, whenever it came. Loop's thread only. */
#ifndef STOA_NET_SIGNALS_H
#define STOA_NET_SIGNALS_H

#include <signal.h>
#include <uv.h>

struct signals {
    int fd;
    uv_poll_t poll;
    void (*on_signal)(struct signals *s, int number);
    sigset_t before; /* the mask that the caller of signals_block() had */
};

/* SIGTERM, SIGINT and SIGHUP. */
void signals_block(struct signals *s);
/* Watches what is blocked; 0 or a negative errno. Close the poll handle with the loop's others. */
int signals_watch(struct signals *s, uv_loop_t *loop,
                  void (*on_signal)(struct signals *s, int number));
/* After the loop is closed. */
void signals_restore(struct signals *s);

#endif
