/* SPDX-License-Identifier: Apache-2.0 */
/* request2: one remote write 2.0 request made of series of a block. */
#include "request2.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/wire.h"

#define TAG_SYMBOL WIRE_TAG(4, WIRE_BYTES)
#define TAG_SERIES WIRE_TAG(5, WIRE_BYTES)
#define TAG_REFS WIRE_TAG(1, WIRE_BYTES)
#define FIELD_REFS 1u
#define FIELD_EXEMPLAR 4u

void request2_free(struct request2 *r)
{
    block_copier_free(r->copier);
    block_builder_free(r->part);
    free(r->external);
    *r = (struct request2){0};
}

/* ---- a whole block ---- */

static void put_symbol(struct buf *out, struct str s)
{
    uint8_t head[1 + WIRE_VARINT_MAX] = {TAG_SYMBOL};
    buf_add(out, head, (size_t)(wire_put_varint(head + 1, s.n) - head));
    buf_add_str(out, s);
}

/* Symbols must not stand twice in a table. */
static uint32_t find_symbol(struct block_reader *reader, size_t n, struct str s)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(block_reader_symbol(reader, i), s))
            return i;
    }
    return UINT32_MAX;
}

static uint32_t find_before(const struct request2 *r, const struct encode_symbol *more, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (more[k].n == more[i].n && memcmp(more[k].p, more[i].p, more[i].n) == 0)
            return r->external[k];
    }
    return UINT32_MAX;
}

void request2_begin_whole(struct request2 *r, struct block_reader *reader, const struct encode_symbol *more, size_t n,
                          struct buf *out)
{
    r->whole = true;
    r->symbols_n = block_reader_symbols(reader);
    for (uint32_t i = 0; i < r->symbols_n; i++)
        put_symbol(out, block_reader_symbol(reader, i));
    r->external = xgrow(r->external, &r->external_cap, n, sizeof *r->external);
    uint32_t next = (uint32_t)r->symbols_n;
    for (size_t i = 0; i < n; i++) {
        struct str s = str_make(more[i].p, more[i].n);
        uint32_t ref = find_symbol(reader, r->symbols_n, s);
        ref = ref == UINT32_MAX ? find_before(r, more, i) : ref;
        if (ref == UINT32_MAX) {
            ref = next++;
            put_symbol(out, s);
        }
        r->external[i] = ref;
    }
}

static inline uint32_t table_ref(const struct request2 *r, uint32_t symbol)
{
    return symbol < r->symbols_n ? symbol : r->external[symbol - r->symbols_n];
}

/* All fields of a series but its label references, and its exemplars unless they are wanted. */
static bool put_rest(const struct block_series *series, bool exemplars, uint8_t **to)
{
    struct wire_reader w = {series->wire, series->wire + series->wire_n, false};
    uint8_t *p = *to;
    while (!w.bad && w.p < w.end) {
        const uint8_t *from = w.p;
        uint64_t tag = wire_get_varint(&w);
        wire_skip(&w, (uint32_t)tag & 7);
        uint64_t field = tag >> 3;
        if (w.bad || field == FIELD_REFS || (field == FIELD_EXEMPLAR && !exemplars))
            continue;
        memcpy(p, from, (size_t)(w.p - from));
        p += w.p - from;
    }
    *to = p;
    return !w.bad;
}

/* What follows the references when they come first and all else is wanted, as in blocks of ours: one piece. */
static bool rest_in_one(const struct block_series *series, bool exemplars, struct str *rest)
{
    struct wire_reader w = {series->wire, series->wire + series->wire_n, false};
    if ((series->exemplars && !exemplars) || wire_get_varint(&w) != TAG_REFS)
        return false;
    wire_skip(&w, WIRE_BYTES);
    *rest = str_make((const char *)w.p, (size_t)(w.end - w.p));
    return !w.bad;
}

enum encode_outcome request2_put_pairs(struct request2 *r, const uint32_t *pairs, size_t n,
                                       const struct block_series *series, bool exemplars, struct buf *out)
{
    size_t refs_n = 0;
    for (size_t i = 0; i < 2 * n; i++)
        refs_n += wire_varint_size(table_ref(r, pairs[i]));
    size_t most = 3 * (1 + WIRE_VARINT_MAX) + refs_n + series->wire_n;
    uint8_t *start = (uint8_t *)buf_reserve(out, most);
    if (!start)
        return ENCODE_BAD;
    /* The rest is written where it would be with lengths of one byte, and moved when they are longer. */
    uint8_t *rest = start + 4 + refs_n, *end = rest;
    struct str one;
    if (rest_in_one(series, exemplars, &one))
        end = (uint8_t *)memcpy(rest, one.p, one.n) + one.n;
    else if (!put_rest(series, exemplars, &end))
        return ENCODE_BAD;
    size_t rest_n = (size_t)(end - rest), inner = 1 + wire_varint_size(refs_n) + refs_n + rest_n;
    size_t shift = wire_varint_size(refs_n) + wire_varint_size(inner) - 2;
    if (shift)
        memmove(rest + shift, rest, rest_n);
    uint8_t *p = start;
    *p++ = TAG_SERIES;
    p = wire_put_varint(p, inner);
    *p++ = TAG_REFS;
    p = wire_put_varint(p, refs_n);
    for (size_t i = 0; i < 2 * n; i++)
        p = wire_put_varint(p, table_ref(r, pairs[i]));
    out->n = (size_t)(p + rest_n - (uint8_t *)out->p);
    return ENCODE_OK;
}

/* ---- a part ---- */

void request2_begin_part(struct request2 *r, struct block_reader *reader)
{
    r->whole = false;
    if (!r->copier)
        r->copier = block_copier_new();
    block_copier_borrow(r->copier, reader);
    block_builder_free(r->part);
    r->part = block_builder_new(0, SIZE_MAX, UINT32_MAX);
}

/* At most so many bytes come with this series: all of its texts could be new ones. */
static size_t most_bytes(const struct label *labels, size_t n, const struct block_series *series)
{
    size_t bytes = series->wire_n + 16;
    for (size_t i = 0; i < n; i++)
        bytes += labels[i].name.n + labels[i].value.n + 8;
    return bytes;
}

enum encode_outcome request2_put_labels(struct request2 *r, const struct label *labels, size_t n,
                                        const struct block_series *series, bool exemplars, size_t max_bytes)
{
    const struct block_copy_how how = {.labels = labels, .labels_n = n, .no_exemplars = !exemplars};
    if (max_bytes && block_builder_samples(r->part) &&
        block_builder_bytes(r->part) + most_bytes(labels, n, series) > max_bytes)
        return ENCODE_LIMIT;
    if (series->samples != 1)
        return ENCODE_BAD;
    block_copier_present(r->copier, series);
    return block_copier_put(r->copier, 0, r->part, &how) ? ENCODE_OK : ENCODE_BAD;
}

bool request2_end(struct request2 *r, struct buf *out)
{
    if (r->whole)
        return !out->overflow;
    struct block *b = block_builder_seal(r->part);
    buf_clear(out);
    if (b)
        buf_add(out, b->data, b->size);
    block_unref(b);
    block_builder_free(r->part);
    r->part = NULL;
    return !out->overflow;
}
