/* SPDX-License-Identifier: Apache-2.0 */
/* http_tls: TLS of one hop: with the server, and with an https proxy before it. Certificates and keys are read
   anew for each hop, so that a rotated one is shown on the next connection; libcurl reuses none that was made
   with another certificate or CA. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "http_private.h"

#define CA_CACHE_SECONDS (24L * 3600)
/* A CA up to this size is handed over as bytes, so a rotated file takes effect at once. A larger one goes
   by path: only then does libcurl keep the parsed store, and a bundle costs 868 kB and 22 ms a connection
   otherwise. */
#define SMALL_CA_BYTES (32 * 1024)

/* libcurl has every option twice. */
struct side {
    CURLoption ca_path, ca_dir, ca_blob, cert_blob, key_blob, version, ciphers, verify_peer, verify_host;
};

static const struct side server_side = {
    .ca_path = CURLOPT_CAINFO,
    .ca_dir = CURLOPT_CAPATH,
    .ca_blob = CURLOPT_CAINFO_BLOB,
    .cert_blob = CURLOPT_SSLCERT_BLOB,
    .key_blob = CURLOPT_SSLKEY_BLOB,
    .version = CURLOPT_SSLVERSION,
    .ciphers = CURLOPT_SSL_CIPHER_LIST,
    .verify_peer = CURLOPT_SSL_VERIFYPEER,
    .verify_host = CURLOPT_SSL_VERIFYHOST,
};

static const struct side proxy_side = {
    .ca_path = CURLOPT_PROXY_CAINFO,
    .ca_dir = CURLOPT_PROXY_CAPATH,
    .ca_blob = CURLOPT_PROXY_CAINFO_BLOB,
    .cert_blob = CURLOPT_PROXY_SSLCERT_BLOB,
    .key_blob = CURLOPT_PROXY_SSLKEY_BLOB,
    .version = CURLOPT_PROXY_SSLVERSION,
    .ciphers = CURLOPT_PROXY_SSL_CIPHER_LIST,
    .verify_peer = CURLOPT_PROXY_SSL_VERIFYPEER,
    .verify_host = CURLOPT_PROXY_SSL_VERIFYHOST,
};

static pthread_once_t bundle_once = PTHREAD_ONCE_INIT;
static const char *bundle_path;

/* Where distributions keep their CA bundle (the list of Go's crypto/x509), after SSL_CERT_FILE. */
static void find_bundle(void)
{
    static const char *const known[] = {
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem",
        "/etc/pki/tls/cacert.pem",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
        "/etc/ssl/cert.pem",
    };
    const char *chosen = getenv("SSL_CERT_FILE");
    for (size_t i = 0; !chosen && i < sizeof known / sizeof known[0]; i++) {
        if (access(known[i], R_OK) == 0)
            chosen = known[i];
    }
    bundle_path = chosen ? xstrdup(chosen) : known[0];
}

static void set_long(struct http_call *call, CURLoption option, long value)
{
    http_easy_note(call, curl_easy_setopt(call->easy, option, value), "an option of TLS");
}

static void set_text(struct http_call *call, CURLoption option, const char *value)
{
    http_easy_note(call, curl_easy_setopt(call->easy, option, value), "an option of TLS");
}

static void set_blob(struct http_call *call, CURLoption option, char *bytes, size_t n)
{
    struct curl_blob blob = {bytes, n, CURL_BLOB_COPY};
    http_easy_note(call, curl_easy_setopt(call->easy, option, &blob), "a certificate or key");
}

/* libcurl keeps a parsed store until the path differs; a few slashes more or less make it differ for each
   version of the file and mean the same file. */
static void set_ca_path(struct http_call *call, const struct side *side, const char *path, unsigned generation)
{
    const char *prefix = path[0] == '/' ? "///////" : "./././.";
    int extra = (int)(generation % 4) * 2;
    char *versioned = xasprintf("%.*s%s", extra, prefix, path);
    set_text(call, side->ca_path, versioned);
    call->big_ca = true;
    free(versioned);
}

