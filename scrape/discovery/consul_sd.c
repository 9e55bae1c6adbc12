/* SPDX-License-Identifier: Apache-2.0 */
/* consul_sd: targets from Consul's catalog, by blocking queries: Consul answers when there is something newer than the
   index that we know. One query watches the list of services, one each service; the datacenter is asked for once.
   Rules: prometheus discovery/consul/consul.go. */
#include "source.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "consul_answer.h"
#include "sd_get.h"

#define WAIT_MS 120000       /* how long Consul may think */
#define TIMEOUT_MS 135000    /* and travel */
#define RETRY_MS 15000       /* after a failure, when the refresh interval is longer */
#define URL_MAX 65536

enum question { DATACENTER, SERVICES, INSTANCES };

struct watch {
    struct consul_sd *sd;
    enum question question;
    char *service; /* of INSTANCES */
    struct sd_get get;
    struct loop_timer next;
    int64_t asked_ms;
    uint64_t index; /* 0 = has no answer */
    struct discovery_sets sets;
    bool tried, good;
    bool wanted; /* in the list of services that is being read */
    char error[200];
};

struct consul_sd {
    struct source source;
    const struct config_consul_sd *config;
    struct watch **watches; /* the one for the datacenter or the services first */
    size_t watches_n, watches_cap;
    char *datacenter; /* NULL = not known yet */
    char *base;       /* "http://host:8500/prefix" */
    char *socket;     /* or NULL */
    char *token;      /* a header, or NULL */
};

static void ask(void *ctx);
static void on_answer(void *ctx, const struct sd_answer *a);

/* ---- watches ---- */

static void watch_add(struct consul_sd *s, enum question question, const char *service)
{
    struct watch *w = xcalloc(1, sizeof *w);
    *w = (struct watch){.sd = s, .question = question, .service = xstrdup(service), .wanted = true};
    sd_get_init(&w->get, s->source.host, &s->source.config->http, on_answer, w);
    discovery_sets_init(&w->sets, s->source.host->names);
    s->watches = xgrow(s->watches, &s->watches_cap, s->watches_n + 1, sizeof(struct watch *));
    s->watches[s->watches_n++] = w;
    loop_timer_set(s->source.host->loop, &w->next, loop_now(s->source.host->loop), ask, w);
}

static void watch_free(struct watch *w)
{
    loop_timer_clear(w->sd->source.host->loop, &w->next);
    sd_get_close(&w->get);
    discovery_sets_free(&w->sets);
    free(w->service);
    free(w);
}

static void watch_everything(struct consul_sd *s)
{
    const struct config_consul_sd *c = s->config;
    if (!s->datacenter) {
        watch_add(s, DATACENTER, NULL);
    } else if (c->services.n == 0 || c->tags.n > 0) {
        watch_add(s, SERVICES, NULL);
    } else {
        for (size_t i = 0; i < c->services.n; i++)
            watch_add(s, INSTANCES, c->services.v[i]);
    }
}

/* ---- asking ---- */

static void add_parameter(struct buf *url, const char *name, const char *value)
{
    if (!value || !*value)
        return;
    buf_addf(url, "%c%s=", strchr(buf_c(url), '?') ? '&' : '?', name);
    sd_add_escaped(url, str_of(value));
}

static void add_query(const struct watch *w, struct buf *url)
{
    const struct config_consul_sd *c = w->sd->config;
    char number[32];
    snprintf(number, sizeof number, "%llu", (unsigned long long)w->index);
    add_parameter(url, "dc", c->datacenter);
    add_parameter(url, "ns", c->space);
    add_parameter(url, "partition", c->partition);
    if (w->index > 0)
        add_parameter(url, "index", number);
    snprintf(number, sizeof number, "%dms", WAIT_MS);
    add_parameter(url, "wait", number);
    for (size_t i = 0; i < c->node_meta.n; i++)
        add_parameter(url, "node-meta", c->node_meta.v[i]);
    if (w->question == INSTANCES) {
        for (size_t i = 0; i < c->tags.n; i++)
            add_parameter(url, "tag", c->tags.v[i]);
    }
    add_parameter(url, "filter", w->question == INSTANCES ? c->health_filter : c->filter);
    if (c->allow_stale)
        buf_add_c(url, "&stale=");
}

