/* SPDX-License-Identifier: Apache-2.0 */
/* append_bed: a worker with one target, scripts of bodies for it, and what stands in the blocks afterwards, read back
   with the block reader. A step's expectation is one line per sample; the report series are checked against the result
   of each scrape. */
#ifndef OBSAGENT_TESTS_APPEND_BED_H
#define OBSAGENT_TESTS_APPEND_BED_H

#include "unit.h"

#include "base/clock.h"
#include "scrape/append.h"

/* Each test program uses its own part of this. */
#define BED_FN static __attribute__((unused))

/* One scrape of a script. */
struct step {
    const char *body; /* NULL: the transfer fails */
    const char *want; /* samples, without the report series */
    bool up;
    uint64_t scraped, post_relabel, added, stale;
    const char *error;
};

static struct buf heard;      /* samples as text */
static double reports[5];     /* the report series of the last flush, by rank */
static int reports_n, reports_stale, blocks_n;
static uint32_t block_sizes[64];
static bool show_meta, only_usual_reports;
static enum exposition_format format; /* of the bodies */

static const char *const REPORTS[5] = {"up", "scrape_duration_seconds", "scrape_samples_scraped",
                                       "scrape_samples_post_metric_relabeling", "scrape_series_added"};

BED_FN uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

BED_FN bool hear_report(struct str name, double value)
{
    for (int i = 0; i < 5; i++) {
        if (!str_eq_c(name, REPORTS[i]))
            continue;
        reports[i] = value;
        reports_n++;
        reports_stale += bits_of(value) == BLOCK_STALE_BITS;
        return true;
    }
    return false;
}

/* What came with a sample: " since T", " # {labels} V @T". */
BED_FN void hear_extras(struct block_reader *r, const struct block_series *s)
{
    if (s->start_ts_ms)
        buf_addf(&heard, " since %lld", (long long)s->start_ts_ms);
    for (size_t i = 0; i < s->exemplars; i++) {
        struct block_exemplar e;
        assert_true(block_series_exemplar(r, s, i, &e));
        buf_add_c(&heard, " # {");
        for (size_t k = 0; k < e.refs_n; k += 2)
            buf_addf(&heard, "%s%.*s=%.*s", k ? "," : "", STR_ARG(block_reader_symbol(r, e.refs[k])),
                     STR_ARG(block_reader_symbol(r, e.refs[k + 1])));
        buf_add_c(&heard, "} ");
        buf_add_double(&heard, e.value);
        buf_addf(&heard, " @%lld", (long long)e.ts_ms);
    }
}

/* " histogram HEX", or " stale histogram". */
BED_FN void hear_histogram(const struct block_series *s)
{
    struct str message;
    int64_t ts_ms, start_ts_ms;
    assert_true(block_series_histogram(s, 0, &message, &ts_ms, &start_ts_ms));
    assert_true(ts_ms == s->ts_ms && start_ts_ms == s->start_ts_ms);
    if (str_eq(message, block_stale_histogram)) {
        buf_add_c(&heard, " stale histogram");
        return;
    }
    buf_add_c(&heard, " histogram ");
    for (size_t i = 0; i < message.n; i++)
        buf_addf(&heard, "%02x", (unsigned char)message.p[i]);
}

BED_FN void hear_series(struct block_reader *r, const struct block_series *s)
{
    struct labels l;
    struct str before = STR_NULL;
    labels_init(&l, NULL);
    for (size_t i = 0; i < s->refs_n; i += 2) {
        struct str name = block_reader_symbol(r, s->refs[i]), value = block_reader_symbol(r, s->refs[i + 1]);
        assert_true(i == 0 || str_cmp(before, name) < 0);
        assert_true(value.n > 0);
        before = name;
        labels_push(&l, name, value);
    }
    assert_int_equal(s->samples, 1);
    struct str metric = labels_get(&l, STR("__name__"));
    bool skipped = only_usual_reports && str_starts(metric, STR("scrape_series_"));
    if (!hear_report(metric, s->value) && !skipped) {
        labels_format(&l, &heard);
        if (s->is_histogram) {
            hear_histogram(s);
        } else if (bits_of(s->value) == BLOCK_STALE_BITS) {
            buf_add_c(&heard, " stale");
        } else {
            if (s->value != s->value)
                assert_true(bits_of(s->value) == BLOCK_NAN_BITS);
            buf_add_char(&heard, ' ');
            buf_add_double(&heard, s->value);
        }
        buf_addf(&heard, " @%lld", (long long)s->ts_ms);
        if (show_meta && s->has_meta)
            buf_addf(&heard, " [%d %.*s]", s->type, STR_ARG(block_reader_symbol(r, s->help_ref)));
        hear_extras(r, s);
        buf_add_char(&heard, '\n');
    }
    labels_free(&l);
}

