/* SPDX-License-Identifier: Apache-2.0 */
/* built: what discovery found for one job, as targets: ours, and those that are dropped with the reason. */
#ifndef OBSAGENT_SCRAPE_BUILT_H
#define OBSAGENT_SCRAPE_BUILT_H

#include "scrape.h"

struct built {
    struct target **active; /* by key, each once */
    size_t active_n;
    struct target **dropped; /* by a rule, then those of other shards */
    size_t dropped_n;
    size_t other_shard; /* of those */
    size_t of_job;      /* targets that no rule dropped, whoever scrapes them */
};

/* The targets of a job's last update by their label sets: of ten thousand only those that changed are built anew. */
struct built_cache {
    uint64_t job_hash;            /* what they were built by */
    struct label_set *defaults;   /* NULL = nothing is remembered */
    struct target **slots;        /* open addressing by label set; references */
    size_t slots_n, used;
};

void built_cache_clear(struct built_cache *cache);

/* Builds a target of each label set that the cache does not know and takes our share. shard_label NULL = none. What is
   wrong gets a line in the log. The arrays and a reference of each target are the caller's. */
void built_make(struct built *b, struct built_cache *cache, const struct config_job *job,
                struct label_set *const *sets, size_t n, const struct scrape_sharding *sharding,
                const char *shard_label);

#endif
