/* SPDX-License-Identifier: Apache-2.0 */
/* worker_cell: what a worker tells others: the state of each target, and totals. */
#include "worker_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "failure_log.h"

static uint64_t *health_count(struct worker *w, enum scrape_health health)
{
    switch (health) {
    case SCRAPE_UP:
        return &w->totals.targets_up;
    case SCRAPE_DOWN:
        return &w->totals.targets_down;
    case SCRAPE_UNKNOWN:
    default:
        return &w->totals.targets_unknown;
    }
}

struct worker_cell *cell_new(struct worker *w, struct target *t, int64_t next_mono_ms)
{
    struct worker_cell *cell = xcalloc(1, sizeof *cell);
    atomic_init(&cell->refs, 1);
    cell->worker = w;
    cell->status.target = target_ref(t);
    cell->next_mono_ms = next_mono_ms;
    pthread_mutex_lock(&w->lock);
    w->cells = xgrow(w->cells, &w->cells_cap, w->cells_n + 1, sizeof(struct worker_cell *));
    cell->index = w->cells_n;
    w->cells[w->cells_n++] = cell;
    w->totals.targets_unknown++;
    pthread_mutex_unlock(&w->lock);
    return cell;
}

void cell_remove(struct worker *w, struct worker_cell *cell)
{
    pthread_mutex_lock(&w->lock);
    w->cells[cell->index] = w->cells[--w->cells_n];
    w->cells[cell->index]->index = cell->index;
    (*health_count(w, cell->status.health))--;
    pthread_mutex_unlock(&w->lock);
    worker_cell_unref(cell);
}

void worker_cell_unref(struct worker_cell *cell)
{
    if (atomic_fetch_sub(&cell->refs, 1) != 1)
        return;
    target_unref((struct target *)(uintptr_t)cell->status.target);
    free(cell);
}

void worker_cells(struct worker *w, struct worker_cell ***cells, size_t *n, size_t *cap)
{
    pthread_mutex_lock(&w->lock);
    *cells = xgrow(*cells, cap, *n + w->cells_n, sizeof **cells);
    for (size_t i = 0; i < w->cells_n; i++) {
        atomic_fetch_add(&w->cells[i]->refs, 1);
        (*cells)[(*n)++] = w->cells[i];
    }
    pthread_mutex_unlock(&w->lock);
}

void worker_cell_read(struct worker_cell *cell, struct scrape_status *out)
{
    pthread_mutex_lock(&cell->worker->lock);
    *out = cell->status;
    target_ref((struct target *)(uintptr_t)out->target);
    int64_t in = cell->next_mono_ms - clock_mono_ms();
    pthread_mutex_unlock(&cell->worker->lock);
    out->next_scrape_in_ms = in > 0 ? in : 0;
}

void worker_add_totals(struct worker *w, struct scrape_totals *total)
{
    /* All counters before `workers` are of one type: added as an array, none is forgotten. */
    uint64_t *sum = (uint64_t *)total;
    const uint64_t *own = (const uint64_t *)&w->totals;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < offsetof(struct scrape_totals, workers) / sizeof *sum; i++)
        sum[i] += own[i];
    pthread_mutex_unlock(&w->lock);
    total->workers++;
}

void cell_set_target(struct worker *w, struct worker_cell *cell, struct target *t)
{
    pthread_mutex_lock(&w->lock);
    struct target *old = (struct target *)(uintptr_t)cell->status.target;
    cell->status.target = target_ref(t);
    pthread_mutex_unlock(&w->lock);
    target_unref(old);
}

void cell_skipped(struct worker *w, struct worker_cell *cell, int64_t next_mono_ms, uint64_t skipped)
{
    pthread_mutex_lock(&w->lock);
    cell->next_mono_ms = next_mono_ms;
    w->totals.scrapes_skipped += skipped;
    pthread_mutex_unlock(&w->lock);
}

void cell_started(struct worker *w, int64_t late_us)
{
    size_t i = 0;
    late_us = late_us > 0 ? late_us : 0;
    while (i < SCRAPE_DELAYS && late_us > (int64_t)scrape_delay_bounds_ms[i] * 1000)
        i++;
    pthread_mutex_lock(&w->lock);
    w->totals.start_delay[i]++;
    w->totals.start_delay_sum_us += (uint64_t)late_us;
    pthread_mutex_unlock(&w->lock);
}

