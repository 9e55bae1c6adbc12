/* SPDX-License-Identifier: Apache-2.0 */
/* http_fetch: calls that wait for an OAuth 2.0 token, and the one request that gets it for all of them. A fetch
   lives as long as somebody waits for it; clients in other threads with the same options look again now and
   then instead of asking too. */
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http_private.h"

#define LOOK_AGAIN_MS 20
#define FETCH_MS 30000 /* those who wait usually give up earlier */
#define ANSWER_BYTES_MAX (64 * 1024)

struct http_fetch {
    struct http_client *client;
    const struct http_oauth2 *oauth2;
    struct http_fetch *next;
    struct http_call_queue waiters;
    bool over;              /* its waiters are being told */
    struct http_call *call; /* the request for the token */
    struct loop_timer again;
    enum http_token_style style;
    bool known_style;
    struct buf form, answer;
    char host[128]; /* of token_url, for messages */
};

static void ask(struct http_fetch *f, struct err *err);

/* ---- life ---- */

static struct http_fetch *fetch_new(struct http_client *client, const struct http_oauth2 *oauth2)
{
    struct http_fetch *f = xcalloc(1, sizeof *f);
    f->client = client;
    f->oauth2 = oauth2;
    buf_init(&f->form, HTTP_TOKEN_FORM_MAX);
    buf_init(&f->answer, ANSWER_BYTES_MAX);
    struct http_url u;
    if (oauth2->token_url && http_url_parse(&u, NULL, oauth2->token_url, NULL)) {
        snprintf(f->host, sizeof f->host, "%s:%s", u.host, u.port);
        http_url_free(&u);
    }
    f->next = client->fetches;
    client->fetches = f;
    return f;
}

static void unlink_fetch(struct http_fetch *f)
{
    struct http_fetch **at = &f->client->fetches;
    while (*at && *at != f)
        at = &(*at)->next;
    if (*at)
        *at = f->next;
    loop_timer_clear(f->client->loop, &f->again);
}

static void wipe(struct buf *b)
{
    if (b->p)
        explicit_bzero(b->p, b->cap);
    buf_free(b);
}

static void fetch_free(struct http_fetch *f)
{
    wipe(&f->form);
    wipe(&f->answer);
    free(f);
}

void http_fetches_sweep(struct http_client *client)
{
    struct http_fetch *f;
    while ((f = client->left_fetches)) {
        client->left_fetches = f->next;
        fetch_free(f);
    }
}

/* Nobody waits any more. A request in libcurl's hands may still read the form until libcurl returns. */
static void abandon(struct http_fetch *f)
{
    unlink_fetch(f);
    http_token_release(f->oauth2->token, f, NULL);
    if (f->call)
        http_cancel(f->client, f->call);
    f->call = NULL;
    f->next = f->client->left_fetches;
    f->client->left_fetches = f;
    if (!f->client->in_curl)
        http_fetches_sweep(f->client);
}

static void tell_all(struct http_fetch *f, const struct err *why)
{
    f->over = true;
    unlink_fetch(f);
    struct http_call *call;
    while ((call = http_queue_pop(&f->waiters))) {
        call->fetch = NULL;
        if (why)
            call->why = *why;
        http_call_resume(call);
    }
    fetch_free(f);
}

static void fail(struct http_fetch *f, struct http_new_token *made, struct err *why)
{
    err_prefix(why, "oauth2: cannot get a token from %s", f->host);
    http_token_release(f->oauth2->token, f, made);
    tell_all(f, why);
}

/* ---- the request ---- */

static bool on_answer(void *ctx, long status, const void *p, size_t n)
{
    struct http_fetch *f = ctx;
    (void)status;
    return buf_add(&f->answer, p, n);
}

