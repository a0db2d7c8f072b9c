/* kill -9 in the midst of appends, at random moments: what was acknowledged is there, no id was
 * given twice, and every chain is whole.
 *
 * The program runs itself as the victim: it appends as fast as it can and writes each
 * acknowledgement to its output, from inside the callback. The test reads some of them, kills it,
 * and looks at what is in the file. */
#include "store/harness.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "store/open.h"

#define ROUNDS  10
#define ROOMS   3
#define SENDERS 32

static const char *const ROOM_KEYS[ROOMS] = {"app/a", "app/b", "app/c"};

struct ack {
    uint64_t id, prev, ordinal;
    uint32_t room, list;
    uint64_t number; /* of the message, which is its body */
};

/* --- the victim ------------------------------------------------------------------------------ */

struct victim {
    struct store *store;
    struct wake wake;
    struct rng rng;
    uint64_t next_number;
};

struct sender {
    struct victim *victim;
    struct ack ack;
};

static void send_one(struct sender *sender);

static int64_t clock_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void on_acked(void *arg, int err, const struct store_appended *appended)
{
    struct sender *sender = arg;

    if (err != 0) _exit(3);
    sender->ack.id = appended->id;
    sender->ack.prev = appended->prev;
    sender->ack.ordinal = appended->ordinal;
    const struct ack ack = sender->ack;
    if (write(STDOUT_FILENO, &ack, sizeof(ack)) != sizeof(ack)) _exit(4);
    send_one(sender);
}

static void send_one(struct sender *sender)
{
    struct victim *v = sender->victim;
    char body[32], key[48];

    sender->ack.room = (uint32_t)rng_below(&v->rng, ROOMS);
    sender->ack.list = (uint32_t)rng_below(&v->rng, LIST_KINDS);
    sender->ack.number = v->next_number++;
    snprintf(body, sizeof(body), "%llu", (unsigned long long)sender->ack.number);
    snprintf(key, sizeof(key), "key-%s", body);
    struct store_append append = {
        .room = str_of(ROOM_KEYS[sender->ack.room]),
        .message = {.list = (enum list_kind)sender->ack.list,
                    .type = STR("text"),
                    .body = str_of(body)},
        .key = str_of(key),
        .now_ms = clock_ms(),
    };
    if (store_append(v->store, &append, on_acked, sender) != 0) _exit(5);
}

static void wake_victim(void *arg)
{
    wake_signal(arg);
}

static void on_put(void *arg, int err, const struct room_record *record, bool created)
{
    (void)arg, (void)record, (void)created;
    if (err != 0) _exit(6);
}

static int be_victim(const char *url, const char *first_number)
{
    struct victim v = {0};
    struct sender senders[SENDERS];
    struct store_config config = {.env = {.wake = wake_victim, .wake_arg = &v.wake}};
    char why[256];

    wake_init(&v.wake);
    if (!str_parse_u64(str_of(first_number), &v.next_number)) return 2;
    rng_init(&v.rng, v.next_number);
    if (store_open(url, &config, &v.store, why, sizeof(why)) != 0) return 2;
    for (int i = 0; i < ROOMS; i++) {
        struct store_room_put put = {.room = str_of(ROOM_KEYS[i]), .now_ms = clock_ms()};
        store_room_put(v.store, &put, on_put, NULL);
    }
    for (int i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.victim = &v};
        send_one(&senders[i]);
    }
    for (;;) {
        struct pollfd pfd = {.fd = v.wake.fd, .events = POLLIN};
        poll(&pfd, 1, -1);
        wake_clear(&v.wake);
        store_dispatch(v.store, clock_ms());
    }
}

/* --- the test -------------------------------------------------------------------------------- */

struct acks {
    struct ack *list;
    size_t count, cap;
};

