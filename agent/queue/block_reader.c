/* SPDX-License-Identifier: Apache-2.0 */
/* block_reader: reads the bytes of a block, which may be anything when they come from disk. The first pass
   steps over the top-level fields and notes where symbols are; series are decoded one by one afterwards. */
#include "base/alloc.h"
#include "base/wire.h"
#include "block.h"

#include <stdlib.h>

#define SYMBOLS_MAX ((size_t)4 << 20)
#define FIELD_SYMBOL 4
#define FIELD_SERIES 5

struct symbol {
    uint32_t at, n;
};

struct block_reader {
    struct wire_reader top; /* at the next field */
    const uint8_t *data;
    size_t size;
    struct symbol *symbols;
    size_t symbols_n, symbols_cap;
    uint32_t *refs;
    size_t refs_n, refs_cap;
};

struct block_reader *block_reader_new(void)
{
    return xcalloc(1, sizeof(struct block_reader));
}

void block_reader_free(struct block_reader *r)
{
    if (!r)
        return;
    free(r->symbols);
    free(r->refs);
    free(r);
}

/* The tag of the next field; false for a malformed one. Field numbers are 1 to 2^29-1. */
static bool next_tag(struct wire_reader *w, uint32_t *field, uint32_t *type)
{
    uint64_t tag = wire_get_varint(w);
    if (w->bad || tag > UINT32_MAX || tag < 8) {
        w->bad = true;
        return false;
    }
    *field = (uint32_t)tag >> 3;
    *type = (uint32_t)tag & 7;
    return true;
}

static bool add_symbol(struct block_reader *r, struct str s, struct err *err)
{
    if (r->symbols_n == SYMBOLS_MAX)
        return err_set(err, "block: more than %zu symbols", SYMBOLS_MAX);
    r->symbols = xgrow(r->symbols, &r->symbols_cap, r->symbols_n + 1, sizeof *r->symbols);
    r->symbols[r->symbols_n++] =
        (struct symbol){s.n ? (uint32_t)((const uint8_t *)s.p - r->data) : 0, (uint32_t)s.n};
    return true;
}

bool block_reader_open(struct block_reader *r, const uint8_t *data, size_t n, struct err *err)
{
    uint32_t field, type;
    if (n > UINT32_MAX)
        return err_set(err, "block: larger than 4 GiB");
    r->data = data;
    r->size = n;
    r->symbols_n = 0;
    r->top = (struct wire_reader){data, data + n, false};
    while (r->top.p < r->top.end && next_tag(&r->top, &field, &type)) {
        if (field == FIELD_SYMBOL && type == WIRE_BYTES) {
            struct str s = wire_get_bytes(&r->top);
            if (!r->top.bad && !add_symbol(r, s, err))
                return false;
        } else if ((field == FIELD_SYMBOL || field == FIELD_SERIES) && type != WIRE_BYTES) {
            r->top.bad = true;
        } else {
            wire_skip(&r->top, type);
        }
        if (r->top.bad)
            break;
    }
    if (r->top.bad)
        return err_set(err, "block: malformed field before byte %zu", (size_t)(r->top.p - data));
    if (r->symbols_n == 0 || r->symbols[0].n != 0)
        return err_set(err, "block: the first symbol is not empty");
    block_reader_rewind(r);
    return true;
}

void block_reader_rewind(struct block_reader *r)
{
    r->top = (struct wire_reader){r->data, r->data + r->size, false};
}

size_t block_reader_symbols(const struct block_reader *r)
{
    return r->symbols_n;
}

struct str block_reader_symbol(const struct block_reader *r, uint32_t ref)
{
    if (ref >= r->symbols_n)
        return STR_NULL;
    return str_make((const char *)r->data + r->symbols[ref].at, r->symbols[ref].n);
}

/* ---- one series ---- */

static void add_ref(struct block_reader *r, struct wire_reader *w)
{
    uint64_t v = wire_get_varint(w);
    if (v >= r->symbols_n)
        w->bad = true;
    r->refs = xgrow(r->refs, &r->refs_cap, r->refs_n + 1, sizeof *r->refs);
    r->refs[r->refs_n++] = (uint32_t)v;
}

static void get_refs(struct block_reader *r, struct wire_reader *w, uint32_t type)
{
    if (type == WIRE_VARINT) {
        add_ref(r, w);
        return;
    }
    struct str packed = type == WIRE_BYTES ? wire_get_bytes(w) : STR_NULL;
    if (type != WIRE_BYTES || w->bad) {
        w->bad = true;
        return;
    }
    struct wire_reader in = {(const uint8_t *)packed.p, (const uint8_t *)packed.p + packed.n, false};
    r->refs = xgrow(r->refs, &r->refs_cap, r->refs_n + packed.n, sizeof *r->refs);
    while (in.p < in.end && !in.bad) {
        uint64_t v = wire_get_varint(&in);
        if (v >= r->symbols_n)
            in.bad = true;
        r->refs[r->refs_n++] = (uint32_t)v;
    }
    w->bad = w->bad || in.bad;
}

