/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf_scan: the first pass over a Metric, and the small messages within it. */
#include "protobuf_private.h"

#include "base/alloc.h"
#include "private.h"
#include "series_write.h"

#define EXEMPLARS_MAX CLASSIC_BUCKETS_MAX

struct wire_items metric_body(const struct metric_reader *m)
{
    static const uint8_t FIELDS[] = {3, 2, 4, 5, 7, 7}; /* by enum metric_type */
    return wire_items_of(m->message, FIELDS[m->family->type]);
}

bool metric_malformed(const char *what, struct err *err)
{
    return err_set(err, "malformed %s", what);
}

static bool timestamp(struct str bytes, int64_t *ms, struct err *err)
{
    struct wire_reader r = wire_open(bytes);
    struct wire_field f;
    uint64_t seconds = 0;
    int32_t nanos = 0;
    while (wire_next(&r, &f)) {
        if (wire_is(&r, &f, 1, WIRE_VARINT))
            seconds = f.bits;
        else if (wire_is(&r, &f, 2, WIRE_VARINT))
            nanos = (int32_t)f.bits;
    }
    *ms = (int64_t)(seconds * 1000 + (uint64_t)(nanos / 1000000));
    return !r.bad || metric_malformed("Timestamp", err);
}

static bool label_pair(struct str bytes, struct label *l, struct err *err)
{
    struct wire_reader r = wire_open(bytes);
    struct wire_field f;
    *l = (struct label){STR_NULL, STR_NULL};
    while (wire_next(&r, &f)) {
        if (wire_is(&r, &f, 1, WIRE_BYTES))
            l->name = f.bytes;
        else if (wire_is(&r, &f, 2, WIRE_BYTES))
            l->value = f.bytes;
    }
    return !r.bad || metric_malformed("LabelPair", err);
}

static bool is_utf8(struct str s)
{
    return text_is_ascii(s) || str_is_utf8(s);
}

static bool check_label(const struct label *l, struct err *err)
{
    if (l->name.n == 0 || !is_utf8(l->name))
        return err_set(err, "invalid label name: %.*s", STR_ARG(l->name));
    if (!is_utf8(l->value))
        return err_set(err, "invalid label value: %.*s", STR_ARG(l->value));
    return true;
}

/* ---- the first pass ---- */

static bool scan_labels(struct metric_reader *m, struct err *err)
{
    struct wire_reader r = wire_open(m->message);
    struct wire_field f;
    while (wire_next(&r, &f)) {
        struct label l;
        if (wire_is(&r, &f, 6, WIRE_VARINT)) {
            m->ts_ms = (int64_t)f.bits;
        } else if (wire_is(&r, &f, 1, WIRE_BYTES)) {
            if (!label_pair(f.bytes, &l, err) || !check_label(&l, err))
                return false;
            series_write_label(&m->labels, l.name, l.value);
        }
    }
    return !r.bad || metric_malformed("Metric", err);
}

static void scan_counter(struct metric_reader *m, struct wire_reader *r, const struct wire_field *f,
                         struct str *created)
{
    if (wire_is(r, f, 1, WIRE_FIXED64))
        m->value = wire_double(f);
    else if (wire_is(r, f, 2, WIRE_BYTES))
        m->exemplar = f->bytes;
    else if (wire_is(r, f, 3, WIRE_BYTES))
        *created = f->bytes;
}

static void scan_summary(struct metric_reader *m, struct wire_reader *r, const struct wire_field *f,
                         struct str *created)
{
    if (wire_is(r, f, 1, WIRE_VARINT))
        m->count = f->bits;
    else if (wire_is(r, f, 2, WIRE_FIXED64))
        m->histogram.sum = wire_double(f);
    else if (wire_is(r, f, 4, WIRE_BYTES))
        *created = f->bytes;
}

