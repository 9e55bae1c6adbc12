/* SPDX-License-Identifier: Apache-2.0 */
/* block_copy: series of blocks written anew into builders. Symbols get their references in a builder when a series
   first needs them, so that a builder holds only what it uses. */
#include "block_copy.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/wire.h"

#include <stdlib.h>

#define HASH_STEP 0x9e3779b97f4a7c15ull

/* What the symbols of the open block are called in one builder, 0 = not there yet. */
struct target {
    uint32_t *refs;
    size_t cap, n; /* n of them are set up */
};

struct block_copier {
    struct block_reader *reader; /* own, or borrowed */
    struct block_reader *own;
    const struct block *block;
    struct block_series series;
    size_t job;
    uint32_t in_job; /* series of it so far */
    struct target targets[BLOCK_COPY_TARGETS];
    uint64_t *hashes; /* of symbols, once asked for */
    size_t hashes_cap, hashes_n;
    struct block_exemplar *exemplars;
    uint32_t *refs; /* of exemplars */
    size_t exemplars_cap, refs_cap;
};

struct block_copier *block_copier_new(void)
{
    struct block_copier *c = xcalloc(1, sizeof *c);
    c->reader = c->own = block_reader_new();
    return c;
}

void block_copier_free(struct block_copier *c)
{
    if (!c)
        return;
    block_reader_free(c->own);
    for (size_t i = 0; i < BLOCK_COPY_TARGETS; i++)
        free(c->targets[i].refs);
    free(c->hashes);
    free(c->exemplars);
    free(c->refs);
    free(c);
}

void block_copier_borrow(struct block_copier *c, struct block_reader *reader)
{
    c->reader = reader;
    c->hashes_n = 0;
    for (size_t i = 0; i < BLOCK_COPY_TARGETS; i++)
        c->targets[i].n = 0;
}

void block_copier_present(struct block_copier *c, const struct block_series *s)
{
    c->series = *s;
}

bool block_copier_open(struct block_copier *c, const struct block *b, struct err *err)
{
    c->block = b;
    c->job = c->in_job = 0;
    block_copier_borrow(c, c->own);
    return block_reader_open(c->reader, b->data, b->size, err);
}

bool block_copier_next(struct block_copier *c, struct err *err)
{
    const struct block *b = c->block;
    if (c->job < b->jobs_n && c->in_job >= b->jobs[c->job].samples) {
        c->job++;
        c->in_job = 0;
    }
    if (!block_reader_next(c->reader, &c->series, err))
        return false;
    if (c->series.samples != 1) /* blocks of ours have one */
        return err_set(err, "block: a series of %zu samples", c->series.samples);
    c->in_job++;
    return true;
}

bool block_copier_job_ends(const struct block_copier *c, struct str *job)
{
    const struct block *b = c->block;
    if (c->job >= b->jobs_n || c->in_job < b->jobs[c->job].samples)
        return false;
    *job = b->jobs[c->job].name;
    return true;
}

uint64_t block_copier_hash(struct block_copier *c)
{
    size_t n = block_reader_symbols(c->reader);
    if (c->hashes_n == 0) {
        c->hashes = xgrow(c->hashes, &c->hashes_cap, n, sizeof *c->hashes);
        for (size_t i = 0; i < n; i++) {
            struct str s = block_reader_symbol(c->reader, (uint32_t)i);
            c->hashes[i] = hash_bytes(s.n ? s.p : "", s.n);
        }
        c->hashes_n = n;
    }
    uint64_t h = 0;
    for (size_t i = 0; i < c->series.refs_n; i++) {
        h = (h ^ c->hashes[c->series.refs[i]]) * HASH_STEP;
        h ^= h >> 29;
    }
    return h;
}

/* ---- writing ---- */

static struct target *target_at(struct block_copier *c, unsigned i)
{
    struct target *t = &c->targets[i];
    size_t n = block_reader_symbols(c->reader);
    if (t->n == n)
        return t;
    t->refs = xgrow(t->refs, &t->cap, n, sizeof *t->refs);
    memset(t->refs, 0, n * sizeof *t->refs);
    t->n = n;
    return t;
}

