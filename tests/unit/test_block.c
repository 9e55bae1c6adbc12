/* SPDX-License-Identifier: Apache-2.0 */
/* test_block: what the builder writes the reader reads, and damaged bytes are refused or read without
   harm. */
#include "unit.h"

#include "base/wire.h"
#include "block.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(fullness), cmocka_unit_test(foreign),
        cmocka_unit_test(refused),    cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
