/* SPDX-License-Identifier: Apache-2.0 */
/* engine: discovery in one thread, workers in theirs, and the way between: label sets become targets here,
   and each target goes to the worker its hash says. Messages only go down this way, so nothing waits for
   anything. */
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "budget.h"
#include "built.h"
#include "cpus.h"
#include "discovery.h"
#include "metadata.h"
#include "source_board.h"
#include "worker.h"

#define FLUSH_MS 1000
#define METADATA_WAIT_MS 1000
#define ONE_WORKER_BELOW 64 /* targets; and no worker gets fewer than half of that on average */
#define NODE_TARGETS 16     /* a guess at what a source will find that says so only later */
#define CLUSTER_TARGETS 128
#define WORKERS_MAX BLOCK_LANES_MAX /* a worker is a lane */
#define DROPPED_KEPT_MAX 1000
#define BOARD_MS 1000

/* What is remembered of a job for pages. */
struct job_record {
    char *name;
    struct target **dropped;
    size_t kept;    /* of them in `dropped` */
    size_t dropped_n;
    size_t other_shard; /* of those: another agent's */
    struct built_cache built; /* the discovery thread's own */
};

struct scrape_engine {
    struct scrape_options o;
    char *user_agent, *shard_label;
    struct budget *budget; /* of series, over all workers */
    atomic_llong flush_ms;
    bool stopped;
    pthread_t thread; /* of discovery; what follows up to the lock belongs to it */
    struct loop *loop;
    struct discovery *discovery;
    struct config *config; /* the generation that discovery reports about */
    struct loop_timer board_timer;
    struct source_board *board; /* has a lock of its own */

    pthread_mutex_t lock;    /* guards what follows */
    struct worker **workers; /* written once */
    size_t workers_n;
    struct job_record *jobs;
    size_t jobs_n, jobs_cap;
    bool applied;
    size_t waiting; /* jobs without a first discovery */
};

/* ---- records ---- */

static void record_clear(struct job_record *r)
{
    for (size_t i = 0; i < r->kept; i++)
        target_unref(r->dropped[i]);
    free(r->dropped);
    *r = (struct job_record){.name = r->name, .built = r->built};
}

static struct job_record *record_of(struct scrape_engine *e, const char *name)
{
    for (size_t i = 0; i < e->jobs_n; i++) {
        if (strcmp(e->jobs[i].name, name) == 0)
            return &e->jobs[i];
    }
    e->jobs = xgrow(e->jobs, &e->jobs_cap, e->jobs_n + 1, sizeof *e->jobs);
    e->jobs[e->jobs_n] = (struct job_record){.name = xstrdup(name)};
    return &e->jobs[e->jobs_n++];
}

static void record_dropped(struct scrape_engine *e, const struct config_job *job, struct built *b)
{
    size_t max = job->keep_dropped_targets ? job->keep_dropped_targets : DROPPED_KEPT_MAX;
    size_t kept = b->dropped_n < max ? b->dropped_n : max;
    for (size_t i = kept; i < b->dropped_n; i++)
        target_unref(b->dropped[i]);
    pthread_mutex_lock(&e->lock);
    struct job_record *r = record_of(e, job->job_name);
    record_clear(r);
    r->other_shard = b->other_shard;
    r->dropped = b->dropped;
    r->kept = kept;
    r->dropped_n = b->dropped_n;
    e->waiting = discovery_waiting(e->discovery);
    pthread_mutex_unlock(&e->lock);
}

/* ---- in the discovery thread ---- */

static size_t worker_of(const struct scrape_engine *e, const struct target *t)
{
    /* Neither the lowest bits, which choose the multi handle, nor the highest, which choose the time. */
    return (t->phase >> 24 & 0xffffff) % e->workers_n;
}

/* Shares are made before the first is handed over: a worker may let go of what it gets at once. */
static void hand_out(struct scrape_engine *e, const struct config_job *job, const struct built *b)
{
    struct worker_targets *shares = xcalloc(e->workers_n, sizeof *shares);
    for (size_t k = 0; k < b->active_n; k++)
        shares[worker_of(e, b->active[k])].n++;
    for (size_t i = 0; i < e->workers_n; i++) {
        shares[i].v = xcalloc(shares[i].n + 1, sizeof(struct target *));
        shares[i].n = 0;
        shares[i].of_job = b->of_job;
    }
    for (size_t k = 0; k < b->active_n; k++) {
        struct worker_targets *share = &shares[worker_of(e, b->active[k])];
        share->v[share->n++] = b->active[k];
    }
    for (size_t i = 0; i < e->workers_n; i++)
        worker_update(e->workers[i], e->config, job, job->job_name, &shares[i]);
    free(shares);
}

