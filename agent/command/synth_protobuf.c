/* SPDX-License-Identifier: Apache-2.0 */
/* synth_protobuf: made-up things as io.prometheus.client.MetricFamily. Source: prometheus/client_model,
   metrics.proto. */
#include "synth_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/wire.h"

#define PART_MAX 2048 /* of one metric; the largest is a histogram of about 700 bytes */
#define SCHEMA 3      /* of native histograms: eight buckets to a doubling */
#define ZERO_THRESHOLD 1e-128

/* A message being written in a room that has enough of it. */
struct part {
    uint8_t bytes[PART_MAX];
    size_t n;
};

static void put_varint(struct part *p, uint64_t v)
{
    p->n = (size_t)(wire_put_varint(p->bytes + p->n, v) - p->bytes);
}

static void put_uint(struct part *p, uint32_t field, uint64_t v)
{
    put_varint(p, WIRE_TAG(field, WIRE_VARINT));
    put_varint(p, v);
}

static void put_sint(struct part *p, uint32_t field, int64_t v)
{
    put_uint(p, field, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static void put_double(struct part *p, uint32_t field, double v)
{
    put_varint(p, WIRE_TAG(field, WIRE_FIXED64));
    wire_put_double(p->bytes + p->n, v);
    p->n += 8;
}

static void put_bytes(struct part *p, uint32_t field, const void *bytes, size_t n)
{
    put_varint(p, WIRE_TAG(field, WIRE_BYTES));
    put_varint(p, n);
    memcpy(p->bytes + p->n, bytes, n);
    p->n += n;
}

static void put_part(struct part *p, uint32_t field, const struct part *inner)
{
    put_bytes(p, field, inner->bytes, inner->n);
}

static void put_label(struct part *p, const char *name, const char *value)
{
    struct part label = {.n = 0};
    put_bytes(&label, 1, name, strlen(name));
    put_bytes(&label, 2, value, strlen(value));
    put_part(p, 1, &label);
}

static void put_exemplar(struct part *bucket, const char *trace, double value, int64_t now_ms)
{
    struct part exemplar = {.n = 0}, time = {.n = 0};
    put_label(&exemplar, "trace_id", trace);
    put_double(&exemplar, 2, value);
    put_uint(&time, 1, (uint64_t)(now_ms / 1000));
    put_uint(&time, 2, (uint64_t)(now_ms % 1000) * 1000000);
    put_part(&exemplar, 3, &time);
    put_part(bucket, 3, &exemplar);
}

static void put_classic(struct part *histogram, const struct synth_thing *t, int64_t now_ms)
{
    uint64_t below = 0;
    for (size_t i = 0; i < SYNTH_BUCKETS; i++) {
        struct part bucket = {.n = 0};
        below += t->buckets[i];
        put_uint(&bucket, 1, below);
        put_double(&bucket, 2, synth_bounds[i]);
        if (t->trace[0] && i == SYNTH_EXEMPLAR_BUCKET)
            put_exemplar(&bucket, t->trace, synth_observed[i], now_ms);
        put_part(histogram, 3, &bucket);
    }
}

/* Each observed value has a native bucket of its own: spans of one. */
static void put_native(struct part *histogram, const struct synth_thing *t)
{
    int64_t next = 0, before = 0;
    put_sint(histogram, 5, SCHEMA);
    put_double(histogram, 6, ZERO_THRESHOLD);
    put_uint(histogram, 7, 0);
    for (size_t i = 0; i < SYNTH_BUCKETS; i++) {
        struct part span = {.n = 0};
        int64_t index = (int64_t)ceil(log2(synth_observed[i]) * (1 << SCHEMA));
        put_sint(&span, 1, index - next);
        put_uint(&span, 2, 1);
        put_part(histogram, 12, &span);
        next = index + 1;
    }
    for (size_t i = 0; i < SYNTH_BUCKETS; i++) {
        put_sint(histogram, 13, (int64_t)t->buckets[i] - before);
        before = (int64_t)t->buckets[i];
    }
}

void synth_protobuf_put(struct buf *messages, const struct synth_thing *t, bool native, int64_t now_ms)
{
    static const uint32_t FIELDS[SYNTH_KINDS] = {3, 2, 7};
    struct part metric = {.n = 0}, value = {.n = 0};
    put_label(&metric, "id", t->id);
    put_label(&metric, "zone", t->zone);
    put_label(&metric, "pod", t->pod);
    if (t->kind == SYNTH_HISTOGRAM) {
        put_uint(&value, 1, t->count);
        put_double(&value, 2, t->sum);
        put_classic(&value, t, now_ms);
        if (native)
            put_native(&value, t);
    } else {
        put_double(&value, 1, t->value);
    }
    put_part(&metric, FIELDS[t->kind], &value);
    struct part whole = {.n = 0};
    put_part(&whole, 4, &metric);
    buf_add(messages, whole.bytes, whole.n);
}

void synth_protobuf_end(struct buf *out, const struct synth_family *f, struct buf *messages)
{
    static const unsigned TYPES[SYNTH_KINDS] = {0, 1, 4};
    struct part head = {.n = 0}, length = {.n = 0};
    const char *suffix = f->kind == SYNTH_COUNTER ? "_total" : "";
    char name[sizeof f->name + 8];
    snprintf(name, sizeof name, "%s%s", f->name, suffix);
    put_bytes(&head, 1, name, strlen(name));
    put_bytes(&head, 2, f->help, strlen(f->help));
    put_uint(&head, 3, TYPES[f->kind]);
    put_varint(&length, head.n + messages->n);
    buf_add(out, length.bytes, length.n);
    buf_add(out, head.bytes, head.n);
    buf_add_str(out, buf_str(messages));
    if (messages->overflow)
        out->overflow = true;
    buf_clear(messages);
}
