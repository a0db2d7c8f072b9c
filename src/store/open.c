#include "store/open.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "store/link.h"
#include "store/memory.h"
#include "store/redis.h"
#include "store/sqlite.h"

struct opening {
    const char *url;
    struct str rest; /* behind the scheme; terminated, as the end of url */
    const struct store_config *config;
    char *why;
    size_t why_cap;
};

static int open_memory(const struct opening *o, struct store **ret_store)
{
    if (o->rest.len > 0) {
        snprintf(o->why, o->why_cap, "store \"%s\": memory: takes nothing behind it", o->url);
        return ERR_BAD_REQUEST;
    }
    *ret_store = memory_store_new(o->config);
    return 0;
}

static int open_sqlite(const struct opening *o, struct store **ret_store)
{
    return sqlite_store_open(o->rest.ptr, o->config, ret_store, o->why, o->why_cap);
}

static int open_redis(const struct opening *o, struct store **ret_store)
{
    return redis_store_open(o->url, o->config, ret_store, o->why, o->why_cap);
}

static int open_link(const struct opening *o, struct store **ret_store)
{
    return link_store_open(o->rest.ptr, o->config, ret_store, o->why, o->why_cap);
}

static const struct {
    const char *scheme;
    int (*open)(const struct opening *o, struct store **ret_store);
} DRIVERS[] = {
    {"memory:", open_memory},  {"sqlite:", open_sqlite}, {"redis://", open_redis},
    {"rediss://", open_redis}, {"link://", open_link},
};

void store_url_show(const char *url, char *ret_text, size_t cap)
{
    const char *secret = strstr(url, "//"), *host = strrchr(url, '@');

    if (host == NULL)
        snprintf(ret_text, cap, "%s", url);
    else if (secret == NULL || secret > host)
        snprintf(ret_text, cap, "…%s", host);
    else
        snprintf(ret_text, cap, "%.*s…%s", (int)(secret + 2 - url), url, host);
}

int store_open(const char *url, const struct store_config *config, struct store **ret_store,
               char *ret_why, size_t why_cap)
{
    struct opening o = {.url = url, .config = config, .why = ret_why, .why_cap = why_cap};

    for (size_t i = 0; i < sizeof(DRIVERS) / sizeof(DRIVERS[0]); i++) {
        struct str scheme = str_of(DRIVERS[i].scheme);
        if (!str_starts(str_of(url), scheme)) continue;
        o.rest = str_of(url + scheme.len);
        return DRIVERS[i].open(&o, ret_store);
    }
    char shown[256];
    store_url_show(url, shown, sizeof(shown));
    snprintf(ret_why, why_cap,
             "store \"%s\": unknown; use memory:, sqlite:PATH, redis://HOST or "
             "link://HOST:PORT",
             shown);
    return ERR_BAD_REQUEST;
}
