/* SPDX-License-Identifier: Apache-2.0 */
/* block: the builder of sealed batches. Symbols and series grow in two buffers and are put one behind the
   other when the block is sealed, because a symbol may still come when the first series are long written.

     symbols:  22 00 | 22 len bytes | 22 len bytes | ...
     series:   2a len | 0a len refs... | 12 len 09 value 10 timestamp | 2a len meta | 2a len | ...
     extras:   18 start behind a timestamp; 1a len message 78 timestamp [88 01 start] for a histogram; 22 len exemplar

   References are written at a distance of HEAD_ROOM behind the last series, then the tags and lengths in
   front of them, whose sizes are known only now. Nearly always each length fits in one byte, the room is
   exact, and nothing has to move. */
#include "block.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/wire.h"

#define BYTES_DEFAULT ((size_t)1 << 20)
#define SAMPLES_DEFAULT 10000
/* Tag and one-byte length of the series, tag and one-byte length of the references. */
#define HEAD_ROOM 4
#define INTERNED_MIN 256
#define INTERNED_KEEP 16384 /* slots */
#define TAIL_MAX 64 /* sample and metadata of one series, and what longer lengths take */

#define TAG_SYMBOL WIRE_TAG(4, WIRE_BYTES)
#define TAG_SERIES WIRE_TAG(5, WIRE_BYTES)
#define TAG_REFS WIRE_TAG(1, WIRE_BYTES)
#define TAG_SAMPLE WIRE_TAG(2, WIRE_BYTES)
#define TAG_HISTOGRAM WIRE_TAG(3, WIRE_BYTES)
#define TAG_EXEMPLAR WIRE_TAG(4, WIRE_BYTES)
#define TAG_META WIRE_TAG(5, WIRE_BYTES)

/* 19 00.. : sum = the stale marker. */
static const char STALE_HISTOGRAM[] = {WIRE_TAG(3, WIRE_FIXED64), 2, 0, 0, 0, 0, 0, (char)0xf0, 0x7f};
const struct str block_stale_histogram = {STALE_HISTOGRAM, sizeof STALE_HISTOGRAM};

struct bytes {
    uint8_t *p;
    size_t n, cap;
};

struct job_count {
    char *name;
    size_t name_n;
    uint32_t samples;
};

struct block_builder {
    uint32_t lane, generation;
    size_t max_bytes;
    uint32_t max_samples;
    struct bytes symbols, series, tail; /* tail: what follows the references of a series with extras */
    struct interned { /* open addressing by hash; 0 = empty */
        uint32_t tag, at, ref;
    } *interned; /* at: place of the length in symbols */
    size_t interned_cap, interned_n;
    uint32_t symbols_n, samples, booked;
    int64_t min_ts_ms, max_ts_ms;
    uint32_t holds;
    struct job_count *jobs;
    size_t jobs_n, jobs_cap;
    int64_t ts_ms; /* the timestamp that ts_wire encodes: most samples repeat the last one's */
    uint8_t ts_wire[WIRE_VARINT_MAX + 2];
    size_t ts_wire_n;
};

/* ---- the block itself ---- */

struct block *block_ref(struct block *b)
{
    __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
    return b;
}

void block_unref(struct block *b)
{
    if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    free(b->jobs);
    free(b->data);
    free(b);
}

/* ---- building ---- */

static uint8_t *room(struct bytes *b, size_t extra)
{
    if (__builtin_expect(b->cap - b->n < extra, 0))
        b->p = xgrow(b->p, &b->cap, b->n + extra, 1);
    return b->p + b->n;
}

static void start(struct block_builder *b)
{
    b->generation++;
    b->symbols.n = b->series.n = 0;
    b->symbols_n = b->samples = b->booked = 0;
    b->interned_n = 0;
    if (b->interned_cap > INTERNED_KEEP) {
        free(b->interned);
        b->interned = NULL;
        b->interned_cap = 0;
    } else if (b->interned) {
        memset(b->interned, 0, b->interned_cap * sizeof *b->interned);
    }
    b->holds = BLOCK_HOLDS_KNOWN;
    b->min_ts_ms = INT64_MAX;
    b->max_ts_ms = INT64_MIN;
    for (size_t i = 0; i < b->jobs_n; i++)
        free(b->jobs[i].name);
    b->jobs_n = 0;
    (void)block_builder_symbol(b, STR(""));
}

struct block_builder *block_builder_new(uint32_t lane, size_t max_bytes, uint32_t max_samples)
{
    struct block_builder *b = xcalloc(1, sizeof *b);
    b->lane = lane;
    b->max_bytes = max_bytes ? max_bytes : BYTES_DEFAULT;
    b->max_samples = max_samples ? max_samples : SAMPLES_DEFAULT;
    b->ts_wire_n = (size_t)(wire_put_varint(b->ts_wire, 0) - b->ts_wire);
    start(b);
    return b;
}

