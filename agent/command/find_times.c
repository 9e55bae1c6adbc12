/* SPDX-License-Identifier: Apache-2.0 */
/* find_times: timestamps of samples, and the target's clock. Times are judged when the answer is there: against our
   clock, and only of a target, as a file may be of any day. */
#include "find.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <time.h>

#define STALE_MS ((int64_t)5 * 60 * 1000) /* what a query looks back */
#define FUTURE_MS ((int64_t)5 * 1000)
#define SKEW_MS ((int64_t)5 * 1000)
#define TEXT_MAX ((size_t)200)

/* The sample that is furthest out on one side. */
struct far {
    int64_t ts_ms;
    uint64_t line;
    char series[TEXT_MAX + 1];
};

struct times {
    struct findings *to;
    const struct scrape_subject *subject;
    uint64_t n, first_line;
    struct far oldest, newest;
    enum exposition_format format;
};

static void keep(struct far *f, const struct survey_sample *s)
{
    size_t n = s->raw->series.n < TEXT_MAX ? s->raw->series.n : TEXT_MAX;
    f->ts_ms = s->raw->ts_ms;
    f->line = s->raw->line;
    memcpy(f->series, s->raw->series.p, n);
    f->series[n] = 0;
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct times *t = ctx;
    if (!s->raw->has_ts)
        return;
    if (t->n++ == 0)
        t->first_line = s->raw->line;
    if (t->n == 1 || s->raw->ts_ms < t->oldest.ts_ms)
        keep(&t->oldest, s);
    if (t->n == 1 || s->raw->ts_ms > t->newest.ts_ms)
        keep(&t->newest, s);
}

/* A time that would be now if it were meant in another unit. */
static const char *unit_hint(const struct times *t, int64_t ts_ms, int64_t now_ms)
{
    static const struct {
        double factor;
        const char *unit;
    } UNITS[] = {{1000, "seconds"}, {1e-3, "microseconds"}, {1e-6, "nanoseconds"}};
    bool seconds = t->format == EXPOSITION_OPENMETRICS;
    double near = 30.0 * 24 * 3600 * 1000;
    for (size_t i = 0; !seconds && i < sizeof UNITS / sizeof *UNITS; i++) {
        double meant = (double)ts_ms * UNITS[i].factor;
        if (meant > (double)now_ms - near && meant < (double)now_ms + near)
            return UNITS[i].unit;
    }
    double milliseconds = (double)ts_ms / 1000;
    return seconds && milliseconds > (double)now_ms - near && milliseconds < (double)now_ms + near ? "milliseconds"
                                                                                                    : NULL;
}

static void add_far(struct times *t, enum finding_rule rule, const struct far *f, int64_t now_ms)
{
    struct finding_at at = {.line = f->line, .subject = str_of(f->series)};
    const char *unit = unit_hint(t, f->ts_ms, now_ms);
    double away = (double)(f->ts_ms > now_ms ? f->ts_ms - now_ms : now_ms - f->ts_ms) / 1000;
    const char *side = f->ts_ms > now_ms ? "after" : "before";
    if (unit)
        findings_add(t->to, rule, &at, "it is in %s: this format has %s", unit,
                     t->format == EXPOSITION_OPENMETRICS ? "seconds" : "milliseconds");
    else
        findings_add(t->to, rule, &at, "%.0f seconds %s now, the furthest of %" PRIu64 " with a time", away, side,
                     t->n);
}

static void check_explicit(struct times *t)
{
    struct finding_at at = {.line = t->first_line};
    const struct config_job *job = t->subject->job;
    const char *ignored = !job->honor_timestamps            ? ", left out: honor_timestamps is false"
                          : job->track_timestamps_staleness ? ", ended at once: track_timestamps_staleness is true"
                                                            : "";
    findings_add(t->to, FINDING_TIMESTAMP, &at, "%" PRIu64 " sample%s, the first one here%s", t->n,
                 t->n == 1 ? "" : "s", ignored);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool read_date(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    *ms = end && !*end ? (int64_t)timegm(&tm) * 1000 : 0;
    return *ms != 0;
}

/* A Date is cut to the second, and was written at some moment between request and answer. */
static void check_clock(struct times *t, const struct scrape_done *done, int64_t now_ms)
{
    int64_t theirs;
    struct finding_at at = {.subject = STR("Date")};
    if (!read_date(done->probe->date, &theirs))
        return;
    int64_t ahead = theirs - now_ms, behind = done->started_ms - theirs - 1000;
    if (ahead > SKEW_MS)
        findings_add(t->to, FINDING_CLOCK_SKEW, &at, "the target's clock is %.0f seconds ahead of ours",
                     (double)ahead / 1000);
    else if (behind > SKEW_MS)
        findings_add(t->to, FINDING_CLOCK_SKEW, &at, "the target's clock is %.0f seconds behind ours",
                     (double)behind / 1000);
}

static void on_done(void *ctx, const struct scrape_done *done)
{
    struct times *t = ctx;
    int64_t now_ms = done->started_ms + (int64_t)(done->probe->seconds * 1000);
    if (t->n)
        check_explicit(t);
    if (!done->probe->http)
        return;
    check_clock(t, done, now_ms);
    bool kept = t->n && t->subject->job->honor_timestamps;
    if (kept && t->oldest.ts_ms < now_ms - STALE_MS)
        add_far(t, FINDING_TIMESTAMP_STALE, &t->oldest, now_ms);
    if (kept && t->newest.ts_ms > now_ms + FUTURE_MS)
        add_far(t, FINDING_TIMESTAMP_FUTURE, &t->newest, now_ms);
}

static void on_begin(void *ctx, enum exposition_format format)
{
    struct times *t = ctx;
    t->n = 0;
    t->format = format;
}

struct find_check find_times(const struct find_for *to)
{
    struct times *t = xcalloc(1, sizeof *t);
    t->to = to->findings;
    t->subject = to->subject;
    return (struct find_check){.watcher = {on_begin, on_sample, NULL, NULL, t}, .done = on_done, .free = free};
}
