#include "base/json_write.h"

/* What follows the backslash for this character; 0 if it goes unescaped, 'u' if it has no short
 * form. */
static char escape_of(char c)
{
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return (unsigned char)c < 0x20 ? 'u' : 0;
    }
}

static void write_escape(struct buf *b, char c, char escape)
{
    static const char hex[] = "0123456789abcdef";
    buf_add_char(b, '\\');
    buf_add_char(b, escape);
    if (escape != 'u') return;
    buf_add_lit(b, "00");
    buf_add_char(b, hex[c >> 4]);
    buf_add_char(b, hex[c & 15]);
}

void json_write_string(struct buf *b, struct str text)
{
    size_t written = 0; /* of text; what goes unescaped is copied in runs */
    buf_reserve(b, text.len + 2);
    buf_add_char(b, '"');
    for (size_t i = 0; i < text.len; i++) {
        char escape = escape_of(text.ptr[i]);
        if (escape == 0) continue;
        buf_add(b, text.ptr + written, i - written);
        write_escape(b, text.ptr[i], escape);
        written = i + 1;
    }
    if (written < text.len) buf_add(b, text.ptr + written, text.len - written);
    buf_add_char(b, '"');
}

void json_write_bool(struct buf *b, bool value)
{
    buf_add_str(b, value ? STR("true") : STR("false"));
}
