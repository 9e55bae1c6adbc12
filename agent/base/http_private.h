/* SPDX-License-Identifier: Apache-2.0 */
/* http_private: what the files of the HTTP client share. The life of a call:

     http_start ─► ADDED ◄──────────┐ redirect: same call, same easy handle, next URL
                    │  │            │
                    │  └─► PARKED ──┘ needs a name look-up and LOOKUPS_MAX are running; first in, first out
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

/* ---- the client ---- */

enum http_state {
    HTTP_STARTING, /* waits until libcurl returns, to be added */
    HTTP_ADDED,    /* in its multi handle */
    HTTP_PARKED,
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
    struct http_call *queue_next;              /* parked, starting or doomed */
    struct http_request request;               /* url, method, headers and unix_socket are copied below */
    enum http_state state;

    CURL *easy;
    struct curl_slist *headers;
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
/* Adds what was started and frees what was cancelled inside callbacks. Outside libcurl only. */
void http_sweep(struct http_client *client);

/* ---- http_multi.c ---- */

struct http_multi *http_multi_new(struct http_client *client);
void http_multi_free(struct http_multi *m);
void http_multi_limit(struct http_multi *m, size_t connections);

/* ---- http_easy.c ---- */

/* Resets the call's easy handle and sets everything for call->url. */
bool http_easy_setup(struct http_call *call, struct err *err) MUSTCHECK;

/* ---- http_headers.c ---- */

/* Builds call->headers for the present hop. */
bool http_headers_build(struct http_call *call, struct err *err) MUSTCHECK;

/* Adds one more line unless the caller or the configuration gave that header. */
void http_headers_default(struct http_call *call, const char *line);

/* ---- http_response.c ---- */

/* libcurl's callbacks; ctx is the call. */
size_t http_on_head(char *p, size_t size, size_t n, void *ctx);
size_t http_on_body(char *p, size_t size, size_t n, void *ctx);
void http_response_reset(struct http_call *call);
/* Makes the result of a call that ended with `code`; text goes to the call. */
void http_result_fill(struct http_call *call, CURLcode code, bool timeout, struct http_result *result);

#endif