/* Of the job, made when there is none; only this thread makes and removes records. */
static struct built_cache *cache_of(struct scrape_engine *e, const char *name)
{
    pthread_mutex_lock(&e->lock);
    struct job_record *r = record_of(e, name);
    pthread_mutex_unlock(&e->lock);
    return &r->built;
}

static void on_discovered(void *ctx, const struct config_job *job, struct label_set *const *sets, size_t n)
{
    struct scrape_engine *e = ctx;
    struct built b;
    struct scrape_sharding sharding = scrape_engine_sharding(e);
    built_make(&b, cache_of(e, job->job_name), job, sets, n, &sharding, e->shard_label);
    log_debug("scrape", "job %s: %zu targets, %zu dropped", job->job_name, b.active_n, b.dropped_n);
    hand_out(e, job, &b);
    free(b.active);
    record_dropped(e, job, &b);
}

static size_t count_targets(const struct config *config)
{
    struct buf errors; /* discovery_apply is going to report them */
    size_t n = 0;
    buf_init(&errors, 65536);
    for (size_t i = 0; i < config->jobs_n; i++) {
        struct arena arena;
        struct labels *sets;
        arena_init(&arena);
        n += discovery_once(&config->jobs[i], &arena, &sets, &errors);
        for (size_t k = 0; k < config->jobs[i].sd_n; k++)
            n += config->jobs[i].sd[k].kind == CONFIG_SD_KUBELET ? NODE_TARGETS : CLUSTER_TARGETS;
        arena_free(&arena);
    }
    buf_free(&errors);
    return n;
}

static size_t choose_workers(const struct scrape_engine *e, const struct config *config)
{
    size_t n = e->o.workers;
    if (n == 0) {
        size_t targets = count_targets(config) * e->o.replication / e->o.shards;
        size_t most = targets < ONE_WORKER_BELOW ? 1 : targets / (ONE_WORKER_BELOW / 2);
        n = cpus_allowed();
        n = n < most ? n : most;
    }
    return n < WORKERS_MAX ? n : WORKERS_MAX;
}

static void start_workers(struct scrape_engine *e, const struct config *config)
{
    size_t n = choose_workers(e, config);
    struct worker **workers = xcalloc(n, sizeof(struct worker *));
    for (size_t i = 0; i < n; i++) {
        struct worker_options options = {
            .lane = (uint32_t)i,
            .user_agent = e->user_agent,
            .emit = e->o.emit,
            .ctx = e->o.ctx,
            .flush_ms = &e->flush_ms,
            .budget = e->budget,
            .max_concurrent = e->o.max_concurrent,
        };
        workers[i] = worker_new(&options);
    }
    pthread_mutex_lock(&e->lock);
    e->workers = workers;
    e->workers_n = n;
    pthread_mutex_unlock(&e->lock);
}

static bool has_job(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->jobs_n; i++) {
        if (strcmp(config->jobs[i].job_name, name) == 0)
            return true;
    }
    return false;
}

/* Discovery speaks of the jobs of a generation; those that are no longer there are told by us. */
static void forget_jobs(struct scrape_engine *e, const struct config *config)
{
    for (size_t i = e->jobs_n; i-- > 0;) {
        struct job_record *r = &e->jobs[i];
        if (has_job(config, r->name))
            continue;
        for (size_t k = 0; k < e->workers_n; k++)
            worker_update(e->workers[k], NULL, NULL, r->name, &(struct worker_targets){0});
        built_cache_clear(&r->built);
        pthread_mutex_lock(&e->lock);
        record_clear(r);
        free(r->name);
        *r = e->jobs[--e->jobs_n];
        pthread_mutex_unlock(&e->lock);
    }
}

