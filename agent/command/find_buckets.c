/* SPDX-License-Identifier: Apache-2.0 */
/* find_buckets: histograms and summaries whose parts do not fit together. What is remembered is of one histogram, not
   of its buckets, so those are compared in the order they stand, which is how everybody writes them. */
#include "find.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "exposition.h"
#include "map.h"

#include <math.h>
#include <stdlib.h>

#define GROUPS_MAX ((size_t)1 << 16)
#define TEXTS_MAX ((size_t)2 << 20)
#define TEXT_MAX ((size_t)200)

enum part { PART_BUCKET, PART_SUM, PART_COUNT, PART_VALUE, PART_OTHER };

/* A histogram or summary with one set of labels. */
struct group {
    uint64_t line;      /* where it begins */
    uint64_t last_line; /* of the last bucket */
    uint64_t inf_line, count_line;
    double last_bound, last_value, inf, count;
    size_t family;
    char *text; /* its first series, NULL past TEXTS_MAX */
    enum block_metric_type type;
    bool buckets, sum;
    bool ranges; /* VictoriaMetrics's buckets: from and to, not cumulative */
};

struct buckets {
    struct findings *to;
    struct group *groups;
    size_t n, cap, texts;
    struct map by_key; /* hash of family and labels -> index + 1 */
};

/* ---- which part of what ---- */

static bool is_whole(enum block_metric_type type)
{
    return type == BLOCK_HISTOGRAM || type == BLOCK_GAUGEHISTOGRAM || type == BLOCK_SUMMARY;
}

static enum part part_of(const struct survey_sample *s)
{
    static const struct {
        struct str suffix;
        enum part part;
    } PARTS[] = {
        {{"_bucket", 7}, PART_BUCKET}, {{"_sum", 4}, PART_SUM},     {{"_count", 6}, PART_COUNT},
        {{"_gsum", 5}, PART_SUM},      {{"_gcount", 7}, PART_COUNT}, {{"", 0}, PART_VALUE},
    };
    struct str rest = str_skip(s->name, strlen(s->family->lint.name));
    if (!is_whole(s->family->lint.type))
        return str_ends(s->name, PARTS[0].suffix) && labels_has(s->labels, STR("le")) ? PART_BUCKET : PART_OTHER;
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        if (str_eq(rest, PARTS[i].suffix))
            return PARTS[i].part;
    }
    return PART_OTHER;
}

/* The same for all parts, in whatever order their labels stand. */
static uint64_t key_of(const struct survey_sample *s)
{
    uint64_t sum = s->family_index;
    for (size_t i = 0; i < s->labels->n; i++) {
        const struct label *l = &s->labels->v[i];
        bool own = str_eq_c(l->name, "__name__") || str_eq_c(l->name, "le") || str_eq_c(l->name, "quantile") ||
                   str_eq_c(l->name, "vmrange");
        if (!own && l->value.n)
            sum += hash_more(hash_bytes(l->name.p, l->name.n), l->value);
    }
    return hash_bytes(&sum, sizeof sum);
}

static struct group *group_at(struct buckets *b, const struct survey_sample *s)
{
    uint64_t key = key_of(s);
    const uint64_t *index = map_find(&b->by_key, key);
    if (index)
        return &b->groups[*index - 1];
    if (b->n == GROUPS_MAX) {
        findings_cut(b->to, "histograms and summaries after the first %zu", GROUPS_MAX);
        return NULL;
    }
    b->groups = xgrow(b->groups, &b->cap, b->n + 1, sizeof *b->groups);
    struct group *g = &b->groups[b->n++];
    *g = (struct group){.line = s->raw->line, .family = s->family_index, .type = s->family->lint.type};
    if (b->texts < TEXTS_MAX) {
        struct str text = str_make(s->raw->series.p, s->raw->series.n < TEXT_MAX ? s->raw->series.n : TEXT_MAX);
        g->text = str_dup(text);
        b->texts += text.n;
    }
    *map_at(&b->by_key, key) = b->n;
    return g;
}

/* ---- line by line ---- */

static void bucket_after(struct buckets *b, const struct group *g, const struct survey_sample *s, double bound)
{
    struct finding_at at = {s->raw->line, g->last_line, s->raw->series};
    double value = s->raw->value;
    if (bound == g->last_bound) {
        if (!s->first_line)
            findings_add(b->to, FINDING_BUCKET_TWICE, &at, "the bound %g again", bound);
        return;
    }
    bool up = bound > g->last_bound;
    if (!up)
        findings_add(b->to, FINDING_BUCKETS_UNORDERED, &at, "the bound %g after %g", bound, g->last_bound);
    if (up ? value < g->last_value : value > g->last_value)
        findings_add(b->to, FINDING_BUCKETS_FALL, &at, "%.17g up to %g, but %.17g up to %g", value, bound,
                     g->last_value, g->last_bound);
}

