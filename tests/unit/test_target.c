/* SPDX-License-Identifier: Apache-2.0 */
/* test_target: from discovered labels to labels and URL, with Prometheus's messages for what is wrong. */
#include "unit.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "target.h"

/* The first job of a configuration with these lines under its job_name. */
static struct config *config_of(const char *lines)
{
    struct buf errors;
    buf_init(&errors, 65536);
    char *yaml = xasprintf("scrape_configs:\n- job_name: j\n%s", lines);
    struct config *c = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
    if (!c)
        fail_msg("%s\n%s", yaml, buf_c(&errors));
    buf_free(&errors);
    free(yaml);
    return c;
}

/* A target from "name=value name=value"; blanks in values are written as '_'. */
static struct target *build(const struct config *c, const char *spelled, struct err *err)
{
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    char *text = arena_strdup(&arena, spelled);
    for (char *next, *at = text; *at; at = next) {
        next = at + strcspn(at, " ");
        if (*next)
            *next++ = '\0';
        size_t eq = strcspn(at, "=");
        labels_push(&l, str_make(at, eq), str_of(at + eq + 1));
    }
    struct target *t = target_build(&c->jobs[0], &l, err);
    labels_free(&l);
    arena_free(&arena);
    return t;
}

static void print_labels(const struct label *v, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%.*s=%.*s", i ? " " : "", STR_ARG(v[i].name), STR_ARG(v[i].value));
}

static void expect(const char *lines, const char *discovered, const char *url, const char *labels)
{
    struct config *c = config_of(lines);
    struct err err = {0};
    struct buf got;
    buf_init(&got, 65536);
    struct target *t = build(c, discovered, &err);
    if (!t)
        fail_msg("%s: %s", discovered, err.msg);
    config_unref(c); /* a target needs no configuration */
    assert_string_equal(t->url, url);
    print_labels(t->labels, t->labels_n, &got);
    assert_string_equal(buf_c(&got), labels);
    assert_true(str_eq_c(t->job, "j"));
    buf_free(&got);
    target_unref(t);
}

static void expect_error(const char *lines, const char *discovered, const char *message)
{
    struct config *c = config_of(lines);
    struct err err = {0};
    assert_null(build(c, discovered, &err));
    assert_string_equal(err.msg, message);
    config_unref(c);
}

static void labels_get_defaults(void **state)
{
    (void)state;
    expect("", "__address__=h:1", "http://h:1/metrics", "instance=h:1 job=j");
    expect("", "__address__=h:1 job=own instance=me", "http://h:1/metrics", "instance=me job=own");
    expect("", "__address__=h:1 __meta_x=y __other=z a=b", "http://h:1/metrics", "a=b instance=h:1 job=j");
    expect("", "__address__=h __scheme__=https __metrics_path__=/p", "https://h/p", "instance=h job=j");
    expect("", "__address__=h empty=", "http://h/metrics", "instance=h job=j");
    expect("  metrics_path: m\n  scheme: https\n", "__address__=[::1]:9", "https://[::1]:9/m",
           "instance=[::1]:9 job=j");
}

static void url_is_escaped_as_go_does(void **state)
{
    (void)state;
    expect("  params: {b: [\"x y\", \"2&\"], a: [\"1\"]}\n", "__address__=h",
           "http://h/metrics?a=1&b=x+y&b=2%26", "instance=h job=j");
    expect("  params: {b: [one, two]}\n", "__address__=h __param_b=first __param_c=c/",
           "http://h/metrics?b=first&b=two&c=c%2F", "instance=h job=j");
    expect("", "__address__=h __metrics_path__=/a%b\"!:@", "http://h/a%25b%22%21:@", "instance=h job=j");
    expect("  params: {b: [x]}\n", "__address__=h __metrics_path__=/p?q=1", "http://h/p?q=1&b=x",
           "instance=h job=j");
    expect("", "__address__=h __param_=x", "http://h/metrics?=x", "instance=h job=j");
}

#define RULES "  relabel_configs:\n"

