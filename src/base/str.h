/* Borrowed strings: a pointer and a length, never owned, not terminated. Any thread. */
#ifndef STOA_BASE_STR_H
#define STOA_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *ptr;
    size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})
#define STR_NONE     ((struct str){NULL, 0})
/* For printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)(s).len, (s).ptr

struct str str_of(const char *cstr); /* NULL gives STR_NONE */
struct str str_make(const char *ptr, size_t len);
bool str_eq(struct str a, struct str b);
bool str_eq_nocase(struct str a, struct str b); /* ASCII only */
/* Same answer as str_eq, in a time that depends on the lengths alone. For secrets. */
bool str_eq_secret(struct str a, struct str b);
bool str_starts(struct str s, struct str prefix);
int str_compare(struct str a, struct str b); /* like memcmp, shorter first */
struct str str_trim(struct str s);           /* without blanks and tabs at both ends */
/* Splits at the first sep: returns what is before it and moves *rest behind it (STR_NONE, when
 * there is no sep: then the whole is returned). */
struct str str_split(struct str s, char sep, struct str *ret_rest);
/* Decimal digits only, the whole string, no sign. False on overflow or anything else. */
bool str_parse_u64(struct str s, uint64_t *ret_value);
/* Valid UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool str_is_utf8(struct str s);
/* Holds a control character: C0, DEL or C1 (the latter as UTF-8). */
bool str_has_control(struct str s);
/* Copies into a terminated array of size cap; false (and dst empty), if it does not fit. */
bool str_copy(struct str s, char *dst, size_t cap);

#endif
