/* SPDX-License-Identifier: Apache-2.0 */
/* append: workers, targets and the life of a scrape. While lines come in the order of the last scrape nothing
   happens per sample but a hash, a comparison and a store:

     entry             0        1        2        3
     t->series.hashes  [h0]     [h1]     [h2]     [h3]      what is expected
     line              h0 ok    h1 ok    hX !---- append_diff.c from here on
     s->values         [v0]     [v1]

   So a pending scrape costs 8 bytes a sample, and it is all or nothing: the block sees it in append_end. */
#include "append_private.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "budget.h"

#define BLOCK_BYTES ((size_t)1 << 20)
#define BLOCK_SAMPLES 10000
#define IDLE_MAX 8
#define KEEP_VALUES ((size_t)32 << 10) /* entries; larger buffers are given back after the scrape */
#define KEEP_EXTRAS ((size_t)256 << 10) /* bytes; the same */
#define AHEAD_MAX_MS (10 * 60 * 1000)
#define HEADER_MAX ((size_t)1 << 20)

/* ---- workers ---- */

struct append_worker *append_worker_new(const struct append_worker_options *options)
{
    struct append_worker *w = xcalloc(1, sizeof *w);
    w->o = *options;
    if (!w->o.block_bytes)
        w->o.block_bytes = BLOCK_BYTES;
    if (!w->o.block_samples)
        w->o.block_samples = BLOCK_SAMPLES;
    w->builder = block_builder_new(w->o.lane, w->o.block_bytes, w->o.block_samples);
    w->symbols = symbols_new();
    w->pending_since = -1;
    buf_init(&w->ids, SIZE_MAX / 2);
    if (!w->o.budget)
        w->o.budget = w->own_budget = budget_new();
    return w;
}

static void scrape_free(struct append_scrape *s)
{
    append_diff_free(s);
    exposition_free(s->parser);
    buf_free(&s->header.name);
    buf_free(&s->header.help);
    buf_free(&s->header.unit);
    append_extra_free(&s->extras);
    labels_free(&s->labels);
    arena_free(&s->arena);
    free(s->values);
    free(s->stamps);
    free(s);
}

void append_worker_free(struct append_worker *w)
{
    if (!w)
        return;
    append_flush(w);
    while (w->idle) {
        struct append_scrape *next = w->idle->next;
        scrape_free(w->idle);
        w->idle = next;
    }
    block_builder_free(w->builder);
    symbols_free(w->symbols);
    buf_free(&w->ids);
    budget_free(w->own_budget);
    free(w);
}

void append_flush(struct append_worker *w)
{
    struct block *block = block_builder_seal(w->builder);
    w->pending_since = -1;
    if (block)
        w->o.emit(w->o.ctx, block);
}

int64_t append_pending_since(const struct append_worker *w)
{
    return w->pending_since;
}

void append_worker_stats(const struct append_worker *w, struct append_stats *out)
{
    *out = (struct append_stats){
        .series = w->series,
        .series_bytes = w->series_bytes,
        .symbols = symbols_count(w->symbols),
        .symbol_bytes = symbols_bytes(w->symbols),
        .duplicate_samples = w->duplicate_samples,
        .out_of_bounds_samples = w->out_of_bounds_samples,
        .limited_samples = w->limited_samples,
        .exemplars = w->exemplars,
        .histograms = w->histograms,
    };
}

static void mark_families(struct symbols *sy, const struct series_family *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (v[i].name != SERIES_NONE)
            symbols_mark_string(sy, v[i].name);
        if (v[i].help != SERIES_NONE)
            symbols_mark_string(sy, v[i].help);
        if (v[i].unit != SERIES_NONE)
            symbols_mark_string(sy, v[i].unit);
    }
}

/* Frees the symbols that no target and no running scrape holds, when enough of them may be garbage. */
static void collect(struct append_worker *w)
{
    struct symbols *sy = w->symbols;
    if (!symbols_due(sy))
        return;
    symbols_collect_begin(sy);
    for (const struct append_target *t = w->targets; t; t = t->next) {
        append_mark(sy, t->series.refs, t->series.n);
        append_mark(sy, t->reports, APPEND_REPORTS);
        mark_families(sy, t->series.families, t->series.families_n);
    }
    for (const struct append_scrape *s = w->running; s; s = s->next) {
        if (!s->diff)
            continue;
        append_mark(sy, s->draft.refs, s->draft.n);
        mark_families(sy, s->draft.families, s->draft.families_n);
    }
    symbols_collect_end(sy);
}

