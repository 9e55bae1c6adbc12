/* SPDX-License-Identifier: Apache-2.0 */
/* http_fields: the HTTP client options that scraping and remote write share: authorization and TLS. Rules and
   messages: prometheus/common config/http_config.go. */
#include "http_fields.h"

#define AT(member) .at = offsetof(struct http_options, member)

static const struct field authorization_fields[] = {
    {"type", FIELD_TEXT, AT(authorization_type), .standard = "Bearer",
     .help = "the scheme before the credentials; \"\" sends the credentials alone"},
    {"credentials", FIELD_SECRET, AT(credentials.value), .help = "the token itself"},
    {"credentials_file", FIELD_FILE, AT(credentials.file),
     .help = "a file with the token; read again when it changes and after a 401"},
    {"credentials_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
};

static void check_authorization(struct load *l, const struct node *node, void *to)
{
    (void)to;
    struct problems *p = &l->problems;
    if (field_given(node, "credentials") && field_given(node, "credentials_file"))
        problem_add(p, field_place(node, "credentials_file"),
                    "at most one of authorization credentials & credentials_file must be configured");
    const struct node *type = node_get(node, "type");
    struct str word = type && type->kind == NODE_SCALAR ? str_trim(type->text) : STR_NULL;
    if (name_is(word, "basic"))
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
    {"oauth2", FIELD_OWN, .load = load_oauth2, .show = show_oauth2,
     .help = "OAuth 2.0 client credentials [see oauth2]"},
    {"headers", FIELD_OWN, .load = load_headers, .show = show_headers,
     .help = "headers to send: a mapping, or a list of \"Name: value\""},
    {"http_headers", FIELD_OWN, .load = load_http_headers, .show = show_header_files, .section = &section_headers,
     .help = "headers to send, by name, each with values, secrets and files"},
    {"tls_config", FIELD_SECTION, .section = &section_tls, .help = "TLS as a client"},
    {"unix_socket", FIELD_PATH, AT(unix_socket),
     .help = "a socket's path to connect to instead of the URL's host (obsagent)"},
    {"follow_redirects", FIELD_BOOL, AT(follow_redirects), .standard = "true",
     .help = "follow 3xx, up to 10; authorization never goes to another host"},
    {"enable_http2", FIELD_BOOL, AT(enable_http2), .standard = "false",
     .help = "speak HTTP/2 with servers that offer it over TLS; HTTP/1.1 is cheaper for one request at a time"},
};

static void check_http(struct load *l, const struct node *node, void *to)
{
    const struct http_options *o = to;
    struct problems *p = &l->problems;
    if (o->unix_socket && (o->proxy_url || o->proxy_from_environment))
        problem_add(p, field_place(node, "unix_socket"), "unix_socket is not compatible with a proxy");
    bool token = field_given(node, "bearer_token"), token_file = field_given(node, "bearer_token_file");
    bool basic = !node_is_null(node_get(node, "basic_auth"));
    bool oauth2 = !node_is_null(node_get(node, "oauth2"));
    bool authorization = !node_is_null(node_get(node, "authorization"));
    const char *token_field = token ? "bearer_token" : "bearer_token_file";
    if (token && token_file)
        problem_add(p, field_place(node, "bearer_token_file"),
                    "at most one of bearer_token & bearer_token_file must be configured");
    if ((basic || oauth2) && (token || token_file))
        problem_add(p, field_place(node, token_field),
                    "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
    if (authorization && (token || token_file))
        problem_add(p, field_place(node, token_field),
                    "authorization is not compatible with bearer_token & bearer_token_file");
    if (authorization + basic + oauth2 > 1)
        problem_add(p, field_place(node, basic ? "basic_auth" : "oauth2"),
                    "at most one of basic_auth, oauth2 & authorization must be configured");
}

const struct section section_http = {
    .name = "http_client",
    .help = "fields that every scrape_config and remote_write has",
    FIELDS(http_fields),
    .more = &section_proxy,
    .check = check_http,
};

void dump_section(struct dump *d, const char *name, const struct section *s, const void *from)
{
    dump_name(d, name);
    d->indent += 2;
    section_dump(d, s, from);
    d->indent -= 2;
}
