/* SPDX-License-Identifier: Apache-2.0 */
/* test_lint: promtool's findings, from text to wording; and what the survey of a body counts. */
#include "unit.h"

#include "agent/command/lint.h"

#include "agent/command/report.h"
#include "agent/command/survey.h"

/* The sorted findings of an exposition, one a line. */
static void lint_in(enum exposition_format format, const char *exposition, const char *want)
{
    struct survey *s = survey_new(20);
    struct survey_counts counts;
    struct probe_result probe = {0};
    struct buf out;
    buf_init(&out, 1 << 20);
    survey_begin(s, format);
    survey_feed(s, exposition, strlen(exposition));
    survey_finish(s);
    survey_counts(s, &counts);
    assert_int_equal(counts.errors, 0);
    struct report report = {.name = "test", .probe = &probe, .counts = &counts, .lint_rules = RULE_SET_ALL};
    report_lint(&report, &out);
    assert_string_equal(buf_c(&out), want);
    buf_free(&out);
    survey_free(s);
}

static void lint(const char *exposition, const char *want)
{
    lint_in(EXPOSITION_TEXT, exposition, want);
}

/* Counters are families without their suffix there: the rules are about the names of samples. */
static void test_openmetrics(void **state)
{
    static const char good[] = "# TYPE x counter\n# HELP x t\nx_total 1\nx_created 1\n# EOF\n";
    static const char odd[] = "# TYPE x_total counter\n# HELP x_total t\nx_total_total 1\n# EOF\n";
    (void)state;
    lint_in(EXPOSITION_OPENMETRICS, good, "");
    lint_in(EXPOSITION_OPENMETRICS, odd, "");
    lint_in(EXPOSITION_OPENMETRICS, "# TYPE x gauge\nx 1\n# EOF\n", "x no help text\n");
    lint_in(EXPOSITION_OPENMETRICS, "# TYPE x_b counter\nx_b_total 1\n# EOF\n",
            "x_b_total metric names should not contain abbreviated units\nx_b_total no help text\n");
}

static void test_help(void **state)
{
    (void)state;
    lint("# HELP x text\nx 1\n", "");
    lint("x 1\n", "x no help text\n");
    lint("# HELP x \nx 1\n", "x no help text\n");
    lint("# HELP x text\n# TYPE y gauge\n", ""); /* families without samples are not there */
}

/* A gauge of this name with help. */
static void name(const char *metric, const char *want)
{
    char text[256];
    snprintf(text, sizeof text, "# HELP %s text\n# TYPE %s gauge\n%s 1\n", metric, metric, metric);
    lint(text, want);
}

static void test_units(void **state)
{
    (void)state;
    name("x_seconds", "");
    name("x_bytes_y", "");
    name("thermometers", "");
    name("x_milliseconds", "x_milliseconds use base unit \"seconds\" instead of \"milliseconds\"\n");
    name("x_kilometers_y", "x_kilometers_y use base unit \"meters\" instead of \"kilometers\"\n");
    name("x_metres", "");
    name("x_days", "x_days use base unit \"seconds\" instead of \"days\"\n");
    name("x_mibibytes", "x_mibibytes use base unit \"bytes\" instead of \"mibibytes\"\n");
    name("x_mebibytes", "");
    name("x_kelvin", "");
    name("x_kelvins", "x_kelvins use base unit \"kelvin\" instead of \"kelvins\"\n");
    name("x_seconds_minutes", ""); /* the first unit decides */
}

static void test_names(void **state)
{
    (void)state;
    name("x_ms", "x_ms metric names should not contain abbreviated units\n");
    name("x_s_y", "x_s_y metric names should not contain abbreviated units\n");
    name("x_KB", "x_KB metric names should not contain abbreviated units\n");
    name("ms_x", "");
    name("x_ms_s", "x_ms_s metric names should not contain abbreviated units\n"
                   "x_ms_s metric names should not contain abbreviated units\n");
    name("a:b", "a:b metric names should not contain ':'\n");
    name("fooBar", "fooBar metric names should be written in 'snake_case' not 'camelCase'\n");
    name("x_gauge", "x_gauge metric name should not include type 'gauge'\n");
    name("x_Counter_y", "x_Counter_y metric name should not include type 'counter'\n");
    name("x_gauge_histogram", "x_gauge_histogram metric name should not include type 'gauge'\n"
                              "x_gauge_histogram metric name should not include type 'gauge_histogram'\n"
                              "x_gauge_histogram metric name should not include type 'histogram'\n");
    name("x_untyped", "");
    name("x_total", "x_total non-counter metrics should not have \"_total\" suffix\n");
    name("x_bucket", "x_bucket non-histogram metrics should not have \"_bucket\" suffix\n");
    name("x_count", "x_count non-histogram and non-summary metrics should not have \"_count\" suffix\n");
    name("x_sum", "x_sum non-histogram and non-summary metrics should not have \"_sum\" suffix\n");
}

