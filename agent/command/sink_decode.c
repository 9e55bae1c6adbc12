/* SPDX-License-Identifier: Apache-2.0 */
/* sink_decode: RW1 and RW2 differ in where a series' strings come from; the rest is the same. */
#include "sink_decode.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/wire.h"
#include "block.h"
#include "labels.h"
#include "sample_json.h"

/* ---- messages ---- */

struct sample {
    double value;
    int64_t ts_ms, start_ts_ms;
    struct str histogram; /* p NULL = a float */
};

struct decoder {
    enum sink_message message;
    struct buf *json;
    bool with_metadata;
    struct sink_counts *counts;
    struct err *err;
    struct str *symbols; /* of RW2 */
    size_t symbols_n, symbols_cap;
    struct label *labels; /* of one series */
    size_t labels_n, labels_cap;
    struct sample *samples;
    size_t samples_n, samples_cap;
    struct str *exemplars; /* of one series, as they came */
    size_t exemplars_n, exemplars_cap;
    uint64_t floats; /* of samples */
    struct str metadata; /* of one series, as it came */
};

static struct wire_reader reader_of(struct str s)
{
    const uint8_t *p = (const uint8_t *)(s.p ? s.p : "");
    return (struct wire_reader){p, p + s.n, false};
}

/* The next field; false at the end and on malformed bytes (r->bad). */
static bool next_field(struct wire_reader *r, uint32_t *field, uint32_t *type)
{
    if (r->bad || r->p >= r->end)
        return false;
    uint64_t tag = wire_get_varint(r);
    if (tag < 8 || tag > UINT32_MAX)
        r->bad = true;
    *field = (uint32_t)(tag >> 3);
    *type = (uint32_t)(tag & 7);
    return !r->bad;
}

static struct str get_message(struct wire_reader *r, uint32_t type)
{
    if (type == WIRE_BYTES)
        return wire_get_bytes(r);
    r->bad = true;
    return STR_NULL;
}

static void push_label(struct decoder *d, struct str name, struct str value)
{
    d->labels = xgrow(d->labels, &d->labels_cap, d->labels_n + 1, sizeof *d->labels);
    d->labels[d->labels_n++] = (struct label){name, value};
}

static bool get_rw1_label(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    struct label label = {STR_NULL, STR_NULL};
    uint32_t field, type;
    while (next_field(&r, &field, &type)) {
        if (field == 1)
            label.name = get_message(&r, type);
        else if (field == 2)
            label.value = get_message(&r, type);
        else
            wire_skip(&r, type);
    }
    push_label(d, label.name, label.value);
    return !r.bad;
}

static bool get_rw2_refs(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    while (r.p < r.end) {
        uint64_t name = wire_get_varint(&r);
        if (r.p >= r.end)
            return err_set(d->err, "an odd number of label references");
        uint64_t value = wire_get_varint(&r);
        if (r.bad)
            return false;
        if (name >= d->symbols_n || value >= d->symbols_n)
            return err_set(d->err, "a label reference is outside of the symbols");
        push_label(d, d->symbols[name], d->symbols[value]);
    }
    return !r.bad;
}

static bool get_sample(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    struct sample sample = {0};
    uint32_t field, type;
    while (next_field(&r, &field, &type)) {
        if (field == 1 && type == WIRE_FIXED64) {
            uint64_t bits = wire_get_fixed64(&r);
            memcpy(&sample.value, &bits, sizeof bits);
        } else if (field == 2 && type == WIRE_VARINT) {
            sample.ts_ms = (int64_t)wire_get_varint(&r);
        } else if (field == 3 && type == WIRE_VARINT && d->message == SINK_RW2) {
            sample.start_ts_ms = (int64_t)wire_get_varint(&r);
        } else {
            wire_skip(&r, type);
        }
    }
    d->samples = xgrow(d->samples, &d->samples_cap, d->samples_n + 1, sizeof *d->samples);
    d->samples[d->samples_n++] = sample;
    d->floats++;
    return !r.bad;
}

