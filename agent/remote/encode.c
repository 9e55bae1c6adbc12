/* SPDX-License-Identifier: Apache-2.0 */
/* encode: writes series as RW1 TimeSeries messages. Sizes are known before the first byte is written, because
   protobuf puts lengths in front:

     0A len { 0A len { 0A n name 12 n value } ... 12 len { 09 value 10 timestamp } ... }        */
#include "encode.h"

#include <stdlib.h>

#include "base/alloc.h"

#define COPY_SLACK 32 /* copy_short writes up to this much past the end */

#define TAG_SERIES WIRE_TAG(1, WIRE_BYTES)
#define TAG_LABEL WIRE_TAG(1, WIRE_BYTES)
#define TAG_NAME WIRE_TAG(1, WIRE_BYTES)
#define TAG_VALUE WIRE_TAG(2, WIRE_BYTES)
#define TAG_SAMPLE WIRE_TAG(2, WIRE_BYTES)
#define TAG_SAMPLE_VALUE WIRE_TAG(1, WIRE_FIXED64)
#define TAG_SAMPLE_TS WIRE_TAG(2, WIRE_VARINT)

void encoder_free(struct encoder *e)
{
    free(e->prev);
    free(e->ends);
    *e = (struct encoder){0};
}

void encoder_begin(struct encoder *e)
{
    e->prev_n = 0;
}

static inline uint64_t pair_at(const uint32_t *refs, size_t i)
{
    uint64_t pair;
    memcpy(&pair, refs + 2 * i, sizeof pair);
    return pair;
}

static inline size_t label_inner_size(size_t name_n, size_t value_n)
{
    return 2 + wire_varint_size(name_n) + name_n + wire_varint_size(value_n) + value_n;
}

static inline size_t label_size(size_t name_n, size_t value_n)
{
    size_t inner = label_inner_size(name_n, value_n);
    return 1 + wire_varint_size(inner) + inner;
}

/* Most names and values are short; copying a fixed 16 or 32 bytes is cheaper than asking how many. */
static inline uint8_t *copy_short(uint8_t *to, const char *from, size_t n, bool wide)
{
    if (wide && n <= 16)
        memcpy(to, from, 16);
    else if (wide && n <= 32)
        memcpy(to, from, 32);
    else
        memcpy(to, from, n);
    return to + n;
}

static inline uint8_t *put_label(uint8_t *p, struct str name, bool name_wide, struct str value,
                                 bool value_wide)
{
    *p++ = TAG_LABEL;
    p = wire_put_varint(p, label_inner_size(name.n, value.n));
    *p++ = TAG_NAME;
    p = wire_put_varint(p, name.n);
    p = copy_short(p, name.p, name.n, name_wide);
    *p++ = TAG_VALUE;
    p = wire_put_varint(p, value.n);
    return copy_short(p, value.p, value.n, value_wide);
}

static inline size_t sample_inner_size(int64_t ts_ms)
{
    return 10 + wire_varint_size((uint64_t)ts_ms);
}

/* Zero values and timestamps are written out too: an omitted -0.0 would come back as 0. */
static inline uint8_t *put_sample(uint8_t *p, double value, int64_t ts_ms)
{
    *p++ = TAG_SAMPLE;
    *p++ = (uint8_t)sample_inner_size(ts_ms);
    *p++ = TAG_SAMPLE_VALUE;
    p = wire_put_double(p, value);
    *p++ = TAG_SAMPLE_TS;
    return wire_put_varint(p, (uint64_t)ts_ms);
}

static bool samples_size(const struct block_series *series, size_t *size)
{
    *size = 0;
    for (size_t i = 0; i < series->samples; i++) {
        double value;
        int64_t ts_ms;
        if (!block_series_sample(series, i, &value, &ts_ms))
            return false;
        *size += 2 + sample_inner_size(ts_ms);
    }
    return true;
}

static uint8_t *put_samples(uint8_t *p, const struct encoder *e, const struct block_series *series)
{
    if (__builtin_expect(e->tail.p != NULL, 0)) {
        memcpy(p, e->tail.p, e->tail.n);
        return p + e->tail.n;
    }
    if (series->samples == 1)
        return put_sample(p, series->value, series->ts_ms);
    for (size_t i = 0; i < series->samples; i++) {
        double value;
        int64_t ts_ms;
        if (block_series_sample(series, i, &value, &ts_ms))
            p = put_sample(p, value, ts_ms);
    }
    return p;
}

/* Opens the message of a series whose labels take labels_n bytes; *at is where they go. */
static enum encode_outcome open_series(const struct encoder *e, const struct block_series *series, size_t labels_n,
                                       size_t max_bytes, struct buf *out, uint8_t **at)
{
    size_t samples_n = 2 + sample_inner_size(series->ts_ms);
    if (__builtin_expect(e->tail.p != NULL, 0))
        samples_n = e->tail.n;
    else if (series->samples != 1 && !samples_size(series, &samples_n))
        return ENCODE_BAD;
    size_t inner = labels_n + samples_n;
    size_t whole = 1 + wire_varint_size(inner) + inner;
    if (max_bytes && out->n && out->n + whole > max_bytes)
        return ENCODE_LIMIT;
    uint8_t *p = (uint8_t *)buf_reserve(out, whole + COPY_SLACK);
    if (!p)
        return ENCODE_BAD;
    *p++ = TAG_SERIES;
    *at = wire_put_varint(p, inner);
    return ENCODE_OK;
}

