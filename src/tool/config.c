#include "tool/config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/pacing.h"
#include "core/room.h"
#include "base/alloc.h"
#include "base/log.h"
#include "tool/host_port.h"
#include "tool/config_file.h"

#define YEARS_10_S (10.0 * 366 * 86400)

/* ---- the options ------------------------------------------------------------------- */

/* An option that may be given in all three ways: --flag, STOA_FLAG, and `key` in `section`. */
#define OPTION(member, in_section, flag_name, key_name)                                            \
    OPTION_FIELD(struct config, member), .section = in_section, .flag = flag_name,                 \
                                         .key = key_name, .has_env = true
#define BETWEEN(low, high) .kind = OPTION_U32, .min = low, .max = high

static const struct option options[] = {
    {OPTION_FIELD(struct config, config), .kind = OPTION_TEXT, .flag = "config", .has_env = true,
     .value = "FILE", .help = "the configuration file; SIGHUP reads it again"},
    {OPTION(dev, "server", "dev", "dev"), .kind = OPTION_BOOL,
     .help = "development: the one app 'dev' with the key 'dev', no login, loopback only"},
    {OPTION(console, "server", "console", "console"), .kind = OPTION_BOOL, .fallback = "true",
     .help = "the hosts' pages at /console; what they show takes an app's key"},
    {OPTION(listen, "server", "listen", "listen"), .kind = OPTION_ADDRESS, .value = "HOST:PORT",
     .fallback = "127.0.0.1:8080", .help = "where clients connect; port 0 takes a free one"},
    {OPTION(ops_listen, "server", "ops-listen", "ops_listen"), .kind = OPTION_ADDRESS,
     .value = "HOST:PORT", .help = "a listener of their own for /metrics, /v1/nodes, /v1/sects"},
    {OPTION(workers, "server", "workers", "workers"), BETWEEN(0, LIMIT_WORKERS), .value = "N",
     .fallback = "0", .help = "threads that serve connections; 0: one for each core"},
    {OPTION(log_level, "server", "log-level", "log_level"), .kind = OPTION_TEXT, .reloads = true,
     .value = "LEVEL", .fallback = "info", .help = "debug, info, warn or error"},
    {OPTION(max_connections, "server", "max-connections", "max_connections"), BETWEEN(0, 100000000),
     .value = "N", .fallback = "0",
     .help = "connections at once; 0: as many as the limit of open files allows"},
    {OPTION(header_timeout_s, "server", "header-timeout-s", "header_timeout_s"), BETWEEN(1, 3600),
     .value = "S", .fallback = "10", .help = "from the first byte of a request to its last"},
    {OPTION(idle_timeout_s, "server", "idle-timeout-s", "idle_timeout_s"), BETWEEN(1, 86400),
     .value = "S", .fallback = "75", .help = "a connection may rest this long between requests"},
    {OPTION(write_timeout_s, "server", "write-timeout-s", "write_timeout_s"), BETWEEN(1, 3600),
     .value = "S", .fallback = "30", .help = "for a peer that does not read its answer"},
    {OPTION(linger_s, "server", "linger-s", "linger_s"), BETWEEN(1, 3600), .value = "S",
     .fallback = "10", .help = "a user counts as online this long after the last poll"},
    {OPTION(drain_s, "server", "drain-s", "drain_s"), BETWEEN(0, 3600), .value = "S",
     .fallback = "2", .help = "at a stop, clients are told to come back spread over this time"},
    {OPTION(counting, "server", "counting", "counting"), .kind = OPTION_BOOL, .fallback = "true",
     .help = "count who was in a room, and keep its history"},
    {OPTION(pace, "pace", "pace", "enabled"), .kind = OPTION_BOOL, .fallback = "true",
     .help = "hold answers by a room's audience and the server's load"},
    {OPTION(pace_table, "pace", "pace-table", "table"), .kind = OPTION_TEXT, .value = "TABLE",
     .fallback = PACE_TABLE_DEFAULT,
     .help = "least time between two answers to one client, by audience: AUDIENCE:MS, rising"},
    {OPTION(store, "store", "store", "url"), .kind = OPTION_TEXT, .value = "URL",
     .fallback = "sqlite:stoa.db",
     .help = "memory:, sqlite:PATH (relative to the current directory), or link://HOST:PORT,…: the "
             "cache nodes that this edge is in front of"},
    {OPTION(retention_normal_age_s, "store", "retention-normal-age-s", "retention_normal_age_s"),
     BETWEEN(0, YEARS_10_S), .value = "S", .fallback = "86400",
     .help = "normal messages are kept this long; 0: no limit"},
    {OPTION(retention_normal_count, "store", "retention-normal-count", "retention_normal_count"),
     BETWEEN(0, UINT32_MAX), .value = "N", .fallback = "10000",
     .help = "and at most this many of them in a room; 0: no limit"},
    {OPTION(retention_high_age_s, "store", "retention-high-age-s", "retention_high_age_s"),
     BETWEEN(0, YEARS_10_S), .value = "S", .fallback = "604800",
     .help = "high messages are kept this long; 0: no limit"},
    {OPTION(retention_high_count, "store", "retention-high-count", "retention_high_count"),
     BETWEEN(0, UINT32_MAX), .value = "N", .fallback = "10000",
     .help = "and at most this many of them in a room; 0: no limit"},
    {OPTION(history_days, "store", "history-days", "history_days"), BETWEEN(0, 3660), .value = "D",
     .fallback = "30", .help = "viewers by time and history are kept this long; 0: no limit"},
    {OPTION(history_thin_days, "store", "history-thin-days", "history_thin_days"), BETWEEN(0, 3660),
     .value = "D", .fallback = "7",
     .help = "history older than this is kept by the hour instead of the minute; 0: never"},
    {OPTION(link, "link", "link", "listen"), .kind = OPTION_ADDRESS, .value = "HOST:PORT",
     .help = "where edges connect, whose store this node then is; takes a secret"},
    {OPTION(link_secret, "link", "link-secret", "secret"), .kind = OPTION_TEXT, .is_secret = true,
     .value = "SECRET",
     .help = "what nodes prove to each other that they know, the same at all; at least 32 bytes"},
    {OPTION(link_secret_file, "link", "link-secret-file", "secret_file"), .kind = OPTION_TEXT,
     .value = "FILE", .help = "the secret of the cluster is the first line of this file"},
    {OPTION(link_tls, "link", "link-tls", "tls"), .kind = OPTION_BOOL, .fallback = "false",
     .help = "links between nodes are encrypted, at both ends"},
    {OPTION(link_ca, "link", "link-ca", "ca"), .kind = OPTION_TEXT, .value = "FILE",
     .help = "PEM: who signs the certificates of nodes; a node with it asks edges for one, too"},
    {OPTION(link_cert, "link", "link-cert", "cert"), .kind = OPTION_TEXT, .value = "FILE",
     .help = "PEM: the certificate of this node, with its chain"},
    {OPTION(link_key, "link", "link-key", "key"), .kind = OPTION_TEXT, .value = "FILE",
     .help = "PEM: its private key, if it is not in the same file"},
    {OPTION(sect, "link", "sect", "sect"), .kind = OPTION_TEXT, .value = "NAME",
     .help = "the sect of cache nodes that this one is in"},
    {OPTION(vip, "link", "vip", "vip"), .kind = OPTION_BOOL,
     .help = "that sect takes rooms by assignment only"},
    {OPTION(advertise, "link", "advertise", "advertise"), .kind = OPTION_ADDRESS,
     .value = "HOST:PORT", .help = "where edges reach this node; by default, in a sect, --link"},
    {OPTION(switch_up_online, "switch", "switch-up-online", "up_online"), BETWEEN(0, UINT32_MAX),
     .value = "N", .fallback = "100000",
     .help = "a room goes to a VIP sect from this audience on; 0: whatever its audience"},
    {OPTION(switch_down_online, "switch", "switch-down-online", "down_online"),
     BETWEEN(0, UINT32_MAX), .value = "N", .fallback = "50000",
     .help = "and comes back below this one"},
    {OPTION(switch_up_deliveries, "switch", "switch-up-deliveries-per-s", "up_deliveries_per_s"),
     BETWEEN(0, UINT32_MAX), .value = "N", .fallback = "1000000",
     .help = "or from so many messages a second times audience on; 0: whatever its traffic"},
    {OPTION(switch_down_deliveries, "switch", "switch-down-deliveries-per-s",
            "down_deliveries_per_s"),
     BETWEEN(0, UINT32_MAX), .value = "N", .fallback = "500000",
     .help = "and comes back below this many, too"},
    {OPTION(switch_up_s, "switch", "switch-up-s", "up_s"), BETWEEN(1, 86400), .value = "S",
     .fallback = "10", .help = "for so long before it goes"},
    {OPTION(switch_down_s, "switch", "switch-down-s", "down_s"), BETWEEN(1, 86400), .value = "S",
     .fallback = "600", .help = "for so long before it comes back"},
    {OPTION(switch_dry_run, "switch", "switch-dry-run", "dry_run"), .kind = OPTION_BOOL,
     .help = "only log what the switch would do"},
    {OPTION_FIELD(struct config, test_faults), .kind = OPTION_TEXT, .flag = "test-faults",
     .has_env = true, .value = "NAME", .help = "for tests: drop_news loses every notification"},
};

