/* SPDX-License-Identifier: Apache-2.0 */
/* test_find: what the scrape tester finds in bodies whose every line can be read: the order of lines, and how findings
   are counted, kept, ignored and told. */
#include "find_bed.h"

#define DUPLICATE "duplicate-series 3/1 a{b=\"1\"}: the same series again\n"

static const struct find_row ORDER[] = {
    {"", ""},
    {"# HELP a x\n# TYPE a counter\na 1\na{b=\"1\"} 2\n# TYPE c gauge\nc 1\n", ""},
    {"# TYPE c gauge\n# TYPE d gauge\n", ""},
    {"a{b=\"1\"} 1\na{b=\"2\"} 1\na{b=\"1\"} 1\n", DUPLICATE},
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
    {"h_bucket{le=\"1\"} 1\n# TYPE h histogram\n", "metadata-after-samples 2/1 h: TYPE after its samples\n"},
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
        {"# TYPE a counter\na_total 1\n# TYPE b gauge\nb 1\na_total{x=\"2\"} 1\n# EOF\n",
         "split-family 5/2 a: goes on after samples of others\n"},
    };
    (void)state;
    bed_rows(rows, ROWS(rows), EXPOSITION_OPENMETRICS);
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
        finding_set set;
        assert_true(finding_set_parse(str_of(rows[i].ignore), &set, NULL));
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
        finding_set set;
        struct err err = {0};
        assert_false(finding_set_parse(str_of(rows[i]), &set, &err));
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
        cmocka_unit_test(test_keeps_some_and_counts_all),
        cmocka_unit_test(test_ignores),
        cmocka_unit_test(test_wrong_rules),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_junit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
