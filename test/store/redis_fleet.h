/* Real redis-servers for a test: single ones, or a Cluster of three masters with a replica each, on
 * free ports of the loopback. Each is a process of its own with a temporary folder, and ends with the
 * test, however that ends. Calls block, with a limit; what goes wrong fails the test. Debian's package
 * redis-server has it (scripts/setup.sh test).
 *
 * A Cluster is up in little more than 2 s: its nodes find their configuration written (Redis waits 2 s
 * at least before a master that starts takes writes). */
#ifndef STOA_TEST_REDIS_FLEET_H
#define STOA_TEST_REDIS_FLEET_H

#include <hiredis/hiredis.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "patience.h"

#define FLEET_MASTERS 3
#define FLEET_MAX     8

struct redis_server {
    pid_t pid; /* 0: not running */
    uint16_t port;
    char id[41]; /* in a Cluster */
    bool is_paused;
};

struct redis_fleet {
    char folder[32];
    bool is_cluster, is_tls;
    unsigned node_timeout_ms;
    const char *const *options;
    size_t count;
    struct redis_server servers[FLEET_MAX]; /* a Cluster: the masters, then their replicas */
};

/* options: further words of the command line, up to a NULL; borrowed while the fleet lives. NULL:
 * none. Servers with AOF (everysec), as it is recommended. */
void redis_fleet_start_single(struct redis_fleet *f, const char *const *options);
/* The same with TLS alone: options hold the files. Not for redis_fleet_ask(). */
void redis_fleet_start_tls(struct redis_fleet *f, const char *const *options);
void redis_fleet_start_cluster(struct redis_fleet *f, unsigned node_timeout_ms);
void redis_fleet_stop(struct redis_fleet *f);

/* By number of the server. */
void redis_fleet_kill(struct redis_fleet *f, size_t at);  /* SIGKILL */
void redis_fleet_pause(struct redis_fleet *f, size_t at); /* SIGSTOP: alive, and says nothing */
void redis_fleet_resume(struct redis_fleet *f, size_t at);
/* With what its AOF holds, unless that is to be forgotten. Waits until it answers. */
void redis_fleet_restart(struct redis_fleet *f, size_t at, bool is_forgetful);
/* One more single server, a replica of the first. */
size_t redis_fleet_add_replica(struct redis_fleet *f);

/* A command by printf of hiredis, on a connection of its own. An error fails the test; who calls frees
 * the reply. */
redisReply *redis_fleet_ask(struct redis_fleet *f, size_t at, const char *format, ...);
/* The same, with its reply dropped. */
void redis_fleet_tell(struct redis_fleet *f, size_t at, const char *format, ...);

/* Who has the slot, by what server `by` says; FLEET_MAX: nobody that is known. */
size_t redis_fleet_owner(struct redis_fleet *f, size_t by, unsigned slot);
size_t redis_fleet_replica_of(size_t master);
/* Until `by` says that `owner` has the slot. */
void redis_fleet_wait_owner(struct redis_fleet *f, size_t by, unsigned slot, size_t owner);
/* Until all nodes of the Cluster run, agree, and replicate. */
void redis_fleet_wait_whole(struct redis_fleet *f);

/* A slot on its way from one master to another: keys move one by one, and then the slot; until all
 * nodes know. */
void redis_fleet_migrate_begin(struct redis_fleet *f, unsigned slot, size_t from, size_t to);
void redis_fleet_migrate_key(struct redis_fleet *f, const char *key, size_t from, size_t to);
void redis_fleet_migrate_end(struct redis_fleet *f, unsigned slot, size_t from, size_t to);

#endif
