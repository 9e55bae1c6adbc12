/* SPDX-License-Identifier: Apache-2.0 */
/* http_oauth2: the present token of one configuration, what is sent to get one, and reading the answer. Who
   sends it and who waits: http_fetch.c. The words are those of golang.org/x/oauth2, which Prometheus uses. */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/units.h"
#include "http_private.h"

#define EARLY_MS 10000     /* a token is replaced so long before its end, or at half of its life */
#define DROP_EVERY_MS 1000 /* many requests may meet the same 401 */
#define SECONDS_MAX (INT64_C(10) * 365 * 24 * 3600)
#define SAID_MAX 200 /* of an answer's error_description */

struct http_token {
    pthread_mutex_t lock;
    char *header;        /* "Bearer abc", NULL = none */
    int64_t renew_ms;    /* monotonic */
    int64_t dropped_ms;  /* when the last one was refused; 0 = never */
    const void *claimed; /* who asks for the next one; NULL = nobody */
    enum http_token_style style;
};

struct http_oauth2 *http_oauth2_new(void)
{
    struct http_oauth2 *a = xcalloc(1, sizeof *a);
    a->token = xcalloc(1, sizeof *a->token);
    pthread_mutex_init(&a->token->lock, NULL);
    return a;
}

void http_token_free(struct http_token *t)
{
    if (!t)
        return;
    http_secret_free(t->header);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* ---- the token ---- */

char *http_token_header(struct http_token *t)
{
    pthread_mutex_lock(&t->lock);
    char *header = t->header && clock_mono_ms() < t->renew_ms ? xstrdup(t->header) : NULL;
    pthread_mutex_unlock(&t->lock);
    return header;
}

void http_token_drop(struct http_token *t)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&t->lock);
    if (t->header && (t->dropped_ms == 0 || now - t->dropped_ms >= DROP_EVERY_MS)) {
        http_secret_free(t->header);
        t->header = NULL;
        t->dropped_ms = now;
    }
    pthread_mutex_unlock(&t->lock);
}

bool http_token_claim(struct http_token *t, const void *who, enum http_token_style *style)
{
    pthread_mutex_lock(&t->lock);
    bool free_to_take = !t->claimed;
    if (free_to_take)
        t->claimed = who;
    *style = t->style;
    pthread_mutex_unlock(&t->lock);
    return free_to_take;
}

void http_token_release(struct http_token *t, const void *who, struct http_new_token *made)
{
    pthread_mutex_lock(&t->lock);
    if (t->claimed == who) {
        t->claimed = NULL;
        if (made)
            t->style = made->style;
        if (made && made->header) {
            http_secret_free(t->header);
            t->header = made->header;
            t->renew_ms = made->renew_ms;
            made->header = NULL;
        }
    }
    pthread_mutex_unlock(&t->lock);
}

/* ---- asking ---- */

/* As Go's url.QueryEscape. */
static void add_escaped(struct buf *out, const char *text)
{
    for (const char *c = text; *c; c++) {
        if (isalnum((unsigned char)*c) || strchr("-_.~", *c))
            buf_add_char(out, *c);
        else if (*c == ' ')
            buf_add_char(out, '+');
        else
            buf_addf(out, "%%%02X", (unsigned)(unsigned char)*c);
    }
}

static void add_field(struct buf *form, const char *name, const char *value)
{
    if (form->n > 0)
        buf_add_char(form, '&');
    add_escaped(form, name);
    buf_add_char(form, '=');
    add_escaped(form, value);
}

static void add_scopes(struct buf *form, const struct http_oauth2 *a)
{
    if (a->scopes_n == 0)
        return;
    struct buf all;
    buf_init(&all, HTTP_TOKEN_FORM_MAX);
    for (size_t i = 0; i < a->scopes_n; i++)
        buf_addf(&all, "%s%s", i > 0 ? " " : "", a->scopes[i]);
    add_field(form, "scope", buf_c(&all));
    buf_free(&all);
}

static bool read_secret(const struct http_oauth2 *a, char **secret, struct err *err)
{
    if (!http_secret_read(&a->client_secret, secret, err))
        return false;
    if (!*secret)
        *secret = xstrdup("");
    return true;
}

bool http_token_form(const struct http_oauth2 *a, enum http_token_style style, struct buf *form, struct err *err)
{
    bool own_grant = false;
    for (size_t i = 0; i < a->params_n; i++)
        own_grant = own_grant || strcmp(a->params[i].name, "grant_type") == 0;
    if (!own_grant)
        add_field(form, "grant_type", "client_credentials");
    add_scopes(form, a);
    for (size_t i = 0; i < a->params_n; i++)
        add_field(form, a->params[i].name, a->params[i].value ? a->params[i].value : "");
    if (style == HTTP_TOKEN_STYLE_BODY) {
        char *secret;
        if (!read_secret(a, &secret, err))
            return false;
        add_field(form, "client_id", a->client_id);
        add_field(form, "client_secret", secret);
        http_secret_free(secret);
    }
    return !form->overflow || err_set(err, "the form is larger than %d bytes", HTTP_TOKEN_FORM_MAX);
}

