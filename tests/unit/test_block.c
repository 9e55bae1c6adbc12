/* SPDX-License-Identifier: Apache-2.0 */
/* test_block: what the builder writes the reader reads, and damaged bytes are refused or read without
   harm. */
#include "unit.h"

#include "base/alloc.h"
#include "base/wire.h"
#include "extras_bed.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static double of_bits(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

/* Exactly sized, so that the sanitizer sees a read behind the end. */
static uint8_t *exact(const void *bytes, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    return copy;
}

static void round_trip(void **state)
{
    struct block_builder *b = block_builder_new(3, 0, 0);
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    uint32_t refs[200];
    (void)state;
    uint32_t generation = block_builder_generation(b);
    assert_null(block_builder_seal(b));
    assert_int_equal(block_builder_generation(b), generation);
    uint32_t name = block_builder_symbol(b, STR("__name__")), up = block_builder_symbol(b, STR("up"));
    uint32_t help = block_builder_symbol(b, STR("Help.")), unit = block_builder_symbol(b, STR("seconds"));
    refs[0] = name, refs[1] = up;
    for (size_t i = 2; i < 200; i++)
        refs[i] = block_builder_symbol(b, STR("x"));
    block_builder_sample(b, refs, 2, of_bits(BLOCK_STALE_BITS), -5, NULL);
    block_builder_sample(b, refs, 2, of_bits(BLOCK_NAN_BITS), INT64_MAX,
                         &(struct block_meta){BLOCK_COUNTER, help, unit});
    block_builder_job(b, STR("one"));
    block_builder_sample(b, refs, 200, 0.0, 1700000000000, NULL);
    block_builder_sample(b, refs, 94, -1.5, 1700000000000, &(struct block_meta){BLOCK_STATESET, 0, 0});
    block_builder_sample(b, refs, 120, -1.5, 0, &(struct block_meta){0, help, 0});
    block_builder_job(b, STR("two"));
    block_builder_sample(b, refs, 0, 1, 1, NULL);
    block_builder_job(b, STR("one"));
    block_builder_job(b, STR("three"));
    assert_int_equal(block_builder_samples(b), 6);
    struct block *block = block_builder_seal(b);
    assert_int_equal(block_builder_generation(b), generation + 1);
    assert_int_equal(block_builder_samples(b), 0);
    assert_int_equal(block->lane, 3);
    assert_int_equal(block->samples, 6);
    assert_int_equal(block->series, 6);
    assert_true(block->min_ts_ms == -5 && block->max_ts_ms == INT64_MAX);
    assert_int_equal(block->jobs_n, 3); /* in the order of the series: "one" comes twice */
    assert_true(str_eq_c(block->jobs[0].name, "one") && block->jobs[0].samples == 2);
    assert_true(str_eq_c(block->jobs[1].name, "two") && block->jobs[1].samples == 3);
    assert_true(str_eq_c(block->jobs[2].name, "one") && block->jobs[2].samples == 1);

    uint8_t *data = exact(block->data, block->size);
    assert_true(block_reader_open(r, data, block->size, &err));
    assert_int_equal(block_reader_symbols(r), 203);
    assert_true(str_eq_c(block_reader_symbol(r, help), "Help."));
    assert_null(block_reader_symbol(r, 203).p);
    for (int pass = 0; pass < 2; pass++) {
        assert_true(block_reader_next(r, &s, &err));
        assert_true(bits_of(s.value) == BLOCK_STALE_BITS && s.ts_ms == -5 && !s.has_meta && s.refs_n == 2);
        assert_true(s.refs[0] == name && s.refs[1] == up);
        assert_true(block_reader_next(r, &s, &err));
        assert_true(bits_of(s.value) == BLOCK_NAN_BITS && s.ts_ms == INT64_MAX && s.has_meta);
        assert_true(s.type == BLOCK_COUNTER && s.help_ref == help && s.unit_ref == unit);
        assert_true(block_reader_next(r, &s, &err));
        assert_true(s.refs_n == 200 && bits_of(s.value) == 0 && s.refs[199] == refs[199]);
        assert_true(block_reader_next(r, &s, &err));
        assert_true(s.refs_n == 94 && s.type == BLOCK_STATESET && s.value == -1.5);
        assert_true(block_reader_next(r, &s, &err));
        assert_true(s.refs_n == 120 && s.has_meta && s.type == BLOCK_UNSPECIFIED && s.help_ref == help);
        assert_true(block_reader_next(r, &s, &err));
        assert_true(s.refs_n == 0 && s.samples == 1);
        assert_false(block_reader_next(r, &s, &err));
        assert_false(err_is(&err));
        block_reader_rewind(r);
    }
    free(data);
    block_unref(block_ref(block));
    block_unref(block);
    block_reader_free(r);
    block_builder_free(b);
}

