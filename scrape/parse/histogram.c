/* SPDX-License-Identifier: Apache-2.0 */
/* histogram: native histograms are checked and made coarser. */
#include "histogram.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

/* Far beyond what any double needs; keeps every offset within its 32 bits. */
#define INDEX_MAX ((int64_t)1 << 30)

void histogram_clear(struct histogram *h)
{
    struct histogram old = *h;
    *h = (struct histogram){.positive = old.positive,
                            .negative = old.negative,
                            .bounds = old.bounds,
                            .bounds_cap = old.bounds_cap,
                            .scratch = old.scratch,
                            .scratch_cap = old.scratch_cap};
    h->positive.spans_n = h->positive.counts_n = 0;
    h->negative.spans_n = h->negative.counts_n = 0;
}

void histogram_free(struct histogram *h)
{
    free(h->positive.spans);
    free(h->positive.counts);
    free(h->negative.spans);
    free(h->negative.counts);
    free(h->bounds);
    free(h->scratch);
    *h = (struct histogram){0};
}

bool histogram_add_span(struct histogram_side *s, struct histogram_span span)
{
    if (s->spans_n >= HISTOGRAM_BUCKETS_MAX)
        return false;
    s->spans = xgrow(s->spans, &s->spans_cap, s->spans_n + 1, sizeof *s->spans);
    s->spans[s->spans_n++] = span;
    return true;
}

bool histogram_add_count(struct histogram_side *s, union histogram_number count)
{
    if (s->counts_n >= HISTOGRAM_BUCKETS_MAX)
        return false;
    s->counts = xgrow(s->counts, &s->counts_cap, s->counts_n + 1, sizeof *s->counts);
    s->counts[s->counts_n++] = count;
    return true;
}

void histogram_add_bound(struct histogram *h, double bound)
{
    h->bounds = xgrow(h->bounds, &h->bounds_cap, h->bounds_n + 1, sizeof *h->bounds);
    h->bounds[h->bounds_n++] = bound;
}

/* ---- checks, in the words of Prometheus ---- */

static bool negative_offset(size_t i, int32_t offset, struct err *err)
{
    return err_set(err, "span number %zu with offset %d: histogram has a span whose offset is negative", i + 1, offset);
}

/* *end is the index behind the last bucket. */
static bool check_spans(const struct histogram_side *s, bool first_may_be_negative, int64_t *end, struct err *err)
{
    uint64_t buckets = 0;
    int64_t index = 0;
    for (size_t i = 0; i < s->spans_n; i++) {
        struct histogram_span span = s->spans[i];
        if (span.offset < 0 && (i > 0 || !first_may_be_negative))
            return negative_offset(i, span.offset, err);
        buckets += span.length;
        index += (int64_t)span.offset + (int64_t)span.length;
        if (index > INDEX_MAX || index < -INDEX_MAX)
            return err_set(err, "span number %zu reaches bucket %lld, which is out of range", i + 1, (long long)index);
    }
    *end = index;
    if (buckets != s->counts_n)
        return err_set(err,
                       "spans need %llu buckets, have %zu buckets: "
                       "histogram spans specify different number of buckets than provided",
                       (unsigned long long)buckets, s->counts_n);
    return true;
}

static bool check_side(const struct histogram_side *s, const char *side, struct err *err)
{
    struct err why = {0};
    int64_t end;
    return check_spans(s, true, &end, &why) || err_set(err, "%s side: %s", side, why.msg);
}

static bool check_bounds(const struct histogram *h, struct err *err)
{
    int64_t end;
    for (size_t i = 0; i < h->bounds_n; i++) {
        if (isnan(h->bounds[i]))
            return err_set(err, "histogram custom bounds must not be NaN");
        if (i > 0 && h->bounds[i] <= h->bounds[i - 1])
            return err_set(err,
                           "previous bound is %f and current is %f: "
                           "histogram custom bounds must be in strictly increasing order",
                           h->bounds[i - 1], h->bounds[i]);
    }
    if (h->bounds_n && h->bounds[h->bounds_n - 1] == INFINITY)
        return err_set(err, "last +Inf bound must not be explicitly defined: histogram custom bounds must be finite");
    if (!check_spans(&h->positive, false, &end, err))
        return false;
    if ((int64_t)h->bounds_n + 1 < end)
        return err_set(err,
                       "only %zu custom bounds defined which is insufficient to cover total span length of %lld: "
                       "histogram custom bounds are too few",
                       h->bounds_n, (long long)end);
    return true;
}

