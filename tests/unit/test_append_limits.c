/* SPDX-License-Identifier: Apache-2.0 */
/* test_append_limits: soft limits on series, and settings that change what is written: whose timestamps end with a
   marker, names, numbers of le and quantile. */
#include "append_bed.h"

#include "scrape/budget.h"
#include "scrape/sketch.h"

/* Known series stay, new ones are kept out until there is room; the agent's own series are never touched. */
static void limit_of_a_target(void **state)
{
    static const struct step STEPS[] = {
        {"a 1\nb 2\n", "a{t=\"1\"} 1 @1000\nb{t=\"1\"} 2 @1000\n", true, 2, 2, 2, 0, NULL},
        {"n{id=\"1\"} 1\na 1\nn{id=\"2\"} 1\nb 2\nn{id=\"3\"} 3\n",
         "n{id=\"1\",t=\"1\"} 1 @2000\na{t=\"1\"} 1 @2000\nb{t=\"1\"} 2 @2000\n", true, 5, 5, 1, 0, NULL},
        /* the same again: nothing is looked at anew */
        {"n{id=\"1\"} 1\na 1\nn{id=\"2\"} 1\nb 2\nn{id=\"3\"} 3\n",
         "n{id=\"1\",t=\"1\"} 1 @3000\na{t=\"1\"} 1 @3000\nb{t=\"1\"} 2 @3000\n", true, 5, 5, 0, 0, NULL},
        /* a known one has gone: its room is free after this scrape */
        {"n{id=\"1\"} 1\nn{id=\"2\"} 1\nb 2\nn{id=\"3\"} 3\n",
         "n{id=\"1\",t=\"1\"} 1 @4000\nb{t=\"1\"} 2 @4000\na{t=\"1\"} stale @4000\n", true, 4, 4, 0, 1, NULL},
        {"n{id=\"1\"} 1\nn{id=\"2\"} 1\nb 2\nn{id=\"3\"} 3\n",
         "n{id=\"1\",t=\"1\"} 1 @5000\nn{id=\"2\",t=\"1\"} 1 @5000\nb{t=\"1\"} 2 @5000\n", true, 4, 4, 1, 0,
         NULL},
        /* one that was kept out has no marker when it leaves */
        {"n{id=\"1\"} 1\nn{id=\"2\"} 1\nb 2\n",
         "n{id=\"1\",t=\"1\"} 1 @6000\nn{id=\"2\",t=\"1\"} 1 @6000\nb{t=\"1\"} 2 @6000\n", true, 3, 3, 0, 0,
         NULL},
        {NULL, "n{id=\"1\",t=\"1\"} stale @7000\nn{id=\"2\",t=\"1\"} stale @7000\nb{t=\"1\"} stale @7000\n",
         false, 0, 0, 0, 3, NULL},
    };
    static const uint64_t KEPT_OUT[] = {0, 2, 2, 2, 1, 0, 0};
    struct bench b;
    uint64_t all = 0;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.series_limit = 3;
    only_usual_reports = true;
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        struct append_stats stats;
        run_step(&b, &STEPS[i], (int)i + 1);
        append_worker_stats(b.w, &stats);
        all += KEPT_OUT[i];
        assert_int_equal(stats.limited_samples, all);
    }
    only_usual_reports = false;
    bench_free(&b);
}

static void limit_reports(void **state)
{
    struct bench b;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.series_limit = 2;
    const char *body =
        "a{u=\"1\",c=\"x\"} 1\na{u=\"2\",c=\"x\"} 2\na{u=\"3\",c=\"y\"} 3\na{u=\"4\",c=\"y\"} 4\n"
        "a{u=\"5\",c=\"y\"} 4\n";
    struct append_result r = scrape_at(&b, body, strlen(body), 5, &err);
    append_flush(b.w);
    assert_int_equal(r.limited, 3);
    assert_string_equal(r.limited_label, "u");
    assert_string_equal(buf_c(&heard),
                        "a{c=\"x\",t=\"1\",u=\"1\"} 1 @5\na{c=\"x\",t=\"1\",u=\"2\"} 2 @5\n"
                        "scrape_series_current{t=\"1\"} 2 @5\nscrape_series_limit{t=\"1\"} 2 @5\n"
                        "scrape_series_limit_samples_dropped{t=\"1\"} 3 @5\n");
    bench_free(&b);
}

