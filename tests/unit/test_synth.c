/* SPDX-License-Identifier: Apache-2.0 */
/* test_synth: made-up metrics: as many series as asked for, the same in every format, growing where they must, replaced
   as often as told; and which format an Accept header gets. */
#include "unit.h"

#include <math.h>

#include "agent/command/offer.h"
#include "agent/command/synth.h"
#include "base/arena.h"
#include "base/hash.h"
#include "exposition.h"

#define SERIES_MAX 4096

/* What our own parser sees of a body, each series by the hash of its sorted labels. */
struct seen {
    uint64_t hash[SERIES_MAX];
    double value[SERIES_MAX];
    bool rises[SERIES_MAX]; /* not a gauge */
    size_t n, native, exemplars;
};

static bool on_sample(void *ctx, const struct exposition_sample *sample)
{
    struct seen *s = ctx;
    struct labels labels;
    struct arena arena;
    struct err err = {0};
    s->exemplars += sample->exemplars_n;
    if (sample->histogram.p) {
        s->native++;
        return true;
    }
    arena_init(&arena);
    labels_init(&labels, &arena);
    assert_true(exposition_parse_series(sample->series, &labels, &err));
    labels_sort(&labels);
    uint64_t hash = 0;
    for (size_t i = 0; i < labels.n; i++) {
        struct str value = labels.v[i].value;
        if (str_eq_c(labels.v[i].name, "le") && str_ends(value, STR(".0")))
            value.n -= 2;
        hash = hash_more(hash_more(hash, labels.v[i].name), value);
    }
    labels_free(&labels);
    arena_free(&arena);
    assert_true(s->n < SERIES_MAX);
    s->hash[s->n] = hash;
    s->value[s->n] = sample->value;
    s->rises[s->n++] = !str_starts(sample->series, STR("synth_level"));
    return true;
}

static void look(const struct synth_settings *settings, enum synth_format format, int64_t age_ms, struct seen *s)
{
    static const enum exposition_format FORMATS[] = {EXPOSITION_TEXT, EXPOSITION_OPENMETRICS, EXPOSITION_PROTOBUF};
    struct buf body;
    struct err err = {0};
    struct exposition_options options = {
        .format = FORMATS[format], .native_histograms = true, .classic_histograms_too = true};
    struct exposition_handler handler = {.on_sample = on_sample, .ctx = s};
    struct exposition_parser *parser = exposition_new(0);
    memset(s, 0, sizeof *s);
    buf_init(&body, 16 << 20);
    assert_true(synth_write(settings, format, age_ms, 1000000, &body));
    exposition_begin(parser, &options, &handler);
    bool ok = exposition_feed(parser, body.p, body.n, &err) && exposition_finish(parser, &err);
    if (!ok)
        print_error("%s\n", err.msg);
    assert_true(ok);
    exposition_free(parser);
    buf_free(&body);
}

/* The value of a series; NaN when it is not there. */
static double value_of(const struct seen *s, uint64_t hash)
{
    for (size_t i = 0; i < s->n; i++) {
        if (s->hash[i] == hash)
            return s->value[i];
    }
    return (double)NAN;
}

static size_t shared(const struct seen *a, const struct seen *b)
{
    size_t n = 0;
    for (size_t i = 0; i < a->n; i++)
        n += isnan(value_of(b, a->hash[i])) ? 0 : 1;
    return n;
}

static void test_plan(void **state)
{
    (void)state;
    static const struct {
        uint64_t series, histograms, counters, gauges;
    } TABLE[] = {{0, 0, 0, 0},     {1, 0, 1, 0},        {2, 0, 1, 1},       {47, 0, 24, 23},
                 {48, 1, 18, 18},  {1000, 20, 380, 380}, {1001, 20, 381, 380}};
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct synth_plan p = synth_plan(TABLE[i].series);
        assert_int_equal(p.histograms, TABLE[i].histograms);
        assert_int_equal(p.counters, TABLE[i].counters);
        assert_int_equal(p.gauges, TABLE[i].gauges);
    }
}

static void test_formats_agree(void **state)
{
    (void)state;
    static struct seen text, other;
    static const uint64_t SIZES[] = {0, 1, 47, 48, 1000, 3001};
    for (size_t i = 0; i < ROWS(SIZES); i++) {
        struct synth_settings s = {.series = SIZES[i], .period_ms = 1000, .seed = 7, .churn = 0.1};
        look(&s, SYNTH_TEXT, 12345, &text);
        assert_int_equal(text.n, SIZES[i]);
        for (enum synth_format f = SYNTH_OPENMETRICS; f <= SYNTH_PROTOBUF; f++) {
            look(&s, f, 12345, &other);
            assert_int_equal(other.n, text.n);
            for (size_t k = 0; k < text.n; k++)
                assert_true(value_of(&other, text.hash[k]) == text.value[k]);
        }
    }
}

static void test_extras(void **state)
{
    (void)state;
    static struct seen s;
    struct synth_settings plain = {.series = 1000, .period_ms = 1000, .seed = 7};
    struct synth_settings rich = {.series = 1000, .period_ms = 1000, .seed = 7, .native = true, .exemplars = true};
    static const struct {
        enum synth_format format;
        size_t native, exemplars;
    } TABLE[] = {{SYNTH_TEXT, 0, 0}, {SYNTH_OPENMETRICS, 0, 20}, {SYNTH_PROTOBUF, 20, 40}};
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        look(&rich, TABLE[i].format, 600000, &s);
        assert_int_equal(s.native, TABLE[i].native);
        if (TABLE[i].format == SYNTH_PROTOBUF) /* at the classic buckets or at the native one: as the parser sees it */
            assert_in_range(s.exemplars, 20, 40);
        else
            assert_int_equal(s.exemplars, TABLE[i].exemplars);
        look(&plain, TABLE[i].format, 600000, &s);
        assert_int_equal(s.native + s.exemplars, 0);
    }
}

