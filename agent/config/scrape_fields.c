/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_fields: scrape_config and how its targets are found. Fields, defaults and rules: prometheus
   config/config.go and discovery/; vmagent's own fields: lib/promscrape/config.go. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "load.h"
#include "sd_fields.h"
#include "shared_fields.h"

/* static_configs and the groups of file_sd files. */

#define AT(member) .at = offsetof(struct config_group, member)

/* A list of heap strings from a list of scalars. */
static void load_texts(struct load *l, const struct node *value, const char *what, char ***texts, size_t *n)
{
    if (!node_is_list(l, value, what) || value->n == 0)
        return;
    *texts = xcalloc(value->n, sizeof **texts);
    for (size_t i = 0; i < value->n; i++) {
        struct str text;
        if (node_text(l, value->items[i], what, &text))
            (*texts)[(*n)++] = str_dup(text);
    }
}

static void load_targets(struct load *l, const struct node *value, void *to)
{
    struct config_group *g = to;
    load_texts(l, value, "targets", &g->targets, &g->targets_n);
}

static void load_group_labels(struct load *l, const struct node *value, void *to)
{
    struct config_group *g = to;
    load_labels(l, value, &g->labels, &g->labels_n);
}

static void show_targets(struct dump *d, const struct field *f, const void *from)
{
    const struct config_group *g = from;
    if (g->targets_n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < g->targets_n; i++)
        dump_item(d, str_of(g->targets[i]));
}

static void show_group_labels(struct dump *d, const struct field *f, const void *from)
{
    const struct config_group *g = from;
    dump_labels(d, f->name, g->labels, g->labels_n);
}

static const struct field static_fields[] = {
    {"targets", FIELD_OWN, .load = load_targets, .show = show_targets, .help = "addresses, host:port"},
    {"labels", FIELD_OWN, .load = load_group_labels, .show = show_group_labels,
     .help = "labels of all of them; also __metrics_path__, __scheme__ and their like"},
};

const struct section section_static = {
    .name = "static_config",
    .help = "targets written out, and one group of a file_sd file",
    FIELDS(static_fields),
};

void load_groups(struct load *l, const struct node *value, struct config_group **groups, size_t *n)
{
    if (!node_is_list(l, value, "static_configs") || value->n == 0)
        return;
    *groups = xcalloc(value->n, sizeof **groups);
    *n = value->n;
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item =
            node_map_at(l, value, i, section_static.name, "empty or null section in static_configs");
        if (item)
            section_load(l, &section_static, item, &(*groups)[i]);
    }
}

static void load_static_configs(struct load *l, const struct node *value, void *to)
{
    struct config_job *job = to;
    load_groups(l, value, &job->static_groups, &job->static_groups_n);
}

static void show_static_configs(struct dump *d, const struct field *f, const void *from)
{
    const struct config_job *job = from;
    if (job->static_groups_n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < job->static_groups_n; i++) {
        const struct config_group *g = &job->static_groups[i];
        if (g->targets_n + g->labels_n == 0)
            continue;
        d->indent += 2;
        d->dash = true;
        section_dump(d, &section_static, g);
        d->indent -= 2;
    }
}

/* file_sd_configs. */

#undef AT
#define AT(member) .at = offsetof(struct config_file_sd, member)

/* Prometheus: ^[^*]*(\*[^/]*)?\.(json|yml|yaml|JSON|YML|YAML)$ */
static bool is_file_sd_pattern(struct str path)
{
    size_t star = str_find_char(path, '*');
    size_t slash = star + str_find_char(str_skip(path, star), '/');
    size_t dot = path.n;
    while (dot > 0 && path.p[dot - 1] != '.')
        dot--;
    return slash >= path.n && dot > 0 &&
           words_index("json|yml|yaml|JSON|YML|YAML", str_skip(path, dot)) >= 0;
}

static void load_files(struct load *l, const struct node *value, void *to)
{
    struct config_file_sd *sd = to;
    if (!node_is_list(l, value, "files"))
        return;
    sd->files = xcalloc(value->n + 1, sizeof *sd->files);
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = value->items[i];
        struct str path;
        if (!node_text(l, item, "files", &path))
            continue;
        if (is_file_sd_pattern(path))
            sd->files[sd->files_n++] = file_join(item->at.file->dir, path.p);
        else
            problem_add(&l->problems, item->at, "path name \"%.*s\" is not valid for file discovery",
                        STR_ARG(path));
    }
}

static void show_files(struct dump *d, const struct field *f, const void *from)
{
    const struct config_file_sd *sd = from;
    dump_name(d, f->name);
    for (size_t i = 0; i < sd->files_n; i++)
        dump_item(d, str_of(sd->files[i]));
}

