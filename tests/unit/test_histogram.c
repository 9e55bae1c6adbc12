/* SPDX-License-Identifier: Apache-2.0 */
/* test_histogram: native histograms in, and what is heard of them, both in the notation of exposition_ear.h (spans as
   offset+length, counts absolute). What remote write would carry is read by protobuf-c's unpacker. */
#include "exposition_ear.h"
#include "protobuf_body.h"

#include "scrape/parse/classic.h"

#include <math.h>

/* ---- from the notation to bytes ---- */

static void write_side(struct pb *p, uint32_t field, bool is_float, bool packed, const char *text)
{
    double before = 0;
    char *end;
    while (*text != ':') {
        int32_t offset = (int32_t)strtol(text, &end, 10);
        pb_span(p, field, offset, (uint32_t)strtol(end + 1, &end, 10));
        text = end + (*end == ',');
    }
    if (packed)
        pb_open(p, field + (is_float ? 2 : 1));
    for (text++; *text == ' '; text = end) {
        double v = strtod(text, &end);
        int64_t delta = (int64_t)v - (int64_t)before;
        before = v;
        uint8_t bytes[8];
        if (is_float && packed)
            buf_add(&p->b, bytes, (size_t)(wire_put_double(bytes, v) - bytes));
        else if (packed)
            pb_varint(p, ((uint64_t)delta << 1) ^ (delta < 0 ? UINT64_MAX : 0));
        else if (is_float)
            pb_double(p, field + 2, v);
        else
            pb_sint(p, field + 1, delta);
    }
    if (packed)
        pb_close(p);
}

static double number(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? strtod(at + strlen(key), NULL) : 0;
}

/* A metric with the histogram; "gauge" is the family's. */
static void write_histogram(struct pb *p, const char *text, bool packed)
{
    bool is_float = text[0] == 'f';
    const char *negative = strstr(text, "-["), *positive = strstr(text, "+[");
    pb_open(p, 7);
    if (is_float)
        pb_double(p, 4, strtod(text + 1, NULL));
    else
        pb_uint(p, 1, strtoull(text + 1, NULL, 10));
    pb_double(p, 2, number(text, "sum="));
    pb_sint(p, 5, (int64_t)number(text, " s="));
    pb_double(p, 6, number(text, "zt="));
    if (is_float)
        pb_double(p, 8, number(text, " z="));
    else
        pb_uint(p, 7, (uint64_t)number(text, " z="));
    if (negative)
        write_side(p, 9, is_float, packed, negative + 2);
    if (positive)
        write_side(p, 12, is_float, packed, positive + 2);
    pb_close(p);
}

struct row {
    const char *in, *want; /* a histogram, or an error after "!" */
    uint64_t limit;
    double factor;
};

static void check_row(const struct row *row, bool packed)
{
    struct pb p = {.depth = 0};
    char want[2000];
    struct exposition_options options = {.format = EXPOSITION_PROTOBUF,
                                         .native_histograms = true,
                                         .bucket_limit = row->limit,
                                         .min_bucket_factor = row->factor};
    bool gauge = strstr(row->in, "gauge") != NULL;
    buf_init(&p.b, 1 << 20);
    pb_family(&p, "h", gauge ? GAUGE_HISTOGRAM : HISTOGRAM);
    pb_open(&p, 4);
    write_histogram(&p, row->in, packed);
    pb_close(&p);
    pb_close(&p);
    if (row->want[0] == '!')
        snprintf(want, sizeof want, "T h %d\n! metric family 1 (h): %s\n", gauge ? 4 : 3, row->want + 1);
    else
        snprintf(want, sizeof want, "T h %d\nh {%s}\n", gauge ? 4 : 3, row->want);
    ear_check(row->in, &options, 0, buf_str(&p.b), want);
    buf_free(&p.b);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        check_row(&rows[i], false);
        check_row(&rows[i], true);
    }
}

#define CHECK(rows) check_rows(rows, ROWS(rows))
#define SAME(text) {text, text, 0, 0}

/* ---- read and written ---- */

