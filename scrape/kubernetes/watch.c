/* SPDX-License-Identifier: Apache-2.0 */
/* watch: asks, reads, waits, and asks again. What is known stays whatever happens; only a complete list or an event
   takes objects away. */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/units.h"
#include "../discovery/sd_get.h"
#include "watch_private.h"

#define BACKOFF_MS 800
#define BACKOFF_MAX_MS 30000
#define RETRY_AFTER_MAX_MS 120000
#define LIST_TIMEOUT_MS 300000
#define WATCH_TIMEOUT_MS 330000 /* the server ends it before */
#define SHORT_WATCH_MS 1000
#define WORDS_MAX 16384

static void ask_soon(struct kube_watch *w, int64_t ms);

/* ---- failing ---- */

/* Twice as long each time, and spread, so that many agents do not come back together. */
static int64_t backoff(struct kube_watch *w)
{
    int64_t ms = BACKOFF_MS;
    for (unsigned i = 0; i < w->tries && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    int64_t now = clock_mono_ms();
    ms += (int64_t)(hash_more(w->hash, str_make((const char *)&now, sizeof now)) % (uint64_t)(ms + 1));
    w->tries++;
    ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
    return w->retry_after_ms > ms ? w->retry_after_ms : ms;
}

static void failed(struct kube_watch *w, const char *why)
{
    struct buf text;
    char error[sizeof w->error];
    buf_init(&text, 4096);
    kube_request_text(w, &text);
    buf_addf(&text, ": %s", why);
    snprintf(error, sizeof error, "%s", buf_c(&text));
    buf_free(&text);
    bool news = strcmp(error, w->error) != 0;
    memcpy(w->error, error, sizeof error);
    w->watch_failed = w->phase == KUBE_WATCHING;
    w->denied = false;
    kube_tell(w, KUBE_FAILED, news);
    ask_soon(w, backoff(w));
}

/* A list that comes does not make up for a watch that fails. Nor does either mean that nothing was tried in vain: that
   is known when the watch has lasted. */
static void good(struct kube_watch *w)
{
    bool news = w->error[0] != '\0' && (!w->watch_failed || w->phase == KUBE_WATCHING);
    if (news)
        w->error[0] = '\0';
    if (news && w->listed)
        kube_tell(w, KUBE_GOOD, 0);
}

/* What the server says in a Status, else the beginning of its words. */
static void put_words(const struct kube_watch *w, long status, struct buf *out)
{
    json_t *root = json_loadb(w->words.p ? w->words.p : "", w->words.n, 0, NULL);
    struct str message = kube_text(root, "message"), raw = str_trim(buf_str(&w->words));
    buf_addf(out, "%ld", status);
    if (message.n > 0)
        buf_addf(out, " %.*s", STR_ARG(message));
    else
        buf_addf(out, " %.*s", STR_ARG(str_make(raw.p, raw.n < 100 ? raw.n : 100)));
    json_decref(root);
}

/* From the beginning, with the server's newest. */
static void begin_anew(struct kube_watch *w)
{
    free(w->next);
    w->next = NULL;
    w->phase = KUBE_LISTING;
    w->anew = true;
}

/* The same request will never be answered better: the version, or the page's token, is forgotten or not understood, or
   watching is not allowed, so that lists have to do. */
static bool is_dead_end(const struct kube_watch *w, long status)
{
    bool refusal = status >= 400 && status < 500 && status != 401 && status != 408 && status != 429;
    if (w->phase == KUBE_LISTING)
        return status == 410 || (refusal && w->next);
    return refusal || status == 504;
}

/* An answer that is not 200. */
static void refused(struct kube_watch *w, long status)
{
    struct buf text;
    if (status == 404 && !w->older_api && kube_has_older_api(w->kind)) {
        w->older_api = true;
        ask_soon(w, 0);
        return;
    }
    buf_init(&text, WORDS_MAX);
    put_words(w, status, &text);
    if (status == 401)
        http_options_reread(w->access.options);
    if (status == 404)
        w->older_api = false; /* it may learn the newer one meanwhile */
    bool dead_end = is_dead_end(w, status);
    if ((status == 410 || status == 401) && w->tries == 0) {
        w->tries++; /* pages and versions are forgotten after some minutes, tokens change: nothing is wrong yet */
        ask_soon(w, 0);
    } else {
        failed(w, buf_c(&text));
        w->denied = status == 401 || status == 403 || status == 404;
    }
    if (dead_end)
        begin_anew(w);
    buf_free(&text);
}

/* ---- answers ---- */

static void list_done(struct kube_watch *w)
{
    bool first = !w->listed;
    free(w->version);
    w->version = w->page_version;
    w->page_version = NULL;
    kube_list_complete(w);
    good(w);
    w->listed = true;
    w->anew = false;
    w->phase = KUBE_WATCHING;
    if (first)
        kube_tell(w, KUBE_GOOD, 0);
    ask_soon(w, 0);
}

/* The page is whole. Its metadata come before its objects: had they counted at once, a page that broke would have been
   taken for read. */
static void page_done(struct kube_watch *w)
{
    if (!w->page_version) {
        failed(w, "the list has no resourceVersion");
        begin_anew(w);
        return;
    }
    free(w->next);
    w->next = w->page_next;
    w->page_next = NULL;
    if (!w->next)
        list_done(w);
    else
        ask_soon(w, w->fresh ? 0 : backoff(w)); /* pages without end are possible, too */
}

/* The stream ended, as it does every few minutes, or broke. */
static void watch_done(struct kube_watch *w)
{
    bool brief = loop_now(w->hub->host->loop) - w->begun_ms < SHORT_WATCH_MS;
    if (!brief || (w->events && !err_is(&w->err)))
        w->tries = 0;
    if (w->expired) {
        ask_soon(w, w->tries++ == 0 ? 0 : backoff(w));
        begin_anew(w);
    } else if (err_is(&w->err)) {
        failed(w, w->err.msg);
        begin_anew(w); /* an event that cannot be read is not there to be read again: the list says how things are */
    } else if (brief && !w->events) {
        ask_soon(w, backoff(w));
    } else {
        ask_soon(w, brief ? BACKOFF_MS : 0);
    }
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct kube_watch *w = ctx;
    struct err why = {0};
    w->call = NULL;
    http_result_hide(result, &w->words);
    http_result_hide_err(result, &w->err);
    if (result->status != 0 && result->status != 200 && !err_is(&w->err)) {
        refused(w, result->status);
    } else if (result->status == 200 && w->phase == KUBE_WATCHING) {
        watch_done(w);
    } else if (err_is(&w->err)) {
        failed(w, w->err.msg);
    } else if (!result->ok) {
        sd_lasting_error(&why, result->error);
        failed(w, why.msg);
    } else if (!split_is_whole(&w->split) || w->split.bytes == 0) {
        failed(w, "the answer ends in the middle");
    } else {
        page_done(w);
    }
}

static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    struct kube_watch *w = ctx;
    if (status != 200) {
        buf_add(&w->words, p, n);
        return true;
    }
    return split_feed(&w->split, str_make(p, n), &w->err);
}

