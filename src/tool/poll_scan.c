/* A lexer that keeps just enough of the structure to know where it is:
 *
 *   depth  path wanted                   members read there
 *   1      { }                           cursor, messages, skipped, …
 *   2      { "messages": [ ] }
 *   3      { "messages": [ { } ] }       id, priority, type, from, body
 *   4      … "body": { }                 t
 *
 * `path` counts how many of the open containers lie on that way: while it equals the depth, names
 * and values matter; below it falls behind, and what goes by is only balanced (and, in a body,
 * hashed). */
#include "tool/poll_scan.h"

#include "core/id.h"

enum scan_state { SCAN_GAP, SCAN_STRING, SCAN_ESCAPE, SCAN_HEX, SCAN_SCALAR, SCAN_END };

enum scan_field {
    FIELD_OTHER,
    FIELD_CURSOR,
    FIELD_MESSAGES,
    FIELD_ONLINE,
    FIELD_POLL_AFTER,
    FIELD_SKIPPED,
    FIELD_GAP,
    FIELD_SENT_ID,
    FIELD_DUPLICATE,
    FIELD_CODE,
    FIELD_RETRY_AFTER,
    FIELD_ID,
    FIELD_PRIORITY,
    FIELD_TYPE,
    FIELD_FROM,
    FIELD_BODY,
    FIELD_STAMP,
};

/* Longer than any name that is known. */
#define KEY_MAX 32

enum { DEPTH_ANSWER = 1, DEPTH_LIST = 2, DEPTH_MESSAGE = 3, DEPTH_BODY = 4 };

#define NAME(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct {
    uint8_t depth;
    uint8_t field;
    struct str name;
} known[] = {
    {DEPTH_ANSWER, FIELD_CURSOR, NAME("cursor")},
    {DEPTH_ANSWER, FIELD_MESSAGES, NAME("messages")},
    {DEPTH_ANSWER, FIELD_ONLINE, NAME("online")},
    {DEPTH_ANSWER, FIELD_POLL_AFTER, NAME("poll_after_ms")},
    {DEPTH_ANSWER, FIELD_SKIPPED, NAME("skipped")},
    {DEPTH_ANSWER, FIELD_GAP, NAME("gap")},
    {DEPTH_ANSWER, FIELD_SENT_ID, NAME("id")},
    {DEPTH_ANSWER, FIELD_DUPLICATE, NAME("duplicate")},
    {DEPTH_ANSWER, FIELD_CODE, NAME("code")},
    {DEPTH_ANSWER, FIELD_RETRY_AFTER, NAME("retry_after_ms")},
    {DEPTH_MESSAGE, FIELD_ID, NAME("id")},
    {DEPTH_MESSAGE, FIELD_PRIORITY, NAME("priority")},
    {DEPTH_MESSAGE, FIELD_TYPE, NAME("type")},
    {DEPTH_MESSAGE, FIELD_FROM, NAME("from")},
    {DEPTH_MESSAGE, FIELD_BODY, NAME("body")},
    {DEPTH_BODY, FIELD_STAMP, NAME("t")},
};

/* ---- hash: FNV-1a, 64 bits; string ends are bytes that UTF-8 never has ------------- */

#define FNV_SEED         UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME        UINT64_C(0x100000001b3)
#define HASH_STRING_OPEN '\xff'
#define HASH_STRING_SHUT '\xfe'

static uint64_t hash_add(uint64_t hash, const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) hash = (hash ^ (unsigned char)ptr[i]) * FNV_PRIME;
    return hash;
}

static void sink_add(struct poll_scan *s, const char *ptr, size_t len)
{
    if (s->sink != NULL) *s->sink = hash_add(*s->sink, ptr, len);
}

static void sink_char(struct poll_scan *s, char c)
{
    sink_add(s, &c, 1);
}

static uint64_t hash_string(struct str text)
{
    const char open = HASH_STRING_OPEN, shut = HASH_STRING_SHUT;
    return hash_add(hash_add(hash_add(FNV_SEED, &open, 1), text.ptr, text.len), &shut, 1);
}

static uint64_t content_of(uint64_t type, uint64_t from, uint64_t body)
{
    uint64_t hash = FNV_SEED;
    hash = hash_add(hash, (const char *)&type, sizeof(type));
    hash = hash_add(hash, (const char *)&from, sizeof(from));
    hash = hash_add(hash, (const char *)&body, sizeof(body));
    return hash != 0 ? hash : 1; /* 0 says that none was asked for */
}

/* ---- values ------------------------------------------------------------------------ */

static bool on_path(const struct poll_scan *s)
{
    return s->path == s->depth;
}

static uint8_t field_now(const struct poll_scan *s)
{
    return on_path(s) && s->depth <= DEPTH_BODY ? s->member[s->depth] : FIELD_OTHER;
}