static bool check_custom(const struct histogram *h, struct err *err)
{
    struct err why = {0};
    if (!check_bounds(h, &why))
        return err_set(err, "custom buckets: %s", why.msg);
    if (h->is_float ? h->zero_count.f != 0 : h->zero_count.u != 0)
        return err_set(err, "custom buckets: must have zero count of 0");
    if (h->zero_threshold != 0)
        return err_set(err, "custom buckets: must have zero threshold of 0");
    if (h->negative.spans_n)
        return err_set(err, "custom buckets: must not have negative spans");
    if (h->negative.counts_n)
        return err_set(err, "custom buckets: must not have negative buckets");
    return true;
}

static bool check_counts(const struct histogram *h, const struct histogram_side *s, const char *side, uint64_t *sum,
                         struct err *err)
{
    static const char WHY[] = "histogram has a bucket whose observation count is negative";
    for (size_t i = 0; i < s->counts_n; i++) {
        union histogram_number n = s->counts[i];
        if (h->is_float && n.f < 0)
            return err_set(err, "%s side: bucket number %zu has observation count of %g: %s", side, i + 1, n.f, WHY);
        if (h->is_float)
            continue;
        if (n.i < 0)
            return err_set(err, "%s side: bucket number %zu has observation count of %lld: %s", side, i + 1,
                           (long long)n.i, WHY);
        *sum += n.u;
    }
    return true;
}

/* Whole counts add up, but observed NaNs are in no bucket. Counts of floats may differ in the last digits. */
static bool check_sum(const struct histogram *h, uint64_t sum, struct err *err)
{
    unsigned long long found = sum + h->zero_count.u, count = h->count.u;
    if (h->is_float || found == count || (isnan(h->sum) && found < count))
        return true;
    return err_set(err, "%llu observations found in buckets, but the Count field is %llu: %s", found, count,
                   isnan(h->sum) ? "histogram's observation count should be at least the number of observations found "
                                   "in the buckets"
                                 : "histogram's observation count should equal the number of observations found in the "
                                   "buckets (in absence of NaN)");
}

bool histogram_check(const struct histogram *h, struct err *err)
{
    uint64_t sum = 0;
    if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
        if (!check_custom(h, err))
            return false;
    } else if (h->schema < HISTOGRAM_SCHEMA_MIN || h->schema > 52) {
        return err_set(err,
                       "histogram has an invalid schema, which must be between %d and %d for exponential buckets, "
                       "or %d for custom buckets, got schema %d",
                       HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM, h->schema);
    } else if (!check_side(&h->positive, "positive", err) || !check_side(&h->negative, "negative", err)) {
        return false;
    }
    return check_counts(h, &h->negative, "negative", &sum, err) &&
           check_counts(h, &h->positive, "positive", &sum, err) && check_sum(h, sum, err);
}

/* ---- coarser ---- */

/* Writes a side anew, into its own counts, behind the place that is read; spans go to the scratch array. */
struct rewrite {
    struct histogram *h;
    struct histogram_side *s;
    size_t spans_n, counts_n;
    int64_t last; /* index of the last bucket written */
};

static void rewrite_span(struct rewrite *w, int64_t offset)
{
    struct histogram *h = w->h;
    h->scratch = xgrow(h->scratch, &h->scratch_cap, w->spans_n + 1, sizeof *h->scratch);
    h->scratch[w->spans_n++] = (struct histogram_span){(int32_t)offset, 0};
}

