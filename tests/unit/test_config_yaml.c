/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_yaml: the node tree, its places and its bounds; environment variables; files that are only part of a
   configuration; the help text. */
#include "unit.h"

#include <unistd.h>

#include "agent/config/env.h"
#include "agent/config/yaml.h"
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "config.h"

static const struct yaml_file the_file = {"t.yml", "/", 0};

/* The tree as one line: scalars as plain or 'quoted' with their place, lists in [], mappings in {}. */
static void render(const struct node *n, struct buf *out)
{
    if (n->kind == NODE_SCALAR) {
        buf_addf(out, n->plain ? "%.*s" : "'%.*s'", STR_ARG(n->text));
        buf_addf(out, "@%d:%d", n->at.line, n->at.col);
        return;
    }
    buf_add_char(out, n->kind == NODE_LIST ? '[' : '{');
    for (size_t i = 0; i < n->n; i++) {
        if (i > 0)
            buf_add_c(out, ", ");
        if (n->kind == NODE_MAP)
            buf_addf(out, "%.*s@%d:%d=", STR_ARG(n->pairs[i].key), n->pairs[i].at.line, n->pairs[i].at.col);
        render(n->kind == NODE_LIST ? n->items[i] : n->pairs[i].value, out);
    }
    buf_add_char(out, n->kind == NODE_LIST ? ']' : '}');
}

/* What a text parses to, or its problems. For the caller to free. */
static char *outcome(struct str text)
{
    struct arena arena;
    arena_init(&arena);
    struct problems problems = {.arena = &arena};
    struct buf out;
    buf_init(&out, 1 << 20);
    const struct node *root = yaml_parse(&arena, &the_file, text, &problems);
    if (root && problems.n == 0)
        render(root, &out);
    else
        problems_print(&problems, &out);
    problems_free(&problems);
    arena_free(&arena);
    return buf_take(&out);
}

static const struct {
    const char *text;
    const char *want;
} trees[] = {
    {"", "@1:1"},
    {"# only a comment\n", "@1:1"},
    {"a", "a@1:1"},
    {"'a b'", "'a b'@1:1"},
    {"\"a\\tb\"", "'a\tb'@1:1"},
    {"a: 1", "{a@1:1=1@1:4}"},
    {"a: 1\nb:\n  c: 2\n", "{a@1:1=1@1:4, b@2:1={c@3:3=2@3:6}}"},
    {"a:\n", "{a@1:1=@1:3}"},
    {"- 1\n- 'x'\n", "[1@1:3, 'x'@2:3]"},
    {"[1, [2], {a: b}]", "[1@1:2, [2@1:6], {a@1:11=b@1:14}]"},
    {"{\"a\":1,\"b\":[\"c\"]}", "{a@1:2=1@1:6, b@1:8=['c'@1:13]}"},
    {"{\n\t\"a\": [\n\t\t\"b\"\n\t]\n}\n", "{a@2:2=['b'@3:3]}"},
    {"a: |\n  x\n  y\n", "{a@1:1='x\ny\n'@1:4}"},
    {"a: >-\n  x\n  y\n", "{a@1:1='x y'@1:4}"},
    {"a: &x 1\nb: *x\n", "{a@1:1=1@1:4, b@2:1=1@1:4}"},
    {"a: &x {k: 1, l: 2}\nb:\n  <<: *x\n  l: 3\n",
     "{a@1:1={k@1:8=1@1:11, l@1:14=2@1:17}, b@2:1={l@4:3=3@4:6, k@1:8=1@1:11}}"},
    {"a: !!str 5\n", "{a@1:1='5'@1:4}"},
    {"\xc3\xa4: \xc3\xb6\n", "{\xc3\xa4@1:1=\xc3\xb6@1:4}"},
    {"a: 1\r\nb: 2\r\n", "{a@1:1=1@1:4, b@2:1=2@2:4}"},
    {"\xef\xbb\xbf" "a: 1", "{a@1:2=1@1:5}"},
    {"---\na: 1\n...\n", "{a@2:1=1@2:4}"},
    /* problems */
    {"a: 1\na: 2\n", "t.yml:2:1: field a already set\n"},
    {"a: 1\na: 2\nb: 1\nb: 2\n", "t.yml:2:1: field a already set\nt.yml:4:1: field b already set\n"},
    {"a: *x", "t.yml:1:4: unknown anchor \"x\"\n"},
    {"a: 1\n---\nb: 2\n", "t.yml:2:1: a second document is not allowed\n"},
    {"{a: b", "t.yml:2:1: yaml: did not find expected ',' or '}' (while parsing a flow mapping)\n"},
    {"a: \"\\0\"", "t.yml:1:4: a NUL character is not allowed\n"},
    {"? [a]\n: b\n", "t.yml:1:3: a key must be text, not a list\n"},
    {"? {a: b}\n: b\n", "t.yml:1:3: a key must be text, not a mapping\n"},
    {"<<: [1]", "t.yml:1:5: a list behind << must hold mappings only\n"},
    {"<<: 1", "t.yml:1:5: << needs a mapping or a list of mappings\n"},
    {"a: b\nc: \xff\n", "t.yml:2:4: yaml: invalid leading UTF-8 octet\n"},
    {"a: \x01\n", "t.yml:1:4: yaml: control characters are not allowed\n"},
};