static struct str text_now(const struct poll_scan *s)
{
    return str_make(s->text, s->text_len);
}

static void text_add(struct poll_scan *s, const char *ptr, size_t len)
{
    sink_add(s, ptr, len);
    if (!s->capture) return;
    if (s->is_key && s->text_len + len > KEY_MAX) {
        s->capture = false; /* none that is known */
        s->text_len = 0;
        return;
    }
    if (len > sizeof(s->text) - s->text_len) {
        s->failed = true; /* an id, a cursor or a number of such a length is none */
        return;
    }
    memcpy(s->text + s->text_len, ptr, len);
    s->text_len += (uint32_t)len;
}

static void set_id(struct poll_scan *s, uint64_t *ret)
{
    if (id_parse(text_now(s), ret) != 0) s->failed = true;
}

static void set_priority(struct poll_scan *s)
{
    bool high = str_eq(text_now(s), STR("high"));
    if (!high && !str_eq(text_now(s), STR("normal"))) s->failed = true;
    s->message.list = high ? LIST_HIGH : LIST_NORMAL;
}

static void on_string(struct poll_scan *s)
{
    switch ((enum scan_field)field_now(s)) {
    case FIELD_CURSOR:
        if (!str_copy(text_now(s), s->cursor, sizeof(s->cursor))) s->failed = true;
        break;
    case FIELD_CODE:
        if (!str_copy(text_now(s), s->code, sizeof(s->code))) s->failed = true;
        break;
    case FIELD_SENT_ID: set_id(s, &s->id); break;
    case FIELD_ID: set_id(s, &s->message.id); break;
    case FIELD_PRIORITY: set_priority(s); break;
    case FIELD_TYPE: s->message.is_control = str_starts(text_now(s), STR("room.")); break;
    case FIELD_MESSAGES:
    case FIELD_ONLINE:
    case FIELD_POLL_AFTER:
    case FIELD_SKIPPED:
    case FIELD_GAP:
    case FIELD_DUPLICATE:
    case FIELD_RETRY_AFTER: s->failed = true; break;
    case FIELD_FROM:
    case FIELD_BODY:
    case FIELD_STAMP:
    case FIELD_OTHER: break;
    }
}

static void set_number(struct poll_scan *s, uint64_t *ret)
{
    if (!str_parse_u64(text_now(s), ret)) s->failed = true;
}

static void set_bool(struct poll_scan *s, bool *ret)
{
    *ret = str_eq(text_now(s), STR("true"));
    if (!*ret && !str_eq(text_now(s), STR("false"))) s->failed = true;
}

static void on_scalar(struct poll_scan *s)
{
    switch ((enum scan_field)field_now(s)) {
    case FIELD_ONLINE: set_number(s, &s->online); break;
    case FIELD_POLL_AFTER: set_number(s, &s->poll_after_ms); break;
    case FIELD_SKIPPED: set_number(s, &s->skipped); break;
    case FIELD_RETRY_AFTER: set_number(s, &s->retry_after_ms); break;
    case FIELD_GAP: set_bool(s, &s->gap); break;
    case FIELD_DUPLICATE: set_bool(s, &s->duplicate); break;
    case FIELD_STAMP:
        if (!str_parse_u64(text_now(s), &s->message.stamp)) s->message.stamp = 0;
        break;
    case FIELD_CURSOR:
    case FIELD_CODE:
    case FIELD_MESSAGES:
    case FIELD_SENT_ID:
    case FIELD_ID:
    case FIELD_PRIORITY:
    case FIELD_TYPE: s->failed = true; break;
    case FIELD_FROM:
    case FIELD_BODY:
    case FIELD_OTHER: break;
    }
}

/* ---- structure --------------------------------------------------------------------- */

static void object_mark(struct poll_scan *s, bool is_object)
{
    uint64_t bit = UINT64_C(1) << (s->depth & 63);
    uint64_t *word = &s->objects[s->depth >> 6];
    *word = is_object ? *word | bit : *word & ~bit;
}

static bool in_object(const struct poll_scan *s)
{
    return (s->objects[s->depth >> 6] >> (s->depth & 63) & 1) != 0;
}

/* The container that opens at this depth is the one wanted there. */
static bool leads_on(const struct poll_scan *s, uint8_t field, bool is_object)
{
    switch (s->depth) {
    case DEPTH_ANSWER: return is_object;
    case DEPTH_LIST: return !is_object && field == FIELD_MESSAGES;
    case DEPTH_MESSAGE: return is_object;
    case DEPTH_BODY: return is_object && field == FIELD_BODY;
    default: return false;
    }
}

