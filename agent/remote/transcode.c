/* SPDX-License-Identifier: Apache-2.0 */
/* transcode: reads the series of a block, gives them their final labels and has them encoded. Without rules
   nothing is looked up by name per sample: external labels are placed by a rank that is computed once per
   symbol. */
#include "transcode.h"

#include <snappy-c.h>

#include <stdlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "encode.h"
#include "request2.h"
#include "sent_labels.h"
#include "tail.h"

/* What is rare stays out of the way of what every sample passes: 3 ns of 73. */
#define RARE __attribute__((noinline))
#define PASSED_BY_ALL inline __attribute__((always_inline))
#define TAIL_MAX ((size_t)64 << 20)
#define ZSTD_LEVEL 1

struct transcoder {
    const struct label *external;
    size_t external_n;
    const struct relabel_rules *rules; /* NULL when there is none to run */

    struct block_reader *reader;
    const struct block *block; /* NULL = none open */
    uint32_t next;             /* the series that block_reader_next returns next */
    uint64_t next_sample;      /* how many samples are before it */

    struct encode_symbol *symbols; /* the block's, then name and value of each external label */
    size_t symbols_n, symbols_cap;
    uint32_t *merged; /* label references of one series with external labels among them */
    size_t merged_cap;
    struct encoder encoder;
    enum transcode_message message;
    struct request2 request2;
    ZSTD_CCtx *zstd;
    bool send_histograms, send_exemplars;
    struct buf tail; /* of one series */

    struct route route;
    struct routing_table routing;

    struct arena arena; /* of one series on its way through the rules */
    struct labels labels;

    struct transcode_meta *metas;
    size_t metas_n, metas_cap;
};

struct transcoder *transcoder_new(void)
{
    struct transcoder *t = xcalloc(1, sizeof *t);
    t->reader = block_reader_new();
    arena_init(&t->arena);
    labels_init(&t->labels, &t->arena);
    buf_init(&t->tail, TAIL_MAX);
    return t;
}

void transcoder_free(struct transcoder *t)
{
    if (!t)
        return;
    block_reader_free(t->reader);
    encoder_free(&t->encoder);
    request2_free(&t->request2);
    routing_table_free(&t->routing);
    ZSTD_freeCCtx(t->zstd);
    labels_free(&t->labels);
    arena_free(&t->arena);
    buf_free(&t->tail);
    free(t->symbols);
    free(t->merged);
    free(t->metas);
    free(t);
}

void transcoder_configure(struct transcoder *t, const struct label *external, size_t external_n,
                          const struct relabel_rules *rules)
{
    transcoder_close(t);
    t->external = external;
    t->external_n = external_n < UINT16_MAX ? external_n : UINT16_MAX - 1;
    t->rules = rules && relabel_count(rules) ? rules : NULL;
}

void transcoder_message(struct transcoder *t, enum transcode_message message)
{
    t->message = message;
}

void transcoder_send(struct transcoder *t, bool histograms, bool exemplars)
{
    transcoder_close(t);
    t->send_histograms = histograms;
    t->send_exemplars = exemplars;
}

void transcoder_route(struct transcoder *t, struct route route)
{
    if (route.group == t->route.group && route.member == t->route.member)
        return;
    transcoder_close(t);
    t->route = route;
}

void transcoder_close(struct transcoder *t)
{
    t->block = NULL;
    t->metas_n = 0;
}

static struct encode_symbol symbol_of(struct str s, const char *readable_end)
{
    bool wide = s.n && readable_end - s.p >= 32;
    return (struct encode_symbol){s.p, (uint32_t)s.n, 0, wide ? ENCODE_WIDE : 0};
}

