/* SPDX-License-Identifier: Apache-2.0 */
/* probe: asks a target through the same HTTP client and with the same words as the agent, and judges the answer as it
   does. */
#include "probe_private.h"

#include "../../scrape/negotiate.h"
#include "command.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct exchange {
    struct probe probe;
    struct loop *loop;
    size_t words_n;
};

/* ---- the format ---- */

static enum probe_type type_of(enum negotiated n)
{
    return n == NEGOTIATED ? PROBE_TYPE_GOOD : n == NEGOTIATED_FALLBACK ? PROBE_TYPE_FALLBACK : PROBE_TYPE_REFUSED;
}

/* Without a job: one that has no fallback. */
static enum negotiated negotiate(const struct probe *p)
{
    static const struct config_job NONE = {0};
    const struct config_job *job = p->request->job ? p->request->job : &NONE;
    return negotiate_format(job, str_of(p->out->content_type), &p->out->format, &p->out->type_why);
}

void probe_judge_type(struct probe *p, struct str start)
{
    struct probe_result *out = p->out;
    p->decided = true;
    out->looks_like = probe_sniff(start, &out->looks_like_html);
    if (!out->http) {
        if (!p->known)
            out->format = negotiate_format_of(out->looks_like);
        return;
    }
    out->type = type_of(negotiate(p));
    if (out->type != PROBE_TYPE_REFUSED)
        return;
    out->format = negotiate_format_of(out->looks_like);
    if (!err_is(&out->error))
        out->error = out->type_why;
}

/* ---- the answer ---- */

static void copy_text(char *to, size_t size, struct str value)
{
    snprintf(to, size, "%.*s", STR_ARG(value));
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct probe_result *out = ((struct exchange *)ctx)->probe.out;
    if (str_eq_c(name, "content-type") && !out->content_type[0])
        copy_text(out->content_type, sizeof out->content_type, value);
    else if (str_eq_c(name, "content-encoding"))
        copy_text(out->encoding, sizeof out->encoding, value);
    else if (str_eq_c(name, "date"))
        copy_text(out->date, sizeof out->date, value);
}

/* What the server has to say about its refusal, unless it is packed. */
static void take_words(struct exchange *x, const char *bytes, size_t n)
{
    struct probe_result *out = x->probe.out;
    size_t room = sizeof out->words - 1 - x->words_n;
    n = n < room ? n : room;
    if (out->encoding[0] && strcasecmp(out->encoding, "identity") != 0)
        return;
    for (size_t i = 0; i < n && bytes[i]; i++)
        out->words[x->words_n++] = bytes[i];
}

static bool begin_body(struct probe *p)
{
    const char *encoding = p->out->encoding;
    if (strcasecmp(encoding, "gzip") == 0)
        probe_unpack(p, PROBE_GZIP);
    else if (strcasecmp(encoding, "zstd") == 0)
        probe_unpack(p, PROBE_ZSTD);
    else if (encoding[0] && strcasecmp(encoding, "identity") != 0)
        return err_set(&p->out->error, "received unsupported Content-Encoding \"%s\"", encoding);
    return true;
}

static bool on_body(void *ctx, long status, const void *bytes, size_t n)
{
    struct exchange *x = ctx;
    if (status != 200) {
        take_words(x, bytes, n);
        return true;
    }
    if (x->probe.out->wire_bytes == 0 && !begin_body(&x->probe))
        return false;
    return probe_take(&x->probe, bytes, n);
}

void probe_take_result(struct probe_result *out, const struct http_result *r)
{
    out->status = r->status;
    out->timeout = r->timeout;
    out->seconds = r->seconds;
    out->seconds_dns = r->seconds_dns;
    out->seconds_connect = r->seconds_connect;
    out->seconds_tls = r->seconds_tls;
    out->seconds_first_byte = r->seconds_first_byte;
    if (r->status != 0 && r->status != 200)
        err_set(&out->error, "server returned HTTP status %ld", r->status);
    else if (!r->ok && (!r->aborted || !err_is(&out->error))) {
        err_clear(&out->error);
        err_set(&out->error, "%.*s", STR_ARG(r->error));
    }
    http_result_hide_err(r, &out->error);
}

/* Servers say back what they were told. */
static void hide(const struct http_result *r, char *text, size_t size)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_add_c(&b, text);
    http_result_hide(r, &b);
    copy_text(text, size, buf_str(&b));
    buf_free(&b);
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct exchange *x = ctx;
    struct probe_result *out = x->probe.out;
    probe_take_result(out, r);
    hide(r, out->words, sizeof out->words);
    hide(r, out->content_type, sizeof out->content_type);
    http_result_hide_err(r, &out->type_why);
    if (r->status == 200 && !x->probe.decided && !err_is(&out->error))
        probe_judge_type(&x->probe, STR_NULL); /* an empty body */
    loop_stop(x->loop);
}

/* ---- the question ---- */

static const char *encodings(const struct config_job *job)
{
    if (job && !job->enable_compression)
        return "Accept-Encoding: identity";
    return job && job->offer_zstd ? "Accept-Encoding: zstd, gzip;q=0.9" : "Accept-Encoding: gzip";
}

void probe_headers_make(const struct probe_request *request, struct probe_headers *out)
{
    static const struct config_job NONE = {0};
    struct config_job job = request->job ? *request->job : NONE;
    char accept[NEGOTIATE_ACCEPT_MAX];
    size_t n = 0;
    if (request->protocols && request->protocols->n)
        job.scrape_protocols = *request->protocols;
    negotiate_accept(&job, accept);
    out->lines[0] = xasprintf("Accept: %s", accept);
    out->lines[1] =
        xasprintf("X-Prometheus-Scrape-Timeout-Seconds: %.15g", (double)request->timeout_ms / 1000);
    out->lines[2] = xstrdup(encodings(request->job));
    for (size_t i = 0; i < 3; i++)
        out->v[n++] = out->lines[i];
    out->v[n++] = "User-Agent: " OBSAGENT_USER_AGENT;
    for (size_t i = 0; request->headers && request->headers[i] && n < PROBE_HEADERS_MAX; i++)
        out->v[n++] = request->headers[i];
    out->v[n] = NULL;
}

void probe_headers_free(struct probe_headers *h)
{
    for (size_t i = 0; i < 3; i++)
        free(h->lines[i]);
}

struct http_request probe_http(const struct probe_request *request, const struct probe_headers *headers)
{
    return (struct http_request){
        .url = request->url,
        .headers = headers->v,
        .options = request->options,
        .timeout_ms = request->timeout_ms,
        .unix_socket = request->unix_socket,
        .close_connection = request->job && request->job->disable_keepalive,
    };
}

void probe_url(const struct probe_request *request, struct probe_result *out)
{
    struct exchange x = {.probe = {.request = request, .out = out}};
    struct probe_headers headers;
    probe_headers_make(request, &headers);
    *out = (struct probe_result){.http = true};
    struct http_request r = probe_http(request, &headers);
    r.on_header = on_header;
    r.on_body = on_body;
    r.on_done = on_done;
    r.ctx = &x;
    x.loop = loop_new();
    struct http_client *client =
        http_client_new(x.loop, (struct http_client_limits){.connections = 8, .multis = 1});
    if (http_start(client, &r, &out->error))
        loop_run(x.loop);
    probe_end(&x.probe);
    http_client_free(client);
    loop_free(x.loop);
    probe_headers_free(&headers);
}
