/* SPDX-License-Identifier: Apache-2.0 */
/* rehearsal: a scrape whose blocks are weighed and thrown away. */
#include "rehearsal.h"

#include "../../scrape/append.h"
#include "../queue/segment.h"
#include "../remote/transcode.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

#define PIECE_BYTES ((size_t)256 << 10) /* of a request whose length does not matter for how well it is packed */
#define MESSAGE_MAX ((size_t)256 << 20)
#define LEAN_BYTES ((size_t)4 << 20) /* more than any block has */
#define DAY_MS 86400000.0
#define META_EVERY_MS 60000 /* how often the agent repeats metadata */

struct rehearsal {
    struct config *config; /* referenced: labels of it are used */
    struct config_job job; /* the subject's, without limits; its pointers are the subject's */
    bool seldom; /* scraped so seldom that metadata comes with every scrape */
    size_t target_labels;
    int64_t now_ms;
    struct append_worker *worker;
    struct append_target *target;
    struct append_scrape *scrape;
    struct err why;
    bool failed;
    struct block_reader *reader;
    struct block_builder *builder; /* of a block without metadata */
    struct rehearsal_result result;
};

/* ---- weighing ---- */

/* Tools and buffers live no longer than a block is weighed in one way: a report of a large target is to be had in
   little memory. */
struct scales {
    struct transcoder *transcoder;
    struct buf raw, packed;
};

static void scales_make(struct scales *s, const struct config *c, enum rehearsal_way way)
{
    s->transcoder = transcoder_new();
    transcoder_configure(s->transcoder, c->external_labels, c->external_labels_n, NULL);
    transcoder_send(s->transcoder, true, true);
    transcoder_message(s->transcoder, way == REHEARSAL_RW2 ? TRANSCODE_RW2 : TRANSCODE_RW1);
    buf_init(&s->raw, MESSAGE_MAX);
    buf_init(&s->packed, MESSAGE_MAX);
}

static void scales_free(struct scales *s)
{
    transcoder_free(s->transcoder);
    buf_free(&s->raw);
    buf_free(&s->packed);
}

/* Symbols are told once a message, so that one of 2.0 is not cut. */
static uint64_t weigh_requests(const struct config *c, const struct block *b, enum rehearsal_way way)
{
    struct transcode_share *shares = xcalloc(b->jobs_n + 1, sizeof *shares);
    struct err err = {0};
    struct scales s;
    uint64_t total = 0;
    scales_make(&s, c, way);
    bool ok = transcoder_open(s.transcoder, b, &err);
    for (uint32_t from = 0; ok && from < b->series;) {
        struct transcode_range range = {
            .from = from, .to = b->series, .max_bytes = way == REHEARSAL_RW2 ? 0 : PIECE_BYTES};
        struct transcode_result result;
        ok = transcoder_encode(s.transcoder, &range, &s.raw, shares, &result, &err) &&
             (way == REHEARSAL_VM ? transcode_zstd(s.transcoder, buf_str(&s.raw), &s.packed)
                                  : transcode_snappy(buf_str(&s.raw), &s.packed));
        total += ok && s.raw.n ? s.packed.n : 0;
        from = result.to > from ? result.to : b->series;
    }
    transcoder_close(s.transcoder);
    scales_free(&s);
    free(shares);
    return total;
}

static uint64_t weigh_record(const struct block *b)
{
    struct buf scratch, out;
    buf_init(&scratch, MESSAGE_MAX);
    buf_init(&out, MESSAGE_MAX);
    segment_encode(b, 0, 0, &scratch, &out);
    uint64_t n = out.n;
    buf_free(&scratch);
    buf_free(&out);
    return n;
}

static uint64_t weigh(const struct rehearsal *r, const struct block *b, enum rehearsal_way way)
{
    return way == REHEARSAL_DISK ? weigh_record(b) : weigh_requests(r->config, b, way);
}

/* ---- the same block without metadata, as most are ---- */

static uint32_t intern(struct rehearsal *r, uint32_t ref)
{
    return ref ? block_builder_intern(r->builder, block_reader_symbol(r->reader, ref)) : 0;
}

static uint8_t *put_varint(uint8_t *out, uint32_t v)
{
    for (; v >= 0x80; v >>= 7)
        *out++ = (uint8_t)(v | 0x80);
    *out++ = (uint8_t)v;
    return out;
}

