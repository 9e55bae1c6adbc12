/* SPDX-License-Identifier: Apache-2.0 */
/* hold_shift: a block written anew with other timestamps. */
#include "hold.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/wire.h"

/* What is moved, and by how much. */
struct move {
    int64_t from_ms, to_ms, shift_ms;
    uint64_t moved;
    struct block_reader *reader;
    struct block_builder *builder;
    struct block_exemplar *exemplars;
    uint32_t *refs;
    size_t exemplars_cap, refs_cap;
};

static int64_t moved(const struct move *m, int64_t ts_ms)
{
    return ts_ms >= m->from_ms && ts_ms <= m->to_ms ? ts_ms + m->shift_ms : ts_ms;
}

/* The references of a reader's exemplar live until the next one is read: they are copied. */
static bool read_exemplars(struct move *m, const struct block_series *s, struct block_extra *extra)
{
    size_t refs_n = 0;
    m->exemplars = xgrow(m->exemplars, &m->exemplars_cap, s->exemplars + 1, sizeof *m->exemplars);
    for (size_t i = 0; i < s->exemplars; i++) {
        struct block_exemplar *e = &m->exemplars[i];
        if (!block_series_exemplar(m->reader, s, i, e))
            return false;
        m->refs = xgrow(m->refs, &m->refs_cap, refs_n + e->refs_n + 1, sizeof *m->refs);
        if (e->refs_n)
            memcpy(m->refs + refs_n, e->refs, e->refs_n * sizeof *e->refs);
        refs_n += e->refs_n;
        e->ts_ms = moved(m, e->ts_ms);
    }
    const uint32_t *refs = m->refs;
    for (size_t i = 0; i < s->exemplars; i++) {
        m->exemplars[i].refs = refs;
        refs += m->exemplars[i].refs_n;
    }
    extra->exemplars = m->exemplars;
    extra->exemplars_n = s->exemplars;
    return true;
}

static bool copy_series(struct move *m, const struct block_series *s)
{
    struct block_meta meta = {s->type, s->help_ref, s->unit_ref};
    struct block_extra extra = {0};
    double value = 0;
    int64_t ts_ms, start_ts_ms = s->start_ts_ms;
    if (s->samples != 1) /* blocks of ours have one */
        return false;
    bool good = s->is_histogram ? block_series_histogram(s, 0, &extra.histogram, &ts_ms, &start_ts_ms)
                                : block_series_sample(s, 0, &value, &ts_ms);
    if (!good)
        return false;
    m->moved += moved(m, ts_ms) != ts_ms;
    extra.start_ts_ms = moved(m, start_ts_ms);
    uint8_t *p = block_builder_room(m->builder, s->refs_n * WIRE_VARINT_MAX);
    for (size_t i = 0; i < s->refs_n; i++)
        p = wire_put_varint(p, s->refs[i]);
    if (!read_exemplars(m, s, &extra))
        return false;
    const struct block_meta *with = s->has_meta ? &meta : NULL;
    if (extra.histogram.p || extra.start_ts_ms || extra.exemplars_n)
        block_builder_put_extra(m->builder, p, value, moved(m, ts_ms), with, &extra);
    else
        block_builder_put(m->builder, p, value, moved(m, ts_ms), with);
    return true;
}

static bool copy_all(struct move *m, const struct block *b, struct err *err)
{
    struct block_series s;
    size_t job = 0;
    uint32_t in_job = 0;
    if (!block_reader_open(m->reader, b->data, b->size, err))
        return false;
    for (uint32_t i = 1; i < block_reader_symbols(m->reader); i++)
        (void)block_builder_symbol(m->builder, block_reader_symbol(m->reader, i));
    while (block_reader_next(m->reader, &s, err)) {
        if (!copy_series(m, &s))
            return err_set(err, "a series cannot be read");
        if (job < b->jobs_n && ++in_job == b->jobs[job].samples) {
            block_builder_job(m->builder, b->jobs[job++].name);
            in_job = 0;
        }
    }
    return !err_is(err);
}

struct block *hold_shift(const struct block *b, int64_t from_ms, int64_t to_ms, int64_t shift_ms,
                         uint64_t *moved_n, struct err *err)
{
    struct move m = {.from_ms = from_ms, .to_ms = to_ms, .shift_ms = shift_ms};
    m.reader = block_reader_new();
    m.builder = block_builder_new(b->lane, SIZE_MAX, UINT32_MAX);
    struct block *out = copy_all(&m, b, err) ? block_builder_seal(m.builder) : NULL;
    *moved_n = m.moved;
    block_builder_free(m.builder);
    block_reader_free(m.reader);
    free(m.exemplars);
    free(m.refs);
    return out;
}
