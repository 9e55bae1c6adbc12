/* SPDX-License-Identifier: Apache-2.0 */
/* test_config: from text to field values, defaults, inheritance, includes, hashes, the dump. */
#include "unit.h"

#include <pthread.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "config.h"

#define DATA "tests/unit/data/config/"

/* Loads text that must be good. */
static struct config *load_extra(const char *yaml, const char *extra_yaml)
{
    struct buf errors;
    buf_init(&errors, 1 << 20);
    struct config_extra extra = {.yaml = extra_yaml};
    struct config *c = config_load_text("test.yml", str_of(yaml), &extra, false, &errors);
    if (!c)
        fail_msg("%s\n---\n%s", buf_c(&errors), yaml);
    assert_int_equal(errors.n, 0);
    buf_free(&errors);
    return c;
}

static struct config *load(const char *yaml)
{
    return load_extra(yaml, NULL);
}

static struct config *load_file(const char *path)
{
    struct buf errors;
    buf_init(&errors, 1 << 20);
    struct config *c = config_load(path, NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    buf_free(&errors);
    return c;
}

/* Loads text that must be bad in one way, and compares the one line. */
static void expect_error(const char *yaml, const char *line)
{
    struct buf errors;
    buf_init(&errors, 1 << 20);
    struct config *c = config_load_text("test.yml", str_of(yaml), NULL, false, &errors);
    assert_null(c);
    assert_string_equal(buf_c(&errors), line);
    buf_free(&errors);
}

/* One field of a struct and what it must be. */
enum kind { IS_TEXT, IS_BOOL, IS_NUMBER, IS_WORD };

struct value_case {
    const char *yaml;
    size_t offset;
    enum kind kind;
    const char *text;
    int64_t number;
};

static void check_value(const struct value_case *t, const void *base)
{
    const char *at = (const char *)base + t->offset;
    switch (t->kind) {
    case IS_TEXT:
        if (!t->text)
            assert_null(*(char *const *)(const void *)at);
        else
            assert_string_equal(*(char *const *)(const void *)at, t->text);
        break;
    case IS_BOOL:
        assert_int_equal(*(const bool *)at, t->number);
        break;
    case IS_NUMBER:
        assert_int_equal(*(const int64_t *)(const void *)at, t->number);
        break;
    case IS_WORD:
        assert_int_equal(*(const unsigned *)(const void *)at, t->number);
        break;
    }
}

#define JOB_TEXT(yaml, member, value) {yaml, offsetof(struct config_job, member), IS_TEXT, value, 0}
#define JOB_BOOL(yaml, member, value) {yaml, offsetof(struct config_job, member), IS_BOOL, NULL, value}
#define JOB_NUMBER(yaml, member, value) {yaml, offsetof(struct config_job, member), IS_NUMBER, NULL, value}
#define JOB_WORD(yaml, member, value) {yaml, offsetof(struct config_job, member), IS_WORD, NULL, value}

static const struct value_case job_cases[] = {
    /* defaults */
    JOB_TEXT("", job_name, "j"),
    JOB_NUMBER("", scrape_interval_ms, 60000),
    JOB_NUMBER("", scrape_timeout_ms, 10000),
    JOB_TEXT("", metrics_path, "/metrics"),
    JOB_TEXT("", scheme, "http"),
    JOB_NUMBER("", params_n, 0),
    JOB_BOOL("", honor_labels, 0),
    JOB_BOOL("", honor_timestamps, 1),
    JOB_BOOL("", enable_compression, 1),
    JOB_BOOL("", extra_scrape_metrics, 0),
    JOB_BOOL("", no_stale_markers, 0),
    JOB_NUMBER("", body_size_limit, 0),
    JOB_NUMBER("", sample_limit, 0),
    JOB_NUMBER("", label_limit, 0),
    JOB_NUMBER("", label_name_length_limit, 0),
    JOB_NUMBER("", label_value_length_limit, 0),
    JOB_BOOL("", http.has_authorization, 0),
    JOB_BOOL("", http.has_basic_auth, 0),
    JOB_BOOL("", http.follow_redirects, 1),
    JOB_BOOL("", http.enable_http2, 0),
    JOB_WORD("", http.tls_min_version, HTTP_TLS_DEFAULT),
    JOB_TEXT("", http.proxy_url, NULL),
    /* timing */
    JOB_NUMBER("scrape_interval: 15s", scrape_interval_ms, 15000),
    JOB_NUMBER("scrape_interval: 15s", scrape_timeout_ms, 10000),
    JOB_NUMBER("scrape_interval: 5s", scrape_timeout_ms, 5000),
    JOB_NUMBER("scrape_interval: 1m30s", scrape_interval_ms, 90000),
    JOB_NUMBER("scrape_interval: 500ms", scrape_interval_ms, 500),
    JOB_NUMBER("scrape_interval: 500ms", scrape_timeout_ms, 500),
    JOB_NUMBER("scrape_interval: 0s", scrape_interval_ms, 60000),
    JOB_NUMBER("scrape_interval:", scrape_interval_ms, 60000),
    JOB_NUMBER("scrape_interval: \"15s\"", scrape_interval_ms, 15000),
    JOB_NUMBER("scrape_interval: 15", scrape_interval_ms, 15000),
    JOB_NUMBER("scrape_interval: 1.5s", scrape_interval_ms, 1500),
    JOB_NUMBER("scrape_timeout: 45s", scrape_timeout_ms, 45000),
    JOB_NUMBER("scrape_timeout: 60s", scrape_timeout_ms, 60000),
    /* plain fields */
    JOB_TEXT("metrics_path: /m", metrics_path, "/m"),
    JOB_TEXT("metrics_path: \"\"", metrics_path, ""),
    JOB_TEXT("metrics_path: 5", metrics_path, "5"),
    JOB_TEXT("scheme: https", scheme, "https"),
    JOB_BOOL("honor_labels: true", honor_labels, 1),
    JOB_BOOL("honor_labels: yes", honor_labels, 1),
    JOB_BOOL("honor_labels: True", honor_labels, 1),
    JOB_BOOL("honor_timestamps: false", honor_timestamps, 0),
    JOB_BOOL("honor_timestamps: off", honor_timestamps, 0),
    JOB_BOOL("honor_timestamps:", honor_timestamps, 1),
    JOB_BOOL("enable_compression: false", enable_compression, 0),
    JOB_BOOL("disable_compression: true", enable_compression, 0),
    JOB_BOOL("disable_compression: false", enable_compression, 1),
    JOB_BOOL("extra_scrape_metrics: true", extra_scrape_metrics, 1),
    JOB_BOOL("no_stale_markers: true", no_stale_markers, 1),
    JOB_NUMBER("body_size_limit: 64MB", body_size_limit, 64 << 20),
    JOB_NUMBER("body_size_limit: 1GiB", body_size_limit, 1 << 30),
    JOB_NUMBER("body_size_limit: 0", body_size_limit, 0),
    JOB_NUMBER("body_size_limit: 100B", body_size_limit, 100),
    JOB_NUMBER("max_scrape_size: 16MiB", body_size_limit, 16 << 20),
    JOB_NUMBER("max_scrape_size: 16MB", body_size_limit, 16000000),
    JOB_NUMBER("max_scrape_size: 1000", body_size_limit, 1000),
    JOB_NUMBER("target_limit: 9", target_limit, 9),
    JOB_NUMBER("keep_dropped_targets: 10", keep_dropped_targets, 10),
    JOB_NUMBER("series_limit: 11", series_limit, 11),
    JOB_NUMBER("job_series_limit: 12", job_series_limit, 12),
    JOB_NUMBER("native_histogram_bucket_limit: 160", native_histogram_bucket_limit, 160),
    JOB_BOOL("scrape_native_histograms: true", scrape_native_histograms, 1),
    JOB_BOOL("always_scrape_classic_histograms: true", always_scrape_classic_histograms, 1),
    JOB_BOOL("scrape_classic_histograms: true", always_scrape_classic_histograms, 1),
    JOB_BOOL("convert_classic_histograms_to_nhcb: true", convert_classic_histograms_to_nhcb, 1),
    JOB_BOOL("track_timestamps_staleness: true", track_timestamps_staleness, 1),
    JOB_BOOL("normalize_le_quantile: true", normalize_le_quantile, 1),
    JOB_BOOL("metric_name_validation_scheme: legacy", legacy_names, 1),
    JOB_WORD("metric_name_validation_scheme: legacy", name_escaping, CONFIG_UNDERSCORES),
    JOB_WORD("metric_name_escaping_scheme: values", name_escaping, CONFIG_VALUES),
    JOB_BOOL("fallback_scrape_protocol: PrometheusProto", has_fallback_protocol, 1),
    JOB_WORD("fallback_scrape_protocol: PrometheusProto", fallback_protocol, CONFIG_PROTO),
    JOB_TEXT("scrape_failure_log_file: /f.log", scrape_failure_log_file, "/f.log"),
    JOB_TEXT("scrape_failure_log_file: \"\"", scrape_failure_log_file, NULL),
    JOB_NUMBER("scrape_align_interval: 1h", scrape_align_interval_ms, 3600000),
    JOB_NUMBER("scrape_offset: 1m30s", scrape_offset_ms, 90000),
    JOB_BOOL("disable_keepalive: true", disable_keepalive, 1),
    JOB_BOOL("scrape_on_shutdown: true", scrape_on_shutdown, 1),
    JOB_BOOL("offer_zstd: true", offer_zstd, 1),
    JOB_NUMBER("sample_limit: 5000", sample_limit, 5000),
    JOB_NUMBER("label_limit: 30", label_limit, 30),
    JOB_NUMBER("label_name_length_limit: 200", label_name_length_limit, 200),
    JOB_NUMBER("label_value_length_limit: 300", label_value_length_limit, 300),
    /* the HTTP client */
    JOB_BOOL("follow_redirects: false", http.follow_redirects, 0),
    JOB_BOOL("enable_http2: true", http.enable_http2, 1),
    JOB_TEXT("proxy_url: http://proxy:3128", http.proxy_url, "http://proxy:3128"),
    JOB_TEXT("proxy_url: http://proxy:3128\n  no_proxy: a,b", http.no_proxy, "a,b"),
    JOB_BOOL("authorization: {}", http.has_authorization, 1),
    JOB_TEXT("authorization: {}", http.authorization_type, "Bearer"),
    JOB_BOOL("authorization:", http.has_authorization, 0),
    JOB_TEXT("authorization: {credentials: abc}", http.credentials.value, "abc"),
    JOB_TEXT("authorization: {credentials: 123}", http.credentials.value, "123"),
    JOB_TEXT("authorization: {type: Token, credentials: abc}", http.authorization_type, "Token"),
    JOB_TEXT("authorization: {type: \"\", credentials: abc}", http.authorization_type, ""),
    JOB_TEXT("authorization: {type: , credentials: abc}", http.authorization_type, "Bearer"),
    JOB_TEXT("authorization: {credentials_file: /etc/token}", http.credentials.file, "/etc/token"),
    JOB_BOOL("bearer_token: abc", http.has_authorization, 1),
    JOB_TEXT("bearer_token: abc", http.credentials.value, "abc"),
    JOB_TEXT("bearer_token: abc", http.authorization_type, "Bearer"),
    JOB_BOOL("bearer_token: \"\"", http.has_authorization, 0),
    JOB_BOOL("bearer_token_file: /etc/token", http.has_authorization, 1),
    JOB_TEXT("bearer_token_file: /etc/token", http.credentials.file, "/etc/token"),
    JOB_BOOL("basic_auth: {username: me, password: secret}", http.has_basic_auth, 1),
    JOB_BOOL("basic_auth: {username: me, password: secret}", http.has_authorization, 0),
    JOB_TEXT("basic_auth: {username: me, password: secret}", http.username.value, "me"),
    JOB_TEXT("basic_auth: {username: me, password: secret}", http.password.value, "secret"),
    JOB_TEXT("basic_auth: {username_file: /u, password_file: /p}", http.username.file, "/u"),
    JOB_TEXT("basic_auth: {username_file: /u, password_file: /p}", http.password.file, "/p"),
    JOB_TEXT("tls_config: {ca_file: /ca.pem}", http.tls_ca.file, "/ca.pem"),
    JOB_TEXT("tls_config: {ca: PEM}", http.tls_ca.value, "PEM"),
    JOB_TEXT("tls_config: {cert_file: /c, key_file: /k}", http.tls_cert.file, "/c"),
    JOB_TEXT("tls_config: {cert_file: /c, key_file: /k}", http.tls_key.file, "/k"),
    JOB_TEXT("tls_config: {cert: C, key: K}", http.tls_cert.value, "C"),
    JOB_TEXT("tls_config: {cert: C, key: K}", http.tls_key.value, "K"),
    JOB_TEXT("tls_config: {server_name: example.com}", http.tls_server_name, "example.com"),
    JOB_BOOL("tls_config: {insecure_skip_verify: true}", http.tls_insecure_skip_verify, 1),
    JOB_WORD("tls_config: {min_version: TLS12}", http.tls_min_version, HTTP_TLS12),
    JOB_WORD("tls_config: {max_version: TLS13}", http.tls_max_version, HTTP_TLS13),
    JOB_WORD("tls_config: {min_version: TLS10, max_version: TLS10}", http.tls_max_version, HTTP_TLS10),
    /* what we do anyway is no error */
    JOB_TEXT("track_timestamps_staleness: false", job_name, "j"),
    JOB_TEXT("scrape_native_histograms: false", job_name, "j"),
    JOB_TEXT("always_scrape_classic_histograms: false", job_name, "j"),
    JOB_TEXT("convert_classic_histograms_to_nhcb: false", job_name, "j"),
    JOB_TEXT("target_limit: 0", job_name, "j"),
    JOB_TEXT("keep_dropped_targets: 0", job_name, "j"),
    JOB_TEXT("metric_name_validation_scheme: utf8", job_name, "j"),
    JOB_TEXT("metric_name_escaping_scheme: allow-utf-8", job_name, "j"),
    JOB_TEXT("stream_parse: true", job_name, "j"),
    JOB_TEXT("series_limit: 0", job_name, "j"),
    JOB_TEXT("scrape_offset: 0s", job_name, "j"),
    JOB_TEXT("kubernetes_sd_configs:", job_name, "j"),
    JOB_TEXT("dns_sd_configs: []", job_name, "j"),
    JOB_TEXT("scrape_protocols: [PrometheusProto, PrometheusText0.0.4]", job_name, "j"),
    JOB_TEXT("proxy_from_environment: false", job_name, "j"),
};

static void test_job_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof job_cases / sizeof *job_cases; i++) {
        char *yaml = xasprintf("scrape_configs:\n- job_name: j\n  %s\n", job_cases[i].yaml);
        struct config *c = load(yaml);
        assert_int_equal(c->jobs_n, 1);
        check_value(&job_cases[i], &c->jobs[0]);
        config_unref(c);
        free(yaml);
    }
}

