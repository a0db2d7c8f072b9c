/* POST /v1/rooms/{room}/messages */
#include "api/exchange.h"

#include "base/error.h"
#include "base/json_write.h"
#include "core/id.h"
#include "core/room.h"

#define OVERLOADED_RETRY_MS 5000

/* The fields of a message, borrowed from the reader; body from its own buffer. */
static const char *read_message(struct exchange *x, struct json_reader *json, struct buf *body,
                                struct message *ret)
{
    struct str priority = STR("normal");
    *ret = (struct message){
        .type = STR("text"), .from = str_of(x->who.user), .name = str_of(x->who.name)};
    json_get_str(json, "type", LIMIT_TYPE, &ret->type);
    json_get_str(json, "priority", 16, &priority);
    if (x->who.role == ROLE_KEY) {
        json_get_str(json, "from", LIMIT_USER_ID, &ret->from);
        json_get_str(json, "name", LIMIT_USER_NAME, &ret->name);
    }
    bool has_from = x->who.role == ROLE_KEY && json_reader_has(json, "from");
    bool has_body = json_get_any(json, "body", body);
    ret->body = buf_str(body);
    ret->list = str_eq(priority, STR("high")) ? LIST_HIGH : LIST_NORMAL;
    if (json_reader_error(json) != OK) return json->why;
    if (!has_body) return "body is missing: any JSON value.";
    if (ret->list == LIST_NORMAL && !str_eq(priority, STR("normal")))
        return "priority is normal or high.";
    if (!message_type_is_valid(ret->type))
        return "type is 1 to 32 of a-z 0-9 . _ - and does not begin with room. (those are the "
               "server's own).";
    if ((has_from || ret->from.len > 0) && !user_id_is_valid(ret->from))
        return "from is 1 to 64 bytes of UTF-8 without control characters.";
    if (str_has_control(ret->name)) return "name holds no control characters.";
    return NULL;
}

static void append(struct exchange *x, const struct message *message)
{
    char key[LIMIT_ROOM_KEY + 1];
    struct call *call = call_new(CALL_APPEND, exchange_room_key(x, key));
    call_set_message(call, message, x->request->idempotency_key);
    call->no_user_rate = x->who.role == ROLE_KEY;
    call->no_slow_mode = x->who.role >= ROLE_HOST;
    call->user_per_s = x->who.app->user_per_s;
    call->user_burst = x->who.app->user_burst;
    exchange_call(x, call);
}

static void send_message(struct exchange *x, struct json_reader *json)
{
    struct buf body = {0};
    struct message message;
    const char *why = read_message(x, json, &body, &message);
    if (why != NULL)
        refuse(x, ERR_BAD_REQUEST, why);
    else if (message.list == LIST_NORMAL && worker_sheds_sends(x->api->worker))
        answer_problem(x->api, x->handle, x->form, ERR_OVERLOADED, NULL, OVERLOADED_RETRY_MS);
    else if (message.list == LIST_NORMAL || exchange_require(x, ROLE_HOST))
        append(x, &message);
    buf_deinit(&body);
}

void messages_post(struct exchange *x)
{
    struct json_reader json;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_SPEAKER)) return;
    if (x->request->idempotency_key.len > LIMIT_IDEMPOTENCY_KEY) {
        refuse(x, ERR_BAD_REQUEST, "Idempotency-Key is 1 to 64 characters.");
        return;
    }
    int err = json_reader_init(&json, x->request->body);
    if (err != OK) {
        refuse(x, err, json.why);
        return;
    }
    send_message(x, &json);
    json_reader_deinit(&json);
}

void messages_post_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    char id[ID_TEXT_MAX];
    struct buf body = {0};
    size_t id_len = id_format(call->id, id);
    buf_add_lit(&body, "{\"id\":\"");
    buf_add(&body, id, id_len);
    buf_add_lit(&body, "\",\"at\":");
    buf_add_i64(&body, id_ms(call->id));
    if (call->duplicate) buf_add_lit(&body, ",\"duplicate\":true");
    if (call->tell_user) {
        buf_add_lit(&body, ",\"user\":");
        json_write_string(&body, call->message.from);
    }
    buf_add_char(&body, '}');
    answer_json(api, call->origin, form, call->duplicate ? 200 : 201, buf_str(&body));
    buf_deinit(&body);
}
