/* How a link begins: version, features, and the mutual proof of the cluster secret.
 *
 *      edge                                     cache node
 *        | -- Hello: versions, features, nonce --> |
 *        | <-- Hello: the same of the node ------- |   or Refused: no version in common
 *        | -- Proof ----------------------------> |
 *        | <-- Proof ----------------------------- |   or Refused: wrong secret
 *
 * A proof is HMAC-SHA256 (RFC 2104) keyed with the secret, over the prover's role and all that both
 * hellos said: versions, names, features, and the nonces, 32 random bytes of each side. So a proof
 * that was recorded does not serve for another connection, one cannot be sent back to who made it
 * (the role differs), and nobody on the way can talk two nodes down to an older version. The edge
 * proves first: a node tells whoever connects nothing that depends on the secret.
 *
 * What it does not give: secrecy, and integrity of what follows. Who can read the wire reads the
 * messages, and who can change it may take over a connection after its proofs; that is what TLS is
 * for. And who has seen a proof can try secrets against it at leisure, so the secret is long and
 * random (CONFIG_MIN_SECRET).
 *
 * A state machine without a socket; one thread, the owner's. */
#ifndef STOA_LINK_LINK_HANDSHAKE_H
#define STOA_LINK_LINK_HANDSHAKE_H

#include "base/limit.h"
#include "link/link_frame.h"

#define LINK_VERSION        1 /* the newest that this code speaks, */
#define LINK_VERSION_OLDEST 1 /* and the oldest */
#define LINK_NONCE_BYTES    32
#define LINK_FEATURES_MAX   64 /* of a hello; more are not looked at */

enum link_feature {
    LINK_GOODBYE = 1 << 0, /* a node that stops says so */
    LINK_ROUTES = 1 << 1,  /* it can be asked which nodes there are */
};

enum link_role { LINK_EDGE, LINK_CACHE };

struct link_handshake_setup {
    enum link_role role;
    struct str secret; /* borrowed as long as the handshake */
    struct str name;   /* of this node, at most LIMIT_NODE_NAME bytes */
    struct str software;
    unsigned char nonce[LINK_NONCE_BYTES];
    /* For tests of other versions; 0: this code's. */
    uint32_t version, oldest;
};

enum link_handshake_state {
    LINK_WAITS_FOR_HELLO,
    LINK_WAITS_FOR_PROOF,
    LINK_IS_PROVED,
    LINK_IS_REFUSED, /* why says what to do */
};

/* What a hello said. */
struct link_party {
    uint32_t version, oldest;
    uint32_t features; /* bits of enum link_feature; what is unknown has none */
    char name[LIMIT_NODE_NAME + 1];
    char software[LIMIT_VERSION + 1];
    unsigned char nonce[LINK_NONCE_BYTES];
};

struct link_handshake {
    enum link_handshake_state state;
    enum link_role role;
    struct str secret;
    struct link_party own, peer;
    uint32_t version;     /* that both speak, from the peer's hello on */
    bool is_secret_wrong; /* refused because of that */
    char why[192];
};

/* The edge's writes its hello into `out`; a cache node's writes nothing yet. */
void link_handshake_start(struct link_handshake *h, const struct link_handshake_setup *setup,
                          struct buf *out);
/* Takes the next packet, and appends to `out` what is to be sent now, also when the state is
 * LINK_IS_REFUSED: then the connection is closed behind it. Not after it has ended. */
void link_handshake_take(struct link_handshake *h, const Link__Packet *packet, struct buf *out);
/* Both sides have it. */
bool link_handshake_has(const struct link_handshake *h, enum link_feature feature);

#endif