static void scan_histogram(struct metric_reader *m, struct wire_reader *r, const struct wire_field *f,
                           struct str *created)
{
    if (wire_is(r, f, 1, WIRE_VARINT))
        m->count = f->bits;
    else if (wire_is(r, f, 2, WIRE_FIXED64))
        m->histogram.sum = wire_double(f);
    else if (wire_is(r, f, 3, WIRE_BYTES))
        m->has_buckets = true;
    else if (wire_is(r, f, 4, WIRE_FIXED64))
        m->count_float = wire_double(f);
    else if (wire_is(r, f, 5, WIRE_VARINT))
        m->histogram.schema = (int32_t)wire_sint(f->bits);
    else if (wire_is(r, f, 6, WIRE_FIXED64))
        m->histogram.zero_threshold = wire_double(f);
    else if (wire_is(r, f, 7, WIRE_VARINT))
        m->zero_count = f->bits;
    else if (wire_is(r, f, 8, WIRE_FIXED64))
        m->zero_count_float = wire_double(f);
    else if (wire_is(r, f, 9, WIRE_BYTES) || wire_is(r, f, 12, WIRE_BYTES))
        m->native = true;
    else if (wire_is(r, f, 15, WIRE_BYTES))
        *created = f->bytes;
    else if (wire_is(r, f, 16, WIRE_BYTES))
        m->has_exemplars = true;
}

static bool scan_body(struct metric_reader *m, struct err *err)
{
    struct wire_items items = metric_body(m);
    struct str created = STR_NULL;
    struct wire_field f;
    while (wire_items_next(&items, &f)) {
        switch (m->family->type) {
        case METRIC_COUNTER: scan_counter(m, &items.part, &f, &created); break;
        case METRIC_SUMMARY: scan_summary(m, &items.part, &f, &created); break;
        case METRIC_HISTOGRAM:
        case METRIC_GAUGE_HISTOGRAM: scan_histogram(m, &items.part, &f, &created); break;
        default:
            if (wire_is(&items.part, &f, 1, WIRE_FIXED64))
                m->value = wire_double(&f);
        }
    }
    m->native = m->native || m->histogram.zero_threshold > 0 || m->zero_count > 0;
    if (wire_items_bad(&items))
        return metric_malformed("Metric", err);
    return !created.p || timestamp(created, &m->start_ts_ms, err);
}

/* ---- exemplars ---- */

bool metric_add_exemplar(struct metric_reader *m, struct str bytes, bool timed, struct err *err)
{
    struct exposition_exemplar e = {0};
    struct wire_reader r = wire_open(bytes), again = r;
    struct wire_field f;
    size_t n = 0;
    while (wire_next(&r, &f)) {
        if (wire_is(&r, &f, 1, WIRE_BYTES)) {
            n++;
        } else if (wire_is(&r, &f, 2, WIRE_FIXED64)) {
            e.value = wire_double(&f);
        } else if (wire_is(&r, &f, 3, WIRE_BYTES)) {
            e.has_ts = true;
            if (!timestamp(f.bytes, &e.ts_ms, err))
                return false;
        }
    }
    if (r.bad)
        return metric_malformed("Exemplar", err);
    if ((timed && !e.has_ts) || m->exemplars_n >= EXEMPLARS_MAX)
        return true;
    struct label *labels = n ? arena_alloc(&m->arena, n * sizeof *labels) : NULL;
    while (wire_next(&again, &f))
        if (f.number == 1 && !label_pair(f.bytes, &labels[e.labels_n++], err))
            return false;
    e.labels = labels;
    m->exemplars = xgrow(m->exemplars, &m->exemplars_cap, m->exemplars_n + 1, sizeof e);
    m->exemplars[m->exemplars_n++] = e;
    return true;
}

/* ---- buckets ---- */

bool metric_next_bucket(struct wire_items *items, struct bucket *b, struct err *err)
{
    struct wire_field f, part;
    while (wire_items_next(items, &f)) {
        if (!wire_is(&items->part, &f, 3, WIRE_BYTES))
            continue;
        struct wire_reader r = wire_open(f.bytes);
        double fraction = 0;
        uint64_t whole = 0;
        *b = (struct bucket){0};
        while (wire_next(&r, &part)) {
            if (wire_is(&r, &part, 1, WIRE_VARINT))
                whole = part.bits;
            else if (wire_is(&r, &part, 2, WIRE_FIXED64))
                b->le = wire_double(&part);
            else if (wire_is(&r, &part, 3, WIRE_BYTES))
                b->exemplar = part.bytes;
            else if (wire_is(&r, &part, 4, WIRE_FIXED64))
                fraction = wire_double(&part);
        }
        b->count = fraction != 0 ? fraction : (double)whole;
        return !r.bad || metric_malformed("Bucket", err);
    }
    return !wire_items_bad(items) ? false : metric_malformed("Histogram", err);
}

bool metric_scan(struct metric_reader *m, struct err *err)
{
    return scan_labels(m, err) && scan_body(m, err);
}
