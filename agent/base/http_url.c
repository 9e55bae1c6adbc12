/* SPDX-License-Identifier: Apache-2.0 */
/* http_url: URLs taken apart, joined with redirects, and compared for who may see credentials. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "http_private.h"

static char *part(CURLU *u, CURLUPart what, unsigned flags)
{
    char *curl_owned = NULL;
    if (curl_url_get(u, what, &curl_owned, flags) != CURLUE_OK)
        return NULL;
    char *copy = xstrdup(curl_owned);
    curl_free(curl_owned);
    return copy;
}

static void drop_part(CURLU *u, CURLUPart what)
{
    (void)curl_url_set(u, what, NULL, 0);
}

static bool fill(struct http_url *u, CURLU *h, struct err *err)
{
    char *scheme = part(h, CURLUPART_SCHEME, 0);
    bool http = scheme && strcasecmp(scheme, "http") == 0;
    u->tls = scheme && strcasecmp(scheme, "https") == 0;
    free(scheme);
    if (!http && !u->tls)
        return err_set(err, "invalid URL: the scheme must be http or https");
    u->user = part(h, CURLUPART_USER, CURLU_URLDECODE);
    u->password = part(h, CURLUPART_PASSWORD, CURLU_URLDECODE);
    drop_part(h, CURLUPART_USER);
    drop_part(h, CURLUPART_PASSWORD);
    drop_part(h, CURLUPART_FRAGMENT);
    u->host = part(h, CURLUPART_HOST, 0);
    u->port = part(h, CURLUPART_PORT, CURLU_DEFAULT_PORT);
    u->text = part(h, CURLUPART_URL, 0);
    if (!u->host || !u->host[0] || !u->port || !u->text)
        return err_set(err, "invalid URL: no host");
    return true;
}

/* scheme://name-or-IPv4:port/path in plain characters: what nearly every target has, without libcurl's
   parser, which costs 5 % of a scrape. False means "not so plain", nothing more. */
static bool parse_plain(struct http_url *u, const char *text)
{
    static const char name_chars[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    bool tls = strncmp(text, "https://", 8) == 0;
    if (!tls && strncmp(text, "http://", 7) != 0)
        return false;
    const char *host = text + (tls ? 8 : 7);
    size_t host_n = strspn(host, name_chars);
    const char *port = host + host_n + (host[host_n] == ':');
    size_t port_n = port > host + host_n ? strspn(port, "0123456789") : 0;
    const char *path = port + port_n;
    if (host_n == 0 || port_n > 5 || (port > host + host_n && port_n == 0) || *path != '/')
        return false;
    if (port_n > 0 && (strtoul(port, NULL, 10) > 65535 || port[0] == '0'))
        return false;
    for (const char *c = path; *c; c++) {
        if (*c <= ' ' || *c > '~' || *c == '#')
            return false;
    }
    u->tls = tls;
    u->host = str_dup(str_make(host, host_n));
    u->port = port_n > 0 ? str_dup(str_make(port, port_n)) : xstrdup(tls ? "443" : "80");
    u->text = xstrdup(text);
    return true;
}

struct http_url http_url_copy(const struct http_url *u)
{
    return (struct http_url){
        .text = xstrdup(u->text),
        .host = xstrdup(u->host),
        .port = xstrdup(u->port),
        .user = xstrdup(u->user),
        .password = xstrdup(u->password),
        .tls = u->tls,
    };
}

bool http_url_parse(struct http_url *u, const char *base, const char *ref, struct err *err)
{
    *u = (struct http_url){0};
    if (!base && parse_plain(u, ref))
        return true;
    CURLU *h = curl_url();
    if (!h)
        abort();
    CURLUcode rc = CURLUE_OK;
    if (base)
        rc = curl_url_set(h, CURLUPART_URL, base, 0);
    if (rc == CURLUE_OK)
        /* Servers send unescaped spaces in Location; a URL of ours must be right as it is. */
        rc = curl_url_set(h, CURLUPART_URL, ref, base ? CURLU_URLENCODE : 0);
    bool ok = rc == CURLUE_OK ? fill(u, h, err) : err_set(err, "invalid URL: %s", curl_url_strerror(rc));
    curl_url_cleanup(h);
    if (!ok)
        http_url_free(u);
    return ok;
}

void http_url_free(struct http_url *u)
{
    free(u->text);
    free(u->host);
    free(u->port);
    http_secret_free(u->user);
    http_secret_free(u->password);
    *u = (struct http_url){0};
}

bool http_url_same_origin(const struct http_url *from, const struct http_url *to)
{
    if (strcasecmp(from->host, to->host) != 0)
        return false;
    if (from->tls == to->tls)
        return strcmp(from->port, to->port) == 0;
    return to->tls && strcmp(from->port, "80") == 0 && strcmp(to->port, "443") == 0;
}

char *http_url_with_host(const struct http_url *u, const char *host)
{
    CURLU *h = curl_url();
    char *text = NULL;
    if (h && curl_url_set(h, CURLUPART_URL, u->text, 0) == CURLUE_OK &&
        curl_url_set(h, CURLUPART_HOST, host, 0) == CURLUE_OK)
        text = part(h, CURLUPART_URL, 0);
    curl_url_cleanup(h);
    return text;
}

bool http_host_is_literal(const char *host)
{
    struct in_addr v4;
    return host[0] == '[' || inet_pton(AF_INET, host, &v4) == 1;
}