#define RW_TEXT(yaml, member, value) {yaml, offsetof(struct config_remote, member), IS_TEXT, value, 0}
#define RW_BOOL(yaml, member, value) {yaml, offsetof(struct config_remote, member), IS_BOOL, NULL, value}
#define RW_NUMBER(yaml, member, value) {yaml, offsetof(struct config_remote, member), IS_NUMBER, NULL, value}

static const struct value_case remote_cases[] = {
    RW_TEXT("", url, "http://h/api/v1/write"),
    RW_BOOL("", name_given, 0),
    RW_NUMBER("", remote_timeout_ms, 30000),
    RW_NUMBER("", min_backoff_ms, 1000),
    RW_NUMBER("", max_backoff_ms, 60000),
    RW_NUMBER("", max_samples_per_send, 10000),
    RW_NUMBER("", max_request_bytes, 0),
    RW_NUMBER("", max_bytes, 0),
    RW_NUMBER("", max_age_ms, 0),
    RW_BOOL("", on_reject_drop, 0),
    RW_BOOL("", send_metadata, 1),
    RW_NUMBER("", metadata_interval_ms, 60000),
    RW_BOOL("", http.follow_redirects, 1),
    RW_BOOL("", http.has_authorization, 0),
    RW_TEXT("name: main", name, "main"),
    RW_BOOL("name: main", name_given, 1),
    RW_BOOL("name: \"\"", name_given, 0),
    RW_NUMBER("remote_timeout: 5s", remote_timeout_ms, 5000),
    RW_NUMBER("queue_config: {min_backoff: 30ms, max_backoff: 5s}", min_backoff_ms, 30),
    RW_NUMBER("queue_config: {min_backoff: 30ms, max_backoff: 5s}", max_backoff_ms, 5000),
    RW_NUMBER("queue_config: {max_samples_per_send: 2000}", max_samples_per_send, 2000),
    RW_NUMBER("queue_config: {sample_age_limit: 1h}", max_age_ms, 3600000),
    RW_NUMBER("queue_config: {capacity: 10000, max_shards: 50, min_shards: 1, batch_send_deadline: 5s, "
              "retry_on_http_429: true}",
              max_samples_per_send, 10000),
    RW_NUMBER("queue_config:", max_samples_per_send, 10000),
    RW_NUMBER("max_bytes: 1GiB", max_bytes, 1 << 30),
    RW_NUMBER("max_bytes: 1000000", max_bytes, 1000000),
    RW_NUMBER("max_age: 1d", max_age_ms, 86400000),
    RW_NUMBER("max_request_bytes: 1MB", max_request_bytes, 1 << 20),
    RW_BOOL("on_reject: drop", on_reject_drop, 1),
    RW_BOOL("on_reject: bisect", on_reject_drop, 0),
    RW_BOOL("metadata_config: {send: false}", send_metadata, 0),
    RW_BOOL("", routing_shard, 0),
    RW_NUMBER("", replicas, 1),
    RW_NUMBER("", shard_by.n, 0),
    RW_BOOL("routing: replicate\n  replicas: 1", routing_shard, 0),
    RW_BOOL("routing: shard\n  group: g", routing_shard, 1),
    RW_TEXT("routing: shard\n  group: g", group, "g"),
    RW_NUMBER("routing: shard\n  group: g\n  shard_by: [a, b]", shard_by.n, 2),
    RW_NUMBER("routing: shard\n  group: g\n  shard_ignore: [le]", shard_ignore.n, 1),
    RW_NUMBER("metadata_config: {send_interval: 5m, max_samples_per_send: 500}", metadata_interval_ms, 300000),
    RW_TEXT("protocol: rw1", url, "http://h/api/v1/write"),
    RW_TEXT("drain: fifo", url, "http://h/api/v1/write"),
    RW_TEXT("rate_limit: 0", url, "http://h/api/v1/write"),
    RW_TEXT("protobuf_message: prometheus.WriteRequest", url, "http://h/api/v1/write"),
    RW_BOOL("", send_exemplars, 0),
    RW_BOOL("", send_native_histograms, 0),
    RW_BOOL("send_exemplars: true", send_exemplars, 1),
    RW_BOOL("send_native_histograms: true", send_native_histograms, 1),
    RW_TEXT("send_exemplars: false", url, "http://h/api/v1/write"),
    RW_TEXT("send_native_histograms: false", url, "http://h/api/v1/write"),
    RW_TEXT("sigv4:", url, "http://h/api/v1/write"),
    RW_TEXT("unix_socket: /a.sock", http.unix_socket, "/a.sock"),
    RW_BOOL("round_robin_dns: true", http.shuffle_addresses, 1),
    RW_BOOL("", http.shuffle_addresses, 0),
    RW_NUMBER("", http.connection_max_ms, 300000),
    RW_NUMBER("connection_lifetime: 0s", http.connection_max_ms, 0),
    RW_TEXT("authorization: {type: \"\", credentials: key}", http.authorization_type, ""),
    RW_TEXT("bearer_token: abc", http.credentials.value, "abc"),
    RW_BOOL("enable_http2: true", http.enable_http2, 1),
};

