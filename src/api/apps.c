#include "api/apps.h"

#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct apps *apps_new(size_t count, uint64_t generation)
{
    ASSERT(count <= LIMIT_APPS);
    struct apps *apps = xcalloc(1, sizeof(*apps) + count * sizeof(apps->app[0]));

    atomic_init(&apps->refs, 1);
    apps->generation = generation;
    apps->count = count;
    for (size_t i = 0; i < count; i++) {
        apps->app[i].user_per_s = 2;
        apps->app[i].user_burst = 5;
    }
    return apps;
}

struct apps *apps_ref(struct apps *apps)
{
    atomic_fetch_add_explicit(&apps->refs, 1, memory_order_relaxed);
    return apps;
}

void apps_unref(struct apps *apps)
{
    if (apps == NULL) return;
    unsigned before = atomic_fetch_sub_explicit(&apps->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    /* Keys and secrets do not stay behind in freed memory. */
    explicit_bzero(apps, sizeof(*apps) + apps->count * sizeof(apps->app[0]));
    free(apps);
}

struct apps *apps_new_dev(uint64_t generation)
{
    struct apps *apps = apps_new(1, generation);
    struct app *app = &apps->app[0];

    str_copy(STR("dev"), app->name, sizeof(app->name));
    str_copy(STR("dev"), app->keys[0], sizeof(app->keys[0]));
    str_copy(STR("dev"), app->secret, sizeof(app->secret));
    str_copy(STR("*"), app->origins[0], sizeof(app->origins[0]));
    app->auto_create = true;
    app->anonymous = true;
    return apps;
}

const struct app *apps_by_name(const struct apps *apps, struct str name)
{
    for (size_t i = 0; i < apps->count; i++)
        if (str_eq(str_of(apps->app[i].name), name)) return &apps->app[i];
    return NULL;
}

const struct app *apps_anonymous(const struct apps *apps)
{
    for (size_t i = 0; i < apps->count; i++)
        if (apps->app[i].anonymous) return &apps->app[i];
    return NULL;
}

struct str app_shared_secret(const struct app *app)
{
    return str_of(app->secret[0] != '\0' ? app->secret : app->keys[0]);
}

/* All of the keys are looked at, wherever the one that fits is. */
static bool has_key(const struct app *app, struct str key)
{
    unsigned found = 0;

    for (size_t i = 0; i < LIMIT_APP_KEYS; i++) {
        struct str own = str_of(app->keys[i]);
        found |= (unsigned)(own.len > 0) & (unsigned)str_eq_secret(own, key);
    }
    return found != 0;
}

const struct app *apps_by_key(const struct apps *apps, struct str key)
{
    const struct app *found = NULL;

    for (size_t i = 0; i < apps->count; i++)
        if (has_key(&apps->app[i], key)) found = &apps->app[i];
    return found;
}
