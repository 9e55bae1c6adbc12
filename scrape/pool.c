/* SPDX-License-Identifier: Apache-2.0 */
/* pool: when a target is due, and which targets came, stayed and went. */
#include "pool.h"

#include <stdlib.h>

#include "base/alloc.h"

#define GROUPS_LOG2 5

/* ---- when ---- */

/* The first tick at or after wall_ms. */
static int64_t next_on_grid(const struct schedule *s, int64_t wall_ms)
{
    int64_t into = (wall_ms - s->offset_ms) % s->interval_ms;
    if (into < 0)
        into += s->interval_ms;
    return into == 0 ? wall_ms : wall_ms + s->interval_ms - into;
}

static void plan(struct schedule *s, int64_t next_wall_ms, int64_t wall_ms, int64_t mono_ms)
{
    s->next_wall_ms = next_wall_ms;
    s->next_mono_ms = mono_ms + (next_wall_ms - wall_ms);
}

void schedule_start(struct schedule *s, int64_t interval_ms, uint64_t phase, int64_t wall_ms, int64_t mono_ms)
{
    *s = (struct schedule){.interval_ms = interval_ms};
    /* In groups rather than one by one: a scrape right behind another finds the caches warm and the thread awake, which
       halves its cost; a group is still a small part of the targets. */
    s->offset_ms = interval_ms * (int64_t)(phase >> (64 - GROUPS_LOG2)) >> GROUPS_LOG2;
    plan(s, next_on_grid(s, wall_ms), wall_ms, mono_ms);
}

void schedule_start_aligned(struct schedule *s, int64_t interval_ms, int64_t align_ms, int64_t offset_ms,
                            int64_t wall_ms, int64_t mono_ms)
{
    *s = (struct schedule){.interval_ms = interval_ms};
    if (offset_ms)
        s->offset_ms = offset_ms % interval_ms;
    else
        s->offset_ms = (wall_ms + align_ms - 1) / align_ms * align_ms % interval_ms;
    plan(s, next_on_grid(s, wall_ms), wall_ms, mono_ms);
}

void schedule_early(struct schedule *s, int64_t in_ms, int64_t wall_ms, int64_t mono_ms)
{
    if (wall_ms + in_ms >= s->next_wall_ms)
        return;
    s->early = true;
    plan(s, wall_ms + in_ms, wall_ms, mono_ms);
}

int64_t schedule_tick(struct schedule *s, int64_t wall_ms, int64_t mono_ms, uint64_t *skipped)
{
    if (s->early) {
        s->early = false;
        plan(s, next_on_grid(s, wall_ms + s->interval_ms / 2), wall_ms, mono_ms);
        return wall_ms;
    }
    int64_t drift = wall_ms - s->next_wall_ms;
    int64_t tolerance = s->interval_ms / 100;
    int64_t late = mono_ms - s->next_mono_ms;
    if (late >= s->interval_ms)
        *skipped += (uint64_t)(late / s->interval_ms);
    if (drift >= -tolerance && drift <= tolerance) {
        int64_t ts = s->next_wall_ms;
        plan(s, ts + s->interval_ms, wall_ms, mono_ms);
        return ts;
    }
    plan(s, next_on_grid(s, wall_ms + 1), wall_ms, mono_ms);
    return wall_ms;
}

/* ---- which ---- */

static struct pool_job *find_job(struct pool *p, const char *name)
{
    for (size_t i = 0; i < p->n; i++) {
        if (strcmp(p->jobs[i].name, name) == 0)
            return &p->jobs[i];
    }
    return NULL;
}

static struct pool_job *add_job(struct pool *p, const char *name)
{
    p->jobs = xgrow(p->jobs, &p->cap, p->n + 1, sizeof *p->jobs);
    struct pool_job *job = &p->jobs[p->n++];
    *job = (struct pool_job){.name = xstrdup(name)};
    return job;
}

static void forget_job(struct pool *p, struct pool_job *job)
{
    free(job->name);
    free(job->slots);
    *job = p->jobs[--p->n];
}

static int by_phase(const void *a, const void *b)
{
    uint64_t x = (*(struct pool_slot *const *)a)->target->phase;
    uint64_t y = (*(struct pool_slot *const *)b)->target->phase;
    return (x > y) - (x < y);
}

/* The leaving slot of the same phase, which means the same labels and URL; gone is sorted by phase. */
static struct pool_slot *find_before(struct pool_slot *const *gone, size_t n, uint64_t phase)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (gone[middle]->target->phase < phase)
            low = middle + 1;
        else
            high = middle;
    }
    return low < n && gone[low]->target->phase == phase ? gone[low] : NULL;
}

/* Copies to `gone` the slots whose key is not among the targets; both are sorted by key. */
static size_t find_gone(const struct pool_job *job, struct target *const *targets, size_t n,
                        struct pool_slot **gone)
{
    size_t gone_n = 0, k = 0;
    for (size_t i = 0; i < job->n; i++) {
        uint64_t key = job->slots[i]->target->key;
        while (k < n && targets[k]->key < key)
            k++;
        if (k == n || targets[k]->key != key)
            gone[gone_n++] = job->slots[i];
    }
    qsort(gone, gone_n, sizeof(struct pool_slot *), by_phase);
    return gone_n;
}

void pool_update(struct pool *p, const char *name, struct target *const *targets, size_t n,
                 const struct pool_actions *actions)
{
    struct pool_job *job = find_job(p, name);
    if (!job)
        job = add_job(p, name);
    struct pool_slot **gone = xcalloc(job->n + 1, sizeof(struct pool_slot *));
    struct pool_slot **slots = xcalloc(n + 1, sizeof(struct pool_slot *));
    size_t gone_n = find_gone(job, targets, n, gone);
    size_t old = 0;
    for (size_t i = 0; i < n; i++) {
        while (old < job->n && job->slots[old]->target->key < targets[i]->key)
            old++;
        if (old < job->n && job->slots[old]->target->key == targets[i]->key) {
            slots[i] = job->slots[old++];
            actions->keep(actions->ctx, slots[i], targets[i]);
        } else {
            slots[i] = actions->start(actions->ctx, targets[i], find_before(gone, gone_n, targets[i]->phase));
        }
    }
    for (size_t i = 0; i < gone_n; i++)
        actions->stop(actions->ctx, gone[i]);
    p->slots_n = p->slots_n - job->n + n;
    free(gone);
    free(job->slots);
    job->slots = slots;
    job->n = n;
    if (n == 0)
        forget_job(p, job);
}

void pool_clear(struct pool *p, const struct pool_actions *actions)
{
    while (p->n > 0) {
        struct pool_job *job = &p->jobs[p->n - 1];
        for (size_t i = 0; i < job->n; i++)
            actions->stop(actions->ctx, job->slots[i]);
        forget_job(p, job);
    }
    free(p->jobs);
    *p = (struct pool){0};
}
