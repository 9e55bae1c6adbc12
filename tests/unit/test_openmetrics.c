/* SPDX-License-Identifier: Apache-2.0 */
/* test_openmetrics: bodies of OpenMetrics text and what is heard of them; every body is also fed byte by byte and cut in
   two at every place. */
#include "exposition_ear.h"

#define MAX_LINE 4000

struct row {
    const char *body, *want;
};

static void check(const struct row *rows, size_t n)
{
    static const struct exposition_options OPTIONS = {.format = EXPOSITION_OPENMETRICS};
    for (size_t i = 0; i < n; i++)
        ear_check(rows[i].body, &OPTIONS, MAX_LINE, str_of(rows[i].body), rows[i].want);
}

#define CHECK(rows) check(rows, sizeof(rows) / sizeof *(rows))

static void samples(void **state)
{
    static const struct row ROWS[] = {
        {"# EOF\n", ""},
        {"# EOF", ""},
        {"a 1\n# EOF\n", "a 1\n"},
        {"a{} 1\n# EOF\n", "a{} 1\n"},
        {"a{b=\"c\"} -1.5\n# EOF\n", "a{b=\"c\"} -1.5\n"},
        {"a{b=\"c\",} 1\n# EOF\n", "a{b=\"c\",} 1\n"},
        {"a{b=\"c\",d=\"e\"} NaN\n# EOF\n", "a{b=\"c\",d=\"e\"} NaN\n"},
        {"a +Inf\na -Inf\na 1e3\n# EOF", "a +Inf\na -Inf\na 1000\n"},
        {"a{b=\"}\"} 1\n# EOF\n", "a{b=\"}\"} 1\n"},
        {"a{b=\"#\"} 1\n# EOF\n", "a{b=\"#\"} 1\n"},
        {"a{b=\"\\\"} 1 # {\"} 2\n# EOF\n", "a{b=\"\\\"} 1 # {\"} 2\n"},
        {"a:b_c 1\n# EOF\n", "a:b_c 1\n"},
        {"{\"a.b\",c=\"d\"} 1\n# EOF\n", "{\"a.b\",c=\"d\"} 1\n"},
        {"{\"a.b\"} 1\n# EOF\n", "{\"a.b\"} 1\n"},
        {"a{\"b c\"=\"d\"} 1\n# EOF\n", "a{\"b c\"=\"d\"} 1\n"},
        {"a{b=\"ä\"} 1\n# EOF\n", "a{b=\"ä\"} 1\n"},
        /* seconds, with fractions, cut to milliseconds */
        {"a 1 2\na 1 1.5\na 1 1520879607.7899\na 1 -0.5\n# EOF\n",
         "a 1 @2000\na 1 @1500\na 1 @1520879607789\na 1 @-500\n"},
        {"a 1 1e3\n# EOF\n", "a 1 @1000000\n"},
    };
    (void)state;
    CHECK(ROWS);
}

static void metadata(void **state)
{
    static const struct row ROWS[] = {
        {"# TYPE a counter\n# TYPE b gauge\n# TYPE c histogram\n# TYPE d gaugehistogram\n# TYPE e summary\n"
         "# TYPE f info\n# TYPE g stateset\n# TYPE h unknown\n# EOF\n",
         "T a 1\nT b 2\nT c 3\nT d 4\nT e 5\nT f 6\nT g 7\nT h 0\n"},
        {"# HELP a one\\ntwo \\\"three\\\" \\\\ \\x\n# EOF\n", "H a [one\ntwo \"three\" \\ \\x]\n"},
        {"# HELP a \n# EOF\n", "H a []\n"},
        {"# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n# EOF\n", "T a_bytes 2\nU a_bytes [bytes]\na_bytes 1\n"},
        {"# UNIT a \n# EOF\n", "U a []\n"},
        {"# TYPE \"a.b\" gauge\n{\"a.b\"} 1\n# EOF\n", "T a.b 2\n{\"a.b\"} 1\n"},
    };
    (void)state;
    CHECK(ROWS);
}