static bool get_histogram(struct decoder *d, struct str bytes)
{
    struct sample sample = {.histogram = bytes.p ? bytes : STR("")};
    bool good = json_add_histogram(NULL, bytes, &sample.ts_ms, &sample.start_ts_ms, d->err);
    d->samples = xgrow(d->samples, &d->samples_cap, d->samples_n + 1, sizeof *d->samples);
    d->samples[d->samples_n++] = sample;
    d->counts->histograms++;
    return good;
}

static bool get_exemplar(struct decoder *d, struct str bytes)
{
    d->exemplars = xgrow(d->exemplars, &d->exemplars_cap, d->exemplars_n + 1, sizeof *d->exemplars);
    d->exemplars[d->exemplars_n++] = bytes;
    d->counts->exemplars++;
    return true;
}

static bool get_series_field(struct decoder *d, struct wire_reader *r, uint32_t field, uint32_t type)
{
    bool rw1 = d->message == SINK_RW1;
    if (field == 1)
        return rw1 ? get_rw1_label(d, get_message(r, type)) : get_rw2_refs(d, get_message(r, type));
    if (field == 2)
        return get_sample(d, get_message(r, type));
    if (field == (rw1 ? 4 : 3))
        return get_histogram(d, get_message(r, type));
    if (field == (rw1 ? 3 : 4))
        return get_exemplar(d, get_message(r, type));
    if (field == 5 && !rw1)
        d->metadata = get_message(r, type);
    else
        wire_skip(r, type);
    return true;
}

/* ---- what a strict receiver refuses ---- */

static bool check_labels(const struct decoder *d)
{
    if (d->labels_n == 0)
        return err_set(d->err, "a series without labels");
    for (size_t i = 0; i < d->labels_n; i++) {
        struct label l = d->labels[i];
        if (l.name.n == 0)
            return err_set(d->err, "an empty label name");
        if (l.value.n == 0)
            return err_set(d->err, "label %.*s has an empty value", STR_ARG(l.name));
        if (!str_is_utf8(l.name) || !str_is_utf8(l.value))
            return err_set(d->err, "label %.*s is not UTF-8", STR_ARG(l.name));
        int order = i ? str_cmp(d->labels[i - 1].name, l.name) : -1;
        if (order == 0)
            return err_set(d->err, "label %.*s stands twice", STR_ARG(l.name));
        if (order > 0)
            return err_set(d->err, "labels are not sorted: %.*s after %.*s", STR_ARG(l.name),
                           STR_ARG(d->labels[i - 1].name));
    }
    return true;
}

/* ---- exemplars ---- */

/* Reads its labels behind those of the series, which stay; writes it when there is a place. */
static bool read_exemplar(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    size_t before = d->labels_n;
    double value = 0;
    int64_t ts_ms = 0;
    uint32_t field, type;
    bool good = true;
    while (good && next_field(&r, &field, &type)) {
        if (field == 1) {
            struct str labels = get_message(&r, type);
            good = d->message == SINK_RW1 ? get_rw1_label(d, labels) : get_rw2_refs(d, labels);
        } else if (field == 2 && type == WIRE_FIXED64) {
            uint64_t bits = wire_get_fixed64(&r);
            memcpy(&value, &bits, sizeof bits);
        } else if (field == 3 && type == WIRE_VARINT) {
            ts_ms = (int64_t)wire_get_varint(&r);
        } else {
            wire_skip(&r, type);
        }
    }
    if (d->json)
        json_add_exemplar(d->json, d->labels + before, d->labels_n - before, value, ts_ms);
    d->labels_n = before;
    return (good && !r.bad) || err_set(d->err, "malformed exemplar");
}

