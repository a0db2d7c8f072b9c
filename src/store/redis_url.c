#include "store/redis_url.h"

#include "base/error.h"

#define DEFAULT_PORT 6379

struct reading {
    struct redis_url *url;
    char *why;
    size_t why_cap;
};

/* What is quoted in a message is cut to this: the operator knows the rest. */
#define QUOTE(s) (int)((s).len < 64 ? (s).len : 64), (s).ptr

#define FAIL(r, ...) (snprintf((r)->why, (r)->why_cap, __VA_ARGS__), ERR_BAD_REQUEST)

/* --- percent-decoding ------------------------------------------------------------------------ */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* A byte and how long it is in the text: 1, 3, or 0 if it is no valid one. NUL ends a string in C, so
 * it cannot be part of what is decoded. */
static size_t decode_one(struct str s, char *ret_byte)
{
    *ret_byte = s.ptr[0];
    if (s.ptr[0] != '%') return s.ptr[0] != '\0';
    if (s.len < 3) return 0;
    int high = hex_digit(s.ptr[1]), low = hex_digit(s.ptr[2]);
    if (high < 0 || low < 0 || high + low == 0) return 0;
    *ret_byte = (char)(high * 16 + low);
    return 3;
}

/* Into a terminated array; false if it does not fit or is not well-formed. */
static bool decode(struct str s, char *dst, size_t cap)
{
    size_t len = 0, step;
    for (; s.len > 0; s = str_make(s.ptr + step, s.len - step)) {
        if (len + 1 >= cap) return false;
        step = decode_one(s, &dst[len++]);
        if (step == 0) return false;
    }
    dst[len] = '\0';
    return true;
}

/* --- the parts ------------------------------------------------------------------------------- */

static int read_login(const struct reading *r, struct str login)
{
    struct str password;
    struct str user = str_split(login, ':', &password);
    if (password.len == 0)
        return FAIL(r, "no password before the @; write redis://:PASSWORD@HOST or "
                       "redis://USER:PASSWORD@HOST");
    if (!decode(user, r->url->user, sizeof(r->url->user)) ||
        !decode(password, r->url->password, sizeof(r->url->password)))
        return FAIL(r, "user or password is too long or has a %% that begins no code; write %%25 "
                       "for a %%");
    return 0;
}

/* "name", "name:port", "[v6]", "[v6]:port". */
static bool split_host(struct str text, struct str *ret_name, struct str *ret_port)
{
    const char *end = text.len > 0 && text.ptr[0] == '[' ? memchr(text.ptr, ']', text.len) : NULL;
    *ret_port = STR_NONE;
    if (end == NULL) {
        *ret_name = str_split(text, ':', ret_port);
        return ret_name->len > 0 && memchr(ret_name->ptr, '[', ret_name->len) == NULL;
    }
    *ret_name = str_make(text.ptr + 1, (size_t)(end - text.ptr) - 1);
    struct str rest = str_make(end + 1, text.len - ret_name->len - 2);
    if (rest.len == 0) return ret_name->len > 0;
    *ret_port = str_make(rest.ptr + 1, rest.len - 1);
    return rest.ptr[0] == ':' && ret_name->len > 0;
}

static int read_host(const struct reading *r, struct str text)
{
    struct str name, port_text;
    uint64_t port = DEFAULT_PORT;
    struct redis_url *url = r->url;
    if (url->host_count == REDIS_HOSTS_MAX)
        return FAIL(r, "more than %d hosts; a few of a Cluster are enough", REDIS_HOSTS_MAX);
    struct redis_host *host = &url->hosts[url->host_count];
    if (!split_host(text, &name, &port_text) || !str_copy(name, host->name, sizeof(host->name)) ||
        str_has_control(name))
        return FAIL(r, "\"%.*s\" is no host; write HOST:PORT, an IPv6 address in brackets",
                    QUOTE(text));
    if (port_text.ptr != NULL &&
        (!str_parse_u64(port_text, &port) || port == 0 || port > UINT16_MAX))
        return FAIL(r,
                    "\"%.*s\" has no port of 1 to 65535 behind the colon; an IPv6 address "
                    "takes brackets",
                    QUOTE(text));
    host->port = (uint16_t)port;
    url->host_count++;
    return 0;
}

static int read_hosts(const struct reading *r, struct str hosts)
{
    int err = 0;
    do {
        struct str host = str_split(hosts, ',', &hosts);
        err = read_host(r, host);
    } while (err == 0 && hosts.ptr != NULL);
    return err;
}

static int read_db(const struct reading *r, struct str text)
{
    uint64_t db = 0;
    if (text.len > 0 && (!str_parse_u64(text, &db) || db > REDIS_DB_MAX))
        return FAIL(r, "\"/%.*s\" is no number of a database; write /0, or nothing", QUOTE(text));
    r->url->db = (uint32_t)db;
    return 0;
}

static int read_replicas(const struct reading *r, struct str value)
{
    uint64_t count;
    if (!str_parse_u64(value, &count) || count > REDIS_REPLICAS_MAX)
        return FAIL(r, "replicas takes a number of 0 to %d", REDIS_REPLICAS_MAX);
    r->url->replicas = (uint32_t)count;
    r->url->has_replicas = true;
    return 0;
}

