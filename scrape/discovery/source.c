/* SPDX-License-Identifier: Apache-2.0 */
/* source: what all kinds do the same way: lists of sets, and saying how a look went. */
#include "source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "../kubernetes/watch.h"

#define CONNECTIONS 16

const struct source_kind *const source_kinds[CONFIG_SD_KINDS] = {
    [CONFIG_SD_KUBERNETES] = &source_kubernetes,
    [CONFIG_SD_KUBELET] = &source_kubelet,
    [CONFIG_SD_HTTP] = &source_http,
    [CONFIG_SD_DNS] = &source_dns,
    [CONFIG_SD_CONSUL] = &source_consul,
    [CONFIG_SD_DOCKER] = &source_docker,
};

/* ---- lists ---- */

void discovery_sets_init(struct discovery_sets *sets, struct label_names *names)
{
    *sets = (struct discovery_sets){.names = names};
}

void discovery_sets_free(struct discovery_sets *sets)
{
    for (size_t i = 0; i < sets->n; i++)
        label_set_unref(sets->v[i]);
    free(sets->v);
    discovery_sets_init(sets, sets->names);
}

void discovery_sets_take(struct discovery_sets *sets, struct label_set *s)
{
    sets->v = xgrow(sets->v, &sets->cap, sets->n + 1, sizeof(struct label_set *));
    sets->v[sets->n++] = s;
}

void discovery_sets_add(struct discovery_sets *sets, const struct labels *labels)
{
    discovery_sets_take(sets, label_set_new(sets->names, labels));
}

void discovery_sets_add_all(struct discovery_sets *sets, const struct discovery_sets *from)
{
    for (size_t i = 0; i < from->n; i++)
        discovery_sets_take(sets, label_set_ref(from->v[i]));
}

static bool same_sets(const struct discovery_sets *a, const struct discovery_sets *b)
{
    bool equal = a->n == b->n;
    for (size_t i = 0; equal && i < a->n; i++)
        equal = label_set_equal(a->v[i], b->v[i]);
    return equal;
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = label_set_hash(*(struct label_set *const *)a), y = label_set_hash(*(struct label_set *const *)b);
    return (x > y) - (x < y);
}

void discovery_sets_sort(struct discovery_sets *sets)
{
    if (sets->n > 0)
        qsort(sets->v, sets->n, sizeof(struct label_set *), by_hash);
}

void discovery_sets_unique(struct discovery_sets *sets)
{
    size_t kept = 0;
    if (sets->n > 0)
        qsort(sets->v, sets->n, sizeof(struct label_set *), by_hash);
    for (size_t i = 0; i < sets->n; i++) {
        if (kept > 0 && label_set_equal(sets->v[kept - 1], sets->v[i]))
            label_set_unref(sets->v[i]);
        else
            sets->v[kept++] = sets->v[i];
    }
    sets->n = kept;
}

bool discovery_sets_replace(struct discovery_sets *sets, struct discovery_sets *news)
{
    if (same_sets(sets, news)) {
        discovery_sets_free(news);
        return false;
    }
    discovery_sets_sort(sets);
    for (size_t i = 0; i < news->n && sets->n > 0; i++) {
        struct label_set **same = bsearch(&news->v[i], sets->v, sets->n, sizeof(struct label_set *), by_hash);
        if (!same || !label_set_equal(*same, news->v[i]))
            continue;
        label_set_unref(news->v[i]);
        news->v[i] = label_set_ref(*same);
    }
    discovery_sets_free(sets);
    *sets = *news;
    discovery_sets_init(news, news->names);
    return true;
}

/* ---- sources ---- */

void source_init(struct source *s, const struct source_kind *kind, const struct config_sd *config,
                 struct source_host *host)
{
    *s = (struct source){.kind = kind, .config = config, .host = host, .owner = config_ref(host->config)};
}

void source_good(struct source *s, bool changed)
{
    if (s->error[0])
        log_info("discovery", "%s: works again", s->kind->name);
    bool first = !s->known;
    s->error[0] = '\0';
    s->looked = s->known = true;
    if (changed)
        s->changed_ms = clock_wall_ms();
    if (changed || first)
        s->host->changed(s->host->ctx, s);
}

void source_changed(struct source *s)
{
    s->changed_ms = clock_wall_ms();
    s->host->changed(s->host->ctx, s);
}

void source_failed(struct source *s, const char *format, ...)
{
    char error[sizeof s->error];
    va_list args;
    va_start(args, format);
    vsnprintf(error, sizeof error, format, args);
    va_end(args);
    bool first = !s->looked, news = strcmp(error, s->error) != 0;
    s->failures++;
    s->looked = true;
    if (news) {
        memcpy(s->error, error, sizeof error);
        log_warn("discovery", "%s: %s%s", s->kind->name, error, s->known ? "; the last known targets stay" : "");
    }
    if (first)
        s->host->changed(s->host->ctx, s);
}

struct http_client *source_client(struct source_host *host)
{
    if (!host->http)
        host->http = http_client_new(host->loop, (struct http_client_limits){.connections = CONNECTIONS, .multis = 1});
    return host->http;
}

void source_host_close(struct source_host *host)
{
    kube_hub_free(host->kube);
    host->kube = NULL;
    if (host->http)
        http_client_free(host->http);
    host->http = NULL;
}
