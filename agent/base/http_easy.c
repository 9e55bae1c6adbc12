/* SPDX-License-Identifier: Apache-2.0 */
/* http_easy: one easy handle set up for one hop. libcurl's defaults suit a command line tool; the settings
   here were measured, see the comments for what each one saves. */
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/log.h"
#include "http_private.h"

/* Longer than any usual scrape interval, or slow targets would lose keep-alive. */
#define IDLE_SECONDS_MAX 660L
#define CONNECT_MS_MAX 30000L /* for exchanges without an end, e.g. a watch */

void http_easy_note(struct http_call *call, CURLcode rc, const char *option)
{
    if (rc != CURLE_OK)
        err_set(&call->why, "libcurl does not take %s: %s", option, curl_easy_strerror(rc));
}

#define SET(call, option, value) HTTP_SET(call, option, value)

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
    if (h && curl_url_set(h, CURLUPART_URL, proxy_url, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK &&
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
    if (call->request.close_connection)
        SET(call, CURLOPT_FORBID_REUSE, 1L);
    if (call->unix_socket)
        SET(call, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
    if (o && o->shuffle_addresses)
        SET(call, CURLOPT_DNS_SHUFFLE_ADDRESSES, 1L);
    if (o && o->connection_max_ms > 0)
        SET(call, CURLOPT_MAXLIFETIME_CONN, (long)((o->connection_max_ms + 999) / 1000));
}

/* A proxy looks up the server's name itself. */
static bool set_proxy(struct http_call *call, bool *https_proxy, struct err *err)
{
    const struct http_options *o = call->request.options;
    char *proxy = o && !call->unix_socket ? http_proxy_for(o, &call->url) : NULL;
    call->proxied = proxy != NULL;
    *https_proxy = proxy && strncasecmp(proxy, "https:", 6) == 0;
    /* "" keeps libcurl from reading http_proxy and no_proxy from the environment. */
    SET(call, CURLOPT_PROXY, proxy ? proxy : "");
    SET(call, CURLOPT_NOPROXY, "");
    call->by_name = proxy ? proxy_by_name(proxy) : !call->unix_socket && !http_host_is_literal(call->url.host);
    http_secret_free(proxy);
    if (!http_headers_build_proxy(call, err))
        return false;
    if (call->proxy_headers)
        SET(call, CURLOPT_PROXYHEADER, call->proxy_headers);
    return true;
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
    set_method(call);
    bool https_proxy;
    if (!set_proxy(call, &https_proxy, err) || !http_headers_build(call, err) ||
        !http_tls_setup(call, https_proxy, err) || !set_url(call, err))
        return false;
    SET(call, CURLOPT_HTTPHEADER, call->headers);
    http_peer_setup(call);
    if (err_is(&call->why))
        return err_set(err, "%s", call->why.msg);
    return true;
}