bool transcoder_open(struct transcoder *t, const struct block *b, struct err *err)
{
    if (t->block == b)
        return true;
    transcoder_close(t);
    if (!block_reader_open(t->reader, b->data, b->size, err))
        return false;
    size_t n = block_reader_symbols(t->reader);
    t->symbols = xgrow(t->symbols, &t->symbols_cap, n + 2 * t->external_n, sizeof *t->symbols);
    const char *end = (const char *)b->data + b->size;
    for (size_t i = 0; i < n; i++)
        t->symbols[i] = symbol_of(block_reader_symbol(t->reader, (uint32_t)i), end);
    for (size_t i = 0; i < t->external_n; i++) {
        t->symbols[n + 2 * i] = symbol_of(t->external[i].name, t->external[i].name.p);
        t->symbols[n + 2 * i + 1] = symbol_of(t->external[i].value, t->external[i].value.p);
    }
    t->symbols_n = n;
    routing_table_reset(&t->routing);
    t->encoder.symbols = t->symbols;
    t->block = b;
    t->next = 0;
    t->next_sample = 0;
    return true;
}

/* ---- labels of one series ---- */

static void rank_symbol(struct transcoder *t, struct encode_symbol *s)
{
    uint16_t rank = 0;
    int order = -1;
    struct str name = str_make(s->p, s->n);
    while (rank < t->external_n && (order = str_cmp(t->external[rank].name, name)) < 0)
        rank++;
    s->rank = rank;
    s->flags |= ENCODE_RANKED;
    if (rank < t->external_n && order == 0)
        s->flags |= ENCODE_SAME;
}

static size_t push_external(struct transcoder *t, size_t n, size_t *from, size_t to)
{
    for (; *from < to; (*from)++) {
        uint32_t ref = (uint32_t)(t->symbols_n + 2 * *from);
        if (t->external[*from].value.n == 0)
            continue;
        t->merged[2 * n] = ref;
        t->merged[2 * n + 1] = ref + 1;
        n++;
    }
    return n;
}

/* The series' labels without empty ones, external labels where absent, in order. Returns how many. */
static size_t merge_labels(struct transcoder *t, const struct block_series *series)
{
    size_t n = 0, external = 0;
    t->merged = xgrow(t->merged, &t->merged_cap, series->refs_n + 2 * t->external_n, sizeof *t->merged);
    for (size_t i = 0; i < series->refs_n; i += 2) {
        struct encode_symbol *name = &t->symbols[series->refs[i]];
        if (name->n == 0 || t->symbols[series->refs[i + 1]].n == 0)
            continue;
        if (!(name->flags & ENCODE_RANKED))
            rank_symbol(t, name);
        n = push_external(t, n, &external, name->rank);
        if (name->flags & ENCODE_SAME && external == name->rank)
            external++;
        t->merged[2 * n] = series->refs[i];
        t->merged[2 * n + 1] = series->refs[i + 1];
        n++;
    }
    return push_external(t, n, &external, t->external_n);
}

static enum encode_outcome encode_plain(struct transcoder *t, const struct block_series *series,
                                        size_t max_bytes, struct buf *out)
{
    if (t->external_n == 0) {
        enum encode_outcome outcome =
            encode_pairs(&t->encoder, series->refs, series->refs_n / 2, series, max_bytes, out);
        if (outcome != ENCODE_EMPTY_LABEL)
            return outcome;
    }
    size_t n = merge_labels(t, series);
    return encode_pairs(&t->encoder, t->merged, n, series, max_bytes, out);
}

/* Fills t->labels with the final labels; false when a rule drops the series or leaves nothing of it. */
static bool final_labels(struct transcoder *t, const struct block_series *series)
{
    arena_reset(&t->arena);
    labels_clear(&t->labels);
    size_t n = merge_labels(t, series);
    for (size_t i = 0; i < n; i++) {
        const struct encode_symbol *name = &t->symbols[t->merged[2 * i]];
        const struct encode_symbol *value = &t->symbols[t->merged[2 * i + 1]];
        labels_push(&t->labels, str_make(name->p, name->n), str_make(value->p, value->n));
    }
    return sent_labels_finish(t->rules, &t->labels, NULL);
}