void block_builder_free(struct block_builder *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < b->jobs_n; i++)
        free(b->jobs[i].name);
    free(b->jobs);
    free(b->symbols.p);
    free(b->series.p);
    free(b->tail.p);
    free(b->interned);
    free(b);
}

uint32_t block_builder_generation(const struct block_builder *b)
{
    return b->generation;
}

uint32_t block_builder_symbol(struct block_builder *b, struct str s)
{
    uint8_t *p = room(&b->symbols, 1 + WIRE_VARINT_MAX + s.n);
    *p++ = TAG_SYMBOL;
    p = wire_put_varint(p, s.n);
    if (s.n)
        memcpy(p, s.p, s.n);
    b->symbols.n = (size_t)(p + s.n - b->symbols.p);
    return b->symbols_n++;
}

static struct str symbol_at(const struct block_builder *b, uint32_t at)
{
    struct wire_reader r = {b->symbols.p + at, b->symbols.p + b->symbols.n, false};
    return wire_get_bytes(&r);
}

static void intern_grow(struct block_builder *b)
{
    struct interned *old = b->interned;
    size_t cap = b->interned_cap;
    b->interned_cap = cap ? cap * 2 : INTERNED_MIN;
    b->interned = xcalloc(b->interned_cap, sizeof *b->interned);
    for (size_t k = 0; k < cap; k++) {
        size_t i = old[k].tag & (b->interned_cap - 1);
        while (old[k].tag && b->interned[i].tag)
            i = (i + 1) & (b->interned_cap - 1);
        if (old[k].tag)
            b->interned[i] = old[k];
    }
    free(old);
}

uint32_t block_builder_intern(struct block_builder *b, struct str s)
{
    uint32_t tag = (uint32_t)hash_bytes(s.p ? s.p : "", s.n) | 1;
    if (b->interned_n * 2 >= b->interned_cap)
        intern_grow(b);
    size_t i = tag & (b->interned_cap - 1);
    for (; b->interned[i].tag; i = (i + 1) & (b->interned_cap - 1))
        if (b->interned[i].tag == tag && str_eq(symbol_at(b, b->interned[i].at), s))
            return b->interned[i].ref;
    uint32_t at = (uint32_t)b->symbols.n + 1, ref = block_builder_symbol(b, s);
    b->interned[i] = (struct interned){tag, at, ref};
    b->interned_n++;
    return ref;
}

uint8_t *block_builder_room(struct block_builder *b, size_t max)
{
    return room(&b->series, HEAD_ROOM + max + TAIL_MAX) + HEAD_ROOM;
}

static void remember_ts(struct block_builder *b, int64_t ts_ms)
{
    b->ts_ms = ts_ms;
    b->ts_wire_n = (size_t)(wire_put_varint(b->ts_wire, (uint64_t)ts_ms) - b->ts_wire);
}

static inline uint8_t *put_sample(struct block_builder *b, uint8_t *p, double value, int64_t ts_ms)
{
    if (ts_ms != b->ts_ms)
        remember_ts(b, ts_ms);
    *p++ = TAG_SAMPLE;
    *p++ = (uint8_t)(1 + 8 + 1 + b->ts_wire_n);
    *p++ = WIRE_TAG(1, WIRE_FIXED64);
    p = wire_put_double(p, value);
    *p++ = WIRE_TAG(2, WIRE_VARINT);
    memcpy(p, b->ts_wire, sizeof b->ts_wire);
    return p + b->ts_wire_n;
}

static uint8_t *put_meta(uint8_t *p, const struct block_meta *meta)
{
    uint8_t *head = p;
    p += 2;
    if (meta->type) {
        *p++ = WIRE_TAG(1, WIRE_VARINT);
        *p++ = (uint8_t)meta->type;
    }
    if (meta->help_ref) {
        *p++ = WIRE_TAG(3, WIRE_VARINT);
        p = wire_put_varint(p, meta->help_ref);
    }
    if (meta->unit_ref) {
        *p++ = WIRE_TAG(4, WIRE_VARINT);
        p = wire_put_varint(p, meta->unit_ref);
    }
    head[0] = TAG_META;
    head[1] = (uint8_t)(p - head - 2);
    return p;
}

static void count(struct block_builder *b, int64_t ts_ms)
{
    b->samples++;
    b->min_ts_ms = ts_ms < b->min_ts_ms ? ts_ms : b->min_ts_ms;
    b->max_ts_ms = ts_ms > b->max_ts_ms ? ts_ms : b->max_ts_ms;
}

