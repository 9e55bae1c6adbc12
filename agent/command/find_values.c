/* SPDX-License-Identifier: Apache-2.0 */
/* find_values: counters that cannot be counts, and numbers that are too long for what carries them. */
#include "find.h"

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXACT_MAX 9007199254740992.0 /* 2^53: one more is no double */
#define DIGITS_MAX 64

struct values {
    struct findings *to;
    bool text; /* the body has digits */
};

/* The digits of a whole number as it stands in the body after the series, without sign and leading zeros; empty when
   it is written in another way. */
static struct str whole_digits(struct str series)
{
    const char *p = series.p + series.n;
    while (*p == ' ' || *p == '\t')
        p++;
    p += *p == '-' || *p == '+';
    while (*p == '0')
        p++;
    size_t n = strspn(p, "0123456789");
    bool ends = p[n] == ' ' || p[n] == '\t' || p[n] == '\n' || p[n] == '\r';
    return ends ? str_make(p, n) : STR_NULL;
}

bool find_is_counting(const struct survey_sample *s)
{
    enum block_metric_type type = s->family->lint.type;
    bool part = str_ends(s->name, STR("_bucket")) || str_ends(s->name, STR("_count"));
    bool created = str_ends(s->name, STR("_created"));
    return (type == BLOCK_COUNTER && !created) || ((type == BLOCK_HISTOGRAM || type == BLOCK_SUMMARY) && part);
}

static void check_precision(struct values *v, const struct survey_sample *s)
{
    struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
    struct str digits = v->text ? whole_digits(s->raw->series) : STR_NULL;
    char kept[DIGITS_MAX];
    if (digits.n && digits.n < DIGITS_MAX) {
        snprintf(kept, sizeof kept, "%.0f", fabs(s->raw->value));
        if (!str_eq_c(digits, kept)) {
            findings_add(v->to, FINDING_PRECISION, &at, "%.*s becomes %s", STR_ARG(digits), kept);
            return;
        }
    }
    if (find_is_counting(s))
        findings_add(v->to, FINDING_PRECISION, &at, "%.0f: one more is not seen any more", s->raw->value);
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct values *v = ctx;
    double value = s->raw->value;
    if (s->raw->histogram.p)
        return;
    if (fabs(value) >= EXACT_MAX && !isinf(value))
        check_precision(v, s);
    if (!(value >= 0) && find_is_counting(s)) {
        struct finding_at at = {.line = s->raw->line, .subject = s->raw->series};
        findings_add(v->to, FINDING_COUNTER_VALUE, &at, isnan(value) ? "is not a number" : "is negative: %g", value);
    }
}

static void on_begin(void *ctx, enum exposition_format format)
{
    struct values *v = ctx;
    v->text = format != EXPOSITION_PROTOBUF;
}

struct find_check find_values(const struct find_for *to)
{
    struct values *v = xcalloc(1, sizeof *v);
    v->to = to->findings;
    return (struct find_check){.watcher = {on_begin, on_sample, NULL, NULL, v}, .free = free};
}
