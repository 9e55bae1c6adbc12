/* SPDX-License-Identifier: Apache-2.0 */
/* worker_slot: one target on the schedule. */
#include "worker_private.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"

/* New targets are scraped within a second of their discovery, this many at first, then at this rate. */
#define FIRST_SCRAPES 300
#define FIRST_SPREAD_MS 800

/* ---- history ---- */

static struct history *history_new(struct worker *w, struct target *t, struct config *config,
                                   const struct config_job *job)
{
    struct history *s = xcalloc(1, sizeof *s);
    s->target = target_ref(t);
    s->config = config_ref(config);
    s->job = job;
    s->labels = (struct labels){.v = t->labels, .n = t->labels_n, .cap = t->labels_n};
    s->append = append_target_new(w->append, job, &s->labels, &t->settings);
    return s;
}

static void history_free(struct history *s)
{
    if (!s)
        return;
    append_target_free(s->append);
    target_unref(s->target);
    config_unref(s->config);
    free(s);
}

/* Ends the series with stale markers, not before the last sample. */
static void history_end(struct history *s, int64_t ts_ms)
{
    if (!s)
        return;
    if (s->last_ts_ms > 0)
        append_target_gone(s->append, ts_ms > s->last_ts_ms ? ts_ms : s->last_ts_ms + 1);
    history_free(s);
}

static void history_update(struct history *s, struct config *config, const struct config_job *job)
{
    append_target_update(s->append, job);
    config_ref(config);
    config_unref(s->config);
    s->config = config;
    s->job = job;
}

/* The settings changed, the series did not. */
static void history_take_over(struct history *s, struct config *config, const struct config_job *job,
                              const struct target *t)
{
    history_update(s, config, job);
    append_target_settings(s->append, &t->settings);
}

/* ---- one scrape ---- */

static void begin(struct slot *slot, int64_t ts_ms, int64_t planned_mono_ms)
{
    slot->ts_ms = ts_ms;
    slot->planned_mono_ms = planned_mono_ms;
    admit(slot);
}

/* The first bytes, or the end when there were none. */
static struct append_scrape *need_scrape(struct slot *slot)
{
    if (!slot->scrape) {
        history_end(slot->before, slot->ts_ms - 1);
        slot->before = NULL;
        slot->scrape = append_begin(slot->history->append, slot->ts_ms,
                                    slot->fetch ? fetch_format(slot->fetch) : EXPOSITION_TEXT);
    }
    return slot->scrape;
}

static bool on_bytes(void *ctx, const void *p, size_t n, struct err *err)
{
    return append_feed(need_scrape(ctx), p, n, err);
}

/* A tick that came while the last scrape was still at it (its timeout may be as long as the interval) is
   made up for when it is hardly late. */
static void catch_up(struct slot *slot)
{
    int64_t ts_ms = slot->due_ts_ms;
    if (ts_ms == 0)
        return;
    slot->due_ts_ms = 0;
    if (clock_wall_ms() - ts_ms <= slot->schedule.interval_ms / 10)
        begin(slot, ts_ms, -1);
    else
        cell_skipped(slot->worker, slot->cell, slot->schedule.next_mono_ms, 1);
}

static void finish(struct slot *slot, const struct fetch_result *r)
{
    struct append_outcome outcome = {
        .ok = r->ok,
        .duration_s = r->seconds,
        .body_bytes = r->body_limit ? -1 : (int64_t)r->body_bytes,
        .timeout_s = (double)slot->pool.target->timeout_ms / 1000,
    };
    struct append_result result = {0};
    struct err why = {0};
    err_set(&why, "%.*s", STR_ARG(r->error));
    append_end(need_scrape(slot), &outcome, &result, &why);
    slot->scrape = NULL;
    slot->fetch = NULL;
    slot->history->last_ts_ms = slot->ts_ms;
    cell_publish(slot, r, &result, &why);
    worker_plan_flush(slot->worker);
}

static void on_done(void *ctx, const struct fetch_result *r)
{
    struct slot *slot = ctx;
    struct worker *w = slot->worker;
    finish(slot, r);
    admit_leave(slot);
    if (slot->again) {
        slot->again = false;
        begin(slot, clock_wall_ms(), -1);
    } else if (slot->last) {
        slot->last = false;
        worker_last_done(w);
    } else {
        catch_up(slot);
    }
}

static void fail(struct slot *slot, const struct err *why)
{
    on_done(slot, &(struct fetch_result){.error = str_of(why->msg)});
}

/* One that had to wait is not the scrape of the moment it was planned for. */
static void stamp(struct slot *slot)
{
    int64_t now = clock_wall_ms(), tolerance = slot->schedule.interval_ms / 100;
    if (now - slot->ts_ms > tolerance && slot->planned_mono_ms >= 0)
        slot->ts_ms = now;
}

void slot_fetch(struct slot *slot)
{
    struct worker *w = slot->worker;
    const struct config_job *job = slot->history->job;
    struct fetch_request request = {
        .target = slot->pool.target,
        .config = slot->history->config,
        .job = job,
        .on_bytes = on_bytes,
        .on_done = on_done,
        .ctx = slot,
    };
    struct err why = {0};
    stamp(slot);
    if (slot->planned_mono_ms >= 0)
        cell_started(w, clock_mono_ns() / 1000 - slot->planned_mono_ms * 1000);
    if (job->target_limit && slot->job_targets > job->target_limit) {
        err_set(&why, "target_limit exceeded (number of targets: %zu, limit: %llu)", slot->job_targets,
                (unsigned long long)job->target_limit);
        fail(slot, &why);
        return;
    }
    slot->fetch = fetch_start(w->fetcher, &request, &why);
    if (!slot->fetch)
        fail(slot, &why);
}

