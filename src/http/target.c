#include "http/target.h"

#include <string.h>

static bool is_host_char(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= '-' && c <= ':' && c != '/')) return true; /* most */
    return c > ' ' && c < 0x7f && strchr("\"#/<>?@\\^`{|}", c) == NULL;
}

bool http_host_is_valid(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!is_host_char(host.ptr[i])) return false;
    return true;
}

static struct str skip(struct str text, size_t len)
{
    return str_make(text.ptr + len, text.len - len);
}

/* Moves *text behind "http://" or "https://". */
static bool skip_scheme(struct str *text)
{
    static const char *const SCHEMES[] = {"http://", "https://"};

    if (text->ptr[0] == '/') return false; /* nearly always */
    for (size_t i = 0; i < sizeof(SCHEMES) / sizeof(SCHEMES[0]); i++) {
        struct str scheme = str_of(SCHEMES[i]);
        if (text->len < scheme.len) continue;
        if (!str_eq_nocase(str_make(text->ptr, scheme.len), scheme)) continue;
        *text = skip(*text, scheme.len);
        return true;
    }
    return false;
}

/* Moves *text behind the host of an absolute form. */
static bool skip_authority(struct str *text, struct str *ret_authority)
{
    size_t len = 0;

    while (len < text->len && text->ptr[len] != '/' && text->ptr[len] != '?') len++;
    *ret_authority = str_make(text->ptr, len);
    *text = skip(*text, len);
    return len > 0 && http_host_is_valid(*ret_authority);
}

bool http_target_parse(struct str text, struct http_target *ret)
{
    struct http_target target = {.authority = STR_NONE};

    if (text.len == 0 || memchr(text.ptr, '#', text.len) != NULL) return false;
    if (skip_scheme(&text) && !skip_authority(&text, &target.authority)) return false;
    target.path = str_split(text, '?', &target.query);
    if (target.path.len == 0 && target.authority.len > 0) target.path = STR("/");
    if (!str_starts(target.path, STR("/")) && !str_eq(target.path, STR("*"))) return false;
    *ret = target;
    return true;
}
