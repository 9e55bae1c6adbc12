/* SPDX-License-Identifier: Apache-2.0 */
/* test_survey: every error with its place and what stands there, however the body is cut; going on behind errors of all
   formats. */
#include "unit.h"

#include "agent/command/survey.h"
#include "protobuf_body.h"

#include "base/buf.h"

#include <inttypes.h>

/* "LINE:COLUMN WHY | TEXT | what the caret is under", then how much was read. */
static void tell(const struct survey *s, struct buf *out)
{
    struct survey_counts c;
    survey_counts(s, &c);
    for (size_t i = 0; i < c.first_errors_n; i++) {
        const struct survey_error *e = &c.first_errors[i];
        buf_addf(out, "%" PRIu64 ":%" PRIu64 " %s | %s | %s\n", e->line, e->column, e->why, e->text,
                 e->caret ? e->text + e->caret - 1 : "-");
    }
    buf_addf(out, "%" PRIu64 " errors, %" PRIu64 " samples, %" PRIu64 " series", c.errors, c.samples, c.series);
}

/* The body in pieces of `step`; the caller frees. */
static char *read_body(enum exposition_format format, struct str body, size_t step, size_t keep)
{
    struct survey *s = survey_new(keep);
    struct buf out;
    buf_init(&out, 1 << 20);
    survey_check_names(s, true);
    survey_begin(s, format);
    for (size_t at = 0; at < body.n; at += step)
        survey_feed(s, body.p + at, body.n - at < step ? body.n - at : step);
    survey_finish(s);
    tell(s, &out);
    survey_free(s);
    return buf_take(&out);
}

static const struct {
    enum exposition_format format;
    const char *body, *want;
} BODIES[] = {
    {EXPOSITION_TEXT, "a 1\nb 2", "0 errors, 2 samples, 2 series"},
    {EXPOSITION_TEXT, "", "0 errors, 0 samples, 0 series"},
    {EXPOSITION_TEXT, "a\n\nb x\nc 1\n",
     "1:2 expected value after metric, got end of line | a | \n"
     "3:3 strconv.ParseFloat: parsing \"x\": invalid syntax | b x | x\n"
     "2 errors, 1 samples, 1 series"},
    {EXPOSITION_TEXT, "m{a=\"1\",a=\"2\"} 1\n",
     "1:15 label name \"a\" is not unique | m{a=\"1\",a=\"2\"} | \n1 errors, 0 samples, 0 series"},
    {EXPOSITION_TEXT, "# TYPE a what\na 1\n", "1:10 invalid metric type \"what\" | # TYPE a what | what\n"
                                              "1 errors, 1 samples, 1 series"},
    {EXPOSITION_TEXT, "cut{a=\"b", "1:7 expected label value, got a quoted string without end | cut{a=\"b | \"b\n"
                                   "1 errors, 0 samples, 0 series"},
    {EXPOSITION_TEXT, "a{b=\"1\"} 1\na{b=\"1\"} 2\n", "0 errors, 2 samples, 1 series"},
    {EXPOSITION_TEXT, " {\"m\",\"\xff\"=\"1\"} 1\n{\"\"} 1\n",
     "1:2 invalid metric name or label names | {\"m\",\"\xff\"=\"1\"} | {\"m\",\"\xff\"=\"1\"}\n"
     "2:1 missing metric name (__name__ label) | {\"\"} | {\"\"}\n2 errors, 0 samples, 0 series"},
    {EXPOSITION_OPENMETRICS, "a 1\nb  2\nc 3\n# EOF\n",
     "2:2 expected value after metric, got \" \" | b  2 |   2\n1 errors, 2 samples, 2 series"},
    {EXPOSITION_OPENMETRICS, "a 1\n", "2:1 data does not end with # EOF |  | -\n1 errors, 1 samples, 1 series"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++) {
        for (size_t step = 1; step < 40; step += step + 1) {
            char *found = read_body(BODIES[i].format, str_of(BODIES[i].body), step, 100);
            assert_string_equal(found, BODIES[i].want);
            free(found);
        }
    }
}

