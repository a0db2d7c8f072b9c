/* How it works. Time is read as a number in base 256: level 0 has one slot for each value of the
 * last digit, level 1 for the one before, and so on. A timer lies at the level of the highest digit
 * in which its due time differs from now, in the slot of that digit:
 *
 *     now        02 7f 10 33
 *     due        02 7f 10 90    level 0, slot 90: due in this block of 256 ms
 *     due        02 7f 22 05    level 1, slot 22: due in a later block of this 65 s
 *     due        03 00 00 00    level 3, slot 03
 *
 * When now comes to the first moment of a slot of a higher level, that slot is opened: its timers
 * are placed anew, and come to lie lower. What lies beyond the fourth digit waits in the list
 * `far`, which is opened when the fifth changes.
 *
 * Invariants:
 * 1. Where a timer lies follows from its due time and now alone; so cancel can find its slot.
 * 2. The slots of level 1 and up that have timers come after the one that now lies in, and all
 *    timers of a level are due before all those of the next.
 * 3. A slot is opened before anything can be armed into the slots that it opens into, so timers due
 *    at the same time stand in arming order.
 * 4. A bit of `used` is set if and only if its slot has a timer. */
#include "base/wheel.h"

#define DIGIT_BITS 8

/* A slot's place; level WHEEL_LEVELS is the list `far`. */
struct place {
    int level;
    unsigned digit;
};

void wheel_init(struct wheel *w, int64_t now_ms)
{
    *w = (struct wheel){.now_ms = now_ms};
    list_init(&w->far);
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        for (int digit = 0; digit < WHEEL_SLOTS; digit++) list_init(&w->slots[level][digit]);
    }
}

void timer_init(struct timer *t)
{
    list_init(&t->node);
    t->due_ms = 0;
}

bool timer_is_armed(const struct timer *t)
{
    return list_is_linked(&t->node);
}

static unsigned digit_of(int64_t time_ms, int level)
{
    return (unsigned)((uint64_t)time_ms >> (level * DIGIT_BITS)) % WHEEL_SLOTS;
}

static struct place place_of(const struct wheel *w, int64_t due_ms)
{
    uint64_t difference = (uint64_t)due_ms ^ (uint64_t)w->now_ms;
    int level = difference == 0 ? 0 : (63 - __builtin_clzll(difference)) / DIGIT_BITS;
    if (level >= WHEEL_LEVELS) return (struct place){WHEEL_LEVELS, 0};
    return (struct place){level, digit_of(due_ms, level)};
}

static struct list *slot_at(struct wheel *w, struct place place)
{
    return place.level == WHEEL_LEVELS ? &w->far : &w->slots[place.level][place.digit];
}

static void mark(struct wheel *w, struct place place, bool used)
{
    if (place.level == WHEEL_LEVELS) return;
    uint64_t bit = 1ULL << place.digit % 64;
    uint64_t *word = &w->used[place.level][place.digit / 64];
    *word = used ? *word | bit : *word & ~bit;
}

static void insert(struct wheel *w, struct timer *t)
{
    struct place place = place_of(w, t->due_ms);
    list_push(slot_at(w, place), &t->node);
    mark(w, place, true);
}

void wheel_arm(struct wheel *w, struct timer *t, int64_t due_ms)
{
    wheel_cancel(w, t);
    t->due_ms = due_ms > w->now_ms ? due_ms : w->now_ms;
    insert(w, t);
    w->count++;
}

void wheel_cancel(struct wheel *w, struct timer *t)
{
    if (!timer_is_armed(t)) return;
    list_remove(&t->node);
    w->count--;
    /* For a timer that an advance has collected this is not where it was, but just as true. */
    struct place place = place_of(w, t->due_ms);
    if (list_is_empty(slot_at(w, place))) mark(w, place, false);
}

/* The first used slot of a level at or after `digit`, WHEEL_SLOTS if there is none. */
static unsigned find_used(const uint64_t *used, unsigned digit)
{
    while (digit < WHEEL_SLOTS) {
        uint64_t word = used[digit / 64] >> digit % 64;
        if (word != 0) return digit + (unsigned)__builtin_ctzll(word);
        digit = (digit / 64 + 1) * 64;
    }
    return WHEEL_SLOTS;
}

/* The first moment of the slot `digit` of `level`, in the block of that level that now lies in. */
static int64_t time_of(const struct wheel *w, int level, unsigned digit)
{
    int64_t within = ((int64_t)WHEEL_SLOTS << (level * DIGIT_BITS)) - 1;
    return (w->now_ms & ~within) + ((int64_t)digit << (level * DIGIT_BITS));
}

/* Where the next timers lie, and since when they are due or have to be opened. INT64_MAX if there
 * are none. */
static int64_t find_next(const struct wheel *w, struct place *ret_place)
{
    for (int level = 0; level < WHEEL_LEVELS; level++) {
        unsigned digit = find_used(w->used[level], digit_of(w->now_ms, level));
        if (digit == WHEEL_SLOTS) continue;
        *ret_place = (struct place){level, digit};
        return time_of(w, level, digit);
    }
    *ret_place = (struct place){WHEEL_LEVELS, 0};
    if (list_is_empty(&w->far)) return INT64_MAX;
    return time_of(w, WHEEL_LEVELS - 1, WHEEL_SLOTS);
}

int64_t wheel_next_ms(const struct wheel *w)
{
    struct place place;
    return find_next(w, &place);
}

static void open_slot(struct wheel *w, struct place place)
{
    struct list timers;
    list_init(&timers);
    list_move_all(&timers, slot_at(w, place));
    mark(w, place, false);
    for (struct list *node; (node = list_take(&timers)) != NULL;) {
        insert(w, CONTAINER_OF(node, struct timer, node));
    }
}

/* Moves now to now_ms, from one used slot to the next, and all that is due on the way to `due`. */
static void collect(struct wheel *w, int64_t now_ms, struct list *due)
{
    for (;;) {
        struct place place;
        int64_t next_ms = find_next(w, &place);
        if (next_ms > now_ms || next_ms == INT64_MAX) break;
        w->now_ms = next_ms;
        if (place.level == 0) {
            list_move_all(due, slot_at(w, place));
            mark(w, place, false);
        } else {
            open_slot(w, place);
        }
    }
    w->now_ms = now_ms;
}

void wheel_advance(struct wheel *w, int64_t now_ms, timer_cb *cb, void *arg)
{
    struct list due;
    list_init(&due);
    collect(w, now_ms > w->now_ms ? now_ms : w->now_ms, &due);
    /* The callback may cancel or re-arm what is still in `due`: that takes it out of the list. */
    for (struct list *node; (node = list_take(&due)) != NULL;) {
        w->count--;
        cb(arg, CONTAINER_OF(node, struct timer, node));
    }
}
