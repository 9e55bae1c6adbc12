/* SPDX-License-Identifier: Apache-2.0 */
/* survey: reads one exposition and remembers what a person wants to know of it. */
#include "survey.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "map.h"
#include "sampled.h"
#include "target.h"

#include <stdlib.h>

#define TEXT_MAX 200
#define TEXT_BEFORE 120 /* of them before the place of an error */
#define WATCHERS_MAX 8
#define SERIES_MAX ((size_t)1 << 19)

struct survey {
    struct exposition_parser *parser;
    struct arena arena; /* of one line */
    struct labels labels;
    size_t keep;
    struct exposition_options options;
    bool begun, check_names;
    struct survey_counts counts;
    struct survey_error *errors;
    size_t errors_cap;
    struct survey_duplicate *duplicates;
    size_t duplicates_cap;
    struct survey_family *families;
    size_t families_n, families_cap;
    struct sampled series;  /* hash of all labels -> line */
    struct sampled metrics; /* hash of family and labels as written, without what promlint leaves out -> 1 */
    struct map by_name; /* hash of a family's name -> its index + 1 */
    struct survey_watcher watchers[WATCHERS_MAX];
    size_t watchers_n;
};

/* ---- errors and duplicates ---- */

static char *cut(struct str s)
{
    return str_dup(str_make(s.p, s.n < TEXT_MAX ? s.n : TEXT_MAX));
}

static bool inside_char(struct str text, size_t i)
{
    return i > 0 && i < text.n && ((unsigned char)text.p[i] & 0xc0) == 0x80;
}

/* The text around byte `at`, with dots where something was left out; *at becomes its place in what is returned. */
static char *cut_around(struct str text, size_t *at)
{
    size_t from = *at > TEXT_BEFORE && text.n > TEXT_MAX ? *at - TEXT_BEFORE : 0;
    while (inside_char(text, from))
        from--;
    size_t to = text.n - from > TEXT_MAX ? from + TEXT_MAX : text.n;
    while (inside_char(text, to))
        to--;
    *at -= from;
    *at += from ? 3 : 0;
    char *s = xasprintf("%s%*s%s", from ? "..." : "", (int)(to - from), "", to < text.n ? "..." : "");
    for (size_t i = from; i < to; i++)
        s[(from ? 3 : 0) + i - from] = text.p[i] ? text.p[i] : '?';
    return s;
}

/* How many columns n bytes of text take: one for each character. */
static size_t columns(const char *text, size_t n)
{
    size_t columns = 0;
    for (size_t i = 0; i < n && text[i]; i++)
        columns += ((unsigned char)text[i] & 0xc0) != 0x80;
    return columns;
}

/* `start` is the column at which text begins. */
static void keep_error(struct survey *s, uint64_t line, uint64_t column, uint64_t start, struct str text,
                       const char *why)
{
    struct survey_error e = {.line = line, .column = column};
    size_t at = column >= start && start ? (size_t)(column - start) : SIZE_MAX;
    bool placed = text.n && at <= text.n;
    if (s->counts.errors++ >= s->keep)
        return;
    at = placed ? at : 0;
    e.why = xstrdup(why);
    e.text = cut_around(text, &at);
    e.caret = placed ? columns(e.text, at) + 1 : 0;
    s->errors = xgrow(s->errors, &s->errors_cap, s->counts.first_errors_n + 1, sizeof *s->errors);
    s->errors[s->counts.first_errors_n++] = e;
}

/* Of protobuf there is no line to point into. */
static void on_error(void *ctx, uint64_t line, uint64_t column, struct str text, const char *why)
{
    struct survey *s = ctx;
    keep_error(s, line, column, s->counts.format != EXPOSITION_PROTOBUF, text, why);
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
    keep_error(s, sample->line, column, sample->column, sample->series, why);
}

/* ---- families ---- */

static struct survey_family *find_family(struct survey *s, struct str name)
{
    const uint64_t *index = map_find(&s->by_name, hash_bytes(name.p, name.n));
    return index ? &s->families[*index - 1] : NULL;
}

static struct survey_family *add_family(struct survey *s, struct str name)
{
    uint64_t line = exposition_line(s->parser);
    s->families = xgrow(s->families, &s->families_cap, s->families_n + 1, sizeof *s->families);
    s->families[s->families_n++] = (struct survey_family){.lint = {.name = str_dup(name)}, .line = line};
    *map_at(&s->by_name, hash_bytes(name.p, name.n)) = s->families_n;
    return &s->families[s->families_n - 1];
}

