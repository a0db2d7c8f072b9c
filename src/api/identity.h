/* Who is asking: the outcome of looking at a request's credentials once per connection.
 *
 * A worker keeps one identity for all connections that show the same credentials, found by their SHA-256. A connection
 * refers to its identity; while a request shows the same credentials (told by a keyed 64-bit hash, which only has to be
 * unlikely to collide with what this very connection showed before, under a key that nobody knows) and the apps' generation
 * is the same, nothing is verified again: only the expiry is looked at. Worker thread. */
#ifndef STOA_API_IDENTITY_H
#define STOA_API_IDENTITY_H

#include "api/apps.h"

/* Each may do what those before it may. */
enum role { ROLE_VIEWER, ROLE_SPEAKER, ROLE_HOST, ROLE_KEY };

struct identity {
    uint32_t refs;         /* of connections */
    uint64_t tag;          /* keyed hash of the credentials */
    const struct app *app; /* of the snapshot of that generation */
    uint64_t generation;
    unsigned char credentials[32]; /* SHA-256 */
    enum role role;
    int64_t expires_ms;           /* INT64_MAX: never */
    char user[LIMIT_USER_ID + 1]; /* empty with a key that names none */
    char name[LIMIT_USER_NAME + 1];
    char room[LIMIT_ROOM_ID + 1]; /* "*": any */
};

/* A token as text -> identity, all of it but credentials, which are zeroed: the caller has them.
 * 0, ERR_UNAUTHORIZED, ERR_TOKEN_EXPIRED. HS256 alone (RFC 7515, 7519): `none`, any other
 * algorithm, `crit`, a missing or non-integer `exp`, duplicate members, unknown apps, apps without
 * a secret and wrong types of claims are refused; so is more than LIMIT_TOKEN of text. A token is
 * good until the millisecond at which `exp` begins, and from `nbf` on. ret_why (static text, for
 * the problem's detail) is set on refusal. Any thread. */
int token_verify(const struct apps *apps, struct str token, int64_t now_ms, struct identity *ret,
                 const char **ret_why);

struct buf;
struct token_claims {
    struct str app, user, room, role, name; /* name may be empty */
    int64_t expires_s;
};
/* Appends the signed token. The texts are valid UTF-8; whether token_verify() takes them (names of
 * apps and roles, lengths, no control characters) is the caller's to see to. */
void token_sign(struct str secret, const struct token_claims *claims, struct buf *ret_token);

#endif
