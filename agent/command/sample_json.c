/* SPDX-License-Identifier: Apache-2.0 */
/* sample_json: values and histograms as JSON. */
#include "sample_json.h"

#include <math.h>

#include "base/wire.h"
#include "block.h"

void json_add_value(struct buf *out, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (bits == BLOCK_STALE_BITS)
        buf_add_c(out, "\"stale\"");
    else if (isnan(value))
        buf_add_c(out, "\"NaN\"");
    else if (isinf(value))
        buf_add_c(out, value > 0 ? "\"+Inf\"" : "\"-Inf\"");
    else
        buf_add_double(out, value);
}

/* One side of a histogram: the packed fields as they came. */
struct side {
    struct buf spans; /* inside of a JSON list */
    struct str deltas, counts;
};

struct histogram {
    double count, sum, zero_threshold, zero_count;
    int64_t schema, ts_ms, start_ts_ms;
    uint64_t reset_hint;
    struct side negative, positive;
    struct str custom_values;
};

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static struct wire_reader reader_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");
    return (struct wire_reader){p, p + s.n, false};
}

static double as_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static bool get_span(struct side *side, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    int64_t offset = 0;
    uint64_t length = 0;
    while (!r.bad && r.p < r.end) {
        uint64_t tag = wire_get_varint(&r);
        if (tag == WIRE_TAG(1, WIRE_VARINT))
            offset = unzigzag(wire_get_varint(&r));
        else if (tag == WIRE_TAG(2, WIRE_VARINT))
            length = wire_get_varint(&r);
        else
            wire_skip(&r, (uint32_t)tag & 7);
    }
    buf_addf(&side->spans, "%s[%lld,%llu]", side->spans.n ? "," : "", (long long)offset,
             (unsigned long long)length);
    return !r.bad;
}

static bool get_bytes(struct histogram *h, uint64_t field, struct str bytes)
{
    switch (field) {
    case 8:
        return get_span(&h->negative, bytes);
    case 9:
        h->negative.deltas = bytes;
        return true;
    case 10:
        h->negative.counts = bytes;
        return true;
    case 11:
        return get_span(&h->positive, bytes);
    case 12:
        h->positive.deltas = bytes;
        return true;
    case 13:
        h->positive.counts = bytes;
        return true;
    case 16:
        h->custom_values = bytes;
        return true;
    default:
        return true;
    }
}

static void get_varint(struct histogram *h, uint64_t field, uint64_t v)
{
    if (field == 1)
        h->count = (double)v;
    else if (field == 4)
        h->schema = unzigzag(v);
    else if (field == 6)
        h->zero_count = (double)v;
    else if (field == 14)
        h->reset_hint = v;
    else if (field == 15)
        h->ts_ms = (int64_t)v;
    else if (field == 17)
        h->start_ts_ms = (int64_t)v;
}

static void get_fixed(struct histogram *h, uint64_t field, uint64_t bits)
{
    if (field == 2)
        h->count = as_double(bits);
    else if (field == 3)
        h->sum = as_double(bits);
    else if (field == 5)
        h->zero_threshold = as_double(bits);
    else if (field == 7)
        h->zero_count = as_double(bits);
}

static bool parse(struct histogram *h, struct str message)
{
    struct wire_reader r = reader_of(message);
    bool good = true;
    while (good && !r.bad && r.p < r.end) {
        uint64_t tag = wire_get_varint(&r), field = tag >> 3;
        switch (tag & 7) {
        case WIRE_VARINT:
            get_varint(h, field, wire_get_varint(&r));
            break;
        case WIRE_FIXED64:
            get_fixed(h, field, wire_get_fixed64(&r));
            break;
        case WIRE_BYTES: {
            struct str bytes = wire_get_bytes(&r);
            good = r.bad || get_bytes(h, field, bytes);
            break;
        }
        default:
            wire_skip(&r, (uint32_t)tag & 7);
        }
    }
    return good && !r.bad;
}

static bool add_deltas(struct buf *out, struct str packed)
{
    struct wire_reader r = reader_of(packed);
    for (bool first = true; !r.bad && r.p < r.end; first = false) {
        int64_t v = unzigzag(wire_get_varint(&r));
        buf_addf(out, "%s%lld", first ? "" : ",", (long long)v);
    }
    return !r.bad;
}

static bool add_doubles(struct buf *out, struct str packed)
{
    struct wire_reader r = reader_of(packed);
    for (bool first = true; !r.bad && r.p < r.end; first = false) {
        buf_add_c(out, first ? "" : ",");
        json_add_value(out, as_double(wire_get_fixed64(&r)));
    }
    return !r.bad;
}

static bool add_side(struct buf *out, const char *name, const struct side *side)
{
    bool good = true;
    if (!side->spans.n && !side->deltas.n && !side->counts.n)
        return true;
    buf_addf(out, ",\"%s\":{\"spans\":[", name);
    buf_add(out, side->spans.p, side->spans.n);
    if (side->counts.n) {
        buf_add_c(out, "],\"counts\":[");
        good = add_doubles(out, side->counts);
    } else {
        buf_add_c(out, "],\"deltas\":[");
        good = add_deltas(out, side->deltas);
    }
    buf_add_c(out, "]}");
    return good;
}

static bool add_object(struct buf *out, const struct histogram *h)
{
    static const char *const HINTS[] = {"unknown", "yes", "no", "gauge"};
    buf_add_c(out, "{\"count\":");
    json_add_value(out, h->count);
    buf_add_c(out, ",\"sum\":");
    json_add_value(out, h->sum);
    buf_addf(out, ",\"schema\":%lld,\"zero_threshold\":", (long long)h->schema);
    json_add_value(out, h->zero_threshold);
    buf_add_c(out, ",\"zero_count\":");
    json_add_value(out, h->zero_count);
    bool good = add_side(out, "negative", &h->negative) && add_side(out, "positive", &h->positive);
    if (h->custom_values.n) {
        buf_add_c(out, ",\"custom_values\":[");
        good = add_doubles(out, h->custom_values) && good;
        buf_add_char(out, ']');
    }
    buf_addf(out, ",\"reset_hint\":\"%s\"}", HINTS[h->reset_hint < 4 ? h->reset_hint : 0]);
    return good;
}

bool json_add_histogram(struct buf *out, struct str message, int64_t *ts_ms, int64_t *start_ts_ms)
{
    struct histogram h = {0};
    uint64_t sum;
    buf_init(&h.negative.spans, (size_t)1 << 24);
    buf_init(&h.positive.spans, (size_t)1 << 24);
    bool good = parse(&h, message);
    *ts_ms = h.ts_ms;
    *start_ts_ms = h.start_ts_ms;
    memcpy(&sum, &h.sum, sizeof sum);
    if (good && sum == BLOCK_STALE_BITS)
        buf_add_c(out, "\"stale\"");
    else if (good)
        good = add_object(out, &h);
    buf_free(&h.negative.spans);
    buf_free(&h.positive.spans);
    return good;
}
