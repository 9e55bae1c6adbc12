/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_wire: a native histogram as remote write has it. Scalars that are zero are left out, but for the two
   counts: there the field that is present says whether the histogram is one of floats. */
#include "histogram.h"

#include "base/wire.h"
#include "block.h"

#include <math.h>

enum field { /* of remote write's Histogram */
    COUNT_INT = 1,
    COUNT_FLOAT = 2,
    SUM = 3,
    SCHEMA = 4,
    ZERO_THRESHOLD = 5,
    ZERO_COUNT_INT = 6,
    ZERO_COUNT_FLOAT = 7,
    NEGATIVE_SPANS = 8,
    NEGATIVE_DELTAS = 9,
    NEGATIVE_COUNTS = 10,
    POSITIVE_SPANS = 11,
    POSITIVE_DELTAS = 12,
    POSITIVE_COUNTS = 13,
    RESET_HINT = 14,
    CUSTOM_VALUES = 16
};

#define RESET_HINT_GAUGE 3

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[WIRE_VARINT_MAX];
    buf_add(out, bytes, (size_t)(wire_put_varint(bytes, v) - bytes));
}

static void put_double(struct buf *out, double v)
{
    uint8_t bytes[8];
    uint64_t nan = BLOCK_NAN_BITS; /* another one might be the marker of a series that ended */
    if (isnan(v))
        memcpy(&v, &nan, sizeof v);
    wire_put_double(bytes, v);
    buf_add(out, bytes, sizeof bytes);
}

static void put_scalar(struct buf *out, enum field field, uint64_t v)
{
    put_varint(out, WIRE_TAG(field, WIRE_VARINT));
    put_varint(out, v);
}

static void put_double_field(struct buf *out, enum field field, double v)
{
    put_varint(out, WIRE_TAG(field, WIRE_FIXED64));
    put_double(out, v);
}

static bool is_zero(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof bits);
    return bits == 0;
}

static void put_count(struct buf *out, const struct histogram *h, enum field whole, enum field fraction,
                      union histogram_number n)
{
    if (h->is_float)
        put_double_field(out, fraction, n.f);
    else
        put_scalar(out, whole, n.u);
}

static void put_spans(struct buf *out, enum field field, const struct histogram_side *s)
{
    for (size_t i = 0; i < s->spans_n; i++) {
        uint64_t offset = zigzag(s->spans[i].offset), length = s->spans[i].length;
        put_varint(out, WIRE_TAG(field, WIRE_BYTES));
        put_varint(out, (offset ? 1 + wire_varint_size(offset) : 0) + (length ? 1 + wire_varint_size(length) : 0));
        if (offset)
            put_scalar(out, 1, offset);
        if (length)
            put_scalar(out, 2, length);
    }
}

static uint64_t delta(const struct histogram_side *s, size_t i)
{
    return zigzag((int64_t)(s->counts[i].u - (i ? s->counts[i - 1].u : 0)));
}

static void put_deltas(struct buf *out, enum field field, const struct histogram_side *s)
{
    size_t size = 0;
    for (size_t i = 0; i < s->counts_n; i++)
        size += wire_varint_size(delta(s, i));
    put_varint(out, WIRE_TAG(field, WIRE_BYTES));
    put_varint(out, size);
    for (size_t i = 0; i < s->counts_n; i++)
        put_varint(out, delta(s, i));
}

static void put_counts(struct buf *out, enum field field, const struct histogram_side *s)
{
    put_varint(out, WIRE_TAG(field, WIRE_BYTES));
    put_varint(out, s->counts_n * 8);
    for (size_t i = 0; i < s->counts_n; i++)
        put_double(out, s->counts[i].f);
}

static void put_side(struct buf *out, const struct histogram *h, const struct histogram_side *s, enum field spans,
                     enum field deltas, enum field counts)
{
    put_spans(out, spans, s);
    if (s->counts_n && h->is_float)
        put_counts(out, counts, s);
    else if (s->counts_n)
        put_deltas(out, deltas, s);
}

void histogram_encode(const struct histogram *h, struct buf *out)
{
    put_count(out, h, COUNT_INT, COUNT_FLOAT, h->count);
    if (!is_zero(h->sum))
        put_double_field(out, SUM, h->sum);
    if (h->schema)
        put_scalar(out, SCHEMA, zigzag(h->schema));
    if (!is_zero(h->zero_threshold))
        put_double_field(out, ZERO_THRESHOLD, h->zero_threshold);
    put_count(out, h, ZERO_COUNT_INT, ZERO_COUNT_FLOAT, h->zero_count);
    put_side(out, h, &h->negative, NEGATIVE_SPANS, NEGATIVE_DELTAS, NEGATIVE_COUNTS);
    put_side(out, h, &h->positive, POSITIVE_SPANS, POSITIVE_DELTAS, POSITIVE_COUNTS);
    if (h->gauge)
        put_scalar(out, RESET_HINT, RESET_HINT_GAUGE);
    if (!h->bounds_n)
        return;
    put_varint(out, WIRE_TAG(CUSTOM_VALUES, WIRE_BYTES));
    put_varint(out, h->bounds_n * 8);
    for (size_t i = 0; i < h->bounds_n; i++)
        put_double(out, h->bounds[i]);
}