const struct command config_command = {
    .synopsis = "stoa serve [--config FILE] [--dev] [--listen HOST:PORT] [--store URL] …",
    .about = "Serves chat rooms. Flags win over the environment, the environment over the file.",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
};

#define APP_KEY(member, key_name)                                                                  \
    OPTION_FIELD(struct app, member), .section = "app", .key = key_name

static const struct option app_options[] = {
    {APP_KEY(keys, "key"), .kind = OPTION_LIST, .item_bytes = LIMIT_SECRET + 1},
    {APP_KEY(secret, "secret"), .kind = OPTION_TEXT},
    {APP_KEY(origins, "origins"), .kind = OPTION_LIST, .item_bytes = LIMIT_ORIGIN + 1},
    {APP_KEY(auto_create, "auto_create"), .kind = OPTION_BOOL, .fallback = "false"},
    {APP_KEY(user_per_s, "user_per_s"), BETWEEN(0, 1000000), .fallback = "2"},
    {APP_KEY(user_burst, "user_burst"), BETWEEN(1, 1000000), .fallback = "5"},
};

const struct command config_app_command = {
    .options = app_options,
    .count = sizeof(app_options) / sizeof(app_options[0]),
};

/* ---- apps -------------------------------------------------------------------------- */

static int fail_app(const struct app *app, struct buf *why, const char *text)
{
    buf_printf(why, "[app \"%s\"] %s", app->name, text);
    return -1;
}

