#include "store/redis_library.h"

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

struct str redis_library(void)
{
    return str_make(redis_library_lua, (size_t)(redis_library_lua_end - redis_library_lua));
}
