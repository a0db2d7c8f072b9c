/* The options of a subcommand, each described once.
 *
 * A subcommand is a table of struct option over a plain struct of its own: the fields hold the
 * values, the table says how each is called on the command line, in the environment and in the
 * configuration file, what it may be, and what it is without being given. Flags, environment, file
 * and --help all read that table, so they cannot disagree. Precedence is the order of application:
 * options_default(), then the file (tool/config_file.h), options_env(), options_args(); what comes
 * later overwrites.
 *
 * To add an option: a field in the struct and a line in the table.
 *
 * Errors go to `why` as a sentence that says what is wrong and what would be right; values of text
 * options are never repeated in it, since they may be secrets. It is empty after success, but may
 * own memory: the caller frees it in any case. Single thread. */
#ifndef STOA_TOOL_OPTIONS_H
#define STOA_TOOL_OPTIONS_H

#include <stdio.h>

#include "base/buf.h"

enum option_kind {
    OPTION_BOOL,    /* bool; a flag without a value means true */
    OPTION_TEXT,    /* char[]: at most size - 1 bytes */
    OPTION_ADDRESS, /* char[]: HOST:PORT */
    OPTION_U32,     /* uint32_t within min .. max */
    OPTION_REAL,    /* double within min .. max */
    OPTION_LIST,    /* char[][item_bytes]: adds comma-separated items behind those that are there */
};

struct option {
    size_t offset, size; /* the field; see OPTION_FIELD */
    const char *flag; /* without the dashes; NULL: file only. '-' and '_' are the same to users */
    const char *section;  /* of the configuration file; NULL: not in the file */
    const char *key;      /* in that section */
    const char *value;    /* what --help calls the value */
    const char *fallback; /* the value when it is not given, as text; NULL: zero */
    const char *help;
    double min, max;   /* of numbers */
    size_t item_bytes; /* of lists */
    enum option_kind kind;
    bool has_env; /* environment STOA_ + the flag in capitals, '-' as '_' */
    bool reloads; /* a SIGHUP applies a change of it */
    bool
        is_secret; /* not taken from the command line, which everybody on the machine can read; `flag`
                       only names it in the environment */
};

/* The field of a struct that an option fills, for its table entry. */
#define OPTION_FIELD(type, member)                                                                 \
    .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

struct command {
    const char *synopsis; /* "stoa token --app NAME …" */
    const char *about;    /* a sentence or two */
    const struct option *options;
    size_t count;
    size_t positional; /* how many arguments without a flag it takes */
    bool reads_env;    /* options_start() lets the environment fill in what no flag says */
};

enum options_result { OPTIONS_OK, OPTIONS_HELP, OPTIONS_FAILED };

/* Zero and fallbacks. `ret_values` points to the command's struct, size_bytes long. */
void options_default(const struct command *command, void *ret_values, size_t size_bytes);
/* 0, or -1. */
int options_env(const struct command *command, void *values, struct buf *why);
/* argv[0] is skipped. OPTIONS_HELP: --help or -h was among them. ret_positional has room for
 * command->positional; all of them must be there. */
enum options_result options_args(const struct command *command, int argc, char **argv, void *values,
                                 const char **ret_positional, struct buf *why);
/* Checks one value and stores it. 0, or -1 and what the value must be. */
int option_set(const struct option *option, void *values, const char *text, struct buf *why);
/* The option's value in both structs is the same. */
bool option_is_same(const struct option *option, const void *a, const void *b);
/* "STOA_OPS_LISTEN"; empty if the option has none. */
void option_env_name(const struct option *option, struct buf *ret);
void options_help(const struct command *command, FILE *out);

/* What most subcommands begin with: defaults, then flags. Returns -1 to go on, or the exit status:
 * 0 after --help (written to stdout), 2 after an error (written to stderr). */
int options_start(const struct command *command, int argc, char **argv, void *ret_values,
                  size_t size_bytes, const char **ret_positional);

#endif
