/* SPDX-License-Identifier: Apache-2.0 */
/* http_fields: the HTTP client options that scraping and remote write share: authorization, TLS, headers,
   proxy. Rules and messages: prometheus/common config/http_config.go, config/headers.go. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "load.h"

#define AT(member) .at = offsetof(struct http_options, member)

static const struct field authorization_fields[] = {
    {"type", FIELD_TEXT, AT(authorization_type), .standard = "Bearer",
     .help = "the scheme before the credentials; \"\" sends the credentials alone"},
    {"credentials", FIELD_SECRET, AT(credentials.value), .help = "the token itself"},
    {"credentials_file", FIELD_FILE, AT(credentials.file),
     .help = "a file with the token; read again when it changes and after a 401"},
    {"credentials_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
};

static bool is_named(struct str name, const char *lower)
{
    return name.n == strlen(lower) && strncasecmp(name.p, lower, name.n) == 0;
}

static void check_authorization(struct load *l, const struct node *node, void *to)
{
    (void)to;
    struct problems *p = &l->problems;
    if (field_given(node, "credentials") && field_given(node, "credentials_file"))
        problem_add(p, field_place(node, "credentials_file"),
                    "at most one of authorization credentials & credentials_file must be configured");
    const struct node *type = node_get(node, "type");
    struct str word = type && type->kind == NODE_SCALAR ? str_trim(type->text) : STR_NULL;
    if (is_named(word, "basic"))
        problem_add(p, type->at, "authorization type cannot be set to \"basic\", use \"basic_auth\" instead");
}

const struct section section_authorization = {
    .name = "authorization",
    .help = "the Authorization header",
    FIELDS(authorization_fields),
    .check = check_authorization,
};

static const struct field basic_auth_fields[] = {
    {"username", FIELD_TEXT, AT(username.value), .help = "the user's name"},
    {"username_file", FIELD_FILE, AT(username.file), .help = "a file with the user's name"},
    {"username_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
    {"password", FIELD_SECRET, AT(password.value), .help = "the password itself"},
    {"password_file", FIELD_FILE, AT(password.file), .help = "a file with the password"},
    {"password_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
};

static void check_basic_auth(struct load *l, const struct node *node, void *to)
{
    (void)to;
    if (field_given(node, "username") && field_given(node, "username_file"))
        problem_add(&l->problems, field_place(node, "username_file"),
                    "at most one of basic_auth username, username_file & username_ref must be configured");
    if (field_given(node, "password") && field_given(node, "password_file"))
        problem_add(&l->problems, field_place(node, "password_file"),
                    "at most one of basic_auth password, password_file & password_ref must be configured");
}

const struct section section_basic_auth = {
    .name = "basic_auth",
    .help = "user name and password",
    FIELDS(basic_auth_fields),
    .check = check_basic_auth,
};

#define TLS_VERSIONS "|TLS10|TLS11|TLS12|TLS13" /* in the order of enum http_tls_version */