static bool set_ca(struct http_call *call, const struct side *side, const struct http_options *o, struct err *err)
{
    set_text(call, side->ca_dir, NULL); /* a set one turns the CA cache off */
    HTTP_SET(call, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
    if (!o || (!o->tls_ca.value && !o->tls_ca.file)) {
        pthread_once(&bundle_once, find_bundle);
        set_ca_path(call, side, bundle_path, 0);
        return true;
    }
    char *pem;
    size_t n;
    unsigned generation;
    if (!http_pem_read(&o->tls_ca, &pem, &n, &generation, err))
        return false;
    if (o->tls_ca.file && n > SMALL_CA_BYTES)
        set_ca_path(call, side, o->tls_ca.file, generation);
    else
        set_blob(call, side->ca_blob, pem, n);
    free(pem);
    return true;
}

static bool set_pem(struct http_call *call, CURLoption option, const struct http_secret *s, struct err *err)
{
    char *pem;
    size_t n;
    unsigned generation;
    if (!s->value && !s->file)
        return true;
    if (!http_pem_read(s, &pem, &n, &generation, err))
        return false;
    set_blob(call, option, pem, n);
    http_secret_free(pem);
    return true;
}

static void set_versions(struct http_call *call, const struct side *side, const struct http_options *o)
{
    static const long min[] = {
        [HTTP_TLS_DEFAULT] = CURL_SSLVERSION_TLSv1_2, [HTTP_TLS10] = CURL_SSLVERSION_TLSv1_0,
        [HTTP_TLS11] = CURL_SSLVERSION_TLSv1_1,       [HTTP_TLS12] = CURL_SSLVERSION_TLSv1_2,
        [HTTP_TLS13] = CURL_SSLVERSION_TLSv1_3,
    };
    static const long max[] = {
        [HTTP_TLS_DEFAULT] = CURL_SSLVERSION_MAX_DEFAULT, [HTTP_TLS10] = CURL_SSLVERSION_MAX_TLSv1_0,
        [HTTP_TLS11] = CURL_SSLVERSION_MAX_TLSv1_1,       [HTTP_TLS12] = CURL_SSLVERSION_MAX_TLSv1_2,
        [HTTP_TLS13] = CURL_SSLVERSION_MAX_TLSv1_3,
    };
    enum http_tls_version low = o ? o->tls_min_version : HTTP_TLS_DEFAULT;
    enum http_tls_version high = o ? o->tls_max_version : HTTP_TLS_DEFAULT;
    if (low == HTTP_TLS_DEFAULT && high != HTTP_TLS_DEFAULT && high < HTTP_TLS12)
        low = high;
    set_long(call, side->version, min[low] | max[high]);
    /* OpenSSL 3 has no cipher for these at its usual security level. */
    if (low == HTTP_TLS10 || low == HTTP_TLS11)
        set_text(call, side->ciphers, "DEFAULT:@SECLEVEL=0");
}

static bool set_side(struct http_call *call, const struct side *side, const struct http_options *o, bool identify,
                     struct err *err)
{
    set_versions(call, side, o);
    if (o && identify &&
        (!set_pem(call, side->cert_blob, &o->tls_cert, err) || !set_pem(call, side->key_blob, &o->tls_key, err)))
        return false;
    if (!o || !o->tls_insecure_skip_verify)
        return set_ca(call, side, o, err);
    set_long(call, side->verify_peer, 0);
    set_long(call, side->verify_host, 0);
    return true;
}

bool http_tls_setup(struct http_call *call, bool https_proxy, struct err *err)
{
    const struct http_options *o = call->request.options;
    call->big_ca = false;
    if (https_proxy && !set_side(call, &proxy_side, o && o->has_proxy_tls ? o->proxy_peer : o, true, err))
        return false;
    return !call->url.tls || set_side(call, &server_side, o, !call->foreign, err);
}
