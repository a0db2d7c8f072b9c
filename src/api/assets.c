#include "api/assets.h"

#include <string.h>

/* The assembler reads the file, from web/ or from what the build made in its own web/; the build
 * knows that this object depends on them (Makefile). The end is a pointer of its own, since C knows
 * no constant for the distance of two symbols. */
#define EMBED(name, file)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".global asset_" #name "\n.global asset_" #name "_end\n"                               \
            "asset_" #name ":\n.incbin \"web/" file "\"\n"                                         \
            "asset_" #name "_end:\n.previous\n");                                                  \
    extern const char asset_##name[], asset_##name##_end[];

EMBED(index_html, "index.html")
EMBED(element_mjs, "element.mjs")
EMBED(room_mjs, "room.mjs")
EMBED(view_mjs, "view.mjs")
EMBED(style_css, "style.css")
EMBED(icon_svg, "icon.svg")
EMBED(stoa_mjs, "sdk/stoa.mjs")
EMBED(console_html, "console/index.html")
EMBED(console_js, "console.js")
EMBED(console_css, "console.css")

#define HTML        "text/html; charset=utf-8"
#define SCRIPT      "text/javascript; charset=utf-8"
#define STYLE       "text/css; charset=utf-8"
#define IMAGE       "image/svg+xml"
#define ASSET(name) asset_##name, asset_##name##_end

static const struct asset assets[] = {
    {"/", PAGE_DEV, HTML, ASSET(index_html)},
    {"/element.mjs", PAGE_DEV, SCRIPT, ASSET(element_mjs)},
    {"/room.mjs", PAGE_DEV, SCRIPT, ASSET(room_mjs)},
    {"/view.mjs", PAGE_DEV, SCRIPT, ASSET(view_mjs)},
    {"/sdk/stoa.mjs", PAGE_DEV, SCRIPT, ASSET(stoa_mjs)},
    {"/style.css", PAGE_DEV | PAGE_CONSOLE, STYLE, ASSET(style_css)},
    {"/icon.svg", PAGE_DEV | PAGE_CONSOLE, IMAGE, ASSET(icon_svg)},
    {"/console", PAGE_CONSOLE, HTML, ASSET(console_html)},
    {"/console/", PAGE_CONSOLE, HTML, ASSET(console_html)},
    {"/console/rooms/*", PAGE_CONSOLE, HTML, ASSET(console_html)},
    {"/console/console.js", PAGE_CONSOLE, SCRIPT, ASSET(console_js)},
    {"/console/console.css", PAGE_CONSOLE, STYLE, ASSET(console_css)},
};

/* A path that ends in '*' stands for all that go on, by at least one byte and without a slash. */
static bool is_match(struct str pattern, struct str path)
{
    if (pattern.ptr[pattern.len - 1] != '*') return str_eq(pattern, path);
    size_t stem = pattern.len - 1;
    return path.len > stem && str_starts(path, str_make(pattern.ptr, stem)) &&
           memchr(path.ptr + stem, '/', path.len - stem) == NULL;
}

const struct asset *assets_find(struct str path, unsigned pages)
{
    for (size_t i = 0; i < sizeof assets / sizeof assets[0]; i++)
        if ((assets[i].pages & pages) != 0 && is_match(str_of(assets[i].path), path))
            return &assets[i];
    return NULL;
}
