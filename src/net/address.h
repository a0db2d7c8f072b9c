/* Listening sockets. Any thread. */
#ifndef STOA_NET_ADDRESS_H
#define STOA_NET_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT_MAX 64

/* A non-blocking socket bound to HOST:PORT ([HOST]:PORT for IPv6) with SO_REUSEPORT, so that each
 * worker has its own. 0 and *ret_fd, or a negative errno with what went wrong in why. */
int address_bind(const char *host_port, int *ret_fd, char *why, size_t why_cap);
/* The same without SO_REUSEPORT: fails, if anybody listens there. */
int address_bind_alone(const char *host_port, int *ret_fd, char *why, size_t why_cap);
/* What it is bound to, as HOST:PORT. */
void address_of(int fd, char ret_text[ADDRESS_TEXT_MAX]);

#endif
