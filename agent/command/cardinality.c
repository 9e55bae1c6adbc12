/* SPDX-License-Identifier: Apache-2.0 */
/* cardinality: where series come from. Series and bytes of metrics and labels are counted; different values are counted
   in samples of fixed size, exactly as long as those hold them all. */
#include "cardinality.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/units.h"
#include "map.h"
#include "sampled.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LABELS_MAX ((size_t)256)
/* What fits into 2048 places of a map, and into 32768. */
#define LABEL_SAMPLE_MAX ((size_t)1535)
#define METRIC_SAMPLE_MAX ((size_t)24575)
#define VALUES_SHOWN ((size_t)3)
#define NAME_MAX_SHOWN ((size_t)60)

struct metric {
    char *name;
    uint64_t series, bytes;
};

struct label_use {
    char *name;
    uint64_t series, bytes;
    struct sampled seen, rest; /* values; what is left of series without it */
    uint64_t values;           /* different ones */
    uint64_t without;          /* series that would be left */
};

struct most {
    const char *name; /* of a label */
    uint64_t values;
};

struct shown {
    const struct metric *metric;
    struct most labels[VALUES_SHOWN];
    size_t labels_n;
};

struct cardinality {
    size_t top;
    struct metric *metrics; /* by family_index, in the end sorted */
    size_t metrics_n, metrics_cap;
    struct label_use *labels;
    size_t labels_n, labels_cap;
    bool labels_cut, exact;
    struct map label_index;       /* hash of a name -> index + 1 */
    struct sampled metric_values; /* family, label and value -> family << 32 | label from 1 */
    uint64_t series;
    double raw_each, wire_each; /* bytes of a sample */
    struct shown *shown;        /* the top metrics, in order */
    size_t shown_n, width;
};

/* ---- counting ---- */

static struct metric *metric_at(struct cardinality *c, const struct survey_sample *s)
{
    if (s->family_index >= c->metrics_n) {
        c->metrics = xgrow(c->metrics, &c->metrics_cap, s->family_index + 1, sizeof *c->metrics);
        memset(c->metrics + c->metrics_n, 0, (s->family_index + 1 - c->metrics_n) * sizeof *c->metrics);
        c->metrics_n = s->family_index + 1;
    }
    struct metric *m = &c->metrics[s->family_index];
    m->name = m->name ? m->name : xstrdup(s->family->lint.name);
    return m;
}

/* From 1; 0: there are too many. */
static size_t label_number(struct cardinality *c, struct str name)
{
    uint64_t hash = hash_bytes(name.p, name.n);
    const uint64_t *index = map_find(&c->label_index, hash);
    if (index)
        return *index;
    if (c->labels_n == LABELS_MAX) {
        c->labels_cut = true;
        return 0;
    }
    c->labels = xgrow(c->labels, &c->labels_cap, c->labels_n + 1, sizeof *c->labels);
    c->labels[c->labels_n++] = (struct label_use){
        .name = str_dup(name),
        .seen.max = LABEL_SAMPLE_MAX,
        .rest.max = LABEL_SAMPLE_MAX,
    };
    *map_at(&c->label_index, hash) = c->labels_n;
    return c->labels_n;
}

static void mark(struct sampled *s, uint64_t key, uint64_t value)
{
    uint64_t *place = sampled_at(s, key);
    if (place)
        *place = value;
}

static uint64_t mixed(uint64_t a, uint64_t b)
{
    uint64_t both[2] = {a, b};
    return hash_bytes(both, sizeof both);
}

/* whole: sum_of the series. */
static void count_label(struct cardinality *c, const struct survey_sample *s, const struct label *l, uint64_t whole)
{
    size_t number = label_number(c, l->name);
    if (!number)
        return;
    uint64_t pair = hash_more(number, l->value);
    struct label_use *use = &c->labels[number - 1];
    use->series++;
    use->bytes += l->name.n + l->value.n + sizeof "=\"\"," - 1;
    mark(&use->seen, pair, 1);
    mark(&c->metric_values, mixed(pair, s->family_index), (uint64_t)s->family_index << 32 | number);
    mark(&use->rest, mixed(whole - hash_more(hash_bytes(l->name.p, l->name.n), l->value), number), 1);
}

