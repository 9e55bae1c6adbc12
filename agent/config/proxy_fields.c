/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_fields: the proxy between us and servers: Prometheus's ProxyConfig, and vmagent's fields for telling the
   proxy who we are. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http_fields.h"

#define AT(member) .at = offsetof(struct http_options, member)

static struct http_options *peer_of(struct http_options *o)
{
    if (!o->proxy_peer)
        o->proxy_peer = xcalloc(1, sizeof *o->proxy_peer);
    return o->proxy_peer;
}

static void load_section(struct load *l, const struct section *s, const struct node *value, struct http_options *peer)
{
    section_defaults(l, s, peer);
    section_load(l, s, value, peer);
}

static void load_authorization(struct load *l, const struct node *value, void *to)
{
    if (node_is_null(value))
        return;
    struct http_options *peer = peer_of(to);
    peer->has_authorization = true;
    load_section(l, &section_authorization, value, peer);
}

static void load_basic_auth(struct load *l, const struct node *value, void *to)
{
    if (node_is_null(value))
        return;
    struct http_options *peer = peer_of(to);
    peer->has_basic_auth = true;
    load_section(l, &section_basic_auth, value, peer);
}

static void load_token(struct load *l, const struct node *value, void *to)
{
    struct str token;
    if (!node_text(l, value, "proxy_bearer_token", &token) || token.n == 0)
        return;
    struct http_options *peer = peer_of(to);
    peer->has_authorization = true;
    free(peer->credentials.value);
    peer->credentials.value = str_dup(token);
}

static void load_token_file(struct load *l, const struct node *value, void *to)
{
    char *path = load_file_name(l, value, "proxy_bearer_token_file");
    if (!path)
        return;
    struct http_options *peer = peer_of(to);
    peer->has_authorization = true;
    free(peer->credentials.file);
    peer->credentials.file = path;
}

static void load_tls(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    if (node_is_null(value))
        return;
    o->has_proxy_tls = true;
    load_section(l, &section_tls, value, peer_of(o));
    if (field_given(value, "server_name"))
        problem_add(&l->problems, field_place(value, "server_name"),
                    "field server_name is not supported yet in proxy_tls_config: the proxy's certificate must "
                    "hold the host of proxy_url");
}

static void load_proxy_headers(struct load *l, const struct node *value, void *to)
{
    if (node_is_list(l, value, "proxy_headers"))
        load_headers(l, value, peer_of(to));
}

/* ---- showing ---- */

static void show_authorization(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *peer = ((const struct http_options *)from)->proxy_peer;
    if (peer && peer->has_authorization)
        dump_section(d, f->name, &section_authorization, peer);
}

static void show_basic_auth(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *peer = ((const struct http_options *)from)->proxy_peer;
    if (peer && peer->has_basic_auth)
        dump_section(d, f->name, &section_basic_auth, peer);
}

static void show_tls(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    if (o->has_proxy_tls)
        dump_section(d, f->name, &section_tls, o->proxy_peer);
}

static void show_proxy_headers(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *peer = ((const struct http_options *)from)->proxy_peer;
    if (peer)
        show_headers(d, f, peer);
}

/* ---- the section ---- */

static const struct field proxy_fields[] = {
    {"proxy_url", FIELD_URL, AT(proxy_url), .words = "http|https|socks5|socks5h", .help = "the proxy to go through"},
    {"no_proxy", FIELD_TEXT, AT(no_proxy),
     .help = "hosts, domains, addresses and networks to reach without it, each with :port if need be"},
    {"proxy_from_environment", FIELD_BOOL, AT(proxy_from_environment),
     .help = "take both from HTTP_PROXY, HTTPS_PROXY and NO_PROXY"},
    {"proxy_connect_header", FIELD_OWN, .load = load_connect_headers, .show = show_connect_headers,
     .help = "headers of the CONNECT to the proxy: for each name, a list of values"},
    {"proxy_authorization", FIELD_OWN, .load = load_authorization, .show = show_authorization,
     .help = "the Proxy-Authorization header [see authorization]"},
    {"proxy_basic_auth", FIELD_OWN, .load = load_basic_auth, .show = show_basic_auth,
     .help = "user name and password for the proxy [see basic_auth]"},
    {"proxy_bearer_token", FIELD_OWN, FIELD_ALIAS, .load = load_token,
     .help = "short for proxy_authorization.credentials"},
    {"proxy_bearer_token_file", FIELD_OWN, FIELD_ALIAS, .load = load_token_file,
     .help = "short for proxy_authorization.credentials_file"},
    {"proxy_oauth2", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_tls_config", FIELD_OWN, .load = load_tls, .show = show_tls,
     .help = "TLS with an https proxy; tls_config when not given [see tls_config]"},
    {"proxy_headers", FIELD_OWN, .load = load_proxy_headers, .show = show_proxy_headers,
     .help = "headers for the proxy, with every request: a list of \"Name: value\""},
};

static void check_identity(struct load *l, const struct node *node)
{
    static const char *const ways[] = {"proxy_authorization", "proxy_basic_auth", "proxy_bearer_token",
                                       "proxy_bearer_token_file"};
    const char *last = NULL;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        if (!field_given(node, ways[i]))
            continue;
        if (last)
            problem_add(&l->problems, field_place(node, ways[i]),
                        "at most one of proxy_authorization, proxy_basic_auth, proxy_bearer_token & "
                        "proxy_bearer_token_file must be configured");
        last = ways[i];
    }
}

static void check_proxy(struct load *l, const struct node *node, void *to)
{
    const struct http_options *o = to;
    struct problems *p = &l->problems;
    bool url = field_given(node, "proxy_url"), environment = o->proxy_from_environment;
    if (field_given(node, "proxy_connect_header") && !url && !environment)
        problem_add(p, field_place(node, "proxy_connect_header"),
                    "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be "
                    "configured");
    if (environment && url)
        problem_add(p, field_place(node, "proxy_url"),
                    "if proxy_from_environment is configured, proxy_url must not be configured");
    if (field_given(node, "no_proxy") && environment)
        problem_add(p, field_place(node, "no_proxy"),
                    "if proxy_from_environment is configured, no_proxy must not be configured");
    else if (field_given(node, "no_proxy") && !url)
        problem_add(p, field_place(node, "no_proxy"),
                    "if no_proxy is configured, proxy_url must also be configured");
    check_identity(l, node);
}

const struct section section_proxy = {
    .name = "proxy",
    .help = "the proxy to go through, and what to tell it",
    FIELDS(proxy_fields),
    .check = check_proxy,
};
