/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_protobuf: any bytes as a body of metric families, read in one piece and in pieces. The first byte chooses the
   options, the second the size of the pieces. Both readings must hear the same, every series must be one that
   exposition_parse_series takes or refuses for a label that is there twice, and every histogram one that protobuf-c
   can read, within its limits. The same bytes are then read as text, for the conversion of its histograms. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "exposition.h"
#include "rw2.pb-c.h"

#define REQUIRE(c) ((c) ? (void)0 : abort())

struct ear {
    uint64_t hash;
    uint64_t bucket_limit;
    bool made; /* series are written by the parser, not found in the body */
    struct labels labels;
    struct arena arena;
    struct err err;
};

typedef Io__Prometheus__Write__V2__Histogram rw_histogram;
typedef Io__Prometheus__Write__V2__BucketSpan rw_span;

static void check_side(rw_span **spans, size_t spans_n, size_t counts_n)
{
    uint64_t n = 0;
    for (size_t i = 0; i < spans_n; i++) {
        REQUIRE(spans[i]->length > 0);
        REQUIRE(i == 0 || spans[i]->offset > 0);
        n += spans[i]->length;
    }
    REQUIRE(n == counts_n);
}

/* Counts of whole numbers add up. */
static uint64_t add_deltas(const int64_t *deltas, size_t n)
{
    uint64_t sum = 0, count = 0;
    for (size_t i = 0; i < n; i++) {
        count += (uint64_t)deltas[i];
        sum += count;
    }
    return sum;
}

static void check_histogram(const struct ear *ear, struct str bytes)
{
    rw_histogram *h = io__prometheus__write__v2__histogram__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
    REQUIRE(h);
    size_t negative = h->n_negative_deltas + h->n_negative_counts;
    size_t positive = h->n_positive_deltas + h->n_positive_counts;
    check_side(h->negative_spans, h->n_negative_spans, negative);
    check_side(h->positive_spans, h->n_positive_spans, positive);
    REQUIRE(h->schema == -53 || (h->schema >= -4 && h->schema <= 8));
    REQUIRE(!ear->bucket_limit || negative + positive <= ear->bucket_limit);
    if (h->count_case == IO__PROMETHEUS__WRITE__V2__HISTOGRAM__COUNT_COUNT_INT) {
        uint64_t sum = h->zero_count_int + add_deltas(h->negative_deltas, h->n_negative_deltas) +
                       add_deltas(h->positive_deltas, h->n_positive_deltas);
        REQUIRE(sum == h->count_int || (isnan(h->sum) && sum < h->count_int));
    }
    for (size_t i = 1; i < h->n_custom_values; i++)
        REQUIRE(h->custom_values[i] > h->custom_values[i - 1]);
    io__prometheus__write__v2__histogram__free_unpacked(h, NULL);
}

static bool on_sample(void *ctx, const struct exposition_sample *s)
{
    struct ear *ear = ctx;
    struct err err = {0};
    arena_reset(&ear->arena);
    if (!exposition_parse_series(s->series, &ear->labels, &err) && ear->made && !strstr(err.msg, "label")) {
        fprintf(stderr, "%.*s: %s\n", STR_ARG(s->series), err.msg);
        abort();
    }
    ear->hash = hash_more(hash_more(ear->hash, s->series), str_make((const char *)&s->value, 8));
    ear->hash = hash_more(ear->hash ^ (uint64_t)s->start_ts_ms, s->histogram);
    ear->hash += s->has_ts ? (uint64_t)s->ts_ms * 3 + 1 : 0;
    if (s->histogram.p)
        check_histogram(ear, s->histogram);
    for (size_t i = 0; i < s->exemplars_n; i++) {
        const struct exposition_exemplar *e = &s->exemplars[i];
        REQUIRE(!s->histogram.p || e->has_ts);
        for (size_t k = 0; k < e->labels_n; k++)
            ear->hash = hash_more(hash_more(ear->hash, e->labels[k].name), e->labels[k].value);
        ear->hash += (uint64_t)e->ts_ms;
    }
    return true;
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct ear *ear = ctx;
    ear->hash = hash_more(ear->hash + type, family);
    return true;
}

static bool on_text(void *ctx, struct str family, struct str text)
{
    struct ear *ear = ctx;
    ear->hash = hash_more(hash_more(ear->hash, family), text);
    return true;
}

static void hear(struct ear *ear, const struct exposition_options *options, const uint8_t *data, size_t n, size_t piece)
{
    struct exposition_parser *p = exposition_new(4096);
    struct exposition_handler handler = {on_sample, on_type, on_text, on_text, ear};
    bool ok = true;
    arena_init(&ear->arena);
    labels_init(&ear->labels, &ear->arena);
    ear->bucket_limit = options->bucket_limit;
    ear->made = options->format == EXPOSITION_PROTOBUF;
    exposition_begin(p, options, &handler);
    for (size_t at = 0; ok && at < n; at += piece)
        ok = exposition_feed(p, data + at, n - at < piece ? n - at : piece, &ear->err);
    if (ok)
        ok = exposition_finish(p, &ear->err);
    REQUIRE(ok != err_is(&ear->err));
    labels_free(&ear->labels);
    arena_free(&ear->arena);
    exposition_free(p);
}

static void compare(const struct exposition_options *options, const uint8_t *data, size_t n, size_t piece)
{
    struct ear whole = {0}, parts = {0};
    hear(&whole, options, data, n, n + 1);
    hear(&parts, options, data, n, piece);
    if (whole.hash != parts.hash || strcmp(whole.err.msg, parts.err.msg) != 0) {
        fprintf(stderr, "whole: %s\nparts: %s\n", whole.err.msg, parts.err.msg);
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct exposition_options options = {.format = EXPOSITION_PROTOBUF};
    if (n < 2)
        return 0;
    options.native_histograms = data[0] & 1;
    options.classic_histograms_too = data[0] & 2;
    options.nhcb = data[0] & 4;
    options.bucket_limit = data[0] & 8 ? 3 : 0;
    options.min_bucket_factor = data[0] & 16 ? 1.5 : 0;
    size_t piece = data[1] % 64 + 1u;
    compare(&options, data + 2, n - 2, piece);
    options.format = EXPOSITION_TEXT;
    options.nhcb = true;
    compare(&options, data + 2, n - 2, piece);
    return 0;
}