static void round_trip(void **state)
{
    static const struct row HISTOGRAMS[] = {
        SAME("i 5 sum=12.1 s=3 zt=0 z=0 +[8+2: 2 3]"),
        SAME("i 175 sum=0.0008280461746287094 s=3 zt=2.938735877055719e-39 z=2 -[-162+1,23+4: 1 4 2 1 157] "
             "+[-161+1,8+3: 1 3 2 2]"),
        SAME("i 5 sum=12.1 s=3 zt=0 z=0 +[8+2: 2 3] gauge"),
        SAME("f 5 sum=12.1 s=3 zt=0 z=0 +[8+2: 2 3]"),
        SAME("f 4.25 sum=-0.5 s=-4 zt=1 z=0.25 -[-1+1,1+1: 1.5 0.5] +[0+1: 2] gauge"),
        SAME("i 1 sum=0 s=8 zt=0 z=0 +[-1000+1: 1]"),
        SAME("i 3 sum=0 s=0 zt=0.1 z=3"),
        SAME("i 3 sum=1 s=0 zt=0.1 z=3"),
        SAME("f 0 sum=0 s=0 zt=0.1 z=0.5"), /* counts of floats need not add up */
        SAME("i 9007199254740992 sum=0 s=0 zt=0.1 z=0 +[0+1: 9007199254740992]"),
        SAME("i 7 sum=NaN s=0 zt=0 z=0 +[0+1: 5]"), /* observed NaNs are in no bucket */
        /* a span without buckets says that the histogram is a native one */
        {"i 0 sum=0 s=3 zt=0 z=0 +[0+0:]", "i 0 sum=0 s=3 zt=0 z=0", 0, 0},
        {"i 0 sum=0 s=3 zt=0 z=0 -[0+0:]", "i 0 sum=0 s=3 zt=0 z=0", 0, 0},
    };
    (void)state;
    CHECK(HISTOGRAMS);
}

/* Cases of Prometheus's TestHistogramCompact with the counts its deltas make; counts made right. */
static void compact(void **state)
{
    static const struct row HISTOGRAMS[] = {
        /* eliminate zero offsets */
        {"i 162 sum=0 s=0 zt=0 z=0 -[0+2,0+2,2+1,0+1: 5 8 9 10 13 17] +[-2+1,0+3,0+1: 1 4 1 43 51]",
         "i 162 sum=0 s=0 zt=0 z=0 -[0+4,2+2: 5 8 9 10 13 17] +[-2+5: 1 4 1 43 51]", 0, 0},
        /* eliminate zero length, several of them */
        {"i 95 sum=0 s=0 zt=0 z=0 +[-2+2,2+0,3+3: 1 4 1 43 46]",
         "i 95 sum=0 s=0 zt=0 z=0 +[-2+2,5+3: 1 4 1 43 46]", 0, 0},
        {"i 95 sum=0 s=0 zt=0 z=0 +[-2+2,2+0,2+0,2+0,3+3: 1 4 1 43 46]",
         "i 95 sum=0 s=0 zt=0 z=0 +[-2+2,9+3: 1 4 1 43 46]", 0, 0},
        /* cut empty buckets at start or end */
        {"i 132 sum=0 s=0 zt=0 z=0 -[0+2,3+5: 5 8 4 2 5 9 0] +[-4+4,5+3: 0 0 1 4 1 43 50]",
         "i 132 sum=0 s=0 zt=0 z=0 -[0+2,3+4: 5 8 4 2 5 9] +[-2+2,5+3: 1 4 1 43 50]", 0, 0},
        /* at start or end of spans, even in the middle */
        {"i 130 sum=0 s=0 zt=0 z=0 -[0+2,2+6: 5 8 0 4 2 5 9 0] +[-4+6,3+6: 0 0 1 4 0 0 1 43 46 0 0 2]",
         "i 130 sum=0 s=0 zt=0 z=0 -[0+2,3+4: 5 8 4 2 5 9] +[-2+2,5+3,2+1: 1 4 1 43 46 2]", 0, 0},
        /* from the middle of a span; a span of empty buckets only */
        {"i 52 sum=0 s=0 zt=0 z=0 +[-4+6,3+3: 0 0 1 0 0 3 1 43 4]",
         "i 52 sum=0 s=0 zt=0 z=0 +[-2+1,2+1,3+3: 1 3 1 43 4]", 0, 0},
        {"i 92 sum=0 s=0 zt=0 z=0 +[-4+3,2+2,3+4: 0 0 1 0 0 3 1 43 44]",
         "i 92 sum=0 s=0 zt=0 z=0 +[-2+1,7+4: 1 3 1 43 44]", 0, 0},
        {"f 1 sum=0 s=0 zt=0 z=0 +[5+3: 0 0 0]", "f 1 sum=0 s=0 zt=0 z=0", 0, 0},
        {"f 1 sum=0 s=0 zt=0 z=0 +[5+3,2+1: 0 1.5 0 2]", "f 1 sum=0 s=0 zt=0 z=0 +[6+1,3+1: 1.5 2]", 0, 0},
    };
    (void)state;
    CHECK(HISTOGRAMS);
}

