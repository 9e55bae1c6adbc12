/* SPDX-License-Identifier: Apache-2.0 */
/* tail: histograms and exemplars in remote write 1.0. */
#include "tail.h"

#include "base/wire.h"

#define TAG_SAMPLE WIRE_TAG(2, WIRE_BYTES)
#define TAG_EXEMPLAR WIRE_TAG(3, WIRE_BYTES)
#define TAG_HISTOGRAM WIRE_TAG(4, WIRE_BYTES)
#define FIELD_SCHEMA 4
#define CUSTOM_BUCKETS 105 /* -53, zigzag */

/* ---- custom buckets ---- */

static bool has_custom_buckets(struct str message)
{
    struct wire_reader r = {(const uint8_t *)message.p, (const uint8_t *)message.p + message.n, false};
    while (!r.bad && r.p < r.end) {
        uint64_t tag = wire_get_varint(&r);
        if (tag == WIRE_TAG(FIELD_SCHEMA, WIRE_VARINT)) {
            if (wire_get_varint(&r) == CUSTOM_BUCKETS)
                return true;
        } else {
            wire_skip(&r, (uint32_t)tag & 7);
        }
    }
    return false;
}

bool tail_has_place(const struct block_series *series)
{
    struct str message;
    int64_t ts_ms, start_ts_ms;
    for (size_t i = 0; series->is_histogram && i < series->samples; i++)
        if (block_series_histogram(series, i, &message, &ts_ms, &start_ts_ms) && has_custom_buckets(message))
            return false;
    return true;
}

/* ---- writing ---- */

static void put_varint(struct buf *out, uint64_t v)
{
    uint8_t bytes[WIRE_VARINT_MAX];
    buf_add(out, bytes, (size_t)(wire_put_varint(bytes, v) - bytes));
}

static void put_double(struct buf *out, uint32_t tag, double v)
{
    uint8_t bytes[8];
    put_varint(out, tag);
    wire_put_double(bytes, v);
    buf_add(out, bytes, sizeof bytes);
}

static void put_text(struct buf *out, uint32_t tag, struct str s)
{
    put_varint(out, tag);
    put_varint(out, s.n);
    buf_add_str(out, s);
}

static size_t text_size(struct str s)
{
    return 1 + wire_varint_size(s.n) + s.n;
}

static bool put_sample(const struct block_series *series, size_t i, struct buf *out)
{
    double value;
    int64_t ts_ms;
    if (!block_series_sample(series, i, &value, &ts_ms))
        return false;
    put_varint(out, TAG_SAMPLE);
    put_varint(out, 10 + wire_varint_size((uint64_t)ts_ms));
    put_double(out, WIRE_TAG(1, WIRE_FIXED64), value);
    put_varint(out, WIRE_TAG(2, WIRE_VARINT));
    put_varint(out, (uint64_t)ts_ms);
    return true;
}

static bool put_histogram(const struct block_series *series, size_t i, struct buf *out)
{
    struct str message;
    int64_t ts_ms, start_ts_ms;
    if (!block_series_histogram(series, i, &message, &ts_ms, &start_ts_ms))
        return false;
    put_varint(out, TAG_HISTOGRAM);
    put_varint(out, message.n + 1 + wire_varint_size((uint64_t)ts_ms));
    buf_add_str(out, message);
    put_varint(out, WIRE_TAG(15, WIRE_VARINT));
    put_varint(out, (uint64_t)ts_ms);
    return true;
}

static bool put_exemplar(struct block_reader *r, const struct block_series *series, size_t i, struct buf *out)
{
    struct block_exemplar e;
    if (!block_series_exemplar(r, series, i, &e))
        return false;
    size_t size = 9 + 1 + wire_varint_size((uint64_t)e.ts_ms);
    for (size_t k = 0; k < e.refs_n; k += 2) {
        size_t label =
            text_size(block_reader_symbol(r, e.refs[k])) + text_size(block_reader_symbol(r, e.refs[k + 1]));
        size += 1 + wire_varint_size(label) + label;
    }
    put_varint(out, TAG_EXEMPLAR);
    put_varint(out, size);
    for (size_t k = 0; k < e.refs_n; k += 2) {
        struct str name = block_reader_symbol(r, e.refs[k]), value = block_reader_symbol(r, e.refs[k + 1]);
        put_varint(out, WIRE_TAG(1, WIRE_BYTES));
        put_varint(out, text_size(name) + text_size(value));
        put_text(out, WIRE_TAG(1, WIRE_BYTES), name);
        put_text(out, WIRE_TAG(2, WIRE_BYTES), value);
    }
    put_double(out, WIRE_TAG(2, WIRE_FIXED64), e.value);
    put_varint(out, WIRE_TAG(3, WIRE_VARINT));
    put_varint(out, (uint64_t)e.ts_ms);
    return true;
}

bool tail_write(struct block_reader *r, const struct block_series *series, bool exemplars, struct buf *out)
{
    bool good = true;
    buf_clear(out);
    for (size_t i = 0; good && i < series->samples; i++)
        good = series->is_histogram ? put_histogram(series, i, out) : put_sample(series, i, out);
    for (size_t i = 0; good && exemplars && i < series->exemplars; i++)
        good = put_exemplar(r, series, i, out);
    return good && !out->overflow;
}
