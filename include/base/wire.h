/* SPDX-License-Identifier: Apache-2.0 */
/* wire: the protobuf wire format, for the per-sample paths that write and read it directly.
   Source: protobuf encoding specification (varint, 64-bit, length-delimited). */
#ifndef OBSAGENT_BASE_WIRE_H
#define OBSAGENT_BASE_WIRE_H

#include "base/str.h"

#include <endian.h>
#include <stdint.h>

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

#define WIRE_TAG(field, type) (((uint32_t)(field) << 3) | (uint32_t)(type))
#define WIRE_VARINT_MAX 10

/* Writes v at p, which has WIRE_VARINT_MAX bytes of room; returns the place behind it. */
static inline uint8_t *wire_put_varint(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

static inline size_t wire_varint_size(uint64_t v)
{
    return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

/* Little-endian 8 bytes, the bits of a double kept exactly. */
static inline uint8_t *wire_put_double(uint8_t *p, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    bits = htole64(bits);
    memcpy(p, &bits, 8);
    return p + 8;
}

/* A cursor over untrusted bytes. `bad` is set by the first malformed item and stays. */
struct wire_reader {
    const uint8_t *p, *end;
    bool bad;
};

/* The rest of a varint whose first byte says that more follow. */
static inline uint64_t wire_get_long_varint(struct wire_reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64 && r->p < r->end; shift += 7) {
        uint8_t byte = *r->p++;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80)
            return v;
    }
    r->bad = true;
    return 0;
}

static inline uint64_t wire_get_varint(struct wire_reader *r)
{
    if (__builtin_expect(r->p < r->end && *r->p < 0x80, 1))
        return *r->p++;
    return wire_get_long_varint(r);
}

static inline uint64_t wire_get_fixed64(struct wire_reader *r)
{
    uint64_t v;
    if (r->end - r->p < 8) {
        r->bad = true;
        return 0;
    }
    memcpy(&v, r->p, 8);
    r->p += 8;
    return le64toh(v);
}

/* A length-delimited field's bytes; empty and bad when they pass the end. */
static inline struct str wire_get_bytes(struct wire_reader *r)
{
    uint64_t n = wire_get_varint(r);
    if (r->bad || n > (uint64_t)(r->end - r->p)) {
        r->bad = true;
        return STR_NULL;
    }
    struct str s = {(const char *)r->p, (size_t)n};
    r->p += n;
    return s;
}

/* Steps over the value of a field of this wire type; groups and unknown types are bad. */
static inline void wire_skip(struct wire_reader *r, uint32_t type)
{
    if (type == WIRE_VARINT) {
        (void)wire_get_varint(r);
    } else if (type == WIRE_FIXED64) {
        (void)wire_get_fixed64(r);
    } else if (type == WIRE_BYTES) {
        (void)wire_get_bytes(r);
    } else if (type == WIRE_FIXED32 && r->end - r->p >= 4) {
        r->p += 4;
    } else {
        r->bad = true;
    }
}

#endif
