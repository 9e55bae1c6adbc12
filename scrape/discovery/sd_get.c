/* SPDX-License-Identifier: Apache-2.0 */
/* sd_get: GETs of discovery, and what its kinds need to read the answers. */
#include "sd_get.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

#define SAID_MAX 120 /* of a body that explains a failure */
#define WORDS_MAX ((size_t)4096) /* of such a body, kept */

/* ---- the exchange ---- */

void sd_get_init(struct sd_get *g, struct source_host *host, const struct http_options *options, sd_get_done_fn *done,
                 void *ctx)
{
    *g = (struct sd_get){.host = host, .options = options, .done = done, .ctx = ctx};
    buf_init(&g->body, SD_BODY_MAX);
}

static void forget_request(struct sd_get *g)
{
    free(g->url);
    free(g->unix_socket);
    free(g->headers);
    g->url = g->unix_socket = NULL;
    g->headers = NULL;
}

void sd_get_close(struct sd_get *g)
{
    if (g->call)
        http_cancel(source_client(g->host), g->call);
    g->call = NULL;
    forget_request(g);
    buf_free(&g->body);
}

static void keep(char *to, size_t size, struct str value)
{
    snprintf(to, size, "%.*s", STR_ARG(value));
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct sd_get *g = ctx;
    if (str_eq_c(name, "content-type"))
        keep(g->type, sizeof g->type, value);
    else if (str_eq_c(name, "x-consul-index"))
        keep(g->index, sizeof g->index, value);
}

static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    struct sd_get *g = ctx;
    (void)status;
    g->too_large = !buf_add(&g->body, p, n);
    return !g->too_large;
}

static bool send_request(struct sd_get *g, bool fresh, struct err *err);

static void finish(struct sd_get *g, const struct http_result *r, const char *error)
{
    struct buf body = g->body;
    struct sd_answer answer = {.status = r ? r->status : 0, .type = str_of(g->type), .index = str_of(g->index),
                               .body = buf_str(&body), .error = error};
    buf_init(&g->body, SD_BODY_MAX); /* the next may start before this one's body was read */
    forget_request(g);
    g->done(g->ctx, &answer); /* the last use of g: its owner may close it */
    buf_free(&body);
}

void sd_lasting_error(struct err *err, struct str text)
{
    size_t at = str_find(text, STR(" after "));
    struct str rest = str_skip(text, at), ms = str_skip(rest, strlen(" after "));
    size_t digits = 0;
    while (digits < ms.n && ms.p[digits] >= '0' && ms.p[digits] <= '9')
        digits++;
    rest = digits > 0 && str_starts(str_skip(ms, digits), STR(" ms")) ? str_skip(ms, digits + 3) : rest;
    err_set(err, "%.*s%.*s", (int)at, text.p ? text.p : "", STR_ARG(rest));
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct sd_get *g = ctx;
    struct err err = {0};
    g->call = NULL;
    if (r->status == 401 && g->options)
        http_options_reread(g->options);
    if (r->reused_dead && !g->retried) {
        g->retried = true;
        if (send_request(g, true, &err))
            return;
    }
    if (!err_is(&err) && g->too_large)
        err_set(&err, "the answer has more than %zu MiB", SD_BODY_MAX >> 20);
    else if (!err_is(&err) && !r->ok)
        sd_lasting_error(&err, r->error);
    if (r->status != 200) {
        g->body.n = g->body.n < WORDS_MAX ? g->body.n : WORDS_MAX;
        http_result_hide(r, &g->body);
    }
    finish(g, r, err.msg);
}

static bool send_request(struct sd_get *g, bool fresh, struct err *err)
{
    g->type[0] = g->index[0] = '\0';
    g->too_large = false;
    buf_clear(&g->body);
    g->call = http_start(source_client(g->host),
                         &(struct http_request){.url = g->url, .headers = g->headers, .options = g->options,
                                                .timeout_ms = g->timeout_ms, .fresh_connection = fresh,
                                                .unix_socket = g->unix_socket, .on_header = on_header,
                                                .on_body = on_body, .on_done = on_done, .ctx = g},
                         err);
    return g->call != NULL;
}

bool sd_get_start(struct sd_get *g, const char *url, const char *unix_socket, const char *const *headers,
                  int64_t timeout_ms, struct err *err)
{
    static const char accept[] = "Accept: application/json", agent[] = "User-Agent: ";
    size_t n = 0;
    while (headers && headers[n])
        n++;
    forget_request(g);
    g->url = xstrdup(url);
    g->unix_socket = xstrdup(unix_socket);
    g->timeout_ms = timeout_ms;
    g->retried = false;
    /* Pointers and, behind them, the one line that is made here. */
    size_t pointers = (n + 3) * sizeof *g->headers, line = sizeof agent + strlen(g->host->user_agent);
    g->headers = xcalloc(1, pointers + line);
    char *made = (char *)g->headers + pointers;
    snprintf(made, line, "%s%s", agent, g->host->user_agent);
    g->headers[0] = accept;
    g->headers[1] = made;
    for (size_t i = 0; i < n; i++)
        g->headers[2 + i] = headers[i];
    return send_request(g, false, err);
}

/* ---- reading answers ---- */

void sd_status_text(long status, struct str body, struct err *err)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {
        {204, " No Content"},
        {301, " Moved Permanently"},
        {302, " Found"},
        {400, " Bad Request"},
        {401, " Unauthorized"},
        {403, " Forbidden"},
        {404, " Not Found"},
        {405, " Method Not Allowed"},
        {429, " Too Many Requests"},
        {500, " Internal Server Error"},
        {502, " Bad Gateway"},
        {503, " Service Unavailable"},
        {504, " Gateway Timeout"},
    };
    const char *text = "";
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        text = known[i].status == status ? known[i].text : text;
    body = str_trim(body);
    body.n = body.n < SAID_MAX ? body.n : SAID_MAX;
    err_set(err, "server returned HTTP status %ld%s%s%.*s", status, text, body.n > 0 ? ": " : "", STR_ARG(body));
}

void sd_add_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        bool plain = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || (c && strchr("-._~", c));
        if (plain)
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

json_t *sd_json(struct str body, struct err *err)
{
    json_error_t why;
    json_t *json = json_loadb(body.p ? body.p : "", body.n, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (!json)
        err_set(err, "not JSON: line %d column %d: %.*s", why.line, why.column, hide_quoted(why.text), why.text);
    return json;
}

struct str sd_text(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_NULL;
}

struct str sd_label_name(struct arena *arena, const char *prefix, const char *key)
{
    size_t before = strlen(prefix);
    char *name = arena_printf(arena, "%s%s", prefix, key);
    for (char *c = name + before; *c; c++) {
        /* A sequence of UTF-8 is one character. */
        size_t step = str_utf8_step(str_of(c));
        bool plain = (*c >= '0' && *c <= '9') || ((*c | 32) >= 'a' && (*c | 32) <= 'z');
        if (!plain)
            *c = '_';
        if (step > 1)
            memmove(c + 1, c + step, strlen(c + step) + 1);
    }
    return str_of(name);
}

struct str sd_host_port(struct arena *arena, struct str host, long long port)
{
    bool brackets = str_find_char(host, ':') < host.n;
    return str_of(arena_printf(arena, brackets ? "[%.*s]:%lld" : "%.*s:%lld", STR_ARG(host), port));
}
