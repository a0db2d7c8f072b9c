/* /v1/rooms and /v1/rooms/{room}: settings and state. */
#include "api/exchange.h"

#include <string.h>

#include "base/alloc.h"
#include "base/error.h"
#include "base/json_write.h"
#include "http/query.h"

#define DEFAULT_PAGE 100
#define MAX_PAGE     1000
#define MAX_PER_S    100000
#define MAX_SLOW_S   86400
#define MAX_ONLINE   100000000

/* is_counted false: nobody counts viewers here, so how many there were is not known. */
static void write_room(struct buf *out, struct str id, const struct room_record *record,
                       uint64_t online, bool is_counted)
{
    buf_add_lit(out, "{\"room\":");
    json_write_string(out, id);
    buf_printf(out, ",\"state\":\"%s\",\"online\":%llu,\"unique\":",
               record->state == ROOM_OPEN ? "open" : "closed", (unsigned long long)online);
    if (is_counted)
        buf_add_u64(out, record->unique);
    else
        buf_add_lit(out, "null");
    buf_printf(out, ",\"created_at\":%lld,", (long long)record->created_ms);
    room_settings_write(out, &record->settings);
    buf_add_char(out, '}');
}

static bool get_u32(struct json_reader *json, const char *name, uint32_t max, uint32_t *ret)
{
    if (!json_reader_has(json, name)) return false;
    json_get_u32(json, name, max, ret);
    return true;
}

static bool get_text(struct json_reader *json, const char *name, char *ret, size_t cap)
{
    struct str text = STR_NONE;
    if (!json_reader_has(json, name)) return false;
    json_get_str_or_null(json, name, cap - 1, &text);
    str_copy(text, ret, cap);
    return true;
}

static const char *read_patch(struct json_reader *json, struct room_patch *patch)
{
    struct room_settings *s = &patch->settings;
    patch->title = get_text(json, "title", s->title, sizeof s->title);
    patch->sect = json_reader_has(json, "sect");
    patch->slow_mode_s = get_u32(json, "slow_mode_s", MAX_SLOW_S, &s->slow_mode_s);
    patch->max_body_bytes = get_u32(json, "max_body_bytes", LIMIT_MESSAGE_BODY, &s->max_body_bytes);
    patch->normal_per_s = get_u32(json, "normal_per_s", MAX_PER_S, &s->normal_per_s);
    patch->high_per_s = get_u32(json, "high_per_s", MAX_PER_S, &s->high_per_s);
    patch->max_online = get_u32(json, "max_online", MAX_ONLINE, &s->max_online);
    if (json_reader_error(json) != OK) return json->why;
    if (patch->sect && sect_read(json, s->sect) != NULL) return sect_read(json, s->sect);
    if ((patch->normal_per_s && s->normal_per_s == 0) ||
        (patch->high_per_s && s->high_per_s == 0) ||
        (patch->max_body_bytes && s->max_body_bytes == 0))
        return "normal_per_s, high_per_s and max_body_bytes are at least 1.";
    if (patch->title && str_has_control(str_of(s->title)))
        return "title holds no control characters.";
    return NULL;
}

void room_put(struct exchange *x)
{
    char key[LIMIT_ROOM_KEY + 1];
    struct json_reader json;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_HOST)) return;
    int err = json_reader_init(&json, x->request->body);
    if (err != OK) {
        refuse(x, err, json.why);
        return;
    }
    struct call *call = call_new(CALL_ROOM_PUT, exchange_room_key(x, key));
    const char *why = read_patch(&json, &call->patch);
    if (why != NULL) {
        refuse(x, ERR_BAD_REQUEST, why);
        call_free(call);
    } else if (call->patch.sect && x->who.role < ROLE_KEY) {
        refuse(x, ERR_FORBIDDEN,
               "Where a room is served is the app's key's to say: leave out sect.");
        call_free(call);
    } else {
        exchange_call(x, call);
    }
    json_reader_deinit(&json);
}

static void call_room(struct exchange *x, enum call_kind kind, enum role role)
{
    char key[LIMIT_ROOM_KEY + 1];
    if (!exchange_identify(x) || !exchange_require(x, role)) return;
    exchange_call(x, call_new(kind, exchange_room_key(x, key)));
}

void room_get(struct exchange *x)
{
    call_room(x, CALL_ROOM_GET, ROLE_VIEWER);
}

void room_delete(struct exchange *x)
{
    call_room(x, CALL_ROOM_CLOSE, ROLE_HOST);
}

void room_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK) {
        sect_problem(api, call);
        return;
    }
    struct buf body = {0};
    write_room(&body, room_key_id(str_of(call->room)), &call->record, call->online,
               call->is_counted);
    answer_json(api, call->origin, form, call->created ? 201 : 200, buf_str(&body));
    buf_deinit(&body);
}

/* The page is the id of the last room of the page before. */
void room_list(struct exchange *x)
{
    uint64_t limit = DEFAULT_PAGE;
    if (!exchange_identify(x) || !exchange_require(x, ROLE_KEY)) return;
    if (!exchange_query_u64(x, "limit", 1, MAX_PAGE, &limit)) return;
    struct buf *after = &x->text->room; /* the key of the room behind which the page begins */
    int err = query_get(x->request->query, STR("page"), after);
    bool has_page = err == OK && after->len > 0;
    if ((err != OK && err != ERR_NOT_FOUND) || (has_page && !room_id_is_valid(buf_str(after)))) {
        refuse(x, ERR_BAD_REQUEST, "page is the next_page of the page before.");
        return;
    }
    char key[LIMIT_ROOM_KEY + 1];
    struct call *call = call_new(CALL_ROOM_LIST, exchange_room_key(x, key));
    call->limit = (uint32_t)limit;
    call->items = xcalloc(limit, sizeof *call->items);
    exchange_call(x, call);
}

void room_list_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK) {
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
        return;
    }
    struct buf body = {0};
    buf_add_lit(&body, "{\"rooms\":[");
    for (uint32_t i = 0; i < call->item_count; i++) {
        const struct room_item *item = &call->items[i];
        if (i > 0) buf_add_char(&body, ',');
        write_room(&body, str_of(item->id), &item->record, item->online, call->is_counted);
    }
    buf_add_lit(&body, "],\"next_page\":");
    if (call->more && call->item_count > 0)
        json_write_string(&body, str_of(call->items[call->item_count - 1].id));
    else
        buf_add_lit(&body, "null");
    buf_add_char(&body, '}');
    answer_json(api, call->origin, form, 200, buf_str(&body));
    buf_deinit(&body);
}
