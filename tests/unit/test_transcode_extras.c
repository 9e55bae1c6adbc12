/* SPDX-License-Identifier: Apache-2.0 */
/* test_transcode_extras: histograms and exemplars on the wire, for endpoints that want them and for those that do not,
   and that whatever stays behind is counted. */
#include "extras_bed.h"

#include "agent/remote/metadata.h"
#include "agent/remote/transcode.h"
#include "rw1.pb-c.h"

#define RULE_NONE 0
#define RULE_DROP 1 /* drops series named whole.* */

struct wants {
    bool histograms, exemplars;
};

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static struct relabel_rules *drop_whole(void)
{
    static const struct str name[] = {{"__name__", 8}};
    const struct relabel_source rule = {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
                                        .action = STR("drop"),
                                        .source_labels = name,
                                        .source_labels_n = 1,
                                        .separator = STR(";"),
                                        .regex = STR("whole.*"),
                                        .replacement = STR("$1")};
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct relabel_rules *rules = relabel_compile(&rule, 1, &err, &bad, &field);
    assert_non_null(rules);
    return rules;
}

/* ---- one series ---- */

static void check_labels(const struct extras_row *row, size_t external, const Prometheus__TimeSeries *s)
{
    assert_int_equal(s->n_labels, 1 + row->labels + external);
    assert_string_equal(s->labels[0]->name, "__name__");
    assert_string_equal(s->labels[0]->value, row->name);
    if (external) /* sorted in: before l00 */
        assert_string_equal(s->labels[1]->name, "a");
    for (size_t k = 1; k < s->n_labels; k++)
        assert_true(strcmp(s->labels[k - 1]->name, s->labels[k]->name) < 0);
}

static void check_histogram(const struct extras_row *row, Prometheus__Histogram *h)
{
    uint8_t want[256], got[256];
    struct str message = extras_message(row->kind, want);
    assert_true(h->timestamp == row->ts_ms);
    assert_int_equal(h->base.n_unknown_fields, 0); /* no start: RW1 has no field for it */
    h->timestamp = 0;
    assert_int_equal(prometheus__histogram__get_packed_size(h), message.n);
    assert_memory_equal(got, message.p, prometheus__histogram__pack(h, got));
}

static void check_exemplars(const struct extras_row *row, const Prometheus__TimeSeries *s)
{
    assert_int_equal(s->n_exemplars, row->exemplars);
    for (size_t i = 0; i < row->exemplars; i++) {
        const Prometheus__Exemplar *e = s->exemplars[i];
        assert_true(e->value == (double)i + 0.5 && e->timestamp == row->ts_ms - (int64_t)i);
        assert_int_equal(e->n_labels, i); /* and no external ones */
        for (size_t k = 0; k < i; k++) {
            char text[24];
            snprintf(text, sizeof text, "l%02zu", k);
            assert_string_equal(e->labels[k]->name, text);
            assert_string_equal(e->labels[k]->value, text);
        }
    }
}

static void check_series(const struct extras_row *row, struct wants wants, size_t external,
                         const Prometheus__TimeSeries *s)
{
    check_labels(row, external, s);
    assert_int_equal(s->n_samples, row->kind == EXTRAS_FLOAT);
    assert_int_equal(s->n_histograms, row->kind != EXTRAS_FLOAT);
    if (s->n_samples)
        assert_true(bits_of(s->samples[0]->value) == bits_of(row->value) && s->samples[0]->timestamp == row->ts_ms);
    else
        check_histogram(row, s->histograms[0]);
    if (wants.exemplars)
        check_exemplars(row, s);
    else
        assert_int_equal(s->n_exemplars, 0);
}

/* ---- a block of all ---- */

struct counts {
    uint64_t sent, filtered, not_sent, custom, exemplars_left;
};

static bool is_dropped(const struct extras_row *row, int rule)
{
    return rule == RULE_DROP && strncmp(row->name, "whole", 5) == 0;
}

static bool is_sent(const struct extras_row *row, struct wants wants, int rule)
{
    bool sendable = row->kind == EXTRAS_FLOAT || (wants.histograms && row->kind != EXTRAS_CUSTOM);
    return sendable && !is_dropped(row, rule);
}

