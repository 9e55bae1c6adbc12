/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_job: what a job says, what it takes over from global, and which changes keep the memory of its series. */
#include "unit.h"

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
        {"", "", "!target_limit"},
        {"target_limit: 5", "", "target_limit: 5\n"},
        {"target_limit: 5", "target_limit: 7", "target_limit: 7\n"},
        {"sample_limit: 5", "sample_limit: 0", "sample_limit: 5\n"}, /* 0 is not given, as in Prometheus */
        {"keep_dropped_targets: 9", "", "keep_dropped_targets: 9\n"},
        {"series_limit: 100", "", " series_limit: 100\n"},
        {"series_limit: 100", "series_limit: 0", "! series_limit"}, /* 0 is none, as in vmagent */
        {"job_series_limit: 100", "job_series_limit: 50", "job_series_limit: 50\n"},
        {"native_histogram_bucket_limit: 160", "", "native_histogram_bucket_limit: 160\n"},
        {"native_histogram_min_bucket_factor: 1.1", "", "native_histogram_min_bucket_factor: 1.1\n"},
        {"", "", "scrape_native_histograms: false\n"},
        {"scrape_native_histograms: true", "", "scrape_native_histograms: true\n"},
        {"scrape_native_histograms: true", "scrape_native_histograms: false",
         "scrape_native_histograms: false\n"},
        {"always_scrape_classic_histograms: true", "", "always_scrape_classic_histograms: true\n"},
        {"", "scrape_classic_histograms: true", "always_scrape_classic_histograms: true\n"},
        {"always_scrape_classic_histograms: true", "scrape_classic_histograms: false",
         "always_scrape_classic_histograms: false\n"},
        {"convert_classic_histograms_to_nhcb: true", "", "convert_classic_histograms_to_nhcb: true\n"},
        {"extra_scrape_metrics: true", "extra_scrape_metrics: false", "extra_scrape_metrics: false\n"},
        {"normalize_le_quantile: true", "", "normalize_le_quantile: true\n"},
        {"", "", "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_validation_scheme: legacy", "",
         "metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: underscores\n"},
        {"metric_name_validation_scheme: legacy", "metric_name_validation_scheme: utf8",
         "metric_name_validation_scheme: utf8\n  metric_name_escaping_scheme: allow-utf-8\n"},
        {"metric_name_escaping_scheme: dots", "", "metric_name_escaping_scheme: dots\n"},
        {"metric_name_escaping_scheme: dots", "metric_name_escaping_scheme: values",
         "metric_name_escaping_scheme: values\n"},
        {"", "",
         "scrape_protocols:\n  - OpenMetricsText1.0.0\n  - OpenMetricsText0.0.1\n  - PrometheusText1.0.0\n"
         "  - PrometheusText0.0.4\n"},
        {"scrape_native_histograms: true", "",
         "scrape_protocols:\n  - PrometheusProto\n  - OpenMetricsText1.0.0\n"},
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
        {"", "track_timestamps_staleness: true", "track_timestamps_staleness: true\n"},
        {"", "scrape_align_interval: 5m", "scrape_align_interval: 5m\n"},
        {"", "scrape_offset: 90s", "scrape_offset: 1m30s\n"},
        {"", "disable_keepalive: true", "disable_keepalive: true\n"},
        {"", "scrape_on_shutdown: true", "scrape_on_shutdown: true\n"},
        {"", "offer_zstd: true", "offer_zstd: true\n"},
        {"", "relabel_debug: true", "!relabel_debug"},
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
        cmocka_unit_test(total_limit),
        cmocka_unit_test(hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