/* Buckets i become ((i - 1) >> steps) + 1. The first rows are those of Prometheus's TestReduceResolutionHistogram:
   deltas 1 2 -2 1 -1 0 in spans 0+4, 0+0, 3+2 become 1 3 -2 0 in 0+3, 1+1; but empty buckets have gone before. */
static void reduced(void **state)
{
    static const struct row HISTOGRAMS[] = {
        {"i 9 sum=0 s=0 zt=0 z=0 +[0+4,0+0,3+2: 1 3 1 2 1 1]", "i 9 sum=0 s=-1 zt=0 z=0 +[0+3,1+1: 1 4 2 2]", 5, 0},
        {"i 18 sum=0 s=0 zt=0 z=0 -[0+4,0+0,3+2: 1 3 1 2 1 1] +[0+4,0+0,3+2: 1 3 1 2 1 1]",
         "i 18 sum=0 s=-1 zt=0 z=0 -[0+3,1+1: 1 4 2 2] +[0+3,1+1: 1 4 2 2]", 8, 0},
        {"f 9 sum=0 s=0 zt=0 z=0 +[0+4,3+2: 1 3 1 2 1 1.5]", "f 9 sum=0 s=-1 zt=0 z=0 +[0+3,1+1: 1 4 2 2.5]", 5, 0},
        /* as many as allowed: nothing is done */
        SAME("i 9 sum=0 s=0 zt=0 z=0 +[0+4,3+2: 1 3 1 2 1 1]"),
        {"i 9 sum=0 s=0 zt=0 z=0 +[0+4,3+2: 1 3 1 2 1 1]", "i 9 sum=0 s=0 zt=0 z=0 +[0+4,3+2: 1 3 1 2 1 1]", 6, 0},
        /* steps until they fit; the limit is on both sides together */
        {"i 8 sum=0 s=3 zt=0 z=0 +[1+8: 1 1 1 1 1 1 1 1]", "i 8 sum=0 s=0 zt=0 z=0 +[1+1: 8]", 1, 0},
        {"i 8 sum=0 s=3 zt=0 z=0 +[0+8: 1 1 1 1 1 1 1 1]", "i 8 sum=0 s=0 zt=0 z=0 +[0+2: 1 7]", 2, 0},
        {"i 4 sum=0 s=0 zt=0 z=0 -[-3+2: 1 1] +[-3+2: 1 1]", "i 4 sum=0 s=-1 zt=0 z=0 -[-1+1: 2] +[-1+1: 2]", 3, 0},
        /* buckets on both sides of 1 are never one: at -4 at least two are left */
        {"i 2 sum=0 s=3 zt=0 z=0 +[0+2: 1 1]", "!histogram bucket limit exceeded", 1, 0},
        {"i 2 sum=0 s=-4 zt=0 z=0 +[1+2: 1 1]", "!histogram bucket limit exceeded", 1, 0},
        {"f 2 sum=0 s=-4 zt=0 z=0 -[1+1: 1] +[1+1: 1]", "!histogram bucket limit exceeded", 1, 0},
        /* the finest growth: 2^(2^-8) = 1.00271 */
        {"i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", 0, 1},
        {"i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", 0, 1.00271},
        {"i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=7 zt=0 z=0 +[1+2: 2 2]", 0, 1.00272},
        {"i 4 sum=0 s=8 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=3 zt=0 z=0 +[1+1: 4]", 0, 1.09},
        {"i 4 sum=0 s=2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=0 zt=0 z=0 +[1+1: 4]", 0, 2},
        {"i 4 sum=0 s=2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=-1 zt=0 z=0 +[1+1: 4]", 0, 2.1},
        {"i 4 sum=0 s=2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=-1 zt=0 z=0 +[1+1: 4]", 0, 4},
        {"i 4 sum=0 s=2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=-4 zt=0 z=0 +[1+1: 4]", 0, 1e9},
        {"i 4 sum=0 s=-2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=-2 zt=0 z=0 +[1+4: 1 1 1 1]", 0, 4},
        /* first the factor, then the limit */
        {"i 4 sum=0 s=2 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=0 zt=0 z=0 +[1+1: 4]", 1, 1.4},
        /* schemas that are known, but finer than supported */
        {"i 4 sum=0 s=9 zt=0 z=0 +[1+4: 1 1 1 1]", "i 4 sum=0 s=8 zt=0 z=0 +[1+2: 2 2]", 0, 0},
        {"i 4 sum=0 s=52 zt=0 z=0 +[-1+4: 1 1 1 1]", "i 4 sum=0 s=8 zt=0 z=0 +[0+2: 2 2]", 0, 0},
    };
    (void)state;
    CHECK(HISTOGRAMS);
}