static bool read_exemplars(struct decoder *d)
{
    struct buf *out = d->json;
    bool good = true;
    for (size_t i = 0; good && i < d->exemplars_n; i++) {
        if (out)
            buf_add_c(out, i ? "," : ",\"exemplars\":[");
        good = read_exemplar(d, d->exemplars[i]);
    }
    if (out && d->exemplars_n)
        buf_add_char(out, ']');
    return good;
}

/* ---- metadata ---- */

struct metadata {
    uint64_t type;
    struct str family, help, unit;
};

/* The string of a field: itself in RW1, a symbol in RW2. */
static struct str get_text(struct decoder *d, struct wire_reader *r, uint32_t type)
{
    if (d->message == SINK_RW1)
        return get_message(r, type);
    uint64_t ref = type == WIRE_VARINT ? wire_get_varint(r) : UINT64_MAX;
    if (ref < d->symbols_n)
        return d->symbols[ref];
    r->bad = true;
    return STR_NULL;
}

static void write_metadata(struct decoder *d, const struct metadata *m)
{
    static const char *const TYPES[] = {"unknown", "counter", "gauge", "histogram",
                                        "gaugehistogram", "summary", "info", "stateset"};
    struct buf *out = d->json;
    buf_add_c(out, "{\"metadata\":{\"name\":");
    buf_add_json(out, m->family);
    buf_addf(out, ",\"type\":\"%s\",\"help\":", TYPES[m->type < sizeof TYPES / sizeof TYPES[0] ? m->type : 0]);
    buf_add_json(out, m->help);
    buf_add_c(out, ",\"unit\":");
    buf_add_json(out, m->unit);
    buf_add_c(out, "}}\n");
}

/* MetricMetadata {type = 1, metric_family_name = 2, help = 4, unit = 5} of RW1, or Metadata {type = 1, help_ref = 3,
   unit_ref = 4} of RW2, which belongs to a series. */
static bool read_metadata(struct decoder *d, struct str bytes, struct str family)
{
    struct wire_reader r = reader_of(bytes);
    struct metadata m = {.family = family};
    bool rw1 = d->message == SINK_RW1;
    uint32_t field, type;
    while (next_field(&r, &field, &type)) {
        if (field == 1 && type == WIRE_VARINT)
            m.type = wire_get_varint(&r);
        else if (field == 2 && rw1)
            m.family = get_message(&r, type);
        else if (field == (rw1 ? 4 : 3))
            m.help = get_text(d, &r, type);
        else if (field == (rw1 ? 5 : 4))
            m.unit = get_text(d, &r, type);
        else
            wire_skip(&r, type);
    }
    if (r.bad)
        return err_set(d->err, "malformed metadata");
    d->counts->metadata++;
    if (!d->json || !d->with_metadata)
        return true;
    d->counts->lines++;
    write_metadata(d, &m);
    return true;
}

static struct str metric_name(const struct decoder *d)
{
    for (size_t i = 0; i < d->labels_n; i++) {
        if (str_eq_c(d->labels[i].name, "__name__"))
            return d->labels[i].value;
    }
    return STR("");
}

/* ---- output ---- */

static void write_sample(struct decoder *d, const struct sample *sample)
{
    struct buf *out = d->json;
    int64_t ts_ms, start_ts_ms;
    buf_addf(out, ",\"t\":%lld,", (long long)sample->ts_ms);
    if (sample->histogram.p) {
        buf_add_c(out, "\"h\":");
        (void)!json_add_histogram(out, sample->histogram, &ts_ms, &start_ts_ms, NULL); /* it was good before */
    } else {
        buf_add_c(out, "\"v\":");
        json_add_value(out, sample->value);
    }
    if (sample->start_ts_ms)
        buf_addf(out, ",\"st\":%lld", (long long)sample->start_ts_ms);
}

/* A line for each sample. Exemplars stand with the last one, or alone when there is none: Prometheus sends them in
   series of their own. */
