#include "store/sqlite_lane.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include "base/assert.h"

int lane_open(struct lane *lane, const struct lane_limits *limits, const struct store_env *env)
{
    *lane = (struct lane){.limits = *limits, .env = *env};
    int err = wake_init(&lane->wake);
    if (err != 0) return err;

    atomic_init(&lane->is_closing, false);
    atomic_init(&lane->quorum, 1);
    lane->todo = queue_new(sizeof(struct job *), limits->max_jobs);
    lane->done = queue_new(sizeof(struct job *), limits->max_jobs);
    return 0;
}

/* Signals are for the thread that waits for them, never for ours. */
int lane_start(struct lane *lane, const char *name, void *(*main_fn)(void *), void *arg)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int err = pthread_create(&lane->thread, NULL, main_fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err != 0) return -err;
    lane->is_started = true;
    pthread_setname_np(lane->thread, name);
    return 0;
}

static void free_jobs(struct queue *q)
{
    struct job *job;

    while (queue_pop(q, &job)) job_free(job);
}

void lane_close(struct lane *lane)
{
    if (lane->todo == NULL) return;
    if (lane->is_started) {
        atomic_store(&lane->is_closing, true);
        wake_signal(&lane->wake);
        pthread_join(lane->thread, NULL);
    }
    free_jobs(lane->todo);
    free_jobs(lane->done);
    queue_free(lane->todo);
    queue_free(lane->done);
    wake_deinit(&lane->wake);
    lane->todo = lane->done = NULL;
}

void lane_wake(struct lane *lane)
{
    wake_signal(&lane->wake);
}

bool lane_submit(struct lane *lane, struct job *job)
{
    size_t size_bytes = job->size_bytes;

    if (lane->jobs >= lane->limits.max_jobs) return false;
    if (lane->jobs > 0 && lane->bytes + size_bytes > lane->limits.max_bytes) return false;
    lane->jobs++;
    lane->bytes += size_bytes;
    ASSERT(queue_push(lane->todo, &job));
    lane->is_wake_due = true;
    if (!lane->is_held) lane_release(lane);
    return true;
}

struct job *lane_collect(struct lane *lane)
{
    struct job *job;

    if (!queue_pop(lane->done, &job)) return NULL;
    lane->jobs--;
    lane->bytes -= job->size_bytes;
    return job;
}

void lane_hold(struct lane *lane)
{
    lane->is_held = true;
}

void lane_release(struct lane *lane)
{
    lane->is_held = false;
    if (!lane->is_wake_due) return;
    lane->is_wake_due = false;
    /* A read that is a write too, as is lane_gather()'s: one of the two comes first, and the other
     * sees what was done before it. So either this sees the quorum, or the thread sees the job. */
    size_t quorum = atomic_fetch_add(&lane->quorum, 0);
    if (quorum <= 1 || lane_waiting(lane) >= quorum) wake_signal(&lane->wake);
}

size_t lane_take(struct lane *lane, struct list *ret_jobs, size_t max)
{
    struct job *job;
    size_t count = 0;

    while (count < max && queue_pop(lane->todo, &job)) {
        list_push(ret_jobs, &job->node);
        count++;
    }
    return count;
}

/* What was submitted after the last look has signalled: then poll returns at once, or the flag was
 * still up from before, and the look that follows this sees the job (base/wake.c). */
void lane_sleep(struct lane *lane)
{
    struct pollfd pfd = {.fd = lane->wake.fd, .events = POLLIN};

    while (poll(&pfd, 1, -1) < 0) ASSERT(errno == EINTR);
    wake_clear(&lane->wake);
}

size_t lane_waiting(const struct lane *lane)
{
    return queue_count(lane->todo);
}

void lane_gather(struct lane *lane, size_t quorum, uint64_t most_us)
{
    struct pollfd pfd = {.fd = lane->wake.fd, .events = POLLIN};
    struct timespec most = {.tv_sec = (time_t)(most_us / 1000000),
                            .tv_nsec = (long)(most_us % 1000000) * 1000};

    atomic_exchange(&lane->quorum, quorum);
    if (lane_waiting(lane) < quorum && ppoll(&pfd, 1, &most, NULL) > 0) wake_clear(&lane->wake);
    atomic_exchange(&lane->quorum, 1);
}

bool lane_is_closing(struct lane *lane)
{
    return atomic_load(&lane->is_closing);
}

void lane_done(struct lane *lane, struct job *job)
{
    ASSERT(queue_push(lane->done, &job));
}

void lane_wake_hub(struct lane *lane)
{
    if (lane->env.wake != NULL) lane->env.wake(lane->env.wake_arg);
}