static void close_series(struct buf *out, const uint8_t *end)
{
    out->n = (size_t)(end - (const uint8_t *)out->p);
}

/* How many pairs at the front and at the back equal the series before. */
static void find_shared(const struct encoder *e, const uint32_t *refs, size_t n, size_t *front, size_t *back)
{
    size_t most = n < e->prev_n ? n : e->prev_n;
    size_t f = 0, b = 0;
    while (f < most && pair_at(refs, f) == pair_at(e->prev, f))
        f++;
    while (b < most - f && pair_at(refs, n - 1 - b) == pair_at(e->prev, e->prev_n - 1 - b))
        b++;
    *front = f;
    *back = b;
}

/* Turns prev and ends into those of the new series; ENCODE_EMPTY_LABEL leaves nothing shared. */
static enum encode_outcome note_series(struct encoder *e, const uint32_t *refs, size_t n, size_t front,
                                       size_t back)
{
    size_t old_n = e->prev_n;
    size_t old_back = old_n > back ? e->ends[old_n - back - 1] : 0;
    e->prev = xgrow(e->prev, &e->prev_cap, 2 * n, sizeof *e->prev);
    e->ends = xgrow(e->ends, &e->ends_cap, n, sizeof *e->ends);
    if (n != old_n && back)
        memmove(e->ends + n - back, e->ends + old_n - back, back * sizeof *e->ends);
    size_t at = front ? e->ends[front - 1] : 0;
    for (size_t i = front; i < n - back; i++) {
        size_t name_n = e->symbols[refs[2 * i]].n, value_n = e->symbols[refs[2 * i + 1]].n;
        if (name_n == 0 || value_n == 0) {
            e->prev_n = 0;
            return ENCODE_EMPTY_LABEL;
        }
        at += label_size(name_n, value_n);
        e->ends[i] = (uint32_t)at;
    }
    if (at != old_back) {
        for (size_t i = n - back; i < n; i++)
            e->ends[i] += (uint32_t)(at - old_back);
    }
    memcpy(e->prev + 2 * front, refs + 2 * front, (n - front) * 2 * sizeof *refs);
    e->prev_n = n;
    return ENCODE_OK;
}

enum encode_outcome encode_pairs(struct encoder *e, const uint32_t *refs, size_t n,
                                 const struct block_series *series, size_t max_bytes, struct buf *out)
{
    size_t front, back;
    find_shared(e, refs, n, &front, &back);
    size_t front_n = front ? e->ends[front - 1] : 0;
    size_t back_at = e->prev_n > back ? e->ends[e->prev_n - back - 1] : 0;
    size_t back_n = back ? e->ends[e->prev_n - 1] - back_at : 0;
    enum encode_outcome outcome = note_series(e, refs, n, front, back);
    if (outcome != ENCODE_OK)
        return outcome;
    uint8_t *p;
    outcome = open_series(e, series, n ? e->ends[n - 1] : 0, max_bytes, out, &p);
    if (outcome != ENCODE_OK) {
        e->prev_n = 0;
        return outcome;
    }
    const uint8_t *before = (const uint8_t *)out->p + e->prev_at;
    e->prev_at = (size_t)(p - (uint8_t *)out->p);
    memcpy(p, before, front_n);
    p += front_n;
    for (size_t i = front; i < n - back; i++) {
        const struct encode_symbol *name = &e->symbols[refs[2 * i]], *value = &e->symbols[refs[2 * i + 1]];
        p = put_label(p, str_make(name->p, name->n), name->flags & ENCODE_WIDE, str_make(value->p, value->n),
                      value->flags & ENCODE_WIDE);
    }
    memcpy(p, before + back_at, back_n);
    close_series(out, put_samples(p + back_n, e, series));
    return ENCODE_OK;
}

enum encode_outcome encode_labels(struct encoder *e, const struct labels *labels,
                                  const struct block_series *series, size_t max_bytes, struct buf *out)
{
    size_t labels_n = 0;
    for (size_t i = 0; i < labels->n; i++)
        labels_n += label_size(labels->v[i].name.n, labels->v[i].value.n);
    uint8_t *p;
    enum encode_outcome outcome = open_series(e, series, labels_n, max_bytes, out, &p);
    if (outcome != ENCODE_OK)
        return outcome;
    for (size_t i = 0; i < labels->n; i++)
        p = put_label(p, labels->v[i].name, false, labels->v[i].value, false);
    close_series(out, put_samples(p, e, series));
    encoder_begin(e);
    return ENCODE_OK;
}
