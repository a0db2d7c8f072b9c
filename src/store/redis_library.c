#include "store/redis_library.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/hash.h"

/* The same at all nodes, or those of one version would not share their library. */
#define NAMES_HASH_KEY ((struct hash_key){0, 0})

/* The assembler reads the files; the build knows that this object depends on them (Makefile). */
__asm__(".section .rodata\n"
        ".global redis_library_lua\n.global redis_library_lua_end\n"
        "redis_library_lua:\n"
        ".incbin \"src/store/redis_library.lua\"\n"
        ".incbin \"src/store/redis_counting.lua\"\n"
        ".incbin \"src/store/redis_presence.lua\"\n"
        ".incbin \"src/store/redis_fleet.lua\"\n"
        "redis_library_lua_end:\n.previous\n");
extern const char redis_library_lua[], redis_library_lua_end[];

struct str redis_library_functions(void)
{
    return str_make(redis_library_lua, (size_t)(redis_library_lua_end - redis_library_lua));
}

void redis_library_init(struct redis_library *library, struct str functions)
{
    *library = (struct redis_library){0};
    uint32_t hash = (uint32_t)hash_bytes(NAMES_HASH_KEY, functions);
    int len = snprintf(library->name, sizeof(library->name), "stoa_%08" PRIx32, hash);
    ASSERT(len == REDIS_LIBRARY_NAME_LEN);
    buf_printf(&library->source, "#!lua name=%s\nlocal LIBRARY = '%s'\n", library->name,
               library->name);
    buf_add_str(&library->source, functions);
}

void redis_library_deinit(struct redis_library *library)
{
    buf_deinit(&library->source);
}