static void check_file_sd(struct load *l, const struct node *node, void *to)
{
    (void)to;
    if (!field_given(node, "files"))
        problem_add(&l->problems, node->at,
                    "file service discovery config must contain at least one path name");
}

static const struct field file_sd_fields[] = {
    {"files", FIELD_OWN, .load = load_files, .show = show_files,
     .help = "paths of .json, .yml or .yaml files; * may stand in the last part"},
    {"refresh_interval", FIELD_DURATION, AT(refresh_interval_ms), .standard = "5m", .min = 1,
     .help = "read again at least this often; changes are seen at once"},
};

const struct section section_file_sd = {
    .name = "file_sd_config",
    .help = "targets from files",
    FIELDS(file_sd_fields),
    .check = check_file_sd,
};

static void load_file_sds(struct load *l, const struct node *value, void *to)
{
    struct config_job *job = to;
    if (!node_is_list(l, value, "file_sd_configs") || value->n == 0)
        return;
    job->file_sd = xcalloc(value->n, sizeof *job->file_sd);
    job->file_sd_n = value->n;
    for (size_t i = 0; i < value->n; i++) {
        section_defaults(l, &section_file_sd, &job->file_sd[i]);
        if (node_is_null(value->items[i]))
            check_file_sd(l, value->items[i], NULL);
        else
            section_load(l, &section_file_sd, value->items[i], &job->file_sd[i]);
    }
}

static void show_file_sds(struct dump *d, const struct field *f, const void *from)
{
    const struct config_job *job = from;
    if (job->file_sd_n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < job->file_sd_n; i++) {
        d->indent += 2;
        d->dash = true;
        section_dump(d, &section_file_sd, &job->file_sd[i]);
        d->indent -= 2;
    }
}

/* scrape_config. */

#undef AT
#define AT(member) .at = offsetof(struct config_job, member)

static void load_params(struct load *l, const struct node *value, void *to)
{
    struct config_job *job = to;
    if (!node_is_map(l, value, "params") || value->n == 0)
        return;
    job->params = xcalloc(value->n, sizeof *job->params);
    for (size_t i = 0; i < value->n; i++) {
        struct config_param *p = &job->params[job->params_n++];
        const struct node *v = value->pairs[i].value;
        p->name = str_dup(value->pairs[i].key);
        struct str text;
        if (v->kind != NODE_SCALAR) {
            load_texts(l, v, "params", &p->values, &p->values_n);
        } else if (!node_is_null(v) && node_text(l, v, "params", &text)) {
            p->values = xcalloc(1, sizeof *p->values);
            p->values[p->values_n++] = str_dup(text);
        }
    }
}

static void show_params(struct dump *d, const struct field *f, const void *from)
{
    const struct config_job *job = from;
    if (job->params_n == 0)
        return;
    dump_name(d, f->name);
    d->indent += 2;
    for (size_t i = 0; i < job->params_n; i++) {
        bool hide = !d->secrets && hide_sounds_secret(str_of(job->params[i].name));
        dump_name(d, job->params[i].name);
        for (size_t k = 0; k < job->params[i].values_n; k++)
            dump_item(d, hide ? STR("<secret>") : str_of(job->params[i].values[k]));
    }
    d->indent -= 2;
}

static void load_target_relabel(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null target relabeling rule in scrape config", to);
}

static void load_metric_relabel(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null metric relabeling rule in scrape config", to);
}

#define LATER_SD(kind) {#kind "_sd_configs", FIELD_OWN, FIELD_LATER, .discovery = true, .help = ""}