static void on_open(struct poll_scan *s, char c)
{
    bool was_on_path = on_path(s), is_object = c == '{';
    uint8_t field = field_now(s);
    if (s->depth + 1 >= POLL_SCAN_DEPTH || (s->depth == 0 && !is_object)) {
        s->failed = true;
        return;
    }
    s->depth++;
    object_mark(s, is_object);
    s->is_key = is_object;
    if (!was_on_path || !leads_on(s, field, is_object)) {
        /* A list or object in the place of an id, a number, … */
        if (was_on_path && field != FIELD_OTHER && field != FIELD_BODY) s->failed = true;
        return;
    }
    s->path = s->depth;
    if (s->depth != DEPTH_LIST) s->member[s->depth] = FIELD_OTHER;
    if (s->depth != DEPTH_MESSAGE) return;
    s->message = (struct poll_message){.list = LIST_KINDS};
    s->type_hash = s->from_hash = s->body_hash = FNV_SEED;
}

static void on_message_end(struct poll_scan *s)
{
    s->sink = NULL;
    if (s->message.id == 0 || s->message.list == LIST_KINDS) {
        s->failed = true;
        return;
    }
    if (s->want_content) s->message.content = content_of(s->type_hash, s->from_hash, s->body_hash);
    s->messages++;
    if (s->on_message != NULL) s->on_message(s->arg, &s->message);
}

static void on_close(struct poll_scan *s, char c)
{
    if (s->depth == 0 || in_object(s) != (c == '}')) {
        s->failed = true;
        return;
    }
    if (on_path(s)) {
        if (s->depth == DEPTH_MESSAGE) on_message_end(s);
        s->path--;
    }
    s->depth--;
    s->is_key = false;
    if (s->depth == 0) s->state = SCAN_END;
}

/* The value of the member just named begins: is it one to hash? */
static void on_colon(struct poll_scan *s)
{
    s->is_key = false;
    if (!s->want_content || !on_path(s) || s->depth != DEPTH_MESSAGE) return;
    switch (s->member[DEPTH_MESSAGE]) {
    case FIELD_TYPE: s->sink = &s->type_hash; break;
    case FIELD_FROM: s->sink = &s->from_hash; break;
    case FIELD_BODY: s->sink = &s->body_hash; break;
    default: s->sink = NULL; break;
    }
}

static void on_comma(struct poll_scan *s)
{
    s->is_key = in_object(s);
    if (!on_path(s)) return;
    if (s->depth == DEPTH_MESSAGE) s->sink = NULL;
    if (s->is_key && s->depth <= DEPTH_BODY) s->member[s->depth] = FIELD_OTHER;
}

static void on_key(struct poll_scan *s)
{
    if (!on_path(s) || s->depth > DEPTH_BODY) return;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (known[i].depth != s->depth || !str_eq(known[i].name, text_now(s))) continue;
        s->member[s->depth] = known[i].field;
        return;
    }
    s->member[s->depth] = FIELD_OTHER;
}

/* ---- tokens ------------------------------------------------------------------------ */

static bool is_text_field(uint8_t field)
{
    return field != FIELD_OTHER && field != FIELD_BODY && field != FIELD_FROM &&
           field != FIELD_STAMP;
}

static void string_begin(struct poll_scan *s)
{
    s->state = SCAN_STRING;
    s->text_len = 0;
    s->high_surrogate = 0;
    sink_char(s, HASH_STRING_OPEN);
    s->capture = on_path(s) && (s->is_key || is_text_field(field_now(s)));
}

static void string_end(struct poll_scan *s)
{
    if (s->high_surrogate != 0) s->failed = true;
    s->state = SCAN_GAP;
    sink_char(s, HASH_STRING_SHUT);
    if (s->is_key)
        on_key(s);
    else if (s->capture)
        on_string(s);
}

/* Takes the plain characters at the start of the bytes; returns how many these are. */
static size_t string_run(struct poll_scan *s, struct str bytes)
{
    const char *quote = memchr(bytes.ptr, '"', bytes.len);
    size_t run = quote != NULL ? (size_t)(quote - bytes.ptr) : bytes.len;
    const char *escape = memchr(bytes.ptr, '\\', run);
    if (escape != NULL) run = (size_t)(escape - bytes.ptr);
    if (run == 0) return 0;
    if (s->high_surrogate != 0) s->failed = true;
    text_add(s, bytes.ptr, run);
    return run;
}

static void add_code_point(struct poll_scan *s, uint32_t c)
{
    char utf8[4];
    size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--, c >>= 6) utf8[i] = (char)(0x80 | (c & 0x3f));
    utf8[0] = (char)(lead[len] | c);
    text_add(s, utf8, len);
}

