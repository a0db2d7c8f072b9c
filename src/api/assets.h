/* The files of web/ that are built into the binary: the page of --dev with the SDK, and the console. */
#ifndef STOA_API_ASSETS_H
#define STOA_API_ASSETS_H

#include "base/str.h"

enum asset_pages { PAGE_DEV = 1, PAGE_CONSOLE = 2 }; /* bits: whose files they are */

struct asset {
    const char *path;
    unsigned pages;
    const char *content_type;
    const char *begin, *end;
};

/* The page runs its own scripts and talks to its own server: nothing else. */
#define ASSET_HEADERS                                                                              \
    "Cache-Control: no-cache\r\n"                                                                  \
    "X-Content-Type-Options: nosniff\r\n"                                                          \
    "Referrer-Policy: no-referrer\r\n"                                                             \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                    \
    "frame-ancestors 'none'\r\n"

/* Among the files of these pages. NULL: none */
const struct asset *assets_find(struct str path, unsigned pages);

#endif
