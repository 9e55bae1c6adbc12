/* SPDX-License-Identifier: Apache-2.0 */
/* collect: the collectors of what scraping, buffering and sending have counted. */
#include "collect.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

static void emit(struct metric_out *out, enum metric_id id, uint64_t value)
{
    metric_emit(out, id, (double)value, NULL);
}

static void collect_log(struct metric_out *out)
{
    static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
    for (int i = LOG_DEBUG; i <= LOG_ERROR; i++)
        metric_emit(out, METRIC_LOG_LINES, (double)log_count((enum log_level)i), "level", LEVELS[i], NULL);
}

/* The reasons that the engine tells apart; the rest are refused connections, bad statuses, parse errors. */
static void collect_failures(const struct scrape_totals *t, struct metric_out *out)
{
    uint64_t known = t->scrapes_timeout + t->scrapes_sample_limit + t->scrapes_body_size_limit +
                     t->scrapes_label_limit + t->scrapes_target_limit + t->scrapes_bucket_limit;
    const struct {
        const char *reason;
        uint64_t n;
    } rows[] = {
        {"timeout", t->scrapes_timeout},
        {"sample_limit", t->scrapes_sample_limit},
        {"body_size_limit", t->scrapes_body_size_limit},
        {"label_limit", t->scrapes_label_limit},
        {"target_limit", t->scrapes_target_limit},
        {"bucket_limit", t->scrapes_bucket_limit},
        {"other", t->scrapes_failed > known ? t->scrapes_failed - known : 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metric_emit(out, METRIC_SCRAPES_FAILED, (double)rows[i].n, "reason", rows[i].reason, NULL);
}

static void collect_totals(const struct scrape_totals *t, struct metric_out *out)
{
    metric_emit(out, METRIC_TARGETS, (double)t->targets_up, "state", "up", NULL);
    metric_emit(out, METRIC_TARGETS, (double)t->targets_down, "state", "down", NULL);
    metric_emit(out, METRIC_TARGETS, (double)t->targets_unknown, "state", "unknown", NULL);
    uint64_t by_rule = t->targets_dropped - t->targets_other_shard;
    metric_emit(out, METRIC_TARGETS, (double)by_rule, "state", "dropped", NULL);
    metric_emit(out, METRIC_TARGETS, (double)t->targets_other_shard, "state", "other_shard", NULL);
    emit(out, METRIC_SCRAPES, t->scrapes);
    collect_failures(t, out);
    emit(out, METRIC_SCRAPES_SKIPPED, t->scrapes_skipped);
    double bounds[SCRAPE_DELAYS];
    for (size_t i = 0; i < SCRAPE_DELAYS; i++)
        bounds[i] = scrape_delay_bounds_ms[i] / 1000.0;
    metric_emit_histogram(out, METRIC_SCRAPE_START_DELAY, bounds, t->start_delay, SCRAPE_DELAYS,
                          (double)t->start_delay_sum_us / 1e6);
    emit(out, METRIC_SCRAPE_SAMPLES, t->samples_scraped);
    emit(out, METRIC_SCRAPE_DUPLICATES, t->duplicate_samples);
    emit(out, METRIC_SCRAPE_SERIES_LIMIT, t->samples_series_limit);
    emit(out, METRIC_SCRAPE_EXEMPLARS, t->exemplars);
    emit(out, METRIC_SCRAPE_HISTOGRAMS, t->histograms);
    emit(out, METRIC_SCRAPE_OUT_OF_BOUNDS, t->out_of_bounds_samples);
    emit(out, METRIC_STALE_MARKERS, t->stale_markers);
    emit(out, METRIC_SCRAPE_BODY_BYTES, t->body_bytes);
    emit(out, METRIC_SCRAPE_WIRE_BYTES, t->wire_bytes);
    emit(out, METRIC_SERIES, t->series);
    emit(out, METRIC_SERIES_BYTES, t->series_bytes);
    emit(out, METRIC_SYMBOLS, t->symbols);
    emit(out, METRIC_SYMBOL_BYTES, t->symbol_bytes);
    emit(out, METRIC_WORKERS, t->workers);
}

static void collect_jobs(const struct web_view *view, struct metric_out *out)
{
    for (size_t i = 0; i < view->jobs_n; i++) {
        const struct view_job *j = &view->jobs[i];
        metric_emit(out, METRIC_JOB_TARGETS, (double)j->up, "job", j->job, "state", "up", NULL);
        metric_emit(out, METRIC_JOB_TARGETS, (double)j->down, "job", j->job, "state", "down", NULL);
        metric_emit(out, METRIC_JOB_TARGETS, (double)j->unknown, "job", j->job, "state", "unknown", NULL);
        metric_emit(out, METRIC_JOB_TARGETS, (double)j->dropped, "job", j->job, "state", "dropped", NULL);
        if (j->limited)
            metric_emit(out, METRIC_SERIES_LIMITED, (double)j->limited, "job", j->job, "label", j->limited_label, NULL);
        if (view->sharding.shards > 1)
            metric_emit(out, METRIC_JOB_TARGETS, (double)j->other_shard, "job", j->job, "state", "other_shard", NULL);
    }
}

/* A job may have several sources of a kind: they are numbered as in the configuration. */
static void collect_discovery(const struct web_view *view, struct metric_out *out)
{
    for (size_t i = 0; i < view->sources_n; i++) {
        const struct discovery_source_status *s = &view->sources[i];
        char number[24];
        snprintf(number, sizeof number, "%zu", view_source_number(view, i));
        const struct {
            enum metric_id id;
            double value;
        } rows[] = {{METRIC_DISCOVERY_UP, s->looked && !s->error[0]},
                    {METRIC_DISCOVERY_TARGETS, (double)s->sets},
                    {METRIC_DISCOVERY_FAILURES, (double)s->failures},
                    {METRIC_DISCOVERY_CHANGED, (double)s->changed_ms / 1000}};
        for (size_t k = 0; k < sizeof rows / sizeof rows[0]; k++)
            metric_emit(out, rows[k].id, rows[k].value, "job", s->job, "kind", s->kind, "number", number, NULL);
    }
}

static void collect_books(const struct web_view *view, struct metric_out *out)
{
    for (size_t i = 0; i < view->books_n; i++) {
        const struct view_book *b = &view->books[i];
        double n = (double)b->samples;
        if (strcmp(b->kind, "scraped") == 0)
            metric_emit(out, METRIC_SAMPLES_SCRAPED, n, "job", b->job, NULL);
        else if (strcmp(b->kind, "restored") == 0)
            metric_emit(out, METRIC_SAMPLES_RESTORED, n, "endpoint", b->endpoint, NULL);
        else if (strcmp(b->kind, "absent") == 0)
            metric_emit(out, METRIC_SAMPLES_ABSENT, n, "endpoint", b->endpoint, NULL);
        else if (strcmp(b->kind, "delivered") == 0)
            metric_emit(out, METRIC_SAMPLES_DELIVERED, n, "endpoint", b->endpoint, "job", b->job, NULL);
        else if (strcmp(b->kind, "filtered") == 0)
            metric_emit(out, METRIC_SAMPLES_FILTERED, n, "endpoint", b->endpoint, "job", b->job, NULL);
        else if (strcmp(b->kind, "routed") == 0)
            metric_emit(out, METRIC_SAMPLES_ROUTED, n, "endpoint", b->endpoint, "job", b->job, NULL);
        else if (strcmp(b->kind, "lost") == 0)
            metric_emit(out, METRIC_SAMPLES_LOST, n, "endpoint", b->endpoint, "job", b->job, "reason",
                        b->reason, NULL);
    }
}

static void collect_queue(const struct queue_stats *q, struct metric_out *out)
{
    emit(out, METRIC_QUEUE_RAM_BYTES, q->ram_bytes);
    emit(out, METRIC_QUEUE_DISK_BYTES, q->disk_bytes);
    emit(out, METRIC_QUEUE_DISK_MAX, q->disk_bytes_max);
    emit(out, METRIC_QUEUE_DISK_WRITTEN, q->disk_written_bytes_total);
    emit(out, METRIC_QUEUE_FSYNCS, q->fsyncs_total);
    emit(out, METRIC_QUEUE_CORRUPT, q->corrupt_records_total);
    emit(out, METRIC_QUEUE_DISK_OK, q->disk_error[0] == '\0');
}

static void collect_buffered(const struct remote_status *r, int64_t now_ms, struct metric_out *out)
{
    const struct queue_reader_stats *q = &r->queue;
    double age_s =
        q->oldest_wall_ms && q->oldest_wall_ms < now_ms ? (double)(now_ms - q->oldest_wall_ms) / 1000 : 0;
    metric_emit(out, METRIC_SAMPLES_BUFFERED, (double)q->buffered_samples, "endpoint", r->name, NULL);
    metric_emit(out, METRIC_QUEUE_BLOCKS, (double)q->buffered_blocks, "endpoint", r->name, NULL);
    metric_emit(out, METRIC_QUEUE_BYTES, (double)q->buffered_bytes, "endpoint", r->name, NULL);
    metric_emit(out, METRIC_QUEUE_OLDEST, age_s, "endpoint", r->name, NULL);
}

static void collect_requests(const struct remote_status *r, struct metric_out *out)
{
    const struct {
        const char *status;
        uint64_t n;
    } rows[] = {
        {"2xx", r->responses_2xx}, {"3xx", r->responses_3xx},     {"4xx", r->responses_4xx},
        {"5xx", r->responses_5xx}, {"error", r->network_errors},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        metric_emit(out, METRIC_REMOTE_REQUESTS, (double)rows[i].n, "endpoint", r->name, "status",
                    rows[i].status, NULL);
}

static void collect_remote(const struct remote_status *r, int64_t now_ms, struct metric_out *out)
{
    const char *name = r->name;
    collect_buffered(r, now_ms, out);
    collect_requests(r, out);
    metric_emit(out, METRIC_REMOTE_RETRIES, (double)r->retries, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_BYTES, (double)r->wire_bytes, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_RAW_BYTES, (double)r->request_bytes, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_BISECTIONS, (double)r->bisections, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_SPLITS, (double)r->splits_413, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_UNWRITTEN, (double)r->unwritten, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_PROTOCOL, 1, "endpoint", name, "protocol", r->protocol, NULL);
    metric_emit(out, METRIC_REMOTE_EXEMPLARS_DROPPED, (double)r->exemplars_dropped, "endpoint", name, NULL);
    for (int s = REMOTE_IDLE; s <= REMOTE_HELD_URL; s++)
        metric_emit(out, METRIC_REMOTE_STATE, (int)r->state == s, "endpoint", name, "state",
                    view_remote_state((enum remote_state)s), NULL);
    metric_emit(out, METRIC_REMOTE_LAST_SUCCESS, (double)r->last_success_wall_ms / 1000, "endpoint", name,
                NULL);
    metric_emit(out, METRIC_REMOTE_HIGHEST_TS, (double)r->highest_ts_ms / 1000, "endpoint", name, NULL);
    metric_emit(out, METRIC_REMOTE_SEND_SECONDS, r->send_seconds_total, "endpoint", name, NULL);
}

void collect_view(const struct web_view *view, struct metric_out *out)
{
    collect_log(out);
    collect_totals(&view->totals, out);
    collect_jobs(view, out);
    collect_discovery(view, out);
    collect_books(view, out);
    collect_queue(&view->queue, out);
    for (size_t i = 0; i < view->remotes_n; i++)
        collect_remote(&view->remotes[i], view->now_ms, out);
}

void collect_sources(void *ctx, struct metric_out *out)
{
    const struct web_sources *sources = ctx;
    struct web_view view;
    view_take(&view, sources, VIEW_JOBS | VIEW_SOURCES | VIEW_REMOTES | VIEW_BOOKS);
    collect_view(&view, out);
    view_free(&view);
}
