#include "http/query.h"

#include <string.h>

#include "base/error.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* The byte that the two digits behind a '%' stand for; -1 if they do not, or stand for NUL. */
static int decode_escape(struct str digits)
{
    if (digits.len < 2) return -1;
    int high = hex_digit(digits.ptr[0]);
    int low = hex_digit(digits.ptr[1]);
    if (high < 0 || low < 0 || high + low == 0) return -1;
    return high * 16 + low;
}

/* How many bytes from the start stand for themselves. */
static size_t plain_len(struct str text, bool plus)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '%' && !(plus && text.ptr[len] == '+')) len++;
    return len;
}

/* Decodes the "%41" or "+" at the start; 0: it is not one. */
static size_t decode_one(struct str text, struct buf *ret)
{
    if (text.ptr[0] == '+') {
        buf_add_char(ret, ' ');
        return 1;
    }
    int byte = decode_escape(str_make(text.ptr + 1, text.len - 1));
    if (byte < 0) return 0;
    buf_add_char(ret, (char)byte);
    return 3;
}

bool percent_decode(struct str text, bool plus, struct buf *ret)
{
    size_t old_len = ret->len;

    while (text.len > 0) {
        size_t used = plain_len(text, plus);
        if (used > 0)
            buf_add(ret, text.ptr, used);
        else if ((used = decode_one(text, ret)) == 0) {
            ret->len = old_len;
            return false;
        }
        text = str_make(text.ptr + used, text.len - used);
    }
    return true;
}

bool query_find(struct str query, struct str name, struct str *ret_value)
{
    while (query.len > 0) {
        struct str pair = str_split(query, '&', &query);
        if (str_eq(str_split(pair, '=', ret_value), name)) return true;
    }
    return false;
}

int query_get(struct str query, struct str name, struct buf *ret)
{
    struct str value;
    if (!query_find(query, name, &value)) return ERR_NOT_FOUND;
    return percent_decode(value, true, ret) ? 0 : ERR_BAD_REQUEST;
}

/* Digits are seldom escaped, but they may be. */
static bool parse_escaped_u64(struct str value, uint64_t *ret)
{
    struct buf text = {0};
    bool is_number = percent_decode(value, true, &text) && str_parse_u64(buf_str(&text), ret);
    buf_deinit(&text);
    return is_number;
}

int query_get_u64(struct str query, struct str name, uint64_t min, uint64_t max, uint64_t *ret)
{
    struct str text;
    uint64_t value;

    if (!query_find(query, name, &text)) return 0;
    if (!str_parse_u64(text, &value) && !parse_escaped_u64(text, &value)) return ERR_BAD_REQUEST;
    if (value < min || value > max) return ERR_BAD_REQUEST;
    *ret = value;
    return 0;
}
