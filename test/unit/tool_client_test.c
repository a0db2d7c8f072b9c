/* tool/client.c against a listener of this test, whose peer says what the case needs, when it needs
 * it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "patience.h"
#include "tool/client.h"

struct fixture {
    struct client *client;
    struct client_conn conn;
    struct urls urls;
    int listener, peer; /* peer: the accepted end, -1: none */
    struct buf body;
    int answers, status, lost, alarms;
    int64_t body_arrived_us; /* as the connection told it with the last piece */
    const char *reason;
};

static struct fixture f;

static void on_body(struct client_conn *conn, struct str bytes)
{
    buf_add_str(&f.body, bytes);
    f.body_arrived_us = conn->arrived_us;
}

static void on_answer(struct client_conn *conn, int status)
{
    f.answers++;
    f.status = status;
    client_stop(f.client);
}

static void on_lost(struct client_conn *conn, const char *reason)
{
    f.lost++;
    f.reason = reason;
    client_stop(f.client);
}

static const struct client_events events = {NULL, on_body, on_answer, on_lost};

static int set_up(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    struct buf url = {0}, why = {0};
    f = (struct fixture){.peer = -1, .client = client_new(0, 2)};
    f.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(f.listener, (struct sockaddr *)&at, len) != 0 || listen(f.listener, 8) != 0) return -1;
    getsockname(f.listener, (struct sockaddr *)&at, &len);
    buf_printf(&url, "http://127.0.0.1:%u", ntohs(at.sin_port));
    int err = urls_parse(buf_str(&url), &f.urls, &why);
    client_conn_init(&f.conn, f.client, &events, 1);
    buf_deinit(&url);
    buf_deinit(&why);
    return err;
}

static int tear_down(void **state)
{
    client_conn_close(&f.conn);
    client_free(f.client);
    if (f.peer >= 0) close(f.peer);
    if (f.listener >= 0) close(f.listener);
    buf_deinit(&f.body);
    return 0;
}

static void request(const char *text)
{
    assert_int_equal(client_conn_request(&f.conn, &f.urls.url[0], str_of(text)), 0);
}

static void run(void)
{
    client_run(f.client, client_now_ms(f.client) + PATIENCE_MS);
}

/* Lets the client connect and write, then takes what it wrote. */
static void peer_accepts(const char *expected)
{
    char text[256] = "";
    client_run(f.client, 0); /* connected: the request goes out */
    client_run(f.client, 0);
    f.peer = accept(f.listener, NULL, NULL);
    assert_true(f.peer >= 0);
    assert_int_equal(recv(f.peer, text, sizeof(text) - 1, 0), (ssize_t)strlen(expected));
    assert_string_equal(text, expected);
}