static void on_code_unit(struct poll_scan *s)
{
    uint32_t unit = s->code_unit;
    s->state = SCAN_STRING;
    if (s->high_surrogate != 0) {
        if (unit < 0xdc00 || unit > 0xdfff) s->failed = true;
        unit = 0x10000 + ((s->high_surrogate - 0xd800) << 10) + (unit - 0xdc00);
        s->high_surrogate = 0;
    } else if (unit >= 0xd800 && unit <= 0xdbff) {
        s->high_surrogate = unit;
        return;
    } else if (unit >= 0xdc00 && unit <= 0xdfff) {
        s->failed = true;
    }
    if (!s->failed) add_code_point(s, unit);
}

static void on_escape(struct poll_scan *s, char c)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    s->state = SCAN_STRING;
    if (c == 'u') {
        s->state = SCAN_HEX;
        s->hex_left = 4;
        s->code_unit = 0;
    } else if (at == NULL || s->high_surrogate != 0) {
        s->failed = true;
    } else {
        text_add(s, &to[at - from], 1);
    }
}

static void on_hex(struct poll_scan *s, char c)
{
    uint32_t digit;
    if (c >= '0' && c <= '9')
        digit = (uint32_t)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        digit = (uint32_t)((c | 0x20) - 'a' + 10);
    else {
        s->failed = true;
        return;
    }
    s->code_unit = s->code_unit << 4 | digit;
    if (--s->hex_left == 0) on_code_unit(s);
}

static bool is_scalar_char(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' || c == '.' ||
           c == 'E';
}

static void on_token(struct poll_scan *s, char c)
{
    switch (c) {
    case ' ':
    case '\t':
    case '\r':
    case '\n': return;
    case '"': string_begin(s); return;
    case '{':
    case '[':
        sink_char(s, c);
        on_open(s, c);
        return;
    case '}':
    case ']':
        if (s->depth != DEPTH_MESSAGE) sink_char(s, c);
        on_close(s, c);
        return;
    case ',':
        if (s->depth != DEPTH_MESSAGE) sink_char(s, c);
        on_comma(s);
        return;
    case ':':
        sink_char(s, c);
        on_colon(s);
        return;
    default:
        s->state = SCAN_SCALAR;
        s->text_len = 0;
        s->capture = on_path(s) && (is_text_field(field_now(s)) || field_now(s) == FIELD_STAMP);
        if (s->is_key || s->depth == 0 || !is_scalar_char(c)) s->failed = true;
        text_add(s, &c, 1);
        return;
    }
}

/* Takes a scalar's characters; the one behind its end is looked at again, as a token. */
static size_t on_scalar_char(struct poll_scan *s, char c)
{
    if (is_scalar_char(c)) {
        text_add(s, &c, 1);
        return 1;
    }
    s->state = SCAN_GAP;
    if (s->capture) on_scalar(s);
    return 0;
}

static void on_trailing(struct poll_scan *s, char c)
{
    if (c != ' ' && c != '\t' && c != '\r' && c != '\n') s->failed = true;
}

/* Takes at least one byte, or changes the state. */
static size_t step(struct poll_scan *s, struct str bytes)
{
    char c = bytes.ptr[0];
    switch ((enum scan_state)s->state) {
    case SCAN_GAP: on_token(s, c); return 1;
    case SCAN_STRING:
        if (c == '"')
            string_end(s);
        else if (c == '\\')
            s->state = SCAN_ESCAPE;
        else
            return string_run(s, bytes);
        return 1;
    case SCAN_ESCAPE: on_escape(s, c); return 1;
    case SCAN_HEX: on_hex(s, c); return 1;
    case SCAN_SCALAR: return on_scalar_char(s, c);
    case SCAN_END: on_trailing(s, c); return 1;
    }
    return 1;
}

/* ---- the interface ----------------------------------------------------------------- */

void poll_scan_init(struct poll_scan *s, poll_message_cb *on_message, void *arg, bool want_content)
{
    /* All but the text, which is the larger part and means nothing before text_len. */
    memset(s, 0, offsetof(struct poll_scan, text));
    s->on_message = on_message;
    s->arg = arg;
    s->want_content = want_content;
}

void poll_scan_feed(struct poll_scan *s, struct str bytes)
{
    size_t at = 0;
    while (at < bytes.len && !s->failed) at += step(s, str_make(bytes.ptr + at, bytes.len - at));
}

bool poll_scan_finish(struct poll_scan *s)
{
    return s->state == SCAN_END && !s->failed;
}

uint64_t poll_scan_content(struct str type, struct str from, struct str body)
{
    struct poll_scan s;
    poll_scan_init(&s, NULL, NULL, true);
    poll_scan_feed(&s, STR("{\"messages\":[{\"body\":"));
    poll_scan_feed(&s, body);
    return content_of(hash_string(type), hash_string(from), s.body_hash);
}
