/* SPDX-License-Identifier: Apache-2.0 */
/* http_hide: what a peer was told of us that it must not get us to show, when it says it back. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/hide.h"
#include "http_private.h"

static int digit_of(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

/* The password of "Basic ...". */
static void add_basic(struct hide *h, struct str code)
{
    struct buf pair;
    unsigned bits = 0, n = 0;
    buf_init(&pair, code.n);
    for (size_t i = 0; i < code.n && digit_of(code.p[i]) >= 0; i++) {
        bits = (bits << 6 | (unsigned)digit_of(code.p[i])) & 0xffffff;
        n += 6;
        if (n >= 8) {
            n -= 8;
            buf_add_char(&pair, (char)(bits >> n & 0xff));
        }
    }
    size_t colon = str_find_char(buf_str(&pair), ':');
    if (colon < pair.n) {
        struct str user = str_make(pair.p, colon), password = str_skip(buf_str(&pair), colon + 1);
        hide_add(h, password.n ? password : user);
        hide_add(h, buf_str(&pair));
    }
    http_secret_free(buf_take(&pair));
}

/* A value, and what a server may pick out of it: "Bearer x", "a=x; b=y". */
static void add_value(struct hide *h, struct str value)
{
    hide_add(h, value);
    size_t blank = str_find_char(value, ' ');
    if (blank < value.n)
        hide_add(h, str_skip(value, blank + 1));
    if (str_starts(value, STR("Basic ")))
        add_basic(h, str_skip(value, 6));
    while (value.n) {
        struct str one = str_make(value.p, str_find_char(value, ';'));
        size_t equals = str_find_char(one, '=');
        if (equals + HIDE_LEAST < one.n)
            hide_add(h, str_trim(str_skip(one, equals + 1)));
        value = str_skip(value, one.n + 1);
    }
}

static bool is_secret(const struct http_header *headers, size_t n, struct str name)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(headers[i].name) == name.n && strncasecmp(headers[i].name, name.p, name.n) == 0 &&
            (headers[i].secret || headers[i].file))
            return true;
    }
    return hide_sounds_secret(name);
}

/* The header lines of a request, those of them that are secrets. */
static void add_lines(struct hide *h, const struct curl_slist *lines, const struct http_header *headers, size_t n)
{
    for (; lines; lines = lines->next) {
        struct str line = str_of(lines->data);
        struct str name = str_make(line.p, str_find_char(line, ':'));
        if (name.n < line.n && is_secret(headers, n, name))
            add_value(h, str_trim(str_skip(line, name.n + 1)));
    }
}

static void add_secret(struct hide *h, const struct http_secret *s)
{
    char *value = NULL;
    struct err ignored = {0};
    if (http_secret_read(s, &value, &ignored) && value)
        hide_add(h, str_of(value));
    http_secret_free(value);
}

static void add_options(struct hide *h, const struct http_options *o)
{
    add_secret(h, &o->credentials);
    add_secret(h, &o->password);
    for (size_t i = 0; o->oauth2 && i < o->oauth2->params_n; i++) {
        if (hide_sounds_secret(str_of(o->oauth2->params[i].name)))
            hide_add(h, str_of(o->oauth2->params[i].value));
    }
    if (o->oauth2) {
        add_secret(h, &o->oauth2->client_secret);
        hide_add_url(h, str_of(o->oauth2->token_url));
    }
    if (o->sigv4 && o->sigv4->secret_key)
        hide_add(h, str_of(o->sigv4->secret_key));
}

/* libcurl makes a header of the user and password in its URL. */
static void add_proxy(struct hide *h, const struct http_options *o, const struct http_url *to)
{
    char *proxy = http_proxy_for(o, to), *user = NULL, *password = NULL;
    CURLU *url = curl_url();
    if (proxy && url && curl_url_set(url, CURLUPART_URL, proxy, CURLU_NON_SUPPORT_SCHEME) == CURLUE_OK) {
        hide_add_url(h, str_of(proxy));
        (void)curl_url_get(url, CURLUPART_USER, &user, CURLU_URLDECODE);
        (void)curl_url_get(url, CURLUPART_PASSWORD, &password, CURLU_URLDECODE);
    }
    if (user || password) {
        char *value = http_basic_value(user, password);
        add_value(h, str_of(value));
        http_secret_free(value);
    }
    curl_free(user);
    curl_free(password);
    curl_url_cleanup(url);
    http_secret_free(proxy);
}

static void add_call(struct hide *h, const struct http_call *call)
{
    const struct http_options *o = call->request.options;
    add_lines(h, call->headers, o ? o->headers : NULL, o ? o->headers_n : 0);
    add_lines(h, call->proxy_headers, o ? o->proxy_connect_headers : NULL, o ? o->proxy_connect_headers_n : 0);
    if (o) {
        add_options(h, o);
        add_proxy(h, o, &call->url);
    }
    if (o && o->proxy_peer)
        add_options(h, o->proxy_peer);
    if (call->origin.password || call->origin.user)
        hide_add(h, str_of(call->origin.password ? call->origin.password : call->origin.user));
    hide_add_url(h, str_of(call->origin.text));
    hide_add_url(h, str_of(call->url.text));
    if (call->location)
        hide_add_url(h, str_of(call->location));
}

void http_result_hide(const struct http_result *result, struct buf *text)
{
    struct hide h;
    if (!result->call || !text->n)
        return;
    hide_init(&h);
    add_call(&h, result->call);
    hide_text(&h, text);
    hide_free(&h);
}

void http_result_hide_err(const struct http_result *result, struct err *err)
{
    struct buf text;
    if (!err_is(err))
        return;
    buf_init(&text, sizeof err->msg);
    buf_add_c(&text, err->msg);
    http_result_hide(result, &text);
    *err = (struct err){0};
    err_set(err, "%s", buf_c(&text));
    buf_free(&text);
}

void http_request_secrets(const struct http_request *request, struct hide *h)
{
    struct err ignored = {0};
    struct http_call call = {.request = *request, .method = (char *)(request->method ? request->method : "GET")};
    hide_add_url(h, str_of(request->url));
    if (!http_url_parse(&call.origin, NULL, request->url, &ignored))
        return;
    call.url = http_url_copy(&call.origin);
    call.extra_headers = (char **)request->headers;
    while (request->headers && request->headers[call.extra_headers_n])
        call.extra_headers_n++;
    call.proxied = true;
    bool ok = http_headers_build(&call, &ignored) && http_headers_build_proxy(&call, &ignored);
    (void)ok; /* else nothing can be sent, and yet the rest is not to be shown */
    add_call(h, &call);
    curl_slist_free_all(call.headers);
    curl_slist_free_all(call.proxy_headers);
    http_url_free(&call.url);
    http_url_free(&call.origin);
}
