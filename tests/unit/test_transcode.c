/* SPDX-License-Identifier: Apache-2.0 */
/* test_transcode: what the hand-written encoder makes of random blocks, read back by the generated unpacker.
   */
#include "unit.h"

#include <snappy-c.h>

#include "agent/remote/metadata.h"
#include "agent/remote/transcode.h"
#include "base/alloc.h"
#include "rw1.pb-c.h"
#include "rw2.pb-c.h"

/* ---- random blocks, and what is expected of them ---- */

#define SERIES_MAX 60
#define LABELS_MAX 12

struct expected_series {
    struct label labels[LABELS_MAX + 8];
    size_t labels_n;
    uint64_t bits;
    int64_t ts_ms;
    const char *job;
};

struct expected {
    struct expected_series series[SERIES_MAX];
    size_t n;
};

static uint64_t seed;

static uint32_t rnd(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

static const char *const NAMES[] = {
    "A_upper",
    "__name__",
    "a",
    "cluster",
    "code",
    "handler",
    "instance",
    "job",
    "le",
    "method",
    "namespace",
    "pod",
    "quantile",
    "region",
    "r\xc3\xa9gion",
    "zz_a_very_long_label_name_that_is_over_32_bytes",
};
#define NAMES_N (sizeof NAMES / sizeof NAMES[0])

static const char *const VALUES[] = {
    "1",
    "0.5",
    "+Inf",
    "GET",
    "/api/v1/query_range",
    "10.0.0.1:9100",
    "h\xc3\xa9llo \xe4\xb8\x96\xe7\x95\x8c",
    "x\"quoted\"\\ and\nnewline",
    "exactly_sixteen_",
    "exactly_thirty_two_bytes_of_text",
    "thirty_three_bytes_of_text_are_it",
    "a value that is a good deal longer than 127 bytes so that its length and that of its label take two "
    "bytes each "
    "in the encoding, which the sizes must respect",
};
#define VALUES_N (sizeof VALUES / sizeof VALUES[0])

static const uint64_t BITS[] = {
    BLOCK_STALE_BITS, BLOCK_NAN_BITS, 0x7ff0000000000000u, 0xfff0000000000000u, 0x8000000000000000u, 0,
    0x3ff0000000000000u, 0x0000000000000001u, 0x7fefffffffffffffu,
};

static const int64_t TIMES[] = {0, 1, -1, 1700000000000, 1700000000123, INT64_MAX, INT64_MIN};

static uint32_t symbol(struct block_builder *b, const char *text)
{
    return block_builder_symbol(b, str_of(text));
}

/* Labels often stay those of the series before, as in real scrapes. */
static void random_labels(struct expected_series *s, const struct expected_series *before)
{
    s->labels_n = 0;
    for (size_t i = 0; i < NAMES_N && s->labels_n < LABELS_MAX; i++) {
        const struct label *same = NULL;
        for (size_t k = 0; before && k < before->labels_n; k++) {
            if (str_eq_c(before->labels[k].name, NAMES[i]))
                same = &before->labels[k];
        }
        if (same && rnd(4) != 0)
            s->labels[s->labels_n++] = *same;
        else if (rnd(2) == 0)
            s->labels[s->labels_n++] = (struct label){str_of(NAMES[i]), str_of(VALUES[rnd(VALUES_N)])};
    }
    if (s->labels_n == 0)
        s->labels[s->labels_n++] = (struct label){STR("only"), STR("one")};
}

static struct block *random_block(struct expected *x)
{
    struct block_builder *b = block_builder_new(1, 1 << 20, 100000);
    x->n = 1 + rnd(SERIES_MAX - 1);
    const char *job = "job0";
    for (size_t i = 0; i < x->n; i++) {
        struct expected_series *s = &x->series[i];
        random_labels(s, i ? &x->series[i - 1] : NULL);
        s->bits = BITS[rnd(sizeof BITS / sizeof BITS[0])];
        s->ts_ms = TIMES[rnd(sizeof TIMES / sizeof TIMES[0])];
        if (i && job[3] == '0' && rnd(20) == 0) {
            block_builder_job(b, str_of(job));
            job = "job1";
        }
        s->job = job;
        uint32_t refs[2 * LABELS_MAX];
        for (size_t k = 0; k < s->labels_n; k++) {
            refs[2 * k] = symbol(b, s->labels[k].name.p);
            refs[2 * k + 1] = symbol(b, s->labels[k].value.p);
        }
        double value;
        memcpy(&value, &s->bits, 8);
        block_builder_sample(b, refs, 2 * s->labels_n, value, s->ts_ms, NULL);
    }
    block_builder_job(b, str_of(job));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    assert_non_null(block);
    return block;
}

static int by_name(const void *a, const void *b)
{
    return str_cmp(((const struct label *)a)->name, ((const struct label *)b)->name);
}

static void add_external(struct expected *x, const struct label *external, size_t n)
{
    for (size_t i = 0; i < x->n; i++) {
        struct expected_series *s = &x->series[i];
        for (size_t k = 0; k < n; k++) {
            bool has = false;
            for (size_t j = 0; j < s->labels_n; j++)
                has = has || str_eq(s->labels[j].name, external[k].name);
            if (!has)
                s->labels[s->labels_n++] = external[k];
        }
        qsort(s->labels, s->labels_n, sizeof s->labels[0], by_name);
    }
}

/* ---- comparing ---- */

static Prometheus__WriteRequest *unpack(const struct buf *raw)
{
    Prometheus__WriteRequest *request =
        prometheus__write_request__unpack(NULL, raw->n, (const uint8_t *)(raw->p ? raw->p : ""));
    assert_non_null(request);
    return request;
}

static void check_series(const Prometheus__TimeSeries *got, const struct expected_series *want)
{
    assert_int_equal(got->n_labels, want->labels_n);
    for (size_t k = 0; k < got->n_labels; k++) {
        assert_true(str_eq_c(want->labels[k].name, got->labels[k]->name));
        assert_true(str_eq_c(want->labels[k].value, got->labels[k]->value));
        assert_true(k == 0 || strcmp(got->labels[k - 1]->name, got->labels[k]->name) < 0);
    }
    assert_int_equal(got->n_samples, 1);
    uint64_t bits;
    memcpy(&bits, &got->samples[0]->value, 8);
    assert_true(bits == want->bits);
    assert_true(got->samples[0]->timestamp == want->ts_ms);
}

/* The same of a 2.0 request; a part of a block has just the symbols that it uses, each once. */
static void check_request2(const struct buf *raw, const struct expected *x, uint32_t from, uint32_t to, bool part)
{
    Io__Prometheus__Write__V2__Request *r =
        io__prometheus__write__v2__request__unpack(NULL, raw->n, (const uint8_t *)raw->p);
    assert_non_null(r);
    assert_int_equal(r->n_timeseries, to - from);
    assert_string_equal(r->symbols[0], "");
    bool *used = xcalloc(r->n_symbols, sizeof *used);
    for (uint32_t i = from; i < to; i++) {
        const Io__Prometheus__Write__V2__TimeSeries *got = r->timeseries[i - from];
        const struct expected_series *want = &x->series[i];
        assert_int_equal(got->n_labels_refs, 2 * want->labels_n);
        for (size_t k = 0; k < got->n_labels_refs; k++) {
            assert_true(got->labels_refs[k] < r->n_symbols);
            used[got->labels_refs[k]] = true;
            struct str text = k % 2 ? want->labels[k / 2].value : want->labels[k / 2].name;
            assert_true(str_eq_c(text, r->symbols[got->labels_refs[k]]));
        }
        assert_int_equal(got->n_samples, 1);
        assert_memory_equal(&got->samples[0]->value, &want->bits, 8);
        assert_true(got->samples[0]->timestamp == want->ts_ms);
    }
    for (size_t i = 1; part && i < r->n_symbols; i++) {
        assert_true(used[i]);
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(r->symbols[i], r->symbols[k]);
    }
    free(used);
    io__prometheus__write__v2__request__free_unpacked(r, NULL);
}

static void check_range2(struct transcoder *t, const struct expected *x, uint32_t from, uint32_t to)
{
    struct buf raw;
    buf_init(&raw, 1 << 24);
    struct transcode_share shares[64] = {0};
    struct transcode_result result;
    struct err err = {0};
    struct transcode_range range = {.from = from, .to = to};
    transcoder_message(t, TRANSCODE_RW2);
    assert_true(transcoder_encode(t, &range, &raw, shares, &result, &err));
    assert_int_equal(result.to, to);
    assert_int_equal(result.series, to - from);
    assert_int_equal(result.samples, to - from);
    uint64_t shared = 0;
    for (size_t i = 0; i < 64; i++)
        shared += shares[i].samples;
    if (to > from)
        check_request2(&raw, x, from, to, from > 0 || to < x->n);
    else
        assert_int_equal(raw.n, 0);
    assert_int_equal(shared, to - from);
    buf_free(&raw);
    transcoder_message(t, TRANSCODE_RW1);
}

static void check_range(struct transcoder *t, const struct expected *x, uint32_t from, uint32_t to)
{
    check_range2(t, x, from, to);
    struct buf raw;
    buf_init(&raw, 1 << 24);
    struct transcode_share shares[64];
    struct transcode_result result;
    struct err err = {0};
    struct transcode_range range = {.from = from, .to = to};
    assert_true(transcoder_encode(t, &range, &raw, shares, &result, &err));
    assert_int_equal(result.to, to);
    assert_int_equal(result.series, to - from);
    assert_int_equal(result.samples, to - from);
    Prometheus__WriteRequest *request = unpack(&raw);
    assert_int_equal(request->n_timeseries, to - from);
    int64_t max_ts = INT64_MIN;
    for (uint32_t i = from; i < to; i++) {
        check_series(request->timeseries[i - from], &x->series[i]);
        max_ts = x->series[i].ts_ms > max_ts ? x->series[i].ts_ms : max_ts;
    }
    assert_true(to == from || result.max_ts_ms == max_ts);
    prometheus__write_request__free_unpacked(request, NULL);
    buf_free(&raw);
}

static const struct label EXTERNAL[] = {
    {{"AA", 2}, {"first", 5}}, {{"cluster", 7}, {"k3s", 3}}, {{"empty", 5}, {"", 0}},
    {{"region", 6}, {"eu", 2}}, {{"zzz", 3}, {"last", 4}},
};

static void random_rounds(size_t external_n, int rounds)
{
    struct transcoder *t = transcoder_new();
    struct label external[8];
    size_t kept = 0;
    transcoder_configure(t, EXTERNAL, external_n, NULL);
    for (size_t i = 0; i < external_n; i++) {
        if (EXTERNAL[i].value.n)
            external[kept++] = EXTERNAL[i];
    }
    struct expected *x = xcalloc(1, sizeof *x);
    for (int round = 0; round < rounds; round++) {
        struct block *b = random_block(x);
        add_external(x, external, kept);
        struct err err = {0};
        assert_true(transcoder_open(t, b, &err));
        uint32_t n = (uint32_t)x->n;
        check_range(t, x, 0, n);
        uint32_t middle = rnd(n + 1);
        check_range(t, x, middle, n);
        check_range(t, x, 0, middle);
        transcoder_close(t);
        block_unref(b);
    }
    free(x);
    transcoder_free(t);
}

static void test_random_blocks(void **state)
{
    (void)state;
    seed = 1;
    random_rounds(0, 600);
}

static void test_random_blocks_external(void **state)
{
    (void)state;
    seed = 2;
    random_rounds(5, 600);
}

/* ---- rules ---- */

static struct relabel_rules *rules_of(const struct relabel_source *v, size_t n)
{
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct relabel_rules *rules = relabel_compile(v, n, &err, &bad, &field);
    if (!rules)
        fail_msg("%s", err.msg);
    return rules;
}

static struct relabel_rules *drop_get_and_rename(void)
{
    static const struct str method[] = {{"method", 6}}, handler[] = {{"handler", 7}};
    const struct relabel_source v[] = {
        {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
         .action = STR("drop"),
         .source_labels = method,
         .source_labels_n = 1,
         .regex = STR("GET"),
         .separator = STR(";"),
         .replacement = STR("$1")},
        {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_TARGET_LABEL | RELABEL_REPLACEMENT,
         .action = STR("replace"),
         .source_labels = handler,
         .source_labels_n = 1,
         .target_label = STR("B_handler"),
         .regex = STR("(.*)"),
         .separator = STR(";"),
         .replacement = STR("<$1>")},
        {.given = RELABEL_ACTION | RELABEL_REGEX,
         .action = STR("labeldrop"),
         .regex = STR("handler|AA"),
         .separator = STR(";"),
         .replacement = STR("$1")},
    };
    return rules_of(v, sizeof v / sizeof v[0]);
}

static bool is_get(const struct expected_series *s)
{
    for (size_t k = 0; k < s->labels_n; k++) {
        if (str_eq(s->labels[k].name, STR("method")) && str_eq(s->labels[k].value, STR("GET")))
            return true;
    }
    return false;
}

/* Does what the rules above do; texts go to the arena. */
static void expect_rules(struct expected_series *s, struct arena *arena)
{
    struct str handler = STR("");
    size_t n = 0;
    for (size_t k = 0; k < s->labels_n; k++) {
        if (str_eq(s->labels[k].name, STR("handler")))
            handler = s->labels[k].value;
        else if (!str_eq(s->labels[k].name, STR("AA")))
            s->labels[n++] = s->labels[k];
    }
    s->labels[n++] =
        (struct label){STR("B_handler"), str_of(arena_printf(arena, "<%.*s>", STR_ARG(handler)))};
    s->labels_n = n;
    qsort(s->labels, n, sizeof s->labels[0], by_name);
}

static void check_rules_round(struct transcoder *t, struct expected *x, struct arena *arena)
{
    struct block *b = random_block(x);
    add_external(x, EXTERNAL, 2);
    struct err err = {0};
    assert_true(transcoder_open(t, b, &err));
    struct buf raw;
    buf_init(&raw, 1 << 24);
    struct transcode_share shares[64];
    struct transcode_result result;
    struct transcode_range range = {.to = b->series};
    assert_true(transcoder_encode(t, &range, &raw, shares, &result, &err));
    Prometheus__WriteRequest *request = unpack(&raw);
    size_t at = 0;
    struct transcode_share want[2] = {{0}};
    for (size_t i = 0; i < x->n; i++) {
        struct transcode_share *share = &want[x->series[i].job[3] == '1'];
        bool dropped = is_get(&x->series[i]);
        share->filtered += dropped;
        share->samples += !dropped;
        if (dropped)
            continue;
        expect_rules(&x->series[i], arena);
        assert_true(at < request->n_timeseries);
        check_series(request->timeseries[at++], &x->series[i]);
    }
    assert_int_equal(at, request->n_timeseries);
    assert_int_equal(result.series, at);
    struct transcode_share got[2] = {{0}};
    for (size_t j = 0; j < b->jobs_n; j++) {
        got[b->jobs[j].name.p[3] == '1'].samples += shares[j].samples;
        got[b->jobs[j].name.p[3] == '1'].filtered += shares[j].filtered;
    }
    assert_memory_equal(got, want, sizeof got);
    prometheus__write_request__free_unpacked(request, NULL);
    buf_free(&raw);
    transcoder_close(t);
    block_unref(b);
}

static void test_rules(void **state)
{
    (void)state;
    seed = 3;
    struct relabel_rules *rules = drop_get_and_rename();
    struct transcoder *t = transcoder_new();
    transcoder_configure(t, EXTERNAL, 2, rules);
    struct expected *x = xcalloc(1, sizeof *x);
    struct arena arena;
    arena_init(&arena);
    for (int round = 0; round < 300; round++) {
        check_rules_round(t, x, &arena);
        arena_reset(&arena);
    }
    arena_free(&arena);
    free(x);
    transcoder_free(t);
    relabel_free(rules);
}

/* ---- limits, cutting, names ---- */

static struct block *numbered_block(uint32_t n)
{
    struct block_builder *b = block_builder_new(0, 1 << 22, 1000000);
    for (uint32_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%u", i);
        uint32_t refs[] = {symbol(b, "__name__"), symbol(b, "m"), symbol(b, "id"), symbol(b, id),
                           symbol(b, "method"), symbol(b, i % 10 == 0 ? "PUT" : "GET")};
        block_builder_sample(b, refs, 6, i, 1000 + i, NULL);
    }
    block_builder_job(b, STR("j"));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

static void test_limits(void **state)
{
    (void)state;
    struct block *b = numbered_block(100);
    struct transcoder *t = transcoder_new();
    struct err err = {0};
    assert_true(transcoder_open(t, b, &err));
    struct buf raw;
    buf_init(&raw, 1 << 20);
    struct transcode_share share;
    struct transcode_result result;
    struct transcode_range range = {.from = 10, .to = 100, .max_samples = 7};
    assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
    assert_int_equal(result.to, 17);
    assert_int_equal(share.samples, 7);
    range = (struct transcode_range){.from = 17, .to = 100, .max_bytes = 500};
    assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
    assert_in_range(raw.n, 400, 500);
    assert_true(result.to > 20 && result.to < 40);
    range.max_bytes = 1; /* one always goes */
    assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
    assert_int_equal(result.to, 18);
    assert_int_equal(result.samples, 1);
    range = (struct transcode_range){.from = 90, .to = 200}; /* more than there are */
    assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
    assert_int_equal(result.samples, 10);
    assert_int_equal(result.to, 200);
    assert_int_equal(transcoder_middle(t, 10, 20), 15);
    assert_int_equal(transcoder_middle(t, 10, 11), 11);
    struct buf name;
    buf_init(&name, 4096);
    assert_true(transcoder_describe(t, 5, 6, &name));
    assert_string_equal(buf_c(&name), "m{id=\"5\",method=\"GET\"}");
    assert_false(transcoder_describe(t, 100, 200, &name));
    buf_free(&name);
    buf_free(&raw);
    transcoder_free(t);
    block_unref(b);
}

/* Halves must both hold survivors, or a half would repeat the refused request. */
static void test_middle_with_rules(void **state)
{
    (void)state;
    struct relabel_rules *rules = drop_get_and_rename();
    struct block *b = numbered_block(100); /* 0, 10, 20 ... survive */
    struct transcoder *t = transcoder_new();
    transcoder_configure(t, NULL, 0, rules);
    struct err err = {0};
    assert_true(transcoder_open(t, b, &err));
    assert_int_equal(transcoder_middle(t, 0, 100), 50);
    assert_int_equal(transcoder_middle(t, 0, 20), 10);
    assert_int_equal(transcoder_middle(t, 0, 11), 10);
    assert_int_equal(transcoder_middle(t, 0, 10), 10);
    assert_int_equal(transcoder_middle(t, 1, 21), 20);
    assert_int_equal(transcoder_middle(t, 1, 10), 10);
    transcoder_free(t);
    relabel_free(rules);
    block_unref(b);
}

static void test_malformed(void **state)
{
    (void)state;
    struct block *b = numbered_block(50);
    struct transcoder *t = transcoder_new();
    struct buf raw;
    buf_init(&raw, 1 << 20);
    seed = 4;
    for (int round = 0; round < 3000; round++) {
        struct block copy = *b;
        copy.size = rnd((uint32_t)b->size);
        copy.data = xmalloc(copy.size + 1);
        memcpy(copy.data, b->data, copy.size);
        if (copy.size)
            copy.data[rnd((uint32_t)copy.size)] ^= (uint8_t)(1u << rnd(8));
        struct transcode_share share;
        struct transcode_result result;
        struct transcode_range range = {.to = 50};
        struct err err = {0};
        if (transcoder_open(t, &copy, &err) && transcoder_encode(t, &range, &raw, &share, &result, &err))
            assert_true(result.series <= 50);
        transcoder_close(t);
        free(copy.data);
    }
    buf_free(&raw);
    transcoder_free(t);
    block_unref(b);
}

/* ---- metadata and compression ---- */

/* The family that a metric of this type is announced under. */
static void check_family(const char *metric, enum block_metric_type type, bool native, const char *family)
{
    struct metadata *m = metadata_new();
    struct transcode_meta meta = {.metric = str_of(metric), .type = type, .native = native};
    metadata_note(m, &meta, 1, 1, 60000);
    struct str pending = metadata_pending(m);
    Prometheus__WriteRequest *request =
        prometheus__write_request__unpack(NULL, pending.n, (const uint8_t *)pending.p);
    assert_non_null(request);
    assert_int_equal(request->n_metadata, 1);
    assert_string_equal(request->metadata[0]->metric_family_name, family);
    assert_int_equal(request->metadata[0]->type, type);
    prometheus__write_request__free_unpacked(request, NULL);
    metadata_free(m);
}

static void test_families(void **state)
{
    (void)state;
    check_family("a_bucket", BLOCK_HISTOGRAM, false, "a");
    check_family("a_sum", BLOCK_HISTOGRAM, false, "a");
    check_family("a_count", BLOCK_HISTOGRAM, true, "a_count");
    check_family("a_count", BLOCK_SUMMARY, false, "a");
    check_family("a_bucket", BLOCK_SUMMARY, false, "a_bucket");
    check_family("a_count", BLOCK_COUNTER, false, "a_count");
    check_family("a_gcount", BLOCK_GAUGEHISTOGRAM, false, "a");
    check_family("a_gcount", BLOCK_GAUGEHISTOGRAM, true, "a_gcount");
    check_family("a_info", BLOCK_INFO, false, "a_info");
    check_family("a", BLOCK_STATESET, false, "a");
    check_family("_sum", BLOCK_SUMMARY, false, "_sum");
}

static struct block *histogram_block(void)
{
    struct block_builder *b = block_builder_new(0, 1 << 20, 1000);
    struct block_meta meta = {.type = BLOCK_HISTOGRAM, .help_ref = symbol(b, "How \"long\""),
                              .unit_ref = symbol(b, "seconds")};
    static const char *const names[] = {"h_bucket", "h_bucket", "h_count", "h_sum", "h_bucket"};
    uint32_t metric[5];
    for (size_t i = 0; i < 5; i++)
        metric[i] = symbol(b, names[i]);
    for (size_t i = 0; i < 5; i++) {
        uint32_t refs[] = {symbol(b, "__name__"), metric[i]};
        block_builder_sample(b, refs, 2, 1, 1, &meta);
    }
    uint32_t refs[] = {symbol(b, "__name__"), symbol(b, "plain")};
    block_builder_sample(b, refs, 2, 1, 1, NULL);
    block_builder_job(b, STR("j"));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

static void test_metadata(void **state)
{
    (void)state;
    struct block *b = histogram_block();
    struct transcoder *t = transcoder_new();
    struct metadata *m = metadata_new();
    struct err err = {0};
    assert_true(transcoder_open(t, b, &err));
    struct buf raw;
    buf_init(&raw, 1 << 20);
    struct transcode_share share;
    struct transcode_result result;
    struct transcode_range range = {.to = b->series};
    for (int64_t now = 0; now <= 60000; now += 20000) {
        transcoder_close(t);
        assert_true(transcoder_open(t, b, &err));
        assert_true(transcoder_encode(t, &range, &raw, &share, &result, &err));
        size_t n;
        const struct transcode_meta *metas = transcoder_metas(t, &n);
        assert_in_range(n, 3, 5);
        metadata_note(m, metas, n, now, 60000);
        struct str pending = metadata_pending(m);
        assert_true((pending.n != 0) == (now == 0 || now == 60000));
        if (pending.n) {
            Prometheus__WriteRequest *request =
                prometheus__write_request__unpack(NULL, pending.n, (const uint8_t *)pending.p);
            assert_non_null(request);
            assert_int_equal(request->n_timeseries, 0);
            assert_int_equal(request->n_metadata, 1);
            assert_int_equal(request->metadata[0]->type, PROMETHEUS__METRIC_METADATA__METRIC_TYPE__HISTOGRAM);
            assert_string_equal(request->metadata[0]->metric_family_name, "h");
            assert_string_equal(request->metadata[0]->help, "How \"long\"");
            assert_string_equal(request->metadata[0]->unit, "seconds");
            prometheus__write_request__free_unpacked(request, NULL);
        }
        metadata_clear(m);
    }
    buf_free(&raw);
    metadata_free(m);
    transcoder_free(t);
    block_unref(b);
}

/* Families without end: the table starts anew instead of growing. */
static void test_metadata_bound(void **state)
{
    (void)state;
    struct metadata *m = metadata_new();
    for (int i = 0; i < 50000; i++) {
        char name[32];
        snprintf(name, sizeof name, "metric_%d", i);
        struct transcode_meta meta = {.metric = str_of(name), .type = BLOCK_COUNTER};
        metadata_note(m, &meta, 1, 1, 60000);
        assert_true(metadata_pending(m).n > 0);
        metadata_clear(m);
    }
    metadata_free(m);
}

static void test_snappy(void **state)
{
    (void)state;
    struct buf out, small;
    buf_init(&out, 1 << 20);
    buf_init(&small, 8);
    assert_true(transcode_snappy(STR("hello hello hello hello hello"), &out));
    assert_int_equal(snappy_validate_compressed_buffer(out.p, out.n), SNAPPY_OK);
    char text[64];
    size_t n = sizeof text;
    assert_int_equal(snappy_uncompress(out.p, out.n, text, &n), SNAPPY_OK);
    assert_true(str_eq_c(str_make(text, n), "hello hello hello hello hello"));
    assert_false(transcode_snappy(STR("hello hello hello"), &small));
    buf_free(&out);
    buf_free(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_blocks),
        cmocka_unit_test(test_random_blocks_external),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_middle_with_rules),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_metadata_bound),
        cmocka_unit_test(test_snappy),
    };
    return cmocka_run_group_tests_name("transcode", tests, NULL, NULL);
}