/* ---- targets ---- */

static size_t copy_labels(struct append_target *t, const struct labels *labels)
{
    size_t size = labels->n * sizeof *t->labels;
    for (size_t i = 0; i < labels->n; i++)
        size += labels->v[i].name.n + labels->v[i].value.n;
    t->labels = xmalloc(size);
    t->labels_n = labels->n;
    char *at = (char *)(t->labels + labels->n);
    for (size_t i = 0; i < labels->n; i++) {
        const struct str from[2] = {labels->v[i].name, labels->v[i].value};
        struct str to[2];
        for (int k = 0; k < 2; k++) {
            if (from[k].n)
                memcpy(at, from[k].p, from[k].n);
            to[k] = str_make(at, from[k].n);
            at += from[k].n;
        }
        t->labels[i] = (struct label){to[0], to[1]};
    }
    return size;
}

/* Brings the worker's totals up to what the target holds now. */
static void recount(struct append_target *t)
{
    struct append_worker *w = t->worker;
    size_t bytes = t->fixed_bytes + series_bytes(&t->series);
    const struct series *known = &t->series;
    uint64_t live = t->all_stale ? 0 : known->n - known->dropped - known->duplicates - known->limited;
    if (t->sketch)
        bytes += sizeof *t->sketch;
    w->series_bytes += bytes - t->bytes;
    w->series += live - t->counted;
    if (live != t->counted)
        budget_add(t->budget, (int64_t)(live - t->counted));
    t->bytes = bytes;
    t->counted = live;
}

struct append_target *append_target_new(struct append_worker *w, const struct config_job *job,
                                        const struct labels *labels, const struct target_settings *settings)
{
    struct append_target *t = xcalloc(1, sizeof *t);
    t->worker = w;
    t->job = job;
    t->own_settings = settings != NULL;
    if (settings)
        t->settings = *settings;
    t->budget = budget_job(w->o.budget, job->job_name);
    t->meta_ts_ms = INT64_MIN;
    t->fixed_bytes = sizeof *t + copy_labels(t, labels);
    t->fixed_bytes += append_report_make(t);
    t->next = w->targets;
    if (t->next)
        t->next->prev = t;
    w->targets = t;
    recount(t);
    return t;
}

void append_target_update(struct append_target *t, const struct config_job *job)
{
    t->job = job;
}

void append_target_settings(struct append_target *t, const struct target_settings *settings)
{
    t->own_settings = true;
    t->settings = *settings;
}

void append_target_free(struct append_target *t)
{
    if (!t)
        return;
    struct append_worker *w = t->worker;
    w->series_bytes -= t->bytes;
    w->series -= t->counted;
    budget_add(t->budget, -(int64_t)t->counted);
    free(t->sketch);
    if (t->prev)
        t->prev->next = t->next;
    else
        w->targets = t->next;
    if (t->next)
        t->next->prev = t->prev;
    series_free(&t->series);
    free(t->reports);
    free(t->labels);
    free(t);
}

void append_target_gone(struct append_target *t, int64_t ts_ms)
{
    if (t->job->no_stale_markers)
        return;
    (void)append_stale_all(t, ts_ms);
    t->all_stale = true;
    if (t->reported) {
        double values[APPEND_REPORTS];
        for (size_t i = 0; i < APPEND_REPORTS; i++)
            values[i] = append_stale_value();
        append_report_write(t, ts_ms, values);
        t->reported = false;
    }
    append_book(t);
    recount(t);
}

uint64_t append_target_series(const struct append_target *t)
{
    return t->counted;
}

/* ---- lines of a scrape ---- */

static void expect_family(struct append_scrape *s)
{
    const struct series *known = &s->t->series;
    s->boundary = s->family < known->families_n ? known->families[s->family].first : SERIES_NONE;
}

