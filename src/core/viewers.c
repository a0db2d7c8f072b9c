#include "core/viewers.h"

_Static_assert(VIEWERS_EXACT_MAX < USER_SET_MAX, "the set takes one more, which is one too many");

void viewers_init(struct viewers *v, struct hash_key key)
{
    *v = (struct viewers){.is_exact = true};
    user_set_init(&v->users, key);
}

void viewers_deinit(struct viewers *v)
{
    hll_deinit(&v->sketch);
    user_set_deinit(&v->users);
    viewers_init(v, v->users.hash_key);
}

/* From here on the sketch is all there is. */
static void give_up_set(struct viewers *v)
{
    if (!v->is_exact) return;
    v->is_exact = false;
    v->at_least = v->users.count;
    user_set_deinit(&v->users);
}

static bool add_to_set(struct viewers *v, struct str user)
{
    if (!user_set_add(&v->users, user)) return false;
    if (v->users.count > VIEWERS_EXACT_MAX) give_up_set(v);
    return true;
}

bool viewers_add(struct viewers *v, struct str user)
{
    if (!v->is_exact) return hll_add(&v->sketch, user);
    bool is_new = add_to_set(v, user);
    if (is_new) hll_add(&v->sketch, user); /* who is in the set is in the sketch */
    return is_new;
}

static uint64_t known(const struct viewers *v)
{
    return v->is_exact ? v->users.count : v->at_least;
}

void viewers_merge(struct viewers *into, const struct viewers *from)
{
    struct str user;
    hll_merge(&into->sketch, &from->sketch);
    if (!from->is_exact) give_up_set(into);
    for (uint32_t at = 0; into->is_exact && user_set_next(&from->users, &at, &user);)
        add_to_set(into, user);
    viewers_expect(into, known(from));
}

void viewers_merge_sketch(struct viewers *into, const struct hll *sketch)
{
    hll_merge(&into->sketch, sketch);
    give_up_set(into);
}

void viewers_expect(struct viewers *v, uint64_t at_least)
{
    if (!v->is_exact && v->at_least < at_least) v->at_least = at_least;
}

struct viewers_count viewers_count(const struct viewers *v)
{
    if (v->is_exact) return (struct viewers_count){.unique = v->users.count, .exact = true};
    uint64_t estimate = hll_count(&v->sketch);
    return (struct viewers_count){
        .unique = estimate > v->at_least ? estimate : v->at_least,
        .standard_error = HLL_STANDARD_ERROR,
    };
}

size_t viewers_memory_bytes(const struct viewers *v)
{
    return hll_memory_bytes(&v->sketch) + user_set_memory_bytes(&v->users);
}

/* Rounds down, before 1970 too. */
int64_t viewers_bucket(int64_t at_ms)
{
    int64_t into_bucket = at_ms % VIEWERS_BUCKET_MS;
    return at_ms - into_bucket - (into_bucket < 0 ? VIEWERS_BUCKET_MS : 0);
}
