/* SPDX-License-Identifier: Apache-2.0 */
/* http_private: what the files of the HTTP client share. The life of a call:

     http_start ─► ADDED ◄──────────┐ redirect: same call, same easy handle, next URL
                    │  │            │
                    │  ├─► PARKED ──┤ needs a name look-up and LOOKUPS_MAX are running; first in, first out
                    │  └─► WAITING ─┘ needs an OAuth token; most come here before they are ADDED
                    ▼
                  DOOMED (cancelled inside a libcurl callback, freed when libcurl has returned) or freed

   libcurl forbids most calls on a multi handle inside its own callbacks. So while `in_curl` is set, starting
   and cancelling only change lists; http_sweep does the rest afterwards. on_done is always called outside. */
#ifndef OBSAGENT_BASE_HTTP_PRIVATE_H
#define OBSAGENT_BASE_HTTP_PRIVATE_H

#include "http.h"

#include <curl/curl.h>

#include "base/buf.h"

#define HTTP_REDIRECTS_MAX 10
#define HTTP_LOOKUPS_MAX 16 /* each is a thread of libcurl's resolver */
#define HTTP_HEADER_BYTES_DEFAULT (16 * 1024)
#define HTTP_SKIPPED_BODY_MAX (64 * 1024) /* of a redirect: read so that the connection can be kept */

/* ---- http_url.c ---- */

/* A parsed http(s) URL. `text` has no user information and no fragment, so it may be shown and logged. */
struct http_url {
    char *text;
    char *host; /* IPv6 in brackets */
    char *port;
    char *user, *password; /* NULL when the URL had none */
    bool tls;
};

/* Parses ref, relative to base unless base is NULL. On failure nothing needs freeing; err never holds the
   URL. */
bool http_url_parse(struct http_url *u, const char *base, const char *ref, struct err *err) MUSTCHECK;
struct http_url http_url_copy(const struct http_url *u);
void http_url_free(struct http_url *u);
/* True when credentials meant for `from` may be sent to `to`: the same host and port, or the step from
   port 80 of a host to its port 443. Never from https to http. */
bool http_url_same_origin(const struct http_url *from, const struct http_url *to);
/* The text with another host name in it. Caller frees. */
char *http_url_with_host(const struct http_url *u, const char *host);
/* True for an IPv4 or (bracketed) IPv6 literal. */
bool http_host_is_literal(const char *host);

/* ---- http_secret.c ---- */

/* Like http_secret_read but for PEM: nothing trimmed, and *generation counts the versions of the file
   seen. */
bool http_pem_read(const struct http_secret *s, char **out, size_t *n, unsigned *generation,
                   struct err *err) MUSTCHECK;
/* Overwrites and frees; NULL is fine. */
void http_secret_free(char *text);
/* The next read does not trust what is remembered of the file. */
void http_secret_forget(const struct http_secret *s);

/* ---- http_oauth2.c ---- */

#define HTTP_TOKEN_FORM_MAX (256 * 1024)

/* Where the endpoint wants the client's id and secret. */
enum http_token_style { HTTP_TOKEN_STYLE_UNKNOWN, HTTP_TOKEN_STYLE_HEADER, HTTP_TOKEN_STYLE_BODY };

/* All of the struct http_token may be called in any thread. */
void http_token_free(struct http_token *t);
/* A copy of the Authorization header's value, freed by http_secret_free; NULL when a token must be got. */
char *http_token_header(struct http_token *t);
/* The token was refused: forgets it, once a second. */
void http_token_drop(struct http_token *t);

struct http_new_token {
    char *header; /* heap */
    int64_t renew_ms;
    enum http_token_style style;
};

/* True when `who` is the one to ask for the next token, until it releases. *style is what worked last time. */
bool http_token_claim(struct http_token *t, const void *who, enum http_token_style *style) MUSTCHECK;
/* Ends the claim if it is who's; takes made->header over. Without a header it came to nothing, and `made` NULL
   tells nothing new about the style either. */
void http_token_release(struct http_token *t, const void *who, struct http_new_token *made);
/* The body of the request. */
bool http_token_form(const struct http_oauth2 *a, enum http_token_style style, struct buf *form,
                     struct err *err) MUSTCHECK;
