/* SPDX-License-Identifier: Apache-2.0 */
/* finding: the rules, and what was found by them, in order of the rules. */
#include "finding.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define SUBJECT_MAX 200
#define WHY_MAX 300
#define CUTS_MAX 8

static const struct {
    const char *name;
    bool problem;
    const char *meaning;
} RULES[FINDING_RULES] = {
    [FINDING_DUPLICATE_SERIES] = {"duplicate-series", true,
                                  "of samples of one series at one time all but one are lost"},
    [FINDING_METADATA_AFTER_SAMPLES] = {"metadata-after-samples", true,
                                        "samples before a TYPE line have no type, and strict readers refuse the body"},
    [FINDING_METADATA_TWICE] = {"metadata-twice", true, "strict readers refuse the body"},
    [FINDING_SPLIT_FAMILY] = {"split-family", true,
                              "the samples of a family belong together; strict readers refuse the body"},
    [FINDING_BUCKET_BOUND] = {"bucket-bound", true, "a bucket without a bound counts for no quantile"},
    [FINDING_BUCKET_TWICE] = {"bucket-twice", true, "1 and 1.0 are the same bound, but two series"},
    [FINDING_BUCKETS_FALL] = {"buckets-fall", true,
                              "buckets are cumulative: with falling ones quantiles are wrong"},
    [FINDING_BUCKETS_UNORDERED] = {"buckets-unordered", false, "strict readers want buckets by their bounds"},
    [FINDING_NO_INF_BUCKET] = {"no-inf-bucket", true, "without a bucket le=\"+Inf\" there are no quantiles at all"},
    [FINDING_INF_IS_NOT_COUNT] = {"inf-is-not-count", true, "the bucket le=\"+Inf\" holds all that was counted"},
    [FINDING_NO_BUCKETS] = {"no-buckets", true, "a histogram without buckets says no more than a summary"},
    [FINDING_NO_SUM] = {"no-sum", true, "without _sum there is no mean; remote write of whole histograms needs it"},
    [FINDING_NO_COUNT] = {"no-count", true, "without _count there is neither mean nor rate"},
    [FINDING_BARE_HISTOGRAM] = {"bare-histogram", true, "samples of a histogram end in _bucket, _sum or _count"},
    [FINDING_QUANTILE] = {"quantile", true, "the value of a summary belongs to a quantile from 0 to 1"},
    [FINDING_COUNTER_VALUE] = {"counter-value", true, "counts are not negative, and they are numbers"},
    [FINDING_PRECISION] = {"precision", false, "whole numbers above 2^53 are not all kept exactly by anybody"},
    [FINDING_QUOTED_NAME] = {"quoted-name", false,
                             "must be quoted in queries, and receivers older than UTF-8 names refuse or change it"},
    [FINDING_LABEL_CLASH] = {"label-clash", false, "the target has a label of this name as well"},
    [FINDING_TIMESTAMP] = {"timestamp", false,
                           "series with a time of their own do not end when their target does, but 5 minutes later"},
    [FINDING_TIMESTAMP_STALE] = {"timestamp-stale", true, "queries for now do not see what is older than 5 minutes"},
    [FINDING_TIMESTAMP_FUTURE] = {"timestamp-future", true, "receivers refuse what is minutes ahead"},
    [FINDING_CLOCK_SKEW] = {"clock-skew", true, "times that the target exposes are wrong by as much"},
    [FINDING_COUNTER_FELL] = {"counter-fell", true, "a counter that falls is a gauge: rate() takes it for a restart"},
    [FINDING_RESTART] = {"restart", false, "counters began anew"},
    [FINDING_CHURN] = {"churn", false, "series that come and go cost more than those that stay"},
};

struct finding {
    uint64_t line, other_line;
    char *subject, *why;
};

struct list {
    struct finding *v;
    size_t n, cap;
    uint64_t count;
};

struct findings {
    struct list of[FINDING_RULES];
    size_t keep;
    rule_set ignored;
    const char *line_word;
    char *cuts[CUTS_MAX];
    size_t cuts_n;
};

/* ---- rules ---- */

static const char *rule_name(size_t i)
{
    return RULES[i].name;
}

bool finding_rules_parse(struct str text, rule_set *out, struct err *err)
{
    return rule_set_parse(text, rule_name, FINDING_RULES, out, err);
}

void finding_list_rules(struct buf *out)
{
    for (size_t i = 0; i < FINDING_RULES; i++)
        buf_addf(out, "%-23s %s: %s\n", RULES[i].name, RULES[i].problem ? "problem" : "hint", RULES[i].meaning);
}

/* ---- collecting ---- */

struct findings *findings_new(size_t keep, rule_set ignored)
{
    struct findings *f = xcalloc(1, sizeof *f);
    f->keep = keep;
    f->ignored = ignored;
    f->line_word = "line";
    return f;
}

void findings_drop(struct findings *f, enum finding_rule rule)
{
    struct list *list = &f->of[rule];
    for (size_t k = 0; k < list->n; k++) {
        free(list->v[k].subject);
        free(list->v[k].why);
    }
    list->n = 0;
    list->count = 0;
}

void findings_clear(struct findings *f)
{
    for (size_t i = 0; i < FINDING_RULES; i++)
        findings_drop(f, (enum finding_rule)i);
    for (size_t i = 0; i < f->cuts_n; i++)
        free(f->cuts[i]);
    f->cuts_n = 0;
}

void findings_free(struct findings *f)
{
    if (!f)
        return;
    findings_clear(f);
    for (size_t i = 0; i < FINDING_RULES; i++)
        free(f->of[i].v);
    free(f);
}

void findings_name_lines(struct findings *f, const char *word)
{
    f->line_word = word;
}

