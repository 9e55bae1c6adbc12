/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: one GET of a target: the request's headers, what counts as a good answer and which format it has,
   decompression and the body limit. */
#ifndef OBSAGENT_SCRAPE_FETCH_H
#define OBSAGENT_SCRAPE_FETCH_H

#include "exposition.h"
#include "http.h"
#include "target.h"

/* One per worker: the HTTP client and what fetches share. */
struct fetcher;

struct fetcher *fetcher_new(struct loop *loop, const char *user_agent);
/* All fetches must have ended or been cancelled. */
void fetcher_free(struct fetcher *f);
/* Adjusts to a changed number of targets. */
void fetcher_resize(struct fetcher *f, size_t targets);

struct fetch_result {
    bool ok;         /* status 200 and the whole body taken */
    bool timeout;
    bool body_limit; /* body_size_limit was hit */
    struct str error;    /* when !ok; valid during the callback */
    double seconds;
    uint64_t body_bytes; /* inflated */
    uint64_t wire_bytes; /* as received */
};

struct fetch_request {
    struct target *target;
    struct config *config; /* a reference is kept, because job lies inside */
    const struct config_job *job;
    /* Inflated body bytes of a good answer. False with err stops the fetch. */
    bool (*on_bytes)(void *ctx, const void *p, size_t n, struct err *err);
    /* Exactly once unless cancelled, never before fetch_start returned. */
    void (*on_done)(void *ctx, const struct fetch_result *result);
    void *ctx;
};

struct fetch;

/* NULL and err when it cannot even be started; no callback follows then. */
struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *request, struct err *err) MUSTCHECK;
void fetch_cancel(struct fetch *fetch);
/* The format of the body, known from its first byte on. */
enum exposition_format fetch_format(const struct fetch *fetch);

#endif
