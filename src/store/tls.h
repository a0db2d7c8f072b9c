/* TLS for store/transport.c: settings of a client or a server, and sessions that turn bytes into
 * bytes (OpenSSL over memory BIOs), without a socket.
 *
 *   network --tls_session_feed()--> session --tls_session_read()----> plain text
 *   network <--tls_session_take()-- session <--tls_session_write()--- plain text
 *
 * TLS 1.2 or newer. A client checks the server's certificate against the CA file (without one: those
 * that the system trusts) and for the name or address that it connected to. A server with a CA file
 * asks clients for certificates and refuses those that it has not signed. An idle session keeps no
 * buffers (SSL_MODE_RELEASE_BUFFERS).
 *
 * A session holds a reference to its settings. One thread. */
#ifndef STOA_STORE_TLS_H
#define STOA_STORE_TLS_H

#include "base/buf.h"

struct tls;
struct tls_session;

/* Paths of PEM files, NULL: none. */
struct tls_files {
    const char *ca;
    const char *cert; /* with its chain; a server needs it */
    const char *key;  /* NULL: in the file of the certificate */
};

/* NULL, and what is wrong in ret_why, for the operator. */
struct tls *tls_client_new(const struct tls_files *files, char *ret_why, size_t why_cap);
struct tls *tls_server_new(const struct tls_files *files, char *ret_why, size_t why_cap);
/* Sessions that are still there keep what they need. tls may be NULL. */
void tls_free(struct tls *tls);

enum tls_result {
    TLS_OK,
    TLS_MORE,   /* first more has to come from the peer */
    TLS_ENDED,  /* the peer has said that nothing more comes */
    TLS_FAILED, /* tls_session_why() */
};

/* host: the name or address that the server's certificate has to be for; a server's session takes
 * NULL. */
struct tls_session *tls_session_new(struct tls *tls, const char *host);
void tls_session_free(struct tls_session *s); /* s may be NULL */
/* Bytes that came from the peer: copied. */
void tls_session_feed(struct tls_session *s, struct str bytes);
/* Moves what is to go to the peer to the end of `out`; also after TLS_FAILED, since that tells the
 * peer. */
void tls_session_take(struct tls_session *s, struct buf *out);
/* One step of the handshake: TLS_OK when it is done. */
enum tls_result tls_session_shake(struct tls_session *s);
/* Up to `cap` bytes of plain text; *ret_len is set with TLS_OK alone, and is then not 0. */
enum tls_result tls_session_read(struct tls_session *s, char *ret_bytes, size_t cap,
                                 size_t *ret_len);
/* With what is then to go to the peer. TLS_OK or TLS_FAILED. */
enum tls_result tls_session_write(struct tls_session *s, struct str bytes, struct buf *out);
/* Of the last TLS_FAILED; borrowed. */
const char *tls_session_why(const struct tls_session *s);

#endif
