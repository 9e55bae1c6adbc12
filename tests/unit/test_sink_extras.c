/* SPDX-License-Identifier: Apache-2.0 */
/* test_sink_extras: histograms, exemplars, start timestamps and metadata as lines of JSON, from both versions of remote
   write, and what a strict receiver refuses of them. */
#include "extras_bed.h"

#include "agent/command/sink_decode.h"
#include "agent/remote/transcode.h"

/* ---- every kind ---- */

#define L(k) "\"l0" #k "\":\"l0" #k "\""
#define E0(ts) "{\"labels\":{},\"v\":0.5,\"t\":" #ts "}"
#define E1(ts) ",{\"labels\":{" L(0) "},\"v\":1.5,\"t\":" #ts "}"
#define E2(ts) ",{\"labels\":{" L(0) "," L(1) "},\"v\":2.5,\"t\":" #ts "}"
#define E3(ts) ",{\"labels\":{" L(0) "," L(1) "," L(2) "},\"v\":3.5,\"t\":" #ts "}"
#define WHOLE \
    "{\"count\":18446744073709551615,\"sum\":12.25,\"schema\":8,\"zero_threshold\":0.001,\"zero_count\":2," \
    "\"negative\":{\"spans\":[[-3,2]],\"deltas\":[3,-1]}," \
    "\"positive\":{\"spans\":[[-3,2],[4,2]],\"deltas\":[3,-1,0,-9223372036854775808]},\"reset_hint\":\"unknown\"}"
#define FLOATS \
    "{\"count\":7.5,\"sum\":12.25,\"schema\":-4,\"zero_threshold\":0,\"zero_count\":0.5," \
    "\"positive\":{\"spans\":[[-3,2],[4,1]],\"counts\":[0.5,-0,1e+300]},\"reset_hint\":\"gauge\"}"
#define CUSTOM \
    "{\"count\":18446744073709551615,\"sum\":12.25,\"schema\":-53,\"zero_threshold\":0.001,\"zero_count\":2," \
    "\"positive\":{\"spans\":[[-3,2],[4,1]],\"deltas\":[3,-1,0]},\"custom_values\":[-1,0.25,1]," \
    "\"reset_hint\":\"unknown\"}"
#define EMPTY \
    "{\"count\":0,\"sum\":0,\"schema\":0,\"zero_threshold\":0,\"zero_count\":0,\"reset_hint\":\"unknown\"}"

/* By row of EXTRAS: what stands behind "labels" in RW2 and in RW1; NULL = RW1 has no place for it. */
static const struct {
    const char *name, *type, *rw2, *rw1;
} LINES[] = {
    {"float_start", NULL, "\"t\":1700000000123,\"v\":1.5,\"st\":1690000000000}", "\"t\":1700000000123,\"v\":1.5}"},
    {"float_exemplar", "counter", "\"t\":1700000000123,\"v\":-0,\"exemplars\":[" E0(1700000000123) "]}",
     "\"t\":1700000000123,\"v\":-0,\"exemplars\":[" E0(1700000000123) "]}"},
    {"float_all", "counter",
     "\"t\":1700000000124,\"v\":7,\"st\":-1,\"exemplars\":[" E0(1700000000124) E1(1700000000123)
         E2(1700000000122) "]}",
     "\"t\":1700000000124,\"v\":7,\"exemplars\":[" E0(1700000000124) E1(1700000000123) E2(1700000000122) "]}"},
    {"float_before_1970", "stateset", "\"t\":-5,\"v\":7,\"st\":-7,\"exemplars\":[" E0(-5) "]}",
     "\"t\":-5,\"v\":7,\"exemplars\":[" E0(-5) "]}"},
    {"plain", "gauge", "\"t\":1700000000124,\"v\":3}", "\"t\":1700000000124,\"v\":3}"},
    {"whole", "histogram", "\"t\":1700000000124,\"h\":" WHOLE "}", "\"t\":1700000000124,\"h\":" WHOLE "}"},
    {"whole_all", "histogram",
     "\"t\":1700000000124,\"h\":" WHOLE ",\"st\":1690000000000,\"exemplars\":[" E0(1700000000124) E1(1700000000123)
         E2(1700000000122) E3(1700000000121) "]}",
     "\"t\":1700000000124,\"h\":" WHOLE ",\"exemplars\":[" E0(1700000000124) E1(1700000000123) E2(1700000000122)
         E3(1700000000121) "]}"},
    {"floats", "gaugehistogram",
     "\"t\":9223372036854775807,\"h\":" FLOATS ",\"st\":-9223372036854775808,\"exemplars\":["
         E0(9223372036854775807) E1(9223372036854775806) "]}",
     "\"t\":9223372036854775807,\"h\":" FLOATS ",\"exemplars\":[" E0(9223372036854775807) E1(9223372036854775806) "]}"},
    {"custom", "histogram",
     "\"t\":1700000000124,\"h\":" CUSTOM ",\"st\":1,\"exemplars\":[" E0(1700000000124) "]}", NULL},
    {"stale", NULL, "\"t\":1700000000124,\"h\":\"stale\"}", "\"t\":1700000000124,\"h\":\"stale\"}"},
    {"empty", "histogram", "\"t\":0,\"h\":" EMPTY "}", "\"t\":0,\"h\":" EMPTY "}"},
    {"labels_of_two_bytes", "info", "\"t\":1,\"h\":" WHOLE ",\"st\":1,\"exemplars\":[" E0(1) "]}",
     "\"t\":1,\"h\":" WHOLE ",\"exemplars\":[" E0(1) "]}"},
    {"plain_again", NULL, "\"t\":1,\"v\":4}", "\"t\":1,\"v\":4}"},
};

