/* A listening socket in a worker's poller: accepts in batches, and pauses while there is no room for more.
 *
 * Pausing takes the socket out of what is polled; connections wait in the kernel's queue. It is tried again when one
 * closes, and every ACCEPT_RETRY_MS. That covers the limit of connections as well as a process that is out of
 * descriptors (EMFILE). Worker thread. */
#ifndef STOA_NET_LISTENER_H
#define STOA_NET_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#define ACCEPT_RETRY_MS 100

struct net_worker;

struct listener {
    int fd; /* -1: none */
    uint64_t name;
    bool is_ops;
    bool is_paused;
};

/* Listens on a bound socket, which is then owned. Negative errno. */
int listener_open(struct listener *l, struct net_worker *nw, int fd, bool is_ops);
void listener_close(struct listener *l); /* fine if there is none */
void listener_accept(struct listener *l, struct net_worker *nw);
/* There may be room again. */
void listener_retry(struct listener *l, struct net_worker *nw);

#endif
