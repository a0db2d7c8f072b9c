#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/node.h"

#define BACKLOG      4096
#define ACCEPT_BATCH 64

int listener_open(struct listener *l, struct net_worker *nw, int fd, bool is_ops)
{
    int one = 1;
    *l = (struct listener){
        .fd = fd, .name = is_ops ? NET_NAME_OPS : NET_NAME_LISTENER, .is_ops = is_ops};
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one,
               sizeof one); /* accepted sockets have it from here */
    if (listen(fd, BACKLOG) != 0) return -errno;
    return poller_add(&nw->poller, fd, l->name, POLLER_IN);
}

void listener_close(struct listener *l)
{
    if (l->fd >= 0) close(l->fd);
    l->fd = -1;
}

static void set_paused(struct listener *l, struct net_worker *nw, bool is_paused)
{
    if (l->is_paused == is_paused) return;
    l->is_paused = is_paused;
    if (is_paused) counter_add(&nw->metrics.accepts_paused_total, 1);
    poller_change(&nw->poller, l->fd, l->name, is_paused ? 0 : POLLER_IN);
}

/* 0, or an errno. */
static int accept_one(struct listener *l, struct net_worker *nw)
{
    if (!node_connection_opens(nw->node)) return EMFILE;
    int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int err = errno;
    if (fd >= 0) {
        conn_open(nw, fd, l->is_ops);
        return 0;
    }
    node_connection_closed(nw->node);
    return err;
}

void listener_accept(struct listener *l, struct net_worker *nw)
{
    for (int i = 0; i < ACCEPT_BATCH && l->fd >= 0; i++) {
        switch (accept_one(l, nw)) {
        case 0:
        case EINTR:
        case ECONNABORTED: break; /* that client has changed its mind */
        case EAGAIN: set_paused(l, nw, false); return;
        default: set_paused(l, nw, true); return; /* out of connections, descriptors or memory */
        }
    }
    if (l->fd >= 0) set_paused(l, nw, false);
}

void listener_retry(struct listener *l, struct net_worker *nw)
{
    if (l->fd >= 0 && l->is_paused) listener_accept(l, nw);
}