static void note_meta(struct transcoder *t, const struct block_series *series)
{
    for (size_t i = 0; i < series->refs_n; i += 2) {
        const struct encode_symbol *name = &t->symbols[series->refs[i]];
        if (name->n != 8 || memcmp(name->p, "__name__", 8) != 0)
            continue;
        struct encode_symbol *metric = &t->symbols[series->refs[i + 1]];
        if (metric->flags & ENCODE_META)
            return;
        metric->flags |= ENCODE_META;
        t->metas = xgrow(t->metas, &t->metas_cap, t->metas_n + 1, sizeof *t->metas);
        t->metas[t->metas_n++] = (struct transcode_meta){
            .metric = str_make(metric->p, metric->n),
            .type = series->type,
            .help = block_reader_symbol(t->reader, series->help_ref),
            .unit = block_reader_symbol(t->reader, series->unit_ref),
            .native = series->is_histogram,
        };
        return;
    }
}

const struct transcode_meta *transcoder_metas(const struct transcoder *t, size_t *n)
{
    *n = t->metas_n;
    return t->metas;
}

/* ---- ranges ---- */

static bool next_series(struct transcoder *t, struct block_series *series, struct err *err)
{
    if (!block_reader_next(t->reader, series, err))
        return false;
    t->next++;
    t->next_sample += series->samples;
    return true;
}

/* Places the reader before series `at`; false when the block ends earlier or is malformed (err). */
static bool seek(struct transcoder *t, uint32_t at, struct err *err)
{
    if (at < t->next) {
        block_reader_rewind(t->reader);
        t->next = 0;
        t->next_sample = 0;
    }
    struct block_series skipped;
    while (t->next < at) {
        if (!next_series(t, &skipped, err))
            return false;
    }
    return true;
}

/* Walks along the block's job table: jobs are booked one after the other in the order of series. */
struct job_cursor {
    const struct block *block;
    size_t job;
    uint64_t end; /* the first sample of the next job */
};

static struct job_cursor job_cursor_start(const struct block *b)
{
    return (struct job_cursor){b, 0, b->jobs_n ? b->jobs[0].samples : UINT64_MAX};
}

static size_t job_of_sample(struct job_cursor *c, uint64_t sample)
{
    while (sample >= c->end && c->job + 1 < c->block->jobs_n)
        c->end += c->block->jobs[++c->job].samples;
    return c->job;
}

static bool is_sendable(const struct transcoder *t, const struct block_series *series)
{
    if (!series->is_histogram)
        return series->samples > 0;
    return t->send_histograms && (t->message == TRANSCODE_RW2 || tail_has_place(series));
}

static bool is_ours(struct transcoder *t, const struct block_series *series)
{
    return !t->route.group || !routing_elsewhere(&t->routing, &t->route, t->reader, series);
}

/* ---- remote write 2.0 ---- */

/* Whether the block may go as it is: its bytes are a request. */
static bool is_verbatim(const struct transcoder *t, const struct transcode_range *range)
{
    const struct block *b = t->block;
    bool left_out = !(b->holds & BLOCK_HOLDS_KNOWN) ? !t->send_histograms || !t->send_exemplars
                                                    : (!t->send_histograms && b->holds & BLOCK_HOLDS_HISTOGRAMS) ||
                                                          (!t->send_exemplars && b->holds & BLOCK_HOLDS_EXEMPLARS);
    return t->message == TRANSCODE_RW2 && range->from == 0 && range->to == b->series && !t->rules && !t->route.group &&
           t->external_n == 0 && !left_out && (range->max_samples == 0 || b->samples <= range->max_samples) &&
           (range->max_bytes == 0 || b->size <= range->max_bytes);
}

static bool put_verbatim(const struct transcoder *t, struct buf *out, struct transcode_share *shares,
                         struct transcode_result *result, struct err *err)
{
    const struct block *b = t->block;
    buf_add(out, b->data, b->size);
    for (size_t i = 0; i < b->jobs_n; i++)
        shares[i].samples = b->jobs[i].samples;
    if (b->jobs_n == 0)
        shares[0].samples = b->samples;
    result->series = b->series;
    result->samples = b->samples;
    result->max_ts_ms = b->max_ts_ms;
    return !out->overflow || err_set(err, "a block of %zu bytes is too large for a request", b->size);
}

