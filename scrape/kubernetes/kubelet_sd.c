/* SPDX-License-Identifier: Apache-2.0 */
/* kubelet_sd: the pods of one node as its kubelet lists them at /pods, asked again and again. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "access.h"
#include "base/alloc.h"
#include "base/log.h"
#include "../discovery/sd_get.h"
#include "../discovery/source.h"
#include "map.h"
#include "object.h"
#include "split.h"

#define TIMEOUT_MS 30000
#define WORDS_MAX 1024
#define START_MS 300000 /* after that, a kubelet that has just started knows what the API server wants */

struct kubelet_sd {
    struct source source;
    struct kube_reader reader;
    struct kube_map pods; /* struct kube_object */
    struct kube_map seen; /* by the look that is under way */
    bool changed;         /* it brought something new */
    bool wanted;          /* it brought a pod that the API server wants to run here, as opposed to the node's own */
    bool had_wanted;      /* the last complete look did */
    int64_t complete_ms;  /* when that was */
    char *url;
    char *node;                  /* NULL = whatever pods there are */
    struct http_options *own;    /* instead of the configured ones, which show no authorization; NULL = they do */
    struct http_call *call;
    struct split split;
    struct buf words;
    struct err err;
    struct loop_timer timer;
};

static const struct config_kubelet_sd *config_of(const struct kubelet_sd *s)
{
    return &s->source.config->kubelet;
}

/* ---- taking ---- */

static bool is_ours(const struct kubelet_sd *s, const json_t *pod)
{
    struct str node = kube_text(json_object_get(pod, "spec"), "nodeName");
    return !s->node || node.n == 0 || str_eq_c(node, s->node);
}

/* The kubelet notes where it has a pod from: "api", "file" or "http". */
static bool is_wanted(const json_t *metadata)
{
    struct str from = kube_text(json_object_get(metadata, "annotations"), "kubernetes.io/config.source");
    return from.n == 0 || str_eq_c(from, "api");
}

/* A pod that cannot be read costs itself only. */
static void take_pod(struct kubelet_sd *s, const json_t *json)
{
    struct err err = {0};
    const json_t *metadata = json_object_get(json, "metadata");
    uint64_t key = kube_key(KUBE_PODS, kube_text(metadata, "namespace"), kube_text(metadata, "name"));
    struct kube_object *old = kube_map_get(&s->pods, key);
    struct kube_object *new = kube_object_read(&s->reader, KUBE_PODS, json, old, &err);
    if (!new) {
        log_throttled(key, LOG_WARN, "discovery", "kubelet_sd_configs: %s", err.msg);
        return;
    }
    kube_map_put(&s->seen, key, s);
    s->wanted |= is_wanted(metadata);
    if (old && kube_object_same(old, new)) {
        kube_object_free(new);
        return;
    }
    s->changed = true;
    kube_map_put(&s->pods, key, new);
    kube_object_free(old);
}

static bool take_piece(void *ctx, bool item, struct str text, struct err *err)
{
    struct kubelet_sd *s = ctx;
    json_error_t why;
    if (!item)
        return true;
    json_t *json = json_loadb(text.p, text.n, KUBE_JSON, &why);
    if (!json)
        return err_set(err, "a pod is no JSON: %.*s", hide_quoted(why.text), why.text);
    if (is_ours(s, json))
        take_pod(s, json);
    json_decref(json);
    return true;
}

static void drop_unseen(struct kubelet_sd *s)
{
    uint64_t *gone = xcalloc(s->pods.n + 1, sizeof *gone);
    size_t n = 0;
    for (size_t i = 0; i < s->pods.slots_n; i++) {
        if (s->pods.slots[i].value && !kube_map_get(&s->seen, s->pods.slots[i].key))
            gone[n++] = s->pods.slots[i].key;
    }
    for (size_t i = 0; i < n; i++)
        kube_object_free(kube_map_del(&s->pods, gone[i]));
    s->changed |= n > 0;
    free(gone);
}

/* ---- asking ---- */

static void failed(struct kubelet_sd *s, const char *why)
{
    source_failed(&s->source, "GET %s: %s", s->url, why);
    if (s->changed) /* the pods that came before it broke */
        source_changed(&s->source);
}

/* After its start a kubelet says for some seconds, or as long as the API server is away, that there are no pods, or
   only those of the node's own files; they run all the same. */
static bool is_starting(const struct kubelet_sd *s)
{
    return s->had_wanted && !s->wanted && loop_now(s->source.host->loop) - s->complete_ms < START_MS;
}

static void take_list(struct kubelet_sd *s)
{
    if (is_starting(s)) {
        failed(s, "no pod of the API server is in the list any more: has the kubelet just started?");
        return;
    }
    drop_unseen(s);
    s->had_wanted = s->wanted;
    s->complete_ms = loop_now(s->source.host->loop);
    source_good(&s->source, s->changed);
}

static void ask(void *ctx);

static void on_done(void *ctx, const struct http_result *result)
{
    struct kubelet_sd *s = ctx;
    const struct http_options *options = s->own ? s->own : &s->source.config->http;
    char why[WORDS_MAX + 64];
    s->call = NULL;
    if (result->status == 401)
        http_options_reread(options);
    http_result_hide(result, &s->words);
    http_result_hide_err(result, &s->err);
    if (err_is(&s->err)) {
        failed(s, s->err.msg);
    } else if (result->status != 0 && result->status != 200) {
        snprintf(why, sizeof why, "%ld %.*s", result->status, STR_ARG(str_trim(buf_str(&s->words))));
        failed(s, why);
    } else if (!result->ok) {
        sd_lasting_error(&s->err, result->error);
        failed(s, s->err.msg);
    } else if (!split_is_whole(&s->split) || s->split.bytes == 0) {
        failed(s, "the answer ends in the middle");
    } else {
        take_list(s);
    }
    loop_timer_set(s->source.host->loop, &s->timer,
                   loop_now(s->source.host->loop) + s->source.config->refresh_interval_ms, ask, s);
}

