/* SPDX-License-Identifier: Apache-2.0 */
/* classic: classic histograms become native ones with custom buckets. */
#include "classic.h"

#include <math.h>
#include <stdlib.h>

#include "base/alloc.h"

void classic_clear(struct classic *c)
{
    *c = (struct classic){.v = c->v, .cap = c->cap};
}

void classic_free(struct classic *c)
{
    free(c->v);
    *c = (struct classic){0};
}

void classic_bucket(struct classic *c, double le, double count)
{
    if (c->n >= CLASSIC_BUCKETS_MAX || isnan(le) || count < 0) {
        c->wrong = true;
        return;
    }
    c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof *c->v);
    c->unsorted |= c->n > 0 && !(c->v[c->n - 1].le < le);
    c->v[c->n] = (struct classic_bucket){le, count, (uint32_t)c->n};
    c->n++;
}

void classic_count(struct classic *c, double count)
{
    c->wrong |= count < 0;
    c->count = count;
    c->has_count = true;
}

void classic_sum(struct classic *c, double sum)
{
    c->sum = sum;
}

static int by_le(const void *a, const void *b)
{
    const struct classic_bucket *x = a, *y = b;
    if (x->le != y->le)
        return x->le < y->le ? -1 : 1;
    return x->nth < y->nth ? -1 : x->nth > y->nth;
}

static void sort(struct classic *c)
{
    size_t n = 0;
    if (!c->unsorted)
        return;
    qsort(c->v, c->n, sizeof *c->v, by_le);
    for (size_t i = 0; i < c->n; i++)
        if (n == 0 || c->v[n - 1].le != c->v[i].le)
            c->v[n++] = c->v[i];
    c->n = n;
}

/* Sorted, with a last bucket of +Inf and a total. */
static bool complete(struct classic *c, struct err *err)
{
    if (c->wrong)
        return err_set(err, "a count is negative, a bound is NaN, or there are more than %zu buckets",
                       CLASSIC_BUCKETS_MAX);
    if (!c->has_count && c->n == 0)
        return err_set(err, "count must be provided when no buckets are present");
    sort(c);
    for (size_t i = 1; i < c->n; i++)
        if (c->v[i].count < c->v[i - 1].count)
            return err_set(err, "count is not cumulative: %g < %g", c->v[i].count, c->v[i - 1].count);
    if (!c->has_count)
        c->count = c->v[c->n - 1].count;
    if (c->n == 0 || c->v[c->n - 1].le != INFINITY) {
        c->v = xgrow(c->v, &c->cap, c->n + 1, sizeof *c->v);
        c->v[c->n++] = (struct classic_bucket){INFINITY, c->count, 0};
    }
    if (c->count != c->v[c->n - 1].count)
        return err_set(err, "count mismatch: count=%g != le=+Inf count=%g", c->count, c->v[c->n - 1].count);
    return true;
}

/* A double below 2^63 without a fraction. */
static bool is_whole(double v)
{
    return v < 0x1p63 && v == floor(v);
}

static bool all_whole(const struct classic *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!is_whole(c->v[i].count))
            return false;
    return is_whole(c->count);
}

bool classic_convert(struct classic *c, struct histogram *h, struct err *err)
{
    double before = 0;
    histogram_clear(h);
    if (!complete(c, err))
        return false;
    h->schema = HISTOGRAM_SCHEMA_CUSTOM;
    h->is_float = !all_whole(c);
    h->sum = c->sum;
    if (h->is_float)
        h->count.f = c->count;
    else
        h->count.u = (uint64_t)c->count;
    for (size_t i = 0; i < c->n; i++) {
        union histogram_number n;
        if (h->is_float)
            n.f = c->v[i].count - before;
        else
            n.i = (int64_t)c->v[i].count - (int64_t)before;
        before = c->v[i].count;
        if (i + 1 < c->n)
            histogram_add_bound(h, c->v[i].le);
        if (!histogram_add_count(&h->positive, n))
            return err_set(err, "too many buckets");
    }
    if (!histogram_add_span(&h->positive, (struct histogram_span){0, (uint32_t)c->n}) || !histogram_check(h, err))
        return false;
    histogram_compact(h, h->is_float ? 0 : 2);
    return true;
}
