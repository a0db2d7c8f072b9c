#include "store/certs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <unistd.h>

#define DAY_S (24L * 3600)

struct signer {
    X509 *cert;
    EVP_PKEY *key;
};

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert_non_null(extension);
    X509_add_ext(cert, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Signed by `by`, or by itself. names: as the extension subjectAltName has them, NULL: a CA. */
static struct signer sign(const char *common_name, const char *names, const struct signer *by)
{
    static long serial = 1;
    struct signer made = {X509_new(), EVP_EC_gen("P-256")};
    if (by == NULL) by = &made;
    assert_non_null(made.key);
    X509_set_version(made.cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made.cert), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made.cert), -DAY_S);
    X509_gmtime_adj(X509_getm_notAfter(made.cert), DAY_S);
    X509_set_pubkey(made.cert, made.key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made.cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(made.cert, X509_get_subject_name(by->cert));
    add_extension(made.cert, by->cert, NID_basic_constraints,
                  names == NULL ? "critical,CA:TRUE" : "CA:FALSE");
    if (names != NULL) add_extension(made.cert, by->cert, NID_subject_alt_name, names);
    assert_true(X509_sign(made.cert, by->key, EVP_sha256()) > 0);
    return made;
}

static void write_files(struct certs *certs, const struct signer *made, const char *name,
                        char *ret_cert, char *ret_key)
{
    snprintf(ret_cert, CERTS_PATH_MAX, "%s/%.16s.pem", certs->folder, name);
    snprintf(ret_key, CERTS_PATH_MAX, "%s/%.16s.key", certs->folder, name);
    FILE *cert = fopen(ret_cert, "w"), *key = fopen(ret_key, "w");
    assert_true(cert != NULL && key != NULL);
    assert_true(PEM_write_X509(cert, made->cert) == 1);
    assert_true(PEM_write_PrivateKey(key, made->key, NULL, NULL, 0, NULL, NULL) == 1);
    fclose(cert);
    fclose(key);
}

static void free_signer(struct signer *made)
{
    X509_free(made->cert);
    EVP_PKEY_free(made->key);
}

static void make_one(struct certs *certs, const char *name, const char *names,
                     const struct signer *by, char *ret_cert, char *ret_key)
{
    struct signer made = sign(name, names, by);
    write_files(certs, &made, name, ret_cert, ret_key);
    free_signer(&made);
}

void certs_make(struct certs *certs)
{
    snprintf(certs->folder, sizeof(certs->folder), "/tmp/stoa-certs-XXXXXX");
    assert_non_null(mkdtemp(certs->folder));
    struct signer ca = sign("ca", NULL, NULL);
    write_files(certs, &ca, "ca", certs->ca, certs->ca_key);
    make_one(certs, "stranger", NULL, NULL, certs->stranger, certs->stranger_key);
    make_one(certs, "server", "IP:127.0.0.1,IP:::1,DNS:localhost", &ca, certs->server,
             certs->server_key);
    make_one(certs, "other-host", "IP:127.0.0.9,DNS:elsewhere.test", &ca, certs->other_host,
             certs->other_host_key);
    make_one(certs, "client", "DNS:client", &ca, certs->client, certs->client_key);
    free_signer(&ca);
}

void certs_remove(struct certs *certs)
{
    const char *files[] = {certs->ca,         certs->ca_key,         certs->stranger,
                           certs->server,     certs->server_key,     certs->stranger_key,
                           certs->other_host, certs->other_host_key, certs->client,
                           certs->client_key};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) unlink(files[i]);
    rmdir(certs->folder);
}