static void expect_line(size_t i, const char *rest, bool with_metadata, struct buf *want)
{
    if (!rest)
        return;
    buf_addf(want, "{\"labels\":{\"__name__\":\"%s\"", LINES[i].name);
    for (size_t k = 0; k < EXTRAS[i].labels; k++)
        buf_addf(want, ",\"l%02zu\":\"l%02zu\"", k, k);
    buf_addf(want, "},%s\n", rest);
    if (with_metadata && LINES[i].type)
        buf_addf(want, "{\"metadata\":{\"name\":\"%s\",\"type\":\"%s\",\"help\":\"%s\",\"unit\":\"%s\"}}\n",
                 LINES[i].name, LINES[i].type, EXTRAS_HELP, EXTRAS_UNIT);
}

static void check_message(enum sink_message message, struct str raw, bool with_metadata)
{
    struct sink_counts counts, silent;
    struct err err = {0};
    struct buf json, want;
    buf_init(&json, 1 << 20);
    buf_init(&want, 1 << 20);
    for (size_t i = 0; i < ROWS(LINES); i++)
        expect_line(i, message == SINK_RW2 ? LINES[i].rw2 : LINES[i].rw1, with_metadata, &want);
    assert_true(sink_decode(message, raw, &json, with_metadata, &counts, &err));
    assert_string_equal(buf_c(&json), buf_c(&want));
    assert_int_equal(counts.samples, 6);
    assert_int_equal(counts.histograms, message == SINK_RW2 ? 7 : 6);
    assert_int_equal(counts.exemplars, message == SINK_RW2 ? 13 : 12);
    assert_int_equal(counts.metadata, message == SINK_RW2 ? 10 : 0);
    assert_int_equal(counts.lines, counts.samples + counts.histograms + (with_metadata ? counts.metadata : 0));
    assert_true(sink_decode(message, raw, NULL, true, &silent, &err));
    counts.lines = 0;
    assert_memory_equal(&counts, &silent, sizeof counts);
    buf_free(&json);
    buf_free(&want);
}

static void test_every_kind(void **state)
{
    struct block *b = extras_block();
    struct transcoder *t = transcoder_new();
    struct transcode_share share;
    struct transcode_result result;
    struct transcode_range range = {.to = b->series};
    struct err err = {0};
    struct buf raw;
    (void)state;
    assert_int_equal(ROWS(LINES), EXTRAS_N);
    check_message(SINK_RW2, str_make((char *)b->data, b->size), false);
    check_message(SINK_RW2, str_make((char *)b->data, b->size), true);
    buf_init(&raw, 1 << 20);
    transcoder_send(t, true, true);
    assert_true(transcoder_open(t, b, &err) && transcoder_encode(t, &range, &raw, &share, &result, &err));
    check_message(SINK_RW1, buf_str(&raw), false);
    buf_free(&raw);
    transcoder_free(t);
    block_unref(b);
}

/* ---- what else a sender may write ---- */

#define F64(x) 0, 0, 0, 0, 0, 0, x, 0x3f /* 0xf0: 1, 0xe0: 0.5 */

