/* SPDX-License-Identifier: Apache-2.0 */
/* test_find: what the scrape tester finds in bodies whose every line can be read: the order of lines, and how findings
   are counted, kept, ignored and told. */
#include "find_bed.h"

struct find_row {
    const char *body, *want;
};

static void bed_rows(const struct find_row *rows, size_t n, enum exposition_format format)
{
    for (size_t i = 0; i < n; i++) {
        struct find_bed b;
        bed_open(&b, 0);
        bed_scrape(&b, format, rows[i].body, strlen(rows[i].body), (struct scrape_done){0});
        char *got = bed_findings(&b);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("of\n%s\ngot:\n%s\nwant:\n%s", rows[i].body, got, rows[i].want);
        free(got);
        bed_close(&b);
    }
}

#define DUPLICATE "duplicate-series 3/1 a{b=\"1\"}: the same series again\n"

static const struct find_row ORDER[] = {
    {"", ""},
    {"# HELP a x\n# TYPE a counter\na 1\na{b=\"1\"} 2\n# TYPE c gauge\nc 1\n", ""},
    {"# TYPE c gauge\n# TYPE d gauge\n", ""},
    {"a{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1\n", DUPLICATE},
    /* points of one series, and one of them again */
    {"a 1 1000\na 2 2000\na 3 3000\na 4 2000\n",
     "duplicate-series 4/1 a: the same series again\n"
     "timestamp 1 : 4 samples, the first one here\n"},
    {"a 1\na 2 2000\na 3\n",
     "duplicate-series 3/1 a: the same series again\n"
     "timestamp 2 : 1 sample, the first one here\n"},
    {"a 1\nb 1\nb{x=\"y\"} 1\na 1\n",
     "duplicate-series 4/1 a: the same series again\n"
     "split-family 4/1 a: goes on after samples of others\n"},
    /* once for each family, however often it is taken up */
    {"a{b=\"1\"} 1\nc 1\na{b=\"2\"} 1\nc{b=\"2\"} 1\na{b=\"3\"} 1\n",
     "split-family 3/1 a: goes on after samples of others\n"
     "split-family 4/2 c: goes on after samples of others\n"},
    {"a 1\n# TYPE a counter\n", "metadata-after-samples 2/1 a: TYPE after its samples\n"},
    {"a 1\n# HELP a later\n", ""},
    {"# TYPE a counter\na 1\n# TYPE a counter\n", "metadata-twice 3/1 a: a second TYPE\n"},
    {"# HELP a x\n# HELP a x\na 1\n", "metadata-twice 2/1 a: a second HELP\n"},
    {"h_bucket{le=\"+Inf\"} 1\n# TYPE h histogram\n", "metadata-after-samples 2/1 h: TYPE after its samples\n"},
    {"s_sum 1\ns_count 1\n# TYPE s summary\n", "metadata-after-samples 3/2 s: TYPE after its samples\n"},
    {"g_sum 1\n# TYPE g gauge\ng 1\n", ""},
    /* the parts of a histogram that nobody called one */
    {"h_bucket{a=\"1\"} 1\nh_sum{a=\"1\"} 1\nh_bucket{a=\"2\"} 1\nh_sum{a=\"2\"} 1\n", ""},
    {"# TYPE s summary\ns{a=\"1\",quantile=\"1\"} 1\ns_sum{a=\"1\"} 1\ns_count{a=\"1\"} 1\n"
     "s{a=\"2\",quantile=\"1\"} 1\ns_sum{a=\"2\"} 1\ns_count{a=\"2\"} 1\n",
     ""},
};

static void test_order(void **state)
{
    (void)state;
    bed_rows(ORDER, ROWS(ORDER), EXPOSITION_TEXT);
}

static void test_openmetrics(void **state)
{
    static const struct find_row rows[] = {
        {"# TYPE a counter\na_total{x=\"1\"} 1\na_created{x=\"1\"} 1\na_total{x=\"2\"} 1\n# EOF\n", ""},
        {"# TYPE h gaugehistogram\nh_bucket{le=\"+Inf\"} 3\nh_gcount 3\nh_gsum 4\n# EOF\n", ""},
        {"# TYPE h gaugehistogram\nh_bucket{le=\"+Inf\"} 3\nh_gsum 4\n# EOF\n",
         "no-count 2 h_bucket{le=\"+Inf\"}: h_gcount is missing\n"},
        {"# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\na_total{x=\"2\"} 1\n# EOF\n",
         "split-family 5/2 a: goes on after samples of others\n"},
    };
    (void)state;
    bed_rows(rows, ROWS(rows), EXPOSITION_OPENMETRICS);
}

