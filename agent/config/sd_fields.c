/* SPDX-License-Identifier: Apache-2.0 */
/* sd_fields: the kinds of discovery that ask over the network, one list of entries for all. */
#include "sd_fields.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"

static const struct section *const sections[CONFIG_SD_KINDS] = {
    [CONFIG_SD_KUBERNETES] = &section_kubernetes_sd,
    [CONFIG_SD_KUBELET] = &section_kubelet_sd,
    [CONFIG_SD_HTTP] = &section_http_sd,
    [CONFIG_SD_DNS] = &section_dns_sd,
    [CONFIG_SD_CONSUL] = &section_consul_sd,
    [CONFIG_SD_DOCKER] = &section_docker_sd,
};

static const char *const names[CONFIG_SD_KINDS] = {
    [CONFIG_SD_KUBERNETES] = "kubernetes_sd_configs",
    [CONFIG_SD_KUBELET] = "kubelet_sd_configs",
    [CONFIG_SD_HTTP] = "http_sd_configs",
    [CONFIG_SD_DNS] = "dns_sd_configs",
    [CONFIG_SD_CONSUL] = "consul_sd_configs",
    [CONFIG_SD_DOCKER] = "docker_sd_configs",
};

/* ---- lists ---- */

void load_config_texts(struct load *l, const struct node *value, const char *what, struct config_texts *texts)
{
    if (!node_is_list(l, value, what) || value->n == 0)
        return;
    texts->v = xcalloc(value->n, sizeof *texts->v);
    for (size_t i = 0; i < value->n; i++) {
        struct str text;
        if (node_text(l, value->items[i], what, &text))
            texts->v[texts->n++] = str_dup(text);
    }
}

void show_config_texts(struct dump *d, const char *name, const struct config_texts *texts)
{
    if (texts->n == 0)
        return;
    dump_name(d, name);
    for (size_t i = 0; i < texts->n; i++)
        dump_item(d, str_of(texts->v[i]));
}

void config_texts_free(struct config_texts *texts)
{
    for (size_t i = 0; i < texts->n; i++)
        free(texts->v[i]);
    free(texts->v);
}

/* ---- entries ---- */

uint64_t section_hash(const struct section *section, const void *from)
{
    struct buf text;
    buf_init(&text, (size_t)16 << 20);
    struct dump d = {.out = &text, .secrets = true};
    section_dump(&d, section, from);
    uint64_t hash = hash_more(hash_bytes(section->name, strlen(section->name)), buf_str(&text));
    buf_free(&text);
    return hash;
}

static void load_entries(struct load *l, const struct node *value, struct config_job *job, enum config_sd_kind kind)
{
    const struct section *section = sections[kind];
    if (!node_is_list(l, value, names[kind]) || value->n == 0)
        return;
    job->sd = xrealloc(job->sd, (job->sd_n + value->n) * sizeof *job->sd);
    const char *empty = arena_printf(&l->arena, "empty or null section in %s", names[kind]);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = node_map_at(l, value, i, section->name, empty);
        if (!item)
            continue;
        struct config_sd *sd = &job->sd[job->sd_n++];
        memset(sd, 0, sizeof *sd);
        sd->kind = kind;
        section_defaults(l, section, sd);
        section_load(l, section, item, sd);
        sd->hash = section_hash(section, sd);
        sd->http_hash = section_hash(&section_http, &sd->http);
    }
}

void load_kubernetes_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_KUBERNETES);
}

void load_kubelet_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_KUBELET);
}

void load_http_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_HTTP);
}

void load_dns_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_DNS);
}

void load_consul_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_CONSUL);
}

void load_docker_sds(struct load *l, const struct node *value, void *to)
{
    load_entries(l, value, to, CONFIG_SD_DOCKER);
}

static enum config_sd_kind kind_named(const char *name)
{
    enum config_sd_kind kind = 0;
    while (kind + 1 < CONFIG_SD_KINDS && strcmp(names[kind], name) != 0)
        kind++;
    return kind;
}