/* Steady, and the next entry begins a family or a header has come: true when both say the same as last
   time. */
static bool family_as_expected(struct append_scrape *s)
{
    const struct series *known = &s->t->series;
    const struct series_family *f = &known->families[s->family];
    if (s->family >= known->families_n || f->first != s->n || f->announced != s->header.fresh ||
        f->print != s->header.print)
        return false;
    s->header.fresh = false;
    s->family++;
    expect_family(s);
    return true;
}

/* Everything but the expected sample. */
static bool other_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash)
{
    const struct series *known = &s->t->series;
    if (!s->diff && s->n < known->n && known->hashes[s->n] == hash &&
        (s->n != s->boundary || family_as_expected(s))) {
        s->values[s->n] = sample->value;
        append_extra_note(s, sample, false);
        s->n++;
        return true;
    }
    if (!s->diff)
        append_diff_enter(s);
    return append_diff_sample(s, sample, hash);
}

static bool on_sample(void *ctx, const struct exposition_sample *sample)
{
    struct append_scrape *s = ctx;
    const struct series *known = &s->t->series;
    uint64_t hash = hash_bytes(sample->series.p, sample->series.n);
    if (__builtin_expect(!s->diff && s->n < known->n && known->hashes[s->n] == hash && s->n != s->boundary &&
                             append_is_plain(sample),
                         1)) {
        s->values[s->n++] = sample->value;
        return true;
    }
    if (sample->has_ts && !s->t->job->honor_timestamps) {
        struct exposition_sample plain = *sample;
        plain.has_ts = false;
        return other_sample(s, &plain, hash);
    }
    return other_sample(s, sample, hash);
}

/* Notes the family a HELP or TYPE line is about. */
static struct append_header *header_for(struct append_scrape *s, struct str family)
{
    struct append_header *h = &s->header;
    h->fresh = true;
    if (!s->diff)
        s->boundary = s->n;
    if (str_eq(buf_str(&h->name), family))
        return h;
    buf_clear(&h->name);
    buf_clear(&h->help);
    buf_add_str(&h->name, family);
    buf_clear(&h->unit);
    h->name_hash = hash_bytes(family.p, family.n);
    h->help_hash = h->unit_hash = 0;
    h->type = BLOCK_UNSPECIFIED;
    return h;
}

static void header_print(struct append_header *h)
{
    uint64_t print = (h->name_hash ^ h->help_hash * 3 ^ h->unit_hash * 5 ^ h->type) * 0x9e3779b97f4a7c15ull;
    h->print = (uint32_t)(print >> 32);
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct append_scrape *s = ctx;
    struct append_header *h = header_for(s, family);
    h->type = (uint8_t)type;
    header_print(h);
    return true;
}

static bool on_help(void *ctx, struct str family, struct str help)
{
    struct append_header *h = header_for(ctx, family);
    buf_clear(&h->help);
    buf_add_str(&h->help, help);
    h->help_hash = hash_bytes(help.p ? help.p : "", help.n);
    header_print(h);
    return true;
}

static bool on_unit(void *ctx, struct str family, struct str unit)
{
    struct append_header *h = header_for(ctx, family);
    buf_clear(&h->unit);
    buf_add_str(&h->unit, unit);
    h->unit_hash = hash_bytes(unit.p ? unit.p : "", unit.n);
    header_print(h);
    return true;
}

/* ---- scrapes ---- */

static struct append_scrape *scrape_new(void)
{
    struct append_scrape *s = xcalloc(1, sizeof *s);
    s->parser = exposition_new(0);
    buf_init(&s->header.name, HEADER_MAX);
    buf_init(&s->header.help, HEADER_MAX);
    buf_init(&s->header.unit, HEADER_MAX);
    buf_init(&s->extras.bytes, SIZE_MAX / 2);
    arena_init(&s->arena);
    labels_init(&s->labels, &s->arena);
    return s;
}

/* A spare scrape with its counters at zero, or a new one; put among the running ones. */
static struct append_scrape *scrape_take(struct append_worker *w)
{
    struct append_scrape *s = w->idle;
    if (s) {
        w->idle = s->next;
        w->idle_n--;
    } else {
        s = scrape_new();
    }
    s->prev = NULL;
    s->next = w->running;
    if (s->next)
        s->next->prev = s;
    w->running = s;
    return s;
}