static void on_bucket(struct buckets *b, struct group *g, const struct survey_sample *s)
{
    double bound;
    struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
    struct str le = labels_get(s->labels, STR("le"));
    g->ranges |= !le.n && labels_has(s->labels, STR("vmrange"));
    if (g->ranges)
        return;
    if (!le.n || !exposition_parse_value(le, &bound) || isnan(bound)) {
        findings_add(b->to, FINDING_BUCKET_BOUND, &at, le.n ? "le is not a number" : "no label le");
        return;
    }
    if (g->buckets)
        bucket_after(b, g, s, bound);
    g->buckets = true;
    g->last_bound = bound;
    g->last_value = s->raw->value;
    g->last_line = s->raw->line;
    if (isinf(bound) && bound > 0) {
        g->inf = s->raw->value;
        g->inf_line = s->raw->line;
    }
}

static void on_quantile(struct buckets *b, const struct survey_sample *s)
{
    double q;
    struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
    struct str text = labels_get(s->labels, STR("quantile"));
    if (!text.n)
        findings_add(b->to, FINDING_QUANTILE, &at, "no label quantile");
    else if (!exposition_parse_value(text, &q) || !(q >= 0 && q <= 1))
        findings_add(b->to, FINDING_QUANTILE, &at, "quantile is not a number from 0 to 1");
}

static void on_value(struct buckets *b, const struct survey_sample *s)
{
    struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
    if (s->family->lint.type == BLOCK_SUMMARY)
        on_quantile(b, s);
    else
        findings_add(b->to, FINDING_BARE_HISTOGRAM, &at, "neither _bucket, _sum nor _count of a histogram");
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct buckets *b = ctx;
    enum part part = part_of(s);
    if (part == PART_OTHER || s->raw->histogram.p)
        return;
    struct group *g = group_at(b, s);
    if (!g)
        return;
    if (part == PART_BUCKET)
        on_bucket(b, g, s);
    else if (part == PART_VALUE)
        on_value(b, s);
    g->sum |= part == PART_SUM;
    if (part == PART_COUNT) {
        g->count = s->raw->value;
        g->count_line = s->raw->line;
    }
}

/* ---- what is not there ---- */

static void whole(struct buckets *b, const struct group *g, const char *family)
{
    struct finding_at at = {.line = g->line, .subject = str_of(g->text ? g->text : family)};
    bool histogram = g->type != BLOCK_SUMMARY;
    const char *kind = g->type == BLOCK_GAUGEHISTOGRAM ? "g" : "";
    if (g->ranges)
        return;
    if (histogram && !g->inf_line && g->buckets)
        findings_add(b->to, FINDING_NO_INF_BUCKET, &at, "the last bucket ends at %g", g->last_bound);
    if (!is_whole(g->type))
        return;
    if (histogram && !g->buckets)
        findings_add(b->to, FINDING_NO_BUCKETS, &at, "%s_bucket is missing", family);
    if (!g->sum)
        findings_add(b->to, FINDING_NO_SUM, &at, "%s_%ssum is missing", family, kind);
    if (!g->count_line)
        findings_add(b->to, FINDING_NO_COUNT, &at, "%s_%scount is missing", family, kind);
    if (g->inf_line && g->count_line && g->inf != g->count) {
        at.line = g->count_line;
        at.other_line = g->inf_line;
        findings_add(b->to, FINDING_INF_IS_NOT_COUNT, &at, "%.17g counted, but %.17g in the bucket +Inf", g->count,
                     g->inf);
    }
}

static void clear(struct buckets *b)
{
    for (size_t i = 0; i < b->n; i++)
        free(b->groups[i].text);
    b->n = b->texts = 0;
    map_free(&b->by_key);
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct buckets *b = ctx;
    for (size_t i = 0; i < b->n; i++)
        whole(b, &b->groups[i], counts->families[b->groups[i].family].lint.name);
    clear(b);
}

/* In half a body nothing is missing. */
static void on_done(void *ctx, const struct scrape_done *done)
{
    static const enum finding_rule MISSING[] = {FINDING_NO_INF_BUCKET, FINDING_NO_BUCKETS, FINDING_NO_SUM,
                                                FINDING_NO_COUNT};
    struct buckets *b = ctx;
    bool cut = err_is(&done->probe->error) && done->probe->type != PROBE_TYPE_REFUSED;
    for (size_t i = 0; cut && i < sizeof MISSING / sizeof *MISSING; i++)
        findings_drop(b->to, MISSING[i]);
}

static void free_buckets(void *ctx)
{
    struct buckets *b = ctx;
    clear(b);
    free(b->groups);
    free(b);
}

struct find_check find_buckets(const struct find_for *to)
{
    struct buckets *b = xcalloc(1, sizeof *b);
    b->to = to->findings;
    return (struct find_check){.watcher = {NULL, on_sample, NULL, on_end, b}, .done = on_done, .free = free_buckets};
}
