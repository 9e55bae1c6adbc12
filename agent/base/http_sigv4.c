/* SPDX-License-Identifier: Apache-2.0 */
/* http_sigv4: AWS Signature Version 4 of a request. Our own and not libcurl's: that one signs header lines which only
   switch something off ("Expect:") as if they were sent, so receivers refuse what it has signed. Only headers that no
   proxy changes are signed. */
#include <ctype.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "http_private.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define HEX_BYTES (2 * SHA256_DIGEST_LENGTH + 1)
#define TEXT_MAX (1024 * 1024)
#define PARAMS_MAX 256 /* of a URL's query */
#define SIGNED_MAX 8

struct digest {
    unsigned char bytes[SHA256_DIGEST_LENGTH];
};

static void hex(const struct digest *d, char out[HEX_BYTES])
{
    for (size_t i = 0; i < sizeof d->bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", d->bytes[i]);
}

void http_sigv4_hash(struct str text, char out[HTTP_SIGV4_HASH_BYTES])
{
    struct digest d;
    SHA256((const unsigned char *)(text.p ? text.p : ""), text.n, d.bytes);
    hex(&d, out);
}

static struct digest hmac(const void *key, size_t key_n, struct str text)
{
    struct digest d = {{0}};
    HMAC(EVP_sha256(), key, (int)key_n, (const unsigned char *)text.p, text.n, d.bytes, NULL);
    return d;
}

static struct digest hmac_next(const struct digest *key, struct str text)
{
    return hmac(key->bytes, sizeof key->bytes, text);
}

/* ---- the canonical request ---- */

static void add_encoded(struct buf *out, unsigned char c)
{
    if (isalnum(c) || strchr("-_.~", c))
        buf_add_char(out, (char)c);
    else
        buf_addf(out, "%%%02X", c);
}

/* What is escaped in the URL is escaped once more: so every service but S3 wants it. */
static void add_path(struct buf *out, const char *path)
{
    char last = '\0';
    if (path[0] != '/')
        buf_add_char(out, '/');
    for (const char *c = path; *c; last = *c++) {
        if (*c != '/')
            add_encoded(out, (unsigned char)*c);
        else if (last != '/')
            buf_add_char(out, '/');
    }
}

static int hex_value(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    int low = tolower((unsigned char)c);
    return low >= 'a' && low <= 'f' ? low - 'a' + 10 : -1;
}

static void add_param_part(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = i + 2 < s.n && s.p[i] == '%' ? hex_value(s.p[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s.p[i + 2]) : -1;
        if (low >= 0) {
            add_encoded(out, (unsigned char)(high * 16 + low));
            i += 2;
        } else {
            add_encoded(out, s.p[i] == '+' ? ' ' : (unsigned char)s.p[i]);
        }
    }
}

struct param {
    char *name, *value;
};

static int param_order(const void *a, const void *b)
{
    const struct param *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : strcmp(left->value, right->value);
}

static char *encoded(struct str s)
{
    struct buf out;
    buf_init(&out, TEXT_MAX);
    add_param_part(&out, s);
    char *text = xstrdup(buf_c(&out));
    buf_free(&out);
    return text;
}

static void add_query(struct buf *out, const char *query)
{
    struct param params[PARAMS_MAX];
    size_t n = 0;
    for (struct str rest = str_of(query); rest.n > 0 && n < PARAMS_MAX;) {
        size_t end = str_find_char(rest, '&');
        struct str pair = str_make(rest.p, end);
        rest = str_skip(rest, end + 1);
        if (pair.n == 0)
            continue;
        size_t equals = str_find_char(pair, '=');
        params[n++] = (struct param){encoded(str_make(pair.p, equals)), encoded(str_skip(pair, equals + 1))};
    }
    qsort(params, n, sizeof *params, param_order);
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, "%s%s=%s", i ? "&" : "", params[i].name, params[i].value);
        free(params[i].name);
        free(params[i].value);
    }
}

static void add_signed_names(struct buf *out, const struct http_sigv4_request *r)
{
    for (size_t i = 0; i < r->headers_n; i++)
        buf_addf(out, "%s%s", i ? ";" : "", r->headers[i].name);
}

static void canonical(const struct http_sigv4_request *r, char out[HEX_BYTES])
{
    struct buf text;
    buf_init(&text, TEXT_MAX);
    buf_addf(&text, "%s\n", r->method);
    add_path(&text, r->path);
    buf_add_char(&text, '\n');
    add_query(&text, r->query ? r->query : "");
    buf_add_char(&text, '\n');
    for (size_t i = 0; i < r->headers_n; i++)
        buf_addf(&text, "%s:%s\n", r->headers[i].name, r->headers[i].value);
    buf_add_char(&text, '\n');
    add_signed_names(&text, r);
    buf_addf(&text, "\n%s", r->body_hash);
    http_sigv4_hash(buf_str(&text), out);
    if (text.p)
        explicit_bzero(text.p, text.cap); /* a session token is in it */
    buf_free(&text);
}