/* The sum can do without any one of the labels. */
static uint64_t sum_of(const struct labels *labels)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < labels->n; i++)
        sum += hash_more(hash_bytes(labels->v[i].name.p, labels->v[i].name.n), labels->v[i].value);
    return sum;
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct cardinality *c = ctx;
    if (s->first_line)
        return;
    struct metric *m = metric_at(c, s);
    uint64_t whole = sum_of(s->labels);
    m->series++;
    m->bytes += s->raw->series.n;
    c->series++;
    for (size_t i = 0; i < s->labels->n; i++) {
        if (!str_eq_c(s->labels->v[i].name, "__name__"))
            count_label(c, s, &s->labels->v[i], whole);
    }
}

static void forget(struct cardinality *c)
{
    for (size_t i = 0; i < c->metrics_n; i++)
        free(c->metrics[i].name);
    for (size_t i = 0; i < c->labels_n; i++) {
        free(c->labels[i].name);
        sampled_free(&c->labels[i].seen);
        sampled_free(&c->labels[i].rest);
    }
    free(c->shown);
    c->shown = NULL;
    c->metrics_n = c->labels_n = c->shown_n = 0;
    c->series = 0;
    c->labels_cut = false;
    map_free(&c->label_index);
    sampled_free(&c->metric_values);
}

static void on_begin(void *ctx, enum exposition_format format)
{
    (void)format;
    forget(ctx);
}

/* ---- adding up ---- */

static int by_series(const void *a, const void *b, void *ctx)
{
    const struct cardinality *c = ctx;
    const struct metric *x = &c->metrics[*(const size_t *)a], *y = &c->metrics[*(const size_t *)b];
    if (x->series != y->series)
        return x->series < y->series ? 1 : -1;
    return x->name && y->name ? strcmp(x->name, y->name) : (y->name != NULL) - (x->name != NULL);
}

static int by_values(const void *a, const void *b)
{
    const struct label_use *x = a, *y = b;
    return x->values < y->values ? 1 : x->values > y->values ? -1 : strcmp(x->name, y->name);
}

/* The metrics that are shown, and of each family its place among them + 1, 0 for none; the caller frees. */
static size_t *choose_metrics(struct cardinality *c)
{
    size_t *order = xcalloc(c->metrics_n + 1, sizeof *order), *rank = xcalloc(c->metrics_n + 1, sizeof *rank);
    for (size_t i = 0; i < c->metrics_n; i++)
        order[i] = i;
    qsort_r(order, c->metrics_n, sizeof *order, by_series, c);
    c->shown = xcalloc(c->top + 1, sizeof *c->shown);
    for (size_t i = 0; i < c->metrics_n && i < c->top && c->metrics[order[i]].series; i++) {
        rank[order[i]] = i + 1;
        c->shown[c->shown_n++].metric = &c->metrics[order[i]];
    }
    free(order);
    return rank;
}

/* Keeps the labels with most values in front. */
static void offer(struct shown *m, const char *name, uint64_t values)
{
    size_t at = m->labels_n < VALUES_SHOWN ? m->labels_n++ : VALUES_SHOWN - 1;
    if (m->labels[at].name && m->labels[at].values >= values)
        return;
    for (; at > 0 && m->labels[at - 1].values < values; at--)
        m->labels[at] = m->labels[at - 1];
    m->labels[at] = (struct most){name, values};
}