static uint32_t ref_in(struct block_copier *c, struct target *t, struct block_builder *to, uint32_t ref)
{
    if (ref && !t->refs[ref]) {
        struct str s = block_reader_symbol(c->reader, ref);
        t->refs[ref] = s.n ? block_builder_intern(to, s) : 0;
    }
    return t->refs[ref];
}

void block_copier_symbols(struct block_copier *c, unsigned i, struct block_builder *to)
{
    struct target *t = target_at(c, i);
    for (uint32_t ref = 1; ref < t->n; ref++)
        t->refs[ref] = block_builder_symbol(to, block_reader_symbol(c->reader, ref));
}

static int64_t move(const struct block_shift *shift, int64_t ts_ms)
{
    return shift && ts_ms >= shift->from_ms && ts_ms <= shift->to_ms ? ts_ms + shift->shift_ms : ts_ms;
}

/* The references of a reader's exemplar live until the next one is read: they are copied. */
static bool read_exemplars(struct block_copier *c, struct target *t, struct block_builder *to,
                           const struct block_shift *shift, struct block_extra *extra)
{
    const struct block_series *s = &c->series;
    size_t n = 0;
    c->exemplars = xgrow(c->exemplars, &c->exemplars_cap, s->exemplars + 1, sizeof *c->exemplars);
    for (size_t i = 0; i < s->exemplars; i++) {
        struct block_exemplar *e = &c->exemplars[i];
        if (!block_series_exemplar(c->reader, s, i, e))
            return false;
        c->refs = xgrow(c->refs, &c->refs_cap, n + e->refs_n + 1, sizeof *c->refs);
        for (size_t k = 0; k < e->refs_n; k++)
            c->refs[n++] = ref_in(c, t, to, e->refs[k]);
        e->ts_ms = move(shift, e->ts_ms);
    }
    const uint32_t *refs = c->refs;
    for (size_t i = 0; i < s->exemplars; i++) {
        c->exemplars[i].refs = refs;
        refs += c->exemplars[i].refs_n;
    }
    extra->exemplars = c->exemplars;
    extra->exemplars_n = s->exemplars;
    return true;
}

/* The references of the labels, behind the last series of the builder; where they end. */
static uint8_t *put_labels(struct block_copier *c, struct target *t, struct block_builder *to,
                           const struct block_copy_how *how)
{
    const struct block_series *s = &c->series;
    size_t n = how->labels ? 2 * how->labels_n : s->refs_n;
    uint8_t *p = block_builder_room(to, n * WIRE_VARINT_MAX);
    for (size_t k = 0; !how->labels && k < n; k++)
        p = wire_put_varint(p, ref_in(c, t, to, s->refs[k]));
    for (size_t k = 0; how->labels && k < how->labels_n; k++) {
        p = wire_put_varint(p, block_builder_intern(to, how->labels[k].name));
        p = wire_put_varint(p, block_builder_intern(to, how->labels[k].value));
    }
    return p;
}

bool block_copier_put(struct block_copier *c, unsigned i, struct block_builder *to, const struct block_copy_how *how)
{
    static const struct block_copy_how AS_IT_IS = {0};
    const struct block_series *s = &c->series;
    struct target *t = target_at(c, i);
    how = how ? how : &AS_IT_IS;
    struct block_meta meta = {s->type, ref_in(c, t, to, s->help_ref), ref_in(c, t, to, s->unit_ref)};
    struct block_extra extra = {.start_ts_ms = move(how->shift, s->start_ts_ms)};
    int64_t ts_ms = s->ts_ms, start_ts_ms;
    if (s->is_histogram && !block_series_histogram(s, 0, &extra.histogram, &ts_ms, &start_ts_ms))
        return false;
    if (s->exemplars && !how->no_exemplars && !read_exemplars(c, t, to, how->shift, &extra))
        return false;
    uint8_t *p = put_labels(c, t, to, how);
    if (how->moved)
        *how->moved += move(how->shift, ts_ms) != ts_ms;
    const struct block_meta *with = s->has_meta ? &meta : NULL;
    ts_ms = move(how->shift, ts_ms);
    if (extra.histogram.p || extra.start_ts_ms || extra.exemplars_n)
        block_builder_put_extra(to, p, s->value, ts_ms, with, &extra);
    else
        block_builder_put(to, p, s->value, ts_ms, with);
    return true;
}
