/* SPDX-License-Identifier: Apache-2.0 */
/* explain: takes each series of a scrape through the functions that the agent uses: the target's labels and
   metric_relabel_configs (series_labels.h), then for each endpoint what it is sent (sent_labels.h). */
#include "explain.h"

#include "base/alloc.h"
#include "selector.h"
#include "sent_labels.h"
#include "series_labels.h"
#include "steps.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TOLD_MAX ((size_t)32 << 20) /* half of a report */

struct endpoint {
    struct explain_tally tally;
    uint64_t sent, dropped, elsewhere;
    uint64_t unfit; /* native histograms, which it is not sent */
};

struct explain {
    const struct scrape_subject *subject;
    struct selector *selector; /* NULL = each series, effects only */
    bool json;
    struct sent_groups *groups;
    struct explain_tally metric;
    struct endpoint *endpoints; /* as many as the configuration has */
    uint64_t series, kept, dropped, wrong;
    struct buf told; /* of all series: text, or objects with a comma behind each */

    /* the series at hand */
    struct arena arena;
    struct labels labels, copy;
    struct buf exposed; /* as text */
    uint64_t line;      /* 0 = made by the agent */
    bool shown, is_histogram;
    struct steps steps;
    struct explain_tally *tally;
};

/* ---- one series ---- */

static void add_labels(struct explain *e, const struct labels *l)
{
    if (e->json)
        steps_labels_json(&e->told, l);
    else
        steps_labels(&e->told, l);
}

/* The heading, when this is a series to be shown. */
static void begin_series(struct explain *e, const struct labels *merged)
{
    e->shown = !e->selector || selector_matches(e->selector, merged);
    e->steps.out = e->shown ? &e->told : NULL;
    if (!e->shown)
        return;
    if (e->json) {
        buf_add_c(&e->told, "{\"series\":");
        buf_add_json(&e->told, buf_str(&e->exposed));
        buf_addf(&e->told, ",\"line\":%" PRIu64 ",\"with_target\":", e->line);
        add_labels(e, merged);
        buf_add_c(&e->told, ",\"steps\":[");
        return;
    }
    buf_add_str(&e->told, buf_str(&e->exposed));
    if (e->line)
        buf_addf(&e->told, " (line %" PRIu64 " of the scrape)", e->line);
    else
        buf_add_c(&e->told, " (added by the agent)");
    buf_add_c(&e->told, "\n  with the target's labels: ");
    add_labels(e, merged);
    buf_add_char(&e->told, '\n');
}

static void on_merged(void *ctx, const struct labels *merged)
{
    begin_series(ctx, merged);
}

static void on_rule(void *ctx, size_t index, int line, struct str text, const struct labels *after, bool changed,
                    bool kept)
{
    struct explain *e = ctx;
    explain_tally_add(e->tally, index, changed, kept);
    steps_rule(&e->steps, index, line, text, after, changed, kept);
}

/* Objects end in a comma while more may come. */
static void end_list(struct buf *out)
{
    if (out->n && out->p[out->n - 1] == ',')
        out->n--;
    buf_add_char(out, ']');
}

static void begin_steps(struct explain *e, struct explain_tally *tally, struct buf *out, const char *indent)
{
    e->tally = tally;
    e->steps = (struct steps){
        .out = e->shown ? out : NULL, .indent = indent, .json = e->json, .effects_only = !e->selector};
}

/* "dropped by rule 2 (line 5)", or that no label was left. */
static void add_dropped(struct explain *e, struct buf *out)
{
    if (!e->steps.dropped) {
        buf_add_c(out, "dropped: no label is left");
        return;
    }
    buf_add_c(out, "dropped by ");
    steps_rule_name(out, e->steps.dropped_by, e->steps.dropped_line);
}

/* What became of it, as text or as a field of that name. */
static void add_outcome(struct explain *e, const char *field, const char *why, const struct labels *l)
{
    if (e->json)
        buf_addf(&e->told, "\"%s\":", field);
    if (!why)
        add_labels(e, l);
    else if (e->json)
        buf_add_c(&e->told, "null,\"why\":");
    if (why && e->json)
        buf_add_json(&e->told, str_of(why));
    else if (why)
        buf_add_c(&e->told, why);
}