/* Puts head and tail around the references that stand where block_builder_room said; room for them is there. */
static void put_around(struct block_builder *b, size_t refs_n, const uint8_t *tail, size_t tail_n)
{
    uint8_t *head = b->series.p + b->series.n, *refs = head + HEAD_ROOM;
    size_t body = 1 + wire_varint_size(refs_n) + refs_n + tail_n;
    size_t shift = wire_varint_size(refs_n) + wire_varint_size(body) - 2;
    if (shift)
        memmove(refs + shift, refs, refs_n);
    memcpy(refs + shift + refs_n, tail, tail_n);
    *head++ = TAG_SERIES;
    head = wire_put_varint(head, body);
    *head++ = TAG_REFS;
    wire_put_varint(head, refs_n);
    b->series.n = (size_t)(refs + shift + refs_n + tail_n - b->series.p);
}

void block_builder_put(struct block_builder *b, const uint8_t *refs_end, double value, int64_t ts_ms,
                       const struct block_meta *meta)
{
    uint8_t *head = b->series.p + b->series.n, *refs = head + HEAD_ROOM;
    size_t refs_n = (size_t)(refs_end - refs);
    if (__builtin_expect(refs_n < 96 && !meta, 1)) {
        uint8_t *end = put_sample(b, refs + refs_n, value, ts_ms);
        head[0] = TAG_SERIES;
        head[1] = (uint8_t)(end - head - 2);
        head[2] = TAG_REFS;
        head[3] = (uint8_t)refs_n;
        b->series.n = (size_t)(end - b->series.p);
    } else {
        uint8_t tail[TAIL_MAX], *end = put_sample(b, tail, value, ts_ms);
        if (meta)
            end = put_meta(end, meta);
        put_around(b, refs_n, tail, (size_t)(end - tail));
    }
    count(b, ts_ms);
}

/* ---- extras ---- */

static void tail_add(struct block_builder *b, const void *p, size_t n)
{
    memcpy(room(&b->tail, n), p, n);
    b->tail.n += n;
}

static void tail_varint(struct block_builder *b, uint32_t tag, uint64_t v)
{
    uint8_t *p = room(&b->tail, 2 * WIRE_VARINT_MAX);
    p = wire_put_varint(p, tag);
    b->tail.n = (size_t)(wire_put_varint(p, v) - b->tail.p);
}

static size_t varint_field(uint32_t field, uint64_t v)
{
    return wire_varint_size(WIRE_TAG(field, WIRE_VARINT)) + wire_varint_size(v);
}

static void tail_histogram(struct block_builder *b, struct str message, int64_t ts_ms, int64_t start_ts_ms)
{
    size_t n = message.n + varint_field(15, (uint64_t)ts_ms);
    if (start_ts_ms)
        n += varint_field(17, (uint64_t)start_ts_ms);
    tail_varint(b, TAG_HISTOGRAM, n);
    if (message.n)
        tail_add(b, message.p, message.n);
    tail_varint(b, WIRE_TAG(15, WIRE_VARINT), (uint64_t)ts_ms);
    if (start_ts_ms)
        tail_varint(b, WIRE_TAG(17, WIRE_VARINT), (uint64_t)start_ts_ms);
}

static void tail_double(struct block_builder *b, uint8_t tag, double v)
{
    uint8_t *p = room(&b->tail, 9);
    *p++ = tag;
    b->tail.n = (size_t)(wire_put_double(p, v) - b->tail.p);
}

static void tail_sample(struct block_builder *b, double value, int64_t ts_ms, int64_t start_ts_ms)
{
    size_t n = 9 + varint_field(2, (uint64_t)ts_ms);
    if (start_ts_ms)
        n += varint_field(3, (uint64_t)start_ts_ms);
    tail_varint(b, TAG_SAMPLE, n);
    tail_double(b, WIRE_TAG(1, WIRE_FIXED64), value);
    tail_varint(b, WIRE_TAG(2, WIRE_VARINT), (uint64_t)ts_ms);
    if (start_ts_ms)
        tail_varint(b, WIRE_TAG(3, WIRE_VARINT), (uint64_t)start_ts_ms);
}

static void tail_exemplar(struct block_builder *b, const struct block_exemplar *e)
{
    size_t refs_n = 0;
    for (size_t i = 0; i < e->refs_n; i++)
        refs_n += wire_varint_size(e->refs[i]);
    size_t n = 9 + varint_field(3, (uint64_t)e->ts_ms);
    if (refs_n)
        n += 1 + wire_varint_size(refs_n) + refs_n;
    tail_varint(b, TAG_EXEMPLAR, n);
    if (refs_n)
        tail_varint(b, TAG_REFS, refs_n);
    for (size_t i = 0; i < e->refs_n; i++)
        b->tail.n = (size_t)(wire_put_varint(room(&b->tail, WIRE_VARINT_MAX), e->refs[i]) - b->tail.p);
    tail_double(b, WIRE_TAG(2, WIRE_FIXED64), e->value);
    tail_varint(b, WIRE_TAG(3, WIRE_VARINT), (uint64_t)e->ts_ms);
}

