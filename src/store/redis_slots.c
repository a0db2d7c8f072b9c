#include "store/redis_slots.h"

#include "base/error.h"

/* CRC-16/XMODEM: polynomial 0x1021, initially 0, a nibble at a time. */
static uint16_t crc16(struct str bytes)
{
    static const uint16_t TABLE[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned byte = (unsigned char)bytes.ptr[i];
        crc = (uint16_t)((crc << 4) ^ TABLE[(crc >> 12) ^ (byte >> 4)]);
        crc = (uint16_t)((crc << 4) ^ TABLE[(crc >> 12) ^ (byte & 15)]);
    }
    return crc;
}

static struct str hash_tag(struct str key)
{
    const char *open = key.len > 0 ? memchr(key.ptr, '{', key.len) : NULL;
    if (open == NULL) return key;
    size_t rest = key.len - (size_t)(open - key.ptr) - 1;
    const char *close = memchr(open + 1, '}', rest);
    if (close == NULL || close == open + 1) return key;
    return str_make(open + 1, (size_t)(close - open) - 1);
}

uint16_t redis_slot_of(struct str key)
{
    return crc16(hash_tag(key)) % REDIS_SLOTS;
}

bool redis_host_read(struct str text, const struct redis_host *asked, struct redis_host *ret_host)
{
    struct redis_host host;
    uint64_t port;
    const char *colon = text.len > 0 ? memrchr(text.ptr, ':', text.len) : NULL;
    if (colon == NULL) return false;
    struct str name = str_make(text.ptr, (size_t)(colon - text.ptr));
    struct str port_text = str_make(colon + 1, text.len - name.len - 1);
    if (!str_parse_u64(port_text, &port) || port == 0 || port > UINT16_MAX) return false;
    if (name.len == 0) name = str_of(asked->name);
    if (!str_copy(name, host.name, sizeof(host.name))) return false;
    host.port = (uint16_t)port;
    *ret_host = host;
    return true;
}

bool redis_host_eq(const struct redis_host *a, const struct redis_host *b)
{
    return a->port == b->port && strcmp(a->name, b->name) == 0;
}

/* --- CLUSTER SLOTS --------------------------------------------------------------------------- */

static bool read_slot(const redisReply *reply, uint16_t *ret_slot)
{
    if (reply->type != REDIS_REPLY_INTEGER) return false;
    if (reply->integer < 0 || reply->integer >= REDIS_SLOTS) return false;
    *ret_slot = (uint16_t)reply->integer;
    return true;
}

/* [name, port, …]: a name that is nil or empty is that of the node that was asked; "?" is one that
 * the server does not know, which stands for the same. */
static bool read_node(const redisReply *reply, const struct redis_host *asked,
                      struct redis_host *ret_host)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) return false;
    const redisReply *name = reply->element[0], *port = reply->element[1];
    if (port->type != REDIS_REPLY_INTEGER || port->integer <= 0 || port->integer > UINT16_MAX)
        return false;
    struct str text = str_of(asked->name);
    if (name->type == REDIS_REPLY_STRING && name->len > 0) text = str_make(name->str, name->len);
    if (str_eq(text, STR("?"))) text = str_of(asked->name);
    ret_host->port = (uint16_t)port->integer;
    return str_copy(text, ret_host->name, sizeof(ret_host->name));
}

/* Replicas beyond what is wanted of them are passed over. */
static bool read_range(const redisReply *reply, const struct redis_host *asked,
                       struct redis_range *ret_range)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 3) return false;
    if (!read_slot(reply->element[0], &ret_range->first)) return false;
    if (!read_slot(reply->element[1], &ret_range->last)) return false;
    ret_range->node_count = 0;
    for (size_t i = 2; i < reply->elements; i++) {
        if (ret_range->node_count > REDIS_REPLICAS_MAX) break;
        if (!read_node(reply->element[i], asked, &ret_range->nodes[ret_range->node_count++]))
            return false;
    }
    return ret_range->first <= ret_range->last;
}

int redis_ranges_read(const redisReply *reply, const struct redis_host *asked, redis_range_cb *cb,
                      void *arg)
{
    struct redis_range range;
    if (reply->type != REDIS_REPLY_ARRAY) return ERR_STORE_UNAVAILABLE;
    for (size_t i = 0; i < reply->elements; i++)
        if (!read_range(reply->element[i], asked, &range)) return ERR_STORE_UNAVAILABLE;
    for (size_t i = 0; i < reply->elements; i++) {
        read_range(reply->element[i], asked, &range);
        cb(arg, &range);
    }
    return 0;
}