static void test_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof trees / sizeof *trees; i++) {
        char *got = outcome(str_of(trees[i].text));
        assert_string_equal(got, trees[i].want);
        free(got);
    }
}

static void test_null(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool null, empty;
    } cases[] = {
        {"", true, true},     {"~", true, true},     {"null", true, true}, {"Null", true, true},
        {"NULL", true, true}, {"nULL", false, false}, {"''", false, true},  {"'null'", false, false},
        {"[]", false, true},  {"{}", false, true},   {"[a]", false, false}, {"0", false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        arena_init(&arena);
        struct problems problems = {.arena = &arena};
        const struct node *n = yaml_parse(&arena, &the_file, str_of(cases[i].text), &problems);
        assert_int_equal(node_is_null(n), cases[i].null);
        assert_int_equal(node_is_empty(n), cases[i].empty);
        assert_null(node_get(n, "x"));
        arena_free(&arena);
    }
    assert_true(node_is_null(NULL));
}

static void expect_bound(struct buf *text, const char *want)
{
    char *got = outcome(buf_str(text));
    assert_string_equal(got, want);
    free(got);
    buf_clear(text);
}

static void test_bounds(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, (size_t)64 << 20);
    for (int i = 0; i < 65; i++)
        buf_add_char(&text, '[');
    expect_bound(&text, "t.yml:1:65: more than 64 levels of nesting\n");
    /* Nine levels of ten aliases each: a thousand million nodes. */
    buf_add_c(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++) {
        buf_addf(&text, "a%d: &a%d [", i, i);
        for (int k = 0; k < 10; k++)
            buf_addf(&text, "%s*a%d", k ? ", " : "", i - 1);
        buf_add_c(&text, "]\n");
    }
    expect_bound(&text, "t.yml:7:10: the document is too large (more than 2000000 nodes, aliases counted)\n");
    /* A long text counts for its length, or aliases of it would fill the memory. */
    buf_add_c(&text, "a: &a ");
    for (int i = 0; i < 1000000; i++)
        buf_add_char(&text, 'x');
    buf_add_c(&text, "\nb: [");
    for (int i = 0; i < 100; i++)
        buf_add_c(&text, "*a, ");
    expect_bound(&text, "t.yml:2:253: the document is too large (more than 2000000 nodes, aliases counted)\n");
    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "k%d: 1\n", i);
    expect_bound(&text, "t.yml:4097:1: more than 4096 keys in one mapping\n");
    for (int i = 0; i < 1001; i++)
        buf_addf(&text, "- &k%d 1\n", i);
    expect_bound(&text, "t.yml:1001:3: more than 1000 anchors\n");
    buf_add_c(&text, "a: '");
    for (size_t i = 0; i < (16 << 20); i++)
        buf_add_char(&text, 'x');
    expect_bound(&text, "t.yml:1:1: larger than 16 MiB\n");
    buf_add_char(&text, '[');
    for (int i = 0; i < 2000001; i++)
        buf_add_c(&text, "a,");
    expect_bound(&text,
                 "t.yml:1:4000000: the document is too large (more than 2000000 nodes, aliases counted)\n");
    buf_free(&text);
}

/* env */

