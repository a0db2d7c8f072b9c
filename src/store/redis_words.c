#include "store/redis_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "core/id.h"
#include "store/redis_library.h"

void words_deinit(struct redis_words *w)
{
    arena_deinit(&w->made);
    free(w->words);
    *w = (struct redis_words){0};
}

struct str words_key(struct redis_words *w, struct str name, const char *suffix)
{
    struct buf key = {0};

    buf_add_char(&key, '{');
    buf_add_str(&key, name);
    buf_add_char(&key, '}');
    buf_add_str(&key, str_of(suffix));
    struct str made = arena_copy(&w->made, buf_str(&key));
    buf_deinit(&key);
    return made;
}

void words_begin(struct redis_words *w)
{
    arena_deinit(&w->made);
    w->key = STR_NONE;
    w->count = 0;
}

void words_str(struct redis_words *w, struct str s)
{
    if (w->count == w->cap) {
        w->cap = w->cap == 0 ? 64 : w->cap * 2;
        w->words = xrealloc(w->words, w->cap * sizeof(*w->words));
    }
    w->words[w->count++] = s.ptr != NULL ? s : STR("");
}

void words_lit(struct redis_words *w, const char *literal)
{
    words_str(w, str_of(literal));
}

static void add_text(struct redis_words *w, const char *text, int len)
{
    words_str(w, arena_copy(&w->made, str_make(text, (size_t)len)));
}

void words_i64(struct redis_words *w, int64_t value)
{
    char text[24];

    add_text(w, text, snprintf(text, sizeof(text), "%" PRId64, value));
}

void words_u64(struct redis_words *w, uint64_t value)
{
    char text[24];

    add_text(w, text, snprintf(text, sizeof(text), "%" PRIu64, value));
}

void words_id(struct redis_words *w, uint64_t id)
{
    words_u64(w, id >> ID_SEQ_BITS);
    words_u64(w, id & ((1u << ID_SEQ_BITS) - 1));
}

void words_stream_id(struct redis_words *w, uint64_t id)
{
    char text[ID_TEXT_MAX];

    add_text(w, text, (int)id_format(id, text));
}

static void add_call(struct redis_words *w, const char *function, const char *keys)
{
    char name[REDIS_FUNCTION_MAX];

    words_lit(w, "FCALL");
    add_text(w, name, snprintf(name, sizeof(name), "%s_%s", w->library, function));
    words_lit(w, keys);
}

void words_call(struct redis_words *w, const char *function, struct str key)
{
    w->key = key;
    add_call(w, function, "1");
    words_str(w, key);
}

void words_call2(struct redis_words *w, const char *function, struct str key, struct str other)
{
    w->key = key;
    add_call(w, function, "2");
    words_str(w, key);
    words_str(w, other);
}

void words_command(struct redis_words *w, const char *command, struct str key)
{
    w->key = key;
    words_lit(w, command);
    words_str(w, key);
}
