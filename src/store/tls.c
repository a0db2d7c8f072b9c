#include "store/tls.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/alloc.h"
#include "base/assert.h"

#define WHY_BYTES 256
/* Plain text given to OpenSSL at once, so that its buffer for what goes out stays small. */
#define SLICE_BYTES ((size_t)16 * 1024)

struct tls {
    SSL_CTX *ctx; /* counts its own references: each session has one */
};

struct tls_session {
    SSL *ssl;
    BIO *in, *out;    /* owned by ssl */
    bool is_hopeless; /* nothing could be checked against this host */
    char why[WHY_BYTES];
};

/* --- settings -------------------------------------------------------------------------------- */

/* What OpenSSL says of the first thing that went wrong, which is the cause of the others. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_error();
    const char *text = code == 0 ? NULL : ERR_reason_error_string(code);
    return text != NULL ? text : "no reason given";
}

/* A key with a passphrase would stop the server to ask for it on the terminal. */
static int no_passphrase(char *buf, int size, int is_written, void *arg)
{
    (void)buf, (void)size, (void)is_written, (void)arg;
    return 0;
}

static bool load_ca(SSL_CTX *ctx, const char *path, char *why, size_t why_cap)
{
    int ok = path == NULL ? SSL_CTX_set_default_verify_paths(ctx)
                          : SSL_CTX_load_verify_locations(ctx, path, NULL);
    if (ok == 1) return true;
    snprintf(why, why_cap,
             "cannot read the certificates of CAs in %s: %s; give the path of a PEM file",
             path == NULL ? "the system's folder" : path, reason());
    return false;
}

static bool load_cert(SSL_CTX *ctx, const struct tls_files *files, char *why, size_t why_cap)
{
    const char *key = files->key != NULL ? files->key : files->cert;
    if (SSL_CTX_use_certificate_chain_file(ctx, files->cert) != 1) {
        snprintf(why, why_cap, "cannot read the certificate in %s: %s; give the path of a PEM file",
                 files->cert, reason());
        return false;
    }
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        snprintf(why, why_cap,
                 "cannot use the key in %s: %s; give the path of a PEM file without a passphrase, "
                 "with the key of %s",
                 key, reason(), files->cert);
        return false;
    }
    return true;
}

static SSL_CTX *make_ctx(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    ASSERT(ctx != NULL);
    long ok = SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    ASSERT(ok == 1);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    return ctx;
}

static struct tls *tls_new(const SSL_METHOD *method, const struct tls_files *files, char *why,
                           size_t why_cap)
{
    SSL_CTX *ctx = make_ctx(method);
    bool is_client = method == TLS_client_method();
    ERR_clear_error();
    bool ok = (!is_client && files->ca == NULL) || load_ca(ctx, files->ca, why, why_cap);
    ok = ok && (files->cert == NULL || load_cert(ctx, files, why, why_cap));
    ERR_clear_error();
    if (!ok) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    struct tls *tls = xcalloc(1, sizeof(*tls));
    tls->ctx = ctx;
    return tls;
}

struct tls *tls_client_new(const struct tls_files *files, char *ret_why, size_t why_cap)
{
    struct tls *tls = tls_new(TLS_client_method(), files, ret_why, why_cap);
    if (tls != NULL) SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER, NULL);
    return tls;
}