static void test_env_text(void **state)
{
    (void)state;
    setenv("ENV_TEST_A", "value", 1);
    setenv("ENV_TEST_EMPTY", "", 1);
    unsetenv("ENV_TEST_NONE");
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"none", "none"},
        {"%{ENV_TEST_A}", "value"},
        {"a%{ENV_TEST_A}b%{ENV_TEST_A}c", "avaluebvaluec"},
        {"%{ENV_TEST_EMPTY}", ""},
        {"%{ENV_TEST_NONE}", "%{ENV_TEST_NONE}"},
        {"%{ENV_TEST_A", "%{ENV_TEST_A"},
        {"%{}", "%{}"},
        {"%{ %{ENV_TEST_A}", "%{ value"},
        {"%%{ENV_TEST_A}}", "%value}"},
        {"${ENV_TEST_A} $ENV_TEST_A", "${ENV_TEST_A} $ENV_TEST_A"},
        {"%", "%"},
        {"%{", "%{"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        arena_init(&arena);
        struct env_text out;
        assert_true(env_expand(&arena, str_of(cases[i].text), 100, &out));
        assert_true(str_eq_c(out.text, cases[i].want));
        arena_free(&arena);
    }
    struct arena arena;
    arena_init(&arena);
    struct env_text out;
    assert_true(env_expand(&arena, STR("%{ENV_TEST_A}"), 5, &out));
    assert_false(env_expand(&arena, STR("%{ENV_TEST_A}"), 4, &out));
    arena_free(&arena);
}

static void test_env_places(void **state)
{
    (void)state;
    setenv("ENV_TEST_A", "1\n2\xc3\xa4\n3", 1); /* six characters on three lines */
    struct arena arena;
    arena_init(&arena);
    struct env_text out;
    assert_true(env_expand(&arena, STR("x%{ENV_TEST_A}y\nz%{ENV_TEST_A}%{ENV_TEST_A}\n\xc3\xb6q"), 1000, &out));
    static const struct {
        size_t index;
        int line, col;
    } places[] = {
        {0, 1, 1}, {1, 1, 2}, {6, 1, 2}, {7, 1, 15}, {8, 1, 16}, {9, 2, 1}, {10, 2, 2}, {15, 2, 2},
        {16, 2, 15}, {21, 2, 15}, {22, 2, 28}, {23, 3, 1}, {24, 3, 2},
    };
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        int line = 0, col = 0;
        env_place(&out, places[i].index, &line, &col);
        assert_int_equal(line, places[i].line);
        assert_int_equal(col, places[i].col);
    }
    arena_free(&arena);
}

static void test_env_dollar(void **state)
{
    (void)state;
    setenv("ENV_TEST_A", "v", 1);
    unsetenv("ENV_TEST_NONE");
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"$ENV_TEST_A", "v"},
        {"${ENV_TEST_A}", "v"},
        {"x${ENV_TEST_A}y$ENV_TEST_A/z", "xvyv/z"},
        {"$$", "$"},
        {"$$ENV_TEST_A", "$ENV_TEST_A"},
        {"$ENV_TEST_NONE.", "."},
        {"$", "$"},
        {"a$ b", "a$ b"},
        {"$1x", "x"},
        {"${", ""},
        {"${}", ""},
        {"${ENV_TEST_A", "ENV_TEST_A"},
        {"%{ENV_TEST_A}", "%{ENV_TEST_A}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct arena arena;
        arena_init(&arena);
        struct str got = env_expand_dollar(&arena, str_of(cases[i].text), STR("label"));
        assert_true(str_eq_c(got, cases[i].want));
        arena_free(&arena);
    }
}

/* Files that are only part of a configuration. */

static char *write_temp(const char *suffix, const char *text)
{
    struct err err = {0};
    char *path = xasprintf("/tmp/test_config_yaml_%d%s", (int)getpid(), suffix);
    assert_true(file_write_atomic(path, str_of(text), &err));
    return path;
}

static const struct {
    const char *suffix;
    const char *text;
    size_t groups;
    const char *first_target;
    const char *error; /* part of it, when groups == 0 and first_target == NULL */
} group_cases[] = {
    {".json", "[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"env\": \"prod\"}}]", 1, "a:1", NULL},
    {".json", "[\n\t{\n\t\t\"targets\": [\"a:1\"]\n\t},\n\t{\"targets\":[\"c:3\"],\"labels\":{}}\n]\n", 2, "a:1", NULL},
    {".yml", "- targets: [x:1]\n  labels: {a: b}\n- targets:\n  - y:1\n", 2, "x:1", NULL},
    {".yaml", "", 0, "", NULL},
    {".yml", "[]", 0, "", NULL},
    {".yml", "- targets: [https://example.com/]\n", 1, "https://example.com/", NULL},
    {".yml", "- target: [x:1]\n", 0, NULL, ":1:3: field target not found in static_config"},
    {".yml", "targets: [x:1]\n", 0, NULL, ":1:1: static_configs: expected a list, found a mapping"},
    {".yml", "- ~\n", 0, NULL, ":1:3: empty or null section in static_configs"},
    {".json", "[{\"targets\": [\"a:1\"}]", 0, NULL, ": yaml: "},
    {".json", "[{\"targets\": [\"a:1\"], \"labels\": {\"a\": [1]}}]", 0, NULL,
     ":1:39: labels: expected a single value"},
    {".json", "[{\"targets\": \"a:1\"}]", 0, NULL, ":1:14: targets: expected a list"},
};

