/* base/list.h: order, and that taking out of no list harms nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
    char letter;
    struct list node;
};

static struct item items[6];

static void init_items(void)
{
    for (int i = 0; i < 6; i++) {
        items[i].letter = (char)('a' + i);
        list_init(&items[i].node);
    }
}

static void assert_list(struct list *head, const char *want)
{
    char forward[8] = "", backward[8] = "";
    size_t len = 0;
    LIST_FOREACH (it, head) forward[len++] = CONTAINER_OF(it, struct item, node)->letter;
    for (struct list *it = head->prev; it != head; it = it->prev) {
        assert_true(len > 0);
        backward[--len] = CONTAINER_OF(it, struct item, node)->letter;
    }
    assert_string_equal(forward, want);
    assert_string_equal(backward, want);
}

static void list_keeps_the_order_of_pushes(void **state)
{
    struct list head;
    list_init(&head);
    init_items();
    assert_true(list_is_empty(&head));
    assert_null(list_take(&head));
    for (int i = 0; i < 3; i++) list_push(&head, &items[i].node);
    assert_list(&head, "abc");
    list_insert(&items[1].node, &items[3].node);
    assert_list(&head, "adbc");
    assert_ptr_equal(list_take(&head), &items[0].node);
    assert_false(list_is_linked(&items[0].node));
    assert_list(&head, "dbc");
}

static void list_remove_is_safe_twice(void **state)
{
    struct list head;
    list_init(&head);
    init_items();
    list_push(&head, &items[0].node);
    assert_true(list_is_linked(&items[0].node));
    list_remove(&items[0].node);
    list_remove(&items[0].node);
    list_remove(&items[1].node);
    assert_true(list_is_empty(&head));
}

static void list_foreach_safe_survives_removal(void **state)
{
    struct list head;
    list_init(&head);
    init_items();
    for (int i = 0; i < 6; i++) list_push(&head, &items[i].node);
    LIST_FOREACH_SAFE (it, &head) {
        if (CONTAINER_OF(it, struct item, node)->letter % 2 == 0) list_remove(it);
    }
    assert_list(&head, "ace");
}

static void list_move_all_appends(void **state)
{
    struct list to, from;
    list_init(&to);
    list_init(&from);
    init_items();
    list_move_all(&to, &from);
    assert_list(&to, "");
    list_push(&from, &items[2].node);
    list_push(&from, &items[3].node);
    list_move_all(&to, &from);
    assert_list(&to, "cd");
    list_push(&from, &items[0].node);
    list_move_all(&to, &from);
    assert_list(&to, "cda");
    assert_list(&from, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_keeps_the_order_of_pushes),
        cmocka_unit_test(list_remove_is_safe_twice),
        cmocka_unit_test(list_foreach_safe_survives_removal),
        cmocka_unit_test(list_move_all_appends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
