/* SPDX-License-Identifier: Apache-2.0 */
/* test_append: scripts of bodies in the text format: what is known, new, gone, wrong, and how blocks are filled. */
#include "append_bed.h"

/* ---- scenarios ---- */

static void steady_and_changes(void **state)
{
    static const struct step STEPS[] = {
        {"a 1\nb{x=\"1\"} 2\nb{x=\"2\"} NaN\n",
         "a{t=\"1\"} 1 @1000\nb{t=\"1\",x=\"1\"} 2 @1000\nb{t=\"1\",x=\"2\"} NaN @1000\n", true, 3, 3, 3, 0,
         NULL},
        {"a 4\nb{x=\"1\"} 5\nb{x=\"2\"} 6",
         "a{t=\"1\"} 4 @2000\nb{t=\"1\",x=\"1\"} 5 @2000\nb{t=\"1\",x=\"2\"} 6 @2000\n", true, 3, 3, 0, 0,
         NULL},
        /* another order */
        {"b{x=\"2\"} 1\na 2\nb{x=\"1\"} 3\n",
         "b{t=\"1\",x=\"2\"} 1 @3000\na{t=\"1\"} 2 @3000\nb{t=\"1\",x=\"1\"} 3 @3000\n", true, 3, 3, 0, 0,
         NULL},
        /* the last vanishes */
        {"b{x=\"2\"} 1\na 2\n",
         "b{t=\"1\",x=\"2\"} 1 @4000\na{t=\"1\"} 2 @4000\nb{t=\"1\",x=\"1\"} stale @4000\n", true, 2, 2, 0, 1,
         NULL},
        /* the first vanishes, a new one comes, the vanished returns as new */
        {"a 2\nc 1\nb{x=\"1\"} 7\n",
         "a{t=\"1\"} 2 @5000\nc{t=\"1\"} 1 @5000\nb{t=\"1\",x=\"1\"} 7 @5000\nb{t=\"1\",x=\"2\"} stale "
         "@5000\n",
         true, 3, 3, 2, 1, NULL},
        /* only blanks and order of labels differ: a new text for the same series is no end of it */
        {"a  2\nc{} 1\nb{ x=\"1\"} 7\n",
         "a{t=\"1\"} 2 @6000\nc{t=\"1\"} 1 @6000\nb{t=\"1\",x=\"1\"} 7 @6000\n", true, 3, 3, 2, 0, NULL},
        /* nothing but a comment */
        {"# x\n", "a{t=\"1\"} stale @7000\nc{t=\"1\"} stale @7000\nb{t=\"1\",x=\"1\"} stale @7000\n", true, 0,
         0, 0, 3, NULL},
        {"a 1\n", "a{t=\"1\"} 1 @8000\n", true, 1, 1, 1, 0, NULL},
        /* an empty body is a failure that is up */
        {"", "a{t=\"1\"} stale @9000\n", true, 0, 0, 0, 1, NULL},
        {"a 1\n", "a{t=\"1\"} 1 @10000\n", true, 1, 1, 0, 0, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    RUN(&b, STEPS);
    bench_free(&b);
}

static void failures(void **state)
{
    static const struct step STEPS[] = {
        {NULL, "", false, 0, 0, 0, 0, NULL},
        {"a 1\nb 2\n", "a{t=\"1\"} 1 @2000\nb{t=\"1\"} 2 @2000\n", true, 2, 2, 2, 0, NULL},
        /* markers once */
        {NULL, "a{t=\"1\"} stale @3000\nb{t=\"1\"} stale @3000\n", false, 0, 0, 0, 2, NULL},
        {NULL, "", false, 0, 0, 0, 0, NULL},
        {"a 1\nb x\n", "", false, 1, 1, 0, 0,
         "line 2, column 3: strconv.ParseFloat: parsing \"x\": invalid syntax"},
        /* recovered: not new; what vanished in the meantime has its marker already */
        {"a 1\n", "a{t=\"1\"} 1 @6000\n", true, 1, 1, 0, 0, NULL},
        {"a 1\nc{x=\"1\",x=\"2\"} 1\nd 1\n", "a{t=\"1\"} stale @7000\n", false, 1, 1, 0, 1,
         "line 2, column 15: label name \"x\" is not unique"},
        {"a 1\nc 1\n", "a{t=\"1\"} 1 @8000\nc{t=\"1\"} 1 @8000\n", true, 2, 2, 1, 0, NULL},
        /* new series before the error are not forwarded */
        {"a 1\nnew 1\n9 1\n", "a{t=\"1\"} stale @9000\nc{t=\"1\"} stale @9000\n", false, 2, 2, 1, 2,
         "line 3, column 1: expected a valid start token, got \"9\""},
        {"a 1\nc 1\n", "a{t=\"1\"} 1 @10000\nc{t=\"1\"} 1 @10000\n", true, 2, 2, 0, 0, NULL},
        {"{\"\",x=\"y\"} 1\n", "a{t=\"1\"} stale @11000\nc{t=\"1\"} stale @11000\n", false, 1, 0, 0, 2,
         "missing metric name (__name__ label)"},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    RUN(&b, STEPS);
    bench_free(&b);
}

static void duplicates(void **state)
{
    static const struct step STEPS[] = {
        {"a 1\na 2\nb{x=\"1\",y=\"2\"} 3\nb{y=\"2\",x=\"1\"} 4\n",
         "a{t=\"1\"} 1 @1000\nb{t=\"1\",x=\"1\",y=\"2\"} 3 @1000\n", true, 4, 4, 2, 0, NULL},
        {"a 1\na 2\nb{x=\"1\",y=\"2\"} 3\nb{y=\"2\",x=\"1\"} 4\n",
         "a{t=\"1\"} 1 @2000\nb{t=\"1\",x=\"1\",y=\"2\"} 3 @2000\n", true, 4, 4, 0, 0, NULL},
        /* the repetition alone goes on as the series itself */
        {"b{y=\"2\",x=\"1\"} 4\na 1\na 2\n", "b{t=\"1\",x=\"1\",y=\"2\"} 4 @3000\na{t=\"1\"} 1 @3000\n", true,
         3, 3, 0, 0, NULL},
        {"a 5\na 6\na 7\n", "a{t=\"1\"} 5 @4000\nb{t=\"1\",x=\"1\",y=\"2\"} stale @4000\n", true, 3, 3, 0, 1,
         NULL},
        {"a 5\n", "a{t=\"1\"} 5 @5000\n", true, 1, 1, 0, 0, NULL},
        /* with own timestamps each is a sample */
        {"a 5 10\na 6 20\n", "a{t=\"1\"} 5 @10\na{t=\"1\"} 6 @20\n", true, 2, 2, 0, 0, NULL},
        {"a 5 30\na 6 40\n", "a{t=\"1\"} 5 @30\na{t=\"1\"} 6 @40\n", true, 2, 2, 0, 0, NULL},
        {"a 5\na 6\n", "a{t=\"1\"} 5 @8000\n", true, 2, 2, 0, 0, NULL},
    };
    struct bench b;
    struct append_stats stats;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    RUN(&b, STEPS);
    append_worker_stats(b.w, &stats);
    assert_int_equal(stats.duplicate_samples, 2 + 2 + 1 + 2 + 1);
    assert_int_equal(stats.series, 1);
    bench_free(&b);
}

static void timestamps(void **state)
{
    static const struct step STEPS[] = {
        {"a 1 5\nb 2\nc 3 7\n", "a{t=\"1\"} 1 @5\nb{t=\"1\"} 2 @1000\nc{t=\"1\"} 3 @7\n", true, 3, 3, 3, 0,
         NULL},
        {"a 1 6\nb 2\nc 3 8\n", "a{t=\"1\"} 1 @6\nb{t=\"1\"} 2 @2000\nc{t=\"1\"} 3 @8\n", true, 3, 3, 0, 0,
         NULL},
        /* c came with a timestamp: no marker; a changes to the scrape's time */
        {"a 1\nb 2\n", "a{t=\"1\"} 1 @3000\nb{t=\"1\"} 2 @3000\n", true, 2, 2, 0, 0, NULL},
        {"b 2 9\n", "b{t=\"1\"} 2 @9\na{t=\"1\"} stale @4000\n", true, 1, 1, 0, 1, NULL},
        {NULL, "", false, 0, 0, 0, 0, NULL},
        {"b 2\n", "b{t=\"1\"} 2 @6000\n", true, 1, 1, 0, 0, NULL},
        {NULL, "b{t=\"1\"} stale @7000\n", false, 0, 0, 0, 1, NULL},
    };
    static const struct step IGNORED[] = {
        {"a 1 5\n", "a{t=\"1\"} 1 @8000\n", true, 1, 1, 1, 0, NULL},
        {"a 1 5\n", "a{t=\"1\"} 1 @9000\n", true, 1, 1, 0, 0, NULL},
        {NULL, "a{t=\"1\"} stale @10000\n", false, 0, 0, 0, 1, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    RUN(&b, STEPS);
    b.job.honor_timestamps = false;
    RUN(&b, IGNORED);
    bench_free(&b);
}

static void future(void **state)
{
    struct bench b;
    struct append_stats stats;
    char body[128], want[128];
    long long now = clock_wall_ms();
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    snprintf(body, sizeof body, "a 1 %lld\nb 2 %lld\n", now + 11 * 60 * 1000, now + 9 * 60 * 1000);
    snprintf(want, sizeof want, "b{t=\"1\"} 2 @%lld\n", now + 9 * 60 * 1000);
    run_step(&b, &(struct step){body, want, true, 2, 2, 1, 0, NULL}, 1);
    run_step(&b, &(struct step){body, want, true, 2, 2, 0, 0, NULL}, 2);
    append_worker_stats(b.w, &stats);
    assert_int_equal(stats.out_of_bounds_samples, 2);
    bench_free(&b);
}

static void honor(void **state)
{
    static const struct step OVERRIDE[] = {
        {"a{job=\"x\"} 1\n", "a{exported_job=\"x\",instance=\"i\",job=\"j\"} 1 @1000\n", true, 1, 1, 1, 0,
         NULL},
        {"a{job=\"x\",exported_job=\"y\"} 1\n",
         "a{exported_exported_job=\"x\",exported_job=\"y\",instance=\"i\",job=\"j\"} 1 @2000\n"
         "a{exported_job=\"x\",instance=\"i\",job=\"j\"} stale @2000\n",
         true, 1, 1, 1, 1, NULL},
        {"a{job=\"\",instance=\"\"} 1\n",
         "a{instance=\"i\",job=\"j\"} 1 @3000\n"
         "a{exported_exported_job=\"x\",exported_job=\"y\",instance=\"i\",job=\"j\"} stale @3000\n",
         true, 1, 1, 1, 1, NULL},
        {"a{instance=\"k\",job=\"l\"} 1\n",
         "a{exported_instance=\"k\",exported_job=\"l\",instance=\"i\",job=\"j\"} 1 @4000\n"
         "a{instance=\"i\",job=\"j\"} stale @4000\n",
         true, 1, 1, 1, 1, NULL},
    };
    static const struct step HONOR[] = {
        {"a{job=\"x\"} 1\nb 2\nc{job=\"\"} 3\n",
         "a{instance=\"i\",job=\"x\"} 1 @1000\nb{instance=\"i\",job=\"j\"} 2 @1000\nc{instance=\"i\"} 3 "
         "@1000\n",
         true, 3, 3, 3, 0, NULL},
    };
    static const struct step CHAIN[] = {
        {"a{x=\"1\",exported_x=\"2\"} 1\n",
         "a{exported_exported_exported_x=\"2\",exported_exported_x=\"1\",exported_x=\"t2\",x=\"t1\"} 1 "
         "@1000\n",
         true, 1, 1, 1, 0, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{job=\"j\",instance=\"i\"}", 0);
    RUN(&b, OVERRIDE);
    bench_free(&b);
    bench_init(&b, "{job=\"j\",instance=\"i\"}", 0);
    b.job.honor_labels = true;
    RUN(&b, HONOR);
    bench_free(&b);
    bench_init(&b, "{x=\"t1\",exported_x=\"t2\"}", 0);
    RUN(&b, CHAIN);
    bench_free(&b);
}

static void relabeling(void **state)
{
    static const struct str NAME = {"__name__", 8};
    static const struct relabel_source RULES[] = {
        {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
         .action = {"drop", 4},
         .source_labels = &NAME,
         .source_labels_n = 1,
         .separator = {";", 1},
         .regex = {"d.*", 3},
         .replacement = {"$1", 2}},
        {.given = RELABEL_ACTION | RELABEL_REGEX,
         .action = {"labeldrop", 9},
         .separator = {";", 1},
         .regex = {"z", 1},
         .replacement = {"$1", 2}},
        {.given = RELABEL_SOURCE_LABELS | RELABEL_REGEX | RELABEL_TARGET_LABEL,
         .action = {"replace", 7},
         .source_labels = &NAME,
         .source_labels_n = 1,
         .separator = {";", 1},
         .regex = {"gone", 4},
         .target_label = {"__name__", 8},
         .replacement = {"", 0}},
    };
    static const struct step STEPS[] = {
        {"a 1\nd1 2\nb{z=\"1\"} 3\nd2 4\nb{z=\"2\"} 5\n", "a{t=\"1\"} 1 @1000\nb{t=\"1\"} 3 @1000\n", true, 5,
         3, 2, 0, NULL},
        {"a 1\nd1 2\nb{z=\"1\"} 3\nd2 4\nb{z=\"2\"} 5\n", "a{t=\"1\"} 1 @2000\nb{t=\"1\"} 3 @2000\n", true, 5,
         3, 0, 0, NULL},
        {"d2 4\na 1\nd2 5\nb{z=\"2\"} 5\n", "a{t=\"1\"} 1 @3000\nb{t=\"1\"} 5 @3000\n", true, 4, 2, 0, 0,
         NULL},
        {"d2 4\n", "a{t=\"1\"} stale @4000\nb{t=\"1\"} stale @4000\n", true, 1, 0, 0, 2, NULL},
        {"d2 4\ngone 1\n", "", false, 2, 0, 0, 0, "missing metric name (__name__ label)"},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    set_rules(&b, RULES, 3);
    RUN(&b, STEPS);
    bench_free(&b);
}

static void bounds(void **state)
{
    static const struct step STEPS[] = {
        {"# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"0.5\"} 1\nh_bucket{le=\"+Inf\"} "
         "2\nh_bucket{le=\"x\"} 1\n"
         "h_bucket{le=\"1000000\"} 1\nh_bucket{le=\"123456\"} 1\nh_bucket{le=\"0.00001\"} "
         "1\nh_bucket{le=\"2.50\"} 1\n"
         "# TYPE s summary\ns{quantile=\"0\"} 1\ns{le=\"1\"} 1\n# TYPE g gauge\ng{le=\"1\"} 1\n",
         "h_bucket{le=\"1\",t=\"1\"} 1 @1000\nh_bucket{le=\"0.5\",t=\"1\"} 1 "
         "@1000\nh_bucket{le=\"+Inf\",t=\"1\"} 2 @1000\n"
         "h_bucket{le=\"x\",t=\"1\"} 1 @1000\nh_bucket{le=\"1000000\",t=\"1\"} 1 @1000\n"
         "h_bucket{le=\"123456\",t=\"1\"} 1 @1000\nh_bucket{le=\"0.00001\",t=\"1\"} 1 @1000\n"
         "h_bucket{le=\"2.50\",t=\"1\"} 1 @1000\ns{quantile=\"0\",t=\"1\"} 1 @1000\ns{le=\"1\",t=\"1\"} 1 "
         "@1000\n"
         "g{le=\"1\",t=\"1\"} 1 @1000\n",
         true, 11, 11, 11, 0, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    RUN(&b, STEPS);
    bench_free(&b);
}

static void limits(void **state)
{
    static const struct step SAMPLES[] = {
        {"a 1\nb 2\nc 3\n", "", false, 3, 3, 2, 0, "sample limit exceeded"},
        {"a 1\nb 2\n", "a{t=\"1\"} 1 @2000\nb{t=\"1\"} 2 @2000\n", true, 2, 2, 2, 0, NULL},
        {"a 1\nb 2\na 3\n", "a{t=\"1\"} 1 @3000\nb{t=\"1\"} 2 @3000\n", true, 3, 3, 0, 0, NULL},
        {"a 1\nb 2\nc 3\nd 4\na 5\n", "a{t=\"1\"} stale @4000\nb{t=\"1\"} stale @4000\n", false, 5, 5, 0, 2,
         "sample limit exceeded"},
        {"a 1\nb 2\nc 3\nd x\n", "", false, 3, 3, 0, 0,
         "line 4, column 3: strconv.ParseFloat: parsing \"x\": invalid syntax"},
        {"a 1\nb 2\n", "a{t=\"1\"} 1 @6000\nb{t=\"1\"} 2 @6000\n", true, 2, 2, 0, 0, NULL},
    };
    static const struct step COUNT[] = {
        {"a{x=\"1\"} 1\na{x=\"1\",y=\"2\"} 1\n", "", false, 2, 1, 1, 0,
         "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"},
        {"a{x=\"1\",y=\"\"} 1\n", "a{t=\"1\",x=\"1\"} 1 @2000\n", true, 1, 1, 1, 0, NULL},
    };
    static const struct step NAMES[] = {
        {"a{x123456789=\"1\"} 1\n", "", false, 1, 0, 0, 0,
         "label_name_length_limit exceeded (metric: a, label name: x123456789, length: 10, limit: 9)"},
        {"a{x=\"12\\n4\\\"\"} 1\n", "", false, 1, 0, 0, 0,
         "label_value_length_limit exceeded (metric: a, label name: x, value: \"12\\n4\\\"\", length: 5, "
         "limit: 4)"},
        {"a{x=\"\xc3\xa9\xc3\xa9\xc3\xa9\"} 1\n", "", false, 1, 0, 0, 0,
         "label_value_length_limit exceeded (metric: a, label name: x, value: \"\xc3\xa9\xc3\xa9\xc3\xa9\", "
         "length: 6, "
         "limit: 4)"},
        {"a{x=\"123456789.123456789.123456789.123456789.123456789.1\"} 1\n", "", false, 1, 0, 0, 0,
         "label_value_length_limit exceeded (metric: a, label name: x, value: "
         "\"123456789.123456789.123456789.123456789.123456789.\", length: 51, limit: 4)"},
        {"a{\"\xff\"=\"1\"} 1\n", "", false, 1, 0, 0, 0,
         "invalid metric name or label names: a{t=\"1\",\"\xff\"=\"1\"}"},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.sample_limit = 2;
    RUN(&b, SAMPLES);
    bench_free(&b);
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.label_limit = 3;
    RUN(&b, COUNT);
    bench_free(&b);
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.label_name_length_limit = 9;
    b.job.label_value_length_limit = 4;
    RUN(&b, NAMES);
    bench_free(&b);
}

static void metadata(void **state)
{
    static const char BODY[] =
        "# HELP a Help of a.\n# TYPE a counter\na_total 1\na 2\nb 3\n# HELP c C.\nc 4\nlone 1\n"
        "# TYPE d gauge\n# TYPE e summary\ne_sum 1\n";
    static const struct step FIRST = {
        BODY,
        "a_total{t=\"1\"} 1 @1000 [1 Help of a.]\na{t=\"1\"} 2 @1000 [1 Help of a.]\nb{t=\"1\"} 3 @1000\n"
        "c{t=\"1\"} 4 @1000 [0 C.]\nlone{t=\"1\"} 1 @1000\ne_sum{t=\"1\"} 1 @1000 [5 ]\n",
        true, 6, 6, 6, 0, NULL};
    static const char PLAIN[] = "a_total{t=\"1\"} 1 @%d\na{t=\"1\"} 2 @%d\nb{t=\"1\"} 3 @%d\n"
                                "c{t=\"1\"} 4 @%d\nlone{t=\"1\"} 1 @%d\ne_sum{t=\"1\"} 1 @%d\n";
    struct bench b;
    char want[512];
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    show_meta = true;
    run_step(&b, &FIRST, 1);
    for (int i = 2; i < 60; i++) {
        int ts = i * 1000;
        snprintf(want, sizeof want, PLAIN, ts, ts, ts, ts, ts, ts);
        run_step(&b, &(struct step){BODY, want, true, 6, 6, 0, 0, NULL}, i);
    }
    b.ts = 60000;
    run_step(&b,
             &(struct step){BODY,
                            "a_total{t=\"1\"} 1 @61000 [1 Help of a.]\na{t=\"1\"} 2 @61000 [1 Help of a.]\n"
                            "b{t=\"1\"} 3 @61000\nc{t=\"1\"} 4 @61000 [0 C.]\nlone{t=\"1\"} 1 @61000\n"
                            "e_sum{t=\"1\"} 1 @61000 [5 ]\n",
                            true, 6, 6, 0, 0, NULL},
             61);
    /* a changed type and help are written at once, series stay known */
    static const struct step CHANGED[] = {
        {"# HELP a Other.\n# TYPE a gauge\na 2\n# TYPE b gauge\nb 3\n",
         "a{t=\"1\"} 2 @62000 [2 Other.]\nb{t=\"1\"} 3 @62000 [2 ]\na_total{t=\"1\"} stale "
         "@62000\nc{t=\"1\"} stale @62000\n"
         "lone{t=\"1\"} stale @62000\ne_sum{t=\"1\"} stale @62000\n",
         true, 2, 2, 0, 4, NULL},
        {"# HELP a Other.\n# TYPE a gauge\na 2\n# TYPE b gauge\nb 3\n",
         "a{t=\"1\"} 2 @63000\nb{t=\"1\"} 3 @63000\n", true, 2, 2, 0, 0, NULL},
        {"# HELP a Other.\n# TYPE a gauge\na 2\nb 3\n",
         "a{t=\"1\"} 2 @64000 [2 Other.]\nb{t=\"1\"} 3 @64000\n", true, 2, 2, 0, 0, NULL},
        {"# HELP a Other.\n# TYPE a gauge\na 2\nb 3\n", "a{t=\"1\"} 2 @65000\nb{t=\"1\"} 3 @65000\n", true, 2,
         2, 0, 0, NULL},
    };
    RUN(&b, CHANGED);
    bench_free(&b);
}

static void gone(void **state)
{
    static const struct step STEPS[] = {
        {"a 1\nb 2 3\n", "a{t=\"1\"} 1 @1000\nb{t=\"1\"} 2 @3\n", true, 2, 2, 2, 0, NULL},
    };
    struct bench b;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    append_target_gone(b.t, 1); /* never scraped: nothing to end */
    append_flush(b.w);
    assert_int_equal(blocks_n, 0);
    RUN(&b, STEPS);
    assert_int_equal(append_target_series(b.t), 2);
    buf_clear(&heard);
    reports_n = reports_stale = 0;
    append_target_gone(b.t, 5000);
    append_flush(b.w);
    assert_string_equal(buf_c(&heard), "a{t=\"1\"} stale @5000\n");
    assert_int_equal(reports_stale, 5);
    bench_free(&b);
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.no_stale_markers = true;
    RUN(&b, STEPS);
    run_step(&b, &(struct step){NULL, "", false, 0, 0, 0, 0, NULL}, 2);
    blocks_n = 0;
    append_target_gone(b.t, 5000);
    append_flush(b.w);
    assert_int_equal(blocks_n, 0);
    bench_free(&b);
}

static void extra_reports(void **state)
{
    struct bench b;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    b.job.extra_scrape_metrics = true;
    b.job.sample_limit = 7;
    struct append_scrape *s = append_begin(b.t, 1, EXPOSITION_TEXT);
    struct append_result r;
    append_end(s, &(struct append_outcome){.ok = false, .body_bytes = -1, .timeout_s = 2.5}, &r, &err);
    assert_true(append_pending_since(b.w) >= 0);
    append_flush(b.w);
    assert_true(append_pending_since(b.w) == -1);
    assert_string_equal(buf_c(&heard),
                        "scrape_timeout_seconds{t=\"1\"} 2.5 @1\nscrape_sample_limit{t=\"1\"} 7 @1\n"
                        "scrape_body_size_bytes{t=\"1\"} -1 @1\n");
    bench_free(&b);
}

/* ---- where blocks end ---- */

static void families_stay_together(void **state)
{
    struct bench b;
    struct buf body;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{t=\"1\"}", 100);
    buf_init(&body, 1 << 20);
    for (int f = 0; f < 10; f++) {
        buf_addf(&body, "# TYPE h%d histogram\n", f);
        for (int i = 0; i < 30; i++)
            buf_addf(&body, "h%d_bucket{le=\"%d\"} 1\n", f, i);
    }
    scrape_at(&b, body.p, body.n, 1000, &err);
    append_flush(b.w);
    assert_int_equal(blocks_n, 4);
    for (int i = 0; i < 3; i++)
        assert_int_equal(block_sizes[i], 90);
    assert_int_equal(block_sizes[3], 35);
    /* small scrapes are not split: 40 + 5 reports fit twice */
    buf_clear(&body);
    for (int i = 0; i < 40; i++)
        buf_addf(&body, "g%d 1\n", i);
    blocks_n = 0;
    b.job.no_stale_markers = true;
    for (int i = 0; i < 4; i++)
        scrape_at(&b, body.p, body.n, 2000 + i, &err);
    append_flush(b.w);
    assert_int_equal(blocks_n, 2);
    assert_int_equal(block_sizes[0], 90);
    /* a family larger than a block is cut when it is full */
    buf_clear(&body);
    for (int i = 0; i < 250; i++)
        buf_addf(&body, "g{i=\"%d\"} 1\n", i);
    blocks_n = 0;
    scrape_at(&b, body.p, body.n, 3000, &err);
    append_flush(b.w);
    assert_int_equal(blocks_n, 3);
    assert_int_equal(block_sizes[0], 100);
    buf_free(&body);
    bench_free(&b);
}

/* ---- memory ---- */

/* Every round replaces all values: what is remembered must not grow with the rounds. */
static void churn(void **state)
{
    struct bench b;
    struct buf body;
    struct append_stats early = {0}, late;
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    buf_init(&body, 1 << 20);
    for (int round = 0; round < 1000; round++) {
        struct err err = {0};
        buf_clear(&body);
        for (int i = 0; i < 300; i++)
            buf_addf(&body, "# HELP m%d Help %d of %d.\nm%d{pod=\"pod-%d-%d\",fix=\"f%d\"} %d\n", i % 7,
                     round, i, i % 7, round, i % 100 ? i : 0, i, round);
        struct append_result r = scrape_at(&b, body.p, body.n, 1000 + round, &err);
        assert_true(r.up);
        assert_int_equal(r.series_added, 300);
        assert_int_equal(r.samples_stale, round ? 300 : 0);
        append_flush(b.w);
        buf_clear(&heard);
        if (round == 100)
            append_worker_stats(b.w, &early);
    }
    append_worker_stats(b.w, &late);
    assert_int_equal(late.series, 300);
    assert_true(late.symbols < 6000);
    assert_true(late.symbol_bytes <= early.symbol_bytes * 3 / 2);
    struct err err = {0};
    struct append_result r = scrape_at(&b, NULL, 0, 5000, &err);
    assert_int_equal(r.samples_stale, 300);
    buf_free(&body);
    bench_free(&b);
}

static void discard(void *ctx, struct block *b)
{
    *(uint64_t *)ctx += b->samples;
    block_unref(b);
}

/* One series of a kind of fleet that is not kind: eight labels, of which one is different for each target and
   one for each series of a target. */
static void series_memory(void **state)
{
    enum { TARGETS = 1000, SERIES = 1000 };
    static struct append_target *targets[TARGETS];
    uint64_t samples = 0;
    struct append_worker_options o = {.emit = discard, .ctx = &samples};
    struct append_worker *w = append_worker_new(&o);
    struct config_job job = {.job_name = job_name, .honor_timestamps = true};
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct buf body;
    struct append_stats stats;
    (void)state;
    job.metric_relabel = relabel_compile(NULL, 0, &err, &bad, &field);
    buf_init(&body, 1 << 22);
    for (int i = 0; i < SERIES; i++) {
        if (i % 10 == 0)
            buf_addf(&body, "# HELP metric_%d_total Some help.\n# TYPE metric_%d_total counter\n", i / 10,
                     i / 10);
        buf_addf(&body,
                 "metric_%d_total{method=\"GET\",code=\"%d\",handler=\"/h/%d\",zone=\"eu\",id=\"%d\"} %d\n",
                 i / 10, 200 + i % 5, i % 20, i, i);
    }
    for (int t = 0; t < TARGETS; t++) {
        struct labels l;
        char instance[32];
        struct append_result r;
        snprintf(instance, sizeof instance, "10.1.%d.%d:9100", t / 250, t % 250);
        labels_init(&l, NULL);
        labels_push(&l, STR("job"), STR("fleet"));
        labels_push(&l, STR("instance"), str_of(instance));
        targets[t] = append_target_new(w, &job, &l, NULL);
        labels_free(&l);
        for (int round = 0; round < 2; round++) {
            struct append_scrape *s = append_begin(targets[t], 1000 + round, EXPOSITION_TEXT);
            assert_true(append_feed(s, body.p, body.n, &err));
            append_end(s, &(struct append_outcome){.ok = true}, &r, &err);
            assert_int_equal(r.series_added, round ? 0 : SERIES);
        }
    }
    append_worker_stats(w, &stats);
    assert_int_equal(stats.series, TARGETS * SERIES);
    double each = (double)(stats.series_bytes + stats.symbol_bytes) / (double)stats.series;
    print_message("memory: %.1f bytes a series\n", each);
    assert_true(each <= 48);
    for (int t = 0; t < TARGETS; t++)
        append_target_free(targets[t]);
    append_worker_free(w);
    assert_int_equal(samples, 2 * TARGETS * (SERIES + 5));
    relabel_free(job.metric_relabel);
    buf_free(&body);
}

/* Two targets in the middle of a scrape while a third one's churn collects symbols. */
static void interleaved(void **state)
{
    struct bench b;
    struct err err = {0};
    struct labels l;
    struct append_target *t[2];
    struct append_scrape *s[2];
    struct append_result r;
    char line[64];
    (void)state;
    bench_init(&b, "{t=\"1\"}", 0);
    labels_init(&l, NULL);
    for (int i = 0; i < 2; i++) {
        t[i] = append_target_new(b.w, &b.job, &l, NULL);
        s[i] = append_begin(t[i], 5 + i, EXPOSITION_TEXT);
    }
    assert_true(append_feed(s[0], "# HELP x X\nx{k=\"only here\"} 1\ny{k=\"al", 37, &err));
    for (int round = 0; round < 3000; round++) {
        snprintf(line, sizeof line, "m{v=\"%d\",w=\"w%d\"} 1\n", round, round);
        scrape_at(&b, line, strlen(line), round, &err);
    }
    assert_true(append_feed(s[0], "so\"} 2\n", 7, &err));
    append_flush(b.w);
    buf_clear(&heard);
    show_meta = true;
    append_end(s[0], &(struct append_outcome){.ok = true}, &r, &err);
    append_cancel(s[1]);
    append_flush(b.w);
    assert_string_equal(buf_c(&heard), "x{k=\"only here\"} 1 @5 [0 X]\ny{k=\"also\"} 2 @5\n");
    append_target_free(t[0]);
    append_target_free(t[1]);
    labels_free(&l);
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steady_and_changes),
        cmocka_unit_test(failures),
        cmocka_unit_test(duplicates),
        cmocka_unit_test(timestamps),
        cmocka_unit_test(future),
        cmocka_unit_test(honor),
        cmocka_unit_test(relabeling),
        cmocka_unit_test(bounds),
        cmocka_unit_test(limits),
        cmocka_unit_test(metadata),
        cmocka_unit_test(gone),
        cmocka_unit_test(extra_reports),
        cmocka_unit_test(families_stay_together),
        cmocka_unit_test(churn),
        cmocka_unit_test(series_memory),
        cmocka_unit_test(interleaved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
