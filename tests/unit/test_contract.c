/* SPDX-License-Identifier: Apache-2.0 */
/* test_contract: families, types and names of labels: what is gathered of a body, kept in a file, and told when it
   changes. */
#include "unit.h"

#include "agent/command/contract.h"
#include "agent/command/contract_set.h"

#include <jansson.h>
#include <unistd.h>

static char path[] = "/tmp/test_contract_XXXXXX";

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, strlen(text), f), strlen(text));
    assert_int_equal(fclose(f), 0);
}

static void gather(struct contract_set *set, enum exposition_format format, const char *body)
{
    struct survey *s = survey_new(20);
    struct survey_watcher watcher = contract_set_watcher(set);
    struct survey_counts counts;
    survey_watch(s, &watcher);
    survey_begin(s, format);
    survey_feed(s, body, strlen(body));
    survey_finish(s);
    survey_counts(s, &counts);
    assert_int_equal(counts.errors, 0);
    survey_free(s);
}

#define HEAD "{\"contract_version\":1,\"families\":["
#define TAIL "\n]}\n"

static const struct {
    enum exposition_format format;
    const char *body, *want;
} SETS[] = {
    {EXPOSITION_TEXT, "", HEAD TAIL},
    {EXPOSITION_TEXT, "# HELP nothing here\nb{y=\"1\",x=\"2\"} 1\nb{z=\"1\"} 1\n# TYPE a counter\na 5\n",
     HEAD "\n{\"name\":\"a\",\"type\":\"counter\",\"labels\":[]},"
          "\n{\"name\":\"b\",\"type\":\"untyped\",\"labels\":[\"x\",\"y\",\"z\"]}" TAIL},
    {EXPOSITION_TEXT, "# TYPE a gauge\n", HEAD "\n{\"name\":\"a\",\"type\":\"gauge\",\"labels\":null}" TAIL},
    {EXPOSITION_TEXT,
     "# TYPE h histogram\nh_bucket{a=\"1\",le=\"+Inf\"} 1\nh_sum{a=\"1\"} 1\nh_count{a=\"1\"} 1\n"
     "# TYPE s summary\ns{quantile=\"1\"} 1\ns_sum{b=\"2\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
     HEAD "\n{\"name\":\"g\",\"type\":\"gauge\",\"labels\":[\"le\"]},"
          "\n{\"name\":\"h\",\"type\":\"histogram\",\"labels\":[\"a\"]},"
          "\n{\"name\":\"s\",\"type\":\"summary\",\"labels\":[\"b\"]}" TAIL},
    /* the same by any name */
    {EXPOSITION_OPENMETRICS,
     "# TYPE a counter\na_total{x=\"1\"} 5\na_created{x=\"1\"} 5\n# TYPE i info\ni_info 1\n# EOF\n",
     HEAD "\n{\"name\":\"a_total\",\"type\":\"counter\",\"labels\":[\"x\"]},"
          "\n{\"name\":\"i_info\",\"type\":\"info\",\"labels\":[]}" TAIL},
    {EXPOSITION_TEXT, "{\"a.\\\"b\",\"c.d\"=\"1\"} 1\n",
     HEAD "\n{\"name\":\"a.\\\"b\",\"type\":\"untyped\",\"labels\":[\"c.d\"]}" TAIL},
};

/* Written, read again and written again: the same. */
static void test_sets(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(SETS); i++) {
        struct contract_set set = {0}, again = {0};
        struct err err = {0};
        struct buf text;
        buf_init(&text, 1 << 20);
        gather(&set, SETS[i].format, SETS[i].body);
        contract_set_write(&set, &text);
        assert_string_equal(buf_c(&text), SETS[i].want);
        write_file(SETS[i].want);
        if (!contract_set_read(path, &again, &err))
            fail_msg("%s", err.msg);
        buf_clear(&text);
        contract_set_write(&again, &text);
        assert_string_equal(buf_c(&text), SETS[i].want);
        contract_set_free(&set);
        contract_set_free(&again);
        buf_free(&text);
    }
}

/* As a person or another program might lay it out. */
static void test_reads_any_layout(void **state)
{
    struct contract_set set = {0};
    (void)state;
    write_file("{\n  \"contract_version\": 1,\n  \"families\": [{\"labels\": [\"b\", \"a\"], \"type\": \"gauge\", "
               "\"name\": \"x\"}]\n}\n");
    assert_true(contract_set_read(path, &set, NULL));
    assert_int_equal(set.n, 1);
    assert_string_equal(set.v[0].labels[0], "a");
    contract_set_free(&set);
}

/* A body that somebody kept will do. */
static void test_reads_bodies(void **state)
{
    static const char *const bodies[] = {"# TYPE a_total counter\na_total{x=\"1\"} 1\n",
                                         "# TYPE a counter\na_total{x=\"1\"} 1\n# EOF\n"};
    (void)state;
    for (size_t i = 0; i < ROWS(bodies); i++) {
        struct contract_set set = {0};
        struct err err = {0};
        write_file(bodies[i]);
        if (!contract_set_read(path, &set, &err))
            fail_msg("%s", err.msg);
        assert_int_equal(set.n, 1);
        assert_string_equal(set.v[0].name, "a_total");
        assert_int_equal(set.v[0].type, BLOCK_COUNTER);
        contract_set_free(&set);
    }
}

