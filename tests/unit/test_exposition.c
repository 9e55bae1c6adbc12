/* SPDX-License-Identifier: Apache-2.0 */
/* test_exposition: bodies and what is read from them, as text; every body is also fed in two pieces at every
   place and byte by byte, and must read the same. */
#include "unit.h"

#include "base/buf.h"
#include "exposition.h"

#define MAX_LINE 300

/* A handler that writes what it hears, series parsed as append would. */
struct ear {
    struct buf out;
    struct arena arena;
    struct labels labels;
    struct err err;
};

static bool on_sample(void *ctx, const struct exposition_sample *s)
{
    struct ear *ear = ctx;
    struct err why = {0};
    arena_reset(&ear->arena);
    if (!exposition_parse_series(s->series, &ear->labels, &why)) {
        err_set(&ear->err, "line %d, %s", (int)s->line, why.msg);
        return false;
    }
    labels_sort(&ear->labels);
    labels_format(&ear->labels, &ear->out);
    buf_add_char(&ear->out, ' ');
    buf_add_double(&ear->out, s->value);
    if (s->has_ts)
        buf_addf(&ear->out, " @%lld", (long long)s->ts_ms);
    buf_add_c(&ear->out, ";");
    return true;
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct ear *ear = ctx;
    return buf_addf(&ear->out, "T %.*s %d;", STR_ARG(family), type);
}

static bool on_help(void *ctx, struct str family, struct str help)
{
    struct ear *ear = ctx;
    buf_addf(&ear->out, "H %.*s [", STR_ARG(family));
    buf_add_str(&ear->out, help); /* may hold NUL */
    return buf_add_c(&ear->out, "];");
}

static void ear_init(struct ear *ear)
{
    memset(ear, 0, sizeof *ear);
    buf_init(&ear->out, 1 << 20);
    arena_init(&ear->arena);
    labels_init(&ear->labels, &ear->arena);
}

static void ear_free(struct ear *ear)
{
    buf_free(&ear->out);
    labels_free(&ear->labels);
    arena_free(&ear->arena);
}

/* Feeds the body cut at `cut` (or in pieces of one byte when step is set); returns what was heard, errors
   last. */
static const char *hear(struct ear *ear, struct exposition_parser *p, struct str body, size_t cut,
                        bool bytewise)
{
    struct exposition_handler handler = {.on_sample = on_sample, .on_type = on_type, .on_help = on_help, .ctx = ear};
    bool ok = true;
    buf_clear(&ear->out);
    err_clear(&ear->err);
    exposition_begin(p, NULL, &handler);
    if (bytewise) {
        for (size_t i = 0; ok && i < body.n; i++)
            ok = exposition_feed(p, body.p + i, 1, &ear->err);
    } else {
        ok = exposition_feed(p, body.p, cut, &ear->err) &&
             exposition_feed(p, body.p + cut, body.n - cut, &ear->err);
    }
    ok = ok && exposition_finish(p, &ear->err);
    if (!ok)
        buf_addf(&ear->out, "! %s", ear->err.msg);
    return buf_c(&ear->out);
}

struct row {
    const char *body, *want;
    size_t n; /* of body when it holds NUL bytes */
};

static void check_row(const struct row *row)
{
    struct ear ear;
    struct exposition_parser *p = exposition_new(MAX_LINE);
    struct str body = {row->body, row->n ? row->n : strlen(row->body)};
    ear_init(&ear);
    for (size_t cut = 0; cut <= body.n; cut++) {
        char *exact = malloc(body.n ? body.n : 1); /* so that the sanitizer sees reads behind the piece */
        memcpy(exact, body.p, body.n);
        const char *got = hear(&ear, p, str_make(exact, body.n), cut, false);
        if (strcmp(got, row->want) != 0)
            fail_msg("body \"%s\" cut at %zu:\n got  %s\n want %s", row->body, cut, got, row->want);
        free(exact);
    }
    const char *got = hear(&ear, p, body, 0, true);
    if (strcmp(got, row->want) != 0)
        fail_msg("body \"%s\" byte by byte:\n got  %s\n want %s", row->body, got, row->want);
    ear_free(&ear);
    exposition_free(p);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_row(&rows[i]);
}

#define CHECK(rows) check_rows(rows, sizeof(rows) / sizeof *(rows))

