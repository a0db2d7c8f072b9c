/* Stoa, a chat server for live audiences. This only picks the subcommand; each is a file in tool/.
 */
#include <stdio.h>
#include <string.h>

#include "tool/nearest.h"
#include "tool/tool.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
};

static const struct subcommand subcommands[] = {
    {"serve", tool_serve, "serve chat rooms"},
    {"token", tool_token, "make a token for a viewer, speaker or host"},
    {"replay", tool_replay, "play a recorded chat into a room and check it at every viewer"},
    {"bench", tool_bench, "measure a server under load"},
    {"check-config", tool_check_config, "check a configuration file"},
    {"version", tool_version, "print the version"},
};
#define SUBCOMMANDS (sizeof(subcommands) / sizeof(subcommands[0]))

static void usage(FILE *out)
{
    fprintf(out, "usage: stoa SUBCOMMAND [OPTIONS]\n\n");
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        fprintf(out, "  %-14s%s\n", subcommands[i].name, subcommands[i].help);
    fprintf(out, "\nTo try it:   stoa serve --dev   and open http://127.0.0.1:8080/\n"
                 "Options:     stoa SUBCOMMAND --help\n");
}

static int unknown(const char *name)
{
    struct nearest nearest;
    nearest_init(&nearest, str_of(name));
    for (size_t i = 0; i < SUBCOMMANDS; i++) nearest_try(&nearest, subcommands[i].name);
    fprintf(stderr, "stoa: unknown subcommand '%s'", name);
    if (nearest.best != NULL) fprintf(stderr, ": did you mean '%s'?", nearest.best);
    fprintf(stderr, "\n\n");
    usage(stderr);
    return 2;
}

int main(int argc, char **argv)
{
    static const char *const help[] = {"help", "--help", "-h"};
    if (argc < 2) {
        usage(stderr);
        return 2;
    }
    for (size_t i = 0; i < sizeof(help) / sizeof(help[0]); i++) {
        if (strcmp(argv[1], help[i]) != 0) continue;
        usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) return tool_version(1, argv + 1);
    for (size_t i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