static const struct field scrape_fields[] = {
    {"job_name", FIELD_TEXT, AT(job_name), .help = "the name of the job, unique; becomes the label job"},
    {"scrape_interval", FIELD_DURATION, AT(scrape_interval_ms), .help = "how often (global's)"},
    {"scrape_timeout", FIELD_DURATION, AT(scrape_timeout_ms),
     .help = "how long at most (global's, or the interval when that is shorter)"},
    {"metrics_path", FIELD_TEXT, AT(metrics_path), .standard = "/metrics", .help = "the path of the URL"},
    {"scheme", FIELD_WORD, AT(scheme), .standard = "http", .words = "http|https", .help = "http or https"},
    {"params", FIELD_OWN, .load = load_params, .show = show_params,
     .help = "query parameters, a list of values each"},
    {"honor_labels", FIELD_BOOL, AT(honor_labels), .standard = "false",
     .help = "on a conflict keep the scraped label; else it becomes exported_NAME"},
    {"honor_timestamps", FIELD_BOOL, AT(honor_timestamps), .standard = "true",
     .help = "keep scraped timestamps"},
    {"enable_compression", FIELD_BOOL, AT(enable_compression), .standard = "true", .help = "accept gzip"},
    {"disable_compression", FIELD_FLAG, FIELD_ALIAS, AT(enable_compression), .words = "true|false",
     .help = "vmagent's opposite of enable_compression"},
    {"no_stale_markers", FIELD_BOOL, AT(no_stale_markers), .standard = "false",
     .help = "send none (vmagent)"},
    SHARED_FIELDS(struct config_job),
    {"max_scrape_size", FIELD_BYTES_VM, FIELD_ALIAS, AT(body_size_limit),
     .help = "vmagent's body_size_limit; KB is 1000, KiB is 1024"},
    {"relabel_configs", FIELD_OWN, AT(relabel), .load = load_target_relabel, .show = dump_relabel,
     .section = &section_relabel, .help = "rules for the labels of targets"},
    {"metric_relabel_configs", FIELD_OWN, AT(metric_relabel), .load = load_metric_relabel,
     .show = dump_relabel, .section = &section_relabel, .help = "rules for the labels of samples"},
    {"static_configs", FIELD_OWN, .load = load_static_configs, .show = show_static_configs, .discovery = true,
     .section = &section_static, .help = "targets written out"},
    {"file_sd_configs", FIELD_OWN, .load = load_file_sds, .show = show_file_sds, .discovery = true,
     .section = &section_file_sd, .help = "targets from files"},
    {"kubernetes_sd_configs", FIELD_OWN, .load = load_kubernetes_sds, .show = show_sds, .discovery = true,
     .section = &section_kubernetes_sd, .help = "targets from a Kubernetes API server"},
    {"kubelet_sd_configs", FIELD_OWN, .load = load_kubelet_sds, .show = show_sds, .discovery = true,
     .section = &section_kubelet_sd, .help = "the pods of one node, from its kubelet (obsagent)"},
    {"http_sd_configs", FIELD_OWN, .load = load_http_sds, .show = show_sds, .discovery = true,
     .section = &section_http_sd, .help = "targets from an HTTP service"},
    {"dns_sd_configs", FIELD_OWN, .load = load_dns_sds, .show = show_sds, .discovery = true,
     .section = &section_dns_sd, .help = "targets from DNS records"},
    {"consul_sd_configs", FIELD_OWN, .load = load_consul_sds, .show = show_sds, .discovery = true,
     .section = &section_consul_sd, .help = "targets from Consul's catalog"},
    {"docker_sd_configs", FIELD_OWN, .load = load_docker_sds, .show = show_sds, .discovery = true,
     .section = &section_docker_sd, .help = "targets from a Docker daemon's containers"},
    {"stream_parse", FIELD_BOOL, FIELD_NO_EFFECT, .help = "always so (vmagent)"},
    {"fallback_scrape_protocol", FIELD_ENUM, AT(fallback_protocol),
     .has = FIELD_HAS(struct config_job, has_fallback_protocol), .words = SHARED_PROTOCOLS,
     .help = "how to read an answer without a usable Content-Type; without it such a scrape fails"},
    {"track_timestamps_staleness", FIELD_BOOL, AT(track_timestamps_staleness), .standard = "false",
     .help = "stale markers for series with own timestamps as well"},
    {"scrape_align_interval", FIELD_DURATION, AT(scrape_align_interval_ms), .standard = "0s",
     .help = "scrape at multiples of this (vmagent)"},
    {"scrape_offset", FIELD_DURATION, AT(scrape_offset_ms), .standard = "0s",
     .help = "scrape this long after the interval begins (vmagent)"},
    {"disable_keepalive", FIELD_BOOL, AT(disable_keepalive), .standard = "false",
     .help = "a new connection for each scrape (vmagent)"},
    {"scrape_on_shutdown", FIELD_BOOL, AT(scrape_on_shutdown), .standard = "false",
     .help = "once more when the agent is told to stop: for jobs that end (obsagent)"},
    {"offer_zstd", FIELD_BOOL, AT(offer_zstd), .standard = "false",
     .help = "accept zstd besides gzip (obsagent)"},
    {"relabel_debug", FIELD_BOOL, FIELD_NO_EFFECT, .help = "/service-discovery always tells (vmagent)"},
    {"metric_relabel_debug", FIELD_BOOL, FIELD_NO_EFFECT, .help = "obsagent relabel --explain tells (vmagent)"},
    LATER_SD(aws), LATER_SD(azure), LATER_SD(consulagent), LATER_SD(digitalocean),
    LATER_SD(dockerswarm), LATER_SD(ec2), LATER_SD(ecs),
    LATER_SD(elasticache), LATER_SD(eureka), LATER_SD(gce), LATER_SD(hetzner),
    LATER_SD(huawei), LATER_SD(ionos), LATER_SD(kuma), LATER_SD(lightsail),
    LATER_SD(linode), LATER_SD(marathon), LATER_SD(marathonlb), LATER_SD(msk), LATER_SD(nerve),
    LATER_SD(nomad), LATER_SD(openstack), LATER_SD(ovhcloud), LATER_SD(outscale),
    LATER_SD(puppetdb), LATER_SD(rds), LATER_SD(scaleway), LATER_SD(serverset), LATER_SD(stackit),
    LATER_SD(triton), LATER_SD(uyuni), LATER_SD(vultr), LATER_SD(yandexcloud),
};