static void samples(void **state)
{
    static const struct row ROWS[] = {
        {"", "", 0},
        {"\n\n  \n\t\n", "", 0},
        {"a 1\n", "a 1;", 0},
        {"a 1", "a 1;", 0},
        {"a\t1 \n", "a 1;", 0},
        {"a 1 123\n", "a 1 @123;", 0},
        {"a 1\t 0 \t\n", "a 1 @0;", 0},
        {"a 1\r\nb 2 5\r\n\r\nc 3\r", "a 1;b 2 @5;c 3;", 0},
        {"  a 1\n", "a 1;", 0},
        {"a:b_9 NaN\n", "a:b_9 NaN;", 0},
        {"a +Inf\na -inf\na Infinity\n", "a +Inf;a -Inf;a +Inf;", 0},
        {"a 1e3\na -.5\na 0.1 7\n", "a 1000;a -0.5;a 0.1 @7;", 0},
        {"a{} 1\n", "a 1;", 0},
        {"a{b=\"c\"} 1\n", "a{b=\"c\"} 1;", 0},
        {"a{b=\"c\"}1\n", "a{b=\"c\"} 1;", 0},
        {"a {b=\"c\"} 1\n", "a{b=\"c\"} 1;", 0},
        {"a { b = \"c\" , d=\"e\" , } 1 9\n", "a{b=\"c\",d=\"e\"} 1 @9;", 0},
        {"a{b=\"c\" d=\"e\"} 1\n", "a{b=\"c\",d=\"e\"} 1;", 0},
        {"a{b=\"}\",c=\"{\"} 1\n", "a{b=\"}\",c=\"{\"} 1;", 0},
        {"a{b=\"x # y\"} 1\n", "a{b=\"x # y\"} 1;", 0},
        {"a{b=\"1 2 3\"} 4 5\n", "a{b=\"1 2 3\"} 4 @5;", 0},
        {"a{b=\"\"} 1\n", "a{b=\"\"} 1;", 0},
        {"a{b=\"q\\\"\\\\\\n\\z\"} 1\n", "a{b=\"q\\\"\\\\\\n\\\\z\"} 1;", 0},
        {"a{b=\"\xc3\xa9\"} 1\n", "a{b=\"\xc3\xa9\"} 1;", 0},
        {"{\"my.metric\", \"l.x\"=\"v\"} 1\n", "{\"my.metric\",\"l.x\"=\"v\"} 1;", 0},
        {"{\"plain\"} 1\n", "plain 1;", 0},
        {"{b=\"c\",\"plain\",d=\"e\"} 1\n", "plain{b=\"c\",d=\"e\"} 1;", 0},
        {"{\"a\\\"b\"} 1\n", "{\"a\\\"b\"} 1;", 0},
        {"a{\"b\"=\"c\"} 1\n", "a{b=\"c\"} 1;", 0},
        {"a{b=\"two\nlines\"} 1\nc 2\n", "a{b=\"two\\nlines\"} 1;c 2;", 0},
        {"a{b=\"\n\n\\\"\n}\"} 1\nc 2", "a{b=\"\\n\\n\\\"\\n}\"} 1;c 2;", 0},
        {"a 18446744073709551615\n", "a 1.8446744073709552e+19;", 0},
    };
    (void)state;
    CHECK(ROWS);
}

static void comments(void **state)
{
    static const struct row ROWS[] = {
        {"# TYPE a counter\na 1\n", "T a 1;a 1;", 0},
        {"# TYPE a gauge\n# TYPE b histogram\n# TYPE c summary\n# TYPE d untyped", "T a 2;T b 3;T c 5;T d 0;",
         0},
        {"#  \tTYPE \t a counter\r\n", "T a 1;", 0},
        {"  # TYPE a counter\n", "T a 1;", 0},
        {"# HELP a some text\n", "H a [some text];", 0},
        {"# HELP a\n", "H a [];", 0},
        {"# HELP a  two \n", "H a [ two ];", 0},
        {"# HELP a b\\\\c\\nd\\\"e\\x\n", "H a [b\\c\nd\\\"e\\x];", 0},
        {"# HELP \"my.metric\" text\n# TYPE \"my.metric\" gauge\n", "H my.metric [text];T my.metric 2;", 0},
        {"#\n# \n#x\n# x y z\n#TYPE a b\n# TYPEa b\n# HELP\n# UNIT a s\n# EOF\na 1\n", "a 1;", 0},
        {"# TYPE a foo\n", "! line 1, column 10: invalid metric type \"foo\"", 0},
        {"# TYPE a unknown\n", "! line 1, column 10: invalid metric type \"unknown\"", 0},
        {"# TYPE a counter \n", "! line 1, column 10: invalid metric type \"counter \"", 0},
        {"# TYPE a\n", "! line 1, column 10: invalid metric type \"\"", 0},
        {"# TYPE \n", "! line 1, column 8: expected metric name after TYPE, got end of line", 0},
        {"a 1\n# HELP 9 x\n", "a 1;! line 2, column 8: expected metric name after HELP, got \"9\"", 0},
        {"# HELP a \xff\n", "! line 1, column 10: help text is not a valid utf8 string", 0},
    };
    (void)state;
    CHECK(ROWS);
    struct ear ear;
    struct exposition_parser *p = exposition_new(0);
    ear_init(&ear);
    (void)hear(&ear, p, str_make("# HELP a x\0y\n", 13), 3, false);
    assert_int_equal(ear.out.n, strlen("H a [x.y];"));
    ear_free(&ear);
    exposition_free(p);
}

