/* SPDX-License-Identifier: Apache-2.0 */
/* http_proxy: which proxy a URL is reached through. The rules are those of golang.org/x/net/http/httpproxy;
   libcurl's own know no port, and differ in what a leading dot and localhost mean. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/units.h"
#include "http_private.h"


struct address {
    bool v4;
    uint8_t bytes[16];
};

static bool address_parse(struct str s, struct address *a)
{
    char text[INET6_ADDRSTRLEN];
    if (s.n == 0 || s.n >= sizeof text)
        return false;
    memcpy(text, s.p, s.n);
    text[s.n] = '\0';
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    memcpy(a->bytes, mapped, sizeof mapped);
    if (inet_pton(AF_INET, text, a->bytes + 12) == 1) {
        a->v4 = true;
        return true;
    }
    bool ok = inet_pton(AF_INET6, text, a->bytes) == 1;
    a->v4 = ok && memcmp(a->bytes, mapped, sizeof mapped) == 0;
    return ok;
}

static bool is_loopback(const struct address *a)
{
    static const uint8_t v6[16] = {[15] = 1};
    return a->v4 ? a->bytes[12] == 127 : memcmp(a->bytes, v6, sizeof v6) == 0;
}

/* "network/bits"; false when s is something else. */
static bool network_parse(struct str s, struct address *net, unsigned *bits)
{
    size_t slash = str_find_char(s, '/');
    uint64_t n;
    if (slash == s.n || !address_parse(str_make(s.p, slash), net) || !units_parse_u64(str_skip(s, slash + 1), &n))
        return false;
    bool written_v4 = net->v4 && str_find_char(s, ':') == s.n;
    if (n > (written_v4 ? 32u : 128u))
        return false;
    *bits = (unsigned)n + (written_v4 ? 96 : 0);
    return true;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    if (memcmp(a, b, bits / 8) != 0)
        return false;
    unsigned rest = bits % 8;
    return rest == 0 || ((a[bits / 8] ^ b[bits / 8]) >> (8 - rest)) == 0;
}

/* Splits "host:port" and "[v6]:port"; port is empty when there is none. */
static void split_port(struct str s, struct str *host, struct str *port)
{
    *host = s;
    *port = STR_NULL;
    size_t colon = s.n;
    while (colon > 0 && s.p[colon - 1] != ':')
        colon--;
    if (colon == 0)
        return;
    struct str before = str_make(s.p, colon - 1);
    bool bracketed = before.n > 1 && before.p[0] == '[' && before.p[before.n - 1] == ']';
    if (!bracketed && str_find_char(before, ':') < before.n)
        return; /* an IPv6 address without brackets */
    *host = bracketed ? str_make(before.p + 1, before.n - 2) : before;
    *port = str_skip(s, colon);
}

/* foo.com means it and all below, .foo.com and *.foo.com only what is below. */
static bool name_matches(struct str pattern, struct str name)
{
    if (str_starts(pattern, STR("*.")))
        pattern = str_skip(pattern, 1);
    if (pattern.n > name.n)
        return false;
    struct str end = str_skip(name, name.n - pattern.n);
    if (strncasecmp(end.p, pattern.p, pattern.n) != 0)
        return false;
    return pattern.p[0] == '.' || end.n == name.n || name.p[name.n - end.n - 1] == '.';
}

static bool entry_matches(struct str entry, struct str name, const struct address *a, struct str url_port)
{
    struct address other;
    unsigned bits;
    if (network_parse(entry, &other, &bits))
        return a && a->v4 == other.v4 && same_bits(a->bytes, other.bytes, bits);
    struct str host, port;
    split_port(entry, &host, &port);
    if (host.n == 0 || (port.n > 0 && !str_eq(port, url_port)))
        return false;
    if (address_parse(host, &other))
        return a && memcmp(a->bytes, other.bytes, sizeof other.bytes) == 0;
    return name_matches(host, name);
}

bool http_proxy_is_bypassed(const char *no_proxy, const struct http_url *u)
{
    struct str name = str_of(u->host);
    if (name.n > 1 && name.p[0] == '[')
        name = str_make(name.p + 1, name.n - 2);
    struct address a;
    bool literal = address_parse(name, &a);
    if (str_eq(name, STR("localhost")) || (literal && is_loopback(&a)))
        return true;
    struct str rest = str_of(no_proxy);
    while (rest.n > 0) {
        size_t comma = str_find_char(rest, ',');
        struct str entry = str_trim(str_make(rest.p, comma));
        rest = str_skip(rest, comma + 1);
        if (entry.n == 0)
            continue;
        if (str_eq(entry, STR("*")) || entry_matches(entry, name, literal ? &a : NULL, str_of(u->port)))
            return true;
    }
    return false;
}

static const char *environment(const char *upper, const char *lower)
{
    const char *value = getenv(upper);
    return value && *value ? value : getenv(lower);
}

/* Go leaves looking up names to either kind of SOCKS 5; libcurl's socks5:// does it itself. */
static char *for_libcurl(const char *proxy)
{
    if (strncasecmp(proxy, "socks5://", 9) == 0)
        return xasprintf("socks5h://%s", proxy + 9);
    return strstr(proxy, "://") ? xstrdup(proxy) : xasprintf("http://%s", proxy);
}

char *http_proxy_for(const struct http_options *o, const struct http_url *u)
{
    const char *proxy = o->proxy_url, *no_proxy = o->no_proxy;
    if (o->proxy_from_environment) {
        proxy = u->tls ? environment("HTTPS_PROXY", "https_proxy") : environment("HTTP_PROXY", "http_proxy");
        no_proxy = environment("NO_PROXY", "no_proxy");
    }
    if (!proxy || !*proxy)
        return NULL;
    /* A proxy_url alone is used for localhost too, as Prometheus does. */
    bool has_rules = o->proxy_from_environment || (no_proxy && *no_proxy);
    return has_rules && http_proxy_is_bypassed(no_proxy, u) ? NULL : for_libcurl(proxy);
}