static void test_types(void **state)
{
    (void)state;
    lint("# HELP x t\n# TYPE x counter\nx 1\n", "x counter metrics should have \"_total\" suffix\n");
    lint("# HELP x_total t\n# TYPE x_total counter\nx_total 1\n", "");
    lint("# HELP x_total t\nx_total 1\n", ""); /* untyped: anything goes */
    lint("# HELP x t\nx{le=\"1\",quantile=\"2\"} 1\n", "");
    lint("# HELP x t\n# TYPE x gauge\nx{le=\"1\"} 1\nx{quantile=\"2\"} 1\n",
         "x non-histogram metrics should not have \"le\" label\n"
         "x non-summary metrics should not have \"quantile\" label\n");
    lint(
        "# HELP h t\n# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n",
        "");
    lint("# HELP s t\n# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_sum 1\ns_count 1\n", "");
    lint("# HELP s t\n# TYPE s summary\ns{le=\"0.5\"} 1\n",
         "s non-histogram metrics should not have \"le\" label\n");
    lint("# HELP h t\n# TYPE h histogram\nh_bucket{quantile=\"1\",le=\"1\"} 1\n",
         "h non-summary metrics should not have \"quantile\" label\n");
}

static void test_labels(void **state)
{
    (void)state;
    lint("# HELP x t\nx{aB=\"1\",cD=\"2\",ab=\"3\"} 1\nx{aB=\"2\"} 1\n",
         "x label names should be written in 'snake_case' not 'camelCase'\n"
         "x label names should be written in 'snake_case' not 'camelCase'\n"
         "x label names should be written in 'snake_case' not 'camelCase'\n");
    lint("# HELP h t\n# TYPE h histogram\nh_bucket{aB=\"1\",le=\"1\"} 1\nh_bucket{aB=\"1\",le=\"2\"} "
         "1\nh_sum{aB=\"1\"} 1\n",
         "h label names should be written in 'snake_case' not 'camelCase'\n");
    lint("# HELP x t\nx{a=\"1\"} 1\nx{a=\"1\"} 2\nx{a=\"1\"} 3\nx 1\n",
         "x metric not unique\nx metric not unique\n");
}

static void test_survey(void **state)
{
    (void)state;
    static const char text[] = "# HELP a x\n"
                               "a{b=\"1\",c=\"2\"} 1\n"
                               "a{c=\"2\",b=\"1\"} 2\n"
                               "bad\n"
                               "a{b=\"1\"} nonsense\n"
                               "a{b=\"1\",b=\"2\"} 3\n"
                               "b 4 1700000000000\n"
                               "\n"
                               "c 5";
    struct survey *s = survey_new(2);
    struct survey_counts c;
    for (size_t i = 0; i < sizeof text - 1; i++)
        survey_feed(s, text + i, 1);
    survey_finish(s);
    survey_counts(s, &c);
    assert_int_equal(c.samples, 4);
    assert_int_equal(c.series, 3);
    assert_int_equal(c.families_n, 3);
    assert_int_equal(c.with_timestamp, 1);
    assert_int_equal(c.duplicates, 1);
    assert_int_equal(c.first_duplicates[0].line, 3);
    assert_int_equal(c.first_duplicates[0].first_line, 2);
    assert_string_equal(c.first_duplicates[0].series, "a{c=\"2\",b=\"1\"}");
    assert_int_equal(c.errors, 3);
    assert_int_equal(c.first_errors_n, 2); /* as many as asked for */
    assert_int_equal(c.first_errors[0].line, 4);
    assert_string_equal(c.first_errors[0].text, "bad");
    assert_int_equal(c.first_errors[1].line, 5);
    assert_int_equal(c.first_errors[1].column, 10);
    survey_free(s);
}

static void test_many_series(void **state)
{
    (void)state;
    struct survey *s = survey_new(1);
    struct survey_counts c;
    for (int i = 0; i < 20000; i++) {
        char line[64];
        int n = snprintf(line, sizeof line, "m%d{i=\"%d\"} 1\n", i % 7, i);
        survey_feed(s, line, (size_t)n);
    }
    survey_finish(s);
    survey_counts(s, &c);
    assert_int_equal(c.series, 20000);
    assert_int_equal(c.level, 0);
    assert_int_equal(c.families_n, 7);
    assert_int_equal(c.duplicates, 0);
    survey_free(s);
}

/* Of more than half a million only some are remembered: a number that is about right, duplicates among them. */
static void test_too_many_series(void **state)
{
    (void)state;
    enum { SERIES = 530000, AGAIN = 20000 };
    struct survey *s = survey_new(1);
    struct survey_counts c;
    struct buf text;
    buf_init(&text, 64 << 20);
    for (int i = 0; i < SERIES + AGAIN; i++)
        buf_addf(&text, "m{i=\"%d\"} 1\n", i < SERIES ? i : i - AGAIN);
    survey_feed(s, text.p, text.n);
    survey_finish(s);
    survey_counts(s, &c);
    assert_int_equal(c.samples, SERIES + AGAIN);
    assert_int_equal(c.level, 1);
    assert_in_range(c.series, SERIES * 99 / 100, SERIES * 101 / 100);
    assert_in_range(c.duplicates, AGAIN / 2 * 95 / 100, AGAIN / 2 * 105 / 100);
    survey_free(s);
    buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openmetrics),
        cmocka_unit_test(test_help),   cmocka_unit_test(test_units),  cmocka_unit_test(test_names),
        cmocka_unit_test(test_types),  cmocka_unit_test(test_labels), cmocka_unit_test(test_survey),
        cmocka_unit_test(test_many_series),
        cmocka_unit_test(test_too_many_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