static void rewrite_bucket(struct rewrite *w, int64_t index, union histogram_number n, uint32_t max_empty)
{
    int64_t gap = index - w->last - 1;
    if (w->spans_n == 0) {
        rewrite_span(w, index);
    } else if (gap > max_empty) {
        rewrite_span(w, gap);
    } else {
        for (; gap > 0; gap--, w->h->scratch[w->spans_n - 1].length++)
            w->s->counts[w->counts_n++].u = 0; /* 0.0 as well */
    }
    w->h->scratch[w->spans_n - 1].length++;
    w->s->counts[w->counts_n++] = n;
    w->last = index;
}

static void rewrite_end(struct rewrite *w)
{
    struct histogram_span *spans = w->s->spans;
    size_t cap = w->s->spans_cap;
    w->s->spans = w->h->scratch;
    w->s->spans_cap = w->h->scratch_cap;
    w->s->spans_n = w->spans_n;
    w->s->counts_n = w->counts_n;
    w->h->scratch = spans;
    w->h->scratch_cap = cap;
}

static void side_compact(struct histogram *h, struct histogram_side *s, uint32_t max_empty)
{
    struct rewrite w = {.h = h, .s = s};
    int64_t index = 0;
    size_t at = 0;
    for (size_t i = 0; i < s->spans_n; i++) {
        index += s->spans[i].offset;
        for (uint32_t left = s->spans[i].length; left > 0; left--, index++) {
            union histogram_number n = s->counts[at++];
            if (h->is_float ? n.f != 0 : n.i != 0)
                rewrite_bucket(&w, index, n, max_empty);
        }
    }
    rewrite_end(&w);
}

void histogram_compact(struct histogram *h, uint32_t max_empty)
{
    side_compact(h, &h->positive, max_empty);
    side_compact(h, &h->negative, max_empty);
}

static void side_reduce(struct histogram *h, struct histogram_side *s, int steps)
{
    struct rewrite w = {.h = h, .s = s};
    int64_t index = 0;
    size_t at = 0;
    for (size_t i = 0; i < s->spans_n; i++) {
        index += s->spans[i].offset;
        for (uint32_t left = s->spans[i].length; left > 0; left--, index++) {
            int64_t merged = ((index - 1) >> steps) + 1;
            union histogram_number n = s->counts[at++];
            if (w.spans_n == 0 || merged != w.last)
                rewrite_bucket(&w, merged, n, 0);
            else if (h->is_float)
                s->counts[w.counts_n - 1].f += n.f;
            else
                s->counts[w.counts_n - 1].u += n.u;
        }
    }
    rewrite_end(&w);
}

/* Merges buckets until the schema is this one, which is lower. */
static void reduce(struct histogram *h, int32_t schema)
{
    side_reduce(h, &h->positive, h->schema - schema);
    side_reduce(h, &h->negative, h->schema - schema);
    h->schema = schema;
}

/* The finest schema whose buckets grow by at least this factor; 8 for factors up to 1. */
static int32_t schema_of(double bucket_factor)
{
    if (!(bucket_factor > 1))
        return HISTOGRAM_SCHEMA_MAX;
    double schema = floor(-log2(log2(bucket_factor)));
    if (schema >= HISTOGRAM_SCHEMA_MAX)
        return HISTOGRAM_SCHEMA_MAX;
    return schema <= HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN : (int32_t)schema;
}

static uint64_t buckets_of(const struct histogram *h)
{
    return h->positive.counts_n + h->negative.counts_n;
}

bool histogram_fit(struct histogram *h, const struct exposition_options *options, struct err *err)
{
    uint64_t limit = options->bucket_limit;
    int32_t finest = schema_of(options->min_bucket_factor);
    if (h->schema != HISTOGRAM_SCHEMA_CUSTOM && h->schema > finest)
        reduce(h, finest);
    while (limit && buckets_of(h) > limit && h->schema > HISTOGRAM_SCHEMA_MIN)
        reduce(h, h->schema - 1);
    if (limit && buckets_of(h) > limit)
        return err_set(err, "histogram bucket limit exceeded");
    return true;
}