static uint32_t *intern_all(struct rehearsal *r, const uint32_t *from, size_t n)
{
    uint32_t *refs = xcalloc(n + 1, sizeof *refs);
    for (size_t i = 0; i < n; i++)
        refs[i] = intern(r, from[i]);
    return refs;
}

static struct block_exemplar *copy_exemplars(struct rehearsal *r, const struct block_series *s, size_t *n)
{
    struct block_exemplar *all = xcalloc(s->exemplars + 1, sizeof *all);
    for (*n = 0; *n < s->exemplars && block_series_exemplar(r->reader, s, *n, &all[*n]); (*n)++)
        all[*n].refs = intern_all(r, all[*n].refs, all[*n].refs_n);
    return all;
}

static void copy_series(struct rehearsal *r, const struct block_series *s)
{
    struct block_extra extra = {.start_ts_ms = s->start_ts_ms};
    int64_t ts_ms = s->ts_ms, start_ts_ms;
    uint32_t *refs = intern_all(r, s->refs, s->refs_n);
    struct block_exemplar *exemplars = copy_exemplars(r, s, &extra.exemplars_n);
    extra.exemplars = exemplars;
    if (s->is_histogram && !block_series_histogram(s, 0, &extra.histogram, &ts_ms, &start_ts_ms))
        extra.histogram = STR_NULL;
    uint8_t *out = block_builder_room(r->builder, s->refs_n * 5);
    for (size_t i = 0; i < s->refs_n; i++)
        out = put_varint(out, refs[i]);
    block_builder_put_extra(r->builder, out, s->value, ts_ms, NULL, &extra);
    for (size_t i = 0; i < extra.exemplars_n; i++)
        free((uint32_t *)exemplars[i].refs);
    free(exemplars);
    free(refs);
}

/* Takes over b. */
static struct block *without_meta(struct rehearsal *r, struct block *b)
{
    struct block_series s;
    struct err err = {0};
    r->builder = block_builder_new(0, LEAN_BYTES, UINT32_MAX);
    if (block_reader_open(r->reader, b->data, b->size, &err)) {
        while (block_reader_next(r->reader, &s, &err))
            copy_series(r, &s);
    }
    block_unref(b);
    block_builder_job(r->builder, str_of(r->job.job_name));
    struct block *lean = block_builder_seal(r->builder);
    block_builder_free(r->builder);
    return lean;
}

/* ---- what is in it ---- */

static void raise_to(uint64_t *max, uint64_t n)
{
    *max = *max < n ? n : *max;
}

/* The agent's own series have the target's labels and nothing else. */
static bool is_report(const struct rehearsal *r, const struct block_series *s, struct str name)
{
    return s->refs_n == 2 * (r->target_labels + 1) &&
           (str_eq_c(name, "up") || str_starts(name, STR("scrape_")));
}

static void measure_series(struct rehearsal *r, const struct block_series *s)
{
    struct rehearsal_result *out = &r->result;
    uint64_t longest_name = 0, longest_value = 0;
    struct str metric = STR_NULL;
    for (size_t i = 0; i < s->refs_n; i += 2) {
        struct str name = block_reader_symbol(r->reader, s->refs[i]);
        struct str value = block_reader_symbol(r->reader, s->refs[i + 1]);
        if (str_eq_c(name, "__name__"))
            metric = value;
        raise_to(&longest_name, name.n);
        raise_to(&longest_value, value.n);
    }
    if (is_report(r, s, metric))
        return;
    raise_to(&out->most_labels, s->refs_n / 2);
    raise_to(&out->longest_name, longest_name);
    raise_to(&out->longest_value, longest_value);
}

static void measure(struct rehearsal *r, const struct block *b)
{
    struct block_series s;
    struct err err = {0};
    if (!block_reader_open(r->reader, b->data, b->size, &err))
        return;
    while (block_reader_next(r->reader, &s, &err))
        measure_series(r, &s);
}

/* Only these carry metadata: to other receivers it goes by itself. */
static bool has_meta(enum rehearsal_way way)
{
    return way == REHEARSAL_RW2 || way == REHEARSAL_DISK;
}

