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
    uint32_t *exemplar_refs;
    size_t exemplar_refs_cap;
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
    free(r->exemplar_refs);
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

static bool get_sample(struct wire_reader in, double *value, int64_t *ts_ms, int64_t *start_ts_ms)
{
    uint32_t field, type;
    *value = 0;
    *ts_ms = *start_ts_ms = 0;
    while (!in.bad && in.p < in.end && next_tag(&in, &field, &type)) {
        if (field == 1 && type == WIRE_FIXED64) {
            uint64_t bits = wire_get_fixed64(&in);
            memcpy(value, &bits, 8);
        } else if (field == 2 && type == WIRE_VARINT) {
            *ts_ms = (int64_t)wire_get_varint(&in);
        } else if (field == 3 && type == WIRE_VARINT) {
            *start_ts_ms = (int64_t)wire_get_varint(&in);
        } else {
            wire_skip(&in, type);
        }
    }
    return !in.bad;
}

/* The message ends where the first of the timestamps begins; nothing else may follow. */
static bool get_histogram(struct wire_reader in, struct str *message, int64_t *ts_ms, int64_t *start_ts_ms)
{
    const uint8_t *start = in.p, *end = NULL;
    uint32_t field, type;
    *ts_ms = *start_ts_ms = 0;
    for (const uint8_t *at = in.p; !in.bad && in.p < in.end && next_tag(&in, &field, &type); at = in.p) {
        bool stamp = (field == 15 || field == 17) && type == WIRE_VARINT;
        if (stamp && !end)
            end = at;
        if (stamp)
            *(field == 15 ? ts_ms : start_ts_ms) = (int64_t)wire_get_varint(&in);
        else if (end)
            in.bad = true;
        else
            wire_skip(&in, type);
    }
    *message = str_make((const char *)start, (size_t)((end ? end : in.end) - start));
    return !in.bad;
}

static bool get_exemplar(struct block_reader *r, struct wire_reader in, struct block_exemplar *out)
{
    uint32_t field, type;
    size_t n = 0;
    *out = (struct block_exemplar){0};
    while (!in.bad && in.p < in.end && next_tag(&in, &field, &type)) {
        if (field == 1 && type == WIRE_BYTES) {
            struct wire_reader refs = inner(&in, type);
            while (!refs.bad && refs.p < refs.end) {
                uint64_t v = wire_get_varint(&refs);
                refs.bad = refs.bad || v >= r->symbols_n;
                r->exemplar_refs = xgrow(r->exemplar_refs, &r->exemplar_refs_cap, n + 1, sizeof *r->exemplar_refs);
                r->exemplar_refs[n++] = (uint32_t)v;
            }
            in.bad = in.bad || refs.bad;
        } else if (field == 2 && type == WIRE_FIXED64) {
            uint64_t bits = wire_get_fixed64(&in);
            memcpy(&out->value, &bits, 8);
        } else if (field == 3 && type == WIRE_VARINT) {
            out->ts_ms = (int64_t)wire_get_varint(&in);
        } else {
            wire_skip(&in, type);
        }
    }
    out->refs = r->exemplar_refs;
    out->refs_n = n;
    return !in.bad && n % 2 == 0;
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

/* One float sample or histogram. */
static bool get_point(struct wire_reader *w, uint32_t field, uint32_t type, struct block_series *out)
{
    double value = 0;
    int64_t ts_ms, start_ts_ms;
    struct str message;
    bool histogram = field == 3;
    if (!(histogram ? get_histogram(inner(w, type), &message, &ts_ms, &start_ts_ms)
                    : get_sample(inner(w, type), &value, &ts_ms, &start_ts_ms)))
        return false;
    if (out->samples == 0) {
        out->is_histogram = histogram;
        out->value = value;
        out->ts_ms = ts_ms;
        out->start_ts_ms = start_ts_ms;
    }
    out->samples++;
    return out->is_histogram == histogram; /* never both in one series */
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
        bool good = true;
        struct block_exemplar exemplar;
        if (field == 1) {
            get_refs(r, &w, type);
        } else if (field == 2 || field == 3) {
            good = get_point(&w, field, type, out);
        } else if (field == 4) {
            good = get_exemplar(r, inner(&w, type), &exemplar);
            out->exemplars++;
        } else if (field == 5) {
            good = get_meta(r, inner(&w, type), out);
        } else {
            wire_skip(&w, type);
        }
        if (!good)
            return false;
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

/* The i-th message under this field number. */
static bool find_inner(const struct block_series *s, uint32_t wanted, size_t i, struct wire_reader *in)
{
    struct wire_reader w = {s->wire, s->wire + s->wire_n, false};
    uint32_t field, type;
    while (!w.bad && w.p < w.end && next_tag(&w, &field, &type)) {
        if (field != wanted || type != WIRE_BYTES) {
            wire_skip(&w, type);
            continue;
        }
        *in = inner(&w, type);
        if (i-- == 0)
            return true;
    }
    return false;
}

bool block_series_sample(const struct block_series *s, size_t i, double *value, int64_t *ts_ms)
{
    struct wire_reader in;
    int64_t start_ts_ms;
    return find_inner(s, 2, i, &in) && get_sample(in, value, ts_ms, &start_ts_ms);
}

bool block_series_histogram(const struct block_series *s, size_t i, struct str *message, int64_t *ts_ms,
                            int64_t *start_ts_ms)
{
    struct wire_reader in;
    return find_inner(s, 3, i, &in) && get_histogram(in, message, ts_ms, start_ts_ms);
}

bool block_series_exemplar(struct block_reader *r, const struct block_series *s, size_t i,
                           struct block_exemplar *out)
{
    struct wire_reader in;
    return find_inner(s, 4, i, &in) && get_exemplar(r, in, out);
}
