/* store/transport.c and store/tls.c: both ends of a connection on one loop, plain and over TLS, and
 * peers that refuse, hang, close or cannot prove who they are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/alloc.h"
#include "patience.h"
#include "store/certs.h"
#include "store/tls.h"
#include "store/transport.h"

#define BIG ((size_t)8 * 1024 * 1024)

struct side {
    struct transport *t;
    struct buf got;
    size_t want; /* bytes to wait for */
    int opened, drained, closed;
    int closed_by_itself; /* inside an event, 1-based: which kind */
    bool is_echo;
    char why[320];
};

enum { IN_NOTHING, IN_OPEN, IN_BYTES, IN_DRAINED };

struct fixture {
    uv_loop_t loop;
    uv_tcp_t listener;
    uv_timer_t limit;
    bool is_late;
    uint16_t port;
    struct side client, server;
    unsigned client_ms, server_ms; /* their time limits */
    struct tls *server_tls, *client_tls;
};

static struct fixture f;
static struct certs certs;

/* --- the events ------------------------------------------------------------------------------ */

static void write_text(struct side *side, const char *text)
{
    struct buf bytes = {0};
    buf_add_str(&bytes, str_of(text));
    transport_write(side->t, &bytes);
    assert_null(bytes.ptr);
}

static bool close_in(struct side *side, int event)
{
    if (side->closed_by_itself != event) return false;
    transport_close(side->t);
    side->t = NULL;
    return true;
}

static void on_open(void *arg)
{
    struct side *side = arg;
    side->opened++;
    close_in(side, IN_OPEN);
}

static void on_bytes(void *arg, struct str bytes)
{
    struct side *side = arg;
    assert_true(side->opened == 1 && side->closed == 0 && side->t != NULL && bytes.len > 0);
    if (close_in(side, IN_BYTES)) return;
    buf_add_str(&side->got, bytes);
    if (!side->is_echo) return;
    struct buf back = {0};
    buf_add_str(&back, bytes);
    transport_write(side->t, &back);
}

static void on_drained(void *arg)
{
    struct side *side = arg;
    side->drained++;
    assert_int_equal(transport_queued_bytes(side->t), 0);
    close_in(side, IN_DRAINED);
}

static void on_closed(void *arg, const char *why)
{
    struct side *side = arg;
    assert_non_null(transport_peer(side->t));
    side->closed++;
    side->t = NULL;
    snprintf(side->why, sizeof(side->why), "%s", why);
}

static const struct transport_events EVENTS = {on_open, on_bytes, on_drained, on_closed};

static void on_connection(uv_stream_t *listener, int status)
{
    assert_int_equal(status, 0);
    struct transport_setup setup = {
        .tls = f.server_tls, .timeout_ms = f.server_ms, .events = &EVENTS, .arg = &f.server};
    f.server.t = transport_accept(listener, &setup);
    assert_non_null(f.server.t);
    assert_int_equal(f.server.opened, 0); /* not from inside the call */
}

/* --- the fixture ----------------------------------------------------------------------------- */

static void on_limit(uv_timer_t *timer)
{
    f.is_late = true;
}

static void listen_at(uint16_t port)
{
    struct sockaddr_in at;
    int len = sizeof(at);
    uv_ip4_addr("127.0.0.1", port, &at);
    assert_int_equal(uv_tcp_init(&f.loop, &f.listener), 0);
    assert_int_equal(uv_tcp_bind(&f.listener, (struct sockaddr *)&at, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&f.listener, 16, on_connection), 0);
    assert_int_equal(uv_tcp_getsockname(&f.listener, (struct sockaddr *)&at, &len), 0);
    f.port = ntohs(at.sin_port);
}

static int set_up(void **state)
{
    f = (struct fixture){.client_ms = PATIENCE_MS, .server_ms = PATIENCE_MS};
    assert_int_equal(uv_loop_init(&f.loop), 0);
    uv_timer_init(&f.loop, &f.limit);
    listen_at(0);
    return 0;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    if (!uv_is_closing(handle)) uv_close(handle, NULL);
}

static int tear_down(void **state)
{
    transport_close(f.client.t);
    transport_close(f.server.t);
    tls_free(f.client_tls); /* before the sessions */
    tls_free(f.server_tls);
    buf_deinit(&f.client.got);
    buf_deinit(&f.server.got);
    uv_walk(&f.loop, close_handle, NULL);
    uv_run(&f.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&f.loop);
}