static void test_remote_fields(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof remote_cases / sizeof *remote_cases; i++) {
        char *yaml = xasprintf("remote_write:\n- url: http://h/api/v1/write\n  %s\n", remote_cases[i].yaml);
        struct config *c = load(yaml);
        assert_int_equal(c->remotes_n, 1);
        check_value(&remote_cases[i], &c->remotes[0]);
        assert_int_equal(c->remotes[0].protocol, CONFIG_RW1);
        assert_non_null(c->remotes[0].write_relabel);
        config_unref(c);
        free(yaml);
    }
}

static void test_empty(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n", "{}", "global:\n",
                                       "scrape_configs: []\n", "~"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct config *c = load(texts[i]);
        assert_int_equal(c->jobs_n, 0);
        assert_int_equal(c->remotes_n, 0);
        assert_int_equal(c->scrape_interval_ms, 60000);
        assert_int_equal(c->scrape_timeout_ms, 10000);
        assert_int_equal(c->external_labels_n, 0);
        config_unref(c);
    }
}

static void test_global(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- job_name: plain\n"
                            "- job_name: own\n"
                            "  scrape_interval: 7s\n"
                            "  scrape_timeout: 6s\n"
                            "  body_size_limit: 1KB\n"
                            "  sample_limit: 1\n"
                            "  label_limit: 2\n"
                            "  label_name_length_limit: 3\n"
                            "  label_value_length_limit: 4\n"
                            "  extra_scrape_metrics: false\n"
                            "- job_name: short\n"
                            "  scrape_interval: 2s\n"
                            "global:\n"
                            "  scrape_interval: 8s\n"
                            "  scrape_timeout: 5s\n"
                            "  evaluation_interval: 30s\n"
                            "  query_log_file: /dev/null\n"
                            "  body_size_limit: 2KB\n"
                            "  sample_limit: 10\n"
                            "  label_limit: 20\n"
                            "  label_name_length_limit: 30\n"
                            "  label_value_length_limit: 40\n"
                            "  extra_scrape_metrics: true\n");
    assert_int_equal(c->scrape_interval_ms, 8000);
    assert_int_equal(c->scrape_timeout_ms, 5000);
    const struct config_job *plain = &c->jobs[0], *own = &c->jobs[1], *brief = &c->jobs[2];
    assert_int_equal(plain->scrape_interval_ms, 8000);
    assert_int_equal(plain->scrape_timeout_ms, 5000);
    assert_int_equal(plain->body_size_limit, 2048);
    assert_int_equal(plain->sample_limit, 10);
    assert_int_equal(plain->label_limit, 20);
    assert_int_equal(plain->label_name_length_limit, 30);
    assert_int_equal(plain->label_value_length_limit, 40);
    assert_true(plain->extra_scrape_metrics);
    assert_int_equal(own->scrape_interval_ms, 7000);
    assert_int_equal(own->scrape_timeout_ms, 6000);
    assert_int_equal(own->body_size_limit, 1024);
    assert_int_equal(own->sample_limit, 1);
    assert_int_equal(own->label_limit, 2);
    assert_int_equal(own->label_name_length_limit, 3);
    assert_int_equal(own->label_value_length_limit, 4);
    assert_false(own->extra_scrape_metrics);
    assert_int_equal(brief->scrape_timeout_ms, 2000);
    config_unref(c);
    c = load("global: {scrape_interval: 3s}");
    assert_int_equal(c->scrape_timeout_ms, 3000);
    config_unref(c);
}

