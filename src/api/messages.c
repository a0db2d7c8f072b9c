/* GET /v1/rooms/{room}/messages: the long poll, and history with `before`. */
#include "api/exchange.h"

#include "base/error.h"
#include "core/id.h"
#include "http/query.h"

#define DEFAULT_LIMIT     50
#define DEFAULT_TIMEOUT_S 25
#define MAX_TIMEOUT_S     60

static void history(struct exchange *x, struct str before, uint32_t limit)
{
    char key[LIMIT_ROOM_KEY + 1];
    uint64_t id;
    if (id_parse(before, &id) != OK) {
        refuse(x, ERR_BAD_REQUEST, "before is a message id, such as 1732441234567-0.");
        return;
    }
    struct call *call = call_new(CALL_HISTORY, exchange_room_key(x, key));
    call->id = id;
    call_set_frames(call, limit);
    exchange_call(x, call);
}

void messages_history_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    struct buf body = {0};
    buf_add_lit(&body, "{\"messages\":[");
    for (uint32_t i = 0; i < call->frame_count; i++) {
        if (i > 0) buf_add_char(&body, ',');
        buf_add_str(&body, frame_json(call->frames[i]));
    }
    buf_printf(&body, "],\"more\":%s}", call->more ? "true" : "false");
    answer_json(api, call->origin, form, 200, buf_str(&body));
    buf_deinit(&body);
}

static void poll_room(struct exchange *x, struct str since, uint32_t limit)
{
    char key[LIMIT_ROOM_KEY + 1];
    uint64_t timeout_s = DEFAULT_TIMEOUT_S;
    if (!exchange_query_u64(x, "timeout", 0, MAX_TIMEOUT_S, &timeout_s)) return;
    struct poll poll = {.room = exchange_room_key(x, key),
                        .auto_create = x->who.app->auto_create,
                        .user = str_of(x->who.user),
                        .tell_user = x->is_anonymous,
                        .since = since,
                        .limit = limit,
                        .timeout_ms = (uint32_t)timeout_s * 1000,
                        .exchange = x->handle,
                        .variant = form_pack(x->form)};
    repeat_keep(x, &poll);
    x->waiter = worker_poll(x->api->worker, &poll, x->now_ms);
}

/* Into x->text->page, empty when the parameter is not there; false: answered already. */
static bool get_text(struct exchange *x, struct str name)
{
    buf_clear(&x->text->page);
    int err = query_get(x->request->query, name, &x->text->page);
    if (err == OK || err == ERR_NOT_FOUND) return true;
    refuse(x, err, "The query has a bad percent-escape.");
    return false;
}

void messages_get(struct exchange *x)
{
    uint64_t limit = DEFAULT_LIMIT;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_VIEWER)) return;
    if (!exchange_query_u64(x, "limit", 1, LIMIT_POLL_NORMAL, &limit)) return;
    if (!get_text(x, STR("before"))) return;
    if (x->text->page.len > 0) {
        history(x, buf_str(&x->text->page), (uint32_t)limit);
        return;
    }
    if (!get_text(x, STR("since"))) return;
    if (x->form.head_only)
        answer_method(x, "GET, POST, OPTIONS");
    else
        poll_room(x, buf_str(&x->text->page), (uint32_t)limit);
}
