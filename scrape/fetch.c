/* SPDX-License-Identifier: Apache-2.0 */
/* fetch: one GET of a target. Bytes go from libcurl through the inflater into the parser as they arrive;
   nothing here holds a body. */
#include "fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "inflate.h"
#include "negotiate.h"
#include "unzstd.h"

#define OUT_BYTES (32 * 1024)
#define SPARE_INFLATERS_MAX 16
#define CONTENT_TYPE_MAX 256
#define REFUSED_BODY_MAX (64 * 1024) /* of an error page: read so that the connection can be kept */

struct fetcher {
    struct loop *loop;
    struct http_client *client;
    char *user_agent; /* the whole header line */
    struct inflater *spare[SPARE_INFLATERS_MAX];
    size_t spare_n;
    char out[OUT_BYTES]; /* inflated bytes on their way; used within one callback only */
};

struct fetch {
    struct fetcher *fetcher;
    struct fetch_request request;
    struct http_call *call;
    struct inflater *inflater; /* of a gzip body */
    struct unzstd *unzstd;     /* of a zstd one */
    char content_type[CONTENT_TYPE_MAX];
    enum exposition_format format;
    bool decided; /* what the format is */
    struct err why;            /* our reason for stopping */
    int64_t started_ms;
    uint64_t body_bytes, wire_bytes;
    uint64_t refused_bytes;
    bool body_limit;
    bool retried;
};

struct fetcher *fetcher_new(struct loop *loop, const char *user_agent)
{
    struct fetcher *f = xcalloc(1, sizeof *f);
    f->loop = loop;
    f->user_agent = xasprintf("User-Agent: %s", user_agent ? user_agent : "obsagent");
    f->client = http_client_new(loop, (struct http_client_limits){0});
    return f;
}

void fetcher_free(struct fetcher *f)
{
    http_client_free(f->client);
    while (f->spare_n > 0)
        inflater_free(f->spare[--f->spare_n]);
    free(f->user_agent);
    free(f);
}

void fetcher_resize(struct fetcher *f, size_t targets)
{
    http_client_resize(f->client, (struct http_client_limits){.connections = targets});
}

static struct inflater *inflater_get(struct fetcher *f)
{
    return f->spare_n > 0 ? f->spare[--f->spare_n] : inflater_new();
}

static void inflater_put(struct fetcher *f, struct inflater *z)
{
    if (f->spare_n >= SPARE_INFLATERS_MAX) {
        inflater_free(z);
        return;
    }
    inflater_reset(z);
    f->spare[f->spare_n++] = z;
}

static void fetch_free(struct fetch *fetch)
{
    if (fetch->inflater)
        inflater_put(fetch->fetcher, fetch->inflater);
    unzstd_free(fetch->unzstd);
    target_unref(fetch->request.target);
    config_unref(fetch->request.config);
    free(fetch);
}

/* ---- the answer ---- */

static bool is_word(struct str value, const char *word)
{
    return value.n == strlen(word) && strncasecmp(value.p, word, value.n) == 0;
}

static void begin_decoding(struct fetch *fetch, struct str encoding)
{
    if (encoding.n == 0 || is_word(encoding, "identity"))
        return;
    if (is_word(encoding, "gzip") && !fetch->unzstd)
        fetch->inflater = fetch->inflater ? fetch->inflater : inflater_get(fetch->fetcher);
    else if (is_word(encoding, "zstd") && !fetch->inflater)
        fetch->unzstd = fetch->unzstd ? fetch->unzstd : unzstd_new();
    else
        err_set(&fetch->why, "received unsupported Content-Encoding \"%.*s\"", STR_ARG(encoding));
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct fetch *fetch = ctx;
    if (str_eq_c(name, "content-type") && !fetch->content_type[0])
        snprintf(fetch->content_type, sizeof fetch->content_type, "%.*s", STR_ARG(value));
    else if (str_eq_c(name, "content-encoding"))
        begin_decoding(fetch, value);
}

/* Before the first byte of the body. */
static bool decide_format(struct fetch *fetch)
{
    const struct target *t = fetch->request.target;
    struct err why = {0};
    fetch->decided = true;
    switch (negotiate_format(fetch->request.job, str_of(fetch->content_type), &fetch->format, &why)) {
    case NEGOTIATED_NOTHING:
        return err_set(&fetch->why, "%s", why.msg);
    case NEGOTIATED_FALLBACK:
        log_throttled(t->phase + 3, LOG_WARN, "scrape", "job %.*s: %s: %s", STR_ARG(t->job),
                      target_shown_url(t), why.msg);
        return true;
    case NEGOTIATED:
        return true;
    }
    return true;
}

enum exposition_format fetch_format(const struct fetch *fetch)
{
    return fetch->format;
}

static bool take(void *ctx, const void *p, size_t n)
{
    struct fetch *fetch = ctx;
    uint64_t limit = fetch->request.target->settings.body_size_limit;
    fetch->body_bytes += n;
    if (limit > 0 && fetch->body_bytes >= limit) {
        fetch->body_limit = true;
        return err_set(&fetch->why, "body size limit exceeded");
    }
    return fetch->request.on_bytes(fetch->request.ctx, p, n, &fetch->why);
}