static void fullness(void **state)
{
    struct block_builder *b = block_builder_new(0, 1000, 10);
    uint32_t refs[2];
    (void)state;
    refs[0] = refs[1] = block_builder_symbol(b, STR("name"));
    for (int i = 0; i < 10; i++) {
        assert_false(block_builder_full(b));
        block_builder_sample(b, refs, 2, i, i, NULL);
    }
    assert_true(block_builder_full(b));
    block_unref(block_builder_seal(b));
    assert_false(block_builder_full(b));
    char big[1000];
    memset(big, 'x', sizeof big);
    (void)block_builder_symbol(b, str_make(big, sizeof big));
    assert_true(block_builder_full(b));
    block_builder_free(b);
}

/* Encodings that this builder does not make but others may: unpacked references, several samples, unknown
   fields, symbols behind series, fields of a message in two parts. */
static void foreign(void **state)
{
    static const uint8_t BYTES[] = {
        0x2a, 0x26,                                        /* a series before the symbols */
        0x08, 0x01, 0x0a, 0x01, 0x02,                      /* one reference plain, one packed */
        0x7a, 0x03, 'a', 'b', 'c',                         /* unknown field 15 */
        0x12, 0x02, 0x10, 0x07,                            /* sample without value */
        0x12, 0x0b, 0x10, 0x08, 0x09, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f, /* timestamp first */
        0x2a, 0x02, 0x08, 0x02,                            /* meta: gauge */
        0x2a, 0x02, 0x18, 0x02,                            /* more meta: help */
        0x32, 0x01, 0x01,                                  /* unknown field 6 */
        0x2a, 0x00,                                        /* an empty series */
        0x30, 0x05,                                        /* unknown top-level field */
        0x22, 0x00, 0x22, 0x01, 'n', 0x22, 0x01, 'v',
    };
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    double value;
    int64_t ts;
    (void)state;
    uint8_t *data = exact(BYTES, sizeof BYTES);
    assert_true(block_reader_open(r, data, sizeof BYTES, &err));
    assert_true(block_reader_next(r, &s, &err));
    assert_int_equal(s.refs_n, 2);
    assert_true(s.refs[0] == 1 && s.refs[1] == 2);
    assert_int_equal(s.samples, 2);
    assert_true(s.value == 0 && s.ts_ms == 7);
    assert_true(block_series_sample(&s, 1, &value, &ts) && value == 1.0 && ts == 8);
    assert_false(block_series_sample(&s, 2, &value, &ts));
    assert_true(s.has_meta && s.type == BLOCK_GAUGE && s.help_ref == 2);
    assert_true(block_reader_next(r, &s, &err));
    assert_true(s.refs_n == 0 && s.samples == 0 && !s.has_meta);
    assert_false(block_reader_next(r, &s, &err));
    assert_false(err_is(&err));
    free(data);
    block_reader_free(r);
}

