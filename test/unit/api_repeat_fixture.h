/* An api and its worker, without a socket and without a hub: a poll that is taken waits as ENTERING,
 * and what became of it is looked at in its waiter.
 *
 * Two apps: "shop" with the key "shop-key" and a secret for tokens, and "open", which takes those
 * who show nothing and makes rooms by itself. */
#ifndef STOA_TEST_UNIT_API_REPEAT_FIXTURE_H
#define STOA_TEST_UNIT_API_REPEAT_FIXTURE_H

#include "api/api.h"
#include "base/buf.h"
#include "core/cursor.h"
#include "core/worker_internal.h"
#include "unit/core_fixture.h"

#define SHOP_ROOM   STR("shop/lobby")
#define OPEN_ROOM   STR("open/lobby")
#define TOKEN_USER  "alice"
#define TOKEN_LIFE  1000 /* ms, of the token in texts */
#define SHOP_ORIGIN "https://shop.example"

struct repeat_fixture {
    struct api *api;
    struct worker *worker;
    struct queue *calls, *notes;
    struct api_conn conn; /* of most requests */
    int64_t now_ms;
    uint64_t generation;    /* of the apps */
    uint64_t exchange;      /* the last one */
    uint32_t answers;       /* to all exchanges */
    struct buf answer;      /* the last one */
    struct buf token;       /* alice's, for the room "lobby" */
    struct buf other_token; /* hers for the room "attic" */
};

int repeat_fixture_setup(void **state);
int repeat_fixture_teardown(void **state);
/* The same apps, but of a new generation. */
void repeat_fixture_reload(struct repeat_fixture *f);
/* The template, with '$' as the cursor of this room that has seen `number` messages, '@' as alice's
 * token, and '^' as her token for another room. Owned by the caller. */
struct buf repeat_fixture_text(const struct repeat_fixture *f, const char *template,
                               struct str room, uint64_t number);
/* The long way: reads one request, which must be whole, and gives it to the api with these bytes as
 * its wire. Returns the waiter's handle, or 0. */
uint64_t repeat_fixture_request(struct repeat_fixture *f, struct api_conn *conn, struct str text,
                                struct str wire);
/* The same on f->conn, with its own bytes as the wire; the waiter is gone again. True: there was one.
 */
bool repeat_fixture_send(struct repeat_fixture *f, struct str text);
/* The short way, behind api_repeats(): gives the poll to the worker. */
uint64_t repeat_fixture_poll(struct repeat_fixture *f, struct poll *poll);
/* Whether f->conn would take these bytes as a repetition. */
bool repeat_fixture_repeats(struct repeat_fixture *f, struct str text);
const struct waiter *repeat_fixture_waiter(const struct repeat_fixture *f, uint64_t handle);
void repeat_fixture_cancel(struct repeat_fixture *f, uint64_t handle);

#endif