static void assert_label(const struct label *l, const char *name, const char *value)
{
    assert_true(str_eq_c(l->name, name));
    assert_true(str_eq_c(l->value, value));
    assert_int_equal(l->value.p[l->value.n], '\0');
}

static void test_external_labels(void **state)
{
    (void)state;
    assert_int_equal(setenv("CONFIG_TEST_REGION", "eu-1", 1), 0);
    assert_int_equal(unsetenv("CONFIG_TEST_NONE"), 0);
    struct config *c = load("global:\n"
                            "  external_labels:\n"
                            "    zone: a\n"
                            "    cluster: ${CONFIG_TEST_REGION}-c\n"
                            "    dollar: a$$b\n"
                            "    none: x${CONFIG_TEST_NONE}y\n"
                            "    plain: $CONFIG_TEST_REGION\n"
                            "    alone: 5$\n"
                            "    number: 12\n");
    assert_int_equal(c->external_labels_n, 7);
    assert_label(&c->external_labels[0], "alone", "5$");
    assert_label(&c->external_labels[1], "cluster", "eu-1-c");
    assert_label(&c->external_labels[2], "dollar", "a$b");
    assert_label(&c->external_labels[3], "none", "xy");
    assert_label(&c->external_labels[4], "number", "12");
    assert_label(&c->external_labels[5], "plain", "eu-1");
    assert_label(&c->external_labels[6], "zone", "a");
    config_unref(c);
    /* Elsewhere a dollar is a dollar. */
    c = load("scrape_configs:\n- job_name: ${CONFIG_TEST_REGION}\n");
    assert_string_equal(c->jobs[0].job_name, "${CONFIG_TEST_REGION}");
    config_unref(c);
}

static void test_env(void **state)
{
    (void)state;
    setenv("CONFIG_TEST_LIMIT", "500", 1);
    setenv("CONFIG_TEST_TARGETS", "[a:1, b:2]", 1);
    setenv("CONFIG_TEST_NESTED", "<%{CONFIG_TEST_LIMIT}>", 1);
    unsetenv("CONFIG_TEST_NONE");
    struct config *c = load("scrape_configs:\n"
                            "- job_name: x%{CONFIG_TEST_LIMIT}y\n"
                            "  sample_limit: %{CONFIG_TEST_LIMIT}\n"
                            "  metrics_path: /%{CONFIG_TEST_NONE}/%{bad name}/%{\n"
                            "  static_configs:\n"
                            "  - targets: %{CONFIG_TEST_TARGETS}\n");
    assert_string_equal(c->jobs[0].job_name, "x500y");
    assert_int_equal(c->jobs[0].sample_limit, 500);
    assert_string_equal(c->jobs[0].metrics_path, "/%{CONFIG_TEST_NONE}/%{bad name}/%{");
    assert_int_equal(c->jobs[0].static_groups[0].targets_n, 2);
    assert_string_equal(c->jobs[0].static_groups[0].targets[1], "b:2");
    config_unref(c);
    /* Places are those of the file as written. */
    expect_error("scrape_configs:\n"
                 "- {job_name: %{CONFIG_TEST_LIMIT}, scrape_interval: 1x, bad: 1}\n",
                 "test.yml:2:53: scrape_interval: not a valid duration string: \"1x\"\n"
                 "test.yml:2:57: field bad not found in scrape_config\n");
    setenv("CONFIG_TEST_LINES", "15s\n  honor_labels: true\n  metrics_path: /x", 1);
    expect_error("scrape_configs:\n"
                 "- job_name: a\n"
                 "  scrape_interval: %{CONFIG_TEST_LINES}\n"
                 "  bad: 1\n",
                 "test.yml:4:3: field bad not found in scrape_config\n");
}

static void test_static_and_params(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- job_name: a\n"
                            "  params:\n"
                            "    module: [http_2xx, icmp]\n"
                            "    \"match[]\": ['{job=\"x\"}']\n"
                            "    single: one\n"
                            "    empty: []\n"
                            "  static_configs:\n"
                            "  - targets: [localhost:9100, '[::1]:80', 10.0.0.1]\n"
                            "    labels: {zone: b, env: prod, number: 1, bool: true}\n"
                            "  - targets: []\n"
                            "  - {}\n");
    const struct config_job *job = &c->jobs[0];
    assert_int_equal(job->params_n, 4);
    assert_string_equal(job->params[0].name, "module");
    assert_int_equal(job->params[0].values_n, 2);
    assert_string_equal(job->params[0].values[1], "icmp");
    assert_string_equal(job->params[1].name, "match[]");
    assert_string_equal(job->params[1].values[0], "{job=\"x\"}");
    assert_string_equal(job->params[2].values[0], "one");
    assert_int_equal(job->params[3].values_n, 0);
    assert_int_equal(job->static_groups_n, 3);
    const struct config_group *g = &job->static_groups[0];
    assert_int_equal(g->targets_n, 3);
    assert_string_equal(g->targets[1], "[::1]:80");
    assert_int_equal(g->labels_n, 4);
    assert_label(&g->labels[0], "bool", "true");
    assert_label(&g->labels[1], "env", "prod");
    assert_label(&g->labels[2], "number", "1");
    assert_label(&g->labels[3], "zone", "b");
    assert_int_equal(job->static_groups[1].targets_n + job->static_groups[2].targets_n, 0);
    config_unref(c);
}

