/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_body: any bytes as a body of a text format, read twice: in one piece and in pieces whose sizes the first byte
   chooses. Both must hear the same. Then the body goes through append, twice, so that both the first and the
   steady path see it. */
#ifndef OBSAGENT_TESTS_FUZZ_BODY_H
#define OBSAGENT_TESTS_FUZZ_BODY_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "exposition.h"
#include "scrape/append.h"

static enum exposition_format format;

struct ear {
    uint64_t hash;
    struct labels labels;
    struct arena arena;
    struct err err;
    uint64_t samples;
};

static void hear_exemplar(struct ear *ear, const struct exposition_exemplar *e)
{
    for (size_t k = 0; k < e->labels_n; k++)
        ear->hash = hash_more(hash_more(ear->hash, e->labels[k].name), e->labels[k].value);
    ear->hash = hash_more(ear->hash, str_make((const char *)&e->value, 8));
    ear->hash += e->has_ts ? (uint64_t)e->ts_ms * 11 + 1 : 0;
}

static bool on_sample(void *ctx, const struct exposition_sample *s)
{
    struct ear *ear = ctx;
    struct err err = {0};
    arena_reset(&ear->arena);
    bool strict = format == EXPOSITION_OPENMETRICS;
    if (!(strict ? exposition_parse_series_strict : exposition_parse_series)(s->series, &ear->labels, &err))
        return err_set(&ear->err, "line %d %s", (int)s->line, err.msg);
    labels_sort(&ear->labels);
    ear->hash = hash_more(ear->hash ^ labels_hash(&ear->labels), str_make((const char *)&s->value, 8));
    ear->hash += s->has_ts ? (uint64_t)s->ts_ms * 3 + 1 : 0;
    ear->hash += (uint64_t)s->start_ts_ms * 5 + s->started * 7u;
    if ((s->start_ts_ms > 0) != (s->started > 0) || s->started > ear->samples)
        abort();
    ear->samples++;
    for (size_t i = 0; i < s->exemplars_n; i++)
        hear_exemplar(ear, &s->exemplars[i]);
    return true;
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct ear *ear = ctx;
    ear->hash = hash_more(ear->hash + type, family);
    return true;
}

static bool on_help(void *ctx, struct str family, struct str help)
{
    struct ear *ear = ctx;
    ear->hash = hash_more(hash_more(ear->hash, family), help);
    return true;
}

static void hear(struct ear *ear, const uint8_t *data, size_t n, size_t piece)
{
    struct exposition_parser *p = exposition_new(4096);
    struct exposition_handler handler = {
        .on_sample = on_sample, .on_type = on_type, .on_help = on_help, .on_unit = on_help, .ctx = ear};
    struct exposition_options options = {.format = format};
    bool ok = true;
    arena_init(&ear->arena);
    labels_init(&ear->labels, &ear->arena);
    exposition_begin(p, &options, &handler);
    for (size_t at = 0; ok && at < n; at += piece)
        ok = exposition_feed(p, data + at, n - at < piece ? n - at : piece, &ear->err);
    if (ok)
        (void)!exposition_finish(p, &ear->err);
    labels_free(&ear->labels);
    arena_free(&ear->arena);
    exposition_free(p);
}

static void emit(void *ctx, struct block *b)
{
    struct block_reader *r = ctx;
    struct block_series s;
    struct err err = {0};
    uint32_t n = 0;
    if (!block_reader_open(r, b->data, b->size, &err))
        abort();
    while (block_reader_next(r, &s, &err))
        n++;
    if (err_is(&err) || n != b->samples)
        abort();
    block_unref(b);
}

/* A body, half of it, the whole again. */
static void append_body(const uint8_t *data, size_t n)
{
    static struct relabel_rules *none;
    static struct block_reader *reader;
    char job_name[] = "fuzz";
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    if (!none) {
        none = relabel_compile(NULL, 0, &err, &bad, &field);
        reader = block_reader_new();
    }
    struct config_job job = {.job_name = job_name, .honor_timestamps = true, .metric_relabel = none};
    struct append_worker *w = append_worker_new(&(struct append_worker_options){.emit = emit, .ctx = reader});
    struct labels l;
    labels_init(&l, NULL);
    labels_push(&l, STR("job"), STR("j"));
    struct append_target *t = append_target_new(w, &job, &l, NULL);
    for (int i = 0; i < 4; i++) {
        struct append_scrape *s = append_begin(t, i, format);
        struct append_result result;
        struct err why = {0};
        bool ok = append_feed(s, data, i == 2 ? n / 2 : n, &why);
        append_end(s, &(struct append_outcome){.ok = ok}, &result, &why);
        if (result.post_relabel > result.scraped || result.series_added > result.post_relabel)
            abort();
        if (i == 1 && result.up && result.series_added)
            abort();
    }
    append_target_gone(t, 9);
    append_target_free(t);
    append_worker_free(w);
    labels_free(&l);
}

static void fuzz_body(const uint8_t *data, size_t n)
{
    struct ear whole = {0}, parts = {0};
    if (n == 0)
        return;
    size_t piece = data[0] % 64 + 1u;
    data++;
    n--;
    hear(&whole, data, n, n + 1);
    hear(&parts, data, n, piece);
    if (whole.hash != parts.hash || strcmp(whole.err.msg, parts.err.msg) != 0) {
        fprintf(stderr, "whole: %s\nparts: %s\n", whole.err.msg, parts.err.msg);
        abort();
    }
    append_body(data, n);
}

#endif