static void test_groups(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof group_cases / sizeof *group_cases; i++) {
        char *path = write_temp(group_cases[i].suffix, group_cases[i].text);
        struct buf errors;
        buf_init(&errors, 1 << 16);
        struct config_group *groups = NULL;
        size_t n = 0;
        bool good = config_groups_from_file(path, &groups, &n, &errors);
        assert_int_equal(good, group_cases[i].first_target != NULL);
        assert_int_equal(n, group_cases[i].groups);
        if (!good)
            assert_non_null(strstr(buf_c(&errors), group_cases[i].error));
        else if (n > 0)
            assert_string_equal(groups[0].targets[0], group_cases[i].first_target);
        config_groups_free(groups, n);
        buf_free(&errors);
        unlink(path);
        free(path);
    }
    struct buf errors;
    struct config_group *groups = NULL;
    size_t n = 0;
    buf_init(&errors, 1 << 16);
    assert_false(config_groups_from_file("/nonexistent.yml", &groups, &n, &errors));
    assert_memory_equal(buf_c(&errors), "/nonexistent.yml:1:1: ", 22);
    buf_free(&errors);
}

static const char with_jobs[] = "global:\n"
                                "  metric_relabel_configs: [{target_label: g, replacement: x}]\n"
                                "scrape_configs:\n"
                                "- job_name: a\n"
                                "  kubernetes_sd_configs: [{role: pod}]\n"
                                "  relabel_configs: [{target_label: t, replacement: x}]\n"
                                "  metric_relabel_configs:\n"
                                "  - {target_label: m, replacement: x}\n"
                                "  - {target_label: m2, replacement: x}\n"
                                "- job_name: b\n";

static const struct {
    const char *text;
    const char *job;
    bool target_rules;
    int rules; /* -1: refused */
    const char *error;
} rule_cases[] = {
    {"- {target_label: a, replacement: b}\n", NULL, false, 1, NULL},
    {"- {target_label: a, replacement: b}\n", NULL, true, 1, NULL},
    {"[]", NULL, false, 0, NULL},
    {"relabel_configs: [{target_label: a, replacement: b}]\n", NULL, true, 1, NULL},
    {"relabel_configs: [{target_label: a, replacement: b}]\n", NULL, false, 1, NULL},
    {"rules: []\n", NULL, false, -1, ":1:1: no list of rules and no metric_relabel_configs"},
    {"metric_relabel_configs: [{target_label: a, replacement: b}]\n", NULL, false, 1, NULL},
    {with_jobs, "a", true, 1, NULL},
    {with_jobs, "a", false, 3, NULL},
    {with_jobs, "b", true, 0, NULL},
    {with_jobs, "b", false, 1, NULL},
    {with_jobs, "c", false, -1, ":1:1: no job \"c\" in this file"},
    {with_jobs, NULL, false, -1, ":1:1: name a job with --job to choose its metric_relabel_configs"},
    {"- job_name: a\n  relabel_configs: [{target_label: a, replacement: b}]\n", "a", true, 1, NULL},
    {"- {target_labl: a, replacement: b}\n", NULL, true, -1, ":1:4: field target_labl not found in relabel_config"},
    {"- {action: nonsense}\n", NULL, true, -1, ":1:12: unknown relabel action \"nonsense\""},
    {"[", NULL, true, -1, ": yaml: "},
    {"text", NULL, true, -1, ":1:1: no list of rules"},
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rule_cases / sizeof *rule_cases; i++) {
        char *path = write_temp(".yml", rule_cases[i].text);
        struct buf errors;
        buf_init(&errors, 1 << 16);
        struct relabel_rules *rules =
            config_relabel_rules_from_file(path, rule_cases[i].job, rule_cases[i].target_rules, &errors);
        assert_int_equal(rules != NULL, rule_cases[i].rules >= 0);
        if (rules)
            assert_int_equal(relabel_count(rules), rule_cases[i].rules);
        else if (!strstr(buf_c(&errors), rule_cases[i].error))
            fail_msg("%s", buf_c(&errors));
        relabel_free(rules);
        buf_free(&errors);
        unlink(path);
        free(path);
    }
}

