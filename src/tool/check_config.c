/* stoa check-config FILE: says whether serve would take this file, before a reload or a restart
 * finds out. */
#include <stdio.h>

#include "tool/config.h"
#include "tool/tool.h"

static const struct command command = {
    .synopsis = "stoa check-config FILE",
    .about =
        "Checks a configuration file, without environment and flags. Exit status 0: serve takes\n"
        "it. 1: it does not, and the error says where.",
    .positional = 1,
};

int tool_check_config(int argc, char **argv)
{
    struct config config;
    struct buf why = {0};
    const char *path;
    int status = options_start(&command, argc, argv, NULL, 0, &path);
    if (status >= 0) return status;

    if (config_load_file(path, 1, &config, &why) != 0) {
        fprintf(stderr, "%.*s\n", STR_ARG(buf_str(&why)));
        status = 1;
    } else {
        printf("%s: ok, %zu app%s\n", path, config.apps->count, config.apps->count == 1 ? "" : "s");
        config_deinit(&config);
        status = 0;
    }
    buf_deinit(&why);
    return status;
}
