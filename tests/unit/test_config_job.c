/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_job: what a job says, what it takes over from global, and which changes keep the memory of its series. */
#include "unit.h"

#include <unistd.h>

#include "base/alloc.h"
#include "config.h"

static struct config *load(const char *global, const char *job)
{
    struct buf errors;
    buf_init(&errors, 65536);
    char *yaml =
        xasprintf("global:\n  scrape_interval: 30s\n%s%s%sscrape_configs:\n- job_name: j\n%s%s%s",
                  *global ? "  " : "", global, *global ? "\n" : "", *job ? "  " : "", job, *job ? "\n" : "");
    struct config *c = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
    if (!c)
        fail_msg("%s\n%s", yaml, buf_c(&errors));
    free(yaml);
    buf_free(&errors);
    return c;
}

/* The job as it is shown. */
static const char *shown_job(const struct config *c)
{
    return strstr(c->yaml, "scrape_configs:");
}

static void shown(void **state)
{
    static const struct {
        const char *global, *job;
        const char *want; /* in the job as shown; beginning with '!': not in it */
    } ROWS[] = {
        {"", "", "! sample_limit:"},
        {"", "sample_limit: 7", " sample_limit: 7\n"},
        {"sample_limit: 5", "", " sample_limit: 5\n"},
        {"sample_limit: 5", "sample_limit: 7", " sample_limit: 7\n"},
        {"sample_limit: 5", "sample_limit: 0", " sample_limit: 5\n"}, /* 0 is not given, as in Prometheus */
        {"", "", "! label_limit:"},
        {"", "label_limit: 7", " label_limit: 7\n"},
        {"label_limit: 5", "", " label_limit: 5\n"},
        {"label_limit: 5", "label_limit: 7", " label_limit: 7\n"},
        {"label_limit: 5", "label_limit: 0", " label_limit: 5\n"},
        {"", "", "! label_name_length_limit:"},
        {"", "label_name_length_limit: 7", " label_name_length_limit: 7\n"},
        {"label_name_length_limit: 5", "", " label_name_length_limit: 5\n"},
        {"label_name_length_limit: 5", "label_name_length_limit: 7", " label_name_length_limit: 7\n"},
        {"label_name_length_limit: 5", "label_name_length_limit: 0", " label_name_length_limit: 5\n"},
        {"", "", "! label_value_length_limit:"},
        {"", "label_value_length_limit: 7", " label_value_length_limit: 7\n"},
        {"label_value_length_limit: 5", "", " label_value_length_limit: 5\n"},
        {"label_value_length_limit: 5", "label_value_length_limit: 7", " label_value_length_limit: 7\n"},
        {"label_value_length_limit: 5", "label_value_length_limit: 0", " label_value_length_limit: 5\n"},
        {"", "", "! target_limit:"},
        {"", "target_limit: 7", " target_limit: 7\n"},
        {"target_limit: 5", "", " target_limit: 5\n"},
        {"target_limit: 5", "target_limit: 7", " target_limit: 7\n"},
        {"target_limit: 5", "target_limit: 0", " target_limit: 5\n"},
        {"", "", "! keep_dropped_targets:"},
        {"", "keep_dropped_targets: 7", " keep_dropped_targets: 7\n"},
        {"keep_dropped_targets: 5", "", " keep_dropped_targets: 5\n"},
        {"keep_dropped_targets: 5", "keep_dropped_targets: 7", " keep_dropped_targets: 7\n"},
        {"keep_dropped_targets: 5", "keep_dropped_targets: 0", " keep_dropped_targets: 5\n"},
        {"", "", "! native_histogram_bucket_limit:"},
        {"", "native_histogram_bucket_limit: 7", " native_histogram_bucket_limit: 7\n"},
        {"native_histogram_bucket_limit: 5", "", " native_histogram_bucket_limit: 5\n"},
        {"native_histogram_bucket_limit: 5", "native_histogram_bucket_limit: 7", " native_histogram_bucket_limit: 7\n"},
        {"native_histogram_bucket_limit: 5", "native_histogram_bucket_limit: 0", " native_histogram_bucket_limit: 5\n"},
        {"", "", "! series_limit:"},
        {"", "series_limit: 7", " series_limit: 7\n"},
        {"series_limit: 5", "", " series_limit: 5\n"},
        {"series_limit: 5", "series_limit: 7", " series_limit: 7\n"},
        {"series_limit: 5", "series_limit: 0", "! series_limit:"}, /* 0 is none, as in vmagent */
        {"", "", "! job_series_limit:"},
        {"", "job_series_limit: 7", " job_series_limit: 7\n"},
        {"job_series_limit: 5", "", " job_series_limit: 5\n"},
        {"job_series_limit: 5", "job_series_limit: 7", " job_series_limit: 7\n"},
        {"job_series_limit: 5", "job_series_limit: 0", "! job_series_limit:"},
        {"", "", "!body_size_limit"},
        {"body_size_limit: 5MB", "", "body_size_limit: 5MB\n"},
        {"body_size_limit: 5MB", "body_size_limit: 7KB", "body_size_limit: 7KB\n"},
        {"body_size_limit: 5MB", "max_scrape_size: 7KiB", "body_size_limit: 7KB\n"},
        {"", "", "!native_histogram_min_bucket_factor"},
        {"", "native_histogram_min_bucket_factor: 1", "native_histogram_min_bucket_factor: 1\n"},
        {"native_histogram_min_bucket_factor: 1.1", "", "native_histogram_min_bucket_factor: 1.1\n"},
        {"native_histogram_min_bucket_factor: 1.1", "native_histogram_min_bucket_factor: 1.5e0",
         "native_histogram_min_bucket_factor: 1.5\n"},
        {"native_histogram_min_bucket_factor: 1.1", "native_histogram_min_bucket_factor: 0",
         "native_histogram_min_bucket_factor: 1.1\n"},
        {"", "", "scrape_native_histograms: false\n"},
        {"", "scrape_native_histograms: true", "scrape_native_histograms: true\n"},
        {"scrape_native_histograms: true", "", "scrape_native_histograms: true\n"},
        {"scrape_native_histograms: true", "scrape_native_histograms: false", "scrape_native_histograms: false\n"},
        {"", "", "always_scrape_classic_histograms: false\n"},
        {"", "always_scrape_classic_histograms: true", "always_scrape_classic_histograms: true\n"},
        {"always_scrape_classic_histograms: true", "", "always_scrape_classic_histograms: true\n"},
        {"always_scrape_classic_histograms: true", "always_scrape_classic_histograms: false",
         "always_scrape_classic_histograms: false\n"},
        {"", "", "convert_classic_histograms_to_nhcb: false\n"},
        {"", "convert_classic_histograms_to_nhcb: true", "convert_classic_histograms_to_nhcb: true\n"},
        {"convert_classic_histograms_to_nhcb: true", "", "convert_classic_histograms_to_nhcb: true\n"},
        {"convert_classic_histograms_to_nhcb: true", "convert_classic_histograms_to_nhcb: false",
         "convert_classic_histograms_to_nhcb: false\n"},
        {"", "", "extra_scrape_metrics: false\n"},
        {"", "extra_scrape_metrics: true", "extra_scrape_metrics: true\n"},
        {"extra_scrape_metrics: true", "", "extra_scrape_metrics: true\n"},
        {"extra_scrape_metrics: true", "extra_scrape_metrics: false", "extra_scrape_metrics: false\n"},
        {"", "", "normalize_le_quantile: false\n"},
        {"", "normalize_le_quantile: true", "normalize_le_quantile: true\n"},
        {"normalize_le_quantile: true", "", "normalize_le_quantile: true\n"},
        {"normalize_le_quantile: true", "normalize_le_quantile: false", "normalize_le_quantile: false\n"},
        {"", "scrape_classic_histograms: true", "always_scrape_classic_histograms: true\n"},
        {"scrape_classic_histograms: true", "", "always_scrape_classic_histograms: true\n"},
        {"always_scrape_classic_histograms: true", "scrape_classic_histograms: false",
         "always_scrape_classic_histograms: false\n"},
        {"", "", "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_validation_scheme: legacy", "",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores\n"},
        {"metric_name_validation_scheme: legacy", "metric_name_validation_scheme: utf8",
         "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_validation_scheme: legacy", "metric_name_escaping_scheme: values",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: values\n"},
        {"", "metric_name_validation_scheme: legacy",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores\n"},
        {"metric_name_escaping_scheme: dots", "", "metric_name_escaping_scheme: dots\n"},
        /* a job with names of its own is written in its own way */
        {"metric_name_escaping_scheme: allow-utf-8", "metric_name_validation_scheme: legacy",
         "metric_name_escaping_scheme: underscores\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_validation_scheme: legacy",
         "metric_name_escaping_scheme: underscores\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_validation_scheme: utf8",
         "metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_escaping_scheme: dots\n  metric_name_validation_scheme: legacy", "",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: dots\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_validation_scheme: \"\"",
         "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: dots\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_escaping_scheme: values",
         "metric_name_escaping_scheme: values\n"},
        {"", "",
         "scrape_protocols:\n  - OpenMetricsText1.0.0\n  - OpenMetricsText0.0.1\n  - PrometheusText1.0.0\n"
         "  - PrometheusText0.0.4\n"},
        {"scrape_native_histograms: true", "",
         "scrape_protocols:\n  - PrometheusProto\n  - OpenMetricsText1.0.0\n  - OpenMetricsText0.0.1\n"
         "  - PrometheusText1.0.0\n  - PrometheusText0.0.4\n  track"},
        {"scrape_native_histograms: true", "scrape_native_histograms: false",
         "scrape_protocols:\n  - OpenMetricsText1.0.0\n  - OpenMetricsText0.0.1\n"},
        {"", "scrape_protocols: ~", "scrape_protocols:\n  - OpenMetricsText1.0.0\n  - OpenMetricsText0.0.1\n"},
        {"scrape_protocols: [PrometheusText0.0.4]", "scrape_native_histograms: true",
         "scrape_protocols:\n  - PrometheusText0.0.4\n  track"},
        {"scrape_protocols: [PrometheusText0.0.4]", "scrape_protocols: [PrometheusProto, OpenMetricsText0.0.1]",
         "scrape_protocols:\n  - PrometheusProto\n  - OpenMetricsText0.0.1\n  track"},
        {"", "", "!fallback_scrape_protocol"},
        {"", "fallback_scrape_protocol: OpenMetricsText1.0.0",
         "fallback_scrape_protocol: OpenMetricsText1.0.0\n"},
        {"", "fallback_scrape_protocol: \"\"", "!fallback_scrape_protocol"},
        {"scrape_failure_log_file: /var/log/f.log", "", "scrape_failure_log_file: /var/log/f.log\n"},
        {"scrape_failure_log_file: /a", "scrape_failure_log_file: /b", "scrape_failure_log_file: /b\n"},
        {"", "", "!scrape_failure_log_file"},
        {"", "", "track_timestamps_staleness: false\n"},
        {"", "", "scrape_align_interval: 0s\n"},
        {"", "", "scrape_offset: 0s\n"},
        {"", "", "disable_keepalive: false\n"},
        {"", "", "scrape_on_shutdown: false\n"},
        {"", "", "offer_zstd: false\n"},
        {"", "track_timestamps_staleness: true", "track_timestamps_staleness: true\n"},
        {"", "scrape_align_interval: 5m", "scrape_align_interval: 5m\n"},
        {"", "scrape_offset: 90s", "scrape_offset: 1m30s\n"},
        {"", "disable_keepalive: true", "disable_keepalive: true\n"},
        {"", "scrape_on_shutdown: true", "scrape_on_shutdown: true\n"},
        {"", "offer_zstd: true", "offer_zstd: true\n"},
        {"", "relabel_debug: true", "!relabel_debug"},
        {"", "metric_relabel_debug: true", "!relabel_debug"},
        /* rules of global come first */
        {"relabel_configs: [{target_label: a, replacement: b}]",
         "relabel_configs: [{target_label: c, replacement: d}]",
         "  relabel_configs:\n  - action: replace\n    target_label: \"a\"\n    replacement: \"b\"\n"
         "  - action: replace\n    target_label: \"c\"\n"},
        {"metric_relabel_configs: [{target_label: a, replacement: b}]", "",
         "metric_relabel_configs:\n  - action: replace\n    target_label: \"a\"\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config *c = load(ROWS[i].global, ROWS[i].job);
        bool without = ROWS[i].want[0] == '!';
        bool found = strstr(shown_job(c), ROWS[i].want + without) != NULL;
        if (found == without)
            fail_msg("row %zu: %s | %s\nwant %s\n%s", i, ROWS[i].global, ROWS[i].job, ROWS[i].want,
                     shown_job(c));
        config_unref(c);
    }
}

/* global as it is shown. */
static void global_shown(void **state)
{
    static const struct {
        const char *global, *want;
    } ROWS[] = {
        {"", "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_validation_scheme: legacy",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_escaping_scheme: dots\n"},
        {"scrape_protocols: [PrometheusProto]", "scrape_protocols:\n  - PrometheusProto\n"},
        {"target_limit: 5", "target_limit: 5\n"},
        {"keep_dropped_targets: 5", "keep_dropped_targets: 5\n"},
        {"series_limit: 5", " series_limit: 5\n"},
        {"scrape_failure_log_file: /f.log", "scrape_failure_log_file: /f.log\n"},
        {"normalize_le_quantile: true", "normalize_le_quantile: true\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config *c = load(ROWS[i].global, "");
        const char *found = strstr(c->yaml, ROWS[i].want);
        if (!found || found > shown_job(c))
            fail_msg("%s\n%s", ROWS[i].global, c->yaml);
        config_unref(c);
    }
}

/* Paths are relative to the file they stand in; a job of another directory takes global's as it is there. */
static void failure_log_is_beside_the_file(void **state)
{
    struct config *c = load("scrape_failure_log_file: a/f.log", "");
    char cwd[4096];
    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    char *want = xasprintf("%s/a/f.log", cwd);
    assert_string_equal(c->jobs[0].scrape_failure_log_file, want);
    free(want);
    config_unref(c);
}

/* A list in one case alone: which formats, in which order. */
static void protocols_in_order(void **state)
{
    struct config *c = load("", "scrape_protocols: [PrometheusText0.0.4, PrometheusProto, OpenMetricsText0.0.1]");
    const struct config_protocols *p = &c->jobs[0].scrape_protocols;
    (void)state;
    assert_int_equal(p->n, 3);
    assert_int_equal(p->v[0], CONFIG_TEXT_0_0_4);
    assert_int_equal(p->v[1], CONFIG_PROTO);
    assert_int_equal(p->v[2], CONFIG_OPENMETRICS_0_0_1);
    assert_false(c->jobs[0].has_fallback_protocol);
    config_unref(c);
    c = load("", "fallback_scrape_protocol: OpenMetricsText1.0.0");
    assert_true(c->jobs[0].has_fallback_protocol);
    assert_int_equal(c->jobs[0].fallback_protocol, CONFIG_OPENMETRICS_1_0_0);
    config_unref(c);
}

static void total_limit(void **state)
{
    struct config *c = load("total_series_limit: 1000", "");
    (void)state;
    assert_int_equal(c->total_series_limit, 1000);
    assert_non_null(strstr(c->yaml, "total_series_limit: 1000\n"));
    config_unref(c);
}

/* Every setting makes another job of it; only some mean other series. */
static void hashes(void **state)
{
    static const struct {
        const char *job;
        bool other_series;
    } ROWS[] = {
        {"scrape_interval: 10s", false},
        {"scrape_timeout: 5s", false},
        {"sample_limit: 5", false},
        {"body_size_limit: 5MB", false},
        {"series_limit: 5", false},
        {"job_series_limit: 5", false},
        {"target_limit: 5", false},
        {"params: {a: [b]}", false},
        {"relabel_configs: [{target_label: a, replacement: b}]", false},
        {"enable_compression: false", false},
        {"offer_zstd: true", false},
        {"disable_keepalive: true", false},
        {"scrape_on_shutdown: true", false},
        {"scrape_align_interval: 1m", false},
        {"scrape_offset: 1s", false},
        {"scrape_failure_log_file: /f", false},
        {"fallback_scrape_protocol: PrometheusText0.0.4", false},
        {"scrape_protocols: [PrometheusText0.0.4]", false},
        {"bearer_token: x", false},
        {"extra_scrape_metrics: true", false},
        {"honor_labels: true", true},
        {"honor_timestamps: false", true},
        {"metric_relabel_configs: [{action: labeldrop, regex: a}]", true},
        {"label_limit: 5", true},
        {"label_name_length_limit: 5", true},
        {"label_value_length_limit: 5", true},
        {"metric_name_validation_scheme: legacy", true},
        {"metric_name_escaping_scheme: dots", true},
        {"normalize_le_quantile: true", true},
        {"track_timestamps_staleness: true", true},
        {"no_stale_markers: true", true},
        {"scrape_native_histograms: true", true},
        {"always_scrape_classic_histograms: true", true},
        {"convert_classic_histograms_to_nhcb: true", true},
        {"native_histogram_bucket_limit: 5", true},
        {"native_histogram_min_bucket_factor: 1.5", true},
    };
    struct config *plain = load("", ""), *discovered = load("", "static_configs: [{targets: [\"a:1\"]}]");
    (void)state;
    assert_int_equal(plain->jobs[0].hash, discovered->jobs[0].hash);
    struct config *dropped = load("", "keep_dropped_targets: 5");
    assert_int_equal(plain->jobs[0].hash, dropped->jobs[0].hash);
    config_unref(dropped);
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct config *c = load("", ROWS[i].job);
        if (c->jobs[0].hash == plain->jobs[0].hash ||
            (c->jobs[0].series_hash != plain->jobs[0].series_hash) != ROWS[i].other_series)
            fail_msg("%s", ROWS[i].job);
        config_unref(c);
    }
    config_unref(discovered);
    config_unref(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shown),
        cmocka_unit_test(global_shown),
        cmocka_unit_test(failure_log_is_beside_the_file),
        cmocka_unit_test(protocols_in_order),
        cmocka_unit_test(total_limit),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
