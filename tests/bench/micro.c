/* SPDX-License-Identifier: Apache-2.0 */
/* micro: nanoseconds per sample of each step between the body of a scrape and the block. One thread, hot
   caches for the single steps, a working set larger than L2 for the whole. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "exposition.h"
#include "scrape/append.h"

#define SERIES 1000
#define FAMILIES 67 /* which have that many series */
#define TARGETS 200
#define ROUNDS 20

static uint64_t emitted_bytes, emitted_samples;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void result(const char *what, double ns, double samples)
{
    printf("%-44s %8.1f ns/sample\n", what, ns / samples);
}

/* ---- a body: counters, histograms, gauges with values like those of real exporters ---- */

static int body_line(struct buf *out, int n, int family, int kind, int i, int round)
{
    static const char *const PATHS[] = {"/", "/api/v1/query", "/api/v1/users/{id}", "/healthz",
                                        "/static/app.js"};
    int path = i % 5, code = 200 + i % 3 * 100;
    if (kind == 0)
        buf_addf(out, "app_%d_requests_total{method=\"GET\",path=\"%s\",code=\"%d\"} %d\n", family,
                 PATHS[path], code, n * 37 + round);
    else if (kind == 1)
        buf_addf(out, "app_%d_duration_seconds_bucket{path=\"%s\",le=\"%d.5\"} %d\n", family, PATHS[path],
                 i / 5, n * 3 + round);
    else
        buf_addf(out, "app_%d_queue_depth_bytes{device=\"sd%c\",queue=\"q%d\"} %.*g\n", family, 'a' + i % 4,
                 i, i % 3 ? 6 : 16, (double)(n + round) * 1234.567891234567);
    return n + 1;
}

/* The body with its families from number `shift` on first, as an exporter with unordered maps would write
   it. */
static void make_body_from(struct buf *out, int round, int shift)
{
    static const char *const TYPES[] = {"counter", "histogram", "gauge"};
    static const char *const SUFFIX[] = {"requests_total", "duration_seconds", "queue_depth_bytes"};
    buf_clear(out);
    for (int n = 0, at = 0; n < SERIES; at++) {
        int family = (at + shift) % FAMILIES, kind = family % 3, count = 5 + kind * 10;
        buf_addf(out, "# HELP app_%d_%s What family %d of the application counts, in some words.\n", family,
                 SUFFIX[kind], family);
        buf_addf(out, "# TYPE app_%d_%s %s\n", family, SUFFIX[kind], TYPES[kind]);
        for (int i = 0; i < count && n < SERIES; i++)
            n = body_line(out, n, family, kind, i, round);
    }
}

static void make_body(struct buf *out, int round)
{
    make_body_from(out, round, 0);
}

/* ---- parsing ---- */

struct sink {
    double sum;
    struct labels labels;
    struct arena arena;
};

static bool take(void *ctx, const struct exposition_sample *s)
{
    struct sink *sink = ctx;
    sink->sum += s->value;
    return true;
}

static bool take_labels(void *ctx, const struct exposition_sample *s)
{
    struct sink *sink = ctx;
    struct err err = {0};
    arena_reset(&sink->arena);
    if (!exposition_parse_series(s->series, &sink->labels, &err))
        abort();
    return take(ctx, s);
}

static bool take_labels_strict(void *ctx, const struct exposition_sample *s)
{
    struct sink *sink = ctx;
    struct err err = {0};
    arena_reset(&sink->arena);
    if (!exposition_parse_series_strict(s->series, &sink->labels, &err))
        abort();
    return take(ctx, s);
}

