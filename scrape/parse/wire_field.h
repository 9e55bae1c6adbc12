/* SPDX-License-Identifier: Apache-2.0 */
/* wire_field: the fields of a protobuf message, one after the other, and the messages within it. */
#ifndef OBSAGENT_SCRAPE_PARSE_WIRE_FIELD_H
#define OBSAGENT_SCRAPE_PARSE_WIRE_FIELD_H

#include "base/wire.h"

struct wire_field {
    uint32_t number, type;
    uint64_t bits; /* a varint, or the bits of a double */
    struct str bytes;
};

static inline struct wire_reader wire_open(struct str bytes)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    return (struct wire_reader){.p = p, .end = p ? p + bytes.n : p};
}

/* The next field; false at the end and when the message is malformed (r->bad). */
static inline bool wire_next(struct wire_reader *r, struct wire_field *f)
{
    if (r->bad || r->p == r->end)
        return false;
    uint64_t tag = wire_get_varint(r);
    f->number = (uint32_t)(tag >> 3);
    f->type = (uint32_t)(tag & 7);
    f->bits = 0;
    f->bytes = STR_NULL;
    if (tag > UINT32_MAX || f->number == 0)
        r->bad = true;
    else if (f->type == WIRE_VARINT)
        f->bits = wire_get_varint(r);
    else if (f->type == WIRE_FIXED64)
        f->bits = wire_get_fixed64(r);
    else if (f->type == WIRE_BYTES)
        f->bytes = wire_get_bytes(r);
    else
        wire_skip(r, f->type);
    return !r->bad;
}

/* Whether it is this field; one of another wire type makes the message malformed. */
static inline bool wire_is(struct wire_reader *r, const struct wire_field *f, uint32_t number, enum wire_type type)
{
    if (f->number != number)
        return false;
    if (f->type != (uint32_t)type)
        r->bad = true;
    return !r->bad;
}

static inline double wire_double(const struct wire_field *f)
{
    double v;
    memcpy(&v, &f->bits, sizeof v);
    return v;
}

static inline int64_t wire_sint(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Goes over the messages `item` within the messages `outer` of a message: a field that may not be repeated, but is,
   counts as if its parts stood in one. */
struct wire_items {
    struct wire_reader message, part;
    uint32_t outer;
};

static inline struct wire_items wire_items_of(struct str message, uint32_t outer)
{
    return (struct wire_items){.message = wire_open(message), .outer = outer};
}

/* The next field within them. */
static inline bool wire_items_next(struct wire_items *i, struct wire_field *f)
{
    while (!wire_next(&i->part, f)) {
        struct wire_field part;
        if (i->part.bad || !wire_next(&i->message, &part))
            return false;
        if (wire_is(&i->message, &part, i->outer, WIRE_BYTES))
            i->part = wire_open(part.bytes);
    }
    return true;
}

static inline bool wire_items_bad(const struct wire_items *i)
{
    return i->message.bad || i->part.bad;
}

#endif
