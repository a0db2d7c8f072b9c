/* A real redis-server for a test to compare with: a process of its own, in memory only, that
 * listens on nothing but a socket in a temporary folder and ends with the test, however that ends.
 * One connection, one command at a time. Debian's package redis-server has it (scripts/setup.sh
 * test). */
#ifndef STOA_TEST_REDIS_PEER_H
#define STOA_TEST_REDIS_PEER_H

#include <sys/types.h>

#include "base/buf.h"
#include "patience.h"

struct redis_peer {
    pid_t pid;
    int log_fd; /* its standard output */
    int fd;
    struct buf out; /* the command that is being put together */
    struct buf in;  /* the last reply */
};

/* As RESP has it; an error fails the test. The bytes, of a bulk or simple string (STR_NONE for
 * nil), are borrowed until the next command. */
struct redis_reply {
    int64_t integer;
    struct str bytes;
};

/* options: further words of its command line, up to a NULL. Without a server the test fails. */
void redis_peer_start(struct redis_peer *peer, const char *const *options);
void redis_peer_stop(struct redis_peer *peer);

/* A command of `count` words, then its reply. */
void redis_peer_begin(struct redis_peer *peer, size_t count);
void redis_peer_word(struct redis_peer *peer, struct str word);
struct redis_reply redis_peer_end(struct redis_peer *peer);
/* All of that: words up to one without a pointer. */
struct redis_reply redis_peer_ask(struct redis_peer *peer, const struct str *words);

#define REDIS_ASK(peer, ...) redis_peer_ask((peer), (const struct str[]){__VA_ARGS__, STR_NONE})

#endif