static void test_refuses(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"{}", "neither written by --save nor an exposition: line 1: "},
        {"{\"families\":[]}", "neither written by --save nor an exposition: line 1: "},
        {"{\"contract_version\":2,\"families\":[]}", "was not written by --save"},
        {"{\"contract_version\":1}", "was not written by --save"},
        {"{\"contract_version\":1,\"families\":[{}]}", "family 1 is not as --save writes it"},
        {HEAD "{\"name\":\"a\",\"type\":\"counter\",\"labels\":[]},{\"name\":\"b\",\"type\":\"x\",\"labels\":[]}]}",
         "family 2 is not as --save writes it"},
        {HEAD "{\"name\":\"a\",\"type\":\"counter\"}]}", "family 1 is not"},
        {HEAD "{\"name\":\"a\",\"type\":\"counter\",\"labels\":[1]}]}", "family 1 is not"},
        {HEAD "{\"name\":\"a\",\"type\":\"counter\",\"labels\":[]}", ":1: "}, /* half of it is no JSON */
        {"a 1\nb\n", "neither written by --save nor an exposition: line 2: "},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct contract_set set = {0};
        struct err err = {0};
        write_file(rows[i].text);
        assert_false(contract_set_read(path, &set, &err));
        if (!strstr(err.msg, rows[i].why))
            fail_msg("%s: %s", rows[i].text, err.msg);
        contract_set_free(&set);
    }
    struct contract_set set = {0};
    struct err err = {0};
    assert_false(contract_set_read("/none/such", &set, &err));
    assert_non_null(strstr(err.msg, "/none/such"));
    contract_set_free(&set);
}

/* ---- the analysis ---- */

#define T "# TYPE "

static const struct {
    const char *was, *now, *want;
} CHANGES[] = {
    {"a 1\nb{x=\"1\"} 1\n", "b{x=\"2\"} 5\nb{x=\"3\"} 5\na 2\n", ""},
    {T "a counter\na 1\n", "a 1\n", "  a: type untyped, was counter\n"},
    {T "a counter\na 1\nb 1\n", "b 1\n", "  a (counter) is gone\n"},
    {"b 1\n", T "c gauge\nc 1\nb 1\na 1\n", "  a (untyped) is new\n  c (gauge) is new\n"},
    {"a{x=\"1\",y=\"1\"} 1\n", "a{y=\"1\",z=\"1\"} 1\n", "  a: label x is gone\n  a: label z is new\n"},
    {T "a gauge\na{x=\"1\"} 1\n", T "a counter\na 1\n", "  a: type counter, was gauge\n  a: label x is gone\n"},
    /* nothing is known of the labels of a family without samples */
    {T "a gauge\n", T "a gauge\na{x=\"1\"} 1\n", ""},
    {T "a gauge\na{x=\"1\"} 1\n", T "a gauge\n", ""},
    {"", "a 1\nb 1\nc 1\nd 1\ne 1\n",
     "  a (untyped) is new\n  b (untyped) is new\n  c (untyped) is new\n  and 2 more\n"},
};

static void scrape(struct analysis *a, const char *body, unsigned round, bool failed)
{
    struct survey *s = survey_new(20);
    struct survey_counts counts;
    struct probe_result probe = {0};
    struct scrape_done done = {.round = round, .probe = &probe, .counts = &counts};
    if (failed)
        err_set(&probe.error, "refused");
    survey_watch(s, &a->watcher);
    survey_feed(s, body, strlen(body));
    survey_finish(s);
    survey_counts(s, &counts);
    a->done(a->watcher.ctx, &done);
    survey_free(s);
}

static void assert_text(struct analysis *a, const char *want)
{
    struct paint plain = {.on = false};
    struct buf out;
    buf_init(&out, 1 << 20);
    a->text(a->watcher.ctx, &plain, &out);
    assert_string_equal(buf_c(&out), want);
    buf_free(&out);
}

/* What follows the first line, and whether there is one. */
static void check(struct analysis *a, const char *what, const char *want, bool counts)
{
    struct paint plain = {.on = false};
    struct buf out;
    buf_init(&out, 1 << 20);
    a->text(a->watcher.ctx, &plain, &out);
    const char *lines = strchr(buf_c(&out), '\n');
    bool same = !*want && !what[0] ? out.n == 0 : lines && strcmp(lines + 1, want) == 0;
    if (!same || !strstr(buf_c(&out), what))
        fail_msg("got:\n%s\nwant: %s\n%s", buf_c(&out), what, want);
    assert_true((a->findings(a->watcher.ctx) > 0) == counts);
    assert_false(a->failed(a->watcher.ctx));
    buf_free(&out);
}

