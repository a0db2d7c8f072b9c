/* Bounded queue between two threads: one producer, one consumer, no lock.
 *
 * A ring of fixed-size items with two counters, each written by one side only (acquire and
 * release). These queues are the only crossings between threads (docs/threads.md). A full queue
 * refuses; the producer decides what that means. Waking the consumer is not the queue's job:
 * base/wake.h. */
#ifndef STOA_BASE_QUEUE_H
#define STOA_BASE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

struct queue;

/* capacity is rounded up to a power of two. */
struct queue *queue_new(size_t item_bytes, size_t capacity);
void queue_free(struct queue *q);
/* Producer: copies one item in; false when full. */
bool queue_push(struct queue *q, const void *item);
/* Producer: room that is surely there. */
size_t queue_space(const struct queue *q);
/* Either side: items in it. The consumer sees at least, the producer at most, as many as there are. */
size_t queue_count(const struct queue *q);
/* Consumer: copies the oldest item out; false when empty. */
bool queue_pop(struct queue *q, void *ret_item);

#endif
