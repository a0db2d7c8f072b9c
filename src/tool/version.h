/* The one place that knows the version; docs and the release script read it from here. */
#ifndef STOA_TOOL_VERSION_H
#define STOA_TOOL_VERSION_H

#define STOA_VERSION "0.1.0"

#endif
