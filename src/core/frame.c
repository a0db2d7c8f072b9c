#include "core/frame.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/json_write.h"
#include "core/id.h"
#include "core/room.h"

static void write_message(struct buf *b, const struct message *m)
{
    char id[ID_TEXT_MAX];
    size_t len = id_format(m->id, id);
    buf_add_lit(b, "{\"id\":\"");
    buf_add(b, id, len);
    buf_add_lit(b, "\",\"at\":");
    buf_add_i64(b, id_ms(m->id));
    buf_add_str(b, m->list == LIST_HIGH ? STR(",\"priority\":\"high\"")
                                        : STR(",\"priority\":\"normal\""));
    buf_add_lit(b, ",\"type\":");
    json_write_string(b, m->type);
    if (m->from.len > 0) {
        buf_add_lit(b, ",\"from\":");
        json_write_string(b, m->from);
    }
    if (m->name.len > 0) {
        buf_add_lit(b, ",\"name\":");
        json_write_string(b, m->name);
    }
    buf_add_lit(b, ",\"body\":");
    buf_add_str(b, m->body.len > 0 ? m->body : STR("null"));
    buf_add_char(b, '}');
}

static void copy_texts(struct frame *frame, const struct message *message)
{
    const struct str texts[] = {message->type, message->from, message->name};
    char *at = frame->json + frame->len;
    for (int i = 0; i < 3; at += texts[i].len, i++)
        if (texts[i].len > 0) memcpy(at, texts[i].ptr, texts[i].len);
    frame->type_len = (uint32_t)message->type.len;
    frame->from_len = (uint32_t)message->from.len;
    frame->name_len = (uint32_t)message->name.len;
    frame->body_len = (uint32_t)message->body.len;
}

struct frame *frame_new(const struct message *message, struct frame_bin *bin)
{
    struct buf json = {0};
    write_message(&json, message);
    size_t texts_len = message->type.len + message->from.len + message->name.len;
    struct frame *frame = xmalloc(sizeof *frame + json.len + texts_len);
    atomic_init(&frame->refs, 1);
    frame->len = (uint32_t)json.len;
    frame->id = message->id;
    frame->prev = message->prev;
    frame->ordinal = message->ordinal;
    frame->bin = bin;
    frame->next_dead = NULL;
    frame->list = message->list;
    frame->is_control = message_type_is_control(message->type);
    memcpy(frame->json, json.ptr, json.len);
    copy_texts(frame, message);
    buf_deinit(&json);
    return frame;
}

struct frame *frame_ref(struct frame *frame)
{
    unsigned before = atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    ASSERT(before > 0);
    return frame;
}

void frame_unref(struct frame *frame)
{
    if (frame == NULL) return;
    unsigned before = atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel);
    ASSERT(before > 0);
    if (before > 1) return;
    struct frame *head = atomic_load_explicit(&frame->bin->dead, memory_order_relaxed);
    do {
        frame->next_dead = head;
    } while (!atomic_compare_exchange_weak_explicit(&frame->bin->dead, &head, frame,
                                                    memory_order_release, memory_order_relaxed));
}

struct str frame_json(const struct frame *frame)
{
    return str_make(frame->json, frame->len);
}

struct message frame_message(const struct frame *frame)
{
    const char *texts = frame->json + frame->len;
    const char *body = texts - 1 - frame->body_len; /* before the brace that ends the object */
    return (struct message){
        .id = frame->id,
        .prev = frame->prev,
        .ordinal = frame->ordinal,
        .list = frame->list,
        .type = str_make(texts, frame->type_len),
        .from = str_make(texts + frame->type_len, frame->from_len),
        .name = str_make(texts + frame->type_len + frame->from_len, frame->name_len),
        .body = frame->body_len > 0 ? str_make(body, frame->body_len) : STR_NONE};
}

size_t frame_bin_empty(struct frame_bin *bin)
{
    struct frame *frame = atomic_exchange_explicit(&bin->dead, NULL, memory_order_acquire);
    size_t count = 0;
    while (frame != NULL) {
        struct frame *next = frame->next_dead;
        free(frame);
        frame = next;
        count++;
    }
    return count;
}