static void check_job(struct load *l, const struct node *node, void *to)
{
    const struct config_job *job = to;
    const char *name = job->job_name ? job->job_name : "";
    check_scrape_protocols(l, node, arena_printf(&l->arena, "scrape config with job name \"%s\"", name));
    check_classic_names(l, node);
    if (!field_given(node, "job_name"))
        problem_add(&l->problems, field_place(node, "job_name"), "job_name is empty");
    if (field_given(node, "max_scrape_size") && field_given(node, "body_size_limit"))
        problem_add(&l->problems, field_place(node, "max_scrape_size"),
                    "at most one of body_size_limit & max_scrape_size must be configured");
}

const struct section section_scrape = {
    .name = "scrape_config",
    .help = "how the targets of one job are found and scraped",
    FIELDS(scrape_fields),
    .more = &section_http,
    .more_at = offsetof(struct config_job, http),
    .check = check_job,
};

void load_scrape_configs(struct load *l, const struct node *value, void *to)
{
    (void)to;
    if (!node_is_list(l, value, "scrape_configs"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item =
            node_map_at(l, value, i, section_scrape.name, "empty or null scrape config section");
        if (!item)
            continue;
        if (l->jobs_n == JOBS_MAX) {
            problem_add(&l->problems, item->at, "more than %d jobs", JOBS_MAX);
            return;
        }
        l->jobs = xgrow(l->jobs, &l->jobs_cap, l->jobs_n + 1, sizeof *l->jobs);
        struct job_draft *draft = &l->jobs[l->jobs_n++];
        *draft = (struct job_draft){.node = item};
        section_defaults(l, &section_scrape, &draft->job);
        section_load(l, &section_scrape, item, &draft->job);
    }
}

/* Rules for addresses hold only where no relabeling could mend them. */
static void check_addresses(struct load *l, const struct job_draft *draft)
{
    const struct node *groups = node_get(draft->node, "static_configs");
    if (!groups || groups->kind != NODE_LIST || relabel_count(draft->job.relabel) > 0)
        return;
    for (size_t i = 0; i < groups->n; i++) {
        const struct node *targets = node_get(groups->items[i], "targets");
        if (!targets || targets->kind != NODE_LIST)
            continue;
        for (size_t k = 0; k < targets->n; k++) {
            struct str text = targets->items[k]->text;
            if (targets->items[k]->kind == NODE_SCALAR && str_find_char(text, '/') < text.n)
                problem_add(&l->problems, targets->items[k]->at,
                            "\"%.*s\" is not a valid hostname", STR_ARG(text));
        }
    }
}

/* Global rules first, then the job's; never NULL. */
static void join_rules(struct load *l, const struct job_draft *draft, const char *field, struct relabel_rules *global,
                       struct relabel_rules **rules)
{
    struct relabel_rules *own = *rules;
    *rules = relabel_concat(global, own);
    relabel_free(own);
    if (draft->job.legacy_names)
        legacy_relabel(l, node_get(draft->node, field), *rules, global ? relabel_count(global) : 0);
}

static void finish_timing(struct load *l, struct job_draft *draft)
{
    struct config_job *job = &draft->job;
    if (job->scrape_interval_ms == 0)
        job->scrape_interval_ms = l->global.scrape_interval_ms;
    if (job->scrape_timeout_ms > job->scrape_interval_ms)
        problem_add(&l->problems, field_place(draft->node, "scrape_timeout"),
                    "scrape timeout greater than scrape interval for scrape config with job name \"%s\"",
                    job->job_name ? job->job_name : "");
    if (job->scrape_timeout_ms == 0)
        job->scrape_timeout_ms = l->global.scrape_timeout_ms < job->scrape_interval_ms
                                     ? l->global.scrape_timeout_ms
                                     : job->scrape_interval_ms;
}

void job_finish(struct load *l, struct job_draft *draft)
{
    struct config_job *job = &draft->job;
    finish_timing(l, draft);
    job_inherit(l, draft);
    join_rules(l, draft, "relabel_configs", l->global.relabel, &job->relabel);
    join_rules(l, draft, "metric_relabel_configs", l->global.metric_relabel, &job->metric_relabel);
    check_addresses(l, draft);
    job_hash(job);
}
