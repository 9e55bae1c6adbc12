/* SPDX-License-Identifier: Apache-2.0 */
/* global_fields: the document as a whole, its `global` section, and labels. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "env.h"
#include "load.h"
#include "shared_fields.h"

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

void load_labels(struct load *l, const struct node *value, struct label **labels, size_t *n)
{
    if (!node_is_map(l, value, "labels") || value->n == 0)
        return;
    *labels = xcalloc(value->n, sizeof **labels);
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        struct str text;
        if (pair->key.n == 0 || !str_is_utf8(pair->key))
            problem_add(&l->problems, pair->at, "\"%.*s\" is not a valid label name", STR_ARG(pair->key));
        else if (node_text(l, pair->value, "labels", &text))
            (*labels)[(*n)++] = (struct label){str_make(str_dup(pair->key), pair->key.n),
                                               str_make(str_dup(text), text.n)};
    }
    if (*n > 0)
        qsort(*labels, *n, sizeof **labels, by_name);
}

void config_labels_free(struct label *labels, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((char *)(uintptr_t)labels[i].name.p);
        free((char *)(uintptr_t)labels[i].value.p);
    }
    free(labels);
}

/* Later documents (the command line) win over earlier ones. */
static void merge_labels(struct global *g, struct label *more, size_t more_n)
{
    g->external_labels = xrealloc(g->external_labels, (g->external_labels_n + more_n + 1) * sizeof *more);
    for (size_t i = 0; i < more_n; i++) {
        size_t at = 0;
        while (at < g->external_labels_n && !str_eq(g->external_labels[at].name, more[i].name))
            at++;
        struct label old = g->external_labels[at];
        g->external_labels[at] = more[i];
        if (at < g->external_labels_n) {
            free((char *)(uintptr_t)old.name.p);
            free((char *)(uintptr_t)old.value.p);
        } else {
            g->external_labels_n++;
        }
    }
    if (g->external_labels_n > 0)
        qsort(g->external_labels, g->external_labels_n, sizeof *more, by_name);
    free(more);
}

static void load_external_labels(struct load *l, const struct node *value, void *to)
{
    struct label *labels = NULL;
    size_t n = 0;
    load_labels(l, value, &labels, &n);
    for (size_t i = 0; i < n; i++) {
        if (str_find_char(labels[i].value, '$') == labels[i].value.n)
            continue;
        struct str expanded = env_expand_dollar(&l->arena, labels[i].value, labels[i].name);
        free((char *)(uintptr_t)labels[i].value.p);
        labels[i].value = str_make(str_dup(expanded), expanded.n);
    }
    merge_labels(to, labels, n);
}

static void load_global_relabel(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null target relabeling rule in global config", to);
}

static void load_global_metric_relabel(struct load *l, const struct node *value, void *to)
{
    load_relabel(l, value, "empty or null metric relabeling rule in global config", to);
}

#define AT(member) .at = offsetof(struct global, member)

static const struct field global_fields[] = {
    {"scrape_interval", FIELD_DURATION, AT(scrape_interval_ms), .help = "how often to scrape (1m)"},
    {"scrape_timeout", FIELD_DURATION, AT(scrape_timeout_ms),
     .help = "how long a scrape may take (10s, or the interval when that is shorter)"},
    {"external_labels", FIELD_OWN, .load = load_external_labels,
     .help = "labels to add to all that is sent; ${NAME} is an environment variable"},
    SHARED_FIELDS(struct global),
    {"total_series_limit", FIELD_COUNT, AT(total_series_limit),
     .help = "series of all jobs together: known ones stay, new ones beyond it are dropped (obsagent)"},
    {"relabel_configs", FIELD_OWN, AT(relabel), .load = load_global_relabel, .section = &section_relabel,
     .help = "put before the relabel_configs of every job (vmagent)"},
    {"metric_relabel_configs", FIELD_OWN, AT(metric_relabel), .load = load_global_metric_relabel,
     .section = &section_relabel, .help = "put before the metric_relabel_configs of every job (vmagent)"},
    {"evaluation_interval", FIELD_DURATION, FIELD_NO_EFFECT, .help = "an agent evaluates no rules"},
    {"rule_query_offset", FIELD_DURATION, FIELD_NO_EFFECT, .help = "an agent evaluates no rules"},
    {"query_log_file", FIELD_TEXT, FIELD_NO_EFFECT, .help = "an agent answers no queries"},
};

