/* Requests of an edge: to the copy of the room where that has the answer, else to the store. */
#include "base/alloc.h"
#include "base/assert.h"
#include "base/error.h"
#include "net/link_internal.h"

/* Jobs ------------------------------------------------------------------------------------- */

static struct link_job *job_new(struct link_conn *conn, uint64_t id,
                                const struct link_request *request)
{
    struct link_job *job = xcalloc(1, sizeof *job);
    job->server = conn->server;
    job->conn = conn;
    job->id = id;
    job->verb = request->verb;
    bool fits = str_copy(request->room, job->room, sizeof job->room);
    ASSERT(fits);
    list_push(&conn->jobs, &job->node);
    conn->job_count++;
    counter_add(&conn->server->metrics.link_requests_under_way, 1);
    return job;
}

static void job_free(struct link_job *job)
{
    list_remove(&job->node);
    gauge_add(&job->server->metrics.link_requests_under_way, -1);
    if (job->conn != NULL) job->conn->job_count--;
    free(job);
}

static void start_waiting(struct link_conn *conn);

/* It has few enough bytes that it has not taken yet. */
static bool takes_more(const struct link_conn *conn)
{
    return link_conn_queued(conn) < LIMIT_LINK_ANSWERS;
}

/* Ranges are not there: they do not begin before the edge takes more. */
static bool is_page(enum link_verb verb)
{
    return verb == LINK_ROOM_LIST || verb == LINK_SAMPLE_RANGE || verb == LINK_PRESENCE_PAGE ||
           verb == LINK_ROUTES_GET;
}

static void write_answer(struct link_job *job, struct link_answer *answer)
{
    struct link_conn *conn = job->conn;
    if (answer->err == OK && is_page(job->verb) && !takes_more(conn)) {
        counter_add(&conn->server->metrics.link_requests_refused_total, 1);
        answer->err = ERR_OVERLOADED;
    }
    link_answer_write(&conn->out, job->id, answer);
}

/* The answer goes out with the next flush, if there still is somebody to get it. */
static void finish(struct link_job *job, struct link_answer *answer, int err)
{
    struct link_conn *conn = job->conn;
    bool was_read = job->is_read_running;
    answer->verb = job->verb;
    answer->err = err;
    if (conn != NULL) write_answer(job, answer);
    job_free(job);
    if (conn == NULL || !was_read) return;
    conn->reads_running--;
    start_waiting(conn);
}

static void finish_with(struct link_job *job, int err)
{
    struct link_answer answer = {0};
    finish(job, &answer, err);
}

static void refuse(struct link_conn *conn, uint64_t id, enum link_verb verb, int err)
{
    const struct link_answer answer = {.verb = verb, .err = err};
    link_answer_write(&conn->out, id, &answer);
}

void link_serve_forget(struct link_conn *conn)
{
    struct link_server *s = conn->server;
    for (struct list *node; (node = list_take(&conn->waiting)) != NULL;) {
        job_free(CONTAINER_OF(node, struct link_job, node));
        gauge_add(&s->metrics.link_reads_waiting, -1);
    }
    LIST_FOREACH (node, &conn->jobs) CONTAINER_OF(node, struct link_job, node)->conn = NULL;
    list_move_all(&s->orphans, &conn->jobs);
    conn->job_count = conn->reads_running = 0;
}

/* What the store says -------------------------------------------------------------------------- */

static void on_appended(void *arg, int err, const struct store_appended *appended)
{
    struct link_job *job = arg;
    struct link_answer answer = {.appended = *appended};
    if (err == OK) hub_appended(job->server->setup.hub, str_of(job->room), job->list, appended->id);
    finish(job, &answer, err);
}

static void on_range(void *arg, int err, const struct store_range *range)
{
    struct link_answer answer = {0};
    if (err == OK) answer.range = *range;
    finish(arg, &answer, err);
}