/* The whole block keeps its table when all of it fits into one request. */
static void begin_request2(struct transcoder *t, const struct transcode_range *range, struct buf *out)
{
    const struct block *b = t->block;
    size_t external = 0;
    for (size_t i = 0; i < t->external_n; i++)
        external += t->external[i].name.n + t->external[i].value.n + 8;
    bool fits = (range->max_samples == 0 || b->samples <= range->max_samples) &&
                (range->max_bytes == 0 || b->size + external + b->series * 6 * t->external_n <= range->max_bytes);
    if (range->from == 0 && range->to == b->series && !t->rules && !t->route.group && fits)
        request2_begin_whole(&t->request2, t->reader, t->symbols + t->symbols_n, 2 * t->external_n, out);
    else
        request2_begin_part(&t->request2, t->reader);
}

static enum encode_outcome put_request2(struct transcoder *t, const struct block_series *series, size_t max_bytes,
                                        struct buf *out)
{
    if (t->request2.whole) {
        size_t n = merge_labels(t, series);
        return request2_put_pairs(&t->request2, t->merged, n, series, t->send_exemplars, out);
    }
    if (!t->rules && !final_labels(t, series))
        return ENCODE_OK; /* no labels: cannot be */
    return request2_put_labels(&t->request2, t->labels.v, t->labels.n, series, t->send_exemplars, max_bytes);
}

/* ---- one series ---- */

/* What comes of one series in a request. */
static PASSED_BY_ALL enum encode_outcome put_series(struct transcoder *t, const struct block_series *series,
                                                    size_t max_bytes, struct buf *out, struct transcode_share *share,
                                                    struct transcode_result *result)
{
    enum encode_outcome outcome = t->message == TRANSCODE_RW2 ? put_request2(t, series, max_bytes, out)
                                  : t->rules ? encode_labels(&t->encoder, &t->labels, series, max_bytes, out)
                                             : encode_plain(t, series, max_bytes, out);
    if (outcome != ENCODE_OK)
        return outcome;
    share->samples += series->samples;
    result->samples += series->samples;
    result->series++;
    if (series->ts_ms > result->max_ts_ms)
        result->max_ts_ms = series->ts_ms;
    if (series->has_meta && t->message == TRANSCODE_RW1) /* 2.0 has it in the series */
        note_meta(t, series);
    return ENCODE_OK;
}

/* The same for a series of histograms or with exemplars, which may have to stay. */
static RARE enum encode_outcome put_special(struct transcoder *t, const struct block_series *series, size_t max_bytes,
                                            struct buf *out, struct transcode_share *share,
                                            struct transcode_result *result)
{
    enum encode_outcome outcome = ENCODE_OK;
    bool sent = is_sendable(t, series);
    if (sent && t->message == TRANSCODE_RW2) {
        outcome = put_series(t, series, max_bytes, out, share, result);
    } else if (sent) {
        if (!tail_write(t->reader, series, t->send_exemplars, &t->tail))
            return ENCODE_BAD;
        t->encoder.tail = buf_str(&t->tail);
        outcome = put_series(t, series, max_bytes, out, share, result);
        t->encoder.tail = STR_NULL;
    } else {
        share->unsent += series->samples;
        result->unsent += series->samples;
        result->custom += t->send_histograms ? series->samples : 0;
    }
    if (outcome == ENCODE_OK && !(sent && t->send_exemplars))
        result->exemplars_left += series->exemplars;
    return outcome;
}

/* One series into out, or into the filtered or unsent share. */
static enum encode_outcome encode_one(struct transcoder *t, const struct block_series *series,
                                      const struct transcode_range *range, struct buf *out,
                                      struct transcode_share *share, struct transcode_result *result)
{
    bool limited = range->max_samples && result->samples &&
                   result->samples + series->samples > range->max_samples;
    if (limited)
        return ENCODE_LIMIT;
    if (series->samples == 0)
        return ENCODE_OK;
    if (!is_ours(t, series)) {
        share->routed += series->samples;
        result->routed += series->samples;
        return ENCODE_OK;
    }
    if (t->rules && !final_labels(t, series)) {
        share->filtered += series->samples;
        result->filtered += series->samples;
        return ENCODE_OK;
    }
    if (__builtin_expect(series->is_histogram || series->exemplars, 0))
        return put_special(t, series, range->max_bytes, out, share, result);
    return put_series(t, series, range->max_bytes, out, share, result);
}