static void unused_merged(void *ctx, const struct labels *merged)
{
    (void)ctx;
    (void)merged;
}

static const char *outcome_text(struct explain *e, enum sent_made made, bool unfit, struct buf *out)
{
    if (made == SENT_ALL && !unfit)
        return NULL;
    if (unfit)
        buf_add_c(out, "not sent: a native histogram, and send_native_histograms is off");
    else if (made == SENT_ELSEWHERE)
        buf_add_c(out, "not to this one: other members of its group are sent it");
    else
        add_dropped(e, out);
    return buf_c(out);
}

static void to_endpoint(struct explain *e, size_t i)
{
    const char *name = e->subject->config->remotes[i].name;
    struct endpoint *to = &e->endpoints[i];
    const struct sent_trace trace = {unused_merged, on_rule, e};
    struct buf steps, why;
    buf_init(&steps, TOLD_MAX);
    buf_init(&why, 256);
    begin_steps(e, &to->tally, &steps, "    ");
    labels_copy(&e->copy, &e->labels);
    enum sent_made made = sent_labels_make(e->groups, i, &e->copy, &trace);
    bool unfit = made == SENT_ALL && e->is_histogram && !e->subject->config->remotes[i].send_native_histograms;
    to->sent += made == SENT_ALL && !unfit;
    to->dropped += made == SENT_DROPPED;
    to->unfit += unfit;
    to->elsewhere += made == SENT_ELSEWHERE;
    if (e->shown && e->json) {
        buf_add_c(&e->told, "{\"name\":");
        buf_add_json(&e->told, str_of(name));
        buf_add_c(&e->told, ",\"steps\":[");
        buf_add_str(&e->told, buf_str(&steps));
        end_list(&e->told);
        buf_add_char(&e->told, ',');
        add_outcome(e, "sent", outcome_text(e, made, unfit, &why), &e->copy);
        buf_add_c(&e->told, "},");
    } else if (e->shown) {
        buf_addf(&e->told, "  to %s: ", name);
        add_outcome(e, "", outcome_text(e, made, unfit, &why), &e->copy);
        buf_add_char(&e->told, '\n');
        buf_add_str(&e->told, buf_str(&steps));
    }
    buf_free(&steps);
    buf_free(&why);
}

/* What is kept in e->labels goes to the endpoints; `why` it is not, else. */
static void end_series(struct explain *e, const char *why)
{
    if (e->shown && e->json) {
        end_list(&e->told);
        buf_add_char(&e->told, ',');
        add_outcome(e, "kept", why, &e->labels);
        buf_add_c(&e->told, ",\"endpoints\":[");
    } else if (e->shown) {
        buf_add_c(&e->told, why ? "  " : "  kept: ");
        add_outcome(e, "", why, &e->labels);
        buf_add_char(&e->told, '\n');
    }
    for (size_t i = 0; !why && i < e->subject->config->remotes_n; i++)
        to_endpoint(e, i);
    if (e->shown && e->json) {
        end_list(&e->told);
        buf_add_c(&e->told, "},");
    }
}

static void name_exposed(struct explain *e, const struct labels *l)
{
    arena_reset(&e->arena);
    labels_copy(&e->labels, l);
    buf_clear(&e->exposed);
    labels_format(&e->labels, &e->exposed);
}

static void on_sample(void *ctx, const struct survey_sample *sample)
{
    struct explain *e = ctx;
    const struct scrape_subject *s = e->subject;
    const struct target *t = s->target;
    struct err err = {0};
    struct buf why;
    if (sample->first_line)
        return; /* a duplicate */
    buf_init(&why, 4096);
    e->series++;
    e->line = sample->raw->line;
    e->is_histogram = sample->raw->histogram.p != NULL;
    name_exposed(e, sample->labels);
    const struct series_origin origin = {s->job, t ? t->labels : NULL, t ? t->labels_n : 0,
                                         t ? t->settings.label_limit : s->job->label_limit};
    const struct series_trace trace = {on_merged, on_rule, e};
    begin_steps(e, &e->metric, &e->told, "  ");
    enum series_made made = series_labels_make(&origin, sample->family->lint.type, &e->labels, &trace, &err);
    e->kept += made == SERIES_IS_KEPT;
    e->dropped += made == SERIES_IS_DROPPED;
    e->wrong += made == SERIES_IS_WRONG;
    if (made == SERIES_IS_WRONG)
        buf_addf(&why, "fails the whole scrape: %s", err.msg);
    else if (made == SERIES_IS_DROPPED)
        add_dropped(e, &why);
    end_series(e, made == SERIES_IS_KEPT ? NULL : buf_c(&why));
    buf_free(&why);
}