/* ---- refused ---- */

#define NO_SUM "histogram's observation count should equal the number of observations found in the buckets " \
               "(in absence of NaN)"
#define SCHEMA "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, " \
               "or -53 for custom buckets, got schema "

static void refused(void **state)
{
    static const struct row HISTOGRAMS[] = {
        {"i 0 sum=0 s=0 zt=0 z=0 -[-1+1: 1] +[-1+1: 1]",
         "!2 observations found in buckets, but the Count field is 0: " NO_SUM, 0, 0},
        {"i 2 sum=0 s=0 zt=0 z=1 -[-1+1: 1] +[-1+1: 1]",
         "!3 observations found in buckets, but the Count field is 2: " NO_SUM, 0, 0},
        {"i 5 sum=0 s=0 zt=0 z=0 +[-1+1: 1]",
         "!1 observations found in buckets, but the Count field is 5: " NO_SUM, 0, 0},
        {"i 1 sum=NaN s=0 zt=0 z=0 +[-1+2: 1 1]",
         "!2 observations found in buckets, but the Count field is 1: histogram's observation count should be at least "
         "the number of observations found in the buckets",
         0, 0},
        {"i 0 sum=0 s=0 zt=0 z=0 -[-1+1: -1]",
         "!negative side: bucket number 1 has observation count of -1: histogram has a bucket whose observation "
         "count is negative",
         0, 0},
        {"f 1 sum=0 s=0 zt=0 z=0 +[-1+2: 1 -0.5]",
         "!positive side: bucket number 2 has observation count of -0.5: histogram has a bucket whose observation "
         "count is negative",
         0, 0},
        {"i 3 sum=0 s=0 zt=0 z=0 +[0+1,-1+2: 1 1 1]",
         "!positive side: span number 2 with offset -1: histogram has a span whose offset is negative", 0, 0},
        {"i 3 sum=0 s=0 zt=0 z=0 -[0+1,1+4: 1 1 1]",
         "!negative side: spans need 5 buckets, have 3 buckets: histogram spans specify different number of buckets "
         "than provided",
         0, 0},
        {"f 3 sum=0 s=0 zt=0 z=0 +[0+1: 1 2]",
         "!positive side: spans need 1 buckets, have 2 buckets: histogram spans specify different number of buckets "
         "than provided",
         0, 0},
        {"i 1 sum=0 s=0 zt=0 z=0 +[2000000000+1: 1]",
         "!positive side: span number 1 reaches bucket 2000000001, which is out of range", 0, 0},
        {"i 0 sum=0 s=0 zt=0 z=0 +[0+4294967295:]",
         "!positive side: span number 1 reaches bucket 4294967295, which is out of range", 0, 0},
        {"i 1 sum=0 s=-5 zt=0 z=0 +[0+1: 1]", "!" SCHEMA "-5", 0, 0},
        {"i 1 sum=0 s=53 zt=0 z=0 +[0+1: 1]", "!" SCHEMA "53", 0, 0},
        {"i 5 sum=0 s=-53 zt=0 z=0 +[0+2,1+2: 1 2 1 1]",
         "!custom buckets: only 0 custom bounds defined which is insufficient to cover total span length of 5: "
         "histogram custom bounds are too few",
         0, 0},
        {"i 1 sum=0 s=-53 zt=0 z=0 +[-1+1: 1]",
         "!custom buckets: span number 1 with offset -1: histogram has a span whose offset is negative", 0, 0},
        {"i 1 sum=0 s=-53 zt=0 z=1 +[0+0:]", "!custom buckets: must have zero count of 0", 0, 0},
        {"i 0 sum=0 s=-53 zt=0.5 z=0 +[0+0:]", "!custom buckets: must have zero threshold of 0", 0, 0},
        {"i 0 sum=0 s=-53 zt=0 z=0 -[0+0:]", "!custom buckets: must not have negative spans", 0, 0},
        SAME("i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]"), /* all that can be: one bucket up to +Inf */
    };
    (void)state;
    CHECK(HISTOGRAMS);
}

