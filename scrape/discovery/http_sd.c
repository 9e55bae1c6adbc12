/* SPDX-License-Identifier: Apache-2.0 */
/* http_sd: target groups that an HTTP service gives as JSON. Rules: prometheus discovery/http/http.go. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "http_groups.h"
#include "sd_get.h"

#define AGAIN_MS 50
#define URL_MAX 65536

struct http_sd {
    struct source source;
    struct discovery_sets sets;
    struct sd_get get;
    char *shown; /* the URL without secrets */
    struct loop_timer next;
    uint64_t body_hash; /* of what `sets` were read from */
    char interval[64];  /* a header */
};

static void read_body(struct http_sd *s, struct str body)
{
    struct discovery_sets news;
    struct err err = {0};
    uint64_t hash = hash_bytes(body.p, body.n);
    if (s->source.known && hash == s->body_hash) {
        source_good(&s->source, false);
        return;
    }
    discovery_sets_init(&news, s->source.host->names);
    if (http_groups_read(body, s->shown, &news, &err)) {
        s->body_hash = hash;
        source_good(&s->source, discovery_sets_replace(&s->sets, &news));
    } else {
        source_failed(&s->source, "%s: %s", s->shown, err.msg);
        discovery_sets_free(&news);
    }
}

static void on_answer(void *ctx, const struct sd_answer *a)
{
    struct http_sd *s = ctx;
    struct err err = {0};
    if (a->error[0])
        err_set(&err, "%s", a->error);
    else if (a->status != 200)
        sd_status_text(a->status, STR_NULL, &err);
    else if (!http_groups_type(a->type))
        err_set(&err, "unsupported content type \"%.*s\"", STR_ARG(a->type));
    if (err_is(&err))
        source_failed(&s->source, "%s: %s", s->shown, err.msg);
    else
        read_body(s, a->body);
}

static void look(void *ctx)
{
    struct http_sd *s = ctx;
    const struct config_sd *config = s->source.config;
    const char *const headers[] = {s->interval, NULL};
    struct err err = {0};
    bool busy = s->get.call != NULL; /* its time is over with the interval, so it ends in a moment */
    int64_t now = loop_now(s->source.host->loop);
    loop_timer_set(s->source.host->loop, &s->next, now + (busy ? AGAIN_MS : config->refresh_interval_ms), look, s);
    if (!busy && !sd_get_start(&s->get, config->http_sd.url, NULL, headers, config->refresh_interval_ms, &err))
        source_failed(&s->source, "%s: %s", s->shown, err.msg);
}

static char *shown_url(const char *url)
{
    struct buf shown;
    buf_init(&shown, URL_MAX);
    config_show_url(&shown, url);
    return buf_take(&shown);
}

static struct source *open_http(const struct config_sd *config, struct source_host *host)
{
    struct http_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_http, config, host);
    discovery_sets_init(&s->sets, host->names);
    sd_get_init(&s->get, host, &config->http, on_answer, s);
    s->shown = shown_url(config->http_sd.url);
    snprintf(s->interval, sizeof s->interval, "X-Prometheus-Refresh-Interval-Seconds: %.15g",
             (double)config->refresh_interval_ms / 1000);
    loop_timer_set(host->loop, &s->next, loop_now(host->loop), look, s);
    return &s->source;
}

static void add(const struct source *s, struct discovery_sets *sets)
{
    discovery_sets_add_all(sets, &((const struct http_sd *)s)->sets);
}

static void describe(const struct source *s, struct buf *out)
{
    buf_add_c(out, ((const struct http_sd *)s)->shown);
}

static void close_http(struct source *source)
{
    struct http_sd *s = (struct http_sd *)source;
    loop_timer_clear(source->host->loop, &s->next);
    sd_get_close(&s->get);
    discovery_sets_free(&s->sets);
    free(s->shown);
    free(s);
}

const struct source_kind source_http = {"http_sd_configs", open_http, add, describe, close_http};
