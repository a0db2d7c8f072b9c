/* stoa serve: from configuration to a running server, and its reload. */
#include <sched.h>
#include <stdio.h>

#include "base/log.h"
#include "net/server.h"
#include "tool/config.h"
#include "tool/files.h"
#include "tool/tool.h"
#include "tool/version.h"

/* Open files that are not client connections: store, listeners, epoll, wakes, logs. */
#define FILES_RESERVED UINT64_C(128)
/* Where the limit of open files is none at all. */
#define CONNECTIONS_MAX 100000000
#define DAY_MS          (INT64_C(24) * 60 * 60 * 1000)

struct serve {
    int argc; /* kept: a reload looks at all sources again */
    char **argv;
    struct config config; /* as running */
    uint64_t generation;
};

/* ---- reload ------------------------------------------------------------------------ */

static void warn_of_stale(const struct config *running, const struct config *changed)
{
    const struct option *option;
    size_t at = 0;
    while ((option = config_next_stale(running, changed, &at)) != NULL)
        log_warn("config", "--%s has changed, which takes a restart", option->flag);
}

static void apply_log_level(const struct config *config)
{
    enum log_level level;
    if (log_parse_level(config->log_level, &level)) log_set_level(level);
}

/* On the hub's thread. Apps, keys and quotas come with the new snapshot; whatever is wrong, all
 * stays. */
static struct apps *on_reload(void *arg)
{
    struct serve *serve = arg;
    struct config changed;
    struct buf why = {0};
    struct apps *apps = NULL;
    if (config_load(serve->argc, serve->argv, serve->generation + 1, &changed, &why) ==
        OPTIONS_OK) {
        serve->generation++;
        warn_of_stale(&serve->config, &changed);
        apply_log_level(&changed);
        apps = changed.apps;
        log_info("config", "reloaded: %zu apps", apps->count);
    } else {
        log_error("config", "not reloaded, the old one stays: %.*s", STR_ARG(buf_str(&why)));
    }
    buf_deinit(&why);
    return apps;
}

/* ---- start ------------------------------------------------------------------------- */

static uint32_t connections_allowed(uint32_t wanted)
{
    uint64_t files = files_raise_limit();
    uint64_t possible = files > 2 * FILES_RESERVED ? files - FILES_RESERVED : files / 2;
    if (possible > CONNECTIONS_MAX) possible = CONNECTIONS_MAX;
    if (wanted == 0) return (uint32_t)possible;
    if (wanted <= possible) return wanted;
    log_warn(
        "config",
        "max_connections %u is more than the limit of open files allows: %u. Raise it (ulimit -n).",
        wanted, (unsigned)possible);
    return (uint32_t)possible;
}

static unsigned cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > LIMIT_WORKERS ? LIMIT_WORKERS : (unsigned)count;
}

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* The table was checked with the other options. */
static struct pace_config pace_of(const struct config *config)
{
    struct pace_config pace = {.is_on = config->pace};
    pace_table_parse(str_of(config->pace_table), &pace);
    return pace;
}

static struct switch_config switching_of(const struct config *config)
{
    return (struct switch_config){.up_online = config->switch_up_online,
                                  .down_online = config->switch_down_online,
                                  .up_deliveries = config->switch_up_deliveries,
                                  .down_deliveries = config->switch_down_deliveries,
                                  .up_ms = config->switch_up_s * INT64_C(1000),
                                  .down_ms = config->switch_down_s * INT64_C(1000),
                                  .is_dry = config->switch_dry_run};
}

static struct server_config server_config_of(struct serve *serve)
{
    const struct config *config = &serve->config;
    return (struct server_config){
        .listen = config->listen,
        .ops_listen = text_or_null(config->ops_listen),
        .store = config->store,
        .workers = config->workers > 0 ? config->workers : cores(),
        .dev = config->dev,
        .console = config->console,
        .retention[LIST_HIGH] = {config->retention_high_age_s * INT64_C(1000),
                                 config->retention_high_count},
        .retention[LIST_NORMAL] = {config->retention_normal_age_s * INT64_C(1000),
                                   config->retention_normal_count},
        .history = {.max_age_ms = config->history_days * DAY_MS,
                    .thin_age_ms = config->history_thin_days * DAY_MS},
        .counting = config->counting,
        .max_connections = connections_allowed(config->max_connections),
        .header_timeout_ms = config->header_timeout_s * 1000,
        .idle_timeout_ms = config->idle_timeout_s * 1000,
        .write_timeout_ms = config->write_timeout_s * 1000,
        .pace = pace_of(config),
        .linger_ms = config->linger_s * 1000,
        .drain_ms = config->drain_s * 1000,
        .link_listen = text_or_null(config->link),
        .link_secret = text_or_null(config->link_secret),
        .link_tls = config->link_tls,
        .link_files = {.ca = text_or_null(config->link_ca),
                       .cert = text_or_null(config->link_cert),
                       .key = text_or_null(config->link_key)},
        .version = STOA_VERSION,
        .sect = text_or_null(config->sect),
        .vip = config->vip,
        .advertise = text_or_null(config_advertise(config)),
        .switching = switching_of(config),
        .test_faults = text_or_null(config->test_faults),
        .apps = config->apps,
        .reload = on_reload,
        .reload_arg = serve,
    };
}

static int run(struct serve *serve)
{
    char why[256] = "";
    apply_log_level(&serve->config);
    struct server_config config = server_config_of(serve);
    if (server_run(&config, why, sizeof(why)) == 0) return 0;
    fprintf(stderr, "stoa serve: %s\n", why);
    return 1;
}

int tool_serve(int argc, char **argv)
{
    struct serve serve = {.argc = argc, .argv = argv, .generation = 1};
    struct buf why = {0};
    int status = 2;
    switch (config_load(argc, argv, serve.generation, &serve.config, &why)) {
    case OPTIONS_OK: status = run(&serve); break;
    case OPTIONS_HELP:
        options_help(&config_command, stdout);
        status = 0;
        break;
    case OPTIONS_FAILED: fprintf(stderr, "stoa serve: %.*s\n", STR_ARG(buf_str(&why))); break;
    }
    buf_deinit(&why);
    return status;
}