/* The "Authorization: ..." line of the request, for http_secret_free; NULL after an error. */
char *http_token_authorization(const struct http_oauth2 *a, struct err *err) MUSTCHECK;
/* Reads an answer; all of *made but the style. err never holds the secret. */
bool http_token_parse(const struct http_oauth2 *a, long status, struct str body, struct http_new_token *made,
                      struct err *err) MUSTCHECK;

/* ---- http_aws_keys.c ---- */

struct http_aws_keys {
    char *id, *secret, *session; /* heap; session may be NULL */
};

/* Those that a request is to be signed with now; http_aws_keys_free in any case. */
bool http_aws_keys_find(const struct http_sigv4 *a, struct http_aws_keys *keys, struct err *err) MUSTCHECK;
void http_aws_keys_free(struct http_aws_keys *keys);

/* ---- http_sigv4.c ---- */

#define HTTP_SIGV4_HASH_BYTES 65

/* What is signed. */
struct http_sigv4_request {
    const char *method, *path, *query; /* as they stand in the URL; query may be NULL */
    const struct http_sigv4_header {
        const char *name, *value; /* the name in lower case */
    } *headers; /* sorted by name */
    size_t headers_n;
    const char *body_hash;
    const char *date; /* 20150830T123600Z */
};

/* SHA-256 in hex. */
void http_sigv4_hash(struct str text, char out[HTTP_SIGV4_HASH_BYTES]);
/* The value of the Authorization header; http_secret_free. */
char *http_sigv4_authorization(const struct http_sigv4_request *r, const char *region, const char *service,
                               const struct http_aws_keys *keys);
/* Adds the headers of a signature to those of the present hop. */
bool http_sigv4_sign(struct http_call *call, struct err *err) MUSTCHECK;

/* ---- the client ---- */

enum http_state {
    HTTP_STARTING, /* waits until libcurl returns, to be added */
    HTTP_ADDED,    /* in its multi handle */
    HTTP_PARKED,
    HTTP_WAITING,  /* for a token, in its fetch's list */
    HTTP_DOOMED,
    HTTP_DONE, /* on_done is running; freed after it */
};

struct http_multi {
    CURLM *curl;
    struct http_client *client;
    struct loop_timer timer;
};

struct http_call {
    struct http_client *client;
    struct http_multi *multi;
    struct http_call *next, *prev;             /* all calls of the client */
    struct http_call *queue_next;              /* parked, starting, waiting or doomed */
    struct http_request request;               /* url, method, headers and unix_socket are copied below */
    enum http_state state;

    CURL *easy;
    struct curl_slist *headers;
    struct curl_slist *proxy_headers;
    struct curl_slist *connect_to;
    char error[CURL_ERROR_SIZE];
    struct err why; /* our own reason, before libcurl's */

    char *method;
    char **extra_headers; /* "Name: value", copied */
    size_t extra_headers_n;
    struct http_url url;
    char *unix_socket;
    struct http_url origin; /* where credentials belong */
    bool foreign;           /* a redirect led to another host: no credentials from here on */
    int redirects;

    bool needs_token;         /* there was none for the headers */
    struct http_fetch *fetch; /* that it waits for */

    bool proxied;    /* the present hop goes through a proxy */
    bool big_ca;     /* verified against a large bundle, see http_multi_pick */
    bool by_name;    /* a new connection needs a look-up */
    bool has_lookup; /* holds one of HTTP_LOOKUPS_MAX */
    bool park;       /* found none free: to be queued when libcurl gives the call back */

    struct loop_timer deadline;
    int64_t started_ns;

    struct buf head; /* header lines of the present response */
    bool head_done;
    long status;
    char *location;
    bool skip_body; /* a redirect that will be followed */
    bool aborted;
    uint64_t received, skipped;
};

struct http_call_queue {
    struct http_call *first, *last;
};

struct http_client {
    struct loop *loop;
    struct http_multi **multis;
    size_t multis_n;
    struct http_call *calls;
    CURL **spare; /* pooled easy handles */
    size_t spare_n, spare_cap;
    struct http_call_queue starting, parked, doomed;
    struct http_fetch *fetches, *left_fetches;
    size_t lookups;
    struct loop_timer kick; /* gives freed look-ups to parked calls */
    bool in_curl;
};