/* The bytes of an inner message of this wire type, or a reader that is bad. */
static struct wire_reader inner(struct wire_reader *w, uint32_t type)
{
    struct str s = type == WIRE_BYTES ? wire_get_bytes(w) : STR_NULL;
    if (type != WIRE_BYTES)
        w->bad = true;
    return (struct wire_reader){(const uint8_t *)s.p, s.n ? (const uint8_t *)s.p + s.n : (const uint8_t *)s.p,
                                w->bad};
}

static bool get_sample(struct wire_reader in, double *value, int64_t *ts_ms)
{
    uint32_t field, type;
    *value = 0;
    *ts_ms = 0;
    while (!in.bad && in.p < in.end && next_tag(&in, &field, &type)) {
        if (field == 1 && type == WIRE_FIXED64) {
            uint64_t bits = wire_get_fixed64(&in);
            memcpy(value, &bits, 8);
        } else if (field == 2 && type == WIRE_VARINT) {
            *ts_ms = (int64_t)wire_get_varint(&in);
        } else {
            wire_skip(&in, type);
        }
    }
    return !in.bad;
}

static bool get_meta(const struct block_reader *r, struct wire_reader in, struct block_series *out)
{
    uint32_t field, type;
    out->has_meta = true;
    while (!in.bad && in.p < in.end && next_tag(&in, &field, &type)) {
        if (type != WIRE_VARINT || (field != 1 && field != 3 && field != 4)) {
            wire_skip(&in, type);
            continue;
        }
        uint64_t v = wire_get_varint(&in);
        if (v > (field == 1 ? (uint64_t)BLOCK_STATESET : (uint64_t)r->symbols_n - 1))
            in.bad = true;
        else if (field == 1)
            out->type = (enum block_metric_type)v;
        else if (field == 3)
            out->help_ref = (uint32_t)v;
        else
            out->unit_ref = (uint32_t)v;
    }
    return !in.bad;
}

static bool get_series(struct block_reader *r, struct str wire, struct block_series *out)
{
    struct wire_reader w = {(const uint8_t *)wire.p, (const uint8_t *)wire.p + wire.n, false};
    uint32_t field, type;
    memset(out, 0, sizeof *out);
    out->wire = w.p;
    out->wire_n = wire.n;
    r->refs_n = 0;
    while (!w.bad && w.p < w.end && next_tag(&w, &field, &type)) {
        double value;
        int64_t ts_ms;
        if (field == 1) {
            get_refs(r, &w, type);
        } else if (field == 2) {
            if (!get_sample(inner(&w, type), &value, &ts_ms))
                return false;
            if (out->samples++ == 0) {
                out->value = value;
                out->ts_ms = ts_ms;
            }
        } else if (field == 5) {
            if (!get_meta(r, inner(&w, type), out))
                return false;
        } else {
            wire_skip(&w, type);
        }
    }
    out->refs = r->refs;
    out->refs_n = r->refs_n;
    return !w.bad && r->refs_n % 2 == 0;
}

bool block_reader_next(struct block_reader *r, struct block_series *out, struct err *err)
{
    uint32_t field, type;
    while (r->top.p < r->top.end && next_tag(&r->top, &field, &type)) {
        if (field != FIELD_SERIES || type != WIRE_BYTES) {
            wire_skip(&r->top, type);
            continue;
        }
        struct str wire = wire_get_bytes(&r->top);
        size_t at = (size_t)((const uint8_t *)wire.p - r->data);
        if (!r->top.bad && get_series(r, wire, out))
            return true;
        r->top.p = r->top.end;
        return err_set(err, "block: malformed series at byte %zu", at);
    }
    return false;
}

bool block_series_sample(const struct block_series *s, size_t i, double *value, int64_t *ts_ms)
{
    struct wire_reader w = {s->wire, s->wire + s->wire_n, false};
    uint32_t field, type;
    while (!w.bad && w.p < w.end && next_tag(&w, &field, &type)) {
        if (field != 2 || type != WIRE_BYTES)
            wire_skip(&w, type);
        else if (i-- == 0)
            return get_sample(inner(&w, type), value, ts_ms);
        else
            (void)wire_get_bytes(&w);
    }
    return false;
}
