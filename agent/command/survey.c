/* SPDX-License-Identifier: Apache-2.0 */
/* survey: reads one exposition and remembers what a person wants to know of it. */
#include "survey.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "exposition.h"

#include <inttypes.h>
#include <stdlib.h>

#define TEXT_MAX 200

/* 64-bit keys to numbers; open addressing, never shrinks. Two different series with one hash are a chance of
   one in 10^13 for a million series: good enough to report on. */
struct map {
    uint64_t *keys; /* 0 = free */
    uint64_t *values;
    size_t n, size;
};

struct survey {
    struct exposition_parser *parser;
    struct arena arena; /* of one line */
    struct labels labels;
    size_t keep;
    struct survey_counts counts;
    struct survey_error *errors;
    size_t errors_cap;
    struct survey_duplicate *duplicates;
    size_t duplicates_cap;
    struct survey_family *families;
    size_t families_n, families_cap;
    struct map series;  /* hash of all labels -> line */
    struct map metrics; /* hash of family and labels as written, without what promlint leaves out -> 1 */
    struct map by_name; /* hash of a family's name -> its index + 1 */
};

/* ---- map ---- */

static size_t map_slot(const struct map *m, uint64_t key)
{
    size_t i = key & (m->size - 1);
    while (m->keys[i] && m->keys[i] != key)
        i = (i + 1) & (m->size - 1);
    return i;
}

static void map_grow(struct map *m)
{
    struct map old = *m;
    m->size = old.size ? old.size * 2 : 64;
    m->keys = xcalloc(m->size, sizeof *m->keys);
    m->values = xcalloc(m->size, sizeof *m->values);
    for (size_t i = 0; i < old.size; i++) {
        if (old.keys[i]) {
            size_t slot = map_slot(m, old.keys[i]);
            m->keys[slot] = old.keys[i];
            m->values[slot] = old.values[i];
        }
    }
    free(old.keys);
    free(old.values);
}

/* The place of key's value; 0 stands in a new one. Valid until the next call. */
static uint64_t *map_at(struct map *m, uint64_t key)
{
    key = key ? key : 1;
    if (m->n * 4 >= m->size * 3)
        map_grow(m);
    size_t slot = map_slot(m, key);
    if (!m->keys[slot]) {
        m->keys[slot] = key;
        m->n++;
    }
    return &m->values[slot];
}

static void map_free(struct map *m)
{
    free(m->keys);
    free(m->values);
}

/* ---- errors and duplicates ---- */

static char *cut(struct str s)
{
    return str_dup(str_make(s.p, s.n < TEXT_MAX ? s.n : TEXT_MAX));
}

static void on_error(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why)
{
    struct survey *s = ctx;
    if (s->counts.errors++ >= s->keep)
        return;
    s->errors = xgrow(s->errors, &s->errors_cap, s->counts.first_errors_n + 1, sizeof *s->errors);
    s->errors[s->counts.first_errors_n++] = (struct survey_error){line, column, xstrdup(why), cut(text)};
}

static void add_duplicate(struct survey *s, const struct exposition_sample *sample, uint64_t first_line)
{
    if (s->counts.duplicates++ >= s->keep)
        return;
    s->duplicates =
        xgrow(s->duplicates, &s->duplicates_cap, s->counts.first_duplicates_n + 1, sizeof *s->duplicates);
    s->duplicates[s->counts.first_duplicates_n++] =
        (struct survey_duplicate){sample->line, first_line, cut(sample->series)};
}

/* The place inside a series: the parser of series counts from its start. */
static void series_error(struct survey *s, const struct exposition_sample *sample, const char *message)
{
    uint64_t column = sample->column;
    const char *why = message;
    if (strncmp(message, "column ", 7) == 0) {
        char *end;
        unsigned long long inside = strtoull(message + 7, &end, 10);
        if (end[0] == ':' && end[1] == ' ' && inside > 0) {
            column += inside - 1;
            why = end + 2;
        }
    }
    on_error(s, sample->line, column, sample->series, why);
}

/* ---- families ---- */

static struct survey_family *find_family(struct survey *s, struct str name, bool create)
{
    if (!create && s->by_name.size == 0)
        return NULL;
    uint64_t key = hash_bytes(name.p, name.n);
    key = key ? key : 1;
    if (!create && !s->by_name.keys[map_slot(&s->by_name, key)])
        return NULL;
    uint64_t *index = map_at(&s->by_name, key);
    if (*index == 0) {
        s->families = xgrow(s->families, &s->families_cap, s->families_n + 1, sizeof *s->families);
        s->families[s->families_n++] = (struct survey_family){.lint = {.name = str_dup(name)}};
        *index = s->families_n;
    }
    return &s->families[*index - 1];
}

static struct survey_family *find_base(struct survey *s, struct str name, struct str suffix,
                                       enum block_metric_type type)
{
    if (!str_ends(name, suffix))
        return NULL;
    struct survey_family *f = find_family(s, str_make(name.p, name.n - suffix.n), false);
    return f && f->lint.type == type ? f : NULL;
}