/* A watch may have nothing to say for minutes: that it was let in is good news already. */
static void on_status(void *ctx, long status)
{
    struct kube_watch *w = ctx;
    if (status == 200 && w->phase == KUBE_WATCHING)
        good(w);
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct kube_watch *w = ctx;
    uint64_t seconds;
    if (str_eq_c(name, "retry-after") && units_parse_u64(value, &seconds)) {
        int64_t ms = seconds < RETRY_AFTER_MAX_MS / 1000 ? (int64_t)seconds * 1000 : RETRY_AFTER_MAX_MS;
        w->retry_after_ms = ms;
    }
}

/* ---- asking ---- */

/* Of some kinds only the metadata are needed, which newer servers can give alone. */
static const char *accept_of(const struct kube_watch *w)
{
    if (!kube_wants_metadata(w->kind))
        return "Accept: application/json";
    return w->phase == KUBE_LISTING
               ? "Accept: application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1, application/json"
               : "Accept: application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1, application/json";
}

static void begin_reading(struct kube_watch *w)
{
    split_free(&w->split);
    split_init(&w->split, w->phase == KUBE_LISTING ? SPLIT_LIST : SPLIT_WATCH, kube_take_piece, w);
    buf_clear(&w->words);
    err_clear(&w->err);
    free(w->page_version);
    free(w->page_next);
    w->page_version = w->page_next = NULL;
    w->expired = w->events = w->fresh = false;
    w->retry_after_ms = 0;
    w->begun_ms = loop_now(w->hub->host->loop);
    if (w->phase == KUBE_LISTING && !w->next)
        kube_map_free(&w->seen);
}

/* A kubeconfig, and what the environment says, are looked at anew as long as nothing came of it. */
static bool open_access(struct kube_watch *w, struct err *err)
{
    if (w->access.url && w->tries == 0)
        return true;
    kube_access_close(&w->access);
    return kube_access_open(&w->access, w->sd, err);
}

static void ask(void *ctx)
{
    struct kube_watch *w = ctx;
    struct err err = {0};
    begin_reading(w);
    if (!open_access(w, &err)) {
        failed(w, err.msg);
        return;
    }
    free(w->url);
    w->url = kube_request_url(w);
    char agent[128];
    snprintf(agent, sizeof agent, "User-Agent: %s", w->hub->host->user_agent);
    const char *headers[] = {accept_of(w), agent, NULL};
    struct http_request request = {
        .url = w->url,
        .headers = headers,
        .options = w->access.options,
        .timeout_ms = w->phase == KUBE_LISTING ? LIST_TIMEOUT_MS : WATCH_TIMEOUT_MS,
        .spread = w->hash,
        .on_status = on_status,
        .on_header = on_header,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = w,
    };
    w->call = http_start(source_client(w->hub->host), &request, &err);
    if (!w->call)
        failed(w, err.msg);
}