static void on_room(void *arg, int err, const struct room_record *record, bool created)
{
    struct link_job *job = arg;
    struct link_server *s = job->server;
    struct link_answer answer = {0};
    if (err == OK) answer.room = (struct link_room_answer){*record, created};
    if (err == OK && job->has_control)
        hub_room_changed(s->setup.hub, str_of(job->room), link_server_now(s));
    finish(job, &answer, err);
}

static void on_page(void *arg, int err, const struct store_room_item *items, size_t count,
                    bool more)
{
    struct link_answer answer = {.page = {items, count, more}};
    finish(arg, &answer, err);
}

static void on_done(void *arg, int err)
{
    finish_with(arg, err);
}

static void on_viewers(void *arg, int err, const struct viewers_count *count)
{
    struct link_answer answer = {0};
    if (err == OK) answer.viewers = *count;
    finish(arg, &answer, err);
}

static void on_samples(void *arg, int err, const struct sample *samples, size_t count, bool more)
{
    struct link_answer answer = {.samples = {samples, count, more}};
    finish(arg, &answer, err);
}

static void on_online(void *arg, int err, uint64_t online, int64_t as_of_ms)
{
    struct link_answer answer = {.online = {online, as_of_ms}};
    finish(arg, &answer, err);
}

static void on_presence(void *arg, int err, const struct store_presence_page *page)
{
    struct link_answer answer = {0};
    if (err == OK) answer.presence = *page;
    finish(arg, &answer, err);
}

static void on_routes(void *arg, int err, const struct routes *routes)
{
    struct link_answer answer = {0};
    if (err == OK && routes != NULL) answer.routes = *routes;
    finish(arg, &answer, err);
}

static void on_lease(void *arg, int err, bool is_held)
{
    struct link_answer answer = {.is_held = is_held};
    finish(arg, &answer, err);
}

/* Ranges ----------------------------------------------------------------------------------- */

static bool may_read(const struct link_conn *conn)
{
    return conn->reads_running < LIMIT_LINK_READS && takes_more(conn);
}

/* From the copy, or else from the store. */
static void run_read(struct link_conn *conn, struct link_job *job)
{
    struct link_server *s = conn->server;
    struct link_answer answer = {0};
    if (hub_peer_find(conn->peer, &job->read, link_server_now(s), &answer.range)) {
        finish(job, &answer, OK);
        return;
    }
    int err = store_read(hub_store(s->setup.hub), &job->read, on_range, job);
    if (err != OK) {
        finish_with(job, err);
        return;
    }
    job->is_read_running = true;
    conn->reads_running++;
}

static void start_waiting(struct link_conn *conn)
{
    while (!list_is_empty(&conn->waiting) && may_read(conn)) {
        struct link_job *job = CONTAINER_OF(list_take(&conn->waiting), struct link_job, node);
        list_push(&conn->jobs, &job->node);
        gauge_add(&conn->server->metrics.link_reads_waiting, -1);
        run_read(conn, job);
    }
}

void link_serve_waiting(struct link_conn *conn)
{
    start_waiting(conn);
}

static void read_range(struct link_conn *conn, struct link_job *job, const struct store_read *read)
{
    job->read = *read;
    job->read.room = str_of(job->room);
    if (list_is_empty(&conn->waiting) && may_read(conn)) {
        run_read(conn, job);
        return;
    }
    list_remove(&job->node);
    list_push(&conn->waiting, &job->node);
    gauge_add(&conn->server->metrics.link_reads_waiting, 1);
}

/* Routes ----------------------------------------------------------------------------------- */

/* True: it is answered, from this node's own copy. Nodes that serve no edge are not in it. */
static bool give_routes(struct link_job *job, const struct store_routes_get *get)
{
    const struct routes *routes = hub_routes(job->server->setup.hub);
    struct link_answer answer = {0};
    if (get->with_others || routes == NULL) return false;
    if (routes->version != get->known) answer.routes = *routes;
    finish(job, &answer, OK);
    return true;
}