/* As expfmt finds it: by the name itself, then as part of a summary or histogram announced before. */
static struct survey_family *family_of(struct survey *s, struct str name)
{
    struct survey_family *f = find_family(s, name, false);
    if (!f)
        f = find_base(s, name, STR("_count"), BLOCK_SUMMARY);
    if (!f)
        f = find_base(s, name, STR("_sum"), BLOCK_SUMMARY);
    if (!f)
        f = find_base(s, name, STR("_count"), BLOCK_HISTOGRAM);
    if (!f)
        f = find_base(s, name, STR("_sum"), BLOCK_HISTOGRAM);
    if (!f)
        f = find_base(s, name, STR("_bucket"), BLOCK_HISTOGRAM);
    return f ? f : find_family(s, name, true);
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    family_of(ctx, family)->lint.type = type;
    return true;
}

/* A HELP line without text is none to promlint. */
static bool on_help(void *ctx, struct str family, struct str help)
{
    struct survey_family *f = family_of(ctx, family);
    f->lint.has_help |= str_trim(help).n > 0;
    return true;
}

/* ---- samples ---- */

static void count_labels(struct survey *s, struct survey_family *f)
{
    bool histogram = f->lint.type == BLOCK_HISTOGRAM, summary = f->lint.type == BLOCK_SUMMARY;
    uint64_t camel = 0, le = 0, quantile = 0, key = hash_bytes(f->lint.name, strlen(f->lint.name));
    for (size_t i = 0; i < s->labels.n; i++) {
        const struct label *l = &s->labels.v[i];
        bool is_le = str_eq_c(l->name, "le"), is_quantile = str_eq_c(l->name, "quantile");
        if (str_eq_c(l->name, "__name__") || (histogram && is_le) || (summary && is_quantile))
            continue;
        camel += lint_is_camel(l->name);
        le += is_le;
        quantile += is_quantile;
        key = hash_more(hash_more(key, l->name), l->value);
    }
    uint64_t *seen = map_at(&s->metrics, key);
    bool again = *seen;
    *seen = 1;
    if (again && (histogram || summary))
        return; /* one metric over many lines */
    f->lint.repeated += again;
    f->lint.camel_labels += camel;
    f->lint.le_labels += le;
    f->lint.quantile_labels += quantile;
}

static bool on_sample(void *ctx, const struct exposition_sample *sample)
{
    struct survey *s = ctx;
    struct err err = {0};
    arena_reset(&s->arena);
    labels_clear(&s->labels);
    if (!exposition_parse_series(sample->series, &s->labels, &err)) {
        series_error(s, sample, err.msg);
        return true;
    }
    s->counts.samples++;
    s->counts.with_timestamp += sample->has_ts;
    struct survey_family *f = family_of(s, labels_get(&s->labels, STR("__name__")));
    f->samples++;
    count_labels(s, f);
    uint64_t *line = map_at(&s->series, labels_hash(&s->labels));
    if (*line) {
        add_duplicate(s, sample, *line);
    } else {
        *line = sample->line;
        s->counts.series++;
    }
    return true;
}

/* ---- life ---- */

struct survey *survey_new(size_t keep)
{
    struct survey *s = xcalloc(1, sizeof *s);
    struct exposition_handler handler = {on_sample, on_type, on_help, NULL, s};
    s->keep = keep;
    arena_init(&s->arena);
    labels_init(&s->labels, &s->arena);
    s->parser = exposition_new(0);
    exposition_set_lenient(s->parser, on_error);
    exposition_begin(s->parser, NULL, &handler);
    return s;
}

void survey_free(struct survey *s)
{
    for (size_t i = 0; i < s->counts.first_errors_n; i++) {
        free(s->errors[i].why);
        free(s->errors[i].text);
    }
    for (size_t i = 0; i < s->counts.first_duplicates_n; i++)
        free(s->duplicates[i].series);
    for (size_t i = 0; i < s->families_n; i++)
        free((char *)s->families[i].lint.name);
    exposition_free(s->parser);
    labels_free(&s->labels);
    arena_free(&s->arena);
    map_free(&s->series);
    map_free(&s->metrics);
    map_free(&s->by_name);
    free(s->errors);
    free(s->duplicates);
    free(s->families);
    free(s);
}

void survey_feed(struct survey *s, const void *bytes, size_t n)
{
    struct err err = {0};
    if (!exposition_feed(s->parser, bytes, n, &err))
        on_error(s, 0, 0, STR_NULL, err.msg); /* a lenient parser has no reason to stop */
}

void survey_finish(struct survey *s)
{
    struct err err = {0};
    if (!exposition_finish(s->parser, &err))
        on_error(s, 0, 0, STR_NULL, err.msg);
}

void survey_counts(const struct survey *s, struct survey_counts *out)
{
    *out = s->counts;
    out->first_errors = s->errors;
    out->first_duplicates = s->duplicates;
    out->families = s->families;
    out->families_n = s->families_n;
}
