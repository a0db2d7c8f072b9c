/* The hub's loop: takes the workers' calls, gives the hub its turn, sends what comes of it, sleeps. It
 * ends by itself when a drain is over.
 *
 * Handles are the node's (net/node.h). The hub's thread. */
#ifndef STOA_NET_HUB_LOOP_H
#define STOA_NET_HUB_LOOP_H

struct node;

/* 0, or an error of libuv: then there is no loop. */
int hub_loop_init(struct node *node);
/* Until uv_stop(), or the end of a drain. The node has its hub, its store and its workers. */
void hub_loop_run(struct node *node);
/* Closes all handles that are in the loop, of whomever. */
void hub_loop_deinit(struct node *node);
/* arg: the node. Any thread. */
void hub_loop_wake(void *arg);

#endif
