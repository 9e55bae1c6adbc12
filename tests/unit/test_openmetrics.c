/* SPDX-License-Identifier: Apache-2.0 */
/* test_openmetrics: bodies of OpenMetrics text and what is heard of them; every body is also fed byte by byte and cut
   in two at every place. */
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
        {"a 1 1520879607.789\n# EOF\n", "a 1 @1520879607789\n"},
        /* no int64: an instant that is never */
        {"a 1 1e17\na 1 -1e300\n# EOF\n", "a 1 @9223372036854775807\na 1 @9223372036854775807\n"},
        {"a 12345678901234567890123 1\n# EOF\n", "a 1.2345678901234568e+22 @1000\n"},
        {"{b=\"c\",\"a.b\"} 1\n# EOF\n", "{b=\"c\",\"a.b\"} 1\n"},
        {"a{b=\"x # {y=\\\"z\\\"} 1\"} 2\n# EOF\n", "a{b=\"x # {y=\\\"z\\\"} 1\"} 2\n"},
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
        {"# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 1\n# EOF\n",
         "T a_bytes 2\nU a_bytes [bytes]\na_bytes 1\n"},
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
        {"a 1 # {id=\"x\"} 2 1e300\n# EOF\n", "a 1\n"}, /* of no time that there is */
        {"a 1 # {id=\"#\"} 2\n# EOF\n", "a 1 #{id=\"#\"} 2\n"},
        {"# TYPE g gauge\ng 1 # {id=\"x\"} 2 3\n# EOF\n", "T g 2\ng 1 #{id=\"x\"} 2 @3000\n"},
        {"a 1 # {id=\"x\"} 1 Inf\n# EOF\n", "! line 1, column 18: invalid exemplar timestamp +Inf\n"},
        {"a 1 # {id=\"x\"} 1 -Inf\n# EOF\n", "! line 1, column 18: invalid exemplar timestamp -Inf\n"},
        {"a 1 # {id=\"x\",,b=\"c\"} 1\n# EOF\n", "! line 1, column 15: expected label name, got \",\"\n"},
        {"a 1 # {id=\"x\", b=\"c\"} 1\n# EOF\n", "! line 1, column 15: expected label name, got \" \"\n"},
        {"a 1 # {id=\"\xff\"} 1\n# EOF\n", "! line 1, column 11: invalid UTF-8 label value\n"},
        {"a 1 # {id=\"x\"}  1\n# EOF\n",
         "! line 1, column 15: expected value after exemplar labels, got \" \"\n"},
        {"a 1 #{id=\"x\"} 1\n# EOF\n",
         "! line 1, column 5: strconv.ParseFloat: parsing \"#{id=\"x\"}\": invalid syntax\n"},
        {"a 1  # {id=\"x\"} 1\n# EOF\n", "! line 1, column 4: expected value after timestamp, got \" \"\n"},
        {"a # {id=\"x\"} 1\n# EOF\n", "! line 1, column 3: strconv.ParseFloat: parsing \"#\": invalid syntax\n"},
        {"a 1 # {\"x\"} 2\n# EOF\n", "! line 1, column 11: expected label name, got \"}\"\n"},
        {"a 1 # {id=x} 2\n# EOF\n", "! line 1, column 11: expected label value, got \"x\"\n"},
        {"a 1 # {id=\"x\"}\n# EOF\n", "! line 1, column 15: expected value after exemplar labels, got end of line\n"},
        {"a 1 # {id=\"x\"} y\n# EOF\n",
         "! line 1, column 16: strconv.ParseFloat: parsing \"y\": invalid syntax\n"},
        {"a 1 # {id=\"x\"} 1 NaN\n# EOF\n", "! line 1, column 18: invalid exemplar timestamp NaN\n"},
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
        /* a quoted family, as written */
        {"# TYPE \"c.d\" counter\n{\"c.d_total\",a=\"b\"} 1\n{\"c.d_created\",a=\"b\"} 2\n# EOF\n",
         "T c.d 1\n{\"c.d_total\",a=\"b\"} 1\n{\"c.d_created\",a=\"b\"} 2 ^2000(1)\n"},
        {"# TYPE \"c\\\"d\" counter\n{\"c\\\"d_total\"} 1\n{\"c\\\"d_created\"} 2\n# EOF\n",
         "T c\"d 1\n{\"c\\\"d_total\"} 1\n{\"c\\\"d_created\"} 2 ^2000(1)\n"},
        /* the family itself is a counter's point, a longer name is none */
        {"# TYPE c counter\nc 1\nc_created 2\n# EOF\n", "T c 1\nc 1\nc_created 2 ^2000(1)\n"},
        {"# TYPE c counter\ncat_total 1\nc_created 2\n# EOF\n", "T c 1\ncat_total 1\nc_created 2\n"},
        {"# TYPE c counter\nc_total 1\nc_created 2\nc_created 3\n# EOF\n",
         "T c 1\nc_total 1\nc_created 2 ^2000(1)\nc_created 3\n"},
        /* headers: of the same family they begin, another family ends what was */
        {"# TYPE c counter\n# HELP c x\nc_total 1\nc_created 2\n# EOF\n",
         "T c 1\nH c [x]\nc_total 1\nc_created 2 ^2000(1)\n"},
        {"# TYPE c counter\nc_total 1\n# HELP c x\nc_created 2\n# EOF\n",
         "T c 1\nc_total 1\nH c [x]\nc_created 2\n"},
        {"# TYPE c counter\n# HELP d x\nc_total 1\nc_created 2\n# EOF\n",
         "T c 1\nH d [x]\nc_total 1\nc_created 2\n"},
        /* no time, or one before all times: a sample like any other */
        {"# TYPE c counter\nc_total 1\nc_created NaN\n# EOF\n", "T c 1\nc_total 1\nc_created NaN\n"},
        {"# TYPE c counter\nc_total 1\nc_created 0\n# EOF\n", "T c 1\nc_total 1\nc_created 0\n"},
        {"# TYPE c counter\nc_total 1\nc_created -5\n# EOF\n", "T c 1\nc_total 1\nc_created -5\n"},
        {"# TYPE c counter\nc_total 1\nc_created 1e300\n# EOF\n", "T c 1\nc_total 1\nc_created 1e+300\n"},
        {"# TYPE c counter\nc_total 1\nc_created 0.0004\n# EOF\n", "T c 1\nc_total 1\nc_created 0.0004\n"},
        {"# TYPE c counter\nc_total 1\nc_created 1.0006\n# EOF\n", "T c 1\nc_total 1\nc_created 1.0006 ^1001(1)\n"},
        /* points without quantiles: other labels begin one */
        {"# TYPE s summary\ns_count{a=\"1\"} 1\ns_sum{a=\"1\"} 1\ns_count{a=\"2\"} 1\ns_sum{a=\"2\"} 1\n"
         "s_created{a=\"2\"} 3\n# EOF\n",
         "T s 5\ns_count{a=\"1\"} 1\ns_sum{a=\"1\"} 1\ns_count{a=\"2\"} 1\ns_sum{a=\"2\"} 1\n"
         "s_created{a=\"2\"} 3 ^3000(2)\n"},
        /* buckets alone: +Inf is the last */
        {"# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\"} 1\nh_bucket{a=\"2\",le=\"1\"} 1\n"
         "h_bucket{a=\"2\",le=\"+Inf\"} 1\nh_created{a=\"2\"} 3\n# EOF\n",
         "T h 3\nh_bucket{a=\"1\",le=\"+Inf\"} 1\nh_bucket{a=\"2\",le=\"1\"} 1\n"
         "h_bucket{a=\"2\",le=\"+Inf\"} 1\nh_created{a=\"2\"} 3 ^3000(2)\n"},
        /* le anywhere; a comma within quotes */
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\",a=\"x,\\\",y\"} 1\nh_created{a=\"x,\\\",y\"} 3\n# EOF\n",
         "T h 3\nh_bucket{le=\"+Inf\",a=\"x,\\\",y\"} 1\nh_created{a=\"x,\\\",y\"} 3 ^3000(1)\n"},
        {"# TYPE h histogram\nh_bucket{le=\"+Inf\",a=\"x\"} 1\nh_created 3\n# EOF\n",
         "T h 3\nh_bucket{le=\"+Inf\",a=\"x\"} 1\nh_created 3\n"},
        {"# TYPE g gaugehistogram\ng_bucket{le=\"+Inf\"} 1\ng_gcount 1\ng_gsum 1\ng_created 3\n# EOF\n",
         "T g 4\ng_bucket{le=\"+Inf\"} 1\ng_gcount 1\ng_gsum 1\ng_created 3 ^3000(3)\n"},
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
        {"a 1 # {b=\"c\"} 2 3", "! line 1, column 18: data does not end with # EOF\n"},
        /* what is wrong with an unfinished line is said first */
        {"a", "! line 1, column 2: expected value after metric, got end of line\n"},
        {"a 1 # {b=\"c\"}", "! line 1, column 14: expected value after exemplar labels, got end of line\n"},
        {"a 1 Nan", "! line 1, column 5: invalid timestamp NaN\n"},
        {"# EOFa 1", "! line 1, column 6: unexpected data after # EOF\n"},
        {"# EOF \n", "! line 1, column 6: unexpected data after # EOF\n"},
        {"# EO", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {"#", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {"#\tTYPE a gauge\n# EOF\n", "! line 1, column 1: expected a valid start token, got \"#\"\n"},
        {"# TYPE a  gauge\n# EOF\n", "! line 1, column 10: invalid metric type \" gauge\"\n"},
        {"# TYPE a gauge \n# EOF\n", "! line 1, column 10: invalid metric type \"gauge \"\n"},
        {"# TYPE \n# EOF\n", "! line 1, column 8: expected metric name after TYPE, got end of line\n"},
        {"# UNIT a\n# EOF\n", "! line 1, column 9: expected text in UNIT\n"},
        {"# TYPE \"a gauge\n# EOF\n", "! line 1, column 8: expected metric name after TYPE, got \"\"\"\n"},
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
        {"a 1 NaN\n# EOF\n", "! line 1, column 5: invalid timestamp NaN\n"},
        {"a 1 Inf\n# EOF\n", "! line 1, column 5: invalid timestamp +Inf\n"},
        {"a 1 -Inf\n# EOF\n", "! line 1, column 5: invalid timestamp -Inf\n"},
        {"a 1\t2\n# EOF\n", "! line 1, column 3: strconv.ParseFloat: parsing \"1\t2\": invalid syntax\n"},
        {"a 1 2 #\n# EOF\n", "! line 1, column 6: expected next entry after timestamp, got \" \"\n"},
        {"a 1 1z\n# EOF\n", "! line 1, column 5: strconv.ParseFloat: parsing \"1z\": invalid syntax\n"},
        {"a 0 1_2\n# EOF\n", "! line 1, column 5: unsupported character in float\n"},
        {"a 0x1p-3\n# EOF\n", "! line 1, column 3: unsupported character in float\n"},
        {"a{b=\"c\"} 1} 2\n# EOF\n", "a{b=\"c\"} 1} 2\n"}, /* found when the series is new: below */
        {"a{b=\"c\n# EOF\n", "! line 1, column 5: expected label value, got a quoted string without end\n"},
        {"a{b=\"c\nd\"} 1\n# EOF\n",
         "! line 1, column 5: expected label value, got a quoted string without end\n"},
        {"{\"a\nb\"} 1\n# EOF\n", "! line 1, column 2: expected label name, got a quoted string without end\n"},
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

/* NUL bytes are good in label values and help, and nowhere else. */
static void nul_bytes(void **state)
{
    static const struct exposition_options OPTIONS = {.format = EXPOSITION_OPENMETRICS};
    static const struct {
        struct str body;
        const char *want;
    } ROWS[] = {
        {{"a 1\0\n", 5}, "! line 1, column 3: strconv.ParseFloat: parsing \"1\": invalid syntax\n"},
        {{"a 1 2\0\n", 7}, "! line 1, column 5: strconv.ParseFloat: parsing \"2\": invalid syntax\n"},
        {{"# TYPE a gauge\0\n", 16}, "! line 1, column 10: invalid metric type \"gauge\"\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        ear_check(ROWS[i].body.p, &OPTIONS, MAX_LINE, ROWS[i].body, ROWS[i].want);
    struct ear ear = {0};
    struct exposition_parser *p = exposition_new(0);
    struct str body = STR("# HELP a x\0y\na{b=\"\0\"} 1\n# EOF\n");
    buf_init(&ear.out, 1 << 20);
    for (size_t first = 1; first <= body.n; first++) {
        (void)ear_hear(&ear, p, &OPTIONS, body, first, body.n);
        /* buf_addf stops at the NUL of the help text, buf_add does not at that of the series */
        assert_true(str_ends(buf_str(&ear.out), STR("a{b=\"\0\"} 1\n")));
    }
    buf_free(&ear.out);
    exposition_free(p);
}

static void on_error(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why)
{
    struct ear *ear = ctx;
    buf_addf(&ear->out, "(%d:%d %.*s: %s)\n", (int)line, (int)column, STR_ARG(text), why);
}

static void lenient(void **state)
{
    static const struct row ROWS[] = {
        {"a 1\nb x\n\n# TYPE c foo\nd{e=\"f\n# EOF\ng 2\n# EOF",
         "a 1\n(2:3 b x: strconv.ParseFloat: parsing \"x\": invalid syntax)\n"
         "(3:1 : expected a valid start token, got end of line)\n"
         "(4:10 # TYPE c foo: invalid metric type \"foo\")\n"
         "(5:5 d{e=\"f: expected label value, got a quoted string without end)\n"
         "(7:1 g 2: unexpected data after # EOF)\n(8:1 # EOF: unexpected data after # EOF)\n"},
        {"a 1\n", "a 1\n(2:1 : data does not end with # EOF)\n"},
        {"a 1", "(1:4 a 1: data does not end with # EOF)\n"},
        {"a", "(1:2 a: expected value after metric, got end of line)\n(2:1 : data does not end with # EOF)\n"},
        {"# TYPE c counter\nc_total 1\nc_total x\nc_created 2\n# EOF\n",
         "T c 1\nc_total 1\n(3:9 c_total x: strconv.ParseFloat: parsing \"x\": invalid syntax)\n"
         "c_created 2 ^2000(1)\n"},
    };
    static const struct exposition_options OPTIONS = {.format = EXPOSITION_OPENMETRICS};
    struct ear ear = {0};
    struct exposition_parser *p = exposition_new(0);
    (void)state;
    buf_init(&ear.out, 1 << 20);
    exposition_set_lenient(p, on_error);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++)
        for (size_t first = 0; first <= strlen(ROWS[i].body); first++)
            assert_string_equal(ear_hear(&ear, p, &OPTIONS, str_of(ROWS[i].body), first, first ? 1000 : 1),
                                ROWS[i].want);
    buf_free(&ear.out);
    exposition_free(p);
}

/* One byte more than fits, wherever the pieces are cut; the same parser then reads a good body. */
static void long_lines(void **state)
{
    char fits[MAX_LINE + 32], more[MAX_LINE + 32], name[MAX_LINE], want[MAX_LINE + 64];
    (void)state;
    memset(name, 'x', sizeof name);
    int n = snprintf(fits, sizeof fits, "%.*s 1\n# EOF\n", MAX_LINE - 2, name);
    assert_int_equal(n, MAX_LINE + 7);
    snprintf(want, sizeof want, "%.*s 1\n", MAX_LINE - 2, name);
    snprintf(more, sizeof more, "%.*s 1\n# EOF\n", MAX_LINE - 1, name);
    const struct row rows[] = {{fits, want},
                               {more, "! line 1, column 4001: line is longer than 4000 bytes\n"},
                               {fits, want}};
    CHECK(rows);
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
        {"a {b=\"c\"}", "column 3: strconv.ParseFloat: parsing \"{b=\"c\"}\": invalid syntax"},
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
        {"a{b=\"c\"} 1}", "column 10: strconv.ParseFloat: parsing \"1}\": invalid syntax"},
        {"a{b=\"c\"} 1 2}", "column 11: expected next entry after value, got \" \""},
        {"a{b=\"c\"}x}", "column 9: expected value after metric, got \"x\""},
        {"a{\xff=\"c\"}", "column 3: expected label name, got byte 0xff"},
        {"a{b=\"\xff\"}", "column 5: invalid UTF-8 label value"},
        {"a{b='c'}", "column 5: expected label value, got \"'\""},
        {"{\"a\",b\\nc=\"d\"}", "column 7: expected equal, got \"\\\""},
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
        cmocka_unit_test(nul_bytes),
        cmocka_unit_test(lenient),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(strict_series),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