/* ---- the end of a scrape ---- */

static bool has_prefix(const struct err *why, const char *prefix)
{
    return strncmp(why->msg, prefix, strlen(prefix)) == 0;
}

static void count_failure(struct scrape_totals *t, const struct fetch_result *r, const struct err *why)
{
    t->scrapes_failed++;
    t->scrapes_timeout += r->timeout;
    t->scrapes_body_size_limit += r->body_limit;
    t->scrapes_sample_limit += has_prefix(why, "sample limit exceeded");
    t->scrapes_target_limit += has_prefix(why, "target_limit exceeded");
    t->scrapes_bucket_limit += strstr(why->msg, "histogram bucket limit exceeded") != NULL;
    t->scrapes_label_limit += has_prefix(why, "label_limit exceeded") ||
                              has_prefix(why, "label_name_length_limit exceeded") ||
                              has_prefix(why, "label_value_length_limit exceeded");
}

static void log_change(const struct slot *slot, enum scrape_health was, bool up, const struct err *why)
{
    const struct target *t = slot->pool.target;
    if (!up && was != SCRAPE_DOWN)
        log_throttled(t->phase, LOG_WARN, "scrape", "job %.*s: %s is down: %s", STR_ARG(t->job), target_shown_url(t),
                      why->msg);
    else if (up && was == SCRAPE_DOWN)
        log_throttled(t->phase + 1, LOG_INFO, "scrape", "job %.*s: %s is up again", STR_ARG(t->job),
                      target_shown_url(t));
}

static void log_limited(const struct slot *slot, const struct append_result *a)
{
    const struct target *t = slot->pool.target;
    if (a->limited)
        log_throttled(
            t->phase + 2, LOG_WARN, "scrape",
            "job %.*s: %s: a series limit keeps out %llu series; the label with most values among them is %s",
            STR_ARG(t->job), target_shown_url(t), (unsigned long long)a->limited, a->limited_label);
}

void cell_publish(struct slot *slot, const struct fetch_result *r, const struct append_result *a,
                  const struct err *why)
{
    struct worker *w = slot->worker;
    struct worker_cell *cell = slot->cell;
    struct append_stats stats;
    append_worker_stats(w->append, &stats);
    pthread_mutex_lock(&w->lock);
    struct scrape_status *s = &cell->status;
    enum scrape_health was = s->health;
    (*health_count(w, was))--;
    s->health = a->up ? SCRAPE_UP : SCRAPE_DOWN;
    (*health_count(w, s->health))++;
    int room = (int)sizeof s->last_error - 1;
    snprintf(s->last_error, sizeof s->last_error, "%.*s", room, a->up ? "" : why->msg);
    s->last_scrape_wall_ms = slot->ts_ms;
    s->last_duration_s = r->seconds;
    s->last_samples = a->scraped;
    s->last_post_relabel = a->post_relabel;
    s->last_body_bytes = r->body_bytes;
    s->series = append_target_series(slot->history->append);
    s->series_limited = a->limited;
    snprintf(s->limited_label, sizeof s->limited_label, "%s", a->limited_label ? a->limited_label : "");
    struct scrape_totals *t = &w->totals;
    t->scrapes++;
    if (!a->up)
        count_failure(t, r, why);
    t->samples_scraped += a->scraped;
    t->samples_post_relabel += a->post_relabel;
    t->stale_markers += a->samples_stale;
    t->body_bytes += r->body_bytes;
    t->wire_bytes += r->wire_bytes;
    t->series = stats.series;
    t->series_bytes = stats.series_bytes;
    t->symbols = stats.symbols;
    t->symbol_bytes = stats.symbol_bytes;
    t->duplicate_samples = stats.duplicate_samples;
    t->out_of_bounds_samples = stats.out_of_bounds_samples;
    t->samples_series_limit = stats.limited_samples;
    t->exemplars = stats.exemplars;
    t->histograms = stats.histograms;
    pthread_mutex_unlock(&w->lock);
    log_change(slot, was, a->up, why);
    log_limited(slot, a);
    const char *log_file = slot->history->job->scrape_failure_log_file;
    if (!a->up && log_file)
        failure_log_write(log_file, slot->pool.target, clock_wall_ms(), why->msg);
}
