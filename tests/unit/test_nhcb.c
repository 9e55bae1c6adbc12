/* SPDX-License-Identifier: Apache-2.0 */
/* test_nhcb: classic histograms in text and the native ones that are heard instead; every body is also fed byte by
   byte and cut in two at every place. What comes with samples (exemplars, start times) is given by hand. */
#include "exposition_ear.h"

#include "base/alloc.h"
#include "scrape/parse/private.h"

struct row {
    const char *body, *want;
};

static void check_rows(const struct row *rows, size_t n, struct exposition_options options)
{
    options.nhcb = true;
    for (size_t i = 0; i < n; i++)
        ear_check(rows[i].body, &options, 0, str_of(rows[i].body), rows[i].want);
}

#define CHECK(rows, ...) check_rows(rows, ROWS(rows), (struct exposition_options){__VA_ARGS__})
#define H "# TYPE h histogram\n"

static void made(void **state)
{
    static const struct row TEXTS[] = {
        /* one, two in a row, the last of a body */
        {H "h_bucket{le=\"0.5\"} 2\nh_bucket{le=\"1\"} 3\nh_bucket{le=\"+Inf\"} 5\nh_sum 4.5\nh_count 5\n",
         "T h 3\nh {i 5 sum=4.5 s=-53 zt=0 z=0 +[0+3: 2 1 2] le=[0.5 1]}\n"},
        {H "h_bucket{a=\"x\",le=\"1\"} 3\nh_sum{a=\"x\"} 1\nh_count{a=\"x\"} 4\n"
           "h_bucket{a=\"y\",le=\"1\"} 5\nh_sum{a=\"y\"} 2\nh_count{a=\"y\"} 6\ng 1",
         "T h 3\nh{a=\"x\"} {i 4 sum=1 s=-53 zt=0 z=0 +[0+2: 3 1] le=[1]}\n"
         "h{a=\"y\"} {i 6 sum=2 s=-53 zt=0 z=0 +[0+2: 5 1] le=[1]}\ng 1\n"},
        /* le anywhere among the labels, labels in any order, parts in any order, blanks */
        {H "h_count{b=\"2\",a=\"1\"} 4\nh_bucket{a=\"1\",le=\"1\",b=\"2\"} 3\nh_bucket{a=\"1\",le=\"2\",b=\"2\"} 3\n"
           "h_bucket { le = \"+Inf\" , b=\"2\" , a = \"1\" , } 4\nh_sum{a=\"1\",b=\"2\"} 9\n",
         "T h 3\nh{a=\"1\",b=\"2\"} {i 4 sum=9 s=-53 zt=0 z=0 +[0+3: 3 0 1] le=[1 2]}\n"},
        /* bounds out of order and twice: the first counts */
        {H "h_bucket{le=\"+Inf\"} 9\nh_bucket{le=\"2\"} 5\nh_bucket{le=\"1\"} 4\nh_bucket{le=\"2.0\"} 8\nh_count 9\n",
         "T h 3\nh {i 9 sum=0 s=-53 zt=0 z=0 +[0+3: 4 1 4] le=[1 2]}\n"},
        /* runs of up to two empty buckets stay, longer ones, and those at the ends, go */
        {H "h_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 1\nh_bucket{le=\"3\"} 1\nh_bucket{le=\"4\"} 1\n"
           "h_bucket{le=\"5\"} 2\nh_bucket{le=\"6\"} 2\nh_bucket{le=\"7\"} 2\nh_bucket{le=\"8\"} 2\n"
           "h_bucket{le=\"9\"} 3\nh_bucket{le=\"10\"} 3\nh_count 3\n",
         "T h 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[1+4,3+1: 1 0 0 1 1] le=[1 2 3 4 5 6 7 8 9 10]}\n"},
        /* floats, without empty buckets; without count; only a count; only a sum */
        {H "h_bucket{le=\"1\"} 0.5\nh_bucket{le=\"2\"} 0.5\nh_bucket{le=\"3\"} 1.25\nh_sum 4\nh_count 1.25\n",
         "T h 3\nh {f 1.25 sum=4 s=-53 zt=0 z=0 +[0+1,1+1: 0.5 0.75] le=[1 2 3]}\n"},
        {H "h_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 3\n",
         "T h 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[0+2: 2 1] le=[1 2]}\n"},
        {H "h_count 3\n", "T h 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[0+1: 3]}\n"},
        {H "h_sum 3\n", "T h 3\n"},
        {H "h_bucket{le=\"1\"} 0\nh_count 0\n", "T h 3\nh {i 0 sum=0 s=-53 zt=0 z=0 le=[1]}\n"},
        {H "h_bucket{le=\"-Inf\"} 0\nh_bucket{le=\"0\"} 1\nh_sum NaN\nh_count 1\n",
         "T h 3\nh {i 1 sum=NaN s=-53 zt=0 z=0 +[1+1: 1] le=[-Inf 0]}\n"},
        /* quotes and UTF-8 in names and values; timestamps */
        {"# TYPE \"my.h\" histogram\n{\"my.h_bucket\",\"l.x\"=\"q\\\"\",le=\"1\"} 1 77\n"
         "{\"my.h_bucket\",\"l.x\"=\"q\\\"\",le=\"2\"} 2 77\n{\"my.h_count\",\"l.x\"=\"q\\\"\"} 2 78\n",
         "T my.h 3\n{\"my.h\",\"l.x\"=\"q\\\"\"} {i 2 sum=0 s=-53 zt=0 z=0 +[0+2: 1 1] le=[1 2]} @78\n"},
        {H "h_bucket{a=\",le=\",le=\"1\"} 1\nh_bucket{a=\",le=\",le=\"2\"} 2\n",
         "T h 3\nh{a=\",le=\"} {i 2 sum=0 s=-53 zt=0 z=0 +[0+2: 1 1] le=[1 2]}\n"},
    };
    (void)state;
    CHECK(TEXTS, .nhcb = true);
}