static void bench_parse(struct str body, enum exposition_format format,
                        bool (*on_sample)(void *, const struct exposition_sample *), const char *what)
{
    struct exposition_options options = {.format = format};
    struct sink sink = {0};
    struct err err = {0};
    struct exposition_parser *p = exposition_new(0);
    struct exposition_handler handler = {.on_sample = on_sample, .ctx = &sink};
    arena_init(&sink.arena);
    labels_init(&sink.labels, &sink.arena);
    double best = 1e18;
    for (int i = 0; i < ROUNDS * 20; i++) {
        double start = now_ns();
        exposition_begin(p, &options, &handler);
        if (!exposition_feed(p, body.p, body.n, &err) || !exposition_finish(p, &err))
            abort();
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    result(what, best, SERIES);
    labels_free(&sink.labels);
    arena_free(&sink.arena);
    exposition_free(p);
}

/* The same samples as OpenMetrics; in the last row each with an exemplar. */
static void bench_openmetrics(const struct buf *body)
{
    static const char EXEMPLAR[] = " # {trace_id=\"0af7651916cd43dd8448eb211c80319c\"} 0.67 1520879607.789\n";
    struct buf out;
    buf_init(&out, 1 << 25);
    buf_add_str(&out, buf_str(body));
    buf_add_c(&out, "# EOF\n");
    bench_parse(buf_str(&out), EXPOSITION_OPENMETRICS, take, "parse OpenMetrics, known series");
    bench_parse(buf_str(&out), EXPOSITION_OPENMETRICS, take_labels_strict, "parse OpenMetrics, new series");
    buf_clear(&out);
    for (struct str rest = buf_str(body); rest.n;) {
        struct str line = str_make(rest.p, str_find_char(rest, '\n'));
        rest = str_skip(rest, line.n + 1);
        buf_add_str(&out, line);
        buf_add_c(&out, line.n && line.p[0] != '#' ? EXEMPLAR : "\n");
    }
    buf_add_c(&out, "# EOF\n");
    bench_parse(buf_str(&out), EXPOSITION_OPENMETRICS, take, "parse OpenMetrics, known series, exemplar each");
    buf_free(&out);
}

static void bench_numbers(void)
{
    static const char *const TEXTS[] = {"7\n", "123456\n", "0.25\n", "123456.78\n", "8.41600000000001e-05\n",
                                        "12345.678901234567\n"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct str text = {TEXTS[i], strlen(TEXTS[i]) - 1};
        double v, sum = 0, start = now_ns();
        for (int k = 0; k < 1000000; k++) {
            if (!exposition_parse_value(text, &v))
                abort();
            sum += v;
        }
        char what[64];
        snprintf(what, sizeof what, "  number %.*s%s", STR_ARG(text), sum < 0 ? " " : "");
        result(what, now_ns() - start, 1e6);
    }
}

/* ---- blocks ---- */

static void bench_block(void)
{
    struct block_builder *b = block_builder_new(0, 0, 0);
    double best = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t refs[14];
        for (uint32_t i = 0; i < 14; i++)
            refs[i] = block_builder_symbol(b, STR("some_label"));
        double start = now_ns();
        for (int i = 0; i < 9999; i++) {
            refs[13] = (uint32_t)(i % 15);
            block_builder_sample(b, refs, 14, i, 1700000000000, NULL);
        }
        double took = now_ns() - start;
        best = took < best ? took : best;
        block_unref(block_builder_seal(b));
    }
    result("block encode from references (7 labels)", best, 9999);
    block_builder_free(b);
}

/* ---- the whole ---- */

static void emit(void *ctx, struct block *block)
{
    (void)ctx;
    emitted_bytes += block->size;
    emitted_samples += block->samples;
    block_unref(block);
}

static void scrape_once(struct append_target *t, const struct buf *body, int64_t ts)
{
    struct append_scrape *s = append_begin(t, ts, EXPOSITION_TEXT);
    struct append_result r;
    struct err err = {0};
    bool ok = append_feed(s, body->p, body->n, &err);
    append_end(s, &(struct append_outcome){.ok = ok, .duration_s = 0.01}, &r, &err);
    if (!r.up) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
}

static double scrape_all(struct append_target **t, int n, const struct buf *body, int64_t ts)
{
    double start = now_ns();
    for (int i = 0; i < n; i++)
        scrape_once(t[i], body, ts);
    return now_ns() - start;
}

static struct relabel_rules *some_rules(void)
{
    static const struct str NAME = {"__name__", 8}, PATH = {"path", 4};
    struct relabel_source v[3] = {
        {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
         .action = STR("drop"),
         .source_labels = &NAME,
         .source_labels_n = 1,
         .separator = STR(";"),
         .regex = STR("go_.*"),
         .replacement = STR("$1")},
        {.given = RELABEL_SOURCE_LABELS | RELABEL_REGEX | RELABEL_TARGET_LABEL,
         .action = STR("replace"),
         .source_labels = &PATH,
         .source_labels_n = 1,
         .separator = STR(";"),
         .regex = STR("/api/(v[0-9]+)/.*"),
         .target_label = STR("version"),
         .replacement = STR("$1")},
        {.given = RELABEL_ACTION | RELABEL_REGEX,
         .action = STR("labeldrop"),
         .separator = STR(";"),
         .regex = STR("queue"),
         .replacement = STR("$1")},
    };
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct relabel_rules *rules = relabel_compile(v, 3, &err, &bad, &field);
    if (!rules) {
        fprintf(stderr, "%s\n", err.msg);
        exit(1);
    }
    return rules;
}

/* New series: without rules, then with them. */
static void bench_first(const struct buf *body, const struct config_job *job, const struct labels *labels,
                        const char *what)
{
    struct append_worker_options o = {.emit = emit};
    struct append_worker *w = append_worker_new(&o);
    double best = 1e18;
    for (int i = 0; i < ROUNDS; i++) {
        struct append_target *t = append_target_new(w, job, labels, NULL);
        double took = scrape_all(&t, 1, body, 1000 + i);
        best = took < best ? took : best;
        append_target_free(t);
    }
    result(what, best, SERIES);
    append_worker_free(w);
}