static void test_addresses_with_relabeling(void **state)
{
    (void)state;
    /* As in Prometheus: relabeling may mend an address, so it is not judged. */
    struct config *c = load("scrape_configs:\n"
                            "- job_name: blackbox\n"
                            "  static_configs:\n"
                            "  - targets: [https://example.com/]\n"
                            "  relabel_configs:\n"
                            "  - source_labels: [__address__]\n"
                            "    target_label: __param_target\n");
    assert_string_equal(c->jobs[0].static_groups[0].targets[0], "https://example.com/");
    config_unref(c);
}

static void test_headers(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- job_name: a\n"
                            "  headers:\n"
                            "  - 'X-One:  1 '\n"
                            "  - 'Authorization: Custom abc'\n"
                            "  http_headers:\n"
                            "    X-Two: {values: [a, b], secrets: [c]}\n"
                            "remote_write:\n"
                            "- url: http://h/\n"
                            "  headers: {X-Scope-OrgID: tenant, X-Api-Key: k}\n");
    const struct http_options *o = &c->jobs[0].http;
    assert_int_equal(o->headers_n, 5);
    assert_string_equal(o->headers[0].name, "X-One");
    assert_string_equal(o->headers[0].value, "1");
    assert_false(o->headers[0].secret);
    assert_true(o->headers[1].secret);
    assert_string_equal(o->headers[3].value, "b");
    assert_false(o->headers[3].secret);
    assert_string_equal(o->headers[4].value, "c");
    assert_true(o->headers[4].secret);
    o = &c->remotes[0].http;
    assert_int_equal(o->headers_n, 2);
    assert_string_equal(o->headers[0].name, "X-Scope-OrgID");
    assert_false(o->headers[0].secret);
    assert_true(o->headers[1].secret);
    config_unref(c);
}

static void test_relabel(void **state)
{
    (void)state;
    struct config *c = load("global:\n"
                            "  relabel_configs:\n"
                            "  - {target_label: everywhere, replacement: x}\n"
                            "  metric_relabel_configs:\n"
                            "  - {target_label: all, replacement: x}\n"
                            "  - {target_label: all2, replacement: x}\n"
                            "scrape_configs:\n"
                            "- job_name: a\n"
                            "  relabel_configs:\n"
                            "  - source_labels: [__address__]\n"
                            "    regex: [a.*, 5, true]\n"
                            "    action: keep\n"
                            "  - source_labels: [x]\n"
                            "    regex:\n"
                            "    action: drop\n"
                            "- job_name: b\n"
                            "remote_write:\n"
                            "- url: http://h/\n"
                            "  write_relabel_configs:\n"
                            "  - {source_labels: [__name__], regex: 5, action: drop}\n");
    assert_int_equal(relabel_count(c->jobs[0].relabel), 3);
    assert_int_equal(relabel_count(c->jobs[0].metric_relabel), 2);
    assert_int_equal(relabel_count(c->jobs[1].relabel), 1);
    assert_int_equal(relabel_count(c->remotes[0].write_relabel), 1);
    struct buf dump;
    buf_init(&dump, 1 << 16);
    relabel_dump(c->jobs[0].relabel, 0, &dump);
    const char *text = buf_c(&dump);
    assert_non_null(strstr(text, "a.*|5|true"));
    assert_true(strstr(text, "everywhere") < strstr(text, "a.*|5|true"));
    buf_free(&dump);
    config_unref(c);
}

static void test_merge_keys(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- &base\n"
                            "  job_name: a\n"
                            "  scrape_interval: 5s\n"
                            "  tls_config: &tls {server_name: s}\n"
                            "- <<: *base\n"
                            "  job_name: b\n"
                            "- <<: [{scheme: https}, *base]\n"
                            "  job_name: c\n"
                            "  tls_config: *tls\n"
                            "  scrape_interval: 6s\n");
    assert_int_equal(c->jobs_n, 3);
    assert_string_equal(c->jobs[1].job_name, "b");
    assert_int_equal(c->jobs[1].scrape_interval_ms, 5000);
    assert_string_equal(c->jobs[1].http.tls_server_name, "s");
    assert_string_equal(c->jobs[2].scheme, "https");
    assert_int_equal(c->jobs[2].scrape_interval_ms, 6000);
    assert_string_equal(c->jobs[2].http.tls_server_name, "s");
    config_unref(c);
}

static void test_remote_names(void **state)
{
    (void)state;
    struct config *c = load("remote_write:\n- url: http://a/\n- url: http://b/\n- {url: http://c/, name: c}\n");
    assert_int_equal(strlen(c->remotes[0].name), strlen("remote-") + 8);
    assert_memory_equal(c->remotes[0].name, "remote-", 7);
    assert_string_not_equal(c->remotes[0].name, c->remotes[1].name);
    assert_string_equal(c->remotes[2].name, "c");
    struct config *other = load("remote_write:\n- {url: http://a/, bearer_token: x}\n");
    assert_string_equal(other->remotes[0].name, c->remotes[0].name);
    config_unref(other);
    config_unref(c);
}

static void test_extra(void **state)
{
    (void)state;
    struct config *c = load_extra("global: {external_labels: {a: file, b: file}}\n"
                                  "remote_write: [{url: http://file/}]\n",
                                  "global: {external_labels: {b: line, c: line}}\n"
                                  "remote_write:\n- url: http://line/\n  max_bytes: 1073741824B\n");
    assert_int_equal(c->remotes_n, 2);
    assert_string_equal(c->remotes[1].url, "http://line/");
    assert_int_equal(c->remotes[1].max_bytes, 1 << 30);
    assert_int_equal(c->external_labels_n, 3);
    assert_label(&c->external_labels[0], "a", "file");
    assert_label(&c->external_labels[1], "b", "line");
    assert_label(&c->external_labels[2], "c", "line");
    config_unref(c);
    struct buf errors;
    buf_init(&errors, 1 << 16);
    struct config_extra extra = {.yaml = "remote_write:\n- url: nothing\n"};
    c = config_load_text("test.yml", STR("global: {x: 1}"), &extra, false, &errors);
    assert_null(c);
    assert_string_equal(buf_c(&errors),
                        "test.yml:1:10: field x not found in global\n"
                        "command line:2:8: url: not a URL with http:// or https:// and a host\n");
    buf_free(&errors);
}