/* Two targets share what a job and the agent may have. */
static void limits_over_targets(void **state)
{
    struct bench b;
    struct err err = {0};
    struct append_worker_options o = {.emit = emit, .budget = budget_new()};
    struct labels none = {0};
    struct append_result r;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    struct append_worker *w[2] = {append_worker_new(&o), append_worker_new(&o)};
    struct append_target *own = b.t, *t[2];
    for (int i = 0; i < 2; i++)
        t[i] = append_target_new(w[i], &b.job, &none, NULL);
    static const struct {
        uint64_t job_limit, total, want[2];
    } ROWS[] = {
        {0, 0, {3, 3}}, {4, 0, {3, 1}}, {0, 5, {3, 2}}, {2, 5, {2, 0}}, {0, 0, {3, 3}},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        b.job.job_series_limit = ROWS[i].job_limit;
        budget_set_total(o.budget, ROWS[i].total);
        for (int k = 0; k < 2; k++) {
            b.t = t[k];
            r = scrape_at(&b, "a 1\nb 2\nc 3\n", 12, 1000 + (int64_t)i, &err);
            assert_int_equal(append_target_series(t[k]), ROWS[i].want[k]);
            assert_int_equal(r.limited, 3 - ROWS[i].want[k]);
        }
        for (int k = 0; k < 2; k++) { /* both empty: all room is given back */
            b.t = t[k];
            r = scrape_at(&b, "# none\n", 7, 1100 + (int64_t)i, &err);
            assert_int_equal(append_target_series(t[k]), 0);
        }
    }
    b.job.job_series_limit = 2; /* what is given up in the middle takes nothing along */
    struct append_scrape *s = append_begin(t[0], 2000, EXPOSITION_TEXT);
    assert_true(append_feed(s, "a 1\nb 2\n", 8, &err));
    append_cancel(s);
    b.t = t[1];
    r = scrape_at(&b, "a 1\nb 2\n", 8, 2001, &err);
    assert_int_equal(append_target_series(t[1]), 2);
    append_target_free(t[1]);
    t[1] = append_target_new(w[1], &b.job, &none, NULL);
    b.t = t[0];
    r = scrape_at(&b, "a 1\nb 2\n", 8, 2002, &err);
    assert_int_equal(append_target_series(t[0]), 2);
    b.t = own;
    for (int i = 0; i < 2; i++) {
        append_target_free(t[i]);
        append_worker_free(w[i]);
    }
    budget_free(o.budget);
    bench_free(&b);
}

static void sketches(void **state)
{
    static const struct {
        int users, paths;
        const char *want;
    } ROWS[] = {{1, 2, "path"}, {20, 3, "user"}, {5000, 3000, "user"}, {2000, 9000, "path"}};
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct sketch s = {0};
        int most = ROWS[i].users > ROWS[i].paths ? ROWS[i].users : ROWS[i].paths;
        assert_string_equal(sketch_top(&s), "");
        for (int k = 0; k < most; k++) {
            char user[16], path[16];
            snprintf(user, sizeof user, "%d", k % ROWS[i].users);
            snprintf(path, sizeof path, "/%d", k % ROWS[i].paths);
            struct label l[] = {{STR("path"), str_of(path)}, {STR("user"), str_of(user)}};
            sketch_add(&s, &(struct labels){.v = l, .n = 2, .cap = 2});
        }
        assert_string_equal(sketch_top(&s), ROWS[i].want);
    }
}

