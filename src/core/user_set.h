/* A set of user ids that holds the ids themselves, for tens of thousands of users: an id takes its
 * bytes, one for its length, and 5 to 11 in the table.
 *
 * Ids only come; they go all at once. They lie behind one another in one block, in the order in
 * which they came, and the table has their places in it: open addressing, linear probing. A slot is
 * 20 bits of place and 12 of hash, so that nearly no search reads an id which is not the right one.
 * That bounds the block to 1 MiB: USER_SET_MAX users whose ids are as long as they may be.
 *
 * One thread, the owner's. */
#ifndef STOA_CORE_USER_SET_H
#define STOA_CORE_USER_SET_H

#include "base/hash.h"

#define USER_SET_MAX 16000

struct user_set {
    char *ids;       /* length, bytes, length, bytes …; owned */
    uint32_t *slots; /* owned */
    uint32_t ids_len, ids_cap;
    uint32_t slots_cap; /* a power of two, or 0 */
    uint32_t count;
    struct hash_key hash_key;
};

void user_set_init(struct user_set *set, struct hash_key key);
void user_set_deinit(struct user_set *set); /* frees, and leaves an empty set */
/* True: the user was not there. At most USER_SET_MAX users, ids of at most LIMIT_USER_ID bytes. */
bool user_set_add(struct user_set *set, struct str user);
bool user_set_has(const struct user_set *set, struct str user);
/* One after the other, in the order in which they came: *at is 0 before the first one. False: that
 * was the last. The id is borrowed until the next add. */
bool user_set_next(const struct user_set *set, uint32_t *at, struct str *ret_user);
/* What it has allocated. */
size_t user_set_memory_bytes(const struct user_set *set);

#endif
