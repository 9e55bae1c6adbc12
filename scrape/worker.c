/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one thread with one event loop that scrapes its share of the targets.

   A slot is one target on the schedule. Its series outlive it in one case: when a job's settings change,
   the new slot takes over the old one's series as `before` and lets them end a millisecond before its own
   first sample, so that a reload does not leave a gap of one interval. */
#include "worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "append.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "failure_log.h"
#include "fetch.h"
#include "pool.h"

/* What append keeps of a target, and what that leans on. */
struct history {
    struct append_target *append;
    struct labels labels; /* views into target */
    struct target *target;
    struct config *config;
    const struct config_job *job;
    int64_t last_ts_ms;
};

struct slot {
    struct pool_slot pool; /* first; its target is referenced */
    struct worker *worker;
    struct history *history;
    struct history *before; /* of the slot we replace, until our first scrape */
    struct schedule schedule;
    struct loop_timer timer;
    struct fetch *fetch; /* a scrape is running */
    struct append_scrape *scrape; /* its samples; NULL until there are bytes, to save memory while we wait */
    int64_t ts_ms;
    int64_t due_ts_ms; /* a tick came while one was running; 0 = none */
    struct worker_cell *cell;
};

struct worker_cell {
    atomic_int refs;
    struct worker *worker;
    struct scrape_status status; /* under worker->lock; its target is referenced */
    int64_t next_mono_ms;
    size_t index; /* in worker->cells */
};

struct worker {
    struct worker_options o;
    pthread_t thread;
    struct loop *loop;
    struct fetcher *fetcher;
    struct append_worker *append;
    struct pool pool;
    struct loop_timer flush;

    pthread_mutex_t lock; /* guards what follows */
    struct worker_cell **cells;
    size_t cells_n, cells_cap;
    struct scrape_totals totals;
};

/* ---- published state ---- */

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

static struct worker_cell *cell_new(struct worker *w, struct target *t, int64_t next_mono_ms)
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

/* The target has gone. */
static void cell_remove(struct worker *w, struct worker_cell *cell)
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

/* ---- flushing ---- */

static void plan_flush(struct worker *w);

static void on_flush(void *ctx)
{
    struct worker *w = ctx;
    int64_t since = append_pending_since(w->append);
    if (since >= 0 && since + atomic_load(w->o.flush_ms) <= loop_now(w->loop))
        append_flush(w->append);
    plan_flush(w);
}

static void plan_flush(struct worker *w)
{
    int64_t since = append_pending_since(w->append);
    if (since < 0) {
        loop_timer_clear(w->loop, &w->flush);
        return;
    }
    loop_timer_set(w->loop, &w->flush, since + atomic_load(w->o.flush_ms), on_flush, w);
}

static void flush_changed(void *ctx)
{
    plan_flush(ctx);
}

void worker_flush_changed(struct worker *w)
{
    loop_post(w->loop, flush_changed, w);
}

/* ---- one scrape ---- */

static void begin(struct slot *slot, int64_t ts_ms);

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
    t->scrapes_label_limit += has_prefix(why, "label_limit exceeded") ||
                              has_prefix(why, "label_name_length_limit exceeded") ||
                              has_prefix(why, "label_value_length_limit exceeded");
}

static void log_change(const struct slot *slot, enum scrape_health was, bool up, const struct err *why)
{
    const struct target *t = slot->pool.target;
    if (!up && was != SCRAPE_DOWN)
        log_throttled(t->phase, LOG_WARN, "scrape", "job %.*s: %s is down: %s", STR_ARG(t->job), t->url,
                      why->msg);
    else if (up && was == SCRAPE_DOWN)
        log_throttled(t->phase + 1, LOG_INFO, "scrape", "job %.*s: %s is up again", STR_ARG(t->job), t->url);
}

static void log_limited(const struct slot *slot, const struct append_result *a)
{
    const struct target *t = slot->pool.target;
    if (a->limited)
        log_throttled(t->phase + 2, LOG_WARN, "scrape",
                      "job %.*s: %s: a series limit keeps out %llu series; the label with most values among them is %s",
                      STR_ARG(t->job), t->url, (unsigned long long)a->limited, a->limited_label);
}

