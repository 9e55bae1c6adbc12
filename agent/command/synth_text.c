/* SPDX-License-Identifier: Apache-2.0 */
/* synth_text: made-up things in the text format and in OpenMetrics. */
#include "synth_private.h"

#include <math.h>

static const char *const TYPES[SYNTH_KINDS] = {"counter", "gauge", "histogram"};

void synth_text_begin(struct buf *out, const struct synth_family *f, bool openmetrics)
{
    const char *suffix = f->kind == SYNTH_COUNTER && !openmetrics ? "_total" : "";
    buf_addf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", f->name, suffix, f->help, f->name, suffix, TYPES[f->kind]);
    if (openmetrics && f->kind == SYNTH_HISTOGRAM)
        buf_addf(out, "# UNIT %s seconds\n", f->name);
}

static void put_labels(struct buf *out, const struct synth_thing *t)
{
    buf_addf(out, "id=\"%s\",zone=\"%s\",pod=\"%s\"", t->id, t->zone, t->pod);
}

static void put_value(struct buf *out, double v)
{
    buf_add_char(out, ' ');
    buf_add_double(out, v);
}

/* OpenMetrics wants numbers with a point. */
static void put_bound(struct buf *out, double bound, bool openmetrics)
{
    buf_add_double(out, bound);
    if (openmetrics && !isinf(bound) && bound == floor(bound))
        buf_add_c(out, ".0");
}

static void put_buckets(struct buf *out, const struct synth_family *f, const struct synth_thing *t, bool openmetrics)
{
    uint64_t below = 0;
    for (size_t i = 0; i < SYNTH_BUCKETS; i++) {
        below += t->buckets[i];
        buf_addf(out, "%s_bucket{", f->name);
        put_labels(out, t);
        buf_add_c(out, ",le=\"");
        put_bound(out, synth_bounds[i], openmetrics);
        buf_addf(out, "\"} %llu", (unsigned long long)below);
        if (openmetrics && t->trace[0] && i == SYNTH_EXEMPLAR_BUCKET) {
            buf_addf(out, " # {trace_id=\"%s\"}", t->trace);
            put_value(out, synth_observed[i]);
        }
        buf_add_char(out, '\n');
    }
}

static void put_simple(struct buf *out, const struct synth_family *f, const char *suffix, const struct synth_thing *t,
                       double value)
{
    buf_addf(out, "%s%s{", f->name, suffix);
    put_labels(out, t);
    buf_add_char(out, '}');
    put_value(out, value);
    buf_add_char(out, '\n');
}

void synth_text_put(struct buf *out, const struct synth_family *f, const struct synth_thing *t, bool openmetrics)
{
    if (t->kind != SYNTH_HISTOGRAM) {
        put_simple(out, f, t->kind == SYNTH_COUNTER ? "_total" : "", t, t->value);
        return;
    }
    put_buckets(out, f, t, openmetrics);
    put_simple(out, f, "_sum", t, t->sum);
    put_simple(out, f, "_count", t, (double)t->count);
}
