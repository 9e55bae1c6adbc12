/* SPDX-License-Identifier: Apache-2.0 */
/* http: the HTTP client of the house, libcurl's multi interface on one of our loops. Scraping, remote write and
   discovery all go through it, so that auth, TLS, limits and secrets are handled in one place. */
#ifndef OBSAGENT_HTTP_H
#define OBSAGENT_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/hide.h"
#include "base/loop.h"
#include "base/str.h"

#include <stdint.h>

/* A secret or PEM given inline or as a file (at most one is set). Files are read when used, again when their
   mtime, size or inode changed; trailing white space is trimmed from secrets. Never logged. */
struct http_secret {
    char *value;
    char *file;
};

struct http_header {
    char *name;
    char *value;
    bool secret;
    char *file; /* holds the value, read like an http_secret's; NULL = `value` it is */
};

enum http_tls_version { HTTP_TLS_DEFAULT, HTTP_TLS10, HTTP_TLS11, HTTP_TLS12, HTTP_TLS13 };

/* How to talk to one kind of peer: plain data of a configuration generation, immutable once loaded. Names as in
   Prometheus's HTTP client configuration. Zero means the default except where said. */
struct http_options {
    /* At most one of has_authorization, has_basic_auth and oauth2. */
    bool has_authorization;
    char *authorization_type; /* "Bearer" by default; "" sends the credentials raw */
    struct http_secret credentials;
    bool has_basic_auth;
    struct http_secret username;
    struct http_secret password;
    struct http_oauth2 *oauth2; /* NULL = none */
    struct http_sigv4 *sigv4;   /* NULL = none; instead of the above */

    struct http_header *headers; /* a name may come several times */
    size_t headers_n;

    struct http_secret tls_ca, tls_cert, tls_key;
    char *tls_server_name;
    bool tls_insecure_skip_verify;
    enum http_tls_version tls_min_version, tls_max_version;

    char *proxy_url; /* http, https, socks5 or socks5h; either socks5 leaves looking up names to the proxy, as in Go */
    char *no_proxy;  /* Go's rules: hosts, .domains, addresses, networks, each with :port if need be, or * */
    bool proxy_from_environment; /* HTTP_PROXY, HTTPS_PROXY, NO_PROXY; not looked at otherwise */
    struct http_header *proxy_connect_headers; /* for the CONNECT that reaches an https server */
    size_t proxy_connect_headers_n;
    /* What the proxy is told of us: authorization, basic auth, headers (with every request) and, when
       has_proxy_tls, TLS with an https proxy, which else goes by tls_*. NULL = nothing. */
    struct http_options *proxy_peer;
    bool has_proxy_tls;
    bool follow_redirects; /* default true: the loader sets it */
    bool enable_http2;     /* over TLS, when the server offers it; default false here */

    char *unix_socket;         /* to connect to instead of the URL's host; NULL = none; not with a proxy */
    bool shuffle_addresses;    /* each new connection begins with another one of the name's addresses */
    int64_t connection_max_ms; /* a connection older than that serves no further request; 0 = any may */
};

/* OAuth 2.0 client credentials (RFC 6749, 4.4). */
struct http_oauth2 {
    char *client_id;
    struct http_secret client_secret;
    char **scopes;
    size_t scopes_n;
    char *token_url;
    struct http_param {
        char *name, *value;
    } *params; /* further fields of the form; grant_type may be among them */
    size_t params_n;
    struct http_options endpoint; /* how to talk to token_url: headers, TLS, proxy */
    struct http_token *token;     /* the present one, shared by all clients in all threads */
};

/* AWS Signature Version 4. Keys that are not given here are those of the environment (unless a profile is named) or of
   the shared file of credentials, which is read again when it changed. */
struct http_sigv4 {
    char *region, *service; /* service NULL = aps */
    char *access_key, *secret_key;
    char *profile;     /* NULL = AWS_PROFILE's or the default one */
    char *shared_file; /* NULL = there is none */
};

/* Where AWS's tools look for shared credentials; heap, NULL without a home directory. */
char *http_aws_file(void);

/* Without a token, everything else empty. Freed with the options it hangs on. */
struct http_oauth2 *http_oauth2_new(void);

void http_options_free(struct http_options *o); /* the contents, not the struct */

/* One client per loop. */
struct http_client;

struct http_client_limits {
    size_t connections; /* idle connections to keep: the number of targets, at least 8 */
    size_t multis;      /* multi handles to spread targets over; 0 = 1 for every 16 connections, at most 64 */
};

struct http_client *http_client_new(struct loop *loop, struct http_client_limits limits);
/* Cancels what runs (no callback is made) and closes all connections. */
void http_client_free(struct http_client *client);
/* Adjusts to a changed number of targets. */
void http_client_resize(struct http_client *client, struct http_client_limits limits);

