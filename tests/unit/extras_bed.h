/* SPDX-License-Identifier: Apache-2.0 */
/* extras_bed: a block with one series for each thing that may come with a sample, and what is in it. Histograms are
   packed by the generated code, exemplars are the same everywhere. */
#ifndef OBSAGENT_TESTS_EXTRAS_BED_H
#define OBSAGENT_TESTS_EXTRAS_BED_H

#include "unit.h"

#include "base/buf.h"
#include "block.h"
#include "rw2.pb-c.h"

enum extras_kind { EXTRAS_FLOAT, EXTRAS_WHOLE, EXTRAS_FLOATS, EXTRAS_CUSTOM, EXTRAS_STALE, EXTRAS_EMPTY };

struct extras_row {
    const char *name; /* of the metric */
    enum extras_kind kind;
    double value;
    int64_t ts_ms, start_ts_ms;
    size_t exemplars; /* number k has k labels, value k + 0.5, and the sample's time less k */
    size_t labels;    /* besides the name */
    enum block_metric_type type; /* 0 = no metadata; else with help and unit */
};

static const struct extras_row EXTRAS[] = {
    {"float_start", EXTRAS_FLOAT, 1.5, 1700000000123, 1690000000000, 0, 1, 0},
    {"float_exemplar", EXTRAS_FLOAT, -0.0, 1700000000123, 0, 1, 1, BLOCK_COUNTER},
    {"float_all", EXTRAS_FLOAT, 7, 1700000000124, -1, 3, 2, BLOCK_COUNTER},
    {"float_before_1970", EXTRAS_FLOAT, 7, -5, -7, 1, 0, BLOCK_STATESET},
    {"plain", EXTRAS_FLOAT, 3, 1700000000124, 0, 0, 2, BLOCK_GAUGE},
    {"whole", EXTRAS_WHOLE, 0, 1700000000124, 0, 0, 2, BLOCK_HISTOGRAM},
    {"whole_all", EXTRAS_WHOLE, 0, 1700000000124, 1690000000000, 4, 2, BLOCK_HISTOGRAM},
    {"floats", EXTRAS_FLOATS, 0, INT64_MAX, INT64_MIN, 2, 1, BLOCK_GAUGEHISTOGRAM},
    {"custom", EXTRAS_CUSTOM, 0, 1700000000124, 1, 1, 1, BLOCK_HISTOGRAM},
    {"stale", EXTRAS_STALE, 0, 1700000000124, 0, 0, 1, 0},
    {"empty", EXTRAS_EMPTY, 0, 0, 0, 0, 40, BLOCK_HISTOGRAM},
    {"labels_of_two_bytes", EXTRAS_WHOLE, 0, 1, 1, 1, 70, BLOCK_INFO},
    {"plain_again", EXTRAS_FLOAT, 4, 1, 0, 0, 2, 0},
};
#define EXTRAS_N (sizeof EXTRAS / sizeof EXTRAS[0])
#define EXTRAS_LABELS_MAX 70
#define EXTRAS_EXEMPLARS_MAX 4
#define EXTRAS_HELP "What it is"
#define EXTRAS_UNIT "seconds"