static void bench_steady(const struct config_job *job)
{
    struct append_worker_options o = {.emit = emit};
    struct append_worker *w = append_worker_new(&o);
    struct append_target *t[TARGETS];
    struct buf bodies[2];
    struct append_stats stats;
    for (int i = 0; i < 2; i++) {
        buf_init(&bodies[i], 1 << 24);
        make_body(&bodies[i], i);
    }
    for (int i = 0; i < TARGETS; i++) {
        struct labels l;
        char instance[32];
        snprintf(instance, sizeof instance, "10.0.%d.%d:9100", i / 256, i % 256);
        labels_init(&l, NULL);
        labels_push(&l, STR("job"), STR("app"));
        labels_push(&l, STR("instance"), str_of(instance));
        t[i] = append_target_new(w, job, &l, NULL);
        labels_free(&l);
    }
    result("append, first scrape of 200 targets", scrape_all(t, TARGETS, &bodies[0], 1700000000000),
           TARGETS * SERIES);
    double best = 1e18, best_one = 1e18, best_meta = 1e18;
    emitted_bytes = emitted_samples = 0;
    for (int i = 1; i < ROUNDS; i++) {
        double took = scrape_all(t, TARGETS, &bodies[i % 2], 1700000000000 + i * 1000);
        best = took < best ? took : best;
    }
    result("append, steady 1000-series scrape, 200 targets", best, TARGETS * SERIES);
    printf("%-44s %8.1f bytes\n", "  block bytes a sample", (double)emitted_bytes / (double)emitted_samples);
    for (int i = 0; i < ROUNDS * 10; i++) {
        double took = scrape_all(t, 1, &bodies[i % 2], 1700000030000 + i);
        best_one = took < best_one ? took : best_one;
    }
    result("append, steady, one target", best_one, SERIES);
    for (int i = 1; i < 5; i++) {
        double took = scrape_all(t, TARGETS, &bodies[0], 1700000000000 + i * 100000);
        best_meta = took < best_meta ? took : best_meta;
    }
    result("append, steady, with metadata", best_meta, TARGETS * SERIES);
    double best_moved = 1e18;
    for (int i = 1; i < 20; i++) {
        make_body_from(&bodies[0], 0, i * 23 % 60);
        double took = scrape_all(t, TARGETS, &bodies[0], 1700000400000 + i * 100);
        best_moved = took < best_moved ? took : best_moved;
    }
    result("append, families in another order", best_moved, TARGETS * SERIES);
    append_worker_stats(w, &stats);
    printf("%-44s %8.1f bytes (symbols %.1f)\n", "memory a series",
           (double)(stats.series_bytes + stats.symbol_bytes) / (double)stats.series,
           (double)stats.symbol_bytes / (double)stats.series);
    for (int i = 0; i < TARGETS; i++)
        append_target_free(t[i]);
    append_worker_free(w);
    buf_free(&bodies[0]);
    buf_free(&bodies[1]);
}

/* With an argument only the steady scrape, many times, for a profiler. */
int main(int argc, char **argv)
{
    (void)argv;
    char job_name[] = "app";
    struct config_job job = {.job_name = job_name, .honor_timestamps = true};
    struct err err = {0};
    struct buf body;
    struct labels labels;
    size_t bad;
    enum relabel_field field;
    job.metric_relabel = relabel_compile(NULL, 0, &err, &bad, &field);
    buf_init(&body, 1 << 24);
    make_body(&body, 0);
    labels_init(&labels, NULL);
    labels_push(&labels, STR("job"), STR("app"));
    labels_push(&labels, STR("instance"), STR("10.0.0.1:9100"));
    for (int i = 0; argc > 1 && i < 20; i++)
        bench_steady(&job);
    printf("body of %d series, %zu bytes (%.1f a sample)\n", SERIES, body.n, (double)body.n / SERIES);
    bench_numbers();
    bench_parse(buf_str(&body), EXPOSITION_TEXT, take, "parse, known series (cut and number)");
    bench_parse(buf_str(&body), EXPOSITION_TEXT, take_labels, "parse, new series (labels too)");
    bench_openmetrics(&body);
    bench_block();
    bench_first(&body, &job, &labels, "append, new series, no rules");
    struct relabel_rules *none = job.metric_relabel;
    job.metric_relabel = some_rules();
    bench_first(&body, &job, &labels, "append, new series, 3 rules");
    relabel_free(job.metric_relabel);
    job.metric_relabel = none;
    bench_steady(&job);
    relabel_free(none);
    labels_free(&labels);
    buf_free(&body);
    return 0;
}
