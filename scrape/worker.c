/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one thread with one event loop that scrapes its share of the targets. */
#include "worker_private.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

/* ---- flushing ---- */

static void on_flush(void *ctx)
{
    struct worker *w = ctx;
    int64_t since = append_pending_since(w->append);
    if (since >= 0 && since + atomic_load(w->o.flush_ms) <= loop_now(w->loop))
        append_flush(w->append);
    worker_plan_flush(w);
}

void worker_plan_flush(struct worker *w)
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
    worker_plan_flush(ctx);
}

void worker_flush_changed(struct worker *w)
{
    loop_post(w->loop, flush_changed, w);
}

/* ---- targets come, stay and go ---- */

struct update {
    struct worker *worker;
    struct config *config; /* NULL for a job that is gone */
    char *job_name;
    const struct config_job *job;
    struct target **targets;
    size_t n, job_targets;
};

static struct pool_slot *on_start(void *ctx, struct target *t, struct pool_slot *before)
{
    const struct update *u = ctx;
    return &slot_new(u->worker, u->config, u->job, t, (struct slot *)before, u->job_targets)->pool;
}

static void on_keep(void *ctx, struct pool_slot *slot, struct target *t)
{
    const struct update *u = ctx;
    slot_update((struct slot *)slot, u->config, u->job, t, u->job_targets);
}

static void on_stop(void *ctx, struct pool_slot *slot)
{
    (void)ctx;
    slot_end((struct slot *)slot, true);
}

/* At shutdown: no markers, the targets will be back. */
static void on_abandon(void *ctx, struct pool_slot *slot)
{
    (void)ctx;
    slot_end((struct slot *)slot, false);
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
    struct pool_actions actions = {.start = on_start, .keep = on_keep, .stop = on_stop, .ctx = u};
    if (!w->deadline_ms) {
        pool_update(&w->pool, u->job_name, u->targets, u->n, &actions);
        fetcher_resize(w->fetcher, w->pool.slots_n);
        worker_plan_flush(w);
    }
    update_free(u);
}

void worker_update(struct worker *w, struct config *config, const struct config_job *job, const char *job_name,
                   const struct worker_targets *targets)
{
    struct update *u = xmalloc(sizeof *u);
    *u = (struct update){
        w, config ? config_ref(config) : NULL, xstrdup(job_name), job, targets->v, targets->n, targets->of_job};
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
    metadata_box_open(&w->questions);
    w->loop = loop_new();
    w->fetcher = fetcher_new(w->loop, options->user_agent);
    struct append_worker_options append = {
        .lane = options->lane, .emit = options->emit, .ctx = options->ctx, .budget = options->budget};
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

/* ---- the end ---- */

static void shut_down(struct worker *w)
{
    struct pool_actions actions = {.stop = on_abandon};
    w->letting_in = true;
    pool_clear(&w->pool, &actions);
    append_flush(w->append);
    loop_timer_clear(w->loop, &w->flush);
    loop_timer_clear(w->loop, &w->admit);
    loop_timer_clear(w->loop, &w->deadline);
    loop_stop(w->loop);
}

static void on_deadline(void *ctx)
{
    shut_down(ctx);
}

void worker_last_done(struct worker *w)
{
    if (--w->last_scrapes == 0) /* not from inside a scrape */
        loop_timer_set(w->loop, &w->deadline, loop_now(w->loop), on_deadline, w);
}

static void each_slot(struct worker *w, void (*fn)(struct slot *slot))
{
    for (size_t i = 0; i < w->pool.n; i++)
        for (size_t k = 0; k < w->pool.jobs[i].n; k++)
            fn((struct slot *)w->pool.jobs[i].slots[k]);
}

static void count_last(struct slot *slot)
{
    slot_quiet(slot);
    slot->worker->last_scrapes += slot->history->job->scrape_on_shutdown;
}

static void scrape_last(struct slot *slot)
{
    if (slot->history->job->scrape_on_shutdown)
        slot_scrape_last(slot);
}

struct stop {
    struct worker *worker;
    int64_t deadline_ms;
};

static void stop_now(void *ctx)
{
    struct stop *stop = ctx;
    struct worker *w = stop->worker;
    w->deadline_ms = stop->deadline_ms > 0 ? stop->deadline_ms : 1;
    free(stop);
    each_slot(w, count_last);
    if (w->last_scrapes == 0 || w->deadline_ms <= loop_now(w->loop)) {
        shut_down(w);
        return;
    }
    loop_timer_set(w->loop, &w->deadline, w->deadline_ms, on_deadline, w);
    each_slot(w, scrape_last);
}

void worker_stop_begin(struct worker *w, int64_t deadline_ms)
{
    struct stop *stop = xmalloc(sizeof *stop);
    *stop = (struct stop){w, deadline_ms};
    loop_post(w->loop, stop_now, stop);
}

void worker_stop(struct worker *w)
{
    pthread_join(w->thread, NULL);
    metadata_box_close(&w->questions);
}

void worker_free(struct worker *w)
{
    fetcher_free(w->fetcher);
    append_worker_free(w->append);
    loop_free(w->loop);
    pthread_mutex_destroy(&w->lock);
    metadata_box_free(&w->questions);
    free(w->cells);
    free(w);
}

/* ---- questions about metadata ---- */

static void answer_questions(void *ctx)
{
    struct worker *w = ctx;
    struct metadata_part *part;
    while ((part = metadata_take(&w->questions))) {
        for (size_t i = 0; i < w->pool.n; i++) {
            for (size_t k = 0; k < w->pool.jobs[i].n; k++) {
                const struct slot *slot = (const struct slot *)w->pool.jobs[i].slots[k];
                metadata_add_target(part, slot->pool.target, slot->history->append);
            }
        }
        metadata_answer(part);
    }
}

void worker_metadata(struct worker *w, struct metadata_question *question)
{
    if (metadata_put(question, &w->questions))
        loop_post(w->loop, answer_questions, w);
}