static const struct field tls_fields[] = {
    {"ca", FIELD_TEXT, AT(tls_ca.value), .help = "certificates to trust, PEM"},
    {"ca_file", FIELD_FILE, AT(tls_ca.file), .help = "a file with certificates to trust"},
    {"ca_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
    {"cert", FIELD_TEXT, AT(tls_cert.value), .help = "the client's certificate, PEM"},
    {"cert_file", FIELD_FILE, AT(tls_cert.file), .help = "a file with the client's certificate"},
    {"cert_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
    {"key", FIELD_SECRET, AT(tls_key.value), .help = "the client's key, PEM"},
    {"key_file", FIELD_FILE, AT(tls_key.file), .help = "a file with the client's key"},
    {"key_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
    {"server_name", FIELD_TEXT, AT(tls_server_name), .help = "the name the server's certificate must hold"},
    {"insecure_skip_verify", FIELD_BOOL, AT(tls_insecure_skip_verify),
     .help = "accept any certificate of the server"},
    {"min_version", FIELD_ENUM, AT(tls_min_version), .words = TLS_VERSIONS,
     .help = "the oldest TLS to speak"},
    {"max_version", FIELD_ENUM, AT(tls_max_version), .words = TLS_VERSIONS,
     .help = "the newest TLS to speak"},
};

static void at_most_one(struct load *l, const struct node *node, const char *inlined, const char *file)
{
    if (field_given(node, inlined) && field_given(node, file))
        problem_add(&l->problems, field_place(node, file),
                    "at most one of %s, %s & %s_ref must be configured",
                    inlined, file, inlined);
}

static void check_tls(struct load *l, const struct node *node, void *to)
{
    const struct http_options *o = to;
    at_most_one(l, node, "ca", "ca_file");
    at_most_one(l, node, "cert", "cert_file");
    at_most_one(l, node, "key", "key_file");
    bool cert = field_given(node, "cert") || field_given(node, "cert_file");
    bool key = field_given(node, "key") || field_given(node, "key_file");
    if (cert && !key)
        problem_add(&l->problems, node->at,
                    "exactly one of key or key_file must be configured when a client certificate is "
                    "configured");
    if (key && !cert)
        problem_add(&l->problems, node->at,
                    "exactly one of cert or cert_file must be configured when a client key is configured");
    if (o->tls_max_version != HTTP_TLS_DEFAULT && o->tls_max_version < o->tls_min_version)
        problem_add(&l->problems, field_place(node, "max_version"),
                    "tls_config.max_version must be greater than or equal to tls_config.min_version if both "
                    "are specified");
}

const struct section section_tls = {
    .name = "tls_config",
    .help = "TLS as a client",
    FIELDS(tls_fields),
    .check = check_tls,
};

/* Headers. Two notations for `headers`: a mapping (Prometheus's remote_write) and a list of "Name: value"
   (vmagent), and http_headers (Prometheus), where one may have several values. */

#define RESERVED \
    "content-encoding|content-length|content-type|user-agent|connection|keep-alive|proxy-authenticate|" \
    "proxy-authorization|www-authenticate|accept-encoding|x-prometheus-remote-write-version|" \
    "x-prometheus-remote-read-version|x-prometheus-scrape-timeout-seconds|transfer-encoding|x-amz-date|" \
    "x-amz-security-token|x-amz-content-sha256"

static bool is_header_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !strchr("!#$%&'*+-.^_`|~", s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_header_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool is_reserved(struct str name)
{
    char lower[64];
    if (name.n >= sizeof lower)
        return false;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = (char)tolower((unsigned char)name.p[i]);
    return words_index(RESERVED, str_make(lower, name.n)) >= 0;
}

/* Keys travel in headers of any name, so a value is shown only when the name sounds harmless. */
static bool sounds_secret(struct str name)
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

static void add_header(struct load *l, struct http_options *o, struct place at, struct str name,
                       struct str value, bool secret)
{
    if (!is_header_name(name) || !is_header_value(value)) {
        problem_add(&l->problems, at, "\"%.*s\" is not a valid header", STR_ARG(name));
        return;
    }
    o->headers = xrealloc(o->headers, (o->headers_n + 1) * sizeof *o->headers);
    struct http_header *h = &o->headers[o->headers_n++];
    *h = (struct http_header){str_dup(name), str_dup(value), secret || sounds_secret(name), NULL};
}

static void load_header_lines(struct load *l, const struct node *list, struct http_options *o)
{
    for (size_t i = 0; i < list->n; i++) {
        struct str line;
        if (!node_text(l, list->items[i], "headers", &line))
            continue;
        struct place at = list->items[i]->at;
        size_t colon = str_find_char(line, ':');
        struct str name = str_trim(str_make(line.p, colon));
        if (colon == line.n)
            problem_add(&l->problems, at,
                        "missing ':' in header \"%.*s\": write \"Name: value\"", STR_ARG(line));
        else if (is_reserved(name))
            problem_add(&l->problems, at, "%.*s is a reserved header. It must not be changed", STR_ARG(name));
        else
            add_header(l, o, at, name, str_trim(str_skip(line, colon + 1)), false);
    }
}

static void load_headers(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    if (value->kind == NODE_LIST) {
        load_header_lines(l, value, o);
        return;
    }
    if (!node_is_map(l, value, "headers"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        struct str text;
        if (is_named(pair->key, "authorization"))
            problem_add(&l->problems, pair->at,
                        "authorization header must be changed via the basic_auth, authorization, oauth2, "
                        "sigv4, azuread or google_iam parameter");
        else if (is_named(pair->key, "host") || is_reserved(pair->key))
            problem_add(&l->problems, pair->at, "%.*s is a reserved header. It must not be changed",
                        STR_ARG(pair->key));
        else if (node_text(l, pair->value, "headers", &text))
            add_header(l, o, pair->at, pair->key, text, false);
    }
}

static const struct field http_headers_fields[] = {
    {"values", FIELD_OWN, .help = "values to send"},
    {"secrets", FIELD_OWN, .help = "values to send and never to show"},
    {"files", FIELD_OWN, FIELD_LATER, .help = "files with values to send"},
};

const struct section section_headers = {
    .name = "http_headers",
    .help = "for each header's name, what to send",
    FIELDS(http_headers_fields),
};

static void load_header_values(struct load *l, const struct pair *header, const struct pair *field,
                               struct http_options *o)
{
    const char *name = field->key.p;
    bool secret = strcmp(name, "secrets") == 0;
    if (!secret && strcmp(name, "values") != 0) {
        bool later = strcmp(name, "files") == 0;
        if (!later || !node_is_empty(field->value))
            problem_add(&l->problems, field->at,
                        later ? "field %s is not supported yet" : "field %s not found in http_headers", name);
        return;
    }
    if (!node_is_list(l, field->value, name))
        return;
    for (size_t i = 0; i < field->value->n; i++) {
        struct str text;
        if (node_text(l, field->value->items[i], name, &text))
            add_header(l, o, field->value->items[i]->at, header->key, text, secret);
    }
}

static void load_http_headers(struct load *l, const struct node *value, void *to)
{
    if (!node_is_map(l, value, "http_headers"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *header = &value->pairs[i];
        if (is_named(header->key, "authorization") || is_named(header->key, "host") ||
            is_reserved(header->key)) {
            problem_add(&l->problems, header->at,
                        "setting header \"%.*s\" is not allowed", STR_ARG(header->key));
            continue;
        }
        if (!node_is_map(l, header->value, "http_headers"))
            continue;
        for (size_t k = 0; k < header->value->n; k++)
            load_header_values(l, header, &header->value->pairs[k], to);
    }
}

static void show_headers(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    if (o->headers_n == 0)
        return;
    dump_name(d, f->name);
    struct buf line;
    buf_init(&line, (size_t)1 << 20);
    for (size_t i = 0; i < o->headers_n; i++) {
        const struct http_header *h = &o->headers[i];
        buf_clear(&line);
        buf_addf(&line, "%s: %s", h->name, h->secret && !d->secrets ? "<secret>" : h->value);
        dump_item(d, buf_str(&line));
    }
    buf_free(&line);
}

#define HAS_AUTHORIZATION .has = FIELD_HAS(struct http_options, has_authorization)

static const struct field http_fields[] = {
    {"authorization", FIELD_SECTION, HAS_AUTHORIZATION, .section = &section_authorization,
     .help = "the Authorization header"},
    {"basic_auth", FIELD_SECTION, .has = FIELD_HAS(struct http_options, has_basic_auth),
     .section = &section_basic_auth, .help = "user name and password"},
    {"bearer_token", FIELD_SECRET, FIELD_ALIAS, AT(credentials.value), HAS_AUTHORIZATION,
     .help = "old for authorization.credentials"},
    {"bearer_token_file", FIELD_FILE, FIELD_ALIAS, AT(credentials.file), HAS_AUTHORIZATION,
     .help = "old for authorization.credentials_file"},
    {"oauth2", FIELD_OWN, FIELD_LATER, .help = "OAuth 2.0 client credentials"},
    {"headers", FIELD_OWN, .load = load_headers, .show = show_headers,
     .help = "headers to send: a mapping, or a list of \"Name: value\""},
    {"http_headers", FIELD_OWN, .load = load_http_headers, .section = &section_headers,
     .help = "headers to send, by name, each with values and secrets"},
    {"tls_config", FIELD_SECTION, .section = &section_tls, .help = "TLS as a client"},
    {"proxy_url", FIELD_URL, AT(proxy_url), .help = "the proxy to go through"},
    {"no_proxy", FIELD_TEXT, AT(no_proxy), .help = "hosts, domains and networks to reach without it"},
    {"proxy_from_environment", FIELD_BOOL, FIELD_LATER, .words = "false", .help = "HTTP_PROXY and its like"},
    {"proxy_connect_header", FIELD_OWN, FIELD_LATER, .help = "headers for the proxy"},
    {"proxy_authorization", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_basic_auth", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_bearer_token", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_bearer_token_file", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_oauth2", FIELD_OWN, FIELD_LATER, .help = "authorization at the proxy"},
    {"proxy_tls_config", FIELD_OWN, FIELD_LATER, .help = "TLS to the proxy"},
    {"proxy_headers", FIELD_OWN, FIELD_LATER, .help = "headers for the proxy"},
    {"follow_redirects", FIELD_BOOL, AT(follow_redirects), .standard = "true",
     .help = "follow 3xx; authorization never goes to another host"},
    {"enable_http2", FIELD_BOOL, AT(enable_http2), .standard = "false", .help = "offer HTTP/2"},
};

static void check_http(struct load *l, const struct node *node, void *to)
{
    (void)to;
    struct problems *p = &l->problems;
    bool token = field_given(node, "bearer_token"), token_file = field_given(node, "bearer_token_file");
    bool basic = !node_is_null(node_get(node, "basic_auth"));
    bool authorization = !node_is_null(node_get(node, "authorization"));
    const char *token_field = token ? "bearer_token" : "bearer_token_file";
    if (token && token_file)
        problem_add(p, field_place(node, "bearer_token_file"),
                    "at most one of bearer_token & bearer_token_file must be configured");
    if (basic && (token || token_file))
        problem_add(p, field_place(node, token_field),
                    "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    if (authorization && (token || token_file))
        problem_add(p, field_place(node, token_field),
                    "authorization is not compatible with bearer_token & bearer_token_file");
    if (authorization && basic)
        problem_add(p, field_place(node, "basic_auth"),
                    "at most one of basic_auth, oauth2 & authorization must be configured");
    if (field_given(node, "no_proxy") && !field_given(node, "proxy_url"))
        problem_add(p, field_place(node,
                    "no_proxy"), "if no_proxy is configured, proxy_url must also be configured");
}

const struct section section_http = {
    .name = "http_client",
    .help = "fields that every scrape_config and remote_write has",
    FIELDS(http_fields),
    .check = check_http,
};