BED_FN void emit(void *ctx, struct block *b)
{
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    uint32_t booked = 0, n = 0;
    (void)ctx;
    assert_true(block_reader_open(r, b->data, b->size, &err));
    while (block_reader_next(r, &s, &err)) {
        hear_series(r, &s);
        n++;
    }
    assert_string_equal(err.msg, "");
    assert_int_equal(n, b->samples);
    for (size_t i = 0; i < b->jobs_n; i++) {
        assert_true(str_eq_c(b->jobs[i].name, "test"));
        booked += b->jobs[i].samples;
    }
    assert_int_equal(booked, b->samples);
    if (blocks_n < 64)
        block_sizes[blocks_n] = b->samples;
    blocks_n++;
    block_reader_free(r);
    block_unref(b);
}

/* ---- a worker with one target ---- */

struct bench {
    struct append_worker *w;
    struct append_target *t;
    struct config_job job;
    int64_t ts;
};

static char job_name[] = "test";

BED_FN void bench_init(struct bench *b, const char *labels_text, uint32_t block_samples)
{
    struct append_worker_options o = {.emit = emit, .block_samples = block_samples};
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct arena arena;
    struct labels l;
    memset(b, 0, sizeof *b);
    b->job.job_name = job_name;
    b->job.honor_timestamps = true;
    b->job.metric_relabel = relabel_compile(NULL, 0, &err, &bad, &field);
    arena_init(&arena);
    labels_init(&l, &arena);
    assert_true(labels_parse(&l, str_of(labels_text), &err));
    b->w = append_worker_new(&o);
    b->t = append_target_new(b->w, &b->job, &l, NULL);
    labels_free(&l);
    arena_free(&arena);
    buf_init(&heard, 1 << 26);
    blocks_n = 0;
    show_meta = false;
    format = EXPOSITION_TEXT;
}

BED_FN void bench_free(struct bench *b)
{
    append_target_free(b->t);
    append_worker_free(b->w);
    relabel_free(b->job.metric_relabel);
    buf_free(&heard);
}

BED_FN void set_rules(struct bench *b, const struct relabel_source *v, size_t n)
{
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    relabel_free(b->job.metric_relabel);
    b->job.metric_relabel = relabel_compile(v, n, &err, &bad, &field);
    assert_string_equal(err.msg, "");
}

BED_FN struct append_result scrape_at(struct bench *b, const char *body, size_t n, int64_t ts,
                                      struct err *err)
{
    struct append_scrape *s = append_begin(b->t, ts, format);
    struct append_result r;
    bool ok = body != NULL;
    for (size_t at = 0; ok && at < n; at += 7)
        ok = append_feed(s, body + at, n - at < 7 ? n - at : 7, err);
    struct err why = {0};
    append_end(s, &(struct append_outcome){.ok = ok, .duration_s = 0.5, .body_bytes = (int64_t)n}, &r, &why);
    assert_true(!err_is(err) || strcmp(err->msg, why.msg) == 0);
    *err = why;
    return r;
}

BED_FN void check_reports(const struct append_result *r)
{
    assert_int_equal(reports_n, 5);
    assert_true(reports[0] == (r->up ? 1 : 0));
    assert_true(reports[1] == 0.5);
    assert_true(reports[2] == (double)r->scraped);
    assert_true(reports[3] == (double)r->post_relabel);
    assert_true(reports[4] == (double)r->series_added);
}

BED_FN void run_step(struct bench *b, const struct step *step, int number)
{
    struct err err = {0};
    b->ts += 1000;
    buf_clear(&heard);
    reports_n = reports_stale = 0;
    struct append_result r = scrape_at(b, step->body, step->body ? strlen(step->body) : 0, b->ts, &err);
    append_flush(b->w);
    if (strcmp(buf_c(&heard), step->want) != 0)
        fail_msg("step %d:\n--- got\n%s--- want\n%s", number, buf_c(&heard), step->want);
    if (r.up != step->up || r.scraped != step->scraped || r.post_relabel != step->post_relabel ||
        r.series_added != step->added || r.samples_stale != step->stale)
        fail_msg("step %d: up %d, scraped %d, post_relabel %d, added %d, stale %d", number, r.up,
                 (int)r.scraped, (int)r.post_relabel, (int)r.series_added, (int)r.samples_stale);
    assert_string_equal(err.msg, step->error ? step->error : "");
    check_reports(&r);
}

BED_FN void run(struct bench *b, const struct step *steps, size_t n)
{
    for (size_t i = 0; i < n; i++)
        run_step(b, &steps[i], (int)i + 1);
}

#define RUN(b, steps) run(b, steps, sizeof(steps) / sizeof *(steps))

#endif