static void refused(void **state)
{
    static const struct {
        uint8_t bytes[16];
        size_t n;
        bool opens;
    } ROWS[] = {
        {{0}, 0, false},                                   /* no symbols */
        {{0x22, 0x01, 'x'}, 3, false},                     /* the first is not empty */
        {{0x22, 0x05, 'x'}, 3, false},                     /* longer than the data */
        {{0x22, 0x00, 0x2a, 0x80}, 4, false},              /* half a length */
        {{0x22, 0x00, 0x00}, 3, false},                    /* field 0 */
        {{0x22, 0x00, 0x0b}, 3, false},                    /* a group */
        {{0x22, 0x00, 0x20, 0x01}, 4, false},              /* symbols as a number */
        {{0x22, 0x00, 0x28, 0x01}, 4, false},              /* series as a number */
        {{0x22, 0x00, 0x2a, 0x04, 0x0a, 0x02, 0x00, 0x01}, 8, true},  /* reference out of range */
        {{0x22, 0x00, 0x2a, 0x03, 0x0a, 0x01, 0x00}, 7, true},        /* an odd number of them */
        {{0x22, 0x00, 0x2a, 0x03, 0x0a, 0x02, 0x00}, 7, true},        /* cut */
        {{0x22, 0x00, 0x2a, 0x02, 0x11, 0x00}, 6, true},              /* sample as a number */
        {{0x22, 0x00, 0x2a, 0x04, 0x2a, 0x02, 0x08, 0x09}, 8, true},  /* unknown type */
        {{0x22, 0x00, 0x2a, 0x04, 0x2a, 0x02, 0x18, 0x01}, 8, true},  /* help out of range */
    };
    struct block_reader *r = block_reader_new();
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct err err = {0};
        struct block_series s;
        uint8_t *data = exact(ROWS[i].bytes, ROWS[i].n);
        bool opened = block_reader_open(r, data, ROWS[i].n, &err);
        if (opened != ROWS[i].opens)
            fail_msg("row %zu: open %d", i, opened);
        if (opened) {
            assert_false(block_reader_next(r, &s, &err));
            assert_false(block_reader_next(r, &s, &err));
        }
        if (!err_is(&err))
            fail_msg("row %zu: no error", i);
        free(data);
    }
    block_reader_free(r);
}

/* Every cut and every flipped bit of a good block: an error or a read to the end, never harm. */
static void damaged(void **state)
{
    struct block_builder *b = block_builder_new(0, 0, 0);
    struct block_reader *r = block_reader_new();
    uint32_t refs[4] = {0, 0, 0, 0};
    (void)state;
    for (int i = 1; i < 4; i++)
        refs[i] = block_builder_symbol(b, STR("sym"));
    for (int i = 0; i < 3; i++)
        block_builder_sample(b, refs, 4, i, 1700000000000 + i,
                             i == 1 ? &(struct block_meta){2, refs[1], 0} : NULL);
    struct block *block = block_builder_seal(b);
    for (size_t bit = 0; bit < block->size * 8; bit++) {
        struct err err = {0};
        struct block_series s;
        double value;
        int64_t ts;
        size_t n = bit % 3 ? block->size : bit / 8;
        uint8_t *data = exact(block->data, n);
        if (n == block->size)
            data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (block_reader_open(r, data, n, &err))
            while (block_reader_next(r, &s, &err))
                for (size_t i = 0; i <= s.samples; i++)
                    (void)!block_series_sample(&s, i, &value, &ts);
        free(data);
    }
    block_unref(block);
    block_reader_free(r);
    block_builder_free(b);
}

/* ---- histograms, exemplars, start timestamps ---- */

/* As any protobuf library reads it. */
static void check_foreign(const struct extras_row *row, const Io__Prometheus__Write__V2__TimeSeries *s)
{
    uint8_t want[256], got[256];
    bool is_float = row->kind == EXTRAS_FLOAT;
    assert_int_equal(s->n_labels_refs, 2 + 2 * row->labels);
    for (size_t k = 0; k < row->labels; k++)
        assert_true(s->labels_refs[2 + 2 * k] == extras_ref(k) && s->labels_refs[3 + 2 * k] == extras_ref(k));
    assert_int_equal(s->n_samples, is_float);
    assert_int_equal(s->n_histograms, !is_float);
    if (is_float) {
        assert_true(bits_of(s->samples[0]->value) == bits_of(row->value));
        assert_true(s->samples[0]->timestamp == row->ts_ms && s->samples[0]->start_timestamp == row->start_ts_ms);
    } else {
        Io__Prometheus__Write__V2__Histogram *h = s->histograms[0];
        struct str message = extras_message(row->kind, want);
        assert_true(h->timestamp == row->ts_ms && h->start_timestamp == row->start_ts_ms);
        h->timestamp = h->start_timestamp = 0;
        assert_int_equal(io__prometheus__write__v2__histogram__get_packed_size(h), message.n);
        assert_memory_equal(got, message.p, io__prometheus__write__v2__histogram__pack(h, got));
    }
    assert_int_equal(s->n_exemplars, row->exemplars);
    for (size_t i = 0; i < s->n_exemplars; i++) {
        assert_int_equal(s->exemplars[i]->n_labels_refs, 2 * i);
        for (size_t k = 0; k < 2 * i; k++)
            assert_int_equal(s->exemplars[i]->labels_refs[k], extras_ref(k / 2));
        assert_true(s->exemplars[i]->value == (double)i + 0.5 && s->exemplars[i]->timestamp == row->ts_ms - (int64_t)i);
    }
    assert_true((s->metadata != NULL) == (row->type != 0));
    if (row->type)
        assert_true((int)s->metadata->type == (int)row->type && s->metadata->help_ref == 1 &&
                    s->metadata->unit_ref == 2);
}