/* ---- http.c ---- */

/* Gives back the call's look-up, if it has one, and lets the next parked call go. */
void http_lookup_release(struct http_call *call);
/* libcurl is done with the call: follows a redirect, parks it, or reports and frees it. Outside libcurl
   only. */
void http_call_ended(struct http_call *call, CURLcode code);
/* Sets a call up again that was taken out of libcurl or waited, and adds it; reports it when call->why says
   so or it cannot be. Outside libcurl only. */
void http_call_resume(struct http_call *call);
void http_queue_push(struct http_call_queue *q, struct http_call *call);
struct http_call *http_queue_pop(struct http_call_queue *q);
void http_queue_remove(struct http_call_queue *q, struct http_call *call);
/* Adds what was started and frees what was cancelled inside callbacks. Outside libcurl only. */
void http_sweep(struct http_client *client);

/* ---- http_fetch.c ---- */

/* Makes the call, which is in no list, wait for its options' token: http_call_resume follows. */
bool http_fetch_wait(struct http_call *call, struct err *err) MUSTCHECK;
/* Takes a WAITING call out again; the last one to leave ends the fetch. */
void http_fetch_leave(struct http_call *call);
/* The one that has waited longest; there always is one. */
struct http_call *http_fetch_first(const struct http_fetch *f);
/* Host and port of the endpoint, for messages. */
const char *http_fetch_host(const struct http_fetch *f);
/* Frees what was left inside libcurl. Outside libcurl only. */
void http_fetches_sweep(struct http_client *client);

/* ---- http_multi.c ---- */

struct http_multi *http_multi_new(struct http_client *client);
void http_multi_free(struct http_multi *m);
void http_multi_limit(struct http_multi *m, size_t connections);

/* ---- http_easy.c ---- */

/* Resets the call's easy handle and sets everything for call->url. Sets call->needs_token. */
bool http_easy_setup(struct http_call *call, struct err *err) MUSTCHECK;
/* Notes in call->why that libcurl refused an option. */
void http_easy_note(struct http_call *call, CURLcode rc, const char *option);
#define HTTP_SET(call, option, value) \
    http_easy_note((call), curl_easy_setopt((call)->easy, option, value), #option)

/* ---- http_tls.c ---- */

/* Everything about TLS with the server and with an https proxy. Sets call->big_ca. */
bool http_tls_setup(struct http_call *call, bool https_proxy, struct err *err) MUSTCHECK;

/* ---- http_proxy.c ---- */

/* The proxy for u as libcurl takes it, NULL for none. Caller frees with http_secret_free. */
char *http_proxy_for(const struct http_options *o, const struct http_url *u);
/* True when Go's rules for NO_PROXY say that u is reached without a proxy. */
bool http_proxy_is_bypassed(const char *no_proxy, const struct http_url *u);

/* ---- http_headers.c ---- */

/* Builds call->headers for the present hop. */
bool http_headers_build(struct http_call *call, struct err *err) MUSTCHECK;

/* "Basic ..." for this pair. Caller frees with http_secret_free. */
char *http_basic_value(const char *user, const char *password);
/* Builds call->proxy_headers: what the present hop's proxy is told. */
bool http_headers_build_proxy(struct http_call *call, struct err *err) MUSTCHECK;

/* Adds one more line unless the caller or the configuration gave that header. */
void http_headers_default(struct http_call *call, const char *line);

/* ---- http_peer.c ---- */

/* Has libcurl keep the server's certificate, when the request wants to know the peer. */
void http_peer_setup(struct http_call *call);
/* Fills request.peer, if there is one. */
void http_peer_fill(const struct http_call *call, CURLcode code, bool timeout);

/* ---- http_response.c ---- */

/* libcurl's callbacks; ctx is the call. */
size_t http_on_head(char *p, size_t size, size_t n, void *ctx);
size_t http_on_body(char *p, size_t size, size_t n, void *ctx);
void http_response_reset(struct http_call *call);
/* Makes the result of a call that ended with `code`; text goes to the call. */
void http_result_fill(struct http_call *call, CURLcode code, bool timeout, struct http_result *result);

#endif
