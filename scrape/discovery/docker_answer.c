/* SPDX-License-Identifier: Apache-2.0 */
/* docker_answer: Docker's JSON as label sets. Labels and rules: prometheus discovery/moby/docker.go and network.go. */
#include "docker_answer.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "sd_get.h"

#define META "__meta_docker_"
#define HOPS_MAX 16 /* from a container into the network of another: they might go round in a circle */

struct reading {
    const struct config_docker_sd *config;
    json_t *containers, *networks; /* by id */
    struct arena *arena;
    struct labels *labels, *common; /* of one target; of all of a container */
    struct discovery_sets *sets;
};

/* ---- pieces ---- */

static struct str text_of(const json_t *v)
{
    return json_is_string(v) ? str_make(json_string_value(v), json_string_length(v)) : STR_NULL;
}

static void set_map(struct reading *r, struct labels *labels, const char *prefix, const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
        labels_set(labels, sd_label_name(r->arena, prefix, key), text_of(value));
}

static void set_bool(struct labels *labels, struct str name, const json_t *value)
{
    labels_set(labels, name, json_is_true(value) ? STR("true") : STR("false"));
}

static struct str network_mode(const json_t *container)
{
    return sd_text(json_object_get(container, "HostConfig"), "NetworkMode");
}

static json_t *networks_of(const json_t *container)
{
    return json_object_get(json_object_get(container, "NetworkSettings"), "Networks");
}

/* Its own, or those of the container whose network it shares. */
static json_t *find_networks(const struct reading *r, const json_t *container)
{
    for (int hops = 0; container && hops < HOPS_MAX; hops++) {
        struct str mode = network_mode(container);
        if (json_object_size(networks_of(container)) > 0)
            return networks_of(container);
        if (!str_starts(mode, STR("container:")))
            return NULL;
        container = json_object_get(r->containers, arena_str(r->arena, str_skip(mode, strlen("container:"))).p);
    }
    return NULL;
}

/* ---- targets ---- */

static void set_network(struct reading *r, const json_t *network)
{
    if (!network)
        return;
    labels_set(r->labels, STR(META "network_id"), sd_text(network, "Id"));
    labels_set(r->labels, STR(META "network_name"), sd_text(network, "Name"));
    labels_set(r->labels, STR(META "network_scope"), sd_text(network, "Scope"));
    set_bool(r->labels, STR(META "network_internal"), json_object_get(network, "Internal"));
    set_bool(r->labels, STR(META "network_ingress"), json_object_get(network, "Ingress"));
    set_map(r, r->labels, META "network_label_", json_object_get(network, "Labels"));
}

/* What each target of a container in one network has; the caller adds what differs. */
static void begin_target(struct reading *r, const json_t *endpoint)
{
    const char *id = json_string_value(json_object_get(endpoint, "NetworkID"));
    labels_clear(r->labels);
    labels_set(r->labels, STR(META "network_ip"), sd_text(endpoint, "IPAddress"));
    for (size_t i = 0; i < r->common->n; i++)
        labels_set(r->labels, r->common->v[i].name, r->common->v[i].value);
    set_network(r, id ? json_object_get(r->networks, id) : NULL);
}

static void end_target(struct reading *r, struct str address)
{
    labels_set(r->labels, STR("__address__"), address);
    discovery_sets_add(r->sets, r->labels);
}

static struct str number(struct reading *r, const json_t *v)
{
    return str_of(arena_printf(r->arena, "%lld", (long long)json_integer_value(v)));
}

static void add_port(struct reading *r, const json_t *endpoint, const json_t *port)
{
    const json_t *private = json_object_get(port, "PrivatePort"), *public = json_object_get(port, "PublicPort");
    begin_target(r, endpoint);
    labels_set(r->labels, STR(META "port_private"), number(r, private));
    if (json_integer_value(public) > 0) {
        labels_set(r->labels, STR(META "port_public"), number(r, public));
        labels_set(r->labels, STR(META "port_public_ip"), sd_text(port, "IP"));
    }
    end_target(r, sd_host_port(r->arena, sd_text(endpoint, "IPAddress"), json_integer_value(private)));
}