static void errors(void **state)
{
    static const struct row ROWS[] = {
        {"a\n", "! line 1, column 2: expected value after metric, got end of line", 0},
        {"a", "! line 1, column 2: expected value after metric, got end of line", 0},
        {"a 1\n\nb\n", "a 1;! line 3, column 2: expected value after metric, got end of line", 0},
        {"9a 1\n", "! line 1, column 1: expected a valid start token, got \"9\"", 0},
        {"\xc3\xa9 1\n", "! line 1, column 1: expected a valid start token, got \"\xc3\xa9\"", 0},
        {"\xff 1\n", "! line 1, column 1: expected a valid start token, got byte 0xff", 0},
        {"a-b 1\n", "! line 1, column 2: strconv.ParseFloat: parsing \"-b\": invalid syntax", 0},
        {"a 1 2 3\n", "! line 1, column 7: expected next entry after timestamp, got \"3\"", 0},
        {"a 1 -2\n", "! line 1, column 5: expected timestamp or new record, got \"-\"", 0},
        {"a 1 2.5\n", "! line 1, column 6: expected next entry after timestamp, got \".\"", 0},
        {"a 1 x\n", "! line 1, column 5: expected timestamp or new record, got \"x\"", 0},
        {"a 1 9223372036854775808\n",
         "! line 1, column 5: strconv.ParseInt: parsing \"9223372036854775808\": value out of range", 0},
        {"a x\n", "! line 1, column 3: strconv.ParseFloat: parsing \"x\": invalid syntax", 0},
        {"a 1_0\n", "! line 1, column 3: unsupported character in float", 0},
        {"a 0x1p3\n", "! line 1, column 3: unsupported character in float", 0},
        {"a 0x10\n", "! line 1, column 3: strconv.ParseFloat: parsing \"0x10\": invalid syntax", 0},
        {"a 1e999\n", "! line 1, column 3: strconv.ParseFloat: parsing \"1e999\": value out of range", 0},
        {"a{b=\"c\"}\n", "! line 1, column 9: expected value after metric, got end of line", 0},
        {"a{b=\"c\"} 1 # {d=\"e\"} 2\n",
         "! line 1, column 12: expected timestamp or new record, got \"#\"", 0},
        {"a{b=\"c\"} x} 2\n",
         "! line 1, column 10: strconv.ParseFloat: parsing \"x}\": invalid syntax", 0},
        {"a{b=\"c\"} 1 }\n", "! line 1, column 12: expected timestamp or new record, got \"}\"", 0},
        {"a{b=\"c\"} 1{\n", "! line 1, column 11: expected timestamp or new record, got \"{\"", 0},
        {"a{b=c} 1\n", "! line 1, column 5: expected label value, got \"c\"", 0},
        {"a{b='c'} 1\n", "! line 1, column 5: expected label value, got \"'\"", 0},
        {"a{b} 1\n", "! line 1, column 4: expected equal, got \"}\"", 0},
        {"a{,} 1\n", "! line 1, column 3: expected label name, got \",\"", 0},
        {"a{b=\"c\",,} 1\n", "! line 1, column 9: expected label name, got \",\"", 0},
        {"a{b=\"c\" 1\n", "! line 1, column 9: expected label name, got \"1\"", 0},
        {"a{1b=\"c\"} 1\n", "! line 1, column 3: expected label name, got \"1\"", 0},
        {"a{b:c=\"c\"} 1\n", "! line 1, column 4: expected equal, got \":\"", 0},
        {"a{b=\"\xff\"} 1\n", "! line 1, column 5: invalid UTF-8 label value", 0},
        {"a{b=\"c\",b=\"d\"} 1\n", "! line 1, column 15: label name \"b\" is not unique", 0},
        {"a{__name__=\"c\"} 1\n", "! line 1, column 16: label name \"__name__\" is not unique", 0},
        {"{b=\"c\"} 1\n", "! line 1, column 1: metric name not set", 0},
        {"{} 1\n", "! line 1, column 1: metric name not set", 0},
        {"a{\"b\"} 1\n", "! line 1, column 3: metric name already set", 0},
        {"{\"a\",\"b\"} 1\n", "! line 1, column 6: metric name already set", 0},
        {"a{b=\"c\n", "! line 1, column 5: expected label value, got a quoted string without end", 0},
        {"a{b=\"c\n\n\nd 1\n", "! line 1, column 5: expected label value, got a quoted string without end",
         0},
        {"a{b=\"\n\"} x\n", "! line 1, column 10: strconv.ParseFloat: parsing \"x\": invalid syntax", 0},
        {"\0 1\n", "! line 1, column 1: expected a valid start token, got byte 0x00", 4},
        {"a 1\0\n", "! line 1, column 3: strconv.ParseFloat: parsing \"1\": invalid syntax", 5},
    };
    (void)state;
    CHECK(ROWS);
}

