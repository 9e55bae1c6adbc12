/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_metric: reads one Metric twice. The first pass takes its labels and numbers and says what kind of
   histogram it is; the second goes over quantiles and buckets where they lie, so that nothing is held for each. */
#include "protobuf_metric.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "protobuf_private.h"
#include "series_write.h"

#define NO_SUFFIX STR_NULL
#define KEEP ((size_t)64 << 10) /* of a buffer, between bodies */

struct metric_reader *metric_reader_new(size_t max_message)
{
    struct metric_reader *m = xcalloc(1, sizeof *m);
    arena_init(&m->arena);
    /* Every byte may need an escape; a histogram's count of one byte may become a double. */
    buf_init(&m->labels, 4 * max_message + 1024);
    buf_init(&m->series, 8 * max_message + 4096);
    buf_init(&m->bytes, 16 * max_message + 4096);
    buf_init(&m->last, 128);
    return m;
}

void metric_reader_free(struct metric_reader *m)
{
    if (!m)
        return;
    arena_free(&m->arena);
    buf_free(&m->labels);
    buf_free(&m->last);
    buf_free(&m->series);
    buf_free(&m->bytes);
    histogram_free(&m->histogram);
    classic_free(&m->classic);
    free(m->exemplars);
    free(m);
}

void metric_reader_begin(struct metric_reader *m, const struct exposition_options *options,
                         const struct exposition_handler *handler)
{
    m->options = *options;
    m->handler = *handler;
    buf_trim(&m->labels, KEEP);
    buf_trim(&m->series, KEEP);
    buf_trim(&m->bytes, KEEP);
    if ((m->histogram.positive.counts_cap + m->histogram.negative.counts_cap) * 8 > KEEP)
        histogram_free(&m->histogram);
}

/* ---- samples ---- */

static double one_nan(double v)
{
    uint64_t bits = BLOCK_NAN_BITS;
    if (isnan(v))
        memcpy(&v, &bits, sizeof v);
    return v;
}

/* The next sample: series `name suffix{labels, last}`. Its exemplars are used up. */
static bool give(struct metric_reader *m, struct str suffix, struct str last, double value, struct str histogram)
{
    const struct metric_family *f = m->family;
    buf_clear(&m->series);
    series_write(&m->series, f->name, f->legacy, suffix, buf_str(&m->labels), last);
    struct exposition_sample s = {
        .series = buf_str(&m->series),
        .value = one_nan(value),
        .has_ts = m->ts_ms != 0,
        .ts_ms = m->ts_ms,
        .start_ts_ms = m->start_ts_ms,
        .histogram = histogram,
        .exemplars = m->exemplars_n ? m->exemplars : NULL,
        .exemplars_n = m->exemplars_n,
        .line = f->number,
    };
    m->exemplars_n = 0;
    return m->handler.on_sample(m->handler.ctx, &s);
}

static bool give_plain(struct metric_reader *m, struct str suffix, double value)
{
    return give(m, suffix, STR_NULL, value, STR_NULL);
}

/* `label="number"`, the i-th of its metric. */
static struct str number_label(struct metric_reader *m, const char *label, size_t i, double v)
{
    struct known_number *known = &m->known[i % KNOWN_NUMBERS];
    if (!known->n || memcmp(&known->v, &v, sizeof v) != 0) {
        buf_clear(&m->last);
        series_write_number(&m->last, v);
        known->v = v;
        known->n = (uint8_t)m->last.n;
        memcpy(known->text, m->last.p, m->last.n);
    }
    buf_clear(&m->last);
    buf_add_c(&m->last, label);
    buf_add(&m->last, known->text, known->n);
    buf_add_char(&m->last, '"');
    return buf_str(&m->last);
}

static bool give_summary(struct metric_reader *m, struct err *err)
{
    struct wire_items items = metric_body(m);
    struct wire_field f, part;
    if (!give_plain(m, STR("_count"), (double)m->count) || !give_plain(m, STR("_sum"), m->histogram.sum))
        return false;
    for (size_t i = 0; wire_items_next(&items, &f); i++) {
        if (!wire_is(&items.part, &f, 3, WIRE_BYTES))
            continue;
        struct wire_reader r = wire_open(f.bytes);
        double quantile = 0, value = 0;
        while (wire_next(&r, &part)) {
            if (wire_is(&r, &part, 1, WIRE_FIXED64))
                quantile = wire_double(&part);
            else if (wire_is(&r, &part, 2, WIRE_FIXED64))
                value = wire_double(&part);
        }
        if (r.bad)
            return metric_malformed("Quantile", err);
        if (!give(m, NO_SUFFIX, number_label(m, "quantile=\"", i, quantile), value, STR_NULL))
            return false;
    }
    return !wire_items_bad(&items) || metric_malformed("Summary", err);
}