static void check_external_names(struct load *l, const struct node *labels)
{
    for (size_t i = 0; labels && labels->kind == NODE_MAP && i < labels->n; i++)
        if (labels->pairs[i].key.n > 0 && !labels_is_legacy_name(labels->pairs[i].key))
            problem_add(&l->problems, labels->pairs[i].at, "\"%.*s\" is not a valid label name",
                        STR_ARG(labels->pairs[i].key));
}

static void check_global(struct load *l, const struct node *node, void *to)
{
    struct global *g = to;
    check_scrape_protocols(l, node, "global config");
    check_classic_names(l, node);
    g->escaping_given = g->escaping_given || field_given(node, "metric_name_escaping_scheme");
    if (g->legacy_names)
        check_external_names(l, node_get(node, "external_labels"));
    int64_t interval = g->scrape_interval_ms ? g->scrape_interval_ms : GLOBAL_INTERVAL_MS;
    if (g->scrape_timeout_ms > interval)
        problem_add(&l->problems, field_place(node, "scrape_timeout"),
                    "global scrape timeout greater than scrape interval");
}

const struct section section_global = {
    .name = "global",
    .help = "defaults of all jobs, and the labels of this agent",
    FIELDS(global_fields),
    .check = check_global,
};

/* The document. */

static void load_includes(struct load *l, const struct node *value, void *to)
{
    (void)to;
    if (!node_is_list(l, value, "scrape_config_files"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct node *item = value->items[i];
        struct str path;
        if (!node_text(l, item, "scrape_config_files", &path))
            continue;
        size_t star = str_find_char(path, '*');
        struct str tail = str_skip(path, star);
        if (path.n == 0 || str_find_char(tail, '/') < tail.n) {
            problem_add(&l->problems, item->at, "invalid scrape config file path \"%.*s\"", STR_ARG(path));
        } else if (str_starts(path, STR("http://")) || str_starts(path, STR("https://"))) {
            problem_add(&l->problems, item->at,
                        "scrape_config_files: reading over HTTP is not supported yet");
        } else {
            l->includes = xgrow(l->includes, &l->includes_cap, l->includes_n + 1, sizeof *l->includes);
            l->includes[l->includes_n++] = item;
        }
    }
}

static const struct field document_fields[] = {
    {"global", FIELD_SECTION, .at = offsetof(struct load, global), .section = &section_global,
     .help = "defaults of all jobs, and the labels of this agent"},
    {"scrape_configs", FIELD_OWN, .load = load_scrape_configs, .section = &section_scrape,
     .help = "what to scrape"},
    {"scrape_config_files", FIELD_OWN, .load = load_includes,
     .help = "files with further scrape_configs; * may stand in the last part of a path"},
    {"remote_write", FIELD_OWN, .load = load_remote_writes, .section = &section_remote,
     .help = "where to send"},
    {"alerting", FIELD_OWN, FIELD_NEVER, .help = "it evaluates no rules and sends no alerts"},
    {"rule_files", FIELD_OWN, FIELD_NEVER, .help = "it evaluates no rules"},
    {"remote_read", FIELD_OWN, FIELD_NEVER, .help = "it answers no queries"},
    {"storage", FIELD_OWN, FIELD_NEVER, .help = "it has no database; the buffer is set by --storage.* flags"},
    {"tracing", FIELD_OWN, FIELD_NEVER, .help = "it sends no traces"},
    {"otlp", FIELD_OWN, FIELD_NEVER, .help = "it receives nothing over OTLP"},
    {"runtime", FIELD_OWN, FIELD_NEVER, .help = "there is no Go runtime to tune"},
};

const struct section section_document = {
    .name = "configuration",
    .help = "the file as a whole",
    FIELDS(document_fields),
};

static const struct field included_fields[] = {
    {"scrape_configs", FIELD_OWN, .load = load_scrape_configs, .section = &section_scrape,
     .help = "what to scrape"},
};

const struct section section_included = {
    .name = "scrape config file",
    .help = "a file named by scrape_config_files: this, or the list alone",
    FIELDS(included_fields),
};
