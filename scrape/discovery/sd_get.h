/* SPDX-License-Identifier: Apache-2.0 */
/* sd_get: one GET at a time for kinds of discovery that ask an HTTP service for JSON, with the whole body in hand. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_SD_GET_H
#define OBSAGENT_SCRAPE_DISCOVERY_SD_GET_H

#include <jansson.h>

#include "source.h"

#define SD_BODY_MAX ((size_t)64 << 20)

struct sd_get;

/* What came; views are valid during the call. `error` is "" when there was an answer, of any status. */
struct sd_answer {
    long status;
    struct str type;  /* Content-Type */
    struct str index; /* X-Consul-Index */
    struct str body;
    const char *error;
};

typedef void sd_get_done_fn(void *ctx, const struct sd_answer *answer);

/* Lives inside its owner's struct. */
struct sd_get {
    struct source_host *host;
    const struct http_options *options;
    struct http_call *call; /* NULL = nothing is under way */
    struct buf body;
    char type[128], index[32];
    bool retried, too_large;
    char *url, *unix_socket;
    const char **headers; /* the request's, ended by NULL */
    int64_t timeout_ms;
    sd_get_done_fn *done;
    void *ctx;
};

void sd_get_init(struct sd_get *g, struct source_host *host, const struct http_options *options, sd_get_done_fn *done,
                 void *ctx);
/* Stops what is under way, without a call. */
void sd_get_close(struct sd_get *g);
/* Asks; nothing else may be under way. `headers`: NULL-terminated "Name: value" lines besides our own, or NULL; they
   stay until it is done. `unix_socket`: NULL = the URL's host. False and err when it cannot be started; else `done` is
   called once, later; it may start the next. */
bool sd_get_start(struct sd_get *g, const char *url, const char *unix_socket, const char *const *headers,
                  int64_t timeout_ms, struct err *err) MUSTCHECK;

/* "server returned HTTP status 404 Not Found: ..." with the beginning of what the body says, unless that is empty. */
void sd_status_text(long status, struct str body, struct err *err);
/* Appends s as a query's value or a piece of a path. */
void sd_add_escaped(struct buf *out, struct str s);
/* The body as JSON; NULL and where it is wrong. */
json_t *sd_json(struct str body, struct err *err) MUSTCHECK;
/* A member's text; empty when there is none or it is something else. */
struct str sd_text(const json_t *object, const char *key);
/* prefix + key, of which each character but letters, digits and _ becomes _; into the arena. */
struct str sd_label_name(struct arena *arena, const char *prefix, const char *key);
/* "host:port", the host in brackets when it has a colon; into the arena. */
struct str sd_host_port(struct arena *arena, struct str host, long long port);

/* Sets what a client's result says without libcurl's " after 3 ms", so that the same trouble has the same words each
   time and is told once. */
void sd_lasting_error(struct err *err, struct str text);

#endif