static void left_alone(void **state)
{
    static const struct row TEXTS[] = {
        /* of another type, of none, of another family, after the family is over */
        {"# TYPE h gauge\nh_bucket{le=\"1\"} 1\nh_count 1\n", "T h 2\nh_bucket{le=\"1\"} 1\nh_count 1\n"},
        {"h_bucket{le=\"1\"} 1\n", "h_bucket{le=\"1\"} 1\n"},
        {H "x_bucket{le=\"1\"} 1\nhh_count 1\nh 5\nh_total 6\n",
         "T h 3\nx_bucket{le=\"1\"} 1\nhh_count 1\nh 5\nh_total 6\n"},
        {H "h_count 1\n# TYPE i gauge\nh_sum 2\n",
         "T h 3\nh {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]}\nT i 2\nh_sum 2\n"},
        {H "h_count 1\n# HELP h late\nh_count 2\n",
         "T h 3\nh {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]}\nH h [late]\nh {i 2 sum=0 s=-53 zt=0 z=0 +[0+1: 2]}\n"},
        /* buckets without a number; what they belong to goes on */
        {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"x\"} 1\nh_bucket 1\nh_bucket{le=\"NaN\"} 1\nh_count 2\n",
         "T h 3\nh_bucket{le=\"x\"} 1\nh_bucket 1\nh_bucket{le=\"NaN\"} 1\n"
         "h {i 2 sum=0 s=-53 zt=0 z=0 +[0+2: 1 1] le=[1]}\n"},
        /* a series that cannot be parsed is for who parses it */
        {H "h_bucket{a=\"1\",a=\"2\",le=\"1\"} 1\n", "T h 3\nh_bucket{a=\"1\",a=\"2\",le=\"1\"} 1\n"},
        /* no histogram: counts fall, do not add up, are negative */
        {H "h_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\nh_count 2\ng 1\n", "T h 3\ng 1\n"},
        {H "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 2\nh_count 2\ng 1\n", "T h 3\ng 1\n"},
        {H "h_bucket{le=\"+Inf\"} 2\nh_count 3\ng 1\n", "T h 3\ng 1\n"},
        {H "h_bucket{le=\"1\"} 4\nh_count 3\ng 1\n", "T h 3\ng 1\n"},
        {H "h_bucket{le=\"1\"} -1\nh_count 3\ng 1\n", "T h 3\ng 1\n"},
        {H "h_count NaN\ng 1\n", "T h 3\ng 1\n"},
        {H "h_count -1\nh_count{a=\"b\"} 1\n", "T h 3\nh{a=\"b\"} {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]}\n"},
        /* errors of the text itself */
        {H "h_count 1\nh_count x\n",
         "T h 3\n! line 3, column 9: strconv.ParseFloat: parsing \"x\": invalid syntax\n"},
    };
    (void)state;
    CHECK(TEXTS, .nhcb = true);
}

