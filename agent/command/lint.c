/* SPDX-License-Identifier: Apache-2.0 */
/* lint: the rules of promlint (client_golang prometheus/testutil/promlint), word for word: people compare. */
#include "lint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"

struct lint {
    const struct lint_family *f;
    struct str name;
    char *lower; /* the name in lower case */
    void (*found)(void *ctx, const char *metric, const char *text);
    void *ctx;
};

static void found(const struct lint *l, const char *text)
{
    l->found(l->ctx, l->f->name, text);
}

static void found_times(const struct lint *l, const char *text, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        found(l, text);
}

bool lint_is_camel(struct str name)
{
    for (size_t i = 1; i < name.n; i++) {
        if (name.p[i - 1] >= 'a' && name.p[i - 1] <= 'z' && name.p[i] >= 'A' && name.p[i] <= 'Z')
            return true;
    }
    return false;
}

/* ---- units ---- */

static const struct {
    const char *unit;
    const char *base;
} UNITS[] = {
    {"amperes", "amperes"}, {"bytes", "bytes"},     {"celsius", "celsius"},    {"grams", "grams"},
    {"joules", "joules"},   {"kelvin", "kelvin"},   {"meters", "meters"},      {"metres", "metres"},
    {"seconds", "seconds"}, {"volts", "volts"},     {"minutes", "seconds"},    {"hours", "seconds"},
    {"days", "seconds"},    {"weeks", "seconds"},   {"kelvins", "kelvin"},     {"fahrenheit", "celsius"},
    {"rankine", "celsius"}, {"inches", "meters"},   {"yards", "meters"},       {"miles", "meters"},
    {"bits", "bytes"},      {"calories", "joules"}, {"pounds", "grams"},       {"ounces", "grams"},
};

/* "mibi" as it stands there. */
static const char *const PREFIXES[] = {
    "", "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo",
    "kibi", "mega", "mibi", "giga", "gibi", "tera", "tebi", "peta", "pebi",
};

static const char *base_unit(struct str word)
{
    for (size_t p = 0; p < sizeof PREFIXES / sizeof PREFIXES[0]; p++) {
        struct str prefix = str_of(PREFIXES[p]);
        for (size_t u = 0; str_starts(word, prefix) && u < sizeof UNITS / sizeof UNITS[0]; u++) {
            if (str_eq_c(str_skip(word, prefix.n), UNITS[u].unit))
                return UNITS[u].base;
        }
    }
    return NULL;
}

/* The first word that is a unit decides. */
static void check_units(const struct lint *l)
{
    struct str rest = l->name;
    for (;;) {
        struct str word = str_make(rest.p, str_find_char(rest, '_'));
        const char *base = base_unit(word);
        if (base) {
            char text[128];
            snprintf(text, sizeof text, "use base unit \"%s\" instead of \"%.*s\"", base, STR_ARG(word));
            if (!str_eq_c(word, base))
                found(l, text);
            return;
        }
        if (word.n == rest.n)
            return;
        rest = str_skip(rest, word.n + 1);
    }
}

/* ---- names ---- */

/* Whether the lower-case name has `_word_` in it or ends in `_word`. */
static bool has_word(const struct lint *l, const char *word)
{
    char infix[32];
    int n = snprintf(infix, sizeof infix, "_%s_", word);
    struct str name = str_of(l->lower);
    return str_find(name, str_make(infix, (size_t)n)) < name.n ||
           str_ends(name, str_make(infix, (size_t)n - 1));
}

static void check_type_in_name(const struct lint *l)
{
    static const char *const TYPES[] = {"counter", "gauge", "summary", "histogram", "gauge_histogram"};
    for (size_t i = 0; i < sizeof TYPES / sizeof TYPES[0]; i++) {
        char text[80];
        snprintf(text, sizeof text, "metric name should not include type '%s'", TYPES[i]);
        if (has_word(l, TYPES[i]))
            found(l, text);
    }
}