static void exemplars(void **state)
{
    static const struct row ROWS[] = {
        {"a 1 # {id=\"x\"} 2\n# EOF\n", "a 1 #{id=\"x\"} 2\n"},
        {"a{b=\"c\"} 1 3 # {id=\"x\"} 2 4.5\n# EOF\n", "a{b=\"c\"} 1 @3000 #{id=\"x\"} 2 @4500\n"},
        {"a 1 # {} 2\n# EOF\n", "a 1 #{} 2\n"},
        {"a 1 # {id=\"x\",t=\"a\\\"b\\n\"} NaN\n# EOF\n", "a 1 #{id=\"x\",t=\"a\\\"b\\n\"} NaN\n"},
        {"a 1 # {id=\"}\",} 2\n# EOF\n", "a 1 #{id=\"}\"} 2\n"},
        {"a 1 # {\"x y\"=\"z\"} 2\n# EOF\n", "a 1 #{\"x y\"=\"z\"} 2\n"},
        {"a 1 # {\"x\"} 2\n# EOF\n", "! line 1, column 11: expected label name, got \"}\"\n"},
        {"a 1 # {id=x} 2\n# EOF\n", "! line 1, column 11: expected label value, got \"x\"\n"},
        {"a 1 # {id=\"x\"}\n# EOF\n", "! line 1, column 15: expected value after exemplar labels, got end of line\n"},
        {"a 1 # {id=\"x\"} y\n# EOF\n",
         "! line 1, column 16: strconv.ParseFloat: parsing \"y\": invalid syntax\n"},
        {"a 1 # {id=\"x\"} 1 NaN\n# EOF\n", "! line 1, column 18: invalid exemplar timestamp nan\n"},
        {"a 1 # {id=\"x\"} 1 2 3\n# EOF\n",
         "! line 1, column 19: expected next entry after exemplar timestamp, got \" \"\n"},
        {"a 1 # {id=\"x\"\n# EOF\n", "! line 1, column 14: expected comma or brace close, got end of line\n"},
    };
    (void)state;
    CHECK(ROWS);
}

static void since_when(void **state)
{
    static const struct row ROWS[] = {
        {"# TYPE c counter\nc_total 1\nc_created 2.5\n# EOF\n", "T c 1\nc_total 1\nc_created 2.5 ^2500(1)\n"},
        {"# TYPE c counter\nc_total{a=\"b\"} 1\nc_created{a=\"b\"} 2\nc_total 1\nc_created 3\n# EOF\n",
         "T c 1\nc_total{a=\"b\"} 1\nc_created{a=\"b\"} 2 ^2000(1)\nc_total 1\nc_created 3 ^3000(1)\n"},
        /* another point's, or nobody's */
        {"# TYPE c counter\nc_total{a=\"b\"} 1\nc_created{a=\"x\"} 2\n# EOF\n",
         "T c 1\nc_total{a=\"b\"} 1\nc_created{a=\"x\"} 2\n"},
        {"# TYPE c counter\nc_created 2\nc_total 1\n# EOF\n", "T c 1\nc_created 2\nc_total 1\n"},
        {"# TYPE c counter\nx 1\nc_created 2\n# EOF\n", "T c 1\nx 1\nc_created 2\n"},
        {"c_total 1\nc_created 2\n# EOF\n", "c_total 1\nc_created 2\n"},
        {"# TYPE c gauge\nc 1\nc_created 2\n# EOF\n", "T c 2\nc 1\nc_created 2\n"},
        {"# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 1\nh_count{a=\"b\"} 1\n"
         "h_sum{a=\"b\"} 1\nh_created{a=\"b\"} 7\nh_bucket{le=\"+Inf\"} 0\nh_created 8\n# EOF\n",
         "T h 3\nh_bucket{a=\"b\",le=\"1\"} 1\nh_bucket{a=\"b\",le=\"+Inf\"} 1\nh_count{a=\"b\"} 1\n"
         "h_sum{a=\"b\"} 1\nh_created{a=\"b\"} 7 ^7000(4)\nh_bucket{le=\"+Inf\"} 0\nh_created 8 ^8000(1)\n"},
        /* the first point has none: what it left is not counted in */
        {"# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\"} 1\nh_sum{a=\"1\"} 1\nh_bucket{a=\"2\",le=\"+Inf\"} 1\n"
         "h_sum{a=\"2\"} 1\nh_created{a=\"2\"} 7\n# EOF\n",
         "T h 3\nh_bucket{a=\"1\",le=\"+Inf\"} 1\nh_sum{a=\"1\"} 1\nh_bucket{a=\"2\",le=\"+Inf\"} 1\n"
         "h_sum{a=\"2\"} 1\nh_created{a=\"2\"} 7 ^7000(2)\n"},
        {"# TYPE s summary\ns{quantile=\"0.5\"} 1\ns_count 2\ns_sum 3\ns_created 4\n# EOF\n",
         "T s 5\ns{quantile=\"0.5\"} 1\ns_count 2\ns_sum 3\ns_created 4 ^4000(3)\n"},
    };
    (void)state;
    CHECK(ROWS);
}

