/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_block: any bytes as a block. What reads well is written again from what was read, histograms, exemplars and
   start timestamps too, and must read the same. */
#include <stdint.h>
#include <stdlib.h>

#include "base/wire.h"
#include "block.h"

#define EXEMPLARS_MAX 16
#define EXEMPLAR_REFS_MAX 32

/* The series' exemplars, as many as there is room for, with their references in `refs`. All must be readable. */
static size_t exemplars_of(struct block_reader *r, const struct block_series *s, struct block_exemplar *out,
                           uint32_t refs[][EXEMPLAR_REFS_MAX])
{
    size_t n = 0;
    struct block_exemplar e;
    for (size_t i = 0; i < s->exemplars && i < 4 * EXEMPLARS_MAX; i++) {
        if (!block_series_exemplar(r, s, i, &e) || e.refs_n % 2)
            abort();
        for (size_t k = 0; k < e.refs_n; k++)
            if (e.refs[k] >= block_reader_symbols(r))
                abort();
        if (n == EXEMPLARS_MAX || e.refs_n > EXEMPLAR_REFS_MAX)
            continue;
        if (e.refs_n)
            memcpy(refs[n], e.refs, e.refs_n * sizeof *e.refs);
        e.refs = refs[n];
        out[n++] = e;
    }
    return n;
}

/* Exemplars go with the last sample. */
static void rewrite_sample(struct block_reader *r, struct block_builder *b, const struct block_series *s, size_t i)
{
    struct block_exemplar exemplars[EXEMPLARS_MAX];
    uint32_t refs[EXEMPLARS_MAX][EXEMPLAR_REFS_MAX];
    struct block_meta meta = {s->type, s->help_ref, s->unit_ref};
    struct block_extra extra = {.exemplars = exemplars, .start_ts_ms = i ? 0 : s->start_ts_ms};
    double value = 0;
    int64_t ts;
    if (s->is_histogram ? !block_series_histogram(s, i, &extra.histogram, &ts, &extra.start_ts_ms)
                        : !block_series_sample(s, i, &value, &ts))
        abort();
    if (s->is_histogram != (extra.histogram.p != NULL))
        abort();
    if (i + 1 == s->samples)
        extra.exemplars_n = exemplars_of(r, s, exemplars, refs);
    if (!s->is_histogram && extra.start_ts_ms == 0 && extra.exemplars_n == 0) {
        block_builder_sample(b, s->refs, s->refs_n, value, ts, s->has_meta ? &meta : NULL);
        return;
    }
    uint8_t *p = block_builder_room(b, s->refs_n * WIRE_VARINT_MAX);
    for (size_t k = 0; k < s->refs_n; k++)
        p = wire_put_varint(p, s->refs[k]);
    block_builder_put_extra(b, p, value, ts, s->has_meta ? &meta : NULL, &extra);
}

static struct block *rewrite(struct block_reader *r)
{
    struct block_builder *b = block_builder_new(0, 0, 0);
    struct block_series s;
    struct err err = {0};
    for (uint32_t i = 1; i < block_reader_symbols(r); i++)
        if (block_builder_symbol(b, block_reader_symbol(r, i)) != i)
            abort();
    while (block_reader_next(r, &s, &err)) {
        for (size_t i = 0; i < s.refs_n; i++)
            if (!block_reader_symbol(r, s.refs[i]).p && s.refs[i] >= block_reader_symbols(r))
                abort();
        for (size_t i = 0; i < s.samples; i++)
            rewrite_sample(r, b, &s, i);
    }
    struct block *out = err_is(&err) ? NULL : block_builder_seal(b);
    block_builder_free(b);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct block_reader *first, *second;
    struct err err = {0};
    if (!first) {
        first = block_reader_new();
        second = block_reader_new();
    }
    if (!block_reader_open(first, data, n, &err))
        return 0;
    struct block *once = rewrite(first);
    if (!once)
        return 0;
    if (!block_reader_open(second, once->data, once->size, &err))
        abort();
    struct block *twice = rewrite(second);
    if (!twice || twice->size != once->size || memcmp(twice->data, once->data, once->size) != 0)
        abort();
    block_unref(once);
    block_unref(twice);
    return 0;
}