static void on_done(void *ctx, const struct http_result *result)
{
    struct http_fetch *f = ctx;
    struct err why = {0};
    struct http_new_token made = {.style = f->style};
    f->call = NULL;
    if (!result->ok) {
        if (f->answer.overflow)
            err_set(&why, "the answer is larger than %d bytes", ANSWER_BYTES_MAX);
        err_set(&why, "%.*s", STR_ARG(result->error));
        fail(f, NULL, &why);
        return;
    }
    bool refused = result->status == 400 || result->status == 401;
    if (refused && !f->known_style && f->style == HTTP_TOKEN_STYLE_HEADER) {
        f->style = HTTP_TOKEN_STYLE_BODY;
        ask(f, &why);
        if (err_is(&why))
            fail(f, NULL, &why);
        return;
    }
    if (!http_token_parse(f->oauth2, result->status, buf_str(&f->answer), &made, &why)) {
        made.style = HTTP_TOKEN_STYLE_UNKNOWN;
        fail(f, refused ? &made : NULL, &why);
        return;
    }
    http_token_release(f->oauth2->token, f, &made);
    http_secret_free(made.header);
    tell_all(f, NULL);
}

static void ask(struct http_fetch *f, struct err *err)
{
    buf_clear(&f->form);
    buf_clear(&f->answer);
    if (!http_token_form(f->oauth2, f->style, &f->form, err))
        return;
    char *authorization = f->style == HTTP_TOKEN_STYLE_HEADER ? http_token_authorization(f->oauth2, err) : NULL;
    if (f->style == HTTP_TOKEN_STYLE_HEADER && !authorization)
        return;
    const char *headers[] = {"Content-Type: application/x-www-form-urlencoded", "Accept: application/json",
                             authorization, NULL};
    struct http_request r = {
        .url = f->oauth2->token_url ? f->oauth2->token_url : "",
        .method = "POST",
        .body = buf_str(&f->form),
        .headers = headers,
        .options = &f->oauth2->endpoint,
        .timeout_ms = FETCH_MS,
        .spread = f->waiters.first->request.spread,
        .on_body = on_answer,
        .on_done = on_done,
        .ctx = f,
    };
    f->call = http_start(f->client, &r, err);
    http_secret_free(authorization);
}

/* ---- who asks ---- */

static void look_again(void *ctx);

/* Asks, unless a client in another thread is about to. */
static void begin(struct http_fetch *f, struct err *err)
{
    enum http_token_style style;
    if (!http_token_claim(f->oauth2->token, f, &style)) {
        loop_timer_set(f->client->loop, &f->again, clock_mono_ms() + LOOK_AGAIN_MS, look_again, f);
        return;
    }
    f->known_style = style != HTTP_TOKEN_STYLE_UNKNOWN;
    f->style = f->known_style ? style : HTTP_TOKEN_STYLE_HEADER;
    ask(f, err);
}

static void look_again(void *ctx)
{
    struct http_fetch *f = ctx;
    struct err why = {0};
    char *header = http_token_header(f->oauth2->token);
    if (header) {
        http_secret_free(header);
        tell_all(f, NULL);
        return;
    }
    begin(f, &why);
    if (err_is(&why))
        fail(f, NULL, &why);
}

bool http_fetch_wait(struct http_call *call, struct err *err)
{
    const struct http_oauth2 *oauth2 = call->request.options->oauth2;
    struct http_fetch *f = call->client->fetches;
    while (f && f->oauth2 != oauth2)
        f = f->next;
    bool first = !f;
    if (first)
        f = fetch_new(call->client, oauth2);
    call->state = HTTP_WAITING;
    call->fetch = f;
    http_queue_push(&f->waiters, call);
    if (!first)
        return true;
    struct err why = {0};
    begin(f, &why);
    if (!err_is(&why))
        return true;
    err_set(err, "oauth2: cannot get a token from %s: %s", f->host, why.msg);
    call->state = HTTP_STARTING;
    call->fetch = NULL;
    http_queue_pop(&f->waiters);
    abandon(f);
    return false;
}

void http_fetch_leave(struct http_call *call)
{
    struct http_fetch *f = call->fetch;
    http_queue_remove(&f->waiters, call);
    call->fetch = NULL;
    if (!f->waiters.first && !f->over)
        abandon(f);
}

struct http_call *http_fetch_first(const struct http_fetch *f)
{
    return f->waiters.first;
}

const char *http_fetch_host(const struct http_fetch *f)
{
    return f->host;
}
