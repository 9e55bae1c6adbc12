/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_native: the buckets of a native histogram, as a Metric has them. */
#include "protobuf_private.h"

static bool add_span(struct histogram_side *s, struct str bytes, struct err *err)
{
    struct wire_reader r = wire_open(bytes);
    struct wire_field f;
    struct histogram_span span = {0};
    while (wire_next(&r, &f)) {
        if (wire_is(&r, &f, 1, WIRE_VARINT))
            span.offset = (int32_t)wire_sint(f.bits);
        else if (wire_is(&r, &f, 2, WIRE_VARINT))
            span.length = (uint32_t)f.bits;
    }
    if (r.bad)
        return metric_malformed("BucketSpan", err);
    return histogram_add_span(s, span) || err_set(err, "too many spans");
}

static bool add_count(const struct histogram *h, struct histogram_side *s, uint64_t bits, struct err *err)
{
    union histogram_number n = {.u = bits}; /* or the bits of a double */
    if (!h->is_float)
        n.u = (uint64_t)wire_sint(bits) + (s->counts_n ? s->counts[s->counts_n - 1].u : 0);
    return histogram_add_count(s, n) || err_set(err, "too many buckets");
}

/* One count, or many packed. */
static bool add_counts(const struct histogram *h, struct histogram_side *s, const struct wire_field *f, struct err *err)
{
    if (f->type == (h->is_float ? WIRE_FIXED64 : WIRE_VARINT))
        return add_count(h, s, f->bits, err);
    struct wire_reader r = wire_open(f->bytes);
    r.bad = f->type != WIRE_BYTES;
    while (!r.bad && r.p < r.end) {
        uint64_t bits = h->is_float ? wire_get_fixed64(&r) : wire_get_varint(&r);
        if (!r.bad && !add_count(h, s, bits, err))
            return false;
    }
    return !r.bad || metric_malformed("Histogram", err);
}

bool metric_read_native(struct metric_reader *m, struct err *err)
{
    struct histogram *h = &m->histogram;
    struct wire_items items = metric_body(m);
    struct wire_field f;
    bool ok = true;
    h->is_float = m->count_float > 0 || m->zero_count_float > 0;
    if (h->is_float) {
        h->count.f = m->count_float;
        h->zero_count.f = m->zero_count_float;
    } else {
        h->count.u = m->count;
        h->zero_count.u = m->zero_count;
    }
    while (ok && wire_items_next(&items, &f)) {
        if (f.number == 9 || f.number == 12)
            ok = add_span(f.number == 9 ? &h->negative : &h->positive, f.bytes, err);
        else if (f.number == (h->is_float ? 11 : 10))
            ok = add_counts(h, &h->negative, &f, err);
        else if (f.number == (h->is_float ? 14 : 13))
            ok = add_counts(h, &h->positive, &f, err);
    }
    if (!ok || !histogram_check(h, err))
        return false;
    histogram_compact(h, 0);
    return true;
}