static void add_network(struct reading *r, const json_t *container, const json_t *endpoint)
{
    size_t i;
    json_t *port;
    bool added = false;
    json_array_foreach(json_object_get(container, "Ports"), i, port) {
        if (!str_eq_c(sd_text(port, "Type"), "tcp"))
            continue;
        add_port(r, endpoint, port);
        added = true;
    }
    if (added)
        return;
    begin_target(r, endpoint);
    if (str_eq_c(network_mode(container), "host"))
        end_target(r, str_of(r->config->host_networking_host));
    else
        end_target(r, sd_host_port(r->arena, sd_text(endpoint, "IPAddress"), (long long)r->config->port));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the networks that count, in order; the caller frees. */
static const char **choose_networks(const struct reading *r, json_t *networks, size_t *n)
{
    const char *name, **names = xcalloc(json_object_size(networks) + 1, sizeof *names);
    json_t *endpoint;
    *n = 0;
    json_object_foreach(networks, name, endpoint) {
        if (json_is_object(endpoint))
            names[(*n)++] = name;
    }
    qsort(names, *n, sizeof *names, by_name);
    if (r->config->match_first_network && *n > 1)
        *n = 1;
    return names;
}

static void read_container(struct reading *r, const json_t *container)
{
    struct str name = text_of(json_array_get(json_object_get(container, "Names"), 0));
    size_t n;
    if (name.n == 0)
        return;
    labels_clear(r->common);
    labels_set(r->common, STR(META "container_id"), sd_text(container, "Id"));
    labels_set(r->common, STR(META "container_name"), name);
    labels_set(r->common, STR(META "container_network_mode"), network_mode(container));
    set_map(r, r->common, META "container_label_", json_object_get(container, "Labels"));
    json_t *networks = find_networks(r, container);
    const char **names = choose_networks(r, networks, &n);
    for (size_t i = 0; i < n; i++)
        add_network(r, container, json_object_get(networks, names[i]));
    free(names);
}

/* ---- answers ---- */

/* The list's objects by their ids; new references. */
static json_t *by_id(const json_t *list)
{
    size_t i;
    json_t *item, *map = json_object();
    json_array_foreach(list, i, item) {
        const char *id = json_string_value(json_object_get(item, "Id"));
        if (id)
            json_object_set(map, id, item);
    }
    return map;
}

static json_t *read_list(struct str body, const char *what, struct err *err)
{
    json_t *list = sd_json(body, err);
    if (list && !json_is_array(list) && !json_is_null(list)) {
        err_set(err, "not a list");
        json_decref(list);
        list = NULL;
    }
    if (!list)
        err_prefix(err, "%s", what);
    return list;
}

static void read_all(const json_t *containers, const json_t *networks, const struct config_docker_sd *config,
                     struct discovery_sets *sets)
{
    struct arena arena;
    struct labels labels, common;
    size_t i;
    json_t *container;
    arena_init(&arena);
    labels_init(&labels, &arena);
    labels_init(&common, &arena);
    struct reading r = {.config = config, .containers = by_id(containers), .networks = by_id(networks),
                        .arena = &arena, .labels = &labels, .common = &common, .sets = sets};
    json_array_foreach(containers, i, container) {
        read_container(&r, container);
        arena_reset(&arena);
    }
    json_decref(r.containers);
    json_decref(r.networks);
    labels_free(&common);
    labels_free(&labels);
    arena_free(&arena);
}

bool docker_answer_read(struct str containers, struct str networks, const struct config_docker_sd *config,
                        struct discovery_sets *sets, struct err *err)
{
    json_t *c = read_list(containers, "containers", err);
    json_t *n = c ? read_list(networks, "networks", err) : NULL;
    if (c && n)
        read_all(c, n, config, sets);
    json_decref(c);
    json_decref(n);
    return c && n;
}

/* {"name": {"value": true}}; a name may stand in several entries. */
void docker_filters_write(const struct config_docker_sd *config, struct buf *out)
{
    json_t *filters = json_object();
    for (size_t i = 0; i < config->filters_n; i++) {
        const struct config_docker_filter *f = &config->filters[i];
        const char *name = f->name ? f->name : "";
        if (f->values.n > 0 && !json_object_get(filters, name))
            json_object_set_new(filters, name, json_object());
        for (size_t k = 0; k < f->values.n; k++)
            json_object_set_new(json_object_get(filters, name), f->values.v[k], json_true());
    }
    char *text = json_dumps(filters, JSON_COMPACT | JSON_SORT_KEYS);
    buf_add_c(out, text ? text : "{}");
    free(text);
    json_decref(filters);
}
