/* SPDX-License-Identifier: Apache-2.0 */
/* discovery: where targets come from. Each kind turns its world into label sets for the jobs that name it and tells
   when they changed; failing to look keeps what was known. */
#ifndef OBSAGENT_DISCOVERY_H
#define OBSAGENT_DISCOVERY_H

#include "base/loop.h"
#include "config.h"
#include "label_set.h"

/* Runs in one loop's thread. One per engine; knows all jobs. */
struct discovery;

/* Called in the loop's thread with all label sets of the job (each with __address__ and __meta_*): in discovery_apply
   with what is known then, and after each change, at most once in 200 ms. A set that did not change is the same object
   as in the call before. The array is valid during the call; references may be taken. */
typedef void discovery_update_fn(void *ctx, const struct config_job *job, struct label_set *const *sets, size_t n);

/* user_agent: what requests say, for example "obsagent/1.0"; must outlive it. */
struct discovery *discovery_new(struct loop *loop, const char *user_agent, discovery_update_fn *fn, void *ctx);
void discovery_free(struct discovery *d);
/* Takes a new generation (a reference is kept). Sources that did not change go on with what they know; what came from
   sources that are gone stays until those that came instead have looked once. */
void discovery_apply(struct discovery *d, struct config *config);
/* How many jobs still wait for the first look of a source, well or not (for readiness). */
size_t discovery_waiting(const struct discovery *d);

/* What a source that asks over the network is doing. */
struct discovery_source_status {
    const char *kind;    /* "kubernetes_sd_configs" */
    const char *job;
    const char *detail;  /* where it looks, without secrets */
    bool looked;         /* the first look is over, well or not */
    const char *error;   /* why the last look failed, "" when it was good */
    uint64_t failures;   /* looks that failed since the source exists */
    int64_t changed_ms;  /* wall clock of the last news; 0 = never */
    size_t sets;         /* targets it knows */
};

/* In the loop's thread: fn for each job and source of it. Views are valid during the call. */
void discovery_each_source(const struct discovery *d,
                           void (*fn)(void *ctx, const struct discovery_source_status *status), void *ctx);

/* Fills *to with the set's labels, array and all in the arena: whoever gets it need not free. */
void discovery_copy_set(struct labels *to, const struct label_set *from, struct arena *arena);
/* For `check` and tests: the label sets of a job from static groups and files, once. Missing files give a line in
   `errors` and are skipped. Sets and strings go to the arena. */
size_t discovery_once(const struct config_job *job, struct arena *arena, struct labels **sets, struct buf *errors);

#endif
