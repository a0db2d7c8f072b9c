/* Where a Redis or Valkey is, and how to get in:
 *
 *   redis://[[USER]:PASSWORD@]HOST[:PORT][,HOST[:PORT]…][/DB][?OPTION=VALUE[&OPTION=VALUE…]]
 *   rediss://…    the same over TLS
 *
 *   HOST            a name, an IPv4 address, or an IPv6 address in brackets. Of a Cluster any few of
 *                   its nodes: the others are found by themselves. Of single servers the one that is
 *                   the master is taken. PORT is 6379 if not given.
 *   replicas=N      so many replicas have a `high` message before it is acknowledged. 1 with a
 *                   Cluster, 0 with a single server if not given.
 *   ca=PATH         rediss: the CAs that may have signed the server's certificate (PEM)
 *   cert=PATH, key=PATH    rediss: the certificate that this node shows, and its key (PEM)
 *   clock=caller    beats of nodes and leases go by the clock of whoever asks, and not by the server's:
 *                   for tests, whose clock is their own
 *   patience=N      what waits for the server waits N times as long before it gives up: for tests,
 *                   whose machine may be slow
 *
 * User, password and values are percent-decoded. Nothing that is written into `why` holds a part of
 * the user or the password. Any thread. */
#ifndef STOA_STORE_REDIS_URL_H
#define STOA_STORE_REDIS_URL_H

#include "base/str.h"

#define REDIS_HOSTS_MAX    16
#define REDIS_REPLICAS_MAX 16
#define REDIS_DB_MAX       1000000
#define REDIS_PATIENCE_MAX 100

struct redis_host {
    char name[256];
    uint16_t port;
};

/* Plain memory, that may be copied. */
struct redis_url {
    struct redis_host hosts[REDIS_HOSTS_MAX];
    size_t host_count;   /* at least 1 */
    char user[256];      /* "": the default one */
    char password[1024]; /* "": none is asked for */
    bool is_tls;
    char ca[512], cert[512], key[512]; /* "": not given */
    uint32_t db;
    bool is_callers_clock;
    uint32_t patience; /* 0: not given */
    bool has_replicas;
    uint32_t replicas;
};

/* 0, or ERR_BAD_REQUEST and a sentence for the operator in ret_why. */
int redis_url_parse(struct str text, struct redis_url *ret_url, char *ret_why, size_t why_cap);
/* A limit of time, with its patience. */
int64_t redis_url_patience(const struct redis_url *url, int64_t ms);

#endif
