#include "tool/url.h"

#include <ctype.h>
#include <netdb.h>
#include <netinet/in.h>

#include "tool/host_port.h"

static int resolve(struct str host, uint16_t port, struct url *ret, struct buf *why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *found;
    char name[256], service[8];
    if (!str_copy(host, name, sizeof(name))) {
        buf_printf(why, "the host's name is too long");
        return -1;
    }
    snprintf(service, sizeof(service), "%u", port);
    int err = getaddrinfo(name, service, &hints, &found);
    if (err != 0) {
        buf_printf(why, "%s: %s", name, gai_strerror(err));
        return -1;
    }
    memcpy(&ret->address, found->ai_addr, found->ai_addrlen);
    ret->address_len = found->ai_addrlen;
    if (found->ai_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&ret->address;
        ret->is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    freeaddrinfo(found);
    return 0;
}

static int url_parse(struct str text, struct url *ret, struct buf *why)
{
    struct str host, authority, path;
    uint16_t port = 80;
    if (str_starts(text, STR("https://"))) {
        buf_printf(why, "https is not spoken here yet: use the http:// address of the server");
        return -1;
    }
    if (!str_starts(text, STR("http://"))) {
        buf_printf(why, "'%.*s' must be http://HOST:PORT", STR_ARG(text));
        return -1;
    }
    authority = str_split(str_make(text.ptr + 7, text.len - 7), '/', &path);
    bool has_port = host_port_split(authority, &host, &port);
    if (!has_port) host = authority;
    if (path.len > 0 || host.len == 0 || (!has_port && memchr(host.ptr, ':', host.len) != NULL) ||
        !str_copy(authority, ret->authority, sizeof(ret->authority))) {
        buf_printf(why, "'%.*s' must be http://HOST:PORT without a path", STR_ARG(text));
        return -1;
    }
    return resolve(host, port, ret, why);
}

int urls_parse(struct str text, struct urls *ret, struct buf *why)
{
    *ret = (struct urls){0};
    struct str rest = text;
    while (rest.ptr != NULL) {
        struct str one = str_trim(str_split(rest, ',', &rest));
        if (ret->count == URLS_MAX) {
            buf_printf(why, "too many addresses: at most %d", URLS_MAX);
            return -1;
        }
        if (url_parse(one, &ret->url[ret->count++], why) != 0) return -1;
    }
    if (ret->count > 0) return 0;
    buf_printf(why, "the server's address is missing: --to http://HOST:PORT");
    return -1;
}

void url_encode(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL))
            buf_add_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
