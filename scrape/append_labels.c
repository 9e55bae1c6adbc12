/* SPDX-License-Identifier: Apache-2.0 */
/* append_labels: from the text of an unknown series to its final labels, in Prometheus's order: parse, merge
   with the target's labels (honor_labels), rules, then the checks that fail the whole scrape. */
#include "append_private.h"

#include <math.h>
#include <stdio.h>

#include "base/wire.h"
#include "parse/private.h"
#include "parse/series_write.h"

#define SHOWN_RUNES 50 /* Go's %.50s */

static const struct str NAME = {"__name__", 8};

/* ---- the target's labels ---- */

static void merge_honoring(struct append_scrape *s)
{
    const struct append_target *t = s->t;
    for (size_t i = 0; i < t->labels_n; i++)
        if (!labels_has(&s->labels, t->labels[i].name))
            labels_push(&s->labels, t->labels[i].name, t->labels[i].value);
}

/* Puts an exposed label that lost its name under the first free name of exported_X, exported_exported_X
   ... */
static void add_exported(struct append_scrape *s, const struct label *lost)
{
    struct str name = lost->name;
    do {
        name = str_of(arena_printf(&s->arena, "exported_%.*s", STR_ARG(name)));
    } while (labels_get(&s->labels, name).n);
    labels_set(&s->labels, name, lost->value);
}

static void merge_overriding(struct append_scrape *s)
{
    const struct append_target *t = s->t;
    struct label *lost = arena_alloc(&s->arena, (t->labels_n + 1) * sizeof *lost);
    size_t lost_n = 0;
    for (size_t i = 0; i < t->labels_n; i++) {
        struct str exposed = labels_get(&s->labels, t->labels[i].name);
        if (exposed.n) {
            size_t at = lost_n++; /* shortest name first, stable */
            for (; at > 0 && lost[at - 1].name.n > t->labels[i].name.n; at--)
                lost[at] = lost[at - 1];
            lost[at] = (struct label){t->labels[i].name, exposed};
        }
        labels_set(&s->labels, t->labels[i].name, t->labels[i].value);
    }
    for (size_t i = 0; i < lost_n; i++)
        add_exported(s, &lost[i]);
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
static const char *quoted(struct append_scrape *s, struct str text)
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
    const char *copy = arena_strdup(&s->arena, buf_c(&out));
    buf_free(&out);
    return copy;
}

static bool check_lengths(struct append_scrape *s, const struct label *l)
{
    const struct config_job *job = s->t->job;
    unsigned long long name_max = job->label_name_length_limit, value_max = job->label_value_length_limit;
    bool name_good = !name_max || l->name.n <= name_max;
    if (name_good && (!value_max || l->value.n <= value_max))
        return true;
    struct str metric = shown(labels_get(&s->labels, NAME)), name = shown(l->name);
    if (!name_good)
        return err_set(
            &s->err,
            "label_name_length_limit exceeded (metric: %.*s, label name: %.*s, length: %zu, limit: %llu)",
            STR_ARG(metric), STR_ARG(name), l->name.n, name_max);
    return err_set(
        &s->err,
        "label_value_length_limit exceeded (metric: %.*s, label name: %.*s, value: %s, length: %zu, "
        "limit: %llu)",
        STR_ARG(metric), STR_ARG(name), quoted(s, shown(l->value)), l->value.n, value_max);
}

static bool check_limits(struct append_scrape *s)
{
    const struct config_job *job = s->t->job;
    uint64_t label_limit = s->t->settings.label_limit;
    const struct labels *l = &s->labels;
    struct str metric = STR_NULL;
    if (label_limit && l->n > label_limit)
        metric = shown(labels_get(l, NAME));
    if (metric.n)
        return err_set(&s->err, "label_limit exceeded (metric: %.*s, number of labels: %zu, limit: %llu)",
                       STR_ARG(metric), l->n, (unsigned long long)label_limit);
    if (!job->label_name_length_limit && !job->label_value_length_limit)
        return true;
    for (size_t i = 0; i < l->n; i++)
        if (!check_lengths(s, &l->v[i]))
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

static bool check_names(struct append_scrape *s)
{
    struct labels *l = &s->labels;
    struct str metric = labels_get(l, NAME);
    if (!metric.n)
        return err_set(&s->err, "missing metric name (__name__ label)");
    bool good = !s->t->job->legacy_names || is_legacy(l, metric);
    for (size_t i = 0; i < l->n && good; i++)
        good = good_text(l->v[i].name) && good_text(l->v[i].value);
    if (good)
        return true;
    struct buf text;
    buf_init(&text, 4096);
    labels_format(l, &text);
    err_set(&s->err, "invalid metric name or label names: %s", buf_c(&text));
    buf_free(&text);
    return false;
}

/* Prometheus 3's form of le and quantile: what has neither point nor exponent gets ".0". */
static struct str normal_number(struct append_scrape *s, struct str text)
{
    struct buf *out = &s->t->worker->number;
    double v;
    if (!exposition_parse_value(text, &v))
        return text;
    buf_clear(out);
    series_write_number(out, v);
    if (isfinite(v) && !memchr(out->p, '.', out->n) && !memchr(out->p, 'e', out->n))
        buf_add_c(out, ".0");
    struct str made = buf_str(out);
    return str_eq(made, text) ? text : arena_str(&s->arena, made);
}

static void normalize(struct append_scrape *s)
{
    struct str wanted = s->header.type == BLOCK_HISTOGRAM ? STR("le")
                        : s->header.type == BLOCK_SUMMARY ? STR("quantile")
                                                          : STR_NULL;
    for (size_t i = 0; wanted.n && i < s->labels.n; i++)
        if (str_eq(s->labels.v[i].name, wanted))
            s->labels.v[i].value = normal_number(s, s->labels.v[i].value);
}

enum append_made append_labels_make(struct append_scrape *s, const struct exposition_sample *sample)
{
    const struct config_job *job = s->t->job;
    struct err why = {0};
    arena_reset(&s->arena);
    if (!(s->format == EXPOSITION_OPENMETRICS ? exposition_parse_series_strict
                                              : exposition_parse_series)(sample->series, &s->labels, &why)) {
        unsigned long long column = 0;
        int skip = 0;
        s->scraped--; /* the parser let it pass unread: it was no sample */
        if (sscanf(why.msg, "column %llu: %n", &column, &skip) != 1)
            skip = 0;
        err_set(&s->err, "line %llu, column %llu: %s", (unsigned long long)sample->line,
                column + sample->column - 1, why.msg + skip);
        return APPEND_WRONG;
    }
    if (job->normalize_le_quantile)
        normalize(s);
    if (job->honor_labels)
        merge_honoring(s);
    else
        merge_overriding(s);
    labels_drop_empty(&s->labels);
    if (!relabel_apply(job->metric_relabel, &s->labels) || s->labels.n == 0)
        return APPEND_DROPPED;
    labels_sort(&s->labels);
    return check_names(s) && check_limits(s) ? APPEND_KEPT : APPEND_WRONG;
}

void append_labels_encode(struct append_worker *w, const struct labels *l, struct buf *out)
{
    for (size_t i = 0; i < l->n; i++) {
        uint32_t id = symbols_pair(w->symbols, l->v[i].name, l->v[i].value);
        uint8_t *p = (uint8_t *)buf_reserve(out, WIRE_VARINT_MAX);
        if (p)
            out->n += (size_t)(wire_put_varint(p, id) - p);
    }
}
