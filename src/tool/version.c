#include "tool/version.h"

#include <stdio.h>

#include "tool/tool.h"

int tool_version(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") != 0) {
        fprintf(stderr, "stoa version: takes no arguments, got '%s'\n", argv[1]);
        return 2;
    }
    printf("stoa %s\n", STOA_VERSION);
    return 0;
}