/* The histogram of a row as bytes without timestamps, into out; "" of EXTRAS_EMPTY. */
static struct str extras_message(enum extras_kind kind, uint8_t out[256])
{
    Io__Prometheus__Write__V2__Histogram h = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__INIT;
    Io__Prometheus__Write__V2__BucketSpan spans[2] = {IO__PROMETHEUS__WRITE__V2__BUCKET_SPAN__INIT,
                                                      IO__PROMETHEUS__WRITE__V2__BUCKET_SPAN__INIT};
    Io__Prometheus__Write__V2__BucketSpan *span_ps[2] = {&spans[0], &spans[1]};
    int64_t deltas[] = {3, -1, 0, INT64_MIN};
    double counts[] = {0.5, -0.0, 1e300}, bounds[] = {-1, 0.25, 1};
    if (kind == EXTRAS_STALE)
        return block_stale_histogram;
    if (kind == EXTRAS_EMPTY)
        return STR("");
    spans[0].offset = -3;
    spans[0].length = 2;
    spans[1].offset = 4;
    spans[1].length = kind == EXTRAS_WHOLE ? 2 : 1;
    h.sum = 12.25;
    h.schema = kind == EXTRAS_CUSTOM ? -53 : kind == EXTRAS_WHOLE ? 8 : -4;
    h.n_positive_spans = 2;
    h.positive_spans = span_ps;
    if (kind == EXTRAS_FLOATS) {
        h.count_case = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__COUNT_COUNT_FLOAT;
        h.count_float = 7.5;
        h.zero_count_case = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_FLOAT;
        h.zero_count_float = 0.5;
        h.n_positive_counts = 3;
        h.positive_counts = counts;
        h.reset_hint = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__RESET_HINT__RESET_HINT_GAUGE;
    } else {
        h.count_case = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__COUNT_COUNT_INT;
        h.count_int = UINT64_MAX;
        h.zero_count_case = IO__PROMETHEUS__WRITE__V2__HISTOGRAM__ZERO_COUNT_ZERO_COUNT_INT;
        h.zero_count_int = 2;
        h.zero_threshold = 0.001;
        h.n_positive_deltas = kind == EXTRAS_WHOLE ? 4 : 3;
        h.positive_deltas = deltas;
    }
    if (kind == EXTRAS_WHOLE) {
        h.n_negative_spans = 1;
        h.negative_spans = span_ps;
        h.n_negative_deltas = 2;
        h.negative_deltas = deltas;
    }
    if (kind == EXTRAS_CUSTOM) {
        h.n_custom_values = 3;
        h.custom_values = bounds;
    }
    assert_true(io__prometheus__write__v2__histogram__get_packed_size(&h) <= 256);
    return str_make((char *)out, io__prometheus__write__v2__histogram__pack(&h, out));
}

/* The number of label k's name and value among the symbols of extras_block, the same for series and exemplars. */
static uint32_t extras_ref(size_t k)
{
    return (uint32_t)(3 + k);
}

static void extras_put(struct block_builder *b, const struct extras_row *row)
{
    uint32_t refs[EXTRAS_EXEMPLARS_MAX][2 * EXTRAS_EXEMPLARS_MAX];
    struct block_exemplar exemplars[EXTRAS_EXEMPLARS_MAX];
    uint8_t message[256];
    struct block_extra extra = {.start_ts_ms = row->start_ts_ms, .exemplars = exemplars, .exemplars_n = row->exemplars};
    if (row->kind != EXTRAS_FLOAT)
        extra.histogram = extras_message(row->kind, message);
    for (size_t i = 0; i < row->exemplars; i++) {
        for (size_t k = 0; k < i; k++)
            refs[i][2 * k] = refs[i][2 * k + 1] = extras_ref(k);
        exemplars[i] = (struct block_exemplar){refs[i], 2 * i, (double)i + 0.5, row->ts_ms - (int64_t)i};
    }
    struct block_meta meta = {row->type, 1, 2};
    uint32_t name = block_builder_symbol(b, STR("__name__")), metric = block_builder_symbol(b, str_of(row->name));
    uint8_t *p = block_builder_room(b, 400);
    *p++ = (uint8_t)name;
    *p++ = (uint8_t)metric;
    for (size_t k = 0; k < row->labels; k++) {
        *p++ = (uint8_t)extras_ref(k);
        *p++ = (uint8_t)extras_ref(k);
    }
    block_builder_put_extra(b, p, row->value, row->ts_ms, row->type ? &meta : NULL, &extra);
}

/* All rows, one series each in their order; the job is "j". */
static struct block *extras_block(void)
{
    struct block_builder *b = block_builder_new(0, 1 << 20, 1000);
    assert_int_equal(block_builder_symbol(b, STR(EXTRAS_HELP)), 1);
    assert_int_equal(block_builder_symbol(b, STR(EXTRAS_UNIT)), 2);
    for (size_t k = 0; k < EXTRAS_LABELS_MAX; k++) {
        char text[24];
        snprintf(text, sizeof text, "l%02zu", k);
        assert_int_equal(block_builder_symbol(b, str_of(text)), extras_ref(k));
    }
    for (size_t i = 0; i < EXTRAS_N; i++)
        extras_put(b, &EXTRAS[i]);
    block_builder_job(b, STR("j"));
    struct block *block = block_builder_seal(b);
    assert_int_equal(block->samples, EXTRAS_N);
    block_builder_free(b);
    return block;
}

#endif