/* What came back. Views are valid during the callback only. */
struct http_result {
    bool ok;             /* a whole response arrived (whatever its status) */
    bool aborted;        /* on_body or on_header said stop */
    bool timeout;
    bool reused_dead;    /* failed on a connection that had served before: worth one immediate retry */
    long status;         /* 0 when there was no response */
    struct str error;    /* for a human when !ok; "context deadline exceeded"-like for timeouts */
    double seconds;      /* total */
    double seconds_dns, seconds_connect, seconds_tls, seconds_first_byte;
    uint64_t bytes_sent; /* body */
    uint64_t bytes_received;
    const struct http_call *call; /* for http_result_hide */
};

/* Which step of the way failed. */
enum http_failure {
    HTTP_FAILURE_NONE, HTTP_FAILURE_NAME, HTTP_FAILURE_CONNECT, HTTP_FAILURE_TLS, HTTP_FAILURE_CERTIFICATE,
    HTTP_FAILURE_OTHER
};
/* What is wrong with a server's certificate. */
enum http_fault {
    HTTP_FAULT_NONE, HTTP_FAULT_AUTHORITY, HTTP_FAULT_EXPIRED, HTTP_FAULT_NOT_YET_VALID, HTTP_FAULT_HOST,
    HTTP_FAULT_OTHER
};

/* Who was at the other end, for commands that explain. Texts are cut to their size. */
struct http_peer {
    enum http_failure failure;
    enum http_fault fault;
    char address[64]; /* "10.0.0.1:443", "[::1]:443"; "" when there was no connection */
    bool has_certificate; /* of the server; only seen when a new connection was made and the handshake succeeded */
    char subject[256], issuer[256], names[512];
    int64_t valid_from_s, valid_until_s; /* since 1970 */
};

struct http_request {
    const char *url;
    const char *method;       /* NULL = GET */
    struct str body;          /* must stay until on_done */
    const char *const *headers; /* "Name: value" lines, NULL-terminated, copied */
    const struct http_options *options; /* must stay until on_done; may be NULL */
    int64_t timeout_ms;       /* for the whole exchange */
    uint64_t spread;          /* any stable number, e.g. the target's hash: picks the multi handle */
    size_t max_header_bytes;  /* 0 = 16 KiB */
    bool fresh_connection;    /* do not reuse one; nor keep it for an answer of 400 and more */
    bool close_connection;    /* and this one is not kept either; the server is told so */
    const char *unix_socket;  /* path, before that of the options, or NULL */
    struct http_peer *peer;   /* NULL, or to be filled before on_done */
    /* Called when the final response has begun, before its headers. May be NULL. */
    void (*on_status)(void *ctx, long status);
    /* Called for each response header of the final response, name in lower case. May be NULL. */
    void (*on_header)(void *ctx, struct str name, struct str value);
    /* Body bytes as they arrive, not decoded. False stops the exchange (result.aborted). May be NULL: discarded. */
    bool (*on_body)(void *ctx, long status, const void *p, size_t n);
    /* Exactly once unless cancelled. May start new requests. */
    void (*on_done)(void *ctx, const struct http_result *result);
    void *ctx;
};

struct http_call;

/* Starts an exchange; callbacks come from the loop's thread, never before http_start returned. NULL and err when
   it cannot even be started (bad URL, unreadable credentials or TLS file: the message names the file, not its
   contents); no callback follows then. Authorization is never sent to another host on a redirect. With oauth2
   the exchange waits, within its timeout, for a token when there is none: however many wait, one is asked for. */
struct http_call *http_start(struct http_client *client, const struct http_request *request, struct err *err) MUSTCHECK;
/* Stops it without a callback. */
void http_cancel(struct http_client *client, struct http_call *call);

/* Forgets cached secrets, files and the OAuth token of these options, so that the next request reads them again
   (after a 401), in any thread. Only the first of many calls within a second drops a token. */
void http_options_reread(const struct http_options *o);
/* Stands for the present versions of all files these options name; 0 when they name none. Reads no contents. */
uint64_t http_options_stamp(const struct http_options *o);
/* The secret's present value into out (freed by caller); false when its file cannot be read. NULL value when unset. */
bool http_secret_read(const struct http_secret *s, char **out, struct err *err) MUSTCHECK;

/* Puts <secret> where `text`, words of the other side, says something back that it was told of us, or that it was asked
   for with: credentials, secret headers, passwords and keys in the URL or for the proxy. During on_done only. */
void http_result_hide(const struct http_result *result, struct buf *text);
void http_result_hide_err(const struct http_result *result, struct err *err);
/* Adds all that a request with this url and these headers and options would tell, for texts that outlive it. */
void http_request_secrets(const struct http_request *request, struct hide *h);

#endif