/* What the names of samples have more than that of their family; those of the text format as in expfmt. */
static const struct {
    struct str suffix;
    enum block_metric_type type;
    bool openmetrics; /* not in the other formats */
} SUFFIXES[] = {
    {{"_count", 6}, BLOCK_SUMMARY, false},        {{"_sum", 4}, BLOCK_SUMMARY, false},
    {{"_count", 6}, BLOCK_HISTOGRAM, false},      {{"_sum", 4}, BLOCK_HISTOGRAM, false},
    {{"_bucket", 7}, BLOCK_HISTOGRAM, false},     {{"_total", 6}, BLOCK_COUNTER, true},
    {{"_created", 8}, BLOCK_COUNTER, true},       {{"_created", 8}, BLOCK_HISTOGRAM, true},
    {{"_created", 8}, BLOCK_SUMMARY, true},       {{"_info", 5}, BLOCK_INFO, true},
    {{"_bucket", 7}, BLOCK_GAUGEHISTOGRAM, true}, {{"_gcount", 7}, BLOCK_GAUGEHISTOGRAM, true},
    {{"_gsum", 5}, BLOCK_GAUGEHISTOGRAM, true},
};

/* By the name itself, then as a part of a family announced before, else a new one. */
static struct survey_family *family_of(struct survey *s, struct str name)
{
    struct survey_family *f = find_family(s, name);
    bool openmetrics = s->counts.format == EXPOSITION_OPENMETRICS;
    for (size_t i = 0; !f && i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        struct str suffix = SUFFIXES[i].suffix;
        if (!str_ends(name, suffix) || (SUFFIXES[i].openmetrics && !openmetrics))
            continue;
        f = find_family(s, str_make(name.p, name.n - suffix.n));
        if (f && f->lint.type != SUFFIXES[i].type)
            f = NULL;
    }
    return f ? f : add_family(s, name);
}

static size_t index_of(const struct survey *s, const struct survey_family *f)
{
    return (size_t)(f - s->families);
}

static void tell_meta(struct survey *s, struct survey_meta *meta, const struct survey_family *f)
{
    meta->family_index = index_of(s, f);
    meta->line = exposition_line(s->parser);
    for (size_t i = 0; i < s->watchers_n; i++) {
        if (s->watchers[i].meta)
            s->watchers[i].meta(s->watchers[i].ctx, meta);
    }
}

static bool on_type(void *ctx, struct str family, enum block_metric_type type)
{
    struct survey *s = ctx;
    struct survey_meta meta = {.kind = SURVEY_TYPE, .name = family, .type = type};
    struct survey_family *f = family_of(s, family);
    f->lint.type = type;
    tell_meta(s, &meta, f);
    return true;
}

/* A HELP line without text is none to promlint. */
static bool on_help(void *ctx, struct str family, struct str help)
{
    struct survey *s = ctx;
    struct survey_meta meta = {.kind = SURVEY_HELP, .name = family, .text = help};
    struct survey_family *f = family_of(s, family);
    f->lint.has_help |= str_trim(help).n > 0;
    tell_meta(s, &meta, f);
    return true;
}

static bool on_unit(void *ctx, struct str family, struct str unit)
{
    struct survey *s = ctx;
    struct survey_meta meta = {.kind = SURVEY_UNIT, .name = family, .text = unit};
    tell_meta(s, &meta, family_of(s, family));
    return true;
}

/* ---- samples ---- */

static void count_labels(struct survey *s, struct survey_family *f)
{
    bool histogram = f->lint.type == BLOCK_HISTOGRAM || f->lint.type == BLOCK_GAUGEHISTOGRAM;
    bool summary = f->lint.type == BLOCK_SUMMARY;
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
    uint64_t *seen = sampled_at(&s->metrics, key);
    bool again = seen && *seen;
    if (seen)
        *seen = 1;
    if (again && (histogram || summary))
        return; /* one metric over many lines */
    f->lint.repeated += again;
    f->lint.camel_labels += camel;
    f->lint.le_labels += le;
    f->lint.quantile_labels += quantile;
}

static void raise_to(uint64_t *max, uint64_t n)
{
    *max = *max < n ? n : *max;
}

static void count_sample(struct survey *s, const struct exposition_sample *sample)
{
    struct survey_counts *c = &s->counts;
    c->samples++;
    c->with_timestamp += sample->has_ts;
    c->histograms += sample->histogram.p != NULL;
    c->exemplars += sample->exemplars_n;
    raise_to(&c->most_labels, s->labels.n - 1);
    for (size_t i = 0; i < s->labels.n; i++) {
        const struct label *l = &s->labels.v[i];
        if (str_eq_c(l->name, "__name__"))
            continue;
        raise_to(&c->longest_name, l->name.n);
        raise_to(&c->longest_value, l->value.n);
    }
}

static void tell_sample(struct survey *s, const struct survey_sample *sample)
{
    for (size_t i = 0; i < s->watchers_n; i++) {
        if (s->watchers[i].sample)
            s->watchers[i].sample(s->watchers[i].ctx, sample);
    }
}

static bool check_names(const struct labels *l, struct err *err)
{
    if (!labels_get(l, STR("__name__")).n)
        return err_set(err, "missing metric name (__name__ label)");
    for (size_t i = 0; i < l->n; i++) {
        if (!str_is_utf8(l->v[i].name) || !str_is_utf8(l->v[i].value))
            return err_set(err, "invalid metric name or label names");
    }
    return true;
}

