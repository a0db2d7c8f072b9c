/* The apps (tenants) that this node serves: name, keys, token secret, limits.
 *
 * An immutable snapshot, shared by all workers, counted atomically: a reload (SIGHUP) makes a new
 * one and hands it round; connections notice by its generation. Building is single-threaded,
 * reading is any thread. */
#ifndef STOA_API_APPS_H
#define STOA_API_APPS_H

#include <stdatomic.h>

#include "base/limit.h"
#include "base/str.h"

#define LIMIT_APPS        1024
#define LIMIT_APP_KEYS    8
#define LIMIT_APP_ORIGINS 32
#define LIMIT_SECRET      256
#define LIMIT_ORIGIN      256

struct app {
    char name[LIMIT_APP_NAME + 1];
    char keys[LIMIT_APP_KEYS]
             [LIMIT_SECRET + 1];   /* several, so that keys can be rolled; empty ones unused */
    char secret[LIMIT_SECRET + 1]; /* signs tokens, HS256; empty: the app takes no tokens */
    char origins[LIMIT_APP_ORIGINS][LIMIT_ORIGIN + 1]; /* CORS; "*" is any */
    bool auto_create;                                  /* rooms come into being on first use */
    bool anonymous;      /* --dev: no Authorization needed, ?user= is believed */
    uint32_t user_per_s; /* a user's own message rate, and burst */
    uint32_t user_burst;
};

struct apps {
    atomic_uint refs;
    uint64_t generation; /* differs between any two snapshots of a process */
    size_t count;
    struct app app[]; /* sorted as configured */
};

/* A snapshot with room for `count` apps, zeroed but for user_per_s 2 and user_burst 5. Owned by the
 * caller. */
struct apps *apps_new(size_t count, uint64_t generation);
struct apps *apps_ref(struct apps *apps);
void apps_unref(struct apps *apps);
/* The one app of --dev: name "dev", key "dev", secret "dev", any origin, auto_create, anonymous. */
struct apps *apps_new_dev(uint64_t generation);
const struct app *apps_by_name(const struct apps *apps, struct str name);
/* Compares with every key of every app in constant time. NULL: none. */
const struct app *apps_by_key(const struct apps *apps, struct str key);
/* The app of those who show no credentials. NULL: none. */
const struct app *apps_anonymous(const struct apps *apps);
/* What every node that serves the app knows, and nobody whom the app does not trust: the secret, or
 * where there is none the first key. Borrowed from the app. */
struct str app_shared_secret(const struct app *app);

#endif
