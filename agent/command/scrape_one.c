/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_one: one target from the request to the report and the exit code. */
#include "scrape_private.h"

#include "base/clock.h"
#include "report.h"

#include <malloc.h>
#include <stdio.h>
#include <time.h>

#define RAW_MAX ((uint64_t)1 << 30)
#define REPORT_MAX ((size_t)64 << 20)
#define WAIT_STEP_MS 500 /* between two attempts of --wait */

enum scrape_exit scrape_worse(enum scrape_exit a, enum scrape_exit b)
{
    return a == SCRAPE_FAILED || b == SCRAPE_FAILED ? SCRAPE_FAILED : a ? a : b;
}

static bool is_url(const char *s)
{
    return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

static void sleep_ms(int64_t ms)
{
    struct timespec t = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* ---- one scrape ---- */

/* One body, read twice at the same time: with all its errors, and as the agent would. */
struct take {
    struct survey *survey;
    struct rehearsal *rehearsal;
    struct probe_result probe;
    struct survey_counts counts;
    struct rehearsal_result rehearsed;
    int64_t started_ms;
};

static void begin(void *ctx, enum exposition_format format)
{
    struct take *t = ctx;
    survey_begin(t->survey, format);
    rehearsal_begin(t->rehearsal, format);
}

static void feed(void *ctx, const void *bytes, size_t n)
{
    struct take *t = ctx;
    survey_feed(t->survey, bytes, n);
    rehearsal_feed(t->rehearsal, bytes, n);
}

static int64_t timeout_of(const struct scrape_flags *f, const struct subject *s)
{
    return f->timeout_ms ? f->timeout_ms : s->target->timeout_ms;
}

static int64_t interval_of(const struct scrape_flags *f, const struct subject *s)
{
    return f->interval_ms ? f->interval_ms : s->target->interval_ms;
}

static struct probe_request request_of(const struct scrape_flags *f, const struct subject *s)
{
    uint64_t limit = s->target->settings.body_size_limit;
    return (struct probe_request){
        .url = s->what,
        .unix_socket = s->unix_socket,
        .headers = s->headers,
        .job = s->view.job,
        .protocols = &f->protocols,
        .options = s->http,
        .timeout_ms = timeout_of(f, s),
        .max_raw = limit ? limit - 1 : RAW_MAX,
    };
}

/* timeout_ms 0: the usual one. */
static void take_make(struct take *t, const struct scrape_flags *f, const struct subject *s,
                      const struct analyses *analyses, int64_t timeout_ms)
{
    struct probe_request request = request_of(f, s);
    request.begin = begin;
    request.sink = feed;
    request.ctx = t;
    request.timeout_ms = timeout_ms && timeout_ms < request.timeout_ms ? timeout_ms : request.timeout_ms;
    t->started_ms = clock_wall_ms();
    t->survey = survey_new((size_t)f->max_errors);
    if (f->explain)
        survey_histograms(t->survey, &s->target->settings);
    survey_check_names(t->survey, relabel_count(s->view.job->metric_relabel) == 0);
    t->rehearsal = rehearsal_new(&s->view, interval_of(f, s), t->started_ms);
    for (size_t i = 0; analyses && i < analyses->n; i++)
        survey_watch(t->survey, &analyses->v[i].watcher);
    if (is_url(s->what))
        probe_url(&request, &t->probe);
    else
        probe_file(s->what, &request, &t->probe);
    survey_finish(t->survey);
    survey_counts(t->survey, &t->counts);
    bool complete = !err_is(&t->probe.error) || t->probe.type == PROBE_TYPE_REFUSED;
    malloc_trim(0); /* what the request needed is not needed for weighing */
    rehearsal_end(t->rehearsal, complete, t->probe.seconds, t->probe.raw_bytes, &t->rehearsed);
}

static void take_free(struct take *t)
{
    survey_free(t->survey);
    rehearsal_free(t->rehearsal);
}

static struct report report_of(const struct scrape_flags *f, const struct subject *s, const struct take *t,
                               const struct analyses *analyses)
{
    return (struct report){
        .name = s->view.name,
        .subject = &s->view,
        .probe = &t->probe,
        .counts = &t->counts,
        .rehearsal = &t->rehearsed,
        .analyses = analyses,
        .lint = f->lint != NULL,
        .lint_rules = f->lint_rules,
        .timeout_ms = timeout_of(f, s),
        .interval_ms = interval_of(f, s),
    };
}

/* ---- --wait ---- */

/* Until the target answers so that the agent would take it, or the time is over; what still is wrong is said whenever
   it changes. */
static void wait_for(const struct scrape_flags *f, const struct subject *s)
{
    static const struct analyses NONE = {.n = 0};
    int64_t end = clock_mono_ms() + f->wait_ms;
    struct err last = {0}, why = {0};
    for (;;) {
        struct take t = {0};
        int64_t left = end - clock_mono_ms();
        take_make(&t, f, s, NULL, left > 1 ? left : 1);
        struct report report = report_of(f, s, &t, &NONE);
        bool failed = report_failure(&report, &why);
        take_free(&t);
        left = end - clock_mono_ms();
        if (!failed || left <= 0)
            return;
        if (strcmp(last.msg, why.msg) != 0)
            fprintf(stderr, "%s: not ready: %s\n", s->view.name, why.msg);
        last = why;
        sleep_ms(left < WAIT_STEP_MS ? left : WAIT_STEP_MS);
    }
}

/* ---- the report ---- */

/* The target may say back what it was told: errors quote it. */
static void hide_told(const struct subject *s, struct buf *text)
{
    struct hide secrets;
    hide_init(&secrets);
    http_request_secrets(&(struct http_request){.url = s->what, .headers = s->headers, .options = s->http}, &secrets);
    hide_text(&secrets, text);
    hide_free(&secrets);
}

/* With --lint standard output is for the findings alone, so that they can be compared and counted. */
static void tell(const struct scrape_flags *f, const struct subject *s, struct report *report)
{
    struct buf text, lint;
    bool machine = f->json || f->junit;
    FILE *out = f->lint && !machine ? stderr : stdout;
    struct paint paint = paint_for(out);
    buf_init(&text, REPORT_MAX);
    buf_init(&lint, REPORT_MAX);
    size_t findings = f->lint ? report_lint(report, &lint) : 0;
    report->exit = report_exit(report, findings);
    if (f->json)
        report_json(report, &text);
    else if (f->junit)
        report_junit(report, &text);
    else if (!f->quiet || report->exit != SCRAPE_GOOD)
        report_text(report, &paint, &text);
    hide_told(s, &text);
    hide_told(s, &lint);
    fputs(buf_c(&text), out);
    if (!machine)
        fputs(buf_c(&lint), stdout);
    fflush(stdout);
    buf_free(&lint);
    buf_free(&text);
}

static enum scrape_exit finish(const struct scrape_flags *f, const struct subject *s, const struct take *t,
                               const struct analyses *analyses)
{
    struct report report = report_of(f, s, t, analyses);
    struct load_result load;
    if (f->repeat && t->probe.http) {
        struct probe_request request = request_of(f, s);
        load_run(&request, f->repeat, f->concurrency ? f->concurrency : 1, &load);
        report.load = &load;
    }
    tell(f, s, &report);
    return report.exit;
}

enum scrape_exit scrape_one(const struct scrape_flags *f, const struct subject *subject)
{
    struct analyses analyses;
    struct take t = {0};
    struct scrape_done done = {.subject = &subject->view, .probe = &t.probe, .counts = &t.counts};
    if (f->wait_ms && is_url(subject->what))
        wait_for(f, subject);
    analyses_make(&analyses, f, &subject->view);
    for (;; done.round++) {
        take_make(&t, f, subject, &analyses, 0);
        done.started_ms = t.started_ms;
        for (size_t i = 0; i < analyses.n; i++) {
            if (analyses.v[i].done)
                analyses.v[i].done(analyses.v[i].watcher.ctx, &done);
        }
        if (!f->twice_ms || done.round == 1 || err_is(&t.probe.error))
            break;
        take_free(&t);
        sleep_ms(f->twice_ms);
    }
    enum scrape_exit code = finish(f, subject, &t, &analyses);
    take_free(&t);
    analyses_free(&analyses);
    return code;
}
