#include "link/link_handshake.h"

#include <stdarg.h>

#include "base/assert.h"
#include "base/hmac.h"
#include "link/link_value.h"

static const struct {
    const char *name;
    enum link_feature bit;
} FEATURES[] = {
    {"goodbye", LINK_GOODBYE},
    {"routes", LINK_ROUTES},
};
#define FEATURE_COUNT (sizeof(FEATURES) / sizeof(FEATURES[0]))

/* --- the proof ------------------------------------------------------------------------------- */

/* Every part with its length, so that no two hellos read the same. */
static void add_part(struct buf *text, struct str part)
{
    buf_add_u64(text, part.len);
    buf_add_char(text, ':');
    buf_add_str(text, part);
}

static void add_party(struct buf *text, const struct link_party *party)
{
    buf_add_u64(text, party->version);
    buf_add_char(text, '-');
    buf_add_u64(text, party->oldest);
    buf_add_char(text, '+');
    buf_add_u64(text, party->features);
    add_part(text, str_of(party->name));
    add_part(text, str_of(party->software));
    add_part(text, str_make((const char *)party->nonce, LINK_NONCE_BYTES));
}

static void prove(const struct link_handshake *h, enum link_role prover,
                  unsigned char ret_mac[HMAC_BYTES])
{
    bool is_edge = h->role == LINK_EDGE;
    struct buf text = {0};

    buf_add_str(&text, prover == LINK_EDGE ? STR("stoa link, edge ") : STR("stoa link, cache "));
    add_party(&text, is_edge ? &h->own : &h->peer);
    add_party(&text, is_edge ? &h->peer : &h->own);
    hmac_sha256(h->secret, buf_str(&text), ret_mac);
    buf_deinit(&text);
}

static void send_proof(const struct link_handshake *h, struct buf *out)
{
    unsigned char mac[HMAC_BYTES];
    Link__Proof proof = LINK__PROOF__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    prove(h, h->role, mac);
    proof.mac = (ProtobufCBinaryData){.len = sizeof(mac), .data = mac};
    packet.body_case = LINK__PACKET__BODY_PROOF;
    packet.proof = &proof;
    link_frame_add(out, &packet);
}

static bool is_proof(const struct link_handshake *h, ProtobufCBinaryData mac)
{
    unsigned char wanted[HMAC_BYTES];

    prove(h, h->role == LINK_EDGE ? LINK_CACHE : LINK_EDGE, wanted);
    return str_eq_secret(link_str(mac), str_make((const char *)wanted, sizeof(wanted)));
}

/* --- the hello ------------------------------------------------------------------------------- */

static void send_hello(const struct link_handshake *h, struct buf *out)
{
    const struct link_party *own = &h->own;
    ProtobufCBinaryData features[FEATURE_COUNT];
    Link__Hello hello = LINK__HELLO__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    for (size_t i = 0; i < FEATURE_COUNT; i++) features[i] = link_bytes(str_of(FEATURES[i].name));
    hello.version = own->version;
    hello.oldest = own->oldest;
    hello.name = link_bytes(str_of(own->name));
    hello.software = link_bytes(str_of(own->software));
    hello.nonce = link_bytes(str_make((const char *)own->nonce, LINK_NONCE_BYTES));
    hello.n_features = FEATURE_COUNT;
    hello.features = features;
    packet.body_case = LINK__PACKET__BODY_HELLO;
    packet.hello = &hello;
    link_frame_add(out, &packet);
}

static uint32_t features_of(const Link__Hello *hello)
{
    uint32_t bits = 0;

    for (size_t i = 0; i < hello->n_features && i < LINK_FEATURES_MAX; i++)
        for (size_t f = 0; f < FEATURE_COUNT; f++)
            if (str_eq(link_str(hello->features[i]), str_of(FEATURES[f].name)))
                bits |= FEATURES[f].bit;
    return bits;
}

static bool read_hello(const Link__Hello *hello, struct link_party *ret)
{
    *ret = (struct link_party){
        .version = hello->version, .oldest = hello->oldest, .features = features_of(hello)};
    if (hello->nonce.len != LINK_NONCE_BYTES) return false;
    memcpy(ret->nonce, hello->nonce.data, LINK_NONCE_BYTES);
    return hello->name.len > 0 && link_text_of(hello->name, ret->name, sizeof(ret->name)) &&
           link_text_of(hello->software, ret->software, sizeof(ret->software));
}

/* --- the steps ------------------------------------------------------------------------------- */

