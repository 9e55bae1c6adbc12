/* SPDX-License-Identifier: Apache-2.0 */
/* sink_decode: RW1 and RW2 differ in where a series' strings come from; the rest is the same. */
#include "sink_decode.h"

#include <snappy-c.h>
#include <stdlib.h>
#include <zstd.h>

#include "base/alloc.h"
#include "base/wire.h"
#include "block.h"
#include "labels.h"
#include "sample_json.h"

/* ---- decompression ---- */

static bool decompress_snappy(struct str body, struct buf *out, struct err *err)
{
    size_t n;
    if (snappy_uncompressed_length(body.p, body.n, &n) != SNAPPY_OK)
        return err_set(err, "not in snappy's block format");
    char *p = buf_reserve(out, n);
    if (!p)
        return err_set(err, "decompresses to %zu bytes, more than the limit", n);
    if (snappy_uncompress(body.p, body.n, p, &n) != SNAPPY_OK)
        return err_set(err, "not in snappy's block format");
    out->n = n;
    return true;
}

static bool decompress_zstd(struct str body, struct buf *out, struct err *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {body.p, body.n, 0};
    size_t step = ZSTD_DStreamOutSize(), left = 1;
    bool ok = stream != NULL;
    while (ok && in.pos < in.size) {
        char *p = buf_reserve(out, step);
        if (!p) {
            ok = err_set(err, "decompresses to more than the limit");
            break;
        }
        ZSTD_outBuffer to = {p, step, 0};
        left = ZSTD_decompressStream(stream, &to, &in);
        if (ZSTD_isError(left))
            ok = err_set(err, "zstd: %s", ZSTD_getErrorName(left));
        out->n += to.pos;
    }
    ZSTD_freeDStream(stream);
    return ok && (left == 0 || err_set(err, "zstd: the frame is cut off"));
}

bool sink_decompress(enum sink_encoding encoding, struct str body, struct buf *out, struct err *err)
{
    buf_clear(out);
    return encoding == SINK_ZSTD ? decompress_zstd(body, out, err) : decompress_snappy(body, out, err);
}

/* ---- messages ---- */

struct sample {
    double value;
    int64_t ts_ms, start_ts_ms;
    struct str histogram; /* p NULL = a float */
};

struct decoder {
    enum sink_message message;
    struct buf *json;
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
    return !r.bad;
}

static bool get_histogram(struct decoder *d, struct str bytes)
{
    struct sample sample = {.histogram = bytes.p ? bytes : STR("")};
    struct buf scratch; /* only to see that it can be read, and when it is of */
    buf_init(&scratch, (size_t)1 << 24);
    bool good = json_add_histogram(&scratch, bytes, &sample.ts_ms, &sample.start_ts_ms);
    buf_free(&scratch);
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
        d->counts->metadata++;
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

/* ---- output ---- */

static void write_labels(struct buf *out, const struct label *v, size_t n)
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

/* Reads its labels behind those of the series, which stay. */
static bool write_exemplar(struct decoder *d, struct str bytes)
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
    buf_add_c(d->json, "{\"labels\":");
    write_labels(d->json, d->labels + before, d->labels_n - before);
    buf_add_c(d->json, ",\"v\":");
    json_add_value(d->json, value);
    buf_addf(d->json, ",\"t\":%lld}", (long long)ts_ms);
    d->labels_n = before;
    return good && !r.bad;
}

static bool write_exemplars(struct decoder *d)
{
    bool good = true;
    for (size_t i = 0; good && i < d->exemplars_n; i++) {
        buf_add_c(d->json, i ? "," : ",\"exemplars\":[");
        good = write_exemplar(d, d->exemplars[i]);
    }
    buf_add_c(d->json, d->exemplars_n ? "]" : "");
    return good;
}

static bool write_sample(struct decoder *d, const struct sample *sample)
{
    struct buf *out = d->json;
    int64_t ts_ms, start_ts_ms;
    bool good = true;
    buf_addf(out, "%lld,", (long long)sample->ts_ms);
    if (sample->histogram.p) {
        buf_add_c(out, "\"h\":");
        good = json_add_histogram(out, sample->histogram, &ts_ms, &start_ts_ms);
    } else {
        buf_add_c(out, "\"v\":");
        json_add_value(out, sample->value);
    }
    if (sample->start_ts_ms)
        buf_addf(out, ",\"st\":%lld", (long long)sample->start_ts_ms);
    return good;
}

/* Exemplars stand with the last sample of their series. */
static bool write_series(struct decoder *d)
{
    struct buf *out = d->json;
    size_t head = out->n, head_n = 0;
    bool good = true;
    for (size_t i = 0; good && i < d->samples_n; i++) {
        if (i == 0) {
            buf_add_c(out, "{\"labels\":");
            write_labels(out, d->labels, d->labels_n);
            buf_add_c(out, ",\"t\":");
            head_n = out->n - head;
        } else if (buf_reserve(out, head_n)) {
            buf_add(out, out->p + head, head_n);
        }
        good = write_sample(d, &d->samples[i]) && (i + 1 < d->samples_n || write_exemplars(d));
        buf_add_c(out, "}\n");
    }
    return good;
}

static bool get_series(struct decoder *d, struct str bytes)
{
    struct wire_reader r = reader_of(bytes);
    uint32_t field, type;
    d->labels_n = d->samples_n = d->exemplars_n = 0;
    while (next_field(&r, &field, &type)) {
        if (!get_series_field(d, &r, field, type))
            return err_set(d->err, "malformed series");
    }
    if (r.bad)
        return err_set(d->err, "malformed series");
    if (!check_labels(d))
        return false;
    if (d->message == SINK_RW2 && d->samples_n == 0 && d->exemplars_n == 0)
        return err_set(d->err, "a series without samples");
    d->counts->series++;
    for (size_t i = 0; i < d->samples_n; i++)
        d->counts->samples += d->samples[i].histogram.p == NULL;
    return !d->json || write_series(d) || err_set(d->err, "malformed series");
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
        } else {
            d->counts->metadata += d->message == SINK_RW1 && field == 3;
            wire_skip(&r, type);
        }
    }
    return !r.bad || err_set(d->err, "malformed message");
}

bool sink_decode(enum sink_message message, struct str raw, struct buf *json, struct sink_counts *counts,
                 struct err *err)
{
    struct decoder d = {.message = message, .json = json, .counts = counts, .err = err};
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
