/* The subcommands. Each takes its own argv (argv[0] is its name) and returns the exit status: 0
 * done, 1 the work failed (a replay that lost a message, a server that could not start), 2 wrong
 * usage. */
#ifndef STOA_TOOL_TOOL_H
#define STOA_TOOL_TOOL_H

int tool_serve(int argc, char **argv);
int tool_token(int argc, char **argv);
int tool_check_config(int argc, char **argv);
int tool_version(int argc, char **argv);
int tool_replay(int argc, char **argv);
int tool_bench(int argc, char **argv);

#endif