static void publish(struct slot *slot, const struct fetch_result *r, const struct append_result *a,
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

static void count_skipped(struct worker *w, uint64_t n)
{
    pthread_mutex_lock(&w->lock);
    w->totals.scrapes_skipped += n;
    pthread_mutex_unlock(&w->lock);
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
        begin(slot, ts_ms);
    else
        count_skipped(slot->worker, 1);
}

static void on_done(void *ctx, const struct fetch_result *r)
{
    struct slot *slot = ctx;
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
    publish(slot, r, &result, &why);
    plan_flush(slot->worker);
    catch_up(slot);
}

static void begin(struct slot *slot, int64_t ts_ms)
{
    struct fetch_request request = {
        .target = slot->pool.target,
        .config = slot->history->config,
        .job = slot->history->job,
        .on_bytes = on_bytes,
        .on_done = on_done,
        .ctx = slot,
    };
    struct err why = {0};
    slot->ts_ms = ts_ms;
    slot->fetch = fetch_start(slot->worker->fetcher, &request, &why);
    if (!slot->fetch)
        on_done(slot, &(struct fetch_result){.error = str_of(why.msg)});
}

static void on_tick(void *ctx)
{
    struct slot *slot = ctx;
    struct worker *w = slot->worker;
    uint64_t skipped = slot->due_ts_ms != 0; /* the one before is still waiting */
    int64_t ts_ms = schedule_tick(&slot->schedule, clock_wall_ms(), clock_mono_ms(), &skipped);
    loop_timer_set(w->loop, &slot->timer, slot->schedule.next_mono_ms, on_tick, slot);
    pthread_mutex_lock(&w->lock);
    slot->cell->next_mono_ms = slot->schedule.next_mono_ms;
    w->totals.scrapes_skipped += skipped;
    pthread_mutex_unlock(&w->lock);
    if (slot->fetch)
        slot->due_ts_ms = ts_ms;
    else
        begin(slot, ts_ms);
}

/* ---- slots come, stay and go ---- */

struct update {
    struct worker *worker;
    struct config *config; /* NULL for a job that is gone */
    char *job_name;
    const struct config_job *job;
    struct target **targets;
    size_t n;
};

static void slot_cancel(struct slot *slot)
{
    if (slot->fetch)
        fetch_cancel(slot->fetch);
    if (slot->scrape)
        append_cancel(slot->scrape);
    slot->fetch = NULL;
    slot->scrape = NULL;
}

/* A leaving slot's samples so far; when it has none, what it had taken over itself. */
static struct history *take_history(struct slot *old)
{
    slot_cancel(old);
    struct history **from = old->history && old->history->last_ts_ms > 0 ? &old->history : &old->before;
    struct history *taken = *from;
    *from = NULL;
    return taken;
}

static struct pool_slot *slot_start(void *ctx, struct target *t, struct pool_slot *before)
{
    const struct update *u = ctx;
    struct worker *w = u->worker;
    struct slot *slot = xcalloc(1, sizeof *slot);
    slot->pool.target = target_ref(t);
    slot->worker = w;
    slot->history = history_new(w, t, u->config, u->job);
    if (before)
        slot->before = take_history((struct slot *)before);
    schedule_start(&slot->schedule, t->interval_ms, t->phase, clock_wall_ms(), clock_mono_ms());
    loop_timer_set(w->loop, &slot->timer, slot->schedule.next_mono_ms, on_tick, slot);
    slot->cell = cell_new(w, t, slot->schedule.next_mono_ms);
    return &slot->pool;
}

static bool same_discovered(const struct target *a, const struct target *b)
{
    if (a->discovered_n != b->discovered_n)
        return false;
    for (size_t i = 0; i < a->discovered_n; i++) {
        if (!str_eq(a->discovered[i].name, b->discovered[i].name) ||
            !str_eq(a->discovered[i].value, b->discovered[i].value))
            return false;
    }
    return true;
}

static void slot_keep(void *ctx, struct pool_slot *pool_slot, struct target *t)
{
    const struct update *u = ctx;
    struct slot *slot = (struct slot *)pool_slot;
    history_update(slot->history, u->config, u->job);
    if (same_discovered(slot->pool.target, t))
        return;
    target_unref(slot->pool.target);
    slot->pool.target = target_ref(t);
    pthread_mutex_lock(&u->worker->lock);
    struct target *old = (struct target *)(uintptr_t)slot->cell->status.target;
    slot->cell->status.target = target_ref(t);
    pthread_mutex_unlock(&u->worker->lock);
    target_unref(old);
}

static void slot_free(struct slot *slot)
{
    loop_timer_clear(slot->worker->loop, &slot->timer);
    cell_remove(slot->worker, slot->cell);
    target_unref(slot->pool.target);
    free(slot);
}

static void slot_stop(void *ctx, struct pool_slot *pool_slot)
{
    (void)ctx;
    struct slot *slot = (struct slot *)pool_slot;
    slot_cancel(slot);
    int64_t now = clock_wall_ms();
    history_end(slot->before, now);
    history_end(slot->history, now);
    slot_free(slot);
}

/* At shutdown: no markers, the targets will be back. */
static void slot_abandon(void *ctx, struct pool_slot *pool_slot)
{
    (void)ctx;
    struct slot *slot = (struct slot *)pool_slot;
    slot_cancel(slot);
    history_free(slot->before);
    history_free(slot->history);
    slot_free(slot);
}

static void update_free(struct update *u)
{
    for (size_t i = 0; i < u->n; i++)
        target_unref(u->targets[i]);
    free(u->targets);
    free(u->job_name);
    if (u->config)
        config_unref(u->config);
    free(u);
}

static void apply_update(void *ctx)
{
    struct update *u = ctx;
    struct worker *w = u->worker;
    struct pool_actions actions = {.start = slot_start, .keep = slot_keep, .stop = slot_stop, .ctx = u};
    pool_update(&w->pool, u->job_name, u->targets, u->n, &actions);
    fetcher_resize(w->fetcher, w->pool.slots_n);
    plan_flush(w);
    update_free(u);
}

void worker_update(struct worker *w, struct config *config, const char *job_name,
                   const struct config_job *job, struct target **targets, size_t n)
{
    struct update *u = xmalloc(sizeof *u);
    *u = (struct update){w, config ? config_ref(config) : NULL, xstrdup(job_name), job, targets, n};
    loop_post(w->loop, apply_update, u);
}

/* ---- the thread ---- */

static void *run(void *ctx)
{
    struct worker *w = ctx;
    loop_run(w->loop);
    return NULL;
}

struct worker *worker_new(const struct worker_options *options)
{
    struct worker *w = xcalloc(1, sizeof *w);
    w->o = *options;
    pthread_mutex_init(&w->lock, NULL);
    w->loop = loop_new();
    w->fetcher = fetcher_new(w->loop, options->user_agent);
    struct append_worker_options append = {.lane = options->lane, .emit = options->emit, .ctx = options->ctx,
                                            .budget = options->budget};
    w->append = append_worker_new(&append);
    /* Signals are for the main thread. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        log_error("scrape", "FATAL: cannot start a thread");
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    char name[16];
    snprintf(name, sizeof name, "scrape-%u", options->lane % 1000);
    pthread_setname_np(w->thread, name);
    return w;
}

static void shut_down(void *ctx)
{
    struct worker *w = ctx;
    struct pool_actions actions = {.stop = slot_abandon};
    pool_clear(&w->pool, &actions);
    append_flush(w->append);
    loop_timer_clear(w->loop, &w->flush);
    loop_stop(w->loop);
}

void worker_stop(struct worker *w)
{
    loop_post(w->loop, shut_down, w);
    pthread_join(w->thread, NULL);
}

void worker_free(struct worker *w)
{
    fetcher_free(w->fetcher);
    append_worker_free(w->append);
    loop_free(w->loop);
    pthread_mutex_destroy(&w->lock);
    free(w->cells);
    free(w);
}