/* Where sources ask over the network, how they are doing is copied each second. */
static void update_board(void *ctx)
{
    struct scrape_engine *e = ctx;
    bool asks = false;
    for (size_t i = 0; i < e->config->jobs_n; i++)
        asks |= e->config->jobs[i].sd_n > 0;
    source_board_update(e->board, e->discovery);
    if (asks)
        loop_timer_set(e->loop, &e->board_timer, loop_now(e->loop) + BOARD_MS, update_board, e);
}

struct apply {
    struct scrape_engine *engine;
    struct config *config;
};

static void apply_now(void *ctx)
{
    struct apply *apply = ctx;
    struct scrape_engine *e = apply->engine;
    struct config *old = e->config;
    if (e->workers_n == 0)
        start_workers(e, apply->config);
    forget_jobs(e, apply->config);
    budget_set_total(e->budget, apply->config->total_series_limit);
    e->config = apply->config;
    discovery_apply(e->discovery, e->config);
    update_board(e);
    if (old)
        config_unref(old);
    pthread_mutex_lock(&e->lock);
    e->applied = true;
    e->waiting = discovery_waiting(e->discovery);
    pthread_mutex_unlock(&e->lock);
    free(apply);
}

static void *run(void *ctx)
{
    struct scrape_engine *e = ctx;
    loop_run(e->loop);
    return NULL;
}

/* ---- life ---- */