/* As our reader reads it. */
static void check_own(const struct extras_row *row, struct block_reader *r, const struct block_series *s)
{
    uint8_t want[256];
    struct str message;
    struct block_exemplar e;
    int64_t ts, start;
    double value;
    bool is_float = row->kind == EXTRAS_FLOAT;
    assert_true(s->samples == 1 && s->is_histogram == !is_float && s->exemplars == row->exemplars);
    assert_true(s->refs_n == 2 + 2 * row->labels && s->ts_ms == row->ts_ms && s->start_ts_ms == row->start_ts_ms);
    assert_true(bits_of(s->value) == bits_of(is_float ? row->value : 0));
    assert_true(s->has_meta == (row->type != 0) && s->type == row->type && s->unit_ref == (row->type ? 2 : 0));
    assert_true(block_series_sample(s, 0, &value, &ts) == is_float);
    assert_true(block_series_histogram(s, 0, &message, &ts, &start) == !is_float);
    assert_true(ts == row->ts_ms);
    if (!is_float) {
        assert_true(start == row->start_ts_ms && str_eq(message, extras_message(row->kind, want)));
        assert_false(block_series_histogram(s, 1, &message, &ts, &start));
    }
    for (size_t i = 0; i < row->exemplars; i++) {
        assert_true(block_series_exemplar(r, s, i, &e));
        assert_true(e.refs_n == 2 * i && e.value == (double)i + 0.5 && e.ts_ms == row->ts_ms - (int64_t)i);
        for (size_t k = 0; k < e.refs_n; k++)
            assert_int_equal(e.refs[k], extras_ref(k / 2));
    }
    assert_false(block_series_exemplar(r, s, row->exemplars, &e));
    for (size_t k = 0; k < row->labels; k++) /* the exemplars have not taken their place */
        assert_true(s->refs[2 + 2 * k] == extras_ref(k));
}

static void extras(void **state)
{
    struct block *block = extras_block();
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    (void)state;
    assert_true(block->min_ts_ms == -5 && block->max_ts_ms == INT64_MAX);
    uint8_t *data = exact(block->data, block->size);
    Io__Prometheus__Write__V2__Request *request =
        io__prometheus__write__v2__request__unpack(NULL, block->size, data);
    assert_non_null(request);
    assert_int_equal(request->n_timeseries, EXTRAS_N);
    assert_true(block_reader_open(r, data, block->size, &err));
    for (size_t i = 0; i < EXTRAS_N; i++) {
        check_foreign(&EXTRAS[i], request->timeseries[i]);
        assert_true(block_reader_next(r, &s, &err));
        check_own(&EXTRAS[i], r, &s);
        assert_true(str_eq_c(block_reader_symbol(r, s.refs[1]), EXTRAS[i].name));
    }
    assert_false(block_reader_next(r, &s, &err));
    assert_false(err_is(&err));
    io__prometheus__write__v2__request__free_unpacked(request, NULL);
    free(data);
    block_reader_free(r);
    block_unref(block);
}