static void relabeling_sees_everything_and_changes_it(void **state)
{
    (void)state;
    expect(RULES "  - {source_labels: [__address__], target_label: __param_target}\n"
                 "  - {source_labels: [__param_target], target_label: instance}\n"
                 "  - {target_label: __address__, replacement: 'blackbox:9115'}\n",
           "__address__=example.org", "http://blackbox:9115/metrics?target=example.org",
           "instance=example.org job=j");
    expect(RULES "  - {source_labels: [__meta_pod], target_label: pod}\n", "__address__=h __meta_pod=p",
           "http://h/metrics", "instance=h job=j pod=p");
    expect(RULES "  - {regex: job, action: labeldrop}\n", "__address__=h", "http://h/metrics", "instance=h");
    expect(RULES "  - {source_labels: [__scrape_interval__, __scrape_timeout__], target_label: t}\n",
           "__address__=h", "http://h/metrics", "instance=h job=j t=1m;10s");
}

static void what_is_wrong_says_so(void **state)
{
    (void)state;
    expect_error("", "a=b", "no address");
    expect_error("", "__address__=http://h/", "\"http://h/\" is not a valid hostname");
    expect_error("", "__address__=h __scrape_interval__=x",
                 "error parsing scrape interval: not a valid duration string: \"x\"");
    expect_error("", "__address__=h __scrape_interval__=0s", "scrape interval cannot be 0");
    expect_error("", "__address__=h __scrape_timeout__=0", "scrape timeout cannot be 0");
    expect_error("", "__address__=h __scrape_interval__=5s",
                 "scrape timeout cannot be greater than scrape interval (\"10s\" > \"5s\")");
    expect_error("", "__address__=h a=\xff", "invalid label value for \"a\": it is not UTF-8");
}

static void timing_may_come_from_labels(void **state)
{
    (void)state;
    struct config *c = config_of("  scrape_interval: 30s\n");
    struct err err = {0};
    struct target *t = build(c, "__address__=h", &err);
    assert_int_equal(t->interval_ms, 30000);
    assert_int_equal(t->timeout_ms, 10000);
    target_unref(t);
    t = build(c, "__address__=h __scrape_interval__=1m30s __scrape_timeout__=500ms __unix_socket__=/s", &err);
    assert_int_equal(t->interval_ms, 90000);
    assert_int_equal(t->timeout_ms, 500);
    assert_string_equal(t->unix_socket, "/s");
    target_unref(t);
    config_unref(c);
}

static void dropped_target_keeps_its_labels_and_the_rule(void **state)
{
    (void)state;
    struct config *c = config_of(RULES "  - {target_label: a, replacement: b}\n"
                                       "  - {source_labels: [__meta_x], regex: no, action: drop}\n");
    struct err err = {0};
    struct target *t = build(c, "__address__=h __meta_x=no", &err);
    assert_true(t->dropped);
    assert_int_equal(t->dropped_by, 1);
    assert_null(t->url);
    assert_int_equal(t->labels_n, 0);
    struct buf got;
    buf_init(&got, 65536);
    struct labels found;
    labels_init(&found, NULL);
    target_discovered(t, &found);
    print_labels(found.v, found.n, &got);
    labels_free(&found);
    assert_string_equal(buf_c(&got), "__address__=h __always_scrape_classic_histograms__=false "
                                     "__convert_classic_histograms_to_nhcb__=false __meta_x=no "
                                     "__metrics_path__=/metrics __scheme__=http __scrape_interval__=1m "
                                     "__scrape_native_histograms__=false __scrape_timeout__=10s job=j");
    buf_free(&got);
    target_unref(t);
    config_unref(c);
}

