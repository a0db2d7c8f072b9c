#include "core/user_set.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/limit.h"

#define PLACE_BITS 20
#define PLACE_MASK ((1u << PLACE_BITS) - 1)

#define FIRST_IDS   256
#define FIRST_SLOTS 16

/* A place is one more than the offset: 0 is a free slot. */
_Static_assert(USER_SET_MAX *(1 + LIMIT_USER_ID) <= PLACE_MASK, "a slot has all places");
_Static_assert(LIMIT_USER_ID <= UINT8_MAX, "a length is a byte");

void user_set_init(struct user_set *set, struct hash_key key)
{
    *set = (struct user_set){.hash_key = key};
}

void user_set_deinit(struct user_set *set)
{
    free(set->ids);
    free(set->slots);
    user_set_init(set, set->hash_key);
}

static struct str id_at(const struct user_set *set, uint32_t offset)
{
    return str_make(set->ids + offset + 1, (unsigned char)set->ids[offset]);
}

/* The upper bits of the hash: the lower ones are where the slot is. */
static uint32_t slot_of(uint32_t offset, uint64_t hash)
{
    return (uint32_t)(hash >> 32) << PLACE_BITS | (offset + 1);
}

static uint32_t slot_offset(uint32_t slot)
{
    return (slot & PLACE_MASK) - 1;
}

/* The slot that holds the user, or the free one where it belongs. There is always a free one. */
static uint32_t *find(const struct user_set *set, struct str user, uint64_t hash)
{
    uint32_t tag = slot_of(0, hash) & ~PLACE_MASK;
    uint32_t mask = set->slots_cap - 1;
    for (uint32_t index = (uint32_t)hash & mask;; index = (index + 1) & mask) {
        uint32_t *slot = &set->slots[index];
        if (*slot == 0) return slot;
        if ((*slot & ~PLACE_MASK) == tag && str_eq(id_at(set, slot_offset(*slot)), user))
            return slot;
    }
}

/* Reads all ids anew: the table alone does not have their whole hashes. */
static void grow_slots(struct user_set *set)
{
    set->slots_cap = set->slots_cap > 0 ? 2 * set->slots_cap : FIRST_SLOTS;
    free(set->slots);
    set->slots = xcalloc(set->slots_cap, sizeof(*set->slots));
    struct str user;
    for (uint32_t at = 0, offset = 0; user_set_next(set, &at, &user); offset = at) {
        uint64_t hash = hash_bytes(set->hash_key, user);
        *find(set, user, hash) = slot_of(offset, hash);
    }
}

static uint32_t append_id(struct user_set *set, struct str user)
{
    uint32_t offset = set->ids_len, end = offset + 1 + (uint32_t)user.len;
    while (set->ids_cap < end) {
        set->ids_cap = set->ids_cap > 0 ? set->ids_cap + set->ids_cap / 2 : FIRST_IDS;
        set->ids = xrealloc(set->ids, set->ids_cap);
    }
    set->ids[offset] = (char)user.len;
    if (user.len > 0) memcpy(set->ids + offset + 1, user.ptr, user.len);
    set->ids_len = end;
    return offset;
}

bool user_set_add(struct user_set *set, struct str user)
{
    ASSERT(user.len <= LIMIT_USER_ID);
    if ((set->count + 1) * 4 > set->slots_cap * 3) grow_slots(set);
    uint64_t hash = hash_bytes(set->hash_key, user);
    uint32_t *slot = find(set, user, hash);
    if (*slot != 0) return false;
    ASSERT(set->count < USER_SET_MAX);
    *slot = slot_of(append_id(set, user), hash);
    set->count++;
    return true;
}

bool user_set_has(const struct user_set *set, struct str user)
{
    return set->count > 0 && *find(set, user, hash_bytes(set->hash_key, user)) != 0;
}

bool user_set_next(const struct user_set *set, uint32_t *at, struct str *ret_user)
{
    if (*at == set->ids_len) return false;
    *ret_user = id_at(set, *at);
    *at += 1 + (uint32_t)ret_user->len;
    return true;
}

size_t user_set_memory_bytes(const struct user_set *set)
{
    return set->ids_cap + set->slots_cap * sizeof(*set->slots);
}