static void long_lines(void **state)
{
    char body[4 * MAX_LINE], want[256];
    (void)state;
    memset(body, 'x', sizeof body);
    memcpy(body, "a 1\n", 4);
    memcpy(body + 4 + MAX_LINE - 2, " 1\n", 4);
    struct row fits = {body, NULL, 0};
    char *long_name = strndup(body + 4, MAX_LINE - 2);
    char *fit_want = malloc(MAX_LINE + 64);
    snprintf(fit_want, MAX_LINE + 64, "a 1;%s 1;", long_name);
    fits.want = fit_want;
    check_row(&fits);
    memset(body, 'x', sizeof body);
    memcpy(body, "a 1\n", 4);
    memcpy(body + 4 + MAX_LINE - 1, " 1\nb 2\n", 8);
    snprintf(want, sizeof want, "a 1;! line 2, column %d: line is longer than %d bytes", MAX_LINE + 1,
             MAX_LINE);
    struct row too_long = {body, want, 0};
    check_row(&too_long);
    free(long_name);
    free(fit_want);
}

static void many_labels(void **state)
{
    struct buf body;
    struct arena arena;
    struct labels l;
    struct err err = {0};
    (void)state;
    buf_init(&body, 1 << 20);
    arena_init(&arena);
    labels_init(&l, &arena);
    buf_add_c(&body, "a{");
    for (int i = 0; i < 1000; i++)
        buf_addf(&body, "l%d=\"v\",", i);
    size_t end = body.n;
    buf_add_char(&body, '}');
    assert_true(exposition_parse_series(buf_str(&body), &l, &err));
    assert_int_equal(l.n, 1001);
    body.n = end;
    buf_add_c(&body, "l77=\"w\"}");
    assert_false(exposition_parse_series(buf_str(&body), &l, &err));
    assert_non_null(strstr(err.msg, "label name \"l77\" is not unique"));
    labels_free(&l);
    arena_free(&arena);
    buf_free(&body);
}

static int complaints;

static void on_error(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why)
{
    struct ear *ear = ctx;
    complaints++;
    buf_addf(&ear->out, "(%d:%d %.*s: %s)", (int)line, (int)column, STR_ARG(text), why);
}

static void lenient(void **state)
{
    static const char BODY[] = "a 1\nb x\n# TYPE c foo\nd{e=\"f\ng 2\n";
    static const char WANT[] =
        "a 1;(2:3 b x: strconv.ParseFloat: parsing \"x\": invalid syntax)"
        "(3:10 # TYPE c foo: invalid metric type \"foo\")"
        "(4:5 d{e=\"f: expected label value, got a quoted string without end)g 2;";
    struct ear ear;
    struct exposition_parser *p = exposition_new(0);
    (void)state;
    ear_init(&ear);
    exposition_set_lenient(p, on_error);
    for (size_t cut = 0; cut < sizeof BODY; cut++)
        assert_string_equal(hear(&ear, p, str_of(BODY), cut < strlen(BODY) ? cut : 0, false), WANT);
    ear_free(&ear);
    exposition_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples),    cmocka_unit_test(comments),    cmocka_unit_test(errors),
        cmocka_unit_test(long_lines), cmocka_unit_test(many_labels), cmocka_unit_test(lenient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
