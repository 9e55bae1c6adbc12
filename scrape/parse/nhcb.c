/* SPDX-License-Identifier: Apache-2.0 */
/* nhcb: a handler in front of another one, which makes native histograms of the classic ones of a text.

        h_bucket{a="b",le="1"} 3   -.
        h_bucket{a="b",le="+Inf"} 5  |  the same family, the same labels but for le: collected
        h_sum{a="b"} 4               |  (and passed on, when classic ones are wanted too)
        h_count{a="b"} 5           -'
        h_bucket{a="c",le="1"} 0    ->  anything else: first comes h{a="b"} with a histogram, then this

   As in Prometheus, only families whose TYPE is histogram are looked at, and a histogram that cannot be made, as its
   counts fall or do not add up, is left out. A run of buckets is read by comparing the text around the value of le
   with that of the bucket before: what is equal up to the quote and behind it has the same labels. */
#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "classic.h"
#include "histogram.h"
#include "private.h"

#define SERIES_MAX ((size_t)32 << 20)
#define KEEP ((size_t)64 << 10) /* of a buffer, between bodies */

enum part { NO_PART, BUCKET, SUM, COUNT };

struct nhcb {
    struct exposition_handler handler; /* the one behind */
    struct exposition_options options;
    struct err err;
    struct buf family;
    bool is_histogram;

    /* Of the line at hand. */
    struct labels labels;
    struct arena scratch;
    struct buf series; /* of the histogram that it belongs to */
    double le;

    /* What is collected. */
    bool collecting;
    struct buf key; /* its series */
    struct buf before, behind; /* text around the value of le, of its last bucket; empty when there is none */
    struct classic classic;
    struct arena arena; /* of the exemplars' labels */
    struct exposition_exemplar *exemplars;
    size_t exemplars_n, exemplars_cap;
    struct exposition_sample last; /* timestamp, start time and place */
    uint32_t passed;               /* samples given to the handler behind meanwhile */
    struct histogram histogram;
    struct buf bytes;
};

struct nhcb *nhcb_new(void)
{
    struct nhcb *n = xcalloc(1, sizeof *n);
    arena_init(&n->scratch);
    arena_init(&n->arena);
    labels_init(&n->labels, &n->scratch);
    buf_init(&n->family, SERIES_MAX);
    buf_init(&n->series, SERIES_MAX);
    buf_init(&n->key, SERIES_MAX);
    buf_init(&n->before, SERIES_MAX);
    buf_init(&n->behind, SERIES_MAX);
    buf_init(&n->bytes, SERIES_MAX);
    return n;
}

void nhcb_free(struct nhcb *n)
{
    if (!n)
        return;
    labels_free(&n->labels);
    arena_free(&n->scratch);
    arena_free(&n->arena);
    buf_free(&n->family);
    buf_free(&n->series);
    buf_free(&n->key);
    buf_free(&n->before);
    buf_free(&n->behind);
    buf_free(&n->bytes);
    classic_free(&n->classic);
    histogram_free(&n->histogram);
    free(n->exemplars);
    free(n);
}

/* ---- the handler behind ---- */

static bool pass(struct nhcb *n, const struct exposition_sample *s)
{
    n->passed++;
    return n->handler.on_sample(n->handler.ctx, s);
}

static int by_time(const void *a, const void *b)
{
    const struct exposition_exemplar *x = a, *y = b;
    return x->ts_ms < y->ts_ms ? -1 : x->ts_ms > y->ts_ms;
}

static bool give(struct nhcb *n)
{
    if (!histogram_fit(&n->histogram, &n->options, &n->err))
        return err_prefix(&n->err, "line %llu, column %llu", (unsigned long long)n->last.line,
                          (unsigned long long)n->last.column);
    buf_clear(&n->bytes);
    histogram_encode(&n->histogram, &n->bytes);
    if (n->exemplars_n > 1)
        qsort(n->exemplars, n->exemplars_n, sizeof *n->exemplars, by_time);
    struct exposition_sample s = n->last;
    s.series = buf_str(&n->key);
    s.histogram = buf_str(&n->bytes);
    s.exemplars = n->exemplars_n ? n->exemplars : NULL;
    s.exemplars_n = n->exemplars_n;
    return pass(n, &s);
}