void block_builder_put_extra(struct block_builder *b, const uint8_t *refs_end, double value, int64_t ts_ms,
                             const struct block_meta *meta, const struct block_extra *extra)
{
    size_t refs_n = (size_t)(refs_end - (b->series.p + b->series.n + HEAD_ROOM));
    b->tail.n = 0;
    b->holds |= (extra->histogram.p ? BLOCK_HOLDS_HISTOGRAMS : 0) | (extra->exemplars_n ? BLOCK_HOLDS_EXEMPLARS : 0);
    if (extra->histogram.p)
        tail_histogram(b, extra->histogram, ts_ms, extra->start_ts_ms);
    else
        tail_sample(b, value, ts_ms, extra->start_ts_ms);
    for (size_t i = 0; i < extra->exemplars_n; i++)
        tail_exemplar(b, &extra->exemplars[i]);
    if (meta)
        b->tail.n = (size_t)(put_meta(room(&b->tail, TAIL_MAX), meta) - b->tail.p);
    (void)room(&b->series, HEAD_ROOM + refs_n + TAIL_MAX + b->tail.n);
    put_around(b, refs_n, b->tail.p, b->tail.n);
    count(b, ts_ms);
}

void block_builder_sample(struct block_builder *b, const uint32_t *refs, size_t refs_n, double value,
                          int64_t ts_ms, const struct block_meta *meta)
{
    uint8_t *p = block_builder_room(b, refs_n * 5 + WIRE_VARINT_MAX);
    for (size_t i = 0; i < refs_n; i++)
        p = wire_put_varint(p, refs[i]);
    block_builder_put(b, p, value, ts_ms, meta);
}

void block_builder_job(struct block_builder *b, struct str job)
{
    uint32_t fresh = b->samples - b->booked;
    b->booked = b->samples;
    if (fresh == 0)
        return;
    /* Only with the one before: the table follows the series, so that a series tells its job. */
    struct job_count *last = b->jobs_n ? &b->jobs[b->jobs_n - 1] : NULL;
    if (last && str_eq(job, str_make(last->name, last->name_n))) {
        last->samples += fresh;
        return;
    }
    b->jobs = xgrow(b->jobs, &b->jobs_cap, b->jobs_n + 1, sizeof *b->jobs);
    b->jobs[b->jobs_n++] = (struct job_count){str_dup(job), job.n, fresh};
}

uint32_t block_builder_samples(const struct block_builder *b)
{
    return b->samples;
}

size_t block_builder_bytes(const struct block_builder *b)
{
    return b->symbols.n + b->series.n;
}

bool block_builder_full(const struct block_builder *b)
{
    return b->samples >= b->max_samples || block_builder_bytes(b) >= b->max_bytes;
}

static void seal_jobs(const struct block_builder *b, struct block *out)
{
    size_t names = 0;
    for (size_t i = 0; i < b->jobs_n; i++)
        names += b->jobs[i].name_n;
    out->jobs_n = b->jobs_n;
    out->jobs = xmalloc(b->jobs_n * sizeof *out->jobs + names);
    char *at = (char *)(out->jobs + b->jobs_n);
    for (size_t i = 0; i < b->jobs_n; i++) {
        const struct job_count *job = &b->jobs[i];
        if (job->name_n)
            memcpy(at, job->name, job->name_n);
        out->jobs[i] = (struct block_job){str_make(at, job->name_n), job->samples};
        at += job->name_n;
    }
}

struct block *block_builder_seal(struct block_builder *b)
{
    if (b->samples == 0)
        return NULL;
    if (b->samples > b->booked) /* nobody has said whose they are */
        block_builder_job(b, STR(""));
    struct block *out = xcalloc(1, sizeof *out);
    out->refs = 1;
    out->lane = b->lane;
    out->series = out->samples = b->samples;
    out->min_ts_ms = b->min_ts_ms;
    out->max_ts_ms = b->max_ts_ms;
    out->holds = b->holds;
    out->sealed_wall_ms = clock_wall_ms();
    seal_jobs(b, out);
    out->size = b->symbols.n + b->series.n;
    out->data = xmalloc(out->size);
    memcpy(out->data, b->symbols.p, b->symbols.n);
    memcpy(out->data + b->symbols.n, b->series.p, b->series.n);
    start(b);
    return out;
}
