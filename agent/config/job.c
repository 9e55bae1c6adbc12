/* SPDX-License-Identifier: Apache-2.0 */
/* job: what a job takes over from global, the formats it asks for, and its hashes. Rules: prometheus
   config/config.go, ScrapeConfig.Validate. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "load.h"
#include "shared_fields.h"

/* ---- scrape_protocols ---- */

#define PROTOCOLS_SORTED \
    "[OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]"

/* Keeps what it knows; check_scrape_protocols tells of the rest. */
void load_scrape_protocols(struct load *l, const struct node *value, void *to)
{
    struct config_protocols *p = to;
    unsigned seen = 0;
    p->n = 0;
    if (!node_is_list(l, value, "scrape_protocols"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        struct str text;
        int word = node_text(l, value->items[i], "scrape_protocols", &text) ? words_index(SHARED_PROTOCOLS, text) : -1;
        if (word < 0 || (seen & 1U << word))
            continue;
        p->v[p->n++] = (enum config_scrape_protocol)word;
        seen |= 1U << word;
    }
}

/* Which protocol it is, in whatever case; -1 for none. */
static int protocol_in_any_case(struct str text)
{
    struct str rest = str_of(SHARED_PROTOCOLS);
    for (int i = 0; i < CONFIG_SCRAPE_PROTOCOLS; i++) {
        size_t n = str_find_char(rest, '|');
        if (n == text.n && strncasecmp(rest.p, text.p, n) == 0)
            return i;
        rest = str_skip(rest, n + 1);
    }
    return -1;
}

/* The list as Go prints one: [a b c]. */
static const char *go_list(struct load *l, const struct node *list)
{
    struct buf text;
    buf_init(&text, 4096);
    for (size_t i = 0; i < list->n; i++)
        buf_addf(&text, "%s%.*s", i ? " " : "", STR_ARG(list->items[i]->text));
    const char *kept = arena_printf(&l->arena, "[%s]", buf_c(&text));
    buf_free(&text);
    return kept;
}

void check_scrape_protocols(struct load *l, const struct node *map, const char *of)
{
    const struct node *list = node_get(map, "scrape_protocols");
    if (!list || list->kind != NODE_LIST)
        return;
    if (list->n == 0)
        problem_add(&l->problems, list->at, "scrape_protocols cannot be empty for %s", of);
    const char *all = NULL;
    unsigned seen = 0;
    for (size_t i = 0; i < list->n; i++) {
        const struct node *item = list->items[i];
        if (item->kind != NODE_SCALAR)
            continue;
        int word = protocol_in_any_case(item->text);
        unsigned bit = word < 0 ? 0U : 1U << word;
        if (seen & bit)
            problem_add(&l->problems, item->at, "duplicated protocol in scrape_protocols, got %s for %s",
                        all ? all : (all = go_list(l, list)), of);
        else if (words_index(SHARED_PROTOCOLS, item->text) < 0)
            problem_add(&l->problems, item->at,
                        "scrape_protocols: unknown scrape protocol %.*s, supported: " PROTOCOLS_SORTED " for %s",
                        STR_ARG(item->text), of);
        seen |= bit;
    }
}

void check_classic_names(struct load *l, const struct node *map)
{
    if (field_given(map, "scrape_classic_histograms") && field_given(map, "always_scrape_classic_histograms"))
        problem_add(&l->problems, field_place(map, "scrape_classic_histograms"),
                    "at most one of always_scrape_classic_histograms & scrape_classic_histograms must be configured");
}

void dump_scrape_protocols(struct dump *d, const struct field *f, const void *from)
{
    const struct config_protocols *p = from;
    struct str names[CONFIG_SCRAPE_PROTOCOLS], rest = str_of(SHARED_PROTOCOLS);
    for (size_t i = 0; i < CONFIG_SCRAPE_PROTOCOLS; i++) {
        names[i] = str_make(rest.p, str_find_char(rest, '|'));
        rest = str_skip(rest, names[i].n + (i + 1 < CONFIG_SCRAPE_PROTOCOLS));
    }
    if (p->n == 0)
        return;
    dump_name(d, f->name);
    for (size_t i = 0; i < p->n; i++)
        dump_item(d, names[p->v[i]]);
}

static void default_protocols(struct config_job *job)
{
    struct config_protocols *p = &job->scrape_protocols;
    if (p->n > 0)
        return;
    if (job->scrape_native_histograms)
        p->v[p->n++] = CONFIG_PROTO;
    p->v[p->n++] = CONFIG_OPENMETRICS_1_0_0;
    p->v[p->n++] = CONFIG_OPENMETRICS_0_0_1;
    p->v[p->n++] = CONFIG_TEXT_1_0_0;
    p->v[p->n++] = CONFIG_TEXT_0_0_4;
}

/* ---- what global gives ---- */

static void inherit(uint64_t *value, uint64_t global)
{
    if (*value == 0)
        *value = global;
}

static void inherit_flag(const struct node *node, const char *name, bool *value, bool global)
{
    if (!field_given(node, name))
        *value = global;
}

static void inherit_limits(struct config_job *job, const struct global *g)
{
    inherit(&job->body_size_limit, g->body_size_limit);
    inherit(&job->sample_limit, g->sample_limit);
    inherit(&job->label_limit, g->label_limit);
    inherit(&job->label_name_length_limit, g->label_name_length_limit);
    inherit(&job->label_value_length_limit, g->label_value_length_limit);
    inherit(&job->target_limit, g->target_limit);
    inherit(&job->keep_dropped_targets, g->keep_dropped_targets);
    inherit(&job->native_histogram_bucket_limit, g->native_histogram_bucket_limit);
    if (job->native_histogram_min_bucket_factor <= 0)
        job->native_histogram_min_bucket_factor = g->native_histogram_min_bucket_factor;
}

/* A job that says which names it accepts does not take over how global wants them written. */
static void inherit_names(struct load *l, struct job_draft *draft)
{
    struct config_job *job = &draft->job;
    const struct global *g = &l->global;
    bool own_names = field_given(draft->node, "metric_name_validation_scheme");
    if (!own_names)
        job->legacy_names = g->legacy_names;
    if (!field_given(draft->node, "metric_name_escaping_scheme"))
        job->name_escaping = !own_names          ? g->name_escaping
                             : job->legacy_names ? CONFIG_UNDERSCORES
                                                 : CONFIG_ALLOW_UTF8;
    if (job->legacy_names && job->name_escaping == CONFIG_ALLOW_UTF8)
        problem_add(&l->problems, field_place(draft->node, "metric_name_escaping_scheme"),
                    "utf8 metric names requested but validation scheme is not set to UTF8");
}

void job_inherit(struct load *l, struct job_draft *draft)
{
    struct config_job *job = &draft->job;
    const struct global *g = &l->global;
    const struct node *node = draft->node;
    inherit_limits(job, g);
    /* An explicit 0 means none, as in vmagent. */
    if (!field_given(node, "series_limit"))
        job->series_limit = g->series_limit;
    if (!field_given(node, "job_series_limit"))
        job->job_series_limit = g->job_series_limit;
    inherit_flag(node, "scrape_native_histograms", &job->scrape_native_histograms, g->scrape_native_histograms);
    if (!field_given(node, "scrape_classic_histograms"))
        inherit_flag(node, "always_scrape_classic_histograms", &job->always_scrape_classic_histograms,
                     g->always_scrape_classic_histograms);
    inherit_flag(node, "convert_classic_histograms_to_nhcb", &job->convert_classic_histograms_to_nhcb,
                 g->convert_classic_histograms_to_nhcb);
    inherit_flag(node, "extra_scrape_metrics", &job->extra_scrape_metrics, g->extra_scrape_metrics);
    inherit_flag(node, "normalize_le_quantile", &job->normalize_le_quantile, g->normalize_le_quantile);
    inherit_names(l, draft);
    if (job->scrape_protocols.n == 0)
        job->scrape_protocols = g->scrape_protocols;
    default_protocols(job);
    if (!job->scrape_failure_log_file && g->scrape_failure_log_file)
        job->scrape_failure_log_file = xstrdup(g->scrape_failure_log_file);
}

/* ---- hashes ---- */

/* Which series come out of a body, and with which labels: nothing about when and how it is fetched. */
static uint64_t series_hash(const struct config_job *job)
{
    struct buf text;
    buf_init(&text, (size_t)256 << 20);
    relabel_dump(job->metric_relabel, 0, &text);
    buf_addf(&text, "\n%d %d %d %d %d %d %d %d %llu %llu %llu %llu %.17g %d %d", job->honor_labels,
             job->honor_timestamps, job->legacy_names, job->normalize_le_quantile,
             job->track_timestamps_staleness, job->scrape_native_histograms,
             job->always_scrape_classic_histograms, job->convert_classic_histograms_to_nhcb,
             (unsigned long long)job->label_limit, (unsigned long long)job->label_name_length_limit,
             (unsigned long long)job->label_value_length_limit,
             (unsigned long long)job->native_histogram_bucket_limit, job->native_histogram_min_bucket_factor,
             job->no_stale_markers, job->name_escaping);
    uint64_t hash = hash_bytes(text.p, text.n);
    buf_free(&text);
    return hash;
}

void job_hash(struct config_job *job)
{
    struct buf text;
    buf_init(&text, (size_t)256 << 20);
    struct dump d = {.out = &text, .secrets = true};
    section_dump(&d, &section_scrape, job);
    job->hash = hash_bytes(text.p, text.n);
    buf_free(&text);
    job->series_hash = series_hash(job);
}