static void test_expect(void **state)
{
    struct scrape_flags flags = {.expect = path, .max_errors = 3};
    (void)state;
    for (size_t i = 0; i < ROWS(CHANGES); i++) {
        struct analysis a;
        bool changed = CHANGES[i].want[0];
        write_file(CHANGES[i].was);
        assert_true(contract_make(&flags, NULL, &a));
        scrape(&a, CHANGES[i].now, 0, false);
        check(&a, changed ? " from /tmp/test_con" : "contract: as in /tmp/test_con", CHANGES[i].want, changed);
        a.free(a.watcher.ctx);
    }
}

/* Between two scrapes it is told, but nobody expected anything. */
static void test_twice(void **state)
{
    struct scrape_flags flags = {.twice_ms = 1, .max_errors = 3};
    (void)state;
    for (size_t i = 0; i < ROWS(CHANGES); i++) {
        struct analysis a;
        assert_true(contract_make(&flags, NULL, &a));
        scrape(&a, CHANGES[i].was, 0, false);
        scrape(&a, CHANGES[i].now, 1, false);
        check(&a, CHANGES[i].want[0] ? "between the scrapes: " : "", CHANGES[i].want, false);
        a.free(a.watcher.ctx);
    }
}

static void test_save(void **state)
{
    struct scrape_flags flags = {.save = path, .max_errors = 3};
    struct analysis a;
    struct contract_set set = {0};
    char want[128];
    (void)state;
    write_file("");
    assert_true(contract_make(&flags, NULL, &a));
    scrape(&a, "a 1\nb 1\n", 0, false);
    snprintf(want, sizeof want, "saved: 2 families in %s\n", path);
    assert_text(&a, want);
    assert_int_equal(a.findings(a.watcher.ctx), 0);
    a.free(a.watcher.ctx);
    assert_true(contract_set_read(path, &set, NULL));
    assert_int_equal(set.n, 2);
    contract_set_free(&set);
}

/* Half a scrape is neither saved nor compared. */
static void test_failed_scrapes(void **state)
{
    static const struct {
        const char *body;
        bool failed;
    } rows[] = {{"a 1\n", true}, {"a 1\nb\n", false}};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct scrape_flags save = {.save = path}, expect = {.expect = path};
        struct analysis a;
        struct contract_set set = {0};
        write_file("kept 1\n");
        assert_true(contract_make(&save, NULL, &a));
        scrape(&a, rows[i].body, 0, rows[i].failed);
        assert_text(&a, "contract: not saved: the scrape failed or has errors\n");
        assert_true(a.failed(a.watcher.ctx));
        a.free(a.watcher.ctx);
        assert_true(contract_set_read(path, &set, NULL));
        assert_string_equal(set.v[0].name, "kept");
        contract_set_free(&set);
        assert_true(contract_make(&expect, NULL, &a));
        scrape(&a, rows[i].body, 0, rows[i].failed);
        assert_text(&a, "contract: not compared: the scrape failed or has errors\n");
        assert_true(a.failed(a.watcher.ctx));
        assert_int_equal(a.findings(a.watcher.ctx), 0);
        a.free(a.watcher.ctx);
    }
}

static void test_json(void **state)
{
    static const char want[] =
        "{\"error\":\"\",\"complete\":true,\"differences\":3,\"first_differences\":["
        "{\"kind\":\"family_gone\",\"family\":\"a\",\"label\":null,\"was\":\"untyped\",\"now\":null},"
        "{\"kind\":\"label_new\",\"family\":\"b\",\"label\":\"x\",\"was\":\"untyped\",\"now\":\"untyped\"},"
        "{\"kind\":\"family_new\",\"family\":\"c\",\"label\":null,\"was\":null,\"now\":\"untyped\"}],"
        "\"changes\":0,\"first_changes\":[]}";
    struct scrape_flags flags = {.expect = path, .max_errors = 5};
    struct analysis a;
    struct buf out;
    (void)state;
    buf_init(&out, 1 << 20);
    write_file("a 1\nb 1\n");
    assert_true(contract_make(&flags, NULL, &a));
    scrape(&a, "b{x=\"1\"} 1\nc 1\n", 0, false);
    buf_add_char(&out, '{');
    a.json(a.watcher.ctx, &out);
    buf_add_c(&out, "\"end\":0}");
    json_t *got = json_loads(buf_c(&out), 0, NULL), *wanted = json_loads(want, 0, NULL);
    assert_non_null(wanted);
    if (!got || !json_equal(json_object_get(got, "contract"), wanted))
        fail_msg("got %s", buf_c(&out));
    json_decref(got);
    json_decref(wanted);
    buf_free(&out);
    a.free(a.watcher.ctx);
}

static int setup(void **state)
{
    (void)state;
    int fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_any_layout),
        cmocka_unit_test(test_sets),   cmocka_unit_test(test_reads_bodies), cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_expect), cmocka_unit_test(test_twice),        cmocka_unit_test(test_save),
        cmocka_unit_test(test_json),   cmocka_unit_test(test_failed_scrapes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
