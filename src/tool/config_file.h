/* An INI file into a struct config, on inih.
 *
 * Every line is checked: an unknown section or key is an error that names the nearest known one, a
 * key given twice is an error unless it is a list, and so is a value in quotes (they would become
 * part of it). A comment starts with ; or # at the start of a line, or with ; behind a blank. Lines
 * are at most CONFIG_FILE_LINE bytes. */
#ifndef STOA_TOOL_CONFIG_FILE_H
#define STOA_TOOL_CONFIG_FILE_H

#include <stdio.h>

#include "api/apps.h"
#include "tool/config.h"

#define CONFIG_FILE_LINE 4096

struct config_app {
    struct app app;
    int line; /* of its section */
};

struct config_apps {
    struct config_app *list; /* owned; free() */
    size_t count;
};

/* Reads `file` (borrowed; `path` is for messages) over what is in *config, and its apps into
 * *ret_apps, also on failure (the caller frees them). 0, or -1 and "path:line: …" in why. */
int config_file_read(FILE *file, const char *path, struct config *config,
                     struct config_apps *ret_apps, struct buf *why);

#endif
