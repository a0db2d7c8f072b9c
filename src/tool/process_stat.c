#include "tool/process_stat.h"

#include <stdio.h>
#include <unistd.h>

/* Fields of /proc/PID/stat behind the name, counted from 0: proc(5) counts from 3. */
#define FIELD_UTIME 11
#define FIELD_STIME 12

static int read_proc(uint32_t pid, const char *name, char *ret_text, size_t cap, struct str *ret)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
    FILE *file = fopen(path, "re");
    if (file == NULL) return -1;
    size_t len = fread(ret_text, 1, cap, file);
    fclose(file);
    *ret = str_make(ret_text, len);
    return len > 0 ? 0 : -1;
}

int process_parse_stat(struct str stat, uint64_t *ret_ticks)
{
    uint64_t ticks = 0, field;
    size_t name_end = stat.len;
    /* The name is in parentheses and may hold blanks and parentheses itself: its last one counts.
     */
    while (name_end > 0 && stat.ptr[name_end - 1] != ')') name_end--;
    if (name_end == 0 || name_end + 1 >= stat.len) return -1;
    struct str rest = str_make(stat.ptr + name_end + 1, stat.len - name_end - 1);
    for (int i = 0; i <= FIELD_STIME; i++) {
        struct str text = str_split(rest, ' ', &rest);
        if (i < FIELD_UTIME) continue;
        if (!str_parse_u64(text, &field)) return -1;
        ticks += field;
    }
    *ret_ticks = ticks;
    return 0;
}

int process_parse_rollup(struct str rollup, uint64_t *ret_kib)
{
    struct str rest = rollup;
    while (rest.ptr != NULL) {
        struct str line = str_split(rest, '\n', &rest), value;
        if (!str_eq(str_split(line, ':', &value), STR("Pss"))) continue;
        return str_parse_u64(str_split(str_trim(value), ' ', &value), ret_kib) ? 0 : -1;
    }
    return -1;
}

int process_cpu_us(uint32_t pid, uint64_t *ret_us)
{
    char text[2048];
    struct str stat;
    uint64_t ticks;
    if (read_proc(pid, "stat", text, sizeof(text), &stat) != 0) return -1;
    if (process_parse_stat(stat, &ticks) != 0) return -1;
    *ret_us = ticks * UINT64_C(1000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    return 0;
}

int process_pss_bytes(uint32_t pid, uint64_t *ret_bytes)
{
    char text[4096];
    struct str rollup;
    uint64_t kib;
    if (read_proc(pid, "smaps_rollup", text, sizeof(text), &rollup) != 0) return -1;
    if (process_parse_rollup(rollup, &kib) != 0) return -1;
    *ret_bytes = kib * 1024;
    return 0;
}