/* ---- the scrape ---- */

/* --twice: the report is on the second one. */
static void on_begin(void *ctx, enum exposition_format format)
{
    struct explain *e = ctx;
    (void)format;
    buf_clear(&e->told);
    e->series = e->kept = e->dropped = e->wrong = 0;
    explain_tally_clear(&e->metric);
    for (size_t i = 0; i < e->subject->config->remotes_n; i++) {
        struct endpoint *to = &e->endpoints[i];
        to->sent = to->dropped = to->elsewhere = to->unfit = 0;
        explain_tally_clear(&to->tally);
    }
}

/* Then the series that the agent adds to those of the target. */
static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct explain *e = ctx;
    const struct target *t = e->subject->target;
    const char *name;
    (void)counts;
    for (size_t n = 0; t && (name = series_report_name(e->subject->job, t->settings.series_limit, n)); n++) {
        struct labels l;
        labels_init(&l, &e->arena);
        labels_push(&l, STR("__name__"), str_of(name));
        name_exposed(e, &l);
        labels_free(&l);
        for (size_t i = 0; i < t->labels_n; i++)
            labels_push(&e->labels, t->labels[i].name, t->labels[i].value);
        labels_sort(&e->labels);
        e->line = 0;
        e->is_histogram = false;
        begin_series(e, &e->labels);
        end_series(e, NULL);
    }
}

static void add_counts(const struct explain *e, struct buf *out)
{
    buf_addf(out, "  %" PRIu64 " series exposed, %" PRIu64 " dropped, %" PRIu64 " kept", e->series, e->dropped,
             e->kept);
    if (e->wrong)
        buf_addf(out, ", %" PRIu64 " that fail the whole scrape", e->wrong);
    buf_add_char(out, '\n');
    for (size_t i = 0; i < e->subject->config->remotes_n; i++) {
        const struct endpoint *to = &e->endpoints[i];
        buf_addf(out, "  to %s: %" PRIu64 " series sent, %" PRIu64 " dropped", e->subject->config->remotes[i].name,
                 to->sent, to->dropped);
        if (to->unfit)
            buf_addf(out, ", %" PRIu64 " native histograms not sent", to->unfit);
        if (to->elsewhere)
            buf_addf(out, ", %" PRIu64 " left to its group", to->elsewhere);
        buf_add_c(out, ", those that the agent adds included\n");
    }
}

/* Labels come from outside: what is behind `from` gets no control character but the ends of lines. */
static void make_plain(struct buf *out, size_t from)
{
    for (size_t i = from; i < out->n; i++) {
        unsigned char c = (unsigned char)out->p[i];
        if ((c < ' ' && c != '\n') || c == 127)
            out->p[i] = '?';
    }
}

static void on_text(void *ctx, const struct paint *paint, struct buf *out)
{
    struct explain *e = ctx;
    const struct scrape_subject *s = e->subject;
    size_t from = out->n;
    if (s->target)
        explain_target_text(s->job, s->target, out);
    make_plain(out, from);
    paint_add(paint, out, PAINT_BOLD, "each series:\n");
    from = out->n;
    buf_add_str(out, buf_str(&e->told));
    make_plain(out, from);
    if (e->selector && e->told.n == 0)
        buf_add_c(out, "  none fits\n");
    if (e->told.overflow)
        buf_add_c(out, "  (cut here: too much to tell)\n");
    paint_add(paint, out, PAINT_BOLD, "each rule:\n");
    explain_tally_text(&e->metric, "metric_relabel_configs", out);
    for (size_t i = 0; i < s->config->remotes_n; i++) {
        char *list = xasprintf("%s: write_relabel_configs", s->config->remotes[i].name);
        explain_tally_text(&e->endpoints[i].tally, list, out);
        free(list);
    }
    add_counts(e, out);
}