static void refused(void **state)
{
    static const struct row ROWS[] = {
        {"", "! line 1, column 1: data does not end with # EOF\n"},
        {"a 1\n", "a 1\n! line 2, column 1: data does not end with # EOF\n"},
        {"a 1", "! line 1, column 4: data does not end with # EOF\n"},
        {"# EOF\na 1\n", "! line 2, column 1: unexpected data after # EOF\n"},
        {"# EOF\n\n", "! line 2, column 1: unexpected data after # EOF\n"},
        {"\n# EOF\n", "! line 1, column 1: expected a valid start token, got end of line\n"},
        {"# a comment\n# EOF\n", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {"#EOF\n", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {"#  TYPE a gauge\n# EOF\n", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {" a 1\n# EOF\n", "! line 1, column 1: expected a valid start token, got \" \"\n"},
        {"a  1\n# EOF\n", "! line 1, column 2: expected value after metric, got \" \"\n"},
        {"a\t1\n# EOF\n", "! line 1, column 2: expected value after metric, got byte 0x09\n"},
        {"a{b=\"c\"}1\n# EOF\n", "! line 1, column 9: expected value after metric, got \"1\"\n"},
        {"a{b=\"c\" ,d=\"e\"} x\n# EOF\n", "! line 1, column 8: expected comma or brace close, got \" \"\n"},
        {"a 1 \n# EOF\n", "! line 1, column 4: expected value after timestamp, got \" \"\n"},
        {"a 1 2 3\n# EOF\n", "! line 1, column 6: expected next entry after timestamp, got \" \"\n"},
        {"a 1 #\n# EOF\n", "! line 1, column 5: strconv.ParseFloat: parsing \"#\": invalid syntax\n"},
        {"a 1 NaN\n# EOF\n", "! line 1, column 5: invalid timestamp nan\n"},
        {"a 1 Inf\n# EOF\n", "! line 1, column 5: invalid timestamp inf\n"},
        {"a 0x1\n# EOF\n", "! line 1, column 3: strconv.ParseFloat: parsing \"0x1\": invalid syntax\n"},
        {"a 1_0\n# EOF\n", "! line 1, column 3: unsupported character in float\n"},
        {"a 1\r\n# EOF\n", "! line 1, column 3: strconv.ParseFloat: parsing \"1\r\": invalid syntax\n"},
        {"# TYPE a untyped\n# EOF\n", "! line 1, column 10: invalid metric type \"untyped\"\n"},
        {"# TYPE a \n# EOF\n", "! line 1, column 10: invalid metric type \"\"\n"},
        {"# TYPE a\n# EOF\n", "! line 1, column 9: expected text in TYPE\n"},
        {"# TYPE 1 gauge\n# EOF\n", "! line 1, column 8: expected metric name after TYPE, got \"1\"\n"},
        {"# HELP a text", "! line 1, column 9: expected text in HELP\n"},
        {"# HELP a \xff\n# EOF\n", "! line 1, column 10: help text is not a valid utf8 string\n"},
        {"# UNIT a_bytes seconds\n# EOF\n",
         "! line 1, column 16: unit \"seconds\" not a suffix of metric \"a_bytes\"\n"},
        {"# UNIT bytes bytes\n# EOF\n", "! line 1, column 14: unit \"bytes\" not a suffix of metric \"bytes\"\n"},
        {"# UNIT abytes bytes\n# EOF\n", "! line 1, column 15: unit \"bytes\" not a suffix of metric \"abytes\"\n"},
    };
    (void)state;
    CHECK(ROWS);
}

/* What only a look at the labels finds: when a series is new. */
static void strict_series(void **state)
{
    static const struct {
        const char *series, *error; /* NULL = good */
    } ROWS[] = {
        {"a{b=\"c\",d=\"e\"}", NULL},
        {"a{b=\"c\",}", NULL},
        {"{\"a\",b=\"c\"}", NULL},
        {"a {b=\"c\"}", "column 2: expected value after metric, got \" \""},
        {"a{b=\"c\", d=\"e\"}", "column 9: expected label name, got \" \""},
        {"a{b=\"c\"d=\"e\"}", "column 8: expected comma or brace close, got \"d\""},
        {"a{ b=\"c\"}", "column 3: expected label name, got \" \""},
        {"a{b =\"c\"}", "column 4: expected equal, got \" \""},
        {"a{b= \"c\"}", "column 5: expected label value, got \" \""},
        {"a{b=\"c\nd\"}", "column 5: expected label value, got a quoted string without end"},
        {"a{,b=\"c\"}", "column 3: expected label name, got \",\""},
        {"a{b=\"c\",b=\"d\"}", "column 15: label name \"b\" is not unique"},
        {"{b=\"c\"}", "column 1: metric name not set"},
        {"a{\"b\"}", "column 3: metric name already set"},
    };
    struct arena arena;
    struct labels l;
    (void)state;
    arena_init(&arena);
    labels_init(&l, &arena);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct err err = {0};
        bool good = exposition_parse_series_strict(str_of(ROWS[i].series), &l, &err);
        assert_string_equal(good ? "" : err.msg, ROWS[i].error ? ROWS[i].error : "");
    }
    labels_free(&l);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples),
        cmocka_unit_test(metadata),
        cmocka_unit_test(exemplars),
        cmocka_unit_test(since_when),
        cmocka_unit_test(refused),
        cmocka_unit_test(strict_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
