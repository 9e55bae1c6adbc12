/* SPDX-License-Identifier: Apache-2.0 */
/* discovery: where targets come from. Each kind turns its world into groups of label sets for one job and tells
   when they changed; failing to look keeps what was known. */
#ifndef OBSAGENT_DISCOVERY_H
#define OBSAGENT_DISCOVERY_H

#include "base/loop.h"
#include "config.h"

/* Runs in one loop's thread. One per engine; knows all jobs. */
struct discovery;

/* Called in the loop's thread with all label sets of the job (each an array of labels with __address__ and __meta_*),
   first when every source of the job has been looked at once, then after each change, coalesced to once in 200 ms. The
   arrays are valid during the call. */
typedef void discovery_update_fn(void *ctx, const struct config_job *job, const struct labels *sets, size_t n);

struct discovery *discovery_new(struct loop *loop, discovery_update_fn *fn, void *ctx);
void discovery_free(struct discovery *d);
/* Takes a new generation (a reference is kept). Jobs whose sources did not change keep their last known groups; every
   job of the new generation gets an update. */
void discovery_apply(struct discovery *d, struct config *config);
/* How many jobs still wait for their first look (for readiness). */
size_t discovery_waiting(const struct discovery *d);

/* For `check` and tests: the label sets of a job from static groups and files, once. Missing files give a line in
   `errors` and are skipped. Sets and strings go to the arena. */
size_t discovery_once(const struct config_job *job, struct arena *arena, struct labels **sets, struct buf *errors);

#endif