/* Bounds, which the protobuf format has none of, as Prometheus's TestHistogramValidation has them. */
static void bounds(void **state)
{
    static const struct {
        double v[3];
        size_t n;
        const char *want;
    } CASES[] = {
        {{1, 2, 3}, 3, ""},
        {{-INFINITY, 1}, 2, ""},
        {{0, 0}, 2,
         "custom buckets: previous bound is 0.000000 and current is 0.000000: histogram custom bounds must be in "
         "strictly increasing order"},
        {{1, INFINITY}, 2,
         "custom buckets: last +Inf bound must not be explicitly defined: histogram custom bounds must be finite"},
        {{1, NAN, 3}, 3, "custom buckets: histogram custom bounds must not be NaN"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(CASES); i++) {
        struct histogram h = {.schema = HISTOGRAM_SCHEMA_CUSTOM};
        struct err err = {0};
        for (size_t k = 0; k < CASES[i].n; k++)
            histogram_add_bound(&h, CASES[i].v[k]);
        assert_int_equal(histogram_check(&h, &err), CASES[i].want[0] == '\0');
        assert_string_equal(err.msg, CASES[i].want);
        histogram_free(&h);
    }
}

/* ---- in bodies: classic as well, exemplars, several of a family ---- */

static void both_kinds(struct pb *p)
{
    pb_family(p, "h", HISTOGRAM);
    pb_open(p, 4);
    pb_label(p, "a", "x");
    pb_open(p, 7);
    pb_uint(p, 1, 5);
    pb_double(p, 2, 12.1);
    pb_open(p, 3);
    pb_uint(p, 1, 2);
    pb_double(p, 2, 1.1);
    pb_exemplar(p, 3, "untimed", 1, 0);
    pb_close(p);
    pb_open(p, 3);
    pb_uint(p, 1, 3);
    pb_double(p, 2, 2.2);
    pb_exemplar(p, 3, "timed", 2, 9);
    pb_close(p);
    pb_sint(p, 5, 3);
    pb_span(p, 12, 8, 2);
    pb_sint(p, 13, 2);
    pb_sint(p, 13, 1);
    pb_time(p, 15, 4, 0);
    pb_close(p);
    pb_uint(p, 6, 77);
    pb_close(p);
    pb_open(p, 4); /* native only, with exemplars of its own */
    pb_label(p, "a", "y");
    pb_open(p, 7);
    pb_uint(p, 1, 1);
    pb_double(p, 6, 0.001);
    pb_uint(p, 7, 1);
    pb_exemplar(p, 16, "late", 1, 9);
    pb_exemplar(p, 16, "untimed", 2, 0);
    pb_exemplar(p, 16, "early", 3, 8);
    pb_close(p);
    pb_close(p);
    pb_open(p, 4); /* classic only */
    pb_label(p, "a", "z");
    pb_open(p, 7);
    pb_uint(p, 1, 1);
    pb_bucket(p, 1, 1);
    pb_close(p);
    pb_close(p);
    pb_close(p);
}

#define X_NATIVE "h{a=\"x\"} {i 5 sum=12.1 s=3 zt=0 z=0 +[8+2: 2 3]} @77 ^4000 #{id=\"timed\"} 2 @9146\n"
#define X_CLASSIC "h_count{a=\"x\"} 5 @77 ^4000\nh_sum{a=\"x\"} 12.1 @77 ^4000\n" \
                  "h_bucket{a=\"x\",le=\"1.1\"} 2 @77 ^4000 #{id=\"untimed\"} 1\n" \
                  "h_bucket{a=\"x\",le=\"2.2\"} 3 @77 ^4000 #{id=\"timed\"} 2 @9146\n" \
                  "h_bucket{a=\"x\",le=\"+Inf\"} 5 @77 ^4000\n"
#define X_NHCB "h{a=\"x\"} {i 5 sum=12.1 s=-53 zt=0 z=0 +[0+3: 2 1 2] le=[1.1 2.2]} @77 ^4000 " \
               "#{id=\"timed\"} 2 @9146\n"
#define Y_NATIVE "h{a=\"y\"} {i 1 sum=0 s=0 zt=0.001 z=1} #{id=\"early\"} 3 @8146 #{id=\"late\"} 1 @9146\n"
#define Y_CLASSIC "h_count{a=\"y\"} 1\nh_sum{a=\"y\"} 0\nh_bucket{a=\"y\",le=\"+Inf\"} 1\n"
#define Y_NHCB "h{a=\"y\"} {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]} #{id=\"early\"} 3 @8146 #{id=\"late\"} 1 @9146\n"
#define Z_CLASSIC "h_count{a=\"z\"} 1\nh_sum{a=\"z\"} 0\nh_bucket{a=\"z\",le=\"1\"} 1\n" \
                  "h_bucket{a=\"z\",le=\"+Inf\"} 1\n"
#define Z_NHCB "h{a=\"z\"} {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1] le=[1]}\n"

static void kinds(void **state)
{
    static const struct {
        struct exposition_options options;
        const char *want;
    } CASES[] = {
        {{.native_histograms = false}, "T h 3\n" X_CLASSIC Y_CLASSIC Z_CLASSIC},
        {{.classic_histograms_too = true}, "T h 3\n" X_CLASSIC Y_CLASSIC Z_CLASSIC},
        {{.native_histograms = true}, "T h 3\n" X_NATIVE Y_NATIVE Z_CLASSIC},
        {{.native_histograms = true, .classic_histograms_too = true}, "T h 3\n" X_NATIVE X_CLASSIC Y_NATIVE Z_CLASSIC},
        {{.nhcb = true}, "T h 3\n" X_NHCB Y_NHCB Z_NHCB},
        {{.nhcb = true, .native_histograms = true}, "T h 3\n" X_NATIVE Y_NATIVE Z_NHCB},
        {{.nhcb = true, .native_histograms = true, .classic_histograms_too = true},
         "T h 3\n" X_NATIVE X_CLASSIC Y_NATIVE Z_NHCB Z_CLASSIC},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(CASES); i++) {
        struct pb p = {.depth = 0};
        struct exposition_options options = CASES[i].options;
        char name[16];
        options.format = EXPOSITION_PROTOBUF;
        snprintf(name, sizeof name, "case %zu", i);
        buf_init(&p.b, 1 << 20);
        both_kinds(&p);
        ear_check(name, &options, 0, buf_str(&p.b), CASES[i].want);
        buf_free(&p.b);
    }
}

/* The bytes themselves: what is zero is left out, but for the two counts. */
static void bytes(void **state)
{
    static const uint8_t WANT[] = {
        1 << 3, 3,                                   /* count_int */
        4 << 3, 1,                                   /* schema -1 */
        6 << 3, 0,                                   /* zero_count_int */
        8 << 3 | 2, 2, 2 << 3, 1,                    /* negative span, offset 0 */
        9 << 3 | 2, 1, 2,                            /* negative delta 1 */
        11 << 3 | 2, 4, 1 << 3, 3, 2 << 3, 2,        /* positive span, offset -2 */
        12 << 3 | 2, 2, 2, 0,                        /* positive deltas 1 0 */
        14 << 3, 3,                                  /* gauge */
    };
    struct histogram h = {.gauge = true, .schema = -1, .count.u = 3};
    struct buf out;
    struct err err = {0};
    (void)state;
    assert_true(histogram_add_span(&h.negative, (struct histogram_span){0, 1}));
    assert_true(histogram_add_count(&h.negative, (union histogram_number){.i = 1}));
    assert_true(histogram_add_span(&h.positive, (struct histogram_span){-2, 2}));
    assert_true(histogram_add_count(&h.positive, (union histogram_number){.i = 1}));
    assert_true(histogram_add_count(&h.positive, (union histogram_number){.i = 1}));
    assert_true(histogram_check(&h, &err));
    buf_init(&out, 1000);
    histogram_encode(&h, &out);
    assert_int_equal(out.n, sizeof WANT);
    assert_memory_equal(out.p, WANT, sizeof WANT);
    buf_free(&out);
    histogram_free(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(compact), cmocka_unit_test(reduced), cmocka_unit_test(refused),
        cmocka_unit_test(bounds),     cmocka_unit_test(kinds),   cmocka_unit_test(bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