static void check_abbreviations(const struct lint *l)
{
    static const char *const SHORT[] = {"s", "ms", "us", "ns", "sec", "b", "kb",
                                        "mb", "gb", "tb", "pb", "m", "h", "d"};
    for (size_t i = 0; i < sizeof SHORT / sizeof SHORT[0]; i++) {
        if (has_word(l, SHORT[i]))
            found(l, "metric names should not contain abbreviated units");
    }
}

static void check_colon(const struct lint *l)
{
    if (str_find_char(l->name, ':') < l->name.n)
        found(l, "metric names should not contain ':'");
}

static void check_camel(const struct lint *l)
{
    if (lint_is_camel(l->name))
        found(l, "metric names should be written in 'snake_case' not 'camelCase'");
    found_times(l, "label names should be written in 'snake_case' not 'camelCase'", l->f->camel_labels);
}

/* ---- types ---- */

static void check_counter(const struct lint *l)
{
    bool total = str_ends(l->name, STR("_total"));
    if (l->f->type == BLOCK_COUNTER && !total)
        found(l, "counter metrics should have \"_total\" suffix");
    else if (l->f->type != BLOCK_COUNTER && l->f->type != BLOCK_UNSPECIFIED && total)
        found(l, "non-counter metrics should not have \"_total\" suffix");
}

static void check_reserved(const struct lint *l)
{
    bool histogram = l->f->type == BLOCK_HISTOGRAM, summary = l->f->type == BLOCK_SUMMARY;
    if (l->f->type == BLOCK_UNSPECIFIED)
        return;
    if (!histogram && str_ends(l->name, STR("_bucket")))
        found(l, "non-histogram metrics should not have \"_bucket\" suffix");
    if (!histogram && !summary && str_ends(l->name, STR("_count")))
        found(l, "non-histogram and non-summary metrics should not have \"_count\" suffix");
    if (!histogram && !summary && str_ends(l->name, STR("_sum")))
        found(l, "non-histogram and non-summary metrics should not have \"_sum\" suffix");
    if (!histogram)
        found_times(l, "non-histogram metrics should not have \"le\" label", l->f->le_labels);
    if (!summary)
        found_times(l, "non-summary metrics should not have \"quantile\" label", l->f->quantile_labels);
}

/* ---- all of them ---- */

static void check_help(const struct lint *l)
{
    if (!l->f->has_help)
        found(l, "no help text");
}

static void check_repeated(const struct lint *l)
{
    found_times(l, "metric not unique", l->f->repeated);
}

static const struct {
    const char *name, *about;
    void (*check)(const struct lint *l);
} RULES[] = {
    {"help", "each metric has a help text", check_help},
    {"unit", "base units: seconds, bytes", check_units},
    {"counter", "counters and nothing else end in _total", check_counter},
    {"reserved", "_bucket, _count, _sum, le and quantile belong to histograms and summaries", check_reserved},
    {"type-in-name", "names without the type", check_type_in_name},
    {"colon", "names without colon: those are for recording rules", check_colon},
    {"camel-case", "names and labels in snake_case", check_camel},
    {"abbreviation", "units written in full", check_abbreviations},
    {"unique", "no metric with the same labels twice", check_repeated},
};
#define RULES_N (sizeof RULES / sizeof *RULES)

static const char *rule_name(size_t i)
{
    return RULES[i].name;
}

bool lint_rules_parse(struct str text, rule_set *out, struct err *err)
{
    return rule_set_parse(text, rule_name, RULES_N, out, err);
}

void lint_list_rules(struct buf *out)
{
    for (size_t i = 0; i < RULES_N; i++)
        buf_addf(out, "%-23s %s\n", RULES[i].name, RULES[i].about);
}

void lint_check(const struct lint_family *f, rule_set rules,
                void (*fn)(void *ctx, const char *metric, const char *text), void *ctx)
{
    struct lint l = {.f = f, .name = str_of(f->name), .lower = xstrdup(f->name), .found = fn, .ctx = ctx};
    for (char *p = l.lower; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    for (size_t i = 0; i < RULES_N; i++) {
        if (rules >> i & 1)
            RULES[i].check(&l);
    }
    free(l.lower);
}