static void on_json(void *ctx, struct buf *out)
{
    struct explain *e = ctx;
    const struct scrape_subject *s = e->subject;
    buf_add_c(out, "\"explain\":{\"target\":");
    if (s->target)
        explain_target_json(s->job, s->target, out);
    else
        buf_add_c(out, "null");
    buf_add_c(out, ",\"series\":[");
    buf_add_str(out, buf_str(&e->told));
    end_list(out);
    buf_add_c(out, ",\"rules\":[");
    explain_tally_json(&e->metric, "metric_relabel_configs", NULL, out);
    for (size_t i = 0; i < s->config->remotes_n; i++)
        explain_tally_json(&e->endpoints[i].tally, "write_relabel_configs", s->config->remotes[i].name, out);
    end_list(out);
    buf_addf(out, ",\"series_exposed\":%" PRIu64 ",\"series_dropped\":%" PRIu64 ",\"series_kept\":%" PRIu64
                  ",\"series_wrong\":%" PRIu64 ",\"endpoints\":[",
             e->series, e->dropped, e->kept, e->wrong);
    for (size_t i = 0; i < s->config->remotes_n; i++) {
        const struct endpoint *to = &e->endpoints[i];
        buf_add_c(out, i ? ",{\"name\":" : "{\"name\":");
        buf_add_json(out, str_of(s->config->remotes[i].name));
        buf_addf(out, ",\"sent\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"left_to_group\":%" PRIu64
                      ",\"histograms_not_sent\":%" PRIu64 "}",
                 to->sent, to->dropped, to->elsewhere, to->unfit);
    }
    buf_add_c(out, "]},");
}

static bool on_failed(void *ctx)
{
    const struct explain *e = ctx;
    return e->wrong > 0;
}

static void on_free(void *ctx)
{
    struct explain *e = ctx;
    for (size_t i = 0; i < e->subject->config->remotes_n; i++)
        explain_tally_free(&e->endpoints[i].tally);
    explain_tally_free(&e->metric);
    sent_groups_free(e->groups);
    selector_free(e->selector);
    buf_free(&e->told);
    buf_free(&e->exposed);
    labels_free(&e->labels);
    labels_free(&e->copy);
    arena_free(&e->arena);
    free(e->endpoints);
    free(e);
}

static struct selector *read_selector(const char *series)
{
    struct err err = {0};
    struct selector *s = series[0] ? selector_new(str_of(series), &err) : NULL;
    if (err_is(&err))
        fprintf(stderr, "--explain: %s: %s\n", series, err.msg);
    return s;
}

bool explain_check(const char *series)
{
    struct selector *s = read_selector(series);
    bool good = s || !series[0];
    selector_free(s);
    return good;
}

bool explain_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out)
{
    if (!flags->explain)
        return false;
    struct explain *e = xcalloc(1, sizeof *e);
    e->subject = subject;
    e->json = flags->json;
    e->selector = read_selector(flags->explain);
    e->groups = sent_groups_new(subject->config);
    e->endpoints = xcalloc(subject->config->remotes_n + 1, sizeof *e->endpoints);
    explain_tally_init(&e->metric, subject->job->metric_relabel);
    for (size_t i = 0; i < subject->config->remotes_n; i++)
        explain_tally_init(&e->endpoints[i].tally, subject->config->remotes[i].write_relabel);
    buf_init(&e->told, TOLD_MAX);
    buf_init(&e->exposed, TOLD_MAX);
    arena_init(&e->arena);
    labels_init(&e->labels, &e->arena);
    labels_init(&e->copy, &e->arena);
    *out = (struct analysis){
        .watcher = {.begin = on_begin, .sample = on_sample, .end = on_end, .ctx = e},
        .text = on_text, .json = on_json, .failed = on_failed, .free = on_free,
    };
    return true;
}