/* Every field that changes how a job is scraped changes its hash; discovery does not. */
static void test_job_hash(void **state)
{
    (void)state;
    struct config *base = load("scrape_configs:\n- job_name: j\n");
    static const char *const different[] = {
        "scrape_interval: 61s", "scrape_timeout: 9s", "metrics_path: /x", "scheme: https", "params: {a: [b]}",
        "honor_labels: true", "honor_timestamps: false", "enable_compression: false", "extra_scrape_metrics: true",
        "no_stale_markers: true", "body_size_limit: 1KB", "sample_limit: 1", "label_limit: 1",
        "label_name_length_limit: 1", "label_value_length_limit: 1", "target_limit: 1", "series_limit: 1",
        "job_series_limit: 1", "native_histogram_bucket_limit: 1", "native_histogram_min_bucket_factor: 1.00000001",
        "native_histogram_min_bucket_factor: 1.00000002", "scrape_native_histograms: true",
        "always_scrape_classic_histograms: true", "convert_classic_histograms_to_nhcb: true",
        "track_timestamps_staleness: true", "normalize_le_quantile: true", "metric_name_validation_scheme: legacy",
        "metric_name_escaping_scheme: dots", "scrape_protocols: [PrometheusText0.0.4]",
        "scrape_protocols: [PrometheusText0.0.4, PrometheusProto]",
        "scrape_protocols: [PrometheusProto, PrometheusText0.0.4]", "fallback_scrape_protocol: OpenMetricsText1.0.0",
        "fallback_scrape_protocol: PrometheusText0.0.4", "scrape_failure_log_file: /a", "scrape_align_interval: 1s",
        "scrape_offset: 1s", "disable_keepalive: true", "scrape_on_shutdown: true", "offer_zstd: true",
        "bearer_token: a", "bearer_token: b",
        "authorization: {credentials: a, type: x}", "basic_auth: {username: a, password: b}",
        "basic_auth: {username: a, password: c}", "headers: ['A: b']", "headers: ['A-Key: b']",
        "headers: ['A-Key: c']", "tls_config: {server_name: a}", "tls_config: {insecure_skip_verify: true}",
        "tls_config: {min_version: TLS12}", "follow_redirects: false", "enable_http2: true",
        "proxy_url: http://u:a@p/", "proxy_url: http://u:b@p/",
        "metric_relabel_configs: [{target_label: a, replacement: b}]",
        "relabel_configs: [{target_label: a, replacement: b}]",
    };
    size_t n = sizeof different / sizeof *different;
    uint64_t *hashes = xcalloc(n + 1, sizeof *hashes);
    hashes[n] = base->jobs[0].hash;
    for (size_t i = 0; i < n; i++) {
        char *yaml = xasprintf("scrape_configs:\n- job_name: j\n  %s\n", different[i]);
        struct config *c = load(yaml);
        hashes[i] = c->jobs[0].hash;
        for (size_t k = 0; k < i; k++)
            if (hashes[k] == hashes[i])
                fail_msg("%s and %s hash the same", different[k], different[i]);
        assert_true(hashes[i] != hashes[n]);
        config_unref(c);
        free(yaml);
    }
    static const char *const same[] = {
        "", "static_configs: [{targets: [a:1]}]", "file_sd_configs: [{files: [a.json]}]", "scrape_interval: 1m",
        "scrape_interval: 60s", "stream_parse: true", "keep_dropped_targets: 5", "relabel_debug: true",
        "metric_relabel_debug: true", "target_limit: 0", "max_scrape_size: 0", "scrape_native_histograms: false",
        "metric_name_escaping_scheme: allow-utf-8", "scrape_offset: 0s", "honor_timestamps: true", "tls_config: {}",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        char *yaml = xasprintf("scrape_configs:\n- job_name: j\n  %s\n", same[i]);
        struct config *c = load(yaml);
        assert_int_equal(c->jobs[0].hash, hashes[n]);
        config_unref(c);
        free(yaml);
    }
    free(hashes);
    config_unref(base);
}

static void test_remote_hash(void **state)
{
    (void)state;
    static const char *const different[] = {
        "", "name: a", "remote_timeout: 1s", "queue_config: {min_backoff: 2s}", "queue_config: {max_backoff: 2s}",
        "queue_config: {max_samples_per_send: 5}", "max_bytes: 5", "max_age: 5s", "max_request_bytes: 5",
        "on_reject: drop", "send_exemplars: true", "send_native_histograms: true", "metadata_config: {send: false}",
        "metadata_config: {send_interval: 2s}", "routing: shard\n  group: a", "routing: shard\n  group: b",
        "routing: shard\n  group: a\n  shard_by: [a]", "routing: shard\n  group: a\n  shard_ignore: [a]",
        "bearer_token: a", "bearer_token: b", "bearer_token_file: /a", "headers: {A: b}", "follow_redirects: false",
        "write_relabel_configs: [{target_label: a, replacement: b}]", "tls_config: {ca_file: /a}",
    };
    uint64_t hashes[sizeof different / sizeof *different];
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        char *yaml = xasprintf("remote_write:\n- url: http://h/\n  %s\n", different[i]);
        struct config *c = load(yaml), *again = load(yaml);
        hashes[i] = c->remotes[0].hash;
        assert_int_equal(hashes[i], again->remotes[0].hash);
        for (size_t k = 0; k < i; k++)
            if (hashes[k] == hashes[i])
                fail_msg("%s and %s hash the same", different[k], different[i]);
        config_unref(again);
        config_unref(c);
        free(yaml);
    }
    struct config *c = load("global: {external_labels: {a: b}}\nremote_write:\n- url: http://h/\n");
    assert_true(c->remotes[0].hash != hashes[0]);
    config_unref(c);
}

static void test_secrets_hidden(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- job_name: a\n"
                            "  basic_auth: {username: me, password: HUSH1}\n"
                            "  proxy_url: http://me:HUSH2@proxy:3128/\n"
                            "  headers: ['X-Api-Key: HUSH3', 'Cookie: HUSH4']\n"
                            "  tls_config: {cert: C, key: HUSH5}\n"
                            "- job_name: b\n"
                            "  bearer_token: HUSH6\n"
                            "remote_write:\n"
                            "- url: https://me:HUSH7@host/api/v1/write?x=y\n"
                            "  authorization: {credentials: HUSH8}\n"
                            "  http_headers: {X-A: {secrets: [HUSH9], values: [shown]}}\n");
    assert_null(strstr(c->yaml, "HUSH"));
    assert_non_null(strstr(c->yaml, "password: \"<secret>\""));
    assert_non_null(strstr(c->yaml, "http://me:xxxxx@proxy:3128/"));
    assert_non_null(strstr(c->yaml, "https://me:xxxxx@host/api/v1/write?x=y"));
    assert_non_null(strstr(c->yaml, "X-Api-Key: <secret>"));
    assert_non_null(strstr(c->yaml, "X-A: shown"));
    assert_non_null(strstr(c->yaml, "credentials: \"<secret>\""));
    config_unref(c);
}

static void test_good_files(void **state)
{
    (void)state;
    static const char *const files[] = {"prometheus.yml", "prometheus3.yml", "vmagent.yml", "agent.yml",
                                       "every-field.yml", "includes.yml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = xasprintf(DATA "good/%s", files[i]);
        struct config *c = load_file(path);
        assert_string_equal(c->path, path);
        assert_string_equal(c->files[0], path);
        assert_false(config_changed_on_disk(c));
        /* What is shown is a configuration that means the same. */
        struct config *again = load(c->yaml);
        assert_string_equal(again->yaml, c->yaml);
        assert_int_equal(again->jobs_n, c->jobs_n);
        for (size_t k = 0; k < c->jobs_n && !strstr(c->yaml, "<secret>"); k++)
            assert_int_equal(again->jobs[k].hash, c->jobs[k].hash);
        config_unref(again);
        config_unref(c);
        free(path);
    }
}