static const struct {
    const char *what;
    enum sink_message message;
    uint8_t bytes[64];
    size_t n;
    const char *out; /* lines, or the error behind a '!' */
} FOREIGN[] = {
    {"exemplars without a sample", SINK_RW1,
     {0x0a, 21, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1, 'b', 0x1a, 11, 0x11, F64(0xf0), 0x18, 7},
     23, "{\"labels\":{\"a\":\"b\"},\"exemplars\":[{\"labels\":{},\"v\":1,\"t\":7}]}\n"},
    {"exemplars before the labels", SINK_RW1,
     {0x0a, 18, 0x1a, 2, 0x18, 7, 0x12, 2, 0x10, 9, 0x12, 0, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1, 'b'},
     20, "{\"labels\":{\"a\":\"b\"},\"t\":9,\"v\":0}\n"
         "{\"labels\":{\"a\":\"b\"},\"t\":0,\"v\":0,\"exemplars\":[{\"labels\":{},\"v\":0,\"t\":7}]}\n"},
    {"samples and histograms of RW1", SINK_RW1,
     {0x0a, 12, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1, 'b', 0x12, 0, 0x22, 0},
     14, "{\"labels\":{\"a\":\"b\"},\"t\":0,\"v\":0}\n{\"labels\":{\"a\":\"b\"},\"t\":0,\"h\":" EMPTY "}\n"},
    {"samples and histograms of RW2", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 8, 0x0a, 2, 1, 1, 0x12, 0, 0x1a, 0},
     15, "!a series with samples and histograms"},
    {"buckets not packed", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 16, 0x0a, 2, 1, 1, 0x1a, 10, 0x08, 3, 0x60, 4, 0x60, 1, 0x5a, 2, 0x10, 2},
     23, "{\"labels\":{\"a\":\"a\"},\"t\":0,\"h\":{\"count\":3,\"sum\":0,\"schema\":0,\"zero_threshold\":0,"
         "\"zero_count\":0,\"positive\":{\"spans\":[[0,2]],\"deltas\":[2,-1]},\"reset_hint\":\"unknown\"}}\n"},
    {"fewer buckets than spans hold", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 12, 0x0a, 2, 1, 1, 0x1a, 6, 0x60, 4, 0x5a, 2, 0x10, 2},
     19, "!a histogram whose spans hold 2 buckets, but there are 1"},
    {"buckets without spans", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 8, 0x0a, 2, 1, 1, 0x1a, 2, 0x48, 4},
     15, "!a histogram whose spans hold 0 buckets, but there are 1"},
    {"buckets of the other kind", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 17, 0x0a, 2, 1, 1, 0x1a, 11, 0x08, 1, 0x51, F64(0xf0)},
     24, "!a histogram with whole counts and floats"},
    {"half a histogram", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 8, 0x0a, 2, 1, 1, 0x1a, 2, 0x19, 0}, 15, "!malformed histogram"},
    {"a span cut off", SINK_RW1,
     {0x0a, 13, 0x0a, 6, 0x0a, 1, 'a', 0x12, 1, 'b', 0x22, 3, 0x5a, 1, 0x10}, 15, "!malformed histogram"},
    {"half an exemplar", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 10, 0x0a, 2, 1, 1, 0x12, 0, 0x22, 2, 0x11, 0}, 17, "!malformed exemplar"},
    {"an exemplar's label out of range", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 12, 0x0a, 2, 1, 1, 0x12, 0, 0x22, 4, 0x0a, 2, 1, 2},
     19, "!a label reference is outside of the symbols"},
    {"metadata of RW1", SINK_RW1,
     {0x1a, 11, 0x08, 7, 0x12, 1, 'n', 0x22, 1, 'h', 0x2a, 1, 'u'},
     13, "{\"metadata\":{\"name\":\"n\",\"type\":\"stateset\",\"help\":\"h\",\"unit\":\"u\"}}\n"},
    {"an unknown type", SINK_RW1,
     {0x1a, 5, 0x08, 8, 0x12, 1, 'n'},
     7, "{\"metadata\":{\"name\":\"n\",\"type\":\"unknown\",\"help\":\"\",\"unit\":\"\"}}\n"},
    {"half a piece of metadata", SINK_RW1, {0x1a, 2, 0x12, 1}, 4, "!malformed metadata"},
    {"a unit out of range", SINK_RW2,
     {0x22, 0, 0x22, 1, 'a', 0x2a, 10, 0x0a, 2, 1, 1, 0x12, 0, 0x2a, 2, 0x20, 2}, 17, "!malformed metadata"},
};

static void test_foreign(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(FOREIGN); i++) {
        struct sink_counts counts;
        struct err err = {0}, silent = {0};
        struct buf json;
        buf_init(&json, 1 << 16);
        struct str raw = str_make((const char *)FOREIGN[i].bytes, FOREIGN[i].n);
        bool good = sink_decode(FOREIGN[i].message, raw, &json, true, &counts, &err);
        const char *got = good ? buf_c(&json) : err.msg, *want = FOREIGN[i].out;
        if (good != (*want != '!') || strcmp(got, want + !good) != 0)
            fail_msg("%s: %s", FOREIGN[i].what, got);
        assert_true(sink_decode(FOREIGN[i].message, raw, NULL, true, &counts, &silent) == good);
        assert_string_equal(silent.msg, err.msg);
        buf_free(&json);
    }
}

/* Every cut of a message is refused or ends between two series. */
static void test_cut(void **state)
{
    struct block *b = extras_block();
    size_t whole = 0;
    (void)state;
    for (size_t n = 0; n < b->size; n++) {
        struct sink_counts counts;
        struct err err = {0};
        struct buf json;
        buf_init(&json, 1 << 20);
        char *cut = malloc(n + 1);
        memcpy(cut, b->data, n);
        whole += sink_decode(SINK_RW2, str_make(cut, n), &json, true, &counts, &err);
        free(cut);
        buf_free(&json);
    }
    assert_int_equal(whole, 1 + 1 + 2 + EXTRAS_LABELS_MAX + 2 * EXTRAS_N + EXTRAS_N - 1);
    block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests_name("sink_extras", tests, NULL, NULL);
}