/* scheme://host[:port], as browsers send it, or "*". */
static bool origin_is_valid(const char *origin)
{
    const char *host = strstr(origin, "://");
    if (strcmp(origin, "*") == 0) return true;
    return host != NULL && host != origin && host[3] != '\0' && strchr(host + 3, '/') == NULL;
}

static int check_app(const struct app *app, struct buf *why)
{
    if (app->keys[0][0] == '\0' && app->secret[0] == '\0')
        return fail_app(app, why, "has neither key nor secret, so nobody could use it: add one");
    if (app->secret[0] != '\0' && strlen(app->secret) < CONFIG_MIN_SECRET)
        return fail_app(app, why, "secret: is too short, at least 32 bytes: openssl rand -hex 32");
    for (size_t i = 0; i < LIMIT_APP_KEYS && app->keys[i][0] != '\0'; i++)
        if (strlen(app->keys[i]) < CONFIG_MIN_KEY)
            return fail_app(app, why, "key: is too short, at least 16 bytes: openssl rand -hex 16");
    for (size_t i = 0; i < LIMIT_APP_ORIGINS && app->origins[i][0] != '\0'; i++)
        if (!origin_is_valid(app->origins[i]))
            return fail_app(app, why,
                            "origins: write them as https://host[:port] without a path, or *");
    return 0;
}

static bool has_key(const struct app *app, const char *key)
{
    for (size_t i = 0; i < LIMIT_APP_KEYS; i++)
        if (strcmp(app->keys[i], key) == 0) return true;
    return false;
}

/* A key names its app, so no two may share one. */
static int check_shared_keys(const struct config_apps *apps, size_t index, struct buf *why)
{
    const struct app *app = &apps->list[index].app;
    for (size_t other = 0; other < index; other++)
        for (size_t i = 0; i < LIMIT_APP_KEYS && app->keys[i][0] != '\0'; i++)
            if (has_key(&apps->list[other].app, app->keys[i]))
                return fail_app(app, why, "key: another app has the same one: make a new one");
    return 0;
}

static int check_apps(const struct config_apps *apps, const char *path, struct buf *why)
{
    size_t start = why->len;
    for (size_t i = 0; i < apps->count; i++) {
        buf_printf(why, "%s:%d: ", path, apps->list[i].line);
        if (check_app(&apps->list[i].app, why) != 0) return -1;
        if (check_shared_keys(apps, i, why) != 0) return -1;
        why->len = start;
    }
    return 0;
}

