/* SPDX-License-Identifier: Apache-2.0 */
/* hush: finds our secrets in what others say. */
#include "hush.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define SHORTEST 4 /* what is shorter stands in any text by chance */

static void keep(struct hush *h, char *text)
{
    if (text && strlen(text) >= SHORTEST && h->n < HUSH_MAX) {
        h->v[h->n++] = text;
        return;
    }
    free(text);
}

static void keep_encoded(struct hush *h, const char *text)
{
    size_t n = strlen(text);
    if (n < SHORTEST || n > 4096)
        return;
    char *out = xmalloc(4 * (n / 3 + 1) + 1);
    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)text, (int)n);
    out[strcspn(out, "=")] = '\0'; /* with or without padding */
    keep(h, out);
}

static char *value_of(const struct http_secret *s)
{
    struct err err = {0};
    char *out = NULL;
    return http_secret_read(s, &out, &err) ? out : NULL;
}

static void take(struct hush *h, const struct http_secret *s)
{
    char *value = value_of(s);
    if (value)
        keep_encoded(h, value);
    keep(h, value);
}

static void take_pair(struct hush *h, const struct http_secret *user, const struct http_secret *password)
{
    char *u = value_of(user), *p = value_of(password);
    char *both = xasprintf("%s:%s", u ? u : "", p ? p : "");
    if (p)
        keep_encoded(h, both);
    free(both);
    free(u);
    free(p);
}

static void take_headers(struct hush *h, const struct http_header *headers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct http_secret s = {.value = headers[i].value, .file = headers[i].file};
        if (s.file)
            s.value = NULL;
        take(h, &s);
        /* "Bearer x" is known by the x, too. */
        const char *blank = s.value ? strrchr(s.value, ' ') : NULL;
        if (blank)
            keep(h, xstrdup(blank + 1));
    }
}

static void take_url(struct hush *h, const char *url)
{
    const char *host = strstr(url, "://");
    if (!host)
        return;
    host += 3;
    size_t n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', n);
    if (at) {
        char *user = str_dup(str_make(host, (size_t)(at - host)));
        char *password = strchr(user, ':');
        keep_encoded(h, user);
        keep(h, password ? xstrdup(password + 1) : NULL);
        keep(h, user);
    }
    const char *query = strchr(host, '?');
    while (query && *query) {
        const char *value = query + 1 + strcspn(query + 1, "=&#");
        size_t value_n = *value == '=' ? strcspn(value + 1, "&#") : 0;
        if (value_n)
            keep(h, str_dup(str_make(value + 1, value_n)));
        query = strchr(query + 1, '&');
    }
}

void hush_init(struct hush *h, const struct http_options *o, const char *url)
{
    h->n = 0;
    take(h, &o->credentials);
    take(h, &o->password);
    take_pair(h, &o->username, &o->password);
    take_headers(h, o->headers, o->headers_n);
    take_headers(h, o->proxy_connect_headers, o->proxy_connect_headers_n);
    if (o->oauth2)
        take(h, &o->oauth2->client_secret);
    if (o->sigv4 && o->sigv4->secret_key)
        keep(h, xstrdup(o->sigv4->secret_key));
    if (o->proxy_url)
        take_url(h, o->proxy_url);
    take_url(h, url);
}

void hush_free(struct hush *h)
{
    for (size_t i = 0; i < h->n; i++) {
        explicit_bzero(h->v[i], strlen(h->v[i]));
        free(h->v[i]);
    }
    h->n = 0;
}

/* How long the longest secret is that begins here; 0 = none. At the end, where text may have been cut, the beginning of
   one will do. */
static size_t secret_at(const struct hush *h, struct str text)
{
    size_t longest = 0;
    for (size_t i = 0; i < h->n; i++) {
        size_t n = strlen(h->v[i]);
        if (n > text.n && text.n >= SHORTEST)
            n = text.n;
        if (n > longest && n <= text.n && memcmp(text.p, h->v[i], n) == 0)
            longest = n;
    }
    return longest;
}

void hush_add(const struct hush *h, struct str text, size_t max, struct buf *out)
{
    size_t start = out->n;
    bool blank = false;
    text = str_trim(text);
    while (text.n) {
        if (out->n - start >= max) {
            buf_add_c(out, "...");
            return;
        }
        size_t secret = secret_at(h, text);
        size_t step = secret ? secret : str_utf8_step(text);
        unsigned char c = (unsigned char)text.p[0];
        bool space = !secret && (c == ' ' || (c >= '\t' && c <= '\r'));
        bool broken = c >= 0x80 && step <= 1;
        bool control = c < ' ' || c == 0x7f || (c == 0xc2 && step == 2 && (unsigned char)text.p[1] < 0xa0);
        if (space && !blank)
            buf_add_char(out, ' ');
        else if (secret)
            buf_add_c(out, "<secret>");
        else if (!space && (broken || control))
            buf_add_char(out, '?');
        else if (!space)
            buf_add(out, text.p, step);
        blank = space;
        text = str_skip(text, step ? step : 1);
    }
}

void hush_url(const char *url, struct buf *out)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    size_t host_n = strcspn(host, "/?#");
    const char *at = memrchr(host, '@', host_n);
    buf_add(out, url, (size_t)(host - url));
    if (at)
        host = at + 1;
    buf_add(out, host, strcspn(host, "?#"));
}