static void test_meaning_of_good_files(void **state)
{
    (void)state;
    static const char *const files[] = {"prometheus.yml", "prometheus3.yml", "vmagent.yml", "agent.yml"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char *path = xasprintf(DATA "good/%s", files[i]), *want_path = xasprintf(DATA "good/want/%s", files[i]);
        struct config *c = load_file(path), *want = load_file(want_path);
        assert_string_equal(c->yaml, want->yaml);
        assert_int_equal(c->jobs_n, want->jobs_n);
        for (size_t k = 0; k < c->jobs_n; k++)
            assert_int_equal(c->jobs[k].hash, want->jobs[k].hash);
        assert_int_equal(c->remotes_n, want->remotes_n);
        assert_true(c->content_hash != want->content_hash);
        config_unref(want);
        config_unref(c);
        free(want_path);
        free(path);
    }
}

/* What is empty is not there: the HTTP client must not take "" for a secret or a path. */
static void test_empty_texts(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs:\n"
                            "- job_name: a\n"
                            "  authorization: {credentials: \"\", credentials_file: /token}\n"
                            "  tls_config: {ca_file: \"\", server_name: \"\"}\n"
                            "  proxy_url: \"\"\n"
                            "- job_name: b\n"
                            "  basic_auth: {username: me, username_file: \"\", password: \"\"}\n"
                            "  bearer_token: \"\"\n");
    const struct http_options *a = &c->jobs[0].http, *b = &c->jobs[1].http;
    assert_null(a->credentials.value);
    assert_string_equal(a->credentials.file, "/token");
    assert_null(a->tls_ca.file);
    assert_null(a->tls_server_name);
    assert_null(a->proxy_url);
    assert_string_equal(b->username.value, "me");
    assert_null(b->username.file);
    assert_null(b->password.value);
    assert_false(b->has_authorization);
    config_unref(c);
}

static void test_includes(void **state)
{
    (void)state;
    struct config *c = load_file(DATA "good/includes.yml");
    assert_int_equal(c->jobs_n, 4);
    assert_string_equal(c->jobs[0].job_name, "main");
    assert_string_equal(c->jobs[1].job_name, "included-a");
    assert_string_equal(c->jobs[2].job_name, "included-b");
    assert_string_equal(c->jobs[3].job_name, "included-c");
    /* Paths in an included file are relative to it, defaults come from the main one. */
    assert_int_equal(c->jobs[1].scrape_interval_ms, 20000);
    assert_int_equal(c->jobs[1].http.credentials.file[0], '/');
    assert_non_null(strstr(c->jobs[1].http.credentials.file, "/good/jobs/token"));
    assert_non_null(strstr(c->jobs[2].file_sd[0].files[0], "/good/jobs/targets/*.json"));
    assert_int_equal(c->files_n, 3);
    config_unref(c);
}

/* Files of one test, in a directory of its own. */
struct scratch {
    char dir[64];
};

static void scratch_make(struct scratch *s)
{
    snprintf(s->dir, sizeof s->dir, "/tmp/test_config_XXXXXX");
    assert_non_null(mkdtemp(s->dir));
}

static char *scratch_write(const struct scratch *s, const char *name, const char *text)
{
    struct err err = {0};
    char *path = file_join(s->dir, name);
    char *dir = file_dir(path);
    assert_true(file_make_dirs(dir, &err));
    assert_true(file_write_atomic(path, str_of(text), &err));
    free(dir);
    return path;
}

static void scratch_remove(const struct scratch *s)
{
    char *command = xasprintf("rm -r '%s'", s->dir);
    assert_int_equal(system(command), 0);
    free(command);
}

static void test_changed_on_disk(void **state)
{
    (void)state;
    struct scratch s;
    scratch_make(&s);
    char *path = scratch_write(&s, "main.yml", "scrape_config_files: [jobs/*.yml]\n");
    char *one = scratch_write(&s, "jobs/one.yml", "scrape_configs: [{job_name: one}]\n");
    struct config *c = load_file(path);
    assert_false(config_changed_on_disk(c));
    free(scratch_write(&s, "main.yml", "scrape_config_files: [jobs/*.yml]\n"));
    assert_false(config_changed_on_disk(c));
    free(scratch_write(&s, "jobs/one.yml", "scrape_configs: [{job_name: uno}]\n"));
    assert_true(config_changed_on_disk(c));
    free(scratch_write(&s, "jobs/one.yml", "scrape_configs: [{job_name: one}]\n"));
    assert_false(config_changed_on_disk(c));
    char *two = scratch_write(&s, "jobs/two.yml", "- job_name: two\n");
    assert_true(config_changed_on_disk(c));
    struct config *later = load_file(path);
    assert_true(later->content_hash != c->content_hash);
    assert_int_equal(later->jobs_n, 2);
    assert_int_equal(unlink(two), 0);
    assert_true(config_changed_on_disk(later));
    assert_false(config_changed_on_disk(c));
    assert_int_equal(unlink(path), 0);
    assert_false(config_changed_on_disk(c)); /* unreadable is not changed */
    config_unref(later);
    config_unref(c);
    free(two);
    free(one);
    free(path);
    scratch_remove(&s);
}

static void test_relabel_files_of_remote(void **state)
{
    (void)state;
    struct scratch s;
    scratch_make(&s);
    char *rules = scratch_write(&s, "rules.yml", "- {target_label: first, replacement: x}\n");
    char *main = scratch_write(&s, "main.yml",
                               "remote_write:\n"
                               "- url: http://h/\n"
                               "  write_relabel_configs:\n"
                               "  - {target_label: second, replacement: x}\n"
                               "  write_relabel_config_files: [rules.yml]\n");
    struct config *c = load_file(main);
    assert_int_equal(relabel_count(c->remotes[0].write_relabel), 2);
    assert_true(strstr(c->yaml, "first") < strstr(c->yaml, "second"));
    assert_int_equal(c->files_n, 2);
    assert_false(config_changed_on_disk(c));
    free(scratch_write(&s, "rules.yml", "- {target_label: other, replacement: x}\n"));
    assert_true(config_changed_on_disk(c));
    config_unref(c);
    free(scratch_write(&s, "rules.yml", "- {target_labe: other, replacement: x}\n"));
    struct buf errors;
    buf_init(&errors, 1 << 16);
    assert_null(config_load(main, NULL, false, &errors));
    assert_non_null(strstr(buf_c(&errors), "rules.yml:1:4: field target_labe not found in relabel_config"));
    buf_free(&errors);
    free(rules);
    free(main);
    scratch_remove(&s);
}

/* Errors of all files in one go, each under its own name. */
static void test_included_errors(void **state)
{
    (void)state;
    struct scratch s;
    scratch_make(&s);
    char *main = scratch_write(&s, "main.yml",
                               "scrape_configs:\n"
                               "- job_name: a\n"
                               "  x: 1\n"
                               "scrape_config_files: [jobs/*.yml, none/*.yml]\n");
    char *one = scratch_write(&s, "jobs/1.yml", "scrape_configs:\n- job_name: a\n");
    char *two = scratch_write(&s, "jobs/2.yml", "global: {}\nscrape_configs: []\n");
    char *three = scratch_write(&s, "jobs/3.yml", "- job_name: b\n  scrape_timeout: 2m\n");
    char *four = scratch_write(&s, "jobs/4.yml", "text\n");
    char *five = scratch_write(&s, "jobs/5.yml", "");
    char *want = xasprintf("%s:3:3: field x not found in scrape_config\n"
                           "%s:2:13: found multiple scrape configs with job name \"a\"\n"
                           "%s:1:1: field global not found in scrape config file\n"
                           "%s:2:19: scrape timeout greater than scrape interval for scrape config with job name "
                           "\"b\"\n"
                           "%s:1:1: scrape config file: expected a mapping, found a single value\n",
                           main, one, two, three, four);
    struct buf errors;
    buf_init(&errors, 1 << 16);
    assert_null(config_load(main, NULL, false, &errors));
    assert_string_equal(buf_c(&errors), want);
    buf_free(&errors);
    free(want);
    free(five);
    free(four);
    free(three);
    free(two);
    free(one);
    free(main);
    scratch_remove(&s);
}