struct scrape_engine *scrape_engine_new(const struct scrape_options *options)
{
    struct scrape_engine *e = xcalloc(1, sizeof *e);
    e->o = *options;
    e->user_agent = xstrdup(options->user_agent);
    e->shard_label = options->shard_label ? xstrdup(options->shard_label) : NULL;
    e->o.shards = options->shards ? options->shards : 1;
    e->o.replication = options->replication ? options->replication : 1;
    e->budget = budget_new();
    atomic_init(&e->flush_ms, FLUSH_MS);
    pthread_mutex_init(&e->lock, NULL);
    e->loop = loop_new();
    e->board = source_board_new();
    e->discovery = discovery_new(e->loop, e->user_agent, on_discovered, e);
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    if (pthread_create(&e->thread, NULL, run, e) != 0) {
        log_error("scrape", "FATAL: cannot start a thread");
        abort();
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_setname_np(e->thread, "discovery");
    return e;
}

void scrape_engine_sources(const struct scrape_engine *e,
                           void (*fn)(void *ctx, const struct discovery_source_status *status), void *ctx)
{
    source_board_each(e->board, fn, ctx);
}

void scrape_engine_apply(struct scrape_engine *e, struct config *config)
{
    struct apply *apply = xmalloc(sizeof *apply);
    *apply = (struct apply){e, config_ref(config)};
    loop_post(e->loop, apply_now, apply);
}

void scrape_engine_stop(struct scrape_engine *e, int64_t deadline_ms)
{
    if (e->stopped)
        return;
    e->stopped = true;
    loop_stop(e->loop);
    pthread_join(e->thread, NULL);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_stop_begin(e->workers[i], deadline_ms);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_stop(e->workers[i]);
}

void scrape_engine_free(struct scrape_engine *e)
{
    if (!e)
        return;
    scrape_engine_stop(e, 0);
    discovery_free(e->discovery);
    source_board_free(e->board);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_free(e->workers[i]);
    for (size_t i = 0; i < e->jobs_n; i++) {
        built_cache_clear(&e->jobs[i].built);
        record_clear(&e->jobs[i]);
        free(e->jobs[i].name);
    }
    if (e->config)
        config_unref(e->config);
    loop_free(e->loop);
    pthread_mutex_destroy(&e->lock);
    free(e->workers);
    free(e->jobs);
    budget_free(e->budget);
    free(e->user_agent);
    free(e->shard_label);
    free(e);
}

void scrape_engine_set_flush_interval(struct scrape_engine *e, int64_t ms)
{
    atomic_store(&e->flush_ms, ms);
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_flush_changed(e->workers[i]);
    pthread_mutex_unlock(&e->lock);
}

/* ---- looking in ---- */

const unsigned scrape_delay_bounds_ms[SCRAPE_DELAYS] = {1, 5, 10, 25, 50, 100, 250, 1000, 5000, 15000};

/* The lock says nothing about the engine's meaning to its user, for whom looking changes nothing. */
static void lock(const struct scrape_engine *e)
{
    pthread_mutex_lock(&((struct scrape_engine *)(uintptr_t)e)->lock);
}

static void unlock(const struct scrape_engine *e)
{
    pthread_mutex_unlock(&((struct scrape_engine *)(uintptr_t)e)->lock);
}

bool scrape_engine_metadata(const struct scrape_engine *e,
                            void (*fn)(void *ctx, const struct scrape_metadata *meta), void *ctx)
{
    struct metadata_question *question = metadata_ask();
    lock(e);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_metadata(e->workers[i], question);
    unlock(e);
    return metadata_wait(question, clock_mono_ms() + METADATA_WAIT_MS, fn, ctx);
}

bool scrape_engine_ready(const struct scrape_engine *e, struct err *reason)
{
    lock(e);
    bool applied = e->applied;
    size_t waiting = e->waiting;
    unlock(e);
    if (!applied)
        return err_set(reason, "the first discovery has not finished");
    if (waiting > 0)
        return err_set(reason, "%zu jobs wait for their first discovery", waiting);
    return true;
}

void scrape_engine_totals(const struct scrape_engine *e, struct scrape_totals *out)
{
    *out = (struct scrape_totals){0};
    lock(e);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_add_totals(e->workers[i], out);
    for (size_t i = 0; i < e->jobs_n; i++) {
        out->targets_dropped += e->jobs[i].dropped_n;
        out->targets_other_shard += e->jobs[i].other_shard;
    }
    unlock(e);
}

void scrape_engine_dropped(const struct scrape_engine *e, void (*fn)(void *ctx, const struct scrape_dropped *dropped),
                           void *ctx)
{
    lock(e);
    for (size_t i = 0; i < e->jobs_n; i++) {
        const struct job_record *r = &e->jobs[i];
        fn(ctx, &(struct scrape_dropped){str_of(r->name), r->dropped_n - r->other_shard, r->other_shard});
    }
    unlock(e);
}

struct scrape_sharding scrape_engine_sharding(const struct scrape_engine *e)
{
    return (struct scrape_sharding){e->o.shards, e->o.shard, e->o.replication};
}

struct entry {
    struct worker_cell *cell; /* NULL for a dropped target */
    struct target *target;    /* referenced */
};

static int by_job_and_url(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (!x->cell != !y->cell)
        return x->cell ? -1 : 1;
    int r = str_cmp(x->target->job, y->target->job);
    if (r == 0 && x->target->url && y->target->url)
        r = strcmp(x->target->url, y->target->url);
    if (r == 0)
        r = (x->target->key > y->target->key) - (x->target->key < y->target->key);
    return r;
}

static struct entry *collect(const struct scrape_engine *e, size_t *n)
{
    struct worker_cell **cells = NULL;
    size_t cells_n = 0, cap = 0, dropped_n = 0;
    lock(e);
    for (size_t i = 0; i < e->workers_n; i++)
        worker_cells(e->workers[i], &cells, &cells_n, &cap);
    for (size_t i = 0; i < e->jobs_n; i++)
        dropped_n += e->jobs[i].kept;
    struct entry *v = xcalloc(cells_n + dropped_n + 1, sizeof *v);
    *n = cells_n;
    for (size_t i = 0; i < e->jobs_n; i++) {
        for (size_t k = 0; k < e->jobs[i].kept; k++)
            v[(*n)++] = (struct entry){NULL, target_ref(e->jobs[i].dropped[k])};
    }
    unlock(e);
    for (size_t i = 0; i < cells_n; i++) {
        struct scrape_status status;
        worker_cell_read(cells[i], &status);
        v[i] = (struct entry){cells[i], (struct target *)(uintptr_t)status.target};
    }
    free(cells);
    return v;
}

void scrape_engine_each(const struct scrape_engine *e,
                        void (*fn)(void *ctx, const struct scrape_status *status), void *ctx)
{
    size_t n;
    struct entry *v = collect(e, &n);
    qsort(v, n, sizeof *v, by_job_and_url);
    for (size_t i = 0; i < n; i++) {
        struct scrape_status status = {.target = v[i].target};
        if (v[i].cell) {
            worker_cell_read(v[i].cell, &status);
            worker_cell_unref(v[i].cell);
        } else {
            target_ref(v[i].target);
        }
        fn(ctx, &status);
        target_unref((struct target *)(uintptr_t)status.target);
        target_unref(v[i].target);
    }
    free(v);
}
