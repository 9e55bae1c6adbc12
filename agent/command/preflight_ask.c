/* SPDX-License-Identifier: Apache-2.0 */
/* preflight_ask: one request and its answer, by the agent's own HTTP client. */
#include "preflight_ask.h"

#include <stdio.h>

#include "../remote/policy.h"
#include "base/clock.h"
#include "base/units.h"
#include "command.h"
#include "paint.h"

#define WRITTEN "x-prometheus-remote-write-"

struct asking {
    struct ask_answer *out;
    struct loop *loop;
};

static void copy(char *to, size_t size, struct str value)
{
    snprintf(to, size, "%.*s", STR_ARG(value));
}

static void on_header(void *ctx, struct str name, struct str value)
{
    struct ask_answer *a = ((struct asking *)ctx)->out;
    if (str_eq_c(name, "date"))
        a->date_s = policy_http_date(value);
    else if (str_eq_c(name, "www-authenticate") && !a->authenticate[0])
        copy(a->authenticate, sizeof a->authenticate, value);
    else if (str_eq_c(name, "location"))
        copy(a->location, sizeof a->location, value);
    else if (str_eq_c(name, "server"))
        copy(a->server, sizeof a->server, value);
    else if (str_starts(name, STR(WRITTEN)) && str_ends(name, STR("-written")))
        a->written = true;
    if (str_eq_c(name, WRITTEN "samples-written") && !units_parse_u64(str_trim(value), &a->samples_written))
        a->samples_written = 0;
}

static bool on_body(void *ctx, long status, const void *p, size_t n)
{
    (void)status;
    struct buf *words = &((struct asking *)ctx)->out->words;
    size_t room = ASK_WORDS_MAX - words->n;
    buf_add(words, p, n < room ? n : room);
    return true;
}

static void hide(const struct http_result *r, char *text, size_t size)
{
    struct buf b;
    buf_init(&b, size - 1);
    buf_add_c(&b, text);
    http_result_hide(r, &b);
    copy(text, size, buf_str(&b));
    buf_free(&b);
}

static void hide_all(const struct http_result *r, struct ask_answer *a)
{
    http_result_hide(r, &a->words);
    http_result_hide_err(r, &a->error);
    hide(r, a->authenticate, sizeof a->authenticate);
    hide(r, a->location, sizeof a->location);
    hide(r, a->server, sizeof a->server);
}

static void on_done(void *ctx, const struct http_result *r)
{
    struct asking *asking = ctx;
    struct ask_answer *a = asking->out;
    a->status = r->status; /* also of an answer that broke off behind its head */
    a->timeout = r->timeout;
    if (!r->ok)
        err_set(&a->error, "%.*s", STR_ARG(r->error));
    hide_all(r, a);
    a->seconds = r->seconds;
    a->seconds_dns = r->seconds_dns;
    a->seconds_connect = r->seconds_connect;
    a->seconds_tls = r->seconds_tls;
    a->seconds_first_byte = r->seconds_first_byte;
    /* A date has no fraction, and an answer takes its time: the middle of the one less the middle of the other. */
    if (a->date_s >= 0)
        a->skew_ms = a->date_s * 1000 + 500 - (clock_system_wall_ms() - (int64_t)(r->seconds * 500));
    loop_stop(asking->loop);
}

static void forget(struct ask_answer *a)
{
    struct buf words = a->words;
    if (!words.max)
        buf_init(&words, ASK_WORDS_MAX);
    buf_clear(&words);
    *a = (struct ask_answer){.words = words, .date_s = -1};
}

void ask(const struct ask *q, struct ask_answer *out)
{
    struct protocol_lines lines = protocol_lines(q->protocol);
    const char *headers[] = {"User-Agent: " OBSAGENT_USER_AGENT, lines.encoding, lines.type, lines.version, NULL};
    struct asking asking = {.out = out, .loop = loop_new()};
    struct http_client *client =
        http_client_new(asking.loop, (struct http_client_limits){.connections = 8, .multis = 1});
    forget(out);
    if (q->method)
        headers[1] = NULL;
    struct http_request request = {
        .url = q->url,
        .method = q->method ? q->method : "POST",
        .body = q->body,
        .headers = headers,
        .options = q->options,
        .timeout_ms = q->timeout_ms,
        .fresh_connection = true,
        .peer = &out->peer,
        .on_header = on_header,
        .on_body = on_body,
        .on_done = on_done,
        .ctx = &asking,
    };
    out->started = http_start(client, &request, &out->error) != NULL;
    if (out->started)
        loop_run(asking.loop);
    http_client_free(client);
    loop_free(asking.loop);
}

void ask_line(struct str text, size_t max, struct buf *out)
{
    struct buf line;
    buf_init(&line, max + 8);
    text = str_trim(text);
    while (text.n && line.n < max) {
        size_t step = str_utf8_step(text);
        bool blank = text.p[0] == ' ' || (text.p[0] >= '\t' && text.p[0] <= '\r');
        if (!blank)
            buf_add(&line, step ? text.p : "?", step ? step : 1);
        else if (line.n && line.p[line.n - 1] != ' ')
            buf_add_char(&line, ' ');
        text = str_skip(text, step ? step : 1);
    }
    if (text.n)
        buf_add_c(&line, "...");
    paint_plain(out, buf_str(&line));
    buf_free(&line);
}

void ask_free(struct ask_answer *a)
{
    buf_free(&a->words);
}
