/* SPDX-License-Identifier: Apache-2.0 */
/* http_easy: one easy handle set up for one hop. libcurl's defaults suit a command line tool; the settings
   here were measured, see the comments for what each one saves. */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/log.h"
#include "http_private.h"

/* Longer than any usual scrape interval, or slow targets would lose keep-alive. */
#define IDLE_SECONDS_MAX 660L
#define CONNECT_MS_MAX 30000L /* for exchanges without an end, e.g. a watch */
#define CA_CACHE_SECONDS (24L * 3600)
/* A CA up to this size is handed over as bytes, so a rotated file takes effect at once. A larger one goes
   by path: only then does libcurl keep the parsed store, and a bundle costs 868 kB and 22 ms a connection
   otherwise. */
#define SMALL_CA_BYTES (32 * 1024)

static void note(struct http_call *call, CURLcode rc, const char *option)
{
    if (rc != CURLE_OK)
        err_set(&call->why, "libcurl does not take %s: %s", option, curl_easy_strerror(rc));
}

#define SET(call, option, value) note((call), curl_easy_setopt((call)->easy, option, value), #option)

/* ---- name look-ups ---- */

/* Called when a new connection is about to look up its host. Literal addresses come here too. */
static int on_lookup(void *resolver, void *reserved, void *ctx)
{
    (void)resolver;
    (void)reserved;
    struct http_call *call = ctx;
    if (!call->by_name || call->has_lookup)
        return 0;
    if (call->client->lookups >= HTTP_LOOKUPS_MAX) {
        call->park = true;
        return 1;
    }
    call->client->lookups++;
    call->has_lookup = true;
    return 0;
}

/* A socket means the name is known. */
static int on_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)fd;
    (void)purpose;
    http_lookup_release(ctx);
    return CURL_SOCKOPT_OK;
}

static bool proxy_by_name(const char *proxy_url)
{
    CURLU *h = curl_url();
    char *host = NULL;
    bool by_name = true;
    unsigned lax = CURLU_GUESS_SCHEME | CURLU_NON_SUPPORT_SCHEME;
    if (h && curl_url_set(h, CURLUPART_URL, proxy_url, lax) == CURLUE_OK &&
        curl_url_get(h, CURLUPART_HOST, &host, 0) == CURLUE_OK)
        by_name = !http_host_is_literal(host);
    curl_free(host);
    curl_url_cleanup(h);
    return by_name;
}

/* ---- groups of options ---- */

static void set_callbacks(struct http_call *call)
{
    SET(call, CURLOPT_PRIVATE, call);
    SET(call, CURLOPT_ERRORBUFFER, call->error);
    SET(call, CURLOPT_HEADERFUNCTION, http_on_head);
    SET(call, CURLOPT_HEADERDATA, call);
    SET(call, CURLOPT_WRITEFUNCTION, http_on_body);
    SET(call, CURLOPT_WRITEDATA, call);
    SET(call, CURLOPT_RESOLVER_START_FUNCTION, on_lookup);
    SET(call, CURLOPT_RESOLVER_START_DATA, call);
    SET(call, CURLOPT_SOCKOPTFUNCTION, on_socket);
    SET(call, CURLOPT_SOCKOPTDATA, call);
}