static void count_metric_values(struct cardinality *c)
{
    size_t *rank = choose_metrics(c);
    uint64_t *values = xcalloc(c->shown_n * c->labels_n + 1, sizeof *values);
    const struct map *map = &c->metric_values.map;
    for (size_t i = 0; i < map->size; i++) {
        size_t metric = map->keys[i] ? rank[map->values[i] >> 32] : 0;
        if (metric)
            values[(metric - 1) * c->labels_n + (uint32_t)map->values[i] - 1]++;
    }
    for (size_t m = 0; m < c->shown_n; m++) {
        for (size_t l = 0; l < c->labels_n; l++) {
            uint64_t n = values[m * c->labels_n + l] << c->metric_values.level;
            uint64_t series = c->shown[m].metric->series;
            if (n > 1) /* an estimate may be above what there can be */
                offer(&c->shown[m], c->labels[l].name, n < series ? n : series);
        }
    }
    c->exact = !c->metric_values.level && !c->labels_cut;
    sampled_free(&c->metric_values);
    free(values);
    free(rank);
}

static void count_values(struct cardinality *c)
{
    for (size_t i = 0; i < c->labels_n; i++) {
        struct label_use *l = &c->labels[i];
        uint64_t values = (uint64_t)l->seen.map.n << l->seen.level;
        uint64_t left = ((uint64_t)l->rest.map.n << l->rest.level) + (c->series - l->series);
        l->values = values < l->series ? values : l->series;
        l->without = left < c->series ? left : c->series;
        c->exact = c->exact && !l->seen.level && !l->rest.level;
        sampled_free(&l->seen);
        sampled_free(&l->rest);
    }
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct cardinality *c = ctx;
    (void)counts;
    count_metric_values(c);
    count_values(c);
    if (c->labels_n)
        qsort(c->labels, c->labels_n, sizeof *c->labels, by_values);
}

static void on_done(void *ctx, const struct scrape_done *done)
{
    struct cardinality *c = ctx;
    double samples = (double)done->counts->samples;
    c->raw_each = samples > 0 ? (double)done->probe->raw_bytes / samples : 0;
    c->wire_each = samples > 0 ? (double)done->probe->wire_bytes / samples : 0;
}

static size_t metrics_with_series(const struct cardinality *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->metrics_n; i++)
        n += c->metrics[i].series > 0;
    return n;
}

/* ---- saying it ---- */

static void add_name(const struct cardinality *c, struct buf *out, const char *name)
{
    size_t n = strlen(name);
    buf_add_c(out, "  ");
    paint_plain(out, str_make(name, n < NAME_MAX_SHOWN ? n : NAME_MAX_SHOWN));
    for (; n < c->width; n++)
        buf_add_char(out, ' ');
}

static void widen(struct cardinality *c, const char *name)
{
    size_t n = strlen(name);
    n = n < NAME_MAX_SHOWN ? n : NAME_MAX_SHOWN;
    c->width = c->width < n ? n : c->width;
}

/* Of the column of names. */
static void set_width(struct cardinality *c)
{
    c->width = sizeof "metric" - 1;
    for (size_t i = 0; i < c->shown_n; i++)
        widen(c, c->shown[i].metric->name);
    for (size_t i = 0; i < c->labels_n && i < c->top; i++)
        widen(c, c->labels[i].name);
}

static void add_size(struct buf *out, uint64_t bytes)
{
    char text[32];
    units_format_size(bytes, text);
    buf_addf(out, " %10s", text);
}

static double share(const struct cardinality *c, uint64_t n)
{
    return c->series ? 100 * (double)n / (double)c->series : 0;
}

static void text_metrics(const struct cardinality *c, struct buf *out)
{
    add_name(c, out, "metric");
    buf_addf(out, " %8s %7s %10s  most values\n", "series", "share", "bytes");
    for (size_t i = 0; i < c->shown_n; i++) {
        const struct shown *m = &c->shown[i];
        add_name(c, out, m->metric->name);
        buf_addf(out, " %8" PRIu64 " %5.1f %%", m->metric->series, share(c, m->metric->series));
        add_size(out, m->metric->bytes);
        for (size_t l = 0; l < m->labels_n; l++) {
            buf_add_c(out, l ? ", " : "  ");
            paint_plain(out, str_of(m->labels[l].name));
            buf_addf(out, " %" PRIu64, m->labels[l].values);
        }
        buf_add_char(out, '\n');
    }
}

