/* SPDX-License-Identifier: Apache-2.0 */
/* profile_watch: holds each series against the rules of a profile. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/hide.h"
#include "probe.h"
#include "profile.h"

#define RAW_MAX ((uint64_t)1 << 30)
#define TIMEOUT_MS 10000

struct profile_watch {
    const struct profile *profile;
    const struct label *external;
    size_t external_n;
    int64_t now_ms;
    struct profile_finding found[PROFILE_RULES_MAX]; /* by rule; count 0 = nothing */
};

struct profile_watch *profile_watch_new(const struct profile *p, const struct label *external, size_t external_n,
                                        int64_t now_ms)
{
    struct profile_watch *w = xcalloc(1, sizeof *w);
    w->profile = p;
    w->external = external;
    w->external_n = external_n;
    w->now_ms = now_ms;
    return w;
}

void profile_watch_free(struct profile_watch *w)
{
    free(w);
}

/* ---- what a sample has ---- */

/* Labels with a value, and those that it will be given. */
static int64_t count_labels(const struct profile_watch *w, const struct labels *l)
{
    static const char *const TARGET[] = {"job", "instance"};
    int64_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        n += l->v[i].value.n > 0;
    for (size_t i = 0; i < sizeof TARGET / sizeof TARGET[0]; i++)
        n += labels_get(l, str_of(TARGET[i])).n == 0;
    for (size_t i = 0; i < w->external_n; i++)
        n += labels_get(l, w->external[i].name).n == 0;
    return n;
}

static int64_t longest(const struct labels *l, bool names)
{
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++) {
        struct str s = names ? l->v[i].name : l->v[i].value;
        n = s.n > n ? s.n : n;
    }
    return (int64_t)n;
}

static bool has_foreign_name(const struct survey_sample *s)
{
    bool foreign = !labels_is_legacy_metric(s->name);
    for (size_t i = 0; i < s->labels->n && !foreign; i++)
        foreign = !labels_is_legacy_name(s->labels->v[i].name);
    return foreign;
}

static bool sounds_like_counter(struct str name)
{
    return str_ends(name, STR("_total")) || str_ends(name, STR("_sum")) || str_ends(name, STR("_count")) ||
           str_ends(name, STR("_bucket"));
}

static int64_t exemplar_size(const struct survey_sample *s)
{
    size_t most = 0;
    for (size_t i = 0; i < s->raw->exemplars_n; i++) {
        size_t n = 0;
        for (size_t k = 0; k < s->raw->exemplars[i].labels_n; k++)
            n += s->raw->exemplars[i].labels[k].name.n + s->raw->exemplars[i].labels[k].value.n;
        most = n > most ? n : most;
    }
    return (int64_t)most;
}

/* Above the rule's limit: a number to be compared with it, of rules without a limit how many there are. */
static int64_t measure(const struct profile_watch *w, const struct profile_rule *r, const struct survey_sample *s)
{
    enum block_metric_type type = s->family ? s->family->lint.type : BLOCK_UNSPECIFIED;
    switch (r->check) {
    case PROFILE_LABELS:
        return count_labels(w, s->labels);
    case PROFILE_LABEL_NAME:
        return longest(s->labels, true);
    case PROFILE_LABEL_VALUE:
        return longest(s->labels, false);
    case PROFILE_UTF8_NAME:
        return has_foreign_name(s);
    case PROFILE_OLD:
        return s->raw->has_ts ? w->now_ms - s->raw->ts_ms : 0;
    case PROFILE_FUTURE:
        return s->raw->has_ts ? s->raw->ts_ms - w->now_ms : 0;
    case PROFILE_DUPLICATE:
        return s->first_line != 0 && !s->raw->has_ts; /* times of its own may differ */
    case PROFILE_NATIVE:
        return s->raw->histogram.p != NULL;
    case PROFILE_EXEMPLAR:
        return (int64_t)s->raw->exemplars_n;
    case PROFILE_EXEMPLAR_LABELS:
        return exemplar_size(s);
    case PROFILE_COUNTER_NAME:
        return type == BLOCK_COUNTER && !sounds_like_counter(s->name);
    case PROFILE_GAUGE_NAME:
        return type == BLOCK_GAUGE && sounds_like_counter(s->name);
    case PROFILE_NOT_FINITE:
        return !s->raw->histogram.p && !isfinite(s->raw->value);
    case PROFILE_ANYTHING:
        return 1;
    default:
        return 0;
    }
}

/* ---- noting ---- */

/* The beginning of the text, cut between characters. */
static void copy_cut(char *to, size_t size, struct str text)
{
    size_t n = 0;
    while (n < text.n) {
        size_t step = str_utf8_step(str_skip(text, n));
        step = step ? step : 1;
        if (n + step >= size - 3)
            break;
        n += step;
    }
    snprintf(to, size, "%.*s%s", (int)n, text.p ? text.p : "", n < text.n ? "..." : "");
}

