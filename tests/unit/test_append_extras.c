/* SPDX-License-Identifier: Apache-2.0 */
/* test_append_extras: what comes with samples (histograms, exemplars, start times, units) stands in the blocks, and a
   series that was a histogram ends as one. */
#include "append_bed.h"
#include "protobuf_body.h"

enum shape { FLOAT, NATIVE, BOTH_GONE };

/* One family "h" of a gauge or a native histogram without labels, and a gauge "g". */
static void write_shape(struct pb *p, enum shape shape, int64_t stamp_ms)
{
    if (shape != BOTH_GONE) {
        pb_family(p, "h", shape == NATIVE ? HISTOGRAM : GAUGE);
        pb_open(p, 4);
        if (shape == NATIVE) {
            pb_open(p, 7);
            pb_uint(p, 1, 3);     /* sample_count */
            pb_double(p, 2, 1.5); /* sample_sum */
            pb_sint(p, 5, 2);     /* schema */
            pb_double(p, 6, 0.001);
            pb_uint(p, 7, 1); /* zero_count */
            pb_span(p, 12, 0, 1);
            pb_sint(p, 13, 2);
            pb_close(p);
        } else {
            pb_open(p, 2);
            pb_double(p, 1, 7);
            pb_close(p);
        }
        if (stamp_ms)
            pb_uint(p, 6, (uint64_t)stamp_ms);
        pb_close(p);
        pb_close(p);
    }
    pb_family(p, "g", GAUGE);
    pb_open(p, 4);
    pb_open(p, 2);
    pb_double(p, 1, 1);
    pb_close(p);
    pb_close(p);
    pb_close(p);
}

#define NATIVE_HEX                                                                                             \
    "0803"                                                                                                     \
    "19000000000000f83f"                                                                                       \
    "2004"                                                                                                     \
    "29fca9f1d24d62503f"                                                                                       \
    "3001"                                                                                                     \
    "5a021001"                                                                                                 \
    "620104"

static void a_histogram_ends_as_one(void **state)
{
    static const struct {
        enum shape shape;
        int64_t stamp_ms;
        const char *want;
    } ROWS[] = {
        {NATIVE, 0, "h histogram HEX @1000\ng 1 @1000\n"},
        {NATIVE, 0, "h histogram HEX @2000\ng 1 @2000\n"},
        {BOTH_GONE, 0, "g 1 @3000\nh stale histogram @3000\n"},
        {NATIVE, 0, "h histogram HEX @4000\ng 1 @4000\n"},
        {FLOAT, 0, "h 7 @5000\ng 1 @5000\n"}, /* the same series: it goes on */
        {BOTH_GONE, 0, "g 1 @6000\nh stale @6000\n"},
        {NATIVE, 6500, "h histogram HEX @6500\ng 1 @7000\n"},
        {BOTH_GONE, 0, "g 1 @8000\n"}, /* it brought its own time */
    };
    struct bench b;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{}", 0);
    b.job.scrape_native_histograms = true;
    format = EXPOSITION_PROTOBUF;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct pb p = {.depth = 0};
        struct buf want;
        buf_init(&p.b, 4096);
        buf_init(&want, 4096);
        write_shape(&p, ROWS[i].shape, ROWS[i].stamp_ms);
        const char *hex = strstr(ROWS[i].want, "HEX");
        buf_addf(&want, "%.*s%s%s", hex ? (int)(hex - ROWS[i].want) : 0, ROWS[i].want, hex ? NATIVE_HEX : "",
                 hex ? hex + 3 : ROWS[i].want);
        buf_clear(&heard);
        struct append_result r = scrape_at(&b, p.b.p, p.b.n, 1000 * ((int64_t)i + 1), &err);
        append_flush(b.w);
        assert_string_equal(err.msg, "");
        assert_true(r.up);
        assert_string_equal(buf_c(&heard), buf_c(&want));
        buf_free(&p.b);
        buf_free(&want);
    }
    bench_free(&b);
}

static void a_failed_scrape_ends_histograms(void **state)
{
    struct bench b;
    struct err err = {0};
    struct pb p = {.depth = 0};
    (void)state;
    bench_init(&b, "{}", 0);
    b.job.scrape_native_histograms = true;
    format = EXPOSITION_PROTOBUF;
    buf_init(&p.b, 4096);
    write_shape(&p, NATIVE, 0);
    scrape_at(&b, p.b.p, p.b.n, 1, &err);
    append_flush(b.w);
    buf_clear(&heard);
    scrape_at(&b, NULL, 0, 2, &err);
    append_flush(b.w);
    assert_string_equal(buf_c(&heard), "h stale histogram @2\ng stale @2\n");
    buf_free(&p.b);
    bench_free(&b);
}

/* A counter with an exemplar and a start, an exemplar of more than 128 characters, which is left out, and a start that
   lies ahead. */
