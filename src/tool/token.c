/* stoa token: a signed token, for trying things out and for shell scripts. A back end signs its
 * own, with any JWT library and the app's secret (docs/protocol.md). */
#include <stdio.h>
#include <time.h>

#include "api/identity.h"
#include "core/room.h"
#include "tool/config.h"
#include "tool/tool.h"

struct token_options {
    char app[LIMIT_APP_NAME + 1];
    char user[LIMIT_USER_ID + 1];
    char name[LIMIT_USER_NAME + 1];
    char room[LIMIT_ROOM_ID + 1];
    char role[16];
    uint32_t ttl_s;
    char secret[LIMIT_SECRET + 1];
    char config[PATH_MAX];
};

#define FIELD(member, flag_name)                                                                   \
    OPTION_FIELD(struct token_options, member), .flag = flag_name, .kind = OPTION_TEXT

static const struct option options[] = {
    {FIELD(app, "app"), .value = "NAME", .fallback = "dev", .help = "the app whose secret signs"},
    {FIELD(user, "user"), .value = "ID", .help = "who the token is for (required)"},
    {FIELD(name, "name"), .value = "NAME", .help = "the name shown with messages"},
    {FIELD(room, "room"), .value = "ID", .fallback = "*", .help = "the one room it opens; *: any"},
    {FIELD(role, "role"), .value = "ROLE", .fallback = "viewer",
     .help = "viewer reads, speaker also sends, host also moderates"},
    {OPTION_FIELD(struct token_options, ttl_s), .flag = "ttl_s", .kind = OPTION_U32, .min = 1,
     .max = UINT32_MAX, .value = "S", .fallback = "3600", .help = "seconds until it expires"},
    {FIELD(secret, "secret"), .has_env = true, .value = "SECRET",
     .help = "the app's secret; rather in the environment, where other users do not see it"},
    {FIELD(config, "config"), .has_env = true, .value = "FILE",
     .help = "takes the secret from this configuration file"},
};

static const struct command command = {
    .synopsis = "stoa token --user ID [--app NAME] [--room ID] [--role ROLE] [--ttl_s S] "
                "[--secret SECRET | --config FILE]",
    .about =
        "Prints a token. The secret comes from --secret, STOA_SECRET, or the app's section in the\n"
        "configuration file; for the app dev (stoa serve --dev) it is known.",
    .options = options,
    .count = sizeof(options) / sizeof(options[0]),
};

static const char *check(const struct token_options *o)
{
    static const char *const roles[] = {"viewer", "speaker", "host"};
    bool known_role = false;
    for (size_t i = 0; i < 3; i++) known_role |= strcmp(o->role, roles[i]) == 0;

    if (o->user[0] == '\0') return "--user is missing: whom is the token for?";
    if (!user_id_is_valid(str_of(o->user)))
        return "--user must be UTF-8 without control characters";
    if (!str_is_utf8(str_of(o->name)) || str_has_control(str_of(o->name)))
        return "--name must be UTF-8 without control characters";
    if (!known_role) return "--role must be viewer, speaker or host";
    if (!room_id_is_valid(str_of(o->app))) return "--app must be 1-64 of A-Z a-z 0-9 _ . : -";
    if (strcmp(o->room, "*") != 0 && !room_id_is_valid(str_of(o->room)))
        return "--room must be * or 1-64 of A-Z a-z 0-9 _ . : -";
    return NULL;
}

/* Fills in o->secret from the file's section of the app. 0, or -1 and why. */
static int secret_from_file(struct token_options *o, struct buf *why)
{
    struct config config;
    if (config_load_file(o->config, 1, &config, why) != 0) return -1;
    const struct app *app = apps_by_name(config.apps, str_of(o->app));
    int err = app != NULL && app->secret[0] != '\0' ? 0 : -1;
    if (err == 0)
        str_copy(str_of(app->secret), o->secret, sizeof(o->secret));
    else
        buf_printf(why, "%s: there is no [app \"%s\"] with a secret", o->config, o->app);
    config_deinit(&config);
    return err;
}

static int find_secret(struct token_options *o, struct buf *why)
{
    if (o->secret[0] != '\0') return 0;
    if (o->config[0] != '\0') return secret_from_file(o, why);
    if (strcmp(o->app, "dev") == 0)
        return str_copy(STR("dev"), o->secret, sizeof(o->secret)) ? 0 : -1;
    buf_printf(why, "the secret of app %s is not known: give --config FILE or STOA_SECRET", o->app);
    return -1;
}

static void print_token(const struct token_options *o)
{
    struct buf token = {0};
    struct token_claims claims = {
        .app = str_of(o->app),
        .user = str_of(o->user),
        .room = str_of(o->room),
        .role = str_of(o->role),
        .name = str_of(o->name),
        .expires_s = (int64_t)time(NULL) + o->ttl_s,
    };
    token_sign(str_of(o->secret), &claims, &token);
    printf("%.*s\n", STR_ARG(buf_str(&token)));
    buf_deinit(&token);
}

int tool_token(int argc, char **argv)
{
    struct token_options o;
    struct buf why = {0};
    int status = options_start(&command, argc, argv, &o, sizeof(o), NULL);
    if (status >= 0) return status;

    /* Flags win: the environment only fills what they left open. */
    struct token_options with_env = {0};
    const char *wrong = check(&o);
    if (wrong != NULL) {
        buf_printf(&why, "%s", wrong);
    } else if (options_env(&command, &with_env, &why) == 0) {
        if (o.secret[0] == '\0' && o.config[0] == '\0') {
            memcpy(o.secret, with_env.secret, sizeof(o.secret));
            memcpy(o.config, with_env.config, sizeof(o.config));
        }
        find_secret(&o, &why);
    }
    if (why.len == 0)
        print_token(&o);
    else
        fprintf(stderr, "stoa token: %.*s\n", STR_ARG(buf_str(&why)));
    status = why.len == 0 ? 0 : 2;
    buf_deinit(&why);
    return status;
}
