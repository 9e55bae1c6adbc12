/* SPDX-License-Identifier: Apache-2.0 */
/* exposition_ear: a handler that writes what it hears as text, one line for each thing:

     H family [help] / T family type / U family [unit]
     series value @timestamp ^start #{label="value"} exemplar @timestamp
     series {i 5 sum=3 s=3 zt=0.1 z=1 -[1+2: 1 1] +[-3+1,2+1: 1 1] gauge le=[0.5 1]} ...

   A native histogram is read by protobuf-c's unpacker of remote write's message: i or f for whole counts or floats,
   spans as offset+length, counts absolute. ^start(n) is an OpenMetrics _created for n samples. */
#ifndef OBSAGENT_TESTS_EXPOSITION_EAR_H
#define OBSAGENT_TESTS_EXPOSITION_EAR_H

#include "unit.h"

#include "base/buf.h"
#include "exposition.h"
#include "rw2.pb-c.h"

struct ear {
    struct buf out;
    struct err err;
    uint64_t stop_after; /* samples; 0 = never */
    uint64_t samples;
};

typedef Io__Prometheus__Write__V2__Histogram rw_histogram;

static void ear_side(struct buf *out, char sign, Io__Prometheus__Write__V2__BucketSpan **spans, size_t spans_n,
                     const int64_t *deltas, size_t deltas_n, const double *counts, size_t counts_n)
{
    int64_t count = 0;
    if (!spans_n && !deltas_n && !counts_n)
        return;
    buf_addf(out, " %c[", sign);
    for (size_t i = 0; i < spans_n; i++)
        buf_addf(out, "%s%d+%u", i ? "," : "", spans[i]->offset, spans[i]->length);
    buf_add_char(out, ':');
    for (size_t i = 0; i < deltas_n; i++)
        buf_addf(out, " %lld", (long long)(count += deltas[i]));
    for (size_t i = 0; i < counts_n; i++) {
        buf_add_char(out, ' ');
        buf_add_double(out, counts[i]);
    }
    buf_add_char(out, ']');
}

static void ear_histogram(struct buf *out, struct str bytes)
{
    rw_histogram *h = io__prometheus__write__v2__histogram__unpack(NULL, bytes.n, (const uint8_t *)bytes.p);
    assert_non_null(h);
    assert_int_equal(h->timestamp, 0);
    bool whole = h->count_case == IO__PROMETHEUS__WRITE__V2__HISTOGRAM__COUNT_COUNT_INT;
    assert_int_equal(h->zero_count_case, whole ? IO__PROMETHEUS__WRITE__V2__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT
                                               : IO__PROMETHEUS__WRITE__V2__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_FLOAT);
    assert_int_equal(h->n_negative_counts + h->n_positive_counts > 0 && whole, 0);
    assert_int_equal(h->n_negative_deltas + h->n_positive_deltas > 0 && !whole, 0);
    buf_addf(out, "{%c ", whole ? 'i' : 'f');
    buf_add_double(out, whole ? (double)h->count_int : h->count_float);
    buf_add_c(out, " sum=");
    buf_add_double(out, h->sum);
    buf_addf(out, " s=%d zt=", h->schema);
    buf_add_double(out, h->zero_threshold);
    buf_add_c(out, " z=");
    buf_add_double(out, whole ? (double)h->zero_count_int : h->zero_count_float);
    ear_side(out, '-', h->negative_spans, h->n_negative_spans, h->negative_deltas, h->n_negative_deltas,
             h->negative_counts, h->n_negative_counts);
    ear_side(out, '+', h->positive_spans, h->n_positive_spans, h->positive_deltas, h->n_positive_deltas,
             h->positive_counts, h->n_positive_counts);
    if (h->reset_hint)
        buf_add_c(out, h->reset_hint == 3 ? " gauge" : " ?hint");
    for (size_t i = 0; i < h->n_custom_values; i++) {
        buf_add_c(out, i ? " " : " le=[");
        buf_add_double(out, h->custom_values[i]);
    }
    buf_add_c(out, h->n_custom_values ? "]}" : "}");
    io__prometheus__write__v2__histogram__free_unpacked(h, NULL);
}