static int read_path(const struct reading *r, struct str name, struct str value, char *dst,
                     size_t cap)
{
    if (!r->url->is_tls) return FAIL(r, "%.*s is for TLS; write rediss://", QUOTE(name));
    if (value.len == 0 || !decode(value, dst, cap))
        return FAIL(r, "%.*s takes the path of a PEM file, percent-encoded", QUOTE(name));
    return 0;
}

static int read_clock(const struct reading *r, struct str value)
{
    if (!str_eq(value, STR("caller"))) return FAIL(r, "clock takes caller, or is left out");
    r->url->is_callers_clock = true;
    return 0;
}

static int read_patience(const struct reading *r, struct str value)
{
    uint64_t factor;
    if (!str_parse_u64(value, &factor) || factor < 1 || factor > REDIS_PATIENCE_MAX)
        return FAIL(r, "patience takes a number of 1 to %d", REDIS_PATIENCE_MAX);
    r->url->patience = (uint32_t)factor;
    return 0;
}

static int read_option(const struct reading *r, struct str option)
{
    struct str value;
    struct redis_url *url = r->url;
    struct str name = str_split(option, '=', &value);
    if (str_eq(name, STR("replicas"))) return read_replicas(r, value);
    if (str_eq(name, STR("ca"))) return read_path(r, name, value, url->ca, sizeof(url->ca));
    if (str_eq(name, STR("cert"))) return read_path(r, name, value, url->cert, sizeof(url->cert));
    if (str_eq(name, STR("key"))) return read_path(r, name, value, url->key, sizeof(url->key));
    if (str_eq(name, STR("clock"))) return read_clock(r, value);
    if (str_eq(name, STR("patience"))) return read_patience(r, value);
    return FAIL(r,
                "unknown option \"%.*s\"; there are replicas, ca, cert, key (the password "
                "goes before the host: redis://:PASSWORD@HOST)",
                QUOTE(name));
}

static int read_options(const struct reading *r, struct str options)
{
    int err = 0;
    while (err == 0 && options.len > 0) {
        struct str option = str_split(options, '&', &options);
        err = read_option(r, option);
    }
    if (err == 0 && r->url->key[0] != '\0' && r->url->cert[0] == '\0')
        return FAIL(r, "key is given without cert; give the certificate that belongs to it");
    return err;
}

/* --- the whole ------------------------------------------------------------------------------- */

static bool take_scheme(struct str *text, bool *ret_is_tls)
{
    static const struct str PLAIN = {"redis://", 8}, TLS = {"rediss://", 9};
    *ret_is_tls = str_starts(*text, TLS);
    if (!*ret_is_tls && !str_starts(*text, PLAIN)) return false;
    size_t len = *ret_is_tls ? TLS.len : PLAIN.len;
    *text = str_make(text->ptr + len, text->len - len);
    return true;
}

/* Up to the first of '/' and '?', which stays in *rest. */
static struct str take_authority(struct str text, struct str *ret_rest)
{
    size_t len = 0;
    while (len < text.len && text.ptr[len] != '/' && text.ptr[len] != '?') len++;
    *ret_rest = str_make(text.ptr + len, text.len - len);
    return str_make(text.ptr, len);
}

static bool split_at_last(struct str text, char sep, struct str *ret_before, struct str *ret_after)
{
    const char *at = text.len > 0 ? memrchr(text.ptr, sep, text.len) : NULL;
    *ret_before = STR_NONE;
    *ret_after = text;
    if (at == NULL) return false;
    *ret_before = str_make(text.ptr, (size_t)(at - text.ptr));
    *ret_after = str_make(at + 1, text.len - ret_before->len - 1);
    return true;
}

static int read_rest(const struct reading *r, struct str rest)
{
    struct str options;
    struct str path = str_split(rest, '?', &options);
    int err = path.len > 0 ? read_db(r, str_make(path.ptr + 1, path.len - 1)) : 0;
    return err != 0 ? err : read_options(r, options);
}

int redis_url_parse(struct str text, struct redis_url *ret_url, char *ret_why, size_t why_cap)
{
    struct redis_url url = {0};
    struct reading r = {.url = &url, .why = ret_why, .why_cap = why_cap};
    struct str rest, login, hosts;
    if (!take_scheme(&text, &url.is_tls))
        return FAIL(&r, "no address of a Redis; write redis://HOST:PORT, or rediss:// for TLS");
    struct str authority = take_authority(text, &rest);
    /* A password that is not encoded would be taken for a host, and be quoted. */
    if (rest.len > 0 && memchr(rest.ptr, '@', rest.len) != NULL)
        return FAIL(&r, "an @ behind the hosts; in user and password write %%2F for /, %%3F for ? "
                        "and %%40 for @, in a path %%40");
    bool has_login = split_at_last(authority, '@', &login, &hosts);
    int err = has_login ? read_login(&r, login) : 0;
    if (err == 0) err = read_hosts(&r, hosts);
    if (err == 0) err = read_rest(&r, rest);
    if (err == 0) *ret_url = url;
    return err;
}

int64_t redis_url_patience(const struct redis_url *url, int64_t ms)
{
    return url->patience > 0 ? ms * url->patience : ms;
}