static struct apps *make_apps(const struct config_apps *from, uint64_t generation)
{
    struct apps *apps = apps_new(from->count, generation);
    for (size_t i = 0; i < from->count; i++) apps->app[i] = from->list[i].app;
    return apps;
}

/* ---- loading ----------------------------------------------------------------------- */

static int read_file(const char *path, struct config *config, struct config_apps *ret_apps,
                     struct buf *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        buf_printf(why, "%s: cannot be opened: %s", path, strerror(errno));
        return -1;
    }
    int err = config_file_read(file, path, config, ret_apps, why);
    fclose(file);
    return err != 0 ? err : check_apps(ret_apps, path, why);
}

static int check_loopback(const char *what, const char *address, struct buf *why)
{
    struct str host;
    uint16_t port;
    if (address[0] == '\0') return 0;
    if (host_port_split(str_of(address), &host, &port) && host_port_is_loopback(host)) return 0;
    buf_printf(why,
               "--dev lets anybody in, so it serves this machine only: %s must be on loopback "
               "(127.0.0.1), not %s. To serve others, configure an [app] instead.",
               what, address);
    return -1;
}

/* ---- the link ---------------------------------------------------------------------- */

static int read_secret_file(struct config *config, struct buf *why)
{
    char line[CONFIG_TEXT + 2] = "";
    if (config->link_secret_file[0] == '\0') return 0;
    if (config->link_secret[0] != '\0') {
        buf_printf(why, "[link] there are both secret and secret_file: keep one");
        return -1;
    }
    FILE *file = fopen(config->link_secret_file, "re");
    if (file == NULL) {
        buf_printf(why, "[link] secret_file: cannot be opened: %s", strerror(errno));
        return -1;
    }
    bool has_line = fgets(line, sizeof(line), file) != NULL;
    fclose(file);
    struct str end, secret = str_trim(str_split(str_of(has_line ? line : ""), '\n', &end));
    if (str_copy(secret, config->link_secret, sizeof(config->link_secret))) return 0;
    buf_printf(why, "[link] secret_file: its first line is too long");
    return -1;
}

static int check_link(const struct config *config, struct buf *why)
{
    bool is_node = config->link[0] != '\0';
    bool is_edge = str_starts(str_of(config->store), STR("link://"));
    if (!is_node && !is_edge) return 0;
    if (strlen(config->link_secret) < CONFIG_MIN_SECRET) {
        buf_printf(why,
                   "[link] secret: nodes take a common one of at least %d bytes (openssl rand "
                   "-hex 32): in the file, as STOA_LINK_SECRET, or by secret_file",
                   CONFIG_MIN_SECRET);
        return -1;
    }
    if (!is_node || !config->link_tls || config->link_cert[0] != '\0') return 0;
    buf_printf(why, "[link] tls: a node that listens for edges needs a certificate: cert, and key");
    return -1;
}

/* ---- sects ------------------------------------------------------------------------- */

static int fail_text(struct buf *why, const char *text)
{
    buf_printf(why, "%s", text);
    return -1;
}

