/* Opens the store that a URL names:
 *
 *   memory:        gone with the process (store/memory.h)
 *   sqlite:PATH    one file, durable (store/sqlite.h)
 *   redis://HOST,…  Redis or Valkey, shared with other nodes (store/redis.h); rediss:// over TLS
 *   link://HOST:PORT,…   other nodes (store/link.h)
 *
 * To add a driver: a row in DRIVERS. */
#ifndef STOA_STORE_OPEN_H
#define STOA_STORE_OPEN_H

#include "core/store.h"

/* 0 and *ret_store, or an error and a sentence for the operator in ret_why: ERR_BAD_REQUEST for a
 * URL that is none of ours, ERR_NOT_IMPLEMENTED for one that this version cannot open,
 * ERR_STORE_UNAVAILABLE for a store that cannot be opened now. Blocks; the caller's thread becomes
 * the hub's thread of core/store.h. */
int store_open(const char *url, const struct store_config *config, struct store **ret_store,
               char *ret_why, size_t why_cap);

/* The URL as it may be shown: without user and password. Cut where it does not fit. */
void store_url_show(const char *url, char *ret_text, size_t cap);

#endif
