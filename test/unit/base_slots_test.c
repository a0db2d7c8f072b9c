/* base/slots.c: a handle finds its object until it is removed, and nothing ever after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/rng.h"
#include "base/slots.h"

#define STEPS 20000

struct given {
    uint64_t handle;
    void *object; /* NULL: removed */
};

static struct given all_given[STEPS];

/* Every handle ever given is kept, and any of them may be asked for at any time. */
static void run_random(uint64_t seed, uint64_t live_max)
{
    static char objects[STEPS];
    struct slots s;
    struct rng rng;
    size_t given = 0;
    uint32_t live = 0;
    slots_init(&s);
    rng_init(&rng, seed);

    for (int step = 0; step < STEPS; step++) {
        if (live < live_max && rng_below(&rng, 2) == 0) {
            void *object = &objects[given];
            all_given[given++] = (struct given){slots_add(&s, object), object};
            live++;
        } else if (given > 0) {
            struct given *g = &all_given[rng_below(&rng, given)];
            assert_ptr_equal(slots_get(&s, g->handle), g->object);
            assert_ptr_equal(slots_remove(&s, g->handle), g->object);
            if (g->object != NULL) live--;
            g->object = NULL;
        }
        assert_int_equal(s.count, live);
    }
    for (size_t i = 0; i < given; i++) {
        assert_true(all_given[i].handle != 0);
        assert_ptr_equal(slots_get(&s, all_given[i].handle), all_given[i].object);
    }
    slots_deinit(&s);
}

static void slots_agree_with_a_list_of_all_handles(void **state)
{
    run_random(1, 3);
    run_random(2, 100);
    run_random(3, STEPS);
}

static void slots_refuse_forged_handles(void **state)
{
    struct slots s;
    int object = 0;
    slots_init(&s);
    assert_null(slots_get(&s, 0));
    assert_null(slots_get(&s, 1));
    uint64_t handle = slots_add(&s, &object);
    assert_null(slots_get(&s, 0));
    assert_null(slots_get(&s, handle + 1));            /* a slot that is free */
    assert_null(slots_get(&s, handle + 1000000));      /* past the table */
    assert_null(slots_get(&s, handle + (1ULL << 32))); /* another generation */
    assert_null(slots_get(&s, UINT64_MAX));
    assert_null(slots_remove(&s, 0));
    assert_ptr_equal(slots_get(&s, handle), &object);
    slots_deinit(&s);
}

static void slots_reuse_a_slot_under_a_new_handle(void **state)
{
    struct slots s;
    int first = 0, second = 0;
    slots_init(&s);
    uint64_t old = slots_add(&s, &first);
    slots_remove(&s, old);
    uint64_t new = slots_add(&s, &second);
    assert_int_equal((uint32_t) new, (uint32_t)old);
    assert_true(new != old);
    assert_null(slots_get(&s, old));
    assert_ptr_equal(slots_get(&s, new), &second);
    slots_deinit(&s);
    slots_deinit(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_agree_with_a_list_of_all_handles),
        cmocka_unit_test(slots_refuse_forged_handles),
        cmocka_unit_test(slots_reuse_a_slot_under_a_new_handle),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
