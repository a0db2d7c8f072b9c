/* For operators: is it alive, is it ready, what does it count. No credentials: they say nothing of
 * any user. */
#include "api/exchange.h"

#include "base/error.h"

void ops_healthz(struct exchange *x)
{
    answer_json(x->api, x->handle, x->form, 200, STR("{\"status\":\"ok\"}"));
}

void ops_readyz(struct exchange *x)
{
    exchange_call(x, call_new(CALL_PING, STR("")));
}

void ops_ping_done(struct api *api, struct call *call)
{
    struct answer_form form = form_unpack(call->variant);
    if (call->err != OK)
        answer_problem(api, call->origin, form, call->err, NULL, call->retry_after_ms);
    else
        answer_json(api, call->origin, form, 200, STR("{\"status\":\"ready\"}"));
}

void ops_metrics(struct exchange *x)
{
    if (x->api->config.has_ops_port && !x->conn->is_ops) {
        refuse(x, ERR_NOT_FOUND, "Metrics are served on the operators' port (ops_listen).");
        return;
    }
    struct buf text = {0};
    x->api->config.out->write_metrics(x->api->config.arg, &text);
    answer_bytes(x->api, x->handle, x->form, STR("text/plain; version=0.0.4; charset=utf-8"),
                 STR_NONE, buf_str(&text));
    buf_deinit(&text);
}
