/* base/queue.c and base/wake.c between two threads. What is asserted here is order and
 * completeness; that no byte is touched by both sides at once is what ThreadSanitizer sees in `make
 * check`. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/queue.h"
#include "base/wake.h"

#define ITEMS    50000
#define WAIT_MS  10000
#define CAPACITY 16

struct item {
    uint64_t number;
    uint64_t complement;
    char filler[5];
};

static struct item make_item(uint64_t number)
{
    return (struct item){number, ~number, {(char)number}};
}

static void assert_item(const struct item *item, uint64_t number)
{
    assert_true(item->number == number);
    assert_true(item->complement == ~number);
    assert_int_equal(item->filler[0], (char)number);
}

static void queue_refuses_when_full_and_when_empty(void **state)
{
    struct queue *q = queue_new(sizeof(struct item), 5); /* rounded up to 8 */
    struct item item;
    assert_false(queue_pop(q, &item));
    for (uint64_t round = 0; round < 50; round++) {
        for (uint64_t i = 0; i < 8; i++) {
            assert_int_equal(queue_space(q), 8 - i);
            item = make_item(round + i);
            assert_true(queue_push(q, &item));
        }
        assert_false(queue_push(q, &item));
        assert_int_equal(queue_space(q), 0);
        for (uint64_t i = 0; i < 8; i++) {
            assert_true(queue_pop(q, &item));
            assert_item(&item, round + i);
        }
        assert_false(queue_pop(q, &item));
    }
    queue_free(q);
    queue_free(NULL);
}

static void queue_of_one(void **state)
{
    struct queue *q = queue_new(1, 1);
    char in = 'x', out = 0;
    assert_true(queue_push(q, &in));
    assert_false(queue_push(q, &in));
    assert_true(queue_pop(q, &out));
    assert_int_equal(out, 'x');
    assert_false(queue_pop(q, &out));
    queue_free(q);
}

struct crossing {
    struct queue *queue;
    struct wake wake;
};

static void *push_all(void *arg)
{
    struct crossing *c = arg;
    for (uint64_t i = 0; i < ITEMS; i++) {
        struct item item = make_item(i);
        while (!queue_push(c->queue, &item)) sched_yield();
    }
    return NULL;
}

static void queue_keeps_order_between_threads(void **state)
{
    struct crossing c = {.queue = queue_new(sizeof(struct item), CAPACITY)};
    pthread_t producer;
    assert_int_equal(pthread_create(&producer, NULL, push_all, &c), 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        struct item item;
        while (!queue_pop(c.queue, &item)) sched_yield();
        assert_item(&item, i);
    }
    pthread_join(producer, NULL);
    queue_free(c.queue);
}

/* Room that the producer is told of is there, whatever the consumer does meanwhile. */
static void *push_into_space(void *arg)
{
    struct crossing *c = arg;
    for (uint64_t i = 0; i < ITEMS;) {
        size_t space = queue_space(c->queue);
        if (space == 0) sched_yield();
        for (; space > 0 && i < ITEMS; space--, i++) {
            struct item item = make_item(i);
            if (!queue_push(c->queue, &item)) return c;
        }
        wake_signal(&c->wake);
    }
    return NULL;
}

static bool wait_readable(int fd, int timeout_ms)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    return poll(&poll_fd, 1, timeout_ms) == 1;
}

/* A wake that got lost would leave the consumer waiting with items in the queue. */
static void wake_is_never_lost(void **state)
{
    struct crossing c = {.queue = queue_new(sizeof(struct item), CAPACITY)};
    pthread_t producer;
    void *failed;
    assert_int_equal(wake_init(&c.wake), 0);
    assert_int_equal(pthread_create(&producer, NULL, push_into_space, &c), 0);
    for (uint64_t i = 0; i < ITEMS;) {
        struct item item;
        assert_true(wait_readable(c.wake.fd, WAIT_MS));
        wake_clear(&c.wake);
        while (queue_pop(c.queue, &item)) assert_item(&item, i++);
    }
    pthread_join(producer, &failed);
    assert_null(failed);
    wake_deinit(&c.wake);
    queue_free(c.queue);
}

struct storm {
    struct wake wake;
    atomic_bool stop;
};

static void *signal_without_end(void *arg)
{
    struct storm *storm = arg;
    while (!atomic_load(&storm->stop)) wake_signal(&storm->wake);
    return NULL;
}

/* Here a signal falls into every instant of wake_clear, and none may leave the flag up with nothing
 * to read: from then on no signal would come through. */
static void wake_clear_may_be_met_by_a_signal(void **state)
{
    struct storm storm = {.stop = false};
    pthread_t signaller;
    assert_int_equal(wake_init(&storm.wake), 0);
    assert_int_equal(pthread_create(&signaller, NULL, signal_without_end, &storm), 0);
    for (int i = 0; i < 2000; i++) {
        assert_true(wait_readable(storm.wake.fd, WAIT_MS));
        wake_clear(&storm.wake);
    }
    atomic_store(&storm.stop, true);
    pthread_join(signaller, NULL);
    wake_deinit(&storm.wake);
}

static void wake_coalesces(void **state)
{
    struct wake w;
    assert_int_equal(wake_init(&w), 0);
    assert_false(wait_readable(w.fd, 0));
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) wake_signal(&w);
        assert_true(wait_readable(w.fd, 0));
        wake_clear(&w);
        assert_false(wait_readable(w.fd, 0));
    }
    wake_clear(&w); /* of nothing */
    wake_deinit(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue_refuses_when_full_and_when_empty),
        cmocka_unit_test(queue_of_one),
        cmocka_unit_test(queue_keeps_order_between_threads),
        cmocka_unit_test(wake_is_never_lost),
        cmocka_unit_test(wake_clear_may_be_met_by_a_signal),
        cmocka_unit_test(wake_coalesces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