static void expect(const struct extras_row *row, struct wants wants, int rule, struct counts *c)
{
    bool sent = is_sent(row, wants, rule), filtered = is_dropped(row, rule);
    c->sent += sent;
    c->filtered += filtered;
    c->not_sent += !sent && !filtered;
    c->custom += !sent && wants.histograms && row->kind == EXTRAS_CUSTOM;
    if (!filtered && (!sent || !wants.exemplars))
        c->exemplars_left += row->exemplars;
}

static void check_range(struct transcoder *t, uint32_t from, uint32_t to, struct wants wants, size_t external,
                        int rule)
{
    struct transcode_range range = {.from = from, .to = to};
    struct transcode_share share;
    struct transcode_result result;
    struct counts want = {0};
    struct err err = {0};
    struct buf raw;
    buf_init(&raw, 1 << 20);
    assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
    Prometheus__WriteRequest *request = prometheus__write_request__unpack(NULL, raw.n, (const uint8_t *)raw.p);
    assert_non_null(request);
    size_t at = 0;
    for (uint32_t i = from; i < to; i++) {
        expect(&EXTRAS[i], wants, rule, &want);
        if (is_sent(&EXTRAS[i], wants, rule))
            check_series(&EXTRAS[i], wants, external, request->timeseries[at++]);
    }
    assert_int_equal(request->n_timeseries, at);
    assert_true(result.to == to && result.series == want.sent && result.samples == want.sent);
    assert_true(share.samples == want.sent && share.filtered == want.filtered && share.unsent == want.not_sent);
    assert_int_equal(share.samples + share.filtered + share.unsent, to - from);
    assert_true(result.filtered == want.filtered && result.unsent == want.not_sent);
    assert_true(result.custom == want.custom && result.exemplars_left == want.exemplars_left);
    prometheus__write_request__free_unpacked(request, NULL);
    buf_free(&raw);
}

static void test_all_wants(void **state)
{
    static const struct label EXTERNAL[] = {{{"a", 1}, {"first", 5}}};
    struct block *b = extras_block();
    struct relabel_rules *rules = drop_whole();
    struct transcoder *t = transcoder_new();
    struct err err = {0};
    (void)state;
    for (unsigned i = 0; i < 16; i++) {
        struct wants wants = {.histograms = i & 1, .exemplars = i & 2};
        size_t external = i & 4 ? 1 : 0;
        int rule = i & 8 ? RULE_DROP : RULE_NONE;
        transcoder_configure(t, EXTERNAL, external, rule == RULE_DROP ? rules : NULL);
        transcoder_send(t, wants.histograms, wants.exemplars);
        assert_true(transcoder_open(t, b, &err));
        for (uint32_t middle = 0; middle <= EXTRAS_N; middle++) {
            check_range(t, 0, middle, wants, external, rule);
            check_range(t, middle, EXTRAS_N, wants, external, rule);
        }
    }
    transcoder_free(t);
    relabel_free(rules);
    block_unref(b);
}

/* A limit cuts where the request would be too large, with nothing counted twice or left out. */
static void test_limits_count_each_once(void **state)
{
    struct block *b = extras_block();
    struct transcoder *t = transcoder_new();
    struct err err = {0};
    struct buf raw;
    (void)state;
    buf_init(&raw, 1 << 20);
    transcoder_send(t, true, true);
    assert_true(transcoder_open(t, b, &err));
    for (size_t max = 1; max < 3000; max += 50) {
        struct transcode_share share, sum = {0};
        uint64_t left = 0, requests = 0;
        struct transcode_range range = {.to = EXTRAS_N, .max_bytes = max};
        struct transcode_result result;
        for (; range.from < range.to; range.from = result.to) {
            assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
            assert_true(result.to > range.from && (result.series <= 1 || raw.n <= max));
            sum.samples += share.samples;
            sum.unsent += share.unsent;
            left += result.exemplars_left;
            requests += result.series > 0;
        }
        assert_true(sum.samples == EXTRAS_N - 1 && sum.unsent == 1 && left == 1);
        assert_true(max > 1 || requests == EXTRAS_N - 1);
    }
    buf_free(&raw);
    transcoder_free(t);
    block_unref(b);
}