static void test_counters_only_grow(void **state)
{
    (void)state;
    static struct seen before, after;
    struct synth_settings s = {.series = 500, .period_ms = 1000, .seed = 3, .churn = 0.05};
    look(&s, SYNTH_TEXT, 0, &before);
    size_t grown = 0;
    for (int64_t age = 137; age < 20000; age += 137) {
        look(&s, SYNTH_TEXT, age, &after);
        for (size_t i = 0; i < before.n; i++) {
            double now = value_of(&after, before.hash[i]);
            if (isnan(now) || !before.rises[i])
                continue;
            assert_true(now >= before.value[i]);
            grown += now > before.value[i];
        }
        before = after;
    }
    assert_true(grown > 1000);
}

/* Small counts of things make the share inexact by one or two of them. */
static void test_churn(void **state)
{
    (void)state;
    static struct seen first, later;
    static const struct {
        double churn;
        int64_t age_ms;
        size_t least, most; /* of 40 things that are still what they were */
    } TABLE[] = {{0, 100000, 40, 40},   {0.25, 999, 40, 40}, {0.25, 1000, 28, 32}, {0.25, 1999, 28, 32},
                 {0.25, 2000, 18, 22},  {0.25, 4000, 0, 0},  {0.025, 1000, 38, 40}, {1, 1000, 0, 0}};
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct synth_settings s = {.series = 40, .period_ms = 1000, .seed = 3, .churn = TABLE[i].churn};
        look(&s, SYNTH_TEXT, 0, &first);
        look(&s, SYNTH_TEXT, TABLE[i].age_ms, &later);
        assert_int_equal(later.n, 40);
        assert_in_range(shared(&first, &later), TABLE[i].least, TABLE[i].most);
    }
}

static void test_seed_decides(void **state)
{
    (void)state;
    static struct seen a, b;
    struct synth_settings one = {.series = 200, .period_ms = 1000, .seed = 1}, two = one;
    look(&one, SYNTH_TEXT, 5000, &a);
    look(&two, SYNTH_TEXT, 5000, &b);
    assert_int_equal(shared(&a, &b), 200);
    for (size_t i = 0; i < a.n; i++)
        assert_true(a.value[i] == b.value[i]);
    two.seed = 2;
    look(&two, SYNTH_TEXT, 5000, &b);
    assert_int_equal(shared(&a, &b), 0);
}

static void test_full_buffer(void **state)
{
    (void)state;
    struct synth_settings s = {.series = 1000, .period_ms = 1000, .seed = 1};
    for (enum synth_format f = SYNTH_TEXT; f <= SYNTH_PROTOBUF; f++) {
        struct buf body;
        buf_init(&body, 5000);
        assert_false(synth_write(&s, f, 0, 0, &body));
        buf_free(&body);
    }
}

static void test_offer(void **state)
{
    (void)state;
#define PB "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
#define PB_TYPE "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
    static const char TEXT4[] = "text/plain; version=0.0.4; charset=utf-8";
    static const struct {
        const char *accept, *type;
    } TABLE[] = {
        {"", TEXT4},
        {"*/*", TEXT4},
        {"text/html, image/png", TEXT4},
        {"text/plain", TEXT4},
        {"text/plain;version=0.0.3", TEXT4},
        {"TEXT/PLAIN ; VERSION=0.0.4", TEXT4},
        {"text/plain;version=1.0.0", "text/plain; version=1.0.0; charset=utf-8"},
        {"text/plain;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
         "text/plain; version=1.0.0; charset=utf-8; escaping=allow-utf-8"},
        {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.9", TEXT4},
        {"application/openmetrics-text", "application/openmetrics-text; version=0.0.1; charset=utf-8"},
        {"application/openmetrics-text;version=\"1.0.0\";escaping=underscores;q=0.7,text/plain;q=0.6",
         "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"},
        {"application/openmetrics-text;version=9", TEXT4},
        {"application/openmetrics-text;escaping=\r\nX: y",
         "application/openmetrics-text; version=0.0.1; charset=utf-8"},
        {PB ";q=0.7,application/openmetrics-text;q=0.6", PB_TYPE},
        {"text/plain;q=0.6," PB ";escaping=values;q=0.7", PB_TYPE "; escaping=values"},
        {"application/vnd.google.protobuf", TEXT4},
        {PB ";q=0,text/plain", TEXT4},
        {PB ";q=nonsense", TEXT4},
        {",,;;=,;q", TEXT4},
    };
    for (size_t i = 0; i < ROWS(TABLE); i++)
        assert_string_equal(offer_choose(str_of(TABLE[i].accept)).type, TABLE[i].type);
    struct offer o;
    assert_true(offer_named("protobuf", &o) && o.format == SYNTH_PROTOBUF);
    assert_true(offer_named("openmetrics", &o) && o.format == SYNTH_OPENMETRICS);
    assert_true(offer_named("text", &o) && o.format == SYNTH_TEXT);
    assert_false(offer_named("json", &o));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),          cmocka_unit_test(test_formats_agree),
        cmocka_unit_test(test_extras),        cmocka_unit_test(test_counters_only_grow),
        cmocka_unit_test(test_churn),         cmocka_unit_test(test_seed_decides),
        cmocka_unit_test(test_full_buffer),   cmocka_unit_test(test_offer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
