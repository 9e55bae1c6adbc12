/* SPDX-License-Identifier: Apache-2.0 */
/* test_batch: blocks put together and cut into strands hold what they held, in order, whatever it is. */
#include "unit.h"

#include "agent/remote/batch.h"
#include "base/alloc.h"
#include "base/units.h"
#include "base/wire.h"

/* Series `id` at ts_ms: every third a histogram, every fifth with an exemplar, some with metadata and start timestamps.
   Symbols come in an order of their own in each block. */
static void add_series(struct block_builder *b, uint32_t id, int64_t ts_ms)
{
    static const char HISTOGRAM[] = {0x08, 3, 0x20, 2};
    char text[16];
    snprintf(text, sizeof text, "%u", id);
    uint32_t refs[] = {block_builder_intern(b, STR("__name__")), block_builder_intern(b, STR("m")),
                       block_builder_intern(b, STR("id")), block_builder_intern(b, str_of(text))};
    uint32_t trace[] = {block_builder_intern(b, STR("trace_id")), refs[3]};
    struct block_exemplar exemplar = {trace, 2, 0.25 * id, ts_ms - 1};
    struct block_extra extra = {.start_ts_ms = id % 7 == 0 ? 5 : 0, .exemplars = &exemplar, .exemplars_n = id % 5 == 0};
    struct block_meta meta = {BLOCK_COUNTER, block_builder_intern(b, STR("What it counts")), 0};
    if (id % 3 == 0)
        extra.histogram = str_make(HISTOGRAM, sizeof HISTOGRAM);
    uint8_t *p = block_builder_room(b, 4 * WIRE_VARINT_MAX);
    for (size_t i = 0; i < 4; i++)
        p = wire_put_varint(p, refs[i]);
    if (extra.histogram.p || extra.start_ts_ms || extra.exemplars_n)
        block_builder_put_extra(b, p, id, ts_ms, id % 4 ? NULL : &meta, &extra);
    else
        block_builder_put(b, p, id, ts_ms, id % 4 ? NULL : &meta);
}

static struct block *make(uint32_t series, int64_t ts_ms, uint32_t first_symbol)
{
    struct block_builder *b = block_builder_new(3, 1 << 20, 100000);
    char text[16];
    for (uint32_t i = 0; i < series; i++) { /* the symbols of blocks differ */
        snprintf(text, sizeof text, "%u", (i + first_symbol) % series);
        (void)block_builder_intern(b, str_of(text));
    }
    for (uint32_t i = 0; i < series; i++) {
        add_series(b, i, ts_ms);
        if (i == series / 3)
            block_builder_job(b, STR("a"));
    }
    block_builder_job(b, STR("b"));
    struct block *out = block_builder_seal(b);
    block_builder_free(b);
    return out;
}

/* Everything there is to know of a series, as text. */
static void describe(struct block_reader *r, const struct block_series *s, struct buf *out)
{
    struct block_exemplar e;
    struct str message;
    int64_t ts_ms, start_ts_ms;
    buf_clear(out);
    for (size_t i = 0; i < s->refs_n; i++)
        buf_addf(out, "%.*s,", STR_ARG(block_reader_symbol(r, s->refs[i])));
    buf_addf(out, " %g @%lld from %lld type %d help %.*s", s->value, (long long)s->ts_ms, (long long)s->start_ts_ms,
             s->has_meta ? (int)s->type : -1, STR_ARG(block_reader_symbol(r, s->help_ref)));
    if (s->is_histogram && block_series_histogram(s, 0, &message, &ts_ms, &start_ts_ms))
        buf_addf(out, " histogram of %zu bytes at %lld", message.n, (long long)ts_ms);
    for (size_t i = 0; i < s->exemplars; i++) {
        assert_true(block_series_exemplar(r, s, i, &e));
        buf_addf(out, " exemplar %.*s=%.*s %g @%lld", STR_ARG(block_reader_symbol(r, e.refs[0])),
                 STR_ARG(block_reader_symbol(r, e.refs[1])), e.value, (long long)e.ts_ms);
    }
}

struct lines {
    char **v;
    size_t n, cap;
};

static void add_lines(const struct block *b, struct lines *to)
{
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    struct buf line;
    buf_init(&line, 4096);
    assert_true(block_reader_open(r, b->data, b->size, &err));
    while (block_reader_next(r, &s, &err)) {
        describe(r, &s, &line);
        to->v = xgrow(to->v, &to->cap, to->n + 1, sizeof(char *));
        to->v[to->n++] = xstrdup(buf_c(&line));
    }
    assert_false(err_is(&err));
    buf_free(&line);
    block_reader_free(r);
}

static void lines_free(struct lines *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i]);
    free(l->v);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void assert_same(struct lines *a, struct lines *b, bool sorted)
{
    if (sorted) {
        qsort(a->v, a->n, sizeof(char *), by_text);
        qsort(b->v, b->n, sizeof(char *), by_text);
    }
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++)
        assert_string_equal(a->v[i], b->v[i]);
    lines_free(a);
    lines_free(b);
}

