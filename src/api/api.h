/* Requests to answers: what each resource of the public protocol does (docs/protocol.md). One
 * `struct api` per worker thread; no socket, no lock.
 *
 *   connection --request--> api --poll, call--> core/worker
 *   connection <--answer--- api <--answer, call home---'
 *
 * The caller names each request by an exchange handle of its own; exactly one api_out.send answers
 * it, from inside api_request() or later. A connection has one exchange at a time.
 *
 * A new resource: a file here with its handler, a line in the table of routes in api.c. */
#ifndef STOA_API_API_H
#define STOA_API_API_H

#include "api/identity.h"
#include "core/worker.h"
#include "http/request.h"

struct api;

/* The poll that a connection sent last, for when it comes again (repeat.c). */
struct api_repeat {
    uint64_t tag; /* keyed hash of the request without its cursor */
    uint16_t len; /* of the request; 0: none is kept */
    uint16_t since_at;
    uint16_t user_at; /* where the request names the user, with user_len > 0 */
    uint8_t user_len, room_len;
    uint8_t limit, timeout_s, variant;
    bool has_identity;                 /* it showed the credentials of api_conn.identity */
} __attribute__((packed, aligned(4))); /* without a hole at its end */

/* What the api keeps per connection: 40 bytes, zeroed at first. */
struct api_conn {
    struct identity *identity; /* a reference; NULL until credentials were verified */
    uint64_t anonymous;        /* number of the anonymous user of this connection, 0: none yet */
    struct api_repeat repeat;
    bool is_ops; /* came in on the operators' listener */
};

struct api_out {
    /* Answers an exchange; the blob is borrowed. close: the connection ends after it. */
    void (*send)(void *arg, uint64_t exchange, struct blob *wire, bool close);
    /* Appends the text of /metrics. */
    void (*write_metrics)(void *arg, struct buf *out);
};

struct api_config {
    const struct api_out *out;
    void *arg;
    unsigned pages;    /* enum asset_pages: what is served beside the resources */
    bool has_ops_port; /* /metrics is served to is_ops connections alone */
    uint64_t seed;
    struct hash_key hash_key; /* secret and random */
    bool is_shared;           /* other nodes serve the same rooms, from the same store */
    struct apps *apps;        /* a reference of its own is taken */
};

struct api *api_new(const struct api_config *config);
void api_free(struct api *api);
/* For worker_config: ops, with the api as arg. Then the worker is set before the first request. */
extern const struct worker_ops api_worker_ops;
void api_set_worker(struct api *api, struct worker *worker);
/* A new snapshot; a reference of its own is taken. */
void api_set_apps(struct api *api, struct apps *apps);
/* The request is borrowed for the time of the call, as is `wire`: its bytes, where all of them came
 * in one piece and nothing else with them, else STR_NONE. Returns the handle of a waiting poll, for
 * worker_cancel(), or 0. */
uint64_t api_request(struct api *api, struct api_conn *conn, uint64_t exchange,
                     const struct http_request *request, struct str wire, int64_t now_ms);
/* Whether these bytes are the poll that this connection sent last, with another cursor; then it is
 * not read as a request but given to worker_poll(), when the caller has filled in the exchange. Its
 * strings are borrowed: from `wire`, the connection, and the api until the next call. */
bool api_repeats(struct api *api, const struct api_conn *conn, struct str wire, int64_t now_ms,
                 struct poll *ret_poll);
/* A request that could not be read: answers it, and closes. */
void api_refuse(struct api *api, uint64_t exchange, int err);
void api_conn_deinit(struct api *api, struct api_conn *conn);

#endif
