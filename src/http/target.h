/* Request targets (RFC 9112 section 3.2): origin-form, absolute-form, and the asterisk of OPTIONS.
 */
#ifndef STOA_HTTP_TARGET_H
#define STOA_HTTP_TARGET_H

#include "base/str.h"

/* All borrowed from the text; path may be a literal. */
struct http_target {
    struct str authority; /* STR_NONE unless the form is absolute */
    struct str path;      /* starts with '/', or is "*" */
    struct str query;     /* STR_NONE without a '?' */
};

/* False on anything else: authority-form, a fragment, user information, another scheme than http or
 * https. */
bool http_target_parse(struct str text, struct http_target *ret);
/* host[:port] as a Host field has it; the empty one too, which stands for "no authority". Looks for
 * characters that cannot be, not for names that do not exist. */
bool http_host_is_valid(struct str host);

#endif
