/* SPDX-License-Identifier: Apache-2.0 */
/* sd_consul_fields: consul_sd_config. Rules and messages: prometheus discovery/consul/consul.go. */
#include "sd_fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

#define AT(member) .at = offsetof(struct config_sd, consul.member)

static void load_services(struct load *l, const struct node *value, void *to)
{
    load_config_texts(l, value, "services", to);
}

static void load_tags(struct load *l, const struct node *value, void *to)
{
    load_config_texts(l, value, "tags", to);
}

static void show_texts(struct dump *d, const struct field *f, const void *from)
{
    show_config_texts(d, f->name, from);
}

static void load_node_meta(struct load *l, const struct node *value, void *to)
{
    struct config_texts *meta = to;
    if (!node_is_map(l, value, "node_meta") || value->n == 0)
        return;
    meta->v = xcalloc(value->n, sizeof *meta->v);
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        struct str text;
        if (str_find_char(pair->key, ':') < pair->key.n)
            problem_add(&l->problems, pair->at, "node_meta: a key cannot have a colon");
        else if (node_text(l, pair->value, "node_meta", &text))
            meta->v[meta->n++] = xasprintf("%.*s:%.*s", STR_ARG(pair->key), STR_ARG(text));
    }
}

static void show_node_meta(struct dump *d, const struct field *f, const void *from)
{
    const struct config_texts *meta = from;
    if (meta->n == 0)
        return;
    dump_name(d, f->name);
    d->indent += 2;
    for (size_t i = 0; i < meta->n; i++) {
        struct str text = str_of(meta->v[i]);
        char *key = str_dup(str_make(text.p, str_find_char(text, ':')));
        dump_text(d, key, meta->v[i] + strlen(key) + 1);
        free(key);
    }
    d->indent -= 2;
}

static const struct field consul_fields[] = {
    {"server", FIELD_TEXT, AT(server), .standard = "localhost:8500",
     .help = "HOST:PORT of a Consul agent, or unix:///PATH"},
    {"scheme", FIELD_WORD, AT(scheme), .standard = "http", .words = "http|https", .help = "how to talk to it"},
    {"path_prefix", FIELD_TEXT, AT(path_prefix), .help = "what stands before /v1 in paths"},
    {"token", FIELD_SECRET, AT(token), .help = "sent as X-Consul-Token"},
    {"datacenter", FIELD_TEXT, AT(datacenter), .help = "which datacenter (that of the agent)"},
    {"namespace", FIELD_TEXT, AT(space), .help = "which namespace (Consul Enterprise)"},
    {"partition", FIELD_TEXT, AT(partition), .help = "which admin partition (Consul Enterprise)"},
    {"tag_separator", FIELD_TEXT, AT(tag_separator), .standard = ",", .help = "between tags in __meta_consul_tags"},
    {"username", FIELD_TEXT, AT(username), .help = "as in basic_auth"},
    {"password", FIELD_SECRET, AT(password), .help = "as in basic_auth"},
    {"allow_stale", FIELD_BOOL, AT(allow_stale), .standard = "true",
     .help = "any server may answer, not the leader alone"},
    {"refresh_interval", FIELD_DURATION, .at = offsetof(struct config_sd, refresh_interval_ms), .standard = "30s",
     .min = 1, .help = "how long at least between two questions for the same; Consul answers when there is news"},
    {"services", FIELD_OWN, AT(services), .load = load_services, .show = show_texts, .help = "only these services"},
    {"tags", FIELD_OWN, AT(tags), .load = load_tags, .show = show_texts, .help = "only what has all these tags"},
    {"node_meta", FIELD_OWN, AT(node_meta), .load = load_node_meta, .show = show_node_meta,
     .help = "only nodes with these metadata"},
    {"filter", FIELD_TEXT, AT(filter), .help = "an expression that Consul's catalog filters by"},
    {"health_filter", FIELD_TEXT, AT(health_filter), .help = "an expression that instances are filtered by"},
};

/* A name and a password mean what basic_auth means. */
static void move_login(struct load *l, const struct node *node, struct config_sd *sd)
{
    struct config_consul_sd *c = &sd->consul;
    if (!c->username && !c->password)
        return;
    if (sd->http.has_basic_auth) {
        problem_add(&l->problems, field_place(node, "basic_auth"),
                    "at most one of consul SD configuration username and password and basic auth can be configured");
        return;
    }
    sd->http.has_basic_auth = true;
    sd->http.username.value = c->username;
    sd->http.password.value = c->password;
    c->username = c->password = NULL;
}

static bool is_blank(const char *text)
{
    return !text || str_trim(str_of(text)).n == 0;
}

static void check_consul(struct load *l, const struct node *node, void *to)
{
    struct config_sd *sd = to;
    if (is_blank(sd->consul.server))
        problem_add(&l->problems, field_place(node, "server"), "consul SD configuration requires a server address");
    if (sd->consul.token && (sd->http.has_authorization || sd->http.oauth2))
        problem_add(&l->problems, field_place(node, "token"),
                    "at most one of consul SD token, authorization, or oauth2 can be configured");
    move_login(l, node, sd);
}

void config_consul_free(struct config_consul_sd *c)
{
    char *const texts[] = {c->server, c->scheme, c->path_prefix, c->token, c->username, c->password, c->datacenter,
                           c->space, c->partition, c->tag_separator, c->filter, c->health_filter};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    config_texts_free(&c->services);
    config_texts_free(&c->tags);
    config_texts_free(&c->node_meta);
}

const struct section section_consul_sd = {
    .name = "consul_sd_config",
    .help = "targets from Consul's catalog, by blocking queries",
    FIELDS(consul_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_sd, http),
    .check = check_consul,
};