static void peer_says(const char *text)
{
    assert_int_equal(send(f.peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

static void expect_answer(int status, const char *body)
{
    int before = f.answers;
    run();
    assert_int_equal(f.answers, before + 1);
    assert_int_equal(f.status, status);
    assert_true(str_eq(buf_str(&f.body), str_of(body)));
    buf_clear(&f.body);
}

#define OK_5 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void connection_is_kept_for_the_next_request(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says(OK_5);
    expect_answer(200, "hello");
    request("two");
    peer_says("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
    expect_answer(404, "no");
    assert_int_equal(f.conn.state, CLIENT_CLOSED);
    assert_int_equal(f.lost, 0);
}

static void answer_may_come_in_pieces(void **state)
{
    request("one");
    peer_accepts("one");
    for (size_t i = 0; i < sizeof(OK_5) - 2; i++) {
        peer_says((char[]){OK_5[i], '\0'});
        client_run(f.client, 0);
        assert_int_equal(f.answers, 0);
    }
    peer_says("o");
    expect_answer(200, "hello");
}

static void connection_closed_within_an_answer_is_lost(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
    close(f.peer);
    f.peer = -1;
    run();
    assert_int_equal(f.lost, 1);
    assert_int_equal(f.answers, 0);
    assert_int_equal(f.conn.state, CLIENT_CLOSED);
}

static void answer_and_close_at_once_is_an_answer(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says(OK_5);
    close(f.peer);
    f.peer = -1;
    expect_answer(200, "hello");
    client_run(f.client, 0);
    assert_int_equal(f.lost, 0);
    assert_int_equal(f.conn.state, CLIENT_CLOSED);
}

static void idle_connection_that_closes_is_no_loss(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says(OK_5);
    expect_answer(200, "hello");
    close(f.peer);
    client_run(f.client, client_now_ms(f.client) + 20);
    assert_int_equal(f.conn.state, CLIENT_CLOSED);
    assert_int_equal(f.lost, 0);
    request("two"); /* opens a new one */
    peer_accepts("two");
    peer_says(OK_5);
    expect_answer(200, "hello");
}

static void refused_connection_is_lost(void **state)
{
    close(f.listener);
    f.listener = -1;
    request("one");
    run();
    assert_int_equal(f.lost, 1);
    assert_string_equal(f.reason, "refused");
}

static void nonsense_is_lost(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says("SMTP ready\r\n");
    run();
    assert_int_equal(f.lost, 1);
    assert_string_equal(f.reason, "not HTTP");
}

static void two_answers_to_one_request_are_nonsense(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says(OK_5 OK_5);
    run();
    assert_int_equal(f.lost, 1);
    assert_int_equal(f.answers, 0);
}

static void connections_come_from_their_own_address(void **state)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    request("one");
    peer_accepts("one");
    assert_int_equal(getpeername(f.peer, (struct sockaddr *)&from, &len), 0);
    assert_int_equal(ntohl(from.sin_addr.s_addr), INADDR_LOOPBACK + 2); /* 127.0.0.3: source 1 */
}

struct counting {
    struct client_timer timer;
    int fired;
};

static void count(struct client_timer *timer)
{
    CONTAINER_OF(timer, struct counting, timer)->fired++;
    client_stop(f.client);
}

static void timers_fire_when_due_and_not_when_cancelled(void **state)
{
    struct counting due = {0}, cancelled = {0};
    client_timer_init(&due.timer, count);
    client_timer_init(&cancelled.timer, count);
    client_timer_arm(f.client, &due.timer, 20);
    client_timer_arm(f.client, &cancelled.timer, 10);
    client_timer_cancel(f.client, &cancelled.timer);
    int64_t start_ms = client_now_ms(f.client);
    run();
    assert_int_equal(due.fired, 1);
    assert_int_equal(cancelled.fired, 0);
    assert_true(client_now_ms(f.client) >= start_ms + 20);
}

static void on_alarm(void *arg)
{
    assert_ptr_equal(arg, &f);
    f.alarms++;
    client_stop(f.client);
}

static void alarm_rings_once_and_not_before_it_is_due(void **state)
{
    int64_t due_us = client_now_us() + 5300;
    client_set_alarm(f.client, due_us - 2000, on_alarm, &f);
    client_set_alarm(f.client, due_us, on_alarm, &f);
    run();
    assert_true(client_now_us() >= due_us);
    assert_int_equal(f.alarms, 1);
    client_run(f.client, client_now_ms(f.client) + 5);
    assert_int_equal(f.alarms, 1);
}

static void alarm_that_was_cleared_does_not_ring(void **state)
{
    client_set_alarm(f.client, client_now_us(), on_alarm, &f);
    client_clear_alarm(f.client);
    client_run(f.client, client_now_ms(f.client) + 5);
    assert_int_equal(f.alarms, 0);
}

static void arrival_is_not_told_unless_asked_for(void **state)
{
    request("one");
    peer_accepts("one");
    peer_says(OK_5);
    expect_answer(200, "hello");
    assert_int_equal(f.body_arrived_us, 0);
}

/* The bytes lie in the socket for 5 ms before they are read. Returns whether the stamp is of when
 * they came. */
static bool stamp_is_of_the_arrival(void)
{
    int64_t before_us = client_now_us();
    peer_says(OK_5);
    int64_t after_us = client_now_us();
    usleep(5000);
    expect_answer(200, "hello");
    return f.body_arrived_us >= before_us - 1000 && f.body_arrived_us <= after_us + 1000;
}

/* The kernel begins to stamp a moment after the first socket has asked for it. */
static void arrival_is_when_the_bytes_came(void **state)
{
    client_stamp_arrivals(f.client);
    request("one");
    peer_accepts("one");
    bool is_stamped = stamp_is_of_the_arrival();
    for (int tries = 0; tries < 200 && !is_stamped; tries++) {
        request("next");
        is_stamped = stamp_is_of_the_arrival();
    }
    assert_true(is_stamped);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connection_is_kept_for_the_next_request),
        TEST(answer_may_come_in_pieces),
        TEST(connection_closed_within_an_answer_is_lost),
        TEST(answer_and_close_at_once_is_an_answer),
        TEST(idle_connection_that_closes_is_no_loss),
        TEST(refused_connection_is_lost),
        TEST(nonsense_is_lost),
        TEST(two_answers_to_one_request_are_nonsense),
        TEST(connections_come_from_their_own_address),
        TEST(timers_fire_when_due_and_not_when_cancelled),
        TEST(alarm_rings_once_and_not_before_it_is_due),
        TEST(alarm_that_was_cleared_does_not_ring),
        TEST(arrival_is_not_told_unless_asked_for),
        TEST(arrival_is_when_the_bytes_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