static void send_refusal(const struct link_handshake *h, struct buf *out)
{
    Link__Refused refused = LINK__REFUSED__INIT;
    Link__Packet packet = LINK__PACKET__INIT;

    refused.why = link_bytes(str_of(h->why));
    packet.body_case = LINK__PACKET__BODY_REFUSED;
    packet.refused = &refused;
    link_frame_add(out, &packet);
}

__attribute__((format(printf, 3, 4))) static void refuse(struct link_handshake *h, struct buf *out,
                                                         const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(h->why, sizeof(h->why), format, args);
    va_end(args);
    h->state = LINK_IS_REFUSED;
    if (h->role == LINK_CACHE) send_refusal(h, out);
}

/* What a peer says goes into the log: nothing but printable ASCII. */
static void take_refusal(struct link_handshake *h, const Link__Refused *refused)
{
    char text[128];
    size_t len = refused->why.len < sizeof(text) - 1 ? refused->why.len : sizeof(text) - 1;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = refused->why.data[i];
        text[i] = c >= ' ' && c < 0x7f ? (char)c : '?';
    }
    text[len] = '\0';
    h->state = LINK_IS_REFUSED;
    snprintf(h->why, sizeof(h->why), "the node refused: %s", text);
}

static void take_hello(struct link_handshake *h, const Link__Hello *hello, struct buf *out)
{
    if (!read_hello(hello, &h->peer)) {
        refuse(h, out, "malformed hello");
        return;
    }
    if (strcmp(h->peer.name, h->own.name) == 0) {
        refuse(h, out, "this is the node itself: its store cannot be its own link");
        return;
    }
    h->version = h->peer.version < h->own.version ? h->peer.version : h->own.version;
    if (h->version < h->own.oldest || h->version < h->peer.oldest) {
        refuse(h, out,
               "no version in common: this node speaks %u to %u, the other one %u to %u; upgrade "
               "the older one",
               h->own.oldest, h->own.version, h->peer.oldest, h->peer.version);
        return;
    }
    h->state = LINK_WAITS_FOR_PROOF;
    if (h->role == LINK_CACHE)
        send_hello(h, out);
    else
        send_proof(h, out);
}

static void take_proof(struct link_handshake *h, const Link__Proof *proof, struct buf *out)
{
    if (!is_proof(h, proof->mac)) {
        h->is_secret_wrong = true;
        refuse(h, out, "wrong secret: give all nodes the same link_secret");
        return;
    }
    h->state = LINK_IS_PROVED;
    if (h->role == LINK_CACHE) send_proof(h, out);
}

void link_handshake_start(struct link_handshake *h, const struct link_handshake_setup *setup,
                          struct buf *out)
{
    *h = (struct link_handshake){.state = LINK_WAITS_FOR_HELLO,
                                 .role = setup->role,
                                 .secret = setup->secret,
                                 .own = {.version = setup->version, .oldest = setup->oldest}};
    if (h->own.version == 0) {
        h->own.version = LINK_VERSION;
        h->own.oldest = LINK_VERSION_OLDEST;
    }
    for (size_t i = 0; i < FEATURE_COUNT; i++) h->own.features |= FEATURES[i].bit;
    bool fits = str_copy(setup->name, h->own.name, sizeof(h->own.name)) &&
                str_copy(setup->software, h->own.software, sizeof(h->own.software));
    ASSERT(fits && setup->name.len > 0);
    memcpy(h->own.nonce, setup->nonce, LINK_NONCE_BYTES);
    if (h->role == LINK_EDGE) send_hello(h, out);
}

void link_handshake_take(struct link_handshake *h, const Link__Packet *packet, struct buf *out)
{
    ASSERT(h->state == LINK_WAITS_FOR_HELLO || h->state == LINK_WAITS_FOR_PROOF);
    if (packet->body_case == LINK__PACKET__BODY_REFUSED && h->role == LINK_EDGE)
        take_refusal(h, packet->refused);
    else if (packet->body_case == LINK__PACKET__BODY_HELLO && h->state == LINK_WAITS_FOR_HELLO)
        take_hello(h, packet->hello, out);
    else if (packet->body_case == LINK__PACKET__BODY_PROOF && h->state == LINK_WAITS_FOR_PROOF)
        take_proof(h, packet->proof, out);
    else
        refuse(h, out, "not the way a link begins: is the address that of another service?");
}

bool link_handshake_has(const struct link_handshake *h, enum link_feature feature)
{
    return (h->own.features & h->peer.features & feature) != 0;
}
