/* The load generator's engine: one epoll loop with very many HTTP/1.1 keep-alive connections.
 *
 * Cheap, so that the server is what gets measured: one read buffer for all connections, requests
 * written straight from the caller's bytes, answers handed on in pieces as they come. A connection
 * that waits for an answer holds its socket and 200 bytes. One request at a time on a connection;
 * it is opened by the first one and kept until either side closes it. Single thread; callbacks run
 * inside client_run(). */
#ifndef STOA_TOOL_CLIENT_H
#define STOA_TOOL_CLIENT_H

#include "base/buf.h"
#include "base/wheel.h"
#include "tool/reply.h"
#include "tool/url.h"

struct client;
struct client_conn;

struct client_events {
    /* A piece of a header field (tool/reply.h); borrowed. May be NULL. Must not touch the
     * connection. */
    void (*on_header)(struct client_conn *conn, enum reply_header_part part, struct str bytes);
    /* A piece of the answer's body; borrowed. Must not touch the connection. */
    void (*on_body)(struct client_conn *conn, struct str bytes);
    /* The answer is whole; the next request may be made from inside. */
    void (*on_answer)(struct client_conn *conn, int status);
    /* The request under way is lost: could not connect, reset, closed, not HTTP. `reason` is static
     * text. The connection is closed; the next request, which may be made from inside, opens it
     * again. */
    void (*on_lost)(struct client_conn *conn, const char *reason);
};

enum client_conn_state { CLIENT_CLOSED, CLIENT_CONNECTING, CLIENT_IDLE, CLIENT_BUSY };

/* The caller's memory, usually embedded; it must stay in place until client_conn_close() and the
 * end of the current callback. */
struct client_conn {
    struct client *client;
    const struct client_events *events;
    int fd; /* -1 while closed */
    enum client_conn_state state;
    uint32_t source;    /* which of the source addresses it binds to */
    struct buf unsent;  /* what the socket did not take yet */
    int64_t arrived_us; /* client_stamp_arrivals(): when the bytes now in on_body() came to the
                           socket, on the clock of client_now_us(); else 0 */
    struct reply_reader reader;
};

/* A timer of the loop: embed it, cancel it before its memory goes. */
struct client_timer {
    struct timer timer;
    void (*on_due)(struct client_timer *timer);
};

/* Connections to 127/8 come from 127.0.0.(2 + first_source + n), n < sources: each address has its
 * own 28,000 ports. sources 0: the system picks the address. NULL and errno if there is no epoll.
 */
struct client *client_new(uint32_t first_source, uint32_t sources);
/* From here on connections tell when bytes arrived, by the kernel's own stamps, and not when there
 * was time to read them. */
void client_stamp_arrivals(struct client *client);
void client_free(struct client *client); /* after its connections are closed */
/* Handles what happens until now_ms reaches until_ms, or client_stop() is called from a callback.
 */
void client_run(struct client *client, int64_t until_ms);
void client_stop(struct client *client);
int64_t client_now_ms(const struct client *client); /* CLOCK_MONOTONIC as of the last wake */
int64_t client_now_us(void);                        /* the same clock, read now */

void client_timer_init(struct client_timer *timer, void (*on_due)(struct client_timer *timer));
void client_timer_arm(struct client *client, struct client_timer *timer, int64_t delay_ms);
void client_timer_cancel(struct client *client, struct client_timer *timer);

/* One alarm of the loop, to some 50 microseconds where timers are to a millisecond; the clock is
 * that of client_now_us(). Setting it again replaces it. */
void client_set_alarm(struct client *client, int64_t due_us, void (*on_alarm)(void *arg),
                      void *arg);
void client_clear_alarm(struct client *client);

void client_conn_init(struct client_conn *conn, struct client *client,
                      const struct client_events *events, uint32_t source);
/* Starts a request: `bytes` is all of it, borrowed for the call. Not while another is under way. 0,
 * or a negative errno when it did not start (no callback then): a connection that cannot be opened
 * at all. */
int client_conn_request(struct client_conn *conn, const struct url *url, struct str bytes);
/* Without a callback; a request under way is given up. */
void client_conn_close(struct client_conn *conn);

#endif