#define H "# TYPE h histogram\n"
#define H_END "h_sum 9\nh_count 4\n"
#define S "# TYPE s summary\n"

static const struct find_row BUCKETS[] = {
    {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"2.5\"} 3\nh_bucket{le=\"+Inf\"} 4\n" H_END, ""},
    {H "h_bucket{le=\"1\"} 0\nh_bucket{le=\"2\"} 0\nh_bucket{le=\"+Inf\"} 0\nh_sum 0\nh_count 0\n", ""},
    {H "h_bucket{le=\"1\"} 3\nh_bucket{le=\"2.5\"} 2\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "buckets-fall 3/2 h_bucket{le=\"2.5\"}: 2 up to 2.5, but 3 up to 1\n"},
    {H "h_bucket{le=\"2\"} 3\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "buckets-unordered 3/2 h_bucket{le=\"1\"}: the bound 1 after 2\n"},
    {H "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "buckets-fall 3/2 h_bucket{le=\"1\"}: 2 up to 1, but 1 up to 2\n"
     "buckets-unordered 3/2 h_bucket{le=\"1\"}: the bound 1 after 2\n"},
    {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"1.0\"} 1\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "bucket-twice 3/2 h_bucket{le=\"1.0\"}: the bound 1 again\n"},
    {H "h_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "duplicate-series 3/2 h_bucket{le=\"1\"}: the same series again\n"},
    {H "h_bucket{le=\"x\"} 1\nh_bucket{a=\"b\"} 1\nh_bucket{le=\"+Inf\"} 4\n" H_END,
     "bucket-bound 2 h_bucket{le=\"x\"}: le is not a number\n"
     "bucket-bound 3 h_bucket{a=\"b\"}: no label le\n"
     "no-buckets 3 h_bucket{a=\"b\"}: h_bucket is missing\n"
     "no-sum 3 h_bucket{a=\"b\"}: h_sum is missing\n"
     "no-count 3 h_bucket{a=\"b\"}: h_count is missing\n"},
    {H "h_bucket{le=\"1\"} 4\n" H_END, "no-inf-bucket 2 h_bucket{le=\"1\"}: the last bucket ends at 1\n"},
    {H "h_bucket{le=\"+Inf\"} 5\n" H_END,
     "inf-is-not-count 4/2 h_bucket{le=\"+Inf\"}: 4 counted, but 5 in the bucket +Inf\n"},
    {H H_END, "no-buckets 2 h_sum: h_bucket is missing\n"},
    {H "h_bucket{le=\"+Inf\"} 4\nh_count 4\n", "no-sum 2 h_bucket{le=\"+Inf\"}: h_sum is missing\n"},
    {H "h_bucket{le=\"+Inf\"} 4\nh_sum 4\n", "no-count 2 h_bucket{le=\"+Inf\"}: h_count is missing\n"},
    {H "h_bucket{le=\"+Inf\"} 4\nh 4\n" H_END,
     "bare-histogram 3 h: neither _bucket, _sum nor _count of a histogram\n"},
    /* whose parts stand apart, with labels in another order */
    {H "h_bucket{a=\"1\",b=\"2\",le=\"+Inf\"} 4\nh_bucket{a=\"2\",b=\"1\",le=\"+Inf\"} 5\n"
       "h_sum{b=\"1\",a=\"2\"} 1\nh_sum{b=\"2\",a=\"1\"} 1\n"
       "h_count{a=\"2\",b=\"1\"} 5\nh_count{a=\"1\",b=\"2\"} 4\n",
     ""},
    /* VictoriaMetrics's own */
    {H "h_bucket{a=\"b\",vmrange=\"1e-9...1e-8\"} 1\nh_sum{a=\"b\"} 9\nh_count{a=\"b\"} 4\n", ""},
    {S "s{quantile=\"0.5\"} 1\ns{quantile=\"1\"} NaN\ns_sum 9\ns_count 4\n", ""},
    {S "s_sum 9\ns_count 4\n", ""},
    {S "s 1\ns{quantile=\"50\"} 1\ns{quantile=\"p50\"} 1\ns_sum 9\ns_count 4\n",
     "quantile 2 s: no label quantile\n"
     "quantile 3 s{quantile=\"50\"}: quantile is not a number from 0 to 1\n"
     "quantile 4 s{quantile=\"p50\"}: quantile is not a number from 0 to 1\n"},
    {S "s{quantile=\"1\"} 1\n",
     "no-sum 2 s{quantile=\"1\"}: s_sum is missing\n"
     "no-count 2 s{quantile=\"1\"}: s_count is missing\n"},
    /* nobody said that it is a histogram: only its buckets are looked at */
    {"h_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\n",
     "buckets-fall 2/1 h_bucket{le=\"2\"}: 1 up to 2, but 2 up to 1\n"
     "no-inf-bucket 1 h_bucket{le=\"1\"}: the last bucket ends at 2\n"},
    {"fire_bucket 1\n# TYPE g gauge\ng{le=\"1\"} 2\n", ""},
};

static void test_buckets(void **state)
{
    (void)state;
    bed_rows(BUCKETS, ROWS(BUCKETS), EXPOSITION_TEXT);
}

/* Of half a body nobody says what is missing. */
static void test_half_a_body(void **state)
{
    static const char body[] = H "h_bucket{le=\"1\"} 3\nh_bucket{le=\"2\"} 2\n";
    static const char *const wants[] = {
        "buckets-fall 3/2 h_bucket{le=\"2\"}: 2 up to 2, but 3 up to 1\n",
        "buckets-fall 3/2 h_bucket{le=\"2\"}: 2 up to 2, but 3 up to 1\n"
        "no-inf-bucket 2 h_bucket{le=\"1\"}: the last bucket ends at 2\n"
        "no-sum 2 h_bucket{le=\"1\"}: h_sum is missing\nno-count 2 h_bucket{le=\"1\"}: h_count is missing\n",
    };
    (void)state;
    for (int refused = 0; refused < 2; refused++) { /* of a type that the agent refuses it is whole */
        struct find_bed b;
        struct probe_result probe = {.type = refused ? PROBE_TYPE_REFUSED : PROBE_TYPE_GOOD};
        err_set(&probe.error, "something");
        bed_open(&b, 0);
        bed_scrape(&b, EXPOSITION_TEXT, body, sizeof body - 1, (struct scrape_done){.probe = &probe});
        char *got = bed_findings(&b);
        assert_string_equal(got, wants[refused]);
        free(got);
        bed_close(&b);
    }
}

static void test_many_histograms(void **state)
{
    struct find_bed b;
    struct buf body;
    (void)state;
    buf_init(&body, 64 << 20);
    for (int i = 0; i < 65537; i++)
        buf_addf(&body, "h_bucket{i=\"%d\",le=\"+Inf\"} 1\n", i);
    bed_open(&b, 0);
    bed_scrape(&b, EXPOSITION_TEXT, body.p, body.n, (struct scrape_done){0});
    char *got = bed_findings(&b);
    assert_string_equal(got, "not looked at: histograms and summaries after the first 65536\n");
    free(got);
    bed_close(&b);
    buf_free(&body);
}

#define C "# TYPE c counter\n"

static const struct find_row VALUES[] = {
    {C "c 0\nc{a=\"1\"} 9007199254740991\n"
       "# TYPE g gauge\ng -1\ng{a=\"1\"} NaN\ng{a=\"2\"} 1e300\ng{a=\"3\"} -Inf\n", ""},
    {C "c -1\nc{a=\"1\"} NaN\nc{a=\"2\"} +Inf\n",
     "counter-value 2 c: is negative: -1\ncounter-value 3 c{a=\"1\"}: is not a number\n"},
    {H "h_bucket{le=\"+Inf\"} -1\nh_sum -5\nh_count -1\n",
     "counter-value 2 h_bucket{le=\"+Inf\"}: is negative: -1\ncounter-value 4 h_count: is negative: -1\n"},
    {"a 9007199254740993\nb 9007199254740994\nc -9007199254740993\nd +0009007199254740993 5\ne 1.7e18\n"
     "f 9007199254740993.5\n",
     "precision 1 a: 9007199254740993 becomes 9007199254740992\n"
     "precision 3 c: 9007199254740993 becomes 9007199254740992\n"
     "precision 4 d: 9007199254740993 becomes 9007199254740992\n"
     "timestamp 4 : 1 sample, the first one here\n"},
    {C "c 18014398509481984\n", "precision 2 c: 18014398509481984: one more is not seen any more\n"},
    {"a{b=\"c\"} \t12345678901234567168\r\n", ""},
    {"a{b=\"c\"} \t12345678901234567891\r\n",
     "precision 1 a{b=\"c\"}: 12345678901234567891 becomes 12345678901234567168\n"},
    {"a 9007199254740993", "precision 1 a: 9007199254740993 becomes 9007199254740992\n"},
};

static void test_values(void **state)
{
    (void)state;
    bed_rows(VALUES, ROWS(VALUES), EXPOSITION_TEXT);
}

static const struct find_row NAMES[] = {
    {"{\"a\\\"b\"} 1\n", "quoted-name 1 a\"b: a metric, in queries {\"a\\\"b\"}\n"},
    {"a:b{c=\"1\"} 1\n", ""},
    {"{\"a.b\",c=\"1\"} 1\n{\"a.b\",c=\"2\"} 1\na{\"c.d\"=\"1\",\"a.b\"=\"2\"} 1\n",
     "quoted-name 1 a.b: a metric, in queries {\"a.b\"}\n"
     "quoted-name 3 c.d: a label, in queries {\"c.d\"=\"...\"}\n"
     "quoted-name 3 a.b: a label, in queries {\"a.b\"=\"...\"}\n"},
};

static void test_names(void **state)
{
    (void)state;
    bed_rows(NAMES, ROWS(NAMES), EXPOSITION_TEXT);
}

/* Labels that the target has too. */
static void test_clashes(void **state)
{
    static const char body[] = "a{job=\"x\",b=\"y\"} 1\na{job=\"z\"} 2\n";
    struct label labels[] = {{STR("instance"), STR("i")}, {STR("job"), STR("j")}};
    struct target target = {.labels = labels, .labels_n = 2};
    (void)state;
    for (int honor = 0; honor < 2; honor++) {
        struct find_bed b;
        bed_open(&b, 0);
        b.job.honor_labels = honor;
        b.subject.target = &target;
        bed_scrape(&b, EXPOSITION_TEXT, body, sizeof body - 1, (struct scrape_done){0});
        char *got = bed_findings(&b);
        assert_string_equal(got, honor ? "label-clash 1 job: replaces the target's job (honor_labels)\n"
                                       : "label-clash 1 job: becomes exported_job\n");
        free(got);
        bed_close(&b);
    }
}

/* Our clock shows 2026-01-01 00:00:00 UTC. */
#define NOW_MS INT64_C(1767225600000)
#define EXPLICIT "timestamp 1 : 1 sample, the first one here\n"

static const struct {
    const char *body, *date, *want;
    enum exposition_format format;
    bool file, ignored;
} TIMES[] = {
    {"a 1 1767225600000\n", "Thu, 01 Jan 2026 00:00:00 GMT", EXPLICIT, EXPOSITION_TEXT, false, false},
    {"a 1\n", "Wed, 31 Dec 2025 23:59:55 GMT", "", EXPOSITION_TEXT, false, false},
    {"a 1\n", "Wed, 31 Dec 2025 23:59:50 GMT", "clock-skew 0 Date: the target's clock is 9 seconds behind ours\n",
     EXPOSITION_TEXT, false, false},
    {"a 1\n", "Thu, 01 Jan 2026 00:01:00 GMT", "clock-skew 0 Date: the target's clock is 58 seconds ahead of ours\n",
     EXPOSITION_TEXT, false, false},
    {"a 1\n", "yesterday", "", EXPOSITION_TEXT, false, false},
    {"a 1 1767225299000\na{b=\"c\"} 1 1767225000000\n", "",
     "timestamp 1 : 2 samples, the first one here\n"
     "timestamp-stale 2 a{b=\"c\"}: 602 seconds before now, the furthest of 2 with a time\n",
     EXPOSITION_TEXT, false, false},
    {"a 1 1767225700000\n", "", EXPLICIT "timestamp-future 1 a: 98 seconds after now, the furthest of 1 with a time\n",
     EXPOSITION_TEXT, false, false},
    {"a 1 1767225600\n", "", EXPLICIT "timestamp-stale 1 a: it is in seconds: this format has milliseconds\n",
     EXPOSITION_TEXT, false, false},
    {"a 1 1767225600000000\n", "",
     EXPLICIT "timestamp-future 1 a: it is in microseconds: this format has milliseconds\n",
     EXPOSITION_TEXT, false, false},
    {"a 1 1767225600\n# EOF\n", "", EXPLICIT, EXPOSITION_OPENMETRICS, false, false},
    {"a 1 1767225600000\n# EOF\n", "",
     EXPLICIT "timestamp-future 1 a: it is in milliseconds: this format has seconds\n", EXPOSITION_OPENMETRICS, false,
     false},
    {"a 1 5\n", "", EXPLICIT, EXPOSITION_TEXT, true, false},
    {"a 1 5\n", "", "timestamp 1 : 1 sample, the first one here, left out: honor_timestamps is false\n",
     EXPOSITION_TEXT, false, true},
};

/* The answer came two seconds after the request. */
static void test_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(TIMES); i++) {
        struct find_bed b;
        struct probe_result probe = {.http = !TIMES[i].file, .seconds = 2};
        snprintf(probe.date, sizeof probe.date, "%s", TIMES[i].date);
        bed_open(&b, 0);
        b.job.honor_timestamps = !TIMES[i].ignored;
        struct scrape_done done = {.probe = &probe, .started_ms = NOW_MS};
        bed_scrape(&b, TIMES[i].format, TIMES[i].body, strlen(TIMES[i].body), done);
        char *got = bed_findings(&b);
        if (strcmp(got, TIMES[i].want) != 0)
            fail_msg("of\n%s\ngot:\n%s\nwant:\n%s", TIMES[i].body, got, TIMES[i].want);
        free(got);
        bed_close(&b);
    }
}

static const char MANY[] = "a 1\na 1\na 1\na 1\na 1\na 1\n";

static void test_keeps_some_and_counts_all(void **state)
{
    struct find_bed b;
    (void)state;
    bed_open(&b, 0);
    for (int round = 0; round < 2; round++) { /* each body is looked at alone */
        bed_scrape(&b, EXPOSITION_TEXT, MANY, sizeof MANY - 1, (struct scrape_done){0});
        char *got = bed_findings(&b);
        assert_string_equal(got, "duplicate-series 2/1 a: the same series again\n"
                                 "duplicate-series 3/1 a: the same series again\n"
                                 "duplicate-series 4/1 a: the same series again\n"
                                 "duplicate-series and 2 more\n");
        free(got);
        assert_int_equal(b.find.findings(b.find.watcher.ctx), 5);
    }
    bed_close(&b);
}

static void test_ignores(void **state)
{
    static const struct {
        const char *ignore;
        size_t problems;
    } rows[] = {{"none", 5}, {"all", 0}, {"duplicate-series", 0}, {"split-family,metadata-twice", 5},
                {"metadata-twice,duplicate-series", 0}};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct find_bed b;
        rule_set set;
        assert_true(finding_rules_parse(str_of(rows[i].ignore), &set, NULL));
        bed_open(&b, set);
        bed_scrape(&b, EXPOSITION_TEXT, MANY, sizeof MANY - 1, (struct scrape_done){0});
        assert_int_equal(b.find.findings(b.find.watcher.ctx), rows[i].problems);
        bed_close(&b);
    }
}

static void test_wrong_rules(void **state)
{
    static const char *const rows[] = {"",         "x", "duplicate-series,", "duplicate-series,y", "Duplicate-series",
                                       "all,all"};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        rule_set set;
        struct err err = {0};
        assert_false(finding_rules_parse(str_of(rows[i]), &set, &err));
        assert_non_null(strstr(err.msg, "there is no rule \""));
    }
}

static void test_text(void **state)
{
    struct find_bed b;
    struct paint plain = {.on = false};
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    bed_open(&b, 0);
    bed_scrape(&b, EXPOSITION_TEXT, MANY, sizeof MANY - 1, (struct scrape_done){0});
    b.find.text(b.find.watcher.ctx, &plain, &out);
    assert_string_equal(buf_c(&out),
                        "findings: 5 problems, 0 hints\n"
                        "  duplicate-series: 5 (of samples of one series at one time all but one are lost)\n"
                        "    line 2, see line 1: a: the same series again\n"
                        "    line 3, see line 1: a: the same series again\n"
                        "    line 4, see line 1: a: the same series again\n"
                        "    and 2 more\n");
    buf_free(&out);
    bed_close(&b);
}

static void add_case(void *to, const char *name, const char *failure)
{
    buf_addf(to, "%s: %s\n", name, failure ? failure : "passed");
}

static void test_junit(void **state)
{
    struct find_bed b;
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    bed_open(&b, 0);
    bed_scrape(&b, EXPOSITION_TEXT, MANY, sizeof MANY - 1, (struct scrape_done){0});
    b.find.junit(b.find.watcher.ctx, add_case, &out);
    assert_non_null(strstr(buf_c(&out), "duplicate-series:     line 2, see line 1: a: the same series again\n"));
    assert_non_null(strstr(buf_c(&out), "    and 2 more\n"));
    assert_non_null(strstr(buf_c(&out), "split-family: passed\n"));
    buf_free(&out);
    bed_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_buckets),
        cmocka_unit_test(test_half_a_body),
        cmocka_unit_test(test_many_histograms),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_clashes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_keeps_some_and_counts_all),
        cmocka_unit_test(test_ignores),
        cmocka_unit_test(test_wrong_rules),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_junit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
