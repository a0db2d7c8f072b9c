/* The words of one command to Redis, put together, and keys made on the way.
 *
 * A zeroed struct redis_words with its library is empty; words_begin() empties one that was used and keeps its memory.
 * What is added is borrowed until the command has been given to redis_cluster_call(), which copies;
 * what has to be made, numbers and keys, lives as long. Single thread. */
#ifndef STOA_STORE_REDIS_WORDS_H
#define STOA_STORE_REDIS_WORDS_H

#include "base/buf.h"
#include "store/arena.h"

struct redis_words {
    const char *library; /* whose functions are called (store/redis_library.h); borrowed */
    struct str key;      /* decides where the command goes */
    struct str *words;
    size_t count, cap;
    struct arena made;
};

void words_deinit(struct redis_words *w);
/* "{name}" and what is behind it: a key whose slot is that of the name. Made. */
struct str words_key(struct redis_words *w, struct str name, const char *suffix);
/* Empties. */
void words_begin(struct redis_words *w);
void words_str(struct redis_words *w, struct str s);
void words_lit(struct redis_words *w, const char *literal);
void words_i64(struct redis_words *w, int64_t value);
void words_u64(struct redis_words *w, uint64_t value);
/* An id as two words, milliseconds and n, and as one, "ms-n". */
void words_id(struct redis_words *w, uint64_t id);
void words_stream_id(struct redis_words *w, uint64_t id);
/* FCALL of a function of the library, by its name there, with this one key, or these two. */
void words_call(struct redis_words *w, const char *function, struct str key);
void words_call2(struct redis_words *w, const char *function, struct str key, struct str other);
/* A command with this key as its next word. */
void words_command(struct redis_words *w, const char *command, struct str key);

#endif
