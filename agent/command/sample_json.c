/* SPDX-License-Identifier: Apache-2.0 */
/* sample_json: values and histograms as JSON. A histogram's fields may come in any order and its lists in pieces,
   packed or not, so each list is gathered as text of its own and all are put together at the end. */
#include "sample_json.h"

#include <inttypes.h>
#include <math.h>

#include "base/wire.h"
#include "block.h"

#define LIST_MAX ((size_t)1 << 30)

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

void json_add_labels(struct buf *out, const struct label *v, size_t n)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, v[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, v[i].value);
    }
    buf_add_char(out, '}');
}

void json_add_exemplar(struct buf *out, const struct label *v, size_t n, double value, int64_t ts_ms)
{
    buf_add_c(out, "{\"labels\":");
    json_add_labels(out, v, n);
    buf_add_c(out, ",\"v\":");
    json_add_value(out, value);
    buf_addf(out, ",\"t\":%" PRId64 "}", ts_ms);
}

/* ---- reading ---- */

struct list {
    struct buf text; /* inside of a JSON list */
    uint64_t n;
};

enum { NEGATIVE, POSITIVE, SIDES };

struct histogram {
    bool whole; /* of whole counts */
    uint64_t count, zero_count, reset_hint;
    double count_float, zero_count_float, sum, zero_threshold;
    int64_t schema, ts_ms, start_ts_ms;
    struct list spans[SIDES], deltas[SIDES], counts[SIDES], custom_values;
    uint64_t buckets[SIDES]; /* that the spans hold */
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

static void comma(struct list *list)
{
    if (list->n++)
        buf_add_char(&list->text, ',');
}

static void add_int(struct list *list, int64_t v)
{
    comma(list);
    buf_addf(&list->text, "%" PRId64, v);
}

static void add_double(struct list *list, double v)
{
    comma(list);
    json_add_value(&list->text, v);
}

static void get_span(struct histogram *h, int side, struct wire_reader *outer)
{
    struct wire_reader r = reader_of(wire_get_bytes(outer));
    int64_t offset = 0;
    uint32_t length = 0;
    while (!r.bad && r.p < r.end) {
        uint64_t tag = wire_get_varint(&r);
        if (tag == WIRE_TAG(1, WIRE_VARINT))
            offset = unzigzag(wire_get_varint(&r));
        else if (tag == WIRE_TAG(2, WIRE_VARINT))
            length = (uint32_t)wire_get_varint(&r);
        else
            wire_skip(&r, (uint32_t)tag & 7);
    }
    comma(&h->spans[side]);
    buf_addf(&h->spans[side].text, "[%" PRId64 ",%" PRIu32 "]", offset, length);
    h->buckets[side] += length;
    outer->bad |= r.bad;
}

static void get_doubles(struct list *list, struct wire_reader *outer)
{
    struct wire_reader r = reader_of(wire_get_bytes(outer));
    while (!r.bad && r.p < r.end)
        add_double(list, as_double(wire_get_fixed64(&r)));
    outer->bad |= r.bad;
}

static void get_deltas(struct list *list, struct wire_reader *outer)
{
    struct wire_reader r = reader_of(wire_get_bytes(outer));
    while (!r.bad && r.p < r.end)
        add_int(list, unzigzag(wire_get_varint(&r)));
    outer->bad |= r.bad;
}

static void get_varint(struct histogram *h, uint32_t field, uint64_t v)
{
    if (field == 1) {
        h->count = v;
        h->whole = true;
    } else if (field == 4) {
        h->schema = unzigzag(v);
    } else if (field == 6) {
        h->zero_count = v;
    } else if (field == 9 || field == 12) {
        add_int(&h->deltas[field == 12], unzigzag(v));
    } else if (field == 14) {
        h->reset_hint = v;
    } else if (field == 15) {
        h->ts_ms = (int64_t)v;
    } else if (field == 17) {
        h->start_ts_ms = (int64_t)v;
    }
}

static void get_fixed(struct histogram *h, uint32_t field, double v)
{
    if (field == 2) {
        h->count_float = v;
        h->whole = false;
    } else if (field == 3) {
        h->sum = v;
    } else if (field == 5) {
        h->zero_threshold = v;
    } else if (field == 7) {
        h->zero_count_float = v;
    } else if (field == 10 || field == 13) {
        add_double(&h->counts[field == 13], v);
    } else if (field == 16) {
        add_double(&h->custom_values, v);
    }
}

static void get_bytes(struct histogram *h, uint32_t field, struct wire_reader *r)
{
    if (field == 8 || field == 11)
        get_span(h, field == 11, r);
    else if (field == 9 || field == 12)
        get_deltas(&h->deltas[field == 12], r);
    else if (field == 10 || field == 13)
        get_doubles(&h->counts[field == 13], r);
    else if (field == 16)
        get_doubles(&h->custom_values, r);
    else
        wire_skip(r, WIRE_BYTES);
}

static bool get_fields(struct histogram *h, struct str message)
{
    struct wire_reader r = reader_of(message);
    h->whole = true;
    while (!r.bad && r.p < r.end) {
        uint64_t tag = wire_get_varint(&r);
        uint32_t field = (uint32_t)(tag >> 3), type = (uint32_t)tag & 7;
        if (tag < 8 || tag > UINT32_MAX)
            r.bad = true;
        else if (type == WIRE_VARINT)
            get_varint(h, field, wire_get_varint(&r));
        else if (type == WIRE_FIXED64)
            get_fixed(h, field, as_double(wire_get_fixed64(&r)));
        else if (type == WIRE_BYTES)
            get_bytes(h, field, &r);
        else
            wire_skip(&r, type);
    }
    return !r.bad;
}

/* What a receiver refuses before it looks at the numbers. */
static bool check(const struct histogram *h, struct err *err)
{
    for (int side = 0; side < SIDES; side++) {
        uint64_t have = h->whole ? h->deltas[side].n : h->counts[side].n;
        const struct list *other = h->whole ? &h->counts[side] : &h->deltas[side];
        if (other->n)
            return err_set(err, "a histogram with whole counts and floats");
        if (h->buckets[side] != have)
            return err_set(err, "a histogram whose spans hold %" PRIu64 " buckets, but there are %" PRIu64,
                           h->buckets[side], have);
        if (h->spans[side].text.overflow || h->deltas[side].text.overflow || h->counts[side].text.overflow)
            return err_set(err, "a histogram that is too large");
    }
    return !h->custom_values.text.overflow || err_set(err, "a histogram that is too large");
}

/* ---- writing ---- */

static void write_list(struct buf *out, const char *name, const struct list *list)
{
    buf_addf(out, "\"%s\":[", name);
    buf_add_str(out, buf_str(&list->text));
    buf_add_char(out, ']');
}

static void write_side(struct buf *out, const char *name, const struct histogram *h, int side)
{
    if (h->spans[side].n == 0)
        return;
    buf_addf(out, ",\"%s\":{", name);
    write_list(out, "spans", &h->spans[side]);
    buf_add_char(out, ',');
    if (h->whole)
        write_list(out, "deltas", &h->deltas[side]);
    else
        write_list(out, "counts", &h->counts[side]);
    buf_add_char(out, '}');
}

static void write_count(struct buf *out, bool whole, uint64_t count, double count_float)
{
    if (whole)
        buf_addf(out, "%" PRIu64, count);
    else
        json_add_value(out, count_float);
}

static void write_histogram(struct buf *out, const struct histogram *h)
{
    static const char *const HINTS[] = {"unknown", "yes", "no", "gauge"};
    buf_add_c(out, "{\"count\":");
    write_count(out, h->whole, h->count, h->count_float);
    buf_add_c(out, ",\"sum\":");
    json_add_value(out, h->sum);
    buf_addf(out, ",\"schema\":%" PRId64 ",\"zero_threshold\":", h->schema);
    json_add_value(out, h->zero_threshold);
    buf_add_c(out, ",\"zero_count\":");
    write_count(out, h->whole, h->zero_count, h->zero_count_float);
    write_side(out, "negative", h, NEGATIVE);
    write_side(out, "positive", h, POSITIVE);
    if (h->custom_values.n) {
        buf_add_char(out, ',');
        write_list(out, "custom_values", &h->custom_values);
    }
    buf_addf(out, ",\"reset_hint\":\"%s\"}", HINTS[h->reset_hint < 4 ? h->reset_hint : 0]);
}

static void each_list(struct histogram *h, void (*fn)(struct buf *b))
{
    for (int side = 0; side < SIDES; side++) {
        fn(&h->spans[side].text);
        fn(&h->deltas[side].text);
        fn(&h->counts[side].text);
    }
    fn(&h->custom_values.text);
}

static void list_init(struct buf *b)
{
    buf_init(b, LIST_MAX);
}

bool json_add_histogram(struct buf *out, struct str message, int64_t *ts_ms, int64_t *start_ts_ms, struct err *err)
{
    struct histogram h = {0};
    uint64_t sum;
    each_list(&h, list_init);
    bool good = get_fields(&h, message) ? check(&h, err) : err_set(err, "malformed histogram");
    *ts_ms = h.ts_ms;
    *start_ts_ms = h.start_ts_ms;
    memcpy(&sum, &h.sum, sizeof sum);
    if (good && out && sum == BLOCK_STALE_BITS)
        buf_add_c(out, "\"stale\"");
    else if (good && out)
        write_histogram(out, &h);
    each_list(&h, buf_free);
    return good;
}
