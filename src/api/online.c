/* Who is in a room: the count for everybody, the list for hosts; and POST …/leave, which says that
 * this user is no longer here, at once and on every worker.
 *
 * The list's order is the store's where nodes share one, so a page token is good at any of them, and
 * sealed with what all of them know. Elsewhere the order is this process's own, and so is the seal. */
#include "api/exchange.h"

#include "api/page.h"
#include "base/error.h"
#include "base/json_write.h"
#include "http/query.h"

#define DEFAULT_PAGE 100
#define MAX_PAGE     1000

void leave_post(struct exchange *x)
{
    char key[LIMIT_ROOM_KEY + 1];
    if (!exchange_identify(x) || !exchange_require(x, ROLE_VIEWER)) return;
    if (x->who.user[0] == '\0') {
        refuse(x, ERR_BAD_REQUEST, "Say who leaves: ?user=NAME.");
        return;
    }
    struct call *call = call_new(CALL_LEAVE, exchange_room_key(x, key));
    struct message message = {.from = str_of(x->who.user)};
    call_set_message(call, &message, STR_NONE);
    exchange_call(x, call);
}

void online_get(struct exchange *x)
{
    char key[LIMIT_ROOM_KEY + 1];
    if (!exchange_identify(x) || !exchange_require(x, ROLE_VIEWER)) return;
    exchange_call(x, call_new(CALL_ONLINE, exchange_room_key(x, key)));
}

static bool has_failed(struct api *api, const struct call *call)
{
    if (call->err == OK) return false;
    answer_problem(api, call->origin, form_unpack(call->variant), call->err, NULL,
                   call->retry_after_ms);
    return true;
}

void online_done(struct api *api, struct call *call)
{
    struct buf body = {0};
    if (has_failed(api, call)) return;
    buf_printf(&body, "{\"online\":%llu,\"as_of\":%lld}", (unsigned long long)call->online,
               (long long)call->as_of_ms);
    answer_json(api, call->origin, form_unpack(call->variant), 200, buf_str(&body));
    buf_deinit(&body);
}

/* The list --------------------------------------------------------------------------------- */

static struct str page_secret(const struct api *api, const struct app *app)
{
    if (api->config.is_shared) return app_shared_secret(app);
    return str_make((const char *)&api->config.hash_key, sizeof api->config.hash_key);
}

/* Appends the user behind whom the page begins, if there is one. NULL, or why not. */
static const char *read_page(const struct exchange *x, struct str scope, struct buf *ret_after)
{
    struct buf page = {0};
    int err = query_get(x->request->query, STR("page"), &page);
    if (err == OK && page.len > 0)
        err = page_read(page_secret(x->api, x->who.app), scope, buf_str(&page), ret_after);
    buf_deinit(&page);
    return err == OK || err == ERR_NOT_FOUND
               ? NULL
               : "page is no next_page of this room's list, or one from before the app's secret "
                 "changed or the server started: begin again without page.";
}

static const char *read_prefix(const struct exchange *x, struct buf *ret_prefix)
{
    int err = query_get(x->request->query, STR("prefix"), ret_prefix);
    if (err != OK && err != ERR_NOT_FOUND) return "The query has a bad percent-escape.";
    if (ret_prefix->len <= LIMIT_USER_ID && str_is_utf8(buf_str(ret_prefix))) return NULL;
    return "prefix is the beginning of a user id: at most 64 bytes of UTF-8.";
}

void online_users_get(struct exchange *x)
{
    char key[LIMIT_ROOM_KEY + 1];
    uint64_t limit = DEFAULT_PAGE;
    struct buf after = {0}, prefix = {0};
    if (!exchange_identify(x) || !exchange_require(x, ROLE_HOST)) return;
    if (!exchange_query_u64(x, "limit", 1, MAX_PAGE, &limit)) return;
    struct str room = exchange_room_key(x, key);
    const char *why = read_page(x, room, &after);
    if (why == NULL) why = read_prefix(x, &prefix);
    if (why != NULL) {
        refuse(x, ERR_BAD_REQUEST, why);
    } else {
        struct call *call = call_new(CALL_ONLINE_USERS, room);
        call->limit = (uint32_t)limit;
        call_set_query(call, buf_str(&after), buf_str(&prefix));
        exchange_call(x, call);
    }
    buf_deinit(&after);
    buf_deinit(&prefix);
}

static void write_users(struct buf *body, struct str users)
{
    struct presence_user user;
    for (bool is_first = true; online_user_read(&users, &user); is_first = false) {
        buf_add_str(body, is_first ? STR("{\"user\":") : STR(",{\"user\":"));
        json_write_string(body, user.user);
        buf_printf(body, ",\"since\":%lld,\"seen\":%lld}", (long long)user.since_ms,
                   (long long)user.seen_ms);
    }
}

void online_users_done(struct api *api, struct call *call)
{
    struct buf body = {0};
    struct str room = str_of(call->room), rest;
    const struct app *app = apps_by_name(api->apps, str_split(room, '/', &rest));
    if (app == NULL) call->err = ERR_UNAUTHORIZED; /* a reload took it away meanwhile */
    if (has_failed(api, call)) return;
    buf_add_lit(&body, "{\"users\":[");
    write_users(&body, buf_str(&call->found));
    buf_add_lit(&body, "],\"next_page\":");
    if (call->more) {
        buf_add_char(&body, '"');
        page_write(page_secret(api, app), room, call->after, &body);
        buf_add_lit(&body, "\"}");
    } else {
        buf_add_lit(&body, "null}");
    }
    answer_json(api, call->origin, form_unpack(call->variant), 200, buf_str(&body));
    buf_deinit(&body);
}
