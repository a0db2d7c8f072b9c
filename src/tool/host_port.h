/* HOST:PORT as text: what --listen takes and what a URL holds. Any thread; results are borrowed. */
#ifndef STOA_TOOL_HOST_PORT_H
#define STOA_TOOL_HOST_PORT_H

#include "base/str.h"

/* Splits "host:port" or "[v6]:port"; the host comes without its brackets. False if either is
 * missing or the port is not 0 .. 65535. */
bool host_port_split(struct str text, struct str *ret_host, uint16_t *ret_port);
/* Reachable from this machine only: 127.0.0.0/8, ::1, localhost. */
bool host_port_is_loopback(struct str host);

#endif