/* Passes on what is collected, when it makes a histogram. */
static bool flush(struct nhcb *n)
{
    struct err unfit = {0};
    bool ok = !n->collecting || !classic_convert(&n->classic, &n->histogram, &unfit) || give(n);
    n->collecting = false;
    return ok;
}

/* ---- lines ---- */

/* Which part of a histogram of the present family the labels at hand name; name is made the family's. */
static enum part part_of(struct nhcb *n, struct str *name)
{
    static const struct {
        struct str suffix;
        enum part part;
    } PARTS[] = {{{"_bucket", 7}, BUCKET}, {{"_sum", 4}, SUM}, {{"_count", 6}, COUNT}};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++) {
        if (!str_ends(*name, PARTS[i].suffix))
            continue;
        name->n -= PARTS[i].suffix.n;
        return str_eq(*name, buf_str(&n->family)) ? PARTS[i].part : NO_PART;
    }
    return NO_PART;
}

/* Keeps the text around le, when the value stands in the line as it is. */
static void remember(struct nhcb *n, struct str series, struct str le)
{
    buf_clear(&n->before);
    buf_clear(&n->behind);
    if (!le.p || le.p < series.p || le.p + le.n >= series.p + series.n)
        return;
    size_t at = (size_t)(le.p - series.p);
    buf_add(&n->before, series.p, at);
    buf_add_str(&n->behind, str_skip(series, at + le.n));
}

/* A bucket of the run: only the value of le is new. */
static bool is_next_bucket(struct nhcb *n, struct str series)
{
    struct str before = buf_str(&n->before), behind = buf_str(&n->behind), le;
    if (!n->collecting || !before.n || series.n <= before.n + behind.n || !str_starts(series, before) ||
        !str_ends(series, behind))
        return false;
    le = str_make(series.p + before.n, series.n - before.n - behind.n);
    for (size_t i = 0; i < le.n; i++)
        if (le.p[i] == '"' || le.p[i] == '\\')
            return false;
    return exposition_parse_value(le, &n->le) && !isnan(n->le);
}

/* Parses the line: n->series becomes its histogram, n->le its bound; forgets the text around the le before. */
static enum part look_at(struct nhcb *n, struct str series)
{
    struct err why = {0};
    buf_clear(&n->series);
    remember(n, series, STR_NULL);
    arena_reset(&n->scratch);
    if (!exposition_parse_series(series, &n->labels, &why))
        return NO_PART; /* who knows labels will say so */
    struct str name = labels_get(&n->labels, STR("__name__")), le = labels_get(&n->labels, STR("le"));
    enum part part = part_of(n, &name);
    if (part == BUCKET) {
        if (!exposition_parse_value(le, &n->le) || isnan(n->le))
            part = NO_PART;
        else
            remember(n, series, le);
    }
    labels_set(&n->labels, STR("__name__"), name);
    labels_del(&n->labels, STR("le"));
    labels_sort(&n->labels);
    labels_format(&n->labels, &n->series);
    return part;
}

static void keep_exemplars(struct nhcb *n, const struct exposition_sample *s)
{
    for (size_t i = 0; i < s->exemplars_n && n->exemplars_n < CLASSIC_BUCKETS_MAX; i++) {
        struct exposition_exemplar e = s->exemplars[i];
        if (!e.has_ts)
            continue; /* native histograms have none without */
        struct label *labels = e.labels_n ? arena_alloc(&n->arena, e.labels_n * sizeof *labels) : NULL;
        for (size_t k = 0; k < e.labels_n; k++)
            labels[k] = (struct label){arena_str(&n->arena, e.labels[k].name), arena_str(&n->arena, e.labels[k].value)};
        e.labels = labels;
        n->exemplars = xgrow(n->exemplars, &n->exemplars_cap, n->exemplars_n + 1, sizeof e);
        n->exemplars[n->exemplars_n++] = e;
    }
}