static double total(const struct metric_reader *m)
{
    return m->count_float != 0 ? m->count_float : (double)m->count;
}

/* Buckets end at the first +Inf, which is made up when there is none. */
static bool give_classic(struct metric_reader *m, struct err *err)
{
    struct wire_items items = metric_body(m);
    struct bucket b = {0};
    bool infinite = false;
    if (!give_plain(m, STR("_count"), total(m)) || !give_plain(m, STR("_sum"), m->histogram.sum))
        return false;
    for (size_t i = 0; !infinite && metric_next_bucket(&items, &b, err); i++) {
        infinite = b.le == INFINITY;
        if (b.exemplar.p && !metric_add_exemplar(m, b.exemplar, false, err))
            return false;
        if (!give(m, STR("_bucket"), number_label(m, "le=\"", i, b.le), b.count, STR_NULL))
            return false;
    }
    if (err_is(err))
        return false;
    return infinite || give(m, STR("_bucket"), STR("le=\"+Inf\""), total(m), STR_NULL);
}

/* ---- native histograms ---- */

static int by_time(const void *a, const void *b)
{
    const struct exposition_exemplar *x = a, *y = b;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

/* Of a native histogram: its own, or else those of its classic buckets; the ones without timestamp are dropped. */
static bool native_exemplars(struct metric_reader *m, struct err *err)
{
    struct wire_items items = metric_body(m);
    struct wire_field f;
    struct bucket b;
    if (m->has_exemplars) {
        while (wire_items_next(&items, &f))
            if (f.number == 16 && !metric_add_exemplar(m, f.bytes, true, err))
                return false;
    } else {
        while (metric_next_bucket(&items, &b, err))
            if (b.exemplar.p && !metric_add_exemplar(m, b.exemplar, true, err))
                return false;
    }
    if (m->exemplars_n > 1)
        qsort(m->exemplars, m->exemplars_n, sizeof *m->exemplars, by_time);
    return !err_is(err);
}

/* What is in m->histogram, sound and compact. */
static bool give_native(struct metric_reader *m, struct err *err)
{
    m->histogram.gauge = m->family->type == METRIC_GAUGE_HISTOGRAM;
    if (!histogram_fit(&m->histogram, &m->options, err) || !native_exemplars(m, err))
        return false;
    buf_clear(&m->bytes);
    histogram_encode(&m->histogram, &m->bytes);
    if (m->bytes.overflow)
        return err_set(err, "the histogram is too large");
    return give(m, NO_SUFFIX, STR_NULL, 0, buf_str(&m->bytes));
}

/* As the text formats do: where no custom buckets can be made of it, a histogram is left out. */
static bool give_converted(struct metric_reader *m, struct err *err)
{
    struct wire_items items = metric_body(m);
    struct bucket b;
    struct err unfit = {0};
    classic_clear(&m->classic);
    classic_count(&m->classic, total(m));
    classic_sum(&m->classic, m->histogram.sum);
    while (metric_next_bucket(&items, &b, err))
        classic_bucket(&m->classic, b.le, b.count);
    if (err_is(err))
        return false;
    return !classic_convert(&m->classic, &m->histogram, &unfit) || give_native(m, err);
}

static bool give_histogram(struct metric_reader *m, struct err *err)
{
    bool native = m->native && m->options.native_histograms;
    double sum = m->histogram.sum;
    if (native && !(metric_read_native(m, err) && give_native(m, err)))
        return false;
    if (!native && m->options.nhcb && !give_converted(m, err))
        return false;
    m->histogram.sum = sum;
    if (native && !m->has_buckets)
        return true;
    return (!native && !m->options.nhcb) || m->options.classic_histograms_too ? give_classic(m, err) : true;
}

static void metric_clear(struct metric_reader *m)
{
    arena_reset(&m->arena);
    buf_clear(&m->labels);
    m->exemplars_n = 0;
    m->exemplar = STR_NULL;
    m->ts_ms = m->start_ts_ms = 0;
    m->value = m->count_float = m->zero_count_float = 0;
    m->count = m->zero_count = 0;
    m->native = m->has_buckets = m->has_exemplars = false;
}

bool metric_read(struct metric_reader *m, const struct metric_family *family, struct str message, struct err *err)
{
    metric_clear(m);
    if (family->type == METRIC_SUMMARY || family->type >= METRIC_HISTOGRAM)
        histogram_clear(&m->histogram);
    m->family = family;
    m->message = message;
    if (!metric_scan(m, err))
        return false;
    switch (family->type) {
    case METRIC_SUMMARY: return give_summary(m, err);
    case METRIC_HISTOGRAM:
    case METRIC_GAUGE_HISTOGRAM: return give_histogram(m, err);
    default: break;
    }
    if (m->exemplar.p && !metric_add_exemplar(m, m->exemplar, false, err))
        return false;
    return give_plain(m, NO_SUFFIX, m->value);
}
