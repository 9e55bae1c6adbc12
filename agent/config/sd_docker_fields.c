/* SPDX-License-Identifier: Apache-2.0 */
/* sd_docker_fields: docker_sd_config. Rules and messages: prometheus discovery/moby/docker.go. */
#include "sd_fields.h"

#include <stdlib.h>

#include "base/alloc.h"

#define AT(member) .at = offsetof(struct config_docker_filter, member)

static void load_values(struct load *l, const struct node *value, void *to)
{
    load_config_texts(l, value, "values", to);
}

static void show_values(struct dump *d, const struct field *f, const void *from)
{
    show_config_texts(d, f->name, from);
}

static const struct field filter_fields[] = {
    {"name", FIELD_TEXT, AT(name), .help = "what to filter by, as in the API of /containers/json"},
    {"values", FIELD_OWN, AT(values), .load = load_values, .show = show_values, .help = "any of these"},
};

static const struct section section_filter = {
    .name = "filters",
    .help = "which containers the daemon lists",
    FIELDS(filter_fields),
};

#undef AT
#define AT(member) .at = offsetof(struct config_sd, docker.member)

static void load_filters(struct load *l, const struct node *value, void *to)
{
    struct config_docker_sd *c = &((struct config_sd *)to)->docker;
    if (!node_is_list(l, value, "filters") || value->n == 0)
        return;
    c->filters = xcalloc(value->n, sizeof *c->filters);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = node_map_at(l, value, i, section_filter.name, "empty or null section in filters");
        if (item)
            section_load(l, &section_filter, item, &c->filters[c->filters_n++]);
    }
}

static void show_filters(struct dump *d, const struct field *f, const void *from)
{
    const struct config_docker_sd *c = &((const struct config_sd *)from)->docker;
    if (c->filters_n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < c->filters_n; i++) {
        d->indent += 2;
        d->dash = true;
        section_dump(d, &section_filter, &c->filters[i]);
        d->indent -= 2;
    }
}

static const struct field docker_fields[] = {
    {"host", FIELD_TEXT, AT(host),
     .help = "the daemon: unix:///PATH, or a URL of HOST:PORT with one of the others"},
    {"port", FIELD_COUNT, AT(port), .standard = "80", .help = "of containers that expose no TCP port"},
    {"filters", FIELD_OWN, .load = load_filters, .show = show_filters, .section = &section_filter,
     .help = "which containers"},
    {"host_networking_host", FIELD_TEXT, AT(host_networking_host), .standard = "localhost",
     .help = "the address of containers in the host's network"},
    {"match_first_network", FIELD_BOOL, AT(match_first_network), .standard = "true",
     .help = "of a container's networks only the first by name counts"},
    {"refresh_interval", FIELD_DURATION, .at = offsetof(struct config_sd, refresh_interval_ms), .standard = "1m",
     .min = 1, .help = "how often to ask"},
};

static void check_host(struct load *l, struct place at, struct str host)
{
    static const struct str schemes[] = {STR("unix://"), STR("tcp://"), STR("http://"), STR("https://")};
    size_t known = 0;
    while (known < 4 && !str_starts(host, schemes[known]))
        known++;
    struct str rest = known < 4 ? str_skip(host, schemes[known].n) : STR_NULL;
    if (rest.n == 0 || (known > 0 && rest.p[0] == '/'))
        problem_add(&l->problems, at, "host: want unix:///PATH, or HOST:PORT behind tcp://, http:// or https://");
    else if (known > 0 && str_find_char(rest, '@') < rest.n)
        problem_add(&l->problems, at, "host: a name and password go into basic_auth");
}

static void check_docker(struct load *l, const struct node *node, void *to)
{
    const struct config_sd *sd = to;
    if (!field_given(node, "host"))
        problem_add(&l->problems, field_place(node, "host"), "host missing");
    else if (sd->docker.host)
        check_host(l, field_place(node, "host"), str_of(sd->docker.host));
    if (sd->docker.port > 65535)
        problem_add(&l->problems, field_place(node, "port"), "port: at most 65535");
}

void config_docker_free(struct config_docker_sd *c)
{
    free(c->host);
    free(c->host_networking_host);
    for (size_t i = 0; i < c->filters_n; i++) {
        free(c->filters[i].name);
        config_texts_free(&c->filters[i].values);
    }
    free(c->filters);
}

const struct section section_docker_sd = {
    .name = "docker_sd_config",
    .help = "targets from a Docker daemon's containers",
    FIELDS(docker_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_sd, http),
    .check = check_docker,
};
