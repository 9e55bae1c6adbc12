/* SPDX-License-Identifier: Apache-2.0 */
/* test_metrics: how collectors' samples become the page. */
#include "unit.h"

#include "metrics.h"

#include "agent/web/collect.h"
#include "agent/web/process.h"

static char *page(void)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    metrics_render(&b);
    assert_false(b.overflow);
    return buf_take(&b);
}

static void emit_later_metric(void *ctx, struct metric_out *out)
{
    (void)ctx;
    metric_emit(out, METRIC_SERIES, 12, NULL);
    metric_emit(out, METRIC_TARGETS, 1, "state", "up", NULL);
}

static void emit_escapes(void *ctx, struct metric_out *out)
{
    metric_emit(out, METRIC_TARGETS, *(double *)ctx, "state", "a\\b\"c\nd", NULL);
    metric_emit(out, METRIC_SAMPLES_LOST, 7, "endpoint", "e", "job", "j", "reason", "overflow", NULL);
}

static void test_groups_by_table_order(void **state)
{
    (void)state;
    double half = 0.5;
    metrics_register(emit_later_metric, NULL);
    metrics_register(emit_escapes, &half);
    char *text = page();
    assert_string_equal(text,
                        "# HELP obsagent_targets Targets by state: up, down, unknown, dropped (by relabel_configs), "
                        "other_shard (another agent's).\n"
                        "# TYPE obsagent_targets gauge\n"
                        "obsagent_targets{state=\"up\"} 1\n"
                        "obsagent_targets{state=\"a\\\\b\\\"c\\nd\"} 0.5\n"
                        "# HELP obsagent_series Live series of all targets.\n"
                        "# TYPE obsagent_series gauge\n"
                        "obsagent_series 12\n"
                        "# HELP obsagent_samples_lost_total Samples lost, by reason.\n"
                        "# TYPE obsagent_samples_lost_total counter\n"
                        "obsagent_samples_lost_total{endpoint=\"e\",job=\"j\",reason=\"overflow\"} 7\n");
    free(text);
    metrics_unregister(emit_later_metric, NULL);
    metrics_unregister(emit_escapes, &half);
}

static void test_unregistered_is_gone(void **state)
{
    (void)state;
    double one = 1, two = 2;
    metrics_register(emit_escapes, &one);
    metrics_register(emit_escapes, &two);
    metrics_unregister(emit_escapes, &one);
    char *text = page();
    assert_non_null(strstr(text, "} 2\n"));
    assert_null(strstr(text, "} 1\n"));
    free(text);
    metrics_unregister(emit_escapes, &two);
    metrics_unregister(emit_escapes, &two); /* unknown: nothing happens */
    text = page();
    assert_string_equal(text, "");
    free(text);
}

static void test_process(void **state)
{
    (void)state;
    struct process_stats p;
    process_read(&p);
    assert_true(p.cpu_seconds > 0);
    assert_true(p.rss_bytes > 4096);
    assert_true(p.anon_bytes > 4096 && p.anon_bytes <= p.rss_bytes);
    assert_true(p.virtual_bytes >= p.rss_bytes);
    assert_true(p.open_fds >= 3 || p.open_fds >= 1);
    assert_true(p.threads >= 1);
    assert_true(p.start_seconds > 1.6e9);
    metrics_register(process_collect, NULL);
    char *text = page();
    assert_non_null(strstr(text, "# TYPE process_cpu_seconds_total counter\n"));
    assert_non_null(strstr(text, "\nprocess_resident_memory_bytes "));
    assert_non_null(strstr(text, "\nprocess_start_time_seconds "));
    free(text);
    metrics_unregister(process_collect, NULL);
}

static void collect_made_up(void *ctx, struct metric_out *out)
{
    collect_view(ctx, out);
}

static void test_view(void **state)
{
    (void)state;
    struct view_book books[] = {
        {"scraped", "", "node", "", 100},       {"restored", "vm", "", "", 5},
        {"delivered", "vm", "node", "", 60},    {"filtered", "vm", "node", "", 3},
        {"lost", "vm", "node", "rejected", 2},  {"routed", "vm", "node", "", 7},
    };
    struct view_job jobs[] = {{.job = "node", .up = 3, .down = 1}};
    struct remote_status remotes[] = {{.name = "vm",
                                       .state = REMOTE_RETRYING,
                                       .responses_2xx = 4,
                                       .network_errors = 2,
                                       .queue = {.buffered_samples = 40, .oldest_wall_ms = 5000}}};
    struct web_view view = {
        .now_ms = 7500,
        .books = books,
        .books_n = 6,
        .jobs = jobs,
        .jobs_n = 1,
        .remotes = remotes,
        .remotes_n = 1,
        .totals = {.targets_up = 3, .scrapes_failed = 10, .scrapes_timeout = 4, .scrapes_sample_limit = 1},
        .queue = {.disk_error = "no space left on device"},
    };
    metrics_register(collect_made_up, &view);
    char *text = page();
    metrics_unregister(collect_made_up, &view);
    const char *const lines[] = {
        "\nobsagent_targets{state=\"up\"} 3\n",
        "\nobsagent_job_targets{job=\"node\",state=\"down\"} 1\n",
        "\nobsagent_scrapes_failed_total{reason=\"timeout\"} 4\n",
        "\nobsagent_scrapes_failed_total{reason=\"other\"} 5\n",
        "\nobsagent_samples_scraped_total{job=\"node\"} 100\n",
        "\nobsagent_samples_restored_total{endpoint=\"vm\"} 5\n",
        "\nobsagent_samples_delivered_total{endpoint=\"vm\",job=\"node\"} 60\n",
        "\nobsagent_samples_filtered_total{endpoint=\"vm\",job=\"node\"} 3\n",
        "\nobsagent_samples_routed_total{endpoint=\"vm\",job=\"node\"} 7\n",
        "\nobsagent_samples_lost_total{endpoint=\"vm\",job=\"node\",reason=\"rejected\"} 2\n",
        "\nobsagent_samples_buffered{endpoint=\"vm\"} 40\n",
        "\nobsagent_queue_oldest_age_seconds{endpoint=\"vm\"} 2.5\n",
        "\nobsagent_queue_disk_ok 0\n",
        "\nobsagent_remote_requests_total{endpoint=\"vm\",status=\"2xx\"} 4\n",
        "\nobsagent_remote_requests_total{endpoint=\"vm\",status=\"error\"} 2\n",
        "\nobsagent_remote_state{endpoint=\"vm\",state=\"retrying\"} 1\n",
        "\nobsagent_remote_state{endpoint=\"vm\",state=\"ok\"} 0\n",
        "\nobsagent_log_messages_total{level=\"warn\"} ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        if (!strstr(text, lines[i]))
            print_error("missing: %s\n", lines[i]);
        assert_non_null(strstr(text, lines[i]));
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_groups_by_table_order),
        cmocka_unit_test(test_unregistered_is_gone),
        cmocka_unit_test(test_process),
        cmocka_unit_test(test_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
