/* SPDX-License-Identifier: Apache-2.0 */
/* web: the agent's own HTTP: metrics, health, reload, the API in Prometheus's shape, and pages for people. Read-only,
   without secrets. */
#ifndef OBSAGENT_WEB_H
#define OBSAGENT_WEB_H

#include "config.h"
#include "queue.h"
#include "remote.h"
#include "scrape.h"

/* What the pages show; everything is asked at the moment of the request, from the server's thread. */
struct web_sources {
    const struct scrape_engine *scrape;
    const struct remote *remote;
    struct queue *queue;
    struct ledger *ledger;
    /* The running generation with a reference for the caller. */
    struct config *(*config)(void *ctx);
    /* Reloads now and waits for the result: true, or false with err. Called from the server's thread. */
    bool (*reload)(void *ctx, struct err *err);
    /* Whether the last attempt to load a configuration succeeded, and when one last did; may be NULL. */
    void (*reload_state)(void *ctx, bool *ok, int64_t *success_wall_ms);
    void *ctx;
    const char *version;
    struct history *history; /* filled in by web_start */
    const char *flags_json; /* the command line as a JSON object of text, without secrets; may be NULL */
};

struct web_options {
    const char *listen_address; /* host:port, :port, [v6]:port; port 0 takes a free one */
    const char *web_config_file; /* TLS and auth in Prometheus's web configuration format, or NULL */
    bool enable_lifecycle;
    struct web_sources sources;
};

struct web;

/* Listens and serves from an own thread; logs `listening on http://ADDR:PORT`. NULL and err when the address or the web
   configuration is bad. */
struct web *web_start(const struct web_options *options, struct err *err) MUSTCHECK;
unsigned web_port(const struct web *w);
/* To be called often, from one thread: takes what the plots show when it is time. */
void web_tick(struct web *w);
/* Answers what is in progress, then stops. */
void web_stop(struct web *w);

#endif