static void start(struct nhcb *n, const struct exposition_sample *s)
{
    n->collecting = true;
    n->passed = 0;
    n->exemplars_n = 0;
    arena_reset(&n->arena);
    classic_clear(&n->classic);
    buf_clear(&n->key);
    buf_add_str(&n->key, buf_str(&n->series));
    n->last = (struct exposition_sample){.line = s->line, .column = s->column};
}

static void collect(struct nhcb *n, enum part part, const struct exposition_sample *s)
{
    if (!n->collecting)
        start(n, s);
    if (part == BUCKET)
        classic_bucket(&n->classic, n->le, s->value);
    else if (part == SUM)
        classic_sum(&n->classic, s->value);
    else
        classic_count(&n->classic, s->value);
    keep_exemplars(n, s);
    n->last.has_ts = s->has_ts;
    n->last.ts_ms = s->ts_ms;
    n->last.start_ts_ms = s->start_ts_ms;
}

/* A _created: it means the lines before it, of which the handler behind has heard others. */
static bool created(struct nhcb *n, const struct exposition_sample *s)
{
    struct exposition_sample mine = *s;
    if (n->collecting) {
        if (!flush(n))
            return false;
        mine.started = n->passed;
        mine.start_ts_ms = n->passed ? s->start_ts_ms : 0;
    }
    return pass(n, &mine);
}

static bool on_sample(void *ctx, const struct exposition_sample *s)
{
    struct nhcb *n = ctx;
    enum part part = BUCKET;
    if (!n->is_histogram)
        return pass(n, s);
    if (s->started)
        return created(n, s);
    if (!is_next_bucket(n, s->series)) {
        part = look_at(n, s->series);
        if (!str_eq(buf_str(&n->series), buf_str(&n->key)) && !flush(n))
            return false;
    }
    if (part != NO_PART) {
        collect(n, part, s);
        if (!n->options.classic_histograms_too)
            return true;
    }
    return pass(n, s);
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct nhcb *n = ctx;
    if (!flush(n))
        return false;
    buf_clear(&n->family);
    n->is_histogram = type == BLOCK_HISTOGRAM && buf_add_str(&n->family, family);
    return !n->handler.on_type || n->handler.on_type(n->handler.ctx, family, type);
}

static bool on_help(void *ctx, struct str family, struct str help)
{
    struct nhcb *n = ctx;
    return flush(n) && (!n->handler.on_help || n->handler.on_help(n->handler.ctx, family, help));
}

static bool on_unit(void *ctx, struct str family, struct str unit)
{
    struct nhcb *n = ctx;
    return flush(n) && (!n->handler.on_unit || n->handler.on_unit(n->handler.ctx, family, unit));
}

void nhcb_begin(struct nhcb *n, const struct exposition_options *options, const struct exposition_handler *handler,
                struct exposition_handler *out)
{
    n->handler = *handler;
    n->options = *options;
    n->collecting = n->is_histogram = false;
    buf_trim(&n->key, KEEP);
    buf_trim(&n->series, KEEP);
    buf_trim(&n->before, KEEP);
    buf_trim(&n->behind, KEEP);
    buf_trim(&n->bytes, KEEP);
    err_clear(&n->err);
    *out = (struct exposition_handler){on_sample, on_type, on_help, on_unit, n};
}

bool nhcb_failed(const struct nhcb *n, struct err *err)
{
    return err_is(&n->err) && !err_set(err, "%s", n->err.msg);
}

bool nhcb_finish(struct nhcb *n, struct err *err)
{
    if (flush(n))
        return true;
    (void)nhcb_failed(n, err);
    return false;
}
