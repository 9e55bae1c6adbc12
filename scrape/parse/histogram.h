/* SPDX-License-Identifier: Apache-2.0 */
/* histogram: one native histogram while it is read: checked, made coarser, written as remote write has it.

   Buckets lie in spans, runs of neighbours; the first span says the index it begins at, each later one how many
   buckets it leaves out. Bucket i of schema s reaches up to 2^(i * 2^-s). Counts are kept absolute, whatever the
   wire has. */
#ifndef OBSAGENT_SCRAPE_PARSE_HISTOGRAM_H
#define OBSAGENT_SCRAPE_PARSE_HISTOGRAM_H

#include "base/buf.h"
#include "base/err.h"
#include "exposition.h"

#include <stdint.h>

#define HISTOGRAM_SCHEMA_MIN (-4)
#define HISTOGRAM_SCHEMA_MAX 8
#define HISTOGRAM_SCHEMA_CUSTOM (-53)
/* Of each side; schema 8 needs half as many for every double there is. */
#define HISTOGRAM_BUCKETS_MAX ((size_t)1 << 20)

struct histogram_span {
    int32_t offset;
    uint32_t length;
};

union histogram_number { /* f when the histogram is one of floats, else i for buckets and u for whole counts */
    int64_t i;
    uint64_t u;
    double f;
};

struct histogram_side {
    struct histogram_span *spans;
    size_t spans_n, spans_cap;
    union histogram_number *counts;
    size_t counts_n, counts_cap;
};

/* Zeroed is empty. The arrays stay for the next one. */
struct histogram {
    bool is_float, gauge;
    int32_t schema;
    double sum, zero_threshold;
    union histogram_number count, zero_count;
    struct histogram_side positive, negative;
    double *bounds; /* upper, of custom buckets; the last bucket's +Inf is not among them */
    size_t bounds_n, bounds_cap;
    struct histogram_span *scratch;
    size_t scratch_cap;
};

void histogram_clear(struct histogram *h);
void histogram_free(struct histogram *h);

/* False when there are too many. */
bool histogram_add_span(struct histogram_side *s, struct histogram_span span) MUSTCHECK;
bool histogram_add_count(struct histogram_side *s, union histogram_number count) MUSTCHECK;
void histogram_add_bound(struct histogram *h, double bound);

/* Whether it is sound, as Prometheus's Validate, in its words. Schemas above 8 pass: histogram_fit reduces them. */
bool histogram_check(const struct histogram *h, struct err *err) MUSTCHECK;
/* Leaves out empty buckets, but for runs of at most max_empty between others (0 unless all buckets are in one
   span). Needs a sound histogram, as all below. */
void histogram_compact(struct histogram *h, uint32_t max_empty);
/* Makes it as coarse as the options ask; false with "histogram bucket limit exceeded". */
bool histogram_fit(struct histogram *h, const struct exposition_options *options, struct err *err) MUSTCHECK;
/* Appends the bytes of a remote-write Histogram message without its timestamps. */
void histogram_encode(const struct histogram *h, struct buf *out);

#endif