/* Halves must both hold something that is sent, and what is not sent gives no request its name. */
static void test_middle_and_name(void **state)
{
    static const struct {
        bool histograms;
        uint32_t from, to, middle;
        const char *name; /* of the first that is sent; NULL = none is */
    } TABLE[] = {
        {true, 5, 10, 7, "whole{l00=\"l00\",l01=\"l01\"}"},     /* whole, whole_all, floats, custom, stale */
        {false, 5, 10, 10, NULL},
        {false, 4, 13, 12, "plain{l00=\"l00\",l01=\"l01\"}"},   /* plain, six histograms, ..., plain_again */
        {true, 8, 9, 9, NULL},                                  /* custom */
        {true, 8, 10, 10, "stale{l00=\"l00\"}"},
        {true, 7, 10, 9, "floats{l00=\"l00\"}"},
        {false, 0, 2, 1, "float_start{l00=\"l00\"}"},
    };
    struct block *b = extras_block();
    struct transcoder *t = transcoder_new();
    struct err err = {0};
    struct buf name;
    (void)state;
    buf_init(&name, 4096);
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        transcoder_send(t, TABLE[i].histograms, false);
        assert_true(transcoder_open(t, b, &err));
        assert_int_equal(transcoder_middle(t, TABLE[i].from, TABLE[i].to), TABLE[i].middle);
        buf_clear(&name);
        assert_true(transcoder_describe(t, TABLE[i].from, TABLE[i].to, &name) == (TABLE[i].name != NULL));
        if (TABLE[i].name)
            assert_string_equal(buf_c(&name), TABLE[i].name);
    }
    buf_free(&name);
    transcoder_free(t);
    block_unref(b);
}

/* ---- metadata ---- */

static void announce(struct transcoder *t, struct metadata *m, struct wants wants, const struct block *b)
{
    struct transcode_range range = {.to = EXTRAS_N};
    struct transcode_share share;
    struct transcode_result result;
    struct err err = {0};
    struct buf raw;
    size_t n;
    buf_init(&raw, 1 << 20);
    transcoder_send(t, wants.histograms, wants.exemplars);
    assert_true(transcoder_open(t, b, &err) && transcoder_encode(t, &range, &raw, &share, &result, &err));
    const struct transcode_meta *metas = transcoder_metas(t, &n);
    metadata_note(m, metas, n, 1, 60000);
    buf_free(&raw);
}

/* Of what is sent, and of nothing else: type, HELP and UNIT. */
static void test_metadata(void **state)
{
    struct block *b = extras_block();
    (void)state;
    for (int histograms = 0; histograms < 2; histograms++) {
        struct transcoder *t = transcoder_new();
        struct metadata *m = metadata_new();
        struct wants wants = {.histograms = histograms};
        announce(t, m, wants, b);
        struct str pending = metadata_pending(m);
        Prometheus__WriteRequest *request =
            prometheus__write_request__unpack(NULL, pending.n, (const uint8_t *)pending.p);
        size_t at = 0;
        for (size_t i = 0; i < EXTRAS_N; i++) {
            if (!EXTRAS[i].type || !is_sent(&EXTRAS[i], wants, RULE_NONE))
                continue;
            assert_true(at < request->n_metadata);
            const Prometheus__MetricMetadata *meta = request->metadata[at++];
            assert_int_equal(meta->type, EXTRAS[i].type);
            assert_string_equal(meta->metric_family_name, EXTRAS[i].name);
            assert_string_equal(meta->help, EXTRAS_HELP);
            assert_string_equal(meta->unit, EXTRAS_UNIT);
        }
        assert_int_equal(request->n_metadata, at);
        assert_true(histograms ? at == 9 : at == 4);
        prometheus__write_request__free_unpacked(request, NULL);
        metadata_free(m);
        transcoder_free(t);
    }
    block_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_wants),
        cmocka_unit_test(test_limits_count_each_once),
        cmocka_unit_test(test_middle_and_name),
        cmocka_unit_test(test_metadata),
    };
    return cmocka_run_group_tests_name("transcode_extras", tests, NULL, NULL);
}