static void scrape_reset(struct append_scrape *s)
{
    s->fed = s->scraped = s->post_relabel = s->added = s->appended = 0;
    s->n = s->family = s->cursor = 0;
    s->stamps_n = 0;
    s->taken = 0;
    append_extra_clear(&s->extras);
    s->diff = s->member = s->failed = s->over_limit = false;
    buf_clear(&s->header.name);
    buf_clear(&s->header.help);
    buf_clear(&s->header.unit);
    s->header.name_hash = s->header.help_hash = s->header.unit_hash = 0;
    s->header.print = 0;
    s->header.type = 0;
    s->header.fresh = false;
    err_clear(&s->err);
}

/* The first line already is more than the next expected one: nothing is known yet, a series limit has room again, or
   sample_limit, which only the slow path counts, has been lowered below what is known. */
static bool must_look(const struct append_scrape *s)
{
    const struct series *known = &s->t->series;
    uint64_t limit = s->t->settings.sample_limit;
    return known->n == 0 || (limit && known->n - known->dropped - known->limited > limit) ||
           (known->limited && append_limit_room(s));
}

struct append_scrape *append_begin(struct append_target *t, int64_t ts_ms, enum exposition_format format)
{
    static const struct exposition_handler HANDLER = {
        .on_sample = on_sample, .on_type = on_type, .on_help = on_help, .on_unit = on_unit};
    struct append_scrape *s = scrape_take(t->worker);
    struct exposition_handler handler = HANDLER;
    if (!t->own_settings)
        t->settings = target_settings_of(t->job);
    s->t = t;
    s->format = format;
    scrape_reset(s);
    s->ts_ms = ts_ms;
    s->max_ts_ms = clock_wall_ms() + AHEAD_MAX_MS;
    s->values = xgrow(s->values, &s->values_cap, t->series.n, sizeof *s->values);
    expect_family(s);
    if (must_look(s))
        append_diff_enter(s);
    handler.ctx = s;
    struct exposition_options options = {
        .format = format,
        .native_histograms = t->settings.native_histograms,
        .classic_histograms_too = t->settings.classic_histograms_too,
        .nhcb = t->settings.nhcb,
        .bucket_limit = t->job->native_histogram_bucket_limit,
        .min_bucket_factor = t->job->native_histogram_min_bucket_factor,
    };
    exposition_begin(s->parser, &options, &handler);
    return s;
}

static void release_values(struct append_scrape *s)
{
    if (s->values_cap <= KEEP_VALUES)
        return;
    free(s->values);
    s->values = NULL;
    s->values_cap = 0;
}

/* Gives a scrape back to the spare ones. */
static void scrape_release(struct append_scrape *s)
{
    struct append_worker *w = s->t->worker;
    if (s->prev)
        s->prev->next = s->next;
    else
        w->running = s->next;
    if (s->next)
        s->next->prev = s->prev;
    if (w->idle_n >= IDLE_MAX) {
        scrape_free(s);
        return;
    }
    release_values(s);
    if (s->extras.bytes.n > KEEP_EXTRAS) {
        append_extra_free(&s->extras);
        s->extras = (struct append_extras){0};
        buf_init(&s->extras.bytes, SIZE_MAX / 2);
    }
    append_diff_trim(s);
    s->next = w->idle;
    w->idle = s;
    w->idle_n++;
}

/* Keeps the first reason of a failure and passes it on. */
static bool fail(struct append_scrape *s, const struct err *why, struct err *err)
{
    s->failed = true;
    if (!err_is(&s->err))
        err_set(&s->err, "%s", why->msg);
    return err_set(err, "%s", s->err.msg);
}

bool append_feed(struct append_scrape *s, const void *bytes, size_t n, struct err *err)
{
    struct err why = {0};
    s->fed += n;
    if (!s->failed && exposition_feed(s->parser, bytes, n, &why))
        return true;
    return fail(s, &why, err);
}

