/* SPDX-License-Identifier: Apache-2.0 */
/* probe: fetches one exposition through the same HTTP client as the agent. */
#include "probe.h"

#include "../../scrape/inflate.h"
#include "command.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define CHUNK ((size_t)64 << 10)
#define HEADERS_MAX 64

struct probe {
    const struct probe_request *request;
    struct probe_result *out;
    struct loop *loop;
    struct inflater *inflater; /* NULL when the body is not compressed */
    char *chunk;               /* for it */
};

/* ---- the body ---- */

static bool pass_on(void *ctx, const void *bytes, size_t n)
{
    struct probe *p = ctx;
    p->out->raw_bytes += n;
    if (p->out->raw_bytes > p->request->max_raw)
        return err_set(&p->out->error, "the body is larger than %" PRIu64 " bytes", p->request->max_raw);
    p->request->sink(p->request->ctx, bytes, n);
    return true;
}

static void begin_inflating(struct probe *p)
{
    p->inflater = inflater_new();
    p->chunk = xmalloc(CHUNK);
}

static void end_inflating(struct probe *p)
{
    if (!p->inflater)
        return;
    if (!inflater_finished(p->inflater))
        err_set(&p->out->error, "the gzip body ends too early");
    inflater_free(p->inflater);
    free(p->chunk);
}

static bool take_bytes(struct probe *p, const void *bytes, size_t n)
{
    p->out->wire_bytes += n;
    if (!p->inflater)
        return pass_on(p, bytes, n);
    return inflater_feed(p->inflater, bytes, n, p->chunk, CHUNK, pass_on, p, &p->out->error);
}

/* ---- a URL ---- */

static void copy_text(char *to, size_t size, struct str value)
{
    snprintf(to, size, "%.*s", STR_ARG(value));
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct probe *p = ctx;
    if (str_eq(name, STR("content-type")))
        copy_text(p->out->content_type, sizeof p->out->content_type, value);
    else if (str_eq(name, STR("content-encoding")))
        copy_text(p->out->encoding, sizeof p->out->encoding, value);
}

static bool on_body(void *ctx, long status, const void *bytes, size_t n)
{
    struct probe *p = ctx;
    if (status != 200)
        return true;
    const char *encoding = p->out->encoding;
    if (p->out->wire_bytes == 0 && strcasecmp(encoding, "gzip") == 0)
        begin_inflating(p);
    else if (p->out->wire_bytes == 0 && encoding[0] && strcasecmp(encoding, "identity") != 0)
        return err_set(&p->out->error, "received unsupported Content-Encoding \"%s\"", encoding);
    return take_bytes(p, bytes, n);
}

/* What the agent refuses too: formats that are certainly not the one it reads. */
static bool is_foreign(const char *content_type)
{
    return strncasecmp(content_type, "application/openmetrics-text", 28) == 0 ||
           strncasecmp(content_type, "application/vnd.google.protobuf", 31) == 0;
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct probe *p = ctx;
    struct probe_result *out = p->out;
    out->status = r->status;
    out->seconds = r->seconds;
    out->seconds_dns = r->seconds_dns;
    out->seconds_connect = r->seconds_connect;
    out->seconds_tls = r->seconds_tls;
    out->seconds_first_byte = r->seconds_first_byte;
    if (r->status != 0 && r->status != 200)
        err_set(&out->error, "server returned HTTP status %ld", r->status);
    else if (!r->ok)
        err_set(&out->error, "%.*s", STR_ARG(r->error));
    else if (is_foreign(out->content_type))
        err_set(&out->error, "received unsupported Content-Type \"%s\"", out->content_type);
    loop_stop(p->loop);
}

static void join_headers(const struct probe_request *request, char *timeout, const char **out)
{
    size_t n = 0;
    out[n++] = "Accept: text/plain;version=0.0.4;q=1,*/*;q=0.1";
    out[n++] = request->compression ? "Accept-Encoding: gzip" : "Accept-Encoding: identity";
    out[n++] = "User-Agent: " OBSAGENT_USER_AGENT;
    out[n++] = timeout;
    for (size_t i = 0; request->headers && request->headers[i] && n < HEADERS_MAX; i++)
        out[n++] = request->headers[i];
    out[n] = NULL;
}

void probe_url(const struct probe_request *request, struct probe_result *out)
{
    struct probe p = {.request = request, .out = out};
    const char *headers[HEADERS_MAX + 1];
    char *timeout =
        xasprintf("X-Prometheus-Scrape-Timeout-Seconds: %.15g", (double)request->timeout_ms / 1000);
    join_headers(request, timeout, headers);
    *out = (struct probe_result){.http = true};
    struct http_request r = {
        .url = request->url,
        .headers = headers,
        .options = request->options,
        .timeout_ms = request->timeout_ms,
        .unix_socket = request->unix_socket,
        .on_header = on_header,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = &p,
    };
    p.loop = loop_new();
    struct http_client *client =
        http_client_new(p.loop, (struct http_client_limits){.connections = 8, .multis = 1});
    if (http_start(client, &r, &out->error))
        loop_run(p.loop);
    end_inflating(&p);
    http_client_free(client);
    loop_free(p.loop);
    free(timeout);
}

/* ---- a file ---- */

static bool is_gzip(const unsigned char *bytes, size_t n)
{
    return n >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

static void read_all(struct probe *p, int fd, const char *path)
{
    unsigned char *bytes = xmalloc(CHUNK);
    for (;;) {
        ssize_t n = read(fd, bytes, CHUNK);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            err_set(&p->out->error, "%s: %s", path, strerror(errno));
        if (n <= 0)
            break;
        if (p->out->wire_bytes == 0 && is_gzip(bytes, (size_t)n))
            begin_inflating(p);
        if (!take_bytes(p, bytes, (size_t)n))
            break;
    }
    end_inflating(p);
    free(bytes);
}

void probe_file(const char *path, const struct probe_request *request, struct probe_result *out)
{
    struct probe p = {.request = request, .out = out};
    bool standard = strcmp(path, "-") == 0;
    *out = (struct probe_result){0};
    int64_t start = clock_mono_ns();
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set(&out->error, "%s: %s", path, strerror(errno));
        return;
    }
    read_all(&p, fd, standard ? "standard input" : path);
    if (!standard)
        close(fd);
    out->seconds = (double)(clock_mono_ns() - start) / 1e9;
}