static void ear_exemplar(struct buf *out, const struct exposition_exemplar *e)
{
    struct labels l = {.v = (struct label *)(uintptr_t)e->labels, .n = e->labels_n};
    buf_add_c(out, " #");
    labels_format(&l, out);
    buf_add_char(out, ' ');
    buf_add_double(out, e->value);
    if (e->has_ts)
        buf_addf(out, " @%lld", (long long)e->ts_ms);
}

static bool ear_sample(void *ctx, const struct exposition_sample *s)
{
    struct ear *ear = ctx;
    uint64_t bits, nan = BLOCK_NAN_BITS;
    memcpy(&bits, &s->value, 8);
    assert_true(s->value == s->value || bits == nan);
    buf_add_str(&ear->out, s->series);
    buf_add_char(&ear->out, ' ');
    if (s->histogram.p)
        ear_histogram(&ear->out, s->histogram);
    else
        buf_add_double(&ear->out, s->value);
    if (s->has_ts)
        buf_addf(&ear->out, " @%lld", (long long)s->ts_ms);
    if (s->start_ts_ms || s->started)
        buf_addf(&ear->out, " ^%lld", (long long)s->start_ts_ms);
    if (s->started)
        buf_addf(&ear->out, "(%u)", s->started);
    for (size_t i = 0; i < s->exemplars_n; i++)
        ear_exemplar(&ear->out, &s->exemplars[i]);
    buf_add_char(&ear->out, '\n');
    return ++ear->samples != ear->stop_after;
}

static bool ear_type(void *ctx, struct str family, enum block_metric_type type)
{
    return buf_addf(&((struct ear *)ctx)->out, "T %.*s %d\n", STR_ARG(family), type);
}

static bool ear_help(void *ctx, struct str family, struct str help)
{
    return buf_addf(&((struct ear *)ctx)->out, "H %.*s [%.*s]\n", STR_ARG(family), STR_ARG(help));
}

static bool ear_unit(void *ctx, struct str family, struct str unit)
{
    return buf_addf(&((struct ear *)ctx)->out, "U %.*s [%.*s]\n", STR_ARG(family), STR_ARG(unit));
}

/* What is heard of a body in pieces of this size behind a first one of `first` bytes; an error comes last. */
static const char *ear_hear(struct ear *ear, struct exposition_parser *p, const struct exposition_options *options,
                            struct str body, size_t first, size_t piece)
{
    struct exposition_handler handler = {ear_sample, ear_type, ear_help, ear_unit, ear};
    bool ok = true;
    size_t n = first;
    buf_clear(&ear->out);
    err_clear(&ear->err);
    ear->samples = 0;
    exposition_begin(p, options, &handler);
    for (size_t at = 0; ok && at < body.n; at += n, n = piece) {
        n = n < body.n - at ? n : body.n - at;
        char *exact = malloc(n ? n : 1); /* so that the sanitizer sees reads behind the piece */
        memcpy(exact, body.p + at, n);
        ok = exposition_feed(p, exact, n, &ear->err);
        free(exact);
    }
    ok = ok && exposition_finish(p, &ear->err);
    if (!ok)
        buf_addf(&ear->out, "! %s\n", ear->err.msg);
    return buf_c(&ear->out);
}

/* Whole, byte by byte, and cut in two at every place: all must be `want`. */
static void ear_check(const char *name, const struct exposition_options *options, size_t max_line, struct str body,
                      const char *want)
{
    struct ear ear = {0};
    struct exposition_parser *p = exposition_new(max_line);
    buf_init(&ear.out, 1 << 20);
    for (size_t cut = 1; cut <= body.n + 1; cut++) {
        size_t first = cut > body.n ? 1 : cut, piece = cut > body.n ? 1 : body.n;
        const char *got = ear_hear(&ear, p, options, body, first, piece);
        if (strcmp(got, want) != 0)
            fail_msg("%s, pieces of %zu and %zu:\n got  %s\n want %s", name, first, piece, got, want);
    }
    buf_free(&ear.out);
    exposition_free(p);
}

#endif
