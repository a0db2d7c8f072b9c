/* Certificates for a test of TLS, made when it begins, in a temporary folder: a CA, what it has
 * signed (a server's for 127.0.0.1, ::1 and localhost; one for another host; a client's), and a CA
 * that has signed nothing. P-256, valid for a day. */
#ifndef STOA_TEST_CERTS_H
#define STOA_TEST_CERTS_H

#define CERTS_PATH_MAX 64

/* Paths. Each certificate has its key beside it. */
struct certs {
    char folder[32];
    char ca[CERTS_PATH_MAX], ca_key[CERTS_PATH_MAX];
    char stranger[CERTS_PATH_MAX], stranger_key[CERTS_PATH_MAX];
    char server[CERTS_PATH_MAX], server_key[CERTS_PATH_MAX];
    char other_host[CERTS_PATH_MAX], other_host_key[CERTS_PATH_MAX];
    char client[CERTS_PATH_MAX], client_key[CERTS_PATH_MAX];
};

void certs_make(struct certs *certs);
void certs_remove(struct certs *certs);

#endif