static void set_transport(struct http_call *call)
{
    const struct http_options *o = call->request.options;
    SET(call, CURLOPT_NOSIGNAL, 1L);          /* else sigaction per handle: 1.2 ms a request, 1000 handles */
    SET(call, CURLOPT_QUICK_EXIT, 1L);        /* else a timeout joins the resolver thread: the loop stands */
    SET(call, CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* else each transfer walks the cache: 446 -> 996 us at 10k */
    SET(call, CURLOPT_SSL_SESSIONID_CACHE, 0L); /* pooled handles meet another host each time */
    SET(call, CURLOPT_BUFFERSIZE, 16L * 1024);
    SET(call, CURLOPT_TCP_KEEPALIVE, 1L);
    SET(call, CURLOPT_MAXAGE_CONN, IDLE_SECONDS_MAX);
    SET(call, CURLOPT_PROTOCOLS_STR, "http,https");
    SET(call, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    SET(call, CURLOPT_FOLLOWLOCATION, 0L); /* we follow ourselves, see http_call_ended */
    SET(call, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(call, CURLOPT_HTTP_VERSION,
        o && o->enable_http2 ? (long)CURL_HTTP_VERSION_2TLS : (long)CURL_HTTP_VERSION_1_1);
    if (call->request.timeout_ms <= 0)
        SET(call, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS_MAX);
    if (call->request.fresh_connection)
        SET(call, CURLOPT_FRESH_CONNECT, 1L);
    if (call->unix_socket)
        SET(call, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
}

static void set_proxy(struct http_call *call)
{
    const struct http_options *o = call->request.options;
    /* "" keeps libcurl from reading http_proxy and no_proxy from the environment. */
    const char *proxy = o && o->proxy_url ? o->proxy_url : "";
    SET(call, CURLOPT_PROXY, proxy);
    SET(call, CURLOPT_NOPROXY, o && o->no_proxy ? o->no_proxy : "");
    call->by_name = !call->unix_socket &&
                    (!http_host_is_literal(call->url.host) || (proxy[0] && proxy_by_name(proxy)));
}

static void set_method(struct http_call *call)
{
    struct str body = call->request.body;
    if (strcmp(call->method, "HEAD") == 0) {
        SET(call, CURLOPT_NOBODY, 1L);
        return;
    }
    bool post = strcmp(call->method, "POST") == 0;
    if (post || body.n > 0) {
        SET(call, CURLOPT_POST, 1L);
        SET(call, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.n);
        SET(call, CURLOPT_POSTFIELDS, body.n > 0 ? body.p : "");
    }
    if (!post && (body.n > 0 || strcmp(call->method, "GET") != 0))
        SET(call, CURLOPT_CUSTOMREQUEST, call->method);
}

/* ---- TLS ---- */

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

static void set_blob(struct http_call *call, CURLoption option, const char *name, char *bytes, size_t n)
{
    struct curl_blob blob = {bytes, n, CURL_BLOB_COPY};
    note(call, curl_easy_setopt(call->easy, option, &blob), name);
}

/* libcurl keeps a parsed store until the path differs; a few slashes more or less make it differ for each
   version of the file and mean the same file. */
static void set_ca_path(struct http_call *call, const char *path, unsigned generation)
{
    const char *prefix = path[0] == '/' ? "///////" : "./././.";
    int extra = (int)(generation % 4) * 2;
    char *versioned = xasprintf("%.*s%s", extra, prefix, path);
    SET(call, CURLOPT_CAINFO, versioned);
    call->big_ca = true;
    free(versioned);
}

static bool set_ca(struct http_call *call, const struct http_options *o, struct err *err)
{
    SET(call, CURLOPT_CAPATH, NULL); /* a set one turns the CA cache off */
    SET(call, CURLOPT_CA_CACHE_TIMEOUT, CA_CACHE_SECONDS);
    if (!o || (!o->tls_ca.value && !o->tls_ca.file)) {
        pthread_once(&bundle_once, find_bundle);
        set_ca_path(call, bundle_path, 0);
        return true;
    }
    char *pem;
    size_t n;
    unsigned generation;
    if (!http_pem_read(&o->tls_ca, &pem, &n, &generation, err))
        return false;
    if (o->tls_ca.file && n > SMALL_CA_BYTES)
        set_ca_path(call, o->tls_ca.file, generation);
    else
        set_blob(call, CURLOPT_CAINFO_BLOB, "CURLOPT_CAINFO_BLOB", pem, n);
    free(pem);
    return true;
}

static bool set_client_certificate(struct http_call *call, const struct http_options *o, struct err *err)
{
    char *pem;
    size_t n;
    unsigned generation;
    if (o->tls_cert.value || o->tls_cert.file) {
        if (!http_pem_read(&o->tls_cert, &pem, &n, &generation, err))
            return false;
        set_blob(call, CURLOPT_SSLCERT_BLOB, "CURLOPT_SSLCERT_BLOB", pem, n);
        http_secret_free(pem);
    }
    if (o->tls_key.value || o->tls_key.file) {
        if (!http_pem_read(&o->tls_key, &pem, &n, &generation, err))
            return false;
        set_blob(call, CURLOPT_SSLKEY_BLOB, "CURLOPT_SSLKEY_BLOB", pem, n);
        http_secret_free(pem);
    }
    return true;
}

static void set_tls_versions(struct http_call *call, const struct http_options *o)
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
    SET(call, CURLOPT_SSLVERSION, min[low] | max[high]);
    /* OpenSSL 3 has no cipher for these at its usual security level. */
    if (low == HTTP_TLS10 || low == HTTP_TLS11)
        SET(call, CURLOPT_SSL_CIPHER_LIST, "DEFAULT:@SECLEVEL=0");
}

static bool set_tls(struct http_call *call, struct err *err)
{
    const struct http_options *o = call->request.options;
    call->big_ca = false;
    if (!call->url.tls)
        return true;
    set_tls_versions(call, o);
    if (o && !call->foreign && !set_client_certificate(call, o, err))
        return false;
    if (o && o->tls_insecure_skip_verify) {
        SET(call, CURLOPT_SSL_VERIFYPEER, 0L);
        SET(call, CURLOPT_SSL_VERIFYHOST, 0L);
        return true;
    }
    return set_ca(call, o, err);
}

/* ---- the URL ---- */

/* libcurl takes the name for SNI and verification from the URL. To use another one, the URL gets that
   name, the connection is led to the real host, and the Host header says what the URL said. */
static bool set_other_server_name(struct http_call *call, const char *name, struct err *err)
{
    char *url = http_url_with_host(&call->url, name);
    if (!url)
        return err_set(err, "invalid server_name");
    SET(call, CURLOPT_URL, url);
    free(url);
    char *connect_to = xasprintf("%s:%s:%s:%s", name, call->url.port, call->url.host, call->url.port);
    call->connect_to = curl_slist_append(NULL, connect_to);
    free(connect_to);
    SET(call, CURLOPT_CONNECT_TO, call->connect_to);
    bool usual_port = strcmp(call->url.port, "443") == 0;
    char *host = usual_port ? xasprintf("Host: %s", call->url.host)
                            : xasprintf("Host: %s:%s", call->url.host, call->url.port);
    http_headers_default(call, host);
    free(host);
    return true;
}

static bool set_url(struct http_call *call, struct err *err)
{
    const struct http_options *o = call->request.options;
    curl_slist_free_all(call->connect_to);
    call->connect_to = NULL;
    const char *name = o ? o->tls_server_name : NULL;
    if (call->url.tls && name && name[0] && !call->foreign && strcmp(name, call->url.host) != 0)
        return set_other_server_name(call, name, err);
    SET(call, CURLOPT_URL, call->url.text);
    return true;
}

bool http_easy_setup(struct http_call *call, struct err *err)
{
    curl_easy_reset(call->easy);
    set_callbacks(call);
    set_transport(call);
    set_proxy(call);
    set_method(call);
    if (!http_headers_build(call, err) || !set_tls(call, err) || !set_url(call, err))
        return false;
    SET(call, CURLOPT_HTTPHEADER, call->headers);
    if (err_is(&call->why))
        return err_set(err, "%s", call->why.msg);
    return true;
}