/* What a series is and what follows a histogram's timestamps, in bytes of one series behind the symbols "" and "x". */
static void extras_refused(void **state)
{
    static const struct {
        const char *what;
        uint8_t bytes[24];
        size_t n;
        bool good;
    } ROWS[] = {
        {"a histogram of nothing", {0x1a, 0}, 2, true},
        {"a histogram with its time", {0x1a, 2, 0x78, 5}, 4, true},
        {"start before time", {0x1a, 5, 0x88, 1, 4, 0x78, 5}, 7, true},
        {"two histograms", {0x1a, 2, 0x78, 5, 0x1a, 2, 0x78, 6}, 8, true},
        {"a field behind the time", {0x1a, 4, 0x78, 5, 0x08, 1}, 6, false},
        {"a field between time and start", {0x1a, 7, 0x78, 5, 0x08, 1, 0x88, 1, 4}, 9, false},
        {"a histogram as a number", {0x18, 5}, 2, false},
        {"half a field inside", {0x1a, 2, 0x19, 0}, 4, false},
        {"a sample, then a histogram", {0x12, 0, 0x1a, 0}, 4, false},
        {"a histogram, then a sample", {0x1a, 0, 0x12, 0}, 4, false},
        {"an exemplar of nothing", {0x12, 0, 0x22, 0}, 4, true},
        {"an exemplar with a label", {0x12, 0, 0x22, 4, 0x0a, 2, 1, 1}, 8, true},
        {"its labels in two parts", {0x12, 0, 0x22, 6, 0x0a, 1, 1, 0x0a, 1, 1}, 10, true},
        {"half a pair", {0x12, 0, 0x22, 3, 0x0a, 1, 1}, 7, false},
        {"a reference out of range", {0x12, 0, 0x22, 4, 0x0a, 2, 1, 2}, 8, false},
        {"a reference cut off", {0x12, 0, 0x22, 4, 0x0a, 2, 1, 0x81}, 8, false},
        {"an exemplar as a number", {0x12, 0, 0x20, 1}, 4, false},
        {"an exemplar longer than the series", {0x12, 0, 0x22, 1}, 4, false},
        {"references of an exemplar longer than it", {0x12, 0, 0x22, 3, 0x0a, 2, 1}, 7, false},
    };
    struct block_reader *r = block_reader_new();
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        uint8_t bytes[40] = {0x22, 0, 0x22, 1, 'x', 0x2a, (uint8_t)ROWS[i].n};
        struct err err = {0};
        struct block_series s;
        struct block_exemplar e;
        memcpy(bytes + 7, ROWS[i].bytes, ROWS[i].n);
        uint8_t *data = exact(bytes, 7 + ROWS[i].n);
        bool good = block_reader_open(r, data, 7 + ROWS[i].n, &err) && block_reader_next(r, &s, &err);
        if (good != ROWS[i].good || err_is(&err) == good)
            fail_msg("%s: %s", ROWS[i].what, good ? "read" : err.msg);
        for (size_t k = 0; good && k < s.exemplars; k++)
            assert_true(block_series_exemplar(r, &s, k, &e));
        free(data);
    }
    block_reader_free(r);
}

/* Reads all there is; false when something is malformed. */
static bool read_all(struct block_reader *r, const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct block_series s;
    struct str message;
    struct block_exemplar e;
    double value;
    int64_t ts, start;
    if (!block_reader_open(r, data, n, &err))
        return false;
    while (block_reader_next(r, &s, &err)) {
        for (size_t i = 0; i < s.samples; i++) {
            if (s.is_histogram)
                assert_true(block_series_histogram(&s, i, &message, &ts, &start) &&
                            message.n <= s.wire_n);
            else
                assert_true(block_series_sample(&s, i, &value, &ts));
        }
        for (size_t i = 0; i < s.exemplars; i++)
            assert_true(block_series_exemplar(r, &s, i, &e) && e.refs_n % 2 == 0);
    }
    return !err_is(&err);
}

/* Every cut is refused unless it falls between two series, and every flipped bit is read or refused: what the reader
   lets pass can be read to the last exemplar. */
static void extras_damaged(void **state)
{
    struct block *block = extras_block();
    struct block_reader *r = block_reader_new();
    size_t whole = 0;
    (void)state;
    for (size_t n = 0; n < block->size; n++) {
        uint8_t *data = exact(block->data, n);
        whole += read_all(r, data, n);
        free(data);
    }
    size_t symbols = 1 + 2 + EXTRAS_LABELS_MAX + 2 * EXTRAS_N;
    assert_int_equal(whole, symbols + EXTRAS_N - 1);
    uint8_t *data = exact(block->data, block->size);
    for (size_t bit = 0; bit < block->size * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        (void)read_all(r, data, block->size);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(read_all(r, data, block->size));
    free(data);
    block_reader_free(r);
    block_unref(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(fullness), cmocka_unit_test(foreign),
        cmocka_unit_test(refused),    cmocka_unit_test(damaged),  cmocka_unit_test(extras),
        cmocka_unit_test(extras_refused), cmocka_unit_test(extras_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
