/* SPDX-License-Identifier: Apache-2.0 */
/* find: the analysis that looks for what costs people days. */
#include "find.h"

#include "base/alloc.h"

#include <stdlib.h>

typedef struct find_check find_maker(const struct find_for *to);

/* In the order they are told. */
static find_maker *const MAKERS[] = {find_duplicates, find_order, find_buckets, find_values, find_names, find_times,
                                     find_rounds};
#define CHECKS_N (sizeof MAKERS / sizeof *MAKERS)

struct find {
    struct findings *found;
    struct find_check checks[CHECKS_N];
};

static void on_begin(void *ctx, enum exposition_format format)
{
    struct find *f = ctx;
    findings_clear(f->found);
    findings_name_lines(f->found, format == EXPOSITION_PROTOBUF ? "family" : "line");
    for (size_t i = 0; i < CHECKS_N; i++) {
        const struct survey_watcher *w = &f->checks[i].watcher;
        if (w->begin)
            w->begin(w->ctx, format);
    }
}

static void on_sample(void *ctx, const struct survey_sample *sample)
{
    struct find *f = ctx;
    for (size_t i = 0; i < CHECKS_N; i++) {
        const struct survey_watcher *w = &f->checks[i].watcher;
        if (w->sample)
            w->sample(w->ctx, sample);
    }
}

static void on_meta(void *ctx, const struct survey_meta *meta)
{
    struct find *f = ctx;
    for (size_t i = 0; i < CHECKS_N; i++) {
        const struct survey_watcher *w = &f->checks[i].watcher;
        if (w->meta)
            w->meta(w->ctx, meta);
    }
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct find *f = ctx;
    for (size_t i = 0; i < CHECKS_N; i++) {
        const struct survey_watcher *w = &f->checks[i].watcher;
        if (w->end)
            w->end(w->ctx, counts);
    }
}

static void on_done(void *ctx, const struct scrape_done *done)
{
    struct find *f = ctx;
    for (size_t i = 0; i < CHECKS_N; i++) {
        if (f->checks[i].done)
            f->checks[i].done(f->checks[i].watcher.ctx, done);
    }
}

static void say_text(void *ctx, const struct paint *paint, struct buf *out)
{
    struct find *f = ctx;
    findings_text(f->found, paint, out);
}

static void say_json(void *ctx, struct buf *out)
{
    struct find *f = ctx;
    findings_json(f->found, out);
}

static void say_junit(void *ctx, void (*add)(void *to, const char *name, const char *failure), void *to)
{
    struct find *f = ctx;
    findings_junit(f->found, add, to);
}

static size_t count_problems(void *ctx)
{
    struct find *f = ctx;
    return findings_sum(f->found, true);
}

static void free_find(void *ctx)
{
    struct find *f = ctx;
    for (size_t i = 0; i < CHECKS_N; i++) {
        if (f->checks[i].free)
            f->checks[i].free(f->checks[i].watcher.ctx);
    }
    findings_free(f->found);
    free(f);
}

bool find_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out)
{
    struct find *f = xcalloc(1, sizeof *f);
    f->found = findings_new((size_t)flags->max_errors, flags->ignored);
    struct find_for to = {f->found, subject, flags->twice_ms > 0};
    for (size_t i = 0; i < CHECKS_N; i++)
        f->checks[i] = MAKERS[i](&to);
    *out = (struct analysis){
        .watcher = {on_begin, on_sample, on_meta, on_end, f},
        .done = on_done,
        .text = say_text,
        .json = say_json,
        .junit = say_junit,
        .findings = count_problems,
        .free = free_find,
    };
    return true;
}
