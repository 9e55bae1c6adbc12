/* SPDX-License-Identifier: Apache-2.0 */
/* hide: what is a secret, and where it stands. */
#include "base/hide.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"

bool hide_sounds_secret(struct str name)
{
    static const char *const words[] = {"auth", "key", "token", "secret", "cookie", "pass", "sign", "cred"};
    for (size_t w = 0; w < sizeof words / sizeof *words; w++) {
        size_t n = strlen(words[w]);
        for (size_t i = 0; i + n <= name.n; i++)
            if (strncasecmp(name.p + i, words[w], n) == 0)
                return true;
    }
    return false;
}

bool hide_label(struct str name)
{
    static const struct str param = {"__param_", 8};
    return str_starts(name, param) && hide_sounds_secret(str_skip(name, param.n));
}

/* ---- URLs ---- */

/* Where things stand in scheme://user:password@host/path?query#fragment. */
struct parts {
    size_t user, password; /* password == at: there is none, and the user is the secret */
    size_t at;             /* the '@'; == user: nobody is named */
    size_t query;          /* the '?', or the end */
};

static size_t find_any(struct str s, size_t from, const char *chars)
{
    while (from < s.n && !strchr(chars, s.p[from]))
        from++;
    return from;
}

/* Where the authority begins: behind scheme://, if that is there. */
static size_t find_authority(struct str url)
{
    size_t n = str_find(url, STR("://"));
    for (size_t i = 0; i < n && n < url.n; i++) {
        if (!isalnum((unsigned char)url.p[i]) && !strchr("+-.", url.p[i]))
            return 0;
    }
    return n < url.n ? n + 3 : 0;
}

static struct parts find_parts(struct str url)
{
    struct parts p = {.user = find_authority(url)};
    size_t end = find_any(url, p.user, "/?#"), last = end;
    while (last > p.user && url.p[last - 1] != '@')
        last--;
    p.at = last > p.user ? last - 1 : p.user;
    p.password = find_any(url, p.user, ":");
    p.password = p.password < p.at ? p.password + 1 : p.at;
    p.query = find_any(url, 0, "?");
    return p;
}

/* The next parameter of a query with the character before it; its value is empty when it is no secret. */
static struct str next_param(struct str *query, struct str *secret)
{
    struct str param = str_make(query->p, find_any(*query, 1, "&#"));
    size_t equals = str_find_char(param, '=');
    bool is_secret = param.p[0] != '#' && equals < param.n && hide_sounds_secret(str_make(param.p, equals));
    *secret = is_secret ? str_skip(param, equals + 1) : STR_NULL;
    *query = str_skip(*query, param.n);
    return param;
}

void hide_url(struct str url, struct buf *out)
{
    struct parts p = find_parts(url);
    struct str query = str_skip(url, p.query), secret;
    size_t from = 0;
    if (p.at > p.user) {
        buf_add(out, url.p, p.password < p.at ? p.password : p.user);
        buf_add_c(out, "xxxxx");
        from = p.at;
    }
    if (p.query > from)
        buf_add(out, url.p + from, p.query - from);
    while (query.n) {
        struct str param = next_param(&query, &secret);
        buf_add(out, param.p, param.n - secret.n);
        buf_add_c(out, secret.n ? "xxxxx" : "");
    }
}

int hide_quoted(const char *message)
{
    const char *near = strstr(message, " near '");
    return (int)(near ? (size_t)(near - message) : strlen(message));
}

/* ---- texts ---- */

void hide_init(struct hide *h)
{
    *h = (struct hide){0};
}

void hide_free(struct hide *h)
{
    for (size_t i = 0; i < h->n; i++) {
        explicit_bzero((char *)h->v[i].p, h->v[i].n);
        free((char *)h->v[i].p);
    }
    free(h->v);
    *h = (struct hide){0};
}

static void add_one(struct hide *h, struct str secret)
{
    if (secret.n < HIDE_LEAST)
        return;
    for (size_t i = 0; i < h->n; i++) {
        if (str_eq(h->v[i], secret))
            return;
    }
    h->v = xgrow(h->v, &h->cap, h->n + 1, sizeof *h->v);
    size_t at = h->n++;
    for (; at > 0 && h->v[at - 1].n < secret.n; at--)
        h->v[at] = h->v[at - 1];
    h->v[at] = str_make(str_dup(secret), secret.n);
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, tolower((unsigned char)c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void decode(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(s.p[i + 2]) : -1;
        buf_add_char(out, low >= 0 ? (char)(high * 16 + low) : s.p[i]);
        i += low >= 0 ? 2 : 0;
    }
}

static void encode(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (isalnum(c) || strchr("-._~", c))
            buf_add_char(out, (char)c);
        else
            buf_addf(out, "%%%02X", c);
    }
}

void hide_add(struct hide *h, struct str secret)
{
    struct buf other;
    buf_init(&other, SIZE_MAX / 4);
    add_one(h, secret);
    encode(secret, &other);
    add_one(h, buf_str(&other));
    if (other.n)
        explicit_bzero(other.p, other.n);
    buf_free(&other);
}

static void add_decoded(struct hide *h, struct str secret)
{
    struct buf other;
    buf_init(&other, SIZE_MAX / 4);
    add_one(h, secret);
    decode(secret, &other);
    hide_add(h, buf_str(&other));
    buf_free(&other);
}

void hide_add_url(struct hide *h, struct str url)
{
    struct parts p = find_parts(url);
    struct str query = str_skip(url, p.query), secret;
    size_t from = p.password < p.at ? p.password : p.user;
    add_decoded(h, str_make(url.p + from, p.at - from));
    while (query.n) {
        (void)next_param(&query, &secret);
        add_decoded(h, secret);
    }
}

/* How many bytes of a secret are at the beginning of the text. What is cut off in the middle is one, too. */
static size_t found_at(const struct hide *h, struct str rest)
{
    for (size_t i = 0; i < h->n; i++) {
        if (str_starts(rest, h->v[i]))
            return h->v[i].n;
        if (rest.n >= HIDE_LEAST && str_starts(h->v[i], rest))
            return rest.n;
    }
    return 0;
}

void hide_text(const struct hide *h, struct buf *text)
{
    struct buf out;
    size_t copied = 0;
    buf_init(&out, SIZE_MAX / 4); /* a short secret may get longer */
    for (size_t i = 0; h->n && i < text->n;) {
        size_t n = found_at(h, str_make(text->p + i, text->n - i));
        if (!n) {
            i++;
            continue;
        }
        buf_add(&out, text->p + copied, i - copied);
        buf_add_c(&out, "<secret>");
        i += n;
        copied = i;
    }
    if (copied) {
        buf_add(&out, text->p + copied, text->n - copied);
        buf_clear(text);
        buf_add(text, out.p, out.n < text->max ? out.n : text->max);
    }
    buf_free(&out);
}
