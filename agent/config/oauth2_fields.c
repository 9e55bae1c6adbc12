/* SPDX-License-Identifier: Apache-2.0 */
/* oauth2_fields: the OAuth 2.0 client credentials of prometheus/common config/http_config.go. */
#include <stdlib.h>

#include "base/alloc.h"
#include "http_fields.h"

#define AT(member) .at = offsetof(struct http_oauth2, member)

static void load_scopes(struct load *l, const struct node *value, void *to)
{
    struct http_oauth2 *a = to;
    if (!node_is_list(l, value, "scopes"))
        return;
    a->scopes = xcalloc(value->n + 1, sizeof *a->scopes);
    for (size_t i = 0; i < value->n; i++) {
        struct str scope;
        if (node_text(l, value->items[i], "scopes", &scope))
            a->scopes[a->scopes_n++] = str_dup(scope);
    }
}

static void show_scopes(struct dump *d, const struct field *f, const void *from)
{
    const struct http_oauth2 *a = from;
    for (size_t i = 0; i < a->scopes_n; i++) {
        if (i == 0)
            dump_name(d, f->name);
        dump_item(d, str_of(a->scopes[i]));
    }
}

static void load_params(struct load *l, const struct node *value, void *to)
{
    struct http_oauth2 *a = to;
    if (!node_is_map(l, value, "endpoint_params"))
        return;
    a->params = xcalloc(value->n + 1, sizeof *a->params);
    for (size_t i = 0; i < value->n; i++) {
        struct str text;
        if (node_text(l, value->pairs[i].value, "endpoint_params", &text))
            a->params[a->params_n++] = (struct http_param){str_dup(value->pairs[i].key), str_dup(text)};
    }
}

/* A password may be among them, of other grant types. */
static void show_params(struct dump *d, const struct field *f, const void *from)
{
    const struct http_oauth2 *a = from;
    struct label *labels = xcalloc(a->params_n + 1, sizeof *labels);
    for (size_t i = 0; i < a->params_n; i++) {
        labels[i].name = str_of(a->params[i].name);
        bool hide = !d->secrets && hide_sounds_secret(labels[i].name);
        labels[i].value = hide ? STR("<secret>") : str_of(a->params[i].value);
    }
    dump_labels(d, f->name, labels, a->params_n);
    free(labels);
}

static void load_endpoint_headers(struct load *l, const struct node *value, void *to)
{
    load_headers(l, value, &((struct http_oauth2 *)to)->endpoint);
}

static void show_endpoint_headers(struct dump *d, const struct field *f, const void *from)
{
    show_headers(d, f, &((const struct http_oauth2 *)from)->endpoint);
}

#define JWT "for the grant type jwt-bearer"

static const struct field oauth2_fields[] = {
    {"client_id", FIELD_TEXT, AT(client_id), .help = "who we are"},
    {"client_secret", FIELD_SECRET, AT(client_secret.value), .help = "the secret itself"},
    {"client_secret_file", FIELD_FILE, AT(client_secret.file),
     .help = "a file with the secret; read again when it changes"},
    {"client_secret_ref", FIELD_TEXT, FIELD_LATER, .help = "a name in a secret manager"},
    {"scopes", FIELD_OWN, .load = load_scopes, .show = show_scopes, .help = "scopes to ask for"},
    {"token_url", FIELD_URL, AT(token_url), .help = "where tokens come from"},
    {"endpoint_params", FIELD_OWN, .load = load_params, .show = show_params,
     .help = "further fields of the form sent there"},
    {"tls_config", FIELD_SECTION, AT(endpoint), .section = &section_tls, .help = "TLS with token_url"},
    {"headers", FIELD_OWN, .load = load_endpoint_headers, .show = show_endpoint_headers,
     .help = "headers for token_url"},
    {"grant_type", FIELD_TEXT, FIELD_LATER, .words = "client_credentials", .help = "another way to get tokens"},
    {"client_certificate_key_id", FIELD_TEXT, FIELD_LATER, .help = JWT},
    {"client_certificate_key", FIELD_SECRET, FIELD_LATER, .help = JWT},
    {"client_certificate_key_file", FIELD_FILE, FIELD_LATER, .help = JWT},
    {"client_certificate_key_ref", FIELD_TEXT, FIELD_LATER, .help = JWT},
    {"signature_algorithm", FIELD_TEXT, FIELD_LATER, .help = JWT},
    {"iss", FIELD_TEXT, FIELD_LATER, .help = JWT},
    {"audience", FIELD_TEXT, FIELD_LATER, .help = JWT},
    {"claims", FIELD_OWN, FIELD_LATER, .help = JWT},
};

static void check_oauth2(struct load *l, const struct node *node, void *to)
{
    const struct http_oauth2 *a = to;
    struct problems *p = &l->problems;
    if (!field_given(node, "client_id"))
        problem_add(p, node->at, "oauth2 client_id must be configured");
    if (!field_given(node, "token_url"))
        problem_add(p, node->at, "oauth2 token_url must be configured");
    if (field_given(node, "client_secret") && field_given(node, "client_secret_file"))
        problem_add(p, field_place(node, "client_secret_file"),
                    "at most one of oauth2 client_secret, client_secret_file & client_secret_ref must be configured");
    for (size_t i = 0; i < a->params_n; i++) {
        const char *name = a->params[i].name;
        if (a->scopes_n > 0 && str_eq_c(STR("scope"), name))
            problem_add(p, field_place(node, "endpoint_params"), "oauth2: cannot overwrite parameter \"scope\"");
    }
}

const struct section section_oauth2 = {
    .name = "oauth2",
    .help = "OAuth 2.0 client credentials: a token from token_url, sent as Authorization",
    FIELDS(oauth2_fields),
    .more = &section_proxy,
    .more_at = offsetof(struct http_oauth2, endpoint),
    .check = check_oauth2,
};

void load_oauth2(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    if (node_is_null(value))
        return;
    o->oauth2 = http_oauth2_new();
    section_defaults(l, &section_oauth2, o->oauth2);
    section_load(l, &section_oauth2, value, o->oauth2);
}

void show_oauth2(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    if (o->oauth2)
        dump_section(d, f->name, &section_oauth2, o->oauth2);
}
