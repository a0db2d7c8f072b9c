#include "base/str.h"

#include <string.h>

#include "base/assert.h"

struct str str_of(const char *cstr)
{
    return cstr ? str_make(cstr, strlen(cstr)) : STR_NONE;
}

struct str str_make(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool str_eq_nocase(struct str a, struct str b)
{
    if (a.len != b.len) return false;
    for (size_t i = 0; i < a.len; i++) {
        if (to_lower(a.ptr[i]) != to_lower(b.ptr[i])) return false;
    }
    return true;
}

bool str_eq_secret(struct str a, struct str b)
{
    if (a.len != b.len) return false;
    /* volatile: a compiler that saw the purpose would leave the loop at the first difference. */
    volatile unsigned char difference = 0;
    for (size_t i = 0; i < a.len; i++) {
        difference = (unsigned char)(difference | (a.ptr[i] ^ b.ptr[i]));
    }
    return difference == 0;
}

bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && str_eq(str_make(s.ptr, prefix.len), prefix);
}

int str_compare(struct str a, struct str b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common > 0 ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0) return order;
    return (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.ptr[s.len - 1])) s.len--;
    return s;
}

struct str str_split(struct str s, char sep, struct str *ret_rest)
{
    const char *at = s.len > 0 ? memchr(s.ptr, sep, s.len) : NULL;
    if (at == NULL) {
        *ret_rest = STR_NONE;
        return s;
    }
    size_t before = (size_t)(at - s.ptr);
    *ret_rest = str_make(at + 1, s.len - before - 1);
    return str_make(s.ptr, before);
}

bool str_parse_u64(struct str s, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
        if (__builtin_mul_overflow(value, 10, &value)) return false;
        if (__builtin_add_overflow(value, (uint64_t)(s.ptr[i] - '0'), &value)) return false;
    }
    *ret_value = value;
    return true;
}

static bool in_range(unsigned char byte, unsigned char low, unsigned char high)
{
    return byte >= low && byte <= high;
}

/* The length of the UTF-8 sequence that starts at p, 0 if it is none: table 3-7 of the Unicode
 * Standard. All that sets the lead bytes apart is the range of the second byte, which is what bars
 * overlong forms (E0, F0), surrogates (ED) and what is past U+10FFFF (F4). */
static size_t sequence_len(const unsigned char *p, size_t len)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t need;

    if (p[0] < 0x80) return 1;
    if (in_range(p[0], 0xc2, 0xdf))
        need = 2;
    else if (in_range(p[0], 0xe0, 0xef))
        need = 3;
    else if (in_range(p[0], 0xf0, 0xf4))
        need = 4;
    else
        return 0;

    if (p[0] == 0xe0) low = 0xa0;
    if (p[0] == 0xed) high = 0x9f;
    if (p[0] == 0xf0) low = 0x90;
    if (p[0] == 0xf4) high = 0x8f;

    if (len < need || !in_range(p[1], low, high)) return 0;
    for (size_t i = 2; i < need; i++) {
        if (!in_range(p[i], 0x80, 0xbf)) return 0;
    }
    return need;
}

bool str_is_utf8(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t at = 0;
    while (at < s.len) {
        size_t step = sequence_len(p + at, s.len - at);
        if (step == 0) return false;
        at += step;
    }
    return true;
}

bool str_has_control(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    for (size_t i = 0; i < s.len; i++) {
        if (p[i] < 0x20 || p[i] == 0x7f) return true;
        /* U+0080 to U+009F are C2 80 to C2 9F. */
        if (p[i] == 0xc2 && i + 1 < s.len && in_range(p[i + 1], 0x80, 0x9f)) return true;
    }
    return false;
}

bool str_copy(struct str s, char *dst, size_t cap)
{
    ASSERT(cap > 0);
    bool fits = s.len < cap;
    size_t len = fits ? s.len : 0;
    if (len > 0) memcpy(dst, s.ptr, len);
    dst[len] = '\0';
    return fits;
}