/* Within one block the samples of a series come in the order of time, and jobs add up. */
static void check_strand(const struct block *b)
{
    struct block_reader *r = block_reader_new();
    struct block_series s;
    struct err err = {0};
    int64_t newest[1000] = {0};
    uint64_t in_jobs = 0;
    assert_true(block_reader_open(r, b->data, b->size, &err));
    while (block_reader_next(r, &s, &err)) {
        uint64_t id;
        assert_true(units_parse_u64(block_reader_symbol(r, s.refs[3]), &id));
        assert_true(s.ts_ms > newest[id]);
        newest[id] = s.ts_ms;
    }
    for (size_t i = 0; i < b->jobs_n; i++)
        in_jobs += b->jobs[i].samples;
    assert_int_equal(in_jobs, b->samples);
    assert_int_equal(b->series, b->samples);
    assert_int_equal(b->lane, 3);
    block_reader_free(r);
}

static void test_nothing_is_lost_or_moved(void **state)
{
    static const struct {
        size_t blocks;
        unsigned strands;
    } T[] = {{1, 1}, {2, 1}, {5, 1}, {1, 2}, {4, 3}, {7, 8}};
    struct block_copier *copier = block_copier_new();
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        struct block *blocks[8];
        struct lines want = {0}, got = {0};
        const struct queue_progress none = {0};
        uint64_t job_a = 0;
        for (size_t k = 0; k < T[i].blocks; k++) {
            blocks[k] = make(200, 1000 * (int64_t)(k + 1), (uint32_t)k * 17);
            blocks[k]->seq = 10 + k;
            add_lines(blocks[k], &want);
        }
        struct batch *b = batch_new(copier, blocks, T[i].blocks, QUEUE_BACKLOG, T[i].strands, &none);
        assert_int_equal(b->open, T[i].strands);
        assert_true(b->countable);
        for (unsigned k = 0; k < T[i].strands; k++) {
            add_lines(b->strands[k], &got);
            check_strand(b->strands[k]);
            assert_true(b->strands[k]->samples * T[i].strands > 200 * T[i].blocks / 2); /* about the same share */
            for (size_t j = 0; j < b->strands[k]->jobs_n; j++)
                job_a += str_eq(b->strands[k]->jobs[j].name, STR("a")) ? b->strands[k]->jobs[j].samples : 0;
        }
        assert_int_equal(job_a, 67 * T[i].blocks);
        assert_same(&want, &got, T[i].strands > 1);
        batch_free(b);
        for (size_t k = 0; k < T[i].blocks; k++)
            block_unref(blocks[k]);
    }
    block_copier_free(copier);
}

/* The same blocks give the same strands, whatever was copied before; what is through is not opened again. */
static void test_going_on(void **state)
{
    struct queue_progress progress = {.strands = 3};
    (void)state;
    struct block_copier *a = block_copier_new(), *other = block_copier_new();
    struct block *blocks[] = {make(100, 1000, 0), make(100, 2000, 5)};
    struct batch *first = batch_new(a, blocks, 2, QUEUE_BACKLOG, 3, &(struct queue_progress){0});
    progress.series[0] = first->strands[0]->series;
    progress.series[1] = 7;
    struct batch *again = batch_new(other, blocks, 2, QUEUE_BACKLOG, 8, &progress);
    assert_int_equal(again->progress.strands, 3);
    assert_int_equal(again->open, 2);
    assert_null(again->strands[0]);
    for (unsigned k = 1; k < 3; k++) {
        assert_int_equal(again->strands[k]->size, first->strands[k]->size);
        assert_memory_equal(again->strands[k]->data, first->strands[k]->data, first->strands[k]->size);
    }
    batch_free(first);
    batch_free(again);
    block_unref(blocks[0]);
    block_unref(blocks[1]);
    block_copier_free(a);
    block_copier_free(other);
}

static void test_what_cannot_be_read_is_counted_and_the_rest_goes_on(void **state)
{
    (void)state;
    struct block_copier *copier = block_copier_new();
    struct block *blocks[] = {make(30, 1000, 0), make(30, 2000, 5), make(30, 3000, 5)};
    blocks[0]->size--;                /* its last series is cut */
    memset(blocks[1]->data, 0xff, 8); /* nothing of it makes sense */
    struct batch *b = batch_new(copier, blocks, 3, QUEUE_BACKLOG, 1, &(struct queue_progress){0});
    assert_false(b->countable);
    assert_int_equal(b->lost[0], 30); /* the outline of a block is read before any of its series */
    assert_int_equal(b->lost[1], 30);
    assert_int_equal(b->lost[2], 0);
    assert_int_equal(b->unreadable, 60);
    assert_int_equal(b->strands[0]->samples, 30);
    batch_free(b);
    for (size_t i = 0; i < 3; i++)
        block_unref(blocks[i]);
    block_copier_free(copier);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_or_moved),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_what_cannot_be_read_is_counted_and_the_rest_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
