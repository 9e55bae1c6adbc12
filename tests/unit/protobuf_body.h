/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_body: bodies of delimited metric families, written field by field. What begins with pb_open ends with
   pb_close, which puts the length before it. */
#ifndef OBSAGENT_TESTS_PROTOBUF_BODY_H
#define OBSAGENT_TESTS_PROTOBUF_BODY_H

#include "base/buf.h"
#include "base/wire.h"

enum { COUNTER, GAUGE, SUMMARY, UNTYPED, HISTOGRAM, GAUGE_HISTOGRAM }; /* MetricType */

struct pb {
    struct buf b;
    size_t open[8];
    size_t depth;
};

static inline void pb_varint(struct pb *p, uint64_t v)
{
    uint8_t bytes[WIRE_VARINT_MAX];
    buf_add(&p->b, bytes, (size_t)(wire_put_varint(bytes, v) - bytes));
}

static inline void pb_uint(struct pb *p, uint32_t field, uint64_t v)
{
    pb_varint(p, WIRE_TAG(field, WIRE_VARINT));
    pb_varint(p, v);
}

static inline void pb_sint(struct pb *p, uint32_t field, int64_t v)
{
    pb_uint(p, field, ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0));
}

static inline void pb_double(struct pb *p, uint32_t field, double v)
{
    uint8_t bytes[8];
    pb_varint(p, WIRE_TAG(field, WIRE_FIXED64));
    wire_put_double(bytes, v);
    buf_add(&p->b, bytes, 8);
}

static inline void pb_text(struct pb *p, uint32_t field, const char *text)
{
    pb_varint(p, WIRE_TAG(field, WIRE_BYTES));
    pb_varint(p, strlen(text));
    buf_add_c(&p->b, text);
}

/* Field 0 is the family itself, which has no tag. */
static inline void pb_open(struct pb *p, uint32_t field)
{
    if (field)
        pb_varint(p, WIRE_TAG(field, WIRE_BYTES));
    p->open[p->depth++] = p->b.n;
}

static inline void pb_close(struct pb *p)
{
    uint8_t length[WIRE_VARINT_MAX];
    size_t at = p->open[--p->depth], n = p->b.n - at, bytes = (size_t)(wire_put_varint(length, n) - length);
    buf_reserve(&p->b, bytes);
    memmove(p->b.p + at + bytes, p->b.p + at, n);
    memcpy(p->b.p + at, length, bytes);
    p->b.n += bytes;
}

static inline void pb_family(struct pb *p, const char *name, unsigned type)
{
    pb_open(p, 0);
    pb_text(p, 1, name);
    pb_uint(p, 3, type);
}

static inline void pb_label(struct pb *p, const char *name, const char *value)
{
    pb_open(p, 1);
    pb_text(p, 1, name);
    pb_text(p, 2, value);
    pb_close(p);
}

static inline void pb_time(struct pb *p, uint32_t field, uint64_t seconds, uint64_t nanos)
{
    pb_open(p, field);
    pb_uint(p, 1, seconds);
    pb_uint(p, 2, nanos);
    pb_close(p);
}

/* An exemplar {id="..."}; no timestamp when seconds is 0. */
static inline void pb_exemplar(struct pb *p, uint32_t field, const char *id, double value, uint64_t seconds)
{
    pb_open(p, field);
    pb_label(p, "id", id);
    pb_double(p, 2, value);
    if (seconds)
        pb_time(p, 3, seconds, 146848499);
    pb_close(p);
}

static inline void pb_bucket(struct pb *p, double le, uint64_t count)
{
    pb_open(p, 3);
    pb_uint(p, 1, count);
    pb_double(p, 2, le);
    pb_close(p);
}

static inline void pb_span(struct pb *p, uint32_t field, int32_t offset, uint32_t length)
{
    pb_open(p, field);
    pb_sint(p, 1, offset);
    pb_uint(p, 2, length);
    pb_close(p);
}

#endif