static void note(struct profile_finding *f, const struct profile_rule *r, int64_t size, uint64_t line, struct str text)
{
    if (f->count == 0) {
        f->rule = r;
        f->line = line;
        copy_cut(f->example, sizeof f->example, text);
    }
    f->count += r->check == PROFILE_EXEMPLAR ? (uint64_t)size : 1;
    f->worst = size > f->worst ? size : f->worst;
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct profile_watch *w = ctx;
    for (size_t i = 0; i < w->profile->rules_n; i++) {
        const struct profile_rule *r = &w->profile->rules[i];
        int64_t size = measure(w, r, s);
        if (size > r->limit)
            note(&w->found[i], r, size, s->raw->line, s->raw->series);
    }
}

static void on_meta(void *ctx, const struct survey_meta *m)
{
    struct profile_watch *w = ctx;
    for (size_t i = 0; i < w->profile->rules_n; i++) {
        const struct profile_rule *r = &w->profile->rules[i];
        bool help = r->check == PROFILE_HELP && m->kind == SURVEY_HELP && (int64_t)m->text.n > r->limit;
        bool any = r->check == PROFILE_METADATA && m->kind == SURVEY_TYPE;
        if (help || any)
            note(&w->found[i], r, help ? (int64_t)m->text.n : 1, m->line, m->name);
    }
}

void profile_watcher(struct profile_watch *w, struct survey_watcher *out)
{
    *out = (struct survey_watcher){.sample = on_sample, .meta = on_meta, .ctx = w};
}

void profile_watch_result(const struct profile_watch *w, struct profile_result *out)
{
    out->profile = w->profile;
    out->added_labels = 2 + w->external_n;
    out->findings_n = 0;
    for (size_t i = 0; i < w->profile->rules_n; i++) {
        if (w->found[i].count)
            out->findings[out->findings_n++] = w->found[i];
    }
}

size_t profile_harm(const struct profile_result *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->findings_n; i++)
        n += r->findings[i].rule->effect != PROFILE_LEFT_OUT;
    return n;
}

/* ---- reading ---- */

static void on_begin(void *ctx, enum exposition_format format)
{
    survey_begin(ctx, format);
}

static void on_bytes(void *ctx, const void *bytes, size_t n)
{
    survey_feed(ctx, bytes, n);
}

static void show_source(const char *source, struct profile_result *out)
{
    struct buf b;
    buf_init(&b, SIZE_MAX / 4);
    hide_url(str_of(source), &b);
    copy_cut(out->source, sizeof out->source, buf_str(&b));
    buf_free(&b);
}

/* A target may say back in its labels what it was asked for with. */
static void hide_examples(const char *source, struct profile_result *out)
{
    struct hide h;
    hide_init(&h);
    hide_add_url(&h, str_of(source));
    for (size_t i = 0; i < out->findings_n; i++) {
        struct buf b;
        char *example = out->findings[i].example;
        buf_init(&b, SIZE_MAX / 4);
        buf_add_c(&b, example);
        hide_text(&h, &b);
        copy_cut(example, sizeof out->findings[i].example, buf_str(&b));
        buf_free(&b);
    }
    hide_free(&h);
}

void profile_read(const struct profile *p, const char *source, const struct label *external, size_t external_n,
                  int64_t timeout_ms, struct profile_result *out)
{
    struct profile_watch *w = profile_watch_new(p, external, external_n, clock_wall_ms());
    struct survey *survey = survey_new(1);
    struct survey_watcher watcher;
    struct survey_counts counts;
    struct probe_result probe;
    struct probe_request request = {.url = source, .timeout_ms = timeout_ms ? timeout_ms : TIMEOUT_MS,
                                    .max_raw = RAW_MAX, .begin = on_begin, .sink = on_bytes, .ctx = survey};
    profile_watcher(w, &watcher);
    survey_watch(survey, &watcher);
    *out = (struct profile_result){0};
    show_source(source, out);
    if (strncmp(source, "http://", 7) == 0 || strncmp(source, "https://", 8) == 0)
        probe_url(&request, &probe);
    else
        probe_file(source, &request, &probe);
    survey_finish(survey);
    survey_counts(survey, &counts);
    out->series = counts.series;
    out->errors = counts.errors;
    out->format = counts.format;
    out->error = probe.error;
    if (counts.errors && !err_is(&out->error))
        err_set(&out->error, "%llu lines cannot be read, the first is line %llu: %s",
                (unsigned long long)counts.errors,
                (unsigned long long)(counts.first_errors_n ? counts.first_errors[0].line : 0),
                counts.first_errors_n ? counts.first_errors[0].why : "");
    profile_watch_result(w, out);
    hide_examples(source, out);
    survey_free(survey);
    profile_watch_free(w);
}
