/* SPDX-License-Identifier: Apache-2.0 */
/* test_profile: what each receiver would lose of some lines: profile, exposition, findings. */
#include "unit.h"

#include "agent/command/profile.h"
#include "base/buf.h"

#define NOW_MS 1700000000000

struct row {
    const char *profile;
    enum exposition_format format;
    const char *body;
    const char *found; /* "effect count line worst|...", in the order of the rules */
};

/* Two labels are added to each series, and the name is one: 37 more make 40. */
#define L10(x) x "0=\"a\"," x "1=\"a\"," x "2=\"a\"," x "3=\"a\"," x "4=\"a\"," x "5=\"a\"," x "6=\"a\"," x "7=\"a\"," \
    x "8=\"a\"," x "9=\"a\","
#define L27 L10("a") L10("b") "c1=\"a\",c2=\"a\",c3=\"a\",c4=\"a\",c5=\"a\",c6=\"a\",c7=\"a\","
#define L37 L27 L10("d")

static const struct row TABLE[] = {
    {"victoriametrics", EXPOSITION_TEXT, "m{a=\"b\"} 1\n", ""},
    {"victoriametrics", EXPOSITION_TEXT, "m{" L37 "} 1\n", ""},
    {"victoriametrics", EXPOSITION_TEXT, "ok 1\nm{" L37 "z=\"a\"} 1\n", "lost 1 2 41"},
    {"victoriametrics", EXPOSITION_TEXT, "m{" L37 "z=\"\"} 1\n", ""},
    {"victoriametrics", EXPOSITION_TEXT, "m{" L37 "job=\"x\"} 1\nm{" L37 "job=\"x\",z=\"a\"} 1\n", "lost 1 2 41"},
    {"mimir", EXPOSITION_TEXT, "m{" L27 "} 1\n", ""},
    {"mimir", EXPOSITION_TEXT, "m{" L27 "z=\"a\"} 1\nn{" L37 "} 1\n", "refused 2 1 40"},
    {"cortex", EXPOSITION_TEXT, "m{" L27 "z=\"a\"} 1\n", "refused 1 1 31"},
    {"thanos", EXPOSITION_TEXT, "m{" L37 "z=\"a\"} 1\n", ""},
    {"mimir", EXPOSITION_TEXT, "{\"m.x\",a=\"b\"} 1\nm{\"a.b\"=\"c\"} 1\nm{a=\"x.y\"} 1\n", "refused 2 1 1"},
    {"prometheus", EXPOSITION_TEXT, "{\"m.x\",a=\"b\"} 1\n", ""},
    /* An hour and ten minutes, and one millisecond beside. */
    {"prometheus", EXPOSITION_TEXT, "m 1 1699996400000\n", ""},
    {"prometheus", EXPOSITION_TEXT, "m 1 1699996399999\n", "refused 1 1 3600001"},
    {"prometheus", EXPOSITION_TEXT, "m 1 1700000600000\n", ""},
    {"prometheus", EXPOSITION_TEXT, "m 1 1700000600001\n", "refused 1 1 600001"},
    {"victoriametrics", EXPOSITION_TEXT, "m 1 1699996399999\n", ""},
    {"victoriametrics", EXPOSITION_TEXT, "m 1 1600000000000\nn 1 1700172800001\n",
     "lost 1 1 100000000000|lost 1 2 172800001"},
    {"prometheus", EXPOSITION_TEXT, "m 1\nn 1\nm 2\nm 2\n", "refused 2 3 1"},
    {"prometheus", EXPOSITION_TEXT, "m 1 1700000000000\nm 2 1700000001000\n", ""},
    {"victoriametrics", EXPOSITION_TEXT, "m 1\nm 2\n", ""},
    {"thanos", EXPOSITION_TEXT, "# TYPE m gauge\n# HELP m x\nm 1\n", "left out 1 1 1"},
    {"elastic", EXPOSITION_TEXT, "# TYPE m_total counter\nm_total 1\n", "left out 1 1 1|left out 1 2 1"},
    {"elastic", EXPOSITION_TEXT, "# TYPE m counter\nm 1\n", "changed 1 2 1|left out 1 1 1|left out 1 2 1"},
    {"elastic", EXPOSITION_TEXT, "# TYPE m_count gauge\nm_count 1\nm_count{a=\"b\"} 1\n",
     "changed 2 2 1|left out 1 1 1|left out 2 2 1"},
    {"elastic", EXPOSITION_TEXT, "m NaN\nn +Inf\no 1\n", "lost 2 1 1|left out 3 1 1"},
    {"prometheus", EXPOSITION_TEXT, "m NaN\nn +Inf\n", ""},
    {"clickstack", EXPOSITION_TEXT, "m 1\nn 1\n", "lost 2 1 1"},
    {"victoriametrics", EXPOSITION_OPENMETRICS,
     "# TYPE m counter\nm_total 1 # {trace_id=\"x\"} 1\nm_total{a=\"b\"} 1 # {trace_id=\"y\"} 1\n# EOF\n",
     "left out 2 2 1"},
    {"cortex", EXPOSITION_OPENMETRICS, "# TYPE m counter\nm_total 1 # {trace_id=\"x\"} 1\n# EOF\n", "left out 1 2 1"},
};