static void write_counters(struct pb *p, const char *id)
{
    static const char LONG[] = "0123456789012345678901234567890123456789012345678901234567890123456789"
                               "012345678901234567890123456789012345678901234567890123456";
    static const struct {
        const char *exemplar;
        uint64_t start_s;
    } METRICS[] = {{"", 0}, {"id", 1}, {LONG, 0}, {NULL, 1}, {NULL, (uint64_t)1 << 31}, {NULL, 0}};
    pb_family(p, "c_total", COUNTER);
    for (size_t i = 0; i < sizeof METRICS / sizeof *METRICS; i++) {
        char n[2] = {(char)('0' + i), '\0'};
        const char *exemplar = METRICS[i].exemplar;
        pb_open(p, 4);
        pb_label(p, "n", n);
        pb_open(p, 3);
        pb_double(p, 1, (double)i);
        if (exemplar)
            pb_exemplar(p, 2, strcmp(exemplar, "id") == 0 ? id : exemplar, 0.5, i == 1 ? 3 : 0);
        if (METRICS[i].start_s)
            pb_time(p, 3, METRICS[i].start_s, 0);
        pb_close(p);
        pb_close(p);
    }
    pb_close(p);
}

static void exemplars_and_starts(void **state)
{
    static const char *const IDS[] = {"abc", "def", "def"};
    struct bench b;
    struct err err = {0};
    struct append_stats stats;
    (void)state;
    bench_init(&b, "{}", 0);
    format = EXPOSITION_PROTOBUF;
    for (int i = 0; i < 3; i++) {
        struct pb p = {.depth = 0};
        char want[512];
        long long ts = 20000 + i;
        buf_init(&p.b, 4096);
        write_counters(&p, IDS[i]);
        buf_clear(&heard);
        scrape_at(&b, p.b.p, p.b.n, ts, &err);
        append_flush(b.w);
        assert_string_equal(err.msg, "");
        snprintf(want, sizeof want,
                 "c_total{n=\"0\"} 0 @%lld # {id=} 0.5 @%lld\n"
                 "c_total{n=\"1\"} 1 @%lld since 1000 # {id=%s} 0.5 @3146\n"
                 "c_total{n=\"2\"} 2 @%lld\nc_total{n=\"3\"} 3 @%lld since 1000\n"
                 "c_total{n=\"4\"} 4 @%lld\nc_total{n=\"5\"} 5 @%lld\n",
                 ts, ts, ts, IDS[i], ts, ts, ts, ts);
        assert_string_equal(buf_c(&heard), want);
        buf_free(&p.b);
    }
    append_worker_stats(b.w, &stats);
    assert_int_equal(stats.exemplars, 6);
    bench_free(&b);
}

static void created_lines(void **state)
{
    static const char BODY[] =
        "# TYPE c_bytes counter\n# UNIT c_bytes bytes\n"
        "c_bytes_total 1\nc_bytes_created 2.5\n"
        "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"+Inf\"} 2 # {id=\"x\"} 3 4.5\n"
        "h_count 2\nh_sum 3\nh_created 6\n# TYPE g gauge\ng 1\n";
    static const char WANT[] =
        "c_bytes_total 1 @9000 since 2500\nc_bytes_created 2.5 @9000\n"
        "h_bucket{le=\"1\"} 1 @9000 since 6000\n"
        "h_bucket{le=\"+Inf\"} 2 @9000 since 6000 # {id=x} 3 @4500\n"
        "h_count 2 @9000 since 6000\nh_sum 3 @9000 since 6000\nh_created 6 @9000\ng 1 @9000\n";
    static const char *const MORE[] = {"", "", "z 1\n"}; /* all new, all known, something new */
    struct bench b;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{}", 0);
    format = EXPOSITION_OPENMETRICS;
    for (int i = 0; i < 3; i++) {
        char body[1024], want[1024];
        snprintf(body, sizeof body, "%s%s# EOF\n", BODY, MORE[i]);
        snprintf(want, sizeof want, "%s%s", WANT, MORE[i][0] ? "z 1 @9000\n" : "");
        buf_clear(&heard);
        scrape_at(&b, body, strlen(body), 9000, &err);
        append_flush(b.w);
        assert_string_equal(err.msg, "");
        assert_string_equal(buf_c(&heard), want);
    }
    bench_free(&b);
}

/* Many drop the _created series by a rule: what they say stays with the samples before them. */
static void created_lines_dropped(void **state)
{
    static const struct str NAME = {"__name__", 8};
    static const struct relabel_source RULES[] = {
        {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
         .action = {"drop", 4},
         .source_labels = &NAME,
         .source_labels_n = 1,
         .separator = {";", 1},
         .regex = {".*_created", 10},
         .replacement = {"$1", 2}},
    };
    static const char BODY[] = "# TYPE c counter\nc_total 1\nc_created 2.5\nc_total{a=\"b\"} 1\n"
                               "c_created{a=\"b\"} 3\n# EOF\n";
    struct bench b;
    struct err err = {0};
    (void)state;
    bench_init(&b, "{}", 0);
    set_rules(&b, RULES, 1);
    format = EXPOSITION_OPENMETRICS;
    for (int i = 0; i < 2; i++) {
        buf_clear(&heard);
        scrape_at(&b, BODY, sizeof BODY - 1, 9000, &err);
        append_flush(b.w);
        assert_string_equal(buf_c(&heard), "c_total 1 @9000 since 2500\nc_total{a=\"b\"} 1 @9000 since 3000\n");
    }
    bench_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_histogram_ends_as_one), cmocka_unit_test(a_failed_scrape_ends_histograms),
        cmocka_unit_test(exemplars_and_starts),    cmocka_unit_test(created_lines),
        cmocka_unit_test(created_lines_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