/* ---- the signature ---- */

static struct digest signing_key(const char *secret, struct str day, const char *region, const char *service)
{
    char *first = xasprintf("AWS4%s", secret);
    struct digest key = hmac(first, strlen(first), day);
    http_secret_free(first);
    key = hmac_next(&key, str_of(region));
    key = hmac_next(&key, str_of(service));
    return hmac_next(&key, STR("aws4_request"));
}

char *http_sigv4_authorization(const struct http_sigv4_request *r, const char *region, const char *service,
                               const struct http_aws_keys *keys)
{
    char request_hash[HEX_BYTES], signature[HEX_BYTES];
    canonical(r, request_hash);
    struct str day = str_make(r->date, 8);
    char *scope = xasprintf("%.*s/%s/%s/aws4_request", STR_ARG(day), region, service);
    char *text = xasprintf(ALGORITHM "\n%s\n%s\n%s", r->date, scope, request_hash);
    struct digest key = signing_key(keys->secret, day, region, service);
    struct digest made = hmac_next(&key, str_of(text));
    hex(&made, signature);
    explicit_bzero(&key, sizeof key);
    struct buf names;
    buf_init(&names, TEXT_MAX);
    add_signed_names(&names, r);
    char *value = xasprintf(ALGORITHM " Credential=%s/%s, SignedHeaders=%s, Signature=%s", keys->id, scope,
                            buf_c(&names), signature);
    buf_free(&names);
    free(text);
    free(scope);
    return value;
}

/* ---- of a call ---- */

/* The value of the last line of that name among those to be sent; NULL when there is none. */
static const char *line_value(const struct http_call *call, const char *name)
{
    size_t n = strlen(name);
    const char *found = NULL;
    for (const struct curl_slist *line = call->headers; line; line = line->next) {
        if (strncasecmp(line->data, name, n) != 0 || line->data[n] != ':')
            continue;
        const char *value = line->data + n + 1;
        value += strspn(value, " \t");
        found = *value ? value : NULL;
    }
    return found;
}

/* As libcurl writes it. */
static char *host_of(const struct http_call *call)
{
    const char *given = line_value(call, "Host");
    if (given)
        return xstrdup(given);
    bool usual = strcmp(call->url.port, call->url.tls ? "443" : "80") == 0;
    return usual ? xstrdup(call->url.host) : xasprintf("%s:%s", call->url.host, call->url.port);
}

static void send_line(struct http_call *call, const char *name, const char *value)
{
    char *line = xasprintf("%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    http_secret_free(line);
    if (!longer)
        abort();
    call->headers = longer;
}

static void sign(struct http_call *call, const struct http_aws_keys *keys, const char *path, const char *query)
{
    const struct http_sigv4 *a = call->request.options->sigv4;
    char date[32], body_hash[HTTP_SIGV4_HASH_BYTES];
    time_t now = (time_t)(clock_wall_ms() / 1000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &utc);
    http_sigv4_hash(call->request.body, body_hash);
    char *host = host_of(call);
    const char *type = line_value(call, "Content-Type");
    struct http_sigv4_header headers[SIGNED_MAX];
    size_t n = 0;
    if (type)
        headers[n++] = (struct http_sigv4_header){"content-type", type};
    headers[n++] = (struct http_sigv4_header){"host", host};
    headers[n++] = (struct http_sigv4_header){"x-amz-content-sha256", body_hash};
    headers[n++] = (struct http_sigv4_header){"x-amz-date", date};
    if (keys->session)
        headers[n++] = (struct http_sigv4_header){"x-amz-security-token", keys->session};
    struct http_sigv4_request request = {call->method, path, query, headers, n, body_hash, date};
    char *authorization = http_sigv4_authorization(&request, a->region, a->service ? a->service : "aps", keys);
    send_line(call, "X-Amz-Date", date);
    send_line(call, "X-Amz-Content-Sha256", body_hash);
    if (keys->session)
        send_line(call, "X-Amz-Security-Token", keys->session);
    send_line(call, "Authorization", authorization);
    http_secret_free(authorization);
    free(host);
}

bool http_sigv4_sign(struct http_call *call, struct err *err)
{
    struct http_aws_keys keys = {0};
    if (!http_aws_keys_find(call->request.options->sigv4, &keys, err)) {
        http_aws_keys_free(&keys);
        return err_prefix(err, "sigv4");
    }
    /* The path as libcurl sends it, with dots resolved. */
    CURLU *h = curl_url();
    char *path = NULL, *query = NULL;
    bool ok = h && curl_url_set(h, CURLUPART_URL, call->url.text, 0) == CURLUE_OK &&
              curl_url_get(h, CURLUPART_PATH, &path, 0) == CURLUE_OK;
    if (ok) {
        (void)curl_url_get(h, CURLUPART_QUERY, &query, 0);
        sign(call, &keys, path, query);
    } else {
        err_set(err, "sigv4: invalid URL");
    }
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(h);
    http_aws_keys_free(&keys);
    return ok;
}
