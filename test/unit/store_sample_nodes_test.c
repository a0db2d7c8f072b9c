/* store/sample_nodes.c: what several nodes saw of a minute is one sample. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>

#include "store/sample_nodes.h"

#define AT_MS (INT64_C(1000) * SAMPLE_MS)

static struct sample sample_of(int64_t at_ms, uint64_t joins)
{
    return (struct sample){.at_ms = at_ms,
                           .span_ms = SAMPLE_MS / 2,
                           .online_ms = 100 * joins,
                           .online_peak = joins,
                           .joins = joins,
                           .messages = {[LIST_HIGH] = joins, [LIST_NORMAL] = 5},
                           .unique = 10 + joins};
}

static void add(struct sample_nodes *n, const char *node, struct sample sample)
{
    struct sample over;

    assert_false(sample_nodes_add(n, str_of(node), &sample, &over));
}

static void joins_add_up_and_of_the_rest_the_largest_counts(void **state)
{
    struct sample_nodes n = {0};
    struct sample one;

    add(&n, "a", sample_of(AT_MS, 3));
    add(&n, "b", sample_of(AT_MS + SAMPLE_MS / 4, 7));
    assert_true(sample_nodes_end(&n, &one));
    assert_int_equal(one.at_ms, AT_MS);
    assert_int_equal(one.span_ms, 3 * SAMPLE_MS / 4);
    assert_int_equal(one.joins, 10);
    assert_int_equal(one.online_ms, 700);
    assert_int_equal(one.online_peak, 7);
    assert_int_equal(one.messages[LIST_HIGH], 7);
    assert_int_equal(one.messages[LIST_NORMAL], 5);
    assert_int_equal(one.unique, 17);
    assert_false(sample_nodes_end(&n, &one));
}

static void parts_of_one_node_add_up_first(void **state)
{
    struct sample_nodes n = {0};
    struct sample one;

    add(&n, "a", sample_of(AT_MS, 3));
    add(&n, "b", sample_of(AT_MS, 4));
    add(&n, "a", sample_of(AT_MS + SAMPLE_MS / 2, 3));
    assert_true(sample_nodes_end(&n, &one));
    assert_int_equal(one.online_ms, 600); /* of a, more than that of b */
    assert_int_equal(one.joins, 10);
    assert_int_equal(one.messages[LIST_NORMAL], 10);
}

static void what_begins_where_another_node_has_ended_adds_up(void **state)
{
    struct sample_nodes n = {0};
    struct sample one, part = sample_of(AT_MS, 3);

    part.span_ms = SAMPLE_MS / 4;
    add(&n, "ended early", part);
    add(&n, "a", sample_of(AT_MS, 7));
    add(&n, "b", sample_of(AT_MS + SAMPLE_MS / 2, 4)); /* goes on where a ended */
    assert_true(sample_nodes_end(&n, &one));
    assert_int_equal(one.span_ms, SAMPLE_MS);
    assert_int_equal(one.joins, 14);
    assert_int_equal(one.online_ms, 1100);
    assert_int_equal(one.online_peak, 7);
    assert_int_equal(one.messages[LIST_HIGH], 11);
    assert_int_equal(one.messages[LIST_NORMAL], 10);
}

static void one_of_all_nodes_stands_for_itself(void **state)
{
    struct sample_nodes n = {0};
    struct sample hour = sample_of(AT_MS, 9), late = sample_of(AT_MS, 2), part;

    add(&n, "", hour);
    assert_true(sample_nodes_add(&n, STR("a"), &late, &part));
    assert_int_equal(part.joins, 9);
    assert_true(sample_nodes_add(&n, STR(""), &hour, &part));
    assert_int_equal(part.joins, 2);
    assert_true(sample_nodes_end(&n, &part));
    assert_int_equal(part.joins, 9);
}

static void a_minute_comes_out_when_the_next_begins(void **state)
{
    struct sample_nodes n = {0};
    struct sample next = sample_of(AT_MS + SAMPLE_MS, 1), over;

    add(&n, "a", sample_of(AT_MS, 3));
    assert_true(sample_nodes_add(&n, STR("a"), &next, &over));
    assert_int_equal(over.at_ms, AT_MS);
    assert_int_equal(over.joins, 3);
    assert_true(sample_nodes_end(&n, &over));
    assert_int_equal(over.at_ms, AT_MS + SAMPLE_MS);
}

static void more_nodes_than_a_room_has_are_left_out(void **state)
{
    struct sample_nodes n = {0};
    struct sample one;
    char node[16];

    for (int i = 0; i < LIMIT_ROOM_NODES + 3; i++) {
        snprintf(node, sizeof(node), "n%d", i);
        add(&n, node, sample_of(AT_MS, 1));
    }
    assert_true(sample_nodes_end(&n, &one));
    assert_int_equal(one.joins, LIMIT_ROOM_NODES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joins_add_up_and_of_the_rest_the_largest_counts),
        cmocka_unit_test(parts_of_one_node_add_up_first),
        cmocka_unit_test(what_begins_where_another_node_has_ended_adds_up),
        cmocka_unit_test(one_of_all_nodes_stands_for_itself),
        cmocka_unit_test(a_minute_comes_out_when_the_next_begins),
        cmocka_unit_test(more_nodes_than_a_room_has_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