static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    struct fetch *fetch = ctx;
    fetch->wire_bytes += n;
    if (status != 200) {
        fetch->refused_bytes += n;
        return fetch->refused_bytes <= REFUSED_BODY_MAX;
    }
    if (err_is(&fetch->why) || (!fetch->decided && !decide_format(fetch)))
        return false;
    if (fetch->inflater)
        return inflater_feed(fetch->inflater, p, n, fetch->fetcher->out, OUT_BYTES, take, fetch, &fetch->why);
    if (fetch->unzstd)
        return unzstd_feed(fetch->unzstd, p, n, fetch->fetcher->out, OUT_BYTES, take, fetch, &fetch->why);
    return take(fetch, p, n);
}

/* HTTP/1.1's usual phrases; libcurl does not keep what the server wrote. */
static const char *status_text(long status)
{
    static const struct {
        long status;
        const char *text;
    } known[] = {
        {204, "No Content"},        {206, "Partial Content"},       {301, "Moved Permanently"},
        {302, "Found"},             {303, "See Other"},             {304, "Not Modified"},
        {307, "Temporary Redirect"}, {308, "Permanent Redirect"},   {400, "Bad Request"},
        {401, "Unauthorized"},      {403, "Forbidden"},             {404, "Not Found"},
        {405, "Method Not Allowed"}, {406, "Not Acceptable"},       {408, "Request Timeout"},
        {410, "Gone"},              {429, "Too Many Requests"},     {500, "Internal Server Error"},
        {501, "Not Implemented"},   {502, "Bad Gateway"},           {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].status == status)
            return known[i].text;
    }
    return "";
}

/* First our own reasons, since libcurl only knows that we stopped it. */
static void judge(struct fetch *fetch, const struct http_result *r)
{
    if (r->status != 0 && r->status != 200) {
        const char *text = status_text(r->status);
        err_clear(&fetch->why);
        err_set(&fetch->why, "server returned HTTP status %ld%s%s", r->status, text[0] ? " " : "", text);
    }
    if (err_is(&fetch->why))
        return;
    if (!r->ok)
        err_set(&fetch->why, "%.*s", STR_ARG(r->error));
    else if (fetch->inflater && !inflater_finished(fetch->inflater))
        err_set(&fetch->why, "the gzip body ends too early");
    else if (fetch->unzstd && !unzstd_finished(fetch->unzstd))
        err_set(&fetch->why, "the zstd body ends too early");
}

static bool start_call(struct fetch *fetch, bool fresh, struct err *err);

static void on_done(void *ctx, const struct http_result *r)
{
    struct fetch *fetch = ctx;
    if (r->status == 401)
        http_options_reread(&fetch->request.job->http);
    if (r->reused_dead && !fetch->retried) {
        fetch->retried = true;
        struct err ignored = {0}; /* the first reason is the better one */
        if (start_call(fetch, true, &ignored))
            return;
    }
    judge(fetch, r);
    http_result_hide_err(r, &fetch->why);
    struct fetch_result result = {
        .ok = !err_is(&fetch->why),
        .timeout = r->timeout,
        .body_limit = fetch->body_limit,
        .error = str_of(fetch->why.msg),
        .seconds = r->seconds,
        .body_bytes = fetch->body_bytes,
        .wire_bytes = fetch->wire_bytes,
    };
    fetch->request.on_done(fetch->request.ctx, &result);
    fetch_free(fetch);
}

/* ---- the request ---- */

static const char *accept_encoding(const struct config_job *job)
{
    if (!job->enable_compression)
        return "Accept-Encoding: identity";
    return job->offer_zstd ? "Accept-Encoding: zstd, gzip;q=0.9" : "Accept-Encoding: gzip";
}

static bool start_call(struct fetch *fetch, bool fresh, struct err *err)
{
    const struct target *t = fetch->request.target;
    double seconds = (double)t->timeout_ms / 1000;
    char timeout[80], accept[8 + NEGOTIATE_ACCEPT_MAX] = "Accept: ";
    negotiate_accept(fetch->request.job, accept + 8);
    snprintf(timeout, sizeof timeout, "X-Prometheus-Scrape-Timeout-Seconds: %.15g", seconds);
    const char *headers[] = {
        accept,
        accept_encoding(fetch->request.job),
        fetch->fetcher->user_agent,
        timeout,
        NULL,
    };
    int64_t spent = clock_mono_ms() - fetch->started_ms;
    struct http_request request = {
        .url = t->url,
        .headers = headers,
        .options = &fetch->request.job->http,
        .timeout_ms = t->timeout_ms > spent ? t->timeout_ms - spent : 1,
        .spread = t->phase,
        .fresh_connection = fresh,
        .close_connection = fetch->request.job->disable_keepalive,
        .unix_socket = t->unix_socket,
        .on_header = on_header,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = fetch,
    };
    fetch->call = http_start(fetch->fetcher->client, &request, err);
    return fetch->call != NULL;
}

struct fetch *fetch_start(struct fetcher *f, const struct fetch_request *request, struct err *err)
{
    struct fetch *fetch = xcalloc(1, sizeof *fetch);
    fetch->fetcher = f;
    fetch->request = *request;
    target_ref(request->target);
    config_ref(request->config);
    fetch->started_ms = clock_mono_ms();
    if (start_call(fetch, false, err))
        return fetch;
    fetch_free(fetch);
    return NULL;
}

void fetch_cancel(struct fetch *fetch)
{
    http_cancel(fetch->fetcher->client, fetch->call);
    fetch_free(fetch);
}