/* The series of the range one by one, until a limit. */
static bool encode_all(struct transcoder *t, const struct transcode_range *range, struct buf *out,
                       struct transcode_share *shares, struct transcode_result *result, struct err *err)
{
    struct job_cursor jobs = job_cursor_start(t->block);
    struct block_series series;
    if (!seek(t, range->from, err))
        return !err_is(err);
    for (uint32_t i = range->from; i < range->to; i++) {
        uint64_t sample = t->next_sample;
        if (!next_series(t, &series, err))
            return !err_is(err);
        struct transcode_share *share = &shares[job_of_sample(&jobs, sample)];
        enum encode_outcome outcome = encode_one(t, &series, range, out, share, result);
        if (outcome == ENCODE_LIMIT) {
            result->to = i;
            return true;
        }
        if (outcome != ENCODE_OK)
            return err_set(err, "cannot encode series %u of the block", i);
    }
    return true;
}

bool transcoder_encode(struct transcoder *t, const struct transcode_range *range, struct buf *out,
                       struct transcode_share *shares, struct transcode_result *result, struct err *err)
{
    size_t shares_n = t->block->jobs_n ? t->block->jobs_n : 1;
    memset(shares, 0, shares_n * sizeof *shares);
    *result = (struct transcode_result){.to = range->to, .max_ts_ms = INT64_MIN};
    buf_clear(out);
    encoder_begin(&t->encoder);
    t->metas_n = 0;
    if (is_verbatim(t, range))
        return put_verbatim(t, out, shares, result, err);
    bool two = t->message == TRANSCODE_RW2;
    if (two)
        begin_request2(t, range, out);
    if (!encode_all(t, range, out, shares, result, err))
        return false;
    if (two && !request2_end(&t->request2, out))
        return err_set(err, "the request is too large");
    if (two && result->series == 0)
        buf_clear(out); /* symbols alone are nothing to send */
    return true;
}

/* The next series at or behind t->next, before `to`, that is sent; `to` when there is none. */
static uint32_t next_survivor(struct transcoder *t, uint32_t to)
{
    struct block_series series;
    while (t->next < to && next_series(t, &series, NULL)) {
        if (is_sendable(t, &series) && is_ours(t, &series) && (!t->rules || final_labels(t, &series)))
            return t->next - 1;
    }
    return to;
}

uint32_t transcoder_middle(struct transcoder *t, uint32_t from, uint32_t to)
{
    uint32_t survivors = 0;
    if (seek(t, from, NULL)) {
        while (next_survivor(t, to) < to)
            survivors++;
    }
    uint32_t middle = to;
    if (survivors >= 2 && seek(t, from, NULL)) {
        for (uint32_t i = 0; i <= survivors / 2; i++)
            middle = next_survivor(t, to);
    }
    return middle;
}

bool transcoder_describe(struct transcoder *t, uint32_t from, uint32_t to, struct buf *out)
{
    struct block_series series;
    if (!seek(t, from, NULL))
        return false;
    while (t->next < to && next_series(t, &series, NULL)) {
        if (is_sendable(t, &series) && is_ours(t, &series) && final_labels(t, &series)) {
            labels_format(&t->labels, out);
            return true;
        }
    }
    return false;
}

bool transcode_snappy(struct str raw, struct buf *out)
{
    buf_clear(out);
    size_t n = snappy_max_compressed_length(raw.n);
    char *p = buf_reserve(out, n);
    if (!p || snappy_compress(raw.p, raw.n, p, &n) != SNAPPY_OK)
        return false;
    out->n = n;
    return true;
}

bool transcode_zstd(struct transcoder *t, struct str raw, struct buf *out)
{
    buf_clear(out);
    size_t bound = ZSTD_compressBound(raw.n);
    char *p = buf_reserve(out, bound);
    if (!t->zstd)
        t->zstd = ZSTD_createCCtx();
    if (!p || !t->zstd)
        return false;
    size_t n = ZSTD_compressCCtx(t->zstd, p, bound, raw.p, raw.n, ZSTD_LEVEL);
    if (ZSTD_isError(n))
        return false;
    out->n = n;
    return true;
}
