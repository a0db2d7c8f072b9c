/* Ids of viewers for the tests of counting and for bench/unique.c: as many different ones as
 * wanted, the same for the same run. Every other is a running number, as databases give them
 * ("user-1048577"), and every other random (sixteen hexadecimal digits), as tokens and devices have
 * them. No two runs have a user in common. */
#ifndef STOA_TEST_VIEWER_IDS_H
#define STOA_TEST_VIEWER_IDS_H

#include "base/str.h"

#define VIEWER_ID_MAX  32
#define VIEWER_RUN_MAX (UINT64_C(1) << 24) /* users of a run */

/* How many users there are in the runs that accuracy is judged by. */
static const uint64_t VIEWER_SIZES[] = {1, 100, 9999, 10000, 10001, 50000, 1000000, 15000000};
#define VIEWER_SIZE_COUNT (sizeof(VIEWER_SIZES) / sizeof(VIEWER_SIZES[0]))

/* The run of one of these sizes and of a seed, from 1 on. (0 is for other tests.) */
static inline uint64_t viewer_run(size_t size, uint64_t seed)
{
    return seed * VIEWER_SIZE_COUNT + size;
}

struct viewer_id {
    char text[VIEWER_ID_MAX];
    uint8_t at, len; /* in the text */
};

/* Every 64-bit number gives another one (splitmix64; Steele, Lea, Flood 2014). */
static inline uint64_t viewer_mix(uint64_t number)
{
    number += 0x9e3779b97f4a7c15;
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9;
    number = (number ^ number >> 27) * 0x94d049bb133111eb;
    return number ^ number >> 31;
}

static inline void viewer_id_random(struct viewer_id *id, uint64_t number)
{
    uint64_t bits = viewer_mix(number);
    for (int i = 0; i < 16; i++) id->text[i] = "0123456789abcdef"[bits >> 4 * i & 15];
    id->at = 0;
    id->len = 16;
}

static inline void viewer_id_running(struct viewer_id *id, uint64_t number)
{
    uint8_t at = VIEWER_ID_MAX;
    do {
        id->text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (int i = 4; i >= 0; i--) id->text[--at] = "user-"[i];
    id->at = at;
    id->len = (uint8_t)(VIEWER_ID_MAX - at);
}

/* Of the run's n-th user, n < VIEWER_RUN_MAX. */
static inline void viewer_id_make(struct viewer_id *id, uint64_t run, uint64_t n)
{
    uint64_t number = run * VIEWER_RUN_MAX + n;
    if (n % 2 == 0)
        viewer_id_running(id, number);
    else
        viewer_id_random(id, number);
}

static inline struct str viewer_id_str(const struct viewer_id *id)
{
    return str_make(id->text + id->at, id->len);
}

#endif