static void ask_soon(struct kube_watch *w, int64_t ms)
{
    struct loop *loop = w->hub->host->loop;
    loop_timer_set(loop, &w->timer, loop_now(loop) + ms, ask, w);
}

/* ---- the hub ---- */

static struct kube_hub *hub_of(struct source_host *host)
{
    if (!host->kube) {
        host->kube = xcalloc(1, sizeof *host->kube);
        host->kube->host = host;
        kube_reader_init(&host->kube->reader, host->names);
    }
    return host->kube;
}

void kube_hub_free(struct kube_hub *hub)
{
    if (!hub)
        return;
    kube_reader_free(&hub->reader);
    free(hub->watches);
    free(hub);
}

static uint64_t hash_of(const struct config_sd *sd, const struct kube_spec *spec)
{
    uint64_t h = hash_more(sd->http_hash, str_of(sd->kubernetes.api_server));
    h = hash_more(h, str_of(sd->kubernetes.kubeconfig_file));
    h = hash_more(h, str_of(kube_kind_name(spec->kind)));
    h = hash_more(h, str_of(spec->namespace));
    h = hash_more(h, str_of(spec->label));
    return hash_more(h, str_of(spec->field));
}

static struct kube_watch *start(struct kube_hub *hub, const struct source *source, const struct kube_spec *spec)
{
    struct kube_watch *w = xcalloc(1, sizeof *w);
    w->hub = hub;
    w->hash = hash_of(source->config, spec);
    w->owner = config_ref(source->owner);
    w->sd = source->config;
    w->kind = spec->kind;
    w->namespace = xstrdup(spec->namespace);
    w->label = xstrdup(spec->label);
    w->field = xstrdup(spec->field);
    buf_init(&w->words, WORDS_MAX);
    hub->watches = xgrow(hub->watches, &hub->cap, hub->n + 1, sizeof(struct kube_watch *));
    hub->watches[hub->n++] = w;
    ask_soon(w, 0);
    return w;
}

struct kube_watch *kube_watch_join(const struct source *source, const struct kube_spec *spec,
                                   struct kube_listener listener)
{
    struct kube_hub *hub = hub_of(source->host);
    struct kube_watch *w = NULL;
    uint64_t hash = hash_of(source->config, spec);
    for (size_t i = 0; i < hub->n && !w; i++)
        w = hub->watches[i]->hash == hash ? hub->watches[i] : NULL;
    if (!w)
        w = start(hub, source, spec);
    w->listeners = xgrow(w->listeners, &w->listeners_cap, w->listeners_n + 1, sizeof *w->listeners);
    w->listeners[w->listeners_n++] = listener;
    return w;
}

static void stop(struct kube_watch *w)
{
    struct kube_hub *hub = w->hub;
    size_t kept = 0;
    for (size_t i = 0; i < hub->n; i++) {
        if (hub->watches[i] != w)
            hub->watches[kept++] = hub->watches[i];
    }
    hub->n = kept;
    loop_timer_clear(hub->host->loop, &w->timer);
    if (w->call)
        http_cancel(hub->host->http, w->call);
    kube_access_close(&w->access);
    kube_forget_objects(w);
    split_free(&w->split);
    buf_free(&w->words);
    config_unref(w->owner);
    free(w->namespace);
    free(w->label);
    free(w->field);
    free(w->listeners);
    free(w->version);
    free(w->next);
    free(w->page_version);
    free(w->page_next);
    free(w->url);
    free(w);
}

void kube_watch_leave(struct kube_watch *w, void *ctx)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->listeners_n; i++) {
        if (w->listeners[i].ctx != ctx)
            w->listeners[kept++] = w->listeners[i];
    }
    w->listeners_n = kept;
    if (kept == 0)
        stop(w);
}

enum kube_kind kube_watch_kind(const struct kube_watch *w)
{
    return w->kind;
}

const char *kube_watch_namespace(const struct kube_watch *w)
{
    return w->namespace;
}

bool kube_watch_listed(const struct kube_watch *w)
{
    return w->listed;
}

bool kube_watch_denied(const struct kube_watch *w)
{
    return !w->listed && w->denied;
}

const char *kube_watch_error(const struct kube_watch *w)
{
    return w->error;
}

const struct kube_map *kube_watch_objects(const struct kube_watch *w)
{
    return &w->objects;
}