static void take_block(void *ctx, struct block *b)
{
    struct rehearsal *r = ctx;
    uint64_t with[REHEARSAL_WAYS], without;
    measure(r, b);
    r->result.sent += b->samples;
    for (enum rehearsal_way way = REHEARSAL_RW1; way < REHEARSAL_WAYS; way++) {
        with[way] = weigh(r, b, way);
        r->result.bytes[way] += with[way];
    }
    struct block *lean = r->seldom ? NULL : without_meta(r, b);
    for (enum rehearsal_way way = REHEARSAL_RW1; lean && way < REHEARSAL_WAYS; way++) {
        if (!has_meta(way) || (without = weigh(r, lean, way)) > with[way])
            continue;
        r->result.bytes[way] -= with[way] - without;
        r->result.meta_bytes[way] += with[way] - without;
    }
    if (r->seldom)
        block_unref(b);
    else if (lean)
        block_unref(lean);
}

/* ---- life ---- */

static struct config_job without_limits(const struct config_job *job)
{
    struct config_job copy = *job;
    copy.body_size_limit = copy.sample_limit = copy.label_limit = copy.label_name_length_limit = 0;
    copy.label_value_length_limit = copy.series_limit = copy.job_series_limit = 0;
    return copy;
}

static void make_target(struct rehearsal *r, const struct target *t)
{
    struct arena arena;
    struct labels labels;
    struct target_settings settings = t ? t->settings : target_settings_of(&r->job);
    settings.sample_limit = settings.label_limit = settings.series_limit = settings.body_size_limit = 0;
    arena_init(&arena);
    labels_init(&labels, &arena);
    for (size_t i = 0; t && i < t->labels_n; i++)
        labels_set(&labels, t->labels[i].name, t->labels[i].value);
    r->target_labels = labels.n;
    r->target = append_target_new(r->worker, &r->job, &labels, &settings);
    labels_free(&labels);
    arena_free(&arena);
}

struct rehearsal *rehearsal_new(const struct scrape_subject *subject, int64_t interval_ms, int64_t now_ms)
{
    struct rehearsal *r = xcalloc(1, sizeof *r);
    struct append_worker_options options = {.emit = take_block, .ctx = r};
    r->config = config_ref((struct config *)subject->config);
    r->job = without_limits(subject->job);
    r->now_ms = now_ms;
    r->seldom = interval_ms >= META_EVERY_MS;
    r->worker = append_worker_new(&options);
    make_target(r, subject->target);
    r->reader = block_reader_new();
    return r;
}

void rehearsal_free(struct rehearsal *r)
{
    if (r->scrape)
        append_cancel(r->scrape);
    append_target_free(r->target);
    append_worker_free(r->worker);
    block_reader_free(r->reader);
    config_unref(r->config);
    free(r);
}

void rehearsal_begin(struct rehearsal *r, enum exposition_format format)
{
    r->scrape = append_begin(r->target, r->now_ms, format);
}

void rehearsal_feed(struct rehearsal *r, const void *bytes, size_t n)
{
    if (!r->scrape)
        rehearsal_begin(r, EXPOSITION_TEXT);
    r->failed = r->failed || !append_feed(r->scrape, bytes, n, &r->why);
}

void rehearsal_end(struct rehearsal *r, bool complete, double seconds, uint64_t raw_bytes,
                   struct rehearsal_result *out)
{
    struct append_outcome outcome = {
        .ok = complete && !r->failed,
        .duration_s = seconds,
        .body_bytes = (int64_t)raw_bytes,
        .timeout_s = (double)r->job.scrape_timeout_ms / 1000,
    };
    struct append_result result;
    struct append_stats stats;
    if (!r->scrape)
        rehearsal_begin(r, EXPOSITION_TEXT);
    append_end(r->scrape, &outcome, &result, &r->why);
    r->scrape = NULL;
    append_flush(r->worker);
    append_worker_stats(r->worker, &stats);
    r->result.up = result.up;
    r->result.why = r->why;
    r->result.scraped = result.scraped;
    r->result.post_relabel = result.post_relabel;
    r->result.series = append_target_series(r->target);
    r->result.dropped_future = stats.out_of_bounds_samples;
    *out = r->result;
}

double rehearsal_per_day(const struct rehearsal_result *r, enum rehearsal_way way, int64_t interval_ms)
{
    double every = (double)(interval_ms > 0 ? interval_ms : 60000);
    double scrapes = DAY_MS / every, announcements = DAY_MS / (every > META_EVERY_MS ? every : META_EVERY_MS);
    return scrapes * (double)r->bytes[way] + announcements * (double)r->meta_bytes[way];
}

const char *rehearsal_way_name(enum rehearsal_way way)
{
    static const char *const NAMES[] = {"rw1", "rw2", "vm", "disk"};
    return NAMES[way];
}