char *http_token_authorization(const struct http_oauth2 *a, struct err *err)
{
    char *secret;
    if (!read_secret(a, &secret, err))
        return NULL;
    struct buf id, password;
    buf_init(&id, HTTP_TOKEN_FORM_MAX);
    buf_init(&password, HTTP_TOKEN_FORM_MAX);
    add_escaped(&id, a->client_id);
    add_escaped(&password, secret);
    char *basic = http_basic_value(buf_c(&id), buf_c(&password));
    char *line = xasprintf("Authorization: %s", basic);
    http_secret_free(basic);
    http_secret_free(secret);
    buf_free(&id);
    http_secret_free(buf_take(&password));
    return line;
}

/* ---- the answer ---- */

static const char *text_of(const json_t *answer, const char *key)
{
    const char *text = json_string_value(json_object_get(answer, key));
    return text ? text : "";
}

/* Go's spelling for the schemes it knows; anything else as the server wrote it. */
static const char *scheme_of(const json_t *answer)
{
    const char *type = text_of(answer, "token_type");
    if (!type[0] || strcasecmp(type, "bearer") == 0)
        return "Bearer";
    if (strcasecmp(type, "mac") == 0)
        return "MAC";
    return strcasecmp(type, "basic") == 0 ? "Basic" : type;
}

/* A number, or a text with one as PayPal sends it. None or 0: it does not end. */
static int64_t renew_time(const json_t *answer, int64_t now_ms)
{
    const json_t *v = json_object_get(answer, "expires_in");
    int64_t seconds = 0;
    if (json_is_integer(v))
        seconds = json_integer_value(v);
    else if (json_is_real(v))
        seconds = (int64_t)fmin(fmax(json_real_value(v), -1), (double)SECONDS_MAX);
    else if (json_is_string(v) && !units_parse_i64(str_of(json_string_value(v)), &seconds))
        seconds = 0;
    if (seconds == 0)
        return INT64_MAX;
    seconds = seconds < 1 ? 1 : seconds > SECONDS_MAX ? SECONDS_MAX : seconds;
    int64_t early = seconds * 500 < EARLY_MS ? seconds * 500 : EARLY_MS;
    return now_ms + seconds * 1000 - early;
}

static bool can_be_sent(const char *text)
{
    for (const char *c = text; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    }
    return true;
}

/* What an error answer says, unless it says our secret back to us. */
static bool refused(const struct http_oauth2 *a, long status, const json_t *answer, struct err *err)
{
    const char *code = text_of(answer, "error"), *more = text_of(answer, "error_description");
    char *secret = NULL;
    bool known = http_secret_read(&a->client_secret, &secret, NULL);
    bool told = !known || (secret && secret[0] && (strstr(code, secret) || strstr(more, secret)));
    http_secret_free(secret);
    if (told || !code[0] || !can_be_sent(code) || strlen(code) > SAID_MAX)
        return err_set(err, "status %ld", status);
    struct str said = str_of(more);
    said.n = said.n > SAID_MAX ? SAID_MAX : said.n;
    while (said.n > 0 && !str_is_utf8(said)) /* cut inside a character */
        said.n--;
    bool plain = said.n > 0 && can_be_sent(more);
    return err_set(err, "status %ld: %s%s%.*s%s", status, code, plain ? " (" : "", plain ? (int)said.n : 0, more,
                   plain ? ")" : "");
}

bool http_token_parse(const struct http_oauth2 *a, long status, struct str body, struct http_new_token *made,
                      struct err *err)
{
    json_error_t ignored;
    json_t *answer = json_loadb(body.p ? body.p : "", body.n, 0, &ignored);
    const char *token = text_of(answer, "access_token"), *scheme = scheme_of(answer);
    bool ok = true;
    if (status / 100 != 2 || text_of(answer, "error")[0])
        ok = refused(a, status, answer, err);
    else if (!json_is_object(answer))
        ok = err_set(err, "the answer is not JSON");
    else if (!token[0])
        ok = err_set(err, "server response missing access_token");
    else if (!can_be_sent(token) || !can_be_sent(scheme))
        ok = err_set(err, "the answer's access_token cannot be sent in a header");
    if (ok) {
        made->header = xasprintf("%s %s", scheme, token);
        made->renew_ms = renew_time(answer, clock_mono_ms());
    }
    json_decref(answer);
    return ok;
}