static void add_url(const struct watch *w, struct buf *url)
{
    static const char *const paths[] = {
        [DATACENTER] = "/v1/agent/self", [SERVICES] = "/v1/catalog/services", [INSTANCES] = "/v1/health/service/"};
    buf_addf(url, "%s%s", w->sd->base, paths[w->question]);
    if (w->question == INSTANCES)
        sd_add_escaped(url, str_of(w->service));
    if (w->question != DATACENTER)
        add_query(w, url);
}

static void plan(struct watch *w, bool good)
{
    int64_t now = loop_now(w->sd->source.host->loop), interval = w->sd->source.config->refresh_interval_ms;
    int64_t at = good ? w->asked_ms + interval : now + (interval < RETRY_MS ? interval : RETRY_MS);
    loop_timer_set(w->sd->source.host->loop, &w->next, at > now ? at : now, ask, w);
}

/* ---- what it comes to ---- */

/* One watch that fails says it for all, the first in the list: all fail the same way when the server is away. */
static const char *first_error(const struct consul_sd *s)
{
    for (size_t i = 0; i < s->watches_n; i++) {
        if (s->watches[i]->error[0])
            return s->watches[i]->error;
    }
    return NULL;
}

static bool all_tried(const struct consul_sd *s, bool *any_good)
{
    bool tried = s->datacenter != NULL;
    *any_good = false;
    for (size_t i = 0; i < s->watches_n; i++) {
        tried &= s->watches[i]->tried;
        *any_good |= s->watches[i]->good;
    }
    return tried;
}

/* After an answer or a change of the list. */
static void sum_up(struct consul_sd *s, bool failed, bool changed)
{
    bool any_good, tried = all_tried(s, &any_good);
    const char *error = first_error(s);
    if (!error && tried) {
        source_good(&s->source, changed);
        return;
    }
    if (tried && any_good)
        s->source.known = true;
    if (changed)
        source_changed(&s->source);
    if (failed)
        source_failed(&s->source, "%s", error);
}

static void watch_failed(struct watch *w, const char *why)
{
    w->tried = true;
    w->index = 0; /* so that the next answer comes at once */
    snprintf(w->error, sizeof w->error, "%s%s%s: %s", w->sd->base, w->service ? " service " : "",
             w->service ? w->service : "", why);
    plan(w, false);
    sum_up(w->sd, true, false);
}

static void watch_worked(struct watch *w, bool changed)
{
    w->tried = w->good = true;
    w->error[0] = '\0';
    plan(w, true);
    sum_up(w->sd, false, changed);
}

/* ---- answers ---- */

static void want_service(void *ctx, const char *service)
{
    struct consul_sd *s = ctx;
    for (size_t i = 0; i < s->watches_n; i++) {
        struct watch *w = s->watches[i];
        if (w->service && strcmp(w->service, service) == 0) {
            w->wanted = true;
            return;
        }
    }
    watch_add(s, INSTANCES, service);
}

static bool drop_unwanted(struct consul_sd *s)
{
    size_t kept = 0;
    bool changed = false;
    for (size_t i = 0; i < s->watches_n; i++) {
        struct watch *w = s->watches[i];
        if (w->wanted) {
            s->watches[kept++] = w;
        } else {
            changed |= w->sets.n > 0;
            watch_free(w);
        }
    }
    s->watches_n = kept;
    return changed;
}

static void take_services(struct watch *w, struct str body)
{
    struct consul_sd *s = w->sd;
    struct err err = {0};
    for (size_t i = 0; i < s->watches_n; i++)
        s->watches[i]->wanted = s->watches[i] == w;
    if (consul_services_read(body, s->config, want_service, s, &err)) {
        watch_worked(w, drop_unwanted(s));
        return;
    }
    watch_failed(w, err.msg);
}

static void take_instances(struct watch *w, struct str body)
{
    struct consul_sd *s = w->sd;
    struct discovery_sets news;
    struct err err = {0};
    discovery_sets_init(&news, s->source.host->names);
    if (consul_health_read(body, w->service, s->datacenter, s->config->tag_separator, &news, &err)) {
        discovery_sets_sort(&news);
        watch_worked(w, discovery_sets_replace(&w->sets, &news));
        return;
    }
    discovery_sets_free(&news);
    watch_failed(w, err.msg);
}

