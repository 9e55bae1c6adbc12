/* SPDX-License-Identifier: Apache-2.0 */
/* worker: one thread with one event loop that scrapes its share of the targets and fills its own blocks.
   Nothing is shared between workers; others only post to a worker or copy its published numbers. */
#ifndef OBSAGENT_SCRAPE_WORKER_H
#define OBSAGENT_SCRAPE_WORKER_H

#include <stdatomic.h>

#include "scrape.h"

struct worker;
struct metadata_question;

struct worker_options {
    uint32_t lane;
    const char *user_agent;
    void (*emit)(void *ctx, struct block *block);
    void *ctx;
    unsigned max_concurrent; /* fetches under way, those that hang aside; 0 = 256 */
    struct budget *budget; /* shared by all workers */
    const atomic_llong *flush_ms; /* how soon blocks are sealed; worker_flush_changed tells of a change */
};

/* Starts the thread. */
struct worker *worker_new(const struct worker_options *options);
/* Tells it to end: targets of jobs with scrape_on_shutdown are scraped once more until deadline_ms (monotonic), other
   running scrapes are dropped, what is pending is emitted. Returns at once. */
void worker_stop_begin(struct worker *w, int64_t deadline_ms);
/* Waits for that. */
void worker_stop(struct worker *w);
/* After worker_stop. */
void worker_free(struct worker *w);

struct worker_targets {
    struct target **v; /* sorted by key */
    size_t n;
    size_t of_job; /* how many the job has in all, for target_limit */
};

/* The targets of this worker for one job from now on; takes over one reference of each and the array. `job` lies in
   config, of which a reference is kept; both NULL with no targets for a job that is gone. */
void worker_update(struct worker *w, struct config *config, const struct config_job *job, const char *job_name,
                   const struct worker_targets *targets);
void worker_flush_changed(struct worker *w);
/* Puts a question about the metadata of its targets to the worker. From any thread. */
void worker_metadata(struct worker *w, struct metadata_question *question);

/* ---- for pages and metrics, from any thread ---- */

/* One target's published state; stays readable after the target has gone, while referenced. */
struct worker_cell;

/* Appends the worker's cells, with a reference each, to an array grown with xgrow. */
void worker_cells(struct worker *w, struct worker_cell ***cells, size_t *n, size_t *cap);
/* A copy of the state; out->target has a reference for the caller. */
void worker_cell_read(struct worker_cell *cell, struct scrape_status *out);
void worker_cell_unref(struct worker_cell *cell);
/* Adds the worker's numbers to *total. */
void worker_add_totals(struct worker *w, struct scrape_totals *total);

#endif
