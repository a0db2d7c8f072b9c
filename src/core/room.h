/* A room as the store keeps it: settings and state. Copied by value between threads. */
#ifndef STOA_CORE_ROOM_H
#define STOA_CORE_ROOM_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/limit.h"

enum room_state { ROOM_OPEN, ROOM_CLOSED };

struct room_settings {
    char title[LIMIT_TITLE + 1];
    char sect[LIMIT_SECT + 1]; /* empty: none assigned */
    uint32_t slow_mode_s;      /* least time between two normal messages of one user, 0: off */
    uint32_t max_body_bytes;   /* of a message's body, at most LIMIT_MESSAGE_BODY */
    uint32_t normal_per_s;     /* messages per second and room, per list */
    uint32_t high_per_s;
    uint32_t max_online; /* 0: no limit */
};

struct room_record {
    struct room_settings settings;
    enum room_state state;
    uint64_t version; /* counts changes, from 1 */
    int64_t created_ms;
    uint64_t unique; /* viewers of its whole life, when it was read; changes without a version */
};

/* What a room has, until somebody sets it. */
struct room_settings room_settings_default(void);
/* Room ids (and app names): 1-64 of A-Za-z0-9_.:- */
bool room_id_is_valid(struct str id);
/* User ids: 1-64 bytes of UTF-8 without control characters. */
bool user_id_is_valid(struct str id);
bool message_type_is_valid(struct str type);   /* as clients may send it: room.* is not */
bool message_type_is_control(struct str type); /* room.* */
/* The part behind the slash of a key "app/room". */
struct str room_key_id(struct str key);
/* Writes the settings as JSON members: "title":…,"slow_mode_s":… (no braces). */
void room_settings_write(struct buf *b, const struct room_settings *settings);

#endif