/* The watch has done all it is for. */
static void take_datacenter(struct watch *w, struct str body)
{
    struct consul_sd *s = w->sd;
    struct err err = {0};
    s->datacenter = consul_datacenter_read(body, &err);
    if (!s->datacenter) {
        watch_failed(w, err.msg);
        return;
    }
    s->watches_n = 0;
    watch_free(w);
    watch_everything(s);
}

/* An index that went back means that the server began anew. */
static bool is_news(struct watch *w, struct str text)
{
    char number[32];
    snprintf(number, sizeof number, "%.*s", STR_ARG(text));
    uint64_t index = strtoull(number, NULL, 10), before = w->index;
    w->index = index < before ? 0 : index;
    return index == 0 || index != before;
}

static void on_answer(void *ctx, const struct sd_answer *a)
{
    struct watch *w = ctx;
    struct err err = {0};
    if (a->error[0])
        err_set(&err, "%s", a->error);
    else if (a->status != 200)
        sd_status_text(a->status, a->body, &err);
    if (err_is(&err))
        watch_failed(w, err.msg);
    else if (w->question == DATACENTER)
        take_datacenter(w, a->body);
    else if (!is_news(w, a->index))
        watch_worked(w, false);
    else if (w->question == SERVICES)
        take_services(w, a->body);
    else
        take_instances(w, a->body);
}

static void ask(void *ctx)
{
    struct watch *w = ctx;
    struct consul_sd *s = w->sd;
    const char *const headers[] = {s->token, NULL};
    struct err err = {0};
    struct buf url;
    buf_init(&url, URL_MAX);
    add_url(w, &url);
    w->asked_ms = loop_now(s->source.host->loop);
    if (url.overflow || !sd_get_start(&w->get, buf_c(&url), s->socket, headers, TIMEOUT_MS, &err))
        watch_failed(w, url.overflow ? "the URL is too long" : err.msg);
    buf_free(&url);
}

/* ---- the kind ---- */

/* "host:8500", also with a scheme of its own, or "unix:///path". */
static void find_server(struct consul_sd *s)
{
    const struct config_consul_sd *c = s->config;
    struct str server = str_trim(str_of(c->server)), prefix = str_of(c->path_prefix ? c->path_prefix : "");
    bool slash = prefix.n > 0 && prefix.p[0] != '/';
    while (prefix.n > 0 && prefix.p[prefix.n - 1] == '/')
        prefix.n--;
    if (str_starts(server, STR("unix://"))) {
        s->socket = str_dup(str_skip(server, strlen("unix://")));
        server = STR("localhost");
    }
    bool whole = str_find(server, STR("://")) < server.n;
    s->base = xasprintf("%s%s%.*s%s%.*s", whole ? "" : c->scheme, whole ? "" : "://", STR_ARG(server), slash ? "/" : "",
                        STR_ARG(prefix));
}

static struct source *open_consul(const struct config_sd *config, struct source_host *host)
{
    struct consul_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_consul, config, host);
    s->config = &config->consul;
    s->datacenter = xstrdup(config->consul.datacenter);
    s->token = config->consul.token ? xasprintf("X-Consul-Token: %s", config->consul.token) : NULL;
    find_server(s);
    watch_everything(s);
    return &s->source;
}

static void add(const struct source *source, struct discovery_sets *sets)
{
    const struct consul_sd *s = (const struct consul_sd *)source;
    for (size_t i = 0; i < s->watches_n; i++)
        discovery_sets_add_all(sets, &s->watches[i]->sets);
}

static void describe(const struct source *source, struct buf *out)
{
    const struct consul_sd *s = (const struct consul_sd *)source;
    buf_addf(out, "%s%s%s", s->base, s->socket ? " at " : "", s->socket ? s->socket : "");
}

static void close_consul(struct source *source)
{
    struct consul_sd *s = (struct consul_sd *)source;
    for (size_t i = 0; i < s->watches_n; i++)
        watch_free(s->watches[i]);
    free(s->watches);
    free(s->datacenter);
    free(s->base);
    free(s->socket);
    free(s->token);
    free(s);
}

const struct source_kind source_consul = {"consul_sd_configs", open_consul, add, describe, close_consul};
