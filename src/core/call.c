#include "core/call.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"

struct call *call_new(enum call_kind kind, struct str room)
{
    struct call *call = xcalloc(1, sizeof *call);
    call->kind = kind;
    list_init(&call->node);
    bool fits = str_copy(room, call->room, sizeof call->room);
    ASSERT(fits);
    return call;
}

void call_free(struct call *call)
{
    if (call == NULL) return;
    for (uint32_t i = 0; i < call->frame_count; i++) frame_unref(call->frames[i]);
    free(call->frames);
    free(call->items);
    free(call->samples);
    free(call->routes);
    buf_deinit(&call->text);
    buf_deinit(&call->found);
    free(call);
}

void call_set_message(struct call *call, const struct message *message, struct str key)
{
    const struct str *from[] = {&message->type, &message->from, &message->name, &message->body,
                                &key};
    struct str *to[] = {&call->message.type, &call->message.from, &call->message.name,
                        &call->message.body, &call->key};
    call->message = *message;
    for (size_t i = 0; i < 5; i++) buf_add_str(&call->text, *from[i]);
    size_t at = 0; /* the buffer has stopped moving */
    for (size_t i = 0; i < 5; i++) {
        *to[i] = str_make(call->text.ptr + at, from[i]->len);
        at += from[i]->len;
    }
}

void call_set_query(struct call *call, struct str after, struct str prefix)
{
    buf_add_str(&call->text, after);
    buf_add_str(&call->text, prefix);
    call->after = str_make(call->text.ptr, after.len);
    call->prefix = str_make(call->text.ptr + after.len, prefix.len);
}

void call_set_frames(struct call *call, uint32_t limit)
{
    call->limit = limit;
    call->frames = xcalloc(limit, sizeof *call->frames);
}

static void write_id(struct buf *users, struct str user)
{
    ASSERT(user.len <= LIMIT_USER_ID);
    buf_add_char(users, (char)user.len);
    buf_add_str(users, user);
}

/* An id behind `head` bytes, with all that is before it; false: not whole. */
static bool read_id(struct str *users, size_t head, struct str *ret_user)
{
    if (users->len < head + 1) return false;
    size_t len = (unsigned char)users->ptr[head];
    if (users->len < head + 1 + len) return false;
    *ret_user = str_make(users->ptr + head + 1, len);
    *users = str_make(users->ptr + head + 1 + len, users->len - head - 1 - len);
    return true;
}

void presence_write(struct buf *users, enum presence_event event, struct str user)
{
    buf_add_char(users, (char)event);
    write_id(users, user);
}

bool presence_read(struct str *users, enum presence_event *ret_event, struct str *ret_user)
{
    const char *event = users->ptr;
    if (!read_id(users, 1, ret_user)) return false;
    *ret_event = (enum presence_event) * event;
    return true;
}

void online_user_write(struct buf *users, const struct presence_user *user)
{
    const int64_t times[] = {user->since_ms, user->seen_ms};
    buf_add_str(users, str_make((const char *)times, sizeof times));
    write_id(users, user->user);
}

bool online_user_read(struct str *users, struct presence_user *ret_user)
{
    int64_t times[2];
    const char *head = users->ptr;
    if (!read_id(users, sizeof times, &ret_user->user)) return false;
    memcpy(times, head, sizeof times);
    ret_user->since_ms = times[0];
    ret_user->seen_ms = times[1];
    return true;
}

void note_drop(struct note *note)
{
    switch (note->kind) {
    case NOTE_FRAME: frame_unref(note->frame); break;
    case NOTE_RECORD: free(note->record); break;
    case NOTE_LEAVE:
    case NOTE_LEAVE_AHEAD: free(note->user); break;
    case NOTE_CALL:
    case NOTE_RESTART:
    case NOTE_ONLINE: break;
    }
}