static bool read_series(struct survey *s, struct str series, struct err *err)
{
    arena_reset(&s->arena);
    labels_clear(&s->labels);
    bool strict = s->counts.format == EXPOSITION_OPENMETRICS;
    bool ok = strict ? exposition_parse_series_strict(series, &s->labels, err)
                     : exposition_parse_series(series, &s->labels, err);
    return ok && (!s->check_names || check_names(&s->labels, err));
}

static bool on_sample(void *ctx, const struct exposition_sample *sample)
{
    struct survey *s = ctx;
    struct err err = {0};
    if (!read_series(s, sample->series, &err)) {
        series_error(s, sample, err.msg);
        return true;
    }
    struct survey_sample told = {.raw = sample, .labels = &s->labels};
    count_sample(s, sample);
    told.name = labels_get(&s->labels, STR("__name__"));
    struct survey_family *f = family_of(s, told.name);
    f->samples++;
    if (s->counts.format != EXPOSITION_OPENMETRICS || !str_ends(told.name, STR("_created")))
        count_labels(s, f); /* _created is of a metric, not one */
    told.family = f;
    told.family_index = index_of(s, f);
    told.hash = labels_hash(&s->labels);
    uint64_t *line = sampled_at(&s->series, told.hash);
    if (line && *line) {
        told.first_line = *line;
        add_duplicate(s, sample, *line);
    } else if (line) {
        *line = sample->line;
    }
    tell_sample(s, &told);
    return true;
}

char *survey_plain_name(const struct survey_family *family, enum exposition_format format)
{
    bool openmetrics = format == EXPOSITION_OPENMETRICS;
    const char *suffix = family->lint.type == BLOCK_COUNTER ? "_total" : family->lint.type == BLOCK_INFO ? "_info" : "";
    return xasprintf("%s%s", family->lint.name, openmetrics ? suffix : "");
}

/* ---- life ---- */

struct survey *survey_new(size_t keep)
{
    struct survey *s = xcalloc(1, sizeof *s);
    s->keep = keep;
    s->options = (struct exposition_options){.native_histograms = true, .classic_histograms_too = true};
    arena_init(&s->arena);
    labels_init(&s->labels, &s->arena);
    s->parser = exposition_new(0);
    exposition_set_lenient(s->parser, on_error);
    s->series.max = s->metrics.max = SERIES_MAX;
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
    sampled_free(&s->series);
    sampled_free(&s->metrics);
    map_free(&s->by_name);
    free(s->errors);
    free(s->duplicates);
    free(s->families);
    free(s);
}

void survey_check_names(struct survey *s, bool check)
{
    s->check_names = check;
}

void survey_watch(struct survey *s, const struct survey_watcher *watcher)
{
    if (s->watchers_n == WATCHERS_MAX)
        abort(); /* they are a short list in one file */
    s->watchers[s->watchers_n++] = *watcher;
}

void survey_histograms(struct survey *s, const struct target_settings *settings)
{
    s->options.native_histograms = settings->native_histograms;
    s->options.classic_histograms_too = settings->classic_histograms_too;
    s->options.nhcb = settings->nhcb;
}

void survey_begin(struct survey *s, enum exposition_format format)
{
    struct exposition_handler handler = {on_sample, on_type, on_help, on_unit, s};
    struct exposition_options options = s->options;
    options.format = format;
    s->begun = true;
    s->counts.format = format;
    exposition_begin(s->parser, &options, &handler);
    for (size_t i = 0; i < s->watchers_n; i++) {
        if (s->watchers[i].begin)
            s->watchers[i].begin(s->watchers[i].ctx, format);
    }
}

void survey_feed(struct survey *s, const void *bytes, size_t n)
{
    struct err err = {0};
    if (!s->begun)
        survey_begin(s, EXPOSITION_TEXT);
    if (!exposition_feed(s->parser, bytes, n, &err) && err_is(&err))
        on_error(s, exposition_line(s->parser), 0, STR_NULL, err.msg);
}

void survey_finish(struct survey *s)
{
    struct err err = {0};
    struct survey_counts counts;
    if (!s->begun)
        survey_begin(s, EXPOSITION_TEXT);
    if (!exposition_finish(s->parser, &err) && err_is(&err))
        on_error(s, exposition_line(s->parser), 0, STR_NULL, err.msg);
    s->counts.series = (uint64_t)s->series.map.n << s->series.level;
    s->counts.level = s->series.level;
    survey_counts(s, &counts);
    for (size_t i = 0; i < s->watchers_n; i++) {
        if (s->watchers[i].end)
            s->watchers[i].end(s->watchers[i].ctx, &counts);
    }
    sampled_free(&s->metrics); /* what comes after the last sample needs the room */
    map_free(&s->series.map);
}

void survey_counts(const struct survey *s, struct survey_counts *out)
{
    *out = s->counts;
    out->first_errors = s->errors;
    out->first_duplicates = s->duplicates;
    out->families = s->families;
    out->families_n = s->families_n;
}