static void both(void **state)
{
    static const struct row TEXTS[] = {
        {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\ng 1\n",
         "T h 3\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2\nh_sum 3\nh_count 2\n"
         "h {i 2 sum=3 s=-53 zt=0 z=0 +[0+2: 1 1] le=[1]}\ng 1\n"},
        {H "h_bucket{le=\"1\"} 3\nh_count 2\ng 1\n", "T h 3\nh_bucket{le=\"1\"} 3\nh_count 2\ng 1\n"},
    };
    (void)state;
    CHECK(TEXTS, .classic_histograms_too = true);
}

static void limited(void **state)
{
    static const struct row TEXTS[] = {
        {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 3\n# TYPE g gauge\ng 1\n",
         "T h 3\n! line 2, column 1: histogram bucket limit exceeded\n"},
        {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 3\n",
         "T h 3\n! line 2, column 1: histogram bucket limit exceeded\n"},
        {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2\"} 2\nh_bucket{le=\"+Inf\"} 2\n", /* the empty one does not count */
         "T h 3\nh {i 2 sum=0 s=-53 zt=0 z=0 +[0+2: 1 1] le=[1 2]}\n"},
    };
    (void)state;
    CHECK(TEXTS, .bucket_limit = 2);
}

/* ---- by hand ---- */

struct bed {
    struct ear ear;
    struct nhcb *n;
    struct exposition_handler in;
};

static void bed_init(struct bed *b, bool classic_too)
{
    struct exposition_options options = {.nhcb = true, .classic_histograms_too = classic_too};
    struct exposition_handler handler = {ear_sample, ear_type, ear_help, ear_unit, &b->ear};
    memset(b, 0, sizeof *b);
    buf_init(&b->ear.out, 1 << 20);
    b->n = nhcb_new();
    nhcb_begin(b->n, &options, &handler, &b->in);
    assert_true(b->in.on_type(b->in.ctx, STR("h"), BLOCK_HISTOGRAM));
}

static void bed_free(struct bed *b)
{
    nhcb_free(b->n);
    buf_free(&b->ear.out);
}

static bool say(struct bed *b, const char *series, double v, const char *id, int64_t exemplar_ts)
{
    struct label label = {STR("id"), str_of(id)};
    struct exposition_exemplar e = {&label, 1, 0.25, exemplar_ts != 0, exemplar_ts};
    char *text = xstrdup(series), *name = id ? xstrdup(id) : NULL; /* gone when the call is over */
    label.value = str_of(name);
    struct exposition_sample s = {.series = str_of(text), .value = v, .exemplars = &e, .exemplars_n = id != NULL};
    bool ok = b->in.on_sample(b->in.ctx, &s);
    free(text);
    free(name);
    return ok;
}

static void say_created(struct bed *b, uint32_t started)
{
    struct exposition_sample s = {.series = STR("h_created"), .value = 5, .start_ts_ms = 5000, .started = started};
    assert_true(b->in.on_sample(b->in.ctx, &s));
}

static void exemplars(void **state)
{
    struct bed b;
    struct err err = {0};
    (void)state;
    bed_init(&b, false);
    assert_true(say(&b, "h_bucket{le=\"1\"}", 1, "late", 9));
    assert_true(say(&b, "h_bucket{le=\"2\"}", 2, "early", 8));
    assert_true(say(&b, "h_bucket{le=\"3\"}", 3, "untimed", 0));
    assert_true(say(&b, "h_count", 3, NULL, 0));
    assert_true(say(&b, "h_count{a=\"b\"}", 1, NULL, 0)); /* gets none of the first */
    assert_true(nhcb_finish(b.n, &err));
    assert_string_equal(buf_c(&b.ear.out),
                        "T h 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[0+3: 1 1 1] le=[1 2 3]}"
                        " #{id=\"early\"} 0.25 @8 #{id=\"late\"} 0.25 @9\n"
                        "h{a=\"b\"} {i 1 sum=0 s=-53 zt=0 z=0 +[0+1: 1]}\n");
    bed_free(&b);
}