static void test_only_so_many_are_kept(void **state)
{
    (void)state;
    char *found = read_body(EXPOSITION_TEXT, STR("1\n2\n3\n"), 100, 1);
    assert_string_equal(found, "1:1 expected a valid start token, got \"1\" | 1 | 1\n3 errors, 0 samples, 0 series");
    free(found);
    found = read_body(EXPOSITION_TEXT, STR("1\n2\n3\n"), 100, 0);
    assert_string_equal(found, "3 errors, 0 samples, 0 series");
    free(found);
}

/* Wherever the error is in a line, the caret is under it and the text is short. */
static void test_long_lines(void **state)
{
    (void)state;
    for (size_t before = 0; before < 1000; before += 7) {
        struct buf body;
        struct survey_counts c;
        buf_init(&body, 1 << 20);
        buf_add_c(&body, "m{a=\"");
        for (size_t i = 0; i < before; i++)
            buf_add_c(&body, i % 3 ? "x" : "ä");
        buf_add_c(&body, "\",b=#");
        for (size_t i = 0; i < 500; i++)
            buf_add_c(&body, i % 2 ? "ö" : "y");
        buf_add_c(&body, "\"} 1\n");
        struct survey *s = survey_new(10);
        survey_feed(s, body.p, body.n);
        survey_finish(s);
        survey_counts(s, &c);
        assert_int_equal(c.errors, 1);
        const struct survey_error *e = &c.first_errors[0];
        assert_true(str_is_utf8(str_of(e->text)));
        assert_true(strlen(e->text) < 210);
        assert_non_null(strchr(e->text, '#'));
        size_t column = 1;
        for (const char *p = e->text; *p != '#'; p++)
            column += (p[1] & 0xc0) != 0x80;
        assert_int_equal(e->caret, column);
        survey_free(s);
        buf_free(&body);
    }
}

/* ---- protobuf ---- */

static void add_gauge(struct pb *p, const char *label, const char *value)
{
    pb_open(p, 4);
    pb_label(p, label, value);
    pb_open(p, 2);
    pb_double(p, 1, 1);
    pb_close(p);
    pb_close(p);
}

/* A family with a bad metric between good ones, one without a name, a good one. */
static void wrong_families(struct pb *p)
{
    pb_family(p, "first", GAUGE);
    add_gauge(p, "a", "1");
    add_gauge(p, "a", "\xff");
    add_gauge(p, "a", "3");
    pb_close(p);
    pb_family(p, "", GAUGE);
    add_gauge(p, "a", "4");
    pb_close(p);
    pb_family(p, "last", GAUGE);
    add_gauge(p, "a", "5");
    pb_close(p);
}

static void test_protobuf(void **state)
{
    (void)state;
    struct pb p = {.depth = 0};
    buf_init(&p.b, 1 << 20);
    wrong_families(&p);
    for (size_t step = 1; step < p.b.n + 2; step++) {
        char *found = read_body(EXPOSITION_PROTOBUF, buf_str(&p.b), step, 100);
        assert_non_null(strstr(found, "2 errors, 3 samples, 3 series"));
        assert_int_equal(strncmp(found, "1:", 2), 0);
        assert_non_null(strstr(found, " | first | -\n2:"));
        free(found);
    }
    buf_free(&p.b);
}

/* A body that ends early has what came before, and one error more than that has. */
static void test_protobuf_that_ends_early(void **state)
{
    (void)state;
    struct pb p = {.depth = 0};
    buf_init(&p.b, 1 << 20);
    pb_family(&p, "one", GAUGE);
    add_gauge(&p, "a", "1");
    add_gauge(&p, "a", "2");
    pb_close(&p);
    for (size_t n = 1; n < p.b.n; n++) {
        struct survey *s = survey_new(10);
        struct survey_counts c;
        survey_begin(s, EXPOSITION_PROTOBUF);
        survey_feed(s, p.b.p, n);
        survey_finish(s);
        survey_counts(s, &c);
        assert_int_equal(c.errors, 1);
        assert_true(c.samples <= 2);
        survey_free(s);
    }
    buf_free(&p.b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_only_so_many_are_kept),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_protobuf),
        cmocka_unit_test(test_protobuf_that_ends_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