static void look(const char *profile, enum exposition_format format, struct str body, const struct label *external,
                 size_t n, struct profile_result *out)
{
    struct profile_watch *w = profile_watch_new(profile_find(profile), external, n, NOW_MS);
    struct survey *s = survey_new(4);
    struct survey_watcher watcher;
    memset(out, 0, sizeof *out);
    profile_watcher(w, &watcher);
    survey_watch(s, &watcher);
    survey_begin(s, format);
    survey_feed(s, body.p, body.n);
    survey_finish(s);
    profile_watch_result(w, out);
    survey_free(s);
    profile_watch_free(w);
}

static void describe(const struct profile_result *r, struct buf *out)
{
    for (size_t i = 0; i < r->findings_n; i++) {
        const struct profile_finding *f = &r->findings[i];
        buf_addf(out, "%s%s %llu %llu %lld", i ? "|" : "", profile_effect_name(f->rule->effect),
                 (unsigned long long)f->count, (unsigned long long)f->line, (long long)f->worst);
    }
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        static struct profile_result r;
        struct buf found;
        buf_init(&found, 10000);
        look(TABLE[i].profile, TABLE[i].format, str_of(TABLE[i].body), NULL, 0, &r);
        describe(&r, &found);
        if (strcmp(buf_c(&found), TABLE[i].found) != 0)
            fail_msg("%s of\n%s\n%s, not %s", TABLE[i].profile, TABLE[i].body, buf_c(&found), TABLE[i].found);
        buf_free(&found);
    }
}

/* Lengths at and past the limits. */
static void test_lengths(void **state)
{
    (void)state;
    static const struct {
        const char *profile;
        size_t name, value, metric;
        const char *found;
    } LENGTHS[] = {
        {"victoriametrics", 256, 4096, 4096, ""},
        {"victoriametrics", 257, 1, 1, "lost 1 1 257"},
        {"victoriametrics", 1, 4097, 1, "lost 1 1 4097"},
        {"victoriametrics", 1, 1, 4097, "lost 1 1 4097"},
        {"mimir", 1024, 2048, 2048, ""},
        {"mimir", 1025, 2049, 1, "refused 1 1 1025|refused 1 1 2049"},
        {"cortex", 1, 1, 2049, "refused 1 1 2049"},
        {"prometheus", 9000, 9000, 9000, ""},
    };
    for (size_t i = 0; i < ROWS(LENGTHS); i++) {
        static struct profile_result r;
        struct buf body, found;
        buf_init(&body, 100000);
        buf_init(&found, 10000);
        for (size_t k = 0; k < LENGTHS[i].metric; k++)
            buf_add_char(&body, 'm');
        buf_add_char(&body, '{');
        for (size_t k = 0; k < LENGTHS[i].name; k++)
            buf_add_char(&body, 'n');
        buf_add_c(&body, "=\"");
        for (size_t k = 0; k < LENGTHS[i].value; k++)
            buf_add_char(&body, 'v');
        buf_add_c(&body, "\"} 1\n");
        look(LENGTHS[i].profile, EXPOSITION_TEXT, buf_str(&body), NULL, 0, &r);
        describe(&r, &found);
        assert_string_equal(buf_c(&found), LENGTHS[i].found);
        for (size_t k = 0; k < r.findings_n; k++)
            assert_true(strlen(r.findings[k].example) < sizeof r.findings[k].example);
        buf_free(&body);
        buf_free(&found);
    }
}

/* External labels count, unless the series has one of that name. */
static void test_external(void **state)
{
    (void)state;
    static struct profile_result r;
    const struct label external[] = {{STR("cluster"), STR("x")}, {STR("a1"), STR("x")}};
    look("mimir", EXPOSITION_TEXT, STR("m{" L27 "} 1\n"), external, 1, &r);
    assert_int_equal(r.findings_n, 1);
    assert_int_equal(r.findings[0].worst, 31);
    assert_int_equal(r.added_labels, 3);
    assert_int_equal(profile_harm(&r), 1);
    look("mimir", EXPOSITION_TEXT, STR("m{" L27 "} 1\n"), external + 1, 1, &r);
    assert_int_equal(r.findings_n, 0);
}

static void test_help(void **state)
{
    (void)state;
    static struct profile_result r;
    struct buf body;
    buf_init(&body, 100000);
    buf_add_c(&body, "# HELP m ");
    for (size_t i = 0; i < 1025; i++)
        buf_add_char(&body, 'h');
    buf_add_c(&body, "\n# TYPE m gauge\nm 1\n");
    look("mimir", EXPOSITION_TEXT, buf_str(&body), NULL, 0, &r);
    assert_int_equal(r.findings_n, 1);
    assert_int_equal(r.findings[0].rule->effect, PROFILE_CHANGED);
    assert_string_equal(r.findings[0].example, "m");
    look("thanos", EXPOSITION_TEXT, buf_str(&body), NULL, 0, &r);
    assert_int_equal(profile_harm(&r), 0);
    buf_free(&body);
}

/* All that the command line offers exist, and fit. */
static void test_names(void **state)
{
    (void)state;
    struct str names = str_of(profile_names());
    size_t n = 0;
    while (names.n) {
        size_t length = str_find_char(names, '|');
        char *name = str_dup(str_make(names.p, length));
        const struct profile *p = profile_find(name);
        assert_non_null(p);
        free(name);
        names = str_skip(names, length + 1);
        assert_true(p->rules_n > 0 && p->rules_n <= PROFILE_RULES_MAX);
        n++;
    }
    assert_int_equal(n, 7);
    assert_null(profile_find("influx"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table), cmocka_unit_test(test_lengths), cmocka_unit_test(test_external),
        cmocka_unit_test(test_help),  cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
