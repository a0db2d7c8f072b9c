#include "core/room.h"

#include "base/json_write.h"
#include "base/str.h"

struct room_settings room_settings_default(void)
{
    return (struct room_settings){
        .max_body_bytes = 4096,
        .normal_per_s = 200,
        .high_per_s = 50,
    };
}

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_id_char(char c)
{
    if (is_lower_or_digit(c) || (c >= 'A' && c <= 'Z')) return true;
    return c == '_' || c == '.' || c == ':' || c == '-';
}

static bool is_type_char(char c)
{
    return is_lower_or_digit(c) || c == '.' || c == '_' || c == '-';
}

static bool consists_of(struct str s, size_t max_len, bool (*is_allowed)(char))
{
    if (s.len == 0 || s.len > max_len) return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!is_allowed(s.ptr[i])) return false;
    }
    return true;
}

bool room_id_is_valid(struct str id)
{
    return consists_of(id, LIMIT_ROOM_ID, is_id_char);
}

bool user_id_is_valid(struct str id)
{
    return id.len > 0 && id.len <= LIMIT_USER_ID && str_is_utf8(id) && !str_has_control(id);
}

bool message_type_is_valid(struct str type)
{
    return consists_of(type, LIMIT_TYPE, is_type_char) && !str_starts(type, STR("room."));
}

bool message_type_is_control(struct str type)
{
    return consists_of(type, LIMIT_TYPE, is_type_char) && str_starts(type, STR("room."));
}

struct str room_key_id(struct str key)
{
    struct str id;

    str_split(key, '/', &id);
    return id;
}

static void write_number(struct buf *b, const char *name, uint32_t value)
{
    buf_printf(b, ",\"%s\":%u", name, value);
}

void room_settings_write(struct buf *b, const struct room_settings *settings)
{
    buf_add_lit(b, "\"title\":");
    json_write_string(b, str_of(settings->title));
    write_number(b, "slow_mode_s", settings->slow_mode_s);
    write_number(b, "max_body_bytes", settings->max_body_bytes);
    write_number(b, "normal_per_s", settings->normal_per_s);
    write_number(b, "high_per_s", settings->high_per_s);
    write_number(b, "max_online", settings->max_online);
    buf_add_lit(b, ",\"sect\":");
    if (settings->sect[0] == '\0')
        buf_add_lit(b, "null");
    else
        json_write_string(b, str_of(settings->sect));
}
