/* base64url without padding (RFC 4648 section 5). Strict: decoding refuses padding, foreign
 * characters and non-zero trailing bits, so that every byte string has one text. */
#ifndef STOA_BASE_BASE64_H
#define STOA_BASE_BASE64_H

#include "base/str.h"

#define BASE64_LEN(bytes) (((bytes)*4 + 2) / 3)

/* Writes BASE64_LEN(len) characters, not terminated. */
void base64_encode(const void *bytes, size_t len, char *ret_text);
/* Returns the number of bytes written to ret_bytes, or -1 (also when cap is too small). */
int base64_decode(struct str text, void *ret_bytes, size_t cap);

#endif