/* A target's own labels win over its job; the job's settings are labels that rules see. */
static void settings_may_come_from_labels(void **state)
{
    static const struct {
        const char *job, *labels;
        struct target_settings want;
    } ROWS[] = {
        {"", "__address__=h", {0}},
        {"  sample_limit: 5\n  label_limit: 6\n  series_limit: 7\n  body_size_limit: 1KB\n", "__address__=h",
         {.sample_limit = 5, .label_limit = 6, .series_limit = 7, .body_size_limit = 1024}},
        {"  sample_limit: 5\n", "__address__=h __sample_limit__=9 __label_limit__=8 __series_limit__=1",
         {.sample_limit = 9, .label_limit = 8, .series_limit = 1}},
        {"  sample_limit: 5\n", "__address__=h __sample_limit__=0", {0}},
        {"", "__address__=h __max_scrape_size__=16MiB __stream_parse__=true", {.body_size_limit = 16 << 20}},
        {"", "__address__=h __max_scrape_size__=1.5mb __stream_parse__=F", {.body_size_limit = 1500000}},
        {"", "__address__=h __max_scrape_size__=100", {.body_size_limit = 100}},
        {"  body_size_limit: 1KB\n", "__address__=h __max_scrape_size__=-5MB", {.body_size_limit = 1024}},
        {"  body_size_limit: 1KB\n", "__address__=h __max_scrape_size__=0", {.body_size_limit = 1024}},
        {"  body_size_limit: 1KB\n", "__address__=h __max_scrape_size__=-1", {.body_size_limit = 1024}},
        {"  scrape_native_histograms: true\n", "__address__=h", {.native_histograms = true}},
        {"  scrape_native_histograms: true\n",
         "__address__=h __scrape_native_histograms__=false __always_scrape_classic_histograms__=true "
         "__convert_classic_histograms_to_nhcb__=true",
         {.classic_histograms_too = true, .nhcb = true}},
        {"  always_scrape_classic_histograms: true\n  convert_classic_histograms_to_nhcb: true\n", "__address__=h",
         {.classic_histograms_too = true, .nhcb = true}},
        {"  always_scrape_classic_histograms: true\n",
         "__address__=h __scrape_native_histograms__=1 __always_scrape_classic_histograms__=0 "
         "__convert_classic_histograms_to_nhcb__=T",
         {.native_histograms = true, .nhcb = true}},
        {RULES "  - {source_labels: [__scrape_native_histograms__], regex: 'false', target_label: "
               "__scrape_native_histograms__, replacement: 'true'}\n",
         "__address__=h", {.native_histograms = true}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config *c = config_of(ROWS[i].job);
        struct err err = {0};
        struct target *t = build(c, ROWS[i].labels, &err);
        const struct target_settings *want = &ROWS[i].want;
        assert_non_null(t);
        assert_int_equal(t->settings.sample_limit, want->sample_limit);
        assert_int_equal(t->settings.label_limit, want->label_limit);
        assert_int_equal(t->settings.series_limit, want->series_limit);
        assert_int_equal(t->settings.body_size_limit, want->body_size_limit);
        assert_int_equal(t->settings.native_histograms, want->native_histograms);
        assert_int_equal(t->settings.classic_histograms_too, want->classic_histograms_too);
        assert_int_equal(t->settings.nhcb, want->nhcb);
        target_unref(t);
        config_unref(c);
    }
}

static void wrong_settings_say_so(void **state)
{
    static const struct {
        const char *label, *message;
    } ROWS[] = {
        {"__sample_limit__=x", "label __sample_limit__: \"x\" is not a whole number of at least 0"},
        {"__sample_limit__=-1", "label __sample_limit__: \"-1\" is not a whole number of at least 0"},
        {"__label_limit__=1.5", "label __label_limit__: \"1.5\" is not a whole number of at least 0"},
        {"__series_limit__=99999999999999999999",
         "label __series_limit__: \"99999999999999999999\" is not a whole number of at least 0"},
        {"__max_scrape_size__=big", "label __max_scrape_size__: \"big\" is not a size"},
        {"__max_scrape_size__=-big", "label __max_scrape_size__: \"-big\" is not a size"},
        {"__max_scrape_size__=-", "label __max_scrape_size__: \"-\" is not a size"},
        {"__stream_parse__=perhaps", "label __stream_parse__: \"perhaps\" is not true or false"},
        {"__stream_parse__=yes", "label __stream_parse__: \"yes\" is not true or false"},
        {"__scrape_native_histograms__=1x", "label __scrape_native_histograms__: \"1x\" is not true or false"},
        {"__always_scrape_classic_histograms__=on",
         "label __always_scrape_classic_histograms__: \"on\" is not true or false"},
        {"__convert_classic_histograms_to_nhcb__=2",
         "label __convert_classic_histograms_to_nhcb__: \"2\" is not true or false"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *discovered = xasprintf("__address__=h %s", ROWS[i].label);
        expect_error("", discovered, ROWS[i].message);
        free(discovered);
    }
}

static struct target *target_of(const char *job, const char *labels)
{
    struct config *c = config_of(job);
    struct err err = {0};
    struct target *t = build(c, labels, &err);
    if (!t)
        fail_msg("%s", err.msg);
    config_unref(c);
    return t;
}

/* What makes another target of it, and what of that leaves its series as they are. */
static void keys_say_what_has_changed(void **state)
{
    static const struct {
        const char *job, *labels;
        bool other_key, other_series, other_phase;
    } ROWS[] = {
        {"", "__address__=h", false, false, false},
        {"", "__meta_x=y __address__=h", false, false, false},
        {"", "__address__=h __other=y", false, false, false},
        {"", "__address__=h __stream_parse__=true", false, false, false},
        {"  keep_dropped_targets: 5\n", "__address__=h", false, false, false},
        {"", "__address__=h __scrape_native_histograms__=false", false, false, false},
        {"  sample_limit: 5\n", "__address__=h", true, false, false},
        {"  scrape_interval: 20s\n", "__address__=h", true, false, false},
        {"  scrape_align_interval: 20s\n", "__address__=h", true, false, false},
        {"  scrape_offset: 20s\n", "__address__=h", true, false, false},
        {"  bearer_token: a\n", "__address__=h", true, false, false},
        {"", "__address__=h __scrape_interval__=20s", true, false, false},
        {"", "__address__=h __scrape_timeout__=9s", true, false, false},
        {"", "__address__=h __sample_limit__=5", true, false, false},
        {"", "__address__=h __series_limit__=5", true, false, false},
        {"", "__address__=h __max_scrape_size__=5", true, false, false},
        {"", "__address__=h __label_limit__=5", true, true, false},
        {"", "__address__=h __scrape_native_histograms__=true", true, true, false},
        {"", "__address__=h __always_scrape_classic_histograms__=true", true, true, false},
        {"", "__address__=h __convert_classic_histograms_to_nhcb__=true", true, true, false},
        {"", "__address__=h __unix_socket__=/s", true, true, false},
        {"  honor_labels: true\n", "__address__=h", true, true, false},
        {"  metric_relabel_configs: [{target_label: a, replacement: b}]\n", "__address__=h", true, true, false},
        {"", "__address__=h a=b", true, true, true},
        {"", "__address__=g instance=h", true, true, true},
        {"", "__address__=h __metrics_path__=/p", true, true, true},
        {"", "__address__=h __param_a=b", true, true, true},
    };
    struct target *plain = target_of("", "__address__=h");
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct target *t = target_of(ROWS[i].job, ROWS[i].labels);
        if ((t->key != plain->key) != ROWS[i].other_key ||
            (t->series_key != plain->series_key) != ROWS[i].other_series ||
            (t->phase != plain->phase) != ROWS[i].other_phase)
            fail_msg("%s %s", ROWS[i].job, ROWS[i].labels);
        target_unref(t);
    }
    target_unref(plain);
}

static void alignment_comes_from_the_job(void **state)
{
    struct target *t = target_of("  scrape_align_interval: 5m\n  scrape_offset: 90s\n", "__address__=h");
    (void)state;
    assert_int_equal(t->align_ms, 300000);
    assert_int_equal(t->offset_ms, 90000);
    target_unref(t);
    t = target_of("", "__address__=h");
    assert_int_equal(t->align_ms, 0);
    assert_int_equal(t->offset_ms, 0);
    target_unref(t);
}

/* All but its labels and what comes of them stays. */
static void a_label_more_is_another_target(void **state)
{
    struct target *t = target_of("  scrape_offset: 1s\n  sample_limit: 7\n", "__address__=h __unix_socket__=/s");
    struct target *made = target_with_label(t, STR("shard"), STR("3"));
    struct target *same = target_with_label(t, STR("job"), STR("j"));
    struct buf got;
    (void)state;
    buf_init(&got, 65536);
    print_labels(made->labels, made->labels_n, &got);
    assert_string_equal(buf_c(&got), "instance=h job=j shard=3");
    assert_string_equal(made->url, t->url);
    assert_string_equal(made->unix_socket, "/s");
    assert_int_equal(made->offset_ms, 1000);
    assert_int_equal(made->settings.sample_limit, 7);
    assert_true(made->phase == t->phase);
    assert_true(made->key != t->key);
    assert_true(made->series_key != t->series_key);
    assert_int_equal(same->labels_n, t->labels_n);
    buf_free(&got);
    target_unref(same);
    target_unref(made);
    target_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(labels_get_defaults),
        cmocka_unit_test(url_is_escaped_as_go_does),
        cmocka_unit_test(relabeling_sees_everything_and_changes_it),
        cmocka_unit_test(what_is_wrong_says_so),
        cmocka_unit_test(timing_may_come_from_labels),
        cmocka_unit_test(dropped_target_keeps_its_labels_and_the_rule),
        cmocka_unit_test(settings_may_come_from_labels),
        cmocka_unit_test(wrong_settings_say_so),
        cmocka_unit_test(keys_say_what_has_changed),
        cmocka_unit_test(alignment_comes_from_the_job),
        cmocka_unit_test(a_label_more_is_another_target),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