static void text_labels(const struct cardinality *c, struct buf *out)
{
    add_name(c, out, "label");
    buf_addf(out, " %8s %7s %10s %8s  series left without it\n", "series", "share", "bytes", "values");
    for (size_t i = 0; i < c->labels_n && i < c->top; i++) {
        const struct label_use *l = &c->labels[i];
        add_name(c, out, l->name);
        buf_addf(out, " %8" PRIu64 " %5.1f %%", l->series, share(c, l->series));
        add_size(out, l->bytes);
        buf_addf(out, " %8" PRIu64 "  %" PRIu64 "\n", l->values, l->without);
    }
}

static void say_text(void *ctx, const struct paint *paint, struct buf *out)
{
    struct cardinality *c = ctx;
    set_width(c);
    paint_add(paint, out, PAINT_BOLD, "cardinality");
    buf_addf(out, ": %" PRIu64 " series of %zu metrics with %zu labels, %.1f bytes a sample, %.1f received\n",
             c->series, metrics_with_series(c), c->labels_n, c->raw_each, c->wire_each);
    if (c->series == 0)
        return;
    text_metrics(c, out);
    if (c->labels_n)
        text_labels(c, out);
    if (!c->exact)
        buf_addf(out, "  numbers of values%s and of series left are estimates: too many for all to be kept\n",
                 c->labels_cut ? " (labels after the first 256 not looked at)" : "");
}

static void json_name(struct buf *out, const char *separator, const char *name)
{
    buf_addf(out, "%s{\"name\":", separator);
    buf_add_json(out, str_of(name));
}

static void json_metrics(const struct cardinality *c, struct buf *out)
{
    for (size_t i = 0; i < c->shown_n; i++) {
        const struct shown *m = &c->shown[i];
        json_name(out, i ? "," : "", m->metric->name);
        buf_addf(out, ",\"series\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"labels\":[", m->metric->series,
                 m->metric->bytes);
        for (size_t l = 0; l < m->labels_n; l++) {
            json_name(out, l ? "," : "", m->labels[l].name);
            buf_addf(out, ",\"values\":%" PRIu64 "}", m->labels[l].values);
        }
        buf_add_c(out, "]}");
    }
}

static void say_json(void *ctx, struct buf *out)
{
    const struct cardinality *c = ctx;
    buf_addf(out, "\"cardinality\":{\"series\":%" PRIu64 ",\"metrics\":%zu,\"labels\":%zu,", c->series,
             metrics_with_series(c), c->labels_n);
    buf_addf(out, "\"bytes_per_sample\":%.6g,\"wire_bytes_per_sample\":%.6g,\"exact\":%s,\"top_metrics\":[",
             c->raw_each, c->wire_each, c->exact ? "true" : "false");
    json_metrics(c, out);
    buf_add_c(out, "],\"top_labels\":[");
    for (size_t i = 0; i < c->labels_n && i < c->top; i++) {
        const struct label_use *l = &c->labels[i];
        json_name(out, i ? "," : "", l->name);
        buf_addf(out, ",\"series\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"values\":%" PRIu64, l->series, l->bytes,
                 l->values);
        buf_addf(out, ",\"series_without\":%" PRIu64 "}", l->without);
    }
    buf_add_c(out, "]},");
}

static void free_cardinality(void *ctx)
{
    struct cardinality *c = ctx;
    forget(c);
    free(c->metrics);
    free(c->labels);
    free(c);
}

bool cardinality_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out)
{
    (void)subject;
    if (!flags->cardinality)
        return false;
    struct cardinality *c = xcalloc(1, sizeof *c);
    c->top = (size_t)flags->top;
    c->metric_values.max = METRIC_SAMPLE_MAX;
    *out = (struct analysis){
        .watcher = {on_begin, on_sample, NULL, on_end, c},
        .done = on_done,
        .text = say_text,
        .json = say_json,
        .free = free_cardinality,
    };
    return true;
}