/* Ends the parse; true when the scrape is good. */
static bool finish(struct append_scrape *s, const struct append_outcome *outcome, struct err *err)
{
    struct err why = {0};
    if (!s->failed && outcome->ok && !exposition_finish(s->parser, &why))
        (void)fail(s, &why, NULL);
    if (!s->failed && outcome->ok && s->over_limit) {
        err_set(&why, "sample limit exceeded");
        (void)fail(s, &why, NULL);
    }
    if (s->failed)
        err_set(err, "%s", s->err.msg);
    return outcome->ok && !s->failed;
}

/* A scrape that stayed steady is counted only now: it passed the first s->n entries. */
static void count_steady(struct append_scrape *s)
{
    const struct series *known = &s->t->series;
    const uint8_t *p = known->refs;
    s->scraped = s->post_relabel = s->n;
    if (s->n == known->n) {
        s->post_relabel -= known->dropped;
        return;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        struct series_entry e;
        series_head(p, &e);
        p = series_skip(&e);
        s->post_relabel -= (e.flags & SERIES_LIMITED) == SERIES_DROPPED;
    }
}

/* Writes a good scrape and makes its series the remembered ones. Returns the markers written. */
static uint64_t commit(struct append_scrape *s)
{
    struct append_target *t = s->t;
    uint64_t markers = 0;
    if (s->fed == 0) { /* an empty body is up, and yet nothing is forgotten: as in Prometheus */
        markers = append_stale_all(t, s->ts_ms);
        t->all_stale = true;
        return markers;
    }
    if (!s->diff && s->n < t->series.n)
        append_diff_enter(s);
    struct append_entries entries;
    if (s->diff)
        entries = (struct append_entries){s->draft.refs, (uint32_t)s->draft.n, s->draft.refs_n,
                                          s->draft.families, s->draft.families_n};
    else
        entries = (struct append_entries){t->series.refs, t->series.n, t->series.refs_n, t->series.families,
                                          t->series.families_n};
    append_write_scrape(s, &entries);
    if (s->diff) {
        markers = append_stale_vanished(s);
        release_values(s);
        append_diff_release_tables(s);
        series_store(&t->series, &s->draft);
    }
    t->all_stale = false;
    return markers;
}

static void report(struct append_scrape *s, const struct append_outcome *outcome,
                   const struct append_result *result)
{
    double values[APPEND_REPORTS] = {
        result->up ? 1 : 0,
        outcome->duration_s,
        (double)result->scraped,
        (double)result->post_relabel,
        (double)result->series_added,
        outcome->timeout_s,
        (double)s->t->settings.sample_limit,
        (double)outcome->body_bytes,
        (double)s->t->counted,
        (double)s->t->settings.series_limit,
        (double)result->limited,
    };
    append_report_write(s->t, s->ts_ms, values);
    s->t->reported = true;
}

/* What grew is of interest as long as something is kept out. */
static void forget_sketch(struct append_target *t)
{
    if (!t->sketch || t->series.limited)
        return;
    t->bytes -= sizeof *t->sketch;
    t->worker->series_bytes -= sizeof *t->sketch;
    free(t->sketch);
    t->sketch = NULL;
}

void append_end(struct append_scrape *s, const struct append_outcome *outcome, struct append_result *result,
                struct err *err)
{
    struct append_target *t = s->t;
    memset(result, 0, sizeof *result);
    result->up = finish(s, outcome, err);
    if (!s->diff)
        count_steady(s);
    if (result->up || s->failed) { /* a broken transfer counts as nothing, as in Prometheus */
        result->scraped = s->scraped;
        result->post_relabel = s->post_relabel;
        result->series_added = s->added;
    }
    if (result->up) {
        result->samples_stale = commit(s);
        result->limited = s->fed ? t->series.limited : 0;
        t->worker->limited_samples += result->limited;
    } else {
        result->samples_stale = append_stale_all(t, s->ts_ms);
        t->all_stale = true;
    }
    append_limit_settle(s);
    recount(t);
    forget_sketch(t);
    result->limited_label = t->sketch ? sketch_top(t->sketch) : "";
    report(s, outcome, result);
    append_book(t);
    scrape_release(s);
    collect(t->worker);
}

void append_cancel(struct append_scrape *s)
{
    append_limit_settle(s);
    scrape_release(s);
}
