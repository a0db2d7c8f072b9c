/* The configuration of `stoa serve`: flags over environment over file over defaults.
 *
 * The file is INI (tool/config_file.h): [server], [store], and one [app "name"] for each app. Which
 * options there are, what they are called and what they may be stands in the one table in config.c.
 * Single thread. */
#ifndef STOA_TOOL_CONFIG_H
#define STOA_TOOL_CONFIG_H

#include <limits.h>

#include "api/apps.h"
#include "tool/options.h"

#define CONFIG_TEXT       512
#define CONFIG_MIN_SECRET 32 /* bytes; HS256 wants a key as long as its hash (RFC 7518, 3.2) */
#define CONFIG_MIN_KEY    16

struct config {
    char config[PATH_MAX]; /* the file; empty: none */
    bool dev, console;
    char listen[CONFIG_TEXT];
    char ops_listen[CONFIG_TEXT]; /* empty: none of its own */
    char log_level[8];
    uint32_t workers;         /* 0: as many as there are cores */
    uint32_t max_connections; /* 0: what the limit of open files allows */
    uint32_t header_timeout_s, idle_timeout_s, write_timeout_s;
    uint32_t linger_s, drain_s;
    bool counting;
    bool pace;
    char pace_table[CONFIG_TEXT];
    char store[CONFIG_TEXT];
    uint32_t retention_normal_age_s, retention_normal_count;
    uint32_t retention_high_age_s, retention_high_count;
    uint32_t history_days, history_thin_days;
    char link[CONFIG_TEXT]; /* where edges connect; empty: nowhere */
    char link_secret[CONFIG_TEXT];
    char link_secret_file[CONFIG_TEXT]; /* instead; its content is in link_secret after loading */
    bool link_tls;
    char link_ca[CONFIG_TEXT], link_cert[CONFIG_TEXT], link_key[CONFIG_TEXT];
    char sect[LIMIT_SECT + 1];         /* empty: in none */
    char advertise[LIMIT_ADDRESS + 1]; /* see config_advertise() */
    bool vip;
    bool switch_dry_run;
    uint32_t switch_up_online, switch_down_online, switch_up_deliveries, switch_down_deliveries;
    uint32_t switch_up_s, switch_down_s;
    char test_faults[32]; /* empty: none */
    struct apps *apps;    /* owned */
};

/* `stoa serve`: its options, of which those with a section may stand in the file. */
extern const struct command config_command;
/* What may stand in [app "name"]; fills a struct app. */
extern const struct command config_app_command;

/* All sources. argv[0] is skipped. On OPTIONS_OK the caller owns ret->apps; else ret is not to be
 * used and, on OPTIONS_FAILED, `why` says what is wrong, where, and what to do. The generation is
 * the apps'. */
enum options_result config_load(int argc, char **argv, uint64_t generation, struct config *ret,
                                struct buf *why);
/* The file alone over the defaults, as check-config looks at it. 0 or -1. */
int config_load_file(const char *path, uint64_t generation, struct config *ret, struct buf *why);
void config_deinit(struct config *config);
/* Where edges are told to connect: `advertise`, or for a node in a sect `link`. Empty: nowhere. */
const char *config_advertise(const struct config *config);

/* Names an option that differs and that only a restart would apply, NULL when there is none. Start
 * with *at = 0 and call until NULL. */
const struct option *config_next_stale(const struct config *running, const struct config *changed,
                                       size_t *at);

#endif
