/* Where the load goes: --to http://HOST:PORT[,http://…], resolved once at the start. */
#ifndef STOA_TOOL_URL_H
#define STOA_TOOL_URL_H

#include <sys/socket.h>

#include "base/buf.h"

#define URLS_MAX 64

struct url {
    char authority[256]; /* for the Host field */
    struct sockaddr_storage address;
    socklen_t address_len;
    bool is_loopback; /* IPv4 127/8: many source addresses are at hand */
};

struct urls {
    struct url url[URLS_MAX];
    size_t count; /* at least 1 */
};

/* 0, or -1 and why. Looks names up, which may block. */
int urls_parse(struct str text, struct urls *ret, struct buf *why);

/* Appends text with everything but A-Za-z0-9-._~ percent-encoded (RFC 3986). */
void url_encode(struct buf *out, struct str text);

#endif