static void own_timestamps_with_tracking(void **state)
{
    static const struct step STEPS[] = {
        {"a 1 500\nb 2\n", "a{t=\"1\"} 1 @500\nb{t=\"1\"} 2 @1000\n", true, 2, 2, 2, 0, NULL},
        {"b 2\n", "b{t=\"1\"} 2 @2000\na{t=\"1\"} stale @2000\n", true, 1, 1, 0, 1, NULL},
        {"a 1 2500\n", "a{t=\"1\"} 1 @2500\nb{t=\"1\"} stale @3000\n", true, 1, 1, 1, 1, NULL},
        {NULL, "a{t=\"1\"} stale @4000\n", false, 0, 0, 0, 1, NULL},
        {"a 1 4500\n", "a{t=\"1\"} 1 @4500\n", true, 1, 1, 0, 0, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.track_timestamps_staleness = true;
    RUN(&b, STEPS);
    append_target_gone(b.t, 6000);
    buf_clear(&heard);
    append_flush(b.w);
    assert_string_equal(buf_c(&heard), "a{t=\"1\"} stale @6000\n");
    bench_free(&b);
}

static void normal_numbers(void **state)
{
    static const struct step STEPS[] = {
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"0.50\"} 1\nh_bucket{le=\"+Inf\"} 1\n"
         "h_bucket{le=\"1e6\"} 1\nh_bucket{le=\"x\"} 1\nh_bucket{quantile=\"1\"} 1\n",
         "h_bucket{le=\"1.0\"} 1 @1000\nh_bucket{le=\"0.5\"} 1 @1000\nh_bucket{le=\"+Inf\"} 1 @1000\n"
         "h_bucket{le=\"1e+06\"} 1 @1000\nh_bucket{le=\"x\"} 1 @1000\nh_bucket{quantile=\"1\"} 1 @1000\n",
         true, 6, 6, 6, 0, NULL},
        {"# TYPE s summary\ns{quantile=\"1\"} 1\ns{quantile=\"-0\"} 2\ns{le=\"1\"} 1\n# TYPE g "
         "gauge\ng{le=\"1\"} 1\n",
         "s{quantile=\"1.0\"} 1 @2000\ns{quantile=\"-0.0\"} 2 @2000\ns{le=\"1\"} 1 @2000\ng{le=\"1\"} 1 @2000\n"
         "h_bucket{le=\"1.0\"} stale @2000\nh_bucket{le=\"0.5\"} stale @2000\nh_bucket{le=\"+Inf\"} stale "
         "@2000\n"
         "h_bucket{le=\"1e+06\"} stale @2000\nh_bucket{le=\"x\"} stale @2000\nh_bucket{quantile=\"1\"} stale "
         "@2000\n",
         true, 4, 4, 4, 6, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{}", 0);
    b.job.normalize_le_quantile = true;
    RUN(&b, STEPS);
    bench_free(&b);
}

static void legacy_names(void **state)
{
    static const struct step STEPS[] = {
        {"a:b{_c=\"\xc3\xa4\"} 1\n", "a:b{_c=\"\xc3\xa4\"} 1 @1000\n", true, 1, 1, 1, 0, NULL},
        {"{\"a.b\"} 1\n", "a:b{_c=\"\xc3\xa4\"} stale @2000\n", false, 1, 0, 0, 1,
         "invalid metric name or label names: {\"a.b\"}"},
        {"a{\"b.c\"=\"1\"} 1\n", "", false, 1, 0, 0, 0, "invalid metric name or label names: a{\"b.c\"=\"1\"}"},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{}", 0);
    b.job.legacy_names = true;
    RUN(&b, STEPS);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limit_of_a_target),
        cmocka_unit_test(limit_reports),
        cmocka_unit_test(limits_over_targets),
        cmocka_unit_test(sketches),
        cmocka_unit_test(own_timestamps_with_tracking),
        cmocka_unit_test(normal_numbers),
        cmocka_unit_test(legacy_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