/* A fleet's worth of jobs stays cheap: nothing here is quadratic. */
static void test_many_jobs(void **state)
{
    (void)state;
    struct buf yaml, errors;
    buf_init(&yaml, 1 << 24);
    buf_init(&errors, 1 << 20);
    buf_add_c(&yaml, "scrape_configs:\n");
    for (int i = 0; i < 5000; i++)
        buf_addf(&yaml, "- job_name: job-%d\n  static_configs: [{targets: [host-%d:9100]}]\n", i, i);
    struct config *c = load(buf_c(&yaml));
    assert_int_equal(c->jobs_n, 5000);
    assert_string_equal(c->jobs[4999].static_groups[0].targets[0], "host-4999:9100");
    struct config *again = load(c->yaml);
    assert_int_equal(again->jobs[4999].hash, c->jobs[4999].hash);
    config_unref(again);
    config_unref(c);
    buf_add_c(&yaml, "- job_name: job-17\n");
    assert_null(config_load_text("test.yml", buf_str(&yaml), NULL, false, &errors));
    assert_string_equal(buf_c(&errors),
                        "test.yml:10002:13: found multiple scrape configs with job name \"job-17\"\n");
    buf_clear(&yaml);
    buf_clear(&errors);
    buf_add_c(&yaml, "remote_write: [");
    for (int i = 0; i < 33; i++)
        buf_addf(&yaml, "{url: 'http://h%d/'}, ", i);
    buf_add_c(&yaml, "]");
    assert_null(config_load_text("test.yml", buf_str(&yaml), NULL, false, &errors));
    assert_non_null(strstr(buf_c(&errors), ": more than 32 remote_write endpoints\n"));
    buf_free(&errors);
    buf_free(&yaml);
}

static void *take_and_give(void *c)
{
    for (int i = 0; i < 20000; i++)
        config_unref(config_ref(c));
    return NULL;
}

static void test_references_from_threads(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs: [{job_name: a}]");
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, c), 0);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(c->refs, 1);
    config_unref(c);
}

static void test_check_files(void **state)
{
    (void)state;
    static const char yaml[] = "scrape_configs:\n"
                               "- job_name: a\n"
                               "  bearer_token_file: missing-token\n"
                               "  tls_config: {ca_file: /dev/null}\n"
                               "scrape_config_files: [missing.yml, no/*.yml]\n";
    struct buf errors;
    buf_init(&errors, 1 << 16);
    struct config *c = config_load_text("test.yml", STR(yaml), NULL, false, &errors);
    assert_non_null(c);
    config_unref(c);
    c = config_load_text("test.yml", STR(yaml), NULL, true, &errors);
    assert_null(c);
    assert_non_null(strstr(buf_c(&errors), "test.yml:3:22: bearer_token_file \""));
    assert_non_null(strstr(buf_c(&errors), "/missing-token\": No such file or directory\n"));
    assert_non_null(strstr(buf_c(&errors), "test.yml:5:23: \""));
    assert_non_null(strstr(buf_c(&errors), "/missing.yml\" does not point to an existing file\n"));
    assert_null(strstr(buf_c(&errors), "/dev/null"));
    buf_clear(&errors);
    assert_null(config_load("/nonexistent/x.yml", NULL, false, &errors));
    assert_memory_equal(buf_c(&errors), "/nonexistent/x.yml:1:1: ", 24);
    buf_free(&errors);
}

static void test_references(void **state)
{
    (void)state;
    struct config *c = load("scrape_configs: [{job_name: a}]");
    assert_int_equal(c->refs, 1);
    struct config *same = config_ref(c);
    assert_ptr_equal(same, c);
    assert_int_equal(c->refs, 2);
    config_unref(same);
    assert_string_equal(c->jobs[0].job_name, "a");
    config_unref(c);
    config_unref(NULL);
}

static void test_sorted_errors(void **state)
{
    (void)state;
    expect_error("scrape_configs:\n"
                 "- job_name: a\n"
                 "- job_name: a\n"
                 "  scheme: x\n"
                 "global:\n"
                 "  b: 1\n"
                 "  a: 1\n",
                 "test.yml:3:13: found multiple scrape configs with job name \"a\"\n"
                 "test.yml:4:11: scheme: unknown value \"x\", expected one of http|https\n"
                 "test.yml:6:3: field b not found in global\n"
                 "test.yml:7:3: field a not found in global\n");
    expect_error("\"a\\nb\": 1\n", "test.yml:1:1: field a?b not found in configuration\n");
}

static void test_too_many_errors(void **state)
{
    (void)state;
    struct buf yaml, errors;
    buf_init(&yaml, 1 << 20);
    buf_init(&errors, 1 << 20);
    buf_add_c(&yaml, "scrape_configs:\n");
    for (int i = 0; i < 1500; i++)
        buf_addf(&yaml, "- {job_name: j%d, x: 1}\n", i);
    assert_null(config_load_text("test.yml", buf_str(&yaml), NULL, false, &errors));
    assert_non_null(strstr(buf_c(&errors), "test.yml:1001:20: field x not found"));
    assert_null(strstr(buf_c(&errors), "test.yml:1002:20: field x not found"));
    assert_non_null(strstr(buf_c(&errors), "and 500 more problems\n"));
    buf_free(&errors);
    buf_free(&yaml);
}

int main(void)
{
    log_set_level("error");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_fields),
        cmocka_unit_test(test_remote_fields),
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_global),
        cmocka_unit_test(test_external_labels),
        cmocka_unit_test(test_env),
        cmocka_unit_test(test_static_and_params),
        cmocka_unit_test(test_addresses_with_relabeling),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_relabel),
        cmocka_unit_test(test_merge_keys),
        cmocka_unit_test(test_remote_names),
        cmocka_unit_test(test_extra),
        cmocka_unit_test(test_job_hash),
        cmocka_unit_test(test_remote_hash),
        cmocka_unit_test(test_secrets_hidden),
        cmocka_unit_test(test_good_files),
        cmocka_unit_test(test_meaning_of_good_files),
        cmocka_unit_test(test_empty_texts),
        cmocka_unit_test(test_includes),
        cmocka_unit_test(test_changed_on_disk),
        cmocka_unit_test(test_relabel_files_of_remote),
        cmocka_unit_test(test_included_errors),
        cmocka_unit_test(test_many_jobs),
        cmocka_unit_test(test_references_from_threads),
        cmocka_unit_test(test_check_files),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_sorted_errors),
        cmocka_unit_test(test_too_many_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