void show_sds(struct dump *d, const struct field *f, const void *from)
{
    const struct config_job *job = from;
    enum config_sd_kind kind = kind_named(f->name);
    bool named = false;
    for (size_t i = 0; i < job->sd_n; i++) {
        if (job->sd[i].kind != kind)
            continue;
        if (!named)
            dump_name(d, f->name);
        named = true;
        d->indent += 2;
        d->dash = true;
        section_dump(d, sections[kind], &job->sd[i]);
        d->indent -= 2;
    }
}

static void kubernetes_free(struct config_kubernetes_sd *k)
{
    free(k->api_server);
    free(k->kubeconfig_file);
    config_texts_free(&k->namespaces);
    for (size_t i = 0; i < k->selectors_n; i++) {
        free(k->selectors[i].label);
        free(k->selectors[i].field);
    }
    free(k->selectors);
}

void config_sds_free(struct config_sd *sd, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        switch (sd[i].kind) {
        case CONFIG_SD_KUBERNETES:
            kubernetes_free(&sd[i].kubernetes);
            break;
        case CONFIG_SD_KUBELET:
            free(sd[i].kubelet.host);
            free(sd[i].kubelet.node_name);
            free(sd[i].kubelet.scheme);
            break;
        case CONFIG_SD_HTTP:
            free(sd[i].http_sd.url);
            break;
        case CONFIG_SD_DNS:
            config_texts_free(&sd[i].dns.names);
            config_texts_free(&sd[i].dns.servers);
            break;
        case CONFIG_SD_CONSUL:
            config_consul_free(&sd[i].consul);
            break;
        case CONFIG_SD_DOCKER:
            config_docker_free(&sd[i].docker);
            break;
        case CONFIG_SD_KINDS:
            break;
        }
        http_options_free(&sd[i].http);
    }
    free(sd);
}

/* ---- http_sd_configs ---- */

#define AT(member) .at = offsetof(struct config_sd, member)

static void check_http_sd(struct load *l, const struct node *node, void *to)
{
    (void)to;
    if (!field_given(node, "url"))
        problem_add(&l->problems, field_place(node, "url"), "URL is missing");
}

static const struct field http_sd_fields[] = {
    {"url", FIELD_URL, AT(http_sd.url), .help = "where to GET a JSON list of {targets, labels}"},
    {"refresh_interval", FIELD_DURATION, AT(refresh_interval_ms), .standard = "1m", .min = 1,
     .help = "how often to ask"},
};

const struct section section_http_sd = {
    .name = "http_sd_config",
    .help = "targets from an HTTP service",
    FIELDS(http_sd_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_sd, http),
    .check = check_http_sd,
};

/* ---- kubelet_sd_configs ---- */

static const struct field kubelet_sd_fields[] = {
    {"node_ip", FIELD_TEXT, AT(kubelet.host),
     .help = "the kubelet's host; the environment's NODE_IP unless given, else 127.0.0.1"},
    {"node_name", FIELD_TEXT, AT(kubelet.node_name),
     .help = "only pods of this node; the environment's NODE_NAME unless given, else all that the kubelet has"},
    {"port", FIELD_COUNT, AT(kubelet.port), .standard = "10250", .min = 1, .help = "the kubelet's port"},
    {"scheme", FIELD_WORD, AT(kubelet.scheme), .standard = "https", .words = "http|https", .help = "http or https"},
    {"refresh_interval", FIELD_DURATION, AT(refresh_interval_ms), .standard = "5s", .min = 1,
     .help = "how often to ask for /pods"},
};

const struct section section_kubelet_sd = {
    .name = "kubelet_sd_config",
    .help = "the pods of one node, from its kubelet (obsagent): no watch on the API server; labels as role pod. "
            "Without authorization the service account's token is shown",
    FIELDS(kubelet_sd_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_sd, http),
};
