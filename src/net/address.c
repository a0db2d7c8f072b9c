#include "net/address.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/str.h"

static bool split(const char *host_port, char host[NI_MAXHOST], char port[NI_MAXSERV])
{
    const char *colon = strrchr(host_port, ':');
    if (colon == NULL) return false;
    struct str name = str_make(host_port, (size_t)(colon - host_port));
    if (name.len >= 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_make(name.ptr + 1, name.len - 2);
    return name.len > 0 && str_copy(name, host, NI_MAXHOST) &&
           str_copy(str_of(colon + 1), port, NI_MAXSERV);
}

static int bind_to(const struct addrinfo *info, bool is_shared, int *ret_fd)
{
    int one = 1;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (is_shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0) {
        int err = -errno;
        close(fd);
        return err;
    }
    *ret_fd = fd;
    return 0;
}

static int bind_socket(const char *host_port, bool is_shared, int *ret_fd, char *why,
                       size_t why_cap)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV},
                    *found = NULL;
    if (!split(host_port, host, port)) {
        snprintf(why, why_cap, "\"%s\" is not HOST:PORT, such as 127.0.0.1:8080", host_port);
        return -EINVAL;
    }
    int result = getaddrinfo(host, port, &hints, &found);
    if (result != 0) {
        snprintf(why, why_cap, "cannot find the address %s: %s", host_port, gai_strerror(result));
        return -EINVAL;
    }
    int err = bind_to(found, is_shared, ret_fd);
    freeaddrinfo(found);
    if (err != 0) snprintf(why, why_cap, "cannot listen on %s: %s", host_port, strerror(-err));
    return err;
}

int address_bind(const char *host_port, int *ret_fd, char *why, size_t why_cap)
{
    return bind_socket(host_port, true, ret_fd, why, why_cap);
}

int address_bind_alone(const char *host_port, int *ret_fd, char *why, size_t why_cap)
{
    return bind_socket(host_port, false, ret_fd, why, why_cap);
}

void address_of(int fd, char ret_text[ADDRESS_TEXT_MAX])
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    char host[NI_MAXHOST] = "?", port[NI_MAXSERV] = "?";
    if (getsockname(fd, (struct sockaddr *)&addr, &len) == 0)
        getnameinfo((struct sockaddr *)&addr, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    if (addr.ss_family == AF_INET6)
        snprintf(ret_text, ADDRESS_TEXT_MAX, "[%.45s]:%.8s", host, port);
    else
        snprintf(ret_text, ADDRESS_TEXT_MAX, "%.45s:%.8s", host, port);
}