/* Verbs ------------------------------------------------------------------------------------ */

/* Everything but ranges. An error: it has not started. */
static int start(struct link_job *job, struct link_request *r)
{
    struct store *store = hub_store(job->server->setup.hub);
    int64_t now_ms = link_server_now(job->server);
    switch (r->verb) {
    case LINK_READ: break;
    case LINK_APPEND:
        r->append.now_ms = now_ms;
        job->list = r->append.message.list;
        return store_append(store, &r->append, on_appended, job);
    case LINK_ROOM_PUT:
        r->room_put.now_ms = now_ms;
        job->has_control = r->room_put.control.type.len > 0;
        return store_room_put(store, &r->room_put, on_room, job);
    case LINK_ROOM_GET: return store_room_get(store, r->room, on_room, job);
    case LINK_ROOM_LIST:
        return store_room_list(store, r->room_list.app, r->room_list.after, r->room_list.limit,
                               on_page, job);
    case LINK_STORE_PING: return store_ping(store, on_done, job);
    case LINK_VIEWERS_ADD: return store_viewers_add(store, &r->viewers_add, on_viewers, job);
    case LINK_VIEWERS_MERGE: return store_viewers_merge(store, &r->viewers_merge, on_viewers, job);
    case LINK_VIEWERS_COUNT: return store_viewers_count(store, &r->viewers_count, on_viewers, job);
    case LINK_SAMPLE_PUT: return store_sample_put(store, &r->sample_put, on_done, job);
    case LINK_SAMPLE_RANGE: return store_sample_range(store, &r->sample_range, on_samples, job);
    case LINK_PRESENCE_PUT:
        r->presence_put.now_ms = now_ms;
        return store_presence_put(store, &r->presence_put, on_done, job);
    case LINK_PRESENCE_COUNT: return store_presence_count(store, r->room, now_ms, on_online, job);
    case LINK_PRESENCE_PAGE:
        r->presence_query.now_ms = now_ms;
        return store_presence_page(store, &r->presence_query, on_presence, job);
    case LINK_NODE_BEAT:
        r->node_beat.now_ms = now_ms;
        return store_node_beat(store, &r->node_beat, on_done, job);
    case LINK_ROUTES_GET:
        r->routes_get.now_ms = now_ms;
        return store_routes_get(store, &r->routes_get, on_routes, job);
    case LINK_ROUTE_PUT:
        r->route_put.now_ms = now_ms;
        return store_route_put(store, &r->route_put, on_done, job);
    case LINK_LEASE: r->lease.now_ms = now_ms; return store_lease(store, &r->lease, on_lease, job);
    }
    UNREACHABLE();
}

static void serve(struct link_conn *conn, uint64_t id, struct link_request *request)
{
    struct link_job *job = job_new(conn, id, request);
    if (request->verb == LINK_READ) {
        read_range(conn, job, &request->read);
        return;
    }
    if (request->verb == LINK_ROUTES_GET && give_routes(job, &request->routes_get)) return;
    int err = start(job, request);
    if (err != OK) finish_with(job, err);
}

void link_serve(struct link_conn *conn, const Link__Packet *packet)
{
    struct link_metrics *metrics = &conn->server->metrics;
    struct link_request request;
    int err = link_request_read(packet, &request);
    counter_add(&metrics->link_requests_total, 1);
    if (err != OK) {
        counter_add(&metrics->link_requests_unknown_total, err == ERR_NOT_IMPLEMENTED);
        refuse(conn, packet->id, LINK_STORE_PING, err);
        return;
    }
    if (conn->job_count >= LIMIT_LINK_CALLS) {
        counter_add(&metrics->link_requests_refused_total, 1);
        refuse(conn, packet->id, request.verb, ERR_OVERLOADED);
    } else {
        serve(conn, packet->id, &request);
    }
    link_request_deinit(&request);
}