static bool write_series(struct decoder *d)
{
    struct buf *out = d->json;
    size_t head = out->n, lines = d->samples_n ? d->samples_n : d->exemplars_n ? 1 : 0;
    bool good = true;
    buf_add_c(out, lines ? "{\"labels\":" : "");
    if (lines)
        json_add_labels(out, d->labels, d->labels_n);
    size_t head_n = out->n - head;
    for (size_t i = 0; good && i < lines; i++) {
        if (i && buf_reserve(out, head_n))
            buf_add(out, out->p + head, head_n);
        if (d->samples_n)
            write_sample(d, &d->samples[i]);
        good = i + 1 < lines || read_exemplars(d);
        buf_add_c(out, "}\n");
    }
    d->counts->lines += lines;
    return good;
}

/* ---- series ---- */

static bool get_series_fields(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    uint32_t field, type;
    d->labels_n = d->samples_n = d->exemplars_n = 0;
    d->floats = 0;
    d->metadata = STR_NULL;
    while (next_field(&r, &field, &type)) {
        if (!get_series_field(d, &r, field, type))
            return err_set(d->err, "malformed series");
    }
    return !r.bad || err_set(d->err, "malformed series");
}

static bool get_series(struct decoder *d, struct str bytes)
{
    if (!get_series_fields(d, bytes) || !check_labels(d))
        return false;
    if (d->message == SINK_RW2 && d->samples_n == 0 && d->exemplars_n == 0)
        return err_set(d->err, "a series without samples");
    if (d->message == SINK_RW2 && d->floats && d->floats < d->samples_n)
        return err_set(d->err, "a series with samples and histograms");
    d->counts->series++;
    d->counts->samples += d->floats;
    if (!(d->json ? write_series(d) : read_exemplars(d)))
        return false;
    return !d->metadata.p || read_metadata(d, d->metadata, metric_name(d));
}

static bool get_symbol(struct decoder *d, struct str symbol)
{
    if (d->symbols_n == 0 && symbol.n != 0)
        return err_set(d->err, "the first symbol is not empty");
    d->symbols = xgrow(d->symbols, &d->symbols_cap, d->symbols_n + 1, sizeof *d->symbols);
    d->symbols[d->symbols_n++] = symbol;
    return true;
}

/* Symbols may stand behind the series that use them, so they are gathered first. */
static bool get_symbols(struct decoder *d, struct str raw)
{
    struct wire_reader r = reader_of(raw);
    uint32_t field, type;
    while (next_field(&r, &field, &type)) {
        if (field != 4)
            wire_skip(&r, type);
        else if (!get_symbol(d, get_message(&r, type)))
            return false;
    }
    return !r.bad || err_set(d->err, "malformed message");
}

static bool get_request(struct decoder *d, struct str raw)
{
    struct wire_reader r = reader_of(raw);
    uint32_t field, type;
    uint32_t series_field = d->message == SINK_RW1 ? 1 : 5;
    while (next_field(&r, &field, &type)) {
        if (field == series_field) {
            if (!get_series(d, get_message(&r, type)))
                return false;
        } else if (field == 3 && d->message == SINK_RW1) {
            if (!read_metadata(d, get_message(&r, type), STR("")))
                return false;
        } else {
            wire_skip(&r, type);
        }
    }
    return !r.bad || err_set(d->err, "malformed message");
}

bool sink_decode(enum sink_message message, struct str raw, struct buf *json, bool with_metadata,
                 struct sink_counts *counts, struct err *err)
{
    struct decoder d = {
        .message = message, .json = json, .with_metadata = with_metadata, .counts = counts, .err = err};
    *counts = (struct sink_counts){0};
    bool ok = (message == SINK_RW1 || get_symbols(&d, raw)) && get_request(&d, raw);
    if (ok && json && json->overflow)
        ok = err_set(err, "too many samples in one request");
    free(d.symbols);
    free(d.labels);
    free(d.samples);
    free(d.exemplars);
    return ok;
}