/* Edges connect to it, from other machines: no wildcard, no port that is still to be chosen. */
static int check_advertise(const char *address, struct buf *why)
{
    struct str host;
    uint16_t port;
    if (!host_port_split(str_of(address), &host, &port) || port == 0)
        return fail_text(why, "[link] advertise: must name the port that edges connect to");
    if (str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::")) || str_eq(host, STR("[::]")))
        return fail_text(why, "[link] advertise: must be an address that edges can connect to, not "
                              "that of all interfaces");
    return 0;
}

const char *config_advertise(const struct config *config)
{
    bool is_told = config->advertise[0] != '\0' || config->sect[0] == '\0';
    return is_told ? config->advertise : config->link;
}

static int check_sect(const struct config *config, struct buf *why)
{
    const char *advertise = config_advertise(config);
    if (advertise[0] != '\0' && check_advertise(advertise, why) != 0) return -1;
    if (config->vip && config->sect[0] == '\0')
        return fail_text(why, "[link] vip: says that a sect takes rooms by assignment only, but "
                              "there is none: name it with --sect NAME");
    if (config->sect[0] == '\0') return 0;
    if (!room_id_is_valid(str_of(config->sect)))
        return fail_text(why, "[link] sect: must be 1-64 of A-Z a-z 0-9 _ . : -");
    if (advertise[0] == '\0')
        return fail_text(why, "[link] sect: edges could not reach this node: say where with --link "
                              "HOST:PORT, or --advertise HOST:PORT");
    return 0;
}

static int check_pair(const char *name, uint32_t up, uint32_t down, struct buf *why)
{
    if (up == 0 || down < up) return 0;
    buf_printf(why,
               "[switch] down_%s: must be below up_%s (%u), or rooms would go and come back all "
               "the time",
               name, name, up);
    return -1;
}

static int check_switch(const struct config *config, struct buf *why)
{
    if (check_pair("online", config->switch_up_online, config->switch_down_online, why) != 0)
        return -1;
    return check_pair("deliveries_per_s", config->switch_up_deliveries,
                      config->switch_down_deliveries, why);
}

/* What no single option can check. */
static int check_whole(const struct config *config, size_t app_count, struct buf *why)
{
    enum log_level level;
    if (!log_parse_level(config->log_level, &level)) {
        buf_printf(why, "log_level must be debug, info, warn or error");
        return -1;
    }
    struct pace_config pace = {0};
    if (!pace_table_parse(str_of(config->pace_table), &pace)) {
        buf_printf(
            why, "[pace] table: \"%s\" is not up to %d of AUDIENCE:MS, both rising, such as \"%s\"",
            config->pace_table, PACE_POINTS, PACE_TABLE_DEFAULT);
        return -1;
    }
    if (check_link(config, why) != 0) return -1;
    if (check_sect(config, why) != 0 || check_switch(config, why) != 0) return -1;
    if (config->dev) {
        if (check_loopback("--listen", config->listen, why) != 0) return -1;
        return check_loopback("--ops-listen", config->ops_listen, why);
    }
    if (app_count > 0) return 0;
    if (config->config[0] == '\0')
        buf_printf(why, "there is no app to serve: try --dev, or name a file with --config "
                        "(stoa.example.ini shows how)");
    else
        buf_printf(why, "%s: there is no app to serve: add a section [app \"NAME\"]",
                   config->config);
    return -1;
}

/* Everything from the sources on: argv NULL looks at the file alone. */
static enum options_result load(int argc, char **argv, const char *path, uint64_t generation,
                                struct config *ret, struct buf *why)
{
    struct config_apps apps = {0};
    struct config config;
    enum options_result result = OPTIONS_FAILED;

    options_default(&config_command, &config, sizeof(config));
    if (path[0] != '\0' && read_file(path, &config, &apps, why) != 0) goto out;
    if (argv != NULL) {
        if (options_env(&config_command, &config, why) != 0) goto out;
        result = options_args(&config_command, argc, argv, &config, NULL, why);
        if (result != OPTIONS_OK) goto out;
        result = OPTIONS_FAILED;
    }
    str_copy(str_of(path), config.config, sizeof(config.config));
    if (read_secret_file(&config, why) != 0) goto out;
    if (check_whole(&config, apps.count, why) != 0) goto out;
    config.apps = config.dev ? apps_new_dev(generation) : make_apps(&apps, generation);
    *ret = config;
    result = OPTIONS_OK;
out:
    free(apps.list);
    return result;
}

enum options_result config_load(int argc, char **argv, uint64_t generation, struct config *ret,
                                struct buf *why)
{
    /* A first look, only to learn of the file; and wrong flags are told before what is in it. */
    struct config look;
    options_default(&config_command, &look, sizeof(look));
    if (options_env(&config_command, &look, why) != 0) return OPTIONS_FAILED;
    enum options_result result = options_args(&config_command, argc, argv, &look, NULL, why);
    if (result != OPTIONS_OK) return result;
    return load(argc, argv, look.config, generation, ret, why);
}

int config_load_file(const char *path, uint64_t generation, struct config *ret, struct buf *why)
{
    return load(0, NULL, path, generation, ret, why) == OPTIONS_OK ? 0 : -1;
}

void config_deinit(struct config *config)
{
    apps_unref(config->apps);
    config->apps = NULL;
}

const struct option *config_next_stale(const struct config *running, const struct config *changed,
                                       size_t *at)
{
    while (*at < config_command.count) {
        const struct option *option = &config_command.options[(*at)++];
        if (!option->reloads && !option_is_same(option, running, changed)) return option;
    }
    return NULL;
}
