/* HMAC-SHA256 (RFC 2104, FIPS 180-4), by OpenSSL. Any thread. */
#ifndef STOA_BASE_HMAC_H
#define STOA_BASE_HMAC_H

#include "base/str.h"

#define HMAC_BYTES 32

void hmac_sha256(struct str secret, struct str text, unsigned char ret_mac[HMAC_BYTES]);

#endif