/* A copy of at most so many bytes that does not end inside a character. */
static char *cut_copy(struct str s, size_t max)
{
    if (s.n <= max)
        return str_dup(s);
    size_t n = max;
    while (n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n--;
    return xasprintf("%.*s...", (int)n, s.p);
}

void findings_add(struct findings *f, enum finding_rule rule, const struct finding_at *at, const char *fmt, ...)
{
    struct list *list = &f->of[rule];
    if (f->ignored >> rule & 1 || list->count++ >= f->keep)
        return;
    char why[WHY_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    list->v = xgrow(list->v, &list->cap, list->n + 1, sizeof *list->v);
    list->v[list->n++] =
        (struct finding){at->line, at->other_line, cut_copy(at->subject, SUBJECT_MAX), xstrdup(why)};
}

void findings_cut(struct findings *f, const char *fmt, ...)
{
    char text[WHY_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    for (size_t i = 0; i < f->cuts_n; i++) {
        if (strcmp(f->cuts[i], text) == 0)
            return;
    }
    if (f->cuts_n < CUTS_MAX)
        f->cuts[f->cuts_n++] = xstrdup(text);
}

uint64_t findings_sum(const struct findings *f, bool problems)
{
    uint64_t n = 0;
    for (size_t i = 0; i < FINDING_RULES; i++)
        n += RULES[i].problem == problems ? f->of[i].count : 0;
    return n;
}

/* ---- saying it ---- */

static void add_plain(struct buf *out, const char *text)
{
    paint_plain(out, str_of(text));
}

static void text_finding(const struct findings *f, const struct finding *one, struct buf *out)
{
    buf_add_c(out, "    ");
    if (one->line)
        buf_addf(out, "%s %" PRIu64 "%s", f->line_word, one->line, one->other_line ? "" : ": ");
    if (one->other_line)
        buf_addf(out, "%ssee %s %" PRIu64 ": ", one->line ? ", " : "", f->line_word, one->other_line);
    add_plain(out, one->subject);
    if (one->subject[0])
        buf_add_c(out, ": ");
    add_plain(out, one->why);
    buf_add_char(out, '\n');
}

static void text_rule(const struct findings *f, size_t rule, const struct paint *paint, struct buf *out)
{
    const struct list *list = &f->of[rule];
    buf_add_c(out, "  ");
    paint_add(paint, out, RULES[rule].problem ? PAINT_RED : PAINT_YELLOW, "%s", RULES[rule].name);
    buf_addf(out, ": %" PRIu64 " (%s)\n", list->count, RULES[rule].meaning);
    for (size_t i = 0; i < list->n; i++)
        text_finding(f, &list->v[i], out);
    if (list->count > list->n)
        buf_addf(out, "    and %" PRIu64 " more\n", list->count - list->n);
}

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

void findings_text(const struct findings *f, const struct paint *paint, struct buf *out)
{
    uint64_t problems = findings_sum(f, true), hints = findings_sum(f, false);
    if (problems || hints)
        buf_addf(out, "findings: %" PRIu64 " problem%s, %" PRIu64 " hint%s\n", problems, plural(problems), hints,
                 plural(hints));
    for (size_t i = 0; i < FINDING_RULES; i++) {
        if (f->of[i].count)
            text_rule(f, i, paint, out);
    }
    for (size_t i = 0; i < f->cuts_n; i++)
        buf_addf(out, "not looked at: %s\n", f->cuts[i]);
}

static void json_finding(const struct finding *one, struct buf *out)
{
    buf_addf(out, "{\"line\":%" PRIu64 ",\"other_line\":%" PRIu64 ",\"subject\":", one->line, one->other_line);
    buf_add_json(out, str_of(one->subject));
    buf_add_c(out, ",\"why\":");
    buf_add_json(out, str_of(one->why));
    buf_add_char(out, '}');
}

static void json_rule(const struct findings *f, size_t rule, struct buf *out)
{
    const struct list *list = &f->of[rule];
    buf_addf(out, "{\"rule\":\"%s\",\"level\":\"%s\",\"count\":%" PRIu64 ",\"first\":[", RULES[rule].name,
             RULES[rule].problem ? "problem" : "hint", list->count);
    for (size_t i = 0; i < list->n; i++) {
        buf_add_c(out, i ? "," : "");
        json_finding(&list->v[i], out);
    }
    buf_add_c(out, "]}");
}

void findings_json(const struct findings *f, struct buf *out)
{
    size_t n = 0;
    buf_addf(out, "\"findings\":{\"problems\":%" PRIu64 ",\"hints\":%" PRIu64 ",\"rules\":[", findings_sum(f, true),
             findings_sum(f, false));
    for (size_t i = 0; i < FINDING_RULES; i++) {
        if (f->of[i].count == 0)
            continue;
        buf_add_c(out, n++ ? "," : "");
        json_rule(f, i, out);
    }
    buf_add_c(out, "],\"not_looked_at\":[");
    for (size_t i = 0; i < f->cuts_n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, str_of(f->cuts[i]));
    }
    buf_add_c(out, "]},");
}

void findings_junit(const struct findings *f, void (*add)(void *to, const char *name, const char *failure), void *to)
{
    for (size_t i = 0; i < FINDING_RULES; i++) {
        struct buf text;
        buf_init(&text, (size_t)1 << 20);
        if (!RULES[i].problem || f->ignored >> i & 1)
            continue;
        for (size_t k = 0; k < f->of[i].n; k++)
            text_finding(f, &f->of[i].v[k], &text);
        if (f->of[i].count > f->of[i].n)
            buf_addf(&text, "    and %" PRIu64 " more\n", f->of[i].count - f->of[i].n);
        add(to, RULES[i].name, f->of[i].count ? buf_c(&text) : NULL);
        buf_free(&text);
    }
}
