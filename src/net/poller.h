/* The descriptors of a worker: an epoll instance that its thread sleeps in.
 *
 * Not libuv: its handle for a TCP connection is 248 bytes, several times all else that a parked
 * connection needs, and a layer on the way of each answer; and an epoll instance inside another one
 * costs a second wake for each event. A descriptor is named by a number of the caller's, never by a
 * pointer, so an event for one that was closed in the same batch finds nothing. Closing a descriptor
 * takes it out. One thread.
 *
 * Level-triggered (epoll(7)), unless POLLER_EDGE is asked for: a level costs a second look at each
 * socket that had an event, at the next wait, when its memory has left the cache. */
#ifndef STOA_NET_POLLER_H
#define STOA_NET_POLLER_H

#include <stdint.h>
#include <sys/epoll.h>

#define POLLER_IN  1u
#define POLLER_OUT 2u
#define POLLER_END 4u /* reported always: the peer is gone, or the socket is broken */
/* Reported with POLLER_IN: a short read is not all. Behind the bytes that are there comes the end, or
 * an urgent byte (a read stops in front of it). Alone it means nothing. */
#define POLLER_LAST 8u
/* What has been reported is not again until there is more of it, or poller_change() was called: so
 * reading goes on until a read is short and no POLLER_LAST came with it, or it gives nothing. */
#define POLLER_EDGE 16u

#define POLLER_AHEAD 2
#define POLLER_BATCH 256 /* events in one turn, so that other work has its turn too */

struct poller {
    int fd;
    int count; /* of events that wait for poller_run() */
    struct epoll_event events[POLLER_BATCH];
};

typedef void poller_cb(void *arg, uint64_t name, uint32_t events);
typedef void poller_soon_cb(void *arg, uint64_t name);

int poller_init(struct poller *p); /* negative errno */
void poller_deinit(struct poller *p);
/* events: of POLLER_IN, POLLER_OUT and POLLER_EDGE. Negative errno. */
int poller_add(struct poller *p, int fd, uint64_t name, uint32_t events);
/* What is there is reported, also if it was before. */
void poller_change(struct poller *p, int fd, uint64_t name, uint32_t events);
/* Sleeps until there are events, but no longer than timeout_ms, 0 or more; a minute at the most.
 * Takes at most `max` of them, 1 to POLLER_BATCH. */
void poller_wait(struct poller *p, int64_t timeout_ms, int max);
/* Reports what the wait found. Each name is told to `soon` POLLER_AHEAD events before it is
 * reported, so that memory which has been out of use for long can be fetched meanwhile. */
void poller_run(struct poller *p, poller_cb *cb, poller_soon_cb *soon, void *arg);

#endif