struct tls *tls_server_new(const struct tls_files *files, char *ret_why, size_t why_cap)
{
    if (files->cert == NULL) {
        snprintf(ret_why, why_cap, "a TLS server needs a certificate; give the path of a PEM file");
        return NULL;
    }
    struct tls *tls = tls_new(TLS_server_method(), files, ret_why, why_cap);
    if (tls == NULL) return NULL;
    SSL_CTX_set_num_tickets(tls->ctx, 0); /* connections are few and long */
    if (files->ca != NULL)
        SSL_CTX_set_verify(tls->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return tls;
}

void tls_free(struct tls *tls)
{
    if (tls == NULL) return;
    SSL_CTX_free(tls->ctx);
    free(tls);
}

/* --- sessions -------------------------------------------------------------------------------- */

static bool is_address(const char *host)
{
    unsigned char bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

/* The name for the check and, where it is a name, for a server that has several certificates. False
 * for what cannot be one. */
static bool expect_host(SSL *ssl, const char *host)
{
    if (host[0] == '\0') return false; /* to OpenSSL it would be: any */
    if (is_address(host)) return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    char name[TLSEXT_MAXLEN_host_name + 1]; /* OpenSSL's macro wants one that it may write to */
    if (!str_copy(str_of(host), name, sizeof(name))) return false;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct tls_session *tls_session_new(struct tls *tls, const char *host)
{
    struct tls_session *s = xcalloc(1, sizeof(*s));
    s->ssl = SSL_new(tls->ctx);
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    ASSERT(s->ssl != NULL && s->in != NULL && s->out != NULL);
    SSL_set_bio(s->ssl, s->in, s->out);
    if (SSL_is_server(s->ssl)) {
        SSL_set_accept_state(s->ssl);
    } else {
        SSL_set_connect_state(s->ssl);
        s->is_hopeless = !expect_host(s->ssl, host);
    }
    return s;
}

void tls_session_free(struct tls_session *s)
{
    if (s == NULL) return;
    SSL_free(s->ssl);
    free(s);
}

/* A memory BIO takes all that it is given. */
void tls_session_feed(struct tls_session *s, struct str bytes)
{
    size_t taken;
    if (bytes.len == 0) return;
    int ok = BIO_write_ex(s->in, bytes.ptr, bytes.len, &taken);
    ASSERT(ok == 1 && taken == bytes.len);
}

void tls_session_take(struct tls_session *s, struct buf *out)
{
    size_t count = BIO_ctrl_pending(s->out), taken = 0;
    if (count == 0) return;
    buf_reserve(out, count);
    int ok = BIO_read_ex(s->out, out->ptr + out->len, count, &taken);
    ASSERT(ok == 1 && taken == count);
    out->len += taken;
}

static void describe_failure(struct tls_session *s)
{
    long verified = SSL_get_verify_result(s->ssl);
    if (verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH)
        snprintf(s->why, sizeof(s->why),
                 "TLS: the certificate is for another host; use the name that is in it");
    else if (verified != X509_V_OK)
        snprintf(s->why, sizeof(s->why),
                 "TLS: the certificate is refused (%s); give the file of the CA that signed it",
                 X509_verify_cert_error_string(verified));
    else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER)
        snprintf(s->why, sizeof(s->why),
                 "TLS: the other side does not speak TLS 1.2 or newer; is it a plain port?");
    else if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED)
        snprintf(s->why, sizeof(s->why),
                 "TLS: the other side asks for a certificate; give one, and its key");
    else
        snprintf(s->why, sizeof(s->why), "TLS: %s", reason());
}

/* After a call that did not succeed. */
static enum tls_result result_of(struct tls_session *s, int ret)
{
    switch (SSL_get_error(s->ssl, ret)) {
    case SSL_ERROR_WANT_READ: return TLS_MORE;
    case SSL_ERROR_ZERO_RETURN: return TLS_ENDED;
    default: break;
    }
    describe_failure(s);
    ERR_clear_error();
    return TLS_FAILED;
}

enum tls_result tls_session_shake(struct tls_session *s)
{
    if (s->is_hopeless) {
        snprintf(s->why, sizeof(s->why), "TLS: no certificate can be for a host of this name");
        return TLS_FAILED;
    }
    ERR_clear_error();
    int ret = SSL_do_handshake(s->ssl);
    return ret == 1 ? TLS_OK : result_of(s, ret);
}

enum tls_result tls_session_read(struct tls_session *s, char *ret_bytes, size_t cap,
                                 size_t *ret_len)
{
    ERR_clear_error();
    int ret = SSL_read_ex(s->ssl, ret_bytes, cap, ret_len);
    return ret == 1 ? TLS_OK : result_of(s, ret);
}

enum tls_result tls_session_write(struct tls_session *s, struct str bytes, struct buf *out)
{
    size_t written;
    while (bytes.len > 0) {
        ERR_clear_error();
        int ret = SSL_write_ex(s->ssl, bytes.ptr, bytes.len < SLICE_BYTES ? bytes.len : SLICE_BYTES,
                               &written);
        if (ret != 1) {
            result_of(s, ret);
            return TLS_FAILED;
        }
        bytes = str_make(bytes.ptr + written, bytes.len - written);
        tls_session_take(s, out);
    }
    return TLS_OK;
}

const char *tls_session_why(const struct tls_session *s)
{
    return s->why;
}
