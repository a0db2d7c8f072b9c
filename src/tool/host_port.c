#include "tool/host_port.h"

#include <arpa/inet.h>

static bool split_at_last_colon(struct str text, struct str *ret_host, struct str *ret_port)
{
    size_t colon = text.len;
    while (colon > 0 && text.ptr[colon - 1] != ':') colon--;
    if (colon == 0) return false;
    *ret_host = str_make(text.ptr, colon - 1);
    *ret_port = str_make(text.ptr + colon, text.len - colon);
    return true;
}

/* "[::1]" -> "::1"; a host with a colon but no brackets leaves open where the port begins. */
static bool host_unbracket(struct str *host)
{
    bool open = host->len > 0 && host->ptr[0] == '[';
    bool shut = host->len > 1 && host->ptr[host->len - 1] == ']';
    if (open != shut) return false;
    if (open) *host = str_make(host->ptr + 1, host->len - 2);
    return host->len > 0 && (open || memchr(host->ptr, ':', host->len) == NULL);
}

bool host_port_split(struct str text, struct str *ret_host, uint16_t *ret_port)
{
    struct str host, port_text;
    uint64_t port;
    if (!split_at_last_colon(text, &host, &port_text)) return false;
    if (!host_unbracket(&host)) return false;
    if (!str_parse_u64(port_text, &port) || port > UINT16_MAX) return false;
    *ret_host = host;
    *ret_port = (uint16_t)port;
    return true;
}

bool host_port_is_loopback(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in_addr v4;
    struct in6_addr v6;
    if (str_eq_nocase(host, STR("localhost"))) return true;
    if (!str_copy(host, text, sizeof(text))) return false;
    if (inet_pton(AF_INET, text, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, text, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}
