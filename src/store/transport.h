/* A connection between two nodes, or to a store's server: bytes over TCP, plain or TLS, on the hub's
 * libuv loop.
 *
 * Either side: transport_connect() opens one, transport_accept() takes one that a listener has.
 * Every event comes from the loop, never from inside a call. After on_closed, or after
 * transport_close(), no event comes any more; the transport frees itself when the loop has let go of
 * it, so the owner forgets the pointer in both cases.
 *
 * What is written is queued without a limit: whoever writes for a peer that may be slow looks at
 * transport_queued_bytes() first. One thread, the loop's. */
#ifndef STOA_STORE_TRANSPORT_H
#define STOA_STORE_TRANSPORT_H

#include <uv.h>

#include "base/buf.h"

struct transport;
struct tls; /* a client's or a server's settings: store/tls.h */

struct transport_events {
    void (*on_open)(void *arg); /* connected, and through the handshake */
    /* Borrowed for the time of the call. */
    void (*on_bytes)(void *arg, struct str bytes);
    /* The queue has become empty again after a write that did not go out at once. May be NULL. */
    void (*on_drained)(void *arg);
    /* The connection is over, or could not be made: why, for the log, terminated, borrowed. */
    void (*on_closed)(void *arg, const char *why);
};

struct transport_setup {
    const char *host; /* a name is looked up by the loop's threads, without blocking it */
    uint16_t port;
    struct tls *tls;                       /* borrowed until the transport is gone; NULL: plain */
    uint32_t timeout_ms;                   /* for connecting, the handshake included */
    const struct transport_events *events; /* borrowed */
    void *arg;
};

/* Never fails at once: what goes wrong comes as on_closed. */
struct transport *transport_connect(uv_loop_t *loop, const struct transport_setup *setup);
/* A connection that `listener` has ready; host and port of the setup are ignored. NULL: it is gone
 * again, or there is no descriptor for it. */
struct transport *transport_accept(uv_stream_t *listener, const struct transport_setup *setup);
/* Takes the bytes of `bytes` and leaves it empty. Before on_open they wait for it. */
void transport_write(struct transport *t, struct buf *bytes);
/* Not yet taken by the kernel. */
size_t transport_queued_bytes(const struct transport *t);
/* "HOST:PORT" of the peer, borrowed until the transport is closed. */
const char *transport_peer(const struct transport *t);
/* Drops what is queued. t may be NULL. */
void transport_close(struct transport *t);

#endif
