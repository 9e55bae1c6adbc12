/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_one: one target from the request to the report and the exit code. */
#include "scrape_private.h"

#include "base/clock.h"
#include "report.h"

#include <stdio.h>
#include <unistd.h>

#define RAW_MAX ((uint64_t)1 << 30)
#define REPORT_MAX ((size_t)64 << 20)

enum scrape_exit scrape_worse(enum scrape_exit a, enum scrape_exit b)
{
    return a == SCRAPE_FAILED || b == SCRAPE_FAILED ? SCRAPE_FAILED : a ? a : b;
}

static bool is_url(const char *s)
{
    return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

static void begin(void *ctx, enum exposition_format format)
{
    survey_begin(ctx, format);
}

static void feed(void *ctx, const void *bytes, size_t n)
{
    survey_feed(ctx, bytes, n);
}

/* The samples of one scrape go to the survey and whoever watches it. */
static struct survey *fetch(const struct scrape_flags *f, const struct subject *s, const struct analyses *analyses,
                            struct probe_result *result)
{
    struct survey *survey = survey_new((size_t)f->max_errors);
    const struct config_job *job = s->view.job;
    struct probe_request request = {
        .url = s->what,
        .unix_socket = s->unix_socket,
        .headers = s->headers,
        .options = s->http,
        .timeout_ms = f->timeout_ms ? f->timeout_ms : s->target->timeout_ms,
        .job = job,
        .begin = begin,
        .max_raw = s->target->settings.body_size_limit ? s->target->settings.body_size_limit - 1 : RAW_MAX,
        .sink = feed,
        .ctx = survey,
    };
    for (size_t i = 0; i < analyses->n; i++)
        survey_watch(survey, &analyses->v[i].watcher);
    if (is_url(s->what))
        probe_url(&request, result);
    else
        probe_file(s->what, &request, result);
    survey_finish(survey);
    return survey;
}

/* With --lint standard output is for the findings alone, so that they can be compared and counted. */
static enum scrape_exit tell(const struct scrape_flags *f, const struct report *report)
{
    struct buf text;
    buf_init(&text, REPORT_MAX);
    bool lint = f->lint != NULL;
    FILE *out = lint && !f->json ? stderr : stdout;
    struct paint paint = paint_for(out);
    if (f->json)
        report_json(report, &text);
    else
        report_text(report, &paint, &text);
    fwrite(text.p, 1, text.n, out);
    buf_clear(&text);
    size_t findings = lint ? report_lint(report, &text) : 0;
    if (!f->json)
        fwrite(text.p, 1, text.n, stdout);
    buf_free(&text);
    bool failed = err_is(&report->probe->error) || report->counts->errors;
    for (size_t i = 0; i < report->analyses->n; i++) {
        const struct analysis *a = &report->analyses->v[i];
        findings += a->findings ? a->findings(a->watcher.ctx) : 0;
        failed = failed || (a->failed && a->failed(a->watcher.ctx));
    }
    return failed ? SCRAPE_FAILED : findings ? SCRAPE_FINDINGS : SCRAPE_GOOD;
}

enum scrape_exit scrape_one(const struct scrape_flags *f, const struct subject *subject)
{
    struct analyses analyses;
    struct probe_result probe;
    struct survey_counts counts;
    struct scrape_done done = {.subject = &subject->view, .probe = &probe, .counts = &counts};
    analyses_make(&analyses, f, &subject->view);
    for (;; done.round++) {
        done.started_ms = clock_wall_ms();
        struct survey *survey = fetch(f, subject, &analyses, &probe);
        survey_counts(survey, &counts);
        for (size_t i = 0; i < analyses.n; i++) {
            if (analyses.v[i].done)
                analyses.v[i].done(analyses.v[i].watcher.ctx, &done);
        }
        if (!f->twice_ms || done.round == 1 || err_is(&probe.error)) {
            struct report report = {subject->view.name, &probe, &counts, &analyses};
            enum scrape_exit code = tell(f, &report);
            survey_free(survey);
            analyses_free(&analyses);
            return code;
        }
        survey_free(survey);
        usleep((useconds_t)f->twice_ms * 1000);
    }
}