/* The help text */

/* A line of a section's help that begins so, however many blanks stand between the columns. */
static void check_help_line(const char *section, const char *want)
{
    struct buf help, words;
    buf_init(&help, 1 << 20);
    buf_init(&words, 1 << 20);
    assert_true(config_help(section, &help));
    for (size_t k = 0; k < help.n; k++)
        if (help.p[k] != ' ' || (words.n > 0 && words.p[words.n - 1] != ' '))
            buf_add_char(&words, help.p[k]);
    char line[128];
    snprintf(line, sizeof line, "\n %s", want);
    if (!strstr(buf_c(&words), line))
        fail_msg("%s: %s", section, want);
    buf_free(&words);
    buf_free(&help);
}

/* Field, type and default as help shows them, for all that says how targets are scraped. */
static void check_help_of_fields(void)
{
    static const char *const both[] = {
        "body_size_limit size -", "sample_limit number -", "label_limit number -", "label_name_length_limit number -",
        "label_value_length_limit number -", "target_limit number -", "keep_dropped_targets number -",
        "series_limit number -", "job_series_limit number -", "native_histogram_bucket_limit number -",
        "native_histogram_min_bucket_factor number -", "scrape_native_histograms bool false",
        "always_scrape_classic_histograms bool false", "scrape_classic_histograms bool -",
        "convert_classic_histograms_to_nhcb bool false", "extra_scrape_metrics bool false",
        "normalize_le_quantile bool false", "metric_name_validation_scheme word -",
        "metric_name_escaping_scheme word -", "scrape_protocols - formats", "scrape_failure_log_file path -",
        "relabel_configs list -", "metric_relabel_configs list -",
    };
    static const char *const jobs[] = {
        "fallback_scrape_protocol word -", "track_timestamps_staleness bool false", "scrape_align_interval duration 0s",
        "scrape_offset duration 0s", "disable_keepalive bool false", "scrape_on_shutdown bool false",
        "offer_zstd bool false", "relabel_debug bool -", "metric_relabel_debug bool -", "max_scrape_size size -",
    };
    for (size_t i = 0; i < sizeof both / sizeof *both; i++) {
        check_help_line("scrape_config", both[i]);
        check_help_line("global", both[i]);
    }
    for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
        check_help_line("scrape_config", jobs[i]);
    check_help_line("global", "total_series_limit number -");
}

static void test_help(void **state)
{
    (void)state;
    static const char *const sections[] = {
        "configuration", "global", "scrape_config", "static_config", "file_sd_config", "relabel_config",
        "remote_write", "queue_config", "metadata_config", "http_client", "http_headers", "authorization",
        "basic_auth", "tls_config", "scrape_configs", "relabel_configs", "metric_relabel_configs",
    };
    struct buf all, one;
    buf_init(&all, 1 << 20);
    buf_init(&one, 1 << 20);
    assert_true(config_help(NULL, &all));
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        buf_clear(&one);
        assert_true(config_help(sections[i], &one));
        assert_true(one.n > 0);
        assert_non_null(strstr(buf_c(&all), buf_c(&one)));
    }
    buf_clear(&one);
    assert_false(config_help("nonsense", &one));
    assert_int_equal(one.n, 0);
    static const char *const parts[] = {
        "  scrape_interval                    duration ", "files of 16 MiB, 64 levels of nesting",
        "Not supported yet:", "azure_sd_configs", "kubernetes_sd_configs", "failed_request_logging (only false)",
        "Refused, because an agent cannot honour them", "alerting rule_files remote_read",
        "  max_samples_per_send               number    10000",
    };
    check_help_of_fields();
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (!strstr(buf_c(&all), parts[i]))
            fail_msg("not in the help: %s", parts[i]);
    buf_free(&one);
    buf_free(&all);
}

int main(void)
{
    log_set_level("error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees),      cmocka_unit_test(test_null),   cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_env_text),   cmocka_unit_test(test_env_places),
        cmocka_unit_test(test_env_dollar), cmocka_unit_test(test_groups), cmocka_unit_test(test_rules),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