static void connect_client(const char *host)
{
    struct transport_setup setup = {.host = host,
                                    .port = f.port,
                                    .tls = f.client_tls,
                                    .timeout_ms = f.client_ms,
                                    .events = &EVENTS,
                                    .arg = &f.client};
    f.client.t = transport_connect(&f.loop, &setup);
    assert_non_null(f.client.t);
    assert_int_equal(f.client.opened + f.client.closed, 0);
}

/* Runs the loop until it is so. */
#define RUN_UNTIL(cond)                                                                            \
    do {                                                                                           \
        f.is_late = false;                                                                         \
        uv_update_time(&f.loop);                                                                   \
        uv_timer_start(&f.limit, on_limit, PATIENCE_MS, 0);                                        \
        while (!(cond) && !f.is_late) uv_run(&f.loop, UV_RUN_ONCE);                                \
        uv_timer_stop(&f.limit);                                                                   \
        if (f.is_late) fail_msg("not within %d ms: %s", PATIENCE_MS, #cond);                       \
    } while (0)

/* So that what must not come has had its chance. */
static void run_for(unsigned ms)
{
    f.is_late = false;
    uv_update_time(&f.loop);
    uv_timer_start(&f.limit, on_limit, ms, 0);
    while (!f.is_late) uv_run(&f.loop, UV_RUN_ONCE);
}

static void use_tls(const struct tls_files *server, const struct tls_files *client)
{
    char why[256] = "";
    f.server_tls = tls_server_new(server, why, sizeof(why));
    assert_string_equal(why, "");
    f.client_tls = tls_client_new(client, why, sizeof(why));
    assert_string_equal(why, "");
}

static void use_good_tls(void)
{
    struct tls_files server = {.cert = certs.server, .key = certs.server_key};
    struct tls_files client = {.ca = certs.ca};
    use_tls(&server, &client);
}

static void expect_why(const struct side *side, const char *part)
{
    if (strstr(side->why, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", side->why, part);
}

/* --- either way ------------------------------------------------------------------------------ */

static void echo(void)
{
    f.server.is_echo = true;
    connect_client("127.0.0.1");
    RUN_UNTIL(f.client.opened);
    write_text(&f.client, "hello");
    RUN_UNTIL(f.client.got.len == 5);
    assert_memory_equal(f.client.got.ptr, "hello", 5);
    assert_int_equal(f.server.opened, 1);
}

/* More than the sockets take at once, both ways, in pieces: all of it comes, in order, and drained is
 * told. */
static void echo_much(void)
{
    echo();
    buf_clear(&f.client.got);
    struct buf expected = {0};
    for (uint32_t i = 0; expected.len < BIG; i++) buf_add(&expected, &i, sizeof(i));
    for (size_t at = 0; at < BIG; at += BIG / 4) {
        struct buf part = {0};
        buf_add(&part, expected.ptr + at, BIG / 4);
        transport_write(f.client.t, &part);
    }
    assert_true(transport_queued_bytes(f.client.t) > 0);
    RUN_UNTIL(f.client.got.len == BIG && f.client.drained > 0);
    assert_memory_equal(f.client.got.ptr, expected.ptr, BIG);
    assert_int_equal(transport_queued_bytes(f.client.t), 0);
    buf_deinit(&expected);
}

static void early_writes_go_out_first(void)
{
    f.server.is_echo = true;
    connect_client("127.0.0.1");
    write_text(&f.client, "one ");
    write_text(&f.client, "two ");
    assert_int_equal(transport_queued_bytes(f.client.t), 8);
    RUN_UNTIL(f.client.opened);
    write_text(&f.client, "three");
    RUN_UNTIL(f.client.got.len == 13);
    assert_memory_equal(f.client.got.ptr, "one two three", 13);
    assert_int_equal(f.client.drained, 1);
}

static void peer_closes(void)
{
    echo();
    transport_close(f.server.t);
    f.server.t = NULL;
    RUN_UNTIL(f.client.closed);
    expect_why(&f.client, "closed");
    assert_int_equal(f.client.closed, 1);
    assert_int_equal(f.server.closed, 0); /* it closed it itself */
}

static void close_inside(int event)
{
    f.server.is_echo = true;
    f.client.closed_by_itself = event;
    connect_client("127.0.0.1");
    write_text(&f.client, "hello");
    RUN_UNTIL(f.client.t == NULL && (f.server.closed || f.server.t == NULL));
    run_for(20);
    assert_int_equal(f.client.closed, 0);
    assert_int_equal(f.client.got.len, 0);
}

#define BOTH(name, body)                                                                           \
    static void name##_plain(void **state)                                                         \
    {                                                                                              \
        body;                                                                                      \
    }                                                                                              \
    static void name##_tls(void **state)                                                           \
    {                                                                                              \
        use_good_tls();                                                                            \
        body;                                                                                      \
    }

BOTH(bytes_go_there_and_back, echo())
BOTH(much_comes_in_order_and_drains, echo_much())
BOTH(what_is_written_before_it_is_open_goes_first, early_writes_go_out_first())
BOTH(a_peer_that_closes_is_told, peer_closes())
BOTH(it_may_be_closed_when_it_opens, close_inside(IN_OPEN))
BOTH(it_may_be_closed_when_bytes_come, close_inside(IN_BYTES))
BOTH(it_may_be_closed_when_it_is_drained, close_inside(IN_DRAINED))

/* --- connecting ------------------------------------------------------------------------------ */

/* A port at which nobody listens: taken, and given back. */
static void forget_listener(void)
{
    uv_close((uv_handle_t *)&f.listener, NULL);
    uv_run(&f.loop, UV_RUN_NOWAIT);
}

static void a_refused_connection_is_told_later(void **state)
{
    forget_listener();
    connect_client("127.0.0.1");
    RUN_UNTIL(f.client.closed);
    expect_why(&f.client, "refused");
    assert_int_equal(f.client.opened, 0);
}

static void a_name_is_looked_up(void **state)
{
    f.server.is_echo = true;
    connect_client("localhost"); /* perhaps ::1 comes first, where nobody listens */
    RUN_UNTIL(f.client.opened);
    char peer[32];
    snprintf(peer, sizeof(peer), "localhost:%u", f.port);
    assert_string_equal(transport_peer(f.client.t), peer);
}

static void a_name_that_is_none_is_told(void **state)
{
    connect_client("no such host");
    RUN_UNTIL(f.client.closed);
    expect_why(&f.client, "no such host");
}

static void a_lookup_may_be_closed(void **state)
{
    connect_client("localhost");
    transport_close(f.client.t);
    f.client.t = NULL;
    run_for(20);
    assert_int_equal(f.client.opened + f.client.closed, 0);
}

static void a_failure_may_be_closed_before_it_is_told(void **state)
{
    forget_listener();
    connect_client("127.0.0.1");
    write_text(&f.client, "lost");
    transport_close(f.client.t);
    f.client.t = NULL;
    run_for(20);
    assert_int_equal(f.client.closed, 0);
}

/* A listener whose queue is full lets the next one's SYN wait. */
static void connecting_has_a_time_limit(void **state)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), full[8];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 0), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    for (size_t i = 0; i < 8; i++) {
        full[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        (void)!connect(full[i], (struct sockaddr *)&at, len);
    }
    f.port = ntohs(at.sin_port);
    f.client_ms = 300;
    connect_client("127.0.0.1");
    RUN_UNTIL(f.client.closed);
    expect_why(&f.client, "300 ms");
    for (size_t i = 0; i < 8; i++) close(full[i]);
    close(fd);
}

/* --- TLS ------------------------------------------------------------------------------------- */

static void the_handshake_has_a_time_limit(void **state)
{
    use_good_tls();
    tls_free(f.server_tls);
    f.server_tls = NULL; /* a plain peer that listens and says nothing */
    f.client_ms = 1500;  /* so that it is connected before, on a slow machine, too */
    connect_client("127.0.0.1");
    RUN_UNTIL(f.client.closed);
    expect_why(&f.client, "handshake");
    assert_int_equal(f.client.opened, 0);
}

static void a_peer_that_begins_no_handshake_is_closed(void **state)
{
    use_good_tls();
    tls_free(f.client_tls);
    f.client_tls = NULL;
    f.server_ms = 300;
    connect_client("127.0.0.1");
    RUN_UNTIL(f.server.closed && f.client.closed);
    expect_why(&f.server, "handshake");
}

static void plain_text_to_a_tls_port_is_refused(void **state)
{
    use_good_tls();
    tls_free(f.client_tls);
    f.client_tls = NULL;
    connect_client("127.0.0.1");
    write_text(&f.client, "PING PING PING\r\n");
    RUN_UNTIL(f.server.closed && f.client.closed);
    expect_why(&f.server, "TLS");
}

static void refused_by_client(const struct tls_files *server, const struct tls_files *client,
                              const char *why)
{
    use_tls(server, client);
    connect_client("127.0.0.1");
    write_text(&f.client, "secret");
    RUN_UNTIL(f.client.closed && f.server.closed);
    expect_why(&f.client, why);
    assert_int_equal(f.client.opened, 0);
    assert_int_equal(f.server.got.len, 0);
}

static void a_certificate_of_an_unknown_ca_is_refused(void **state)
{
    struct tls_files server = {.cert = certs.server, .key = certs.server_key};
    struct tls_files client = {.ca = certs.stranger};
    refused_by_client(&server, &client, "the CA that signed it");
}

static void the_systems_cas_do_not_know_it(void **state)
{
    struct tls_files server = {.cert = certs.server, .key = certs.server_key};
    struct tls_files client = {0};
    refused_by_client(&server, &client, "the CA that signed it");
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    struct tls_files server = {.cert = certs.other_host, .key = certs.other_host_key};
    struct tls_files client = {.ca = certs.ca};
    refused_by_client(&server, &client, "another host");
}

static void the_name_is_checked_where_it_is_one(void **state)
{
    use_good_tls();
    f.server.is_echo = true;
    connect_client("localhost");
    RUN_UNTIL(f.client.opened);
}

static void a_server_with_a_ca_asks_for_a_certificate(void **state)
{
    struct tls_files server = {.ca = certs.ca, .cert = certs.server, .key = certs.server_key};
    struct tls_files client = {.ca = certs.ca, .cert = certs.client, .key = certs.client_key};
    use_tls(&server, &client);
    echo();
}

static void a_client_without_one_is_refused(void **state)
{
    struct tls_files server = {.ca = certs.ca, .cert = certs.server, .key = certs.server_key};
    struct tls_files client = {.ca = certs.ca};
    use_tls(&server, &client);
    connect_client("127.0.0.1");
    RUN_UNTIL(f.client.closed && f.server.closed);
    assert_int_equal(f.server.opened, 0);
    expect_why(&f.client, "asks for a certificate");
    expect_why(&f.server, "peer did not return a certificate");
}

static void expect_refused_files(bool is_server, struct tls_files files, const char *part)
{
    char why[512] = "";
    struct tls *tls = is_server ? tls_server_new(&files, why, sizeof(why))
                                : tls_client_new(&files, why, sizeof(why));
    assert_null(tls);
    if (strstr(why, part) == NULL) fail_msg("\"%s\" does not say \"%s\"", why, part);
}

static void files_that_cannot_be_used_are_named(void **state)
{
    expect_refused_files(false, (struct tls_files){.ca = "/no/ca.pem"}, "/no/ca.pem");
    expect_refused_files(true, (struct tls_files){.cert = "/no/cert.pem"}, "/no/cert.pem");
    expect_refused_files(true, (struct tls_files){.cert = certs.server}, "with the key of");
    expect_refused_files(true, (struct tls_files){.cert = certs.server, .key = certs.client_key},
                         "mismatch");
    expect_refused_files(true, (struct tls_files){0}, "needs a certificate");
}

/* --- all of it ------------------------------------------------------------------------------- */

static int make_certs(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    certs_make(&certs);
    return 0;
}

static int remove_certs(void **state)
{
    certs_remove(&certs);
    return 0;
}

#define TEST(name)      cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define TEST_BOTH(name) TEST(name##_plain), TEST(name##_tls)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BOTH(bytes_go_there_and_back),
        TEST_BOTH(much_comes_in_order_and_drains),
        TEST_BOTH(what_is_written_before_it_is_open_goes_first),
        TEST_BOTH(a_peer_that_closes_is_told),
        TEST_BOTH(it_may_be_closed_when_it_opens),
        TEST_BOTH(it_may_be_closed_when_bytes_come),
        TEST_BOTH(it_may_be_closed_when_it_is_drained),
        TEST(a_refused_connection_is_told_later),
        TEST(a_name_is_looked_up),
        TEST(a_name_that_is_none_is_told),
        TEST(a_lookup_may_be_closed),
        TEST(a_failure_may_be_closed_before_it_is_told),
        TEST(connecting_has_a_time_limit),
        TEST(the_handshake_has_a_time_limit),
        TEST(a_peer_that_begins_no_handshake_is_closed),
        TEST(plain_text_to_a_tls_port_is_refused),
        TEST(a_certificate_of_an_unknown_ca_is_refused),
        TEST(the_systems_cas_do_not_know_it),
        TEST(a_certificate_for_another_host_is_refused),
        TEST(the_name_is_checked_where_it_is_one),
        TEST(a_server_with_a_ca_asks_for_a_certificate),
        TEST(a_client_without_one_is_refused),
        TEST(files_that_cannot_be_used_are_named),
    };
    return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