/* ---- ticks ---- */

static void on_tick(void *ctx)
{
    struct slot *slot = ctx;
    struct worker *w = slot->worker;
    uint64_t skipped = slot->due_ts_ms != 0; /* the one before is still waiting */
    int64_t planned = slot->schedule.next_mono_ms;
    int64_t ts_ms = schedule_tick(&slot->schedule, clock_wall_ms(), clock_mono_ms(), &skipped);
    loop_timer_set(w->loop, &slot->timer, slot->schedule.next_mono_ms, on_tick, slot);
    cell_skipped(w, slot->cell, slot->schedule.next_mono_ms, skipped);
    if (slot->state != SLOT_IDLE)
        slot->due_ts_ms = ts_ms;
    else
        begin(slot, ts_ms, planned);
}

/* In how many ms a new target is scraped for the first time. */
static int64_t first_delay(struct worker *w, uint64_t phase)
{
    int64_t now = loop_now(w->loop);
    if (now > w->burst_end_ms)
        w->burst = 0;
    size_t k = w->burst++;
    int64_t delay = k < FIRST_SCRAPES ? (int64_t)((phase >> 32) % FIRST_SPREAD_MS)
                                      : FIRST_SPREAD_MS + (int64_t)((k - FIRST_SCRAPES) * 1000 / FIRST_SCRAPES);
    int64_t end = now + (delay > 1000 ? delay : 1000);
    w->burst_end_ms = end > w->burst_end_ms ? end : w->burst_end_ms;
    return delay;
}

static void schedule(struct slot *slot, bool is_new)
{
    const struct target *t = slot->pool.target;
    struct worker *w = slot->worker;
    int64_t wall_ms = clock_wall_ms(), mono_ms = clock_mono_ms();
    if (t->align_ms || t->offset_ms) {
        schedule_start_aligned(&slot->schedule, t->interval_ms, t->align_ms, t->offset_ms, wall_ms, mono_ms);
    } else {
        schedule_start(&slot->schedule, t->interval_ms, t->phase, wall_ms, mono_ms);
        if (is_new)
            schedule_early(&slot->schedule, first_delay(w, t->phase), wall_ms, mono_ms);
    }
    loop_timer_set(w->loop, &slot->timer, slot->schedule.next_mono_ms, on_tick, slot);
}

/* ---- coming, staying, going ---- */

static void cancel(struct slot *slot)
{
    if (slot->fetch)
        fetch_cancel(slot->fetch);
    if (slot->scrape)
        append_cancel(slot->scrape);
    slot->fetch = NULL;
    slot->scrape = NULL;
    admit_leave(slot);
}

/* A leaving slot's samples so far; when it has none, what it had taken over itself. */
static struct history *take_history(struct slot *old)
{
    cancel(old);
    struct history **from = old->history && old->history->last_ts_ms > 0 ? &old->history : &old->before;
    struct history *taken = *from;
    *from = NULL;
    return taken;
}

struct slot *slot_new(struct worker *w, struct config *config, const struct config_job *job, struct target *t,
                      struct slot *before, size_t job_targets)
{
    struct slot *slot = xcalloc(1, sizeof *slot);
    slot->pool.target = target_ref(t);
    slot->worker = w;
    slot->job_targets = job_targets;
    struct history *old = before ? take_history(before) : NULL;
    if (old && old->target->series_key == t->series_key) {
        history_take_over(old, config, job, t);
        slot->history = old;
    } else {
        slot->history = history_new(w, t, config, job);
        slot->before = old;
    }
    schedule(slot, before == NULL);
    slot->cell = cell_new(w, t, slot->schedule.next_mono_ms);
    return slot;
}

static bool same_discovered(const struct target *a, const struct target *b)
{
    return label_set_equal(a->found, b->found) && label_set_equal(a->defaults, b->defaults);
}

void slot_update(struct slot *slot, struct config *config, const struct config_job *job, struct target *t,
                 size_t job_targets)
{
    history_update(slot->history, config, job);
    slot->job_targets = job_targets;
    if (same_discovered(slot->pool.target, t))
        return;
    target_unref(slot->pool.target);
    slot->pool.target = target_ref(t);
    cell_set_target(slot->worker, slot->cell, t);
}

void slot_end(struct slot *slot, bool markers)
{
    cancel(slot);
    int64_t now = clock_wall_ms();
    if (markers) {
        history_end(slot->before, now);
        history_end(slot->history, now);
    } else {
        history_free(slot->before);
        history_free(slot->history);
    }
    loop_timer_clear(slot->worker->loop, &slot->timer);
    cell_remove(slot->worker, slot->cell);
    target_unref(slot->pool.target);
    free(slot);
}

void slot_quiet(struct slot *slot)
{
    loop_timer_clear(slot->worker->loop, &slot->timer);
    slot->due_ts_ms = 0;
}

void slot_scrape_last(struct slot *slot)
{
    slot->last = true;
    slot->again = slot->state != SLOT_IDLE;
    if (!slot->again)
        begin(slot, clock_wall_ms(), -1);
}