static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    struct kubelet_sd *s = ctx;
    if (status == 200)
        return split_feed(&s->split, str_make(p, n), &s->err);
    buf_add(&s->words, p, n);
    return true;
}

static void begin_reading(struct kubelet_sd *s)
{
    split_free(&s->split);
    split_init(&s->split, SPLIT_LIST, take_piece, s);
    kube_map_free(&s->seen);
    buf_clear(&s->words);
    err_clear(&s->err);
    s->changed = s->wanted = false;
}

static void ask(void *ctx)
{
    struct kubelet_sd *s = ctx;
    struct err err = {0};
    char agent[128];
    snprintf(agent, sizeof agent, "User-Agent: %s", s->source.host->user_agent);
    const char *headers[] = {"Accept: application/json", agent, NULL};
    struct http_request request = {
        .url = s->url,
        .headers = headers,
        .options = s->own ? s->own : &s->source.config->http,
        .timeout_ms = TIMEOUT_MS,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = s,
    };
    begin_reading(s);
    s->call = http_start(source_client(s->source.host), &request, &err);
    if (s->call)
        return;
    failed(s, err.msg);
    loop_timer_set(s->source.host->loop, &s->timer,
                   loop_now(s->source.host->loop) + s->source.config->refresh_interval_ms, ask, s);
}

/* ---- life ---- */

static const char *given_or_env(const char *given, const char *variable)
{
    const char *env = getenv(variable);
    return given ? given : env && *env ? env : NULL;
}

/* Without any authorization or certificate of its own, the service account's token is shown; a kubelet's certificate is
   signed by the kubelet itself in most clusters, so what is said about TLS stays as it is. */
static struct http_options *account_options(const struct http_options *o)
{
    bool shows = o->has_authorization || o->has_basic_auth || o->oauth2 || o->sigv4 || o->tls_cert.file ||
                 o->tls_cert.value;
    if (shows)
        return NULL;
    bool with_ca = !o->tls_ca.file && !o->tls_ca.value && !o->tls_insecure_skip_verify;
    struct http_options *own = kube_account_options(with_ca);
    own->tls_ca.file = own->tls_ca.file ? own->tls_ca.file : xstrdup(o->tls_ca.file);
    own->tls_ca.value = xstrdup(o->tls_ca.value);
    own->tls_server_name = xstrdup(o->tls_server_name);
    own->tls_insecure_skip_verify = o->tls_insecure_skip_verify;
    own->tls_min_version = o->tls_min_version;
    own->tls_max_version = o->tls_max_version;
    own->unix_socket = xstrdup(o->unix_socket);
    return own;
}

static struct source *open_kubelet(const struct config_sd *config, struct source_host *host)
{
    struct kubelet_sd *s = xcalloc(1, sizeof *s);
    source_init(&s->source, &source_kubelet, config, host);
    kube_reader_init(&s->reader, host->names);
    buf_init(&s->words, WORDS_MAX);
    const char *ip = given_or_env(config_of(s)->host, "NODE_IP");
    ip = ip ? ip : "127.0.0.1";
    s->url = xasprintf(strchr(ip, ':') ? "%s://[%s]:%llu/pods" : "%s://%s:%llu/pods", config_of(s)->scheme, ip,
                       (unsigned long long)config_of(s)->port);
    s->node = xstrdup(given_or_env(config_of(s)->node_name, "NODE_NAME"));
    s->own = account_options(&config->http);
    loop_timer_set(host->loop, &s->timer, loop_now(host->loop), ask, s);
    return &s->source;
}

static void add(const struct source *source, struct discovery_sets *sets)
{
    const struct kubelet_sd *s = (const struct kubelet_sd *)source;
    for (size_t i = 0; i < s->pods.slots_n; i++) {
        const struct kube_object *o = s->pods.slots[i].value;
        for (size_t k = 0; o && k < o->targets_n; k++)
            discovery_sets_take(sets, label_set_ref(o->targets[k]));
    }
}

static void describe(const struct source *source, struct buf *out)
{
    const struct kubelet_sd *s = (const struct kubelet_sd *)source;
    buf_add_c(out, s->url);
    if (s->node)
        buf_addf(out, ", pods of node %s", s->node);
}

static void close_kubelet(struct source *source)
{
    struct kubelet_sd *s = (struct kubelet_sd *)source;
    loop_timer_clear(source->host->loop, &s->timer);
    if (s->call)
        http_cancel(source->host->http, s->call);
    for (size_t i = 0; i < s->pods.slots_n; i++)
        kube_object_free(s->pods.slots[i].value);
    kube_map_free(&s->pods);
    kube_map_free(&s->seen);
    kube_reader_free(&s->reader);
    split_free(&s->split);
    buf_free(&s->words);
    if (s->own)
        http_options_free(s->own);
    free(s->own);
    free(s->url);
    free(s->node);
    free(s);
}

const struct source_kind source_kubelet = {"kubelet_sd_configs", open_kubelet, add, describe, close_kubelet};
