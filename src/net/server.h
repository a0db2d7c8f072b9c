/* The process: a hub thread and worker threads around one store, from start to drained stop.
 *
 * server_run() turns the calling thread into the hub. It returns when the server has stopped: after
 * SIGTERM or SIGINT (drained, see docs/operations.md), or at once with an error that is written to
 * `why`. SIGHUP calls `reload` on the hub's thread. One server per process. */
#ifndef STOA_NET_SERVER_H
#define STOA_NET_SERVER_H

#include "api/apps.h"
#include "core/pacing.h"
#include "core/switching.h"
#include "core/store.h"
#include "store/tls.h"

struct server_config {
    const char *listen;     /* HOST:PORT; port 0 takes a free one */
    const char *ops_listen; /* NULL: /metrics is served on `listen` */
    const char *store;      /* URL, store/open.h */
    unsigned workers;       /* 1 .. LIMIT_WORKERS */
    bool dev;               /* serves the page at / */
    bool console;           /* serves the console at /console */
    struct store_retention retention[LIST_KINDS];
    struct store_history history;
    bool counting;              /* who was in a room, and its history */
    uint32_t max_connections;   /* per process; beyond it new ones are not accepted until some go */
    uint32_t header_timeout_ms; /* from the first byte of a request to its last */
    uint32_t idle_timeout_ms;   /* between requests */
    uint32_t write_timeout_ms;  /* for a peer that does not read */
    struct pace_config pace;
    uint32_t linger_ms;      /* a user counts as online this long after the last poll */
    uint32_t drain_ms;       /* waiters are told to come back within this time */
    const char *link_listen; /* HOST:PORT where edges connect; NULL: nowhere */
    const char *link_secret; /* of the cluster; NULL: no links */
    bool link_tls;
    struct tls_files link_files;
    const char *test_faults; /* "drop_news": every notification is lost (tests of the fallback
                                   poll); NULL: none */
    const char *version;     /* told to other nodes */
    const char *sect;        /* that this node is in; NULL: in none */
    bool vip;                /* the sect takes rooms by assignment only */
    const char *advertise;   /* HOST:PORT where edges reach this node; NULL: they do not */
    struct switch_config switching;
    struct apps *apps; /* taken */
    /* SIGHUP: returns a new snapshot, owned by the caller, or NULL to stay with the old one (it has
     * logged why). */
    struct apps *(*reload)(void *arg);
    void *reload_arg;
};

/* 0 or an error, with what to do in `why`. Prints a line "listening on HOST:PORT" to stdout when it
 * serves, and before it "links on HOST:PORT" where edges connect. */
int server_run(const struct server_config *config, char *why, size_t why_cap);

#endif