static pid_t start_victim(struct harness *h, uint64_t first_number, int *ret_fd)
{
    char number[32];
    char *argv[] = {(char[]){"victim"}, (char[]){"--victim"}, h->url, number, NULL};
    posix_spawn_file_actions_t actions;
    int fds[2];
    pid_t pid;

    snprintf(number, sizeof(number), "%llu", (unsigned long long)first_number);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDOUT_FILENO);
    assert_int_equal(posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    *ret_fd = fds[0];
    return pid;
}

/* False at the end of what it has written; a record that was cut off by the kill is not one. */
static bool read_ack(int fd, struct acks *acks)
{
    struct pollfd pfd = {.fd = fd, .events = POLLIN};
    struct ack ack;

    if (poll(&pfd, 1, PATIENCE_MS) == 0) fail_msg("the victim does nothing");
    if (read(fd, &ack, sizeof(ack)) != sizeof(ack)) return false;
    if (acks->count == acks->cap) {
        acks->cap = acks->cap == 0 ? 1024 : acks->cap * 2;
        acks->list = xrealloc(acks->list, acks->cap * sizeof(*acks->list));
    }
    acks->list[acks->count++] = ack;
    return true;
}

static void kill_after(struct harness *h, struct acks *acks, size_t ack_count,
                       uint64_t first_number)
{
    int fd, status;
    pid_t pid = start_victim(h, first_number, &fd);

    for (size_t i = 0; i < ack_count; i++) assert_true(read_ack(fd, acks));
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (read_ack(fd, acks)) {
    }
    close(fd);
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t left = ((const struct ack *)a)->id, right = ((const struct ack *)b)->id;

    return left < right ? -1 : left > right;
}

static const struct harness_message *find(const struct harness_range *range, uint64_t id)
{
    size_t low = 0, high = range->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (range->messages[middle].m.id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < range->count && range->messages[low].m.id == id ? &range->messages[low] : NULL;
}

static void check_list(struct harness *h, const struct acks *acks, uint32_t room, uint32_t list)
{
    struct harness_range range = {0};
    uint64_t last_acked = 0;

    range = harness_read_all(h, ROOM_KEYS[room], (enum list_kind)list);
    harness_check_chain(&range);
    for (size_t i = 0; i < acks->count; i++) {
        const struct ack *ack = &acks->list[i];
        if (ack->room != room || ack->list != list) continue;
        assert_true(ack->id > last_acked); /* sorted: equal would be given twice */
        last_acked = ack->id;
        const struct harness_message *stored = find(&range, ack->id);
        uint64_t number = 0;
        assert_non_null(stored);
        assert_true(str_parse_u64(str_of(stored->body), &number));
        assert_int_equal(number, ack->number);
        assert_int_equal(stored->m.prev, ack->prev);
        assert_int_equal(stored->m.ordinal, ack->ordinal);
    }
    harness_range_free(&range);
}

static void what_was_acknowledged_survives_a_kill(void **state)
{
    struct harness *h = *state;
    struct acks acks = {0};
    struct rng rng;

    rng_init(&rng, 20);
    store_close(h->store); /* the file is the victim's */
    h->store = NULL;
    for (uint64_t round = 0; round < ROUNDS; round++) {
        kill_after(h, &acks, 1 + rng_below(&rng, 3000), round * 1000000);
        qsort(acks.list, acks.count, sizeof(*acks.list), compare_ids);
        harness_reopen(h);
        for (uint32_t i = 0; i < ROOMS * LIST_KINDS; i++)
            check_list(h, &acks, i / LIST_KINDS, i % LIST_KINDS);
        store_close(h->store);
        h->store = NULL;
    }
    assert_true(acks.count > ROUNDS);
    free(acks.list);
}

int main(int argc, char **argv)
{
    struct store_fixture plain = {
        .name = "sqlite, killed", .scheme = "sqlite:", .is_durable = true};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate_setup_teardown(what_was_acknowledged_survives_a_kill,
                                                 harness_setup, harness_teardown, &plain),
    };

    if (argc == 4 && strcmp(argv[1], "--victim") == 0) return be_victim(argv[2], argv[3]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
