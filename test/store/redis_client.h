/* store/redis_cluster.c on a loop of its own, as the hub has one, for tests: a tick in each turn, and
 * calls that wait for their answer. */
#ifndef STOA_TEST_REDIS_CLIENT_H
#define STOA_TEST_REDIS_CLIENT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "patience.h"
#include "store/redis_cluster.h"
#include "store/redis_fleet.h"

/* What a call came to. */
struct outcome {
    int done; /* how often its callback has fired */
    int err;
    int type; /* of the reply */
    long long integer;
    char text[128]; /* of a string, a status or an error */
    size_t elements;
};

struct heard {
    char channel[64];
    char payload[64];
};

struct redis_client {
    uv_loop_t loop;
    uv_prepare_t prepare;
    uv_timer_t timer, limit;
    struct redis_url url;
    struct redis_cluster *cluster;
    bool is_late;
    struct heard heard[256]; /* the first ones */
    size_t messages, resubscribed;
};

/* `more`: what goes behind redis://127.0.0.1:PORT…, such as "?replicas=1". Asks all servers of the
 * fleet for the way. */
void redis_client_start(struct redis_client *client, struct redis_fleet *f, const char *more,
                        const char *library);
/* By a whole URL. */
void redis_client_open(struct redis_client *client, const char *url, const char *library);
void redis_client_stop(struct redis_client *client);

int64_t redis_client_now(struct redis_client *client);
/* Begins a call: words up to a NULL; the key is words[key], none for 0. */
void redis_client_begin(struct redis_client *client, struct outcome *ret, bool is_replicated,
                        size_t key, const char *const *words);
/* And waits for it. */
struct outcome redis_client_call(struct redis_client *client, bool is_replicated, size_t key,
                                 const char *const *words);

/* Again and again until there is an answer: for what need not succeed at once, or where another test
 * of the same limits is what it is about. */
struct outcome redis_client_insist(struct redis_client *client, bool is_replicated, size_t key,
                                   const char *const *words);

#define WORDS(...)                     ((const char *const[]){__VA_ARGS__, NULL})
#define CALL(client, ...)              redis_client_call((client), false, 1, WORDS(__VA_ARGS__))
#define CALL_REPLICATED(client, ...)   redis_client_call((client), true, 1, WORDS(__VA_ARGS__))
#define INSIST_REPLICATED(client, ...) redis_client_insist((client), true, 1, WORDS(__VA_ARGS__))
#define INSIST(client, ...)            redis_client_insist((client), false, 1, WORDS(__VA_ARGS__))
#define COUNTED(client, name)          counter_get(&redis_cluster_stats((client)->cluster)->redis_##name)

/* Runs the loop until it is so. */
#define CLIENT_UNTIL(client, cond)                                                                 \
    do {                                                                                           \
        bool is_so;                                                                                \
        redis_client_limit(client, PATIENCE_MS);                                                   \
        while (!(is_so = (cond)) && !(client)->is_late) uv_run(&(client)->loop, UV_RUN_ONCE);      \
        if (!is_so)                                                                                \
            fail_msg("not within %d ms: %s (%s)", PATIENCE_MS, #cond,                              \
                     redis_cluster_trouble((client)->cluster));                                    \
    } while (0)

/* Publishes until so many have heard it. */
void redis_client_publish(struct redis_client *client, const char *channel, const char *payload,
                          long long receivers);

void redis_client_limit(struct redis_client *client, unsigned ms);
/* So that what must not come has had its chance. */
void redis_client_run_for(struct redis_client *client, unsigned ms);

#endif
