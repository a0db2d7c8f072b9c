#include "store/redis_urls.h"

#include <string.h>

#include "base/buf.h"

const char *redis_url_of(const struct redis_fleet *fleet, const char *more, char *ret_url,
                         size_t cap)
{
    struct buf url = {0};

    buf_add_lit(&url, "redis://");
    for (size_t i = 0; i < fleet->count; i++)
        buf_printf(&url, "%s127.0.0.1:%u", i > 0 ? "," : "", fleet->servers[i].port);
    buf_printf(&url, "?clock=caller%s", more);
    str_copy(buf_str(&url), ret_url, cap);
    buf_deinit(&url);
    return ret_url;
}

void redis_empty(void *arg)
{
    struct redis_fleet *fleet = arg;

    for (size_t i = 0; i < fleet->count; i++) {
        redisReply *role = redis_fleet_ask(fleet, i, "ROLE");
        if (strcmp(role->element[0]->str, "master") == 0) redis_fleet_tell(fleet, i, "FLUSHALL");
        freeReplyObject(role);
    }
}
