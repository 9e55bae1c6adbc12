/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_load: many requests, and where half, 90 and 99 percent of their times end. */
#include "scrape_load.h"

#include "base/alloc.h"
#include "base/clock.h"

#include <stdlib.h>

struct times {
    struct load_result *out;
    double *v; /* of those that went well */
    size_t n, cap;
};

static void each(void *ctx, const struct probe_result *r)
{
    struct times *t = ctx;
    t->out->requests++;
    t->out->wire_bytes += r->wire_bytes;
    if (err_is(&r->error)) {
        if (t->out->failed++ == 0)
            t->out->first_error = r->error;
        return;
    }
    t->v = xgrow(t->v, &t->cap, t->n + 1, sizeof *t->v);
    t->v[t->n++] = r->seconds;
}

static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* The smallest time that so many percent of the requests did not exceed. */
static double percentile(const struct times *t, size_t percent)
{
    size_t rank = (t->n * percent + 99) / 100;
    return t->v[rank ? rank - 1 : 0];
}

void load_run(const struct probe_request *request, uint64_t count, uint64_t concurrency, struct load_result *out)
{
    struct times t = {.out = out};
    struct probe_load load = {.count = count, .concurrency = concurrency, .each = each, .ctx = &t};
    *out = (struct load_result){.concurrency = concurrency};
    int64_t start = clock_mono_ns();
    probe_many(request, &load);
    out->seconds = (double)(clock_mono_ns() - start) / 1e9;
    if (t.n) {
        qsort(t.v, t.n, sizeof *t.v, compare);
        out->p50 = percentile(&t, 50);
        out->p90 = percentile(&t, 90);
        out->p99 = percentile(&t, 99);
        out->max = t.v[t.n - 1];
    }
    free(t.v);
}
