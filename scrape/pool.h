/* SPDX-License-Identifier: Apache-2.0 */
/* pool: when a target is due, and which targets came, stayed and went. No threads, no clocks, no network. */
#ifndef OBSAGENT_SCRAPE_POOL_H
#define OBSAGENT_SCRAPE_POOL_H

#include "target.h"

/* ---- when ---- */

/* Ticks lie on wall-clock times t with t mod interval = offset, the offset from the target's phase: the
   same after a restart, and spread over 32 groups an interval. They are waited for on the monotonic clock. */
struct schedule {
    int64_t interval_ms;
    int64_t offset_ms;
    int64_t next_wall_ms; /* the timestamp of the next scrape, if it comes in time */
    int64_t next_mono_ms; /* when to wake */
    bool early;           /* the next tick is not on the grid */
};

void schedule_start(struct schedule *s, int64_t interval_ms, uint64_t phase, int64_t wall_ms,
                    int64_t mono_ms);
/* vmagent's scrape_offset: ticks at offset_ms behind multiples of the interval; else its scrape_align_interval:
   the first tick at a multiple of align_ms, then every interval. */
void schedule_start_aligned(struct schedule *s, int64_t interval_ms, int64_t align_ms, int64_t offset_ms,
                            int64_t wall_ms, int64_t mono_ms);
/* Puts a first tick in_ms from now, unless the grid has one before. The grid's next one is then at least half an
   interval later. */
void schedule_early(struct schedule *s, int64_t in_ms, int64_t wall_ms, int64_t mono_ms);
/* To be called when next_mono_ms is reached. Returns the timestamp of this scrape: the planned one when it
   is off by less than 1 % of the interval (equal distances compress well), else the present time. Moves on
   to the next tick; ticks that passed meanwhile are dropped and added to *skipped. A jump of the wall
   clock moves the ticks with it. */
int64_t schedule_tick(struct schedule *s, int64_t wall_ms, int64_t mono_ms, uint64_t *skipped);

/* ---- which ---- */

/* What the pool knows of a slot; the owner's struct begins with it. */
struct pool_slot {
    struct target *target;
};

struct pool_job {
    char *name;
    struct pool_slot **slots; /* by key */
    size_t n;
};

struct pool {
    struct pool_job *jobs;
    size_t n, cap;
    size_t slots_n; /* of all jobs */
};

/* What the owner does. `start` gets the leaving slot with the same labels and URL, if there is one, to
   take over its state (a job's settings changed); it is stopped afterwards all the same. */
struct pool_actions {
    struct pool_slot *(*start)(void *ctx, struct target *target, struct pool_slot *before);
    void (*keep)(void *ctx, struct pool_slot *slot, struct target *target);
    void (*stop)(void *ctx, struct pool_slot *slot);
    void *ctx;
};

/* Brings the job's slots in line with targets (sorted by key, keys unique): keeps equal keys, starts what
   is new, stops what is gone, in this order. A job without targets is forgotten. */
void pool_update(struct pool *p, const char *job, struct target *const *targets, size_t n,
                 const struct pool_actions *actions);
/* Stops every slot and frees the pool's memory. */
void pool_clear(struct pool *p, const struct pool_actions *actions);

#endif