/* A start time is meant for the samples before it: those that the handler behind has heard. */
static void start_times(void **state)
{
    static const struct {
        bool classic_too, broken;
        const char *want;
    } CASES[] = {
        {false, false, "T h 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[0+2: 1 2] le=[1]}\nh_created 5 ^5000(1)\n"},
        {true, false,
         "T h 3\nh_bucket{le=\"1\"} 1\nh_count 3\nh {i 3 sum=0 s=-53 zt=0 z=0 +[0+2: 1 2] le=[1]}\n"
         "h_created 5 ^5000(3)\n"},
        {false, true, "T h 3\nh_created 5\n"},
        {true, true, "T h 3\nh_bucket{le=\"1\"} 1\nh_count -1\nh_created 5 ^5000(2)\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(CASES); i++) {
        struct bed b;
        struct err err = {0};
        bed_init(&b, CASES[i].classic_too);
        assert_true(say(&b, "h_bucket{le=\"1\"}", 1, NULL, 0));
        assert_true(say(&b, "h_count", CASES[i].broken ? -1 : 3, NULL, 0));
        say_created(&b, 2);
        assert_true(nhcb_finish(b.n, &err));
        assert_string_equal(buf_c(&b.ear.out), CASES[i].want);
        bed_free(&b);
    }
}

/* The same through the parser of OpenMetrics; gauge histograms stay as they are. */
static void openmetrics(void **state)
{
    static const struct row TEXTS[] = {
        {"# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {id=\"a\"} 0.5 7\nh_bucket{le=\"+Inf\"} 3 # {id=\"b\"} 9\n"
         "h_sum 4\nh_count 3\nh_created 5\nh_bucket{a=\"b\",le=\"+Inf\"} 2\nh_count{a=\"b\"} 2\n# EOF\n",
         "T h 3\nh {i 3 sum=4 s=-53 zt=0 z=0 +[0+2: 1 2] le=[1]} #{id=\"a\"} 0.5 @7000\nh_created 5 ^5000(1)\n"
         "h{a=\"b\"} {i 2 sum=0 s=-53 zt=0 z=0 +[0+1: 2]}\n"},
        {"# TYPE h gaugehistogram\nh_bucket{le=\"+Inf\"} 3\nh_gsum 1\nh_gcount 3\n# EOF\n",
         "T h 4\nh_bucket{le=\"+Inf\"} 3\nh_gsum 1\nh_gcount 3\n"},
        {"# TYPE h histogram\nh_count 3\n", "T h 3\n! line 3, column 1: data does not end with # EOF\n"},
    };
    (void)state;
    CHECK(TEXTS, .nhcb = true, .format = EXPOSITION_OPENMETRICS);
}

static void stops(void **state)
{
    struct bed b;
    struct err err = {0};
    (void)state;
    bed_init(&b, false);
    b.ear.stop_after = 1;
    assert_true(say(&b, "h_count", 1, NULL, 0));
    assert_false(say(&b, "h_count{a=\"b\"}", 1, NULL, 0)); /* the first histogram is heard, and no more wanted */
    assert_false(nhcb_failed(b.n, &err));
    assert_int_equal(b.ear.samples, 1);
    bed_free(&b);
}

static void many_buckets(void **state)
{
    static const struct {
        int n;
        bool made;
    } CASES[] = {{9999, true}, {10000, true}, {10001, false}};
    (void)state;
    for (size_t k = 0; k < ROWS(CASES); k++) {
        struct bed b;
        struct err err = {0};
        char text[64];
        bed_init(&b, false);
        for (int i = CASES[k].n; i > 0; i--) { /* downwards, so that they must be sorted */
            snprintf(text, sizeof text, "h_bucket{le=\"%d\"}", i);
            assert_true(say(&b, text, i, NULL, 0));
        }
        assert_true(nhcb_finish(b.n, &err));
        assert_int_equal(b.ear.samples, CASES[k].made);
        bed_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made),      cmocka_unit_test(left_alone),  cmocka_unit_test(both),  cmocka_unit_test(limited),
        cmocka_unit_test(exemplars), cmocka_unit_test(start_times), cmocka_unit_test(stops),
        cmocka_unit_test(many_buckets), cmocka_unit_test(openmetrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
