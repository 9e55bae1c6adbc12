/* SPDX-License-Identifier: Apache-2.0 */
/* worker_private: the inside of a worker.

     worker.c       the thread, updates of a job's targets, flushing, the end
     worker_slot.c  one target on the schedule: its ticks, its scrapes, its history
     worker_admit.c how many fetches are under way
     worker_cell.c  what others may read

   A slot is one target on the schedule. When a job's settings change in a way that leaves the series as they are, the
   new slot takes over the history of the old one; else it keeps it as `before` and lets it end a millisecond before
   its own first sample, so that a reload does not leave a gap of one interval. */
#ifndef OBSAGENT_SCRAPE_WORKER_PRIVATE_H
#define OBSAGENT_SCRAPE_WORKER_PRIVATE_H

#include "worker.h"

#include <pthread.h>

#include "append.h"
#include "fetch.h"
#include "metadata.h"
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
    size_t job_targets;     /* of the whole job, for target_limit */
    struct schedule schedule;
    struct loop_timer timer;
    struct fetch *fetch; /* a scrape is running */
    struct append_scrape *scrape; /* its samples; NULL until there are bytes, to save memory while we wait */
    int64_t ts_ms;
    int64_t planned_mono_ms; /* when the scrape should have begun; -1 = of no interest */
    int64_t due_ts_ms; /* a tick came while one was running; 0 = none */
    struct worker_cell *cell;

    /* worker_admit.c */
    enum { SLOT_IDLE, SLOT_WAITING, SLOT_YOUNG, SLOT_OLD } state;
    struct slot *prev, *next; /* among those that wait, or those that run, by time */
    int64_t started_mono_ms;
    bool last;  /* the scrape of scrape_on_shutdown */
    bool again; /* it comes when the one that runs is over */
};

struct worker_cell {
    atomic_int refs;
    struct worker *worker;
    struct scrape_status status; /* under worker->lock; its target is referenced */
    int64_t next_mono_ms;
    size_t index; /* in worker->cells */
};

struct slot_list {
    struct slot *first, *last;
};

struct worker {
    struct worker_options o;
    pthread_t thread;
    struct loop *loop;
    struct fetcher *fetcher;
    struct append_worker *append;
    struct pool pool;
    struct loop_timer flush;

    struct slot_list waiting, running;
    struct slot *first_young; /* of those that run */
    size_t young;
    bool letting_in; /* or nobody shall be let in any more */
    struct loop_timer admit;

    int64_t burst_end_ms; /* of new targets scraped early: monotonic */
    size_t burst;
    int64_t deadline_ms; /* of the last scrapes; 0 = not stopping */
    size_t last_scrapes; /* of scrape_on_shutdown, not yet over */
    struct loop_timer deadline;

    struct metadata_box questions;

    pthread_mutex_t lock; /* guards what follows */
    struct worker_cell **cells;
    size_t cells_n, cells_cap;
    struct scrape_totals totals;
};

/* ---- worker.c ---- */

void worker_plan_flush(struct worker *w);
/* A last scrape is over. */
void worker_last_done(struct worker *w);

/* ---- worker_slot.c ---- */

struct slot *slot_new(struct worker *w, struct config *config, const struct config_job *job, struct target *t,
                      struct slot *before, size_t job_targets);
/* The same target in a new generation. */
void slot_update(struct slot *slot, struct config *config, const struct config_job *job, struct target *t,
                 size_t job_targets);
/* Ends it: with stale markers, or without as at shutdown. */
void slot_end(struct slot *slot, bool markers);
/* Scrapes once more, now, and then no more. */
void slot_scrape_last(struct slot *slot);
/* No more ticks. */
void slot_quiet(struct slot *slot);
/* For worker_admit.c: sends the request, or ends the scrape at once when that cannot be done. */
void slot_fetch(struct slot *slot);

/* ---- worker_admit.c ---- */

/* Fetches now (slot_fetch), or as soon as fewer are under way. */
void admit(struct slot *slot);
/* The fetch is over or given up; the slot may also still be waiting. Lets the next one in. */
void admit_leave(struct slot *slot);

/* ---- worker_cell.c ---- */

struct worker_cell *cell_new(struct worker *w, struct target *t, int64_t next_mono_ms);
/* The target has gone. */
void cell_remove(struct worker *w, struct worker_cell *cell);
void cell_set_target(struct worker *w, struct worker_cell *cell, struct target *t);
/* Publishes the end of a scrape. */
void cell_publish(struct slot *slot, const struct fetch_result *r, const struct append_result *a,
                  const struct err *why);
void cell_skipped(struct worker *w, struct worker_cell *cell, int64_t next_mono_ms, uint64_t skipped);
void cell_started(struct worker *w, int64_t late_us);

#endif
