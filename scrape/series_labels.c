/* SPDX-License-Identifier: Apache-2.0 */
/* series_labels: the target's labels and honor_labels, rules, then the checks that fail the whole scrape. */
#include "series_labels.h"

#include <math.h>
#include <string.h>

#include "exposition.h"
#include "parse/private.h"
#include "parse/series_write.h"

#define SHOWN_RUNES 50 /* Go's %.50s */
#define NUMBER_MAX 512

static const struct str NAME = {"__name__", 8};

/* ---- the target's labels ---- */

static void merge_honoring(const struct series_origin *o, struct labels *l)
{
    for (size_t i = 0; i < o->target_n; i++)
        if (!labels_has(l, o->target[i].name))
            labels_push(l, o->target[i].name, o->target[i].value);
}

/* Puts an exposed label that lost its name under the first free name of exported_X, exported_exported_X
   ... */
static void add_exported(struct labels *l, const struct label *lost)
{
    struct str name = lost->name;
    do {
        name = str_of(arena_printf(l->arena, "exported_%.*s", STR_ARG(name)));
    } while (labels_get(l, name).n);
    labels_set(l, name, lost->value);
}

static void merge_overriding(const struct series_origin *o, struct labels *l)
{
    struct label *lost = arena_alloc(l->arena, (o->target_n + 1) * sizeof *lost);
    size_t lost_n = 0;
    for (size_t i = 0; i < o->target_n; i++) {
        struct str exposed = labels_get(l, o->target[i].name);
        if (exposed.n) {
            size_t at = lost_n++; /* shortest name first, stable */
            for (; at > 0 && lost[at - 1].name.n > o->target[i].name.n; at--)
                lost[at] = lost[at - 1];
            lost[at] = (struct label){o->target[i].name, exposed};
        }
        labels_set(l, o->target[i].name, o->target[i].value);
    }
    for (size_t i = 0; i < lost_n; i++)
        add_exported(l, &lost[i]);
}

/* ---- checks ---- */

/* The first 50 runes; bytes that are not UTF-8 count as one each. */
static struct str shown(struct str s)
{
    size_t i = 0;
    for (int runes = 0; runes < SHOWN_RUNES && i < s.n; runes++) {
        size_t step = str_utf8_step(str_skip(s, i));
        i += step ? step : 1;
    }
    return str_make(s.p, i);
}

/* Go's %q. */
static const char *quoted(struct arena *arena, struct str text)
{
    struct buf out;
    buf_init(&out, 1024);
    buf_add_char(&out, '"');
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        size_t step = str_utf8_step(str_skip(text, i));
        if (c == '"' || c == '\\')
            buf_addf(&out, "\\%c", c);
        else if (c == '\n' || c == '\t' || c == '\r')
            buf_addf(&out, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
        else if (c < 0x20 || c == 0x7f || step == 0)
            buf_addf(&out, "\\x%02x", c);
        else
            buf_add(&out, text.p + i, step);
        i += step ? step : 1;
    }
    buf_add_char(&out, '"');
    const char *copy = arena_strdup(arena, buf_c(&out));
    buf_free(&out);
    return copy;
}

static bool check_lengths(const struct config_job *job, const struct labels *all, const struct label *l,
                          struct err *err)
{
    unsigned long long name_max = job->label_name_length_limit, value_max = job->label_value_length_limit;
    bool name_good = !name_max || l->name.n <= name_max;
    if (name_good && (!value_max || l->value.n <= value_max))
        return true;
    struct str metric = shown(labels_get(all, NAME)), name = shown(l->name);
    if (!name_good)
        return err_set(
            err,
            "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, limit: %llu)",
            STR_ARG(metric), STR_ARG(name), l->name.n, name_max);
    return err_set(
        err,
        "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, length: %zu, "
        "limit: %llu)",
        STR_ARG(metric), STR_ARG(name), quoted(all->arena, shown(l->value)), l->value.n, value_max);
}

static bool check_limits(const struct series_origin *o, const struct labels *l, struct err *err)
{
    const struct config_job *job = o->job;
    struct str metric = STR_NULL;
    if (o->label_limit && l->n > o->label_limit)
        metric = shown(labels_get(l, NAME));
    if (metric.n)
        return err_set(err, "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                       STR_ARG(metric), l->n, (unsigned long long)o->label_limit);
    if (!job->label_name_length_limit && !job->label_value_length_limit)
        return true;
    for (size_t i = 0; i < l->n; i++)
        if (!check_lengths(job, l, &l->v[i], err))
            return false;
    return true;
}

static bool good_text(struct str s)
{
    return text_is_ascii(s) || str_is_utf8(s);
}

/* metric_name_validation_scheme: legacy. */
static bool is_legacy(const struct labels *l, struct str metric)
{
    bool good = labels_is_legacy_metric(metric);
    for (size_t i = 0; i < l->n && good; i++)
        good = labels_is_legacy_name(l->v[i].name);
    return good;
}

static bool check_names(const struct config_job *job, const struct labels *l, struct err *err)
{
    struct str metric = labels_get(l, NAME);
    if (!metric.n)
        return err_set(err, "missing metric name (__name__ label)");
    bool good = !job->legacy_names || is_legacy(l, metric);
    for (size_t i = 0; i < l->n && good; i++)
        good = good_text(l->v[i].name) && good_text(l->v[i].value);
    if (good)
        return true;
    struct buf text;
    buf_init(&text, 4096);
    labels_format(l, &text);
    err_set(err, "invalid metric name or label names: %s", buf_c(&text));
    buf_free(&text);
    return false;
}

/* Prometheus 3's form of le and quantile: what has neither point nor exponent gets ".0". */
static struct str normal_number(struct arena *arena, struct str text)
{
    struct buf out;
    double v;
    if (!exposition_parse_value(text, &v))
        return text;
    buf_init(&out, NUMBER_MAX);
    series_write_number(&out, v);
    if (isfinite(v) && !memchr(out.p, '.', out.n) && !memchr(out.p, 'e', out.n))
        buf_add_c(&out, ".0");
    struct str made = buf_str(&out), kept = str_eq(made, text) ? text : arena_str(arena, made);
    buf_free(&out);
    return kept;
}

static void normalize(enum block_metric_type type, struct labels *l)
{
    struct str wanted = type == BLOCK_HISTOGRAM ? STR("le") : type == BLOCK_SUMMARY ? STR("quantile") : STR_NULL;
    for (size_t i = 0; wanted.n && i < l->n; i++)
        if (str_eq(l->v[i].name, wanted))
            l->v[i].value = normal_number(l->arena, l->v[i].value);
}

enum series_made series_labels_make(const struct series_origin *o, enum block_metric_type type, struct labels *l,
                                    const struct series_trace *trace, struct err *err)
{
    const struct config_job *job = o->job;
    if (job->normalize_le_quantile)
        normalize(type, l);
    if (job->honor_labels)
        merge_honoring(o, l);
    else
        merge_overriding(o, l);
    labels_drop_empty(l);
    if (trace)
        trace->merged(trace->ctx, l);
    bool kept = trace ? relabel_apply_traced(job->metric_relabel, l, trace->rule, trace->ctx)
                      : relabel_apply(job->metric_relabel, l);
    if (!kept || l->n == 0)
        return SERIES_IS_DROPPED;
    labels_sort(l);
    return check_names(job, l, err) && check_limits(o, l, err) ? SERIES_IS_KEPT : SERIES_IS_WRONG;
}
